/* tests/unit/cluster/test_phi.c */
#include "rn_test.h"

#include <math.h>

#include "cluster/phi.h"
#include "util/rng.h"

#define MS 1000000ull
#define S  1000000000ull

static void near(double got, double want, double share) {
  if (fabs(got - want) > share * want)
    fail_msg("%g, not %g", got, want);
}

/* Values of the normal distribution's tail: 0.5, 0.15866, 0.0013499, 9.8659e-10 at 0, 1, 3 and 6 deviations. */
static void phi_is_the_tail_of_the_normal_distribution(void **state) {
  (void)state;
  static const double deviations[] = { 0, 1, 3, 6 };
  static const double tail[] = { 0.5, 0.158655254, 0.001349898, 9.865876e-10 };
  struct rn_phi p;
  rn_phi_init(&p, S, 5 * S); /* 750 and 1250 ms: 250 ms around 1 s */
  for (int i = 0; i < 4; i++)
    near(rn_phi_at(&p, MS, 6 * S + (uint64_t)(deviations[i] * 250e6)), -log10(tail[i]), 1e-6);
}

static void it_grows_without_a_step_and_without_an_end(void **state) {
  (void)state;
  struct rn_phi p;
  double last = 0;
  rn_phi_init(&p, S, 0);
  assert_true(rn_phi_at(&p, MS, 0) == 0);
  for (uint64_t t = 0; t <= 20 * S; t += MS) {
    double phi = rn_phi_at(&p, MS, t);
    assert_true(isfinite(phi) && phi >= last);
    assert_true(t == 0 || phi - last < 1);
    last = phi;
  }
  assert_true(isfinite(rn_phi_at(&p, 1, UINT64_MAX)));
}

static void it_learns_how_regular_somebody_is(void **state) {
  (void)state;
  struct rn_phi steady, jumpy;
  struct rn_rng rng;
  uint64_t t = 0;
  rn_rng_init(&rng, 1);
  rn_phi_init(&steady, S, 0);
  rn_phi_init(&jumpy, S, 0);
  for (int i = 0; i < 300; i++) {
    t += S;
    rn_phi_heard(&steady, t);
    rn_phi_heard(&jumpy, t - rn_rng_below(&rng, S / 2)); /* +-250 ms */
  }
  assert_true(rn_phi_at(&steady, 100 * MS, steady.heard_ns + 2 * S) > 8);
  assert_true(rn_phi_at(&jumpy, 100 * MS, jumpy.heard_ns + 3 * S / 2) < 8);
  assert_true(rn_phi_at(&jumpy, 100 * MS, jumpy.heard_ns + 3 * S) > 8);
}

static void nobody_is_more_regular_than_the_least_deviation(void **state) {
  (void)state;
  struct rn_phi p;
  rn_phi_init(&p, S, 0);
  for (uint64_t i = 1; i <= RN_PHI_WINDOW; i++)
    rn_phi_heard(&p, i * S);
  near(rn_phi_at(&p, 200 * MS, p.heard_ns + S + 200 * MS), -log10(0.158655254), 1e-6);
}

static void the_window_is_what_counts(void **state) {
  (void)state;
  struct rn_phi old, young;
  uint64_t t = 0;
  rn_phi_init(&old, 50 * MS, 0);
  for (uint64_t i = 0; i < 1000; i++)
    rn_phi_heard(&old, t += i % 7 * MS + 333);
  rn_phi_init(&young, 50 * MS, t);
  for (uint32_t i = 0; i < RN_PHI_WINDOW; i++) {
    t += 900 * MS + i * MS;
    rn_phi_heard(&old, t);
    rn_phi_heard(&young, t);
  }
  assert_true(old.sum_us == young.sum_us && old.sum_us2 == young.sum_us2);
}

static void extremes_do_no_harm(void **state) {
  (void)state;
  struct rn_phi p;
  rn_phi_init(&p, S, 100);
  rn_phi_heard(&p, 50); /* goes back */
  assert_true(p.heard_ns == 100 && p.count == 2);
  assert_true(rn_phi_at(&p, MS, 50) == 0);
  for (uint64_t i = 1; i <= 200; i++)
    rn_phi_heard(&p, i << 56);
  assert_true(isfinite(rn_phi_at(&p, MS, UINT64_MAX)) && rn_phi_at(&p, MS, UINT64_MAX) > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(phi_is_the_tail_of_the_normal_distribution),
    cmocka_unit_test(it_grows_without_a_step_and_without_an_end),
    cmocka_unit_test(it_learns_how_regular_somebody_is),
    cmocka_unit_test(nobody_is_more_regular_than_the_least_deviation),
    cmocka_unit_test(the_window_is_what_counts),
    cmocka_unit_test(extremes_do_no_harm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
