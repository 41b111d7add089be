/* tests/unit/cluster/test_suspicion.c */
#include "rn_test.h"

#include "cluster/suspicion.h"

#define S 1000000000ull

static void health_goes_up_and_down_within_its_bounds(void **state) {
  (void)state;
  struct rn_health h = { 0 };
  rn_health_good(&h);
  assert_int_equal(rn_health_stretch_ns(&h, S), S);
  for (int i = 0; i < 20; i++)
    rn_health_bad(&h);
  assert_int_equal(rn_health_stretch_ns(&h, S), (1 + RN_HEALTH_MAX) * S);
  rn_health_good(&h);
  assert_int_equal(rn_health_stretch_ns(&h, S), RN_HEALTH_MAX * S);
}

static void the_least_time_grows_with_the_logarithm_of_the_members(void **state) {
  (void)state;
  assert_int_equal(rn_suspicion_min_ns(4, 1, S), 4 * S);
  assert_int_equal(rn_suspicion_min_ns(4, 10, S), 4 * S);
  assert_int_equal(rn_suspicion_min_ns(4, 100, S), 8 * S);
  assert_int_equal(rn_suspicion_min_ns(5, 1000, S), 15 * S);
}

/* Lifeguard, section IV.B: max - (max - min) * log(C + 1) / log(K + 1). */
static void each_who_confirms_shortens_it(void **state) {
  (void)state;
  struct rn_suspicion s;
  rn_suspicion_init(&s, 100 * S, 5 * S, 30 * S, 10, 7);
  assert_int_equal(rn_suspicion_deadline_ns(&s), 130 * S);
  assert_false(rn_suspicion_confirm(&s, 7)); /* who began it */
  assert_int_equal(rn_suspicion_deadline_ns(&s), 130 * S);
  assert_true(rn_suspicion_confirm(&s, 8)); /* log 2 / log 4 */
  assert_in_range(rn_suspicion_deadline_ns(&s), 117 * S + S / 2 - 10, 117 * S + S / 2 + 10);
  assert_false(rn_suspicion_confirm(&s, 8));
  assert_true(rn_suspicion_confirm(&s, 9)); /* log 3 / log 4 */
  assert_in_range(rn_suspicion_deadline_ns(&s), 110187000000ull, 110189000000ull);
  assert_true(rn_suspicion_confirm(&s, 10));
  assert_int_equal(rn_suspicion_deadline_ns(&s), 105 * S);
  assert_false(rn_suspicion_confirm(&s, 11));
}

static void where_few_can_confirm_few_are_enough(void **state) {
  (void)state;
  struct rn_suspicion s;
  rn_suspicion_init(&s, 0, 5 * S, 30 * S, 1, 7);
  assert_int_equal(rn_suspicion_deadline_ns(&s), 30 * S);
  assert_true(rn_suspicion_confirm(&s, 8));
  assert_int_equal(rn_suspicion_deadline_ns(&s), 5 * S);
  rn_suspicion_init(&s, 0, 5 * S, 30 * S, 0, 7);
  assert_int_equal(rn_suspicion_deadline_ns(&s), 5 * S);
  assert_false(rn_suspicion_confirm(&s, 8));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(health_goes_up_and_down_within_its_bounds),
    cmocka_unit_test(the_least_time_grows_with_the_logarithm_of_the_members),
    cmocka_unit_test(each_who_confirms_shortens_it),
    cmocka_unit_test(where_few_can_confirm_few_are_enough),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
