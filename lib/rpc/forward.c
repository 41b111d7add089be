/* lib/rpc/forward.c: memory, calls that are taken, events and time. */
#include "rpc/forward_priv.h"
#include "util/err.h"
#include "wire/rpc.h"

#include <assert.h>

#define CALLS_MAX   (1u << 24)
#define BUFFERS_MIN 16u
#define BUFFERS_MAX (1u << 24)

static_assert(RN_FORWARD_BUFFER_BYTES > sizeof(struct fwd_chunk), "room for bytes");

/* ---- memory ---- */

struct layout {
  size_t wheel, calls, chunks, total;
};

static bool limits_ok(const struct rn_forward_limits *lim) {
  return lim->calls >= 1 && lim->calls <= CALLS_MAX && lim->buffers >= BUFFERS_MIN &&
         lim->buffers <= BUFFERS_MAX;
}

static size_t place(size_t *at, size_t bytes) {
  size_t here = (*at + 63) & ~(size_t)63;
  *at = here + bytes;
  return here;
}

static void layout_of(const struct rn_forward_limits *lim, struct layout *l) {
  size_t at = sizeof(struct rn_forward);
  l->wheel = place(&at, rn_wheel_footprint());
  l->calls = place(&at, rn_slab_footprint(sizeof(struct fwd_call), lim->calls));
  l->chunks = place(&at, rn_slab_footprint(RN_FORWARD_BUFFER_BYTES, lim->buffers));
  l->total = (at + 63) & ~(size_t)63;
}

size_t rn_forward_footprint(const struct rn_forward_limits *lim) {
  if (!limits_ok(lim))
    return 0;
  struct layout l;
  layout_of(lim, &l);
  return l.total;
}

static void *route_of(void *ctx, enum rn_handler_kind kind, const char *name, size_t len) {
  const struct rn_forward *f = ctx;
  return f->ops->route(f->ctx, kind, name, len);
}
static void take(void *ctx, void *route, enum rn_handler_kind kind, struct rn_quic_stream *s,
                 const uint8_t *bytes, size_t len, bool fin);

int rn_forward_init(void *mem, const struct rn_forward_params *p, struct rn_forward **out) {
  if (!limits_ok(&p->limits) || p->quic == NULL || p->pool == NULL || p->ops == NULL)
    return RN_ERR_INVAL;
  struct layout l;
  layout_of(&p->limits, &l);
  uint8_t *base = mem;
  struct rn_forward *f = mem;
  *f = (struct rn_forward){ .quic = p->quic,
                            .pool = p->pool,
                            .ops = p->ops,
                            .ctx = p->ctx,
                            .cfg = p->config,
                            .lim = p->limits,
                            .diversion = { .route = route_of, .take = take, .ctx = f } };
  rn_wheel_init(base + l.wheel, 0, &f->wheel);
  rn_slab_init(base + l.calls, sizeof(struct fwd_call), p->limits.calls, &f->slab);
  rn_slab_init(base + l.chunks, RN_FORWARD_BUFFER_BYTES, p->limits.buffers, &f->chunks);
  rn_list_init(&f->calls);
  *out = f;
  return RN_OK;
}

void rn_forward_configure(struct rn_forward *f, const struct rn_forward_config *cfg) {
  f->cfg = *cfg;
}

const struct rn_rpc_diversion *rn_forward_diversion(const struct rn_forward *f) {
  return &f->diversion;
}

/* ---- calls that are taken ---- */

static void set_now(struct rn_forward *f) { f->now_ns = rn_quic_now(f->quic); }

/* As for the server's own calls: the last quarter is kept for connections that have few. */
static struct fwd_call *call_new(struct rn_forward *f, const struct rn_quic_stream *s) {
  const uint32_t kept = f->lim.calls / 4;
  bool may =
      rn_slab_free_count(f->slab) > kept || !rn_quic_conn_above_share(rn_quic_stream_conn(s), kept);
  struct fwd_call *k = may ? rn_slab_take(f->slab) : NULL;
  f->stats.call_limit += k == NULL;
  return k;
}

