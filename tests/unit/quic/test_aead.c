#include "rn_test.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "quic/aead.h"
#include "quic/keys.h"
#include "util/err.h"

#define CTX_COUNT 4

static struct rn_aead_pool *pool;
static void *pool_mem;

static int setup(void **state) {
  (void)state;
  size_t n = rn_aead_pool_footprint(CTX_COUNT);
  assert_true(n > 0);
  pool_mem = aligned_alloc(64, n);
  assert_int_equal(rn_aead_pool_init(pool_mem, CTX_COUNT, &pool), RN_OK);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  assert_int_equal(rn_aead_pool_in_use(pool), 0);
  assert_int_equal(rn_aead_pool_check(pool), RN_OK);
  rn_aead_pool_fini(pool);
  free(pool_mem);
  return 0;
}

struct keys {
  ngtcp2_crypto_aead_ctx aead;
  ngtcp2_crypto_cipher_ctx hp;
  uint8_t iv[RN_AEAD_IV_BYTES];
};

static void take(struct keys *k, enum rn_aead_suite suite, const uint8_t *secret, size_t n) {
  assert_int_equal(rn_aead_keys(pool, suite, secret, n, &k->aead, &k->hp, k->iv), RN_OK);
}

static void put(struct keys *k) {
  rn_aead_ctx_put(pool, &k->aead);
  rn_aead_hp_put(pool, &k->hp);
}

/* Protects a packet as RFC 9001 sections 5.3 and 5.4 say. header[0..n) with the packet number in its
 * last pn_bytes, in clear; payload behind it. Returns the length. */
static size_t protect(const struct keys *k, uint8_t *packet, size_t header_n, size_t pn_bytes,
                      uint64_t pn, size_t payload_n) {
  uint8_t nonce[12], mask[5];
  memcpy(nonce, k->iv, 12);
  for (int i = 0; i < 8; i++)
    nonce[11 - i] ^= (uint8_t)(pn >> (8 * i));
  assert_int_equal(rn_aead_encrypt(packet + header_n, NULL, &k->aead, packet + header_n, payload_n,
                                   nonce, 12, packet, header_n),
                   0);
  uint8_t *pn_at = packet + header_n - pn_bytes;
  assert_int_equal(rn_aead_hp_mask(mask, NULL, &k->hp, pn_at + 4), 0);
  packet[0] ^= (uint8_t)(mask[0] & (packet[0] & 0x80 ? 0x0f : 0x1f));
  for (size_t i = 0; i < pn_bytes; i++)
    pn_at[i] ^= mask[1 + i];
  return header_n + payload_n + RN_AEAD_TAG_BYTES;
}

/* RFC 9001 appendix A.2: first and last bytes of the 1200. */
static void protects_client_initial_of_rfc9001(void **state) {
  (void)state;
  uint8_t dcid[8], client[32], server[32], want[64], packet[1200] = { 0 };
  rn_test_unhex("8394c8f03e515708", dcid, 8);
  rn_keys_initial_secrets(dcid, 8, client, server);
  struct keys k;
  take(&k, RN_AEAD_AES128_GCM, client, 32);
  size_t header_n =
      rn_test_unhex("c300000001088394c8f03e5157080000449e00000002", packet, sizeof(packet));
  rn_test_unhex("060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b694"
                "84c00000413011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00"
                "080006001d0017001800100007000504616c706e000500050100000000003300260024001d0020937"
                "0b2c9caa47fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d00"
                "10000e0403050306030203080408050806002d00020101001c00024001003900320408fffffffffff"
                "fffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e51570806048000"
                "ffff",
                packet + header_n, sizeof(packet) - header_n);
  assert_int_equal(protect(&k, packet, header_n, 4, 2, 1162), 1200);
  size_t n = rn_test_unhex("c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11"
                           "d242b123dc9bd8bab936b47d92ec356c0bab7df5976d27cd449f63300099f399",
                           want, sizeof(want));
  assert_memory_equal(packet, want, n);
  rn_test_unhex("e221af44860018ab0856972e194cd934", want, sizeof(want));
  assert_memory_equal(packet + 1200 - 16, want, 16);
  put(&k);
}

