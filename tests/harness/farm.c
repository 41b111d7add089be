/* tests/harness/farm.c */
#include "harness/farm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"
#include "util/hist.h"
#include "util/rng.h"

struct call {
  uint64_t answer_ns;
  uint32_t lcore, worker;
  bool measured;
  struct rn_bal_ticket ticket;
};

struct farm {
  struct farm_config cfg;
  void *shared;
  struct rn_load **load;
  struct rn_bal **bal;
  struct rn_bal_pool *pool;
  uint64_t *free_ns;  /* when each worker is through with what it has */
  struct call *calls; /* a heap by answer_ns */
  uint32_t count, cap;
  struct rn_rng rng;
  struct rn_hist latencies;
  uint64_t begin_ns, end_ns, answered, came, came_slow;
};

struct farm_config farm_defaults(const struct rn_bal_strategy *strategy) {
  return (struct farm_config){ .strategy = strategy,
                               .workers = 5,
                               .lcores = 1,
                               .service_ns = 1000000,
                               .slow = 1,
                               .wire_ns = 50000,
                               .load = 0.5,
                               .seconds = 20,
                               .seed = 1 };
}

static void *mem_of(size_t bytes) {
  void *mem = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
  if (mem == NULL)
    abort();
  memset(mem, 0, bytes);
  return mem;
}

static void must(bool ok) {
  if (!ok) {
    fprintf(stderr, "the simulation does not work\n");
    abort();
  }
}

/* ---- calls that are out ---- */

static void push(struct farm *f, const struct call *c) {
  if (f->count == f->cap) {
    f->cap = f->cap == 0 ? 1024 : 2 * f->cap;
    f->calls = realloc(f->calls, f->cap * sizeof(*f->calls));
    must(f->calls != NULL);
  }
  uint32_t at = f->count++;
  for (; at > 0 && c->answer_ns < f->calls[(at - 1) / 2].answer_ns; at = (at - 1) / 2)
    f->calls[at] = f->calls[(at - 1) / 2];
  f->calls[at] = *c;
}

static struct call pop(struct farm *f) {
  struct call first = f->calls[0], last = f->calls[--f->count];
  uint32_t at = 0;
  for (uint32_t child; (child = 2 * at + 1) < f->count; at = child) {
    child += child + 1 < f->count && f->calls[child + 1].answer_ns < f->calls[child].answer_ns;
    if (last.answer_ns <= f->calls[child].answer_ns)
      break;
    f->calls[at] = f->calls[child];
  }
  f->calls[at] = last;
  return first;
}

static void answer(struct farm *f) {
  struct call c = pop(f);
  rn_bal_done(f->bal[c.lcore], &c.ticket, RN_BAL_GOOD, c.answer_ns);
  f->answered += c.answer_ns >= f->begin_ns && c.answer_ns < f->end_ns;
  if (c.measured)
    rn_hist_add(&f->latencies, c.answer_ns - c.ticket.begin_ns);
}

/* ---- the world ---- */

static uint64_t around(struct farm *f, double mean_ns) {
  return (uint64_t)(-log(1 - rn_rng_unit(&f->rng)) * mean_ns);
}

static void arrive(struct farm *f, uint64_t now_ns) {
  struct call c = { .lcore = (uint32_t)rn_rng_below(&f->rng, f->cfg.lcores),
                    .measured = now_ns >= f->begin_ns && now_ns < f->end_ns };
  struct rn_bal_ask ask = { .now_ns = now_ns, .affinity = rn_rng_next(&f->rng) };
  must(rn_bal_pick(f->bal[c.lcore], &ask, &c.ticket) == RN_OK);
  c.worker = rn_bal_worker_of(f->bal[c.lcore], &c.ticket)->slot;
  uint64_t there_ns = now_ns + f->cfg.wire_ns, *free_ns = &f->free_ns[c.worker];
  double mean_ns = (double)f->cfg.service_ns * (c.worker == 0 ? f->cfg.slow : 1);
  *free_ns = (*free_ns > there_ns ? *free_ns : there_ns) + around(f, mean_ns);
  c.answer_ns = *free_ns + f->cfg.wire_ns;
  f->came += c.measured;
  f->came_slow += c.measured && c.worker == 0;
  push(f, &c);
}

