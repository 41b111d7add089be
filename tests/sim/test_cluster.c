/* Clusters of some dozen nodes in a fake world, with what may happen to them. Each scenario is played with several seeds; on failure it prints which, and what
 * the nodes reported. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/swarm.h"
#include "util/err.h"

#define SEEDS     10u
#define NODES_MAX 101u
#define REPORTS   64u

static const char *const event_names[RN_CLUSTER_EVENT_COUNT] = {
  "joined", "suspected", "failed", "left", "recovered", "tags", "moved", "refuted", "partition"
};

struct report {
  uint64_t at;
  uint32_t node;
  enum rn_cluster_event_type type;
  char who[64];
};

struct world {
  struct swarm *swarm;
  const char *scenario;
  struct swarm_config cfg;
  uint32_t count[RN_CLUSTER_EVENT_COUNT];
  uint64_t first_ns[RN_CLUSTER_EVENT_COUNT]; /* since the counts were cleared; 0: none */
  struct report reports[REPORTS];            /* the last ones */
  uint64_t reported;
};

static _Noreturn void fail(const struct world *w, const char *why) {
  uint64_t from = w->reported > REPORTS ? w->reported - REPORTS : 0;
  for (uint64_t i = from; i < w->reported; i++) {
    const struct report *r = &w->reports[i % REPORTS];
    printf("%8" PRIu64 " ms  node %u: %s %s\n", r->at / SWARM_MS, r->node, event_names[r->type],
           r->who);
  }
  fflush(stdout);
  fprintf(stderr, "not ok %s seed=%" PRIu64 " at %" PRIu64 " ms: %s\n", w->scenario, w->cfg.seed,
          swarm_now(w->swarm) / SWARM_MS, why);
  exit(1);
}

