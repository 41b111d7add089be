#include "rn_test.h"

#include "util/bucket.h"
#include "util/err.h"
#include "util/rng.h"

static void refuses_past_burst_then_refills(void **state) {
  (void)state;
  struct rn_bucket b;
  assert_int_equal(rn_bucket_init(&b, 1000, 2), RN_OK); /* 1 token a ms */
  assert_int_equal(rn_bucket_take(&b, 2, 0), RN_OK);
  assert_int_equal(rn_bucket_take(&b, 1, 999999), RN_ERR_AGAIN);
  assert_int_equal(rn_bucket_take(&b, 1, 1000000), RN_OK);
}

static void takes_all_or_none(void **state) {
  (void)state;
  struct rn_bucket b;
  assert_int_equal(rn_bucket_init(&b, 1, 5), RN_OK);
  assert_int_equal(rn_bucket_take(&b, 6, 1000), RN_ERR_AGAIN);
  assert_int_equal(rn_bucket_take(&b, 5, 1000), RN_OK);
  assert_int_equal(rn_bucket_take(&b, 0, 1000), RN_OK);
}

static void time_that_goes_back_refills_nothing(void **state) {
  (void)state;
  struct rn_bucket b;
  assert_int_equal(rn_bucket_init(&b, 1000, 1), RN_OK);
  assert_int_equal(rn_bucket_take(&b, 1, 5000000), RN_OK);
  assert_int_equal(rn_bucket_take(&b, 1, 1), RN_ERR_AGAIN);
  assert_int_equal(rn_bucket_take(&b, 1, 5999999), RN_ERR_AGAIN);
  assert_int_equal(rn_bucket_take(&b, 1, 6000000), RN_OK);
}

static void rejects_what_is_out_of_range(void **state) {
  (void)state;
  struct rn_bucket b = { .cost_ns = 77 };
  assert_int_equal(rn_bucket_init(&b, 0, 1), RN_ERR_INVAL);
  assert_int_equal(rn_bucket_init(&b, 1000001, 1), RN_ERR_INVAL);
  assert_int_equal(rn_bucket_init(&b, 1, 0), RN_ERR_INVAL);
  assert_int_equal(b.cost_ns, 77);
}

static void the_extremes_do_not_overflow(void **state) {
  (void)state;
  uint64_t late = (UINT64_C(1) << 62) - 1;
  struct rn_bucket b;
  assert_int_equal(rn_bucket_init(&b, 1, UINT32_MAX), RN_OK);
  assert_int_equal(rn_bucket_take(&b, UINT32_MAX, late), RN_OK);
  assert_int_equal(rn_bucket_take(&b, UINT32_MAX, late), RN_ERR_AGAIN);
  assert_int_equal(rn_bucket_take(&b, 1, late), RN_ERR_AGAIN);
}

/* A model that counts ns of credit. */
static void behaves_like_counted_credit(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct rn_rng rng;
    rn_rng_init(&rng, seed);
    uint32_t rate = 1 + (uint32_t)rn_rng_below(&rng, 1000000);
    uint32_t burst = 1 + (uint32_t)rn_rng_below(&rng, 50);
    uint64_t cost = 1000000000 / rate, credit = cost * burst, now = rn_rng_next(&rng) >> 20;
    struct rn_bucket b;
    assert_int_equal(rn_bucket_init(&b, rate, burst), RN_OK);
    for (int step = 0; step < 2000; step++) {
      uint64_t gone = rn_rng_below(&rng, 3 * cost), n = rn_rng_below(&rng, 4);
      now += gone;
      credit = credit + gone < cost * burst ? credit + gone : cost * burst;
      bool ok = rn_bucket_take(&b, (uint32_t)n, now) == RN_OK;
      if (ok != (credit >= n * cost))
        fail_msg("seed=%d step %d", (int)seed, step);
      credit -= ok ? n * cost : 0;
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(refuses_past_burst_then_refills),
    cmocka_unit_test(takes_all_or_none),
    cmocka_unit_test(time_that_goes_back_refills_nothing),
    cmocka_unit_test(rejects_what_is_out_of_range),
    cmocka_unit_test(the_extremes_do_not_overflow),
    cmocka_unit_test(behaves_like_counted_credit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
