/* lib/quic/conn.c: the life of one connection.
 *
 *   FREE --accept/dial--> HANDSHAKE --completed--> READY
 *                            |   \                  / |
 *                            |    +--error, close--+  |
 *                            v            v           v
 *                          FREE        CLOSING     DRAINING ---3 PTO---> FREE
 *
 * A connection gives its memory back when it ends: what stays for 3 PTO (RFC 9000 section 10.2), LINGER_MAX_NS at most, is the slot, so that late packets
 * find it, and the CONNECTION_CLOSE to answer them with. When slots run out the one that ended first makes room. */
#include "quic/contain.h"
#include "quic/quic_priv.h"

#include <string.h>

#define NS_PER_MS         1000000u
#define ACK_WAIT_NS       250000u
#define CLOSE_REPEAT_MASK 7u /* while closing, answer the 1st, 9th, 17th ... datagram */
/* Frames that say nothing new, after which ngtcp2 ends a connection. Its 10,000 and 330/s are for large streams: a peer that sends a window of small
 * calls again, because ours stood still or reordered its packets, brings thirty in each packet. They cost us what others cost. */
#define GLITCHES         1000000u
#define GLITCHES_PER_S   100000u
#define DEFAULT_RTT_NS   (333u * NS_PER_MS)
#define DCIDS_MISCOUNTED 2u /* at most: the path in validation and the one to fall back to */
#define DCIDS_IN_USE     5u /* at most: the path in use, two in validation, two just retired */

/* ---- state ---- */

enum conn_event { EV_OPEN, EV_READY, EV_CLOSE, EV_DRAIN, EV_FREE, EV_COUNT };

#define NOT_ALLOWED 0xff
static const uint8_t conn_next[CONN_STATE_COUNT][EV_COUNT] = {
  [CONN_FREE] = { CONN_HANDSHAKE, NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED },
  [CONN_HANDSHAKE] = { NOT_ALLOWED, CONN_READY, CONN_CLOSING, CONN_DRAINING, CONN_FREE },
  [CONN_READY] = { NOT_ALLOWED, NOT_ALLOWED, CONN_CLOSING, CONN_DRAINING, CONN_FREE },
  [CONN_CLOSING] = { NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED, CONN_DRAINING, CONN_FREE },
  [CONN_DRAINING] = { NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED, CONN_FREE },
};

static void conn_set_state(struct rn_quic_conn *c, enum conn_event ev) {
  uint8_t next = conn_next[c->state][ev];
  RN_ASSERT(next != NOT_ALLOWED);
  c->state = next;
}

/* ---- slots ---- */

static struct rn_quic_conn *slot_take(struct rn_quic *q) {
  if (q->conn_free == UINT32_MAX && q->conn_fresh == q->lim.conns &&
      !rn_list_empty(&q->lingering)) {
    q->stats.linger_cut++;
    conn_free(RN_LIST_ENTRY(q->lingering.next, struct rn_quic_conn, linger_node));
  }
  uint32_t slot = q->conn_free;
  struct rn_quic_conn *c;
  if (slot != UINT32_MAX) {
    c = &q->conns[slot];
    q->conn_free = c->free_next;
  } else if (q->conn_fresh < q->lim.conns) {
    slot = q->conn_fresh++;
    c = &q->conns[slot];
    c->gen = 0;
  } else {
    return NULL;
  }
  uint32_t gen = (c->gen + 1) & CONN_GEN_MASK;
  *c = (struct rn_quic_conn){ .q = q, .slot = slot, .gen = gen, .pace_at_ns = UINT64_MAX };
  c->born_ns = c->heard_ns = q->now_ns;
  rn_list_init(&c->dirty_node);
  rn_list_init(&c->linger_node);
  rn_list_init(&c->sign_node);
  rn_list_init(&c->ready);
  rn_list_init(&c->blocked);
  rn_list_init(&c->paced);
  rn_list_init(&c->streams);
  rn_timer_init(&c->timer);
  conn_mem_init(c);
  q->stats.conns++;
  return c;
}

