/* tests/unit/cluster/balance/test_balance.c: who can be chosen at all, what is remembered, limits. */
#include "rn_test.h"

#include "some.h"
#include "util/rng.h"

static struct rn_bal_config usual(void) { return rn_bal_defaults(&rn_bal_round_robin); }

/* Ejects at the first failure, so that tests are short. */
static struct rn_bal_config strict(void) {
  struct rn_bal_config cfg = usual();
  cfg.outlier.row = 1;
  cfg.outlier.probes = 2;
  return cfg;
}

static void nonsense_is_refused(void **state) {
  (void)state;
  struct some s;
  struct rn_bal_config cfg = usual();
  some_start(&s, &cfg, 1, 1);
  struct rn_bal *b = NULL;
  assert_int_equal(rn_bal_footprint(0), 0);
  assert_int_equal(rn_bal_footprint(RN_BAL_WORKERS_MAX + 1), 0);
  assert_int_equal(rn_bal_init(s.b, 0, &cfg, s.load, 1, &b), RN_ERR_INVAL);
  assert_int_equal(rn_bal_init(s.b, 1, &cfg, NULL, 1, &b), RN_ERR_INVAL);
  cfg.strategy = NULL;
  assert_int_equal(rn_bal_configure(s.b, &cfg), RN_ERR_INVAL);
  cfg = usual();
  cfg.decay_ns = 0;
  assert_int_equal(rn_bal_configure(s.b, &cfg), RN_ERR_INVAL);
  cfg = usual();
  cfg.outlier.probes = 0;
  assert_int_equal(rn_bal_configure(s.b, &cfg), RN_ERR_INVAL);
  assert_null(b);
  some_stop(&s);
}

static void pools_that_do_not_fit_are_refused(void **state) {
  (void)state;
  struct some s;
  struct rn_bal_config cfg = usual();
  struct rn_load *small;
  struct rn_bal *b;
  some_start(&s, &cfg, 3, 1);
  struct rn_bal_pool *old = some_pool(3, 1, 0, NULL), *many = some_pool(20, 9, 0, NULL);
  assert_int_equal(rn_bal_adopt(s.b, old), RN_ERR_STATE);
  void *shared = some_mem(rn_load_shared_bytes(1, 5)), *mem = some_mem(rn_load_footprint(5));
  assert_int_equal(rn_load_init(mem, shared, 1, 5, 0, &small), RN_OK);
  void *at = some_mem(rn_bal_footprint(19));
  assert_int_equal(rn_bal_init(at, 19, &cfg, small, 1, &b), RN_OK);
  assert_int_equal(rn_bal_adopt(b, many), RN_ERR_TOOBIG);
  assert_int_equal(rn_bal_init(at, 19, &cfg, small, 1, &b), RN_OK);
  free(many);
  many = some_pool(6, 9, 0, NULL);
  assert_int_equal(rn_bal_adopt(b, many), RN_ERR_INVAL); /* slot 5 of 5 */
  assert_null(rn_bal_pool(b));
  free(at), free(mem), free(shared), free(many), free(old);
  some_stop(&s);
}

static void nobody_is_an_error_at_once(void **state) {
  (void)state;
  struct some s;
  struct rn_bal_config cfg = usual();
  struct rn_bal_ask ask = { 0 };
  struct rn_bal_ticket t;
  some_on(&s, some_mem(rn_load_shared_bytes(1, SOME_SLOTS)), 1, 0, &cfg, 1);
  assert_int_equal(rn_bal_check(s.b), RN_OK);
  assert_int_equal(rn_bal_pick(s.b, &ask, &t), RN_ERR_NOENT);
  some_adopt(&s, 0, 0, NULL);
  assert_int_equal(rn_bal_pick(s.b, &ask, &t), RN_ERR_NOENT);
  assert_int_equal(rn_bal_stats(s.b)->none, 2);
  some_adopt(&s, 1, 0, NULL);
  assert_int_equal(some_call(&s, &ask, RN_BAL_GOOD), 0);
  assert_int_equal(rn_bal_check(s.b), RN_OK);
  some_stop(&s);
}

static bool some_drain(struct rn_bal_spec *s, uint32_t i) {
  s->worker.flags = i % 3 == 0 ? RN_BAL_DRAINING : 0;
  return true;
}

