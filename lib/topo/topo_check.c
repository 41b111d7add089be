/* lib/topo/topo_check.c: what every field of a description may hold, as tables. */
#include <stdio.h>
#include <string.h>

#include "topo/topo.h"
#include "util/err.h"

struct why {
  char *text;
  size_t bytes;
};

static bool refuse(const struct why *w, const char *field, uint64_t found, uint64_t min,
                   uint64_t max) {
  snprintf(w->text, w->bytes, "%s is %llu, allowed is %llu to %llu", field,
           (unsigned long long)found, (unsigned long long)min, (unsigned long long)max);
  return false;
}

static bool refuse_text(const struct why *w, const char *field, const char *what) {
  snprintf(w->text, w->bytes, "%s %s", field, what);
  return false;
}

struct range {
  const char *name;
  uint64_t min;
  uint64_t max;
  uint16_t off;
  uint8_t bytes; /* width of the field: read as an unsigned integer, so that a bool or enum with any
                    value can be looked at */
};

#define RANGE(type, field, lo, hi)                                                                 \
  { #field, (lo), (hi), offsetof(struct type, field), sizeof(((struct type *)0)->field) }

static const struct range topo_ranges[] = {
  RANGE(rn_topo, lcore_count, 1, RN_TOPO_LCORES_MAX),
  RANGE(rn_topo, port_count, 1, RN_TOPO_PORTS_MAX),
  RANGE(rn_topo, idle, 0, RN_TOPO_IDLE_COUNT - 1),
  RANGE(rn_topo, log_level, 0, 3),
  RANGE(rn_topo, hugepages, 0, 1),
  RANGE(rn_topo, memory_mb, 16, 1048576),
  RANGE(rn_topo, mbufs_per_lcore, 1024, 1048576),
  RANGE(rn_topo, rx_descs, 64, 8192),
  RANGE(rn_topo, tx_descs, 64, 8192),
  RANGE(rn_topo, sandbox, 0, 1),
  RANGE(rn_topo, scatter, 0, 1),
  RANGE(rn_topo, trace_interval_ns, 0, 3600ull * 1000000000),
  RANGE(rn_topo, quic_limits.conns, 1, 65536),
  RANGE(rn_topo, quic_limits.half_open, 1, 65536),
  RANGE(rn_topo, quic_limits.streams, 1, 16777216),
  RANGE(rn_topo, quic_limits.segs, 16, UINT32_MAX),
  RANGE(rn_topo, quic_limits.bulk_segs, 16, UINT32_MAX),
  RANGE(rn_topo, quic_limits.sign_jobs, 1, 65536),
  RANGE(rn_topo, quic_limits.heap_bytes, 1u << 20, 1ull << 40),
  RANGE(rn_topo, quic.listen, 1, 1),
  RANGE(rn_topo, quic.cc, RN_QUIC_CC_CUBIC, RN_QUIC_CC_BBR),
  RANGE(rn_topo, quic.retry, RN_QUIC_RETRY_NEVER, RN_QUIC_RETRY_ALWAYS),
  RANGE(rn_topo, quic.answers_per_s, 0, 1000000),
  RANGE(rn_topo, quic.prefix_handshakes_per_s, 0, 1000000),
  RANGE(rn_topo, quic.handshake_timeout_ns, 1, UINT64_MAX),
  RANGE(rn_topo, quic.sign_timeout_ns, 0, 1ull << 62),
  RANGE(rn_topo, quic.max_ack_delay_ns, 0, 16384ull * 1000000),
  RANGE(rn_topo, quic.conn_window, 1, 1ull << 40),
  RANGE(rn_topo, quic.stream_window, 1, 1ull << 40),
  RANGE(rn_topo, quic.max_streams_bidi, 1, 1ull << 32),
  RANGE(rn_topo, quic.send_bytes, 1, UINT32_MAX),
  RANGE(rn_topo, quic.max_udp_payload, 1200, 65527),
  RANGE(rn_topo, quic.pmtud, 0, 1),
  RANGE(rn_topo, cid.config_id, 0, 6),
  RANGE(rn_topo, tls.require_client_cert, 0, 1),
  RANGE(rn_topo, tls.session_tickets, 0, 1),
  RANGE(rn_topo, tls.cert.bytes, 1, RN_TOPO_BLOB_MAX),
  RANGE(rn_topo, tls.ca.bytes, 0, RN_TOPO_BLOB_MAX),
  RANGE(rn_topo, tls.peer_ca.bytes, 0, RN_TOPO_BLOB_MAX),
  RANGE(rn_topo, cluster.enabled, 0, 1),
  RANGE(rn_topo, method_count, 0, RN_TOPO_METHODS_MAX),
  RANGE(rn_topo, rpc.calls, 1, 16777216),
  RANGE(rn_topo, rpc.request_bytes_max, 1, 1ull << 31),
  RANGE(rn_topo, rpc.response_bytes_max, 1, 1ull << 31),
  RANGE(rn_topo, rpc.message_bytes_max, 1, 1ull << 31),
};

#define FOREVER_NS (1ull << 62)

/* Where cluster.enabled. */
static const struct range cluster_ranges[] = {
  RANGE(rn_topo, tls.peer_ca.bytes, 1, RN_TOPO_BLOB_MAX),
  RANGE(rn_topo, cluster.conns_per_worker, 1, 64),
  RANGE(rn_topo, cluster.warm_conns, 0, 64),
  RANGE(rn_topo, cluster.ping_interval_ns, 1, FOREVER_NS),
  RANGE(rn_topo, cluster.idle_timeout_ns, 1, FOREVER_NS),
  RANGE(rn_topo, cluster.connect_timeout_ns, 1, FOREVER_NS),
};

static const struct range port_ranges[] = {
  RANGE(rn_topo_port, driver, 0, RN_TOPO_DRIVER_COUNT - 1),
  RANGE(rn_topo_port, mode, 0, RN_TOPO_MODE_COUNT - 1),
  RANGE(rn_topo_port, addr_count, 0, RN_TOPO_ADDRS_MAX),
  RANGE(rn_topo_port, udp_port, 1, 65535),
  RANGE(rn_topo_port, bpf_attached, 0, 1),
};

static uint64_t field_value(const void *obj, const struct range *r) {
  const uint8_t *p = (const uint8_t *)obj + r->off;
  uint64_t v = 0;
  memcpy(&v, p, r->bytes); /* little-endian, as everywhere here */
  return v;
}

static bool ranges_ok(const void *obj, const struct range *r, size_t count, const struct why *w) {
  for (size_t i = 0; i < count; i++) {
    uint64_t v = field_value(obj, &r[i]);
    if (v < r[i].min || v > r[i].max)
      return refuse(w, r[i].name, v, r[i].min, r[i].max);
  }
  return true;
}

static bool text_ok(const char *s, size_t cap, bool may_be_empty, const char *field,
                    const struct why *w) {
  if (memchr(s, '\0', cap) == NULL)
    return refuse_text(w, field, "is not terminated");
  if (s[0] == '\0' && !may_be_empty)
    return refuse_text(w, field, "is empty");
  for (; *s != '\0'; s++) {
    if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f)
      return refuse_text(w, field, "holds a blank or a control character");
  }
  return true;
}

