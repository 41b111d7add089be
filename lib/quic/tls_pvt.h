/* lib/quic/tls_pvt.h: what tls.c sets up and tls_conn.c uses. */
#pragma once
#include <openssl/ssl.h>

#include "quic/sign.h"
#include "quic/tls.h"

/* lib/quic/ticket.c: the keys of session tickets. */
struct rn_ticket_keys {
  EVP_CIPHER *cipher; /* NULL: OpenSSL's own random keys */
  uint32_t epoch;     /* makes new ones */
  uint32_t oldest;    /* is taken */
  uint64_t unknown;
  struct rn_ticket_key {
    bool used;
    uint32_t epoch;
    uint8_t key[RN_TLS_TICKET_KEY_BYTES];
  } of[RN_TLS_TICKET_KEYS]; /* by epoch, modulo */
};

struct rn_quic_tls;
/* Has ctx make and read tickets with t->keys. RN_OK or RN_ERR_CRYPTO. */
int rn_ticket_install(struct rn_quic_tls *t, SSL_CTX *ctx, const struct rn_quic_tls_config *cfg);
void rn_ticket_fini(struct rn_ticket_keys *k);

struct rn_quic_tls {
  OSSL_LIB_CTX *lib; /* own library context: the signing provider is in no other's way */
  OSSL_PROVIDER *prov_default;
  OSSL_PROVIDER *prov_sign;
  struct rn_sign *sign;
  SSL_CTX *server; /* NULL: no certificate, no server role */
  SSL_CTX *client;
  bool signs; /* there is a certificate, so a handshake may pause */
  bool verify;
  bool tickets; /* clients use them */
  struct rn_ticket_keys keys;
  uint8_t alpn[256]; /* length octet, name */
  uint32_t alpn_bytes;
};
