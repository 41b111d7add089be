/* cluster/balance/consistent_hash.c: calls with the same affinity go to the same worker, on every lcore and director, and when one comes or goes only its own share moves.
 *
 * Each worker is eight points on a ring, which alone would give very unequal shares. So each affinity is PROBES places, and belongs to the worker one of whose points
 * follows one of them most closely (Appleton and O'Reilly, "Multi-probe consistent hashing", 2015). By simulation, the largest share of 3 to 10 workers is 1.06 to 1.09
 * times the mean on average over pools and 1.23 in the worst of a hundred; one point and 21 probes cost twice as much and gave 1.09 to 1.13 and 1.5. Whoever
 * cannot be used is passed over as if he had no points. */
#include "cluster/balance/balance_priv.h"

#define PROBES 12u
/* Bounded: so many overloaded ones are passed over before the least loaded is looked for. */
#define PASSES 8u
#define PLACE  (~(uint64_t)0xffff) /* of a point; the rest is the worker's index */

static uint64_t mix(uint64_t z) {
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

/* Points and the first one of each arc: the pool's, or those of the usual set among them. */
struct ring {
  const uint64_t *points;
  const uint16_t *first;
  uint32_t count, bits;
};

static struct ring ring_of(const struct rn_bal *b, const struct rn_bal_set *set) {
  bool usual = set == &b->set;
  for (uint32_t i = 0; !usual && i <= (b->pool->count - 1) / 64; i++)
    if ((set->bits[i] & ~b->set.bits[i]) != 0)
      return (struct ring){ rn_bal_pool_ring(b->pool), rn_bal_pool_first(b->pool),
                            b->pool->count * RN_BAL_POINTS, b->pool->ring_bits };
  return (struct ring){ b->ring, b->ring_first, b->set.count * RN_BAL_POINTS, b->pool->ring_bits };
}

/* The first point of set that is not before place, around. */
static uint64_t point_from(const struct ring *r, const struct rn_bal_set *set, uint64_t place) {
  uint32_t at = r->first[place >> (64 - r->bits)];
  while (at < r->count && r->points[at] < place)
    at++;
  if (at == r->count)
    at = 0;
  if (set->count * RN_BAL_POINTS < r->count)
    while (!set_has(set, (uint32_t)(r->points[at] & 0xffff)))
      at = at + 1 < r->count ? at + 1 : 0;
  return r->points[at];
}

static uint32_t owner(const struct ring *r, const struct rn_bal_set *set, uint64_t affinity) {
  uint64_t place = mix(affinity + 0x9e3779b97f4a7c15u), step = mix(place) | 0x10000;
  uint64_t nearest = UINT64_MAX;
  uint32_t idx = 0;
  for (uint32_t i = 0; i < PROBES; i++, place += step) {
    uint64_t from = place & PLACE, point = point_from(r, set, from);
    uint64_t distance = (point & PLACE) - from;
    if (distance < nearest) {
      nearest = distance;
      idx = (uint32_t)(point & ~PLACE);
    }
  }
  return idx;
}

static uint32_t pick(struct rn_bal *b, const struct rn_bal_set *set, const struct rn_bal_ask *ask) {
  struct ring r = ring_of(b, set);
  return owner(&r, set, ask->affinity);
}

/* The set leaves out few as a rule, but when it leaves out most, no pick is to walk past them all. */
static void changed(struct rn_bal *b) {
  const uint64_t *points = rn_bal_pool_ring(b->pool);
  uint32_t n = 0, arc = 0, shift = 64 - b->pool->ring_bits;
  for (uint32_t i = 0; i < b->pool->count * RN_BAL_POINTS; i++) {
    if (!set_has(&b->set, (uint32_t)(points[i] & ~PLACE)))
      continue;
    for (; arc <= points[i] >> shift; arc++)
      b->ring_first[arc] = (uint16_t)n;
    b->ring[n++] = points[i];
  }
  for (; arc < 1u << b->pool->ring_bits; arc++)
    b->ring_first[arc] = (uint16_t)n;
}

/* Among count workers with open_count calls, the most that one may have once this call has gone to it: 5/4 of the mean, rounded up. By what this lcore has open: when each
 * lcore keeps to it, so do all together. */
static uint64_t most_open(uint64_t open_count, uint32_t count) {
  return (5 * (open_count + 1) + 4 * (uint64_t)count - 1) / (4 * (uint64_t)count);
}

static uint32_t pick_bounded(struct rn_bal *b, const struct rn_bal_set *set,
                             const struct rn_bal_ask *ask) {
  struct ring r = ring_of(b, set);
  uint64_t open_count = 0;
  if (set == &b->set)
    open_count = b->set_open;
  else
    for (uint32_t i = 0; i < set->count; i++)
      open_count += b->items[set->at[i]].open_count;
  uint64_t most = most_open(open_count, set->count);
  uint32_t idx = owner(&r, set, ask->affinity);
  if (b->items[idx].open_count < most)
    return idx;
  struct rn_bal_set left = *set;
  for (uint32_t i = 0; i < PASSES && left.count > 1; i++) {
    left.bits[idx / 64] &= ~((uint64_t)1 << (idx % 64));
    left.count--;
    idx = owner(&r, &left, ask->affinity);
    if (b->items[idx].open_count < most)
      return idx;
  }
  for (uint32_t i = 0; i < set->count; i++)
    if (b->items[set->at[i]].open_count < b->items[idx].open_count)
      idx = set->at[i];
  return idx;
}

bool consistent_hash_check(const struct rn_bal *b) {
  uint32_t shift = 64 - b->pool->ring_bits, points = b->set.count * RN_BAL_POINTS;
  for (uint32_t i = 0; i < points; i++)
    if ((i > 0 && b->ring[i] < b->ring[i - 1]) ||
        !set_has(&b->set, (uint32_t)(b->ring[i] & ~PLACE) % RN_BAL_WORKERS_MAX))
      return false;
  for (uint32_t arc = 0, at = 0; arc < 1u << b->pool->ring_bits; arc++) {
    while (at < points && b->ring[at] >> shift < arc)
      at++;
    if (b->ring_first[arc] != at)
      return false;
  }
  return true;
}

const struct rn_bal_strategy rn_bal_consistent_hash = { .name = "consistent_hash",
                                                        .pick = pick,
                                                        .changed = changed };
const struct rn_bal_strategy rn_bal_consistent_hash_bounded = { .name = "consistent_hash_bounded",
                                                                .pick = pick_bounded,
                                                                .changed = changed };
