/* lib/util/refuse.h: pools that refuse every n-th take as if they were used up, so that tests reach what follows. A build with -O3, which is what
 * is shipped, has nothing of it on the way to an object. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#ifdef RN_REFUSALS /* meson.build */
#define RN_REFUSALS_BUILT true
#else
#define RN_REFUSALS_BUILT false
#endif

struct rn_refusals {
  uint32_t every_n; /* 0: none */
  uint32_t take_count;
  uint64_t refused_count;
};

/* From now on every n-th. Returns how many takes were refused since the last call. */
static inline uint64_t rn_refuse_every(struct rn_refusals *r, uint32_t n) {
  uint64_t refused_count = r->refused_count;
  *r = (struct rn_refusals){ .every_n = n };
  return refused_count;
}

/* Whether this take is to be refused; counts it. */
static inline bool rn_refused(struct rn_refusals *r) {
  if (!RN_REFUSALS_BUILT || __builtin_expect(r->every_n == 0, 1) ||
      ++r->take_count % r->every_n != 0)
    return false;
  r->refused_count++;
  return true;
}
