/* tests/harness/rpc_peer.c */
#include "harness/rpc_peer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- events: to the transcript and to RPC ---- */

static void note(struct rpc_peer *p, const char *what, struct rn_quic_stream *s, uint64_t value) {
  net_event(p->net, p->host, what, rn_quic_stream_id(s), value);
}

static void on_ready(void *app, struct rn_quic_conn *c) {
  struct rpc_peer *p = app;
  p->base.ready++;
  p->base.conn = c;
  net_event(p->net, p->host, "ready", p->base.ready, 0);
  if (p->ready != NULL)
    p->ready(p->user, c);
}

static void on_closed(void *app, struct rn_quic_conn *c, const struct rn_quic_close *why) {
  struct rpc_peer *p = app;
  p->base.closed++;
  p->base.why = *why;
  if (p->base.conn == c)
    p->base.conn = NULL;
  net_event(p->net, p->host, "ended", (int64_t)why->kind, why->code);
}

static void on_available(void *app, struct rn_quic_conn *c) {
  struct rpc_peer *p = app;
  if (p->available != NULL)
    p->available(p->user, c);
}

static int on_open(void *app, struct rn_quic_stream *s) {
  struct rpc_peer *p = app;
  note(p, "open", s, 0);
  return p->server != NULL ? rn_rpc_server_stream_open(p->server, s) : RN_ERR_REFUSED;
}

static void on_data(void *app, struct rn_quic_stream *s, const uint8_t *data, size_t len,
                    bool fin) {
  struct rpc_peer *p = app;
  note(p, fin ? "data+fin" : "data", s, len);
  if (p->watch_from_ns != 0 && p->data_at_ns == 0 && net_now(p->net) >= p->watch_from_ns)
    p->data_at_ns = net_now(p->net);
  if (p->server != NULL)
    rn_rpc_server_stream_data(p->server, s, data, len, fin);
  else
    rn_rpc_client_stream_data(p->client, s, data, len, fin);
}

static void on_reset(void *app, struct rn_quic_stream *s, uint64_t code) {
  struct rpc_peer *p = app;
  note(p, "reset", s, code);
  if (p->server != NULL)
    rn_rpc_server_stream_reset(p->server, s);
  else
    rn_rpc_client_stream_reset(p->client, s);
}

static void on_stop(void *app, struct rn_quic_stream *s) {
  struct rpc_peer *p = app;
  note(p, "stop", s, 0);
  if (p->server != NULL)
    rn_rpc_server_stream_stop(p->server, s);
}

static void on_writable(void *app, struct rn_quic_stream *s) {
  struct rpc_peer *p = app;
  note(p, "writable", s, 0);
  if (p->server != NULL)
    rn_rpc_server_stream_writable(p->server, s);
  else
    rn_rpc_client_stream_writable(p->client, s);
}

static void on_stream_closed(void *app, struct rn_quic_stream *s) {
  struct rpc_peer *p = app;
  note(p, "closed", s, 0);
  if (p->server != NULL)
    rn_rpc_server_stream_closed(p->server, s);
  else
    rn_rpc_client_stream_closed(p->client, s);
}

static int on_sign(void *app, const struct rn_quic_sign_req *req) {
  return peer_sign(&((struct rpc_peer *)app)->base, req);
}

static const struct rn_quic_events events = {
  .conn_ready = on_ready,
  .conn_closed = on_closed,
  .streams_available = on_available,
  .stream_open = on_open,
  .stream_data = on_data,
  .stream_reset = on_reset,
  .stream_stop = on_stop,
  .stream_writable = on_writable,
  .stream_closed = on_stream_closed,
  .sign = on_sign,
};

/* ---- on the network ---- */

static uint64_t next_expiry(void *ctx) {
  const struct rpc_peer *p = ctx;
  return p->server != NULL ? rn_rpc_server_next_expiry(p->server)
                           : rn_rpc_client_next_expiry(p->client);
}

static void timers(void *ctx, uint64_t now_ns) {
  struct rpc_peer *p = ctx;
  if (p->server != NULL)
    rn_rpc_server_timers(p->server, now_ns);
  else
    rn_rpc_client_timers(p->client, now_ns);
}

static bool check(void *ctx) {
  const struct rpc_peer *p = ctx;
  return (p->server == NULL || rn_rpc_server_check(p->server) == RN_OK) &&
         (p->client == NULL || rn_rpc_client_check(p->client) == RN_OK);
}

/* ---- life ---- */

void rpc_peer_prepare(struct rpc_peer *p, const struct pki *pki, uint64_t seed) {
  *p = (struct rpc_peer){
    .server_limits = { .calls = 256, .body_bytes = 8u << 20, .methods = 16 },
    .server_config = { .max_request_bytes = 1u << 20, .max_item_bytes = 1u << 20 },
    .client_limits = { .calls = 256, .body_bytes = 8u << 20 },
    .max_response_bytes = 1u << 20,
    .info = { .version = "1.2.3", .healthy = true, .ready = true },
  };
  peer_prepare(&p->base, pki, seed);
  p->base.params.limits = (struct rn_quic_limits){ .conns = 8,
                                                   .half_open = 8,
                                                   .streams = 1024,
                                                   .segs = 2048,
                                                   .bulk_segs = 1024,
                                                   .sign_jobs = 8,
                                                   .heap_bytes = 4u << 20 };
  p->base.params.events = &events;
}

static void start_server(struct rpc_peer *p) {
  p->mem_bytes = rn_rpc_server_footprint(&p->server_limits);
  p->mem = region_new(p->mem_bytes);
  if (rn_rpc_server_init(p->mem, &p->server_limits, &p->server_config, &p->server) != RN_OK ||
      rn_builtin_add(p->server, &p->info) != RN_OK)
    abort();
}

static void start_client(struct rpc_peer *p) {
  p->mem_bytes = rn_rpc_client_footprint(&p->client_limits);
  p->mem = region_new(p->mem_bytes);
  if (rn_rpc_client_init(p->mem, &p->client_limits, p->max_response_bytes, &p->client) != RN_OK)
    abort();
}

void rpc_peer_start(struct rpc_peer *p, struct rn_quic_tls *tls, struct net *net,
                    const struct rn_addr *addr) {
  if (p->base.pki != NULL)
    start_server(p);
  else
    start_client(p);
  p->base.params.app = p;
  peer_start_with(&p->base, tls);
  p->net = net;
  p->host = net_add(net, p->base.q, addr);
  p->host->layer = (struct net_layer){ next_expiry, timers, check, p };
}

void rpc_peer_stop(struct rpc_peer *p) {
  peer_stop(&p->base);
  region_free(p->mem, p->mem_bytes);
}

static bool zero(const char *what, uint64_t value) {
  if (value != 0)
    fprintf(stderr, "left over: %s, %" PRIu64 "\n", what, value);
  return value == 0;
}

bool rpc_peer_is_clean(const struct rpc_peer *p) {
  const struct rn_quic_stats *s = rn_quic_stats(p->base.q);
  bool ok = zero("connections", s->conns);
  ok &= zero("half-open connections", s->half_open);
  ok &= zero("signatures", s->sign_jobs);
  ok &= zero("streams", s->streams);
  ok &= zero("segments", s->segs);
  ok &= zero("heap bytes", s->heap_bytes);
  if (p->client != NULL)
    return zero("calls", rn_rpc_client_calls(p->client)) && ok;
  ok &= zero("calls", rn_rpc_server_stats(p->server)->calls);
  return zero("body bytes", rn_rpc_server_stats(p->server)->body_bytes) && ok;
}
