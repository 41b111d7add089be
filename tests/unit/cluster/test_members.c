/* tests/unit/cluster/test_members.c */
#include "rn_test.h"

#include "table.h"
#include "util/rng.h"

#define CAPACITY 8u

static struct rn_members *m;
static unsigned int gone, replaced;
static uint64_t now_ns;

static void on_gone(void *app, struct rn_member *who) { (void)app, (void)who, gone++; }
static void on_replaced(void *app, struct rn_member *who) {
  (void)app, replaced++;
  assert_int_equal(who->state, RN_SWIM_FAILED);
}
static const struct rn_members_events events = { on_gone, on_replaced };

static unsigned int apply(const struct rn_swim_update *u, enum rn_member_source source) {
  unsigned int changes = rn_members_apply(m, u, source, ++now_ns, NULL);
  assert_int_equal(rn_members_check(m), RN_OK);
  return changes;
}

static unsigned int hear(const char *id, uint8_t host, uint64_t inc, enum rn_swim_state state) {
  struct rn_swim_update u = update(id, host, inc, state);
  return apply(&u, RN_MEMBER_HEARSAY);
}

static unsigned int himself(const char *id, uint8_t host, uint64_t inc, enum rn_swim_state state) {
  struct rn_swim_update u = update(id, host, inc, state);
  return apply(&u, RN_MEMBER_HIMSELF);
}

static void expect(const char *id, enum rn_swim_state state, uint64_t incarnation) {
  const struct rn_member *who = rn_members_by_id(m, text(id));
  assert_non_null(who);
  assert_int_equal(who->state, state);
  assert_int_equal(who->incarnation, incarnation);
}

static int setup(void **state) {
  (void)state;
  gone = replaced = 0;
  now_ns = 1000;
  m = table_new(CAPACITY, &events, NULL, now_ns);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  free(m);
  return 0;
}

/* ---- what wins ---- */

static void a_member_is_learned_once(void **state) {
  (void)state;
  assert_int_equal(hear("a", 2, 5, RN_SWIM_ALIVE), RN_MEMBER_ADDED | RN_MEMBER_STATE);
  assert_int_equal(hear("a", 2, 5, RN_SWIM_ALIVE), 0);
  expect("a", RN_SWIM_ALIVE, 5);
  struct rn_addr addr = addr_of(2);
  assert_ptr_equal(rn_members_by_addr(m, &addr), rn_members_by_id(m, text("a")));
  assert_int_equal(rn_members_count(m), 2);
  assert_int_equal(rn_members_stats(m)->alive, 2);
  assert_int_equal(rn_members_stats(m)->stale, 1);
}

/* Every pair of states, at an incarnation that is lower, the same, higher. */
static void hearsay_wins_by_incarnation_and_then_by_the_worse_state(void **state) {
  teardown(state);
  for (int from = 0; from < RN_SWIM_STATE_COUNT; from++)
    for (int to = 0; to < RN_SWIM_STATE_COUNT; to++)
      for (int inc = 9; inc <= 11; inc++) {
        setup(state);
        hear("a", 2, 10, (enum rn_swim_state)from);
        bool wins = inc > 10 || (inc == 10 && to > from);
        unsigned int want =
            wins ? (from != to ? RN_MEMBER_STATE : 0) | (inc > 10 ? RN_MEMBER_INCARNATION : 0) : 0;
        assert_int_equal(hear("a", 2, (uint64_t)inc, (enum rn_swim_state)to), want);
        expect("a", (enum rn_swim_state)(wins ? to : from), wins ? (uint64_t)inc : 10);
        teardown(state);
      }
  setup(state);
}

/* The published nodes believe what others say of them, and never answer it. */
static void who_speaks_is_alive_whatever_he_says(void **state) {
  (void)state;
  himself("a", 2, 10, RN_SWIM_ALIVE);
  hear("a", 2, 13, RN_SWIM_FAILED);
  assert_int_equal(himself("a", 2, 10, RN_SWIM_SUSPECT), RN_MEMBER_STATE);
  expect("a", RN_SWIM_ALIVE, 13);
  assert_int_equal(hear("a", 2, 13, RN_SWIM_ALIVE), 0);
  assert_int_equal(hear("a", 2, 13, RN_SWIM_SUSPECT), RN_MEMBER_STATE);
  assert_int_equal(himself("a", 2, 9, RN_SWIM_ALIVE), 0); /* an old message of his */
  expect("a", RN_SWIM_SUSPECT, 13);
}

