/* cluster/balance/budget.h: how many tries beyond the first the calls of a route may have, so that trouble is not made worse by trying again. One lcore owns each;
 * time is an argument.
 *
 * A try takes a token, and there is one while, of the current slice of time and those before it, RN_BUDGET_SLICES which are window_ns together,
 *
 *   tries taken  <  reserve + percent / 100 * first tries
 *
 * The reserve is for routes with few calls, and for the first failure after a quiet time. */
#pragma once
#include <stdint.h>

#define RN_BUDGET_SLICES 10u

struct rn_budget_config {
  uint32_t percent;   /* 0..1000 */
  uint32_t reserve;   /* tries per window, 0..10^6 */
  uint64_t window_ns; /* at least RN_BUDGET_SLICES */
};

struct rn_budget {
  struct rn_budget_config cfg;
  uint64_t slice;          /* the current one, counted from time 0 */
  uint64_t firsts, extras; /* sums */
  uint32_t first[RN_BUDGET_SLICES], extra[RN_BUDGET_SLICES];
  uint64_t refused; /* tries that did not get a token */
};

/* 10 % and 10 tries in 10 s. */
struct rn_budget_config rn_budget_defaults(void);
/* RN_OK, or RN_ERR_INVAL with *b unchanged. */
int rn_budget_init(struct rn_budget *b, const struct rn_budget_config *cfg);

/* A call's first try begins. */
void rn_budget_first(struct rn_budget *b, uint64_t now_ns);
/* Takes a token for one more try. RN_OK, or RN_ERR_AGAIN: the call fails with what it has. A time that goes back counts as the last one. */
int rn_budget_take(struct rn_budget *b, uint64_t now_ns);

/* RN_OK or RN_ERR_STATE. */
int rn_budget_check(const struct rn_budget *b);
