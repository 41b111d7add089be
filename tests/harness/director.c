/* tests/harness/director.c */
#include "harness/director.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"

/* ---- events: of clients to the server, of workers to the pool and the forwarder ---- */

static bool of_client(const struct rn_quic_stream *s) {
  return rn_quic_conn_is_server(rn_quic_stream_conn(s));
}

static void note(struct director *d, const char *what, struct rn_quic_stream *s, uint64_t value) {
  net_event(d->net, d->host, what, rn_quic_stream_id(s), value);
}

static bool of_fanout(const struct director *d, const struct rn_quic_stream *s) {
  return d->fanout != NULL && rn_pool_of(rn_quic_stream_conn(s)) == d->fan_pool;
}

static void on_ready(void *app, struct rn_quic_conn *c) {
  (void)app;
  if (!rn_quic_conn_is_server(c) && rn_pool_of(c) != NULL)
    rn_pool_conn_ready(rn_pool_of(c), c);
}

static void on_closed(void *app, struct rn_quic_conn *c, const struct rn_quic_close *why) {
  struct director *d = app;
  net_event(d->net, d->host, "ended", (int64_t)why->kind, why->code);
  if (!rn_quic_conn_is_server(c) && rn_pool_of(c) != NULL)
    rn_pool_conn_closed(rn_pool_of(c), c);
}

static void on_available(void *app, struct rn_quic_conn *c) {
  (void)app;
  if (!rn_quic_conn_is_server(c) && rn_pool_of(c) != NULL)
    rn_pool_streams_available(rn_pool_of(c), c);
}

static int on_open(void *app, struct rn_quic_stream *s) {
  struct director *d = app;
  return of_client(s) ? rn_rpc_server_stream_open(d->server, s) : RN_ERR_REFUSED;
}

static void on_data(void *app, struct rn_quic_stream *s, const uint8_t *data, size_t len,
                    bool fin) {
  struct director *d = app;
  note(d, of_client(s) ? "asked" : "answered", s, len);
  if (of_client(s))
    rn_rpc_server_stream_data(d->server, s, data, len, fin);
  else if (of_fanout(d, s))
    rn_fanout_stream_data(d->fanout, s, data, len, fin);
  else
    rn_forward_stream_data(d->forward, s, data, len, fin);
}

static void on_reset(void *app, struct rn_quic_stream *s, uint64_t code) {
  struct director *d = app;
  note(d, "reset", s, code);
  if (of_client(s))
    rn_rpc_server_stream_reset(d->server, s);
  else if (of_fanout(d, s))
    rn_fanout_stream_reset(d->fanout, s);
  else
    rn_forward_stream_reset(d->forward, s, code);
}

static void on_stop(void *app, struct rn_quic_stream *s) {
  struct director *d = app;
  note(d, "stop", s, 0);
  if (of_client(s))
    rn_rpc_server_stream_stop(d->server, s);
  else if (!of_fanout(d, s))
    rn_forward_stream_stop(d->forward, s);
}

static void on_writable(void *app, struct rn_quic_stream *s) {
  struct director *d = app;
  if (of_client(s))
    rn_rpc_server_stream_writable(d->server, s);
  else if (of_fanout(d, s))
    rn_fanout_stream_writable(d->fanout, s);
  else
    rn_forward_stream_writable(d->forward, s);
}

static void on_stream_closed(void *app, struct rn_quic_stream *s) {
  struct director *d = app;
  note(d, "closed", s, 0);
  if (of_client(s))
    rn_rpc_server_stream_closed(d->server, s);
  else if (of_fanout(d, s))
    rn_fanout_stream_closed(d->fanout, s);
  else
    rn_forward_stream_closed(d->forward, s);
}