/* RFC 9001 appendix A.3. */
static void protects_server_initial_of_rfc9001(void **state) {
  (void)state;
  uint8_t dcid[8], client[32], server[32], want[200], packet[200];
  rn_test_unhex("8394c8f03e515708", dcid, 8);
  rn_keys_initial_secrets(dcid, 8, client, server);
  struct keys k;
  take(&k, RN_AEAD_AES128_GCM, server, 32);
  size_t h = rn_test_unhex("c1000000010008f067a5502a4262b50040750001", packet, sizeof(packet));
  size_t p =
      rn_test_unhex("02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf73988cfc7"
                    "9825df566dc5430b9a045a1200130100002e00330024001d00209d3c940d89690b84d08a"
                    "60993c144eca684d1081287c834d5311bcf32bb9da1a002b00020304",
                    packet + h, sizeof(packet) - h);
  size_t n = protect(&k, packet, h, 2, 1, p);
  assert_int_equal(rn_test_unhex("cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a"
                                 "5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3"
                                 "dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84"
                                 "022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc4"
                                 "2158407dd074ee",
                                 want, sizeof(want)),
                   n);
  assert_memory_equal(packet, want, n);
  put(&k);
}

/* RFC 9001 appendix A.5. */
static void protects_chacha_packet_of_rfc9001(void **state) {
  (void)state;
  uint8_t secret[32], want[64], packet[64];
  rn_test_unhex("9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b", secret, 32);
  struct keys k;
  take(&k, RN_AEAD_CHACHA20, secret, 32);
  rn_test_unhex("e0459b3474bdd0e44a41c144", want, sizeof(want));
  assert_memory_equal(k.iv, want, 12);
  size_t h = rn_test_unhex("4200bff401", packet, sizeof(packet)) - 1;
  size_t n = protect(&k, packet, h, 3, 654360564, 1);
  assert_int_equal(rn_test_unhex("4cfe4189655e5cd55c41f69080575d7999c25a5bfb", want, sizeof(want)),
                   n);
  assert_memory_equal(packet, want, n);
  put(&k);
}

/* Test case 16 of the GCM specification (McGrew, Viega), which NIST SP 800-38D refers to. */
static void matches_aes256_gcm_vector(void **state) {
  (void)state;
  uint8_t key[32], iv[12], aad[20], plain[60], want[76], got[76];
  rn_test_unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", key, 32);
  rn_test_unhex("cafebabefacedbaddecaf888", iv, 12);
  rn_test_unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2", aad, 20);
  rn_test_unhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532f"
                "cf0e2449a6b525b16aedf5aa0de657ba637b39",
                plain, 60);
  rn_test_unhex("522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7"
                "b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
                want, 76);
  ngtcp2_crypto_aead_ctx ctx;
  assert_int_equal(rn_aead_ctx_take(pool, RN_AEAD_AES256_GCM, key, &ctx), RN_OK);
  assert_int_equal(rn_aead_encrypt(got, NULL, &ctx, plain, 60, iv, 12, aad, 20), 0);
  assert_memory_equal(got, want, 76);
  rn_aead_ctx_put(pool, &ctx);
}

static const char *const evp_names[] = { "AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305" };

static void evp_seal(const char *name, const uint8_t *key, const uint8_t *iv, const uint8_t *aad,
                     size_t aad_n, const uint8_t *plain, size_t n, uint8_t *out) {
  EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
  EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
  int len;
  OSSL_PARAM params[] = { OSSL_PARAM_construct_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, out + n,
                                                            16),
                          OSSL_PARAM_construct_end() };
  assert_int_equal(EVP_EncryptInit_ex2(ctx, cipher, key, iv, NULL), 1);
  assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &len, aad, (int)aad_n), 1);
  assert_int_equal(EVP_EncryptUpdate(ctx, out, &len, plain, (int)n), 1);
  assert_int_equal(EVP_EncryptFinal_ex(ctx, out + len, &len), 1);
  assert_int_equal(EVP_CIPHER_CTX_get_params(ctx, params), 1);
  EVP_CIPHER_CTX_free(ctx);
  EVP_CIPHER_free(cipher);
}

