/* tests/unit/cluster/test_partition.c: "n<host>" is at host; ourselves are "me", which comes before every other id. */
#include "rn_test.h"

#include "cluster/partition.h"
#include "table.h"

#define S      UINT64_C(1000000000)
#define WINDOW (60 * S)

static struct rn_members *m;
static struct rn_partition p;

static int setup(void **state) {
  (void)state;
  m = table_new(64, NULL, NULL, S);
  memset(&p, 0, sizeof(p));
  return 0;
}

static int teardown(void **state) {
  (void)state;
  free(m);
  return 0;
}

/* first..last are of that state from now_ns on; incarnation tells one change from the one before. */
static void become(uint32_t first, uint32_t last, enum rn_swim_state state, uint64_t incarnation,
                   uint64_t now_ns) {
  for (uint32_t host = first; host <= last; host++) {
    char id[16];
    snprintf(id, sizeof(id), "n%02u", host);
    const struct rn_swim_update u = update(id, host, incarnation, state);
    rn_members_apply(m, &u, RN_MEMBER_HEARSAY, now_ns, NULL);
  }
}

static bool look(uint64_t now_ns) { return rn_partition_look(&p, m, now_ns, WINDOW); }

static void alone_or_complete_is_healthy(void **state) {
  (void)state;
  assert_false(look(2 * S));
  assert_int_equal(p.reached, 1);
  become(11, 20, RN_SWIM_ALIVE, 1, 2 * S);
  assert_false(look(3 * S));
  assert_int_equal(p.state, RN_PARTITION_HEALTHY);
  assert_int_equal(p.reached, 11);
  assert_int_equal(p.out, 0);
}

/* Of twelve, three are a quarter. */
static void a_quarter_at_once_is_a_partition(void **state) {
  (void)state;
  become(11, 21, RN_SWIM_ALIVE, 1, 2 * S);
  become(11, 12, RN_SWIM_FAILED, 1, 3 * S);
  assert_false(look(3 * S));
  become(13, 13, RN_SWIM_SUSPECT, 1, 4 * S);
  assert_true(look(4 * S));
  assert_int_equal(p.state, RN_PARTITION_SUSPECT);
  assert_false(p.minority);
  assert_false(look(4 * S));
  become(13, 13, RN_SWIM_FAILED, 1, 5 * S);
  assert_true(look(5 * S));
  assert_int_equal(p.state, RN_PARTITION_PARTITIONED);
  assert_int_equal(p.out, 3);
  assert_int_equal(p.from_ns, 3 * S);
}

static void one_of_two_is_no_partition(void **state) {
  (void)state;
  become(11, 11, RN_SWIM_ALIVE, 1, 2 * S);
  become(11, 11, RN_SWIM_FAILED, 1, 3 * S);
  assert_false(look(3 * S));
  assert_int_equal(p.state, RN_PARTITION_HEALTHY);
}

static void those_who_left_and_aliases_do_not_count(void **state) {
  (void)state;
  become(11, 20, RN_SWIM_ALIVE, 1, 2 * S);
  become(11, 18, RN_SWIM_LEFT, 1, 3 * S);
  const struct rn_swim_update alias = update("seed-10.0.0.30:8080", 30, 0, RN_SWIM_FAILED);
  const struct rn_swim_update other = update("seed-10.0.0.31:8080", 31, 0, RN_SWIM_FAILED);
  rn_members_apply(m, &alias, RN_MEMBER_HEARSAY, 3 * S, NULL);
  rn_members_apply(m, &other, RN_MEMBER_HEARSAY, 3 * S, NULL);
  assert_false(look(4 * S));
  assert_int_equal(p.out, 0);
}

/* Failures one after the other are failures. */
static void what_failed_long_ago_does_not_count(void **state) {
  (void)state;
  become(11, 17, RN_SWIM_ALIVE, 1, 2 * S);
  become(11, 11, RN_SWIM_FAILED, 1, 10 * S);
  become(12, 12, RN_SWIM_FAILED, 1, 71 * S);
  assert_false(look(71 * S));
  assert_int_equal(p.out, 1);
}

static void it_lasts_until_they_are_back(void **state) {
  (void)state;
  become(11, 17, RN_SWIM_ALIVE, 1, 2 * S);
  become(11, 14, RN_SWIM_FAILED, 1, 10 * S);
  assert_true(look(10 * S));
  assert_false(look(1000 * S));
  assert_int_equal(p.state, RN_PARTITION_PARTITIONED);
  assert_int_equal(p.out, 4);
  become(11, 13, RN_SWIM_ALIVE, 2, 1001 * S);
  assert_true(look(1001 * S));
  assert_int_equal(p.state, RN_PARTITION_HEALTHY);
  /* The one that never came back is no reason for the next one. */
  become(12, 12, RN_SWIM_FAILED, 2, 1002 * S);
  assert_false(look(1002 * S));
}

static void the_smaller_side_knows_it(void **state) {
  (void)state;
  become(11, 17, RN_SWIM_ALIVE, 1, 2 * S);
  become(11, 14, RN_SWIM_FAILED, 1, 10 * S); /* four and four, and "me" is first */
  look(10 * S);
  assert_int_equal(p.reached, 4);
  assert_false(p.minority);
  become(15, 15, RN_SWIM_SUSPECT, 1, 11 * S);
  assert_true(look(11 * S));
  assert_true(p.minority);
  become(15, 15, RN_SWIM_ALIVE, 2, 12 * S);
  assert_true(look(12 * S));
  assert_false(p.minority);
  /* Two halves again, and somebody of the other one comes before us. */
  const struct rn_swim_update early = update("a", 40, 1, RN_SWIM_ALIVE);
  const struct rn_swim_update gone = update("a", 40, 1, RN_SWIM_FAILED);
  rn_members_apply(m, &early, RN_MEMBER_HEARSAY, 12 * S, NULL);
  rn_members_apply(m, &gone, RN_MEMBER_HEARSAY, 13 * S, NULL);
  become(18, 18, RN_SWIM_ALIVE, 1, 13 * S);
  assert_true(look(13 * S));
  assert_int_equal(p.reached, 5);
  assert_int_equal(p.out, 5);
  assert_true(p.minority);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
    CASE(alone_or_complete_is_healthy),        CASE(a_quarter_at_once_is_a_partition),
    CASE(one_of_two_is_no_partition),          CASE(those_who_left_and_aliases_do_not_count),
    CASE(what_failed_long_ago_does_not_count), CASE(it_lasts_until_they_are_back),
    CASE(the_smaller_side_knows_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
