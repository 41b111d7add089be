/* cluster/balance/random.c: each as likely as the others. */
#include "cluster/balance/balance_priv.h"

static uint32_t pick(struct rn_bal *b, const struct rn_bal_set *set, const struct rn_bal_ask *ask) {
  (void)ask;
  return set->at[rn_rng_below(&b->rng, set->count)];
}

const struct rn_bal_strategy rn_bal_random = { .name = "random", .pick = pick };