static bool all_drain(struct rn_bal_spec *s, uint32_t i) {
  (void)i;
  s->worker.flags = RN_BAL_DRAINING;
  return true;
}

static void the_draining_get_nothing(void **state) {
  (void)state;
  for (uint32_t k = 0; k < RN_BAL_STRATEGIES; k++) {
    struct some s;
    struct rn_bal_config cfg = rn_bal_defaults(rn_bal_strategies[k]);
    some_start(&s, &cfg, 9, 1);
    some_adopt(&s, 9, 0, some_drain);
    for (uint32_t i = 0; i < 1000; i++) {
      struct rn_bal_ask ask = { .affinity = i };
      assert_int_not_equal(some_call(&s, &ask, RN_BAL_GOOD) % 3, 0);
    }
    some_adopt(&s, 9, 0, all_drain);
    struct rn_bal_ask ask = { 0 };
    assert_int_equal(some_call(&s, &ask, RN_BAL_GOOD), UINT32_MAX);
    some_stop(&s);
  }
}

static void the_tried_are_left_out_by_every_strategy(void **state) {
  (void)state;
  for (uint32_t k = 0; k < RN_BAL_STRATEGIES; k++) {
    struct some s;
    struct rn_bal_config cfg = rn_bal_defaults(rn_bal_strategies[k]);
    some_start(&s, &cfg, 6, 1);
    for (uint32_t i = 0; i < 200; i++) {
      struct rn_bal_tried tried = { 0 };
      struct rn_bal_ask ask = { .now_ns = i, .affinity = i, .tried = &tried };
      uint32_t seen = 0;
      for (uint32_t n = 0; n < 6; n++) {
        uint32_t w = some_call(&s, &ask, RN_BAL_GOOD);
        assert_true(w < 6);
        assert_int_equal(seen & 1u << w, 0);
        seen |= 1u << w;
        rn_bal_tried_add(&tried, some_key(w));
      }
      assert_int_equal(some_call(&s, &ask, RN_BAL_GOOD), UINT32_MAX);
      assert_int_equal(rn_bal_check(s.b), RN_OK);
    }
    assert_int_equal(rn_bal_stats(s.b)->again, 200 * 6);
    assert_int_equal(rn_bal_stats(s.b)->none, 200);
    some_stop(&s);
  }
}

static void the_list_of_the_tried_forgets_the_first(void **state) {
  (void)state;
  struct rn_bal_tried tried = { 0 };
  for (uint64_t i = 1; i <= RN_BAL_TRIED_MAX + 2; i++)
    rn_bal_tried_add(&tried, i);
  assert_int_equal(tried.count, RN_BAL_TRIED_MAX);
  assert_int_equal(tried.key[0], 3);
  assert_int_equal(tried.key[RN_BAL_TRIED_MAX - 1], RN_BAL_TRIED_MAX + 2);
}

static bool three_near(struct rn_bal_spec *s, uint32_t i) {
  s->worker.zone = i < 3 ? 5 : 6;
  return true;
}

static void our_zone_comes_first_and_others_when_it_cannot(void **state) {
  (void)state;
  for (uint32_t k = 0; k < RN_BAL_STRATEGIES; k++) {
    struct some s;
    struct rn_bal_config cfg = rn_bal_defaults(rn_bal_strategies[k]);
    struct rn_bal_tried tried = { 0 };
    cfg.near_first = true;
    some_start(&s, &cfg, 2, 1);
    some_adopt(&s, 8, 5, three_near);
    for (uint32_t i = 0; i < 100; i++) {
      struct rn_bal_ask ask = { .affinity = i };
      assert_true(some_call(&s, &ask, RN_BAL_GOOD) < 3);
    }
    assert_int_equal(rn_bal_stats(s.b)->spilled, 0);
    for (uint32_t i = 0; i < 3; i++)
      rn_bal_tried_add(&tried, some_key(i));
    for (uint32_t i = 0; i < 100; i++) {
      struct rn_bal_ask ask = { .affinity = i, .tried = &tried };
      assert_in_range(some_call(&s, &ask, RN_BAL_GOOD), 3, 7);
    }
    assert_int_equal(rn_bal_stats(s.b)->spilled, 100);
    /* Nobody is of zone 7. */
    some_adopt(&s, 8, 7, three_near);
    uint32_t seen = 0;
    for (uint32_t i = 0; i < 200; i++) {
      struct rn_bal_ask ask = { .affinity = i };
      seen |= 1u << some_call(&s, &ask, RN_BAL_GOOD);
    }
    assert_int_equal(seen, 0xff);
    assert_int_equal(rn_bal_stats(s.b)->spilled, 100);
    assert_int_equal(rn_bal_check(s.b), RN_OK);
    some_stop(&s);
  }
}

