/* bench/cluster/scenarios.c */
#include "scenarios.h"

#include <string.h>
#include <time.h>

#include "util/err.h"

#define KNOWN_LIMIT   (90 * SWARM_S)
#define SETTLED_LIMIT (300 * SWARM_S)

/* ---- parts ---- */

/* How long verdicts and costs are counted: large clusters have as many node-hours in less time. */
static uint64_t span(const struct world *w) {
  return (w->cfg.nodes <= 200 ? 300 : w->cfg.nodes <= 1000 ? 120 : 30) * SWARM_S;
}

static double cpu_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void take_wrong(struct world *w, struct report *r, uint64_t ns) {
  r->wrong = w->wrong;
  r->node_hours = (double)w->cfg.nodes * (double)ns / (double)SWARM_S / 3600;
}

/* Runs, and counts verdicts and costs. */
static void measure(struct world *w, struct report *r, uint64_t ns) {
  memset(&w->wrong, 0, sizeof(w->wrong));
  cost_clear(w->cost);
  const double cpu = cpu_now();
  world_run(w, ns);
  r->cpu_s = cpu_now() - cpu;
  r->seconds = (double)ns / (double)SWARM_S;
  cost_sums(w->cost, swarm_now(w->swarm), &r->cost);
  r->conns = cost_conns(w->cost);
  take_wrong(w, r, ns);
}

/* At any time of a round. */
static void any_phase(struct world *w) { world_run(w, rn_rng_below(&w->rng, w->cfg.interval_ns)); }

static uint64_t until_settled(struct world *w) {
  const uint64_t from = swarm_now(w->swarm);
  while (!world_settled(w)) {
    if (swarm_now(w->swarm) - from >= SETTLED_LIMIT)
      return UINT64_MAX;
    world_run(w, w->cfg.nodes > 1000 ? SWARM_S : 100 * SWARM_MS);
  }
  return swarm_now(w->swarm) - from;
}

/* Kills those, looks who notices, and has them back. */
static void crash_of(struct world *w, struct report *r, const uint32_t *nodes, uint32_t count) {
  any_phase(w);
  for (uint32_t i = 0; i < count; i++)
    swarm_kill(w->swarm, nodes[i]);
  world_subjects(w, nodes, count, false);
  world_until_known(w, KNOWN_LIMIT);
  report_subjects(r, w);
  world_subjects(w, NULL, 0, false);
  for (uint32_t i = 0; i < count; i++)
    world_start(w, nodes[i]);
  for (uint32_t i = 0; i < count; i++)
    for (uint32_t s = 0; s < 600 && !world_knows(w, nodes[i]); s++)
      world_run(w, 100 * SWARM_MS);
  world_run(w, 5 * SWARM_S);
}

static void crashes(struct world *w, struct report *r, uint32_t samples) {
  for (uint32_t n = 0; n < samples; n++) {
    const uint32_t who = world_pick(w);
    crash_of(w, r, &who, 1);
  }
}

/* So many that nothing is wrong with are, from now on. */
static uint32_t impair(struct world *w, double share, uint32_t *out) {
  uint32_t n = (uint32_t)(share * w->cfg.nodes + 0.5), got = 0;
  for (n = n > 0 ? n : 1; got < n; got++) {
    out[got] = world_pick(w);
    w->impaired[out[got]] = true;
  }
  return got;
}

/* ---- scenarios ---- */

static void steady(struct world *w, struct report *r, uint32_t samples) {
  (void)samples;
  world_run(w, 75 * SWARM_S); /* connections that nobody uses are closed from then on */
  measure(w, r, span(w));
}

static void crash(struct world *w, struct report *r, uint32_t samples) { crashes(w, r, samples); }

static void crash_tenth(struct world *w, struct report *r, uint32_t samples) {
  uint32_t nodes[SWARM_NODES_MAX];
  for (uint32_t n = 0; n < (samples + 9) / 10; n++) {
    const uint32_t count = impair(w, 0.1, nodes);
    for (uint32_t i = 0; i < count; i++)
      w->impaired[nodes[i]] = false;
    crash_of(w, r, nodes, count);
  }
}

/* The rate is the scenario's. */
static void loss(struct world *w, struct report *r, uint32_t samples) {
  world_run(w, 30 * SWARM_S);
  measure(w, r, span(w));
  crashes(w, r, (samples + 3) / 4);
}

static void slow(struct world *w, struct report *r, uint32_t samples) {
  uint32_t nodes[SWARM_NODES_MAX];
  const uint32_t count = impair(w, 0.2, nodes);
  for (uint32_t i = 0; i < count; i++)
    swarm_slow(w->swarm, nodes[i], 1500 * SWARM_MS);
  measure(w, r, span(w));
  crashes(w, r, (samples + 3) / 4);
}

/* Each of a tenth reaches seven tenths of the others only; they reach it, but their requests stay without an answer. */
static void one_way(struct world *w, struct report *r, uint32_t samples) {
  uint32_t nodes[SWARM_NODES_MAX];
  const uint32_t count = impair(w, 0.1, nodes);
  (void)samples;
  for (uint32_t i = 0; i < count; i++)
    for (uint32_t k = 0; k < w->cfg.nodes; k++)
      if (k != nodes[i] && rn_rng_below(&w->rng, 10) < 3)
        swarm_cut(w->swarm, nodes[i], k, true);
  measure(w, r, span(w));
}

