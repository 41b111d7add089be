/* dataplane/serve/forward.c */
#include "dataplane/serve/forward.h"

#include "cluster/balance/budget.h"
#include "dataplane/serve/upstream.h"
#include "util/err.h"
#include "wire/rpc.h"

#define CALLS_MAX      65536u
#define BUFFERS        16384u /* of 4 KiB */
#define REPLAY_BYTES   65536u
#define TRIES          3u
#define WAITERS        4096u
#define WARM_WORKERS   1024u /* with more of them none is dialled before there is a call */
#define AFFINITY_BYTES 64u   /* of the parameters: what makes calls alike */

#define SEAT_BITS 20u
#define SEAT_MASK ((1u << SEAT_BITS) - 1)
#define SEATS                                                                                      \
  (1u << 18) /* two for each call, and room for those that are remembered a while longer */

/* A worker's part in a call. Its number holds the place and how often that was used, so that a number of a while ago is known to be none. Places are used in
 * turn: what was given back last is used last. */
struct seat {
  struct rn_bal_ticket ticket;
  uint32_t used; /* how often */
  uint32_t next; /* free */
  uint16_t route;
};

struct rn_forwarding {
  const struct rn_topo_director *cfg;
  struct rn_director *director;
  struct rn_stats_page *page;
  struct rn_pool *pool;
  struct rn_forward *forward;
  struct rn_forward_route routes[RN_TOPO_ROUTES_MAX];
  struct rn_budget budgets[RN_TOPO_ROUTES_MAX];
  uint32_t route_count;
  uint32_t warm_conns; /* to each worker */
  struct seat *seats;
  uint32_t free_first, free_last, fresh; /* UINT32_MAX: none */
  uint32_t seats_used;
};

/* ---- seats ---- */

static struct seat *seat_take(struct rn_forwarding *f, uint32_t *number) {
  uint32_t place = f->free_first;
  if (f->fresh < SEATS) {
    place = f->fresh++;
    f->seats[place] = (struct seat){ 0 };
  } else if (place == UINT32_MAX) {
    return NULL;
  } else {
    f->free_first = f->seats[place].next;
    f->free_last = f->free_first != UINT32_MAX ? f->free_last : UINT32_MAX;
  }
  struct seat *s = &f->seats[place];
  s->used++;
  *number = place | s->used << SEAT_BITS;
  f->seats_used++;
  return s;
}

static void seat_give(struct rn_forwarding *f, uint32_t number) {
  const uint32_t place = number & SEAT_MASK;
  f->seats[place].next = UINT32_MAX;
  if (f->free_last != UINT32_MAX)
    f->seats[f->free_last].next = place;
  else
    f->free_first = place;
  f->free_last = place;
  f->seats_used--;
}

/* NULL: it has been used for another call since. */
static const struct seat *seat_of(const struct rn_forwarding *f, uint32_t number) {
  const struct seat *s = &f->seats[number & SEAT_MASK];
  return (number ^ s->used << SEAT_BITS) >> SEAT_BITS == 0 ? s : NULL;
}

/* ---- what the forwarder asks ---- */

static struct rn_forward_route *on_route(void *ctx, enum rn_handler_kind kind, const char *name,
                                         size_t len) {
  struct rn_forwarding *f = ctx;
  (void)kind;
  uint32_t idx = rn_director_route(f->director, name, len);
  return idx < f->route_count ? &f->routes[idx] : NULL;
}

/* Calls of one method whose parameters begin alike: neither the number of a call nor the length of what it brings counts. */
static uint64_t affinity_of(const struct rn_forward_question *q) {
  const uint8_t *b = q->head;
  size_t len = q->head_bytes, name_at = 4, name = len >= 4 ? rn_wire_u32(b) : 0, skip = 4;
  if (b == NULL || len < 4)
    return 1;
  /* A unary request has its number first, and then the length of the name in eight octets. */
  if ((name == 0 || name > len - 4 || b[4] == 0) && len >= 16) {
    name = (size_t)rn_wire_u64(b + 8);
    name_at = 16;
    skip = 8;
  }
  if (name > len - name_at)
    return 1;
  uint64_t h = rn_bal_key((const char *)b + name_at, name);
  size_t at = name_at + name + skip;
  size_t n = at < len ? len - at : 0;
  if (n > AFFINITY_BYTES)
    n = AFFINITY_BYTES;
  return n > 0 ? h ^ rn_bal_key((const char *)b + at, n) : h;
}