static void slot_give(struct rn_quic_conn *c) {
  struct rn_quic *q = c->q;
  c->free_next = q->conn_free;
  q->conn_free = c->slot;
  q->stats.conns--;
}

struct rn_quic_conn *conn_find(struct rn_quic *q, uint32_t slot, uint32_t gen) {
  if (slot >= q->conn_fresh)
    return NULL;
  struct rn_quic_conn *c = &q->conns[slot];
  return c->state != CONN_FREE && c->gen == gen ? c : NULL;
}

void conn_new_cid(struct rn_quic *q, uint32_t slot, uint32_t gen, ngtcp2_cid *out) {
  uint8_t rnd[6];
  q->rand(q->rand_ctx, rnd, sizeof(rnd));
  out->datalen = RN_CID_BYTES;
  rn_cid_make(q->cid, slot, gen, rnd, out->data);
}

/* ---- birth ---- */

static void fill_settings(struct rn_quic *q, ngtcp2_settings *s) {
  static const ngtcp2_cc_algo cc[] = {
    [RN_QUIC_CC_CUBIC] = NGTCP2_CC_ALGO_CUBIC,
    [RN_QUIC_CC_NEWRENO] = NGTCP2_CC_ALGO_RENO,
    [RN_QUIC_CC_BBR] = NGTCP2_CC_ALGO_BBR,
  };
  const struct rn_quic_config *cfg = &q->cfg;
  ngtcp2_settings_default(s);
  s->cc_algo = cc[cfg->cc];
  s->initial_ts = q->now_ns;
  s->initial_rtt = cfg->initial_rtt_ns != 0 ? cfg->initial_rtt_ns : DEFAULT_RTT_NS;
  s->handshake_timeout = cfg->handshake_timeout_ns;
  s->max_tx_udp_payload_size = cfg->max_udp_payload;
  s->glitch_ratelim_burst = GLITCHES;
  s->glitch_ratelim_rate = GLITCHES_PER_S;
  s->no_pmtud = !cfg->pmtud;
  s->rand_ctx.native_handle = q;
}

static void fill_params(const struct rn_quic_config *cfg, ngtcp2_transport_params *p) {
  ngtcp2_transport_params_default(p);
  p->initial_max_data = cfg->conn_window;
  p->initial_max_stream_data_bidi_local =
      cfg->own_stream_window != 0 ? cfg->own_stream_window : cfg->stream_window;
  p->initial_max_stream_data_bidi_remote = cfg->stream_window;
  p->initial_max_streams_bidi = cfg->max_streams_bidi;
  p->max_idle_timeout = cfg->idle_timeout_ns;
  p->max_ack_delay = cfg->max_ack_delay_ns;
  /* ngtcp2 refuses more than this. The peer is told fewer (RN_TLS_CID_LIMIT): a client that moves during a path validation makes ngtcp2 retire
   * the ID it falls back to and count it on, so that the replacement is one too many (CONNECTION_ID_LIMIT_ERROR). */
  p->active_connection_id_limit = RN_TLS_CID_LIMIT + DCIDS_MISCOUNTED;
  p->max_udp_payload_size = 65527;
}

/* TLS, keep-alive, timer and lists: the same for both roles. */
static int conn_start(struct rn_quic_conn *c, const struct rn_path *path, struct rn_quic_tls *tls,
                      const char *server_name) {
  struct rn_quic *q = c->q;
  int err = rn_tls_conn_init(&c->tls, tls, q->aead, c->ng, c->server, server_name);
  if (err != RN_OK)
    return err;
  struct native_path np;
  path_to_native(path, 0, 0, &np);
  path_adopt(c, &np.path);
  rn_quic_conn_keep_alive(c, q->cfg.keep_alive_ns);
  conn_set_state(c, EV_OPEN);
  conn_mark_dirty(c);
  return RN_OK;
}

