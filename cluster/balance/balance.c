/* cluster/balance/balance.c: the object: snapshots, who can be chosen, calls that begin and end. */
#include "cluster/balance/balance.h"

#include <string.h>

#include "cluster/balance/balance_priv.h"
#include "util/err.h"

#define NEVER_NS UINT64_MAX

const struct rn_bal_strategy *const rn_bal_strategies[RN_BAL_STRATEGIES] = {
  &rn_bal_round_robin, &rn_bal_random,          &rn_bal_least_connections,      &rn_bal_p2c_ewma,
  &rn_bal_weighted,    &rn_bal_consistent_hash, &rn_bal_consistent_hash_bounded
};

const struct rn_bal_strategy *rn_bal_strategy_named(const char *name, size_t len) {
  for (uint32_t i = 0; i < RN_BAL_STRATEGIES; i++) {
    const char *have = rn_bal_strategies[i]->name;
    if (strlen(have) == len && memcmp(have, name, len) == 0)
      return rn_bal_strategies[i];
  }
  return NULL;
}

struct rn_bal_config rn_bal_defaults(const struct rn_bal_strategy *strategy) {
  return (struct rn_bal_config){ .strategy = strategy,
                                 .decay_ns = 1000000000u,
                                 .outlier = rn_outlier_defaults() };
}

/* ---- memory ---- */

/* Memory, or without it how much of it is needed. */
struct room {
  char *mem; /* or NULL */
  size_t used;
};

static void *carve(struct room *r, size_t bytes, uint32_t n) {
  void *p = r->mem != NULL ? r->mem + r->used : NULL;
  r->used += (bytes * n + 63) & ~(size_t)63;
  return p;
}

static size_t lay_out(struct rn_bal *b, void *mem, uint32_t workers) {
  struct room at = { mem, 0 };
  uint32_t arcs = 2;
  while (arcs < 2 * RN_BAL_POINTS * workers)
    arcs *= 2;
  carve(&at, sizeof(*b), 1);
  b->items = carve(&at, sizeof(struct item), workers);
  b->spare = carve(&at, sizeof(struct item), workers);
  b->slots = carve(&at, sizeof(uint16_t), workers);
  b->set.at = carve(&at, sizeof(uint16_t), workers);
  b->rest.at = carve(&at, sizeof(uint16_t), workers);
  b->turns = carve(&at, sizeof(struct turn), workers);
  b->ring = carve(&at, sizeof(uint64_t), workers * RN_BAL_POINTS);
  b->ring_first = carve(&at, sizeof(uint16_t), arcs);
  return at.used;
}

static bool workers_fit(uint32_t workers) { return workers >= 1 && workers <= RN_BAL_WORKERS_MAX; }

size_t rn_bal_footprint(uint32_t workers) {
  struct rn_bal b;
  return workers_fit(workers) ? lay_out(&b, NULL, workers) : 0;
}

static int config_check(const struct rn_bal_config *cfg) {
  if (cfg->strategy == NULL || cfg->decay_ns == 0)
    return RN_ERR_INVAL;
  return rn_outlier_config_check(&cfg->outlier);
}

int rn_bal_init(void *mem, uint32_t workers, const struct rn_bal_config *cfg, struct rn_load *load,
                uint64_t seed, struct rn_bal **out) {
  if (!workers_fit(workers) || load == NULL || config_check(cfg) != RN_OK)
    return RN_ERR_INVAL;
  struct rn_bal *b = mem;
  memset(b, 0, sizeof(*b));
  lay_out(b, mem, workers);
  b->capacity = workers;
  b->cfg = *cfg;
  b->load = load;
  b->wake_ns = NEVER_NS;
  rn_rng_init(&b->rng, seed);
  b->turn_now = rn_rng_next(&b->rng);
  *out = b;
  return RN_OK;
}

