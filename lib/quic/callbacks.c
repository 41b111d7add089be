/* lib/quic/callbacks.c: what ngtcp2 tells us while it reads or writes a packet of a connection.
 *
 * Nothing here may end the connection: ngtcp2 is on the stack. What has to end it sets a flag that conn_settle acts on. */
#include "quic/quic_priv.h"

#include <string.h>

struct rn_aead_pool *rn_aead_pool_of(void *user) { return ((struct rn_quic_conn *)user)->q->aead; }

/* ---- streams ---- */

static int on_stream_open(ngtcp2_conn *ng, int64_t id, void *user) {
  struct rn_quic_conn *c = user;
  struct rn_quic *q = c->q;
  struct rn_quic_stream *s = stream_new(c, id, false);
  if (s != NULL) {
    ngtcp2_conn_set_stream_user_data(ng, id, s);
    if (q->ev->stream_open(q->app, s) == RN_OK)
      return 0;
    stream_free(s);
    ngtcp2_conn_set_stream_user_data(ng, id, NULL);
  }
  q->stats.streams_refused++;
  ngtcp2_conn_shutdown_stream(ng, 0, id, 0);
  return 0;
}

static int on_stream_data(ngtcp2_conn *ng, uint32_t flags, int64_t id, uint64_t offset,
                          const uint8_t *data, size_t len, void *user, void *stream_user) {
  (void)offset;
  struct rn_quic_conn *c = user;
  struct rn_quic *q = c->q;
  struct rn_quic_stream *s = stream_user;
  q->stats.stream_rx_bytes += len;
  if (s == NULL || s->stop_sent) {
    /* Refused or stopped: what still comes counts against the connection's window only until here. */
    ngtcp2_conn_extend_max_offset(ng, len);
    (void)id;
    return 0;
  }
  bool fin = (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0;
  if (fin)
    s->rx_done = true;
  if (c->logged)
    qlog_moved(s, "network", "application", len, fin);
  q->ev->stream_data(q->app, s, data, len, fin);
  return 0;
}

static int on_stream_acked(ngtcp2_conn *ng, int64_t id, uint64_t offset, uint64_t len, void *user,
                           void *stream_user) {
  (void)ng, (void)id, (void)user;
  if (stream_user != NULL)
    stream_acked(stream_user, offset + len);
  return 0;
}

static int on_stream_close(ngtcp2_conn *ng, uint32_t flags, int64_t id, uint64_t code, void *user,
                           void *stream_user) {
  (void)flags, (void)code;
  struct rn_quic_conn *c = user;
  if (stream_user != NULL)
    stream_free(stream_user);
  if (!ngtcp2_conn_is_local_stream(ng, id)) {
    c->streams_withheld++;
    stream_give_back_credit(c);
  }
  return 0;
}

static int on_stream_reset(ngtcp2_conn *ng, int64_t id, uint64_t final_size, uint64_t code,
                           void *user, void *stream_user) {
  (void)ng, (void)id, (void)final_size;
  struct rn_quic_conn *c = user;
  struct rn_quic_stream *s = stream_user;
  if (s == NULL || s->rx_done)
    return 0;
  s->rx_done = true;
  c->q->ev->stream_reset(c->q->app, s, code);
  return 0;
}

static int on_more_stream_data(ngtcp2_conn *ng, int64_t id, uint64_t max_data, void *user,
                               void *stream_user) {
  (void)ng, (void)id, (void)max_data, (void)stream_user;
  conn_mark_dirty(user);
  return 0;
}

static int on_more_streams(ngtcp2_conn *ng, uint64_t max_streams, void *user) {
  (void)ng, (void)max_streams;
  struct rn_quic_conn *c = user;
  if (c->want_streams && c->state == CONN_READY) {
    c->want_streams = false;
    c->q->ev->streams_available(c->q->app, c);
  }
  return 0;
}

/* ---- connection ---- */

static int on_handshake_completed(ngtcp2_conn *ng, void *user) {
  struct rn_quic_conn *c = user;
  (void)ng;
  c->ready_pending = true;
  c->confirmed_pending =
      c->server; /* RFC 9001 section 4.1.2: a server's is confirmed when complete */
  return 0;
}

/* HANDSHAKE_DONE, sent by a server that cannot have our Finished yet: ngtcp2 1.22.1 has dropped its Handshake packets by now and would look for
 * them as it writes. RFC 9000 section 19.20 has no place for it. */
static int on_handshake_confirmed(ngtcp2_conn *ng, void *user) {
  struct rn_quic_conn *c = user;
  (void)ng;
  c->early_done = !c->last_flight;
  c->confirmed_pending = c->last_flight;
  return c->last_flight ? 0 : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int on_path_validation(ngtcp2_conn *ng, uint32_t flags, const ngtcp2_path *path,
                              const ngtcp2_path *old, ngtcp2_path_validation_result res,
                              void *user) {
  (void)ng, (void)flags, (void)old;
  struct rn_quic_conn *c = user;
  if (res != NGTCP2_PATH_VALIDATION_RESULT_SUCCESS) {
    c->q->stats.path_failures++;
    return 0;
  }
  c->q->stats.path_migrations++;
  path_adopt(c, path);
  return 0;
}

static int on_new_cid(ngtcp2_conn *ng, ngtcp2_cid *cid, ngtcp2_stateless_reset_token *token,
                      size_t cid_len, void *user) {
  (void)ng, (void)cid_len;
  struct rn_quic_conn *c = user;
  conn_new_cid(c->q, c->slot, c->gen, cid);
  return rn_cid_reset_token(c->q->cid, cid->data, cid->datalen, token->data) == RN_OK
             ? 0
             : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int on_path_challenge(ngtcp2_conn *ng, ngtcp2_path_challenge_data *data, void *user) {
  (void)ng;
  struct rn_quic *q = ((struct rn_quic_conn *)user)->q;
  q->rand(q->rand_ctx, data->data, sizeof(data->data));
  return 0;
}

static void on_rand(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *ctx) {
  struct rn_quic *q = ctx->native_handle;
  q->rand(q->rand_ctx, dest, len);
}

static int on_new_token(ngtcp2_conn *ng, const uint8_t *token, size_t len, void *user) {
  (void)ng;
  newtoken_keep(user, token, len);
  return 0;
}

static int on_stateless_reset(ngtcp2_conn *ng, const ngtcp2_pkt_stateless_reset2 *sr, void *user) {
  (void)ng, (void)sr;
  ((struct rn_quic_conn *)user)->got_reset = true;
  return 0;
}

/* Which reset tokens end this connection (RFC 9000 section 10.3.1): rx.c finds it by them. */
static int on_dcid_status(ngtcp2_conn *ng, ngtcp2_connection_id_status_type type, uint64_t seq,
                          const ngtcp2_cid *cid, const ngtcp2_stateless_reset_token *token,
                          void *user) {
  (void)ng, (void)seq, (void)cid;
  if (token != NULL)
    conn_note_reset_token(user, token->data, type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE);
  return 0;
}

void callbacks_init(struct rn_quic *q) {
  ngtcp2_callbacks cb = {
    .recv_crypto_data = rn_tls_recv_crypto,
    .handshake_completed = on_handshake_completed,
    .handshake_confirmed = on_handshake_confirmed,
    .recv_stream_data = on_stream_data,
    .acked_stream_data_offset = on_stream_acked,
    .stream_open = on_stream_open,
    .stream_close = on_stream_close,
    .stream_reset = on_stream_reset,
    .extend_max_local_streams_bidi = on_more_streams,
    .extend_max_stream_data = on_more_stream_data,
    .rand = on_rand,
    .get_new_connection_id2 = on_new_cid,
    .get_path_challenge_data2 = on_path_challenge,
    .dcid_status2 = on_dcid_status,
    .path_validation = on_path_validation,
    .recv_stateless_reset2 = on_stateless_reset,
    .recv_new_token = on_new_token,
  };
  rn_aead_set_callbacks(&cb);
  q->cb_server = cb;
  q->cb_client = cb;
  q->cb_server.client_initial = NULL;
  q->cb_client.recv_client_initial = NULL;
}
