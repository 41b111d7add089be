/* control/sign.c */
#include "control/sign.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "util/err.h"

#define PAD_BYTES 64

/* The NUL is the separator. */
static const char of_server[] = "TLS 1.3, server CertificateVerify";
static const char of_client[] = "TLS 1.3, client CertificateVerify";
_Static_assert(sizeof(of_server) == sizeof(of_client), "told apart by what is said, not by length");

bool rn_sign_is_certificate_verify(const struct rn_keys *k, const uint8_t *tbs, size_t len) {
  static const size_t head = PAD_BYTES + sizeof(of_server);
  if (len != head + 32 && len != head + 48) /* SHA-256, SHA-384: the hashes of TLS 1.3's suites */
    return false;
  for (size_t i = 0; i < PAD_BYTES; i++) {
    if (tbs[i] != 0x20)
      return false;
  }
  return memcmp(tbs + PAD_BYTES, of_server, sizeof(of_server)) == 0 ||
         (rn_keys_dials(k) && memcmp(tbs + PAD_BYTES, of_client, sizeof(of_client)) == 0);
}

/* The digest of a SignatureScheme; NULL for Ed25519, which has its own. */
static const EVP_MD *digest_of(uint16_t scheme) {
  switch (scheme) {
  case 0x0403:
  case 0x0804:
    return EVP_sha256();
  case 0x0503:
  case 0x0805:
    return EVP_sha384();
  case 0x0806:
    return EVP_sha512();
  default:
    return NULL;
  }
}

int rn_sign(const struct rn_keys *k, uint16_t scheme, const uint8_t *tbs, size_t len, uint8_t *sig,
            size_t *sig_bytes) {
  if (!rn_sign_is_certificate_verify(k, tbs, len) || !rn_keys_can(k, scheme))
    return RN_ERR_REFUSED;
  bool pss = scheme >= 0x0804 && scheme <= 0x0806;
  EVP_PKEY_CTX *pctx = NULL; /* ctx owns it */
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  bool ok =
      ctx != NULL && EVP_DigestSignInit(ctx, &pctx, digest_of(scheme), NULL, rn_keys_pkey(k)) == 1;
  if (ok && pss)
    ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1; /* RFC 8446, 4.2.3 */
  ok = ok && EVP_DigestSign(ctx, sig, sig_bytes, tbs, len) == 1;
  EVP_MD_CTX_free(ctx);
  ERR_clear_error();
  return ok ? RN_OK : RN_ERR_CRYPTO;
}