/* Of a unary request that begins with these bytes, its name among them; 0: cannot be told yet. */
static uint64_t request_bytes(const uint8_t *bytes, size_t len) {
  uint64_t head = RN_WIRE_REQUEST_HEAD_BYTES(rn_wire_u64(bytes + 8));
  return len >= head ? head + rn_wire_u64(bytes + head - 8) : 0;
}

static void call_init(struct fwd_call *k, struct rn_forward *f, struct rn_forward_route *route,
                      enum rn_handler_kind kind, struct rn_quic_stream *s) {
  k->taken.taker = &fwd_taker;
  k->f = f;
  k->client = s;
  k->route = route;
  k->from = NULL;
  k->req = k->resp = (struct fwd_buf){ 0 };
  k->req_credited = k->resp_credited = 0;
  k->id = k->req_bytes = 0;
  k->begun_ns = k->asked_ns = k->moved_ns = f->now_ns;
  k->tried_count = 0;
  k->kind = (uint8_t)kind;
  k->req_fin = k->resp_fin = k->alone = k->resp_done = false;
  k->keep = route->idempotent && route->tries > 1;
  for (uint32_t i = 0; i < TRIES_AT_ONCE; i++) {
    k->tries[i].state = TRY_NONE;
    k->tries[i].s = NULL;
    k->tries[i].call = k;
  }
  k->small.bytes = k->small_bytes;
  rn_timer_init(&k->timer);
  rn_list_push_back(&f->calls, &k->node);
  rn_quic_stream_set_user(s, k);
  route->in_flight++;
  f->stats.in_flight++;
}

static void take(void *ctx, void *route, enum rn_handler_kind kind, struct rn_quic_stream *s,
                 const uint8_t *bytes, size_t len, bool fin) {
  struct rn_forward *f = ctx;
  struct rn_forward_route *r = route;
  bool unary = kind == RN_HANDLER_UNARY;
  uint64_t id = unary ? rn_wire_u64(bytes) : 0;
  set_now(f);
  f->stats.calls++;
  rn_quic_stream_consume_conn(s, len);
  if (r->max_in_flight != 0 && r->in_flight >= r->max_in_flight) {
    end_refused(f, s, kind, id, WHY_ROUTE, fin);
    return;
  }
  struct fwd_call *k = call_new(f, s);
  if (k == NULL) {
    end_refused(f, s, kind, id, WHY_OVERLOAD, fin);
    return;
  }
  call_init(k, f, r, kind, s);
  k->id = id;
  k->req_bytes = unary ? request_bytes(bytes, len) : 0;
  k->req_fin = fin;
  int err = try_begin(k, &k->tries[0], bytes, len);
  if (err != RN_OK)
    end_failed(k, err == RN_ERR_LIMIT ? WHY_OVERLOAD : WHY_NO_WORKER);
  else
    pump_request(k, bytes, len, fin);
}

/* ---- events of clients' streams ---- */

static struct fwd_call *call_of(struct rn_rpc_taken *t) {
  struct fwd_call *k = (struct fwd_call *)t;
  set_now(k->f);
  return k;
}

static void client_data(struct rn_rpc_taken *t, struct rn_quic_stream *s, const uint8_t *data,
                        size_t len, bool fin) {
  rn_quic_stream_consume_conn(s, len);
  pump_request(call_of(t), data, len, fin);
}
static void client_gave_up(struct rn_rpc_taken *t, struct rn_quic_stream *s) {
  (void)s;
  end_cancelled(call_of(t));
}
static void client_writable(struct rn_rpc_taken *t, struct rn_quic_stream *s) {
  (void)s;
  pump_to_client(call_of(t));
}
static void client_closed(struct rn_rpc_taken *t, struct rn_quic_stream *s) {
  struct fwd_call *k = call_of(t);
  (void)s;
  k->client = NULL;
  end_cancelled(k);
}

const struct rn_rpc_taker fwd_taker = { .data = client_data,
                                        .reset = client_gave_up,
                                        .stop = client_gave_up,
                                        .writable = client_writable,
                                        .closed = client_closed };

