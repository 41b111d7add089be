/* lib/quic/glue.c: ngtcp2's callbacks about keys: Initial and Retry keys (RFC 9001 sections 5.2 and
 * 5.8), key updates (section 6), and the end of each. */
#include "quic/aead.h"

#include <stdbool.h>

#include "quic/keys.h"
#include "quic/retry.h"
#include "quic/tls.h"
#include "util/err.h"

/* The packet protection of one connection's Initial packets. */
struct initial {
  ngtcp2_crypto_aead_ctx rx_aead, tx_aead;
  ngtcp2_crypto_cipher_ctx rx_hp, tx_hp;
  uint8_t rx_iv[RN_AEAD_IV_BYTES], tx_iv[RN_AEAD_IV_BYTES];
};

static void initial_put(struct rn_aead_pool *p, struct initial *k) {
  rn_aead_ctx_put(p, &k->rx_aead);
  rn_aead_ctx_put(p, &k->tx_aead);
  rn_aead_hp_put(p, &k->rx_hp);
  rn_aead_hp_put(p, &k->tx_hp);
}

static int initial_take(struct rn_aead_pool *p, bool server, const ngtcp2_cid *dcid,
                        struct initial *k) {
  uint8_t c[RN_KEYS_INITIAL_BYTES], s[RN_KEYS_INITIAL_BYTES];
  *k = (struct initial){ 0 };
  rn_keys_initial_secrets(dcid->data, dcid->datalen, c, s);
  int err = rn_aead_keys(p, RN_AEAD_AES128_GCM, server ? c : s, sizeof(c), &k->rx_aead, &k->rx_hp,
                         k->rx_iv);
  if (err == RN_OK)
    err = rn_aead_keys(p, RN_AEAD_AES128_GCM, server ? s : c, sizeof(s), &k->tx_aead, &k->tx_hp,
                       k->tx_iv);
  if (err != RN_OK)
    initial_put(p, k);
  return err;
}

static int install_initial(ngtcp2_conn *conn, struct rn_aead_pool *p, const ngtcp2_cid *dcid) {
  struct initial k;
  if (initial_take(p, ngtcp2_conn_is_server(conn), dcid, &k) != RN_OK)
    return NGTCP2_ERR_NOMEM;
  ngtcp2_conn_set_initial_crypto_ctx(conn, rn_aead_initial_ctx());
  int rv = ngtcp2_conn_install_initial_key(conn, &k.rx_aead, k.rx_iv, &k.rx_hp, &k.tx_aead, k.tx_iv,
                                           &k.tx_hp, RN_AEAD_IV_BYTES);
  if (rv != 0)
    initial_put(p, &k);
  return rv == 0 ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int client_initial(ngtcp2_conn *conn, void *user_data) {
  struct rn_aead_pool *p = rn_aead_pool_of(user_data);
  ngtcp2_crypto_aead_ctx retry = { 0 };
  int rv = install_initial(conn, p, ngtcp2_conn_get_dcid(conn));
  if (rv != 0)
    return rv;
  if (rn_aead_ctx_take(p, RN_AEAD_AES128_GCM, rn_retry_key_v1, &retry) != RN_OK)
    return NGTCP2_ERR_NOMEM;
  ngtcp2_conn_set_retry_aead(conn, &rn_aead_initial_ctx()->aead, &retry);
  rv = rn_tls_start(ngtcp2_conn_get_tls_native_handle(conn));
  return rv == 0 ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int recv_client_initial(ngtcp2_conn *conn, const ngtcp2_cid *dcid, void *user_data) {
  return install_initial(conn, rn_aead_pool_of(user_data), dcid);
}

static int recv_retry(ngtcp2_conn *conn, const ngtcp2_pkt_hd *hd, void *user_data) {
  return install_initial(conn, rn_aead_pool_of(user_data), &hd->scid);
}

/* ngtcp2 asks for another version's Initial keys when compatible version negotiation (RFC 9368)
 * chose one; only version 1 is offered, so a peer cannot bring this about. */
static int version_negotiation(ngtcp2_conn *conn, uint32_t version, const ngtcp2_cid *dcid,
                               void *user_data) {
  (void)conn;
  (void)version;
  (void)dcid;
  (void)user_data;
  return NGTCP2_ERR_CALLBACK_FAILURE;
}

static int update_key(ngtcp2_conn *conn, uint8_t *rx_secret, uint8_t *tx_secret,
                      ngtcp2_crypto_aead_ctx *rx_aead, uint8_t *rx_iv,
                      ngtcp2_crypto_aead_ctx *tx_aead, uint8_t *tx_iv,
                      const uint8_t *current_rx_secret, const uint8_t *current_tx_secret,
                      size_t secret_bytes, void *user_data) {
  struct rn_aead_pool *p = rn_aead_pool_of(user_data);
  enum rn_aead_suite suite = rn_aead_suite_of(&ngtcp2_conn_get_crypto_ctx(conn)->aead);
  rn_keys_next_secret(rn_aead_hash(suite), current_rx_secret, secret_bytes, rx_secret);
  rn_keys_next_secret(rn_aead_hash(suite), current_tx_secret, secret_bytes, tx_secret);
  if (rn_aead_keys(p, suite, rx_secret, secret_bytes, rx_aead, NULL, rx_iv) != RN_OK)
    return NGTCP2_ERR_CALLBACK_FAILURE;
  if (rn_aead_keys(p, suite, tx_secret, secret_bytes, tx_aead, NULL, tx_iv) != RN_OK) {
    rn_aead_ctx_put(p, rx_aead);
    return NGTCP2_ERR_CALLBACK_FAILURE;
  }
  return 0;
}

static void delete_aead_ctx(ngtcp2_conn *conn, ngtcp2_crypto_aead_ctx *ctx, void *user_data) {
  (void)conn;
  rn_aead_ctx_put(rn_aead_pool_of(user_data), ctx);
}

static void delete_cipher_ctx(ngtcp2_conn *conn, ngtcp2_crypto_cipher_ctx *ctx, void *user_data) {
  (void)conn;
  rn_aead_hp_put(rn_aead_pool_of(user_data), ctx);
}

void rn_aead_set_callbacks(ngtcp2_callbacks *cb) {
  cb->encrypt = rn_aead_encrypt;
  cb->decrypt = rn_aead_decrypt;
  cb->hp_mask = rn_aead_hp_mask;
  cb->client_initial = client_initial;
  cb->recv_client_initial = recv_client_initial;
  cb->recv_retry = recv_retry;
  cb->update_key = update_key;
  cb->delete_crypto_aead_ctx = delete_aead_ctx;
  cb->delete_crypto_cipher_ctx = delete_cipher_ctx;
  cb->version_negotiation = version_negotiation;
}
