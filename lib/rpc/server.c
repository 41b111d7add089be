/* lib/rpc/server.c: memory, methods, and the events of streams. */
#include "rpc/server_priv.h"
#include "util/err.h"

#include <string.h>

#define BODY_BLOCK_BYTES 4096u
#define SIZE_CAP         ((size_t)1 << 30)

/* Streams whose call is over carry this instead of a call. */
static struct rn_rpc_taken answered;

/* ---- memory ---- */

static bool limits_ok(const struct rn_rpc_server_limits *lim) {
  return lim->calls >= 1 && lim->calls <= 1u << 24 && lim->body_bytes >= 65536 &&
         lim->methods >= 1 && lim->methods <= 4096;
}

static bool config_ok(const struct rn_rpc_server_config *cfg) {
  return cfg->max_request_bytes >= 32 && cfg->max_request_bytes <= SIZE_CAP &&
         cfg->max_item_bytes >= 1 && cfg->max_item_bytes <= SIZE_CAP;
}

static size_t body_region(const struct rn_rpc_server_limits *lim) {
  return (lim->body_bytes + BODY_BLOCK_BYTES - 1) / BODY_BLOCK_BYTES * BODY_BLOCK_BYTES;
}

struct layout {
  size_t methods, calls, timers, deadlines, bodies, total;
};

static void layout_of(const struct rn_rpc_server_limits *lim, struct layout *l) {
  size_t at = (sizeof(struct rn_rpc_server) + 63) & ~(size_t)63;
  l->methods = at;
  at += rn_rpc_methods_footprint(lim->methods);
  l->timers = at;
  at += rn_wheel_footprint();
  l->deadlines = at;
  at += rn_wheel_footprint();
  l->calls = at;
  at += rn_slab_footprint(sizeof(struct rn_call), lim->calls);
  l->bodies = at;
  at += rn_buddy_footprint(body_region(lim), BODY_BLOCK_BYTES);
  l->total = (at + 63) & ~(size_t)63;
}

size_t rn_rpc_server_footprint(const struct rn_rpc_server_limits *lim) {
  if (!limits_ok(lim))
    return 0;
  struct layout l;
  layout_of(lim, &l);
  return l.total;
}

int rn_rpc_server_init(void *mem, const struct rn_rpc_server_limits *lim,
                       const struct rn_rpc_server_config *cfg, struct rn_rpc_server **out) {
  if (!limits_ok(lim) || !config_ok(cfg))
    return RN_ERR_INVAL;
  struct layout l;
  layout_of(lim, &l);
  uint8_t *base = mem;
  struct rn_rpc_server *v = mem;
  *v = (struct rn_rpc_server){ .lim = *lim, .cfg = *cfg };
  rn_rpc_methods_init(base + l.methods, lim->methods, &v->methods);
  rn_wheel_init(base + l.timers, 0, &v->timers);
  rn_wheel_init(base + l.deadlines, 0, &v->deadlines);
  rn_slab_init(base + l.calls, sizeof(struct rn_call), lim->calls, &v->calls);
  rn_buddy_init(base + l.bodies, body_region(lim), BODY_BLOCK_BYTES, &v->bodies);
  *out = v;
  return RN_OK;
}

int rn_rpc_server_configure(struct rn_rpc_server *v, const struct rn_rpc_server_config *cfg) {
  if (!config_ok(cfg))
    return RN_ERR_INVAL;
  v->cfg = *cfg;
  return RN_OK;
}

void rn_rpc_server_on_gossip(struct rn_rpc_server *v, const struct rn_handler *h) { v->gossip = h; }

void rn_rpc_server_divert(struct rn_rpc_server *v, const struct rn_rpc_diversion *d) {
  v->diversion = d;
}

int rn_rpc_server_limit(struct rn_rpc_server *v, const char *method, uint64_t request_timeout_ns,
                        size_t max_request_bytes) {
  const struct rn_rpc_method_limits lim = { request_timeout_ns, max_request_bytes };
  return rn_rpc_methods_limit(v->methods, method, &lim);
}

void rn_rpc_server_drain(struct rn_rpc_server *v) { v->stats.draining = 1; }

void rn_rpc_server_set_user(struct rn_rpc_server *v, const void *user) { v->user = user; }