static void an_ejected_zone_spills(void **state) {
  (void)state;
  struct some s;
  struct rn_bal_config cfg = strict();
  struct rn_bal_ask ask = { .now_ns = SECOND };
  cfg.near_first = true;
  some_start(&s, &cfg, 2, 1);
  some_adopt(&s, 8, 5, three_near);
  for (uint32_t i = 0; i < 3; i++)
    assert_true(some_call(&s, &ask, RN_BAL_BAD) < 3);
  for (uint32_t i = 0; i < 10; i++)
    assert_in_range(some_call(&s, &ask, RN_BAL_GOOD), 3, 7);
  assert_int_equal(rn_bal_stats(s.b)->spilled, 10);
  some_stop(&s);
}

static void the_failing_are_ejected_up_to_half(void **state) {
  (void)state;
  for (uint32_t n = 1; n <= 20; n++) {
    struct some s;
    struct rn_bal_config cfg = strict();
    struct rn_bal_ask ask = { .now_ns = SECOND };
    uint32_t seen = 0;
    some_start(&s, &cfg, n, 1);
    for (uint32_t i = 0; i < 3 * n; i++)
      some_call(&s, &ask, RN_BAL_BAD);
    assert_int_equal(rn_bal_stats(s.b)->ejected, n / 2);
    assert_true(rn_bal_stats(s.b)->spared > 0);
    for (uint32_t i = 0; i < 3 * n; i++)
      seen |= 1u << some_call(&s, &ask, RN_BAL_GOOD);
    assert_int_equal(__builtin_popcount(seen), n - n / 2);
    assert_int_equal(rn_bal_stats(s.b)->panic, 0);
    assert_int_equal(rn_bal_check(s.b), RN_OK);
    some_stop(&s);
  }
}

static void the_ejected_come_back_by_probes_one_at_a_time(void **state) {
  (void)state;
  struct some s;
  struct rn_bal_config cfg = strict();
  struct rn_bal_ask ask = { .now_ns = SECOND };
  struct rn_bal_ticket probe, t;
  some_start(&s, &cfg, 4, 1);
  uint32_t bad = some_call(&s, &ask, RN_BAL_BAD), i = 0;
  ask.now_ns += cfg.outlier.eject_ns - 1;
  for (i = 0; i < 10; i++)
    assert_int_not_equal(some_call(&s, &ask, RN_BAL_GOOD), bad);
  ask.now_ns += 1;
  for (uint32_t round = 0; round < 2; round++) {
    for (i = 0; some_pick(&s, &ask, &probe) != bad; i++) {
      assert_true(i < 4);
      rn_bal_done(s.b, &probe, RN_BAL_GOOD, ask.now_ns);
    }
    assert_true(probe.probe);
    for (i = 0; i < 10; i++)
      assert_int_not_equal(some_call(&s, &ask, RN_BAL_GOOD), bad);
    if (round == 0) { /* nothing came of it: another one may try */
      rn_bal_done(s.b, &probe, RN_BAL_CANCELLED, ask.now_ns);
      while (some_pick(&s, &ask, &probe) != bad)
        rn_bal_done(s.b, &probe, RN_BAL_GOOD, ask.now_ns);
    }
    rn_bal_done(s.b, &probe, RN_BAL_GOOD, ask.now_ns);
    assert_int_equal(rn_bal_check(s.b), RN_OK);
  }
  assert_int_equal(rn_bal_stats(s.b)->readmitted, 1);
  assert_int_equal(rn_bal_stats(s.b)->probes, 3);
  for (uint32_t seen = i = 0; i < 4; i++) {
    seen += some_pick(&s, &ask, &t) == bad;
    assert_false(t.probe);
    assert_true(i < 3 || seen == 1);
  }
  some_stop(&s);
}

