/* cluster/balance/round_robin.c: everybody in turn, in the order of keys. Whoever is left out loses his turn; nobody gets two for it. */
#include "cluster/balance/balance_priv.h"

/* The first member at or after idx, around. */
static uint32_t next_from(const struct rn_bal_set *set, uint32_t idx, uint32_t count) {
  uint32_t words = (count + 63) / 64, w = idx / 64;
  uint64_t bits = idx < count ? set->bits[w] & ~(uint64_t)0 << (idx % 64) : 0;
  while (bits == 0) {
    w = w + 1 < words ? w + 1 : 0;
    bits = set->bits[w];
  }
  return w * 64 + (uint32_t)__builtin_ctzll(bits);
}

static uint32_t pick(struct rn_bal *b, const struct rn_bal_set *set, const struct rn_bal_ask *ask) {
  (void)ask;
  uint32_t idx = next_from(set, b->cursor, b->pool->count);
  b->cursor = idx + 1;
  return idx;
}

const struct rn_bal_strategy rn_bal_round_robin = { .name = "round_robin", .pick = pick };