int conn_accept(struct rn_quic *q, const ngtcp2_pkt_hd *hd, enum token_verdict token,
                const ngtcp2_cid *odcid, const struct rn_path *path, struct rn_quic_conn **out) {
  struct rn_quic_conn *c = slot_take(q);
  if (c == NULL)
    return RN_ERR_LIMIT;
  c->server = true;
  ngtcp2_settings settings;
  ngtcp2_transport_params params;
  fill_settings(q, &settings);
  fill_params(&q->cfg, &params);
  ngtcp2_cid scid;
  conn_new_cid(q, c->slot, c->gen, &scid);
  params.stateless_reset_token_present = 1;
  params.original_dcid_present = 1;
  params.original_dcid = hd->dcid;
  if (token == TOKEN_RETRY) {
    params.original_dcid = *odcid;
    params.retry_scid_present = 1;
    params.retry_scid = hd->dcid;
  }
  if (token != TOKEN_NONE) {
    settings.token = hd->token;
    settings.tokenlen = hd->tokenlen;
    settings.token_type =
        token == TOKEN_RETRY ? NGTCP2_TOKEN_TYPE_RETRY : NGTCP2_TOKEN_TYPE_NEW_TOKEN;
  }
  qlog_offer(c, path, &settings);
  struct native_path np;
  path_to_native(path, 0, 0, &np);
  int err = rn_cid_reset_token(q->cid, scid.data, scid.datalen, params.stateless_reset_token);
  if (err != RN_OK)
    goto fail;
  err = RN_ERR_LIMIT;
  if (ngtcp2_conn_server_new(&c->ng, &hd->scid, &scid, &np.path, hd->version, &q->cb_server,
                             &settings, &params, &c->mem, c) != 0)
    goto fail;
  err = conn_start(c, path, q->tls, NULL);
  if (err != RN_OK)
    goto fail;
  c->client_dcid = hd->dcid;
  c->client_addr = path->remote;
  err = rn_cidmap_put(q->initials, hd->dcid.data, hd->dcid.datalen, &path->remote, c->slot);
  c->in_initials = err == RN_OK;
  c->half_open = true;
  q->stats.half_open++;
  q->stats.conns_accepted++;
  *out = c;
  return RN_OK;

fail:
  rn_tls_conn_fini(&c->tls);
  ngtcp2_conn_del(c->ng);
  slot_give(c);
  return err;
}

int rn_quic_connect(struct rn_quic *q, uint64_t now_ns, const struct rn_path *path,
                    const char *server_name, struct rn_quic_conn **out) {
  return rn_quic_connect_tls(q, now_ns, path, server_name, NULL, out);
}

int rn_quic_connect_tls(struct rn_quic *q, uint64_t now_ns, const struct rn_path *path,
                        const char *server_name, struct rn_quic_tls *tls,
                        struct rn_quic_conn **out) {
  q->now_ns = now_ns;
  if (path->remote.family != 4 && path->remote.family != 6)
    return RN_ERR_INVAL;
  struct rn_quic_conn *c = slot_take(q);
  if (c == NULL)
    return RN_ERR_LIMIT;
  ngtcp2_settings settings;
  ngtcp2_transport_params params;
  fill_settings(q, &settings);
  fill_params(&q->cfg, &params);
  newtoken_use(q, &path->remote, &settings);
  ngtcp2_cid scid, dcid = { .datalen = RN_CID_BYTES };
  conn_new_cid(q, c->slot, c->gen, &scid);
  q->rand(q->rand_ctx, dcid.data, dcid.datalen);
  struct native_path np;
  path_to_native(path, 0, 0, &np);
  int err = RN_ERR_LIMIT;
  if (ngtcp2_conn_client_new(&c->ng, &dcid, &scid, &np.path, NGTCP2_PROTO_VER_V1, &q->cb_client,
                             &settings, &params, &c->mem, c) != 0)
    goto fail;
  err = conn_start(c, path, tls != NULL ? tls : q->client_tls, server_name);
  if (err != RN_OK)
    goto fail;
  q->stats.conns_dialled++;
  *out = c;
  return RN_OK;

fail:
  rn_tls_conn_fini(&c->tls);
  ngtcp2_conn_del(c->ng);
  slot_give(c);
  return err;
}

/* ---- between packets ---- */

