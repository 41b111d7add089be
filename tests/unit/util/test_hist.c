#include "rn_test.h"

#include "util/hist.h"
#include "util/rng.h"

static void a_bucket_is_exact_to_a_64th(void **state) {
  (void)state;
  struct rn_rng rng;
  rn_rng_init(&rng, 6);
  for (int i = 0; i < 10000; i++) {
    uint64_t v = rn_rng_next(&rng) >> rn_rng_below(&rng, 64);
    uint64_t top = rn_hist_bucket_max(rn_hist_bucket(v));
    assert_true(top >= v && top - v <= v / 64);
  }
}

static void buckets_follow_each_other(void **state) {
  (void)state;
  for (uint32_t i = 0; i < RN_HIST_BUCKETS; i++) {
    uint64_t top = rn_hist_bucket_max(i);
    assert_int_equal(rn_hist_bucket(top), i);
    if (top != UINT64_MAX)
      assert_int_equal(rn_hist_bucket(top + 1), i + 1);
  }
  assert_true(rn_hist_bucket_max(RN_HIST_BUCKETS - 1) == UINT64_MAX);
}

static void empty_has_no_quantiles(void **state) {
  (void)state;
  static struct rn_hist h;
  assert_int_equal(rn_hist_quantile(&h, 0.5), 0);
  assert_true(rn_hist_mean(&h) == 0);
  rn_hist_add(&h, 1000);
  assert_int_equal(rn_hist_quantile(&h, 0), 1000);
  rn_hist_reset(&h);
  assert_int_equal(rn_hist_quantile(&h, 1), 0);
  assert_int_equal(h.max, 0);
  assert_int_equal(h.count, 0);
}

static void shares_of_small_values_are_exact(void **state) {
  (void)state;
  static struct rn_hist h;
  for (uint64_t v = 1; v <= 50; v++) {
    rn_hist_add(&h, v);
    rn_hist_add(&h, v);
  }
  /* As decimals, 0.07 and others are a little more in binary: that must not move to the next value. */
  for (int percent = 1; percent <= 100; percent++)
    assert_int_equal(rn_hist_quantile(&h, percent * 0.01), (percent + 1) / 2);
  assert_int_equal(rn_hist_quantile(&h, -1), 1);
  assert_int_equal(rn_hist_quantile(&h, 2), 50);
  assert_true(rn_hist_mean(&h) == 25.5);
}

static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

/* Two histograms merged, against all values sorted. */
static void quantiles_agree_with_sorting(void **state) {
  (void)state;
  static const double shares[] = { 0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1 };
  static struct rn_hist part[2];
  static uint64_t all[3000];
  for (uint64_t seed = 1; seed <= 10; seed++) {
    struct rn_rng rng;
    rn_rng_init(&rng, seed);
    rn_hist_reset(&part[0]);
    rn_hist_reset(&part[1]);
    double sum = 0;
    for (int i = 0; i < 3000; i++) {
      all[i] = rn_rng_next(&rng) >> (16 + rn_rng_below(&rng, 48));
      rn_hist_add(&part[rn_rng_below(&rng, 2)], all[i]);
      sum += (double)all[i];
    }
    rn_hist_merge(&part[0], &part[1]);
    qsort(all, 3000, sizeof(all[0]), by_value);
    assert_int_equal(part[0].count, 3000);
    assert_true(part[0].max == all[2999]);
    double off = rn_hist_mean(&part[0]) / (sum / 3000);
    assert_true(off > 0.999999 && off < 1.000001);
    for (size_t i = 0; i < sizeof(shares) / sizeof(shares[0]); i++) {
      int rank = (int)(shares[i] * 3000 + 0.5);
      uint64_t exact = all[rank > 0 ? rank - 1 : 0], got = rn_hist_quantile(&part[0], shares[i]);
      if (got < exact || got - exact > exact / 64)
        fail_msg("seed=%d share %d", (int)seed, (int)i);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_bucket_is_exact_to_a_64th),
    cmocka_unit_test(buckets_follow_each_other),
    cmocka_unit_test(empty_has_no_quantiles),
    cmocka_unit_test(shares_of_small_values_are_exact),
    cmocka_unit_test(quantiles_agree_with_sorting),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
