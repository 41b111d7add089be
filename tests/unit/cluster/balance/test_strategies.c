/* tests/unit/cluster/balance/test_strategies.c: whom each strategy chooses, and how often. */
#include "rn_test.h"

#include "some.h"
#include "util/rng.h"

#define N_MAX RN_BAL_WORKERS_MAX

static void start(struct some *s, const struct rn_bal_strategy *strategy, uint32_t n,
                  uint64_t seed) {
  struct rn_bal_config cfg = rn_bal_defaults(strategy);
  some_start(s, &cfg, n, seed);
}

/* Calls that end at once; how many each got. */
static void count_calls(struct some *s, uint32_t calls, uint32_t counts[N_MAX]) {
  memset(counts, 0, N_MAX * sizeof(*counts));
  for (uint32_t i = 0; i < calls; i++) {
    struct rn_bal_ask ask = { .now_ns = i, .affinity = i * 0x9e3779b97f4a7c15u };
    uint32_t w = some_call(s, &ask, RN_BAL_GOOD);
    assert_true(w < N_MAX);
    counts[w]++;
  }
  assert_int_equal(rn_bal_check(s->b), RN_OK);
}

/* Pearson's chi-square of counts that should be equal, by its degrees of freedom: about 1, with deviation sqrt(2 / (n - 1)). */
static double unevenness(const uint32_t *counts, uint32_t n, uint32_t calls) {
  double mean = (double)calls / n, sum = 0;
  for (uint32_t i = 0; i < n; i++)
    sum += (counts[i] - mean) * (counts[i] - mean) / mean;
  return sum / (n - 1);
}

static void round_robin_gives_everybody_exactly_as_much(void **state) {
  (void)state;
  static const uint32_t sizes[] = { 2, 3, 10, 63, 64, 65, 128, 1000, 1024 };
  uint32_t counts[N_MAX];
  for (uint32_t k = 0; k < 9; k++) {
    struct some s;
    start(&s, &rn_bal_round_robin, sizes[k], k);
    count_calls(&s, 7 * sizes[k], counts);
    for (uint32_t i = 0; i < sizes[k]; i++)
      assert_int_equal(counts[i], 7);
    some_stop(&s);
  }
}

static void round_robin_begins_elsewhere_on_each_lcore(void **state) {
  (void)state;
  uint32_t firsts[10] = { 0 };
  for (uint64_t seed = 0; seed < 1000; seed++) {
    struct rn_bal_ask ask = { 0 };
    struct some s;
    start(&s, &rn_bal_round_robin, 10, seed);
    firsts[some_call(&s, &ask, RN_BAL_GOOD)]++;
    some_stop(&s);
  }
  for (uint32_t i = 0; i < 10; i++)
    assert_in_range(firsts[i], 65, 135);
}

static bool all_but_4(struct rn_bal_spec *s, uint32_t i) {
  (void)s;
  return i != 4;
}

/* Nobody gets two turns because another one was left out, and a new pool does not begin again. */
static void round_robin_goes_on_when_workers_come_and_go(void **state) {
  (void)state;
  struct some s;
  uint32_t counts[N_MAX] = { 0 };
  struct rn_bal_ask ask = { 0 };
  start(&s, &rn_bal_round_robin, 8, 1);
  for (uint32_t i = 0; i < 8 * 1000; i++) {
    some_adopt(&s, 8, 0, i % 2 == 0 ? all_but_4 : NULL);
    counts[some_call(&s, &ask, RN_BAL_GOOD)]++;
  }
  for (uint32_t i = 0; i < 8; i++)
    if (i != 4)
      assert_in_range(counts[i], 1000, 1145);
  some_stop(&s);
}

static void random_is_uniform(void **state) {
  (void)state;
  static const uint32_t sizes[] = { 2, 3, 10, 100, 1000 };
  uint32_t counts[N_MAX];
  for (uint32_t k = 0; k < 5; k++) {
    struct some s;
    start(&s, &rn_bal_random, sizes[k], 11 + k);
    count_calls(&s, 100 * sizes[k], counts);
    double u = unevenness(counts, sizes[k], 100 * sizes[k]);
    assert_true(u < (sizes[k] < 10 ? 6.0 : 2.2)); /* 1 in 10^4 and less */
    assert_true(sizes[k] < 100 || u > 0.5);       /* and random, not round robin */
    some_stop(&s);
  }
}

