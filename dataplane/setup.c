/* dataplane/setup.c: memory and objects of an lcore, from the description of the node. */
#include "dataplane/lcore.h"
#include "dataplane/serve/relay.h"
#include "sys/clock.h"
#include "util/err.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define NEIGHBOURS 1024u
#define METHODS    256u
#define BODY_SLACK (1u << 20)

/* Of an answer that is passed on: what one client that reads slowly may have a director keep. */
#define OWN_STREAM_WINDOW (256u << 10)

/* A node asks at most 40 others each round, cluster/cluster.h; those of the last minute keep their connection. */
#define GOSSIP_CONNS      256u
#define GOSSIP_IDLE_NS    UINT64_C(60000000000)
#define GOSSIP_CONNECT_NS UINT64_C(1000000000)
#define GOSSIP_BACKOFF_NS UINT64_C(100000000)

/* ---- parts ---- */

static void fill_random(void *ctx, uint8_t *out, size_t n) {
  (void)ctx;
  while (n > 0) {
    ssize_t got = getrandom(out, n, 0);
    if (got > 0) {
      out += got;
      n -= (size_t)got;
    }
  }
}

void *rn_lcore_memory(size_t bytes) {
  void *p =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED)
    return NULL;
  (void)madvise(p, bytes, MADV_HUGEPAGE); /* fewer TLB misses with many connections; a wish */
  return p;
}

static int make_link(struct rn_lcore *lc, char *why, size_t why_bytes) {
  const struct rn_topo_port *profile = &lc->view->topo.ports[0];
  struct rn_link_config cfg = { .port = lc->port,
                                .queue = (uint16_t)lc->idx,
                                .neighbours = NEIGHBOURS,
                                .port_stats = &lc->stats.port,
                                .net_stats = &lc->stats.net };
  if (lc->steer != NULL) {
    cfg.overhear = rn_lcore_overhear;
    cfg.overhear_ctx = lc;
  }
  uint32_t flow_key;
  fill_random(NULL, (uint8_t *)&cfg.seed, sizeof(cfg.seed));
  fill_random(NULL, (uint8_t *)&flow_key, sizeof(flow_key));
  lc->kernel.fd = -1;
  bool shared = profile->mode == RN_TOPO_SHARED && lc->port->interface[0] != '\0';
  if (shared && rn_kernel_open(lc->port->interface, &lc->kernel) != RN_OK) {
    snprintf(why, why_bytes, "the addresses of interface %s cannot be read", lc->port->interface);
    return RN_ERR_SYS;
  }
  int err = rn_kernel_if(lc->port, profile, shared ? &lc->kernel : NULL, flow_key, &cfg.nif);
  if (err != RN_OK) {
    snprintf(why, why_bytes, "the addresses of port %s: %s", profile->interface, rn_err_text(err));
    return err;
  }
  void *mem = rn_lcore_memory(rn_link_footprint(NEIGHBOURS));
  return mem != NULL ? rn_link_init(mem, &cfg, &lc->link) : RN_ERR_SYS;
}

static const char *or_null(const char *text) { return text[0] != '\0' ? text : NULL; }

static int make_tls(struct rn_lcore *lc, char *why, size_t why_bytes) {
  const struct rn_topo_tls *t = &lc->view->topo.tls;
  static const uint8_t no_keys[sizeof(t->ticket_keys)];
  struct rn_quic_tls_config cfg = {
    .require_client_cert = t->require_client_cert != 0,
    .cipher_suites = or_null(t->cipher_suites),
    .groups = or_null(t->groups),
    .alpn = or_null(t->alpn),
    .session_tickets = t->session_tickets != 0,
    .ticket_epoch = lc->view->topo.cid.key_epoch,
    .ticket_keys = memcmp(t->ticket_keys, no_keys, sizeof(no_keys)) != 0 ? t->ticket_keys : NULL,
  };
  cfg.cert_pem = rn_topo_cert(lc->view, &cfg.cert_pem_bytes);
  cfg.ca_pem = rn_topo_ca(lc->view, &cfg.ca_pem_bytes);
  return rn_quic_tls_new(&cfg, &lc->tls, why, why_bytes);
}

/* For connections that we dial. */
static int make_peer_tls(struct rn_lcore *lc, char *why, size_t why_bytes) {
  const struct rn_topo_tls *t = &lc->view->topo.tls;
  struct rn_quic_tls_config cfg = { .cipher_suites = or_null(t->cipher_suites),
                                    .groups = or_null(t->groups),
                                    .alpn = or_null(t->alpn) };
  if (!lc->view->topo.cluster.enabled)
    return RN_OK;
  cfg.ca_pem = rn_topo_peer_ca(lc->view, &cfg.ca_pem_bytes);
  cfg.cert_pem =
      rn_topo_cert(lc->view, &cfg.cert_pem_bytes); /* for peers that want to know who asks */
  return rn_quic_tls_new(&cfg, &lc->peer_tls, why, why_bytes);
}

