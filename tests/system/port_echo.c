/* tests/system/port_echo.c: a port without the rest of a node: sends every datagram back to where it came from, until SIGTERM. Then prints
 * what was counted, one "group name value" per line, counters of 0 left out. Prints "ready" first. */
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/bpf/loader.h"
#include "control/udp_guard.h"
#include "dataplane/port/eal.h"
#include "dataplane/port/kernel.h"
#include "dataplane/port/link.h"
#include "sys/clock.h"
#include "sys/log.h"

#define TIDY_NS (100 * RN_NS_PER_MS)

static volatile sig_atomic_t stop;

static void on_term(int sig) {
  (void)sig;
  stop = 1;
}

struct args {
  struct rn_topo_port profile;
  struct rn_addr send_to; /* family 0: nobody */
  bool bpf, guard;
};

static _Noreturn void usage(int code) {
  fputs("usage: port-echo --interface NAME [--owned ADDRESS/BITS]... [--gateway ADDRESS]\n"
        "                 [--port PORT] [--mtu BYTES] [--bpf] [--guard] [--send ADDRESS:PORT]\n"
        "Without --owned the port is in shared mode. --send: a datagram \"hello\" at start.\n"
        "example: port-echo --interface veth0 --owned 10.0.0.2/24 --port 8080\n",
        code == 0 ? stdout : stderr);
  exit(code);
}

static void must(bool ok, const char *what) {
  if (!ok) {
    fprintf(stderr, "port-echo: %s\n", what);
    exit(1);
  }
}

static void add_owned(struct rn_topo_port *p, char *text) {
  char *slash = strchr(text, '/');
  if (slash == NULL || p->addr_count == RN_TOPO_ADDRS_MAX)
    usage(2);
  *slash = '\0';
  struct rn_topo_addr *a = &p->addrs[p->addr_count++];
  must(rn_addr_parse(text, &a->addr) == RN_OK, "no address");
  a->prefix_bits = (uint32_t)atoi(slash + 1);
  p->mode = RN_TOPO_OWNED;
}

static struct args parse(int argc, char **argv) {
  static const struct option options[] = { { "interface", 1, NULL, 'i' }, { "owned", 1, NULL, 'o' },
                                           { "gateway", 1, NULL, 'g' },   { "port", 1, NULL, 'p' },
                                           { "mtu", 1, NULL, 'm' },       { "bpf", 0, NULL, 'b' },
                                           { "guard", 0, NULL, 'u' },     { "send", 1, NULL, 's' },
                                           { "help", 0, NULL, 'h' },      { NULL, 0, NULL, 0 } };
  struct args a = { .profile = {
                        .driver = RN_TOPO_AF_PACKET, .mode = RN_TOPO_SHARED, .udp_port = 8080 } };
  struct rn_addr gw;
  for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    switch (c) {
    case 'i':
      snprintf(a.profile.interface, sizeof(a.profile.interface), "%s", optarg);
      break;
    case 'o':
      add_owned(&a.profile, optarg);
      break;
    case 'g':
      must(rn_addr_parse(optarg, &gw) == RN_OK, "no address");
      *(gw.family == 4 ? &a.profile.gateway4 : &a.profile.gateway6) = gw;
      break;
    case 'p':
      a.profile.udp_port = (uint16_t)atoi(optarg);
      break;
    case 'm':
      a.profile.mtu = (uint16_t)atoi(optarg);
      break;
    case 'b':
      a.bpf = true;
      break;
    case 'u':
      a.guard = true;
      break;
    case 's':
      must(rn_addr_parse(optarg, &a.send_to) == RN_OK, "no address");
      break;
    default:
      usage(c == 'h' ? 0 : 2);
    }
  }
  if (a.profile.interface[0] == '\0')
    usage(2);
  return a;
}

static void send_one(struct rn_link *l, const struct rn_path *path, uint8_t ecn, const void *data,
                     size_t len) {
  const struct rn_quic_sink *sink = rn_link_sink(l);
  uint8_t *to = sink->reserve(sink->ctx, len);
  if (to == NULL)
    return;
  memcpy(to, data, len);
  sink->commit(sink->ctx, path, ecn, len);
}

