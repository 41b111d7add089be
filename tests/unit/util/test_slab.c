#include "rn_test.h"

#include "util/err.h"
#include "util/slab.h"

static struct rn_slab *make(size_t bytes, uint32_t count) {
  size_t n = rn_slab_footprint(bytes, count);
  void *mem = aligned_alloc(64, n);
  struct rn_slab *s;
  assert_int_equal(rn_slab_init(mem, bytes, count, &s), RN_OK);
  return s;
}

static void refuses_past_the_limit_and_counts(void **state) {
  (void)state;
  struct rn_slab *s = make(100, 3);
  void *a = rn_slab_take(s), *b = rn_slab_take(s), *c = rn_slab_take(s);
  assert_non_null(a);
  assert_non_null(b);
  assert_non_null(c);
  assert_null(rn_slab_take(s));
  assert_int_equal(s->failures, 1);
  rn_slab_give(s, b);
  assert_ptr_equal(rn_slab_take(s), b);
  assert_int_equal(rn_slab_in_use(s), 3);
  assert_int_equal(s->high_water, 3);
  free(s);
}

static void objects_are_apart_aligned_and_numbered(void **state) {
  (void)state;
  struct rn_slab *s = make(65, 10);
  for (uint32_t i = 0; i < 10; i++) {
    uint8_t *p = rn_slab_take(s);
    assert_int_equal((uintptr_t)p % 64, 0);
    assert_int_equal(rn_slab_idx(s, p), i);
    assert_ptr_equal(rn_slab_at(s, i), p);
    memset(p, 0xee, 65); /* ASan and the next take would notice an overlap */
  }
  free(s);
}

static void fails_every_nth_on_request(void **state) {
  (void)state;
  if (!RN_REFUSALS_BUILT)
    skip();
  struct rn_slab *s = make(64, 100);
  rn_slab_fail_every(s, 3);
  int failed = 0;
  for (int i = 0; i < 9; i++)
    failed += rn_slab_take(s) == NULL;
  assert_int_equal(failed, 3);
  assert_int_equal(rn_slab_in_use(s), 6);
  free(s);
}

static void rejects_sizes_out_of_range(void **state) {
  (void)state;
  assert_int_equal(rn_slab_footprint(0, 1), 0);
  assert_int_equal(rn_slab_footprint(1, 0), 0);
  assert_int_equal(rn_slab_footprint((1u << 20) + 1, 1), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(refuses_past_the_limit_and_counts),
    cmocka_unit_test(objects_are_apart_aligned_and_numbered),
    cmocka_unit_test(fails_every_nth_on_request),
    cmocka_unit_test(rejects_sizes_out_of_range),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
