#include "quic/tls.h"

#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "quic/tls_pvt.h"
#include "util/err.h"

#define RX_BYTES_MAX   65536u /* kept for TLS, RFC 9000 section 7.5 asks for 4,096 at least */
#define LOCAL_TP_BYTES 256

#define RX_BLOCK_BYTES 1024

/* TLS keeps a pointer into a block from recv_rcd until release_rcd, so bytes are copied once and never
 * move. A block that TLS has not seen grows: many small frames are no many allocations. */
struct rn_tls_rx_block {
  struct rn_tls_rx_block *next;
  uint32_t len;
  uint32_t cap;
  uint8_t data[];
};

/* ---- CRYPTO bytes on their way to TLS ---- */

static int rx_push(struct rn_tls_conn *tc, const uint8_t *data, size_t len) {
  if (len > RX_BYTES_MAX - tc->rx_bytes)
    return NGTCP2_ERR_CRYPTO_BUFFER_EXCEEDED;
  struct rn_tls_rx_block *b = tc->rx_tail;
  if (tc->rx_read == NULL || b->cap - b->len < len) {
    size_t cap = len > RX_BLOCK_BYTES ? len : RX_BLOCK_BYTES;
    b = OPENSSL_malloc(sizeof(*b) + cap);
    if (b == NULL)
      return NGTCP2_ERR_NOMEM;
    *b = (struct rn_tls_rx_block){ .cap = (uint32_t)cap };
    if (tc->rx_tail != NULL)
      tc->rx_tail->next = b;
    else
      tc->rx_head = b;
    tc->rx_tail = b;
    if (tc->rx_read == NULL)
      tc->rx_read = b;
  }
  memcpy(b->data + b->len, data, len);
  b->len += (uint32_t)len;
  tc->rx_bytes += (uint32_t)len;
  return 0;
}

static void rx_pop(struct rn_tls_conn *tc) {
  struct rn_tls_rx_block *b = tc->rx_head;
  tc->rx_head = b->next;
  if (tc->rx_head == NULL)
    tc->rx_tail = NULL;
  if (tc->rx_read == b)
    tc->rx_read = b->next;
  tc->rx_bytes -= b->len;
  OPENSSL_free(b);
}

/* Clients split their ClientHello over frames, some of them into many. A server need not look, nor set
 * up a job, before all of it is there. */
static bool hello_complete(struct rn_tls_conn *tc) {
  if (!tc->server || tc->hello_seen)
    return true;
  uint8_t head[4];
  uint32_t n = 0;
  for (const struct rn_tls_rx_block *b = tc->rx_head; b != NULL && n < sizeof(head); b = b->next)
    for (uint32_t i = 0; i < b->len && n < sizeof(head); i++)
      head[n++] = b->data[i];
  if (n < sizeof(head))
    return false;
  uint32_t bytes = 4 + ((uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3]);
  /* What cannot become a ClientHello is for TLS to refuse. */
  tc->hello_seen = head[0] != SSL3_MT_CLIENT_HELLO || bytes > RX_BYTES_MAX || tc->rx_bytes >= bytes;
  return tc->hello_seen;
}

/* ---- what OpenSSL calls: SSL_set_quic_tls_cbs(3) ---- */

static int crypto_recv(SSL *ssl, const unsigned char **buf, size_t *bytes, void *arg) {
  struct rn_tls_conn *tc = arg;
  (void)ssl;
  struct rn_tls_rx_block *b = tc->rx_read;
  *buf = b != NULL ? b->data : NULL;
  *bytes = b != NULL ? b->len : 0;
  if (b != NULL)
    tc->rx_read = b->next;
  return 1;
}

/* OpenSSL gives back what one crypto_recv handed out, which is one block. */
static int crypto_release(SSL *ssl, size_t bytes, void *arg) {
  struct rn_tls_conn *tc = arg;
  (void)ssl;
  if (tc->rx_head == NULL || tc->rx_head == tc->rx_read || bytes != tc->rx_head->len)
    return 0;
  rx_pop(tc);
  return 1;
}

static int crypto_send(SSL *ssl, const unsigned char *buf, size_t bytes, size_t *consumed,
                       void *arg) {
  struct rn_tls_conn *tc = arg;
  (void)ssl;
  if (tc->ending)
    return 0;
  int rv =
      ngtcp2_conn_submit_crypto_data(tc->conn, (ngtcp2_encryption_level)tc->tx_level, buf, bytes);
  if (rv != 0) {
    ngtcp2_conn_set_tls_error(tc->conn, rv);
    return 0;
  }
  *consumed = bytes;
  return 1;
}

