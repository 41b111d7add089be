/* tests/unit/cluster/balance/test_outlier.c */
#include "rn_test.h"

#include "cluster/balance/outlier.h"
#include "util/err.h"
#include "util/rng.h"

#define SECOND 1000000000ull

static const struct rn_outlier_config cfg = { .row = 3,
                                              .rate_percent = 50,
                                              .rate_calls = 10,
                                              .probes = 2,
                                              .window_ns = 10 * SECOND,
                                              .eject_ns = 4 * SECOND,
                                              .eject_max_ns = 10 * SECOND };

static enum rn_outlier_change bad(struct rn_outlier *o, uint64_t now_ns) {
  return rn_outlier_result(o, &cfg, false, false, true, now_ns);
}

static enum rn_outlier_change good(struct rn_outlier *o, uint64_t now_ns) {
  return rn_outlier_result(o, &cfg, true, false, true, now_ns);
}

/* By failures in a row. */
static void eject(struct rn_outlier *o, uint64_t now_ns) {
  assert_int_equal(bad(o, now_ns), RN_OUTLIER_NOTHING);
  assert_int_equal(bad(o, now_ns), RN_OUTLIER_NOTHING);
  assert_int_equal(bad(o, now_ns), RN_OUTLIER_EJECTED);
  assert_int_equal(rn_outlier_check(o), RN_OK);
}

static enum rn_outlier_change probe(struct rn_outlier *o, bool ok, uint64_t now_ns) {
  assert_true(rn_outlier_lets_in(o));
  assert_true(rn_outlier_probe(o));
  assert_false(rn_outlier_lets_in(o));
  assert_false(rn_outlier_probe(o));
  return rn_outlier_result(o, &cfg, ok, true, true, now_ns);
}

static void nonsense_is_refused(void **state) {
  (void)state;
  struct rn_outlier_config c = rn_outlier_defaults();
  assert_int_equal(rn_outlier_config_check(&c), RN_OK);
  c.rate_percent = 101;
  assert_int_equal(rn_outlier_config_check(&c), RN_ERR_INVAL);
  c = cfg, c.window_ns = 1;
  assert_int_equal(rn_outlier_config_check(&c), RN_ERR_INVAL);
  c = cfg, c.probes = 0;
  assert_int_equal(rn_outlier_config_check(&c), RN_ERR_INVAL);
  c = cfg, c.eject_ns = 0;
  assert_int_equal(rn_outlier_config_check(&c), RN_ERR_INVAL);
  c = cfg, c.eject_ns = c.eject_max_ns + 1;
  assert_int_equal(rn_outlier_config_check(&c), RN_ERR_INVAL);
}

static void failures_in_a_row_eject(void **state) {
  (void)state;
  struct rn_outlier o = { 0 };
  assert_true(rn_outlier_lets_in(&o));
  for (uint32_t i = 0; i < 100;
       i++) { /* one good one in between is enough, as long as the rate is */
    bad(&o, i * 20 * SECOND);
    bad(&o, i * 20 * SECOND);
    assert_int_equal(good(&o, i * 20 * SECOND), RN_OUTLIER_NOTHING);
  }
  eject(&o, 5000 * SECOND);
  assert_false(rn_outlier_lets_in(&o));
  assert_int_equal(bad(&o, 5001 * SECOND), RN_OUTLIER_NOTHING);
  assert_int_equal(good(&o, 5001 * SECOND), RN_OUTLIER_NOTHING);
}

static void a_failure_rate_ejects_once_there_are_enough_calls(void **state) {
  (void)state;
  struct rn_outlier o = { 0 };
  for (uint32_t i = 0; i < 9; i++)
    assert_int_equal(i % 2 == 0 ? bad(&o, SECOND) : good(&o, SECOND), RN_OUTLIER_NOTHING);
  assert_int_equal(good(&o, SECOND), RN_OUTLIER_NOTHING); /* only failures eject */
  assert_int_equal(bad(&o, SECOND), RN_OUTLIER_EJECTED);
}

static void what_is_older_than_the_window_does_not_count(void **state) {
  (void)state;
  struct rn_outlier o = { 0 };
  for (uint32_t i = 0; i < 9; i++)
    assert_int_equal(i % 2 == 0 ? bad(&o, SECOND) : good(&o, SECOND), RN_OUTLIER_NOTHING);
  struct rn_outlier at_once = o;
  assert_int_equal(bad(&o, 12 * SECOND), RN_OUTLIER_NOTHING);
  assert_int_equal(good(&o, 12 * SECOND), RN_OUTLIER_NOTHING);
  assert_int_equal(bad(&at_once, 4 * SECOND), RN_OUTLIER_EJECTED);
}

