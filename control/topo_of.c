/* control/topo_of.c */
#include "control/topo_of.h"

#include <stdio.h>
#include <string.h>

#include "quic/secret.h"
#include "util/err.h"

#define IP_UDP_BYTES       48 /* IPv6 and UDP headers */
#define STANDARD_MTU       1900
#define BUFFER_BYTES       3072u      /* of a packet buffer with its headers, rounded up */
#define JUMBO_BUFFER_BYTES 10240u     /* the same for an MTU of 9216 */
#define GOSSIP_RING_BYTES  (1u << 19) /* room for what comes in while control is busy for a moment */
#define PACKET_SLACK_MB    64u        /* driver queues, and what EAL needs itself */

static uint32_t pow2_at_least(uint32_t v, uint32_t min, uint32_t max) {
  uint32_t p = min;
  while (p < v && p < max)
    p *= 2;
  return p;
}

static uint32_t at_most(uint32_t v, uint32_t max) { return v < max ? v : max; }

static void fill_lcores(const struct rn_config_lcores *c, struct rn_topo *t) {
  t->lcore_count = c->count != 0 ? c->count : c->cores_count != 0 ? c->cores_count : 1;
  t->idle = c->idle;
  t->scatter = c->scatter;
  t->trace_interval_ns = c->trace_interval_ns;
  for (uint32_t i = 0; i < t->lcore_count; i++)
    t->lcores[i].cpu = i < c->cores_count ? (int32_t)c->cores[i] : -1;
}

static void fill_port(const struct rn_config_port *c, bool bpf_attached, struct rn_topo_port *p) {
  p->driver = c->driver;
  p->mode = c->mode;
  snprintf(p->interface, sizeof(p->interface), "%s", c->interface);
  p->udp_port = (uint16_t)c->listen_port;
  p->mtu = (uint16_t)c->mtu;
  p->gateway4 = c->gateway4;
  p->gateway6 = c->gateway6;
  p->bpf_attached = bpf_attached;
  p->addr_count = at_most(c->addresses_count, RN_TOPO_ADDRS_MAX);
  for (uint32_t i = 0; i < p->addr_count; i++) {
    p->addrs[i].addr = c->addresses[i].addr;
    p->addrs[i].prefix_bits = c->addresses[i].prefix_bits;
  }
}

static void fill_quic(const struct rn_config *cfg, struct rn_topo *t) {
  const struct rn_config_quic *c = &cfg->quic;
  const struct rn_config_limits *l = &cfg->limits;
  t->quic_limits.conns = l->connections;
  t->quic_limits.half_open = at_most(l->half_open, l->connections);
  t->quic_limits.sign_jobs = at_most(l->signing_queue, t->quic_limits.half_open);
  t->quic_limits.streams = l->streams;
  t->quic_limits.segs = l->send_segments;
  t->quic_limits.bulk_segs = l->bulk_segments;
  t->quic_limits.heap_bytes = l->connection_heap;

  struct rn_quic_config *q = &t->quic;
  q->listen = true;
  q->cc = c->congestion_control;
  q->retry = c->retry;
  q->idle_timeout_ns = c->max_idle_timeout_ns;
  q->keep_alive_ns = c->keep_alive_interval_ns;
  q->handshake_timeout_ns = c->handshake_timeout_ns;
  q->sign_timeout_ns = c->signature_timeout_ns;
  q->initial_rtt_ns = c->initial_rtt_ns;
  q->max_ack_delay_ns = c->max_ack_delay_ns;
  q->conn_window = c->connection_window;
  q->stream_window = c->stream_window;
  q->max_streams_bidi = c->max_concurrent_streams;
  q->max_stream_bandwidth = c->max_stream_bandwidth;
  q->send_bytes = (uint32_t)c->send_buffer;
  /* With an MTU taken from the interface the data plane puts its own value here. */
  q->max_udp_payload = cfg->port.mtu != 0 ? cfg->port.mtu - IP_UDP_BYTES : 1500 - IP_UDP_BYTES;
  q->pmtud = c->pmtud;
  q->address_token_ns = c->address_token_lifetime_ns;
  q->answers_per_s = l->stateless_answers;
  q->prefix_handshakes_per_s = l->handshakes_per_prefix;
}

static void fill_tls(const struct rn_config *cfg, struct rn_topo_tls *t) {
  (void)rn_config_cipher_text(cfg, t->cipher_suites);
  (void)rn_config_group_text(cfg, t->groups);
  memcpy(t->alpn, "h3", 2); /* what rpcnet peers offer, docs/protocol.md */
  t->require_client_cert = cfg->tls.require_client_cert;
  t->session_tickets = cfg->tls.session_tickets_enabled;
}

static void fill_rpc(const struct rn_config *cfg, struct rn_topo *t) {
  const struct rn_config_rpc *c = &cfg->rpc;
  t->rpc.calls = cfg->limits.calls;
  t->rpc.request_bytes_max = c->max_request_bytes;
  t->rpc.response_bytes_max = c->max_response_bytes;
  t->rpc.message_bytes_max = c->max_item_bytes;
  t->rpc.buffer_bytes = cfg->limits.request_buffer;
  t->rpc.request_timeout_ns = c->request_timeout_ns;
  t->rpc.stream_item_timeout_ns = c->stream_item_timeout_ns;
  t->method_count = at_most(c->methods_count, RN_TOPO_METHODS_MAX);
  for (uint32_t i = 0; i < t->method_count; i++) {
    struct rn_topo_method *m = &t->methods[i];
    snprintf(m->name, sizeof(m->name), "%s", c->methods[i].name);
    m->request_timeout_ns = c->methods[i].request_timeout_ns;
    m->request_bytes_max = c->methods[i].max_request_bytes;
  }
}