/* ---- events of workers' streams ---- */

void rn_forward_stream_data(struct rn_forward *f, struct rn_quic_stream *s, const uint8_t *data,
                            size_t len, bool fin) {
  struct fwd_try *t = rn_quic_stream_user(s);
  rn_quic_stream_consume_conn(s, len);
  if (t == NULL || (len == 0 && !fin))
    return;
  set_now(f);
  if (t->call->from == NULL)
    try_wins(t);
  pump_response(t->call, data, len, fin);
}

void rn_forward_stream_reset(struct rn_forward *f, struct rn_quic_stream *s, uint64_t code) {
  struct fwd_try *t = rn_quic_stream_user(s);
  (void)code;
  if (t == NULL)
    return;
  set_now(f);
  try_failed(t, RN_FORWARD_BROKEN, WHY_RESET);
}

/* No cancel: a published worker says so along with its answer, too. */
void rn_forward_stream_stop(struct rn_forward *f, struct rn_quic_stream *s) {
  struct fwd_try *t = rn_quic_stream_user(s);
  if (t == NULL)
    return;
  struct fwd_call *k = t->call;
  set_now(f);
  t->closed = true;
  if (k->from == t && k->client != NULL)
    rn_quic_stream_stop(k->client, 0);
  pump_settle(k);
}

void rn_forward_stream_writable(struct rn_forward *f, struct rn_quic_stream *s) {
  struct fwd_try *t = rn_quic_stream_user(s);
  if (t == NULL)
    return;
  set_now(f);
  pump_to_worker(t);
  pump_settle(t->call);
}

void rn_forward_stream_closed(struct rn_forward *f, struct rn_quic_stream *s) {
  struct fwd_try *t = rn_quic_stream_user(s);
  if (t == NULL)
    return;
  set_now(f);
  if (t->call->from == t && t->call->resp_fin)
    try_spent(t);
  else
    try_lost(t);
}

/* ---- time ---- */

static bool is_complete(const struct fwd_call *k) {
  return k->kind == RN_HANDLER_STREAMING || k->req.end >= k->req_bytes;
}

static uint64_t deadline_ns(const struct fwd_call *k) {
  uint64_t timeout_ns = k->route->timeout_ns;
  if (timeout_ns == 0)
    return UINT64_MAX;
  if (k->from != NULL)
    return k->moved_ns + timeout_ns;
  return (is_complete(k) ? k->asked_ns : k->begun_ns) + timeout_ns;
}

void call_arm(struct fwd_call *k) {
  uint64_t at = deadline_ns(k), look = try_look_ns(k);
  at = look < at ? look : at;
  if (at == UINT64_MAX)
    rn_wheel_cancel(k->f->wheel, &k->timer);
  else
    rn_wheel_set(k->f->wheel, &k->timer, at);
}

static void on_timer(struct rn_timer *timer, void *ctx) {
  struct rn_forward *f = ctx;
  struct fwd_call *k = RN_LIST_ENTRY(timer, struct fwd_call, timer);
  if (deadline_ns(k) <= f->now_ns) {
    end_failed(k, is_complete(k) ? WHY_LATE : WHY_UNREAD);
    return;
  }
  if (try_look_ns(k) <= f->now_ns)
    try_look(k);
  call_arm(k);
}

uint64_t rn_forward_next_expiry(const struct rn_forward *f) {
  return rn_wheel_next_expiry(f->wheel);
}

void rn_forward_timers(struct rn_forward *f, uint64_t now_ns) {
  f->now_ns = now_ns;
  rn_wheel_fire(f->wheel, now_ns, on_timer, f);
}

uint64_t rn_forward_now(const struct rn_forward *f) { return f->now_ns; }
const struct rn_forward_stats *rn_forward_stats(const struct rn_forward *f) { return &f->stats; }

uint64_t rn_forward_fail_calls(struct rn_forward *f, uint32_t n) {
  return rn_slab_fail_every(f->slab, n);
}
uint64_t rn_forward_fail_buffers(struct rn_forward *f, uint32_t n) {
  return rn_slab_fail_every(f->chunks, n);
}