static void random_does_not_follow_from_the_last_pick(void **state) {
  (void)state;
  struct some s;
  uint32_t pairs[9] = { 0 }, before = 0;
  start(&s, &rn_bal_random, 3, 5);
  for (uint32_t i = 0; i < 9000; i++) {
    struct rn_bal_ask ask = { 0 };
    uint32_t w = some_call(&s, &ask, RN_BAL_GOOD);
    pairs[before * 3 + w]++;
    before = w;
  }
  assert_true(unevenness(pairs, 9, 9000) < 3.5);
  some_stop(&s);
}

static void least_connections_finds_the_one_with_fewest(void **state) {
  (void)state;
  struct rn_rng rng;
  rn_rng_init(&rng, 1);
  for (uint32_t n = 2; n <= 64; n = n < 40 ? n * 2 + 1 : n + 17) {
    static struct rn_bal_ticket open[5000];
    struct some s;
    uint32_t counts[N_MAX] = { 0 }, held = 0;
    struct rn_bal_ask ask = { 0 };
    start(&s, &rn_bal_least_connections, n, n);
    for (uint32_t i = 0; i < 10000; i++) {
      if (held == 5000 || (held > 0 && rn_rng_below(&rng, 5) < 2)) {
        uint32_t k = (uint32_t)rn_rng_below(&rng, held);
        counts[some_picked(&s, &open[k])]--;
        rn_bal_done(s.b, &open[k], RN_BAL_GOOD, 1);
        open[k] = open[--held];
        continue;
      }
      uint32_t w = some_pick(&s, &ask, &open[held++]);
      for (uint32_t k = 0; k < n; k++)
        assert_true(counts[w] <= counts[k]);
      counts[w]++;
    }
    assert_int_equal(rn_bal_check(s.b), RN_OK);
    assert_int_equal(rn_load_check(s.load), RN_OK);
    some_stop(&s);
  }
}

static void least_connections_shares_ties_fairly(void **state) {
  (void)state;
  uint32_t counts[N_MAX];
  for (uint32_t n = 2; n <= 1000; n = n * 5 + 1) {
    struct some s;
    start(&s, &rn_bal_least_connections, n, n);
    count_calls(&s, 10 * n, counts); /* all are idle at each pick */
    for (uint32_t i = 0; i < n; i++)
      assert_int_equal(counts[i], 10);
    some_stop(&s);
  }
}

/* Of a pool that is larger than a pick looks at. */
static void least_connections_fills_a_large_pool_evenly(void **state) {
  (void)state;
  static struct rn_bal_ticket open[20000];
  struct some s;
  uint32_t counts[N_MAX] = { 0 }, most = 0, least = UINT32_MAX;
  struct rn_bal_ask ask = { 0 };
  start(&s, &rn_bal_least_connections, 1000, 1);
  for (uint32_t i = 0; i < 20000; i++)
    counts[some_pick(&s, &ask, &open[i])]++;
  for (uint32_t i = 0; i < 1000; i++) {
    most = counts[i] > most ? counts[i] : most;
    least = counts[i] < least ? counts[i] : least;
  }
  assert_in_range(least, 19, 20);
  assert_in_range(most, 20, 21);
  /* Whoever has become idle is found within the picks that it takes to look at all once. */
  for (uint32_t i = 0, w = some_picked(&s, &open[0]); i < 20000; i++)
    if (some_picked(&s, &open[i]) == w)
      rn_bal_done(s.b, &open[i], RN_BAL_GOOD, 0);
  uint32_t got = 0, idle = some_picked(&s, &open[0]);
  for (uint32_t i = 0; i < 16; i++)
    got += some_pick(&s, &ask, &open[i]) == idle;
  assert_int_equal(got, 1);
  some_stop(&s);
}

static void least_connections_shares_ties_of_the_busy(void **state) {
  (void)state;
  struct some s;
  struct rn_bal_ask ask = { 0 };
  struct rn_bal_ticket t;
  uint32_t counts[N_MAX];
  start(&s, &rn_bal_least_connections, 10, 1);
  for (uint32_t i = 0; i < 10; i++)
    some_pick(&s, &ask, &t); /* never done: each has one */
  count_calls(&s, 100, counts);
  for (uint32_t i = 0; i < 10; i++)
    assert_int_equal(counts[i], 10);
  some_stop(&s);
}