static uint64_t rng = 88172645463325252ull;
static uint64_t next_random(void) {
  rng ^= rng << 13;
  rng ^= rng >> 7;
  return rng ^= rng << 17;
}

static void fill(uint8_t *b, size_t n) {
  for (size_t i = 0; i < n; i++)
    b[i] = (uint8_t)next_random();
}

static void agrees_with_openssl_and_sees_every_changed_bit(void **state) {
  (void)state;
  for (int round = 0; round < 600; round++) {
    enum rn_aead_suite suite = (enum rn_aead_suite)(round % RN_AEAD_SUITE_COUNT);
    uint8_t key[32], iv[12], aad[64], plain[1500], got[1516], want[1516], back[1516];
    size_t n = round < 200 ? (size_t)round : next_random() % 1500, aad_n = next_random() % 64;
    fill(key, 32);
    fill(iv, 12);
    fill(aad, aad_n);
    fill(plain, n);
    ngtcp2_crypto_aead_ctx ctx;
    assert_int_equal(rn_aead_ctx_take(pool, suite, key, &ctx), RN_OK);
    memcpy(got, plain, n); /* in place, as ngtcp2 does */
    assert_int_equal(rn_aead_encrypt(got, NULL, &ctx, got, n, iv, 12, aad, aad_n), 0);
    evp_seal(evp_names[suite], key, iv, aad, aad_n, plain, n, want);
    assert_memory_equal(got, want, n + 16);

    assert_int_equal(rn_aead_decrypt(back, NULL, &ctx, got, n + 16, iv, 12, aad, aad_n), 0);
    assert_memory_equal(back, plain, n);
    size_t bit = next_random() % (8 * (n + 16));
    got[bit / 8] ^= (uint8_t)(1 << bit % 8);
    assert_int_equal(rn_aead_decrypt(back, NULL, &ctx, got, n + 16, iv, 12, aad, aad_n),
                     NGTCP2_ERR_DECRYPT);
    assert_int_equal(rn_aead_decrypt(back, NULL, &ctx, got, 15, iv, 12, aad, aad_n),
                     NGTCP2_ERR_DECRYPT);
    rn_aead_ctx_put(pool, &ctx);
  }
}

static void hp_mask_agrees_with_openssl(void **state) {
  (void)state;
  static const char *const names[] = { "AES-128-ECB", "AES-256-ECB", "ChaCha20" };
  for (int round = 0; round < 60; round++) {
    enum rn_aead_suite suite = (enum rn_aead_suite)(round % RN_AEAD_SUITE_COUNT);
    uint8_t key[32], sample[16], got[5], want[64];
    static const uint8_t zero[5];
    fill(key, 32);
    fill(sample, 16);
    ngtcp2_crypto_cipher_ctx hp;
    assert_int_equal(rn_aead_hp_take(pool, suite, key, &hp), RN_OK);
    assert_int_equal(rn_aead_hp_mask(got, NULL, &hp, sample), 0);
    rn_aead_hp_put(pool, &hp);

    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, names[suite], NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool chacha = suite == RN_AEAD_CHACHA20;
    int len;
    assert_int_equal(EVP_EncryptInit_ex2(ctx, cipher, key, chacha ? sample : NULL, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, want, &len, chacha ? zero : sample, chacha ? 5 : 16),
                     1);
    assert_memory_equal(got, want, 5);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(cipher);
  }
}

