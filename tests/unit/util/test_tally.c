#include "rn_test.h"

#include "util/rng.h"
#include "util/tally.h"

static struct rn_tally tally;
static struct rn_tally_copy copy, before;

static int setup(void **state) {
  (void)state;
  memset(&tally, 0, sizeof(tally));
  memset(&copy, 0xa5, sizeof(copy)); /* a reader owes nothing to what was there */
  return 0;
}

static void each_cell_ends_at_its_bound(void **state) {
  (void)state;
  assert_int_equal(rn_tally_bound(0), 64);
  assert_int_equal(rn_tally_bound(1), 72);
  assert_int_equal(rn_tally_bound(8), 128);
  assert_int_equal(rn_tally_bound(RN_TALLY_CELLS - 2), UINT64_C(1) << 34);
  for (uint32_t i = 0; i + 1 < RN_TALLY_CELLS; i++) {
    assert_int_equal(rn_tally_cell(rn_tally_bound(i)), i);
    assert_int_equal(rn_tally_cell(rn_tally_bound(i) + 1), i + 1);
  }
  assert_int_equal(rn_tally_cell(0), 0);
  assert_int_equal(rn_tally_cell(UINT64_MAX), RN_TALLY_CELLS - 1);
}

static void a_time_is_kept_to_an_eighth(void **state) {
  (void)state;
  struct rn_rng rng;
  rn_rng_init(&rng, 11);
  for (int i = 0; i < 10000; i++) {
    uint64_t v = 65 + (rn_rng_next(&rng) >> (30 + rn_rng_below(&rng, 28)));
    uint64_t top = rn_tally_bound(rn_tally_cell(v));
    assert_true(top >= v && top - v <= v / 8);
  }
}

static void events_are_counted_with_their_sum(void **state) {
  (void)state;
  rn_tally_add(&tally, 100, 3);
  rn_tally_add(&tally, 5000, 1);
  rn_tally_add(&tally, 5000, 0);
  rn_tally_read(&tally, &copy);
  assert_int_equal(copy.count, 4);
  assert_int_equal(copy.sum_ns, 5300);
  assert_int_equal(copy.cells[rn_tally_cell(100)], 3);
  assert_int_equal(copy.cells[rn_tally_cell(5000)], 1);
}

static void what_came_after_a_copy(void **state) {
  (void)state;
  rn_tally_add(&tally, 100, 3);
  rn_tally_read(&tally, &before);
  rn_tally_add(&tally, 5000, 2);
  rn_tally_read(&tally, &copy);
  rn_tally_since(&copy, &before);
  assert_int_equal(copy.count, 2);
  assert_int_equal(copy.sum_ns, 10000);
  assert_int_equal(copy.cells[rn_tally_cell(100)], 0);
}

static void a_new_writer_is_no_continuation(void **state) {
  (void)state;
  rn_tally_add(&tally, 100, 3);
  rn_tally_read(&tally, &before);
  memset(&tally, 0, sizeof(tally));
  rn_tally_add(&tally, 5000, 9);
  rn_tally_read(&tally, &copy);
  rn_tally_since(&copy, &before);
  assert_int_equal(copy.count, 9);
  assert_int_equal(copy.sum_ns, 45000);
}

static void merged_is_the_sum(void **state) {
  (void)state;
  rn_tally_add(&tally, 100, 3);
  rn_tally_read(&tally, &before);
  rn_tally_add(&tally, 700, 1);
  rn_tally_read(&tally, &copy);
  rn_tally_merge(&copy, &before);
  assert_int_equal(copy.count, 7);
  assert_int_equal(copy.sum_ns, 1300);
  assert_int_equal(copy.cells[rn_tally_cell(100)], 6);
}

static void quantiles_lie_in_the_right_cell(void **state) {
  (void)state;
  rn_tally_read(&tally, &copy);
  assert_int_equal(rn_tally_quantile(&copy, 0.5), 0);
  rn_tally_add(&tally, 1000, 98);
  rn_tally_add(&tally, 1000000, 2);
  rn_tally_read(&tally, &copy);
  assert_int_equal(rn_tally_cell(rn_tally_quantile(&copy, 0.5)), rn_tally_cell(1000));
  assert_int_equal(rn_tally_cell(rn_tally_quantile(&copy, 0.98)), rn_tally_cell(1000));
  assert_int_equal(rn_tally_cell(rn_tally_quantile(&copy, 0.99)), rn_tally_cell(1000000));
  assert_int_equal(rn_tally_quantile(&copy, 1), rn_tally_bound(rn_tally_cell(1000000)));
}

/* Ten thousand times spread evenly: each share comes out to within its cell, an eighth at most. */
static void quantiles_agree_with_an_even_spread(void **state) {
  (void)state;
  for (uint64_t v = 1; v <= 10000; v++)
    rn_tally_add(&tally, v * 100, 1);
  rn_tally_read(&tally, &copy);
  for (int percent = 1; percent <= 100; percent++) {
    uint64_t exact = (uint64_t)percent * 10000, got = rn_tally_quantile(&copy, percent * 0.01);
    assert_in_range(got, exact - exact / 50, exact + exact / 8);
  }
}

static void times_beyond_all_bounds_count_as_the_last(void **state) {
  (void)state;
  rn_tally_add(&tally, UINT64_C(1) << 40, 1);
  rn_tally_read(&tally, &copy);
  assert_int_equal(rn_tally_quantile(&copy, 0.5), UINT64_C(1) << 34);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(each_cell_ends_at_its_bound, setup),
    cmocka_unit_test_setup(a_time_is_kept_to_an_eighth, setup),
    cmocka_unit_test_setup(events_are_counted_with_their_sum, setup),
    cmocka_unit_test_setup(what_came_after_a_copy, setup),
    cmocka_unit_test_setup(a_new_writer_is_no_continuation, setup),
    cmocka_unit_test_setup(merged_is_the_sum, setup),
    cmocka_unit_test_setup(quantiles_lie_in_the_right_cell, setup),
    cmocka_unit_test_setup(quantiles_agree_with_an_even_spread, setup),
    cmocka_unit_test_setup(times_beyond_all_bounds_count_as_the_last, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
