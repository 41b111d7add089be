#include "rn_test.h"

#include <ngtcp2/ngtcp2.h>

#include "quic/reset.h"
#include "quic/retry.h"
#include "util/err.h"

static struct rn_retry_codec *codec(void) {
  struct rn_retry_codec *k = NULL;
  void *mem = aligned_alloc(64, rn_retry_codec_footprint());
  assert_int_equal(rn_retry_codec_init(mem, &k), RN_OK);
  return k;
}

/* RFC 9001 appendix A.4. */
static void retry_matches_rfc9001_vector(void **state) {
  (void)state;
  struct rn_retry_codec *k = codec();
  uint8_t odcid[8], scid[8], want[64], got[64];
  rn_test_unhex("8394c8f03e515708", odcid, 8);
  rn_test_unhex("f067a5502a4262b5", scid, 8);
  size_t n =
      rn_test_unhex("ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba",
                    want, sizeof(want));
  const struct rn_retry_cid d = { NULL, 0 }, s = { scid, 8 }, o = { odcid, 8 };
  assert_int_equal(rn_retry_write(k, &d, &s, &o, (const uint8_t *)"token", 5, got, sizeof(got)), n);
  assert_memory_equal(got, want, n);
  free(k);
}

static void retry_that_does_not_fit_is_not_written(void **state) {
  (void)state;
  struct rn_retry_codec *k = codec();
  uint8_t cid[21] = { 0 }, out[64];
  const struct rn_retry_cid c = { cid, 20 }, longer = { cid, 21 }, none = { cid, 0 };
  size_t n = rn_retry_write(k, &none, &none, &c, cid, 5, out, sizeof(out));
  assert_int_equal(n, 1 + 4 + 1 + 1 + 5 + 16);
  assert_int_equal(rn_retry_write(k, &none, &none, &c, cid, 5, out, n), n);
  assert_int_equal(rn_retry_write(k, &none, &none, &c, cid, 5, out, n - 1), 0);
  assert_int_equal(rn_retry_write(k, &longer, &none, &none, cid, 5, out, sizeof(out)), 0);
  assert_int_equal(rn_retry_write(k, &none, &longer, &none, cid, 5, out, sizeof(out)), 0);
  assert_int_equal(rn_retry_write(k, &none, &none, &longer, cid, 5, out, sizeof(out)), 0);
  free(k);
}

/* RFC 9000 sections 6 and 17.2.1, read with ngtcp2's parser. */
static void version_negotiation_offers_version_1_and_grease(void **state) {
  (void)state;
  uint8_t a[255], b[20], out[600];
  memset(a, 0xaa, sizeof(a));
  memset(b, 0xbb, sizeof(b));
  static const size_t lengths[] = { 0, 8, 20, 255 };
  for (size_t i = 0; i < 4; i++) {
    const struct rn_retry_cid d = { a, lengths[i] }, s = { b, 20 };
    size_t n = rn_vneg_write(&d, &s, 0xf5, out, sizeof(out));
    assert_int_equal(n, 1 + 4 + 1 + lengths[i] + 1 + 20 + 8);
    assert_int_equal(rn_vneg_write(&d, &s, 0, out, n - 1), 0);
    ngtcp2_version_cid vc;
    assert_int_equal(ngtcp2_pkt_decode_version_cid(&vc, out, n, 20), 0);
    assert_int_equal(vc.version, 0);
    assert_int_equal(vc.dcidlen, lengths[i]);
    assert_memory_equal(vc.dcid, a, lengths[i]);
    assert_memory_equal(vc.scid, b, 20);
    uint32_t versions[2];
    for (int v = 0; v < 2; v++) {
      const uint8_t *p = out + n - 8 + 4 * v;
      versions[v] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    }
    assert_int_equal(versions[0], 1);
    assert_int_equal(versions[1] & 0x0f0f0f0fu, 0x0a0a0a0au);
  }
}

/* RFC 9000 section 10.3. */
static void stateless_reset_is_shorter_than_its_cause(void **state) {
  (void)state;
  uint8_t token[16], rnd[RN_RESET_RND_BYTES], out[RN_RESET_BYTES_MAX];
  memset(token, 0x77, sizeof(token));
  memset(rnd, 0xff, sizeof(rnd));
  for (size_t rx = 0; rx < 1500; rx++) {
    size_t n = rn_reset_write(rx, token, rnd, out, sizeof(out));
    if (rx <= 21) {
      assert_int_equal(n, 0);
      continue;
    }
    assert_true(n < rx && n >= 21 && n <= RN_RESET_BYTES_MAX);
    assert_int_equal(out[0] & 0xc0, 0x40);
    assert_memory_equal(out + n - 16, token, 16);
    assert_int_equal(rn_reset_write(rx, token, rnd, out, n - 1), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(retry_matches_rfc9001_vector),
    cmocka_unit_test(retry_that_does_not_fit_is_not_written),
    cmocka_unit_test(version_negotiation_offers_version_1_and_grease),
    cmocka_unit_test(stateless_reset_is_shorter_than_its_cause),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
