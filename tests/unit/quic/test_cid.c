#include "rn_test.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "quic/cid.h"
#include "quic/secret.h"
#include "util/err.h"

static struct rn_cid_config config(void) {
  struct rn_cid_config c = {
    .config_id = 3, .server_id = 0xabcd, .epoch = 7, .lcore_idx = 2, .lcore_count = 4
  };
  for (uint8_t i = 0; i < 32; i++) {
    c.key[i % 16] = i;
    c.reset_key[i] = (uint8_t)(0x80 + i);
  }
  return c;
}

static struct rn_cid_codec *codec(const struct rn_cid_config *cfg) {
  struct rn_cid_codec *k = NULL;
  void *mem = aligned_alloc(64, rn_cid_codec_footprint());
  assert_int_equal(rn_cid_codec_init(mem, cfg, &k), RN_OK);
  return k;
}

static const uint8_t rnd[6] = { 1, 2, 3, 4, 5, 6 };

/* draft-ietf-quic-load-balancers, section 5.4.1: config and length octet, one AES-ECB block. */
static void has_the_layout_of_the_draft(void **state) {
  (void)state;
  struct rn_cid_config cfg = config();
  struct rn_cid_codec *k = codec(&cfg);
  uint8_t cid[RN_CID_BYTES], block[32], want[16];
  rn_cid_make(k, 0x010203, 0x0a0b0c, rnd, cid);
  assert_int_equal(cid[0], 3 << 5 | 16);
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  int n;
  assert_int_equal(EVP_DecryptInit_ex2(ctx, EVP_aes_128_ecb(), cfg.key, NULL, NULL), 1);
  EVP_CIPHER_CTX_set_padding(ctx, 0);
  assert_int_equal(EVP_DecryptUpdate(ctx, block, &n, cid + 1, 16), 1);
  EVP_CIPHER_CTX_free(ctx);
  rn_test_unhex("abcd"
                "07"
                "02"
                "010203"
                "0a0b0c"
                "010203040506",
                want, 16);
  assert_memory_equal(block, want, 16);
  free(k);
}

static void reads_what_it_made(void **state) {
  (void)state;
  struct rn_cid_config cfg = config();
  struct rn_cid_codec *k = codec(&cfg);
  uint32_t x = 1;
  for (int i = 0; i < 10000; i++) {
    uint8_t cid[RN_CID_BYTES], r[6];
    struct rn_cid got;
    x = x * 1664525 + 1013904223;
    uint32_t slot = x >> 8, gen = (x * 7) >> 8;
    memset(r, i, sizeof(r));
    rn_cid_make(k, slot, gen, r, cid);
    assert_int_equal(rn_cid_read(k, cid, sizeof(cid), &got), RN_CID_OURS);
    assert_int_equal(got.slot, slot);
    assert_int_equal(got.gen, gen);
    assert_int_equal(got.lcore_idx, 2);
    assert_int_equal(got.epoch, 7);
    assert_int_equal(got.server_id, 0xabcd);
  }
  free(k);
}

static enum rn_cid_verdict read_as(struct rn_cid_config maker, struct rn_cid_config reader) {
  struct rn_cid_codec *m = codec(&maker), *r = codec(&reader);
  uint8_t cid[RN_CID_BYTES];
  struct rn_cid got;
  memset(&got, 0xee, sizeof(got));
  struct rn_cid untouched = got;
  rn_cid_make(m, RN_CID_SLOT_NONE, 9, rnd, cid);
  enum rn_cid_verdict v = rn_cid_read(r, cid, sizeof(cid), &got);
  if (v == RN_CID_FOREIGN) {
    assert_memory_equal(&got, &untouched, sizeof(got));
  } else {
    assert_int_equal(got.slot, RN_CID_SLOT_NONE);
    assert_int_equal(got.lcore_idx, maker.lcore_idx);
    assert_int_equal(got.epoch, maker.epoch);
  }
  free(m);
  free(r);
  return v;
}

static void tells_whose_it_is(void **state) {
  (void)state;
  struct rn_cid_config a = config(), b = config();
  assert_int_equal(read_as(a, b), RN_CID_OURS);
  b.lcore_idx = 1;
  assert_int_equal(read_as(a, b), RN_CID_LCORE);
  b.epoch = 8;
  assert_int_equal(read_as(a, b), RN_CID_STALE); /* whatever lcore made it */
  b = config();
  b.server_id = 1;
  assert_int_equal(read_as(a, b), RN_CID_FOREIGN);
  b = config();
  b.config_id = 4;
  assert_int_equal(read_as(a, b), RN_CID_FOREIGN);
  b = config();
  b.key[0] ^= 1;
  assert_int_equal(read_as(a, b), RN_CID_FOREIGN);
  /* An lcore that this process does not have; an earlier start may have had it. */
  b = config();
  b.lcore_idx = 0;
  b.lcore_count = 2;
  assert_int_equal(read_as(a, b), RN_CID_FOREIGN);
  b.epoch = 8;
  assert_int_equal(read_as(a, b), RN_CID_STALE);
}

