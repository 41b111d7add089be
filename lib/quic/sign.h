/* lib/quic/sign.h: a private key that is not here.
 *
 * An OpenSSL provider whose keys hold the public part only, and whose signing operation hands out
 * what is to be signed and pauses the handshake (an ASYNC job) until the answer has come:
 *
 *   SSL_do_handshake -> CertificateVerify -> EVP_DigestSign -> our digest_sign
 *        <------ SSL_ERROR_WANT_ASYNC ------- ASYNC_pause_job: *slot = the job
 *   rn_tls_sign_done: job filled in
 *   SSL_do_handshake -> digest_sign goes on: *slot = NULL, signature or error
 *
 * Private to quic/tls.c. One thread owns each struct rn_sign. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>
#include <openssl/provider.h>

/* A signature that TLS waits for. Lives on the paused job's stack. */
struct rn_sign_job {
  uint16_t scheme;    /* TLS SignatureScheme, RFC 8446 section 4.2.3 */
  const uint8_t *tbs; /* the whole CertificateVerify input, RFC 8446 section 4.4.3 */
  size_t tbs_bytes;
  bool answered; /* err, and with RN_OK sig, are set */
  int err;
  const uint8_t *sig; /* as TLS sends it: ECDSA in DER */
  size_t sig_bytes;
};

struct rn_sign; /* the provider in one library context */

/* Loads the provider into lib, which gets "?provider=default" as its default properties so that
 * everything but our keys goes to OpenSSL's own. RN_OK or RN_ERR_CRYPTO. */
int rn_sign_load(OSSL_LIB_CTX *lib, OSSL_PROVIDER **prov, struct rn_sign **out);

/* A key object for the certificate's public key: EC, RSA or Ed25519. The caller frees it. NULL for
 * other types. */
EVP_PKEY *rn_sign_key(struct rn_sign *s, const EVP_PKEY *cert_key);

/* Where the next signing operation leaves its job; NULL: it fails. Set around SSL_do_handshake. */
void rn_sign_set_slot(struct rn_sign *s, struct rn_sign_job **slot);
