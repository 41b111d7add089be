/* lib/rpc/request.c: from the bytes of a new stream to a request, and to its handler. Complete bytes decide, never FIN: a client holds its FIN
 * back until it has the answer. */
#include "rpc/classify.h"
#include "rpc/server_priv.h"
#include "util/err.h"
#include "wire/rpc.h"
#include "wire/swim.h"

static const char draining[] = "Internal error: server is shutting down";
static const char too_large[] = "Internal error: request is larger than the server allows";

/* The request is complete. r NULL: it is too large to be read to its end. */
static void begin(struct rn_call *c, const struct rn_wire_request *r) {
  struct rn_rpc_server *v = c->v;
  call_set_state(c, CALL_EV_REQUEST);
  c->begun_ns = v->now_ns;
  if (!v->armed || r == NULL)
    return;
  const struct rn_rpc_begun b = {
    .s = c->s, .method = r->method, .method_bytes = r->method_bytes, .params_bytes = r->params_bytes
  };
  c->watched = v->watch->begun(v->watch->ctx, &b);
}

static void dispatch(struct rn_call *c, const struct rn_wire_request *r) {
  struct rn_rpc_server *v = c->v;
  c->id = r->id;
  c->params = r->params;
  c->params_bytes = r->params_bytes;
  begin(c, r);
  v->stats.requests++;
  const struct rn_rpc_method *m =
      rn_rpc_methods_find(v->methods, RN_HANDLER_UNARY, r->method, r->method_bytes);
  if (v->stats.draining != 0) {
    reply_text(c, draining, &v->stats.errors_draining);
    return;
  }
  if (m == NULL) {
    reply_unknown_method(c, r->method, r->method_bytes);
    return;
  }
  c->h = m->h;
  if (m->lim.max_request_bytes != 0 && r->params_bytes > m->lim.max_request_bytes) {
    reply_text(c, too_large, &v->stats.too_large);
    return;
  }
  c->h->request(c, r->params, r->params_bytes);
  if (c->state != CALL_RUNNING)
    return;
  if (!c->held) {
    c->params = NULL;
    body_free(c->body);
    c->body = NULL;
  }
  if (c->h->keeps_time)
    rn_wheel_cancel(v->deadlines, &c->deadline);
  else
    call_start_deadline(c, m->lim.request_timeout_ns);
}

/* RN_OK: dispatched or refused; RN_ERR_SHORT with *need. */
static int read_unary(struct rn_call *c, const uint8_t *buf, size_t len, size_t *need) {
  struct rn_wire_request r;
  size_t used;
  int err = rn_wire_request_get(buf, len, c->v->cfg.max_request_bytes, &r, &used, need);
  if (err == RN_OK) {
    dispatch(c, &r);
  } else if (err == RN_ERR_TOOBIG) {
    c->id = rn_wire_u64(buf);
    begin(c, NULL);
    reply_text(c, too_large, &c->v->stats.too_large);
  } else if (err != RN_ERR_SHORT) {
    call_refuse(c, &c->v->stats.bad_requests);
    err = RN_OK;
  }
  return err == RN_ERR_SHORT ? err : RN_OK;
}

static void hand_to_gossip(struct rn_call *c, const uint8_t *buf, size_t len) {
  static const struct rn_handler nobody = { .kind = RN_HANDLER_GOSSIP };
  struct rn_rpc_server *v = c->v;
  v->stats.gossip++;
  c->h = v->gossip != NULL ? v->gossip : &nobody;
  call_set_state(c, CALL_EV_REQUEST);
  rn_wheel_cancel(v->deadlines, &c->deadline);
  if (v->gossip == NULL) {
    rn_call_gossip(c, NULL, 0);
    return;
  }
  c->h->request(c, buf, len);
  if (c->state != CALL_RUNNING)
    return;
  body_free(c->body);
  c->body = NULL;
}

/* RN_OK: handed on or refused; RN_ERR_SHORT with *need. */
static int read_gossip(struct rn_call *c, const uint8_t *buf, size_t len, size_t *need) {
  struct rn_swim_msg m;
  size_t used;
  int err = rn_swim_get(buf, len, &m, &used);
  *need = len + 1;
  if (err == RN_ERR_SHORT && len < RN_RPC_GOSSIP_MAX)
    return err;
  if (err == RN_OK && used <= RN_RPC_GOSSIP_MAX)
    hand_to_gossip(c, buf, used);
  else
    call_refuse(c, &c->v->stats.gossip_bad);
  return RN_OK;
}

/* ---- calls that leave ---- */

#define UNARY_NAME_AT   16u /* id and the name's length stand before */
#define STREAM_NAME_AT  4u
#define STREAM_NAME_MIN 3u /* shorter ones begin like a SWIM message */

