/* tests/unit/cluster/balance/some.h: pools of workers "w0", "w1", ... and something that balances over them. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/balance/balance.h"
#include "util/err.h"

#define SECOND     1000000000ull
#define SOME_SLOTS 2048u

static inline void *some_mem(size_t bytes) {
  void *mem = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
  if (mem == NULL)
    abort();
  memset(mem, 0x5a, bytes);
  return mem;
}

/* "w<i>" in slot i. id: room for its text, which outlives the result. */
static inline struct rn_bal_spec some_spec(uint32_t i, char id[16]) {
  int n = snprintf(id, 16, "w%u", i);
  return (struct rn_bal_spec){
    .worker = { .key = rn_bal_key(id, (size_t)n),
                .addr = { .ip = { 10, 0, (uint8_t)(i >> 8), (uint8_t)i }, .port = 80, .family = 4 },
                .weight = 1,
                .slot = (uint16_t)i },
    .id = id,
    .id_len = (uint8_t)n,
  };
}

static inline uint64_t some_key(uint32_t i) {
  char id[16];
  return some_spec(i, id).worker.key;
}

/* Changes the spec of worker i; false: it is not in the pool. */
typedef bool some_change(struct rn_bal_spec *s, uint32_t i);

/* Of those of w0..w<n-1> that change leaves in; NULL: all, unchanged. To be freed. */
static inline struct rn_bal_pool *some_pool(uint32_t n, uint64_t version, uint64_t zone,
                                            some_change *change) {
  static struct rn_bal_spec specs[RN_BAL_WORKERS_MAX];
  static char ids[RN_BAL_WORKERS_MAX][16];
  const struct rn_bal_pool *out;
  uint32_t count = 0;
  for (uint32_t i = 0; i < n; i++) {
    specs[count] = some_spec(i, ids[i]);
    count += change == NULL || change(&specs[count], i);
  }
  size_t bytes = rn_bal_pool_bytes(RN_BAL_WORKERS_MAX, 16 * RN_BAL_WORKERS_MAX);
  void *mem = some_mem(bytes);
  if (rn_bal_pool_form(mem, bytes, version, zone, specs, count, &out) != RN_OK ||
      rn_bal_pool_check(out, out->bytes) != RN_OK)
    abort();
  return mem;
}

/* One lcore's. */
struct some {
  void *shared;
  struct rn_load *load;
  struct rn_bal *b;
  struct rn_bal_pool *pool;
  uint64_t version;
};

static inline void some_on(struct some *s, void *shared, uint32_t lcores, uint32_t lcore,
                           const struct rn_bal_config *cfg, uint64_t seed) {
  memset(s, 0, sizeof(*s));
  s->shared = shared;
  if (rn_load_init(some_mem(rn_load_footprint(SOME_SLOTS)), shared, lcores, SOME_SLOTS, lcore,
                   &s->load) != RN_OK ||
      rn_bal_init(some_mem(rn_bal_footprint(RN_BAL_WORKERS_MAX)), RN_BAL_WORKERS_MAX, cfg, s->load,
                  seed, &s->b) != RN_OK)
    abort();
}

static inline void some_adopt(struct some *s, uint32_t n, uint64_t zone, some_change *change) {
  struct rn_bal_pool *pool = some_pool(n, ++s->version, zone, change);
  if (rn_bal_adopt(s->b, pool) != RN_OK)
    abort();
  free(s->pool);
  s->pool = pool;
}

/* The only lcore, with w0..w<n-1>. */
static inline void some_start(struct some *s, const struct rn_bal_config *cfg, uint32_t n,
                              uint64_t seed) {
  some_on(s, some_mem(rn_load_shared_bytes(1, SOME_SLOTS)), 1, 0, cfg, seed);
  some_adopt(s, n, 0, NULL);
}

static inline void some_end(struct some *s) {
  free(s->b);
  free(s->load);
  free(s->pool);
}

static inline void some_stop(struct some *s) {
  free(s->shared);
  some_end(s);
}

/* Which "w<i>" a ticket names. */
static inline uint32_t some_picked(const struct some *s, const struct rn_bal_ticket *t) {
  return rn_bal_worker_of(s->b, t)->slot;
}

/* Picks and gives back the worker, or UINT32_MAX when there is none. */
static inline uint32_t some_pick(struct some *s, const struct rn_bal_ask *ask,
                                 struct rn_bal_ticket *t) {
  return rn_bal_pick(s->b, ask, t) == RN_OK ? some_picked(s, t) : UINT32_MAX;
}

/* A call that ends at once. */
static inline uint32_t some_call(struct some *s, const struct rn_bal_ask *ask,
                                 enum rn_bal_outcome outcome) {
  struct rn_bal_ticket t;
  uint32_t i = some_pick(s, ask, &t);
  if (i != UINT32_MAX)
    rn_bal_done(s->b, &t, outcome, ask->now_ns);
  return i;
}