int rn_bal_configure(struct rn_bal *b, const struct rn_bal_config *cfg) {
  int err = config_check(cfg);
  if (err != RN_OK)
    return err;
  b->cfg = *cfg;
  b->dirty = true;
  return RN_OK;
}

/* ---- snapshots ---- */

/* Both are ordered by key: what is known of those who stay goes along. */
static void carry_over(struct rn_bal *b, const struct rn_bal_pool *pool) {
  const struct rn_bal_worker *w = rn_bal_pool_workers(pool);
  struct item *old = b->items, *items = b->spare;
  uint32_t old_count = b->pool != NULL ? b->pool->count : 0;
  b->open_count = 0;
  for (uint32_t i = 0, from = 0; i < pool->count; i++) {
    while (from < old_count && old[from].key < w[i].key)
      from++;
    if (from < old_count && old[from].key == w[i].key)
      items[i] = old[from];
    else
      items[i] = (struct item){ .key = w[i].key, .since = pool->version, .turn = b->turn_now - 1 };
    items[i].weight = w[i].weight;
    b->slots[i] = w[i].slot;
    b->open_count += items[i].open_count;
    rn_load_claim(b->load, w[i].slot, w[i].key);
  }
  b->items = items;
  b->spare = old;
}

/* Round robin goes on with whoever would have been next. */
static uint32_t cursor_in(const struct rn_bal *b, const struct rn_bal_pool *pool) {
  const struct rn_bal_worker *w = rn_bal_pool_workers(pool);
  if (b->pool == NULL || b->pool->count == 0 || b->cursor >= b->pool->count)
    return 0;
  uint32_t at = 0;
  while (at < pool->count && w[at].key < b->items[b->cursor].key)
    at++;
  return at;
}

int rn_bal_adopt(struct rn_bal *b, const struct rn_bal_pool *pool) {
  const struct rn_bal_worker *w = rn_bal_pool_workers(pool);
  if (b->pool != NULL && pool->version <= b->version)
    return RN_ERR_STATE;
  if (pool->count > b->capacity)
    return RN_ERR_TOOBIG;
  for (uint32_t i = 0; i < pool->count; i++)
    if (w[i].slot >= b->load->slots)
      return RN_ERR_INVAL;
  if (b->pool != NULL && b->pool->count > 0)
    b->cursor = cursor_in(b, pool);
  else /* not all lcores with the first one */
    b->cursor = pool->count > 0 ? (uint32_t)rn_rng_below(&b->rng, pool->count) : 0;
  carry_over(b, pool);
  b->pool = pool;
  b->version = pool->version;
  b->dirty = true;
  return RN_OK;
}

/* ---- who can be chosen ---- */

static void set_clear(struct rn_bal_set *s) {
  s->count = 0;
  memset(s->bits, 0, sizeof(s->bits));
}

static void set_add(struct rn_bal_set *s, uint32_t idx) {
  s->bits[idx / 64] |= (uint64_t)1 << (idx % 64);
  s->at[s->count++] = (uint16_t)idx;
}

static bool let_in(const struct rn_bal *b, const struct rn_bal_worker *w, uint32_t idx) {
  if ((w->flags & RN_BAL_DRAINING) != 0)
    return false;
  return b->panic ||
         ((w->flags & RN_BAL_EJECTED) == 0 && rn_outlier_lets_in(&b->items[idx].outlier));
}

/* All that can be used, or those near of them. */
static void fill(const struct rn_bal *b, struct rn_bal_set *s, bool near) {
  const struct rn_bal_worker *w = rn_bal_pool_workers(b->pool);
  set_clear(s);
  for (uint32_t i = 0; i < b->pool->count; i++)
    if (let_in(b, &w[i], i) && (!near || (w[i].flags & RN_BAL_NEAR) != 0))
      set_add(s, i);
}

