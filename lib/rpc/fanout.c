/* lib/rpc/fanout.c: memory, clients' calls and their answers. */
#include "rpc/fanout_priv.h"
#include "util/err.h"
#include "wire/bincode.h"

#include <string.h>

#define CALLS_MAX      (1u << 16)
#define ASKS_MAX       (1u << 20)
#define ANSWER_MIN     1024u
#define SIZE_CAP       ((size_t)1 << 30)
#define BLOCK_BYTES    256u
#define VEC_HEAD_BYTES 8u

/* ---- memory ---- */

struct layout {
  size_t client, calls, asks, bodies, out, total, region;
};

static bool limits_ok(const struct rn_fanout_limits *lim) {
  return lim->calls >= 1 && lim->calls <= CALLS_MAX && lim->asks >= 1 && lim->asks <= ASKS_MAX &&
         lim->answer_bytes >= ANSWER_MIN && lim->answer_bytes <= SIZE_CAP &&
         lim->body_bytes >= 65536 && lim->body_bytes <= 2 * SIZE_CAP;
}

static struct rn_rpc_client_limits client_limits(const struct rn_fanout_limits *lim) {
  return (struct rn_rpc_client_limits){ .calls = lim->asks, .body_bytes = lim->body_bytes };
}

static size_t place(size_t *at, size_t bytes) {
  size_t here = (*at + 63) & ~(size_t)63;
  *at = here + bytes;
  return here;
}

