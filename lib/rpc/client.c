/* lib/rpc/client.c
 *
 * A unary request carries FIN, so that the call costs one STREAM frame each way; a streaming one sends it when the answer has ended. An answer
 * that comes in one piece is read where it lies, otherwise it is gathered. */
#include "rpc/client.h"
#include "util/buddy.h"
#include "util/err.h"
#include "util/list.h"
#include "util/slab.h"
#include "util/wheel.h"
#include "wire/rpc.h"

#include <stdio.h>
#include <string.h>

#define BODY_BLOCK_BYTES 4096u
#define SIZE_CAP         ((size_t)1 << 30)

struct rn_rpc_client_call {
  struct rn_rpc_client *v;
  struct rn_quic_stream *s;
  uint64_t id;
  rn_rpc_done done;
  void *user;
  struct rn_rpc_stream_events ev; /* streaming */
  uint64_t timeout_ns;
  uint8_t *body;
  size_t body_len, body_cap, need;
  struct rn_timer timer;
  bool streaming : 1;
  bool ended : 1; /* our end marker is queued */
  bool busy : 1;  /* stream_data is at work on it */
  bool over : 1;  /* done was called */
};

struct rn_rpc_client {
  struct rn_slab *calls;
  struct rn_buddy *bodies;
  struct rn_wheel *wheel;
  size_t max_response_bytes;
  uint64_t next_id;
};

/* Streams whose call is over carry this instead of a call. */
static char answered;

/* ---- memory ---- */

struct layout {
  size_t wheel, calls, bodies, total, region;
};

static void layout_of(const struct rn_rpc_client_limits *lim, struct layout *l) {
  l->region = (lim->body_bytes + BODY_BLOCK_BYTES - 1) / BODY_BLOCK_BYTES * BODY_BLOCK_BYTES;
  l->wheel = (sizeof(struct rn_rpc_client) + 63) & ~(size_t)63;
  l->calls = l->wheel + rn_wheel_footprint();
  l->bodies = l->calls + rn_slab_footprint(sizeof(struct rn_rpc_client_call), lim->calls);
  l->total = (l->bodies + rn_buddy_footprint(l->region, BODY_BLOCK_BYTES) + 63) & ~(size_t)63;
}

size_t rn_rpc_client_footprint(const struct rn_rpc_client_limits *lim) {
  if (lim->calls < 1 || lim->calls > 1u << 24 || lim->body_bytes < 65536)
    return 0;
  struct layout l;
  layout_of(lim, &l);
  return l.total;
}

int rn_rpc_client_init(void *mem, const struct rn_rpc_client_limits *lim, size_t max_response_bytes,
                       struct rn_rpc_client **out) {
  if (rn_rpc_client_footprint(lim) == 0 || max_response_bytes < 32 || max_response_bytes > SIZE_CAP)
    return RN_ERR_INVAL;
  struct layout l;
  layout_of(lim, &l);
  uint8_t *base = mem;
  struct rn_rpc_client *v = mem;
  *v = (struct rn_rpc_client){ .max_response_bytes = max_response_bytes, .next_id = 1 };
  rn_wheel_init(base + l.wheel, 0, &v->wheel);
  rn_slab_init(base + l.calls, sizeof(struct rn_rpc_client_call), lim->calls, &v->calls);
  rn_buddy_init(base + l.bodies, l.region, BODY_BLOCK_BYTES, &v->bodies);
  *out = v;
  return RN_OK;
}

/* ---- end ---- */

static void call_free(struct rn_rpc_client_call *c) {
  struct rn_rpc_client *v = c->v;
  rn_wheel_cancel(v->wheel, &c->timer);
  rn_buddy_free(v->bodies, c->body);
  rn_slab_give(v->calls, c);
}

/* The call is over: the stream forgets it, the owner hears of it. */
static void finish(struct rn_rpc_client_call *c, const struct rn_rpc_result *r) {
  if (c->over)
    return;
  c->over = true;
  rn_quic_stream_set_user(c->s, &answered);
  c->done(c->user, c, r);
  if (!c->busy)
    call_free(c);
}

static void fail(struct rn_rpc_client_call *c, int err, const char *text) {
  struct rn_rpc_result r = { .err = err, .id = c->id };
  snprintf(r.text, sizeof(r.text), "%s", text);
  finish(c, &r);
}