static bool pow2(uint32_t v) { return (v & (v - 1)) == 0; }

static bool addr_ok(const struct rn_addr *a, const char *field, const struct why *w) {
  static const uint8_t zeros[12];
  if (a->family != 0 && a->family != 4 && a->family != 6)
    return refuse_text(w, field, "is of no address family");
  if (a->family == 4 && memcmp(a->ip + 4, zeros, 12) != 0)
    return refuse_text(w, field, "has bytes after an IPv4 address");
  return true;
}

static bool port_ok(const struct rn_topo_port *p, const struct why *w) {
  if (!ranges_ok(p, port_ranges, sizeof(port_ranges) / sizeof(port_ranges[0]), w) ||
      !text_ok(p->interface, sizeof(p->interface), p->driver == RN_TOPO_NULL, "interface", w) ||
      !addr_ok(&p->gateway4, "gateway4", w) || !addr_ok(&p->gateway6, "gateway6", w))
    return false;
  if (p->mtu != 0 && (p->mtu < 1280 || p->mtu > 9216))
    return refuse(w, "mtu", p->mtu, 1280, 9216);
  if (p->mode == RN_TOPO_OWNED && p->addr_count == 0)
    return refuse(w, "addr_count in owned mode", 0, 1, RN_TOPO_ADDRS_MAX);
  if (p->gateway4.family == 6 || p->gateway6.family == 4)
    return refuse_text(w, "gateway", "is of the other address family");
  for (uint32_t i = 0; i < p->addr_count; i++) {
    const struct rn_topo_addr *a = &p->addrs[i];
    uint32_t most = a->addr.family == 4 ? 32 : 128;
    if (a->addr.family == 0)
      return refuse_text(w, "addrs", "holds no address");
    if (!addr_ok(&a->addr, "addrs", w))
      return false;
    if (a->prefix_bits > most)
      return refuse(w, "prefix_bits", a->prefix_bits, 0, most);
  }
  return true;
}

