#include "rn_test.h"

#include "util/bytes.h"
#include "util/rng.h"

static void integers_are_little_endian(void **state) {
  (void)state;
  static const uint8_t want[] = { 0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0x0f, 0x0e, 0x0d,
                                  0x0c, 0x0b, 0x0a, 0x09, 0x08, 'h',  'i',  0x33, 0x22, 0x11 };
  uint8_t buf[sizeof(want)];
  struct rn_bytes_out out = rn_bytes_out(buf, sizeof(buf));
  rn_bytes_put_u8(&out, 0x01);
  rn_bytes_put_u16(&out, 0x0203);
  rn_bytes_put_u32(&out, 0x04050607);
  rn_bytes_put_u64(&out, 0x08090a0b0c0d0e0f);
  rn_bytes_put(&out, "hi", 2);
  rn_bytes_put_uint(&out, 0x112233, 3);
  assert_true(out.ok);
  assert_int_equal(out.len, sizeof(want));
  assert_memory_equal(buf, want, sizeof(want));

  struct rn_bytes_in in = rn_bytes_in(buf, sizeof(buf));
  assert_int_equal(rn_bytes_get_u8(&in), 0x01);
  assert_int_equal(rn_bytes_get_u16(&in), 0x0203);
  assert_int_equal(rn_bytes_get_u32(&in), 0x04050607);
  assert_true(rn_bytes_get_u64(&in) == 0x08090a0b0c0d0e0f);
  assert_memory_equal(rn_bytes_get(&in, 2), "hi", 2);
  assert_int_equal(rn_bytes_get_uint(&in, 3), 0x112233);
  assert_true(in.ok);
  assert_int_equal(rn_bytes_left(&in), 0);
}

static void a_short_read_stays_failed(void **state) {
  (void)state;
  uint8_t copy[4] = { 9, 9, 9, 9 };
  struct rn_bytes_in in = rn_bytes_in("\x01\x02\x03", 3);
  assert_int_equal(rn_bytes_get_u16(&in), 0x0201);
  assert_int_equal(rn_bytes_get_u32(&in), 0);
  assert_false(in.ok);
  assert_int_equal(in.at, 2);
  assert_int_equal(rn_bytes_left(&in), 0);
  assert_int_equal(rn_bytes_get_u8(&in), 0); /* it is there, but what came before is not */
  assert_null(rn_bytes_get(&in, 0));
  rn_bytes_get_copy(&in, copy, sizeof(copy));
  assert_memory_equal(copy, "\0\0\0\0", 4);
}

static void lengths_of_peers_cannot_overflow(void **state) {
  (void)state;
  struct rn_bytes_in in = rn_bytes_in("abcd", 4);
  rn_bytes_get_u8(&in);
  struct rn_bytes_in ahead = in;
  assert_null(rn_bytes_get(&ahead, UINT64_MAX));
  assert_false(ahead.ok);
  assert_true(in.ok);
  assert_null(rn_bytes_get(&in, 4));
  uint8_t buf[4];
  struct rn_bytes_out out = rn_bytes_out(buf, sizeof(buf));
  rn_bytes_put_u8(&out, 1);
  assert_null(rn_bytes_reserve(&out, UINT64_MAX));
  assert_false(out.ok);
}

static void a_write_that_does_not_fit_writes_nothing(void **state) {
  (void)state;
  uint8_t buf[4] = { 7, 7, 7, 7 };
  struct rn_bytes_out out = rn_bytes_out(buf, 3);
  rn_bytes_put_u16(&out, 0);
  rn_bytes_put_u16(&out, 0);
  rn_bytes_put_u8(&out, 0);
  assert_false(out.ok);
  assert_int_equal(out.len, 2);
  assert_int_equal(buf[2], 7);
}

static void nothing_is_fine(void **state) {
  (void)state;
  struct rn_bytes_in in = rn_bytes_in(NULL, 0);
  struct rn_bytes_out out = rn_bytes_out(NULL, 0);
  rn_bytes_get_copy(&in, NULL, 0);
  rn_bytes_put(&out, NULL, 0);
  rn_bytes_get(&in, 0);
  assert_true(in.ok);
  assert_true(out.ok);
  rn_bytes_get_u8(&in);
  rn_bytes_put_u8(&out, 0);
  assert_false(in.ok);
  assert_false(out.ok);
}

/* Random integers into a buffer of exactly their size, read back from every shorter one: ASan watches its end. */
static void reads_back_what_it_wrote(void **state) {
  (void)state;
  struct rn_rng rng;
  rn_rng_init(&rng, 2);
  for (int round = 0; round < 300; round++) {
    unsigned int n[10];
    uint64_t v[10];
    size_t total = 0, fit = 0;
    for (int i = 0; i < 10; i++) {
      n[i] = 1 + (unsigned int)rn_rng_below(&rng, 8);
      v[i] = rn_rng_next(&rng) >> (64 - 8 * n[i]);
      total += n[i];
    }
    uint8_t *buf = malloc(total);
    struct rn_bytes_out out = rn_bytes_out(buf, total);
    for (int i = 0; i < 10; i++)
      rn_bytes_put_uint(&out, v[i], n[i]);
    assert_true(out.ok && out.len == total);
    size_t cut = (size_t)rn_rng_below(&rng, total + 1);
    buf = realloc(buf, cut > 0 ? cut : 1);
    struct rn_bytes_in in = rn_bytes_in(buf, cut);
    for (int i = 0; i < 10; i++) {
      fit += n[i];
      assert_true(rn_bytes_get_uint(&in, n[i]) == (fit <= cut ? v[i] : 0));
      assert_int_equal(in.ok, fit <= cut);
    }
    free(buf);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(integers_are_little_endian),
    cmocka_unit_test(a_short_read_stays_failed),
    cmocka_unit_test(lengths_of_peers_cannot_overflow),
    cmocka_unit_test(a_write_that_does_not_fit_writes_nothing),
    cmocka_unit_test(nothing_is_fine),
    cmocka_unit_test(reads_back_what_it_wrote),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