static int on_pick(void *ctx, const struct rn_forward_question *q, uint32_t *worker,
                   struct rn_addr *addr) {
  struct rn_forwarding *f = ctx;
  const uint32_t idx = (uint32_t)(q->route - f->routes);
  struct rn_bal *b = rn_director_bal(f->director, idx);
  const uint64_t now_ns = rn_quic_now(rn_quic_conn_endpoint(rn_quic_stream_conn(q->client)));
  struct rn_bal_tried tried = { 0 };
  for (uint32_t i = 0; i < q->tried_count; i++) {
    const struct seat *s = seat_of(f, q->tried[i]);
    if (s != NULL)
      rn_bal_tried_add(&tried, s->ticket.key);
  }
  const struct rn_bal_ask ask = { .now_ns = now_ns, .affinity = affinity_of(q), .tried = &tried };
  struct rn_bal_ticket t;
  int err = rn_bal_pick(b, &ask, &t);
  if (err != RN_OK)
    return err;
  struct seat *s = seat_take(f, worker);
  if (s == NULL) {
    rn_bal_done(b, &t, RN_BAL_CANCELLED, now_ns);
    return RN_ERR_LIMIT;
  }
  s->ticket = t;
  s->route = (uint16_t)idx;
  *addr = rn_bal_worker_of(b, &t)->addr;
  if (q->tried_count == 0)
    rn_budget_first(&f->budgets[idx], now_ns);
  return RN_OK;
}

/* The pick counted it already. */
static void on_begun(void *ctx, uint32_t worker) { (void)ctx, (void)worker; }

static void on_ended(void *ctx, uint32_t worker, enum rn_forward_outcome how, uint64_t latency_ns) {
  static const enum rn_bal_outcome outcomes[] = {
    [RN_FORWARD_ANSWERED] = RN_BAL_GOOD,     [RN_FORWARD_UNREACHED] = RN_BAL_BAD,
    [RN_FORWARD_BROKEN] = RN_BAL_BAD,        [RN_FORWARD_LATE] = RN_BAL_BAD,
    [RN_FORWARD_DROPPED] = RN_BAL_CANCELLED,
  };
  struct rn_forwarding *f = ctx;
  struct seat *s = &f->seats[worker & SEAT_MASK];
  struct rn_bal *b = rn_director_bal(f->director, s->route);
  const uint64_t now_ns = rn_forward_now(f->forward);
  RN_ASSERT(seat_of(f, worker) == s);
  if (latency_ns != 0)
    rn_bal_answered(b, &s->ticket, s->ticket.begin_ns + latency_ns);
  rn_bal_done(b, &s->ticket, outcomes[how], now_ns);
  seat_give(f, worker);
}

static bool on_retry(void *ctx, struct rn_forward_route *route) {
  struct rn_forwarding *f = ctx;
  return rn_budget_take(&f->budgets[route - f->routes], rn_forward_now(f->forward)) == RN_OK;
}

static void on_answered(void *ctx, const struct rn_forward_times *t) {
  struct rn_stats_page *page = ((struct rn_forwarding *)ctx)->page;
  rn_stats_hist_add(page, RN_HIST_forward_connect_ns, t->connect_ns, 1);
  rn_stats_hist_add(page, RN_HIST_forward_worker_ns, t->worker_ns, 1);
  rn_stats_hist_add(page, RN_HIST_forward_answer_ns, t->answer_ns, 1);
  if (t->kind == RN_HANDLER_UNARY)
    rn_stats_hist_add(page, RN_HIST_call_ns, t->asked_ns, 1);
}

static const struct rn_forward_ops ops = { .route = on_route,
                                           .pick = on_pick,
                                           .begun = on_begun,
                                           .ended = on_ended,
                                           .may_retry = on_retry,
                                           .answered = on_answered };

/* ---- the object ---- */

static struct rn_forward_limits forward_limits(const struct rn_topo *t) {
  return (struct rn_forward_limits){ .calls = t->rpc.calls < CALLS_MAX ? t->rpc.calls : CALLS_MAX,
                                     .buffers = BUFFERS };
}

struct layout {
  size_t pool, forward, seats, total;
};

static void layout_of(const struct rn_topo *t, struct layout *l) {
  const struct rn_forward_limits fl = forward_limits(t);
  l->pool = (sizeof(struct rn_forwarding) + 63) & ~(size_t)63;
  l->forward = l->pool + rn_upstream_footprint(t);
  l->seats = l->forward + rn_forward_footprint(&fl);
  l->total = (l->seats + SEATS * sizeof(struct seat) + 63) & ~(size_t)63;
}

/* Whether any route is for one worker a call. */
static bool forwards(const struct rn_topo_director *d) {
  for (uint32_t i = 0; i < d->route_count; i++) {
    if (d->routes[i].call_all == 0)
      return true;
  }
  return false;
}

