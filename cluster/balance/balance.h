/* cluster/balance/balance.h: which worker a call goes to. One struct rn_bal per route and lcore; only that lcore calls it. It chooses among the workers of the last
 * snapshot it was given (pool.h), by the rule of a strategy, and remembers of each worker by its key what calls there have shown: it outlives snapshots.
 *
 *   rn_bal_pick ------> call ------> rn_bal_answered ------> rn_bal_done
 *   counts it as open                latency, success        counts it no longer; a failure counts against the worker
 *
 * Among whom it chooses, in this order:
 *
 *   1  never a draining worker, nor one this call has tried
 *   2  none that is ejected, by control or by outlier.h; but when more than half are, that says more about us than about them, and nobody is left out for it
 *   3  with near_first: those of our own zone, while there are any
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/balance/load.h"
#include "cluster/balance/outlier.h"
#include "cluster/balance/pool.h"

#define RN_BAL_TRIED_MAX 8u

struct rn_bal; /* opaque; balance_priv.h */
struct rn_bal_set;

/* Whom a call is not to go to any more. */
struct rn_bal_tried {
  uint32_t count; /* 0..RN_BAL_TRIED_MAX */
  uint64_t key[RN_BAL_TRIED_MAX];
};

struct rn_bal_ask {
  uint64_t now_ns;
  uint64_t affinity; /* calls that are alike here go to one worker, consistent_hash only */
  const struct rn_bal_tried *tried; /* NULL: nobody yet */
};

struct rn_bal_strategy {
  const char *name;
  /* The index in the pool of one of set, which has at least two. */
  uint32_t (*pick)(struct rn_bal *b, const struct rn_bal_set *set, const struct rn_bal_ask *ask);
  /* The usual set is another one now; NULL: the strategy does not mind. */
  void (*changed)(struct rn_bal *b);
};

extern const struct rn_bal_strategy rn_bal_round_robin;
extern const struct rn_bal_strategy rn_bal_random;
extern const struct rn_bal_strategy rn_bal_least_connections;
extern const struct rn_bal_strategy rn_bal_p2c_ewma;
extern const struct rn_bal_strategy rn_bal_weighted;
extern const struct rn_bal_strategy rn_bal_consistent_hash;
extern const struct rn_bal_strategy rn_bal_consistent_hash_bounded;

#define RN_BAL_STRATEGIES 7u
extern const struct rn_bal_strategy *const rn_bal_strategies[RN_BAL_STRATEGIES];
/* NULL when there is none of that name. */
const struct rn_bal_strategy *rn_bal_strategy_named(const char *name, size_t len);

struct rn_bal_config {
  const struct rn_bal_strategy *strategy;
  bool near_first;
  uint32_t max_open; /* calls of this route on this lcore; 0: no limit */
  uint64_t decay_ns; /* p2c_ewma: how long a slow answer is remembered; above 0 */
  struct rn_outlier_config outlier;
};

/* Whoever made the call keeps it until the call is done; plain data, may be copied and moved. */
struct rn_bal_ticket {
  uint64_t key;
  uint64_t version; /* of the pool at the time */
  uint64_t begin_ns;
  uint32_t generation; /* of the slot */
  uint16_t idx;        /* in that pool */
  uint16_t slot;
  bool counted; /* in struct rn_load */
  bool probe;
  bool answered;
};

enum rn_bal_outcome {
  RN_BAL_GOOD,
  RN_BAL_BAD,       /* no connection, reset, time-out, an error that says the worker is not well */
  RN_BAL_CANCELLED, /* we gave it up: tells nothing about the worker */
};

struct rn_bal_stats {
  uint64_t picks;
  uint64_t none;  /* RN_ERR_NOENT */
  uint64_t limit; /* RN_ERR_LIMIT */
  uint64_t again; /* picks that left somebody out whom the call had tried */
  uint64_t panic; /* picks with ejection ignored */
  uint64_t
      spilled; /* picks outside our zone with near_first, there being workers of it in the pool */
  uint64_t ejected;
  uint64_t spared; /* failures that would have ejected, half of the pool being ejected already */
  uint64_t probes;
  uint64_t readmitted;
  uint64_t gone;      /* calls that ended after their worker had left the pool */
  uint64_t uncounted; /* calls whose worker's slot was already another's */
};

/* decay_ns 1 s, outlier as rn_outlier_defaults, nothing else. */
struct rn_bal_config rn_bal_defaults(const struct rn_bal_strategy *strategy);

/* Bytes for pools of up to workers, 64-byte aligned; 0 unless that is 1..RN_BAL_WORKERS_MAX. */
size_t rn_bal_footprint(uint32_t workers);
/* Formats mem, which stays the caller's, with an empty pool. load: the lcore's, shared by its routes; outlives *out. seed: random, of the draws that strategies make;
 * another one on each lcore, or they all begin at the same worker. RN_OK or RN_ERR_INVAL. Nothing to release. */
int rn_bal_init(void *mem, uint32_t workers, const struct rn_bal_config *cfg, struct rn_load *load,
                uint64_t seed, struct rn_bal **out);
/* All of cfg or nothing, calls and what is known of workers stay. RN_OK or RN_ERR_INVAL. */
int rn_bal_configure(struct rn_bal *b, const struct rn_bal_config *cfg);

/* From now on workers are those of pool, which rn_bal_pool_check has seen and which stays as it is until another one has been adopted; the one before is looked at a last
 * time. RN_OK; RN_ERR_STATE for a version that is not above the last; RN_ERR_TOOBIG for too many workers; RN_ERR_INVAL for a slot that load does not have. */
int rn_bal_adopt(struct rn_bal *b, const struct rn_bal_pool *pool);

/* Chooses, and counts a call as open. RN_OK with *out, to be given back by rn_bal_done; RN_ERR_NOENT: there is nobody (left); RN_ERR_LIMIT: max_open. */
int rn_bal_pick(struct rn_bal *b, const struct rn_bal_ask *ask, struct rn_bal_ticket *out);
/* Whom a ticket that was just picked names, until the next rn_bal_adopt. */
const struct rn_bal_worker *rn_bal_worker_of(const struct rn_bal *b, const struct rn_bal_ticket *t);
/* The first bytes of an answer have come: for calls whose end says little about the worker. May be left out; a second time does nothing. */
void rn_bal_answered(struct rn_bal *b, struct rn_bal_ticket *t, uint64_t now_ns);
/* The call is over, once for each ticket. A good one counts as answered now if it was not before. */
void rn_bal_done(struct rn_bal *b, struct rn_bal_ticket *t, enum rn_bal_outcome outcome,
                 uint64_t now_ns);
/* Adds the worker; one more than RN_BAL_TRIED_MAX takes the place of the first. */
void rn_bal_tried_add(struct rn_bal_tried *tried, uint64_t key);

/* NULL before the first. */
const struct rn_bal_pool *rn_bal_pool(const struct rn_bal *b);
const struct rn_bal_stats *rn_bal_stats(const struct rn_bal *b);
/* What is known of the worker with that key; false when it is not in the pool. Any may be NULL. */
bool rn_bal_look(const struct rn_bal *b, uint64_t key, uint32_t *open_count, double *latency_ns,
                 struct rn_outlier *outlier);

/* Every worker, the sets, the strategy's own state. RN_OK or RN_ERR_STATE. Slow. */
int rn_bal_check(const struct rn_bal *b);