static bool six_of_ten_out(struct rn_bal_spec *s, uint32_t i) {
  s->worker.flags = i < 6 ? RN_BAL_EJECTED : 0;
  return true;
}
static bool five_of_ten_out(struct rn_bal_spec *s, uint32_t i) {
  s->worker.flags = i < 5 ? RN_BAL_EJECTED : 0;
  return true;
}

static void ejection_of_more_than_half_is_ignored(void **state) {
  (void)state;
  struct some s;
  struct rn_bal_config cfg = usual();
  struct rn_bal_ask ask = { 0 };
  some_start(&s, &cfg, 2, 1);
  some_adopt(&s, 10, 0, five_of_ten_out);
  for (uint32_t i = 0; i < 10; i++)
    assert_in_range(some_call(&s, &ask, RN_BAL_GOOD), 5, 9);
  assert_int_equal(rn_bal_stats(s.b)->panic, 0);
  some_adopt(&s, 10, 0, six_of_ten_out);
  uint32_t seen = 0;
  for (uint32_t i = 0; i < 10; i++)
    seen |= 1u << some_call(&s, &ask, RN_BAL_GOOD);
  assert_int_equal(seen, 0x3ff);
  assert_int_equal(rn_bal_stats(s.b)->panic, 10);
  some_stop(&s);
}

/* However many a call has tried. */
static void an_ejected_one_is_no_last_resort(void **state) {
  (void)state;
  struct some s;
  struct rn_bal_config cfg = strict();
  struct rn_bal_tried tried = { 0 };
  struct rn_bal_ask ask = { .now_ns = 1, .tried = &tried };
  some_start(&s, &cfg, 4, 1);
  some_call(&s, &ask, RN_BAL_BAD);
  some_call(&s, &ask, RN_BAL_BAD);
  for (uint32_t i = 0; i < 2; i++)
    rn_bal_tried_add(&tried, some_key(some_call(&s, &ask, RN_BAL_GOOD)));
  assert_int_equal(some_call(&s, &ask, RN_BAL_GOOD), UINT32_MAX);
  some_stop(&s);
}

static void calls_in_flight_have_a_limit(void **state) {
  (void)state;
  struct some s;
  struct rn_bal_config cfg = usual();
  struct rn_bal_ask ask = { 0 };
  struct rn_bal_ticket t[3];
  cfg.max_open = 2;
  some_start(&s, &cfg, 4, 1);
  assert_int_equal(rn_bal_pick(s.b, &ask, &t[0]), RN_OK);
  assert_int_equal(rn_bal_pick(s.b, &ask, &t[1]), RN_OK);
  assert_int_equal(rn_bal_pick(s.b, &ask, &t[2]), RN_ERR_LIMIT);
  assert_int_equal(rn_bal_stats(s.b)->limit, 1);
  rn_bal_done(s.b, &t[0], RN_BAL_CANCELLED, 0);
  assert_int_equal(rn_bal_pick(s.b, &ask, &t[2]), RN_OK);
  /* Those to workers that have left count as well. */
  some_adopt(&s, 0, 0, NULL);
  some_adopt(&s, 4, 0, NULL);
  assert_int_equal(rn_bal_pick(s.b, &ask, &t[0]), RN_ERR_LIMIT);
  some_stop(&s);
}

static bool all_but_1(struct rn_bal_spec *s, uint32_t i) {
  (void)s;
  return i != 1;
}

