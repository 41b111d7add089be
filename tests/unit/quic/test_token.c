#include "rn_test.h"

#include <openssl/evp.h>

#include "quic/token.h"
#include "util/err.h"

#define S UINT64_C(1000000000)

static struct rn_token_codec *codec_of(uint8_t first, uint8_t config_id) {
  uint8_t key[32] = { first, 2, 3 };
  struct rn_token_codec *k = NULL;
  void *mem = aligned_alloc(64, rn_token_codec_footprint());
  assert_int_equal(rn_token_codec_init(mem, key, config_id, &k), RN_OK);
  return k;
}
static struct rn_token_codec *codec(uint8_t first) { return codec_of(first, 5); }

static const struct rn_addr client = { .family = 4, .ip = { 192, 0, 2, 1 }, .port = 4433 };
static const uint8_t rnd[RN_TOKEN_RND_BYTES] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static const uint8_t odcid[9] = "original", scid[17] = "retry-scid-17byt";

/* RFC 5297 appendix A.1. */
static void siv_matches_rfc5297_vector(void **state) {
  (void)state;
  uint8_t key[32], aad[24], plain[14], want[30], tag[16], out[14];
  rn_test_unhex("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff", key, 32);
  rn_test_unhex("101112131415161718191a1b1c1d1e1f2021222324252627", aad, 24);
  rn_test_unhex("112233445566778899aabbccddee", plain, 14);
  rn_test_unhex("85632d07c6e8f37f950acd320a2ecc9340c02b9690c4dc04daef7f6afe5c", want, 30);
  struct rn_token_codec *k;
  void *mem = aligned_alloc(64, rn_token_codec_footprint());
  assert_int_equal(rn_token_codec_init(mem, key, 0, &k), RN_OK);
  rn_token_siv_seal(k, aad, 24, plain, 14, tag, out);
  assert_memory_equal(tag, want, 16);
  assert_memory_equal(out, want + 16, 14);
  free(mem);
}

static void siv_agrees_with_openssl(void **state) {
  (void)state;
  EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-128-SIV", NULL);
  assert_non_null(cipher);
  for (size_t n = 1; n <= 64; n++) {
    uint8_t key[32], aad[64], plain[64], out[64], tag[16], want[64], want_tag[16];
    for (size_t i = 0; i < 64; i++) {
      key[i % 32] = (uint8_t)(i * n + 1);
      aad[i] = (uint8_t)(i * 3 + n);
      plain[i] = (uint8_t)(i * 5 + n);
    }
    struct rn_token_codec *k;
    void *mem = aligned_alloc(64, rn_token_codec_footprint());
    assert_int_equal(rn_token_codec_init(mem, key, 0, &k), RN_OK);
    rn_token_siv_seal(k, aad, 65 - n, plain, n, tag, out);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int len;
    assert_int_equal(EVP_EncryptInit_ex2(ctx, cipher, key, NULL, NULL), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &len, aad, (int)(65 - n)), 1);
    assert_int_equal(EVP_EncryptUpdate(ctx, want, &len, plain, (int)n), 1);
    assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, want_tag), 1);
    assert_memory_equal(tag, want_tag, 16);
    assert_memory_equal(out, want, n);
    EVP_CIPHER_CTX_free(ctx);
    free(mem);
  }
  EVP_CIPHER_free(cipher);
}

static void retry_token_gives_back_the_original_dcid(void **state) {
  (void)state;
  struct rn_token_codec *k = codec(1);
  uint8_t token[RN_TOKEN_RETRY_BYTES], cid[20], got[20];
  memset(cid, 0x77, sizeof(cid));
  for (size_t n = 0; n <= 20; n++) {
    size_t got_n = 99;
    rn_token_retry_make(k, 5 * S, &client, cid, n, scid, sizeof(scid), rnd, token);
    assert_int_equal(rn_token_retry_read(k, 6 * S, 10 * S, &client, scid, sizeof(scid), token,
                                         sizeof(token), got, &got_n),
                     RN_OK);
    assert_int_equal(got_n, n);
    assert_memory_equal(got, cid, n);
  }
  free(k);
}

static int read_retry(const struct rn_token_codec *k, uint64_t now, const struct rn_addr *from,
                      const uint8_t *dcid, size_t dcid_n, const uint8_t *token, size_t n) {
  uint8_t got[20];
  size_t got_n;
  return rn_token_retry_read(k, now, 10 * S, from, dcid, dcid_n, token, n, got, &got_n);
}

/* RFC 9000 section 8.1.4. */
static void retry_token_is_bound_to_client_time_and_packet(void **state) {
  (void)state;
  struct rn_token_codec *k = codec(1), *other = codec(9);
  uint8_t token[RN_TOKEN_RETRY_BYTES];
  struct rn_addr ip = client, port = client, family = client;
  ip.ip[3]++;
  port.port++;
  family.family = 6;
  rn_token_retry_make(k, 100 * S, &client, odcid, sizeof(odcid), scid, sizeof(scid), rnd, token);
#define READ(now, from, dcid_n) read_retry(k, now, from, scid, dcid_n, token, sizeof(token))
  assert_int_equal(READ(100 * S, &client, 17), RN_OK);
  assert_int_equal(READ(110 * S, &client, 17), RN_OK);
  assert_int_equal(READ(110 * S + 1, &client, 17), RN_ERR_TIMEOUT);
  assert_int_equal(READ(99 * S, &client, 17), RN_OK); /* a clock a little behind */
  assert_int_equal(READ(98 * S, &client, 17), RN_ERR_TIMEOUT);
  assert_int_equal(READ(100 * S, &ip, 17), RN_ERR_REFUSED);
  assert_int_equal(READ(100 * S, &port, 17), RN_ERR_REFUSED);
  assert_int_equal(READ(100 * S, &family, 17), RN_ERR_REFUSED);
  assert_int_equal(READ(100 * S, &client, 16), RN_ERR_REFUSED);
#undef READ
  assert_int_equal(read_retry(other, 100 * S, &client, scid, 17, token, sizeof(token)),
                   RN_ERR_REFUSED);
  free(k);
  free(other);
}