static void layout_of(const struct rn_fanout_limits *lim, struct layout *l) {
  const struct rn_rpc_client_limits cl = client_limits(lim);
  size_t at = sizeof(struct rn_fanout);
  l->region = (lim->body_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
  l->client = place(&at, rn_rpc_client_footprint(&cl));
  l->calls = place(&at, rn_slab_footprint(sizeof(struct fan), lim->calls));
  l->asks = place(&at, rn_slab_footprint(sizeof(struct fan_ask), lim->asks));
  l->bodies = place(&at, rn_buddy_footprint(l->region, BLOCK_BYTES));
  l->out = place(&at, lim->answer_bytes);
  l->total = (at + 63) & ~(size_t)63;
}

size_t rn_fanout_footprint(const struct rn_fanout_limits *lim) {
  if (!limits_ok(lim))
    return 0;
  struct layout l;
  layout_of(lim, &l);
  return l.total;
}

int rn_fanout_init(void *mem, const struct rn_fanout_params *p, struct rn_fanout **out) {
  if (!limits_ok(&p->limits) || p->quic == NULL || p->pool == NULL || p->ops == NULL)
    return RN_ERR_INVAL;
  const struct rn_rpc_client_limits cl = client_limits(&p->limits);
  struct layout l;
  layout_of(&p->limits, &l);
  uint8_t *base = mem;
  struct rn_fanout *f = mem;
  *f = (struct rn_fanout){ .quic = p->quic,
                           .pool = p->pool,
                           .ops = p->ops,
                           .ctx = p->ctx,
                           .lim = p->limits,
                           .out = base + l.out };
  int err = rn_rpc_client_init(base + l.client, &cl, p->limits.answer_bytes, &f->client);
  if (err != RN_OK)
    return err;
  rn_slab_init(base + l.calls, sizeof(struct fan), p->limits.calls, &f->slab);
  rn_slab_init(base + l.asks, sizeof(struct fan_ask), p->limits.asks, &f->asks);
  rn_buddy_init(base + l.bodies, l.region, BLOCK_BYTES, &f->bodies);
  rn_list_init(&f->fans);
  *out = f;
  return RN_OK;
}

/* ---- calls that do not get so far ---- */

static void refuse(struct rn_fanout *f, struct rn_call *c, const char *text, uint64_t *counter) {
  ++*counter;
  f->stats.errors++;
  rn_call_error(c, text, strlen(text));
}

static void refuse_overloaded(struct rn_fanout *f, struct rn_call *c) {
  refuse(f, c, "Internal error: server overloaded", &f->stats.errors_overload);
}

/* ---- clients' calls ---- */

/* As for the server's own calls: the last quarter is kept for connections that have few. */
static struct fan *fan_new(struct rn_fanout *f, struct rn_fanout_route *r, struct rn_call *c) {
  const uint32_t kept = f->lim.calls / 4;
  bool may = rn_slab_free_count(f->slab) > kept || !rn_quic_conn_above_share(rn_call_conn(c), kept);
  struct fan *k = may ? rn_slab_take(f->slab) : NULL;
  if (k == NULL) {
    f->stats.call_limit++;
    return NULL;
  }
  *k = (struct fan){ .f = f, .route = r, .call = c, .bytes = VEC_HEAD_BYTES };
  rn_list_init(&k->asks);
  rn_list_push_back(&f->fans, &k->node);
  r->in_flight++;
  f->stats.in_flight++;
  return k;
}

static void fan_free(struct fan *k) {
  struct rn_fanout *f = k->f;
  while (!rn_list_empty(&k->asks))
    ask_free(RN_LIST_ENTRY(k->asks.next, struct fan_ask, node));
  rn_list_remove(&k->node);
  k->route->in_flight--;
  f->stats.in_flight--;
  rn_slab_give(f->slab, k);
}

/* Bincode: the count, then the id, the Result's tag (0: Ok) and its bytes, or text, of each. */
static size_t encode(const struct fan *k) {
  const struct rn_fanout *f = k->f;
  struct rn_bin_writer w = { .buf = f->out, .cap = f->lim.answer_bytes };
  uint64_t count = 0;
  for (const struct rn_list *n = k->asks.next; n != &k->asks; n = n->next)
    count++;
  rn_bin_put_u64(&w, count);
  for (const struct rn_list *n = k->asks.next; n != &k->asks; n = n->next) {
    const struct fan_ask *a = RN_LIST_ENTRY(n, struct fan_ask, node);
    rn_bin_put_str(&w, a->id, a->id_bytes);
    rn_bin_put_u32(&w, !a->good);
    rn_bin_put_str(&w, (const char *)a->answer, a->answer_bytes);
  }
  RN_ASSERT(w.err == RN_OK && w.len <= k->bytes); /* ask_room was set aside */
  return w.len;
}

void fan_settle(struct fan *k) {
  struct rn_fanout *f = k->f;
  if (--k->pending > 0)
    return;
  struct rn_call *c = k->call;
  const size_t len = encode(k);
  f->stats.answered++;
  fan_free(k);
  rn_call_reply(c, f->out, len);
}

/* Runs fn on each ask, of which any may be the last to be settled. */
static void for_each_ask(struct fan *k, void (*fn)(struct fan_ask *a)) {
  k->pending++;
  for (struct rn_list *n = k->asks.next; n != &k->asks; n = n->next)
    fn(RN_LIST_ENTRY(n, struct fan_ask, node));
  fan_settle(k);
}

/* All that r has now. RN_OK; RN_ERR_TOOBIG: there is no answer that would hold their names; RN_ERR_LIMIT. */
static int add_workers(struct fan *k, uint32_t count) {
  struct rn_fanout *f = k->f;
  struct rn_fanout_worker w;
  for (; k->pending < count; k->pending++) {
    f->ops->worker(f->ctx, k->route, k->pending, &w);
    const size_t bytes = ask_room(w.id_bytes);
    if (bytes > f->lim.answer_bytes - k->bytes)
      return RN_ERR_TOOBIG;
    if (!ask_add(k, &w)) {
      f->stats.ask_limit++;
      return RN_ERR_LIMIT;
    }
    k->bytes += bytes;
  }
  return RN_OK;
}

static void begin(struct rn_fanout *f, struct rn_fanout_route *r, struct rn_call *c, size_t len,
                  uint32_t count) {
  struct fan *k = fan_new(f, r, c);
  if (k == NULL) {
    refuse_overloaded(f, c);
    return;
  }
  int err = add_workers(k, count);
  if (err == RN_OK)
    err = rn_call_hold(c, &k->params);
  if (err != RN_OK) {
    fan_free(k);
    if (err == RN_ERR_TOOBIG)
      refuse(f, c, "Internal error: too many workers for one answer", &f->stats.errors_workers);
    else
      refuse_overloaded(f, c);
    return;
  }
  k->params_bytes = len;
  *(struct fan **)rn_call_scratch(c) = k;
  if (r->timeout_ns != 0)
    rn_call_timer(c, rn_call_now(c) + r->timeout_ns);
  for_each_ask(k, ask_begin);
}

static struct rn_fanout_route *route_of(const struct rn_call *c) {
  return RN_LIST_ENTRY(rn_call_handler(c), struct rn_fanout_route, handler);
}

static void on_request(struct rn_call *c, const uint8_t *params, size_t len) {
  struct rn_fanout_route *r = route_of(c);
  struct rn_fanout *f = r->fanout;
  const uint32_t count = f->ops->count(f->ctx, r);
  (void)params; /* rn_call_hold has them */
  f->stats.calls++;
  if (count == 0) {
    refuse(f, c, "Stream error: No workers available", &f->stats.errors_no_worker);
  } else if (r->max_in_flight != 0 && r->in_flight >= r->max_in_flight) {
    refuse(f, c, "Internal error: server overloaded", &f->stats.errors_route);
  } else if (count > rn_slab_free_count(f->asks)) {
    f->stats.ask_limit++;
    refuse_overloaded(f, c);
  } else {
    begin(f, r, c, len, count);
  }
}

static void on_timer(struct rn_call *c) {
  for_each_ask(*(struct fan **)rn_call_scratch(c), ask_late);
}

static void on_cancel(struct rn_call *c) {
  struct fan *k = *(struct fan **)rn_call_scratch(c);
  k->f->stats.cancelled++;
  fan_free(k);
}

int rn_fanout_serve(struct rn_fanout *f, struct rn_rpc_server *v, const char *method,
                    struct rn_fanout_route *r) {
  r->fanout = f;
  r->handler = (struct rn_handler){ .name = method,
                                    .kind = RN_HANDLER_UNARY,
                                    .keeps_time = true,
                                    .request = on_request,
                                    .timer = on_timer,
                                    .cancel = on_cancel };
  return rn_rpc_server_replace(v, &r->handler);
}

/* ---- events of workers' streams ---- */

void rn_fanout_stream_data(struct rn_fanout *f, struct rn_quic_stream *s, const uint8_t *data,
                           size_t len, bool fin) {
  rn_rpc_client_stream_data(f->client, s, data, len, fin);
}
void rn_fanout_stream_reset(struct rn_fanout *f, struct rn_quic_stream *s) {
  rn_rpc_client_stream_reset(f->client, s);
}
void rn_fanout_stream_writable(struct rn_fanout *f, struct rn_quic_stream *s) {
  rn_rpc_client_stream_writable(f->client, s);
}
void rn_fanout_stream_closed(struct rn_fanout *f, struct rn_quic_stream *s) {
  rn_pool_stream_closed(rn_quic_stream_conn(s));
  rn_rpc_client_stream_closed(f->client, s);
}

/* ---- looking ---- */

const struct rn_fanout_stats *rn_fanout_stats(struct rn_fanout *f) {
  f->stats.kept_bytes = rn_buddy_in_use(f->bodies);
  return &f->stats;
}

uint64_t rn_fanout_fail_calls(struct rn_fanout *f, uint32_t n) {
  return rn_slab_fail_every(f->slab, n);
}
uint64_t rn_fanout_fail_asks(struct rn_fanout *f, uint32_t n) {
  return rn_slab_fail_every(f->asks, n);
}
uint64_t rn_fanout_fail_bodies(struct rn_fanout *f, uint32_t n) {
  return rn_buddy_fail_every(f->bodies, n) + rn_rpc_client_fail_bodies(f->client, n);
}