static int on_sign(void *app, const struct rn_quic_sign_req *req) {
  return peer_sign(&((struct director *)app)->base, req);
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

/* ---- the choice of workers ---- */

static struct rn_forward_route *route(void *ctx, enum rn_handler_kind kind, const char *name,
                                      size_t len) {
  struct director *d = ctx;
  (void)kind;
  if (d->fan.method != NULL && strlen(d->fan.method) == len &&
      memcmp(d->fan.method, name, len) == 0)
    return NULL;
  for (uint32_t i = 0; i < DIRECTOR_ROUTES && d->routes[i].prefix != NULL; i++) {
    size_t n = strlen(d->routes[i].prefix);
    if (len >= n && memcmp(name, d->routes[i].prefix, n) == 0)
      return &d->routes[i].r;
  }
  return NULL;
}

static bool was_tried(const struct rn_forward_question *q, uint32_t worker) {
  for (uint32_t i = 0; i < q->tried_count; i++) {
    if (q->tried[i] == worker)
      return true;
  }
  return false;
}

static int pick(void *ctx, const struct rn_forward_question *q, uint32_t *worker,
                struct rn_addr *addr) {
  struct director *d = ctx;
  for (uint32_t i = 0; i < DIRECTOR_WORKERS; i++) {
    uint32_t at = (d->next + i) % DIRECTOR_WORKERS;
    if (!d->workers[at].there || was_tried(q, at))
      continue;
    d->next = at + 1;
    *worker = at;
    *addr = d->workers[at].addr;
    return RN_OK;
  }
  return RN_ERR_NOENT;
}

static void begun(void *ctx, uint32_t worker) { ((struct director *)ctx)->workers[worker].begun++; }

static void ended(void *ctx, uint32_t worker, enum rn_forward_outcome how, uint64_t latency_ns) {
  struct director *d = ctx;
  net_event(d->net, d->host, "try ended", worker, how);
  d->workers[worker].ended[how]++;
  if (how == RN_FORWARD_ANSWERED && latency_ns > UINT64_C(3600000000000))
    abort();
}

static bool may_retry(void *ctx, struct rn_forward_route *r) {
  struct director *d = ctx;
  (void)r;
  d->asked++;
  if (d->budget == 0)
    return false;
  d->budget--;
  return true;
}

static void answered(void *ctx, const struct rn_forward_times *t) {
  ((struct director *)ctx)->times = *t;
}

static const struct rn_forward_ops ops = { .route = route,
                                           .pick = pick,
                                           .begun = begun,
                                           .ended = ended,
                                           .may_retry = may_retry,
                                           .answered = answered };

/* ---- all workers ---- */

static uint32_t fan_count(void *ctx, const struct rn_fanout_route *r) {
  const struct director *d = ctx;
  uint32_t n = 0;
  (void)r;
  for (uint32_t i = 0; i < DIRECTOR_WORKERS; i++)
    n += d->workers[i].there;
  return n;
}

static void fan_worker(void *ctx, const struct rn_fanout_route *r, uint32_t n,
                       struct rn_fanout_worker *out) {
  struct director *d = ctx;
  uint32_t at = 0;
  (void)r;
  while (!d->workers[at].there || n-- > 0)
    at++;
  d->fan.named++;
  int len = snprintf(d->fan.id, sizeof(d->fan.id), "w-%u", at);
  *out = (struct rn_fanout_worker){ d->fan.id, (size_t)len, d->workers[at].addr };
}

static const struct rn_fanout_ops fan_ops = { .count = fan_count, .worker = fan_worker };

/* ---- on the network ---- */

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t next_expiry(void *ctx) {
  const struct director *d = ctx;
  uint64_t at = d->fan_pool != NULL ? rn_pool_next_expiry(d->fan_pool) : UINT64_MAX;
  at = earlier(at, rn_rpc_server_next_expiry(d->server));
  return earlier(at, earlier(rn_pool_next_expiry(d->pool), rn_forward_next_expiry(d->forward)));
}

static void timers(void *ctx, uint64_t now_ns) {
  struct director *d = ctx;
  rn_rpc_server_timers(d->server, now_ns);
  rn_pool_timers(d->pool, now_ns);
  rn_forward_timers(d->forward, now_ns);
  if (d->fan_pool != NULL)
    rn_pool_timers(d->fan_pool, now_ns);
}

static bool check(void *ctx) {
  const struct director *d = ctx;
  if (d->fanout != NULL &&
      (rn_pool_check(d->fan_pool) != RN_OK || rn_fanout_check(d->fanout) != RN_OK))
    return false;
  return rn_rpc_server_check(d->server) == RN_OK && rn_pool_check(d->pool) == RN_OK &&
         rn_forward_check(d->forward) == RN_OK;
}

static int local(void *ctx, const struct rn_addr *peer, struct rn_addr *out) {
  (void)peer;
  *out = ((struct director *)ctx)->host->addr;
  return RN_OK;
}

/* ---- life ---- */

#define MS UINT64_C(1000000)

void director_prepare(struct director *d, const struct pki *pki, uint64_t seed) {
  *d = (struct director){
    .server_limits = { .calls = 256, .body_bytes = 1u << 20, .methods = 16 },
    .server_config = { .max_request_bytes = 1u << 20, .max_item_bytes = 1u << 20 },
    .pool_params = { .limits = { .conns = 8, .peers = 8 },
                     .config = { .conns_per_peer = 1,
                                 .waiters = 64,
                                 .dial_timeout_ns = 1000 * MS,
                                 .idle_timeout_ns = 10000 * MS,
                                 .backoff_first_ns = 500 * MS,
                                 .backoff_most_ns = 4000 * MS },
                     .local = local },
    .forward_params = { .limits = { .calls = 256, .buffers = 1024 },
                        .config = { .replay_bytes = 16384 },
                        .ops = &ops },
    .budget = UINT32_MAX,
  };
  d->fan = (struct director_fan){
    .r = { .timeout_ns = 5000 * MS },
    .limits = { .calls = 64, .asks = 1024, .answer_bytes = 1u << 20, .body_bytes = 4u << 20 },
    .pool_params = d->pool_params,
  };
  peer_prepare(&d->base, pki, seed);
  d->base.params.limits = (struct rn_quic_limits){ .conns = 16,
                                                   .half_open = 8,
                                                   .streams = 2048,
                                                   .segs = 4096,
                                                   .bulk_segs = 2048,
                                                   .sign_jobs = 8,
                                                   .heap_bytes = 8u << 20 };
  d->base.params.events = &events;
}

static void *part(struct director *d, uint32_t i, size_t bytes) {
  d->mem_bytes[i] = bytes;
  return d->mem[i] = region_new(bytes);
}

static void start_fanout(struct director *d) {
  d->fan.pool_params.ctx = d;
  d->fan.pool_params.quic = d->base.q;
  void *mem = part(d, 3, rn_pool_footprint(&d->fan.pool_params.limits));
  if (rn_pool_init(mem, &d->fan.pool_params, &d->fan_pool) != RN_OK)
    abort();
  const struct rn_fanout_params p = {
    .limits = d->fan.limits, .quic = d->base.q, .pool = d->fan_pool, .ops = &fan_ops, .ctx = d
  };
  mem = part(d, 4, rn_fanout_footprint(&p.limits));
  if (rn_fanout_init(mem, &p, &d->fanout) != RN_OK ||
      rn_fanout_serve(d->fanout, d->server, d->fan.method, &d->fan.r) != RN_OK)
    abort();
}

void director_start(struct director *d, struct rn_quic_tls *tls, struct rn_quic_tls *client_tls,
                    struct net *net, const struct rn_addr *addr) {
  d->base.params.app = d;
  d->base.params.client_tls = client_tls;
  peer_start_with(&d->base, tls);
  d->pool_params.ctx = d;
  d->pool_params.quic = d->forward_params.quic = d->base.q;
  void *mem = part(d, 0, rn_rpc_server_footprint(&d->server_limits));
  if (rn_rpc_server_init(mem, &d->server_limits, &d->server_config, &d->server) != RN_OK)
    abort();
  mem = part(d, 1, rn_pool_footprint(&d->pool_params.limits));
  if (rn_pool_init(mem, &d->pool_params, &d->pool) != RN_OK)
    abort();
  d->forward_params.pool = d->pool;
  d->forward_params.ctx = d;
  mem = part(d, 2, rn_forward_footprint(&d->forward_params.limits));
  if (rn_forward_init(mem, &d->forward_params, &d->forward) != RN_OK)
    abort();
  rn_rpc_server_divert(d->server, rn_forward_diversion(d->forward));
  if (d->fan.method != NULL)
    start_fanout(d);
  d->net = net;
  d->host = net_add(net, d->base.q, addr);
  d->host->layer = (struct net_layer){ next_expiry, timers, check, d };
}

void director_stop(struct director *d) {
  peer_stop(&d->base);
  for (uint32_t i = 0; i < 5 && d->mem[i] != NULL; i++)
    region_free(d->mem[i], d->mem_bytes[i]);
}

/* ---- what is left ---- */

static bool zero(const char *what, uint64_t value) {
  if (value != 0)
    fprintf(stderr, "left over: %s, %" PRIu64 "\n", what, value);
  return value == 0;
}

static bool fanout_is_quiet(const struct director *d) {
  const struct rn_fanout_stats *st = rn_fanout_stats(d->fanout);
  bool ok = zero("fan-outs", st->in_flight + d->fan.r.in_flight);
  ok &= zero("workers asked", st->asks);
  ok &= zero("bytes of answers", st->kept_bytes);
  ok &= zero("calls not accounted for", st->calls - st->answered - st->errors - st->cancelled);
  return zero("waiters for all", rn_pool_stats(d->fan_pool)->waiters) && ok;
}

bool director_is_quiet(const struct director *d) {
  bool ok = zero("calls in flight", rn_forward_stats(d->forward)->in_flight);
  if (d->fanout != NULL)
    ok &= fanout_is_quiet(d);
  ok &= zero("buffers", rn_forward_stats(d->forward)->buffers);
  ok &= zero("waiters", rn_pool_stats(d->pool)->waiters);
  for (uint32_t i = 0; i < DIRECTOR_ROUTES; i++)
    ok &= zero("calls of a route", d->routes[i].r.in_flight);
  for (uint32_t i = 0; i < DIRECTOR_WORKERS; i++) {
    uint32_t all = 0;
    for (uint32_t how = 0; how <= RN_FORWARD_DROPPED; how++)
      all += d->workers[i].ended[how];
    ok &= zero("tries that have not ended, or twice", d->workers[i].begun - all);
  }
  return ok;
}

bool director_is_clean(const struct director *d) {
  const struct rn_quic_stats *s = rn_quic_stats(d->base.q);
  const struct rn_pool_stats *p = rn_pool_stats(d->pool);
  bool ok = director_is_quiet(d);
  ok &= zero("pooled connections", p->conns + p->conns_ready + p->conns_dialling);
  ok &= zero("pooled streams", p->streams);
  if (d->fan_pool != NULL) {
    p = rn_pool_stats(d->fan_pool);
    ok &= zero("connections for all", p->conns + p->streams);
  }
  ok &= zero("connections", s->conns);
  ok &= zero("streams", s->streams);
  ok &= zero("segments", s->segs);
  ok &= zero("heap bytes", s->heap_bytes);
  ok &= zero("server's calls", rn_rpc_server_stats(d->server)->calls);
  return zero("body bytes", rn_rpc_server_stats(d->server)->body_bytes) && ok;
}