void rn_rpc_server_watch(struct rn_rpc_server *v, const struct rn_rpc_watch *w) {
  v->watch = w;
  v->armed = false;
}

void rn_rpc_server_arm(struct rn_rpc_server *v, bool armed) {
  v->armed = armed && v->watch != NULL;
}

uint32_t rn_rpc_server_answered_at_once(struct rn_rpc_server *v) {
  uint32_t n = v->answered_at_once;
  v->answered_at_once = 0;
  return n;
}

int rn_rpc_server_add(struct rn_rpc_server *v, const struct rn_handler *h) {
  return rn_rpc_methods_add(v->methods, h);
}

int rn_rpc_server_replace(struct rn_rpc_server *v, const struct rn_handler *h) {
  return rn_rpc_methods_replace(v->methods, h);
}

/* ---- calls ---- */

static void set_now(struct rn_rpc_server *v, const struct rn_quic_stream *s) {
  v->now_ns = rn_quic_now(rn_quic_conn_endpoint(rn_quic_stream_conn(s)));
}

static const uint8_t call_next[CALL_STATE_COUNT][CALL_EV_COUNT] = {
  /* 0: not allowed */
  [CALL_READING] = { [CALL_EV_REQUEST] = CALL_RUNNING,
                     [CALL_EV_STREAM] = CALL_STREAMING,
                     [CALL_EV_DONE] = CALL_DONE },
  [CALL_RUNNING] = { [CALL_EV_DONE] = CALL_DONE },
  [CALL_STREAMING] = { [CALL_EV_DONE] = CALL_DONE },
};

void call_set_state(struct rn_call *c, enum call_event ev) {
  uint8_t next = call_next[c->state][ev];
  RN_ASSERT(next != 0);
  c->state = next;
}

/* A connection may have twice as many calls as it leaves to others, half of all at most: where some take what they can get, something stays for who comes in
 * bursts. The last quarter of the call objects is kept besides: of it, each connection may have what it could if there were as many as there may be. However
 * many take what they can get, who has few calls is served. */
static bool may_call(const struct rn_rpc_server *v, const struct rn_quic_stream *s) {
  const struct rn_quic_conn *c = rn_quic_stream_conn(s);
  const uint32_t kept = v->lim.calls / 4, free = rn_slab_free_count(v->calls);
  return (free > kept && rn_quic_conn_stream_count(c) <= 2 * (free - kept)) ||
         !rn_quic_conn_above_share(c, kept);
}

static struct rn_call *call_new(struct rn_rpc_server *v, struct rn_quic_stream *s) {
  struct rn_call *c = may_call(v, s) ? rn_slab_take(v->calls) : NULL;
  if (c == NULL) {
    v->stats.call_limit++;
    return NULL;
  }
  memset(c, 0, sizeof(*c));
  c->v = v;
  c->s = s;
  rn_timer_init(&c->deadline);
  rn_timer_init(&c->timer);
  rn_quic_stream_set_user(s, c);
  v->stats.calls++;
  return c;
}

void call_free(struct rn_call *c) {
  struct rn_rpc_server *v = c->v;
  rn_wheel_cancel(v->deadlines, &c->deadline);
  rn_wheel_cancel(v->timers, &c->timer);
  body_free(c->body);
  v->stats.calls--;
  rn_slab_give(v->calls, c);
}

void call_credit(struct rn_call *c) {
  size_t kept = c->stalled && c->body != NULL ? c->body->len : 0;
  if (c->uncredited <= kept)
    return;
  size_t n = c->uncredited - kept;
  c->uncredited = kept;
  rn_quic_stream_consume(c->s, n);
}

void call_done(struct rn_call *c) {
  call_set_state(c, CALL_EV_DONE);
  rn_quic_stream_set_user(c->s, &answered);
  rn_quic_stream_consume(c->s, c->uncredited);
  c->uncredited = 0;
  if (!c->busy)
    call_free(c);
}

