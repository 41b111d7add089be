/* tests/unit/quic/tls_pair.h: a client and a server ngtcp2_conn back to back in memory, on our TLS and
 * AEAD glue and nothing else of lib/quic. Keys and certificates are made by the test. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "quic/aead.h"
#include "quic/tls.h"

struct pair_end {
  ngtcp2_conn *conn;
  struct rn_tls_conn tls;
  struct rn_aead_pool *pool;
  bool has_conn; /* there is something to release */
  bool completed;
  int error;     /* NGTCP2_ERR that ended the connection; 0 */
  uint8_t alert; /* TLS alert set then */
};

struct pair {
  struct pair_end client, server;
  struct rn_quic_tls *client_tls, *server_tls;
  EVP_PKEY *server_key, *client_key; /* what the signer has; NULL: it answers with an error */
  bool hold_signatures;              /* leave requests unanswered: pair_sign answers */
  bool wrong_signature;
  uint32_t ctx_count; /* contexts in the server's pool; 0: enough */
  uint64_t now_ns;
  uint32_t sign_requests;
  uint16_t sign_scheme; /* of the last request */
  size_t sign_tbs_bytes;
  uint32_t client_flights;       /* datagrams the client wrote before completion */
  uint8_t dgram_to_server[1500]; /* last one, for tests that mutate */
  size_t dgram_to_server_bytes;
};

/* A PEM certificate for key. */
struct pair_cert_opt {
  const char *cn;
  const char *san;  /* as in openssl.cnf, "DNS:a,IP:127.0.0.1"; NULL: no extension */
  EVP_PKEY *issuer; /* signs it, under the name "issuer"; NULL: signed by itself */
};
char *pair_cert(EVP_PKEY *key, const struct pair_cert_opt *opt); /* free() it */
EVP_PKEY *pair_key(const char *type); /* "P-256", "P-384", "RSA", "ED25519" */

/* CN=localhost, with its names. */
extern const struct pair_cert_opt localhost;

/* A node's key and certificate, and both TLS objects; the client trusts the certificate. */
struct node {
  EVP_PKEY *key;
  char *pem;
  struct rn_quic_tls *server, *client;
};
struct rn_quic_tls *tls_new(const struct rn_quic_tls_config *cfg);
struct node node_new(const char *key_type, const struct pair_cert_opt *cert,
                     const struct rn_quic_tls_config *more_server,
                     const struct rn_quic_tls_config *more_client);
void node_free(struct node *n);

/* TLS objects stay the caller's. name: what the client expects. Returns false when set-up failed. */
bool pair_start(struct pair *p, struct rn_quic_tls *client, struct rn_quic_tls *server,
                const char *name);
/* Exchanges datagrams until both completed, one failed, or nothing moves any more. */
void pair_run(struct pair *p);
void assert_completed(const struct pair *p);
/* pair_start and pair_run, which must complete. */
void handshake_ok(struct node *n, const char *name, struct pair *p);
/* Answers a held request of the server. */
void pair_sign(struct pair *p);
/* Another n datagrams each way, after completion. */
void pair_exchange(struct pair *p, int n);
void pair_end(struct pair *p);
/* Signs as the node's key holder would. RN_OK or RN_ERR_CRYPTO. */
int pair_make_signature(EVP_PKEY *key, uint16_t scheme, const uint8_t *tbs, size_t tbs_bytes,
                        uint8_t *sig, size_t *sig_bytes);