/* How many are ejected, and until when the first of them. */
static void survey(struct rn_bal *b, uint64_t now_ns) {
  const struct rn_bal_worker *w = rn_bal_pool_workers(b->pool);
  b->eligible = b->out = 0;
  b->wake_ns = NEVER_NS;
  for (uint32_t i = 0; i < b->pool->count; i++) {
    struct rn_outlier *o = &b->items[i].outlier;
    rn_outlier_due(o, now_ns);
    if (o->state == RN_OUTLIER_OUT && o->until_ns < b->wake_ns)
      b->wake_ns = o->until_ns;
    if ((w[i].flags & RN_BAL_DRAINING) != 0)
      continue;
    b->eligible++;
    b->out += (w[i].flags & RN_BAL_EJECTED) != 0 || o->state != RN_OUTLIER_IN;
  }
  b->panic = 2 * b->out > b->eligible;
}

static bool has_near(const struct rn_bal_pool *p) {
  const struct rn_bal_worker *w = rn_bal_pool_workers(p);
  for (uint32_t i = 0; i < p->count; i++)
    if ((w[i].flags & RN_BAL_NEAR) != 0)
      return true;
  return false;
}

static void renew(struct rn_bal *b, uint64_t now_ns) {
  survey(b, now_ns);
  fill(b, &b->set, b->cfg.near_first);
  b->away = b->cfg.near_first && b->set.count == 0 && has_near(b->pool);
  if (b->cfg.near_first && b->set.count == 0)
    fill(b, &b->set, false);
  b->set_open = 0;
  for (uint32_t i = 0; i < b->set.count; i++)
    b->set_open += b->items[b->set.at[i]].open_count;
  b->dirty = false;
  if (b->cfg.strategy->changed != NULL)
    b->cfg.strategy->changed(b);
}

static void leave_out(const struct rn_bal *b, struct rn_bal_set *s,
                      const struct rn_bal_tried *tried) {
  for (uint32_t i = 0; i < tried->count && i < RN_BAL_TRIED_MAX; i++) {
    uint32_t idx = rn_bal_pool_find(b->pool, tried->key[i]);
    if (idx < b->pool->count)
      s->bits[idx / 64] &= ~((uint64_t)1 << (idx % 64));
  }
  s->count = 0;
  for (uint32_t w = 0; w <= (b->pool->count - 1) / 64; w++)
    for (uint64_t bits = s->bits[w]; bits != 0; bits &= bits - 1)
      s->at[s->count++] = (uint16_t)(w * 64 + (uint32_t)__builtin_ctzll(bits));
}

/* The usual set without those that were tried; for want of others, of all zones. */
static const struct rn_bal_set *without(struct rn_bal *b, const struct rn_bal_tried *tried) {
  bool any = false;
  for (uint32_t i = 0; i < tried->count && i < RN_BAL_TRIED_MAX && !any; i++) {
    uint32_t idx = rn_bal_pool_find(b->pool, tried->key[i]);
    any = idx < b->pool->count && set_has(&b->set, idx);
  }
  if (!any)
    return &b->set;
  b->stats.again++;
  memcpy(b->rest.bits, b->set.bits, sizeof(b->rest.bits));
  leave_out(b, &b->rest, tried);
  if (b->rest.count == 0 && b->cfg.near_first && !b->away) {
    fill(b, &b->rest, false);
    leave_out(b, &b->rest, tried);
  }
  return &b->rest;
}

/* ---- calls ---- */

static void begin(struct rn_bal *b, uint32_t idx, uint64_t now_ns, struct rn_bal_ticket *t) {
  struct item *it = &b->items[idx];
  *t = (struct rn_bal_ticket){ .key = it->key,
                               .version = b->version,
                               .begin_ns = now_ns,
                               .idx = (uint16_t)idx,
                               .slot = b->slots[idx] };
  t->counted = rn_load_begin(b->load, t->slot, it->key, &t->generation);
  b->stats.uncounted += !t->counted;
  it->open_count++;
  b->open_count++;
  b->in_flight++;
  b->set_open += set_has(&b->set, idx);
  if (__builtin_expect(it->outlier.state != RN_OUTLIER_IN, 0) && rn_outlier_probe(&it->outlier)) {
    t->probe = true;
    b->stats.probes++;
    b->dirty = true; /* nobody else, until it is back */
  }
}

