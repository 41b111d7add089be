/* lib/rpc/reply.c: what a handler says, as bytes. FIN goes on an answer's last STREAM frame: a client that gets it apart adds a STOP_SENDING. */
#include "rpc/server_priv.h"
#include "util/err.h"
#include "wire/rpc.h"

#include <string.h>

#define COPY_MAX                                                                                   \
  16384u /* up to here an answer is copied to the stream's segments, above it lies in a body */
#define IN_PLACE_MIN   1024u /* from here on params answered as they are go out from where they lie */
#define ERROR_TEXT_MAX 1000u

static const char handler_item_error[] =
    "Error processing request"; /* all that the reference tells of a failed item */

/* ---- the call's own ---- */

void *rn_call_scratch(struct rn_call *c) { return c->scratch; }
const struct rn_handler *rn_call_handler(const struct rn_call *c) { return c->h; }
const void *rn_call_server_user(const struct rn_call *c) { return c->v->user; }
uint64_t rn_call_now(const struct rn_call *c) { return c->v->now_ns; }
void rn_call_timer(struct rn_call *c, uint64_t at_ns) {
  rn_wheel_set(c->v->timers, &c->timer, at_ns);
}

int rn_call_hold(struct rn_call *c, const uint8_t **params) {
  if (c->body == NULL && c->params_bytes > 0) {
    struct body *b = body_new(c->v, c->params_bytes);
    if (b == NULL)
      return RN_ERR_LIMIT;
    memcpy(b->bytes, c->params, c->params_bytes);
    b->len = c->params_bytes;
    c->body = b;
    c->params = b->bytes;
  }
  c->held = true;
  *params = c->params;
  return RN_OK;
}

/* ---- unary ---- */

/* The peer gets no answer: nothing can be queued for it any more. */
static void give_up(struct rn_call *c) {
  c->v->stats.unanswered++;
  rn_quic_stream_reset(c->s, 0);
  if (c->state == CALL_RUNNING)
    call_end(c, RN_RPC_UNANSWERED, 0);
  else
    call_done(c);
}

/* How much of a text goes out: at most ERROR_TEXT_MAX, and whole characters, else the peer cannot decode the answer. */
static size_t text_bytes(const char *text, size_t len) {
  if (len <= ERROR_TEXT_MAX)
    return len;
  size_t n = ERROR_TEXT_MAX;
  while (n > 0 && ((uint8_t)text[n] & 0xc0) == 0x80)
    n--;
  return n;
}

static void write_error(struct rn_call *c, const char *text, size_t len, const char *more,
                        size_t more_len) {
  uint8_t head[RN_WIRE_ERROR_HEAD_BYTES];
  rn_wire_error_head(head, c->id, len + more_len);
  const struct rn_quic_part parts[] = { { head, sizeof(head) }, { text, len }, { more, more_len } };
  c->v->stats.errors++;
  if (rn_quic_stream_writev(c->s, parts, 3, true) == RN_OK)
    call_end(c, RN_RPC_ERROR, len + more_len);
  else
    give_up(c);
}

void reply_text(struct rn_call *c, const char *text, uint64_t *counter) {
  ++*counter;
  write_error(c, text, strlen(text), NULL, 0);
}

void reply_unknown_method(struct rn_call *c, const char *method, size_t len) {
  static const char text[] = "Unknown method: ";
  c->v->stats.errors_unknown++;
  write_error(c, text, sizeof(text) - 1, method, text_bytes(method, len));
}

static void overloaded(struct rn_call *c) {
  reply_text(c, "Internal error: server overloaded", &c->v->stats.errors_overload);
}

static void reply_from_body(struct rn_call *c, struct body *b, const uint8_t *from, size_t bytes) {
  int err = rn_quic_stream_write_ref(c->s, from, bytes, true, body_free, b);
  if (err != RN_OK) {
    body_free(b);
    give_up(c);
    return;
  }
  c->v->stats.replies++;
  call_end(c, RN_RPC_RESULT, bytes - RN_WIRE_RESULT_HEAD_BYTES - 1);
}

static void reply_copied_to_body(struct rn_call *c, const void *data, size_t len) {
  struct body *b = body_new(c->v, RN_WIRE_RESULT_HEAD_BYTES + len + 1);
  if (b == NULL) {
    overloaded(c);
    return;
  }
  rn_wire_result_head(b->bytes, c->id, len);
  memcpy(b->bytes + RN_WIRE_RESULT_HEAD_BYTES, data, len);
  b->bytes[RN_WIRE_RESULT_HEAD_BYTES + len] = 0;
  reply_from_body(c, b, b->bytes, RN_WIRE_RESULT_HEAD_BYTES + len + 1);
}

/* True: the peer got an error instead of a result of len bytes. */
static bool response_too_large(struct rn_call *c, size_t len) {
  size_t most = c->v->cfg.max_response_bytes;
  if (most == 0 || len <= most)
    return false;
  reply_text(c, "Internal error: response is larger than the server allows",
             &c->v->stats.errors_response);
  return true;
}