static void fill_director(const struct rn_config *cfg, struct rn_topo_director *d) {
  const struct rn_config_director *c = &cfg->director;
  if (!c->enabled)
    return;
  d->enabled = 1;
  d->get_worker = c->get_worker;
  d->strategy = c->strategy;
  d->lease_ns = c->lease_ns;
  d->route_count = at_most(c->routes_count, RN_TOPO_ROUTES_MAX);
  for (uint32_t i = 0; i < d->route_count; i++) {
    const struct rn_config_route *from = &c->routes[i];
    struct rn_topo_route *to = &d->routes[i];
    snprintf(to->method, sizeof(to->method), "%s", from->method);
    to->strategy = from->strategy;
    to->near_first = from->near_first;
    to->idempotent = from->idempotent;
    to->max_in_flight = from->max_in_flight;
    to->timeout_ns = from->timeout_ns;
    to->try_timeout_ns = from->try_timeout_ns;
    to->hedge_ns = from->hedge_ns;
    to->call_all = from->call_all;
  }
}

static void fill_cluster(const struct rn_config *cfg, struct rn_topo_cluster *t) {
  if (!cfg->cluster.enabled)
    return;
  t->enabled = 1;
  t->conns_per_worker = cfg->director.connections_per_worker;
  t->warm_conns = cfg->director.warm_connections;
  t->ping_interval_ns = cfg->cluster.ping_interval_ns;
  t->idle_timeout_ns = cfg->director.idle_timeout_ns;
  t->connect_timeout_ns = cfg->director.connect_timeout_ns;
  snprintf(t->server_name, sizeof(t->server_name), "%s", cfg->cluster.server_name);
  t->allowed_count = at_most(cfg->cluster.allowed_certs_count, RN_TOPO_ALLOWED_MAX);
  for (uint32_t i = 0; i < t->allowed_count; i++)
    memcpy(t->allowed[i], cfg->cluster.allowed_certs[i].sha256, sizeof(t->allowed[i]));
}

static int fill_keys(const struct rn_config *cfg, const struct rn_topo_inputs *in,
                     struct rn_topo *t) {
  t->cid.server_id = (uint16_t)cfg->node.server_id;
  t->cid.epoch = in->epoch;
  t->cid.lcore_count = (uint8_t)t->lcore_count;
  struct rn_secret_keys keys;
  if (rn_secret_derive(in->secret, in->secret_bytes, in->key_epoch, &keys) != RN_OK)
    return RN_ERR_CONFIG;
  rn_secret_to_cid(&keys, &t->cid);
  memcpy(t->tls.ticket_keys, keys.ticket, sizeof(t->tls.ticket_keys));
  explicit_bzero(&keys, sizeof(keys));
  return RN_OK;
}

/* auto: without huge pages memory is taken when touched, so there is room for jumbo frames, of which an MTU of 0 says nothing. */
static uint32_t packet_memory_mb(const struct rn_config *cfg, uint32_t lcore_count) {
  const struct rn_config_memory *m = &cfg->memory;
  if (m->packet_memory != 0)
    return (uint32_t)(m->packet_memory >> 20);
  bool jumbo = cfg->port.mtu > STANDARD_MTU || (cfg->port.mtu == 0 && !m->hugepages);
  uint64_t buffer_bytes = jumbo ? JUMBO_BUFFER_BYTES : BUFFER_BYTES;
  return PACKET_SLACK_MB + (uint32_t)(lcore_count * m->packet_buffers * buffer_bytes >> 20);
}

int rn_topo_of_config(const struct rn_config *cfg, const struct rn_topo_inputs *in,
                      struct rn_topo *out) {
  struct rn_topo *t = out;
  memset(t, 0, sizeof(*t)); /* holes too: descriptions are compared as bytes */
  snprintf(t->node_name, sizeof(t->node_name), "%s", cfg->node.name);
  t->start_unix_ns = in->start_unix_ns;
  t->port_count = 1;
  t->uid = in->privileged ? cfg->node.dataplane_uid : 0;
  t->gid = in->privileged ? cfg->node.dataplane_gid : 0;
  t->log_level = cfg->node.log_level;
  t->sandbox = cfg->node.sandbox;
  t->hugepages = cfg->memory.hugepages;
  t->mbufs_per_lcore = cfg->memory.packet_buffers;
  t->rx_descs = cfg->port.rx_descriptors;
  t->tx_descs = cfg->port.tx_descriptors;
  fill_lcores(&cfg->lcores, t);
  t->memory_mb = packet_memory_mb(cfg, t->lcore_count);
  fill_port(&cfg->port, in->bpf_attached, &t->ports[0]);
  fill_quic(cfg, t);
  fill_tls(cfg, &t->tls);
  fill_rpc(cfg, t);
  fill_cluster(cfg, &t->cluster);
  fill_director(cfg, &t->director);
  /* Every signature that may be asked for has a slot on its way out and room for its bytes on its way back. */
  t->ring.slot_count = pow2_at_least(2 * t->quic_limits.sign_jobs, 256, 65536);
  const uint32_t gossip = cfg->cluster.enabled ? GOSSIP_RING_BYTES : 0;
  t->ring.bytes_cap = pow2_at_least(512 * t->quic_limits.sign_jobs + gossip, 65536, 1u << 25);
  return fill_keys(cfg, in, t);
}

bool rn_topo_serves_same(const struct rn_topo *a, const struct rn_topo *b) {
  static struct rn_topo x, y; /* too large for a stack; one thread */
  x = *a;
  y = *b;
  x.start_unix_ns = y.start_unix_ns = 0;
  x.cid.epoch = y.cid.epoch = 0;
  return memcmp(&x, &y, sizeof(x)) == 0;
}
