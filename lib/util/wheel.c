/* lib/util/wheel.c */
#include "util/wheel.h"
#include "util/err.h"

static uint32_t digit(uint64_t tick, uint32_t level) {
  return (uint32_t)(tick >> (RN_WHEEL_DIGIT_BITS * level)) & (RN_WHEEL_SLOTS - 1);
}

/* Time ends before RN_WHEEL_TICK_MAX, so that there is always a later tick to set a timer to. */
static uint64_t tick_of(uint64_t now_ns) {
  uint64_t tick = now_ns >> RN_WHEEL_TICK_BITS;
  return tick < RN_WHEEL_TICK_MAX ? tick : RN_WHEEL_TICK_MAX - 1;
}

size_t rn_wheel_footprint(void) { return (sizeof(struct rn_wheel) + 63) & ~(size_t)63; }

void rn_wheel_init(void *mem, uint64_t now_ns, struct rn_wheel **out) {
  struct rn_wheel *w = mem;
  w->tick = w->passed = tick_of(now_ns);
  for (uint32_t l = 0; l < RN_WHEEL_LEVELS; l++)
    w->used[l] = 0;
  for (uint32_t i = 0; i < RN_WHEEL_LEVELS * RN_WHEEL_SLOTS; i++)
    rn_list_init(&w->slots[i]);
  *out = w;
}

/* The first tick after w->tick at which a slot comes up; *level: of that slot. UINT64_MAX: none. Slots of a lower level all come before those
 * of a higher one. */
static uint64_t next_tick(const struct rn_wheel *w, uint32_t *level) {
  for (uint32_t l = 0; l < RN_WHEEL_LEVELS; l++) {
    uint32_t d = digit(w->tick, l);
    uint64_t later = d == RN_WHEEL_SLOTS - 1 ? 0 : w->used[l] & (UINT64_MAX << (d + 1));
    if (later == 0)
      continue;
    *level = l;
    uint64_t window = w->tick >> (RN_WHEEL_DIGIT_BITS * l) >> RN_WHEEL_DIGIT_BITS;
    return ((window << RN_WHEEL_DIGIT_BITS) | (uint64_t)__builtin_ctzll(later))
           << (RN_WHEEL_DIGIT_BITS * l);
  }
  return UINT64_MAX;
}

uint64_t rn_wheel_next_expiry(const struct rn_wheel *w) {
  uint32_t level;
  uint64_t tick = next_tick(w, &level);
  return tick == UINT64_MAX ? UINT64_MAX : tick << RN_WHEEL_TICK_BITS;
}

uint32_t rn_wheel_fire(struct rn_wheel *w, uint64_t now_ns,
                       void (*cb)(struct rn_timer *t, void *ctx), void *ctx) {
  uint64_t target = tick_of(now_ns);
  uint32_t fired = 0;
  if (target <= w->tick)
    return 0;
  w->passed = target;
  for (;;) {
    uint32_t level;
    uint64_t tick = next_tick(w, &level);
    if (tick > target)
      break;
    w->tick = tick;
    uint32_t d = digit(tick, level);
    struct rn_list *slot = &w->slots[level * RN_WHEEL_SLOTS + d];
    w->used[level] &= ~(UINT64_C(1) << d);
    /* What is due now leaves one by one, because a callback may cancel any of the others; the rest falls to a lower level. New timers are
     * later than target and so never come to this slot. */
    while (!rn_list_empty(slot)) {
      struct rn_timer *t = RN_LIST_ENTRY(slot->next, struct rn_timer, node);
      rn_list_remove(&t->node);
      if (t->tick > tick) {
        rn_wheel_place(w, t);
        continue;
      }
      cb(t, ctx);
      fired++;
    }
  }
  w->tick = target;
  return fired;
}

/* Whether t lies where rn_wheel_place would put it now. */
static bool lies_right(const struct rn_wheel *w, const struct rn_timer *t, uint32_t slot) {
  if (t->slot != slot || t->tick <= w->tick || t->tick > RN_WHEEL_TICK_MAX)
    return false;
  uint32_t level = slot / RN_WHEEL_SLOTS;
  return digit(t->tick, level) == slot % RN_WHEEL_SLOTS &&
         (63u - (uint32_t)__builtin_clzll(t->tick ^ w->tick)) / RN_WHEEL_DIGIT_BITS == level;
}

int rn_wheel_check(const struct rn_wheel *w) {
  if (w->passed != w->tick)
    return RN_ERR_STATE;
  for (uint32_t i = 0; i < RN_WHEEL_LEVELS * RN_WHEEL_SLOTS; i++) {
    const struct rn_list *slot = &w->slots[i];
    bool used = (w->used[i / RN_WHEEL_SLOTS] >> i % RN_WHEEL_SLOTS & 1) != 0;
    if (used == rn_list_empty(slot))
      return RN_ERR_STATE;
    for (const struct rn_list *n = slot->next; n != slot; n = n->next) {
      if (n->next->prev != n || !lies_right(w, RN_LIST_ENTRY(n, const struct rn_timer, node), i))
        return RN_ERR_STATE;
    }
  }
  return RN_OK;
}
