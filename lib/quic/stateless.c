/* lib/quic/stateless.c: answers that cost no state: Version Negotiation, Retry, stateless reset, CONNECTION_CLOSE INVALID_TOKEN.
 *
 * They wait in a small ring for rn_quic_tx. When it is full the answer is not given and counted: whoever asked asks again. */
#include "quic/close.h"
#include "quic/quic_priv.h"
#include "quic/reset.h"
#include "quic/retry.h"

#include <string.h>

#define RETRY_LIFETIME_NS UINT64_C(10000000000)

static struct reply *reply_open(struct rn_quic *q, const struct rn_path *path) {
  if (q->cfg.answers_per_s != 0 && rn_bucket_take(&q->answers, 1, q->now_ns) != RN_OK) {
    q->stats.drop_answer_rate++;
    return NULL;
  }
  if (q->reply_head - q->reply_tail == RN_QUIC_REPLIES) {
    q->stats.drop_reply_queue++;
    return NULL;
  }
  struct reply *r = &q->replies[q->reply_head % RN_QUIC_REPLIES];
  r->path = *path;
  r->len = 0;
  return r;
}

static void reply_close(struct rn_quic *q, struct reply *r, size_t len, uint64_t *counter) {
  if (len == 0)
    return;
  r->len = (uint16_t)len;
  q->reply_head++;
  ++*counter;
}

size_t stateless_flush(struct rn_quic *q, const struct rn_quic_sink *sink) {
  size_t count = 0;
  for (; q->reply_tail != q->reply_head; q->reply_tail++, count++) {
    const struct reply *r = &q->replies[q->reply_tail % RN_QUIC_REPLIES];
    uint8_t *buf = sink->reserve(sink->ctx, r->len);
    if (buf == NULL)
      break;
    memcpy(buf, r->bytes, r->len);
    sink->commit(sink->ctx, &r->path, 0, r->len);
    q->stats.tx_datagrams++;
    q->stats.tx_bytes += r->len;
  }
  return count;
}

void stateless_version_negotiation(struct rn_quic *q, const ngtcp2_version_cid *vc,
                                   const struct rn_dgram *d) {
  if (d->len < RN_QUIC_MIN_INITIAL) { /* RFC 9000 section 6.1: no answer to small datagrams */
    q->stats.drop_malformed++;
    return;
  }
  struct reply *r = reply_open(q, &d->path);
  if (r == NULL)
    return;
  uint8_t rnd;
  q->rand(q->rand_ctx, &rnd, 1);
  const struct rn_retry_cid dcid = { vc->scid, vc->scidlen }, scid = { vc->dcid, vc->dcidlen };
  reply_close(q, r, rn_vneg_write(&dcid, &scid, rnd, r->bytes, sizeof(r->bytes)),
              &q->stats.vn_sent);
}

void stateless_retry(struct rn_quic *q, const ngtcp2_pkt_hd *hd, const struct rn_path *path) {
  struct reply *r = reply_open(q, path);
  if (r == NULL)
    return;
  ngtcp2_cid scid;
  conn_new_cid(q, RN_CID_SLOT_NONE, 0, &scid); /* names this lcore, and no connection */
  uint8_t token[RN_TOKEN_RETRY_BYTES], rnd[RN_TOKEN_RND_BYTES];
  q->rand(q->rand_ctx, rnd, sizeof(rnd));
  rn_token_retry_make(epochs_retry_now(q), wall_ns(q), &path->remote, hd->dcid.data,
                      hd->dcid.datalen, scid.data, scid.datalen, rnd, token);
  const struct rn_retry_cid to = { hd->scid.data, hd->scid.datalen },
                            from = { scid.data, scid.datalen },
                            odcid = { hd->dcid.data, hd->dcid.datalen };
  reply_close(q, r,
              rn_retry_write(q->retry, &to, &from, &odcid, token, sizeof(token), r->bytes,
                             sizeof(r->bytes)),
              &q->stats.retry_sent);
}

enum token_verdict stateless_check_token(struct rn_quic *q, const ngtcp2_pkt_hd *hd,
                                         const struct rn_path *path, ngtcp2_cid *odcid) {
  if (hd->tokenlen == 0)
    return TOKEN_NONE;
  /* What is not of Retry may be a NEW_TOKEN, of ours or of another server: when it is no good, it is as if there were none (RFC 9000 section
   * 8.1.3). */
  if ((hd->token[0] & RN_TOKEN_KIND_MASK) != RN_TOKEN_RETRY) {
    if (q->cfg.address_token_ns == 0)
      return TOKEN_NONE;
    return newtoken_check(q, hd->token, hd->tokenlen, &path->remote) ? TOKEN_ADDRESS : TOKEN_NONE;
  }
  const struct rn_token_codec *k = epochs_retry(q, hd->token[0]);
  size_t n = 0;
  int err = k == NULL ? RN_ERR_REFUSED
                      : rn_token_retry_read(k, wall_ns(q), RETRY_LIFETIME_NS, &path->remote,
                                            hd->dcid.data, hd->dcid.datalen, hd->token,
                                            hd->tokenlen, odcid->data, &n);
  odcid->datalen = n;
  return err == RN_OK ? TOKEN_RETRY : TOKEN_BAD;
}

void stateless_invalid_token(struct rn_quic *q, const ngtcp2_pkt_hd *hd,
                             const struct rn_path *path) {
  struct reply *r = reply_open(q, path);
  if (r == NULL)
    return;
  const struct rn_retry_cid to = { hd->scid.data, hd->scid.datalen },
                            from = { hd->dcid.data, hd->dcid.datalen };
  reply_close(q, r,
              rn_close_write(q->aead, &to, &from, NGTCP2_INVALID_TOKEN, r->bytes, sizeof(r->bytes)),
              &q->stats.close_sent);
}

void stateless_reset(struct rn_quic *q, const struct rn_dgram *d,
                     const uint8_t dcid[RN_CID_BYTES]) {
  uint8_t token[16], rnd[RN_RESET_RND_BYTES];
  struct reply *r = reply_open(q, &d->path);
  if (r == NULL)
    return;
  epochs_reset_token(q, dcid, token);
  q->rand(q->rand_ctx, rnd, sizeof(rnd));
  size_t n = rn_reset_write(d->len, token, rnd, r->bytes, sizeof(r->bytes));
  if (n == 0)
    q->stats.drop_unknown_cid++;
  reply_close(q, r, n, &q->stats.reset_sent);
}
