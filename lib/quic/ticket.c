/* lib/quic/ticket.c: session tickets under the keys of several epochs. Layout and ciphers are those of OpenSSL's own tickets (RFC 5077
 * section 4): key name, IV, AES-256-CBC, HMAC-SHA-256; OpenSSL writes and checks them, here the keys are chosen. */
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include "quic/tls_pvt.h"
#include "util/err.h"

#define NAME_BYTES 16
#define HMAC_BYTES 32
#define IV_BYTES   16

enum { FAILED = -1, NOT_OURS = 0, FINE = 1, FINE_ONCE = 2 };

static struct rn_ticket_key *place(struct rn_ticket_keys *k, uint32_t epoch) {
  return &k->of[epoch % RN_TLS_TICKET_KEYS];
}

static struct rn_ticket_key *by_name(struct rn_ticket_keys *k, const uint8_t name[NAME_BYTES]) {
  for (struct rn_ticket_key *t = k->of; t < k->of + RN_TLS_TICKET_KEYS; t++) {
    if (t->used && t->epoch >= k->oldest && memcmp(t->key, name, NAME_BYTES) == 0)
      return t;
  }
  return NULL;
}

static int set_keys(const struct rn_ticket_keys *k, struct rn_ticket_key *t, const uint8_t *iv,
                    EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt) {
  char digest[] = "SHA256";
  const OSSL_PARAM params[] = {
    OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, t->key + NAME_BYTES, HMAC_BYTES),
    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
    OSSL_PARAM_construct_end(),
  };
  return EVP_MAC_CTX_set_params(mac, params) == 1 &&
         EVP_CipherInit_ex2(cipher, k->cipher, t->key + NAME_BYTES + HMAC_BYTES, iv, encrypt,
                            NULL) == 1;
}

/* SSL_CTX_set_tlsext_ticket_key_evp_cb(3). */
static int choose(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                  EVP_MAC_CTX *mac, int encrypt) {
  struct rn_quic_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
  struct rn_ticket_keys *k = &tls->keys;
  if (encrypt) {
    struct rn_ticket_key *t = place(k, k->epoch);
    memcpy(name, t->key, NAME_BYTES);
    if (RAND_bytes_ex(tls->lib, iv, IV_BYTES, 0) != 1)
      return FAILED;
    return set_keys(k, t, iv, cipher, mac, 1) ? FINE : FAILED;
  }
  struct rn_ticket_key *t = by_name(k, name);
  if (t == NULL) {
    k->unknown++;
    return NOT_OURS;
  }
  /* The client gets a new one, under the current key: an observer links what is used twice (RFC 8446 appendix C.4). */
  return set_keys(k, t, iv, cipher, mac, 0) ? FINE_ONCE : FAILED;
}

int rn_ticket_install(struct rn_quic_tls *t, SSL_CTX *ctx, const struct rn_quic_tls_config *cfg) {
  t->keys.cipher = EVP_CIPHER_fetch(t->lib, "AES-256-CBC", NULL);
  t->keys.epoch = cfg->ticket_epoch;
  SSL_CTX_set_app_data(ctx, t);
  if (t->keys.cipher == NULL || SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, choose) != 1)
    return RN_ERR_CRYPTO;
  rn_quic_tls_ticket_key(t, cfg->ticket_epoch, cfg->ticket_keys);
  return RN_OK;
}

void rn_ticket_fini(struct rn_ticket_keys *k) {
  EVP_CIPHER_free(k->cipher);
  OPENSSL_cleanse(k, sizeof(*k));
}

void rn_quic_tls_ticket_key(struct rn_quic_tls *t, uint32_t epoch,
                            const uint8_t key[RN_TLS_TICKET_KEY_BYTES]) {
  struct rn_ticket_key *k = place(&t->keys, epoch);
  if (t->keys.cipher == NULL || (k->used && k->epoch > epoch))
    return;
  k->used = true;
  k->epoch = epoch;
  memcpy(k->key, key, sizeof(k->key));
}

void rn_quic_tls_ticket_use(struct rn_quic_tls *t, uint32_t epoch, uint32_t oldest) {
  struct rn_ticket_key *k = place(&t->keys, epoch);
  if (!k->used || k->epoch != epoch)
    return;
  t->keys.epoch = epoch;
  t->keys.oldest = oldest;
  for (k = t->keys.of; k < t->keys.of + RN_TLS_TICKET_KEYS; k++) {
    if (k->used && k->epoch < oldest)
      OPENSSL_cleanse(k, sizeof(*k));
  }
}

uint64_t rn_quic_tls_tickets_unknown(const struct rn_quic_tls *t) { return t->keys.unknown; }