static void a_full_pool_refuses_and_takes_nothing(void **state) {
  (void)state;
  uint8_t secret[48] = { 1 };
  struct keys k[CTX_COUNT], more = { 0 };
  ngtcp2_crypto_cipher_ctx hp;
  for (int i = 0; i < CTX_COUNT; i++)
    take(&k[i], RN_AEAD_AES256_GCM, secret, 48);
  assert_int_equal(
      rn_aead_keys(pool, RN_AEAD_AES128_GCM, secret, 32, &more.aead, &more.hp, more.iv),
      RN_ERR_LIMIT);
  assert_null(more.aead.native_handle);
  /* Room for the packet key but none for header protection. */
  rn_aead_ctx_put(pool, &k[0].aead);
  uint32_t before = rn_aead_pool_in_use(pool);
  assert_int_equal(
      rn_aead_keys(pool, RN_AEAD_AES128_GCM, secret, 32, &more.aead, &more.hp, more.iv),
      RN_ERR_LIMIT);
  assert_null(more.aead.native_handle);
  assert_int_equal(rn_aead_pool_in_use(pool), before);
  assert_int_equal(rn_aead_pool_check(pool), RN_OK);
  assert_int_equal(rn_aead_hp_take(pool, RN_AEAD_CHACHA20, secret, &hp), RN_ERR_LIMIT);
  for (int i = 0; i < CTX_COUNT; i++)
    put(&k[i]);
}

static bool occurs(const uint8_t *in, size_t n, const uint8_t *what, size_t what_n) {
  for (size_t i = 0; i + what_n <= n; i++)
    if (memcmp(in + i, what, what_n) == 0)
      return true;
  return false;
}

static void no_key_is_left_when_given_back(void **state) {
  (void)state;
  size_t n = rn_aead_pool_footprint(CTX_COUNT);
  for (enum rn_aead_suite s = RN_AEAD_AES128_GCM; s < RN_AEAD_SUITE_COUNT; s++) {
    uint8_t key[32];
    fill(key, 32);
    ngtcp2_crypto_aead_ctx ctx;
    ngtcp2_crypto_cipher_ctx hp;
    assert_int_equal(rn_aead_ctx_take(pool, s, key, &ctx), RN_OK);
    assert_int_equal(rn_aead_hp_take(pool, s, key, &hp), RN_OK);
    assert_true(occurs(pool_mem, n, key, 16));
    rn_aead_ctx_put(pool, &ctx);
    rn_aead_hp_put(pool, &hp);
    assert_false(occurs(pool_mem, n, key, 16));
  }
}

/* RFC 9001 section 6.6. */
static void states_the_usage_limits(void **state) {
  (void)state;
  for (enum rn_aead_suite s = RN_AEAD_AES128_GCM; s < RN_AEAD_SUITE_COUNT; s++) {
    const ngtcp2_crypto_ctx *c = rn_aead_crypto_ctx(s);
    assert_int_equal(rn_aead_suite_of(&c->aead), s);
    assert_int_equal(c->aead.max_overhead, 16);
    assert_true(c->max_encryption <= (s == RN_AEAD_CHACHA20 ? 1ull << 62 : 1ull << 23));
    assert_true(c->max_decryption_failure == (s == RN_AEAD_CHACHA20 ? 1ull << 36 : 1ull << 52));
  }
  assert_int_equal(rn_aead_suite_of(&rn_aead_initial_ctx()->aead), RN_AEAD_AES128_GCM);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
    CASE(protects_client_initial_of_rfc9001),
    CASE(protects_server_initial_of_rfc9001),
    CASE(protects_chacha_packet_of_rfc9001),
    CASE(matches_aes256_gcm_vector),
    CASE(agrees_with_openssl_and_sees_every_changed_bit),
    CASE(hp_mask_agrees_with_openssl),
    CASE(a_full_pool_refuses_and_takes_nothing),
    CASE(no_key_is_left_when_given_back),
    CASE(states_the_usage_limits),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