static void takes_any_bytes(void **state) {
  (void)state;
  struct rn_cid_config cfg = config();
  struct rn_cid_codec *k = codec(&cfg);
  uint8_t cid[RN_CID_BYTES + 3];
  struct rn_cid got;
  rn_cid_make(k, 1, 2, rnd, cid);
  for (size_t n = 0; n <= sizeof(cid); n++)
    if (n != RN_CID_BYTES)
      assert_int_equal(rn_cid_read(k, cid, n, &got), RN_CID_FOREIGN);
  /* Random ones pass for this node's once in 65,536. */
  int foreign = 0;
  uint64_t x = 88172645463325252ull;
  for (int i = 0; i < 20000; i++) {
    for (size_t j = 1; j < RN_CID_BYTES; j++) {
      x ^= x << 13;
      x ^= x >> 7;
      x ^= x << 17;
      cid[j] = (uint8_t)x;
    }
    foreign += rn_cid_read(k, cid, RN_CID_BYTES, &got) == RN_CID_FOREIGN;
  }
  assert_true(foreign > 19990);
  free(k);
}

static void two_cids_of_a_connection_share_nothing_but_the_first_octet(void **state) {
  (void)state;
  struct rn_cid_config cfg = config();
  struct rn_cid_codec *k = codec(&cfg);
  static const uint8_t other[6] = { 1, 2, 3, 4, 5, 7 };
  uint8_t a[RN_CID_BYTES], b[RN_CID_BYTES];
  rn_cid_make(k, 5, 6, rnd, a);
  rn_cid_make(k, 5, 6, other, b);
  int same = 0;
  for (size_t i = 1; i < RN_CID_BYTES; i++)
    same += a[i] == b[i];
  assert_true(same <= 3);
  free(k);
}

static void reset_token_is_an_hmac_of_the_cid(void **state) {
  (void)state;
  struct rn_cid_config cfg = config();
  struct rn_cid_codec *k = codec(&cfg);
  uint8_t cid[RN_CID_BYTES], got[16], want[32];
  rn_cid_make(k, 1, 2, rnd, cid);
  assert_int_equal(rn_cid_reset_token(k, cid, sizeof(cid), got), RN_OK);
  HMAC(EVP_sha256(), cfg.reset_key, 32, cid, sizeof(cid), want, NULL);
  assert_memory_equal(got, want, 16);
  free(k);
}

static void refuses_a_config_out_of_range(void **state) {
  (void)state;
  struct rn_cid_codec *k;
  void *mem = aligned_alloc(64, rn_cid_codec_footprint());
  struct rn_cid_config c = config();
  c.config_id = 7; /* reserved by the draft */
  assert_int_equal(rn_cid_codec_init(mem, &c, &k), RN_ERR_INVAL);
  c = config();
  c.lcore_idx = c.lcore_count;
  assert_int_equal(rn_cid_codec_init(mem, &c, &k), RN_ERR_INVAL);
  c.lcore_count = 0;
  assert_int_equal(rn_cid_codec_init(mem, &c, &k), RN_ERR_INVAL);
  free(mem);
}

/* ---- quic/secret ---- */

static void keys_of_one_secret_are_unrelated(void **state) {
  (void)state;
  uint8_t secret[32] = { 42 }, keys[8][32];
  int n = 0;
  for (uint32_t epoch = 0; epoch < 2; epoch++)
    for (enum rn_secret_use u = RN_SECRET_CID; u < RN_SECRET_USE_COUNT; u++)
      assert_int_equal(rn_secret_key(secret, 32, u, epoch, keys[n++], 32), RN_OK);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < i; j++)
      assert_memory_not_equal(keys[i], keys[j], 32);
  struct rn_cid_config c = config();
  assert_int_equal(rn_secret_cid_keys(secret, 32, 1, &c), RN_OK);
  assert_memory_equal(c.key, keys[4 + RN_SECRET_CID], 16);
  assert_memory_equal(c.reset_key, keys[4 + RN_SECRET_RESET], 32);
  assert_memory_equal(c.token_key, keys[4 + RN_SECRET_TOKEN], 32);
  assert_int_equal(c.server_id, 0xabcd);
  assert_int_equal(rn_secret_cid_keys(secret, 31, 1, &c), RN_ERR_INVAL);
}

/* Nodes of different versions have to agree: the derivation may not change. Computed with another
 * HKDF: salt "rpcnet node secret", info "rpcnet cid" 00 00000001. */
static void derivation_is_stable(void **state) {
  (void)state;
  uint8_t secret[32], got[16], want[16];
  for (uint8_t i = 0; i < 32; i++)
    secret[i] = i;
  assert_int_equal(rn_secret_key(secret, 32, RN_SECRET_CID, 1, got, 16), RN_OK);
  rn_test_unhex("614d722bfa3e9a0c847f74a1ba6687f3", want, 16);
  assert_memory_equal(got, want, 16);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(has_the_layout_of_the_draft),
    cmocka_unit_test(reads_what_it_made),
    cmocka_unit_test(tells_whose_it_is),
    cmocka_unit_test(takes_any_bytes),
    cmocka_unit_test(two_cids_of_a_connection_share_nothing_but_the_first_octet),
    cmocka_unit_test(reset_token_is_an_hmac_of_the_cid),
    cmocka_unit_test(refuses_a_config_out_of_range),
    cmocka_unit_test(keys_of_one_secret_are_unrelated),
    cmocka_unit_test(derivation_is_stable),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