/* What diversions are asked about: patterns match any name, so that none may be made of other messages' lengths. */
static bool is_name(const uint8_t *name, size_t len) {
  for (size_t i = 0; i < len; i++) {
    if (name[i] < 0x20 || name[i] == 0x7f)
      return false;
  }
  return rn_wire_utf8_ok(name, len);
}

static void *streaming_route(const struct rn_call *c, const uint8_t *buf, size_t len) {
  const struct rn_rpc_diversion *d = c->v->diversion;
  if (len < STREAM_NAME_AT)
    return NULL;
  uint32_t n = rn_wire_u32(buf);
  if (n < STREAM_NAME_MIN || n > RN_WIRE_NAME_BYTES_MAX || len - STREAM_NAME_AT < n ||
      !is_name(buf + STREAM_NAME_AT, n))
    return NULL;
  return d->route(d->ctx, RN_HANDLER_STREAMING, (const char *)buf + STREAM_NAME_AT, n);
}

/* buf was found to begin a unary request. */
static void *unary_route(const struct rn_call *c, const uint8_t *buf, size_t len) {
  const struct rn_rpc_diversion *d = c->v->diversion;
  uint64_t n = rn_wire_u64(buf + 8);
  if (n == 0 || n > len - UNARY_NAME_AT || !is_name(buf + UNARY_NAME_AT, (size_t)n))
    return NULL;
  return d->route(d->ctx, RN_HANDLER_UNARY, (const char *)buf + UNARY_NAME_AT, (size_t)n);
}

/* c ends here; its stream and its credit are the taker's. */
static void leave_with(struct rn_call *c, void *route, enum rn_handler_kind kind,
                       const uint8_t *buf, size_t len, bool fin) {
  const struct rn_rpc_diversion *d = c->v->diversion;
  struct rn_quic_stream *s = c->s;
  c->uncredited = 0;
  call_done(c); /* buf may be its body, which is there until our caller has returned */
  d->take(d->ctx, route, kind, s, buf, len, fin);
}

void request_feed(struct rn_call *c, const uint8_t *data, size_t len, bool fin) {
  const uint8_t *buf = data;
  size_t n = len, need = 0, name_bytes = 0;
  if (c->body != NULL) {
    if (body_append(c, data, len, c->need) != RN_OK) {
      call_refuse(c, NULL);
      return;
    }
    buf = c->body->bytes;
    n = c->body->len;
  }
  /* Nothing is parsed again before all that it needs is there. */
  if (n < c->need && !fin)
    goto keep;
  const struct rn_handler *h = NULL;
  const bool diverts = c->v->diversion != NULL && c->v->stats.draining == 0;
  void *route = diverts ? streaming_route(c, buf, n) : NULL;
  if (route != NULL) {
    leave_with(c, route, RN_HANDLER_STREAMING, buf, n, fin);
    return;
  }
  switch (rn_rpc_classify(c->v->methods, buf, n, &h, &name_bytes)) {
  case RN_RPC_UNARY:
    route = diverts ? unary_route(c, buf, n) : NULL;
    if (route != NULL) {
      leave_with(c, route, RN_HANDLER_UNARY, buf, n, fin);
      return;
    }
    if (read_unary(c, buf, n, &need) == RN_OK)
      return;
    c->need = need;
    break;
  case RN_RPC_STREAM:
    if (c->v->stats.draining != 0) {
      reply_refused_stream(c, &c->v->stats.errors_draining);
      return;
    }
    streaming_open(c, h);
    if (c->state != CALL_STREAMING)
      return;
    if (c->body != NULL) { /* the name came in pieces: what follows it is new to the frame parser */
      struct body *b = c->body;
      c->body = NULL;
      streaming_feed(c, b->bytes + 4 + name_bytes, b->len - 4 - name_bytes, fin);
      body_free(b);
    } else {
      streaming_feed(c, buf + 4 + name_bytes, n - 4 - name_bytes, fin);
    }
    return;
  case RN_RPC_STREAM_UNKNOWN:
    reply_refused_stream(c, &c->v->stats.errors_unknown);
    return;
  case RN_RPC_SWIM:
    if (read_gossip(c, buf, n, &need) == RN_OK)
      return;
    c->need = need;
    break;
  case RN_RPC_BAD:
    call_refuse(c, &c->v->stats.bad_requests);
    return;
  case RN_RPC_MORE:
    break;
  }
keep:
  if (fin) { /* no more can come */
    call_refuse(c, &c->v->stats.bad_requests);
    return;
  }
  if (c->body == NULL && body_append(c, data, len, need) != RN_OK) {
    call_refuse(c, NULL);
    return;
  }
  call_start_deadline(c, 0);
}