/* As the reference's stream handles do when dropped: FIN, and STOP_SENDING if the peer has not finished. */
static void drop_stream(struct rn_rpc_client_call *c) {
  rn_quic_stream_write(c->s, NULL, 0, true);
  rn_quic_stream_stop(c->s, 0);
}

void rn_rpc_client_cancel(struct rn_rpc_client_call *call) {
  drop_stream(call);
  fail(call, RN_ERR_CANCEL, "Connection error: cancelled");
}

/* ---- start ---- */

static uint64_t now_of(const struct rn_quic_stream *s) {
  return rn_quic_now(rn_quic_conn_endpoint(rn_quic_stream_conn(s)));
}

static void restart_timer(struct rn_rpc_client_call *c) {
  if (c->timeout_ns != 0)
    rn_wheel_set(c->v->wheel, &c->timer, now_of(c->s) + c->timeout_ns);
}

static int start(struct rn_rpc_client *v, struct rn_quic_conn *conn,
                 const struct rn_rpc_client_call *init, const struct rn_quic_part *parts,
                 size_t part_count, struct rn_rpc_client_call **out) {
  struct rn_rpc_client_call *c = rn_slab_take(v->calls);
  if (c == NULL)
    return RN_ERR_LIMIT;
  *c = *init;
  c->v = v;
  rn_timer_init(&c->timer);
  int err = rn_quic_stream_open(conn, &c->s);
  if (err != RN_OK) {
    rn_slab_give(v->calls, c);
    return err;
  }
  rn_quic_stream_set_user(c->s, &answered);
  err = rn_quic_stream_writev(c->s, parts, part_count, !c->streaming);
  if (err != RN_OK) {
    rn_quic_stream_reset(c->s, 0);
    rn_quic_stream_stop(c->s, 0);
    rn_slab_give(v->calls, c);
    return RN_ERR_LIMIT;
  }
  rn_quic_stream_set_user(c->s, c);
  restart_timer(c);
  if (out != NULL)
    *out = c;
  return RN_OK;
}

int rn_rpc_client_call(struct rn_rpc_client *v, struct rn_quic_conn *conn, const char *method,
                       const void *params, size_t len, uint64_t timeout_ns, rn_rpc_done done,
                       void *user, struct rn_rpc_client_call **out) {
  uint8_t head[RN_WIRE_REQUEST_HEAD_BYTES(RN_WIRE_NAME_BYTES_MAX)];
  size_t method_bytes = strlen(method);
  if (method_bytes > RN_WIRE_NAME_BYTES_MAX)
    return RN_ERR_INVAL;
  const struct rn_rpc_client_call init = {
    .id = v->next_id, .done = done, .user = user, .timeout_ns = timeout_ns
  };
  rn_wire_request_head(head, init.id, method, method_bytes, len);
  const struct rn_quic_part parts[] = { { head, RN_WIRE_REQUEST_HEAD_BYTES(method_bytes) },
                                        { params, len } };
  int err = start(v, conn, &init, parts, 2, out);
  if (err == RN_OK)
    v->next_id++;
  return err;
}

int rn_rpc_client_stream(struct rn_rpc_client *v, struct rn_quic_conn *conn, const char *method,
                         uint64_t idle_timeout_ns, const struct rn_rpc_stream_events *ev,
                         void *user, struct rn_rpc_client_call **out) {
  uint8_t head[4];
  size_t method_bytes = strlen(method);
  if (method_bytes == 0 || method_bytes > RN_WIRE_NAME_BYTES_MAX)
    return RN_ERR_INVAL;
  const struct rn_rpc_client_call init = {
    .done = ev->done, .user = user, .ev = *ev, .timeout_ns = idle_timeout_ns, .streaming = true
  };
  rn_wire_put_u32(head, (uint32_t)method_bytes);
  const struct rn_quic_part parts[] = { { head, 4 }, { method, method_bytes } };
  return start(v, conn, &init, parts, 2, out);
}

int rn_rpc_client_send(struct rn_rpc_client_call *call, const void *data, size_t len) {
  if (len == 0 || len > UINT32_MAX)
    return RN_ERR_INVAL;
  if (call->ended)
    return RN_ERR_CLOSED;
  uint8_t head[4];
  rn_wire_put_u32(head, (uint32_t)len);
  const struct rn_quic_part parts[] = { { head, 4 }, { data, len } };
  return rn_quic_stream_writev(call->s, parts, 2, false);
}

