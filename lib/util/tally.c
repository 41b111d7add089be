/* lib/util/tally.c */
#include "util/tally.h"

#include "util/err.h"

uint64_t rn_tally_bound(uint32_t cell) {
  RN_ASSERT(cell < RN_TALLY_CELLS);
  if (cell == 0)
    return UINT64_C(1) << RN_TALLY_FIRST_BIT;
  if (cell == RN_TALLY_CELLS - 1)
    return UINT64_MAX;
  uint32_t bit = RN_TALLY_FIRST_BIT + (cell - 1) / RN_TALLY_SUB;
  uint64_t steps = RN_TALLY_SUB + (cell - 1) % RN_TALLY_SUB + 1;
  return steps << (bit - RN_TALLY_SUB_BITS);
}

void rn_tally_read(const struct rn_tally *t, struct rn_tally_copy *out) {
  out->sum_ns = atomic_load_explicit(&t->sum_ns, memory_order_relaxed);
  out->count = 0;
  for (uint32_t i = 0; i < RN_TALLY_CELLS; i++) {
    out->cells[i] = atomic_load_explicit(&t->cells[i], memory_order_relaxed);
    out->count += out->cells[i];
  }
}

void rn_tally_merge(struct rn_tally_copy *to, const struct rn_tally_copy *from) {
  to->count += from->count;
  to->sum_ns += from->sum_ns;
  for (uint32_t i = 0; i < RN_TALLY_CELLS; i++)
    to->cells[i] += from->cells[i];
}

void rn_tally_since(struct rn_tally_copy *t, const struct rn_tally_copy *before) {
  for (uint32_t i = 0; i < RN_TALLY_CELLS; i++) {
    if (t->cells[i] < before->cells[i])
      return;
  }
  t->count -= before->count;
  t->sum_ns -= before->sum_ns;
  for (uint32_t i = 0; i < RN_TALLY_CELLS; i++)
    t->cells[i] -= before->cells[i];
}

uint64_t rn_tally_quantile(const struct rn_tally_copy *t, double q) {
  double want = q * (double)t->count, seen = 0;
  uint64_t low = 0;
  for (uint32_t i = 0; i < RN_TALLY_CELLS; i++) {
    double here = (double)t->cells[i];
    uint64_t high = rn_tally_bound(i);
    if (here > 0 && seen + here >= want) {
      if (i == RN_TALLY_CELLS - 1)
        return low;
      double share = want > seen ? (want - seen) / here : 0;
      return low + (uint64_t)(share * (double)(high - low));
    }
    seen += here;
    low = high;
  }
  return 0;
}
