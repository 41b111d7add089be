#include "rn_test.h"

#include "util/rng.h"

static void matches_the_published_generators(void **state) {
  (void)state;
  /* xoshiro256** from the state 1, 2, 3, 4, computed from the authors' definition with Python's integers. */
  static const uint64_t want[] = { 11520,
                                   0,
                                   1509978240,
                                   1215971899390074240,
                                   1216172134540287360,
                                   607988272756665600,
                                   16172922978634559625u,
                                   8476171486693032832,
                                   10595114339597558777u,
                                   2904607092377533576 };
  struct rn_rng r = { .s = { 1, 2, 3, 4 } };
  for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++)
    assert_true(rn_rng_next(&r) == want[i]);
  /* The seed goes through splitmix64. */
  rn_rng_init(&r, 1234567);
  assert_true(r.s[0] == 6457827717110365317u);
  assert_true(r.s[1] == 3203168211198807973u);
  assert_true(r.s[2] == 9817491932198370423u);
  assert_true(r.s[3] == 4593380528125082431u);
}

static void the_same_seed_repeats(void **state) {
  (void)state;
  struct rn_rng a, b, c;
  rn_rng_init(&a, 7);
  rn_rng_init(&b, 7);
  rn_rng_init(&c, 8);
  int same = 0;
  for (int i = 0; i < 100; i++) {
    uint64_t v = rn_rng_next(&a);
    assert_true(rn_rng_next(&b) == v);
    same += rn_rng_next(&c) == v;
  }
  assert_int_equal(same, 0);
}

static void below_is_even_and_in_range(void **state) {
  (void)state;
  struct rn_rng r;
  rn_rng_init(&r, 3);
  int hits[7] = { 0 };
  for (int i = 0; i < 70000; i++)
    hits[rn_rng_below(&r, 7)]++;
  for (int i = 0; i < 7; i++)
    assert_in_range(hits[i], 9600, 10400); /* four sigma */
  assert_int_equal(rn_rng_below(&r, 1), 0);
  /* A product and a shift alone would make even results twice as likely as odd ones. */
  uint64_t n = UINT64_MAX / 3 * 2;
  int low = 0;
  for (int i = 0; i < 10000; i++) {
    uint64_t v = rn_rng_below(&r, n);
    assert_true(v < n);
    low += (v & 1) == 0;
  }
  assert_in_range(low, 4800, 5200);
}

static void unit_is_below_one(void **state) {
  (void)state;
  struct rn_rng r;
  rn_rng_init(&r, 5);
  double sum = 0;
  for (int i = 0; i < 10000; i++) {
    double v = rn_rng_unit(&r);
    assert_true(v >= 0 && v < 1);
    sum += v;
  }
  assert_true(sum > 4850 && sum < 5150);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(matches_the_published_generators),
    cmocka_unit_test(the_same_seed_repeats),
    cmocka_unit_test(below_is_even_and_in_range),
    cmocka_unit_test(unit_is_below_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