/* What one field says about another. */
static bool relations_ok(const struct rn_topo *t, const struct why *w) {
  if (rn_ring_footprint(&t->ring) == 0)
    return refuse_text(w, "ring", "has a size that is no power of two or out of range");
  if (!pow2(t->rx_descs) || !pow2(t->tx_descs))
    return refuse_text(w, "rx_descs or tx_descs", "is no power of two");
  if (t->quic_limits.half_open > t->quic_limits.conns)
    return refuse(w, "quic_limits.half_open", t->quic_limits.half_open, 1, t->quic_limits.conns);
  if (t->quic_limits.sign_jobs > t->quic_limits.half_open)
    return refuse(w, "quic_limits.sign_jobs", t->quic_limits.sign_jobs, 1,
                  t->quic_limits.half_open);
  if (t->cid.lcore_count != t->lcore_count)
    return refuse(w, "cid.lcore_count", t->cid.lcore_count, t->lcore_count, t->lcore_count);
  if (t->tls.require_client_cert != 0 && t->tls.ca.bytes == 0)
    return refuse_text(w, "tls.require_client_cert", "needs trust anchors");
  if (t->rpc.buffer_bytes < t->rpc.request_bytes_max)
    return refuse(w, "rpc.buffer_bytes", t->rpc.buffer_bytes, t->rpc.request_bytes_max, UINT64_MAX);
  return true;
}

static bool lcores_ok(const struct rn_topo *t, const struct why *w) {
  for (uint32_t i = 0; i < t->lcore_count; i++) {
    int32_t cpu = t->lcores[i].cpu;
    if (cpu < -1 || cpu > 1023)
      return refuse_text(w, "cpu", "is not -1 to 1023");
    for (uint32_t k = 0; k < i; k++) {
      if (cpu >= 0 && t->lcores[k].cpu == cpu)
        return refuse_text(w, "cpu", "is named by two lcores");
    }
  }
  return true;
}

static bool methods_ok(const struct rn_topo *t, const struct why *w) {
  for (uint32_t i = 0; i < t->method_count; i++) {
    const struct rn_topo_method *m = &t->methods[i];
    if (memchr(m->name, '\0', sizeof(m->name)) == NULL || m->name[0] == '\0')
      return refuse_text(w, "methods", "holds one without a name");
    if (m->request_bytes_max == 0 || m->request_bytes_max > t->rpc.buffer_bytes)
      return refuse(w, "methods.request_bytes_max", m->request_bytes_max, 1, t->rpc.buffer_bytes);
  }
  return true;
}

