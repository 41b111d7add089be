/* lib/rpc/streaming.c: items of a streaming call, in both directions at once.
 *
 * When an answer is refused because the peer reads too slowly, the call stalls: items that come are kept and the peer gets no more credit, so
 * that it stops by itself. */
#include "rpc/server_priv.h"
#include "util/err.h"
#include "wire/rpc.h"

#include <string.h>

/* A call that stalls because its peer reads too slowly waits for the peer too, and has the same time. */
static void await_item(struct rn_call *c) {
  if (c->v->cfg.stream_item_timeout_ns != 0 && c->state == CALL_STREAMING && !c->peer_ended)
    rn_wheel_set(c->v->deadlines, &c->deadline, c->v->now_ns + c->v->cfg.stream_item_timeout_ns);
}

void streaming_open(struct rn_call *c, const struct rn_handler *h) {
  c->h = h;
  c->need = 0;
  rn_wheel_cancel(c->v->deadlines, &c->deadline);
  call_set_state(c, CALL_EV_STREAM);
  c->v->stats.streams++;
  await_item(c);
  if (h->open != NULL)
    h->open(c);
}

static void peer_end(struct rn_call *c) {
  if (c->peer_ended)
    return;
  c->peer_ended = true;
  rn_wheel_cancel(c->v->deadlines, &c->deadline);
  if (c->h->end != NULL)
    c->h->end(c);
}

/* FIN without the marker is an end as well; what is left then is no complete item. */
static void end_at_fin(struct rn_call *c) {
  if (c->state == CALL_STREAMING && c->peer_fin && !c->stalled)
    peer_end(c);
}

/* Delivers complete items until the call stalls or ends. Returns the bytes used up. */
static size_t deliver(struct rn_call *c, const uint8_t *buf, size_t len, size_t *need) {
  size_t at = 0;
  while (c->state == CALL_STREAMING && !c->stalled) {
    const uint8_t *item;
    size_t item_bytes, used;
    if (c->peer_ended)
      return len; /* behind the end marker: ignored */
    int err = rn_wire_frame_get(buf + at, len - at, c->v->cfg.max_item_bytes, &item, &item_bytes,
                                &used, need);
    if (err == RN_ERR_SHORT)
      break;
    if (err != RN_OK) {
      c->v->stats.too_large++;
      call_cancel(c);
      break;
    }
    if (item_bytes == 0) {
      at += used;
      peer_end(c);
      continue;
    }
    if (c->h->item != NULL && c->h->item(c, item, item_bytes) == RN_ERR_AGAIN && c->stalled)
      break; /* not taken */
    at += used;
    c->v->stats.stream_items_rx++;
  }
  return at;
}

/* Items that were kept. */
static void deliver_kept(struct rn_call *c) {
  struct body *b = c->body;
  size_t need = 0;
  size_t used = deliver(c, b->bytes, b->len, &need);
  if (c->state != CALL_STREAMING)
    return;
  memmove(b->bytes, b->bytes + used, b->len - used);
  b->len -= used;
  c->need = need;
  if (b->len == 0) {
    body_free(b);
    c->body = NULL;
  }
}

void streaming_feed(struct rn_call *c, const uint8_t *data, size_t len, bool fin) {
  await_item(c);
  size_t used = 0, need = 0;
  if (c->body == NULL) {
    used = deliver(c, data, len, &need);
    if (c->state != CALL_STREAMING)
      return;
    c->need = need;
  }
  if (len > used && body_append(c, data + used, len - used, c->need) != RN_OK) {
    call_cancel(c);
    return;
  }
  if (used == 0 && c->body != NULL && c->body->len >= c->need)
    deliver_kept(c);
  c->peer_fin |= fin;
  end_at_fin(c);
}

void streaming_resume(struct rn_call *c) {
  c->stalled = false;
  if (c->h->writable != NULL)
    c->h->writable(c);
  if (c->state == CALL_STREAMING && !c->stalled && c->body != NULL)
    deliver_kept(c);
  end_at_fin(c);
}