/* He asks, so he is there; whether he answers is another matter. */
static void who_asks_is_not_well_for_that(void **state) {
  (void)state;
  struct rn_swim_update u = update("a", 2, 10, RN_SWIM_ALIVE);
  himself("a", 2, 10, RN_SWIM_ALIVE);
  hear("a", 2, 13, RN_SWIM_SUSPECT);
  for (u.incarnation = 9; u.incarnation <= 13; u.incarnation++)
    assert_int_equal(rn_members_apply(m, &u, RN_MEMBER_ASKER, 0, NULL), 0);
  expect("a", RN_SWIM_SUSPECT, 13);
  u.incarnation = 14;
  assert_int_equal(rn_members_apply(m, &u, RN_MEMBER_ASKER, 0, NULL),
                   RN_MEMBER_STATE | RN_MEMBER_INCARNATION);
  expect("a", RN_SWIM_ALIVE, 14);
  /* Alive, he is that also by his own word that he is not. */
  u.state = RN_SWIM_SUSPECT;
  assert_int_equal(rn_members_apply(m, &u, RN_MEMBER_ASKER, 0, NULL), 0);
  hear("a", 2, 14, RN_SWIM_FAILED);
  assert_int_equal(rn_members_apply(m, &u, RN_MEMBER_ASKER, 0, NULL), 0);
  expect("a", RN_SWIM_FAILED, 14);
  u.state = RN_SWIM_LEFT;
  assert_int_equal(rn_members_apply(m, &u, RN_MEMBER_ASKER, 0, NULL), RN_MEMBER_STATE);
}

static void nobody_comes_back_from_left_without_a_higher_incarnation(void **state) {
  (void)state;
  himself("a", 2, 10, RN_SWIM_ALIVE);
  assert_int_equal(himself("a", 2, 10, RN_SWIM_LEFT), RN_MEMBER_STATE);
  assert_int_equal(himself("a", 2, 10, RN_SWIM_ALIVE), 0);
  assert_int_equal(hear("a", 2, 10, RN_SWIM_ALIVE), 0);
  assert_int_equal(himself("a", 2, 11, RN_SWIM_ALIVE), RN_MEMBER_STATE | RN_MEMBER_INCARNATION);
  expect("a", RN_SWIM_ALIVE, 11);
}

static void who_is_gone_was_here_though_we_never_met(void **state) {
  (void)state;
  assert_int_equal(hear("a", 2, 10, RN_SWIM_LEFT), RN_MEMBER_ADDED | RN_MEMBER_STATE);
  assert_int_equal(hear("a", 2, 9, RN_SWIM_ALIVE), 0);
  expect("a", RN_SWIM_LEFT, 10);
}

static void our_own_verdict_needs_no_incarnation(void **state) {
  (void)state;
  hear("a", 2, 10, RN_SWIM_ALIVE);
  struct rn_member *a = rn_members_by_id(m, text("a"));
  assert_true(rn_members_judge(m, a, RN_SWIM_SUSPECT, 7));
  assert_false(rn_members_judge(m, a, RN_SWIM_SUSPECT, 8));
  assert_int_equal(a->since_ns, 7);
  assert_true(rn_members_judge(m, a, RN_SWIM_FAILED, 9));
  assert_false(rn_members_judge(m, a, RN_SWIM_SUSPECT, 10));
  assert_int_equal(rn_members_check(m), RN_OK);
  expect("a", RN_SWIM_FAILED, 10);
  assert_int_equal(hear("a", 2, 11, RN_SWIM_ALIVE), RN_MEMBER_STATE | RN_MEMBER_INCARNATION);
}