/* Nothing is said about what is not enabled: two descriptions of one node are the same then. */
static bool cluster_ok(const struct rn_topo *t, const struct why *w) {
  static const struct rn_topo_cluster none;
  const struct rn_topo_cluster *c = &t->cluster;
  if (c->allowed_count > RN_TOPO_ALLOWED_MAX)
    return refuse(w, "cluster.allowed_count", c->allowed_count, 0, RN_TOPO_ALLOWED_MAX);
  if (c->enabled != 0)
    return ranges_ok(t, cluster_ranges, sizeof(cluster_ranges) / sizeof(cluster_ranges[0]), w) &&
           text_ok(c->server_name, sizeof(c->server_name), false, "cluster.server_name", w);
  if (t->tls.peer_ca.bytes != 0)
    return refuse_text(w, "tls.peer_ca", "has no meaning without cluster.enabled");
  if (memcmp(c, &none, sizeof(none)) != 0)
    return refuse_text(w, "cluster", "has values and is not enabled");
  return true;
}

static bool route_ok(const struct rn_topo_route *r, const struct why *w) {
  if (!text_ok(r->method, sizeof(r->method), false, "director.routes.method", w))
    return false;
  if (r->strategy >= RN_TOPO_STRATEGY_COUNT)
    return refuse(w, "director.routes.strategy", r->strategy, 0, RN_TOPO_STRATEGY_COUNT - 1);
  if (r->near_first > 1 || r->idempotent > 1 || r->call_all > 1)
    return refuse_text(w, "director.routes", "holds a flag that is neither 0 nor 1");
  if (r->call_all != 0 && (r->near_first != 0 || r->idempotent != 0 || r->try_timeout_ns != 0 ||
                           r->hedge_ns != 0 || strchr(r->method, '*') != NULL))
    return refuse_text(w, "director.routes", "has call_all with a pattern, or with a choice");
  if (r->max_in_flight == 0)
    return refuse(w, "director.routes.max_in_flight", 0, 1, UINT32_MAX);
  return true;
}

/* As of the cluster. */
static bool director_ok(const struct rn_topo *t, const struct why *w) {
  static const struct rn_topo_director none;
  const struct rn_topo_director *d = &t->director;
  if (d->enabled == 0 && memcmp(d, &none, sizeof(none)) != 0)
    return refuse_text(w, "director", "has values and is not enabled");
  if (d->enabled == 0)
    return true;
  if (d->enabled > 1 || d->get_worker > 1 || t->cluster.enabled == 0)
    return refuse_text(w, "director",
                       "is enabled without cluster, or holds a flag that is neither 0 nor 1");
  if (d->strategy >= RN_TOPO_STRATEGY_COUNT)
    return refuse(w, "director.strategy", d->strategy, 0, RN_TOPO_STRATEGY_COUNT - 1);
  if (d->route_count > RN_TOPO_ROUTES_MAX)
    return refuse(w, "director.route_count", d->route_count, 0, RN_TOPO_ROUTES_MAX);
  if (d->lease_ns == 0)
    return refuse(w, "director.lease_ns", 0, 1, UINT64_MAX);
  for (uint32_t i = 0; i < d->route_count; i++) {
    if (!route_ok(&d->routes[i], w))
      return false;
  }
  return true;
}

int rn_topo_check(const struct rn_topo *t, char *why, size_t why_bytes) {
  const struct why w = { why, why_bytes };
  bool ok =
      ranges_ok(t, topo_ranges, sizeof(topo_ranges) / sizeof(topo_ranges[0]), &w) &&
      text_ok(t->node_name, sizeof(t->node_name), false, "node_name", &w) &&
      text_ok(t->tls.alpn, sizeof(t->tls.alpn), false, "tls.alpn", &w) &&
      text_ok(t->tls.cipher_suites, sizeof(t->tls.cipher_suites), true, "tls.cipher_suites", &w) &&
      text_ok(t->tls.groups, sizeof(t->tls.groups), true, "tls.groups", &w) &&
      relations_ok(t, &w) && cluster_ok(t, &w) && director_ok(t, &w) && lcores_ok(t, &w) &&
      methods_ok(t, &w);
  for (uint32_t i = 0; ok && i < t->port_count; i++)
    ok = port_ok(&t->ports[i], &w);
  return ok ? RN_OK : RN_ERR_INVAL;
}