static void least_connections_counts_the_calls_of_all_lcores(void **state) {
  (void)state;
  struct rn_bal_config cfg = rn_bal_defaults(&rn_bal_least_connections);
  void *shared = some_mem(rn_load_shared_bytes(4, SOME_SLOTS));
  struct some s[4];
  struct rn_bal_ticket t;
  struct rn_bal_ask ask = { 0 };
  for (uint32_t i = 0; i < 4; i++) {
    some_on(&s[i], shared, 4, i, &cfg, i);
    some_adopt(&s[i], i == 0 ? 5 : 10, 0, NULL);
  }
  for (uint32_t i = 0; i < 10; i++) /* two at each of the first five */
    assert_true(some_pick(&s[0], &ask, &t) < 5);
  for (uint32_t i = 0; i < 10; i++) /* so these go to the others, whoever picks */
    assert_in_range(some_pick(&s[1 + i % 3], &ask, &t), 5, 9);
  for (uint32_t i = 0; i < 10; i++)
    assert_int_equal(rn_load_sum(s[3].load, i), 2);
  for (uint32_t i = 0; i < 4; i++)
    some_end(&s[i]);
  free(shared);
}

/* Worker 0 takes ten times as long as the others. Calls one after the other. */
static void p2c_ewma_leaves_a_slow_worker_alone(void **state) {
  (void)state;
  struct some s;
  uint32_t counts[10] = { 0 };
  uint64_t now = SECOND;
  start(&s, &rn_bal_p2c_ewma, 10, 1);
  for (uint32_t i = 0; i < 10000; i++) {
    struct rn_bal_ask ask = { .now_ns = now };
    struct rn_bal_ticket t;
    uint32_t w = some_pick(&s, &ask, &t);
    now += w == 0 ? 10000000 : 1000000;
    counts[w]++;
    rn_bal_done(s.b, &t, RN_BAL_GOOD, now);
  }
  assert_in_range(counts[0], 1, 50); /* a little, or it could never come back */
  for (uint32_t i = 1; i < 10; i++)
    assert_true(counts[i] > 500);
  some_stop(&s);
}

static void p2c_ewma_comes_back_to_a_worker_that_was_slow_once(void **state) {
  (void)state;
  struct some s;
  uint64_t now = SECOND;
  uint32_t slow = UINT32_MAX, later = 0;
  start(&s, &rn_bal_p2c_ewma, 4, 1);
  for (uint32_t i = 0; i < 40000; i++) {
    struct rn_bal_ask ask = { .now_ns = now };
    struct rn_bal_ticket t;
    uint32_t w = some_pick(&s, &ask, &t);
    slow = i == 1000 ? w : slow;
    now += i == 1000 ? 50000000 : 1000000;
    later += i > 30000 && w == slow;
    rn_bal_done(s.b, &t, RN_BAL_GOOD, now);
  }
  assert_in_range(later, 1800, 3200);
  some_stop(&s);
}

/* One answer is enough on the way up; on the way down it takes time. */
static void p2c_ewma_knows_the_worst_of_late(void **state) {
  (void)state;
  static const struct {
    uint64_t after_ns, took_ns;
    double least_ns, most_ns;
  } answers[] = { { 0, 1000, 1000, 1000 },
                  { 1000, 50000, 50000, 50000 },
                  { 1000, 1000, 49000, 50000 },
                  { SECOND, 1000, 19000, 22000 }, /* e^-1 is left */
                  { 100 * SECOND, 1000, 1000, 1010 } };
  struct rn_bal_ask ask = { .now_ns = SECOND };
  struct rn_bal_ticket t;
  struct some s;
  double ns;
  start(&s, &rn_bal_p2c_ewma, 1, 1);
  for (uint32_t i = 0; i < 5; i++) {
    some_pick(&s, &ask, &t);
    rn_bal_answered(s.b, &t, ask.now_ns + answers[i].took_ns);
    rn_bal_done(s.b, &t, RN_BAL_GOOD, ask.now_ns + answers[i].took_ns);
    assert_true(rn_bal_look(s.b, some_key(0), NULL, &ns, NULL));
    assert_true(ns >= answers[i].least_ns && ns <= answers[i].most_ns);
    ask.now_ns += answers[i + (i < 4)].after_ns;
  }
  some_stop(&s);
}

