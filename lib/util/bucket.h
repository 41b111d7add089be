/* lib/util/bucket.h: token bucket. One lcore owns each; time is an argument. */
#pragma once
#include <stdint.h>

struct rn_bucket {
  uint64_t cost_ns;  /* time in which one token comes back */
  uint64_t depth_ns; /* burst * cost_ns */
  uint64_t full_ns;  /* when the bucket is full again */
};

/* Starts full. rate_per_s 1..1,000,000, kept to whole ns a token, so up to 0.1 % fast; burst >= 1.
 * RN_OK, or RN_ERR_INVAL with *b unchanged. */
int rn_bucket_init(struct rn_bucket *b, uint32_t rate_per_s, uint32_t burst);

/* Takes all n or none. RN_OK, or RN_ERR_AGAIN. A now_ns that goes back refills nothing. now_ns < 2^62. */
int rn_bucket_take(struct rn_bucket *b, uint32_t n, uint64_t now_ns);
