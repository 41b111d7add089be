/* lib/util/tally.h: log-linear histogram of times in memory that others read while its one writer counts: 8 steps to each doubling from 64 ns to 2^34 ns
 * (17 s), 1.8 KB. hist.h is the finer one, for a reader that is the writer.
 *
 *   cell     0          1 .. 8          9 .. 16           ...   217 .. 224            225
 *   counts   <= 64 ns   each 8 ns more  each 16 ns more         each 2^30 ns more     > 2^34 ns
 *
 * There is no separate count: it is the sum of the cells, so a copy made beside the writer agrees with itself. */
#pragma once
#include <stdatomic.h>
#include <stdint.h>

#define RN_TALLY_SUB_BITS  3
#define RN_TALLY_SUB       (1u << RN_TALLY_SUB_BITS)
#define RN_TALLY_FIRST_BIT 6u  /* cell 0 ends at 2^6 ns */
#define RN_TALLY_LAST_BIT  34u /* the last but one at 2^34 ns */
#define RN_TALLY_CELLS     ((RN_TALLY_LAST_BIT - RN_TALLY_FIRST_BIT) * RN_TALLY_SUB + 2)

/* All zeros is an empty one. */
struct rn_tally {
  _Atomic uint64_t sum_ns; /* modulo 2^64 */
  _Atomic uint64_t cells[RN_TALLY_CELLS];
};

/* A reader's copy. */
struct rn_tally_copy {
  uint64_t count;
  uint64_t sum_ns;
  uint64_t cells[RN_TALLY_CELLS];
};

/* Which cell counts ns: a bound belongs to the cell that it ends. */
static inline uint32_t rn_tally_cell(uint64_t ns) {
  uint64_t v = ns - (ns != 0);
  if (v < (1u << RN_TALLY_FIRST_BIT))
    return 0;
  uint32_t bit = 63u - (uint32_t)__builtin_clzll(v);
  if (bit >= RN_TALLY_LAST_BIT)
    return RN_TALLY_CELLS - 1;
  uint32_t step = (uint32_t)(v >> (bit - RN_TALLY_SUB_BITS)) - RN_TALLY_SUB;
  return 1 + (bit - RN_TALLY_FIRST_BIT) * RN_TALLY_SUB + step;
}

static inline void rn_tally_bump(_Atomic uint64_t *v, uint64_t by) {
  /* One writer: no locked instruction. */
  atomic_store_explicit(v, atomic_load_explicit(v, memory_order_relaxed) + by,
                        memory_order_relaxed);
}

/* Counts `count` events that took ns each. The writer's thread. */
static inline void rn_tally_add(struct rn_tally *t, uint64_t ns, uint64_t count) {
  rn_tally_bump(&t->sum_ns, ns * count);
  rn_tally_bump(&t->cells[rn_tally_cell(ns)], count);
}

/* The largest time that a cell counts, in ns; UINT64_MAX for the last. cell < RN_TALLY_CELLS. */
uint64_t rn_tally_bound(uint32_t cell);

/* Copies what is there now; any bytes are safe. The sum may be an event ahead of the cells. Any thread. */
void rn_tally_read(const struct rn_tally *t, struct rn_tally_copy *out);

/* Adds all of from to to. */
void rn_tally_merge(struct rn_tally_copy *to, const struct rn_tally_copy *from);

/* *t becomes what was counted after `before` was copied. Where it is no continuation of before, it stays whole. */
void rn_tally_since(struct rn_tally_copy *t, const struct rn_tally_copy *before);

/* The time in ns that a share q (0..1) of all events did not exceed, taken as evenly spread within a cell; 0 when there are none. What lies in the last
 * cell counts as its beginning. */
uint64_t rn_tally_quantile(const struct rn_tally_copy *t, double q);
