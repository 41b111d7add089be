/* lib/util/hist.h: log-linear histogram of 64-bit values, for latencies in ns. A plain struct of fixed size, so it can lie in shared memory;
 * one writer. A value is kept to within 1/64 of itself. A reader beside the writer sees each field whole and may see them apart by a value. */
#pragma once
#include <stdint.h>
#include <string.h>

#define RN_HIST_SUB_BITS 6 /* 64 linear steps to each doubling */
#define RN_HIST_SUB      (1u << RN_HIST_SUB_BITS)
#define RN_HIST_BUCKETS  ((64 - RN_HIST_SUB_BITS + 1) * RN_HIST_SUB)

struct rn_hist {
  uint64_t count, sum, max; /* sum is modulo 2^64: 584 years of ns */
  uint64_t buckets[RN_HIST_BUCKETS];
};

/* Which bucket counts v: 0..RN_HIST_BUCKETS-1. */
static inline uint32_t rn_hist_bucket(uint64_t v) {
  if (v < RN_HIST_SUB)
    return (uint32_t)v;
  uint32_t shift = 63u - (uint32_t)__builtin_clzll(v) - RN_HIST_SUB_BITS;
  return (shift + 1) * RN_HIST_SUB + (uint32_t)(v >> shift) - RN_HIST_SUB;
}

/* Counts v, any value. */
static inline void rn_hist_add(struct rn_hist *h, uint64_t v) {
  h->count++;
  h->sum += v;
  if (v > h->max)
    h->max = v;
  h->buckets[rn_hist_bucket(v)]++;
}

/* Forgets everything; all zeros is an empty histogram. */
static inline void rn_hist_reset(struct rn_hist *h) { memset(h, 0, sizeof(*h)); }

/* 0 when there are none. */
static inline double rn_hist_mean(const struct rn_hist *h) {
  return h->count == 0 ? 0 : (double)h->sum / (double)h->count;
}

/* The largest value that falls into a bucket. */
uint64_t rn_hist_bucket_max(uint32_t bucket);
/* The least value that a share q of all values do not exceed, to within 1/64 and never below it nor above max; 0 when there are none. q below 0
 * counts as 0, above 1 as 1. */
uint64_t rn_hist_quantile(const struct rn_hist *h, double q);
/* Adds all of from to to. */
void rn_hist_merge(struct rn_hist *to, const struct rn_hist *from);