/* Each of three tenths is stalled for up to 4 s, runs for up to a second, and so on. */
static void overload(struct world *w, struct report *r, uint32_t samples) {
  uint32_t nodes[SWARM_NODES_MAX];
  uint64_t turn[SWARM_NODES_MAX], tenths = span(w) / (100 * SWARM_MS);
  bool stalled[SWARM_NODES_MAX] = { false };
  const uint32_t count = impair(w, 0.3, nodes);
  const uint64_t from = swarm_now(w->swarm);
  (void)samples;
  memset(&w->wrong, 0, sizeof(w->wrong));
  for (uint32_t i = 0; i < count; i++)
    turn[i] = rn_rng_below(&w->rng, 40);
  for (uint64_t tenth = 0; tenth < tenths; tenth++) {
    for (uint32_t i = 0; i < count; i++) {
      if (turn[i] > tenth)
        continue;
      stalled[i] = !stalled[i];
      swarm_freeze(w->swarm, nodes[i], stalled[i]);
      turn[i] = tenth + 1 + rn_rng_below(&w->rng, stalled[i] ? 40 : 10);
    }
    world_run(w, 100 * SWARM_MS);
  }
  take_wrong(w, r, swarm_now(w->swarm) - from);
}

/* A tenth of the clocks jumps ahead by up to a minute, each of them each half a minute. */
static void jumps(struct world *w, struct report *r, uint32_t samples) {
  uint32_t nodes[SWARM_NODES_MAX];
  const uint32_t count = impair(w, 0.1, nodes);
  const uint64_t from = swarm_now(w->swarm);
  (void)samples;
  memset(&w->wrong, 0, sizeof(w->wrong));
  for (uint64_t n = 0; n < span(w) / (30 * SWARM_S); n++) {
    for (uint32_t i = 0; i < count; i++) {
      world_run(w, 30 * SWARM_S / count);
      swarm_jump(w->swarm, nodes[i], SWARM_S + rn_rng_below(&w->rng, 59 * SWARM_S));
    }
  }
  take_wrong(w, r, swarm_now(w->swarm) - from);
}

/* Half of all is killed at once, and is there again 2 s later. */
static void restart(struct world *w, struct report *r, uint32_t samples) {
  memset(&w->wrong, 0, sizeof(w->wrong));
  const uint64_t from = swarm_now(w->swarm);
  for (uint32_t n = 0; n < (w->cfg.nodes > 1000 ? 1 : (samples + 19) / 20); n++) {
    for (uint32_t i = 0; i < w->cfg.nodes; i++)
      if (i % 2 == 1)
        swarm_kill(w->swarm, i);
    world_run(w, 2 * SWARM_S);
    for (uint32_t i = 0; i < w->cfg.nodes; i++)
      if (swarm_node(w->swarm, i) == NULL)
        world_start(w, i);
    samples_add(&r->settled, until_settled(w));
    world_run(w, 30 * SWARM_S);
  }
  take_wrong(w, r, swarm_now(w->swarm) - from);
}

static void tags(struct world *w, struct report *r, uint32_t samples) {
  for (uint32_t n = 0; n < samples; n++) {
    const uint32_t who = world_pick(w);
    /* Another one each time: the same node may be picked again. */
    char value[3] = { (char)('a' + n % 26), (char)('a' + n / 26 % 26), 0 };
    any_phase(w);
    world_subjects(w, &who, 1, true);
    int err = rn_cluster_tag_set(swarm_node(w->swarm, who), (struct rn_bin_str){ "v", 1 },
                                 (struct rn_bin_str){ value, 2 });
    RN_ASSERT(err == RN_OK);
    world_until_known(w, KNOWN_LIMIT);
    report_subjects(r, w);
    world_subjects(w, NULL, 0, false);
    world_run(w, SWARM_S);
  }
}

/* All at once, and all they know is one. */
static void join(struct world *w, struct report *r, uint32_t samples) {
  static const uint32_t seed = 0;
  (void)samples;
  cost_clear(w->cost);
  for (uint32_t i = 0; i < w->cfg.nodes; i++)
    swarm_start(w->swarm, i, &seed, 1);
  const double cpu = cpu_now();
  const uint64_t ns = until_settled(w);
  samples_add(&r->settled, ns);
  r->cpu_s = cpu_now() - cpu;
  r->seconds = (double)(ns != UINT64_MAX ? ns : SETTLED_LIMIT) / (double)SWARM_S;
  cost_sums(w->cost, swarm_now(w->swarm), &r->cost);
  r->conns = cost_conns(w->cost);
}

const struct scenario scenarios[] = {
  { "steady", steady, false, 0 },       { "crash", crash, false, 0 },
  { "crash10", crash_tenth, false, 0 }, { "tags", tags, false, 0 },
  { "slow", slow, false, 0 },           { "overload", overload, false, 0 },
  { "one_way", one_way, false, 0 },     { "jumps", jumps, false, 0 },
  { "restart", restart, false, 0 },     { "join", join, true, 0 },
  { "loss5", loss, false, 0.05 },       { "loss10", loss, false, 0.1 },
  { "loss20", loss, false, 0.2 },
};
const uint32_t scenario_count = sizeof(scenarios) / sizeof(scenarios[0]);
