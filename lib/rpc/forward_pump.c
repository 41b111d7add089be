/* lib/rpc/forward_pump.c: bytes from one stream to the other, and the credit for them.
 *
 * What the receiver's send queue takes goes through without being kept. What it refuses is kept, and the sender gets no credit of its stream for it. */
#include "rpc/forward_priv.h"
#include "util/err.h"

#define CREDIT_LEAST 1024u /* calls that are smaller need none */

/* Gives s credit for what was taken off us: what its sender has under way, or we keep, is at most the stream's window. */
static void give_credit(struct rn_quic_stream *s, uint64_t taken, uint64_t *credited) {
  if (taken - *credited < CREDIT_LEAST)
    return;
  rn_quic_stream_consume_own(s, (size_t)(taken - *credited));
  *credited = taken;
}

/* ---- requests ---- */

static bool is_behind(const struct fwd_call *k, const struct fwd_try *t) {
  return t->state == TRY_OPEN && !t->closed && t->sent < k->req.end;
}

/* Of all that take it, how much of the request is needed no more, and how much has been taken by one of them. */
static void progress(const struct fwd_call *k, uint64_t *done, uint64_t *taken) {
  bool any = false;
  *done = k->req.end;
  *taken = k->req.base;
  for (uint32_t i = 0; i < TRIES_AT_ONCE; i++) {
    const struct fwd_try *t = &k->tries[i];
    if (!try_is_live(t))
      continue;
    uint64_t sent = t->closed || t->state == TRY_SPENT ? k->req.end : t->sent;
    any = true;
    *done = sent < *done ? sent : *done;
    *taken = sent > *taken ? sent : *taken;
  }
  if (!any || k->keep)
    *done = k->req.base;
}

void pump_settle(struct fwd_call *k) {
  uint64_t done, taken;
  progress(k, &done, &taken);
  buf_trim(k->f, &k->req, &k->small, done);
  if (k->client != NULL)
    give_credit(k->client, taken, &k->req_credited);
}

void pump_to_worker(struct fwd_try *t) {
  struct fwd_call *k = t->call;
  while (is_behind(k, t)) {
    size_t n;
    const uint8_t *data = buf_at(&k->req, t->sent, &n);
    bool fin = k->req_fin && t->sent + n == k->req.end;
    int err = rn_quic_stream_write(t->s, data, n, fin);
    if (err == RN_ERR_AGAIN)
      return;
    t->closed = err != RN_OK; /* by STOP_SENDING, and what comes of it is told by other events */
    t->sent += err == RN_OK ? n : 0;
    t->fin_sent |= err == RN_OK && fin;
    k->f->stats.request_bytes += err == RN_OK ? n : 0;
  }
  if (k->req_fin && !t->fin_sent && !t->closed && t->state == TRY_OPEN)
    t->fin_sent = rn_quic_stream_write(t->s, NULL, 0, true) == RN_OK;
}

/* Bytes that need not be kept go straight to the one worker there is, if he takes them. */
static bool pass_to_worker(struct fwd_call *k, const uint8_t *data, size_t len, bool fin) {
  struct fwd_try *t = &k->tries[try_is_live(&k->tries[1])];
  if (k->keep || !buf_empty(&k->req) || t->state != TRY_OPEN || t->closed ||
      (t != k->tries && try_is_live(k->tries)))
    return false;
  int err = rn_quic_stream_write(t->s, data, len, fin);
  if (err != RN_OK)
    return false;
  buf_pass(&k->req, len);
  t->sent = k->req.end;
  t->fin_sent = fin;
  k->f->stats.request_bytes += len;
  return true;
}

/* More of the request would be kept for another try than may be. Of two tries the one that has less of it goes: it would keep as much. */
static void keep_no_more(struct fwd_call *k) {
  struct fwd_try *a = &k->tries[0], *b = &k->tries[1];
  k->keep = false;
  k->f->stats.replay_lost++;
  if (try_is_live(a) && try_is_live(b))
    try_end(a->sent < b->sent ? a : b, RN_FORWARD_DROPPED);
}

static bool nobody_listens(const struct fwd_call *k) {
  for (uint32_t i = 0; i < TRIES_AT_ONCE; i++) {
    const struct fwd_try *t = &k->tries[i];
    if (try_is_live(t) && !t->closed && t->state != TRY_SPENT)
      return false;
  }
  return true;
}

void pump_request(struct fwd_call *k, const uint8_t *data, size_t len, bool fin) {
  struct rn_forward *f = k->f;
  k->req_fin |= fin;
  k->asked_ns = k->moved_ns = f->now_ns;
  if (k->keep && k->req.end + len > f->cfg.replay_bytes)
    keep_no_more(k);
  if (nobody_listens(k)) {
    buf_trim(f, &k->req, &k->small, k->req.end);
    buf_pass(&k->req, len);
    if (k->client != NULL)
      give_credit(k->client, k->req.end, &k->req_credited);
    return;
  }
  if (!pass_to_worker(k, data, len, fin)) {
    if (buf_append(f, &k->req, &k->small, data, len) != RN_OK) {
      end_failed(k, WHY_OVERLOAD);
      return;
    }
    for (uint32_t i = 0; i < TRIES_AT_ONCE; i++) {
      struct fwd_try *t = &k->tries[i];
      if (t->state == TRY_OPEN)
        pump_to_worker(t);
      f->stats.stalls += is_behind(k, t);
    }
  }
  pump_settle(k);
}

/* ---- answers ---- */

static void answer_passed(struct fwd_call *k) {
  struct fwd_try *t = k->from;
  if (t->state == TRY_OPEN)
    give_credit(t->s, k->resp.base, &k->resp_credited);
  if (k->resp_done)
    end_answered(k);
}

/* What became of a write to the client that was not taken. True: k is gone. */
static bool client_refused(struct fwd_call *k, int err) {
  if (err == RN_ERR_AGAIN)
    return false;
  if (err == RN_ERR_CLOSED)
    end_cancelled(k);
  else
    end_failed(k, WHY_OVERLOAD);
  return true;
}

void pump_to_client(struct fwd_call *k) {
  struct rn_forward *f = k->f;
  while (!buf_empty(&k->resp)) {
    size_t n;
    const uint8_t *data = buf_at(&k->resp, k->resp.base, &n);
    bool fin = k->resp_fin && k->resp.base + n == k->resp.end;
    int err = rn_quic_stream_write(k->client, data, n, fin);
    if (err != RN_OK) {
      if (client_refused(k, err))
        return;
      break;
    }
    f->stats.response_bytes += n;
    buf_trim(f, &k->resp, NULL, k->resp.base + n);
    k->resp_done = fin;
  }
  if (k->resp_fin && !k->resp_done && buf_empty(&k->resp))
    k->resp_done = rn_quic_stream_write(k->client, NULL, 0, true) == RN_OK;
  answer_passed(k);
}

void pump_response(struct fwd_call *k, const uint8_t *data, size_t len, bool fin) {
  struct rn_forward *f = k->f;
  k->moved_ns = f->now_ns;
  k->resp_fin |= fin;
  if (buf_empty(&k->resp)) {
    int err = rn_quic_stream_write(k->client, data, len, fin);
    if (err == RN_OK) {
      buf_pass(&k->resp, len);
      f->stats.response_bytes += len;
      k->resp_done = fin;
      answer_passed(k);
      return;
    }
    if (client_refused(k, err))
      return;
    f->stats.stalls++;
  }
  if (buf_append(f, &k->resp, NULL, data, len) != RN_OK)
    end_failed(k, WHY_OVERLOAD);
}
