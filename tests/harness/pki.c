/* tests/harness/pki.c */
#include "harness/pki.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

struct pki {
  EVP_PKEY *key;
  char *pem;
  size_t pem_bytes;
};

static EVP_PKEY *make_key(enum pki_type type) {
  switch (type) {
  case PKI_P256:
    return EVP_EC_gen("P-256");
  case PKI_P384:
    return EVP_EC_gen("P-384");
  case PKI_RSA2048:
    return EVP_RSA_gen(2048);
  case PKI_ED25519:
    return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  }
  return NULL;
}

static X509 *make_cert(EVP_PKEY *key, enum pki_type type) {
  X509 *x = X509_new();
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x), 86400);
  X509_set_pubkey(x, key);
  X509_NAME *name = X509_get_subject_name(x);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1,
                             0);
  X509_set_issuer_name(x, name);
  X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
  X509_add_ext(x, san, -1);
  X509_EXTENSION_free(san);
  if (X509_sign(x, key, type == PKI_ED25519 ? NULL : EVP_sha256()) == 0) {
    X509_free(x);
    return NULL;
  }
  return x;
}

struct pki *pki_new(enum pki_type type) {
  struct pki *p = calloc(1, sizeof(*p));
  p->key = make_key(type);
  X509 *x = make_cert(p->key, type);
  BIO *bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, x);
  char *text;
  p->pem_bytes = (size_t)BIO_get_mem_data(bio, &text);
  p->pem = malloc(p->pem_bytes + 1);
  memcpy(p->pem, text, p->pem_bytes);
  p->pem[p->pem_bytes] = '\0';
  BIO_free(bio);
  X509_free(x);
  return p;
}

void pki_free(struct pki *p) {
  if (p == NULL)
    return;
  EVP_PKEY_free(p->key);
  free(p->pem);
  free(p);
}

const char *pki_cert_pem(const struct pki *p, size_t *bytes) {
  *bytes = p->pem_bytes;
  return p->pem;
}

static const EVP_MD *digest_of(uint16_t scheme) {
  switch (scheme) {
  case 0x0403: /* ecdsa_secp256r1_sha256 */
  case 0x0804: /* rsa_pss_rsae_sha256 */
    return EVP_sha256();
  case 0x0503:
  case 0x0805:
    return EVP_sha384();
  case 0x0806:
    return EVP_sha512();
  default:
    return NULL; /* ed25519 hashes by itself */
  }
}

/* RFC 6979: an ECDSA signature without randomness. Other keys have no such parameter. */
static void sign_without_nonce(EVP_PKEY_CTX *pctx) {
  unsigned int deterministic = 1;
  const OSSL_PARAM params[] = { OSSL_PARAM_uint(OSSL_SIGNATURE_PARAM_NONCE_TYPE, &deterministic),
                                OSSL_PARAM_END };
  EVP_PKEY_CTX_set_params(pctx, params);
}

size_t pki_sign(const struct pki *p, uint16_t scheme, const uint8_t *tbs, size_t tbs_bytes,
                uint8_t *sig, size_t sig_cap) {
  EVP_MD_CTX *md = EVP_MD_CTX_new();
  EVP_PKEY_CTX *pctx = NULL;
  size_t n = sig_cap;
  int ok = md != NULL && EVP_DigestSignInit(md, &pctx, digest_of(scheme), NULL, p->key) == 1;
  if (ok && scheme >= 0x0804 && scheme <= 0x0806)
    ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
  if (ok && EVP_PKEY_get_base_id(p->key) == EVP_PKEY_EC)
    sign_without_nonce(pctx);
  ok = ok && EVP_DigestSign(md, sig, &n, tbs, tbs_bytes) == 1;
  EVP_MD_CTX_free(md);
  return ok ? n : 0;
}
