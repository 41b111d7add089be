/* tests/unit/cluster/balance/test_budget.c */
#include "rn_test.h"

#include "cluster/balance/budget.h"
#include "util/err.h"
#include "util/rng.h"

#define SECOND 1000000000ull

static struct rn_budget budget(uint32_t percent, uint32_t reserve) {
  struct rn_budget b;
  struct rn_budget_config cfg = rn_budget_defaults();
  cfg.percent = percent;
  cfg.reserve = reserve;
  assert_int_equal(rn_budget_init(&b, &cfg), RN_OK);
  return b;
}

static uint32_t take_all(struct rn_budget *b, uint64_t now_ns) {
  uint32_t n = 0;
  while (rn_budget_take(b, now_ns) == RN_OK)
    n++;
  assert_int_equal(rn_budget_check(b), RN_OK);
  return n;
}

static void nonsense_is_refused(void **state) {
  (void)state;
  struct rn_budget b;
  struct rn_budget_config cfg = rn_budget_defaults();
  assert_int_equal(rn_budget_init(&b, &cfg), RN_OK);
  cfg.percent = 1001;
  assert_int_equal(rn_budget_init(&b, &cfg), RN_ERR_INVAL);
  cfg = rn_budget_defaults();
  cfg.reserve = 1000001;
  assert_int_equal(rn_budget_init(&b, &cfg), RN_ERR_INVAL);
  cfg = rn_budget_defaults();
  cfg.window_ns = RN_BUDGET_SLICES - 1;
  assert_int_equal(rn_budget_init(&b, &cfg), RN_ERR_INVAL);
}

static void a_tenth_of_the_calls_and_the_reserve_can_be_tried_again(void **state) {
  (void)state;
  struct rn_budget b = budget(10, 7);
  for (uint32_t i = 0; i < 1000; i++)
    rn_budget_first(&b, SECOND);
  assert_int_equal(take_all(&b, SECOND), 107);
  assert_int_equal(b.refused, 1);
  assert_int_equal(take_all(&b, 2 * SECOND), 0);
}

static void the_reserve_is_there_without_calls_and_comes_back(void **state) {
  (void)state;
  struct rn_budget b = budget(10, 3);
  assert_int_equal(take_all(&b, 5 * SECOND), 3);
  assert_int_equal(take_all(&b, 14 * SECOND), 0);
  assert_int_equal(take_all(&b, 15 * SECOND), 3);
  assert_int_equal(take_all(&b, 1000 * SECOND), 3);
  b = budget(0, 0);
  rn_budget_first(&b, 0);
  assert_int_equal(take_all(&b, 0), 0);
}

static void old_calls_count_no_more(void **state) {
  (void)state;
  struct rn_budget b = budget(10, 0);
  for (uint32_t i = 0; i < 100; i++)
    rn_budget_first(&b, 0);
  assert_int_equal(rn_budget_take(&b, 9 * SECOND), RN_OK);
  assert_int_equal(rn_budget_take(&b, 10 * SECOND), RN_ERR_AGAIN);
}

static void time_that_goes_back_changes_nothing(void **state) {
  (void)state;
  struct rn_budget b = budget(10, 1);
  assert_int_equal(take_all(&b, 100 * SECOND), 1);
  rn_budget_first(&b, 3 * SECOND);
  assert_int_equal(take_all(&b, SECOND), 0);
  assert_int_equal(b.firsts, 1);
}

/* Against a list of all that ever happened. */
static void behaves_like_a_count_of_the_last_ten_slices(void **state) {
  (void)state;
  enum { SLICES = 400 };
  static uint32_t first[SLICES], extra[SLICES];
  uint32_t taken = 0, refused = 0;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct rn_rng rng;
    struct rn_budget b = budget(10, 5);
    rn_rng_init(&rng, seed);
    memset(first, 0, sizeof(first));
    memset(extra, 0, sizeof(extra));
    for (uint32_t s = 0; s < SLICES; s += 1 + (rn_rng_below(&rng, 30) == 0 ? 12u : 0)) {
      uint32_t from = s >= RN_BUDGET_SLICES ? s - RN_BUDGET_SLICES + 1 : 0;
      uint64_t calls = rn_rng_below(&rng, 3) == 0 ? rn_rng_below(&rng, 300) : 0;
      for (; first[s] < calls; first[s]++)
        rn_budget_first(&b, s * SECOND + first[s]);
      for (uint64_t i = rn_rng_below(&rng, 30); i > 0; i--) {
        uint32_t firsts = 0, extras = 0;
        for (uint32_t k = from; k <= s; k++) {
          firsts += first[k];
          extras += extra[k];
        }
        bool got = rn_budget_take(&b, s * SECOND + SECOND - 1) == RN_OK;
        assert_int_equal(got, extras < 5 + firsts / 10);
        extra[s] += got;
        taken += got;
        refused += !got;
      }
      assert_int_equal(rn_budget_check(&b), RN_OK);
    }
  }
  assert_true(taken > 1000 && refused > 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(nonsense_is_refused),
    cmocka_unit_test(a_tenth_of_the_calls_and_the_reserve_can_be_tried_again),
    cmocka_unit_test(the_reserve_is_there_without_calls_and_comes_back),
    cmocka_unit_test(old_calls_count_no_more),
    cmocka_unit_test(time_that_goes_back_changes_nothing),
    cmocka_unit_test(behaves_like_a_count_of_the_last_ten_slices),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