static int make_quic(struct rn_lcore *lc, const struct rn_lcore_shared *shared) {
  const struct rn_topo *t = &lc->view->topo;
  struct rn_quic_params p = { .limits = t->quic_limits,
                              .config = t->quic,
                              .cid = t->cid,
                              .tls = lc->tls,
                              .client_tls = lc->peer_tls,
                              .events = &rn_lcore_events,
                              .app = lc,
                              .rand = fill_random };
  p.cid.lcore_idx = (uint8_t)lc->idx;
  if (t->scatter || !lc->port->driver->flows_stay) {
    p.spread.lcores = (uint8_t)t->lcore_count;
    memcpy(p.spread.key, shared->spread_key, sizeof(p.spread.key));
  }
  uint32_t room = lc->port->info.mtu - RN_IP6_BYTES - RN_UDP_BYTES;
  if (p.config.max_udp_payload > room)
    p.config.max_udp_payload = room;
  if (t->director.enabled && p.config.stream_window > OWN_STREAM_WINDOW)
    p.config.own_stream_window = OWN_STREAM_WINDOW;
  size_t bytes = rn_quic_footprint(&p.limits);
  void *mem = bytes != 0 ? rn_lcore_memory(bytes) : NULL;
  lc->stats.lcore.conns_max = p.limits.conns;
  return mem != NULL ? rn_quic_init(mem, &p, &lc->quic) : RN_ERR_SYS;
}

static int make_rpc(struct rn_lcore *lc) {
  const struct rn_topo_rpc *r = &lc->view->topo.rpc;
  const struct rn_rpc_server_limits lim = { .calls = r->calls,
                                            .body_bytes = r->buffer_bytes + BODY_SLACK,
                                            .methods = METHODS };
  const struct rn_rpc_server_config cfg = { .max_request_bytes = r->request_bytes_max,
                                            .max_item_bytes = r->message_bytes_max,
                                            .request_timeout_ns = r->request_timeout_ns,
                                            .max_response_bytes = r->response_bytes_max,
                                            .stream_item_timeout_ns = r->stream_item_timeout_ns };
  size_t bytes = rn_rpc_server_footprint(&lim);
  void *mem = bytes != 0 ? rn_lcore_memory(bytes) : NULL;
  int err = mem != NULL ? rn_rpc_server_init(mem, &lim, &cfg, &lc->rpc) : RN_ERR_SYS;
  if (err != RN_OK)
    return err;
  lc->info = (struct rn_builtin_info){
    .version = RN_VERSION, .healthy = true, .ready = true, .cluster_size = 1
  };
  snprintf(lc->info.label, sizeof(lc->info.label), "%s", lc->view->topo.node_name);
  return rn_builtin_add(lc->rpc, &lc->info);
}

/* When every handler is there. A name that nobody serves (yet) is no error: the configuration may be ahead of its plugins. */
static void limit_methods(struct rn_lcore *lc) {
  const struct rn_topo *t = &lc->view->topo;
  for (uint32_t i = 0; i < t->method_count; i++)
    rn_rpc_server_limit(lc->rpc, t->methods[i].name, t->methods[i].request_timeout_ns,
                        t->methods[i].request_bytes_max);
}

/* ---- the cluster ---- */

static int source_for(void *ctx, const struct rn_addr *remote, struct rn_addr *local) {
  const struct rn_net_if *nif = rn_link_if(((struct rn_lcore *)ctx)->link);
  const struct rn_addr *source = rn_net_source(nif, remote);
  if (source == NULL)
    return RN_ERR_NOENT;
  *local = *source;
  local->port = nif->udp_port;
  return RN_OK;
}

static int make_gossip(struct rn_lcore *lc) {
  const struct rn_topo_cluster *t = &lc->view->topo.cluster;
  struct rn_pool_params p = { .limits = { .conns = GOSSIP_CONNS, .peers = GOSSIP_CONNS },
                              .config = { .conns_per_peer = 1,
                                          .waiters = GOSSIP_CONNS,
                                          .dial_timeout_ns = GOSSIP_CONNECT_NS,
                                          .idle_timeout_ns = GOSSIP_IDLE_NS,
                                          .keep_alive_ns = t->ping_interval_ns,
                                          .backoff_first_ns = GOSSIP_BACKOFF_NS,
                                          .backoff_most_ns = 64 * GOSSIP_BACKOFF_NS,
                                          .server_name = t->server_name },
                              .quic = lc->quic,
                              .local = source_for,
                              .ctx = lc };
  if (!t->enabled)
    return RN_OK;
  fill_random(NULL, p.hash_key, sizeof(p.hash_key));
  void *mem = rn_lcore_memory(rn_pool_footprint(&p.limits));
  int err = mem != NULL ? rn_pool_init(mem, &p, &lc->gossip_pool) : RN_ERR_SYS;
  return err == RN_OK ? rn_relay_setup(lc) : err;
}