static void what_is_known_outlives_snapshots(void **state) {
  (void)state;
  struct some s;
  struct rn_bal_config cfg = strict();
  struct rn_bal_ask ask = { .now_ns = SECOND };
  struct rn_bal_ticket t[5];
  struct rn_outlier o;
  uint32_t open_count;
  double ns;
  some_start(&s, &cfg, 5, 1);
  for (uint32_t i = 0; i < 5; i++)
    some_pick(&s, &ask, &t[i]);
  uint32_t w[5];
  for (uint32_t i = 0; i < 5; i++)
    w[i] = some_picked(&s, &t[i]);
  for (uint32_t i = 0; i < 5; i++)
    if (w[i] == 3)
      rn_bal_done(s.b, &t[i], RN_BAL_BAD, SECOND + 500);
    else if (w[i] == 4)
      rn_bal_answered(s.b, &t[i], SECOND + 700);
  some_adopt(&s, 1000, 0, all_but_1);
  assert_int_equal(rn_bal_check(s.b), RN_OK);
  assert_true(rn_bal_look(s.b, some_key(3), &open_count, &ns, &o));
  assert_int_equal(open_count, 0);
  assert_int_equal(o.state, RN_OUTLIER_OUT);
  assert_int_equal((int)ns, 500);
  assert_true(rn_bal_look(s.b, some_key(4), &open_count, &ns, NULL));
  assert_int_equal(open_count, 1);
  assert_int_equal((int)ns, 700);
  assert_false(rn_bal_look(s.b, some_key(1), &open_count, &ns, NULL));
  some_adopt(&s, 6, 0, NULL); /* 1 is back, as a new one */
  assert_true(rn_bal_look(s.b, some_key(1), &open_count, &ns, NULL));
  assert_int_equal(open_count, 0);
  for (uint32_t i = 0; i < 5; i++)
    if (w[i] != 3)
      rn_bal_done(s.b, &t[i], RN_BAL_GOOD, SECOND + 900);
  assert_int_equal(rn_bal_stats(s.b)->gone, 1);
  assert_int_equal(rn_bal_check(s.b), RN_OK);
  assert_int_equal(rn_load_check(s.load), RN_OK);
  for (uint32_t i = 0; i < 6; i++) {
    assert_true(rn_bal_look(s.b, some_key(i), &open_count, NULL, NULL));
    assert_int_equal(open_count, 0);
    assert_int_equal(rn_load_sum(s.load, i), 0);
  }
  some_stop(&s);
}

static void a_call_cancelled_says_nothing_of_the_worker(void **state) {
  (void)state;
  struct some s;
  struct rn_bal_config cfg = strict();
  struct rn_bal_ask ask = { .now_ns = SECOND };
  double ns;
  some_start(&s, &cfg, 2, 1);
  for (uint32_t i = 0; i < 100; i++)
    some_call(&s, &ask, RN_BAL_CANCELLED);
  assert_int_equal(rn_bal_stats(s.b)->ejected + rn_bal_stats(s.b)->spared, 0);
  assert_true(rn_bal_look(s.b, some_key(0), NULL, &ns, NULL));
  assert_true(ns == 0);
  some_stop(&s);
}

/* A stream that goes on for minutes is no slow answer, and one that breaks off is a failure. */
static void the_first_bytes_are_the_answer(void **state) {
  (void)state;
  struct some s;
  struct rn_bal_config cfg = strict();
  struct rn_bal_ask ask = { .now_ns = SECOND };
  struct rn_bal_ticket t;
  double ns;
  some_start(&s, &cfg, 2, 1);
  uint32_t w = some_pick(&s, &ask, &t);
  rn_bal_answered(s.b, &t, SECOND + 1000);
  rn_bal_answered(s.b, &t, SECOND + 5000);
  rn_bal_done(s.b, &t, RN_BAL_GOOD, 100 * SECOND);
  assert_true(rn_bal_look(s.b, some_key(w), NULL, &ns, NULL));
  assert_int_equal((int)ns, 1000);
  some_pick(&s, &ask, &t);
  rn_bal_answered(s.b, &t, SECOND + 1000);
  rn_bal_done(s.b, &t, RN_BAL_BAD, SECOND + 2000);
  assert_int_equal(rn_bal_stats(s.b)->ejected, 1);
  some_stop(&s);
}

/* A route that has not heard yet that the slot is another worker's. */
static void a_slot_of_somebody_else_is_not_counted_in(void **state) {
  (void)state;
  struct some s;
  struct rn_bal_config cfg = usual();
  struct rn_bal_ask ask = { 0 };
  some_start(&s, &cfg, 1, 1);
  rn_load_claim(s.load, 0, 12345);
  assert_int_equal(some_call(&s, &ask, RN_BAL_GOOD), 0);
  assert_int_equal(rn_bal_stats(s.b)->uncounted, 1);
  assert_int_equal(rn_load_check(s.load), RN_OK);
  some_stop(&s);
}

static uint64_t changing_seed;

static bool changing(struct rn_bal_spec *s, uint32_t i) {
  struct rn_rng rng;
  rn_rng_init(&rng, changing_seed * 1000 + i);
  s->worker.weight = 1 + (uint32_t)rn_rng_below(&rng, 5);
  s->worker.zone = rn_rng_below(&rng, 3);
  s->worker.flags = rn_rng_below(&rng, 10) == 0 ? RN_BAL_DRAINING : 0;
  if (rn_rng_below(&rng, 10) == 0)
    s->worker.flags |= RN_BAL_EJECTED;
  return rn_rng_below(&rng, 4) > 0;
}