static void left_half_open(struct rn_quic_conn *c) {
  struct rn_quic *q = c->q;
  if (c->half_open) {
    c->half_open = false;
    q->stats.half_open--;
  }
  if (c->in_initials) {
    c->in_initials = false;
    rn_cidmap_del(q->initials, c->client_dcid.data, c->client_dcid.datalen, &c->client_addr);
  }
  signing_end(c);
}

void conn_note_reset_token(struct rn_quic_conn *c, const uint8_t token[16], bool active) {
  static const struct rn_addr anywhere;
  struct rn_quic *q = c->q;
  if (!active)
    rn_cidmap_del(q->reset_tokens, token, 16, &anywhere);
  else if (rn_cidmap_put(q->reset_tokens, token, 16, &anywhere, c->slot) != RN_OK)
    q->stats.reset_token_limit++;
}

/* The first connection ID's token comes with the transport parameters, not by NEW_CONNECTION_ID. */
static void note_first_reset_token(struct rn_quic_conn *c, bool active) {
  const ngtcp2_transport_params *tp = ngtcp2_conn_get_remote_transport_params(c->ng);
  if (tp != NULL && tp->stateless_reset_token_present)
    conn_note_reset_token(c, tp->stateless_reset_token, active);
}

static void forget_reset_tokens(struct rn_quic_conn *c) {
  ngtcp2_cid_token held[DCIDS_IN_USE];
  note_first_reset_token(c, false);
  size_t n = ngtcp2_conn_get_active_dcid(c->ng, NULL);
  if (n > DCIDS_IN_USE)
    return;
  ngtcp2_conn_get_active_dcid(c->ng, held);
  for (size_t i = 0; i < n; i++) {
    if (held[i].token_present)
      conn_note_reset_token(c, held[i].token, false);
  }
}

void conn_settle(struct rn_quic_conn *c) {
  struct rn_quic *q = c->q;
  if (c->ng == NULL)
    return;
  if (c->tls.sign_wanted) {
    signing_begin(c);
    if (c->ng == NULL)
      return;
  }
  if (c->ready_pending) {
    c->ready_pending = false;
    left_half_open(c);
    conn_set_state(c, EV_READY);
    q->stats.conns_ready++;
    q->stats.conns_resumed += rn_tls_conn_resumed(&c->tls);
    note_first_reset_token(c, true);
    if (c->server)
      newtoken_send(c);
    q->ev->conn_ready(q->app, c);
  }
  if (c->confirmed_pending) {
    c->confirmed_pending = false;
    c->confirmed = true;
    rn_tls_conn_confirmed(&c->tls);
  }
  if (c->close_wanted) {
    conn_close_now(c, true, c->close_code);
    return;
  }
  stream_unblock(c);
}

/* ---- end ---- */

/* The close datagram is written while ngtcp2 still has its keys; it is sent, and repeated, by tx. */
static void write_close(struct rn_quic_conn *c, const ngtcp2_ccerr *ccerr) {
  struct rn_quic *q = c->q;
  struct seg *g = rn_slab_take(q->bulk_segs);
  if (g == NULL)
    return;
  g->cap = RN_QUIC_BULK_SEG_BYTES - (uint32_t)sizeof(*g);
  g->release = NULL;
  ngtcp2_pkt_info pi;
  size_t room = q->cfg.max_udp_payload < g->cap ? q->cfg.max_udp_payload : g->cap;
  ngtcp2_ssize n =
      ngtcp2_conn_write_connection_close(c->ng, NULL, &pi, g->bytes, room, ccerr, q->now_ns);
  if (n <= 0) {
    rn_slab_give(q->bulk_segs, g);
    return;
  }
  g->len = (uint32_t)n;
  c->close_pkt = g;
  c->close_send = true;
  conn_mark_dirty(c);
}

static void count_close(struct rn_quic *q, const struct rn_quic_close *why) {
  uint64_t *const by_kind[] = {
    [RN_QUIC_CLOSE_IDLE] = &q->stats.closed_idle,
    [RN_QUIC_CLOSE_HANDSHAKE] = &q->stats.closed_handshake,
    [RN_QUIC_CLOSE_LOCAL] = &q->stats.closed_local,
    [RN_QUIC_CLOSE_PEER] = &q->stats.closed_peer,
    [RN_QUIC_CLOSE_RESET] = &q->stats.closed_reset,
  };
  ++*by_kind[why->kind];
  q->stats.conns_closed++;
}

