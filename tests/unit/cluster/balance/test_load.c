/* tests/unit/cluster/balance/test_load.c */
#include "rn_test.h"

#include <threads.h>

#include "some.h"

static struct rn_load *load_new(void *shared, uint32_t lcores, uint32_t lcore) {
  struct rn_load *l;
  assert_int_equal(rn_load_init(some_mem(rn_load_footprint(100)), shared, lcores, 100, lcore, &l),
                   RN_OK);
  return l;
}

static void sizes_out_of_range_are_refused(void **state) {
  (void)state;
  struct rn_load *l = NULL;
  char mem[64];
  assert_int_equal(rn_load_footprint(0), 0);
  assert_int_equal(rn_load_footprint(RN_LOAD_SLOTS_MAX + 1), 0);
  assert_int_equal(rn_load_shared_bytes(0, 1), 0);
  assert_int_equal(rn_load_shared_bytes(RN_LOAD_LCORES_MAX + 1, 1), 0);
  assert_int_not_equal(rn_load_shared_bytes(RN_LOAD_LCORES_MAX, RN_LOAD_SLOTS_MAX), 0);
  assert_int_equal(rn_load_init(mem, mem, 2, 10, 2, &l), RN_ERR_INVAL);
  assert_null(l);
}

static void a_sum_is_over_all_lcores(void **state) {
  (void)state;
  void *shared = some_mem(rn_load_shared_bytes(3, 100));
  struct rn_load *l[3];
  uint32_t generation[3];
  for (uint32_t i = 0; i < 3; i++) {
    l[i] = load_new(shared, 3, i);
    rn_load_claim(l[i], 7, 77);
  }
  for (uint32_t i = 0; i < 3; i++)
    for (uint32_t k = 0; k <= i; k++)
      assert_true(rn_load_begin(l[i], 7, 77, &generation[i]));
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(rn_load_sum(l[i], 7), 6);
    assert_int_equal(rn_load_sum(l[i], 8), 0);
    assert_int_equal(rn_load_check(l[i]), RN_OK);
  }
  rn_load_end(l[2], 7, generation[2]);
  assert_int_equal(rn_load_sum(l[0], 7), 5);
  /* An lcore that starts again has none. */
  free(l[1]);
  l[1] = load_new(shared, 3, 1);
  assert_int_equal(rn_load_sum(l[0], 7), 3);
  for (uint32_t i = 0; i < 3; i++)
    free(l[i]);
  free(shared);
}

static void a_slot_with_a_new_owner_counts_anew(void **state) {
  (void)state;
  void *shared = some_mem(rn_load_shared_bytes(1, 100));
  struct rn_load *l = load_new(shared, 1, 0);
  uint32_t old, now;
  rn_load_claim(l, 3, 1);
  assert_true(rn_load_begin(l, 3, 1, &old));
  rn_load_claim(l, 3, 1);
  assert_int_equal(rn_load_sum(l, 3), 1);
  rn_load_claim(l, 3, 2);
  assert_int_equal(rn_load_sum(l, 3), 0);
  assert_int_equal(l->taken_over, 1);
  assert_false(rn_load_begin(l, 3, 1, &now));
  assert_true(rn_load_begin(l, 3, 2, &now));
  rn_load_end(l, 3, old);
  assert_int_equal(l->stale, 1);
  assert_int_equal(rn_load_sum(l, 3), 1);
  rn_load_end(l, 3, now);
  assert_int_equal(rn_load_sum(l, 3), 0);
  assert_int_equal(rn_load_check(l), RN_OK);
  free(l);
  free(shared);
}

/* What others do to the shared array changes sums and nothing else. */
static void shared_memory_is_not_believed(void **state) {
  (void)state;
  size_t bytes = rn_load_shared_bytes(2, 100);
  void *shared = some_mem(bytes);
  struct rn_load *l = load_new(shared, 2, 0);
  uint32_t generation;
  rn_load_claim(l, 5, 9);
  assert_true(rn_load_begin(l, 5, 9, &generation));
  memset(shared, 0xff, bytes);
  rn_load_sum(l, 5);
  assert_int_equal(rn_load_check(l), RN_ERR_STATE);
  rn_load_end(l, 5, generation);
  assert_int_equal(l->slot[5].open_count, 0);
  free(l);
  free(shared);
}

struct lcore {
  struct rn_load *l;
  atomic_bool *stop;
};

static int begins_and_ends(void *arg) {
  struct lcore *c = arg;
  while (!atomic_load(c->stop)) {
    uint32_t g[5];
    for (uint32_t i = 0; i < 5; i++)
      rn_load_begin(c->l, 0, 1, &g[i]);
    for (uint32_t i = 0; i < 5; i++)
      rn_load_end(c->l, 0, g[i]);
  }
  return 0;
}

static void a_sum_beside_the_writers_is_never_out_of_range(void **state) {
  (void)state;
  void *shared = some_mem(rn_load_shared_bytes(3, 100));
  struct lcore c[2];
  atomic_bool stop = false;
  thrd_t t[2];
  struct rn_load *mine = load_new(shared, 3, 2);
  for (uint32_t i = 0; i < 2; i++) {
    c[i] = (struct lcore){ load_new(shared, 3, i), &stop };
    rn_load_claim(c[i].l, 0, 1);
    assert_int_equal(thrd_create(&t[i], begins_and_ends, &c[i]), thrd_success);
  }
  for (uint32_t i = 0; i < 1000000; i++)
    assert_true(rn_load_sum(mine, 0) <= 10);
  atomic_store(&stop, true);
  for (uint32_t i = 0; i < 2; i++) {
    thrd_join(t[i], NULL);
    assert_int_equal(rn_load_check(c[i].l), RN_OK);
    free(c[i].l);
  }
  assert_int_equal(rn_load_sum(mine, 0), 0);
  free(mine);
  free(shared);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(sizes_out_of_range_are_refused),
    cmocka_unit_test(a_sum_is_over_all_lcores),
    cmocka_unit_test(a_slot_with_a_new_owner_counts_anew),
    cmocka_unit_test(shared_memory_is_not_believed),
    cmocka_unit_test(a_sum_beside_the_writers_is_never_out_of_range),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