static bool suite_from(const SSL_CIPHER *cipher, enum rn_aead_suite *out) {
  switch (cipher != NULL ? SSL_CIPHER_get_protocol_id(cipher) : 0) {
  case 0x1301:
    *out = RN_AEAD_AES128_GCM;
    return true;
  case 0x1302:
    *out = RN_AEAD_AES256_GCM;
    return true;
  case 0x1303:
    *out = RN_AEAD_CHACHA20;
    return true;
  default:
    return false;
  }
}

/* The keys of one level and direction as ngtcp2 takes them over. */
struct level_keys {
  ngtcp2_crypto_aead_ctx aead;
  ngtcp2_crypto_cipher_ctx hp;
  uint8_t iv[RN_AEAD_IV_BYTES];
};

static int set_local_params(struct rn_tls_conn *tc) {
  if (tc->local_tp == NULL)
    tc->local_tp = OPENSSL_malloc(LOCAL_TP_BYTES); /* OpenSSL points to it until SSL_free */
  if (tc->local_tp == NULL)
    return NGTCP2_ERR_NOMEM;
  ngtcp2_transport_params tp = *ngtcp2_conn_get_local_transport_params(tc->conn);
  if (tp.active_connection_id_limit > RN_TLS_CID_LIMIT)
    tp.active_connection_id_limit = RN_TLS_CID_LIMIT;
  ngtcp2_ssize n = ngtcp2_transport_params_encode(tc->local_tp, LOCAL_TP_BYTES, &tp);
  if (n < 0)
    return (int)n;
  return SSL_set_quic_tls_transport_params(tc->ssl, tc->local_tp, (size_t)n) == 1
             ? 0
             : NGTCP2_ERR_INTERNAL;
}

static int install_early(struct rn_tls_conn *tc, bool tx, struct level_keys *k) {
  /* 0-RTT runs from client to server only. */
  RN_ASSERT(tx != tc->server);
  ngtcp2_conn_set_0rtt_crypto_ctx(tc->conn, rn_aead_crypto_ctx(tc->suite));
  return ngtcp2_conn_install_0rtt_key(tc->conn, &k->aead, k->iv, sizeof(k->iv), &k->hp);
}

static int install(struct rn_tls_conn *tc, uint32_t level, bool tx, const uint8_t *secret,
                   size_t secret_bytes, struct level_keys *k) {
  if (level == OSSL_RECORD_PROTECTION_LEVEL_EARLY)
    return install_early(tc, tx, k);
  if (ngtcp2_conn_get_crypto_ctx(tc->conn)->aead.native_handle == NULL)
    ngtcp2_conn_set_crypto_ctx(tc->conn, rn_aead_crypto_ctx(tc->suite));
  if (level == OSSL_RECORD_PROTECTION_LEVEL_HANDSHAKE)
    return tx ? ngtcp2_conn_install_tx_handshake_key(tc->conn, &k->aead, k->iv, sizeof(k->iv),
                                                     &k->hp)
              : ngtcp2_conn_install_rx_handshake_key(tc->conn, &k->aead, k->iv, sizeof(k->iv),
                                                     &k->hp);
  return tx ? ngtcp2_conn_install_tx_key(tc->conn, secret, secret_bytes, &k->aead, k->iv,
                                         sizeof(k->iv), &k->hp)
            : ngtcp2_conn_install_rx_key(tc->conn, secret, secret_bytes, &k->aead, k->iv,
                                         sizeof(k->iv), &k->hp);
}

static int ngtcp2_level(uint32_t level) {
  switch (level) {
  case OSSL_RECORD_PROTECTION_LEVEL_EARLY:
    return NGTCP2_ENCRYPTION_LEVEL_0RTT;
  case OSSL_RECORD_PROTECTION_LEVEL_HANDSHAKE:
    return NGTCP2_ENCRYPTION_LEVEL_HANDSHAKE;
  case OSSL_RECORD_PROTECTION_LEVEL_APPLICATION:
    return NGTCP2_ENCRYPTION_LEVEL_1RTT;
  default:
    return NGTCP2_ENCRYPTION_LEVEL_INITIAL;
  }
}

