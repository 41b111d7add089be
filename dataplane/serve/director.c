/* dataplane/serve/director.c: snapshots come in, and stand until the next. */
#include "dataplane/serve/director_priv.h"
#include "util/err.h"

#include <string.h>

/* ---- memory ---- */

static uint32_t count_of(const struct rn_topo_director *cfg) { return cfg->route_count + 1; }

static size_t snapshot_bytes(void) {
  return (rn_bal_pool_bytes(RN_DIRECTOR_WORKERS, RN_DIRECTOR_WORKERS * RN_BAL_ID_MAX) + 63) &
         ~(size_t)63;
}

struct layout {
  size_t load, leases, by_id, routes, total, bal;
};

static void layout_of(const struct rn_topo_director *cfg, struct layout *l) {
  l->load = (sizeof(struct rn_director) + 63) & ~(size_t)63;
  l->leases = l->load + rn_load_footprint(RN_DIRECTOR_SLOTS);
  l->by_id = l->leases + ((LEASES_MAX * sizeof(struct lease) + 63) & ~(size_t)63);
  l->routes = l->by_id + LEASE_HEADS * sizeof(uint32_t);
  l->bal = rn_bal_footprint(RN_DIRECTOR_WORKERS);
  l->total = l->routes + count_of(cfg) * (l->bal + 2 * snapshot_bytes());
}

size_t rn_director_footprint(const struct rn_topo_director *cfg) {
  if (cfg->enabled == 0)
    return 0;
  struct layout l;
  layout_of(cfg, &l);
  return l.total;
}

static int init_route(struct rn_director *d, uint32_t idx, uint8_t *mem, size_t bal_bytes,
                      uint64_t seed) {
  const struct rn_topo_director *cfg = d->cfg;
  const bool routed = idx < cfg->route_count;
  struct target *t = &d->targets[idx];
  struct rn_bal_config c =
      rn_bal_defaults(rn_bal_strategies[routed ? cfg->routes[idx].strategy : cfg->strategy]);
  if (routed) {
    const struct rn_topo_route *r = &cfg->routes[idx];
    struct rn_route route = { .strategy = (uint8_t)r->strategy, .call_all = r->call_all != 0 };
    c.near_first = r->near_first != 0;
    int err = rn_route_set_pattern(&route, r->method, strlen(r->method));
    if (err == RN_OK)
      err = rn_routes_add(&d->routes, &route);
    if (err != RN_OK)
      return err;
  }
  t->snapshot[0] = mem + bal_bytes;
  t->snapshot[1] = mem + bal_bytes + snapshot_bytes();
  return rn_bal_init(mem, RN_DIRECTOR_WORKERS, &c, d->load, seed + idx, &t->bal);
}

int rn_director_init(void *mem, const struct rn_topo_director *cfg, void *shared, uint32_t lcores,
                     uint32_t lcore_idx, uint64_t seed, struct rn_director **out) {
  if (cfg->enabled == 0)
    return RN_ERR_INVAL;
  struct layout l;
  layout_of(cfg, &l);
  uint8_t *base = mem;
  struct rn_director *d = mem;
  *d = (struct rn_director){ .cfg = cfg };
  int err = rn_load_init(base + l.load, shared, lcores, RN_DIRECTOR_SLOTS, lcore_idx, &d->load);
  for (uint32_t i = 0; err == RN_OK && i < count_of(cfg); i++)
    err = init_route(d, i, base + l.routes + i * (l.bal + 2 * snapshot_bytes()), l.bal, seed);
  if (err != RN_OK)
    return err;
  leases_init(d, (struct lease *)(void *)(base + l.leases), (uint32_t *)(void *)(base + l.by_id),
              seed);
  *out = d;
  return RN_OK;
}

/* ---- snapshots ---- */

static int bad(struct rn_director *d, struct target *t) {
  d->stats.snapshots_bad++;
  t->got = 0;
  return RN_ERR_CORRUPT;
}

/* Pieces come in order, for the ring keeps it; another version begins anew. Until the last one is there and has been checked, the one before stands. */
int rn_director_pool(struct rn_director *d, const struct rn_msg_pool *m, const uint8_t *tail,
                     size_t tail_bytes) {
  if (m->route >= count_of(d->cfg)) {
    d->stats.snapshots_bad++;
    return RN_ERR_CORRUPT;
  }
  struct target *t = &d->targets[m->route];
  uint8_t *next = t->snapshot[!t->current];
  if (m->offset == 0) {
    d->stats.snapshots_bad += t->got != 0;
    t->got = 0;
    t->version = m->version;
  }
  if (m->version != t->version || m->offset != t->got || m->bytes > snapshot_bytes() ||
      tail_bytes == 0 || tail_bytes > m->bytes - t->got)
    return bad(d, t);
  memcpy(next + t->got, tail, tail_bytes);
  t->got += (uint32_t)tail_bytes;
  if (t->got < m->bytes)
    return RN_OK;
  if (rn_bal_pool_check(next, m->bytes) != RN_OK)
    return bad(d, t);
  int err = rn_bal_adopt(t->bal, (const struct rn_bal_pool *)(const void *)next);
  t->got = 0;
  if (err == RN_ERR_STATE) /* a control process that is on its way out */
    return RN_OK;
  if (err != RN_OK)
    return bad(d, t);
  t->current = !t->current;
  d->stats.snapshots++;
  return RN_OK;
}

/* What is asked of this node itself, whoever else could answer it: only a route that names it sends it on. */
static bool is_own(const struct rn_director *d, const char *method, size_t len) {
  static const char *const own[] = { "health", "ready", "DirectorRegistry.get_worker" };
  const size_t count = d->cfg->get_worker != 0 ? 3 : 2;
  for (size_t i = 0; i < count; i++) {
    if (strlen(own[i]) == len && memcmp(own[i], method, len) == 0)
      return true;
  }
  return false;
}

uint32_t rn_director_route(const struct rn_director *d, const char *method, size_t len) {
  uint32_t idx = rn_routes_match(&d->routes, method, len);
  if (idx != RN_ROUTE_NONE && d->routes.route[idx].call_all) /* the server has a handler for it */
    return RN_ROUTE_NONE;
  if (idx == RN_ROUTE_NONE || d->routes.route[idx].pattern_len == len || !is_own(d, method, len))
    return idx;
  return RN_ROUTE_NONE;
}

struct rn_bal *rn_director_bal(struct rn_director *d, uint32_t idx) { return d->targets[idx].bal; }

/* ---- looking ---- */

const struct rn_director_stats *rn_director_stats(struct rn_director *d) {
  struct rn_director_stats *s = &d->stats;
  s->picks = s->picks_none = s->ejected = s->spared = s->readmitted = 0;
  for (uint32_t i = 0; i < count_of(d->cfg); i++) {
    const struct rn_bal_stats *b = rn_bal_stats(d->targets[i].bal);
    s->picks += b->picks;
    s->picks_none += b->none;
    s->ejected += b->ejected;
    s->spared += b->spared;
    s->readmitted += b->readmitted;
  }
  const struct rn_bal_pool *pool = rn_bal_pool(d->targets[d->cfg->route_count].bal);
  s->workers = pool != NULL ? pool->count : 0;
  return s;
}

int rn_director_check(const struct rn_director *d) {
  for (uint32_t i = 0; i < count_of(d->cfg); i++) {
    if (rn_bal_check(d->targets[i].bal) != RN_OK)
      return RN_ERR_STATE;
  }
  return rn_load_check(d->load) == RN_OK ? leases_check(d) : RN_ERR_STATE;
}
