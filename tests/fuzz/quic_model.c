/* tests/fuzz/quic_model.c */
#include "quic_model.h"
#include "fuzz.h"

#define SMALL_LAST 224u /* so few bytes with FIN are not refused for a full queue */

void model_put(struct bytes *b, const void *data, size_t len) {
  if (b->len + len > b->cap) {
    b->cap = 2 * (b->len + len);
    b->p = realloc(b->p, b->cap);
    CHECK(b->p != NULL);
  }
  if (len > 0)
    memcpy(b->p + b->len, data, len);
  b->len += len;
}

void model_sent(struct rn_quic_stream *s) {
  for (size_t i = 0; i < s->ref_count; i++) {
    struct ref *r = &s->refs[i];
    CHECK(memcmp(s->out.p + r->at, r->data, r->len) == 0);
    r->release(r->arg);
  }
  s->ref_count = 0;
  s->queued = 0;
}

static int may_queue(struct rn_quic_stream *s, size_t len, bool fin) {
  CHECK(s->open);
  if (s->fin_said || s->reset_said || s->peer_stopped)
    return RN_ERR_CLOSED;
  if (s->queued != 0 && s->queued + len > s->conn->q->queue_bytes && !(fin && len <= SMALL_LAST)) {
    s->want_writable = true;
    return RN_ERR_AGAIN;
  }
  return RN_OK;
}

int rn_quic_stream_writev(struct rn_quic_stream *s, const struct rn_quic_part *parts, size_t count,
                          bool fin) {
  size_t len = 0;
  for (size_t i = 0; i < count; i++)
    len += parts[i].len;
  int err = may_queue(s, len, fin);
  if (err != RN_OK)
    return err;
  for (size_t i = 0; i < count; i++)
    model_put(&s->out, parts[i].data, parts[i].len);
  s->queued += len;
  s->fin_said = fin;
  return RN_OK;
}

int rn_quic_stream_write(struct rn_quic_stream *s, const void *data, size_t len, bool fin) {
  const struct rn_quic_part part = { data, len };
  return rn_quic_stream_writev(s, &part, 1, fin);
}

int rn_quic_stream_write_ref(struct rn_quic_stream *s, const void *data, size_t len, bool fin,
                             void (*release)(void *arg), void *arg) {
  int err = may_queue(s, len, fin);
  if (err != RN_OK)
    return err;
  CHECK(s->ref_count < MODEL_REFS);
  s->refs[s->ref_count++] = (struct ref){ data, s->out.len, len, release, arg };
  model_put(&s->out, data, len);
  s->queued += len;
  s->fin_said = fin;
  return RN_OK;
}

void rn_quic_stream_keep_whole(struct rn_quic_stream *s) { (void)s; }

void rn_quic_stream_consume(struct rn_quic_stream *s, size_t n) {
  CHECK(s->open && n <= s->in.len - s->credited);
  s->credited += n;
}

void rn_quic_stream_reset(struct rn_quic_stream *s, uint64_t code) {
  (void)code;
  CHECK(s->open);
  s->reset_said = true;
  model_sent(s);
}

void rn_quic_stream_stop(struct rn_quic_stream *s, uint64_t code) {
  (void)code;
  CHECK(s->open);
  s->stop_sent |= !s->rx_done;
}

void rn_quic_stream_set_user(struct rn_quic_stream *s, void *user) { s->user = user; }
void *rn_quic_stream_user(const struct rn_quic_stream *s) { return s->user; }
struct rn_quic_conn *rn_quic_stream_conn(const struct rn_quic_stream *s) { return s->conn; }
uint32_t rn_quic_conn_stream_count(const struct rn_quic_conn *c) { return (void)c, 1; }
bool rn_quic_conn_above_share(const struct rn_quic_conn *c, uint32_t total) {
  return (void)c, (void)total, false;
}
struct rn_quic *rn_quic_conn_endpoint(const struct rn_quic_conn *c) { return c->q; }
uint64_t rn_quic_now(const struct rn_quic *q) { return q->now_ns; }
