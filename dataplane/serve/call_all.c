/* dataplane/serve/call_all.c */
#include "dataplane/serve/call_all.h"

#include <assert.h>

#include "dataplane/serve/upstream.h"
#include "util/err.h"

#define CALLS_MAX  1024u
#define ASKS_MAX   16384u /* workers asked at a time: every one of the largest route 16 times */
#define ANSWER_MAX (16u << 20)
#define ANSWER_MIN 1024u
#define BODY_BYTES (64u << 20)

static_assert(RN_BAL_ID_MAX <= RN_FANOUT_ID_MAX, "names of workers fit");
static_assert(ASKS_MAX >= RN_DIRECTOR_WORKERS, "each of them can be asked");

struct rn_call_all {
  struct rn_director *director;
  struct rn_pool *pool;
  struct rn_fanout *fanout;
  uint32_t route_count;
  uint32_t route_idx[RN_TOPO_ROUTES_MAX]; /* of the director's */
  struct rn_fanout_route routes[RN_TOPO_ROUTES_MAX];
};

/* ---- what the fan-out asks ---- */

static const struct rn_bal_pool *workers_of(const struct rn_call_all *a,
                                            const struct rn_fanout_route *r) {
  return rn_bal_pool(rn_director_bal(a->director, a->route_idx[r - a->routes]));
}

static uint32_t on_count(void *ctx, const struct rn_fanout_route *r) {
  const struct rn_bal_pool *pool = workers_of(ctx, r);
  return pool != NULL ? pool->count : 0;
}

static void on_worker(void *ctx, const struct rn_fanout_route *r, uint32_t n,
                      struct rn_fanout_worker *out) {
  const struct rn_bal_pool *pool = workers_of(ctx, r);
  const struct rn_bal_worker *w = &rn_bal_pool_workers(pool)[n];
  *out = (struct rn_fanout_worker){ rn_bal_pool_text(pool, w), w->text_len, w->addr };
}

static const struct rn_fanout_ops ops = { .count = on_count, .worker = on_worker };

/* ---- the object ---- */

static uint32_t routes_of(const struct rn_topo_director *d) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < d->route_count; i++)
    n += d->routes[i].call_all;
  return n;
}

static uint32_t at_most(uint64_t value, uint32_t most) {
  return value < most ? (uint32_t)value : most;
}

/* The server would refuse an answer that is larger than its own may be. */
static struct rn_fanout_limits fanout_limits(const struct rn_topo *t) {
  const uint32_t most = at_most(t->rpc.response_bytes_max, ANSWER_MAX);
  return (struct rn_fanout_limits){ .calls = at_most(t->rpc.calls, CALLS_MAX),
                                    .asks = ASKS_MAX,
                                    .answer_bytes = most > ANSWER_MIN ? most : ANSWER_MIN,
                                    .body_bytes = BODY_BYTES };
}

struct layout {
  size_t pool, fanout, total;
};

static void layout_of(const struct rn_topo *t, struct layout *l) {
  const struct rn_fanout_limits fl = fanout_limits(t);
  l->pool = (sizeof(struct rn_call_all) + 63) & ~(size_t)63;
  l->fanout = l->pool + rn_upstream_footprint(t);
  l->total = l->fanout + rn_fanout_footprint(&fl);
}

size_t rn_call_all_footprint(const struct rn_topo *t) {
  if (t->director.enabled == 0 || routes_of(&t->director) == 0)
    return 0;
  struct layout l;
  layout_of(t, &l);
  return l.total;
}

static int serve(struct rn_call_all *a, const struct rn_topo_director *d, struct rn_rpc_server *v) {
  int err = RN_OK;
  for (uint32_t i = 0; err == RN_OK && i < d->route_count; i++) {
    if (d->routes[i].call_all == 0)
      continue;
    struct rn_fanout_route *r = &a->routes[a->route_count];
    *r = (struct rn_fanout_route){ .max_in_flight = d->routes[i].max_in_flight,
                                   .timeout_ns = d->routes[i].timeout_ns };
    a->route_idx[a->route_count++] = i;
    err = rn_fanout_serve(a->fanout, v, d->routes[i].method, r);
  }
  return err;
}

int rn_call_all_init(void *mem, const struct rn_call_all_params *p, struct rn_call_all **out) {
  if (rn_call_all_footprint(p->topo) == 0)
    return RN_ERR_INVAL;
  struct layout l;
  layout_of(p->topo, &l);
  uint8_t *base = mem;
  struct rn_call_all *a = mem;
  *a = (struct rn_call_all){ .director = p->director };
  const struct rn_upstream_params up = { .topo = p->topo,
                                         .quic = p->quic,
                                         .local = p->local,
                                         .ctx = p->ctx,
                                         .hash_key = p->hash_key,
                                         .waiters = ASKS_MAX };
  int err = rn_upstream_init(base + l.pool, &up, &a->pool);
  const struct rn_fanout_params fp = {
    .limits = fanout_limits(p->topo), .quic = p->quic, .pool = a->pool, .ops = &ops, .ctx = a
  };
  if (err == RN_OK)
    err = rn_fanout_init(base + l.fanout, &fp, &a->fanout);
  if (err == RN_OK)
    err = serve(a, &p->topo->director, p->rpc);
  if (err != RN_OK)
    return err;
  *out = a;
  return RN_OK;
}

struct rn_pool *rn_call_all_pool(struct rn_call_all *a) { return a->pool; }
struct rn_fanout *rn_call_all_fanout(struct rn_call_all *a) { return a->fanout; }

void rn_call_all_changed(struct rn_call_all *a, uint32_t route, uint64_t now_ns) {
  for (uint32_t k = 0; k < a->route_count; k++) {
    if (a->route_idx[k] == route)
      rn_upstream_revive(a->pool, workers_of(a, &a->routes[k]), now_ns);
  }
}

int rn_call_all_check(const struct rn_call_all *a) {
  return rn_pool_check(a->pool) == RN_OK ? rn_fanout_check(a->fanout) : RN_ERR_STATE;
}
