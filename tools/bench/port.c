/* tools/bench/port.c */
#include "port.h"
#include "control/bpf/loader.h"
#include "control/udp_guard.h"
#include "dataplane/port/eal.h"
#include "dataplane/port/kernel.h"
#include "dataplane/port/link.h"
#include "sys/clock.h"
#include "util/err.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define MEMORY_MB  64u
#define MBUFS      8192u
#define DESCS      1024u
#define NEIGHBOURS 256u
#define TIDY_NS    UINT64_C(200000000)

struct bench_port {
  struct rn_port *port;
  struct rn_link *link;
  struct rn_kernel kernel;
  struct rn_bpf_links *bpf;
  int guard[2];
  struct rn_addr local;
  uint64_t tidied_ns;
  struct rn_stats_port port_stats;
  struct rn_stats_net net_stats;
};

/* ---- opening ---- */

static int parse_spec(const char *spec, struct rn_topo_port *profile, char *why, size_t why_bytes) {
  const char *colon = strchr(spec, ':');
  for (const struct rn_port_driver *const *d = rn_port_drivers; colon != NULL && *d != NULL; d++) {
    if (strlen((*d)->name) == (size_t)(colon - spec) &&
        strncmp((*d)->name, spec, (size_t)(colon - spec)) == 0) {
      profile->driver = (*d)->id;
      snprintf(profile->interface, sizeof(profile->interface), "%s", colon + 1);
      return RN_OK;
    }
  }
  snprintf(why, why_bytes, "\"%s\" is no port: DRIVER:INTERFACE is needed, such as af_packet:eth0",
           spec);
  return RN_ERR_INVAL;
}

static int start_eal(char *why, size_t why_bytes) {
  const struct rn_eal_config cfg = { .lcore_count = 1, .cpus = { -1 }, .memory_mb = MEMORY_MB };
  return rn_eal_init(&cfg, why, why_bytes);
}

static int own_address(const struct rn_net_if *nif, uint8_t family, uint16_t udp_port,
                       struct rn_addr *out) {
  for (uint8_t i = 0; i < nif->addr_count; i++) {
    const struct rn_addr *a = &nif->addrs[i].addr;
    bool link_local = a->family == 6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
    if (a->family == family && !link_local) {
      *out = *a;
      out->port = udp_port;
      return RN_OK;
    }
  }
  return RN_ERR_NOENT;
}

static int make_link(struct bench_port *p, const struct rn_topo_port *profile, uint8_t family,
                     char *why, size_t why_bytes) {
  struct rn_link_config cfg = { .port = p->port,
                                .neighbours = NEIGHBOURS,
                                .port_stats = &p->port_stats,
                                .net_stats = &p->net_stats };
  uint32_t flow_key = 0;
  if (getrandom(&cfg.seed, sizeof(cfg.seed), 0) < 0 ||
      getrandom(&flow_key, sizeof(flow_key), 0) < 0 ||
      rn_kernel_open(profile->interface, &p->kernel) != RN_OK ||
      rn_kernel_if(p->port, profile, &p->kernel, flow_key, &cfg.nif) != RN_OK ||
      own_address(&cfg.nif, family, profile->udp_port, &p->local) != RN_OK) {
    snprintf(why, why_bytes, "%s has no IPv%u address to send from", profile->interface, family);
    return RN_ERR_NOENT;
  }
  void *mem = aligned_alloc(64, rn_link_footprint(NEIGHBOURS));
  return mem != NULL ? rn_link_init(mem, &cfg, &p->link) : RN_ERR_SYS;
}

int bench_port_open(const char *spec, uint8_t family, uint16_t udp_port, struct bench_port **out,
                    char *why, size_t why_bytes) {
  struct rn_topo_port profile = { .mode = RN_TOPO_SHARED, .udp_port = udp_port };
  struct bench_port *p = calloc(1, sizeof(*p));
  char note[256];
  p->guard[0] = p->guard[1] = -1;
  p->kernel.fd = -1;
  int err = parse_spec(spec, &profile, why, why_bytes);
  if (err == RN_OK && rn_bpf_attach(profile.interface, &p->bpf, note, sizeof(note)) != RN_OK)
    fprintf(stderr, "rpcnet-bench: %s\n", note);
  if (err == RN_OK)
    err = rn_udp_guard_open(profile.interface, udp_port, p->guard, why, why_bytes);
  if (err == RN_OK)
    err = start_eal(why, why_bytes);
  if (err == RN_OK) {
    const struct rn_port_config cfg = {
      .profile = &profile, .queues = 1, .rx_descs = DESCS, .tx_descs = DESCS, .mbufs = MBUFS
    };
    err = rn_port_open(&cfg, &p->port, why, why_bytes);
  }
  if (err == RN_OK)
    err = make_link(p, &profile, family, why, why_bytes);
  if (err != RN_OK) {
    bench_port_io.close(p);
    return err;
  }
  *out = p;
  return RN_OK;
}

uint32_t bench_port_payload(const struct bench_port *p) {
  return p->port->info.mtu - RN_UDP_BYTES - (p->local.family == 4 ? RN_IP4_BYTES : RN_IP6_BYTES);
}

/* ---- as a client's io ---- */

static const struct rn_addr *io_local(void *ctx) { return &((struct bench_port *)ctx)->local; }
static void io_rx_done(void *ctx) { rn_link_rx_done(((struct bench_port *)ctx)->link); }
static const struct rn_quic_sink *io_sink(void *ctx) {
  return rn_link_sink(((struct bench_port *)ctx)->link);
}

static size_t io_rx(void *ctx, uint64_t now_ns, const struct rn_dgram **out) {
  size_t frames;
  return rn_link_rx(((struct bench_port *)ctx)->link, now_ns, out, &frames);
}

static void io_flush(void *ctx, uint64_t now_ns) {
  struct bench_port *p = ctx;
  if (now_ns - p->tidied_ns > TIDY_NS) {
    p->tidied_ns = now_ns;
    rn_link_tidy(p->link, now_ns);
  }
  rn_link_flush(p->link, now_ns);
}

static void io_wait(void *ctx, uint64_t wait_ns) {
  struct bench_port *p = ctx;
  const struct timespec ts = { .tv_sec = (time_t)(wait_ns / RN_NS_PER_S),
                               .tv_nsec = (long)(wait_ns % RN_NS_PER_S) };
  struct pollfd fd = { .fd = rn_link_fd(p->link), .events = POLLIN };
  if (!rn_link_waiting(p->link))
    ppoll(&fd, 1, &ts, NULL);
}

static void io_close(void *ctx) {
  struct bench_port *p = ctx;
  rn_link_fini(p->link);
  free(p->link);
  rn_port_close(p->port);
  if (p->kernel.fd >= 0)
    rn_kernel_close(&p->kernel);
  rn_udp_guard_close(p->guard);
  rn_bpf_release(p->bpf);
  free(p);
}

const struct rn_client_io bench_port_io = {
  .local = io_local,
  .rx = io_rx,
  .rx_done = io_rx_done,
  .sink = io_sink,
  .flush = io_flush,
  .wait = io_wait,
  .close = io_close,
};
