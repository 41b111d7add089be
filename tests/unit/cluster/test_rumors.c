/* tests/unit/cluster/test_rumors.c */
#include "rn_test.h"

#include "cluster/rumors.h"
#include "table.h"
#include "util/rng.h"

#define CAPACITY 64u

static struct rn_members *m;
static struct rn_rumors r;
static struct rn_member *picked[RN_RUMOR_PICK_MAX];

static int setup(void **state) {
  (void)state;
  m = table_new(CAPACITY, NULL, NULL, 0);
  rn_rumors_init(&r);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  free(m);
  return 0;
}

static struct rn_member *news(uint32_t host, enum rn_swim_state state) {
  struct rn_member *who = table_add(m, host, state);
  rn_rumors_tell(&r, who);
  return who;
}

static uint32_t pick(uint32_t rounds, size_t budget) {
  return rn_rumors_pick(&r, rounds, NULL, budget, picked, RN_RUMOR_PICK_MAX);
}

static void rounds_grow_with_the_logarithm(void **state) {
  (void)state;
  assert_int_equal(rn_rumors_rounds(0), 3);
  assert_int_equal(rn_rumors_rounds(2), 3);
  assert_int_equal(rn_rumors_rounds(3), 6);
  assert_int_equal(rn_rumors_rounds(1000), 30);
  assert_int_equal(rn_rumors_rounds(1024), 30);
  assert_int_equal(rn_rumors_rounds(1025), 33);
  assert_true(rn_rumors_rounds(UINT32_MAX) <= RN_RUMOR_ROUNDS_MAX);
}

static void news_is_told_so_often_and_no_more(void **state) {
  (void)state;
  struct rn_member *a = news(2, RN_SWIM_ALIVE);
  for (int i = 0; i < 5; i++) {
    assert_int_equal(pick(5, 1000), 1);
    assert_ptr_equal(picked[0], a);
  }
  assert_int_equal(pick(5, 1000), 0);
  assert_int_equal(r.count, 0);
}

static void what_was_told_least_goes_first(void **state) {
  (void)state;
  struct rn_member *a = news(2, RN_SWIM_ALIVE), *b = news(3, RN_SWIM_ALIVE);
  size_t one = rn_member_bytes(a);
  assert_int_equal(pick(9, one), 1);
  assert_ptr_equal(picked[0], a);
  assert_int_equal(pick(9, one), 1);
  assert_ptr_equal(picked[0], b);
  struct rn_member *c = news(4, RN_SWIM_ALIVE);
  assert_int_equal(pick(9, 2 * one), 2);
  assert_ptr_equal(picked[0], c);
  assert_ptr_equal(picked[1], a);
}

static void newer_news_takes_the_place_of_older(void **state) {
  (void)state;
  struct rn_member *a = news(2, RN_SWIM_ALIVE);
  assert_int_equal(pick(2, 1000), 1);
  rn_rumors_tell(&r, a);
  assert_int_equal(r.count, 1);
  assert_int_equal(pick(2, 1000), 1);
  assert_int_equal(pick(2, 1000), 1);
  assert_int_equal(pick(2, 1000), 0);
}

static void what_does_not_fit_lets_smaller_ones_pass(void **state) {
  (void)state;
  struct rn_member *big = news(2, RN_SWIM_ALIVE), *small = news(3, RN_SWIM_ALIVE);
  assert_int_equal(rn_tags_set(&big->tags, text("role"), text("worker")), RN_OK);
  assert_int_equal(pick(9, rn_member_bytes(small)), 1);
  assert_ptr_equal(picked[0], small);
  assert_int_equal(pick(9, rn_member_bytes(big)), 1);
  assert_ptr_equal(picked[0], big);
}