#define MUST(w, cond)                                                                              \
  do {                                                                                             \
    if (!(cond))                                                                                   \
      fail(w, #cond);                                                                              \
  } while (0)

static void on_event(void *app, uint32_t node, enum rn_cluster_event_type type,
                     const struct rn_member *who, uint64_t now_ns) {
  struct world *w = app;
  struct report *r = &w->reports[w->reported++ % REPORTS];
  *r = (struct report){ .at = now_ns, .node = node, .type = type };
  snprintf(r->who, sizeof(r->who), "%.60s", who->id);
  if (w->count[type]++ == 0)
    w->first_ns[type] = now_ns;
}

/* ---- building ---- */

static void world_new(struct world *w, const char *scenario, const struct swarm_config *cfg) {
  *w = (struct world){ .scenario = scenario, .cfg = *cfg };
  w->swarm = swarm_new(cfg, on_event, w);
}

static struct swarm_config config(uint64_t seed, uint32_t nodes) {
  return (struct swarm_config){ .seed = seed,
                                .nodes = nodes,
                                .delay_min = SWARM_MS / 10,
                                .delay_max = 2 * SWARM_MS,
                                .interval_ns = SWARM_S };
}

static void clear(struct world *w) {
  memset(w->count, 0, sizeof(w->count));
  memset(w->first_ns, 0, sizeof(w->first_ns));
}

static void run_s(struct world *w, uint32_t seconds) { swarm_run(w->swarm, seconds * SWARM_S); }

/* Whether all running nodes but `except` think that of k. */
static bool agree(const struct world *w, uint32_t k, enum rn_swim_state state, uint32_t except) {
  for (uint32_t i = 0; i < w->cfg.nodes; i++)
    if (i != except && i != k && swarm_node(w->swarm, i) != NULL &&
        swarm_view(w->swarm, i, k) != state)
      return false;
  return true;
}

static bool all_alive(const struct world *w) {
  for (uint32_t k = 0; k < w->cfg.nodes; k++)
    if (!agree(w, k, RN_SWIM_ALIVE, k))
      return false;
  return true;
}

/* Steps of 50 ms until cond; false: not within that time. */
#define UNTIL(w, cond, limit_ns)                                                                   \
  ({                                                                                               \
    const uint64_t until_ = swarm_now((w)->swarm) + (limit_ns);                                    \
    while (!(cond) && swarm_now((w)->swarm) < until_)                                              \
      swarm_run((w)->swarm, 50 * SWARM_MS);                                                        \
    (cond);                                                                                        \
  })

/* All nodes, from the first one; settled. */
static void settle(struct world *w) {
  static const uint32_t seeds[] = { 0, 1 };
  for (uint32_t i = 0; i < w->cfg.nodes; i++)
    if (swarm_node(w->swarm, i) == NULL)
      swarm_start(w->swarm, i, seeds, 2);
  MUST(w, UNTIL(w, all_alive(w), 20 * SWARM_S));
  run_s(w, 5);
  clear(w);
}

/* ---- scenarios ---- */

static void join(struct world *w) {
  static const uint32_t seeds[] = { 0 };
  for (uint32_t i = 0; i < w->cfg.nodes; i++) {
    swarm_start(w->swarm, i, seeds, 1);
    swarm_run(w->swarm, 30 * SWARM_MS);
  }
  MUST(w, UNTIL(w, all_alive(w), 10 * SWARM_S));
  MUST(w, w->count[RN_CLUSTER_JOINED] == w->cfg.nodes * (w->cfg.nodes - 1));
  MUST(w, w->count[RN_CLUSTER_SUSPECTED] == 0);
  clear(w);
  run_s(w, 60);
  for (uint32_t i = 0; i < RN_CLUSTER_EVENT_COUNT; i++)
    MUST(w, w->count[i] == 0);
}

static void crash(struct world *w) {
  settle(w);
  const uint64_t killed = swarm_now(w->swarm);
  swarm_kill(w->swarm, 3);
  MUST(w, UNTIL(w, w->count[RN_CLUSTER_SUSPECTED] > 0, 3 * SWARM_S));
  MUST(w, w->first_ns[RN_CLUSTER_SUSPECTED] - killed < 3 * SWARM_S);
  MUST(w, UNTIL(w, agree(w, 3, RN_SWIM_SUSPECT, 3), 3 * SWARM_S));
  MUST(w, UNTIL(w, agree(w, 3, RN_SWIM_FAILED, 3), 30 * SWARM_S));
  MUST(w, w->count[RN_CLUSTER_FAILED] == w->cfg.nodes - 1);
  MUST(w, w->count[RN_CLUSTER_SUSPECTED] == w->cfg.nodes - 1);
  run_s(w, 60);
  MUST(w, agree(w, 3, RN_SWIM_FAILED, 3) && w->count[RN_CLUSTER_RECOVERED] == 0);
}

/* All at once as well. */
static void restart(struct world *w) {
  static const uint32_t seeds[] = { 0, 1 };
  settle(w);
  swarm_kill(w->swarm, 4);
  run_s(w, 30);
  MUST(w, agree(w, 4, RN_SWIM_FAILED, 4));
  swarm_start(w->swarm, 4, seeds, 2);
  MUST(w, UNTIL(w, all_alive(w), 10 * SWARM_S));
  for (uint32_t i = 0; i < w->cfg.nodes; i++)
    swarm_kill(w->swarm, i);
  run_s(w, 1);
  for (uint32_t i = 0; i < w->cfg.nodes; i++)
    swarm_start(w->swarm, i, seeds, 2);
  MUST(w, UNTIL(w, all_alive(w), 20 * SWARM_S));
}

static void loss(struct world *w) {
  settle(w);
  run_s(w, 300);
  MUST(w, w->count[RN_CLUSTER_FAILED] == 0 && all_alive(w));
  swarm_kill(w->swarm, 3);
  MUST(w, UNTIL(w, agree(w, 3, RN_SWIM_FAILED, 3), 90 * SWARM_S));
  MUST(w, w->count[RN_CLUSTER_FAILED] == w->cfg.nodes - 1);
}

/* A fifth of the members is overloaded. */
static void slow(struct world *w) {
  settle(w);
  for (uint32_t i = 0; i < w->cfg.nodes; i += 5)
    swarm_slow(w->swarm, i, 1500 * SWARM_MS);
  run_s(w, 300);
  MUST(w, w->count[RN_CLUSTER_FAILED] == 0);
  swarm_kill(w->swarm, 3);
  MUST(w, UNTIL(w, agree(w, 3, RN_SWIM_FAILED, 3), 120 * SWARM_S));
}

static void cut_halves(struct world *w, bool cut) {
  const uint32_t half = w->cfg.nodes / 2;
  for (uint32_t i = 0; i < half; i++)
    for (uint32_t k = half; k < w->cfg.nodes; k++) {
      swarm_cut(w->swarm, i, k, cut);
      swarm_cut(w->swarm, k, i, cut);
    }
}

static void partition(struct world *w) {
  settle(w);
  cut_halves(w, true);
  run_s(w, 60);
  MUST(w, swarm_view(w->swarm, 0, w->cfg.nodes - 1) == RN_SWIM_FAILED);
  MUST(w, swarm_view(w->swarm, w->cfg.nodes - 1, 0) == RN_SWIM_FAILED);
  MUST(w, swarm_view(w->swarm, 0, 1) == RN_SWIM_ALIVE);
  /* Of two halves that with the first id is the majority: node-10.1.0.0. */
  for (uint32_t i = 0; i < w->cfg.nodes; i++) {
    const struct rn_partition *p = rn_cluster_partition(swarm_node(w->swarm, i));
    MUST(w, p->state == RN_PARTITION_PARTITIONED && p->reached == w->cfg.nodes / 2);
    MUST(w, p->minority == (i >= w->cfg.nodes / 2));
  }
  cut_halves(w, false);
  MUST(w, UNTIL(w, all_alive(w), 60 * SWARM_S));
  run_s(w, 2);
  for (uint32_t i = 0; i < w->cfg.nodes; i++)
    MUST(w, rn_cluster_partition(swarm_node(w->swarm, i))->state == RN_PARTITION_HEALTHY);
}

/* One node cannot reach one other, everybody else can. */
static void one_way(struct world *w) {
  settle(w);
  for (uint32_t k = 1; k < w->cfg.nodes; k++)
    swarm_cut(w->swarm, k % 7, k, k % 7 != k);
  run_s(w, 120);
  MUST(w, w->count[RN_CLUSTER_FAILED] == 0);
}

static void frozen(struct world *w) {
  settle(w);
  swarm_freeze(w->swarm, 2, true);
  run_s(w, 10);
  MUST(w, w->count[RN_CLUSTER_SUSPECTED] > 0);
  const uint32_t failed = w->count[RN_CLUSTER_FAILED];
  swarm_freeze(w->swarm, 2, false);
  run_s(w, 1);
  /* Whoever was away blames nobody else. */
  for (uint32_t k = 0; k < w->cfg.nodes; k++)
    MUST(w, k == 2 || swarm_view(w->swarm, 2, k) == RN_SWIM_ALIVE);
  MUST(w, UNTIL(w, all_alive(w), 5 * SWARM_S));
  run_s(w, 30);
  MUST(w, w->count[RN_CLUSTER_FAILED] == failed && all_alive(w));
  MUST(w, rn_cluster_stats(swarm_node(w->swarm, 2))->lost_time > 0);
}

/* Three of ours and three of the published crate's. */
static void published(struct world *w) {
  static const uint32_t seeds[] = { 0 };
  for (uint32_t i = 0; i < 3; i++)
    swarm_start(w->swarm, i, seeds, 1);
  for (uint32_t i = 3; i < 6; i++)
    swarm_start_published(w->swarm, i, seeds, 1);
  MUST(w, UNTIL(w, all_alive(w), 10 * SWARM_S));
  run_s(w, 5);
  /* What one of them has told one of us, the others know by us. */
  MUST(w,
       swarm_view(w->swarm, 3, 4) == RN_SWIM_ALIVE && swarm_view(w->swarm, 5, 3) == RN_SWIM_ALIVE);
  struct rn_bin_str role;
  MUST(w,
       rn_tags_get(&swarm_member(w->swarm, 2, 4)->tags, (struct rn_bin_str){ "role", 4 }, &role));
  clear(w);
  run_s(w, 120);
  for (uint32_t i = 0; i < RN_CLUSTER_EVENT_COUNT; i++)
    MUST(w, w->count[i] == 0);
  const uint64_t killed = swarm_now(w->swarm);
  swarm_kill(w->swarm, 4);
  MUST(w, UNTIL(w, swarm_view(w->swarm, 0, 4) != RN_SWIM_ALIVE, 3 * SWARM_S));
  MUST(w, w->first_ns[RN_CLUSTER_SUSPECTED] - killed < 3 * SWARM_S);
  MUST(w, UNTIL(w, agree(w, 4, RN_SWIM_FAILED, 4), 30 * SWARM_S));
  swarm_start_published(w->swarm, 4, seeds, 1);
  MUST(w, UNTIL(w, agree(w, 4, RN_SWIM_ALIVE, 4), 10 * SWARM_S));
  /* Of those that are there none was thought to have failed, although nodes of theirs suspect without an end. */
  MUST(w, w->count[RN_CLUSTER_FAILED] == 3);
  /* One of them cannot be reached by one of ours: the others vouch for it. */
  clear(w);
  swarm_cut(w->swarm, 1, 3, true);
  run_s(w, 120);
  MUST(w, w->count[RN_CLUSTER_FAILED] == 0 && swarm_view(w->swarm, 0, 3) == RN_SWIM_ALIVE);
}

/* Nodes of ours and one of the published crate's, which stops to answer, but not to ask: that is no sign of health. */
static void mute(struct world *w) {
  static const uint32_t seeds[] = { 0 };
  const uint32_t k = w->cfg.nodes - 1;
  for (uint32_t i = 0; i < k; i++)
    swarm_start(w->swarm, i, seeds, 1);
  swarm_start_published(w->swarm, k, seeds, 1);
  MUST(w, UNTIL(w, all_alive(w), 10 * SWARM_S));
  run_s(w, 30);
  clear(w);
  swarm_mute(w->swarm, k, true);
  MUST(w, UNTIL(w, agree(w, k, RN_SWIM_SUSPECT, k), 3 * SWARM_S));
  run_s(w, 3);
  MUST(w, w->count[RN_CLUSTER_RECOVERED] == 0 && w->count[RN_CLUSTER_FAILED] == 0);
  swarm_mute(w->swarm, k, false);
  MUST(w, UNTIL(w, agree(w, k, RN_SWIM_ALIVE, k), 2 * SWARM_S));
  clear(w);
  swarm_mute(w->swarm, k, true);
  MUST(w, UNTIL(w, agree(w, k, RN_SWIM_FAILED, k), 60 * SWARM_S));
  run_s(w, 60);
  MUST(w, w->count[RN_CLUSTER_RECOVERED] == 0 && w->count[RN_CLUSTER_FAILED] == k);
  swarm_mute(w->swarm, k, false);
  MUST(w, UNTIL(w, agree(w, k, RN_SWIM_ALIVE, k), 5 * SWARM_S));
}

static void leave(struct world *w) {
  settle(w);
  rn_cluster_leave(swarm_node(w->swarm, 5), swarm_now(w->swarm));
  run_s(w, 4);
  MUST(w, agree(w, 5, RN_SWIM_LEFT, 5));
  swarm_kill(w->swarm, 5);
  run_s(w, 60);
  MUST(w, agree(w, 5, RN_SWIM_LEFT, 5) && w->count[RN_CLUSTER_SUSPECTED] == 0);
  MUST(w, w->count[RN_CLUSTER_LEFT] == w->cfg.nodes);
}

static bool has_tag(const struct world *w, uint32_t k, const char *key) {
  for (uint32_t i = 0; i < w->cfg.nodes; i++) {
    const struct rn_member *who = swarm_member(w->swarm, i, k);
    struct rn_bin_str value;
    if (who == NULL || !rn_tags_get(&who->tags, (struct rn_bin_str){ key, strlen(key) }, &value))
      return false;
  }
  return true;
}

static void tags(struct world *w) {
  settle(w);
  int err = rn_cluster_tag_set(swarm_node(w->swarm, 7), (struct rn_bin_str){ "zone", 4 },
                               (struct rn_bin_str){ "b", 1 });
  MUST(w, err == RN_OK);
  MUST(w, UNTIL(w, has_tag(w, 7, "zone"), 10 * SWARM_S));
  MUST(w, w->count[RN_CLUSTER_TAGS] == w->cfg.nodes); /* its own one too */
}

struct scenario {
  const char *name;
  void (*play)(struct world *w);
  uint32_t nodes;
  double loss;
};

static const struct scenario scenarios[] = {
  { "join", join, 20, 0 },        { "crash", crash, 20, 0 },   { "restart", restart, 20, 0 },
  { "loss", loss, 20, 0.1 },      { "slow", slow, 20, 0 },     { "partition", partition, 20, 0 },
  { "one_way", one_way, 20, 0 },  { "frozen", frozen, 20, 0 }, { "published", published, 6, 0 },
  { "mute", mute, 2, 0 },         { "mute_5", mute, 5, 0 },    { "leave", leave, 20, 0 },
  { "tags", tags, NODES_MAX, 0 },
};

static void play(const struct scenario *sc, uint64_t seed) {
  struct swarm_config cfg = config(seed, sc->nodes);
  struct world w;
  cfg.loss = sc->loss;
  world_new(&w, sc->name, &cfg);
  sc->play(&w);
  for (uint32_t i = 0; i < cfg.nodes; i++)
    MUST(&w, swarm_node(w.swarm, i) == NULL || rn_cluster_check(swarm_node(w.swarm, i)) == RN_OK);
  swarm_free(w.swarm);
}

int main(int argc, char **argv) {
  static const struct option options[] = { { "scenario", required_argument, NULL, 's' },
                                           { "seed", required_argument, NULL, 'n' },
                                           { NULL, 0, NULL, 0 } };
  const char *only = NULL;
  uint64_t seed = 0;
  for (int opt; (opt = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    if (opt == '?')
      return 2;
    if (opt == 's')
      only = optarg;
    else
      seed = strtoull(optarg, NULL, 10);
  }
  uint32_t played = 0;
  for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
    if (only != NULL && strcmp(only, scenarios[i].name) != 0)
      continue;
    for (uint64_t n = seed ? seed : 1; n <= (seed ? seed : SEEDS); n++, played++)
      play(&scenarios[i], n);
    printf("ok %s\n", scenarios[i].name);
  }
  if (played == 0)
    fprintf(stderr, "no scenario %s\n", only);
  return played > 0 ? 0 : 2;
}
