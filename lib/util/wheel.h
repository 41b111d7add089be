/* lib/util/wheel.h: hierarchical timer wheel. One lcore owns each; time is an argument.
 *
 * Eight levels of 64 slots over ticks of 2^14 ns (16 us). A timer lies on the level of the highest digit in which its tick differs from the
 * current one; when time reaches its slot it falls to a lower level, and from the lowest it fires. A bitmap per level finds the next slot
 * without a walk, so idle time costs nothing.
 *
 *     level 0: | next 63 ticks, 1 ms |   level 1: | 66 ms |   level 2: | 4.3 s |   ...   level 7: | 146 years |
 *
 * A timer for at_ns is due at the first tick that begins at or after at_ns and that begins after the last fire. rn_wheel_fire fires it when
 * now_ns has reached that tick: never early, and less than one tick late by itself. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/list.h"

#define RN_WHEEL_TICK_BITS  14u
#define RN_WHEEL_TICK_NS    (UINT64_C(1) << RN_WHEEL_TICK_BITS)
#define RN_WHEEL_DIGIT_BITS 6u
#define RN_WHEEL_SLOTS      (1u << RN_WHEEL_DIGIT_BITS)
#define RN_WHEEL_LEVELS     8u
#define RN_WHEEL_TICK_MAX   ((UINT64_C(1) << (RN_WHEEL_DIGIT_BITS * RN_WHEEL_LEVELS)) - 1)
/* A timer for this time or a later one never fires. Time itself ends one tick before. */
#define RN_WHEEL_NEVER_NS (RN_WHEEL_TICK_MAX << RN_WHEEL_TICK_BITS)

struct rn_timer {
  struct rn_list node;
  uint64_t tick; /* at which it is due */
  uint32_t slot; /* index into rn_wheel.slots */
};

/* The fields belong to the functions below. */
struct rn_wheel {
  uint64_t tick;   /* everything up to and with it has fired; slots are relative to it */
  uint64_t passed; /* timers are set to later ticks: tick, or that of now_ns during a fire */
  uint64_t used[RN_WHEEL_LEVELS]; /* slots with timers, a bit each */
  struct rn_list slots[RN_WHEEL_LEVELS * RN_WHEEL_SLOTS];
};

/* Bytes needed; 64-byte aligned. */
size_t rn_wheel_footprint(void);
/* Formats mem, which stays the caller's. Nothing to release. */
void rn_wheel_init(void *mem, uint64_t now_ns, struct rn_wheel **out);

static inline void rn_timer_init(struct rn_timer *t) { rn_list_init(&t->node); }
static inline bool rn_timer_is_set(const struct rn_timer *t) { return !rn_list_empty(&t->node); }

/* Internal: where t->tick, which is after w->tick, lies. */
static inline void rn_wheel_place(struct rn_wheel *w, struct rn_timer *t) {
  uint32_t level = (63u - (uint32_t)__builtin_clzll(t->tick ^ w->tick)) / RN_WHEEL_DIGIT_BITS;
  uint32_t d = (uint32_t)(t->tick >> (RN_WHEEL_DIGIT_BITS * level)) & (RN_WHEEL_SLOTS - 1);
  t->slot = level * RN_WHEEL_SLOTS + d;
  w->used[level] |= UINT64_C(1) << d;
  rn_list_push_back(&w->slots[t->slot], &t->node);
}

/* Takes t out of w; a timer that is not set is fine. */
static inline void rn_wheel_cancel(struct rn_wheel *w, struct rn_timer *t) {
  if (!rn_timer_is_set(t))
    return;
  rn_list_remove(&t->node);
  if (rn_list_empty(&w->slots[t->slot]))
    w->used[t->slot / RN_WHEEL_SLOTS] &= ~(UINT64_C(1) << t->slot % RN_WHEEL_SLOTS);
}

/* Sets or moves t, which was initialised and is in no other wheel. A time that has passed fires with the next rn_wheel_fire of a later tick,
 * never within the one that is running. */
static inline void rn_wheel_set(struct rn_wheel *w, struct rn_timer *t, uint64_t at_ns) {
  uint64_t tick = (at_ns >> RN_WHEEL_TICK_BITS) + ((at_ns & (RN_WHEEL_TICK_NS - 1)) != 0);
  if (tick <= w->passed)
    tick = w->passed + 1;
  if (tick > RN_WHEEL_TICK_MAX)
    tick = RN_WHEEL_TICK_MAX;
  if (rn_timer_is_set(t)) {
    if (t->tick == tick)
      return;
    rn_wheel_cancel(w, t);
  }
  t->tick = tick;
  rn_wheel_place(w, t);
}

/* When rn_wheel_fire has something to do, after the last now_ns and never after a timer is due. Before that when the next timer is far: then
 * a fire moves timers down a level, at most seven times for each. UINT64_MAX: no timer is set. */
uint64_t rn_wheel_next_expiry(const struct rn_wheel *w);

/* Fires every timer that is due, in the order of ticks, those of one tick in any order. A timer is out of the wheel when its callback runs;
 * the callback may set and cancel any and release the timer's memory, and does not call rn_wheel_fire. A now_ns that goes back fires
 * nothing. Returns how many fired. */
uint32_t rn_wheel_fire(struct rn_wheel *w, uint64_t now_ns,
                       void (*cb)(struct rn_timer *t, void *ctx), void *ctx);

/* Walks every slot. RN_OK or RN_ERR_STATE. Slow; not from a callback. */
int rn_wheel_check(const struct rn_wheel *w);
