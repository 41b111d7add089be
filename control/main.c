/* control/main.c: rpcnet-control. Holds the private key, signs for the data plane, answers rpcnetctl; one event loop. */
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "control/admin.h"
#include "control/gossip.h"
#include "control/http.h"
#include "control/node.h"
#include "control/sandbox.h"
#include "control/startup.h"
#include "control/topo_of.h"
#include "quic/secret.h"
#include "sys/channel.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/privs.h"
#include "util/err.h"

#define EXIT_CONFIG 2

const char *argp_program_version = "rpcnet-control " RN_VERSION;
static const char doc[] = "The part of a node that holds the private key. rpcnetd starts it.\v"
                          "Exit status: 0 after SIGTERM, 1 for a failure, 2 for a wrong command "
                          "line or configuration.\n\n"
                          "example: rpcnet-control --check --config /etc/rpcnet/node.yaml";

static const struct argp_option options[] = {
  { "config", 'c', "FILE", 0, "Configuration (required)", 0 },
  { "check", 'k', NULL, 0, "Check the configuration, certificate and key, start nothing", 0 },
  { 0 },
};

struct args {
  const char *config;
  bool check;
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct args *a = state->input;
  switch (key) {
  case 'c':
    a->config = arg;
    return 0;
  case 'k':
    a->check = true;
    return 0;
  case ARGP_KEY_ARG:
    argp_error(state, "unexpected argument: %s", arg);
    return EINVAL;
  case ARGP_KEY_END:
    if (a->config == NULL)
      argp_error(state, "--config FILE is required");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static struct rn_startup startup;
static struct rn_node node;
static struct rn_admin *admin;
static struct rn_http *http;
static uv_timer_t drain_timer;

/* Everything a start would refuse, without starting: the files, and the description that the data plane would get. */
static int check(const char *config) {
  const struct rn_startup_source src = { .channel = -1, .config_path = config };
  static const uint8_t any_secret[32];
  static struct rn_topo t;
  char why[256] = "";
  int err = rn_startup_load(&src, &startup);
  if (err == RN_OK) {
    const struct rn_topo_inputs in = { .secret = any_secret, .secret_bytes = sizeof(any_secret) };
    err = rn_topo_of_config(&startup.cfg, &in, &t);
    t.tls.cert.bytes = 1;
    t.tls.ca.bytes = startup.ca_bytes;
    t.tls.peer_ca.bytes = startup.peer_ca_bytes;
    if (err == RN_OK && rn_topo_check(&t, why, sizeof(why)) != RN_OK) {
      rn_error("%s: %s", config, why);
      err = RN_ERR_CONFIG;
    }
  }
  if (err == RN_OK)
    printf("%s: fine\n", config);
  rn_startup_free(&startup);
  return err == RN_OK ? EXIT_SUCCESS : EXIT_CONFIG;
}

/* ---- the loop ---- */

static void on_bell(uv_poll_t *h, int status, int events) {
  (void)h;
  (void)status;
  (void)events;
  rn_node_drain(&node);
}

static void on_drain(uv_timer_t *t) {
  (void)t;
  rn_drain_tick(&node);
}

/* From the moment on in which rpcnetd wants the node to end. */
static void watch_drain(void) {
  if (node.drain.phase != RN_DRAIN_NONE && !uv_is_active((uv_handle_t *)&drain_timer))
    uv_timer_start(&drain_timer, on_drain, RN_DRAIN_TICK_MS, RN_DRAIN_TICK_MS);
}

static void on_channel(uv_poll_t *h, int status, int events) {
  (void)status;
  (void)events;
  for (;;) {
    struct rn_parent_msg m;
    size_t len, fd_count = 1;
    int fd = -1;
    int err = rn_sys_recv(node.channel, &m, sizeof(m), &len, &fd, &fd_count);
    if (err == RN_ERR_AGAIN)
      return;
    if (err != RN_OK || len != sizeof(m)) {
      rn_error("rpcnetd is gone");
      uv_stop(h->loop);
      return;
    }
    m.text[sizeof(m.text) - 1] = '\0';
    if (m.type == RN_PARENT_REPLY && (m.arg == RN_PARENT_OPEN || m.arg == RN_PARENT_ROTATE)) {
      rn_secrets_on_reply(&node, &m, fd_count > 0 ? fd : -1);
      continue;
    }
    if (rn_node_on_parent(&node, &m) != RN_OK) {
      h->loop->data = &node; /* marks a failure */
      uv_stop(h->loop);
      return;
    }
    watch_drain();
  }
}

static void on_signal(uv_signal_t *h, int sig) {
  (void)sig;
  uv_stop(h->loop);
}

static void on_second(uv_timer_t *h) {
  (void)h;
  rn_node_sample(&node, true);
  rn_node_say_hello(&node);
  rn_secrets_tick(&node);
  rn_gossiper_second(node.gossip);
  rn_rates_sample(&node.rates, &node, rn_sys_now_ns());
}

static int start_http(uv_loop_t *loop) {
  const struct rn_http_limits limits = { .connections = startup.cfg.http.connections,
                                         .timeout_ms = RN_HTTP_TIMEOUT_MS };
  if (!startup.cfg.http.enabled)
    return RN_OK;
  return rn_http_new(loop, RN_PARENT_FD_HTTP, &limits, &node, &http);
}

static int start_handles(uv_loop_t *loop) {
  static uv_poll_t bell, channel;
  static uv_signal_t term;
  static uv_timer_t second;
  if (rn_admin_new(loop, RN_PARENT_FD_ADMIN, &node, &admin) != RN_OK || start_http(loop) != RN_OK)
    return RN_ERR_SYS;
  bool ok = uv_poll_init(loop, &bell, node.bell_fd) == 0 &&
            uv_poll_start(&bell, UV_READABLE, on_bell) == 0 &&
            uv_poll_init(loop, &channel, node.channel) == 0 &&
            uv_poll_start(&channel, UV_READABLE, on_channel) == 0 &&
            uv_signal_init(loop, &term) == 0 && uv_signal_start(&term, on_signal, SIGTERM) == 0 &&
            uv_timer_init(loop, &second) == 0 && uv_timer_init(loop, &drain_timer) == 0 &&
            uv_timer_start(&second, on_second, 1000, 1000) == 0;
  if (ok)
    watch_drain();
  /* A terminal's Ctrl-C reaches all of us; rpcnetd is the one that acts on it. */
  signal(SIGINT, SIG_IGN);
  signal(SIGPIPE, SIG_IGN);
  return ok ? RN_OK : RN_ERR_SYS;
}

/* Without a file: as long as rpcnetd lives. */
static void use_secret(const struct rn_parent_msg *hello) {
  node.secrets = startup.secrets;
  if (node.secrets.count == 0) {
    node.secrets.count = 1;
    node.secrets.of[0].epoch = 1;
    memcpy(node.secrets.of[0].bytes, hello->seed, sizeof(hello->seed));
  }
  rn_secrets_wipe(&startup.secrets);
}

static int run(const char *config) {
  const struct rn_startup_source src = { .channel = RN_PARENT_FD_CHANNEL, .config_path = config };
  struct rn_parent_msg hello;
  int fds[2 + RN_TOPO_LCORES_MAX];
  size_t fd_count = sizeof(fds) / sizeof(fds[0]);
  char why[256] = "";
  uv_loop_t loop;
  if (rn_startup_hello(RN_PARENT_FD_CHANNEL, &hello, fds, &fd_count) != RN_OK)
    return EXIT_CONFIG;
  if (rn_startup_load(&src, &startup) != RN_OK || rn_startup_attach(&src, &startup) != RN_OK)
    return EXIT_CONFIG;
  /* All files are open. Before the event loop: it would set up an io_uring, and no filter sees what goes through one. */
  if (startup.cfg.node.sandbox && rn_control_sandbox() != RN_OK)
    rn_warn("system calls are not filtered: %s", strerror(errno));
  /* Slow signatures use these threads; they must not crowd the lcores out of a small machine. */
  setenv("UV_THREADPOOL_SIZE", "2", 0);
  setenv("UV_USE_IO_URING", "0",
         1); /* what goes through io_uring, no filter of system calls sees */
  if (uv_loop_init(&loop) != 0)
    return EXIT_FAILURE;
  loop.data = NULL;
  node.cfg = &startup.cfg;
  rn_keys_set_dials(startup.keys, startup.cfg.cluster.enabled);
  node.keys = startup.keys;
  node.ca_pem = startup.ca_pem;
  node.ca_bytes = startup.ca_bytes;
  node.peer_ca_pem = startup.peer_ca_pem;
  node.peer_ca_bytes = startup.peer_ca_bytes;
  node.bpf_attached = startup.bpf_attached;
  node.channel = RN_PARENT_FD_CHANNEL;
  node.privileged = hello.privileged != 0;
  /* Made of the seed, not cut from it: the data plane gets to know it. */
  (void)rn_secret_key(hello.seed, sizeof(hello.seed), RN_SECRET_RESET, UINT32_MAX, &node.epoch_base,
                      1);
  node.signer.loop = &loop;
  use_secret(&hello);
  rn_startup_correct(&startup, &hello, fds, &fd_count);
  int err = startup.cfg.cluster.enabled
                ? rn_gossiper_new(&loop, &node, startup.state, startup.state_bytes)
                : RN_OK;
  if (err == RN_OK)
    err = rn_node_init(&node, &hello, fds, fd_count, why, sizeof(why));
  for (size_t i = 0; i < startup.unasked_count && err == RN_OK; i++) {
    if (startup.unasked[i].type == RN_PARENT_SHUTDOWN)
      err = rn_node_on_parent(&node, &startup.unasked[i]);
  }
  if (err == RN_OK && start_handles(&loop) != RN_OK) {
    snprintf(why, sizeof(why), "the event loop cannot be set up");
    err = RN_ERR_SYS;
  }
  if (err != RN_OK) {
    if (why[0] != '\0')
      rn_error("%s", why);
    return err == RN_ERR_CONFIG ? EXIT_CONFIG : EXIT_FAILURE;
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  while (node.signer.queued >
         0) /* worker threads still use the key; a signature takes milliseconds */
    uv_run(&loop, UV_RUN_ONCE);
  int status = loop.data == NULL ? EXIT_SUCCESS : EXIT_FAILURE;
  rn_node_fini(&node);
  rn_startup_free(&startup);
  return status;
}

int main(int argc, char **argv) {
  struct args args = { 0 };
  const struct argp argp = { options, parse, NULL, doc, NULL, NULL, NULL };
  argp_err_exit_status = EXIT_CONFIG;
  argp_parse(&argp, argc, argv, 0, NULL, &args);
  rn_log_init("rpcnet-control", RN_LOG_INFO);
  /* Before the key is anywhere: rpcnetd started us as another user and without capabilities; nobody of that user may look at our memory. */
  if (rn_sys_not_dumpable() != RN_OK) {
    rn_error("cannot protect this process from others of its user");
    return EXIT_FAILURE;
  }
  if (!rn_keys_init())
    rn_warn("memory for the private key cannot be locked: it might be swapped out (raise "
            "RLIMIT_MEMLOCK)");
  return args.check ? check(args.config) : run(args.config);
}