static void p2c_ewma_does_not_flood_who_has_just_come(void **state) {
  (void)state;
  struct some s;
  struct rn_bal_ticket t[100];
  uint64_t now = SECOND;
  uint32_t got = 0;
  start(&s, &rn_bal_p2c_ewma, 9, 1);
  for (uint32_t i = 0; i < 1000; i++) {
    struct rn_bal_ask ask = { .now_ns = now };
    some_pick(&s, &ask, &t[0]);
    rn_bal_done(s.b, &t[0], RN_BAL_GOOD, now += 1000000);
  }
  some_adopt(&s, 10, 0, NULL);
  for (uint32_t i = 0; i < 100; i++) {
    struct rn_bal_ask ask = { .now_ns = now };
    got += some_pick(&s, &ask, &t[i]) == 9;
  }
  assert_in_range(got, 5, 15);
  some_stop(&s);
}

/* One that stalls has given no answer yet, only calls that stay open. */
static void p2c_ewma_avoids_who_does_not_answer(void **state) {
  (void)state;
  struct some s;
  uint64_t now = SECOND;
  uint32_t stuck = 0;
  start(&s, &rn_bal_p2c_ewma, 5, 1);
  for (uint32_t i = 0; i < 5000; i++) {
    struct rn_bal_ask ask = { .now_ns = now };
    struct rn_bal_ticket t;
    uint32_t w = some_pick(&s, &ask, &t);
    now += 1000000;
    if (i > 100 && w == 2)
      stuck++; /* and is never done */
    else
      rn_bal_done(s.b, &t, RN_BAL_GOOD, now);
  }
  assert_in_range(stuck, 1, 20);
  some_stop(&s);
}

static bool weights_1_to_7(struct rn_bal_spec *s, uint32_t i) {
  s->worker.weight = 1 + i % 7;
  return true;
}

static void weighted_follows_weights_at_every_moment(void **state) {
  (void)state;
  for (uint32_t n = 2; n <= 70; n = n * 3 + 1) {
    struct some s;
    double counts[N_MAX] = { 0 }, sum = 0;
    struct rn_bal_ask ask = { 0 };
    start(&s, &rn_bal_weighted, 2, n);
    some_adopt(&s, n, 0, weights_1_to_7);
    for (uint32_t i = 0; i < n; i++)
      sum += 1 + i % 7;
    for (uint32_t i = 1; i <= 20000; i++) {
      counts[some_call(&s, &ask, RN_BAL_GOOD)]++;
      for (uint32_t k = 0; k < n; k++) {
        double due = i * (1 + k % 7) / sum;
        assert_true(counts[k] > due - 2.5 && counts[k] < due + 2.5);
      }
    }
    assert_int_equal(rn_bal_check(s.b), RN_OK);
    some_stop(&s);
  }
}

static bool one_heavy(struct rn_bal_spec *s, uint32_t i) {
  s->worker.weight = i == 3 ? 10 : 1;
  return true;
}

/* Ten of 19 calls go to one worker: never more than two one after the other. */
static void weighted_mixes_smoothly(void **state) {
  (void)state;
  struct some s;
  uint32_t row = 0, longest = 0;
  struct rn_bal_ask ask = { 0 };
  start(&s, &rn_bal_weighted, 2, 1);
  some_adopt(&s, 10, 0, one_heavy);
  for (uint32_t i = 0; i < 10000; i++) {
    row = some_call(&s, &ask, RN_BAL_GOOD) == 3 ? row + 1 : 0;
    longest = row > longest ? row : longest;
  }
  assert_in_range(longest, 1, 6);
  some_stop(&s);
}

static void weighted_has_no_backlog_for_who_was_away(void **state) {
  (void)state;
  struct some s;
  uint32_t counts[N_MAX];
  start(&s, &rn_bal_weighted, 10, 1);
  count_calls(&s, 1000, counts);
  some_adopt(&s, 10, 0, all_but_4);
  count_calls(&s, 900, counts);
  assert_int_equal(counts[4], 0);
  some_adopt(&s, 10, 0, NULL);
  count_calls(&s, 100, counts);
  for (uint32_t i = 0; i < 10; i++)
    assert_in_range(counts[i], 9, 11);
  some_stop(&s);
}

