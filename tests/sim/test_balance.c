/* tests/sim/test_balance.c: strategies before workers that are queues, one of which may be slow. Figures: bench/micro/balance_farm. */
#include "rn_test.h"

#include "harness/farm.h"

#define SEEDS 3u

static struct farm_result run(const struct rn_bal_strategy *strategy, double slow, double load,
                              uint32_t lcores, uint64_t seed) {
  struct farm_config cfg = farm_defaults(strategy);
  cfg.slow = slow;
  cfg.load = load;
  cfg.lcores = lcores;
  cfg.seed = seed;
  cfg.seconds = 10;
  return farm_run(&cfg);
}

static void the_same_seed_gives_the_same_figures(void **state) {
  (void)state;
  for (uint32_t i = 0; i < RN_BAL_STRATEGIES; i++) {
    struct farm_result a = run(rn_bal_strategies[i], 5, 0.5, 2, 9);
    struct farm_result b = run(rn_bal_strategies[i], 5, 0.5, 2, 9);
    assert_memory_equal(&a, &b, sizeof(a));
  }
}

/* A fifth of the calls is more than a worker at a fifth of the speed can do, whatever the others have to spare. */
static void round_robin_piles_up_calls_at_a_slow_worker(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    struct farm_result r = run(&rn_bal_round_robin, 5, 0.8, 1, seed);
    assert_true(r.answered_per_s < 0.9 * r.offered_per_s);
    assert_true(r.p99_ms > 1000);
  }
}

static void a_slow_worker_gets_what_it_can_do(void **state) {
  (void)state;
  const struct rn_bal_strategy *const strategies[] = { &rn_bal_least_connections, &rn_bal_p2c_ewma,
                                                       &rn_bal_consistent_hash_bounded };
  for (uint64_t seed = 1; seed <= SEEDS; seed++)
    for (uint32_t i = 0; i < 3; i++)
      for (uint32_t lcores = 1; lcores <= 4; lcores *= 4)
        for (double load = 0.2; load < 0.95; load += 0.15) {
          struct farm_result r = run(strategies[i], 5, load, lcores, seed);
          if (r.answered_per_s < 0.99 * r.offered_per_s || r.p99_ms > (i < 2 ? 50 : 100))
            fail_msg("seed=%u %s load %.2f lcores %u: %.0f of %.0f/s, p99 %.1f ms", (unsigned)seed,
                     strategies[i]->name, load, lcores, r.answered_per_s, r.offered_per_s,
                     r.p99_ms);
        }
}

/* Nor do they cost anything where all are alike. */
static void none_is_much_worse_than_round_robin_without_a_slow_one(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    double usual_ms = run(&rn_bal_round_robin, 1, 0.8, 1, seed).p99_ms;
    assert_true(run(&rn_bal_least_connections, 1, 0.8, 1, seed).p99_ms < usual_ms);
    assert_true(run(&rn_bal_p2c_ewma, 1, 0.8, 1, seed).p99_ms < usual_ms);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_same_seed_gives_the_same_figures),
    cmocka_unit_test(round_robin_piles_up_calls_at_a_slow_worker),
    cmocka_unit_test(a_slow_worker_gets_what_it_can_do),
    cmocka_unit_test(none_is_much_worse_than_round_robin_without_a_slow_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
