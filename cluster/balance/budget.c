/* cluster/balance/budget.c */
#include "cluster/balance/budget.h"

#include <string.h>

#include "util/err.h"

struct rn_budget_config rn_budget_defaults(void) {
  return (struct rn_budget_config){ .percent = 10, .reserve = 10, .window_ns = 10000000000u };
}

int rn_budget_init(struct rn_budget *b, const struct rn_budget_config *cfg) {
  if (cfg->percent > 1000 || cfg->reserve > 1000000 || cfg->window_ns < RN_BUDGET_SLICES)
    return RN_ERR_INVAL;
  *b = (struct rn_budget){ .cfg = *cfg };
  return RN_OK;
}

static uint32_t turn(struct rn_budget *b, uint64_t now_ns) {
  uint64_t slice = now_ns / (b->cfg.window_ns / RN_BUDGET_SLICES);
  if (slice >= b->slice + RN_BUDGET_SLICES) {
    memset(b->first, 0, sizeof(b->first));
    memset(b->extra, 0, sizeof(b->extra));
    b->firsts = b->extras = 0;
    b->slice = slice;
  }
  while (b->slice < slice) {
    uint32_t i = (uint32_t)(++b->slice % RN_BUDGET_SLICES);
    b->firsts -= b->first[i];
    b->extras -= b->extra[i];
    b->first[i] = b->extra[i] = 0;
  }
  return (uint32_t)(b->slice % RN_BUDGET_SLICES);
}

void rn_budget_first(struct rn_budget *b, uint64_t now_ns) {
  uint32_t i = turn(b, now_ns);
  if (b->first[i] == UINT32_MAX)
    return;
  b->first[i]++;
  b->firsts++;
}

int rn_budget_take(struct rn_budget *b, uint64_t now_ns) {
  uint32_t i = turn(b, now_ns);
  if (b->extras >= b->cfg.reserve + b->firsts * b->cfg.percent / 100) {
    b->refused++;
    return RN_ERR_AGAIN;
  }
  b->extra[i]++;
  b->extras++;
  return RN_OK;
}

int rn_budget_check(const struct rn_budget *b) {
  uint64_t firsts = 0, extras = 0;
  for (uint32_t i = 0; i < RN_BUDGET_SLICES; i++) {
    firsts += b->first[i];
    extras += b->extra[i];
  }
  return firsts == b->firsts && extras == b->extras ? RN_OK : RN_ERR_STATE;
}