/* Any order of calls, snapshots and settings. */
static void invariants_hold_whatever_happens(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 60; seed++) {
    static struct rn_bal_ticket open[300];
    struct rn_bal_config cfg = strict();
    struct rn_bal_tried tried = { 0 };
    struct rn_bal_ask ask = { .now_ns = SECOND };
    struct some s;
    struct rn_rng rng;
    uint32_t held = 0, n = 1 + (uint32_t)(seed % 3) * 40;
    rn_rng_init(&rng, seed);
    some_start(&s, &cfg, n, seed);
    for (uint32_t step = 0; step < 1500; step++) {
      ask.now_ns += rn_rng_below(&rng, SECOND / 50);
      ask.affinity = rn_rng_next(&rng);
      ask.tried = rn_rng_below(&rng, 3) == 0 ? &tried : NULL;
      uint64_t what = rn_rng_below(&rng, 100);
      if (what < 50 && held < 300) {
        if (rn_bal_pick(s.b, &ask, &open[held]) == RN_OK) {
          const struct rn_bal_worker *w = rn_bal_worker_of(s.b, &open[held]);
          assert_true(w->key == open[held].key);
          assert_int_equal(w->flags & RN_BAL_DRAINING, 0);
          for (uint32_t i = 0; ask.tried != NULL && i < tried.count; i++)
            assert_true(tried.key[i] != w->key);
          held++;
        }
      } else if (what < 92 && held > 0) {
        uint32_t k = (uint32_t)rn_rng_below(&rng, held);
        if (what % 4 == 0)
          rn_bal_answered(s.b, &open[k], ask.now_ns);
        rn_bal_done(s.b, &open[k], (enum rn_bal_outcome)rn_rng_below(&rng, 3), ask.now_ns);
        open[k] = open[--held];
      } else if (what < 95) {
        changing_seed = rn_rng_next(&rng);
        some_adopt(&s, n, rn_rng_below(&rng, 3), changing);
      } else if (what < 97) {
        cfg.strategy = rn_bal_strategies[rn_rng_below(&rng, RN_BAL_STRATEGIES)];
        cfg.near_first = rn_rng_below(&rng, 2) == 0;
        assert_int_equal(rn_bal_configure(s.b, &cfg), RN_OK);
      } else {
        rn_bal_tried_add(&tried, some_key((uint32_t)rn_rng_below(&rng, n)));
      }
      assert_int_equal(rn_bal_check(s.b), RN_OK);
      assert_int_equal(rn_load_check(s.load), RN_OK);
    }
    while (held > 0)
      rn_bal_done(s.b, &open[--held], RN_BAL_GOOD, ask.now_ns);
    for (uint32_t i = 0; i < SOME_SLOTS; i++)
      assert_int_equal(rn_load_sum(s.load, i), 0);
    assert_int_equal(rn_bal_check(s.b), RN_OK);
    some_stop(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(nonsense_is_refused),
    cmocka_unit_test(pools_that_do_not_fit_are_refused),
    cmocka_unit_test(nobody_is_an_error_at_once),
    cmocka_unit_test(the_draining_get_nothing),
    cmocka_unit_test(the_tried_are_left_out_by_every_strategy),
    cmocka_unit_test(the_list_of_the_tried_forgets_the_first),
    cmocka_unit_test(our_zone_comes_first_and_others_when_it_cannot),
    cmocka_unit_test(an_ejected_zone_spills),
    cmocka_unit_test(the_failing_are_ejected_up_to_half),
    cmocka_unit_test(the_ejected_come_back_by_probes_one_at_a_time),
    cmocka_unit_test(ejection_of_more_than_half_is_ignored),
    cmocka_unit_test(an_ejected_one_is_no_last_resort),
    cmocka_unit_test(calls_in_flight_have_a_limit),
    cmocka_unit_test(what_is_known_outlives_snapshots),
    cmocka_unit_test(a_call_cancelled_says_nothing_of_the_worker),
    cmocka_unit_test(the_first_bytes_are_the_answer),
    cmocka_unit_test(a_slot_of_somebody_else_is_not_counted_in),
    cmocka_unit_test(invariants_hold_whatever_happens),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