void rn_call_reply(struct rn_call *c, const void *data, size_t len) {
  RN_ASSERT(c->state == CALL_RUNNING);
  if (response_too_large(c, len))
    return;
  if (len > COPY_MAX) {
    reply_copied_to_body(c, data, len);
    return;
  }
  static const uint8_t no_error = 0;
  uint8_t head[RN_WIRE_RESULT_HEAD_BYTES];
  rn_wire_result_head(head, c->id, len);
  const struct rn_quic_part parts[] = { { head, sizeof(head) }, { data, len }, { &no_error, 1 } };
  if (rn_quic_stream_writev(c->s, parts, 3, true) == RN_OK) {
    c->v->stats.replies++;
    call_end(c, RN_RPC_RESULT, len);
  } else {
    overloaded(c);
  }
}

void rn_call_reply_params(struct rn_call *c) {
  RN_ASSERT(c->state == CALL_RUNNING);
  if (response_too_large(c, c->params_bytes))
    return;
  struct body *b = c->body;
  uint8_t *params = b != NULL ? b->bytes + (c->params - b->bytes) : NULL;
  /* Before the params there are at least the request's head, which is longer than the answer's, unless rn_call_hold copied them alone. */
  if (b == NULL || c->params_bytes < IN_PLACE_MIN ||
      (size_t)(params - b->bytes) < RN_WIRE_RESULT_HEAD_BYTES) {
    rn_call_reply(c, c->params, c->params_bytes);
    return;
  }
  rn_wire_result_head(params - RN_WIRE_RESULT_HEAD_BYTES, c->id, c->params_bytes);
  params[c->params_bytes] = 0;
  c->body = NULL;
  reply_from_body(c, b, params - RN_WIRE_RESULT_HEAD_BYTES,
                  RN_WIRE_RESULT_HEAD_BYTES + c->params_bytes + 1);
}

/* ---- streaming ---- */

static int write_frame(struct rn_call *c, const void *data, size_t len) {
  uint8_t head[4];
  rn_wire_put_u32(head, (uint32_t)len);
  const struct rn_quic_part parts[] = { { head, sizeof(head) }, { data, len } };
  int err = rn_quic_stream_writev(c->s, parts, 2, false);
  if (err == RN_OK) {
    c->v->stats.stream_items_tx++;
  } else if (err == RN_ERR_AGAIN && !c->stalled) {
    c->stalled = true;
    c->v->stats.stream_stalls++;
  } else if (
      err ==
      RN_ERR_LIMIT) { /* there will never be room for it, and without it the answer is a wrong one */
    rn_quic_stream_stop(c->s, 0);
    give_up(c);
    err = RN_ERR_CLOSED;
  }
  return err;
}

int rn_call_item(struct rn_call *c, const void *data, size_t len) {
  if (len == 0 || len > UINT32_MAX)
    return RN_ERR_INVAL;
  return c->state == CALL_STREAMING ? write_frame(c, data, len) : RN_ERR_CLOSED;
}

int rn_call_item_error(struct rn_call *c) {
  return rn_call_item(c, handler_item_error, sizeof(handler_item_error) - 1);
}

void rn_call_end(struct rn_call *c) {
  static const uint8_t marker[4];
  RN_ASSERT(c->state == CALL_STREAMING);
  /* A peer that still sends would otherwise go on for ever: the reference's server drops its half as well. */
  if (!c->peer_ended && !c->peer_fin)
    rn_quic_stream_stop(c->s, 0);
  if (rn_quic_stream_write(c->s, marker, sizeof(marker), true) == RN_OK)
    call_done(c);
  else
    give_up(c);
}

/* In one write, so that never the end goes out without the error before it: the peer would take what it has for the whole answer. */
static void error_item_and_end(struct rn_call *c) {
  static const uint8_t end[4];
  uint8_t head[4];
  rn_wire_put_u32(head, sizeof(handler_item_error) - 1);
  const struct rn_quic_part parts[] = { { head, 4 },
                                        { handler_item_error, sizeof(handler_item_error) - 1 },
                                        { end, 4 } };
  c->v->stats.errors++;
  if (c->state == CALL_STREAMING && !c->peer_ended && !c->peer_fin)
    rn_quic_stream_stop(c->s, 0);
  if (rn_quic_stream_writev(c->s, parts, 3, true) == RN_OK)
    call_done(c);
  else
    give_up(c);
}

void reply_refused_stream(struct rn_call *c, uint64_t *counter) {
  ++*counter;
  error_item_and_end(c);
}

/* ---- gossip ---- */

struct rn_quic_conn *rn_call_conn(const struct rn_call *c) { return rn_quic_stream_conn(c->s); }

void rn_call_gossip(struct rn_call *c, const void *msg, size_t len) {
  RN_ASSERT(c->state == CALL_RUNNING && c->h->kind == RN_HANDLER_GOSSIP);
  rn_quic_stream_keep_whole(c->s);
  if (rn_quic_stream_write(c->s, msg, len, true) != RN_OK) {
    c->v->stats.unanswered++;
    rn_quic_stream_reset(c->s, 0);
  }
  call_done(c);
}

/* ---- either ---- */

void rn_call_error(struct rn_call *c, const char *text, size_t len) {
  c->v->stats.errors_handler++;
  if (c->state == CALL_STREAMING) {
    error_item_and_end(c);
    return;
  }
  RN_ASSERT(c->state == CALL_RUNNING);
  write_error(c, text, text_bytes(text, len), NULL, 0);
}