static int make_forwarding(struct rn_lcore *lc) {
  struct rn_forwarding_params p = { .topo = &lc->view->topo,
                                    .director = lc->director,
                                    .quic = lc->quic,
                                    .rpc = lc->rpc,
                                    .page = lc->page,
                                    .local = source_for,
                                    .ctx = lc };
  size_t bytes = rn_forwarding_footprint(p.topo);
  if (bytes == 0)
    return RN_OK;
  fill_random(NULL, p.hash_key, sizeof(p.hash_key));
  void *mem = rn_lcore_memory(bytes);
  return mem != NULL ? rn_forwarding_init(mem, &p, &lc->forwarding) : RN_ERR_SYS;
}

static int make_call_all(struct rn_lcore *lc) {
  struct rn_call_all_params p = { .topo = &lc->view->topo,
                                  .director = lc->director,
                                  .quic = lc->quic,
                                  .rpc = lc->rpc,
                                  .local = source_for,
                                  .ctx = lc };
  size_t bytes = rn_call_all_footprint(p.topo);
  if (bytes == 0)
    return RN_OK;
  fill_random(NULL, p.hash_key, sizeof(p.hash_key));
  void *mem = rn_lcore_memory(bytes);
  return mem != NULL ? rn_call_all_init(mem, &p, &lc->call_all) : RN_ERR_SYS;
}

static int make_director(struct rn_lcore *lc, void *load) {
  const struct rn_topo *t = &lc->view->topo;
  uint64_t seed;
  if (t->director.enabled == 0)
    return RN_OK;
  fill_random(NULL, (uint8_t *)&seed, sizeof(seed));
  void *mem = rn_lcore_memory(rn_director_footprint(&t->director));
  int err = mem != NULL ? rn_director_init(mem, &t->director, load, t->lcore_count, lc->idx, seed,
                                           &lc->director)
                        : RN_ERR_SYS;
  if (err == RN_OK)
    err = rn_director_serve(lc->director, lc->rpc, fill_random, NULL);
  if (err == RN_OK)
    err = make_forwarding(lc);
  return err == RN_OK ? make_call_all(lc) : err;
}

static int make_steer(struct rn_lcore *lc, void *rings) {
  if (rings == NULL)
    return RN_OK;
  uint8_t *mem = rn_lcore_memory(sizeof(struct rn_steer) + RN_STEER_BURST * RN_STEER_SLOT_BYTES);
  if (mem == NULL)
    return RN_ERR_SYS;
  lc->steer = (struct rn_steer *)mem;
  rn_steer_attach(lc->steer, rings, lc->view->topo.lcore_count, lc->idx,
                  mem + sizeof(struct rn_steer));
  return RN_OK;
}

int rn_lcore_setup(struct rn_lcore *lc, const struct rn_lcore_shared *shared, uint32_t idx,
                   char *why, size_t why_bytes) {
  const struct rn_topo_view *view = shared->view;
  memset(lc, 0, sizeof(*lc));
  lc->view = view;
  lc->idx = idx;
  lc->port = shared->port;
  lc->stop = shared->stop;
  lc->bell_fd = RN_TOPO_FD_LCORE(idx);
  lc->control_bell_fd = RN_TOPO_FD_CONTROL;
  lc->page = rn_topo_stats(view, idx);
  snprintf(why, why_bytes, "out of memory");
  int err = rn_topo_lcore_rings(view, idx, &lc->to_control, &lc->from_control);
  if (err != RN_OK) {
    snprintf(why, why_bytes, "the rings to control are damaged");
    return err;
  }
  err = make_steer(lc, shared->rings);
  if (err == RN_OK)
    err = make_link(lc, why, why_bytes);
  if (err == RN_OK)
    err = make_tls(lc, why, why_bytes);
  if (err == RN_OK)
    err = make_peer_tls(lc, why, why_bytes);
  if (err == RN_OK && (err = make_quic(lc, shared)) != RN_OK)
    snprintf(why, why_bytes, "QUIC endpoint: %s", rn_err_text(err));
  if (err == RN_OK && (err = make_rpc(lc)) != RN_OK)
    snprintf(why, why_bytes, "RPC server: %s", rn_err_text(err));
  if (err == RN_OK && (err = make_gossip(lc)) != RN_OK)
    snprintf(why, why_bytes, "gossip: %s", rn_err_text(err));
  if (err == RN_OK && (err = make_director(lc, shared->load)) != RN_OK)
    snprintf(why, why_bytes, "director: %s", rn_err_text(err));
  if (err == RN_OK)
    limit_methods(lc);
  return err;
}