static void tags_come_from_the_newest_word(void **state) {
  (void)state;
  uint8_t one[64], two[64];
  struct rn_bin_writer w1 = { .buf = one, .cap = 64 }, w2 = { .buf = two, .cap = 64 };
  struct rn_bin_str v;
  rn_swim_put_tag(&w1, text("role"), text("worker"));
  rn_swim_put_tag(&w2, text("role"), text("idle"));
  struct rn_swim_update a = update("a", 2, 5, RN_SWIM_ALIVE), b = a;
  a.tags = (struct rn_swim_tags){ one, w1.len, 1 };
  b.tags = (struct rn_swim_tags){ two, w2.len, 1 };
  apply(&a, RN_MEMBER_HIMSELF);
  assert_int_equal(apply(&b, RN_MEMBER_HEARSAY), 0);
  assert_int_equal(apply(&b, RN_MEMBER_HIMSELF), RN_MEMBER_TAGS);
  b.state = RN_SWIM_FAILED;
  b.tags.left = 0;
  assert_int_equal(apply(&b, RN_MEMBER_HEARSAY), RN_MEMBER_STATE); /* what he was is still known */
  assert_true(rn_tags_get(&rn_members_by_id(m, text("a"))->tags, text("role"), &v));
  assert_int_equal(v.len, 4);
}

/* ---- ourselves ---- */

static void what_is_not_so_of_us_is_refuted(void **state) {
  (void)state;
  assert_int_equal(hear("me", 1, 99, RN_SWIM_FAILED), 0);
  assert_int_equal(hear("me", 1, 100, RN_SWIM_ALIVE), 0);
  for (uint64_t inc = 100; inc < 200; inc += 10) {
    assert_int_equal(hear("me", 1, inc, (enum rn_swim_state)(1 + inc / 10 % 3)),
                     RN_MEMBER_REFUTE | RN_MEMBER_INCARNATION);
    expect("me", RN_SWIM_ALIVE, inc + 1);
  }
  /* As when the clock that the first incarnation comes from went back. */
  assert_int_equal(hear("me", 1, 300, RN_SWIM_ALIVE), RN_MEMBER_REFUTE | RN_MEMBER_INCARNATION);
  expect("me", RN_SWIM_ALIVE, 301);
  assert_int_equal(rn_members_stats(m)->refuted, 11);
}

static void there_is_always_a_higher_incarnation_to_refute_with(void **state) {
  (void)state;
  assert_int_equal(hear("me", 1, RN_INCARNATION_MAX - 1, RN_SWIM_SUSPECT),
                   RN_MEMBER_REFUTE | RN_MEMBER_INCARNATION);
  expect("me", RN_SWIM_ALIVE, RN_INCARNATION_MAX);
  assert_int_equal(hear("me", 1, RN_INCARNATION_MAX, RN_SWIM_SUSPECT), 0);
  assert_int_equal(hear("me", 1, UINT64_MAX, RN_SWIM_SUSPECT), 0);
  assert_int_equal(rn_members_stats(m)->bad_incarnations, 2);
  assert_int_equal(rn_members_tag_set(m, text("a"), text("b")), RN_OK);
  expect("me", RN_SWIM_ALIVE, RN_INCARNATION_MAX);
  assert_int_equal(rn_members_check(m), RN_OK);
}

static void our_tags_and_our_leaving_are_news(void **state) {
  (void)state;
  assert_int_equal(rn_members_tag_set(m, text("role"), text("worker")), RN_OK);
  expect("me", RN_SWIM_ALIVE, 101);
  rn_members_tag_unset(m, text("none"));
  expect("me", RN_SWIM_ALIVE, 101);
  rn_members_tag_unset(m, text("role"));
  expect("me", RN_SWIM_ALIVE, 102);
  rn_members_leave(m, 5);
  rn_members_leave(m, 6);
  expect("me", RN_SWIM_LEFT, 103);
  assert_int_equal(hear("me", 1, 103, RN_SWIM_FAILED), 0);
  assert_int_equal(hear("me", 1, 500, RN_SWIM_LEFT), 0);
  expect("me", RN_SWIM_LEFT, 103);
}

