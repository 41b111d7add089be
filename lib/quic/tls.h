/* lib/quic/tls.h: TLS 1.3 for QUIC (RFC 9001 section 4) by OpenSSL 3.5's SSL_set_quic_tls_cbs.
 *
 * The private key is elsewhere: the signing operation pauses the handshake (SSL_MODE_ASYNC and a
 * provider of ours, quic/sign.c) and rn_tls_sign_done resumes it.
 *
 * Memory: OpenSSL's own (CRYPTO_set_mem_functions says where it comes from); a paused signature
 * holds a stack of 32 KB. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ngtcp2/ngtcp2.h>

#include "quic/aead.h"

/* What the connections of one lcore share. One thread uses it, except for new and free. */
struct rn_quic_tls;

struct rn_quic_tls_config {
  const char *cert_pem; /* chain, leaf first; NULL: no server role. The client role presents it when
                           the server asks */
  size_t cert_pem_bytes;
  const char *ca_pem; /* trust anchors for the peer's certificate, of any depth: the peer's own
                         certificate may be one; NULL: the peer is not verified */
  size_t ca_pem_bytes;
  bool require_client_cert;  /* server role, needs ca_pem */
  const char *cipher_suites; /* ':' between, order of preference, of TLS_AES_128_GCM_SHA256,
                                TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256; NULL: these,
                                in this order */
  const char *groups;        /* OpenSSL names, ':' between; NULL: "P-256:X25519:P-384:P-521" */
  const char *alpn;          /* one name, at most 255 characters; NULL: "h3" */
  bool session_tickets;
  const uint8_t
      *ticket_keys; /* RN_TLS_TICKET_KEY_BYTES, of ticket_epoch; NULL: random ones, for good */
  uint32_t ticket_epoch;
};
#define RN_TLS_TICKET_KEY_BYTES 80 /* name 16, HMAC 32, AES 32 */
#define RN_TLS_TICKET_KEYS      7u /* of epochs that follow each other */

/* Allocates: called at start and on reload. The texts of cfg are not needed afterwards. RN_OK;
 * RN_ERR_INVAL (a certificate that cannot be read, an unknown suite or group) or RN_ERR_CRYPTO, and
 * err_text[0..err_text_bytes) says what was wrong. */
int rn_quic_tls_new(const struct rn_quic_tls_config *cfg, struct rn_quic_tls **out, char *err_text,
                    size_t err_text_bytes);
/* After the last connection that used it. NULL is fine. */
void rn_quic_tls_free(struct rn_quic_tls *t);

/* Takes session tickets under this epoch's key, too, in the place of those of RN_TLS_TICKET_KEYS epochs before or after it. Nothing happens where
 * keys are random. */
void rn_quic_tls_ticket_key(struct rn_quic_tls *t, uint32_t epoch,
                            const uint8_t key[RN_TLS_TICKET_KEY_BYTES]);
/* Makes tickets under this epoch's key, which was given before, and takes none of epochs before oldest. */
void rn_quic_tls_ticket_use(struct rn_quic_tls *t, uint32_t epoch, uint32_t oldest);
/* Tickets that came under keys that are not here, so far. */
uint64_t rn_quic_tls_tickets_unknown(const struct rn_quic_tls *t);

/* Once per thread that runs server handshakes, before the first: how many may wait for a signature at
 * a time. Without it there is no limit. RN_OK or RN_ERR_CRYPTO. fini when none is left. */
int rn_tls_thread_init(uint32_t sign_jobs);
/* What the calling thread was given; 0: no limit. */
uint32_t rn_tls_thread_jobs(void);
void rn_tls_thread_fini(void);

/* The active_connection_id_limit that peers are told, whatever larger one ngtcp2 was given to enforce. */
#define RN_TLS_CID_LIMIT 6u

#define RN_TLS_FINGERPRINT_BYTES 32u /* SHA-256 of a certificate's DER form */

struct rn_tls_rx_block; /* CRYPTO bytes TLS has not taken yet */
struct rn_sign_job;

