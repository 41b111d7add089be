/* bench/micro/balance_farm.c: what strategies do when one of five workers is slower than the others: simulated, so that it says nothing of this machine and the same
 * figures come out each time.
 *
 *   balance_farm [--slow F] [--workers N] [--lcores N] [--seconds S] [--json] [PERCENT...]      default: 5 times, 5 workers, 1 lcore, 20 s; 20 50 80 90 % of capacity */
#include "harness/farm.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

#define LOADS_MAX 16

struct options {
  struct farm_config farm;
  bool json;
  int percent[LOADS_MAX];
  int count;
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct options *o = state->input;
  switch (key) {
  case 's':
    o->farm.slow = atof(arg);
    break;
  case 'w':
    o->farm.workers = (uint32_t)atoi(arg);
    break;
  case 'l':
    o->farm.lcores = (uint32_t)atoi(arg);
    break;
  case 't':
    o->farm.seconds = atof(arg);
    break;
  case 'j':
    o->json = true;
    break;
  case ARGP_KEY_ARG:
    if (o->count == LOADS_MAX || atoi(arg) < 1 || atoi(arg) > 99)
      argp_error(state, "PERCENT is 1..99, at most %d of them: %s", LOADS_MAX, arg);
    o->percent[o->count++] = atoi(arg);
    break;
  default:
    return ARGP_ERR_UNKNOWN;
  }
  if (o->farm.slow < 1 || o->farm.workers < 2 || o->farm.workers > RN_BAL_WORKERS_MAX ||
      o->farm.lcores < 1 || o->farm.lcores > RN_LOAD_LCORES_MAX || o->farm.seconds <= 0)
    argp_error(state, "--slow is at least 1, --workers 2..%u, --lcores 1..%u, --seconds above 0",
               RN_BAL_WORKERS_MAX, RN_LOAD_LCORES_MAX);
  return 0;
}

static void print(const struct options *o, int percent, const char *name,
                  const struct farm_result *r, bool first) {
  if (o->json)
    printf("%s  {\"load_percent\": %d, \"strategy\": \"%s\", \"capacity_per_s\": %.0f, "
           "\"offered_per_s\": %.1f, \"answered_per_s\": %.1f, \"p50_ms\": %.2f, "
           "\"p99_ms\": %.2f, \"slow_share\": %.4f}",
           first ? "" : ",\n", percent, name, r->capacity_per_s, r->offered_per_s,
           r->answered_per_s, r->p50_ms, r->p99_ms, r->slow_share);
  else
    printf("%6d %% %-24s %10.0f %10.0f %10.1f %10.1f %9.1f %%\n", percent, name, r->offered_per_s,
           r->answered_per_s, r->p50_ms, r->p99_ms, 100 * r->slow_share);
  fflush(stdout);
}

int main(int argc, char **argv) {
  static const struct argp_option opts[] = {
    { "slow", 's', "F", 0, "worker 0 takes F times as long (default 5)", 0 },
    { "workers", 'w', "N", 0, "default 5", 0 },
    { "lcores", 'l', "N", 0, "of the director (default 1)", 0 },
    { "seconds", 't', "S", 0, "simulated (default 20)", 0 },
    { "json", 'j', NULL, 0, "print JSON", 0 },
    { 0 },
  };
  static const struct argp argp = {
    opts, parse, "[PERCENT...]", "Strategies before one slow worker, simulated.", NULL, NULL, NULL
  };
  struct options o = { .farm = farm_defaults(NULL), .percent = { 20, 50, 80, 90 } };
  o.farm.slow = 5;
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  if (o.count == 0)
    o.count = 4;
  if (o.json)
    printf("[\n");
  else
    printf("%8s %-24s %10s %10s %10s %10s %11s\n", "load", "strategy", "offered/s", "answered/s",
           "p50, ms", "p99, ms", "slow share");
  for (int i = 0; i < o.count; i++) {
    for (uint32_t k = 0; k < RN_BAL_STRATEGIES; k++) {
      o.farm.strategy = rn_bal_strategies[k];
      o.farm.load = o.percent[i] / 100.0;
      struct farm_result r = farm_run(&o.farm);
      print(&o, o.percent[i], o.farm.strategy->name, &r, i == 0 && k == 0);
    }
  }
  if (o.json)
    printf("\n]\n");
  return 0;
}
