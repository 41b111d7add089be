/* bench/cluster/world.h: a simulated cluster that is watched: who is thought to be what, from when on, and what it costs. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "cost.h"
#include "harness/swarm.h"
#include "util/rng.h"

#define DIRECTOR 0u /* the node at which it counts how long somebody is still chosen */

/* One that was killed, or that has changed its tags, and who knows. In ns after it; UINT64_MAX: not yet. */
struct subject {
  uint32_t node;
  bool tags;
  uint64_t at_ns, first_ns, director_ns, all_ns;
  uint32_t knows, wanted; /* how many do; of how many */
  uint8_t *known;         /* by node */
};

/* Verdicts on nodes that run. Of nodes that something is wrong with, and of the others. */
struct wrong {
  uint64_t suspected[2]; /* by somebody's own judgement; [1]: something is wrong with the suspect */
  uint64_t failed[2];    /* how often one was Failed anywhere, until it was nowhere any more */
  uint64_t failed_events[2]; /* how often one became Failed with somebody */
};

struct world {
  struct swarm *swarm;
  struct swarm_config cfg;
  struct cost *cost;
  struct rn_rng rng;
  bool *impaired;        /* by node: slow, stalled, cut off, or its clock jumps */
  uint32_t *failed_with; /* by node: with how many it is Failed though it runs */
  uint64_t *judged;      /* by node: suspicions of its own that were seen */
  struct wrong wrong;
  struct subject *subjects;
  uint32_t subject_count;
  int32_t *subject_of; /* by node; -1: none */
  uint32_t unsettled;  /* whom somebody did not know when it was looked at last */
};

/* All nodes run and know each other; not if empty. */
struct world *world_new(const struct swarm_config *cfg, bool empty);
void world_free(struct world *w);

/* Time goes on. */
void world_run(struct world *w, uint64_t ns);
/* Starts nodes that do not run; their seeds are two others. */
void world_start(struct world *w, uint32_t i);
/* Whether every node that runs has i as Alive, with the incarnation it has. */
bool world_knows(const struct world *w, uint32_t i);
/* The same of everybody. Looks at all pairs. */
bool world_settled(struct world *w);

/* From now on those are watched, instead of others before. */
void world_subjects(struct world *w, const uint32_t *nodes, uint32_t count, bool tags);
/* Until all know of all subjects, limit_ns at most. */
void world_until_known(struct world *w, uint64_t limit_ns);
/* A node that runs, nothing is wrong with, and is not the director. */
uint32_t world_pick(struct world *w);
