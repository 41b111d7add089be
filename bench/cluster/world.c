/* bench/cluster/world.c */
#include "world.h"

#include <stdlib.h>
#include <string.h>

#include "util/err.h"

static bool runs(const struct world *w, uint32_t i) { return swarm_node(w->swarm, i) != NULL; }

/* ---- what is reported ---- */

static void learned(struct world *w, uint32_t node, uint32_t whom) {
  struct subject *s = w->subject_of[whom] >= 0 ? &w->subjects[w->subject_of[whom]] : NULL;
  if (s == NULL || s->known[node])
    return;
  const uint64_t ns = swarm_now(w->swarm) - s->at_ns;
  s->known[node] = 1;
  s->first_ns = s->knows == 0 ? ns : s->first_ns;
  if (node == DIRECTOR)
    s->director_ns = ns;
  if (++s->knows == s->wanted)
    s->all_ns = ns;
}

static void blamed(struct world *w, uint32_t node, enum rn_cluster_event_type type, uint32_t whom) {
  const uint64_t judged = rn_cluster_stats(swarm_node(w->swarm, node))->suspicions;
  const bool own = judged != w->judged[node];
  w->judged[node] = judged;
  if (!runs(w, whom))
    return;
  if (type == RN_CLUSTER_SUSPECTED)
    w->wrong.suspected[w->impaired[whom]] += own;
  if (type != RN_CLUSTER_FAILED)
    return;
  w->wrong.failed_events[w->impaired[whom]]++;
  w->wrong.failed[w->impaired[whom]] += w->failed_with[whom]++ == 0;
}

static void on_event(void *app, uint32_t node, enum rn_cluster_event_type type,
                     const struct rn_member *who, uint64_t now_ns) {
  struct world *w = app;
  const uint32_t whom = swarm_at(&who->addr);
  (void)now_ns;
  if (whom >= w->cfg.nodes || whom == node)
    return;
  const struct subject *s = w->subject_of[whom] >= 0 ? &w->subjects[w->subject_of[whom]] : NULL;
  if (type == RN_CLUSTER_SUSPECTED || type == RN_CLUSTER_FAILED)
    blamed(w, node, type, whom);
  if (type == RN_CLUSTER_RECOVERED && w->failed_with[whom] > 0)
    w->failed_with[whom]--;
  if (s == NULL)
    return;
  if (s->tags ? type == RN_CLUSTER_TAGS : type == RN_CLUSTER_SUSPECTED || type == RN_CLUSTER_FAILED)
    learned(w, node, whom);
}

static void on_message(void *app, uint32_t from, uint32_t to, bool answer, size_t len,
                       uint64_t now_ns) {
  struct world *w = app;
  cost_message(w->cost, from, to, answer, len, now_ns);
}

/* ---- the world ---- */

static void *zeros(size_t count, size_t bytes) {
  void *p = calloc(count, bytes);
  RN_ASSERT(p != NULL);
  return p;
}

struct world *world_new(const struct swarm_config *cfg, bool empty) {
  struct world *w = zeros(1, sizeof(*w));
  w->cfg = *cfg;
  w->swarm = swarm_new(cfg, on_event, w);
  w->cost = cost_new(cfg->nodes);
  rn_rng_init(&w->rng, cfg->seed + 1);
  w->impaired = zeros(cfg->nodes, sizeof(*w->impaired));
  w->failed_with = zeros(cfg->nodes, sizeof(*w->failed_with));
  w->judged = zeros(cfg->nodes, sizeof(*w->judged));
  w->subjects = zeros(cfg->nodes, sizeof(*w->subjects));
  w->subject_of = zeros(cfg->nodes, sizeof(*w->subject_of));
  for (uint32_t i = 0; i < cfg->nodes; i++)
    w->subject_of[i] = -1;
  for (uint32_t i = 0; i < cfg->nodes && !empty; i++)
    world_start(w, i);
  if (!empty)
    swarm_acquaint(w->swarm);
  swarm_tap(w->swarm, on_message);
  return w;
}

void world_free(struct world *w) {
  world_subjects(w, NULL, 0, false);
  swarm_free(w->swarm);
  cost_free(w->cost);
  free(w->impaired);
  free(w->failed_with);
  free(w->judged);
  free(w->subjects);
  free(w->subject_of);
  free(w);
}

void world_run(struct world *w, uint64_t ns) { swarm_run(w->swarm, ns); }

void world_start(struct world *w, uint32_t i) {
  const uint32_t seeds[] = { 0, 1, w->cfg.nodes / 2 };
  w->judged[i] = 0;
  w->failed_with[i] = 0;
  swarm_start(w->swarm, i, seeds, w->cfg.nodes > 2 ? 3 : 2);
}

bool world_knows(const struct world *w, uint32_t i) {
  const uint64_t is = swarm_member(w->swarm, i, i)->incarnation;
  for (uint32_t k = 0; k < w->cfg.nodes; k++) {
    const struct rn_member *who = runs(w, k) ? swarm_member(w->swarm, k, i) : NULL;
    if (runs(w, k) && k != i &&
        (who == NULL || who->state != RN_SWIM_ALIVE || who->incarnation != is))
      return false;
  }
  return true;
}

bool world_settled(struct world *w) {
  for (uint32_t n = 0; n < w->cfg.nodes; n++) {
    const uint32_t i = (w->unsettled + n) % w->cfg.nodes;
    if (!runs(w, i) || world_knows(w, i))
      continue;
    w->unsettled = i;
    return false;
  }
  return true;
}

/* ---- who is watched ---- */

void world_subjects(struct world *w, const uint32_t *nodes, uint32_t count, bool tags) {
  uint32_t running = 0;
  for (uint32_t i = 0; i < w->subject_count; i++) {
    w->subject_of[w->subjects[i].node] = -1;
    free(w->subjects[i].known);
  }
  w->subject_count = count;
  for (uint32_t i = 0; i < w->cfg.nodes; i++)
    running += runs(w, i);
  for (uint32_t i = 0; i < count; i++) {
    w->subjects[i] = (struct subject){ .node = nodes[i],
                                       .tags = tags,
                                       .at_ns = swarm_now(w->swarm),
                                       .first_ns = UINT64_MAX,
                                       .director_ns = UINT64_MAX,
                                       .all_ns = UINT64_MAX,
                                       .wanted = running - (tags ? 1 : 0),
                                       .known = zeros(w->cfg.nodes, 1) };
    w->subject_of[nodes[i]] = (int32_t)i;
  }
  /* Those that thought so before. */
  for (uint32_t i = 0; i < count && !tags; i++)
    for (uint32_t k = 0; k < w->cfg.nodes; k++)
      if (runs(w, k) && swarm_view(w->swarm, k, nodes[i]) != RN_SWIM_ALIVE)
        learned(w, k, nodes[i]);
}

void world_until_known(struct world *w, uint64_t limit_ns) {
  const uint64_t until = swarm_now(w->swarm) + limit_ns;
  for (bool all = false; !all && swarm_now(w->swarm) < until;) {
    all = true;
    for (uint32_t i = 0; i < w->subject_count; i++)
      all &= w->subjects[i].all_ns != UINT64_MAX;
    if (!all)
      world_run(w, 100 * SWARM_MS);
  }
}

uint32_t world_pick(struct world *w) {
  for (;;) {
    const uint32_t i = (uint32_t)rn_rng_below(&w->rng, w->cfg.nodes);
    if (i != DIRECTOR && runs(w, i) && !w->impaired[i])
      return i;
  }
}