int rn_rpc_client_send_end(struct rn_rpc_client_call *call) {
  static const uint8_t marker[4];
  if (call->ended)
    return RN_OK;
  int err = rn_quic_stream_write(call->s, marker, sizeof(marker), false);
  call->ended = err == RN_OK;
  return err;
}

/* ---- answers ---- */

static int gather(struct rn_rpc_client_call *c, const uint8_t *data, size_t len) {
  size_t total = c->body_len + len;
  if (total > c->body_cap) {
    size_t want = 2 * total < c->need ? 2 * total : c->need;
    uint8_t *bigger = rn_buddy_alloc(c->v->bodies, want > total ? want : total, &want);
    if (bigger == NULL)
      return RN_ERR_LIMIT;
    if (c->body_len > 0)
      memcpy(bigger, c->body, c->body_len);
    rn_buddy_free(c->v->bodies, c->body);
    c->body = bigger;
    c->body_cap = want;
  }
  memcpy(c->body + c->body_len, data, len);
  c->body_len = total;
  return RN_OK;
}

static void finish_response(struct rn_rpc_client_call *c, const struct rn_wire_response *w) {
  struct rn_rpc_result r = { .id = c->id };
  if (w->id != c->id) {
    fail(c, RN_ERR_PROTO, "Connection error: Stream closed unexpectedly");
  } else if (w->result != NULL && w->error == NULL) {
    r.data = w->result;
    r.len = w->result_bytes;
    finish(c, &r);
  } else if (w->error != NULL && w->result == NULL) {
    r.err = RN_ERR_REFUSED;
    snprintf(r.text, sizeof(r.text), "Stream error: %.*s",
             (int)(w->error_bytes < 230 ? w->error_bytes : 230), w->error);
    finish(c, &r);
  } else {
    fail(c, RN_ERR_PROTO, "Stream error: Invalid response");
  }
}

static void read_response(struct rn_rpc_client_call *c, const uint8_t *buf, size_t len) {
  struct rn_wire_response w;
  size_t used;
  int err = rn_wire_response_get(buf, len, c->v->max_response_bytes, &w, &used, &c->need);
  if (err == RN_OK) {
    finish_response(c, &w);
  } else if (err != RN_ERR_SHORT) {
    drop_stream(c);
    fail(c, err == RN_ERR_TOOBIG ? RN_ERR_LIMIT : RN_ERR_PROTO,
         err == RN_ERR_TOOBIG ? "Stream error: Response too large"
                              : "Stream error: Invalid response");
  }
}

/* Returns the bytes used up. */
static size_t read_items(struct rn_rpc_client_call *c, const uint8_t *buf, size_t len) {
  size_t at = 0;
  while (!c->over) {
    const uint8_t *item;
    size_t item_bytes, used;
    int err = rn_wire_frame_get(buf + at, len - at, c->v->max_response_bytes, &item, &item_bytes,
                                &used, &c->need);
    if (err == RN_ERR_SHORT)
      break;
    if (err != RN_OK) {
      drop_stream(c);
      fail(c, RN_ERR_LIMIT, "Stream error: Item too large");
      break;
    }
    at += used;
    if (item_bytes > 0) {
      c->ev.item(c->user, c, item, item_bytes);
      continue;
    }
    struct rn_rpc_result ok = { 0 };
    rn_quic_stream_write(c->s, NULL, 0, true);
    finish(c, &ok);
  }
  return at;
}

static void feed(struct rn_rpc_client_call *c, const uint8_t *data, size_t len) {
  const uint8_t *buf = data;
  size_t n = len, used = 0;
  bool kept = c->body_len > 0;
  if (kept) {
    if (gather(c, data, len) != RN_OK) {
      drop_stream(c);
      fail(c, RN_ERR_LIMIT, "Stream error: Out of memory for the response");
      return;
    }
    buf = c->body;
    n = c->body_len;
  }
  /* Nothing is parsed again before all that it needs is there. */
  if (n >= c->need && c->streaming)
    used = read_items(c, buf, n);
  else if (n >= c->need)
    read_response(c, buf, n);
  if (c->over)
    return;
  if (kept) {
    memmove(c->body, c->body + used, n - used);
    c->body_len = n - used;
  } else if (n > used && gather(c, buf + used, n - used) != RN_OK) {
    drop_stream(c);
    fail(c, RN_ERR_LIMIT, "Stream error: Out of memory for the response");
  }
}

