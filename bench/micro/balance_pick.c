/* bench/micro/balance_pick.c: what it costs to choose a worker, by strategy and number of workers, in one thread with everything in its caches. A batch of 64 calls is picked,
 * then ended; both are timed, and the median batch of a round is its figure, so that what else runs here counts little. With one worker there is nothing to choose: what is left is the counting.
 *
 *   balance_pick [--open N] [--lcores N] [--batches N] [--rounds N] [--json] [WORKERS...]
 *
 * default: one call open at each worker throughout, 1 lcore, five rounds of 20000 batches, 1 3 10 100 1000 workers. With --open 0 some worker is often idle, and
 * least_connections looks no further when it finds one. */
#include "cluster/balance/balance.h"
#include "util/hist.h"
#include "util/rng.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BATCH      64u
#define ROUNDS_MAX 99
#define SIZES_MAX  16

struct options {
  uint32_t lcores, batches, open_calls;
  int rounds;
  bool json;
  uint32_t workers[SIZES_MAX];
  int count;
};

struct figures {
  double pick[ROUNDS_MAX], done[ROUNDS_MAX]; /* ns */
};

struct bench {
  void *shared, *load_mem, *bal_mem, *pool_mem;
  struct rn_load *load;
  struct rn_bal *b;
  struct rn_rng rng;
  uint64_t now_ns;
};