static void weighted_copes_with_the_largest_weights(void **state) {
  (void)state;
  struct rn_bal_spec specs[2];
  char ids[2][16];
  struct some s;
  uint32_t counts[N_MAX];
  start(&s, &rn_bal_weighted, 2, 1);
  for (uint32_t i = 0; i < 2; i++) {
    specs[i] = some_spec(i, ids[i]);
    specs[i].worker.weight = i == 0 ? RN_BAL_WEIGHT_MAX : 1;
  }
  const struct rn_bal_pool *p;
  void *mem = some_mem(2000);
  assert_int_equal(rn_bal_pool_form(mem, 2000, 9, 0, specs, 2, &p), RN_OK);
  assert_int_equal(rn_bal_adopt(s.b, p), RN_OK);
  count_calls(&s, 5 * (RN_BAL_WEIGHT_MAX + 1), counts);
  assert_in_range(counts[1], 4, 6);
  some_stop(&s);
  free(mem);
}

/* ---- consistent_hash ---- */

#define KEYS 20000u

static void owners_of(struct some *s, uint16_t owners[KEYS]) {
  for (uint32_t i = 0; i < KEYS; i++) {
    struct rn_bal_ask ask = { .affinity = i }; /* in a row: the strategy is to do the mixing */
    owners[i] = (uint16_t)some_call(s, &ask, RN_BAL_GOOD);
  }
}

static void consistent_hash_is_the_same_everywhere_and_fair(void **state) {
  (void)state;
  static uint16_t a[KEYS], b[KEYS];
  for (uint32_t n = 3; n <= 300; n *= 10) {
    struct some s, other;
    uint32_t counts[N_MAX] = { 0 }, most = 0;
    start(&s, &rn_bal_consistent_hash, n, 1);
    start(&other, &rn_bal_consistent_hash, 5, 2);
    some_adopt(&other, n, 0, NULL);
    owners_of(&s, a);
    owners_of(&other, b);
    assert_memory_equal(a, b, sizeof(a));
    for (uint32_t i = 0; i < KEYS; i++)
      counts[a[i]]++;
    for (uint32_t i = 0; i < n; i++)
      most = counts[i] > most ? counts[i] : most;
    /* 10 % above the mean, and what chance adds for so few keys each. */
    assert_true(most <= KEYS / n * (n < 100 ? 1.2 : 1.5));
    some_stop(&s);
    some_stop(&other);
  }
}

static bool all_but_7(struct rn_bal_spec *s, uint32_t i) {
  (void)s;
  return i != 7;
}

static void consistent_hash_moves_only_the_share_of_who_goes(void **state) {
  (void)state;
  static uint16_t before[KEYS], after[KEYS], again[KEYS];
  for (uint32_t n = 10; n <= 1000; n *= 10) {
    struct some s;
    uint32_t moved = 0, to[N_MAX] = { 0 }, heirs = 0;
    start(&s, &rn_bal_consistent_hash, n, 1);
    owners_of(&s, before);
    some_adopt(&s, n, 0, all_but_7);
    owners_of(&s, after);
    some_adopt(&s, n, 0, NULL);
    owners_of(&s, again);
    assert_memory_equal(before, again, sizeof(before));
    for (uint32_t i = 0; i < KEYS; i++) {
      assert_true(before[i] == 7 || before[i] == after[i]);
      assert_int_not_equal(after[i], 7);
      moved += before[i] == 7;
      to[after[i]] += before[i] == 7;
    }
    assert_in_range(moved, KEYS / n / 2, KEYS / n * 5 / 4 + 10);
    for (uint32_t i = 0; i < n; i++)
      heirs += to[i] > 0;
    assert_true(heirs >= (n == 10 ? 6 : 8)); /* not one neighbour inherits it all */
    some_stop(&s);
  }
}

static void consistent_hash_treats_the_ejected_and_tried_as_gone(void **state) {
  (void)state;
  static uint16_t gone[KEYS];
  struct some s;
  struct rn_bal_tried tried = { 0 };
  rn_bal_tried_add(&tried, some_key(7));
  start(&s, &rn_bal_consistent_hash, 50, 1);
  some_adopt(&s, 50, 0, all_but_7);
  owners_of(&s, gone);
  some_adopt(&s, 50, 0, NULL);
  for (uint32_t i = 0; i < KEYS; i++) {
    struct rn_bal_ask ask = { .affinity = i, .tried = &tried };
    assert_int_equal(some_call(&s, &ask, RN_BAL_GOOD), gone[i]);
  }
  some_stop(&s);
}