static void every_changed_bit_is_seen(void **state) {
  (void)state;
  struct rn_token_codec *k = codec(1);
  uint8_t token[RN_TOKEN_RETRY_BYTES], address[RN_TOKEN_NEW_BYTES];
  rn_token_retry_make(k, 100 * S, &client, odcid, sizeof(odcid), scid, sizeof(scid), rnd, token);
  rn_token_new_make(k, 100 * S, &client, rnd, address);
  for (size_t bit = 0; bit < 8 * sizeof(token); bit++) {
    token[bit / 8] ^= (uint8_t)(1 << bit % 8);
    assert_int_equal(read_retry(k, 100 * S, &client, scid, 17, token, sizeof(token)),
                     RN_ERR_REFUSED);
    token[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  for (size_t bit = 0; bit < 8 * sizeof(address); bit++) {
    address[bit / 8] ^= (uint8_t)(1 << bit % 8);
    assert_int_equal(rn_token_new_read(k, 100 * S, 10 * S, &client, address, sizeof(address)),
                     RN_ERR_REFUSED);
    address[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
  for (size_t n = 0; n < sizeof(token); n++)
    assert_int_equal(read_retry(k, 100 * S, &client, scid, 17, token, n), RN_ERR_REFUSED);
  free(k);
}

/* RFC 9000 section 8.1.3: for the next connection, which may come from another port. */
static void new_token_is_bound_to_ip_and_time(void **state) {
  (void)state;
  struct rn_token_codec *k = codec(1);
  uint8_t token[RN_TOKEN_NEW_BYTES], second[RN_TOKEN_NEW_BYTES];
  struct rn_addr port = client, ip = client;
  port.port++;
  ip.ip[0]++;
  rn_token_new_make(k, 100 * S, &client, rnd, token);
  assert_int_equal(rn_token_new_read(k, 105 * S, 10 * S, &port, token, sizeof(token)), RN_OK);
  assert_int_equal(rn_token_new_read(k, 105 * S, 10 * S, &ip, token, sizeof(token)),
                   RN_ERR_REFUSED);
  assert_int_equal(rn_token_new_read(k, 111 * S, 10 * S, &port, token, sizeof(token)),
                   RN_ERR_TIMEOUT);
  static const uint8_t other[RN_TOKEN_RND_BYTES] = { 9 };
  rn_token_new_make(k, 100 * S, &client, other, second);
  assert_memory_not_equal(token, second, sizeof(token)); /* each is unique */
  /* One kind does not pass for the other. */
  assert_int_equal(read_retry(k, 100 * S, &client, scid, 17, token, sizeof(token)), RN_ERR_REFUSED);
  free(k);
}

static void retry_token_hides_what_it_carries(void **state) {
  (void)state;
  struct rn_token_codec *k = codec(1);
  uint8_t token[RN_TOKEN_RETRY_BYTES];
  rn_token_retry_make(k, 100 * S, &client, odcid, sizeof(odcid), scid, sizeof(scid), rnd, token);
  for (size_t i = 0; i + 4 <= sizeof(token); i++)
    assert_memory_not_equal(token + i, odcid, 4);
  free(k);
}

/* So that a reader with several keys tries one of them. */
static void tokens_name_the_epoch_of_their_key(void **state) {
  (void)state;
  for (uint8_t id = 0; id < 7; id++) {
    struct rn_token_codec *k = codec_of(1, id), *next = codec_of(1, (uint8_t)((id + 1) % 7));
    uint8_t retry[RN_TOKEN_RETRY_BYTES], address[RN_TOKEN_NEW_BYTES];
    rn_token_retry_make(k, 100 * S, &client, odcid, sizeof(odcid), scid, sizeof(scid), rnd, retry);
    rn_token_new_make(k, 100 * S, &client, rnd, address);
    assert_int_equal(retry[0] & RN_TOKEN_ID_MASK, id);
    assert_int_equal(retry[0] & RN_TOKEN_KIND_MASK, RN_TOKEN_RETRY);
    assert_int_equal(address[0] & RN_TOKEN_ID_MASK, id);
    assert_int_equal(address[0] & RN_TOKEN_KIND_MASK, RN_TOKEN_NEW_TOKEN);
    assert_int_equal(read_retry(k, 100 * S, &client, scid, 17, retry, sizeof(retry)), RN_OK);
    /* The name is authenticated: the same key under another one does not open it. */
    retry[0] = (uint8_t)(RN_TOKEN_RETRY | (id + 1) % 7);
    assert_int_equal(read_retry(next, 100 * S, &client, scid, 17, retry, sizeof(retry)),
                     RN_ERR_REFUSED);
    free(k);
    free(next);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(siv_matches_rfc5297_vector),
    cmocka_unit_test(siv_agrees_with_openssl),
    cmocka_unit_test(retry_token_gives_back_the_original_dcid),
    cmocka_unit_test(retry_token_is_bound_to_client_time_and_packet),
    cmocka_unit_test(every_changed_bit_is_seen),
    cmocka_unit_test(new_token_is_bound_to_ip_and_time),
    cmocka_unit_test(retry_token_hides_what_it_carries),
    cmocka_unit_test(tokens_name_the_epoch_of_their_key),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
