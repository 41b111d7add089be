/* cluster/balance/hedge.c */
#include "cluster/balance/hedge.h"

#include <stdbool.h>
#include <string.h>

#include "util/err.h"

#define FRESH_MAX 64u

struct rn_hedge_config rn_hedge_defaults(void) {
  return (struct rn_hedge_config){
    .percentile = 95, .calls_min = 100, .min_ns = 1000000, .window_ns = 10000000000u
  };
}

int rn_hedge_init(struct rn_hedge *h, const struct rn_hedge_config *cfg) {
  if (cfg->percentile < 50 || cfg->percentile > 99 || cfg->calls_min < 1 || cfg->window_ns == 0)
    return RN_ERR_INVAL;
  memset(h, 0, sizeof(*h));
  h->cfg = *cfg;
  h->delay_ns = RN_HEDGE_NEVER;
  return RN_OK;
}

static void work_out(struct rn_hedge *h) {
  struct rn_tally_copy both, before;
  h->fresh = 0;
  if ((uint64_t)h->count[0] + h->count[1] < h->cfg.calls_min) {
    h->delay_ns = RN_HEDGE_NEVER;
    return;
  }
  rn_tally_read(&h->tally[h->now], &both);
  rn_tally_read(&h->tally[h->now ^ 1], &before);
  rn_tally_merge(&both, &before);
  uint64_t ns = rn_tally_quantile(&both, h->cfg.percentile / 100.0);
  h->delay_ns = ns > h->cfg.min_ns ? ns : h->cfg.min_ns;
}

static void turn(struct rn_hedge *h, uint64_t now_ns) {
  if (now_ns < h->begin_ns || now_ns - h->begin_ns < h->cfg.window_ns)
    return;
  bool next = now_ns - h->begin_ns < 2 * h->cfg.window_ns;
  if (!next)
    memset(&h->tally[h->now], 0, sizeof(h->tally[0]));
  h->count[1] = next ? h->count[0] : 0;
  h->count[0] = 0;
  h->now ^= 1;
  memset(&h->tally[h->now], 0, sizeof(h->tally[0]));
  h->begin_ns = now_ns;
  h->fresh = FRESH_MAX;
}

void rn_hedge_add(struct rn_hedge *h, uint64_t latency_ns, uint64_t now_ns) {
  turn(h, now_ns);
  rn_tally_add(&h->tally[h->now], latency_ns, 1);
  h->count[0] += h->count[0] < UINT32_MAX;
  h->fresh++;
  if (h->fresh >= FRESH_MAX || h->fresh >= h->cfg.calls_min)
    work_out(h);
}
