/* lib/util/hist.c */
#include "util/hist.h"

#include <float.h>

uint64_t rn_hist_bucket_max(uint32_t bucket) {
  if (bucket < RN_HIST_SUB)
    return bucket;
  uint32_t shift = bucket / RN_HIST_SUB - 1;
  uint64_t low = (uint64_t)(bucket % RN_HIST_SUB + RN_HIST_SUB) << shift;
  return low + ((UINT64_C(1) << shift) - 1);
}

uint64_t rn_hist_quantile(const struct rn_hist *h, double q) {
  if (h->count == 0)
    return 0;
  /* The product of a decimal share can come out just above the whole number that is meant: 0.07 * 100. */
  double want = q * (double)h->count * (1 - 4 * DBL_EPSILON);
  uint64_t seen = 0;
  for (uint32_t i = 0; i < RN_HIST_BUCKETS; i++) {
    seen += h->buckets[i];
    if (seen > 0 && (double)seen >= want) {
      uint64_t v = rn_hist_bucket_max(i);
      return v < h->max ? v : h->max;
    }
  }
  return h->max;
}

void rn_hist_merge(struct rn_hist *to, const struct rn_hist *from) {
  to->count += from->count;
  to->sum += from->sum;
  if (from->max > to->max)
    to->max = from->max;
  for (uint32_t i = 0; i < RN_HIST_BUCKETS; i++)
    to->buckets[i] += from->buckets[i];
}
