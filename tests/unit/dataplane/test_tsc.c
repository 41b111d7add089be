/* tests/unit/dataplane/test_tsc.c: a counter whose real rate is another than the one it is said to have. */
#include "dataplane/tsc.h"
#include "rn_test.h"

#define MS 1000000ull
#define S  1000000000ull

/* ticks at a time, for a counter of hz that starts at 1e15. */
static uint64_t ticks(uint64_t hz, uint64_t ns) {
  return 1000000000000000u + (uint64_t)((unsigned __int128)ns * hz / S);
}

static int64_t error_at(struct rn_tsc *t, uint64_t hz, uint64_t ns) {
  return (int64_t)(rn_tsc_ns(t, ticks(hz, ns)) - ns);
}

static void right_rate_stays_right_for_days(void **state) {
  (void)state;
  struct rn_tsc t;
  rn_tsc_init(&t, 2600000000u, ticks(2600000000u, 0), 0);
  assert_in_range(error_at(&t, 2600000000u, 86400 * S) + 100000, 0,
                  200000); /* rounding of the rate: 1 ppb */
}

static void wrong_rate_is_corrected(void **state) {
  (void)state;
  static const uint64_t said[] = { 2600000000u, 2590000000u, 2610000000u };
  const uint64_t real = 2599123457u;
  for (size_t k = 0; k < 3; k++) {
    struct rn_tsc t;
    uint64_t ns = 5 * S;
    rn_tsc_init(&t, said[k], ticks(real, ns), ns);
    for (int i = 0; i < 10000; i++) {
      ns += 200 * MS;
      rn_tsc_adjust(&t, ticks(real, ns), ns);
      if (i > 2)
        assert_in_range(error_at(&t, real, ns + 100 * MS) + 1000, 0, 2000);
    }
  }
}

static void time_never_goes_back(void **state) {
  (void)state;
  struct rn_tsc t;
  uint64_t last = 0, ns = 0;
  const uint64_t real = 2000000000u;
  rn_tsc_init(&t, 1800000000u, ticks(real, 0), 0); /* 11 % too fast */
  for (int i = 0; i < 100; i++) {
    for (int k = 0; k < 10; k++) {
      ns += 20 * MS;
      uint64_t now = rn_tsc_ns(&t, ticks(real, ns));
      assert_true(now >= last);
      last = now;
    }
    rn_tsc_adjust(&t, ticks(real, ns), ns);
  }
  assert_in_range(error_at(&t, real, ns) + 1000, 0, 2000);
  last = rn_tsc_ns(&t, ticks(real, ns + 20 * MS));
  assert_int_equal(rn_tsc_ns(&t, ticks(real, ns + 10 * MS)),
                   last); /* another core's counter, which is behind */
  assert_int_equal(rn_tsc_ns(&t, ticks(real, ns - 50 * MS)),
                   last); /* even before the last correction */
}

static void far_ahead_it_goes_on_at_half_the_rate(void **state) {
  (void)state;
  struct rn_tsc t;
  const uint64_t real = 1800000000u;
  rn_tsc_init(&t, 1000000000u, ticks(real, 0), 0); /* 80 % too fast */
  rn_tsc_adjust(&t, ticks(real, 200 * MS), 200 * MS);
  uint64_t at = rn_tsc_ns(&t, ticks(real, 200 * MS)), later = rn_tsc_ns(&t, ticks(real, 300 * MS));
  assert_in_range(later - at, 49 * MS, 51 * MS);
  for (uint64_t ns = 400 * MS; ns < 3 * S; ns += 200 * MS)
    rn_tsc_adjust(&t, ticks(real, ns), ns);
  assert_in_range(error_at(&t, real, 3 * S) + 1000, 0, 2000);
}

static void lost_time_is_made_up_at_once(void **state) {
  (void)state;
  struct rn_tsc t;
  const uint64_t hz = 1000000000u;
  rn_tsc_init(&t, hz, 0, 0);
  rn_tsc_adjust(&t, 1 * S, 1 * S);
  /* An hour asleep, in which the counter stood still for the most part. */
  rn_tsc_adjust(&t, 1 * S + 200 * MS, 3600 * S);
  assert_int_equal(rn_tsc_ns(&t, 1 * S + 200 * MS), 3600 * S);
  rn_tsc_adjust(&t, 1 * S + 400 * MS, 3600 * S + 200 * MS);
  rn_tsc_adjust(&t, 1 * S + 600 * MS, 3600 * S + 400 * MS);
  uint64_t now = rn_tsc_ns(&t, 1 * S + 700 * MS);
  assert_true(now >= 3600 * S + 400 * MS);
}

static void pairs_too_close_are_ignored(void **state) {
  (void)state;
  struct rn_tsc t;
  rn_tsc_init(&t, 1000000000u, 0, 0);
  uint64_t rate = t.rate;
  rn_tsc_adjust(&t, 5 * MS, 9 * MS);
  rn_tsc_adjust(&t, 0, 100 * MS); /* the counter did not move */
  assert_int_equal(t.rate, rate);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(right_rate_stays_right_for_days),
    cmocka_unit_test(wrong_rate_is_corrected),
    cmocka_unit_test(time_never_goes_back),
    cmocka_unit_test(far_ahead_it_goes_on_at_half_the_rate),
    cmocka_unit_test(lost_time_is_made_up_at_once),
    cmocka_unit_test(pairs_too_close_are_ignored),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
