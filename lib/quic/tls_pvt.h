/* lib/quic/tls_pvt.h: what tls.c sets up and tls_conn.c uses. */
#pragma once
#include <openssl/ssl.h>

#include "quic/sign.h"
#include "quic/tls.h"

struct rn_quic_tls {
  OSSL_LIB_CTX *lib; /* own library context: the signing provider is in no other's way */
  OSSL_PROVIDER *prov_default;
  OSSL_PROVIDER *prov_sign;
  struct rn_sign *sign;
  SSL_CTX *server; /* NULL: no certificate, no server role */
  SSL_CTX *client;
  bool signs; /* there is a certificate, so a handshake may pause */
  bool verify;
  bool tickets;      /* clients use them */
  uint8_t alpn[256]; /* length octet, name */
  uint32_t alpn_bytes;
};
