/* lib/rpc/forward_end.c: how calls end, and what clients are told when no worker tells them. */
#include "rpc/forward_priv.h"
#include "util/err.h"
#include "wire/rpc.h"

#include <string.h>

/* ---- streams whose call is over: later bytes are credited and dropped ---- */

static void over_data(struct rn_rpc_taken *t, struct rn_quic_stream *s, const uint8_t *data,
                      size_t len, bool fin) {
  (void)t, (void)data, (void)fin;
  rn_quic_stream_consume(s, len);
}
static void over_event(struct rn_rpc_taken *t, struct rn_quic_stream *s) { (void)t, (void)s; }

static const struct rn_rpc_taker over_taker = { .data = over_data,
                                                .reset = over_event,
                                                .stop = over_event,
                                                .writable = over_event,
                                                .closed = over_event };
static struct rn_rpc_taken over = { &over_taker };

/* ---- what clients are told ---- */

static const char *const texts[WHY_COUNT] = {
  [WHY_NO_WORKER] = "Stream error: No workers available",
  [WHY_LATE] = "Request timeout",
  [WHY_BROKEN] = "Connection error: Stream closed unexpectedly",
  [WHY_ROUTE] = "Internal error: server overloaded",
  [WHY_OVERLOAD] = "Internal error: server overloaded",
  /* NULL: a reset */
};

static void count(struct rn_forward *f, enum why why) {
  struct rn_forward_stats *st = &f->stats;
  uint64_t *const by_why[WHY_COUNT] = {
    [WHY_NO_WORKER] = &st->errors_no_worker,
    [WHY_LATE] = &st->errors_timeout,
    [WHY_BROKEN] = &st->errors_broken,
    [WHY_ROUTE] = &st->errors_route,
    [WHY_OVERLOAD] = &st->errors_overload,
    [WHY_RESET] = &st->errors_broken,
    [WHY_UNREAD] = &st->unread,
  };
  st->errors++;
  ++*by_why[why];
}

static int write_text(struct rn_quic_stream *s, uint64_t id, const char *text) {
  uint8_t head[RN_WIRE_ERROR_HEAD_BYTES];
  size_t len = strlen(text);
  rn_wire_error_head(head, id, len);
  const struct rn_quic_part parts[] = { { head, sizeof(head) }, { text, len } };
  return rn_quic_stream_writev(s, parts, 2, true);
}

/* Texts do not travel on streams: an item that failed, and the end, in one write. */
static int write_failed_item(struct rn_quic_stream *s) {
  static const char item[] = "Error processing request";
  static const uint8_t end[4];
  uint8_t head[4];
  rn_wire_put_u32(head, sizeof(item) - 1);
  const struct rn_quic_part parts[] = { { head, 4 }, { item, sizeof(item) - 1 }, { end, 4 } };
  return rn_quic_stream_writev(s, parts, 3, true);
}

/* text NULL: a reset. fin: the client has ended its half. */
static void answer(struct rn_quic_stream *s, enum rn_handler_kind kind, uint64_t id,
                   const char *text, bool fin) {
  int err = RN_ERR_CLOSED;
  if (text != NULL)
    err = kind == RN_HANDLER_UNARY ? write_text(s, id, text) : write_failed_item(s);
  if (!fin && (err != RN_OK || kind == RN_HANDLER_STREAMING))
    rn_quic_stream_stop(s, 0);
  if (err != RN_OK)
    rn_quic_stream_reset(s, 0);
}

void end_refused(struct rn_forward *f, struct rn_quic_stream *s, enum rn_handler_kind kind,
                 uint64_t id, enum why why, bool fin) {
  count(f, why);
  rn_quic_stream_set_user(s, &over);
  answer(s, kind, id, texts[why], fin);
}

/* ---- ends ---- */

/* Tries that still go on end so. */
static void end(struct fwd_call *k, enum rn_forward_outcome how) {
  struct rn_forward *f = k->f;
  for (uint32_t i = 0; i < TRIES_AT_ONCE; i++) {
    if (try_is_live(&k->tries[i]))
      try_end(&k->tries[i], how);
  }
  if (k->client != NULL) {
    rn_quic_stream_set_user(k->client, &over);
    if (!k->req_fin) /* else who is still asking would not get as far as our answer */
      rn_quic_stream_consume_own(k->client, (size_t)(k->req.end - k->req_credited));
  }
  buf_trim(f, &k->req, &k->small, k->req.end);
  buf_trim(f, &k->resp, NULL, k->resp.end);
  rn_wheel_cancel(f->wheel, &k->timer);
  rn_list_remove(&k->node);
  k->route->in_flight--;
  f->stats.in_flight--;
  rn_slab_give(f->slab, k);
}

static void tell_times(const struct fwd_call *k) {
  const struct rn_forward *f = k->f;
  const struct fwd_try *t = k->from;
  if (f->ops->answered == NULL)
    return;
  const struct rn_forward_times times = {
    .kind = (enum rn_handler_kind)k->kind,
    .connect_ns = t->begun_ns - k->begun_ns,
    .worker_ns = t->latency_ns,
    .answer_ns = f->now_ns - t->begun_ns - t->latency_ns,
    .asked_ns = f->now_ns - k->asked_ns,
  };
  f->ops->answered(f->ctx, &times);
}

void end_answered(struct fwd_call *k) {
  k->f->stats.answered++;
  tell_times(k);
  /* A client that goes on sending would do so for ever: the published server drops its half as well. */
  if (k->kind == RN_HANDLER_STREAMING && !k->req_fin)
    rn_quic_stream_stop(k->client, 0);
  end(k, RN_FORWARD_ANSWERED);
}

void end_cancelled(struct fwd_call *k) {
  k->f->stats.cancelled++;
  if (k->client != NULL) {
    rn_quic_stream_stop(k->client, 0);
    rn_quic_stream_reset(k->client, 0);
  }
  end(k, RN_FORWARD_DROPPED);
}

void end_failed(struct fwd_call *k, enum why why) {
  count(k->f, why);
  bool begun = k->resp.end > 0;
  k->f->stats.errors_begun += begun && (why == WHY_BROKEN || why == WHY_RESET);
  if (k->client != NULL)
    answer(k->client, k->kind, k->id, begun ? NULL : texts[why], k->req_fin);
  end(k, why == WHY_LATE ? RN_FORWARD_LATE : RN_FORWARD_DROPPED);
}
