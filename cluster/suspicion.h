/* cluster/suspicion.h: how long a suspect has to speak up, and how far we trust ourselves (Lifeguard: Dadgar, Phillips, Currey, "Lifeguard: local
 * health awareness for more accurate failure detection", 2018). Intervals in ns; time is an argument. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* ---- local health: who misses much is more likely slow himself than among the dead ---- */

#define RN_HEALTH_MAX 8u

struct rn_health {
  uint8_t score; /* 0: well, ..RN_HEALTH_MAX */
};

/* An answer in time; an answer that did not come; a need to refute. */
void rn_health_good(struct rn_health *h);
void rn_health_bad(struct rn_health *h);
/* A time-out or an interval, stretched by the score. */
uint64_t rn_health_stretch_ns(const struct rn_health *h, uint64_t ns);

/* ---- suspicion ---- */

#define RN_SUSPICION_CONFIRMERS 3u

struct rn_suspicion {
  uint64_t start_ns, min_ns, max_ns;
  uint64_t by[1 + RN_SUSPICION_CONFIRMERS]; /* who said so, the first one first */
  uint8_t wanted, confirmations;            /* confirmations after which it ends at min_ns */
};

/* The least time that a suspect has: multiplier * max(1, log10(members)) * interval. multiplier >= 1, members >= 1. */
uint64_t rn_suspicion_min_ns(uint32_t multiplier, uint32_t members, uint64_t interval_ns);

/* `by` suspects since start_ns. It ends max_ns later, which gets less with each who confirms, down to min_ns <= max_ns; where fewer others are there to
 * confirm than RN_SUSPICION_CONFIRMERS, those are enough; with none at min_ns. `by` is any number that tells members apart. */
void rn_suspicion_init(struct rn_suspicion *s, uint64_t start_ns, uint64_t min_ns, uint64_t max_ns,
                       uint32_t others, uint64_t by);
/* True: he had not said so before, and it counts; whoever hears this for the first time passes it on. */
bool rn_suspicion_confirm(struct rn_suspicion *s, uint64_t by);
/* When it ends. */
uint64_t rn_suspicion_deadline_ns(const struct rn_suspicion *s);
