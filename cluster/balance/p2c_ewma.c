/* cluster/balance/p2c_ewma.c: of two drawn by chance (Mitzenmacher, "The power of two choices in randomized load balancing", 2001) the one at which a call can be
 * expected to be answered first: latency times calls before it, itself included.
 *
 * The latency is a moving average by time that rises at once to what is above it and falls slowly to what is below, so that a worker which begins to stall is
 * left alone after one answer. Nobody hears of a worker that gets no calls: its latency fades, and some call will see. One that nobody has heard of yet
 * counts as an average one. */
#include "cluster/balance/balance_priv.h"

/* The part of what was dt_ns ago that is left: e^-t as (1 + t/8)^-8, which needs no libm and is never below it. */
static double left_after(const struct rn_bal *b, uint64_t dt_ns) {
  double eighth = (double)b->cfg.decay_ns * 8;
  double x = eighth / (eighth + (double)dt_ns);
  x *= x;
  x *= x;
  return x * x;
}

static uint64_t since(uint64_t then_ns, uint64_t now_ns) {
  return now_ns > then_ns ? now_ns - then_ns : 0;
}

void ewma_add(struct rn_bal *b, struct item *it, uint64_t latency_ns, uint64_t now_ns) {
  double ns = (double)latency_ns;
  if (ns >= it->ewma_ns)
    it->ewma_ns = ns;
  else
    it->ewma_ns = ns + (it->ewma_ns - ns) * left_after(b, since(it->heard_ns, now_ns));
  it->heard_ns = now_ns;
  b->typical_ns = b->typical_ns > 0 ? b->typical_ns + (ns - b->typical_ns) / 64 : ns;
}

static double cost(const struct rn_bal *b, uint32_t idx, uint64_t now_ns) {
  const struct item *it = &b->items[idx];
  double ns = it->ewma_ns > 0 ? it->ewma_ns : b->typical_ns;
  /* With calls of ours there, it is up to them to say how it is. */
  if (it->open_count == 0 && it->ewma_ns > 0)
    ns *= left_after(b, since(it->heard_ns, now_ns));
  return (ns + 1) * (load_of(b, idx) + 1);
}

static uint32_t pick(struct rn_bal *b, const struct rn_bal_set *set, const struct rn_bal_ask *ask) {
  uint64_t r =
      rn_rng_next(&b->rng); /* the halves of one draw: what they favour is below one in 2^21 */
  uint32_t first = (uint32_t)((r >> 32) * set->count >> 32);
  uint32_t second = (uint32_t)((uint32_t)r * (uint64_t)(set->count - 1) >> 32);
  second += second >= first;
  uint32_t x = set->at[first], y = set->at[second];
  return cost(b, x, ask->now_ns) <= cost(b, y, ask->now_ns) ? x : y;
}

const struct rn_bal_strategy rn_bal_p2c_ewma = { .name = "p2c_ewma", .pick = pick };
