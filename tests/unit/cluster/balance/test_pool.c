/* tests/unit/cluster/balance/test_pool.c */
#include "rn_test.h"

#include "some.h"
#include "util/rng.h"

static void workers_are_in_the_order_of_keys_with_their_texts(void **state) {
  (void)state;
  struct rn_bal_pool *p = some_pool(1000, 7, 0, NULL);
  const struct rn_bal_worker *w = rn_bal_pool_workers(p);
  assert_int_equal(p->count, 1000);
  assert_int_equal(p->version, 7);
  for (uint32_t i = 0; i < 1000; i++) {
    char id[16];
    assert_true(i == 0 || w[i].key > w[i - 1].key);
    snprintf(id, sizeof(id), "w%u", w[i].slot);
    assert_int_equal(w[i].text_len, strlen(id));
    assert_memory_equal(rn_bal_pool_text(p, &w[i]), id, strlen(id));
    assert_int_equal(rn_bal_pool_find(p, w[i].key), i);
    assert_int_equal(rn_bal_pool_find(p, w[i].key + 1), 1000);
  }
  free(p);
}

static bool three_zones(struct rn_bal_spec *s, uint32_t i) {
  s->worker.zone = i % 4; /* 0: none */
  return true;
}

static void near_is_who_is_of_our_zone(void **state) {
  (void)state;
  for (uint64_t zone = 0; zone < 4; zone++) {
    struct rn_bal_pool *p = some_pool(100, 1, zone, three_zones);
    const struct rn_bal_worker *w = rn_bal_pool_workers(p);
    for (uint32_t i = 0; i < 100; i++)
      assert_int_equal((w[i].flags & RN_BAL_NEAR) != 0, zone != 0 && w[i].slot % 4 == zone);
    free(p);
  }
}

static void what_is_no_pool_is_not_formed(void **state) {
  (void)state;
  struct rn_bal_spec s[2];
  char id[2][16];
  const struct rn_bal_pool *out = NULL;
  _Alignas(8) uint8_t mem[2000];
  s[0] = some_spec(1, id[0]);
  s[1] = some_spec(1, id[1]);
  assert_int_equal(rn_bal_pool_form(mem, sizeof(mem), 1, 0, s, 2, &out), RN_ERR_EXIST);
  s[1] = some_spec(2, id[1]);
  size_t bytes = rn_bal_pool_bytes(2, 4);
  assert_int_equal(rn_bal_pool_form(mem, bytes - 1, 1, 0, s, 2, &out), RN_ERR_TOOBIG);
  s[0].worker.weight = 0;
  assert_int_equal(rn_bal_pool_form(mem, bytes, 1, 0, s, 2, &out), RN_ERR_INVAL);
  s[0].worker.weight = RN_BAL_WEIGHT_MAX + 1;
  assert_int_equal(rn_bal_pool_form(mem, bytes, 1, 0, s, 2, &out), RN_ERR_INVAL);
  s[0].worker.weight = RN_BAL_WEIGHT_MAX;
  s[0].worker.flags = 8;
  assert_int_equal(rn_bal_pool_form(mem, bytes, 1, 0, s, 2, &out), RN_ERR_INVAL);
  assert_int_equal(rn_bal_pool_form(mem, bytes, 1, 0, s, RN_BAL_WORKERS_MAX + 1, &out),
                   RN_ERR_INVAL);
  s[0].worker.flags = RN_BAL_EJECTED;
  s[0].worker.key = s[1].worker.key + 1;
  assert_null(out);
  assert_int_equal(rn_bal_pool_form(mem, bytes, 1, 0, s, 2, &out), RN_OK);
  assert_int_equal(rn_bal_pool_bytes(RN_BAL_WORKERS_MAX + 1, 0), 0);
  assert_int_equal(rn_bal_pool_bytes(1, RN_BAL_ID_MAX + 1), 0);
  assert_int_equal(rn_bal_pool_form(mem, sizeof(mem), 1, 0, s, 0, &out), RN_OK);
  assert_int_equal(rn_bal_pool_check(mem, out->bytes), RN_OK);
}

static bool heavier(struct rn_bal_spec *s, uint32_t i) {
  s->worker.weight += i == 5;
  return true;
}

static void equal_are_those_with_the_same_workers(void **state) {
  (void)state;
  struct rn_bal_pool *a = some_pool(10, 1, 3, NULL), *b = some_pool(10, 2, 3, NULL);
  struct rn_bal_pool *c = some_pool(10, 1, 3, heavier), *d = some_pool(11, 1, 3, NULL);
  struct rn_bal_pool *e = some_pool(10, 1, 4, NULL);
  assert_true(rn_bal_pool_eq(a, b));
  assert_false(rn_bal_pool_eq(a, c));
  assert_false(rn_bal_pool_eq(a, d));
  assert_false(rn_bal_pool_eq(a, e));
  free(a), free(b), free(c), free(d), free(e);
}

