/* cluster/balance/balance_priv.h: what balance.c and the strategies share. */
#pragma once
#include "cluster/balance/balance.h"
#include "util/rng.h"

#define SET_WORDS (RN_BAL_WORKERS_MAX / 64)

/* Indices in the pool: the same ones as bits and in order. */
struct rn_bal_set {
  uint32_t count;
  uint16_t *at;
  uint64_t bits[SET_WORDS];
};

/* What this lcore knows of one worker. */
struct item {
  uint64_t key;
  uint64_t since;    /* the version of the pool with which it came */
  double ewma_ns;    /* 0: nothing yet */
  uint64_t heard_ns; /* when ewma_ns was last touched */
  uint64_t turn;     /* weighted.c: its next one */
  uint32_t open_count;
  uint32_t weight;
  struct rn_outlier outlier;
};

/* weighted.c: a binary heap by turn. */
struct turn {
  uint64_t turn;
  uint32_t idx;
};

struct rn_bal {
  /* read by each pick */
  struct rn_bal_config cfg;
  const struct rn_bal_pool *pool; /* NULL at first */
  struct rn_load *load;
  struct item *items;  /* by index in the pool */
  uint16_t *slots;     /* of the pool's workers, close together */
  uint64_t wake_ns;    /* when somebody's ejection ends */
  bool dirty;          /* set is not right any more */
  bool panic;          /* ejection is ignored */
  bool away;           /* near_first, and nobody near can be used */
  uint32_t open_count; /* of the workers in the pool */
  uint32_t set_open;   /* of those in set */
  uint32_t in_flight;  /* of those that have left as well */
  uint32_t capacity;
  uint32_t eligible, out; /* not draining; of those, not let in as others are */
  struct rn_bal_set set;  /* the usual one */

  /* written by each pick */
  struct rn_rng rng;
  uint32_t
      cursor; /* round_robin.c: index of the next one; least_connections.c: where to begin in the set */
  uint64_t turn_now; /* weighted.c: of the last pick */
  double typical_ns; /* an average answer of this route; 0: there was none */
  struct rn_bal_stats stats;

  struct rn_bal_set rest; /* the one of a pick that leaves somebody out */
  uint64_t version;
  struct turn *turns; /* weighted.c: of set */
  uint64_t *ring;     /* consistent_hash.c: the pool's ring with the points of set alone */
  uint16_t *ring_first;
  struct item *spare; /* the array that items is not */
};

/* Calls that the worker has open over all lcores. */
static inline uint32_t load_of(const struct rn_bal *b, uint32_t idx) {
  return rn_load_sum(b->load, b->slots[idx]);
}

static inline bool set_has(const struct rn_bal_set *s, uint32_t idx) {
  return (s->bits[idx / 64] >> (idx % 64) & 1) != 0;
}

/* The worker's latency as p2c_ewma.c sees it gets one more sample. */
void ewma_add(struct rn_bal *b, struct item *it, uint64_t latency_ns, uint64_t now_ns);

/* Whether the heap and the turns, or the ring, are those of the usual set. */
bool weighted_check(const struct rn_bal *b);
bool consistent_hash_check(const struct rn_bal *b);