/* Whoever is slow to acknowledge makes the PTO as long as he likes. How long his slot stays is not for him to say: afterwards a late packet meets a stateless
 * reset (RFC 9000 section 10.2). */
#define LINGER_MAX_NS UINT64_C(5000000000)

/* Events, then everything but the slot is given back, which stays for 3 PTO. */
static void conn_end(struct rn_quic_conn *c, enum conn_event ev, const struct rn_quic_close *why) {
  struct rn_quic *q = c->q;
  uint64_t pto_ns = ngtcp2_conn_get_pto(c->ng);
  forget_reset_tokens(c);
  left_half_open(c);
  conn_set_state(c, ev);
  count_close(q, why);
  if (c->server && why->kind == RN_QUIC_CLOSE_HANDSHAKE)
    admit_failed(q);
  ngtcp2_conn *ng = c->ng;
  c->ng = NULL;
  while (!rn_list_empty(&c->streams))
    stream_free(RN_LIST_ENTRY(c->streams.next, struct rn_quic_stream, conn_node));
  q->ev->conn_closed(q->app, c, why);
  rn_tls_conn_fini(&c->tls);
  ngtcp2_conn_del(ng);
  conn_mem_release(c);
  qlog_ended(c, why);
  if (c->state == CONN_FREE) {
    rn_list_remove(&c->dirty_node);
    rn_list_init(&c->dirty_node);
    rn_wheel_cancel(q->wheel, &c->timer);
    slot_give(c);
    return;
  }
  rn_list_push_back(&q->lingering, &c->linger_node);
  const uint64_t linger_ns = 3 * pto_ns < LINGER_MAX_NS ? 3 * pto_ns : LINGER_MAX_NS;
  rn_wheel_set(q->wheel, &c->timer, q->now_ns + linger_ns);
}

void conn_close_now(struct rn_quic_conn *c, bool app, uint64_t code) {
  ngtcp2_ccerr ccerr;
  if (app)
    ngtcp2_ccerr_set_application_error(&ccerr, code, NULL, 0);
  else
    ngtcp2_ccerr_set_transport_error(&ccerr, code, NULL, 0);
  write_close(c, &ccerr);
  struct rn_quic_close why = { .kind = RN_QUIC_CLOSE_LOCAL, .app = app, .code = code };
  conn_end(c, EV_CLOSE, &why);
}

static void closed_by_peer(struct rn_quic_conn *c) {
  const ngtcp2_ccerr *e = ngtcp2_conn_get_ccerr(c->ng);
  struct rn_quic_close why = {
    .kind = c->got_reset ? RN_QUIC_CLOSE_RESET : RN_QUIC_CLOSE_PEER,
    .app = e->type == NGTCP2_CCERR_TYPE_APPLICATION,
    .code = e->error_code,
  };
  conn_end(c, EV_DRAIN, &why);
}

