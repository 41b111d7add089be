/* RPC from end to end on bad networks: whatever they do every call gets its answer, in decent time, and nothing is left over. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scenario.h"

#define SEEDS        200u
#define SEEDS_MAX    10000u
#define REPLAY_EVERY 20 /* so many seeds, one is run twice */

static const struct scenario scenarios[] = {
  { .name = "loss",
    .handshake_loss = 0.3,
    .trouble = { .loss = 0.02 },
    .limit_ns = 20000 * MS,
    .goodput_min = 0.5 },
  { .name = "corruption",
    .trouble = { .corrupt = 0.03 },
    .limit_ns = 20000 * MS,
    .goodput_min = 0.5 },
  { .name = "reordering",
    .trouble = { .jitter_ns = 5 * MS, .late = 0.05, .late_ns = 30 * MS },
    .limit_ns = 20000 * MS,
    .goodput_min = 0.5 },
  { .name = "duplication",
    .trouble = { .duplicate = 0.2 },
    .limit_ns = 20000 * MS,
    .goodput_min = 0.5 },
  { .name = "satellite", .delay_ns = 375 * MS, .limit_ns = 60000 * MS, .goodput_min = 0.5 },
  { .name = "blackhole", .hole_ns = 5000 * MS, .limit_ns = 20000 * MS, .goodput_min = 0.5 },
  { .name = "rebinding", .rebind_ns = 1000 * MS, .limit_ns = 20000 * MS, .goodput_min = 0.5 },
  /* With every new address congestion control starts anew (RFC 9000 section 9.4), which the worst seeds meet in the midst of large answers. */
  { .name = "mixture",
    .handshake_loss = 0.1,
    .trouble = { .loss = 0.01,
                 .corrupt = 0.01,
                 .duplicate = 0.02,
                 .jitter_ns = 2 * MS,
                 .late = 0.02,
                 .late_ns = 20 * MS },
    .rebind_ns = 700 * MS,
    .hole_ns = 1000 * MS,
    .limit_ns = 60000 * MS,
    .goodput_min = 0.4 },
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

struct figures {
  uint32_t count;
  double handshake_ms[SEEDS_MAX], transfer_ms[SEEDS_MAX], share[SEEDS_MAX];
  uint64_t datagrams, hit;
};

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void report(const struct scenario *sc, enum role role, struct figures *f) {
  uint32_t n = f->count;
  qsort(f->handshake_ms, n, sizeof(double), ascending);
  qsort(f->transfer_ms, n, sizeof(double), ascending);
  qsort(f->share, n, sizeof(double), ascending);
  printf("%-12s %s: %u seeds; handshake p50 %.0f ms, max %.0f ms; calls p50 %.0f ms, max %.0f ms; "
         "goodput of lossless * (1 - loss) min %.2f, p50 %.2f; %.0f datagrams each, %.2f %% hit\n",
         sc->name, role_names[role], n, f->handshake_ms[n / 2], f->handshake_ms[n - 1],
         f->transfer_ms[n / 2], f->transfer_ms[n - 1], f->share[0], f->share[n / 2],
         (double)f->datagrams / n, 100.0 * (double)f->hit / (double)f->datagrams);
  fflush(stdout);
}

/* The same seed without the trouble; nothing of it depends on the role. */
static double lossless_goodput(const struct scenario *sc, uint64_t seed) {
  static double known[SEEDS_MAX + 1];
  static const struct scenario *of;
  if (of != sc)
    memset(known, 0, sizeof(known));
  of = sc;
  if (known[seed] == 0)
    known[seed] = scenario_run(sc, ROLE_CLIENT, seed, true).goodput;
  return known[seed];
}

static void replay(const struct scenario *sc, enum role role, uint64_t seed,
                   const struct run *first) {
  struct run again = scenario_run(sc, role, seed, false);
  if (again.digest != first->digest || again.lines != first->lines)
    scenario_fail(sc, role, seed, "another run of the seed had another transcript");
}

static void one_seed(const struct scenario *sc, enum role role, uint64_t seed, struct figures *f) {
  struct run r = scenario_run(sc, role, seed, false);
  double loss = sc->trouble.loss + sc->trouble.corrupt;
  double share = r.goodput / (lossless_goodput(sc, seed) * (1 - loss));
  if (share < sc->goodput_min) {
    char why[128];
    snprintf(why, sizeof(why), "goodput is %.3f of lossless * (1 - loss), less than %.2f", share,
             sc->goodput_min);
    scenario_fail(sc, role, seed, why);
  }
  if (seed % REPLAY_EVERY == 1)
    replay(sc, role, seed, &r);
  f->handshake_ms[f->count] = (double)r.handshake_ns / 1e6;
  f->transfer_ms[f->count] = (double)r.transfer_ns / 1e6;
  f->share[f->count++] = share;
  f->datagrams += r.datagrams;
  f->hit += r.hit;
}

/* ---- what to run ---- */

struct options {
  const char *scenario; /* NULL: all */
  int role;             /* -1: both */
  uint64_t from, to;    /* seeds */
};

static void run_all(const struct options *o) {
  static struct figures f;
  for (size_t i = 0; i < SCENARIOS; i++) {
    const struct scenario *sc = &scenarios[i];
    if (o->scenario != NULL && strcmp(o->scenario, sc->name) != 0)
      continue;
    for (enum role role = 0; role < ROLES; role++) {
      if (o->role >= 0 && (enum role)o->role != role)
        continue;
      f = (struct figures){ 0 };
      for (uint64_t seed = o->from; seed <= o->to; seed++)
        one_seed(sc, role, seed, &f);
      report(sc, role, &f);
    }
  }
}

/* One line for each scenario and role: for another process to compare. */
static void print_digests(const struct options *o) {
  for (size_t i = 0; i < SCENARIOS; i++) {
    for (enum role role = 0; role < ROLES; role++) {
      struct run r = scenario_run(&scenarios[i], role, o->from, false);
      printf("%s %s %" PRIu64 " %016" PRIx64 " of %" PRIu64 " lines\n", scenarios[i].name,
             role_names[role], o->from, r.digest, r.lines);
    }
  }
}

static size_t read_digests(uint64_t seed, char *out, size_t cap) {
  char command[64];
  snprintf(command, sizeof(command), "/proc/%d/exe --digests --seed %" PRIu64, getpid(), seed);
  FILE *f = popen(command, "r");
  if (f == NULL)
    return 0;
  size_t n = fread(out, 1, cap - 1, f);
  out[n] = '\0';
  return pclose(f) == 0 ? n : 0;
}

/* Two processes, with their memory at different addresses, have the same transcripts. */
static int compare_processes(const struct options *o) {
  static char a[8192], b[8192];
  for (uint64_t seed = o->from; seed <= o->to; seed++) {
    size_t lines = 0;
    if (read_digests(seed, a, sizeof(a)) == 0 || read_digests(seed, b, sizeof(b)) == 0) {
      fprintf(stderr, "not ok processes, seed=%" PRIu64 ": one of them failed\n", seed);
      return 1;
    }
    for (const char *c = a; *c != '\0'; c++)
      lines += *c == '\n';
    if (lines != SCENARIOS * ROLES || strcmp(a, b) != 0) {
      fprintf(stderr, "not ok processes, seed=%" PRIu64 ":\n%s\n%s", seed, a, b);
      return 1;
    }
    printf("seed %" PRIu64 ": %zu transcripts are the same in two processes\n", seed, lines);
  }
  return 0;
}

static const char usage[] =
    "usage: test_rpc [--scenario NAME] [--role client|server] [--seed N | --seeds COUNT]\n"
    "       test_rpc --digests | --processes [--seed N | --seeds COUNT]\n\n"
    "Simulates RPC on bad networks, all scenarios in both roles with seeds 1 to 200 unless told\n"
    "otherwise, and prints figures for each. --digests prints those of the transcripts of one\n"
    "seed; --processes compares them between two processes. Fails with the transcript.\n\n"
    "example: test_rpc --scenario loss --role client --seed 7\n";

static bool is_scenario(const char *name) {
  for (size_t i = 0; i < SCENARIOS; i++) {
    if (strcmp(scenarios[i].name, name) == 0)
      return true;
  }
  return false;
}

static bool is_range(const struct options *o) {
  return o->from >= 1 && o->from <= o->to && o->to <= SEEDS_MAX;
}

/* -1: not understood; else how to end at once, or 'r', 'd', 'p': run, digests, processes. */
static int parse(int argc, char **argv, struct options *o) {
  static const struct option longs[] = {
    { "scenario", required_argument, NULL, 's' }, { "role", required_argument, NULL, 'r' },
    { "seed", required_argument, NULL, 'n' },     { "seeds", required_argument, NULL, 'c' },
    { "digests", no_argument, NULL, 'd' },        { "processes", no_argument, NULL, 'p' },
    { "help", no_argument, NULL, 'h' },           { 0 }
  };
  int c, what = 'r';
  while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
    if (c == 's')
      o->scenario = optarg;
    else if (c == 'r')
      o->role = strcmp(optarg, "server") == 0 ? ROLE_SERVER : ROLE_CLIENT;
    else if (c == 'n')
      o->from = o->to = strtoull(optarg, NULL, 10);
    else if (c == 'c')
      o->to = strtoull(optarg, NULL, 10);
    else if (c == 'd' || c == 'p' || c == 'h')
      what = c;
    else
      return -1;
  }
  return optind == argc && is_range(o) && (o->scenario == NULL || is_scenario(o->scenario)) ? what
                                                                                            : -1;
}

int main(int argc, char **argv) {
  struct options o = { .role = -1, .from = 1, .to = SEEDS };
  int rc = 0, what = parse(argc, argv, &o);
  if (what == 'h' || what < 0) {
    fputs(usage, what == 'h' ? stdout : stderr);
    return what == 'h' ? 0 : 2;
  }
  scenario_setup();
  if (what == 'd')
    print_digests(&o);
  else if (what == 'p')
    rc = compare_processes(&o);
  else
    run_all(&o);
  scenario_teardown();
  return rc;
}