static int yield_secret(SSL *ssl, uint32_t level, int direction, const unsigned char *secret,
                        size_t secret_bytes, void *arg) {
  struct rn_tls_conn *tc = arg;
  bool tx = direction != 0;
  struct level_keys k = { 0 };
  if (tc->ending || level == OSSL_RECORD_PROTECTION_LEVEL_NONE)
    return 0;
  const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
  if (cipher == NULL && level == OSSL_RECORD_PROTECTION_LEVEL_EARLY &&
      SSL_get0_session(ssl) != NULL)
    cipher = SSL_SESSION_get0_cipher(SSL_get0_session(ssl));
  if (!suite_from(cipher, &tc->suite))
    return 0;
  tc->suite_known = true;

  /* Nothing of the old level may be left when the new one's keys come, RFC 9001 section 4.1.3. */
  if (!tx && level != OSSL_RECORD_PROTECTION_LEVEL_EARLY && tc->rx_head != NULL) {
    ngtcp2_conn_set_tls_alert(tc->conn, SSL_AD_UNEXPECTED_MESSAGE);
    return 0;
  }

  if (rn_aead_keys(tc->aead, tc->suite, secret, secret_bytes, &k.aead, &k.hp, k.iv) != RN_OK) {
    ngtcp2_conn_set_tls_error(tc->conn, NGTCP2_ERR_NOMEM);
    return 0;
  }
  int rv = install(tc, level, tx, secret, secret_bytes, &k);
  if (rv != 0) {
    rn_aead_ctx_put(tc->aead, &k.aead);
    rn_aead_hp_put(tc->aead, &k.hp);
    ngtcp2_conn_set_tls_error(tc->conn, rv);
    return 0;
  }
  if (!tx)
    return 1;
  tc->tx_level = ngtcp2_level(level);
  /* The server's parameters depend on the client's, and go out next. */
  if (tc->server && level == OSSL_RECORD_PROTECTION_LEVEL_HANDSHAKE) {
    rv = set_local_params(tc);
    if (rv != 0)
      ngtcp2_conn_set_tls_error(tc->conn, rv);
  }
  return rv == 0;
}

static int got_params(SSL *ssl, const unsigned char *params, size_t bytes, void *arg) {
  struct rn_tls_conn *tc = arg;
  (void)ssl;
  if (tc->ending)
    return 0;
  int rv = ngtcp2_conn_decode_and_set_remote_transport_params(tc->conn, params, bytes);
  if (rv != 0)
    ngtcp2_conn_set_tls_error(tc->conn, rv);
  return rv == 0;
}

static int got_alert(SSL *ssl, unsigned char code, void *arg) {
  struct rn_tls_conn *tc = arg;
  (void)ssl;
  /* The first one says what was wrong. */
  if (!tc->ending && ngtcp2_conn_get_tls_alert(tc->conn) == 0)
    ngtcp2_conn_set_tls_alert(tc->conn, code);
  return 1;
}

#define FN(id, f) { (id), (void (*)(void))(f) }

static const OSSL_DISPATCH callbacks[] = {
  FN(OSSL_FUNC_SSL_QUIC_TLS_CRYPTO_SEND, crypto_send),
  FN(OSSL_FUNC_SSL_QUIC_TLS_CRYPTO_RECV_RCD, crypto_recv),
  FN(OSSL_FUNC_SSL_QUIC_TLS_CRYPTO_RELEASE_RCD, crypto_release),
  FN(OSSL_FUNC_SSL_QUIC_TLS_YIELD_SECRET, yield_secret),
  FN(OSSL_FUNC_SSL_QUIC_TLS_GOT_TRANSPORT_PARAMS, got_params),
  FN(OSSL_FUNC_SSL_QUIC_TLS_ALERT, got_alert),
  OSSL_DISPATCH_END,
};

/* ---- driving the handshake ---- */

static int fail(struct rn_tls_conn *tc) {
  ERR_clear_error();
  int rv = ngtcp2_conn_get_tls_error(tc->conn);
  if (rv != 0)
    return rv;
  if (ngtcp2_conn_get_tls_alert(tc->conn) == 0)
    ngtcp2_conn_set_tls_alert(tc->conn, SSL_AD_INTERNAL_ERROR);
  return NGTCP2_ERR_CRYPTO;
}

static int alpn_agreed(struct rn_tls_conn *tc) {
  const unsigned char *name;
  unsigned int bytes;
  SSL_get0_alpn_selected(tc->ssl, &name, &bytes);
  return bytes == tc->tls->alpn[0] && memcmp(name, tc->tls->alpn + 1, bytes) == 0;
}

