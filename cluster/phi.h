/* cluster/phi.h: the phi accrual failure detector (Hayashibara et al., "The phi accrual failure detector", 2004): not whether somebody is gone, but how
 * little his silence looks like the intervals before. phi = -log10 of the probability of an interval as long as this one: at 8, one in 10^8. */
#pragma once
#include <stdint.h>

#define RN_PHI_WINDOW 100u

struct rn_phi {
  uint64_t heard_ns; /* last */
  uint64_t sum_us, sum_us2;
  uint32_t count, next;
  uint32_t us[RN_PHI_WINDOW]; /* the last intervals */
};

/* Heard now; until there are others, intervals are taken to be expected_ns, give or take a quarter. */
void rn_phi_init(struct rn_phi *p, uint64_t expected_ns, uint64_t now_ns);
/* A time that goes back counts as none at all. An interval above 268 s counts as that. */
void rn_phi_heard(struct rn_phi *p, uint64_t now_ns);
/* 0 and up, without bound. deviation_min_ns, above 0: intervals never count as more regular than that, or the first hiccup of a quiet network would be
 * the end of everybody. */
double rn_phi_at(const struct rn_phi *p, uint64_t deviation_min_ns, uint64_t now_ns);