static void a_good_share_of_failures_is_put_up_with(void **state) {
  (void)state;
  struct rn_outlier o = { 0 };
  for (uint32_t i = 0; i < 10000; i++)
    assert_int_equal(i % 4 < 1 ? bad(&o, i * SECOND / 10) : good(&o, i * SECOND / 10),
                     RN_OUTLIER_NOTHING);
}

static void each_time_lasts_longer_up_to_the_longest(void **state) {
  (void)state;
  static const uint64_t expected[] = { 4, 8, 10, 10 };
  struct rn_outlier o = { 0 };
  uint64_t now = 100 * SECOND;
  eject(&o, now);
  for (uint32_t i = 0; i < 4; i++) {
    uint64_t until = now + expected[i] * SECOND;
    assert_false(rn_outlier_due(&o, until - 1));
    assert_false(rn_outlier_lets_in(&o));
    assert_true(rn_outlier_due(&o, until));
    assert_false(rn_outlier_due(&o, until));
    now = until + SECOND;
    assert_int_equal(probe(&o, false, now), RN_OUTLIER_EJECTED);
  }
}

static void a_quiet_time_is_a_time_forgotten(void **state) {
  (void)state;
  for (uint64_t quiet = 9; quiet <= 20; quiet += 11) {
    struct rn_outlier o = { 0 };
    eject(&o, 0);
    for (uint64_t now = 0; o.state != RN_OUTLIER_IN; now += SECOND)
      if (!rn_outlier_due(&o, now) && rn_outlier_lets_in(&o))
        probe(&o, true, now);
    uint64_t now = o.until_ns + quiet * SECOND;
    eject(&o, now);
    assert_int_equal(o.until_ns - now, (quiet < 10 ? 8 : 4) * SECOND);
  }
}

static void probes_come_one_at_a_time_until_enough_were_good(void **state) {
  (void)state;
  struct rn_outlier o = { 0 };
  eject(&o, 0);
  assert_true(rn_outlier_due(&o, 4 * SECOND));
  assert_int_equal(good(&o, 4 * SECOND), RN_OUTLIER_NOTHING); /* begun before: tells nothing */
  assert_int_equal(bad(&o, 4 * SECOND), RN_OUTLIER_NOTHING);
  assert_int_equal(probe(&o, true, 5 * SECOND), RN_OUTLIER_PROBED);
  assert_true(rn_outlier_probe(&o));
  rn_outlier_probe_lost(&o);
  assert_int_equal(probe(&o, true, 6 * SECOND), RN_OUTLIER_READMITTED);
  assert_int_equal(rn_outlier_check(&o), RN_OK);
  assert_false(rn_outlier_probe(&o));
  eject(&o, 6 * SECOND); /* nothing of before counts */
}

static void who_may_not_be_ejected_stays(void **state) {
  (void)state;
  struct rn_outlier o = { 0 };
  bad(&o, 0);
  bad(&o, 0);
  assert_int_equal(rn_outlier_result(&o, &cfg, false, false, false, 0), RN_OUTLIER_SPARED);
  assert_true(rn_outlier_lets_in(&o));
  assert_int_equal(bad(&o, 0), RN_OUTLIER_EJECTED);
}

static void any_sequence_keeps_the_states_right(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 50; seed++) {
    struct rn_rng rng;
    struct rn_outlier o = { 0 };
    uint64_t now = 0;
    bool out = false;
    rn_rng_init(&rng, seed);
    for (uint32_t step = 0; step < 2000; step++) {
      now += rn_rng_below(&rng, SECOND);
      bool ok = rn_rng_below(&rng, 3) > 0, lets_in = rn_outlier_lets_in(&o);
      switch (rn_rng_below(&rng, 4)) {
      case 0:
        out |= lets_in && rn_outlier_probe(&o);
        break;
      case 1:
        if (out)
          rn_outlier_result(&o, &cfg, ok, true, true, now);
        out = false;
        break;
      case 2:
        rn_outlier_result(&o, &cfg, ok, false, ok, now);
        break;
      default:
        rn_outlier_due(&o, now);
      }
      assert_int_equal(o.probe_out, out);
      assert_int_equal(rn_outlier_check(&o), RN_OK);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(nonsense_is_refused),
    cmocka_unit_test(failures_in_a_row_eject),
    cmocka_unit_test(a_failure_rate_ejects_once_there_are_enough_calls),
    cmocka_unit_test(what_is_older_than_the_window_does_not_count),
    cmocka_unit_test(a_good_share_of_failures_is_put_up_with),
    cmocka_unit_test(each_time_lasts_longer_up_to_the_longest),
    cmocka_unit_test(a_quiet_time_is_a_time_forgotten),
    cmocka_unit_test(probes_come_one_at_a_time_until_enough_were_good),
    cmocka_unit_test(who_may_not_be_ejected_stays),
    cmocka_unit_test(any_sequence_keeps_the_states_right),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