/* Who thinks so would not believe that we left: we had a higher incarnation in another life, or others gave us one. */
static void we_leave_for_those_too_who_know_a_higher_incarnation(void **state) {
  (void)state;
  rn_members_leave(m, 5);
  expect("me", RN_SWIM_LEFT, 101);
  assert_int_equal(hear("me", 1, 500, RN_SWIM_ALIVE), RN_MEMBER_INCARNATION);
  expect("me", RN_SWIM_LEFT, 501);
  assert_int_equal(rn_members_stats(m)->refuted, 0);
}

/* ---- addresses ---- */

static void an_alias_gives_way(void **state) {
  (void)state;
  struct rn_swim_update alias = update("seed-10.0.0.2:8080", 2, 0, RN_SWIM_ALIVE);
  struct rn_member *who;
  apply(&alias, RN_MEMBER_HEARSAY);
  assert_true(rn_members_by_id(m, alias.node_id)->alias);
  assert_int_equal(hear("node-10.0.0.2:8080", 2, 10, RN_SWIM_ALIVE),
                   RN_MEMBER_ADDED | RN_MEMBER_STATE);
  assert_int_equal(gone, 1);
  assert_null(rn_members_by_id(m, alias.node_id));
  /* From then on it is another name for him, and nothing said of it counts. */
  alias.incarnation = 1000;
  alias.state = RN_SWIM_SUSPECT;
  assert_int_equal(rn_members_apply(m, &alias, RN_MEMBER_HEARSAY, 1, &who), 0);
  assert_ptr_equal(who, rn_members_by_id(m, text("node-10.0.0.2:8080")));
  expect("node-10.0.0.2:8080", RN_SWIM_ALIVE, 10);
  /* It is the address that makes it one. */
  assert_int_equal(hear("seed-10.0.0.9:8080", 3, 1, RN_SWIM_ALIVE),
                   RN_MEMBER_ADDED | RN_MEMBER_STATE);
  assert_false(rn_members_by_id(m, text("seed-10.0.0.9:8080"))->alias);
}

static void the_younger_of_two_has_the_address(void **state) {
  (void)state;
  struct rn_addr addr = addr_of(2);
  hear("old", 2, 10, RN_SWIM_ALIVE);
  assert_int_equal(hear("older", 2, 10, RN_SWIM_ALIVE), 0);
  assert_null(rn_members_by_id(m, text("older")));
  hear("young", 2, 11, RN_SWIM_ALIVE);
  assert_int_equal(replaced, 1);
  expect("old", RN_SWIM_FAILED, 10);
  assert_ptr_equal(rn_members_by_addr(m, &addr), rn_members_by_id(m, text("young")));
  assert_int_equal(hear("old", 2, 11, RN_SWIM_ALIVE), 0); /* not younger than he */
  hear("old", 2, 12, RN_SWIM_ALIVE);
  expect("young", RN_SWIM_FAILED, 11);
}

static void who_says_less_than_is_known_of_him_is_behind(void **state) {
  (void)state;
  himself("a", 2, 10, RN_SWIM_ALIVE);
  assert_false(rn_members_by_id(m, text("a"))->behind);
  himself("a", 2, 9, RN_SWIM_ALIVE); /* started anew, with a clock that was set back */
  assert_true(rn_members_by_id(m, text("a"))->behind);
  himself("a", 2, 11, RN_SWIM_ALIVE);
  assert_false(rn_members_by_id(m, text("a"))->behind);
  expect("a", RN_SWIM_ALIVE, 11);
}

static void our_address_is_ours(void **state) {
  (void)state;
  assert_int_equal(hear("thief", 1, 1000, RN_SWIM_ALIVE), 0);
  assert_null(rn_members_by_id(m, text("thief")));
  /* Neither one who is said to be gone, whom we would look for there: at ourselves. */
  assert_int_equal(hear("thief", 1, 1000, RN_SWIM_FAILED), 0);
  assert_null(rn_members_by_id(m, text("thief")));
  hear("a", 2, 10, RN_SWIM_ALIVE);
  assert_int_equal(hear("a", 1, 10, RN_SWIM_LEFT), 0);
  expect("a", RN_SWIM_ALIVE, 10);
  expect("me", RN_SWIM_ALIVE, 100);
}

