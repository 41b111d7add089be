/* lib/util/bucket.c */
#include "util/bucket.h"
#include "util/err.h"

int rn_bucket_init(struct rn_bucket *b, uint32_t rate_per_s, uint32_t burst) {
  if (rate_per_s == 0 || rate_per_s > 1000000 || burst == 0)
    return RN_ERR_INVAL;
  uint64_t cost_ns = 1000000000u / rate_per_s;
  *b = (struct rn_bucket){ .cost_ns = cost_ns, .depth_ns = cost_ns * burst };
  return RN_OK;
}

int rn_bucket_take(struct rn_bucket *b, uint32_t n, uint64_t now_ns) {
  /* The level is a point in time: no refill step to drift or overflow when idle. */
  uint64_t full_ns = b->full_ns > now_ns ? b->full_ns : now_ns;
  uint64_t after_ns = full_ns + n * b->cost_ns;
  if (after_ns - now_ns > b->depth_ns)
    return RN_ERR_AGAIN;
  b->full_ns = after_ns;
  return RN_OK;
}
