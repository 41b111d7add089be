#include "rn_test.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "quic/hkdf.h"
#include "quic/keys.h"
#include "util/err.h"

struct vector {
  const char *ikm, *salt, *info, *prk, *okm;
};

/* RFC 5869 appendix A.1 to A.3, SHA-256. */
static const struct vector vectors[] = {
  { "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
    "f0f1f2f3f4f5f6f7f8f9", "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
    "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865" },
  { "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
    "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
    "404142434445464748494a4b4c4d4e4f",
    "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
    "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
    "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
    "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
    "d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
    "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
    "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
    "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
    "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
    "cc30c58179ec3e87c14c01d5c1f3434f1d87" },
  { "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
    "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
    "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8" },
};

static void matches_rfc5869_vectors(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
    const struct vector *v = &vectors[i];
    uint8_t ikm[128], salt[128], info[128], prk[32], okm[128], got[128];
    size_t ikm_n = rn_test_unhex(v->ikm, ikm, sizeof(ikm));
    size_t salt_n = rn_test_unhex(v->salt, salt, sizeof(salt));
    size_t info_n = rn_test_unhex(v->info, info, sizeof(info));
    size_t okm_n = rn_test_unhex(v->okm, okm, sizeof(okm));
    rn_test_unhex(v->prk, prk, sizeof(prk));

    rn_hkdf_extract(RN_HASH_SHA256, salt, salt_n, ikm, ikm_n, got);
    assert_memory_equal(got, prk, 32);
    struct rn_hmac k;
    rn_hmac_init(&k, RN_HASH_SHA256, prk, 32);
    assert_int_equal(rn_hkdf_expand(&k, info, info_n, got, okm_n), RN_OK);
    assert_memory_equal(got, okm, okm_n);
  }
}

static void refuses_what_hkdf_cannot_give(void **state) {
  (void)state;
  static uint8_t out[255 * 32 + 1], info[RN_HKDF_INFO_BYTES_MAX + 1];
  struct rn_hmac k;
  rn_hmac_init(&k, RN_HASH_SHA256, out, 32);
  assert_int_equal(rn_hkdf_expand(&k, NULL, 0, out, 255 * 32), RN_OK);
  assert_int_equal(rn_hkdf_expand(&k, NULL, 0, out, 255 * 32 + 1), RN_ERR_INVAL);
  assert_int_equal(rn_hkdf_expand(&k, info, sizeof(info), out, 32), RN_ERR_INVAL);
}

/* RFC 9001 appendix A.1. */
static void derives_initial_secrets_of_rfc9001(void **state) {
  (void)state;
  uint8_t dcid[8], client[32], server[32], want[32], got[32];
  rn_test_unhex("8394c8f03e515708", dcid, sizeof(dcid));
  rn_keys_initial_secrets(dcid, sizeof(dcid), client, server);
  rn_test_unhex("c00cf151ca5be075ed0ebfb5c80323c42d6b7db67881289af4008f1f6c357aea", want, 32);
  assert_memory_equal(client, want, 32);
  rn_test_unhex("3c199828fd139efd216c155ad844cc81fb82fa8d7446fa7d78be803acdda951b", want, 32);
  assert_memory_equal(server, want, 32);

  static const struct {
    bool server;
    const char *label, *hex;
  } keys[] = {
    { false, "quic key", "1f369613dd76d5467730efcbe3b1a22d" },
    { false, "quic iv", "fa044b2f42a3fd3b46fb255c" },
    { false, "quic hp", "9f50449e04a0e810283a1e9933adedd2" },
    { true, "quic key", "cf3a5331653c364c88f0f379b6067e37" },
    { true, "quic iv", "0ac1493ca1905853b0bba03e" },
    { true, "quic hp", "c206b8d9b9f0f37644430b490eeaa314" },
  };
  for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
    struct rn_hmac k;
    size_t n = rn_test_unhex(keys[i].hex, want, sizeof(want));
    rn_hmac_init(&k, RN_HASH_SHA256, keys[i].server ? server : client, 32);
    rn_hkdf_label(&k, keys[i].label, got, n);
    assert_memory_equal(got, want, n);
  }
}

/* RFC 9001 appendix A.5. */
static void derives_next_secret_of_rfc9001(void **state) {
  (void)state;
  uint8_t secret[32], want[32], got[32];
  rn_test_unhex("9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b", secret, 32);
  rn_test_unhex("1223504755036d556342ee9361d253421a826c9ecdf3c7148684b36b714881f9", want, 32);
  rn_keys_next_secret(RN_HASH_SHA256, secret, 32, got);
  assert_memory_equal(got, want, 32);
}

static void openssl_hkdf(const char *md, uint8_t *key, size_t key_n, uint8_t *salt, size_t salt_n,
                         uint8_t *info, size_t info_n, uint8_t *out, size_t n) {
  EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
  EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
  char name[16];
  snprintf(name, sizeof(name), "%s", md);
  OSSL_PARAM params[] = {
    OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, name, 0),
    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, key, key_n),
    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, salt, salt_n),
    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, info_n),
    OSSL_PARAM_construct_end(),
  };
  assert_int_equal(EVP_KDF_derive(ctx, out, n, params), 1);
  EVP_KDF_CTX_free(ctx);
  EVP_KDF_free(kdf);
}

/* Both hashes, keys and salts below, at and above a block. */
static void agrees_with_openssl(void **state) {
  (void)state;
  uint8_t key[200], salt[200], info[100], prk[RN_HASH_BYTES_MAX], got[300], want[300];
  for (size_t i = 0; i < sizeof(key); i++) {
    key[i] = (uint8_t)(7 * i + 1);
    salt[i] = (uint8_t)(11 * i + 2);
    info[i % 100] = (uint8_t)(13 * i + 3);
  }
  static const size_t sizes[] = { 1, 32, 48, 63, 64, 65, 127, 128, 129, 200 };
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    for (enum rn_hash h = RN_HASH_SHA256; h <= RN_HASH_SHA384; h++) {
      size_t n = sizes[i];
      struct rn_hmac k;
      rn_hkdf_extract(h, salt, n, key, n, prk);
      rn_hmac_init(&k, h, prk, rn_hash_bytes(h));
      assert_int_equal(rn_hkdf_expand(&k, info, n / 2, got, n + 100), RN_OK);
      openssl_hkdf(h == RN_HASH_SHA256 ? "SHA256" : "SHA384", key, n, salt, n, info, n / 2, want,
                   n + 100);
      assert_memory_equal(got, want, n + 100);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(matches_rfc5869_vectors),
    cmocka_unit_test(refuses_what_hkdf_cannot_give),
    cmocka_unit_test(derives_initial_secrets_of_rfc9001),
    cmocka_unit_test(derives_next_secret_of_rfc9001),
    cmocka_unit_test(agrees_with_openssl),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
