/* bench/cluster/scale.c: clusters of up to thousands of nodes in a fake world, and what it says about them. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scenarios.h"
#include "util/err.h"

static const char usage_text[] =
    "usage: %s [--nodes N] [--scenario NAME] [--samples N] [--seed N] [--interval-ms N] [--aims]\n"
    "\n"
    "Plays scenarios (all, unless one is named) in a simulated cluster and prints a line of\n"
    "JSON for each.\n"
    "\n"
    "  --samples N      failures, or changes, of the scenarios that have them (100)\n"
    "  --interval-ms N  between the rounds of a node (1000)\n"
    "  --aims           prints what is missed of the aims of docs/cluster.md on stderr, and\n"
    "                   fails then\n"
    "\n"
    "scenarios:";

struct options {
  uint32_t nodes, samples;
  uint64_t seed, interval_ns;
  const char *scenario;
  bool aims;
};

static struct swarm_config config(const struct options *o, double loss) {
  return (struct swarm_config){ .seed = o->seed,
                                .nodes = o->nodes,
                                .delay_min = SWARM_MS / 10,
                                .delay_max = 2 * SWARM_MS,
                                .loss = loss,
                                .interval_ns = o->interval_ns };
}

/* ---- aims ---- */

static bool expect(const struct report *r, const char *what, double is, double at_most) {
  if (is <= at_most)
    return true;
  fprintf(stderr, "not ok %s, %u nodes, seed=%llu: %s is %.3f, and should be %.3f at most\n",
          r->scenario, r->nodes, (unsigned long long)r->seed, what, is, at_most);
  return false;
}

static bool is(const struct report *r, const char *scenario) {
  return strcmp(r->scenario, scenario) == 0;
}

static bool aims_met(struct report *r) {
  bool ok = true;
  if (is(r, "crash") || is(r, "crash10")) {
    ok &= expect(r, "first Suspect, p99, s", samples_quantile(&r->first, 0.99), 3);
    ok &= expect(r, "everyone knows, s", samples_quantile(&r->all, 1), r->nodes <= 10 ? 3 : 10);
  }
  if (is(r, "tags"))
    ok &= expect(r, "everyone has the tag, s", samples_quantile(&r->all, 1), 10);
  if (is(r, "steady"))
    ok &= expect(r, "suspicions", (double)(r->wrong.suspected[0] + r->wrong.suspected[1]), 0);
  /* A node that is cut off from some, or stalled most of the time, may fail. */
  ok &= expect(r, "healthy nodes Failed", (double)r->wrong.failed[0],
               is(r, "restart") ? r->nodes : 0);
  if (is(r, "slow") || is(r, "jumps"))
    ok &= expect(r, "slow nodes Failed", (double)r->wrong.failed[1], 0);
  ok &= expect(r, "not noticed", r->first.missed + r->all.missed + r->settled.missed, 0);
  return ok;
}

/* ---- playing ---- */

static bool play(const struct options *o, const struct scenario *sc, struct world *w) {
  static struct report r;
  const struct rn_cluster_config cfg = { RN_CLUSTER_DEFAULTS(o->interval_ns) };
  r = (struct report){ .variant = SCALE_VARIANT,
                       .scenario = sc->name,
                       .nodes = o->nodes,
                       .seed = o->seed,
                       .loss = sc->loss,
                       .node_bytes = rn_cluster_footprint(&cfg) };
  sc->play(w, &r, o->samples);
  report_print(&r);
  return !o->aims || aims_met(&r);
}

/* In a process of its own: it begins with the cluster as it is, and leaves it so. */
static bool play_apart(const struct options *o, const struct scenario *sc, struct world *w) {
  int status;
  fflush(stdout);
  const pid_t child = fork();
  RN_ASSERT(child >= 0);
  if (child == 0)
    _exit(play(o, sc, w) ? 0 : 1);
  return waitpid(child, &status, 0) == child && status == 0;
}

static bool play_anew(const struct options *o, const struct scenario *sc) {
  const struct swarm_config cfg = config(o, sc->loss);
  struct world *w = world_new(&cfg, sc->empty);
  const bool ok = play(o, sc, w);
  world_free(w);
  return ok;
}

static bool play_all(const struct options *o) {
  const struct swarm_config cfg = config(o, 0);
  struct world *w = NULL;
  bool ok = true;
  uint32_t played = 0;
  for (uint32_t i = 0; i < scenario_count; i++) {
    const struct scenario *sc = &scenarios[i];
    if (o->scenario != NULL && strcmp(o->scenario, sc->name) != 0)
      continue;
    played++;
    if (sc->empty || sc->loss > 0) {
      ok &= play_anew(o, sc);
      continue;
    }
    if (w == NULL) {
      w = world_new(&cfg, false);
      world_run(w, 5 * SWARM_S);
    }
    ok &= play_apart(o, sc, w);
  }
  if (w != NULL)
    world_free(w);
  return ok && played > 0;
}

static void usage(const char *name, FILE *to) {
  fprintf(to, usage_text, name);
  for (uint32_t i = 0; i < scenario_count; i++)
    fprintf(to, " %s", scenarios[i].name);
  fprintf(to, "\n\nexample: %s --nodes 100 --scenario crash\n", name);
}

int main(int argc, char **argv) {
  static const struct option options[] = { { "nodes", required_argument, NULL, 'n' },
                                           { "scenario", required_argument, NULL, 's' },
                                           { "samples", required_argument, NULL, 'k' },
                                           { "seed", required_argument, NULL, 'r' },
                                           { "interval-ms", required_argument, NULL, 'i' },
                                           { "aims", no_argument, NULL, 'a' },
                                           { "help", no_argument, NULL, 'h' },
                                           { NULL, 0, NULL, 0 } };
  struct options o = { .nodes = 100, .samples = 100, .seed = 1, .interval_ns = SWARM_S };
  for (int opt; (opt = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
    if (opt == 'n')
      o.nodes = (uint32_t)strtoul(optarg, NULL, 10);
    else if (opt == 'k')
      o.samples = (uint32_t)strtoul(optarg, NULL, 10);
    else if (opt == 'r')
      o.seed = strtoull(optarg, NULL, 10);
    else if (opt == 'i')
      o.interval_ns = strtoull(optarg, NULL, 10) * SWARM_MS;
    else if (opt == 's')
      o.scenario = optarg;
    else if (opt == 'a')
      o.aims = true;
    else {
      usage(argv[0], opt == 'h' ? stdout : stderr);
      return opt == 'h' ? 0 : 2;
    }
  }
  if (o.nodes < 3 || o.nodes > SWARM_NODES_MAX || o.interval_ns < 10 * SWARM_MS) {
    usage(argv[0], stderr);
    return 2;
  }
  return play_all(&o) ? 0 : 1;
}
