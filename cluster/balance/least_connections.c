/* cluster/balance/least_connections.c: whoever has the fewest calls open, over all lcores. A pick looks at up to SCAN workers and begins where the last one ended, so
 * that of those that have equally few each gets his turn; larger sets are looked through by pieces, one a pick. */
#include "cluster/balance/balance_priv.h"

#define SCAN 64u

static uint32_t pick(struct rn_bal *b, const struct rn_bal_set *set, const struct rn_bal_ask *ask) {
  (void)ask;
  uint32_t n = set->count < SCAN ? set->count : SCAN;
  uint32_t at = b->cursor < set->count ? b->cursor : 0;
  uint32_t best_at = at, best = UINT32_MAX;
  for (uint32_t i = 0; i < n; i++) {
    uint32_t open_count = load_of(b, set->at[at]);
    if (open_count < best) {
      best = open_count;
      best_at = at;
      if (best == 0)
        break;
    }
    at = at + 1 < set->count ? at + 1 : 0;
  }
  /* Small sets go on behind the one chosen. In large ones that would keep to the same neighbourhood: on to the next piece, unless this one had an idle one. */
  b->cursor = n == set->count || best == 0 ? best_at + 1 : at;
  return set->at[best_at];
}

const struct rn_bal_strategy rn_bal_least_connections = { .name = "least_connections",
                                                          .pick = pick };