/* One affinity for all: the bound spreads it. Calls stay open. */
static void the_bounded_one_never_goes_above_the_bound(void **state) {
  (void)state;
  static struct rn_bal_ticket t[4000];
  static const uint32_t sizes[] = { 2, 3, 10, 100 };
  for (uint32_t k = 0; k < 4; k++) {
    struct some s;
    uint32_t n = sizes[k], counts[N_MAX] = { 0 };
    start(&s, &rn_bal_consistent_hash_bounded, n, 1);
    for (uint32_t i = 0; i < 4000; i++) {
      struct rn_bal_ask ask = { .affinity = i % 3 };
      uint32_t w = some_pick(&s, &ask, &t[i]);
      counts[w]++;
      assert_true(counts[w] < 1.25 * (i + 1) / n + 1);
    }
    assert_int_equal(rn_bal_check(s.b), RN_OK);
    for (uint32_t i = 0; i < 4000; i++)
      rn_bal_done(s.b, &t[i], RN_BAL_GOOD, 1);
    assert_int_equal(rn_bal_check(s.b), RN_OK);
    some_stop(&s);
  }
}

static void the_bounded_one_is_the_other_one_while_nobody_is_overloaded(void **state) {
  (void)state;
  static uint16_t a[KEYS], b[KEYS];
  struct some s;
  start(&s, &rn_bal_consistent_hash, 20, 1);
  owners_of(&s, a);
  struct rn_bal_config cfg = rn_bal_defaults(&rn_bal_consistent_hash_bounded);
  assert_int_equal(rn_bal_configure(s.b, &cfg), RN_OK);
  owners_of(&s, b);
  assert_memory_equal(a, b, sizeof(a));
  some_stop(&s);
}

static void strategies_are_found_by_name(void **state) {
  (void)state;
  for (uint32_t i = 0; i < RN_BAL_STRATEGIES; i++) {
    const char *name = rn_bal_strategies[i]->name;
    assert_ptr_equal(rn_bal_strategy_named(name, strlen(name)), rn_bal_strategies[i]);
    assert_null(rn_bal_strategy_named(name, strlen(name) - 1));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(round_robin_gives_everybody_exactly_as_much),
    cmocka_unit_test(round_robin_begins_elsewhere_on_each_lcore),
    cmocka_unit_test(round_robin_goes_on_when_workers_come_and_go),
    cmocka_unit_test(random_is_uniform),
    cmocka_unit_test(random_does_not_follow_from_the_last_pick),
    cmocka_unit_test(least_connections_finds_the_one_with_fewest),
    cmocka_unit_test(least_connections_shares_ties_fairly),
    cmocka_unit_test(least_connections_fills_a_large_pool_evenly),
    cmocka_unit_test(least_connections_shares_ties_of_the_busy),
    cmocka_unit_test(least_connections_counts_the_calls_of_all_lcores),
    cmocka_unit_test(p2c_ewma_leaves_a_slow_worker_alone),
    cmocka_unit_test(p2c_ewma_comes_back_to_a_worker_that_was_slow_once),
    cmocka_unit_test(p2c_ewma_knows_the_worst_of_late),
    cmocka_unit_test(p2c_ewma_does_not_flood_who_has_just_come),
    cmocka_unit_test(p2c_ewma_avoids_who_does_not_answer),
    cmocka_unit_test(weighted_follows_weights_at_every_moment),
    cmocka_unit_test(weighted_mixes_smoothly),
    cmocka_unit_test(weighted_has_no_backlog_for_who_was_away),
    cmocka_unit_test(weighted_copes_with_the_largest_weights),
    cmocka_unit_test(consistent_hash_is_the_same_everywhere_and_fair),
    cmocka_unit_test(consistent_hash_moves_only_the_share_of_who_goes),
    cmocka_unit_test(consistent_hash_treats_the_ejected_and_tried_as_gone),
    cmocka_unit_test(the_bounded_one_never_goes_above_the_bound),
    cmocka_unit_test(the_bounded_one_is_the_other_one_while_nobody_is_overloaded),
    cmocka_unit_test(strategies_are_found_by_name),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
