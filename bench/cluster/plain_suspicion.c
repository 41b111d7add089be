/* bench/cluster/plain_suspicion.c: cluster/suspicion.c of a cluster without Lifeguard: nobody doubts himself, and a suspicion lasts as long whoever shares it. In
 * plain SWIM in place of it. */
#include "cluster/suspicion.h"

#include <math.h>

void rn_health_good(struct rn_health *h) { (void)h; }
void rn_health_bad(struct rn_health *h) { (void)h; }

uint64_t rn_health_stretch_ns(const struct rn_health *h, uint64_t ns) {
  (void)h;
  return ns;
}

uint64_t rn_suspicion_min_ns(uint32_t multiplier, uint32_t members, uint64_t interval_ns) {
  const double decades = log10(members);
  return (uint64_t)((double)interval_ns * multiplier * (decades > 1 ? decades : 1));
}

void rn_suspicion_init(struct rn_suspicion *s, uint64_t start_ns, uint64_t min_ns, uint64_t max_ns,
                       uint32_t others, uint64_t by) {
  (void)max_ns;
  (void)others;
  *s = (struct rn_suspicion){ .start_ns = start_ns, .min_ns = min_ns, .by = { by } };
}

bool rn_suspicion_confirm(struct rn_suspicion *s, uint64_t by) {
  (void)s;
  (void)by;
  return false;
}

uint64_t rn_suspicion_deadline_ns(const struct rn_suspicion *s) { return s->start_ns + s->min_ns; }