void call_end(struct rn_call *c, enum rn_rpc_outcome how, size_t bytes) {
  struct rn_rpc_server *v = c->v;
  if (!c->busy) /* answered from another's event: none of ours has told the time */
    set_now(v, c->s);
  bool has_answer = how == RN_RPC_RESULT || how == RN_RPC_ERROR;
  if (has_answer && c->begun_ns == v->now_ns)
    v->answered_at_once++;
  else if (has_answer && v->watch != NULL)
    v->watch->answered_late(v->watch->ctx, c->begun_ns);
  if (c->watched != 0)
    v->watch->ended(v->watch->ctx, c->watched, how, bytes);
  call_done(c);
}

void call_refuse(struct rn_call *c, uint64_t *counter) {
  if (counter != NULL)
    ++*counter;
  rn_quic_stream_stop(c->s, 0);
  rn_quic_stream_reset(c->s, 0);
  call_done(c);
}

void call_cancel(struct rn_call *c) {
  c->v->stats.cancelled++;
  if (c->h != NULL && c->h->cancel != NULL)
    c->h->cancel(c);
  rn_quic_stream_stop(c->s, 0);
  rn_quic_stream_reset(c->s, 0);
  if (c->state == CALL_RUNNING && c->h->kind != RN_HANDLER_GOSSIP)
    call_end(c, RN_RPC_CANCELLED, 0);
  else
    call_done(c);
}

/* ---- time ---- */

void call_start_deadline(struct rn_call *c, uint64_t own_ns) {
  uint64_t timeout_ns = own_ns != 0 ? own_ns : c->v->cfg.request_timeout_ns;
  if (timeout_ns != 0 && (!rn_timer_is_set(&c->deadline) || c->state == CALL_RUNNING))
    rn_wheel_set(c->v->deadlines, &c->deadline, c->v->now_ns + timeout_ns);
}

static void on_deadline(struct rn_call *c) {
  if (c->state == CALL_READING) {
    call_refuse(c, &c->v->stats.read_timeouts);
    return;
  }
  if (c->state == CALL_STREAMING) {
    c->v->stats.item_timeouts++;
    call_cancel(c);
    return;
  }
  if (c->h->cancel != NULL)
    c->h->cancel(c);
  reply_text(c, "Request timeout", &c->v->stats.errors_timeout);
}

/* Runs one function on a call and frees the call afterwards if that ended it. */
static void enter(struct rn_call *c) { c->busy = true; }
static void leave(struct rn_call *c) {
  c->busy = false;
  if (c->state == CALL_DONE)
    call_free(c);
  else
    call_credit(c);
}

static void on_handler_timer(struct rn_timer *t, void *ctx) {
  (void)ctx;
  struct rn_call *c = RN_LIST_ENTRY(t, struct rn_call, timer);
  enter(c);
  if (c->h->timer != NULL)
    c->h->timer(c);
  leave(c);
}

static void on_deadline_timer(struct rn_timer *t, void *ctx) {
  (void)ctx;
  struct rn_call *c = RN_LIST_ENTRY(t, struct rn_call, deadline);
  enter(c);
  on_deadline(c);
  leave(c);
}

void rn_rpc_server_timers(struct rn_rpc_server *v, uint64_t now_ns) {
  v->now_ns = now_ns;
  rn_wheel_fire(v->timers, now_ns, on_handler_timer, NULL);
  rn_wheel_fire(v->deadlines, now_ns, on_deadline_timer, NULL);
}

uint64_t rn_rpc_server_next_expiry(const struct rn_rpc_server *v) {
  uint64_t a = rn_wheel_next_expiry(v->timers), b = rn_wheel_next_expiry(v->deadlines);
  return a < b ? a : b;
}
const struct rn_rpc_stats *rn_rpc_server_stats(const struct rn_rpc_server *v) { return &v->stats; }

/* ---- stream events ---- */

int rn_rpc_server_stream_open(struct rn_rpc_server *v, struct rn_quic_stream *s) {
  (void)v, (void)s; /* a call starts with its first byte */
  return RN_OK;
}

