/* Buddy and heap against a model: every block keeps its bytes, nothing overlaps, everything comes back. */
#include "rn_test.h"

#include "util/buddy.h"
#include "util/err.h"
#include "util/heap.h"
#include "util/rng.h"

#define BLOCKS 200

struct block {
  uint8_t *p;
  size_t bytes;
  uint8_t fill;
};

static void check_fill(const struct block *b) {
  for (size_t i = 0; i < b->bytes; i += 1 + b->bytes / 50)
    assert_int_equal(b->p[i], b->fill);
  if (b->bytes > 0)
    assert_int_equal(b->p[b->bytes - 1], b->fill);
}

static void heap_keeps_what_it_gave(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 5; seed++) {
    struct rn_rng rng;
    rn_rng_init(&rng, seed);
    void *mem = aligned_alloc(64, rn_heap_footprint(4 << 20));
    struct rn_heap *h;
    assert_int_equal(rn_heap_init(mem, 4 << 20, &h), RN_OK);
    struct block blocks[BLOCKS] = { 0 };
    for (int step = 0; step < 5000; step++) {
      struct block *b = &blocks[rn_rng_next(&rng) % BLOCKS];
      size_t want = rn_rng_next(&rng) % (step % 50 == 0 ? 300000 : 3000);
      if (b->p == NULL) {
        b->p = rn_heap_alloc(h, want);
        b->bytes = b->p != NULL ? want : 0;
      } else if (rn_rng_next(&rng) % 2 == 0) {
        check_fill(b);
        rn_heap_free(h, b->p);
        *b = (struct block){ 0 };
        continue;
      } else {
        check_fill(b);
        uint8_t *p = rn_heap_realloc(h, b->p, want);
        if (p == NULL)
          continue;
        b->p = p;
        b->bytes = want < b->bytes ? want : b->bytes;
        check_fill(b);
        b->bytes = want;
      }
      if (b->p != NULL) {
        assert_true(rn_heap_owns(h, b->p));
        assert_int_equal((uintptr_t)b->p % 16, 0);
        b->fill = (uint8_t)rn_rng_next(&rng);
        memset(b->p, b->fill, b->bytes);
      }
      if (step % 100 == 0)
        assert_int_equal(rn_heap_check(h), RN_OK);
    }
    for (int i = 0; i < BLOCKS; i++)
      rn_heap_free(h, blocks[i].p);
    assert_int_equal(rn_heap_in_use(h), 0);
    assert_int_equal(rn_heap_check(h), RN_OK);
    assert_non_null(rn_heap_alloc(h, 4 << 20)); /* all spans came back and merged */
    free(mem);
  }
}

static void heap_refuses_past_its_region(void **state) {
  (void)state;
  void *mem = aligned_alloc(64, rn_heap_footprint(65536));
  struct rn_heap *h;
  assert_int_equal(rn_heap_init(mem, 65536, &h), RN_OK);
  int n = 0;
  while (rn_heap_alloc(h, 1024) != NULL)
    n++;
  assert_int_equal(n, 64);
  assert_int_equal(rn_heap_failures(h), 1);
  assert_null(rn_heap_calloc(h, SIZE_MAX / 2, 4));
  assert_int_equal(rn_heap_failures(h), 2);
  free(mem);
}

static void heap_zeroes_for_calloc(void **state) {
  (void)state;
  void *mem = aligned_alloc(64, rn_heap_footprint(65536));
  struct rn_heap *h;
  assert_int_equal(rn_heap_init(mem, 65536, &h), RN_OK);
  void *p = rn_heap_alloc(h, 100);
  memset(p, 0xff, 100);
  rn_heap_free(h, p);
  const uint8_t *z = rn_heap_calloc(h, 10, 10);
  for (int i = 0; i < 100; i++)
    assert_int_equal(z[i], 0);
  free(mem);
}

static void buddy_splits_and_merges(void **state) {
  (void)state;
  void *mem = aligned_alloc(64, rn_buddy_footprint(1 << 20, 4096));
  struct rn_buddy *b;
  assert_int_equal(rn_buddy_init(mem, 1 << 20, 4096, &b), RN_OK);
  struct rn_rng rng;
  rn_rng_init(&rng, 3);
  struct block blocks[BLOCKS] = { 0 };
  for (int step = 0; step < 3000; step++) {
    struct block *k = &blocks[rn_rng_next(&rng) % BLOCKS];
    if (k->p != NULL) {
      check_fill(k);
      rn_buddy_free(b, k->p);
      *k = (struct block){ 0 };
    } else {
      size_t want = 1 + rn_rng_next(&rng) % 40000, room = 0;
      k->p = rn_buddy_alloc(b, want, &room);
      if (k->p == NULL)
        continue;
      assert_true(room >= want);
      k->bytes = want;
      k->fill = (uint8_t)rn_rng_next(&rng);
      memset(k->p, k->fill, want);
    }
    assert_int_equal(rn_buddy_check(b), RN_OK);
  }
  for (int i = 0; i < BLOCKS; i++)
    rn_buddy_free(b, blocks[i].p);
  assert_int_equal(rn_buddy_in_use(b), 0);
  assert_non_null(rn_buddy_alloc(b, 1 << 20, NULL));
  assert_null(rn_buddy_alloc(b, 1, NULL));
  assert_int_equal(rn_buddy_check(b), RN_OK);
  free(mem);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(heap_keeps_what_it_gave),
    cmocka_unit_test(heap_refuses_past_its_region),
    cmocka_unit_test(heap_zeroes_for_calloc),
    cmocka_unit_test(buddy_splits_and_merges),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
