/* tests/harness/farm.h: a director before some workers, as queues in a fake world: calls come at random at a given rate, each worker serves one at a time in order of
 * arrival, and one of them may be slower than the others. Deterministic by seed. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "cluster/balance/balance.h"

struct farm_config {
  const struct rn_bal_strategy *strategy;
  uint32_t workers;
  uint32_t lcores;     /* of the director; a call comes to any of them */
  uint64_t service_ns; /* of a worker, on average; exponentially distributed */
  double slow;         /* worker 0 takes so many times as long */
  uint64_t wire_ns;    /* one way */
  double load;         /* calls offered, as a share of what all workers together can do; below 1 */
  double seconds;      /* after a tenth of that to warm up */
  uint64_t seed;
};

struct farm_result {
  double capacity_per_s, offered_per_s;
  double answered_per_s; /* within the time measured */
  double p50_ms, p99_ms; /* of the calls that came within it, whenever they were answered */
  double slow_share;     /* of them, at worker 0 */
};

/* Five workers of 1 ms, one lcore, 50 us of wire, 20 s. */
struct farm_config farm_defaults(const struct rn_bal_strategy *strategy);
struct farm_result farm_run(const struct farm_config *cfg);
