/* cluster/suspicion.c */
#include "cluster/suspicion.h"

#include <math.h>
#include <string.h>

void rn_health_good(struct rn_health *h) { h->score = (uint8_t)(h->score - (h->score > 0)); }

void rn_health_bad(struct rn_health *h) {
  h->score = (uint8_t)(h->score + (h->score < RN_HEALTH_MAX));
}

uint64_t rn_health_stretch_ns(const struct rn_health *h, uint64_t ns) {
  return ns * (1u + h->score);
}

uint64_t rn_suspicion_min_ns(uint32_t multiplier, uint32_t members, uint64_t interval_ns) {
  double decades = log10(members);
  return (uint64_t)((double)interval_ns * multiplier * (decades > 1 ? decades : 1));
}

void rn_suspicion_init(struct rn_suspicion *s, uint64_t start_ns, uint64_t min_ns, uint64_t max_ns,
                       uint32_t others, uint64_t by) {
  memset(s, 0, sizeof(*s));
  s->start_ns = start_ns;
  s->min_ns = min_ns;
  s->max_ns = max_ns;
  s->by[0] = by;
  s->wanted = (uint8_t)(others < RN_SUSPICION_CONFIRMERS ? others : RN_SUSPICION_CONFIRMERS);
}

bool rn_suspicion_confirm(struct rn_suspicion *s, uint64_t by) {
  if (s->confirmations >= s->wanted)
    return false;
  for (unsigned int i = 0; i <= s->confirmations; i++)
    if (s->by[i] == by)
      return false;
  s->by[++s->confirmations] = by;
  return true;
}

uint64_t rn_suspicion_deadline_ns(const struct rn_suspicion *s) {
  if (s->confirmations >= s->wanted)
    return s->start_ns + s->min_ns;
  double share = log(1.0 + s->confirmations) / log(1.0 + s->wanted);
  return s->start_ns + s->max_ns - (uint64_t)((double)(s->max_ns - s->min_ns) * share);
}
