/* dataplane/tsc.h: nanoseconds from the processor's time-stamp counter, kept to the kernel's monotonic clock.
 *
 * The kernel's clock is read a few times a second, the counter in every turn. What both say together corrects the rate, so that an
 * lcore's time stays that of the other processes however long it runs. The two readings are arguments. One lcore owns each. */
#pragma once
#include <stdint.h>

struct rn_tsc {
  uint64_t base_tsc;
  uint64_t base_ns;
  uint64_t rate;     /* ns per tick, times 2^32 */
  uint64_t seen_tsc; /* the last pair of readings */
  uint64_t seen_ns;
  uint64_t last_ns; /* what was said last: time never goes back */
};

/* hz: the counter's rate as far as it is known, > 0. tsc and ns were read at about the same time. */
void rn_tsc_init(struct rn_tsc *t, uint64_t hz, uint64_t tsc, uint64_t ns);

/* The time at a counter's reading. Never less than it said before. */
static inline uint64_t rn_tsc_ns(struct rn_tsc *t, uint64_t tsc) {
  if (tsc < t->base_tsc)
    return t->last_ns; /* another core's counter, which is behind */
  uint64_t ns = t->base_ns + (uint64_t)(((unsigned __int128)(tsc - t->base_tsc) * t->rate) >> 32);
  t->last_ns = ns > t->last_ns ? ns : t->last_ns;
  return t->last_ns;
}

/* A new pair of readings, at least 10 ms after the last one (else ignored). An error below 50 ms is worked off over the time until the
 * next pair; time that was lost beyond that (the machine slept) is made up at once. */
void rn_tsc_adjust(struct rn_tsc *t, uint64_t tsc, uint64_t ns);
