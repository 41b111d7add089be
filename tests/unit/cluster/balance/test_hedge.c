/* tests/unit/cluster/balance/test_hedge.c */
#include "rn_test.h"

#include "cluster/balance/hedge.h"
#include "util/err.h"
#include "util/rng.h"

#define MS     1000000ull
#define SECOND 1000000000ull

static struct rn_hedge h;

static void start(void) {
  struct rn_hedge_config cfg = rn_hedge_defaults();
  assert_int_equal(rn_hedge_init(&h, &cfg), RN_OK);
}

static void nonsense_is_refused(void **state) {
  (void)state;
  struct rn_hedge_config good = rn_hedge_defaults(), cfg = good;
  cfg.percentile = 49;
  assert_int_equal(rn_hedge_init(&h, &cfg), RN_ERR_INVAL);
  cfg.percentile = 100;
  assert_int_equal(rn_hedge_init(&h, &cfg), RN_ERR_INVAL);
  cfg = good;
  cfg.calls_min = 0;
  assert_int_equal(rn_hedge_init(&h, &cfg), RN_ERR_INVAL);
  cfg = good;
  cfg.window_ns = 0;
  assert_int_equal(rn_hedge_init(&h, &cfg), RN_ERR_INVAL);
}

static void nothing_is_hedged_before_enough_is_known(void **state) {
  (void)state;
  start();
  for (uint32_t i = 0; i < 99; i++) {
    rn_hedge_add(&h, 5 * MS, SECOND);
    assert_true(rn_hedge_delay_ns(&h) == RN_HEDGE_NEVER);
  }
  for (uint32_t i = 0; i < 64; i++)
    rn_hedge_add(&h, 5 * MS, SECOND);
  assert_true(rn_hedge_delay_ns(&h) != RN_HEDGE_NEVER);
}

static void one_call_in_twenty_is_hedged(void **state) {
  (void)state;
  struct rn_rng rng;
  uint32_t later = 0;
  rn_rng_init(&rng, 1);
  start();
  for (uint32_t i = 0; i < 20000; i++) {
    uint64_t ns = 2 * MS + rn_rng_below(&rng, 20 * MS);
    later += i >= 1000 && ns > rn_hedge_delay_ns(&h);
    rn_hedge_add(&h, ns, i * MS);
  }
  assert_in_range(later, 19000 / 20 * 8 / 10, 19000 / 20 * 12 / 10);
}

static void the_delay_is_not_below_the_least(void **state) {
  (void)state;
  start();
  for (uint32_t i = 0; i < 1000; i++)
    rn_hedge_add(&h, 1000, i);
  assert_int_equal(rn_hedge_delay_ns(&h), MS);
}

static void the_delay_follows_within_two_windows(void **state) {
  (void)state;
  uint64_t now_ns = 0;
  start();
  for (uint32_t i = 0; i < 10000; i++)
    rn_hedge_add(&h, 4 * MS, now_ns += MS);
  assert_in_range(rn_hedge_delay_ns(&h), 3 * MS, 5 * MS);
  for (uint32_t i = 0; i < 20100; i++)
    rn_hedge_add(&h, 40 * MS, now_ns += MS);
  assert_in_range(rn_hedge_delay_ns(&h), 35 * MS, 45 * MS);
  for (uint32_t i = 0; i < 20100; i++)
    rn_hedge_add(&h, 4 * MS, now_ns += MS);
  assert_in_range(rn_hedge_delay_ns(&h), 3 * MS, 5 * MS);
}

static void what_was_before_a_pause_is_forgotten(void **state) {
  (void)state;
  start();
  for (uint32_t i = 0; i < 1000; i++)
    rn_hedge_add(&h, 4 * MS, i);
  rn_hedge_add(&h, 4 * MS, 100 * SECOND);
  assert_true(rn_hedge_delay_ns(&h) == RN_HEDGE_NEVER);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(nonsense_is_refused),
    cmocka_unit_test(nothing_is_hedged_before_enough_is_known),
    cmocka_unit_test(one_call_in_twenty_is_hedged),
    cmocka_unit_test(the_delay_is_not_below_the_least),
    cmocka_unit_test(the_delay_follows_within_two_windows),
    cmocka_unit_test(what_was_before_a_pause_is_forgotten),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
