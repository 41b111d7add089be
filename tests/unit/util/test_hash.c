#include "rn_test.h"

#include "util/err.h"
#include "util/hash.h"
#include "util/refuse.h"
#include "util/rng.h"

static void siphash_matches_its_vectors(void **state) {
  (void)state;
  /* Key 00..0f, message 00..n-1. n = 15 is Appendix A of "SipHash: a fast short-input PRF"; all as printed by
   * openssl mac -macopt hexkey:000102030405060708090a0b0c0d0e0f -macopt size:8 SIPHASH */
  static const struct {
    uint8_t n;
    uint64_t hash;
  } want[] = {
    { 0, 0x726fdb47dd0e0e31 },  { 1, 0x74f839c593dc67fd },  { 7, 0xab0200f58b01d137 },
    { 8, 0x93f5f5799a932462 },  { 9, 0x9e0082df0ba9e4b0 },  { 15, 0xa129ca6149be45e5 },
    { 16, 0x3f2acc7f57c29bdb }, { 31, 0x32d892fad841c342 }, { 63, 0x958a324ceb064572 },
  };
  uint8_t key[16], msg[64];
  for (uint8_t i = 0; i < 16; i++)
    key[i] = i;
  for (size_t k = 0; k < sizeof(want) / sizeof(want[0]); k++) {
    size_t at = sizeof(msg) - want[k].n; /* any alignment; ASan watches the end */
    for (size_t i = at; i < sizeof(msg); i++)
      msg[i] = (uint8_t)(i - at);
    assert_true(rn_siphash(key, msg + at, want[k].n) == want[k].hash);
  }
  assert_true(rn_siphash(key, NULL, 0) == want[0].hash);
  key[0] ^= 1;
  assert_true(rn_siphash(key, msg, 0) != want[0].hash);
}

static const uint8_t hash_key[16] = { 7 };

static struct rn_cidmap *make(uint32_t capacity) {
  struct rn_cidmap *m;
  void *mem = aligned_alloc(64, rn_cidmap_footprint(capacity));
  assert_int_equal(rn_cidmap_init(mem, capacity, hash_key, &m), RN_OK);
  return m; /* lies at the start of mem */
}

#define KEYS 64

struct key {
  uint8_t bytes[RN_CIDMAP_KEY_MAX];
  size_t len;
  struct rn_addr addr;
};

/* Neighbours differ in the address only, or in the length only. */
static struct key key_of(uint32_t k) {
  return (struct key){ .bytes = { (uint8_t)(k / 4) },
                       .len = k % 2 == 0 ? 1 + k / 4 : 2 + k / 4,
                       .addr = { .family = 4, .port = (uint16_t)(k % 4 / 2) } };
}

static void map_behaves_like_a_map(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 5; seed++) {
    struct rn_cidmap *m = make(40);
    struct rn_rng rng;
    rn_rng_init(&rng, seed);
    uint32_t model[KEYS] = { 0 }, count = 0, most = 0; /* 0: not there */
    uint64_t refused = 0;
    for (int step = 0; step < 10000; step++) {
      uint32_t k = (uint32_t)rn_rng_below(&rng, KEYS), v = (uint32_t)rn_rng_next(&rng) | 1;
      uint32_t got = 4;
      struct key key = key_of(k);
      switch (rn_rng_below(&rng, 3)) {
      case 0: {
        bool room = model[k] != 0 || count < 40;
        assert_int_equal(rn_cidmap_put(m, key.bytes, key.len, &key.addr, v),
                         room ? RN_OK : RN_ERR_LIMIT);
        refused += !room;
        count += room && model[k] == 0;
        most = count > most ? count : most;
        model[k] = room ? v : 0;
        break;
      }
      case 1:
        rn_cidmap_del(m, key.bytes, key.len, &key.addr);
        count -= model[k] != 0;
        model[k] = 0;
        break;
      default:
        if (rn_cidmap_get(m, key.bytes, key.len, &key.addr, &got) != (model[k] != 0) ||
            got != (model[k] != 0 ? model[k] : 4))
          fail_msg("seed=%d step %d: key %d", (int)seed, step, (int)k);
      }
      assert_int_equal(rn_cidmap_count(m), count);
      assert_int_equal(rn_cidmap_check(m), RN_OK);
    }
    assert_true(refused > 0);
    assert_int_equal(rn_cidmap_failures(m), refused);
    assert_int_equal(rn_cidmap_high_water(m), most);
    free(m);
  }
}

static void every_nth_new_key_fails_on_request(void **state) {
  (void)state;
  if (!RN_REFUSALS_BUILT)
    skip();
  struct rn_cidmap *m = make(100);
  struct rn_addr a = { 0 };
  rn_cidmap_fail_every(m, 3);
  for (uint8_t i = 0; i < 9; i++)
    assert_int_equal(rn_cidmap_put(m, &i, 1, &a, i), i % 3 == 2 ? RN_ERR_LIMIT : RN_OK);
  assert_int_equal(rn_cidmap_put(m, &(uint8_t){ 0 }, 1, &a, 5), RN_OK); /* replaces */
  assert_int_equal(rn_cidmap_count(m), 6);
  assert_int_equal(rn_cidmap_failures(m), 3);
  assert_int_equal(rn_cidmap_check(m), RN_OK);
  free(m);
}

static void refuses_what_is_out_of_range(void **state) {
  (void)state;
  assert_int_equal(rn_cidmap_footprint(0), 0);
  assert_int_equal(rn_cidmap_footprint((1u << 28) + 1), 0);
  assert_int_not_equal(rn_cidmap_footprint(1u << 28), 0);
  struct rn_cidmap *m = make(1), *none = NULL;
  assert_int_equal(rn_cidmap_init(m, 0, hash_key, &none), RN_ERR_INVAL);
  assert_null(none);
  uint8_t key[RN_CIDMAP_KEY_MAX + 1] = { 0 };
  struct rn_addr a = { 0 };
  uint32_t v = 8;
  assert_int_equal(rn_cidmap_put(m, key, sizeof(key), &a, 1), RN_ERR_INVAL);
  assert_int_equal(rn_cidmap_put(m, key, sizeof(key) - 1, &a, 1), RN_OK);
  assert_false(rn_cidmap_get(m, key, sizeof(key), &a, &v));
  assert_int_equal(v, 8);
  rn_cidmap_del(m, key, sizeof(key), &a);
  assert_int_equal(rn_cidmap_count(m), 1);
  assert_int_equal(rn_cidmap_put(m, key, 0, &a, 1), RN_ERR_LIMIT);
  free(m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(siphash_matches_its_vectors),
    cmocka_unit_test(map_behaves_like_a_map),
    cmocka_unit_test(every_nth_new_key_fails_on_request),
    cmocka_unit_test(refuses_what_is_out_of_range),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