void rn_rpc_client_stream_data(struct rn_rpc_client *v, struct rn_quic_stream *s,
                               const uint8_t *data, size_t len, bool fin) {
  (void)v;
  struct rn_rpc_client_call *c = rn_quic_stream_user(s);
  rn_quic_stream_consume(s, len);
  if (c == (void *)&answered || c == NULL)
    return;
  c->busy = true;
  if (len > 0) {
    if (c->streaming)
      restart_timer(c);
    feed(c, data, len);
  }
  if (fin && !c->over) {
    struct rn_rpc_result ok = { 0 };
    rn_quic_stream_write(c->s, NULL, 0, true);
    if (c->streaming)
      finish(c, &ok);
    else
      fail(c, RN_ERR_CLOSED, "Connection error: Stream closed unexpectedly");
  }
  c->busy = false;
  if (c->over)
    call_free(c);
}

static struct rn_rpc_client_call *call_of(const struct rn_quic_stream *s) {
  struct rn_rpc_client_call *c = rn_quic_stream_user(s);
  return c == (void *)&answered ? NULL : c;
}

void rn_rpc_client_stream_reset(struct rn_rpc_client *v, struct rn_quic_stream *s) {
  (void)v;
  struct rn_rpc_client_call *c = call_of(s);
  if (c == NULL)
    return;
  rn_quic_stream_write(s, NULL, 0, true);
  fail(c, RN_ERR_CLOSED, "Connection error: The stream was reset by the peer");
}

void rn_rpc_client_stream_writable(struct rn_rpc_client *v, struct rn_quic_stream *s) {
  (void)v;
  struct rn_rpc_client_call *c = call_of(s);
  if (c != NULL && c->ev.writable != NULL)
    c->ev.writable(c->user, c);
}

void rn_rpc_client_stream_closed(struct rn_rpc_client *v, struct rn_quic_stream *s) {
  (void)v;
  struct rn_rpc_client_call *c = call_of(s);
  if (c != NULL)
    fail(c, RN_ERR_CLOSED, "Connection error: The connection was closed");
}

/* ---- time ---- */

static void on_timer(struct rn_timer *t, void *ctx) {
  (void)ctx;
  struct rn_rpc_client_call *c = RN_LIST_ENTRY(t, struct rn_rpc_client_call, timer);
  drop_stream(c);
  fail(c, RN_ERR_TIMEOUT, "Request timeout");
}

void rn_rpc_client_timers(struct rn_rpc_client *v, uint64_t now_ns) {
  rn_wheel_fire(v->wheel, now_ns, on_timer, NULL);
}
uint64_t rn_rpc_client_next_expiry(const struct rn_rpc_client *v) {
  return rn_wheel_next_expiry(v->wheel);
}
uint32_t rn_rpc_client_calls(const struct rn_rpc_client *v) { return rn_slab_in_use(v->calls); }

uint64_t rn_rpc_client_call_limit(const struct rn_rpc_client *v) {
  return rn_slab_failures(v->calls);
}
uint64_t rn_rpc_client_body_limit(const struct rn_rpc_client *v) {
  return rn_buddy_failures(v->bodies);
}

uint64_t rn_rpc_client_fail_calls(struct rn_rpc_client *v, uint32_t n) {
  return rn_slab_fail_every(v->calls, n);
}
uint64_t rn_rpc_client_fail_bodies(struct rn_rpc_client *v, uint32_t n) {
  return rn_buddy_fail_every(v->bodies, n);
}

int rn_rpc_client_check(const struct rn_rpc_client *v) {
  /* Without calls there is nothing to gather and nothing to wait for. */
  if (rn_slab_in_use(v->calls) == 0 &&
      (rn_buddy_in_use(v->bodies) != 0 || rn_wheel_next_expiry(v->wheel) != UINT64_MAX))
    return RN_ERR_STATE;
  if (rn_wheel_check(v->wheel) != RN_OK)
    return RN_ERR_STATE;
  return rn_buddy_check(v->bodies);
}
