/* dataplane/main.c: rpcnet-dataplane. Started by rpcnetd with the descriptors that lib/topo/topo.h names. */
#include "dataplane/lcore.h"
#include "dataplane/port/eal.h"
#include "dataplane/sandbox.h"
#include "sys/log.h"
#include "sys/memfd.h"
#include "topo/mandate.h"
#include "util/err.h"

#include <argp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>

#define EXIT_RUNTIME 1
#define EXIT_CONFIG  2 /* a restart would not help */

static _Atomic bool stop;

static void on_sigterm(int sig) {
  (void)sig;
  atomic_store_explicit(&stop, true, memory_order_relaxed);
}

enum { OPT_MANDATE = 256 };

struct args {
  struct rn_mandate mandate;
  bool given;
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct args *a = state->input;
  switch (key) {
  case OPT_MANDATE:
    if (rn_mandate_parse(arg, &a->mandate) != RN_OK)
      argp_error(state, "--mandate %s: not UID:GID:SANDBOX:DRIVER:INTERFACE", arg);
    a->given = true;
    return 0;
  case ARGP_KEY_END:
    if (!a->given)
      argp_error(state, "--mandate is required");
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static int attach(const struct rn_mandate *mandate, struct rn_topo_view *view) {
  size_t bytes;
  void *map;
  char why[256] = "";
  if (rn_sys_memfd_check(RN_TOPO_FD_REGION, &bytes) != RN_OK ||
      rn_sys_map(RN_TOPO_FD_REGION, bytes, &map) != RN_OK) {
    rn_error("descriptor %d is no region: this program is started by rpcnetd", RN_TOPO_FD_REGION);
    return RN_ERR_INVAL;
  }
  int err = rn_topo_attach(map, bytes, view, why, sizeof(why));
  if (err == RN_OK)
    err = rn_mandate_check(mandate, &view->topo, why, sizeof(why));
  if (err != RN_OK)
    rn_error("region: %s", why);
  return err;
}

static int start_eal(const struct rn_topo *t, char *why, size_t why_bytes) {
  struct rn_eal_config cfg = { .lcore_count = t->lcore_count,
                               .memory_mb = t->memory_mb,
                               .hugepages = t->hugepages != 0 };
  for (uint32_t i = 0; i < t->lcore_count; i++)
    cfg.cpus[i] = t->lcores[i].cpu;
  return rn_eal_init(&cfg, why, why_bytes);
}

static int open_port(const struct rn_topo *t, struct rn_port **out, char *why, size_t why_bytes) {
  const struct rn_port_config cfg = { .profile = &t->ports[0],
                                      .queues = (uint16_t)t->lcore_count,
                                      .rx_descs = (uint16_t)t->rx_descs,
                                      .tx_descs = (uint16_t)t->tx_descs,
                                      .mbufs = t->mbufs_per_lcore };
  return rn_port_open(&cfg, out, why, why_bytes);
}

static int run(void *arg) { return rn_lcore_run(arg); }

/* Memory and objects of all lcores. */
static int set_up_all(const struct rn_topo_view *view, struct rn_port *port, struct rn_lcore **out,
                      char *why, size_t why_bytes) {
  uint32_t count = view->topo.lcore_count;
  struct rn_lcore *lcores = rn_lcore_memory(count * sizeof(*lcores));
  struct rn_lcore_shared shared = { .view = view, .port = port, .stop = &stop };
  if (count > 1)
    shared.rings = rn_lcore_memory(rn_steer_footprint(count));
  if (view->topo.director.enabled)
    shared.load = rn_lcore_memory(rn_load_shared_bytes(count, RN_DIRECTOR_SLOTS));
  if (lcores == NULL || (view->topo.director.enabled && shared.load == NULL) ||
      (count > 1 && shared.rings == NULL)) {
    snprintf(why, why_bytes, "out of memory");
    return RN_ERR_SYS;
  }
  if (count > 1)
    rn_steer_format(shared.rings, count);
  if (getrandom(shared.spread_key, sizeof(shared.spread_key), 0) !=
      (ssize_t)sizeof(shared.spread_key)) {
    snprintf(why, why_bytes, "the kernel gives no random bytes");
    return RN_ERR_SYS;
  }
  for (uint32_t i = 0; i < count; i++) {
    int err = rn_lcore_setup(&lcores[i], &shared, i, why, why_bytes);
    if (err != RN_OK)
      return err;
  }
  *out = lcores;
  return RN_OK;
}

static void say_what_is_served(const struct rn_topo *t, const struct rn_net_if *nif) {
  char addr[RN_ADDR_TEXT_BYTES] = "no address";
  if (nif->addr_count > 0) {
    struct rn_addr first = nif->addrs[0].addr;
    first.port = nif->udp_port;
    rn_addr_text(&first, addr);
  }
  rn_info("serving UDP port %u on %s (%s), MTU %u, %u lcore(s)", t->ports[0].udp_port,
          t->ports[0].interface, addr, nif->mtu, t->lcore_count);
}

static int run_all(const struct rn_topo_view *view, struct rn_port *port, char *why,
                   size_t why_bytes) {
  const struct rn_topo *t = &view->topo;
  struct rn_lcore *lcores;
  void *args[RN_TOPO_LCORES_MAX];
  int err = set_up_all(view, port, &lcores, why, why_bytes);
  if (err == RN_OK)
    err = rn_sandbox_enter(t->uid, t->gid, t->sandbox != 0, why, why_bytes);
  if (err != RN_OK)
    return err;
  say_what_is_served(t, rn_link_if(lcores[0].link));
  for (uint32_t i = 0; i < t->lcore_count; i++)
    args[i] = &lcores[i];
  err = rn_eal_run(run, args, t->lcore_count);
  if (err != RN_OK)
    snprintf(why, why_bytes, "an lcore did not start: %s", rn_err_text(err));
  return err;
}

int main(int argc, char **argv) {
  static const struct argp_option options[] = {
    { "mandate", OPT_MANDATE, "UID:GID:SANDBOX:DRIVER:INTERFACE", 0,
      "What to become and to open; a region that says otherwise is refused (required)", 0 },
    { 0 },
  };
  static const struct argp argp = {
    options, parse,
    NULL,    "The poll-mode process of an rpcnet node. Started by rpcnetd, never by hand.",
    NULL,    NULL,
    NULL
  };
  struct args args = { 0 };
  argp_program_version = "rpcnet-dataplane " RN_VERSION;
  argp_err_exit_status = EXIT_CONFIG;
  argp_parse(&argp, argc, argv, 0, NULL, &args);
  rn_log_init("rpcnet-dataplane", RN_LOG_INFO);

  struct rn_topo_view view;
  char why[512] = "";
  if (attach(&args.mandate, &view) != RN_OK)
    return EXIT_CONFIG;
  rn_log_set_level((enum rn_log_level)view.topo.log_level);
  const struct sigaction sa = { .sa_handler = on_sigterm };
  sigaction(SIGTERM, &sa, NULL);
  signal(SIGINT, SIG_IGN); /* the parent decides */

  struct rn_port *port = NULL;
  int err = start_eal(&view.topo, why, sizeof(why));
  rn_sleep_as_asked();
  if (err == RN_OK)
    err = open_port(&view.topo, &port, why, sizeof(why));
  if (err == RN_OK)
    err = run_all(&view, port, why, sizeof(why));
  if (err != RN_OK) {
    rn_error("%s", why);
    return EXIT_RUNTIME;
  }
  rn_info("closed");
  return 0;
}