int rn_bal_pick(struct rn_bal *b, const struct rn_bal_ask *ask, struct rn_bal_ticket *out) {
  if (b->pool == NULL || b->pool->count == 0) {
    b->stats.none++;
    return RN_ERR_NOENT;
  }
  if (b->cfg.max_open > 0 && b->in_flight >= b->cfg.max_open) {
    b->stats.limit++;
    return RN_ERR_LIMIT;
  }
  if (b->dirty || ask->now_ns >= b->wake_ns)
    renew(b, ask->now_ns);
  const struct rn_bal_set *set = &b->set;
  if (ask->tried != NULL && ask->tried->count > 0)
    set = without(b, ask->tried);
  if (set->count == 0) {
    b->stats.none++;
    return RN_ERR_NOENT;
  }
  uint32_t idx = set->count == 1 ? set->at[0] : b->cfg.strategy->pick(b, set, ask);
  b->stats.picks++;
  b->stats.panic += b->panic;
  if (b->cfg.near_first)
    b->stats.spilled +=
        b->away ||
        (set != &b->set && !set_has(&b->set, idx)); /* else the usual set is the near one */
  begin(b, idx, ask->now_ns, out);
  return RN_OK;
}

const struct rn_bal_worker *rn_bal_worker_of(const struct rn_bal *b,
                                             const struct rn_bal_ticket *t) {
  return &rn_bal_pool_workers(b->pool)[t->idx];
}

/* The worker as we know it; NULL when it is not in the pool any more, or came back as if new. */
static struct item *item_of(struct rn_bal *b, const struct rn_bal_ticket *t) {
  uint32_t idx = t->idx;
  if (t->version != b->version)
    idx = rn_bal_pool_find(b->pool, t->key);
  if (idx >= b->pool->count || b->items[idx].since > t->version)
    return NULL;
  return &b->items[idx];
}

static void result(struct rn_bal *b, struct item *it, const struct rn_bal_ticket *t, bool good,
                   uint64_t now_ns) {
  if (!good && b->dirty) /* how many are ejected is to be right */
    renew(b, now_ns);
  bool allowed = 2 * (b->out + 1) <= b->eligible;
  switch (rn_outlier_result(&it->outlier, &b->cfg.outlier, good, t->probe, allowed, now_ns)) {
  case RN_OUTLIER_NOTHING:
    return;
  case RN_OUTLIER_SPARED:
    b->stats.spared++;
    return;
  case RN_OUTLIER_EJECTED:
    b->stats.ejected++;
    break;
  case RN_OUTLIER_READMITTED:
    b->stats.readmitted++;
    break;
  case RN_OUTLIER_PROBED:
    break;
  }
  b->dirty = true;
}

void rn_bal_answered(struct rn_bal *b, struct rn_bal_ticket *t, uint64_t now_ns) {
  struct item *it = t->answered ? NULL : item_of(b, t);
  t->answered = true;
  if (it == NULL)
    return;
  ewma_add(b, it, now_ns > t->begin_ns ? now_ns - t->begin_ns : 0, now_ns);
  result(b, it, t, true, now_ns);
  t->probe = false; /* it has said what it had to */
}

