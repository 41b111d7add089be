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
  uint8_t secret[32] = { 42 }, keys[2 * RN_SECRET_USE_COUNT][32];
  int n = 0;
  for (uint32_t epoch = 0; epoch < 2; epoch++)
    for (enum rn_secret_use u = RN_SECRET_CID; u < RN_SECRET_USE_COUNT; u++)
      assert_int_equal(rn_secret_key(secret, 32, u, epoch, keys[n++], 32), RN_OK);
  for (int i = 0; i < n; i++)
    for (int j = 0; j < i; j++)
      assert_memory_not_equal(keys[i], keys[j], 32);
  const uint8_t(*of)[32] = &keys[RN_SECRET_USE_COUNT];
  struct rn_secret_keys all, before;
  struct rn_cid_config c = config();
  assert_int_equal(rn_secret_derive(secret, 32, 1, &all), RN_OK);
  assert_memory_equal(all.ticket, of[RN_SECRET_TICKET], 32);
  rn_secret_to_cid(&all, &c);
  assert_memory_equal(c.key, of[RN_SECRET_CID], 16);
  assert_memory_equal(c.reset_key, of[RN_SECRET_RESET], 32);
  assert_memory_equal(c.token_key, of[RN_SECRET_RETRY], 32);
  assert_memory_equal(c.address_key, of[RN_SECRET_ADDRESS], 32);
  assert_int_equal(c.key_epoch, 1);
  assert_int_equal(c.config_id, 1);
  assert_int_equal(c.server_id, 0xabcd);
  before = all;
  assert_int_equal(rn_secret_derive(secret, 31, 1, &all), RN_ERR_INVAL);
  assert_memory_equal(&all, &before, sizeof(all));
}

/* Nodes of different versions have to agree: the derivation may not change. Computed by another HKDF, here in Python, for the secret 00 01 .. 1f
 * (with "import hmac, hashlib; H = lambda k, d: hmac.digest(k, d, 'sha256')" and more of T than its first block by the same rule):
 *
 *   prk = H(b"rpcnet node secret", bytes(range(32)))
 *   T1 = H(prk, label + b"\0" + epoch.to_bytes(4, "big") + b"\1"); T2 = H(prk, T1 + label + b"\0" + epoch.to_bytes(4, "big") + b"\2"); ... */
static void derivation_is_stable(void **state) {
  (void)state;
  static const struct {
    enum rn_secret_use use;
    uint32_t epoch;
    const char *hex;
  } golden[] = {
    { RN_SECRET_CID, 1, "614d722bfa3e9a0c847f74a1ba6687f3" },
    { RN_SECRET_CID, 0x01020304, "a75d1ed84fe49a342fe0420a23ee1313" },
    { RN_SECRET_RESET, 1, "8ed1afab0cdd8b7ce9b4416f41b5bdc8b33c6f71f8ab9ecd46383522cce562ae" },
    { RN_SECRET_RESET, 0x01020304,
      "55d63cb5123bcad1cc69896fa3d6d9f81daeaf9196b0e3f76f55278869f141ee" },
    { RN_SECRET_RETRY, 1, "865e9d4bdf0e99e6fc683416af61eba4bb2f6201f0f2f86e0c9b01b5dfe3690e" },
    { RN_SECRET_RETRY, 0x01020304,
      "e67bf32953c874325b7b05f49634c206d09af8c380da744ea3d351bdb693f530" },
    { RN_SECRET_ADDRESS, 1, "5817ac3db3de3424873cad95a27bca96a4ba61189d77f539a5c8162c3947e9ee" },
    { RN_SECRET_ADDRESS, 0x01020304,
      "f3f1d04b90b146676008cf82222f633a95b9b07f0e9a41ddf9efbe610a2a71ae" },
    { RN_SECRET_TICKET, 1,
      "952a6cdb42ff507e824e68b48ff3a7713d356c215d2e57d00821a3b8ac838243"
      "2f21665aa6976e431b12ac82534d06878efb60ef457749213ad05d41e4635553"
      "fa69b56355bf627a4cae590e18d03313" },
    { RN_SECRET_TICKET, 0x01020304,
      "80111099c9e4172be7ee5024a5c06716dc452f88a5265c2b156b8ef63392d8fc"
      "b31bcb4a50f9b404bc7379f04d020c48cc7c3e3630bd3aa437fa46f5aef717ec"
      "849db82225b305a76cf6b7ada98ad20a" },
  };
  uint8_t secret[32], got[80], want[80];
  for (uint8_t i = 0; i < 32; i++)
    secret[i] = i;
  for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
    size_t n = rn_test_unhex(golden[i].hex, want, sizeof(want));
    assert_int_equal(rn_secret_key(secret, 32, golden[i].use, golden[i].epoch, got, n), RN_OK);
    assert_memory_equal(got, want, n);
  }
}

/* Two epochs that a peer could mistake for each other are seven apart. */
static void config_ids_of_seven_epochs_in_a_row_differ(void **state) {
  (void)state;
  for (uint32_t first = 0; first < 20; first++) {
    unsigned int seen = 0;
    for (uint32_t e = first; e < first + RN_SECRET_EPOCHS_MAX; e++)
      seen |= 1u << rn_secret_config_id(e);
    assert_int_equal(seen, 0x7f); /* 7 itself is reserved by the draft */
  }
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
    cmocka_unit_test(config_ids_of_seven_epochs_in_a_row_differ),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