size_t rn_forwarding_footprint(const struct rn_topo *t) {
  if (t->director.enabled == 0 || !forwards(&t->director))
    return 0;
  struct layout l;
  layout_of(t, &l);
  return l.total;
}

static int init_routes(struct rn_forwarding *f, const struct rn_topo_director *d) {
  const struct rn_budget_config budget = rn_budget_defaults();
  int err = RN_OK;
  f->route_count = d->route_count;
  for (uint32_t i = 0; err == RN_OK && i < d->route_count; i++) {
    const struct rn_topo_route *r = &d->routes[i];
    f->routes[i] = (struct rn_forward_route){ .idempotent = r->idempotent != 0,
                                              .tries = TRIES,
                                              .max_in_flight = r->max_in_flight,
                                              .timeout_ns = r->timeout_ns,
                                              .try_timeout_ns = r->try_timeout_ns,
                                              .hedge_ns = r->hedge_ns };
    err = rn_budget_init(&f->budgets[i], &budget);
  }
  return err;
}

int rn_forwarding_init(void *mem, const struct rn_forwarding_params *p,
                       struct rn_forwarding **out) {
  const struct rn_upstream_params up = { .topo = p->topo,
                                         .quic = p->quic,
                                         .local = p->local,
                                         .ctx = p->ctx,
                                         .hash_key = p->hash_key,
                                         .waiters = WAITERS };
  if (rn_forwarding_footprint(p->topo) == 0)
    return RN_ERR_INVAL;
  struct layout l;
  layout_of(p->topo, &l);
  uint8_t *base = mem;
  struct rn_forwarding *f = mem;
  *f = (struct rn_forwarding){ .cfg = &p->topo->director,
                               .director = p->director,
                               .page = p->page,
                               .warm_conns = p->topo->cluster.warm_conns,
                               .seats = (struct seat *)(void *)(base + l.seats),
                               .free_first = UINT32_MAX,
                               .free_last = UINT32_MAX };
  int err = init_routes(f, &p->topo->director);
  if (err == RN_OK)
    err = rn_upstream_init(base + l.pool, &up, &f->pool);
  const struct rn_forward_params fp = { .limits = forward_limits(p->topo),
                                        .config = { .replay_bytes = REPLAY_BYTES },
                                        .quic = p->quic,
                                        .pool = f->pool,
                                        .ops = &ops,
                                        .ctx = f };
  if (err == RN_OK)
    err = rn_forward_init(base + l.forward, &fp, &f->forward);
  if (err != RN_OK)
    return err;
  rn_rpc_server_divert(p->rpc, rn_forward_diversion(f->forward));
  *out = f;
  return RN_OK;
}

struct rn_pool *rn_forwarding_pool(struct rn_forwarding *f) { return f->pool; }
struct rn_forward *rn_forwarding_forward(struct rn_forwarding *f) { return f->forward; }

/* NULL: not known yet, or the route's calls are not forwarded. */
static const struct rn_bal_pool *workers_of(struct rn_forwarding *f, uint32_t route) {
  return f->cfg->routes[route].call_all == 0 ? rn_bal_pool(rn_director_bal(f->director, route))
                                             : NULL;
}

/* Whoever can be called, by any route, is to be connected already. */
static void keep_warm(struct rn_forwarding *f, uint64_t now_ns) {
  uint32_t workers = 0;
  for (uint32_t r = 0; r < f->route_count; r++)
    workers += workers_of(f, r) != NULL ? workers_of(f, r)->count : 0;
  rn_pool_warm_begin(f->pool);
  for (uint32_t r = 0; workers <= WARM_WORKERS && r < f->route_count; r++) {
    const struct rn_bal_pool *pool = workers_of(f, r);
    for (uint32_t i = 0; pool != NULL && i < pool->count; i++)
      rn_pool_warm(f->pool, now_ns, &rn_bal_pool_workers(pool)[i].addr, f->warm_conns);
  }
  rn_pool_warm_end(f->pool, now_ns);
}

void rn_forwarding_changed(struct rn_forwarding *f, uint32_t route, uint64_t now_ns) {
  rn_upstream_revive(f->pool, workers_of(f, route), now_ns);
  if (f->warm_conns > 0)
    keep_warm(f, now_ns);
}

int rn_forwarding_check(const struct rn_forwarding *f) {
  uint32_t free_count = 0;
  for (uint32_t at = f->free_first; at != UINT32_MAX; at = f->seats[at].next) {
    if (at >= f->fresh || ++free_count > f->fresh)
      return RN_ERR_STATE;
  }
  if (free_count + f->seats_used != f->fresh || rn_pool_check(f->pool) != RN_OK)
    return RN_ERR_STATE;
  return rn_forward_check(f->forward);
}
