/* cluster/balance/weighted.c: calls in proportion to weights, as evenly mixed as they can be. Each worker's turns are SCALE / weight apart on a line of its own; whoever's turn
 * comes first is chosen. The first turn lies by chance within one distance, or the light ones would all come at once.
 *
 * The line goes around at 2^64: turns are never further apart than SCALE, so differences tell which is first. */
#include "cluster/balance/balance_priv.h"

#define SCALE ((uint64_t)1 << 40)

static uint64_t distance_of(const struct item *it) { return SCALE / it->weight; }

static bool before(uint64_t a, uint64_t b) { return (int64_t)(a - b) < 0; }

static void sift_down(struct turn *heap, uint32_t at, uint32_t n) {
  struct turn moved = heap[at];
  for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && before(heap[child + 1].turn, heap[child].turn))
      child++;
    if (!before(heap[child].turn, moved.turn))
      break;
    heap[at] = heap[child];
  }
  heap[at] = moved;
}

/* Who was away has saved up nothing, and who has become heavier does not wait for the turn of a light one. */
static void catch_up(struct rn_bal *b, struct item *it) {
  uint64_t distance = distance_of(it);
  if (before(it->turn, b->turn_now) || before(b->turn_now + distance, it->turn))
    it->turn = b->turn_now + 1 + rn_rng_below(&b->rng, distance);
}

static void changed(struct rn_bal *b) {
  for (uint32_t i = 0; i < b->set.count; i++) {
    uint32_t idx = b->set.at[i];
    catch_up(b, &b->items[idx]);
    b->turns[i] = (struct turn){ b->items[idx].turn, idx };
  }
  for (uint32_t i = b->set.count / 2; i-- > 0;)
    sift_down(b->turns, i, b->set.count);
}

/* Somebody was left out: all are looked at. Those outside the usual set have no place in the heap. */
static uint32_t pick_of_rest(struct rn_bal *b, const struct rn_bal_set *set) {
  uint32_t best = set->at[0];
  for (uint32_t i = 0; i < set->count; i++) {
    uint32_t idx = set->at[i];
    if (!set_has(&b->set, idx))
      catch_up(b, &b->items[idx]);
    if (before(b->items[idx].turn, b->items[best].turn))
      best = idx;
  }
  struct item *it = &b->items[best];
  it->turn += distance_of(it);
  if (!set_has(&b->set, best))
    return best;
  uint32_t at = 0;
  while (b->turns[at].idx != best)
    at++;
  b->turns[at].turn = it->turn;
  sift_down(b->turns, at, b->set.count);
  return best;
}

static uint32_t pick(struct rn_bal *b, const struct rn_bal_set *set, const struct rn_bal_ask *ask) {
  (void)ask;
  if (set != &b->set)
    return pick_of_rest(b, set);
  struct turn *first = b->turns;
  struct item *it = &b->items[first->idx];
  uint32_t idx = first->idx;
  b->turn_now = it->turn;
  it->turn += distance_of(it);
  first->turn = it->turn;
  sift_down(first, 0, set->count);
  return idx;
}

bool weighted_check(const struct rn_bal *b) {
  uint64_t seen[SET_WORDS] = { 0 };
  for (uint32_t i = 0; i < b->set.count; i++) {
    const struct turn *t = &b->turns[i];
    if (t->idx >= b->pool->count || !set_has(&b->set, t->idx) ||
        (seen[t->idx / 64] >> (t->idx % 64) & 1) != 0 || t->turn != b->items[t->idx].turn ||
        (i > 0 && before(t->turn, b->turns[(i - 1) / 2].turn)))
      return false;
    seen[t->idx / 64] |= (uint64_t)1 << (t->idx % 64);
  }
  return true;
}

const struct rn_bal_strategy rn_bal_weighted = { .name = "weighted",
                                                 .pick = pick,
                                                 .changed = changed };
