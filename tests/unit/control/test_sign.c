/* tests/unit/control/test_sign.c: control signs TLS 1.3 CertificateVerify inputs of servers, and nothing else. */
#include "rn_test.h"

#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "control/sign.h"
#include "pem_files.h"
#include "util/err.h"

#define CONTEXT "TLS 1.3, server CertificateVerify"

struct fix {
  struct rn_keys *keys;
  EVP_PKEY *public_key;
};

static void fix_make(struct fix *f, const char *kind, unsigned int bits, const char *group) {
  struct pem_pair p;
  char why[256];
  size_t bytes;
  pem_pair_make(&p, kind, bits, group);
  assert_int_equal(rn_keys_load(p.cert_fd, "crt", p.key_fd, "key", &f->keys, why, sizeof(why)),
                   RN_OK);
  pem_pair_close(&p);
  BIO *bio = BIO_new_mem_buf(rn_keys_cert_pem(f->keys, &bytes), -1);
  X509 *cert = PEM_read_bio_X509(bio, NULL, NULL, NULL);
  f->public_key = X509_get_pubkey(cert);
  X509_free(cert);
  BIO_free(bio);
}

static void fix_free(struct fix *f) {
  EVP_PKEY_free(f->public_key);
  rn_keys_free(f->keys);
}

/* RFC 8446, section 4.4.3. */
static size_t input(uint8_t out[160], size_t hash_bytes) {
  memset(out, 0x20, 64);
  memcpy(out + 64, CONTEXT, sizeof(CONTEXT));
  for (size_t i = 0; i < hash_bytes; i++)
    out[64 + sizeof(CONTEXT) + i] = (uint8_t)(i * 11 + 1);
  return 64 + sizeof(CONTEXT) + hash_bytes;
}

static bool verifies(EVP_PKEY *key, const EVP_MD *md, bool pss, const uint8_t *tbs, size_t len,
                     const uint8_t *sig, size_t n) {
  EVP_PKEY_CTX *pctx = NULL;
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  assert_int_equal(EVP_DigestVerifyInit(ctx, &pctx, md, NULL, key), 1);
  if (pss) {
    EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST);
  }
  bool ok = EVP_DigestVerify(ctx, sig, n, tbs, len) == 1;
  EVP_MD_CTX_free(ctx);
  return ok;
}

static void signatures_verify_with_the_certificate(void **state) {
  (void)state;
  static const struct {
    const char *kind, *group;
    unsigned int bits;
    uint16_t scheme;
    const char *md;
  } cases[] = {
    { "EC", "P-256", 0, 0x0403, "SHA256" },  { "EC", "P-384", 0, 0x0503, "SHA384" },
    { "RSA", NULL, 2048, 0x0804, "SHA256" }, { "RSA", NULL, 2048, 0x0805, "SHA384" },
    { "RSA", NULL, 4096, 0x0806, "SHA512" }, { "ED25519", NULL, 0, 0x0807, NULL },
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct fix f;
    uint8_t tbs[160], sig[RN_SIGN_BYTES_MAX];
    fix_make(&f, cases[i].kind, cases[i].bits, cases[i].group);
    for (size_t hash = 32; hash <= 48; hash += 16) {
      size_t len = input(tbs, hash), n = sizeof(sig);
      assert_int_equal(rn_sign(f.keys, cases[i].scheme, tbs, len, sig, &n), RN_OK);
      const EVP_MD *md = cases[i].md != NULL ? EVP_get_digestbyname(cases[i].md) : NULL;
      assert_true(verifies(f.public_key, md, cases[i].bits != 0, tbs, len, sig, n));
    }
    fix_free(&f);
  }
}

static void anything_else_is_refused(void **state) {
  (void)state;
  struct fix f;
  uint8_t tbs[256], sig[RN_SIGN_BYTES_MAX];
  fix_make(&f, "EC", 0, "P-256");

  /* Every single changed byte of the fixed part: another context string, a client's CertificateVerify, TLS 1.2, ... */
  for (size_t i = 0; i < 64 + sizeof(CONTEXT); i++) {
    for (unsigned int bit = 0; bit < 8; bit++) {
      size_t len = input(tbs, 32), n = sizeof(sig);
      tbs[i] ^= (uint8_t)(1u << bit);
      assert_int_equal(rn_sign(f.keys, 0x0403, tbs, len, sig, &n), RN_ERR_REFUSED);
    }
  }
  /* Every length that is not exactly that of a SHA-256 or SHA-384 transcript. */
  memset(tbs, 0, sizeof(tbs));
  input(tbs, 48);
  for (size_t len = 0; len < sizeof(tbs); len++) {
    size_t n = sizeof(sig);
    assert_int_equal(rn_sign(f.keys, 0x0403, tbs, len, sig, &n),
                     len == 130 || len == 146 ? RN_OK : RN_ERR_REFUSED);
  }
  /* The client's input has the same length. */
  size_t len = input(tbs, 32), n = sizeof(sig);
  memcpy(tbs + 64 + 9, "client", 6);
  assert_int_equal(rn_sign(f.keys, 0x0403, tbs, len, sig, &n), RN_ERR_REFUSED);
  /* And is signed where the node dials others. */
  rn_keys_set_dials(f.keys, true);
  assert_int_equal(rn_sign(f.keys, 0x0403, tbs, len, sig, &n), RN_OK);
  memcpy(tbs + 64 + 9, "clienT", 6);
  n = sizeof(sig);
  assert_int_equal(rn_sign(f.keys, 0x0403, tbs, len, sig, &n), RN_ERR_REFUSED);
  fix_free(&f);
}

static void schemes_of_other_keys_are_refused(void **state) {
  (void)state;
  struct fix f;
  uint8_t tbs[160], sig[RN_SIGN_BYTES_MAX];
  fix_make(&f, "RSA", 2048, NULL);
  size_t len = input(tbs, 32);
  for (unsigned int scheme = 0; scheme <= 0x0900; scheme++) {
    bool pss = scheme >= 0x0804 && scheme <= 0x0806;
    size_t n = sizeof(sig);
    if (!pss)
      assert_int_equal(rn_sign(f.keys, (uint16_t)scheme, tbs, len, sig, &n), RN_ERR_REFUSED);
  }
  fix_free(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(signatures_verify_with_the_certificate),
    cmocka_unit_test(anything_else_is_refused),
    cmocka_unit_test(schemes_of_other_keys_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
