/* cluster/balance/load.c */
#include "cluster/balance/load.h"

#include <string.h>

#include "util/err.h"

#define LINE_COUNTS (64u / sizeof(uint32_t))

static size_t round_line(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

static bool slots_fit(uint32_t slots) { return slots >= 1 && slots <= RN_LOAD_SLOTS_MAX; }

/* A line more than is needed: what the prefetcher takes along is not another lcore's. */
static uint32_t stride_of(uint32_t slots) {
  return (uint32_t)(round_line(slots * sizeof(uint32_t)) / sizeof(uint32_t) + LINE_COUNTS);
}

size_t rn_load_shared_bytes(uint32_t lcores, uint32_t slots) {
  if (lcores < 1 || lcores > RN_LOAD_LCORES_MAX || !slots_fit(slots))
    return 0;
  return (size_t)lcores * stride_of(slots) * sizeof(uint32_t);
}

size_t rn_load_footprint(uint32_t slots) {
  if (!slots_fit(slots))
    return 0;
  return round_line(sizeof(struct rn_load) + slots * sizeof(struct rn_load_slot));
}

int rn_load_init(void *mem, void *shared, uint32_t lcores, uint32_t slots, uint32_t lcore_idx,
                 struct rn_load **out) {
  if (rn_load_shared_bytes(lcores, slots) == 0 || lcore_idx >= lcores)
    return RN_ERR_INVAL;
  struct rn_load *l = mem;
  memset(l, 0, rn_load_footprint(slots));
  l->all = shared;
  l->lcores = lcores;
  l->slots = slots;
  l->stride = stride_of(slots);
  l->lcore_idx = lcore_idx;
  l->mine = l->all + (size_t)lcore_idx * l->stride;
  for (uint32_t i = 0; i < slots; i++)
    atomic_store_explicit(&l->mine[i], 0, memory_order_relaxed);
  *out = l;
  return RN_OK;
}

/* One writer: no locked instruction. */
static void show(struct rn_load *l, uint32_t slot) {
  atomic_store_explicit(&l->mine[slot], l->slot[slot].open_count, memory_order_relaxed);
}

void rn_load_claim(struct rn_load *l, uint32_t slot, uint64_t key) {
  struct rn_load_slot *s = &l->slot[slot];
  if (s->key == key)
    return;
  l->taken_over += s->open_count > 0;
  s->key = key;
  s->open_count = 0;
  s->generation++;
  show(l, slot);
}

bool rn_load_begin(struct rn_load *l, uint32_t slot, uint64_t key, uint32_t *generation) {
  struct rn_load_slot *s = &l->slot[slot];
  if (s->key != key)
    return false;
  s->open_count++;
  show(l, slot);
  *generation = s->generation;
  return true;
}

void rn_load_end(struct rn_load *l, uint32_t slot, uint32_t generation) {
  struct rn_load_slot *s = &l->slot[slot];
  if (s->generation != generation) {
    l->stale++;
    return;
  }
  RN_ASSERT(s->open_count > 0);
  s->open_count--;
  show(l, slot);
}

int rn_load_check(const struct rn_load *l) {
  if (rn_load_shared_bytes(l->lcores, l->slots) == 0 || l->lcore_idx >= l->lcores ||
      l->stride != stride_of(l->slots) || l->mine != l->all + (size_t)l->lcore_idx * l->stride)
    return RN_ERR_STATE;
  for (uint32_t i = 0; i < l->slots; i++) {
    const struct rn_load_slot *s = &l->slot[i];
    if (atomic_load_explicit(&l->mine[i], memory_order_relaxed) != s->open_count ||
        (s->generation == 0 && (s->key != 0 || s->open_count != 0)))
      return RN_ERR_STATE;
  }
  return RN_OK;
}