/* Whose certificate it was: TLS, which knows, is released later. */
static void note_peer(struct rn_tls_conn *tc) {
  const X509 *cert = SSL_get0_peer_certificate(tc->ssl);
  unsigned int n = 0;
  tc->peer_known = cert != NULL && X509_digest(cert, EVP_sha256(), tc->peer_sha256, &n) == 1 &&
                   n == sizeof(tc->peer_sha256);
}

/* One step of the handshake. 1: complete; 0: waits for bytes or a signature; else an NGTCP2_ERR. */
static int handshake(struct rn_tls_conn *tc) {
  rn_sign_set_slot(tc->tls->sign, &tc->sign);
  int rv = SSL_do_handshake(tc->ssl);
  rn_sign_set_slot(tc->tls->sign, NULL);
  if (rv <= 0) {
    switch (SSL_get_error(tc->ssl, rv)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return 0;
    case SSL_ERROR_WANT_ASYNC:
      tc->sign_wanted = tc->sign != NULL;
      return tc->sign_wanted ? 0 : fail(tc);
    default:
      return fail(tc);
    }
  }
  if (!alpn_agreed(tc)) { /* a peer without the extension, RFC 9001 section 8.1 */
    ngtcp2_conn_set_tls_alert(tc->conn, SSL_AD_NO_APPLICATION_PROTOCOL);
    return fail(tc);
  }
  SSL_clear_mode(tc->ssl, SSL_MODE_ASYNC);
  tc->done = true;
  note_peer(tc);
  ngtcp2_conn_tls_handshake_completed(tc->conn);
  return 1;
}

/* NewSessionTicket is all that may come after the handshake, RFC 9001 sections 4.4 and 6. */
static int post_handshake(struct rn_tls_conn *tc) {
  int rv = SSL_read(tc->ssl, NULL, 0);
  if (rv == 1)
    return 0;
  switch (SSL_get_error(tc->ssl, rv)) {
  case SSL_ERROR_WANT_READ:
  case SSL_ERROR_WANT_WRITE:
    return 0;
  default:
    return fail(tc);
  }
}

static int drive(struct rn_tls_conn *tc) {
  if (tc->sign != NULL && !tc->sign->answered)
    return 0;
  ERR_clear_error(); /* SSL_get_error looks at the thread's queue */
  if (!tc->done) {
    int rv = handshake(tc);
    if (rv != 1)
      return rv;
  }
  return tc->rx_head != NULL ? post_handshake(tc) : 0;
}

/* ---- after the handshake ---- */