static void every_place_of_the_ring_leads_to_the_next_point(void **state) {
  (void)state;
  for (uint32_t n = 1; n <= 1024; n = n * 3 / 2 + 1) {
    struct rn_bal_pool *p = some_pool(n, 1, 0, NULL);
    const uint64_t *ring = rn_bal_pool_ring(p);
    for (uint32_t arc = 0; arc < 1u << p->ring_bits; arc++) {
      uint32_t at = rn_bal_pool_first(p)[arc];
      uint64_t place = (uint64_t)arc << (64 - p->ring_bits);
      assert_true(at <= n * RN_BAL_POINTS);
      assert_true(at == n * RN_BAL_POINTS || ring[at] >= place);
      assert_true(at == 0 || ring[at - 1] < place);
    }
    free(p);
  }
}

static void a_ring_that_leads_elsewhere_is_refused(void **state) {
  (void)state;
  struct rn_bal_pool *p = some_pool(5, 1, 0, NULL);
  uint16_t *first = (uint16_t *)(uintptr_t)rn_bal_pool_first(p);
  uint64_t *ring = (uint64_t *)(uintptr_t)rn_bal_pool_ring(p);
  for (uint32_t arc = 0; arc < 1u << p->ring_bits; arc++) {
    first[arc]++;
    assert_int_equal(rn_bal_pool_check(p, p->bytes), RN_ERR_CORRUPT);
    first[arc]--;
  }
  for (uint32_t i = 0; i < 5 * RN_BAL_POINTS; i++) {
    uint64_t whole = ring[i];
    ring[i] =
        (whole & ~(uint64_t)0xffff) | ((whole & 0xffff) + 1) % 5; /* one has a point too many */
    assert_int_equal(rn_bal_pool_check(p, p->bytes), RN_ERR_CORRUPT);
    ring[i] = whole | 0xffff;
    assert_int_equal(rn_bal_pool_check(p, p->bytes), RN_ERR_CORRUPT);
    ring[i] = whole;
  }
  assert_int_equal(rn_bal_pool_check(p, p->bytes), RN_OK);
  free(p);
}

/* What the check lets through is safe to use, whoever wrote it. */
static void damaged_bytes_are_refused_or_harmless(void **state) {
  (void)state;
  uint32_t refused = 0;
  struct rn_bal_config cfg = rn_bal_defaults(&rn_bal_consistent_hash_bounded);
  struct rn_rng rng;
  rn_rng_init(&rng, 5);
  for (uint32_t round = 0; round < 3000; round++) {
    uint32_t n = 1 + (uint32_t)rn_rng_below(&rng, 20);
    struct rn_bal_pool *whole = some_pool(n, 9, 1, three_zones);
    size_t bytes = whole->bytes;
    struct rn_bal_pool *p = some_mem(bytes); /* exactly as long, so that ASan sees what is behind */
    memcpy(p, whole, bytes);
    for (uint64_t i = 1 + rn_rng_below(&rng, 3); i > 0; i--)
      ((uint8_t *)p)[rn_rng_below(&rng, bytes)] ^= (uint8_t)(1u << rn_rng_below(&rng, 8));
    if (rn_bal_pool_check(p, bytes) != RN_OK) {
      refused++;
    } else {
      struct some s;
      struct rn_bal_ask ask = { .now_ns = 1 };
      some_on(&s, some_mem(rn_load_shared_bytes(1, SOME_SLOTS)), 1, 0, &cfg, round);
      if (rn_bal_adopt(s.b, p) == RN_OK)
        for (; ask.affinity < 20; ask.affinity++) {
          struct rn_bal_ticket t;
          if (rn_bal_pick(s.b, &ask, &t) == RN_OK)
            assert_true(rn_bal_worker_of(s.b, &t)->text_at < bytes);
        }
      some_stop(&s);
    }
    assert_int_equal(rn_bal_pool_check(whole, rn_rng_below(&rng, bytes)), RN_ERR_CORRUPT);
    free(p);
    free(whole);
  }
  assert_in_range(refused, 1000, 2999);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(workers_are_in_the_order_of_keys_with_their_texts),
    cmocka_unit_test(near_is_who_is_of_our_zone),
    cmocka_unit_test(what_is_no_pool_is_not_formed),
    cmocka_unit_test(equal_are_those_with_the_same_workers),
    cmocka_unit_test(every_place_of_the_ring_leads_to_the_next_point),
    cmocka_unit_test(a_ring_that_leads_elsewhere_is_refused),
    cmocka_unit_test(damaged_bytes_are_refused_or_harmless),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