static void a_member_may_move(void **state) {
  (void)state;
  struct rn_addr addr = addr_of(2);
  hear("a", 2, 10, RN_SWIM_ALIVE);
  assert_int_equal(hear("a", 3, 10, RN_SWIM_ALIVE), 0);
  assert_int_equal(hear("a", 3, 11, RN_SWIM_ALIVE), RN_MEMBER_INCARNATION | RN_MEMBER_ADDR);
  assert_null(rn_members_by_addr(m, &addr));
  hear("b", 2, 1, RN_SWIM_ALIVE);
  assert_ptr_equal(rn_members_by_addr(m, &addr), rn_members_by_id(m, text("b")));
}

/* ---- limits ---- */

static void tombstones_make_room_the_oldest_first(void **state) {
  (void)state;
  char id[8];
  for (uint8_t i = 2; i <= CAPACITY; i++) {
    snprintf(id, sizeof(id), "n%u", i);
    hear(id, i, 1, i == 4 || i == 6 ? RN_SWIM_LEFT : RN_SWIM_ALIVE);
  }
  hear("a", 20, 1, RN_SWIM_ALIVE);
  assert_null(rn_members_by_id(m, text("n4")));
  hear("b", 21, 1, RN_SWIM_ALIVE);
  assert_null(rn_members_by_id(m, text("n6")));
  assert_int_equal(rn_members_stats(m)->evicted, 2);
  assert_int_equal(hear("c", 22, 1, RN_SWIM_ALIVE), 0);
  assert_int_equal(rn_members_stats(m)->limit, 1);
  assert_int_equal(rn_members_count(m), CAPACITY);
  assert_int_equal(gone, 2);
}

static void tombstones_are_buried_in_time(void **state) {
  (void)state;
  hear("a", 2, 1, RN_SWIM_FAILED);
  uint64_t later = now_ns + 1;
  hear("b", 3, 1, RN_SWIM_LEFT);
  hear("c", 4, 1, RN_SWIM_SUSPECT);
  rn_members_bury(m, later);
  assert_null(rn_members_by_id(m, text("a")));
  assert_int_equal(rn_members_count(m), 3);
  rn_members_bury(m, UINT64_MAX);
  assert_int_equal(rn_members_count(m), 2);
  assert_int_equal(rn_members_check(m), RN_OK);
}

static void what_makes_no_sense_is_refused_and_counted(void **state) {
  (void)state;
  static char long_id[RN_MEMBER_ID_MAX + 1];
  const struct rn_members_stats *st = rn_members_stats(m);
  memset(long_id, 'x', sizeof(long_id));
  struct rn_swim_update u = update("", 2, 1, RN_SWIM_ALIVE);
  assert_int_equal(apply(&u, RN_MEMBER_HEARSAY), 0);
  u.node_id = (struct rn_bin_str){ long_id, RN_MEMBER_ID_MAX + 1 };
  assert_int_equal(apply(&u, RN_MEMBER_HEARSAY), 0);
  assert_int_equal(st->bad_ids, 2);
  u = update("a", 2, 1, RN_SWIM_ALIVE);
  u.addr.port = 0;
  assert_int_equal(apply(&u, RN_MEMBER_HEARSAY), 0);
  u.addr = (struct rn_addr){ .port = 8080, .family = 4 }; /* 0.0.0.0 */
  assert_int_equal(apply(&u, RN_MEMBER_HEARSAY), 0);
  u.addr = (struct rn_addr){ 0 };
  assert_int_equal(apply(&u, RN_MEMBER_HEARSAY), 0);
  assert_int_equal(st->bad_addrs, 3);
  assert_int_equal(hear("a", 2, RN_INCARNATION_MAX + 1, RN_SWIM_ALIVE), 0);
  assert_int_equal(st->bad_incarnations, 1);
  u = update("a", 2, 1, RN_SWIM_ALIVE);
  u.node_id = (struct rn_bin_str){ long_id, RN_MEMBER_ID_MAX };
  assert_int_not_equal(apply(&u, RN_MEMBER_HEARSAY), 0);
  assert_int_equal(rn_members_footprint(0), 0);
  assert_int_equal(rn_members_footprint((1u << 20) + 1), 0);
}