static uint64_t clock_ns(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void *mem_of(size_t bytes) {
  void *mem = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
  if (mem == NULL)
    abort();
  memset(mem, 0, bytes);
  return mem;
}

static void must(bool ok) {
  if (!ok)
    abort();
}

static void start(struct bench *b, const struct rn_bal_strategy *strategy, uint32_t workers,
                  const struct options *o) {
  static struct rn_bal_spec specs[RN_BAL_WORKERS_MAX];
  static char ids[RN_BAL_WORKERS_MAX][16];
  const struct rn_bal_pool *pool;
  struct rn_bal_config cfg = rn_bal_defaults(&rn_bal_round_robin);
  for (uint32_t i = 0; i < workers; i++) {
    int n = snprintf(ids[i], sizeof(ids[i]), "worker-%u", i);
    specs[i] = (struct rn_bal_spec){
      .worker = { .key = rn_bal_key(ids[i], (size_t)n), .weight = 1 + i % 4, .slot = (uint16_t)i },
      .id = ids[i],
      .id_len = (uint8_t)n,
    };
  }
  size_t bytes = rn_bal_pool_bytes(workers, 16 * (size_t)workers);
  b->pool_mem = mem_of(bytes);
  b->shared = mem_of(rn_load_shared_bytes(o->lcores, workers));
  b->load_mem = mem_of(rn_load_footprint(workers));
  b->bal_mem = mem_of(rn_bal_footprint(workers));
  must(rn_bal_pool_form(b->pool_mem, bytes, 1, 0, specs, workers, &pool) == 0);
  must(rn_load_init(b->load_mem, b->shared, o->lcores, workers, 0, &b->load) == 0);
  must(rn_bal_init(b->bal_mem, workers, &cfg, b->load, 7, &b->b) == 0);
  must(rn_bal_adopt(b->b, pool) == 0);
  for (uint32_t i = 0; i < o->open_calls * workers; i++) {
    struct rn_bal_ticket never_done;
    struct rn_bal_ask ask = { .now_ns = 1 };
    must(rn_bal_pick(b->b, &ask, &never_done) == 0);
  }
  cfg.strategy = strategy;
  must(rn_bal_configure(b->b, &cfg) == 0);
  rn_rng_init(&b->rng, 1);
  b->now_ns = 1;
}

static void stop(struct bench *b) {
  must(rn_bal_check(b->b) == 0);
  free(b->pool_mem);
  free(b->shared);
  free(b->load_mem);
  free(b->bal_mem);
}

static void run_once(struct bench *b, uint32_t batches, double *pick_ns, double *done_ns) {
  static struct rn_hist picks, dones;
  rn_hist_reset(&picks);
  rn_hist_reset(&dones);
  for (uint32_t i = 0; i < batches; i++) {
    struct rn_bal_ticket t[BATCH];
    uint64_t affinity[BATCH];
    for (uint32_t k = 0; k < BATCH; k++)
      affinity[k] = rn_rng_next(&b->rng);
    uint64_t t0 = clock_ns();
    for (uint32_t k = 0; k < BATCH; k++) {
      struct rn_bal_ask ask = { .now_ns = b->now_ns, .affinity = affinity[k] };
      must(rn_bal_pick(b->b, &ask, &t[k]) == 0);
    }
    uint64_t t1 = clock_ns();
    for (uint32_t k = 0; k < BATCH; k++)
      rn_bal_done(b->b, &t[k], RN_BAL_GOOD, b->now_ns + 100000 + k);
    rn_hist_add(&dones, clock_ns() - t1);
    rn_hist_add(&picks, t1 - t0);
    b->now_ns += 200000;
  }
  *pick_ns = (double)rn_hist_quantile(&picks, 0.5) / BATCH;
  *done_ns = (double)rn_hist_quantile(&dones, 0.5) / BATCH;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct options *o = state->input;
  switch (key) {
  case 'l':
    o->lcores = (uint32_t)atoi(arg);
    break;
  case 'o':
    o->open_calls = (uint32_t)atoi(arg);
    break;
  case 'b':
    o->batches = (uint32_t)atoi(arg);
    break;
  case 'r':
    o->rounds = atoi(arg);
    break;
  case 'j':
    o->json = true;
    break;
  case ARGP_KEY_ARG:
    if (o->count == SIZES_MAX || atoi(arg) < 1 || atoi(arg) > (int)RN_BAL_WORKERS_MAX)
      argp_error(state, "WORKERS is 1..%u, at most %d of them: %s", RN_BAL_WORKERS_MAX, SIZES_MAX,
                 arg);
    o->workers[o->count++] = (uint32_t)atoi(arg);
    break;
  default:
    return ARGP_ERR_UNKNOWN;
  }
  if (o->rounds < 1 || o->rounds > ROUNDS_MAX || o->batches < 1 || o->lcores < 1 ||
      o->lcores > RN_LOAD_LCORES_MAX || o->open_calls > 1000)
    argp_error(state, "--rounds is 1..%d, --batches at least 1, --lcores 1..%u, --open 0..1000",
               ROUNDS_MAX, RN_LOAD_LCORES_MAX);
  return 0;
}

/* Rounds go through all sizes, so that what else runs here meets each alike. */
static void measure(const struct options *o, const struct rn_bal_strategy *strategy,
                    struct figures *f) {
  struct bench b[SIZES_MAX];
  for (int i = 0; i < o->count; i++) {
    double warm;
    start(&b[i], strategy, o->workers[i], o);
    run_once(&b[i], o->batches / 10 + 1, &warm, &warm);
  }
  for (int r = 0; r < o->rounds; r++)
    for (int i = 0; i < o->count; i++)
      run_once(&b[i], o->batches, &f[i].pick[r], &f[i].done[r]);
  for (int i = 0; i < o->count; i++) {
    qsort(f[i].pick, (size_t)o->rounds, sizeof(double), by_value);
    qsort(f[i].done, (size_t)o->rounds, sizeof(double), by_value);
    stop(&b[i]);
  }
}

static void print(const struct options *o, const char *name, const struct figures *f, bool last) {
  int mid = o->rounds / 2, end = o->rounds - 1;
  if (!o->json)
    printf("%-24s", name);
  for (int i = 0; i < o->count; i++) {
    if (o->json)
      printf("  {\"strategy\": \"%s\", \"workers\": %u, \"lcores\": %u, \"open\": %u, \"pick_ns\": "
             "%.1f, "
             "\"min\": %.1f, \"max\": %.1f, \"done_ns\": %.1f}%s\n",
             name, o->workers[i], o->lcores, o->open_calls, f[i].pick[mid], f[i].pick[0],
             f[i].pick[end], f[i].done[mid], last && i + 1 == o->count ? "" : ",");
    else
      printf(" %6.1f (%5.1f-%6.1f)", f[i].pick[mid], f[i].pick[0], f[i].pick[end]);
  }
  if (!o->json)
    printf(" %8.1f\n", f[o->count - 1].done[mid]);
  fflush(stdout);
}

int main(int argc, char **argv) {
  static const struct argp_option opts[] = {
    { "lcores", 'l', "N", 0, "whose counts are summed (default 1)", 0 },
    { "open", 'o', "N", 0, "calls open at each worker throughout (default 1)", 0 },
    { "batches", 'b', "N", 0, "of 64 calls in a round (default 20000)", 0 },
    { "rounds", 'r', "N", 0, "rounds of each (default 5)", 0 },
    { "json", 'j', NULL, 0, "print JSON", 0 },
    { 0 },
  };
  static const struct argp argp = {
    opts, parse, "[WORKERS...]", "Time to choose a worker, in ns.", NULL, NULL, NULL
  };
  static struct figures f[SIZES_MAX];
  struct options o = {
    .lcores = 1, .open_calls = 1, .batches = 20000, .rounds = 5, .workers = { 1, 3, 10, 100, 1000 }
  };
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  if (o.count == 0)
    o.count = 5;
  if (o.json) {
    printf("[\n");
  } else {
    printf("%-24s", "ns per pick (min-max)");
    for (int i = 0; i < o.count; i++)
      printf(" %13u worker%s", o.workers[i], o.workers[i] == 1 ? " " : "s");
    printf(" %8s\n", "ns/done");
  }
  for (uint32_t k = 0; k < RN_BAL_STRATEGIES; k++) {
    measure(&o, rn_bal_strategies[k], f);
    print(&o, rn_bal_strategies[k]->name, f, k + 1 == RN_BAL_STRATEGIES);
  }
  if (o.json)
    printf("]\n");
  return 0;
}