void rn_bal_done(struct rn_bal *b, struct rn_bal_ticket *t, enum rn_bal_outcome outcome,
                 uint64_t now_ns) {
  if (t->counted)
    rn_load_end(b->load, t->slot, t->generation);
  RN_ASSERT(b->in_flight > 0);
  b->in_flight--;
  struct item *it = item_of(b, t);
  if (it == NULL) {
    b->stats.gone++;
    return;
  }
  uint32_t idx = (uint32_t)(it - b->items);
  RN_ASSERT(it->open_count > 0);
  if (outcome == RN_BAL_GOOD)
    rn_bal_answered(b, t, now_ns);
  it->open_count--;
  b->open_count--;
  b->set_open -= set_has(&b->set, idx) && !b->dirty;
  if (outcome == RN_BAL_BAD) {
    uint64_t took_ns = now_ns > t->begin_ns ? now_ns - t->begin_ns : 0;
    if ((double)took_ns > it->ewma_ns) /* a time-out was slow; a quick refusal is not quick */
      ewma_add(b, it, took_ns, now_ns);
    result(b, it, t, false, now_ns);
  } else if (outcome == RN_BAL_CANCELLED && t->probe) {
    rn_outlier_probe_lost(&it->outlier);
    b->dirty = true;
  }
}

void rn_bal_tried_add(struct rn_bal_tried *tried, uint64_t key) {
  if (tried->count == RN_BAL_TRIED_MAX)
    memmove(tried->key, tried->key + 1, (--tried->count) * sizeof(key));
  tried->key[tried->count++] = key;
}

/* ---- questions ---- */

const struct rn_bal_pool *rn_bal_pool(const struct rn_bal *b) { return b->pool; }
const struct rn_bal_stats *rn_bal_stats(const struct rn_bal *b) { return &b->stats; }

bool rn_bal_look(const struct rn_bal *b, uint64_t key, uint32_t *open_count, double *latency_ns,
                 struct rn_outlier *outlier) {
  uint32_t idx = b->pool != NULL ? rn_bal_pool_find(b->pool, key) : 0;
  if (b->pool == NULL || idx == b->pool->count)
    return false;
  if (open_count != NULL)
    *open_count = b->items[idx].open_count;
  if (latency_ns != NULL)
    *latency_ns = b->items[idx].ewma_ns;
  if (outlier != NULL)
    *outlier = b->items[idx].outlier;
  return true;
}

static bool set_check(const struct rn_bal *b) {
  uint32_t n = 0;
  uint64_t open_count = 0;
  for (uint32_t i = 0; i < RN_BAL_WORKERS_MAX; i++) {
    if (!set_has(&b->set, i))
      continue;
    if (i >= b->pool->count || n >= b->set.count || b->set.at[n++] != i)
      return false;
    open_count += b->items[i].open_count;
    if (!let_in(b, &rn_bal_pool_workers(b->pool)[i], i))
      return false;
  }
  return n == b->set.count && open_count == b->set_open;
}

int rn_bal_check(const struct rn_bal *b) {
  uint64_t open_count = 0;
  if (config_check(&b->cfg) != RN_OK)
    return RN_ERR_STATE;
  if (b->pool == NULL)
    return b->open_count == 0 && b->in_flight == 0 ? RN_OK : RN_ERR_STATE;
  if (b->version != b->pool->version || b->pool->count > b->capacity ||
      rn_bal_pool_check(b->pool, b->pool->bytes) != RN_OK)
    return RN_ERR_STATE;
  for (uint32_t i = 0; i < b->pool->count; i++) {
    const struct rn_bal_worker *w = &rn_bal_pool_workers(b->pool)[i];
    const struct item *it = &b->items[i];
    if (it->key != w->key || it->weight != w->weight || b->slots[i] != w->slot ||
        it->since > b->version || !(it->ewma_ns >= 0) || rn_outlier_check(&it->outlier) != RN_OK)
      return RN_ERR_STATE;
    open_count += it->open_count;
  }
  if (open_count != b->open_count || open_count > b->in_flight)
    return RN_ERR_STATE;
  if (b->dirty)
    return RN_OK;
  if (!set_check(b) || (2 * (uint64_t)b->out > b->eligible) != b->panic ||
      (b->cfg.strategy == &rn_bal_weighted && !weighted_check(b)) ||
      (b->cfg.strategy->pick == rn_bal_consistent_hash.pick && !consistent_hash_check(b)))
    return RN_ERR_STATE;
  return RN_OK;
}