/* ---- anything ---- */

/* Whatever is said, nobody's incarnation goes back while he is known, nobody is back from Left at the incarnation he left with, and the table is sound. */
static void any_sequence_leaves_a_sound_table(void **state) {
  for (uint64_t seed = 1; seed <= 200; seed++) {
    struct rn_rng rng;
    rn_rng_init(&rng, seed);
    if (seed > 1)
      setup(state);
    for (int step = 0; step < 300; step++) {
      static const char *const ids[] = { "me",
                                         "a",
                                         "b",
                                         "c",
                                         "d",
                                         "e",
                                         "f",
                                         "g",
                                         "h",
                                         "i",
                                         "seed-10.0.0.2:8080",
                                         "seed-10.0.0.3:8080" };
      struct rn_swim_update u =
          update(ids[rn_rng_below(&rng, 12)], (uint8_t)(1 + rn_rng_below(&rng, 6)),
                 rn_rng_below(&rng, 8) * (seed % 7 == 0 ? RN_INCARNATION_MAX / 7 : 1),
                 (enum rn_swim_state)rn_rng_below(&rng, RN_SWIM_STATE_COUNT));
      struct rn_member *who = rn_members_by_id(m, u.node_id);
      uint64_t inc = who != NULL ? who->incarnation : 0;
      bool left = who != NULL && who->state == RN_SWIM_LEFT;
      uint64_t what = rn_rng_below(&rng, 20);
      if (what == 0 && who != NULL && who != rn_members_self(m))
        rn_members_judge(m, who, rn_rng_below(&rng, 2) ? RN_SWIM_SUSPECT : RN_SWIM_FAILED, now_ns);
      else if (what == 1)
        rn_members_bury(m, now_ns - rn_rng_below(&rng, 50));
      else if (what == 2 && seed % 5 == 0 && step > 200)
        rn_members_leave(m, now_ns);
      else
        apply(&u, rn_rng_below(&rng, 3) ? RN_MEMBER_HEARSAY : RN_MEMBER_HIMSELF);
      assert_int_equal(rn_members_check(m), RN_OK);
      who = what != 1 ? rn_members_by_id(m, u.node_id) : NULL;
      if (who != NULL && gone == 0) {
        assert_true(who->incarnation >= inc);
        assert_true(!left || who->state == RN_SWIM_LEFT || who->incarnation > inc);
      }
      gone = 0;
    }
    if (seed < 200)
      teardown(state);
  }
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
    CASE(a_member_is_learned_once),
    CASE(hearsay_wins_by_incarnation_and_then_by_the_worse_state),
    CASE(who_speaks_is_alive_whatever_he_says),
    CASE(who_asks_is_not_well_for_that),
    CASE(nobody_comes_back_from_left_without_a_higher_incarnation),
    CASE(who_is_gone_was_here_though_we_never_met),
    CASE(our_own_verdict_needs_no_incarnation),
    CASE(tags_come_from_the_newest_word),
    CASE(what_is_not_so_of_us_is_refuted),
    CASE(there_is_always_a_higher_incarnation_to_refute_with),
    CASE(our_tags_and_our_leaving_are_news),
    CASE(we_leave_for_those_too_who_know_a_higher_incarnation),
    CASE(an_alias_gives_way),
    CASE(the_younger_of_two_has_the_address),
    CASE(who_says_less_than_is_known_of_him_is_behind),
    CASE(our_address_is_ours),
    CASE(a_member_may_move),
    CASE(tombstones_make_room_the_oldest_first),
    CASE(tombstones_are_buried_in_time),
    CASE(what_makes_no_sense_is_refused_and_counted),
    CASE(any_sequence_leaves_a_sound_table),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
