/* dataplane/tsc.c */
#include "dataplane/tsc.h"

#define NS_PER_S 1000000000u
#define PAIR_NS  10000000u
#define JUMP_NS  50000000u

static uint64_t rate_of(uint64_t ns, uint64_t ticks) {
  return (uint64_t)(((unsigned __int128)ns << 32) / ticks);
}

void rn_tsc_init(struct rn_tsc *t, uint64_t hz, uint64_t tsc, uint64_t ns) {
  *t = (struct rn_tsc){ .base_tsc = tsc,
                        .base_ns = ns,
                        .rate = rate_of(NS_PER_S, hz),
                        .seen_tsc = tsc,
                        .seen_ns = ns,
                        .last_ns = ns };
}

void rn_tsc_adjust(struct rn_tsc *t, uint64_t tsc, uint64_t ns) {
  uint64_t span_ns = ns - t->seen_ns, ticks = tsc - t->seen_tsc;
  if (ns < t->seen_ns + PAIR_NS || tsc <= t->seen_tsc)
    return;
  t->seen_ns = ns;
  t->seen_tsc = tsc;
  uint64_t ours_ns = rn_tsc_ns(t, tsc);
  uint64_t rate = rate_of(span_ns, ticks); /* the true one, over the last span */
  t->base_tsc = tsc;
  t->base_ns = ours_ns;
  if (ns > ours_ns + JUMP_NS) {
    t->base_ns = ns;
    t->rate = rate;
    return;
  }
  /* Cover a span like the last one and what we are behind; when far ahead, at least go on at half the rate. */
  uint64_t want_ns = span_ns + ns > ours_ns ? span_ns + ns - ours_ns : 0;
  t->rate = want_ns > span_ns / 2 ? rate_of(want_ns, ticks) : rate / 2;
}