void conn_fail(struct rn_quic_conn *c, int liberr) {
  struct rn_quic *q = c->q;
  bool was_ready = c->state == CONN_READY;
  ngtcp2_ccerr ccerr;
  switch (liberr) {
  case NGTCP2_ERR_DRAINING:
    closed_by_peer(c);
    return;
  case NGTCP2_ERR_IDLE_CLOSE: {
    struct rn_quic_close why = { .kind = was_ready ? RN_QUIC_CLOSE_IDLE : RN_QUIC_CLOSE_HANDSHAKE };
    conn_end(c, EV_FREE, &why);
    return;
  }
  case NGTCP2_ERR_DROP_CONN: {
    struct rn_quic_close why = { .kind = RN_QUIC_CLOSE_HANDSHAKE };
    conn_end(c, EV_FREE, &why);
    return;
  }
  case NGTCP2_ERR_CRYPTO:
    ngtcp2_ccerr_set_tls_alert(&ccerr, ngtcp2_conn_get_tls_alert(c->ng), NULL, 0);
    break;
  case NGTCP2_ERR_CALLBACK_FAILURE:
    ngtcp2_ccerr_set_liberr(&ccerr, c->early_done ? NGTCP2_ERR_PROTO : liberr, NULL, 0);
    q->stats.protocol_errors++;
    break;
  default:
    ngtcp2_ccerr_set_liberr(&ccerr, liberr, NULL, 0);
    if (liberr != NGTCP2_ERR_HANDSHAKE_TIMEOUT && liberr != NGTCP2_ERR_NOMEM)
      q->stats.protocol_errors++;
    break;
  }
  write_close(c, &ccerr);
  struct rn_quic_close why = {
    .kind = was_ready ? RN_QUIC_CLOSE_LOCAL : RN_QUIC_CLOSE_HANDSHAKE,
    .code = ccerr.error_code,
  };
  conn_end(c, EV_CLOSE, &why);
}

void conn_refuse(struct rn_quic_conn *c) {
  ngtcp2_ccerr ccerr;
  ngtcp2_ccerr_set_transport_error(&ccerr, NGTCP2_CONNECTION_REFUSED, NULL, 0);
  write_close(c, &ccerr);
  struct rn_quic_close why = { .kind = RN_QUIC_CLOSE_HANDSHAKE, .code = NGTCP2_CONNECTION_REFUSED };
  conn_end(c, EV_CLOSE, &why);
}

static void take_down(struct rn_quic_conn *c, void *arg) {
  (void)arg;
  struct rn_quic_close why = { .kind = RN_QUIC_CLOSE_LOCAL, .code = NGTCP2_INTERNAL_ERROR };
  conn_end(c, EV_FREE, &why);
}

void conn_abandon(struct rn_quic_conn *c) {
  c->q->stats.assertions++;
  /* When not even this is possible there is nothing left to trust. */
  RN_ASSERT(c->ng != NULL && contain_run(c, take_down, NULL));
}

void conn_free(struct rn_quic_conn *c) {
  struct rn_quic *q = c->q;
  if (c->ng != NULL) {
    struct rn_quic_close why = { .kind = RN_QUIC_CLOSE_LOCAL };
    conn_end(c, EV_FREE, &why);
    return;
  }
  if (c->close_pkt != NULL)
    rn_slab_give(q->bulk_segs, c->close_pkt);
  c->close_pkt = NULL;
  rn_list_remove(&c->linger_node);
  rn_list_remove(&c->dirty_node);
  rn_list_init(&c->dirty_node);
  rn_wheel_cancel(q->wheel, &c->timer);
  conn_set_state(c, EV_FREE);
  slot_give(c);
}

void conn_rx_closed(struct rn_quic_conn *c) {
  c->q->stats.drop_closed++;
  if (c->state == CONN_CLOSING && c->close_pkt != NULL &&
      (c->close_rx++ & CLOSE_REPEAT_MASK) == 0) {
    c->close_send = true;
    conn_mark_dirty(c);
  }
}

/* ---- time ---- */

/* ngtcp2 has an acknowledgement wait for an eighth of the round trip (and never for longer than max_ack_delay), which from one machine of a rack to the next
 * is a microsecond or two: nothing that could take it along comes up in that time, so that each travels alone, in a datagram that costs both ends as much
 * as an answer. With nothing to send it waits longer here: for what is sent next, or for a second packet, for which it goes at once. Of the other timers
 * none is that exact; each is late by ACK_WAIT_NS at most, whatever comes meanwhile. */
static uint64_t wait_for_company(const struct rn_quic_conn *c, uint64_t at) {
  const uint64_t late = c->heard_ns + ACK_WAIT_NS;
  if (c->state != CONN_READY || !rn_list_empty(&c->ready) || at >= late)
    return at;
  ngtcp2_conn_info info;
  ngtcp2_conn_get_conn_info(c->ng, &info);
  if (info.smoothed_rtt / 8 >= ACK_WAIT_NS) /* it waits that long anyway */
    return at;
  return late - at < ACK_WAIT_NS ? late : at + ACK_WAIT_NS;
}