static void the_size_is_what_is_written(void **state) {
  (void)state;
  uint8_t buf[2000];
  for (int family = 4; family <= 6; family += 2) {
    struct rn_bin_writer w = { .buf = buf, .cap = sizeof(buf) };
    struct rn_member *a = news(2, RN_SWIM_ALIVE);
    a->addr.family = (uint8_t)family;
    assert_int_equal(rn_tags_set(&a->tags, text("role"), text("worker")), RN_OK);
    assert_int_equal(rn_tags_set(&a->tags, text(""), text("")), RN_OK);
    rn_member_put(&w, a);
    assert_int_equal(w.err, RN_OK);
    assert_int_equal(w.len, rn_member_bytes(a));
    a->addr.family = 4;
  }
}

static void nobody_is_told_of_himself(void **state) {
  (void)state;
  struct rn_member *a = news(2, RN_SWIM_SUSPECT);
  assert_int_equal(rn_rumors_pick(&r, 9, a, 1000, picked, 9), 0);
  assert_int_equal(rn_rumors_pick(&r, 9, NULL, 1000, picked, 9), 1);
}

static void what_fits_no_message_is_not_told(void **state) {
  (void)state;
  struct rn_member *a = news(2, RN_SWIM_ALIVE);
  for (uint32_t i = 0; rn_member_bytes(a) <= RN_RUMOR_BYTES_MAX; i++) {
    const char key[2] = { (char)('a' + i % 26), (char)('a' + i / 26) };
    rn_rumors_tell(&r, a);
    assert_int_equal(r.count, 1);
    assert_int_equal(rn_tags_set(&a->tags, (struct rn_bin_str){ key, 2 }, text("")), RN_OK);
  }
  rn_rumors_tell(&r, a);
  assert_int_equal(r.count, 0);
  assert_int_equal(r.too_long, 1);
}

static void an_alias_is_never_told(void **state) {
  (void)state;
  struct rn_swim_update u = update("seed-10.0.0.9:8080", 9, 0, RN_SWIM_ALIVE);
  struct rn_member *who;
  rn_members_apply(m, &u, RN_MEMBER_HEARSAY, 1, &who);
  assert_true(who->alias);
  rn_rumors_tell(&r, who);
  assert_int_equal(pick(9, 1000), 0);
  rn_rumors_forget(&r, who);
  rn_rumors_forget(&r, who);
  assert_int_equal(r.count, 0);
}

/* With more news than a message holds, everybody's turn comes as often, and no message is above its budget. */
static void all_news_gets_its_rounds(void **state) {
  (void)state;
  enum { NEWS = 60 }; /* ids of one length */
  for (uint64_t seed = 1; seed <= 50; seed++) {
    struct rn_rng rng;
    uint32_t told[10 + NEWS] = { 0 }, rounds = 2;
    rn_rng_init(&rng, seed);
    rounds += (uint32_t)rn_rng_below(&rng, 20);
    for (uint32_t i = 10; i < 10 + NEWS; i++)
      news(i, RN_SWIM_ALIVE);
    for (int messages = 0; r.count > 0; messages++) {
      size_t budget = 60 + rn_rng_below(&rng, 1000), bytes = 0;
      uint32_t n = pick(rounds, budget), least = UINT32_MAX;
      for (uint32_t i = 0; i < n; i++) {
        bytes += rn_member_bytes(picked[i]);
        told[picked[i]->addr.ip[3]]++;
      }
      assert_true(bytes <= budget && n > 0 && messages < 10000);
      for (uint32_t i = 10; i < 10 + NEWS; i++)
        least = told[i] < least ? told[i] : least;
      for (uint32_t i = 10; i < 10 + NEWS; i++)
        assert_true(told[i] <= least + 1);
    }
    for (uint32_t i = 10; i < 10 + NEWS; i++)
      assert_int_equal(told[i], rounds);
  }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
    CASE(rounds_grow_with_the_logarithm),
    CASE(news_is_told_so_often_and_no_more),
    CASE(what_was_told_least_goes_first),
    CASE(newer_news_takes_the_place_of_older),
    CASE(what_does_not_fit_lets_smaller_ones_pass),
    CASE(the_size_is_what_is_written),
    CASE(nobody_is_told_of_himself),
    CASE(what_fits_no_message_is_not_told),
    CASE(an_alias_is_never_told),
    CASE(all_news_gets_its_rounds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