/* NewSessionTicket is the only message that may come (RFC 9001 sections 4.4 and 6). Whoever does not want it looks at its head and counts. */
static int skip_tickets(struct rn_tls_conn *tc, const uint8_t *data, size_t len) {
  while (len > 0) {
    if (tc->ticket_left > 0) {
      uint32_t n = len < tc->ticket_left ? (uint32_t)len : tc->ticket_left;
      tc->ticket_left -= n;
      data += n;
      len -= n;
      continue;
    }
    uint8_t *head = tc->ticket_head;
    head[tc->ticket_head_bytes++] = *data++;
    len--;
    if (head[0] != SSL3_MT_NEWSESSION_TICKET) {
      ngtcp2_conn_set_tls_alert(tc->conn, SSL_AD_UNEXPECTED_MESSAGE);
      return NGTCP2_ERR_CRYPTO;
    }
    if (tc->ticket_head_bytes == sizeof(tc->ticket_head)) {
      tc->ticket_head_bytes = 0;
      tc->ticket_left = (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
    }
  }
  return 0;
}

static bool wants_tickets(const struct rn_tls_conn *tc) { return !tc->server && tc->tls->tickets; }

/* ---- API ---- */

static int set_server_name(struct rn_tls_conn *tc, const char *name) {
  X509_VERIFY_PARAM *param = SSL_get0_param(tc->ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1)
    return RN_OK; /* an address is no SNI, RFC 6066 section 3 */
  ERR_clear_error();
  if (SSL_set_tlsext_host_name(tc->ssl, name) != 1 ||
      X509_VERIFY_PARAM_set1_host(param, name, 0) != 1)
    return RN_ERR_INVAL;
  return RN_OK;
}

int rn_tls_conn_init(struct rn_tls_conn *tc, struct rn_quic_tls *t, struct rn_aead_pool *aead,
                     ngtcp2_conn *conn, bool server, const char *server_name) {
  SSL_CTX *ctx = server ? t->server : t->client;
  if (ctx == NULL)
    return RN_ERR_INVAL;
  *tc = (struct rn_tls_conn){
    .conn = conn,
    .aead = aead,
    .tls = t,
    .tx_level = NGTCP2_ENCRYPTION_LEVEL_INITIAL,
    .server = server,
  };
  SSL *ssl = SSL_new(ctx);
  if (ssl == NULL)
    return RN_ERR_LIMIT;
  tc->ssl = ssl;
  int err = SSL_set_quic_tls_cbs(ssl, callbacks, tc) == 1 ? RN_OK : RN_ERR_CRYPTO;
  if (err == RN_OK && !server && server_name != NULL)
    err = set_server_name(tc, server_name);
  if (err != RN_OK) {
    rn_tls_conn_fini(tc);
    return err;
  }
  if (server)
    SSL_set_accept_state(ssl);
  else
    SSL_set_connect_state(ssl);
  if (t->signs)
    SSL_set_mode(ssl, SSL_MODE_ASYNC);
  ngtcp2_conn_set_tls_native_handle(conn, tc);
  return RN_OK;
}

void rn_tls_conn_confirmed(struct rn_tls_conn *tc) {
  if (!wants_tickets(tc)) /* a server's own are written with the end of the handshake */
    rn_tls_conn_release(tc);
}

void rn_tls_conn_release(struct rn_tls_conn *tc) {
  SSL *ssl = tc->ssl;
  if (ssl == NULL)
    return;
  /* Without a shutdown SSL_free takes the session for a bad one. */
  SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(ssl);
  tc->ssl = NULL;
  while (tc->rx_head != NULL)
    rx_pop(tc);
  OPENSSL_free(tc->local_tp);
  tc->local_tp = NULL;
  ERR_clear_error();
}

void rn_tls_conn_fini(struct rn_tls_conn *tc) {
  tc->ending = true;
  if (tc->ssl != NULL && tc->sign != NULL) {
    /* The paused job's stack holds references of its own: let it run to its end. */
    tc->sign->answered = true;
    tc->sign->err = RN_ERR_CANCEL;
    (void)SSL_do_handshake(tc->ssl);
    RN_ASSERT(tc->sign == NULL);
  }
  rn_tls_conn_release(tc);
}

int rn_tls_start(struct rn_tls_conn *tc) {
  int rv = set_local_params(tc);
  return rv == 0 ? drive(tc) : rv;
}

int rn_tls_recv_crypto(ngtcp2_conn *conn, ngtcp2_encryption_level level, uint64_t offset,
                       const uint8_t *data, size_t len, void *user_data) {
  struct rn_tls_conn *tc = ngtcp2_conn_get_tls_native_handle(conn);
  (void)offset;
  (void)user_data;
  /* From the first byte on, also before the release: that may come in the midst of a ticket. */
  if (level == NGTCP2_ENCRYPTION_LEVEL_1RTT && !tc->server && !wants_tickets(tc))
    return skip_tickets(tc, data, len);
  if (tc->ssl == NULL) {
    ngtcp2_conn_set_tls_alert(conn, SSL_AD_UNEXPECTED_MESSAGE);
    return NGTCP2_ERR_CRYPTO;
  }
  if (len == 0) /* ngtcp2_conn_continue_handshake: rn_tls_sign_done has gone on already */
    return 0;
  int rv = rx_push(tc, data, len);
  if (rv != 0 || !hello_complete(tc))
    return rv;
  return drive(tc);
}

void rn_tls_sign_request(struct rn_tls_conn *tc, uint16_t *scheme, const uint8_t **tbs,
                         size_t *tbs_bytes) {
  RN_ASSERT(tc->sign != NULL);
  tc->sign_wanted = false;
  *scheme = tc->sign->scheme;
  *tbs = tc->sign->tbs;
  *tbs_bytes = tc->sign->tbs_bytes;
}

int rn_tls_sign_done(struct rn_tls_conn *tc, int err, const uint8_t *sig, size_t sig_bytes) {
  if (tc->ssl == NULL || tc->sign == NULL)
    return 0;
  tc->sign_wanted = false;
  tc->sign->err = err;
  tc->sign->sig = sig;
  tc->sign->sig_bytes = sig_bytes;
  tc->sign->answered = true;
  return drive(tc);
}

bool rn_tls_conn_resumed(const struct rn_tls_conn *tc) {
  return tc->done && tc->ssl != NULL && SSL_session_reused(tc->ssl) == 1;
}

int rn_tls_suite(const struct rn_tls_conn *tc, enum rn_aead_suite *out) {
  if (!tc->suite_known)
    return RN_ERR_STATE;
  *out = tc->suite;
  return RN_OK;
}