static void open_farm(struct farm *f, const struct farm_config *cfg) {
  static struct rn_bal_spec specs[RN_BAL_WORKERS_MAX];
  static char ids[RN_BAL_WORKERS_MAX][16];
  const struct rn_bal_pool *pool;
  struct rn_bal_config bal = rn_bal_defaults(cfg->strategy);
  f->cfg = *cfg;
  rn_rng_init(&f->rng, cfg->seed);
  for (uint32_t i = 0; i < cfg->workers; i++) {
    int n = snprintf(ids[i], sizeof(ids[i]), "worker-%u", i);
    specs[i] = (struct rn_bal_spec){
      .worker = { .key = rn_bal_key(ids[i], (size_t)n), .weight = 1, .slot = (uint16_t)i },
      .id = ids[i],
      .id_len = (uint8_t)n,
    };
  }
  size_t bytes = rn_bal_pool_bytes(cfg->workers, 16 * cfg->workers);
  f->pool = mem_of(bytes);
  must(rn_bal_pool_form(f->pool, bytes, 1, 0, specs, cfg->workers, &pool) == RN_OK);
  f->shared = mem_of(rn_load_shared_bytes(cfg->lcores, cfg->workers));
  f->load = mem_of(cfg->lcores * sizeof(*f->load));
  f->bal = mem_of(cfg->lcores * sizeof(*f->bal));
  f->free_ns = mem_of(cfg->workers * sizeof(*f->free_ns));
  for (uint32_t i = 0; i < cfg->lcores; i++) {
    must(rn_load_init(mem_of(rn_load_footprint(cfg->workers)), f->shared, cfg->lcores, cfg->workers,
                      i, &f->load[i]) == RN_OK);
    must(rn_bal_init(mem_of(rn_bal_footprint(cfg->workers)), cfg->workers, &bal, f->load[i],
                     rn_rng_next(&f->rng), &f->bal[i]) == RN_OK);
    must(rn_bal_adopt(f->bal[i], pool) == RN_OK);
  }
}

static void close_farm(struct farm *f) {
  for (uint32_t i = 0; i < f->cfg.lcores; i++) {
    must(rn_bal_check(f->bal[i]) == RN_OK && rn_load_check(f->load[i]) == RN_OK);
    free(f->bal[i]);
    free(f->load[i]);
  }
  free(f->bal);
  free(f->load);
  free(f->pool);
  free(f->shared);
  free(f->free_ns);
  free(f->calls);
  free(f);
}

struct farm_result farm_run(const struct farm_config *cfg) {
  struct farm *f = mem_of(sizeof(*f));
  open_farm(f, cfg);
  double capacity = (cfg->workers - 1 + 1 / cfg->slow) * 1e9 / (double)cfg->service_ns;
  double gap_ns = 1e9 / (capacity * cfg->load);
  f->begin_ns = (uint64_t)(cfg->seconds * 1e8);
  f->end_ns = f->begin_ns + (uint64_t)(cfg->seconds * 1e9);
  for (uint64_t now_ns = around(f, gap_ns); now_ns < f->end_ns; now_ns += around(f, gap_ns)) {
    while (f->count > 0 && f->calls[0].answer_ns <= now_ns)
      answer(f);
    arrive(f, now_ns);
  }
  while (f->count > 0)
    answer(f);
  struct farm_result r = {
    .capacity_per_s = capacity,
    .offered_per_s = (double)f->came / cfg->seconds,
    .answered_per_s = (double)f->answered / cfg->seconds,
    .p50_ms = (double)rn_hist_quantile(&f->latencies, 0.5) / 1e6,
    .p99_ms = (double)rn_hist_quantile(&f->latencies, 0.99) / 1e6,
    .slow_share = (double)f->came_slow / (double)f->came,
  };
  close_farm(f);
  return r;
}
