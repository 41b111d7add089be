/* cluster/balance/hedge.h: after how long a call without an answer is worth a second one elsewhere: a quantile of the latencies of the last one to two windows. One
 * lcore owns each; time is an argument. Whether there is a token for it is for budget.h to say. */
#pragma once
#include <stdint.h>

#include "util/tally.h"

#define RN_HEDGE_NEVER UINT64_MAX

struct rn_hedge_config {
  uint32_t percentile; /* 50..99 */
  uint32_t calls_min;  /* with fewer there is no delay yet; at least 1 */
  uint64_t min_ns;     /* a hedge never starts earlier */
  uint64_t window_ns;  /* above 0 */
};

struct rn_hedge {
  struct rn_hedge_config cfg;
  uint64_t begin_ns; /* of the current window */
  uint64_t delay_ns; /* or RN_HEDGE_NEVER */
  uint32_t count[2]; /* in this window, in the one before */
  uint32_t fresh;    /* since delay_ns was worked out */
  uint32_t now;      /* which tally is this window's */
  struct rn_tally tally[2];
};

/* The 95th percentile, not below 1 ms, from 100 calls within 10 s. */
struct rn_hedge_config rn_hedge_defaults(void);
/* RN_OK, or RN_ERR_INVAL with *h unchanged. */
int rn_hedge_init(struct rn_hedge *h, const struct rn_hedge_config *cfg);

/* A first try that was answered took latency_ns. Works the delay out anew after each 64th of them, or each calls_min-th. */
void rn_hedge_add(struct rn_hedge *h, uint64_t latency_ns, uint64_t now_ns);

/* From the begin of the call; RN_HEDGE_NEVER while too little is known. */
static inline uint64_t rn_hedge_delay_ns(const struct rn_hedge *h) { return h->delay_ns; }