void conn_arm(struct rn_quic_conn *c) {
  if (c->ng == NULL)
    return;
  uint64_t at = stuck_watch(c, wait_for_company(c, ngtcp2_conn_get_expiry(c->ng)));
  if (c->pace_at_ns < at)
    at = c->pace_at_ns;
  if (c->sign_pending && c->sign_by_ns < at)
    at = c->sign_by_ns;
  if (at == UINT64_MAX)
    rn_wheel_cancel(c->q->wheel, &c->timer);
  else
    rn_wheel_set(c->q->wheel, &c->timer, at);
}

static void handle_expiry(struct rn_quic_conn *c, void *arg) {
  (void)arg;
  if (signing_overdue(c)) {
    c->q->stats.sign_timeouts++;
    conn_refuse(c);
    return;
  }
  int rv = ngtcp2_conn_handle_expiry(c->ng, c->q->now_ns);
  if (rv != 0) {
    conn_fail(c, rv);
    return;
  }
  stream_unpace(c);
  stream_give_back_credit(c);
  conn_mark_dirty(c);
  conn_settle(c);
}

void conn_on_timer(struct rn_quic_conn *c) {
  if (c->ng == NULL)
    conn_free(c);
  else if (!contain_run(c, handle_expiry, NULL))
    conn_abandon(c);
}

/* ---- for the application ---- */

void rn_quic_conn_close(struct rn_quic_conn *c, uint64_t code) {
  if (c->ng == NULL)
    return;
  c->close_wanted = true;
  c->close_code = code;
  conn_mark_dirty(c);
}

int rn_quic_conn_update_keys(struct rn_quic_conn *c, uint64_t now_ns) {
  /* Of a client that has not written its last flight ngtcp2 asserts that nobody asks this. */
  if (c->state != CONN_READY || (!c->server && !c->last_flight) ||
      ngtcp2_conn_initiate_key_update(c->ng, now_ns) != 0)
    return RN_ERR_STATE;
  conn_mark_dirty(c);
  return RN_OK;
}

uint32_t rn_quic_conn_stream_count(const struct rn_quic_conn *c) { return c->stream_count; }

bool rn_quic_conn_above_share(const struct rn_quic_conn *c, uint32_t total) {
  const uint32_t share = total / c->q->lim.conns;
  return c->stream_count > (share > 0 ? share : 1);
}

const uint8_t *rn_quic_conn_peer_sha256(const struct rn_quic_conn *c) {
  return c->tls.peer_known ? c->tls.peer_sha256 : NULL;
}
bool rn_quic_conn_is_server(const struct rn_quic_conn *c) { return c->server; }
bool rn_quic_conn_is_ready(const struct rn_quic_conn *c) {
  return c->state == CONN_READY && !c->close_wanted;
}
bool rn_quic_conn_is_confirmed(const struct rn_quic_conn *c) { return c->confirmed; }
void rn_quic_conn_set_user(struct rn_quic_conn *c, void *user) { c->user = user; }
void *rn_quic_conn_user(const struct rn_quic_conn *c) { return c->user; }
struct rn_quic *rn_quic_conn_endpoint(const struct rn_quic_conn *c) { return c->q; }

void rn_quic_conn_keep_alive(struct rn_quic_conn *c, uint64_t interval_ns) {
  c->keep_alive_ns = interval_ns;
  if (c->ng != NULL)
    ngtcp2_conn_set_keep_alive_timeout(c->ng, interval_ns != 0 ? interval_ns : UINT64_MAX);
}

uint64_t rn_quic_conn_heard_ns(const struct rn_quic_conn *c) { return c->heard_ns; }

uint64_t rn_quic_conn_rtt_ns(const struct rn_quic_conn *c) {
  if (c->ng == NULL)
    return 0;
  ngtcp2_conn_info info;
  ngtcp2_conn_get_conn_info(c->ng, &info);
  return info.min_rtt == UINT64_MAX ? 0 : info.smoothed_rtt;
}