/* One connection's TLS state; embedded in quic/conn. Stays where it is from init to fini. */
struct rn_tls_conn {
  void *ssl; /* SSL; NULL once released */
  ngtcp2_conn *conn;
  struct rn_aead_pool *aead;
  struct rn_quic_tls *tls;
  struct rn_tls_rx_block *rx_read; /* the next block TLS reads */
  struct rn_tls_rx_block *rx_head; /* the oldest block, not yet released by TLS */
  struct rn_tls_rx_block *rx_tail;
  struct rn_sign_job *sign; /* the paused signature, if any */
  uint8_t *local_tp;
  uint32_t rx_bytes;      /* in all blocks */
  uint32_t ticket_left;   /* of a NewSessionTicket that is not wanted: bytes still to come */
  uint8_t ticket_head[4]; /* the head of the next one */
  uint8_t ticket_head_bytes;
  int tx_level;
  enum rn_aead_suite suite;
  bool suite_known;
  bool server;
  bool peer_known; /* peer_sha256 is set */
  uint8_t peer_sha256[RN_TLS_FINGERPRINT_BYTES];
  bool hello_seen; /* server: the whole ClientHello was there once */
  bool done;       /* handshake completed on the TLS side */
  bool ending;     /* in fini: callbacks leave conn alone */
  bool
      sign_wanted; /* set when a signature was asked for: the endpoint then calls rn_tls_sign_request */
};

/* Makes the SSL of one connection. server_name: client role only (SNI and the name or IP address the
 * certificate must carry; without a subjectAltName its common name counts); NULL: no SNI, any name.
 * conn is set on tc and tc handed to ngtcp2 as TLS native handle. RN_OK, RN_ERR_INVAL (server role
 * without a certificate, unusable name), RN_ERR_LIMIT or RN_ERR_CRYPTO; after an error there is
 * nothing to release. */
int rn_tls_conn_init(struct rn_tls_conn *tc, struct rn_quic_tls *t, struct rn_aead_pool *aead,
                     ngtcp2_conn *conn, bool server, const char *server_name);

/* Ends a paused signature, too. Touches neither conn nor aead, which may be gone. */
void rn_tls_conn_fini(struct rn_tls_conn *tc);

/* The handshake is confirmed (RFC 9001 section 4.1.2): releases, unless this is a client that wants
 * tickets. Not from within a callback of ngtcp2. */
void rn_tls_conn_confirmed(struct rn_tls_conn *tc);

/* Frees what TLS holds (about 15 KB). ngtcp2 needs no TLS for key updates. Later, a client reads past
 * NewSessionTickets; any other CRYPTO bytes close the connection with unexpected_message. */
void rn_tls_conn_release(struct rn_tls_conn *tc);

/* ngtcp2's recv_crypto_data callback. 0, or an NGTCP2_ERR; the TLS alert, if any, is then set on conn
 * (ngtcp2_conn_get_tls_alert). The tc is ngtcp2_conn_get_tls_native_handle(conn). While a signature is
 * awaited, bytes are kept and 0 returned. */
int rn_tls_recv_crypto(ngtcp2_conn *conn, ngtcp2_encryption_level level, uint64_t offset,
                       const uint8_t *data, size_t len, void *user_data);

/* Client role: hands TLS the transport parameters and writes the ClientHello; quic/glue.c calls it
 * from client_initial. 0 or an NGTCP2_ERR. */
int rn_tls_start(struct rn_tls_conn *tc);

/* When tc->sign_wanted: what has to be signed, and sign_wanted is cleared. tbs stays valid until
 * done or fini. */
void rn_tls_sign_request(struct rn_tls_conn *tc, uint16_t *scheme, const uint8_t **tbs,
                         size_t *tbs_bytes);
/* Resumes the handshake; err != RN_OK fails it. Nothing happens when no signature is awaited. 0, or an
 * NGTCP2_ERR to close the connection with. After 0 the caller goes on with
 * ngtcp2_conn_continue_handshake, which reads packets that came too early and tells a client that it
 * is done, and then writes packets. */
int rn_tls_sign_done(struct rn_tls_conn *tc, int err, const uint8_t *sig, size_t sig_bytes);

/* True when the handshake, which is complete, went by a session ticket. */
bool rn_tls_conn_resumed(const struct rn_tls_conn *tc);

/* The suite in use, once known. RN_OK or RN_ERR_STATE. */
int rn_tls_suite(const struct rn_tls_conn *tc, enum rn_aead_suite *out);