static size_t echo(struct rn_link *l, uint64_t now_ns) {
  const struct rn_dgram *d;
  size_t frames, n = rn_link_rx(l, now_ns, &d, &frames);
  for (size_t i = 0; i < n; i++)
    send_one(l, &d[i].path, d[i].ecn, d[i].data, d[i].len);
  rn_link_rx_done(l);
  rn_link_flush(l, now_ns);
  return frames;
}

static void loop(struct rn_link *l, struct rn_kernel *k) {
  uint64_t tidied_ns = 0;
  while (!stop) {
    uint64_t now_ns = rn_sys_now_ns();
    size_t frames = echo(l, now_ns);
    if (now_ns - tidied_ns > TIDY_NS) {
      tidied_ns = now_ns;
      rn_link_tidy(l, now_ns);
      if (k->fd >= 0 && rn_kernel_changed(k))
        (void)rn_kernel_addrs(k, rn_link_if(l));
      rn_link_flush(l, now_ns);
    }
    struct pollfd fds[2] = { { .fd = rn_link_fd(l), .events = POLLIN },
                             { .fd = k->fd, .events = POLLIN } };
    if (frames == 0 && poll(fds, 2, 100) > 0 && (fds[0].revents & POLLERR))
      rn_link_clear_error(l);
  }
}

static void print_counters(const struct rn_lcore_stats *st) {
  for (size_t i = 0; i < RN_STATS_VALUES; i++) {
    if (rn_stats_value(st, i) != 0)
      printf("%s %s %llu\n", rn_metric_descs[i].group, rn_metric_descs[i].name,
             (unsigned long long)rn_stats_value(st, i));
  }
}

int main(int argc, char **argv) {
  struct args a = parse(argc, argv);
  static struct rn_lcore_stats st;
  char why[512] = "";
  rn_log_init("port-echo", RN_LOG_INFO);
  signal(SIGTERM, on_term);
  struct rn_bpf_links *links = NULL;
  int guards[2] = { -1, -1 };
  if (a.bpf)
    must(rn_bpf_attach(a.profile.interface, &links, why, sizeof(why)) == RN_OK, why);
  if (a.guard)
    must(rn_udp_guard_open(a.profile.interface, a.profile.udp_port, guards, why, sizeof(why)) ==
             RN_OK,
         why);

  const struct rn_eal_config eal = { .lcore_count = 1, .cpus = { -1 }, .memory_mb = 64 };
  must(rn_eal_init(&eal, why, sizeof(why)) == RN_OK, why);
  const struct rn_port_config cfg = {
    .profile = &a.profile, .queues = 1, .rx_descs = 512, .tx_descs = 512, .mbufs = 2048
  };
  struct rn_port *port = NULL;
  must(rn_port_open(&cfg, &port, why, sizeof(why)) == RN_OK, why);
  struct rn_kernel kernel = { .fd = -1 };
  if (a.profile.mode == RN_TOPO_SHARED)
    must(rn_kernel_open(a.profile.interface, &kernel) == RN_OK, "rtnetlink");
  struct rn_link_config lcfg = {
    .port = port, .neighbours = 1024, .seed = 1, .port_stats = &st.port, .net_stats = &st.net
  };
  must(rn_kernel_if(port, &a.profile, &kernel, 1, &lcfg.nif) == RN_OK, "the port has no addresses");
  struct rn_link *link = NULL;
  void *mem = aligned_alloc(64, rn_link_footprint(1024));
  must(mem != NULL && rn_link_init(mem, &lcfg, &link) == RN_OK, "no link");

  rn_link_announce(link, rn_sys_now_ns());
  printf("ready\n");
  fflush(stdout);
  const struct rn_addr *source =
      a.send_to.family != 0 ? rn_net_source(&lcfg.nif, &a.send_to) : NULL;
  if (source != NULL) {
    struct rn_path path = { .local = *source, .remote = a.send_to };
    path.local.port = a.profile.udp_port;
    send_one(link, &path, 0, "hello", 5);
  }
  loop(link, &kernel);
  print_counters(&st);
  rn_link_fini(link);
  free(mem);
  rn_kernel_close(&kernel);
  rn_port_close(port);
  rn_udp_guard_close(guards);
  rn_bpf_release(links);
  rn_eal_fini();
  return 0;
}