void rn_rpc_server_stream_data(struct rn_rpc_server *v, struct rn_quic_stream *s,
                               const uint8_t *data, size_t len, bool fin) {
  struct rn_rpc_taken *t = rn_quic_stream_user(s);
  if (t == &answered) {
    rn_quic_stream_consume(s, len);
    return;
  }
  if (t != NULL && t->taker != NULL) {
    t->taker->data(t, s, data, len, fin);
    return;
  }
  struct rn_call *c = (struct rn_call *)t;
  if (c == NULL) {
    if (len == 0 && !fin)
      return;
    set_now(v, s);
    c = call_new(v, s);
    if (c == NULL) {
      rn_quic_stream_set_user(s, &answered);
      rn_quic_stream_consume(s, len);
      rn_quic_stream_stop(s, 0);
      rn_quic_stream_reset(s, 0);
      return;
    }
  } else {
    set_now(v, s);
  }
  enter(c);
  c->uncredited += len;
  if (c->state == CALL_READING)
    request_feed(c, data, len, fin);
  else if (c->state == CALL_STREAMING)
    streaming_feed(c, data, len, fin);
  leave(c);
}

/* Whoever took the stream, or NULL. */
static struct rn_rpc_taken *taken(const struct rn_quic_stream *s) {
  struct rn_rpc_taken *t = rn_quic_stream_user(s);
  return t != NULL && t->taker != NULL ? t : NULL;
}

/* The call behind a stream that nobody took, or NULL when it has none (any more). */
static struct rn_call *call_of(const struct rn_quic_stream *s) {
  struct rn_rpc_taken *t = rn_quic_stream_user(s);
  return t != &answered ? (struct rn_call *)t : NULL;
}

static void cancel_stream(struct rn_rpc_server *v, struct rn_quic_stream *s) {
  struct rn_call *c = call_of(s);
  if (c == NULL || c->state == CALL_DONE)
    return;
  set_now(v, s);
  bool was_busy = c->busy;
  c->busy = true;
  call_cancel(c);
  c->busy = was_busy;
  if (!was_busy)
    call_free(c);
}

/* A stream that is given up before its first byte has no call to end: our half ends here, else the stream stays. */
void rn_rpc_server_stream_reset(struct rn_rpc_server *v, struct rn_quic_stream *s) {
  struct rn_rpc_taken *t = taken(s);
  if (t != NULL) {
    t->taker->reset(t, s);
    return;
  }
  if (rn_quic_stream_user(s) == NULL) {
    rn_quic_stream_set_user(s, &answered);
    rn_quic_stream_reset(s, 0);
    return;
  }
  cancel_stream(v, s);
}
void rn_rpc_server_stream_stop(struct rn_rpc_server *v, struct rn_quic_stream *s) {
  struct rn_rpc_taken *t = taken(s);
  if (t != NULL)
    t->taker->stop(t, s);
  else
    cancel_stream(v, s);
}
void rn_rpc_server_stream_closed(struct rn_rpc_server *v, struct rn_quic_stream *s) {
  struct rn_rpc_taken *t = taken(s);
  if (t != NULL)
    t->taker->closed(t, s);
  else
    cancel_stream(v, s);
}

void rn_rpc_server_stream_writable(struct rn_rpc_server *v, struct rn_quic_stream *s) {
  struct rn_rpc_taken *t = taken(s);
  if (t != NULL) {
    t->taker->writable(t, s);
    return;
  }
  struct rn_call *c = call_of(s);
  if (c == NULL || c->state != CALL_STREAMING || !c->stalled)
    return;
  set_now(v, s);
  enter(c);
  streaming_resume(c);
  leave(c);
}

uint64_t rn_rpc_server_fail_calls(struct rn_rpc_server *v, uint32_t n) {
  return rn_slab_fail_every(v->calls, n);
}
uint64_t rn_rpc_server_fail_bodies(struct rn_rpc_server *v, uint32_t n) {
  return rn_buddy_fail_every(v->bodies, n);
}

int rn_rpc_server_check(const struct rn_rpc_server *v) {
  if (v->stats.calls != rn_slab_in_use(v->calls) ||
      v->stats.body_bytes != rn_buddy_in_use(v->bodies))
    return RN_ERR_STATE;
  bool timed = rn_rpc_server_next_expiry(v) != UINT64_MAX;
  if (timed && v->stats.calls == 0)
    return RN_ERR_STATE;
  if (rn_wheel_check(v->timers) != RN_OK || rn_wheel_check(v->deadlines) != RN_OK)
    return RN_ERR_STATE;
  return rn_buddy_check(v->bodies);
}
