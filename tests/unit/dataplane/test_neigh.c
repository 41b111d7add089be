/* tests/unit/dataplane/test_neigh.c */
#include "dataplane/net/neigh.h"
#include "rn_test.h"

#define SEC 1000000000ull

static const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 0xa }, mac_b[6] = { 2, 0, 0, 0, 0, 0xb };
static struct rn_stats_net st;
static struct rn_neigh *t;

static int setup(void **state) {
  st = (struct rn_stats_net){ 0 };
  *state = aligned_alloc(64, rn_neigh_footprint(64));
  return rn_neigh_init(*state, 64, 12345, &st, &t);
}

static int teardown(void **state) {
  int err = rn_neigh_check(t);
  free(*state);
  return err;
}

static struct rn_addr addr(uint32_t n) {
  struct rn_addr a = { .family = 4 };
  memcpy(a.ip, &n, 4);
  return a;
}

static void asks_three_times_a_second_apart_then_forgets(void **state) {
  (void)state;
  struct rn_addr a = addr(1);
  uint8_t mac[6];
  uint64_t now = 5 * SEC;
  for (int i = 0; i < 3; i++) {
    assert_int_equal(rn_neigh_lookup(t, now, &a, mac), RN_NEIGH_ASK);
    assert_int_equal(rn_neigh_lookup(t, now + SEC - 1, &a, mac), RN_NEIGH_WAIT);
    assert_int_equal(rn_neigh_peek(t, &a, mac), RN_NEIGH_NONE);
    now += SEC;
  }
  assert_int_equal(st.neighs, 1);
  assert_int_equal(rn_neigh_lookup(t, now, &a, mac), RN_NEIGH_ASK); /* anew */
  assert_int_equal(st.neighs, 1);
}

static void known_after_an_answer_and_asked_again_when_silent(void **state) {
  (void)state;
  struct rn_addr a = addr(1);
  uint8_t mac[6];
  assert_int_equal(rn_neigh_lookup(t, 0, &a, mac), RN_NEIGH_ASK);
  rn_neigh_update(t, SEC, &a, mac_a);
  assert_int_equal(rn_neigh_lookup(t, 2 * SEC, &a, mac), RN_NEIGH_KNOWN);
  assert_memory_equal(mac, mac_a, 6);
  assert_int_equal(rn_neigh_lookup(t, 31 * SEC, &a, mac), RN_NEIGH_KNOWN_ASK);
  assert_int_equal(rn_neigh_lookup(t, 31 * SEC + 1, &a, mac), RN_NEIGH_KNOWN);
  rn_neigh_learn(t, 31 * SEC + 2, &a, mac_a);
  assert_int_equal(rn_neigh_lookup(t, 40 * SEC, &a, mac), RN_NEIGH_KNOWN);
  assert_int_equal(st.neigh_learned, 1);
}

static void forgotten_when_it_stops_answering(void **state) {
  (void)state;
  struct rn_addr a = addr(1);
  uint8_t mac[6];
  rn_neigh_learn(t, 0, &a, mac_a);
  assert_int_equal(rn_neigh_lookup(t, 30 * SEC, &a, mac), RN_NEIGH_KNOWN_ASK);
  rn_neigh_learn(t, 30 * SEC, &a, mac_a); /* the answer: three requests are left again */
  for (uint64_t s = 60; s < 63; s++)
    assert_int_equal(rn_neigh_lookup(t, s * SEC, &a, mac), RN_NEIGH_KNOWN_ASK);
  assert_int_equal(rn_neigh_lookup(t, 63 * SEC, &a, mac), RN_NEIGH_ASK);
}

static void update_adds_nothing(void **state) {
  (void)state;
  struct rn_addr a = addr(1);
  uint8_t mac[6];
  rn_neigh_update(t, 0, &a, mac_a);
  assert_int_equal(rn_neigh_peek(t, &a, mac), RN_NEIGH_NONE);
  assert_int_equal(st.neighs, 0);
}

static void moves_only_when_not_just_confirmed(void **state) {
  (void)state;
  struct rn_addr a = addr(1);
  uint8_t mac[6];
  rn_neigh_learn(t, 0, &a, mac_a);
  rn_neigh_learn(t, SEC - 1, &a, mac_b);
  assert_int_equal(rn_neigh_peek(t, &a, mac), RN_NEIGH_KNOWN);
  assert_memory_equal(mac, mac_a, 6);
  assert_int_equal(st.neigh_move_held, 1);
  rn_neigh_learn(t, SEC, &a, mac_b);
  assert_int_equal(rn_neigh_peek(t, &a, mac), RN_NEIGH_KNOWN);
  assert_memory_equal(mac, mac_b, 6);
  assert_int_equal(st.neigh_moved, 1);
}

static void a_full_table_evicts_and_counts(void **state) {
  (void)state;
  uint8_t mac[6];
  for (uint32_t i = 0; i < 1000; i++) {
    struct rn_addr a = addr(i);
    rn_neigh_learn(t, i, &a, mac_a);
    assert_int_equal(rn_neigh_peek(t, &a, mac), RN_NEIGH_KNOWN); /* the newest is always there */
    assert_int_equal(rn_neigh_check(t), RN_OK);
  }
  assert_true(st.neighs <= 64 && st.neighs > 32);
  assert_int_equal(st.neighs + st.neigh_evicted, 1000);
}

static void the_silent_give_way_before_the_known(void **state) {
  (void)state;
  struct rn_addr keep = addr(1);
  uint8_t mac[6];
  rn_neigh_learn(t, 0, &keep, mac_a);
  for (uint32_t i = 2; i < 1000; i++) {
    struct rn_addr a = addr(i);
    rn_neigh_lookup(t, i, &a, mac);
  }
  assert_int_equal(rn_neigh_peek(t, &keep, mac), RN_NEIGH_KNOWN);
}

static void families_do_not_mix(void **state) {
  (void)state;
  struct rn_addr a4 = addr(1), a6 = a4;
  uint8_t mac[6];
  a6.family = 6;
  rn_neigh_learn(t, 0, &a4, mac_a);
  assert_int_equal(rn_neigh_peek(t, &a6, mac), RN_NEIGH_NONE);
}

static void refuses_odd_capacities(void **state) {
  (void)state;
  assert_int_equal(rn_neigh_footprint(0), 0);
  assert_int_equal(rn_neigh_footprint(2), 0);
  assert_int_equal(rn_neigh_footprint(63), 0);
  assert_int_equal(rn_neigh_footprint(131072), 0);
  assert_int_not_equal(rn_neigh_footprint(4), 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
    CASE(asks_three_times_a_second_apart_then_forgets),
    CASE(known_after_an_answer_and_asked_again_when_silent),
    CASE(forgotten_when_it_stops_answering),
    CASE(update_adds_nothing),
    CASE(moves_only_when_not_just_confirmed),
    CASE(a_full_table_evicts_and_counts),
    CASE(the_silent_give_way_before_the_known),
    CASE(families_do_not_mix),
    cmocka_unit_test(refuses_odd_capacities),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
