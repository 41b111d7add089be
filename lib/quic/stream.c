/* lib/quic/stream.c: streams and their send queues.
 *
 * Bytes stay where they were queued until the peer acknowledged them, because ngtcp2 keeps pointers to them:
 *
 *     head (acknowledged up to here)      cur + cur_off (sent up to here)       tail
 *      [ seg ] -> [ seg ] -> [ seg ] -> [ seg ] -> [ seg ]
 *
 * A small answer takes one segment of RN_QUIC_SEG_BYTES; small writes that follow fill it up. */
#include "quic/quic_priv.h"

#include <string.h>

#define PACE_BURST_NS                                                                              \
  10000000u /* what max_stream_bandwidth lets a stream send at once: 10 ms of its rate */
#define CREDIT_BATCH_MOST 128u /* streams that a peer gets credit for at once */
#define SMALL_ROOM        (RN_QUIC_SEG_BYTES - (uint32_t)sizeof(struct seg))
#define BULK_ROOM         (RN_QUIC_BULK_SEG_BYTES - (uint32_t)sizeof(struct seg))

/* ---- segments ---- */

static struct seg *seg_take(struct rn_quic *q, size_t want) {
  struct seg *g = NULL;
  uint32_t cap = 0;
  if (want > 2 * SMALL_ROOM && (g = rn_slab_take(q->bulk_segs)) != NULL)
    cap = BULK_ROOM;
  else if ((g = rn_slab_take(q->segs)) != NULL)
    cap = SMALL_ROOM;
  else
    return NULL;
  g->next = NULL;
  g->base = g->bytes;
  g->release = NULL;
  g->arg = NULL;
  g->len = 0;
  g->cap = cap;
  return g;
}

/* Whether so many segments of either size hold len bytes, taken as seg_take does: small ones for the last bytes, and where no large ones are left. */
static bool suffice(uint32_t bulk, uint32_t small, size_t len) {
  while (len > 2 * SMALL_ROOM && bulk-- > 0)
    len -= len < BULK_ROOM ? len : BULK_ROOM;
  return len <= (size_t)small * SMALL_ROOM;
}

bool stream_segs_suffice(const struct rn_quic *q, size_t len) {
  return suffice(rn_slab_free_count(q->bulk_segs), rn_slab_free_count(q->segs), len > 0 ? len : 1);
}

static void seg_give(struct rn_quic *q, struct seg *g) {
  if (g->release != NULL)
    g->release(g->arg);
  if (g->cap == BULK_ROOM)
    rn_slab_give(q->bulk_segs, g);
  else
    rn_slab_give(q->segs, g);
}

static void seg_give_chain(struct rn_quic *q, struct seg *g) {
  while (g != NULL) {
    struct seg *next = g->next;
    seg_give(q, g);
    g = next;
  }
}

/* ---- life ---- */

struct rn_quic_stream *stream_new(struct rn_quic_conn *c, int64_t id, bool local) {
  struct rn_quic_stream *s = rn_slab_take(c->q->streams);
  if (s == NULL)
    return NULL;
  *s = (struct rn_quic_stream){ .id = id, .conn = c, .local = local };
  rn_list_init(&s->ready_node);
  rn_list_init(&s->wait_node);
  rn_list_push_back(&c->streams, &s->conn_node);
  c->stream_count++;
  c->q->stats.streams_opened++;
  c->q->stats.streams++;
  return s;
}

static void drop_queue(struct rn_quic_stream *s) {
  struct seg *g = s->head;
  s->head = s->tail = s->cur = NULL;
  s->cur_off = 0;
  rn_list_remove(&s->ready_node);
  rn_list_init(&s->ready_node);
  s->blocked = false;
  segwait_leave(s);
  seg_give_chain(s->conn->q, g);
}

void stream_free(struct rn_quic_stream *s) {
  struct rn_quic_conn *c = s->conn;
  struct rn_quic *q = c->q;
  s->write_closed = true;
  drop_queue(s);
  q->ev->stream_closed(q->app, s);
  rn_list_remove(&s->conn_node);
  c->stream_count--;
  q->stats.streams--;
  rn_slab_give(q->streams, s);
}

/* ---- sending ---- */

bool stream_has_output(const struct rn_quic_stream *s) {
  return s->cur != NULL || (s->fin_queued && !s->fin_sent);
}

static void mark_ready(struct rn_quic_stream *s) {
  if (!s->blocked && rn_list_empty(&s->ready_node)) {
    rn_list_push_back(&s->conn->ready, &s->ready_node);
  }
  conn_mark_dirty(s->conn);
}

static void append(struct rn_quic_stream *s, struct seg *g) {
  if (s->tail != NULL)
    s->tail->next = g;
  else
    s->head = g;
  s->tail = g;
  if (s->cur == NULL) {
    s->cur = g;
    s->cur_off = 0;
  }
}

/* The bytes that end a stream, if they are few, are not refused for a full queue: the queue has to end. */
static int writable(struct rn_quic_stream *s, size_t len, bool fin) {
  if (s->write_closed || s->fin_queued || s->conn->ng == NULL)
    return RN_ERR_CLOSED;
  uint64_t queued = s->queued_end - s->acked;
  if (queued != 0 && queued + len > s->conn->q->cfg.send_bytes && !(fin && len <= SMALL_ROOM)) {
    s->conn->q->stats.send_limit++;
    s->want_writable = true;
    return RN_ERR_AGAIN;
  }
  return RN_OK;
}

/* Reads the bytes of several parts one after the other. */
struct reader {
  const struct rn_quic_part *parts;
  size_t count, idx, off;
};

static void read_bytes(struct reader *r, uint8_t *out, size_t n) {
  while (n > 0) {
    const struct rn_quic_part *p = &r->parts[r->idx];
    size_t left = p->len - r->off, take = left < n ? left : n;
    if (take > 0) /* or data may be NULL */
      memcpy(out, (const uint8_t *)p->data + r->off, take);
    out += take;
    n -= take;
    r->off += take;
    if (r->off == p->len) {
      r->idx++;
      r->off = 0;
    }
  }
}

static size_t tail_room(const struct rn_quic_stream *s) {
  const struct seg *t = s->tail;
  return t != NULL && t->cap != 0 ? t->cap - t->len : 0;
}

/* Puts n bytes, for which there is room, behind the last bytes of the tail. A tail that was sent in full and grows becomes cur again. */
static void fill_tail(struct rn_quic_stream *s, struct reader *r, size_t n) {
  struct seg *t = s->tail;
  if (n == 0)
    return;
  if (s->cur == NULL) {
    s->cur = t;
    s->cur_off = t->len;
  }
  read_bytes(r, t->bytes + t->len, n);
  t->len += (uint32_t)n;
  t->end += n;
}

/* Empty segments with room for len bytes, or NULL with none taken. */
static struct seg *chain_of(struct rn_quic *q, size_t len) {
  struct seg *first = NULL;
  struct seg **link = &first;
  while (len > 0) {
    struct seg *g = seg_take(q, len);
    if (g == NULL) {
      seg_give_chain(q, first);
      return NULL;
    }
    len -= g->cap < len ? g->cap : len;
    *link = g;
    link = &g->next;
  }
  return first;
}

static void append_chain(struct rn_quic_stream *s, struct seg *g, struct reader *r, size_t len) {
  uint64_t end = s->tail != NULL ? s->tail->end : s->queued_end;
  while (g != NULL) {
    struct seg *next = g->next;
    size_t n = g->cap < len ? g->cap : len;
    read_bytes(r, g->bytes, n);
    g->len = (uint32_t)n;
    g->end = end += n;
    g->next = NULL;
    append(s, g);
    len -= n;
    g = next;
  }
}

static void queued(struct rn_quic_stream *s, size_t len, bool fin) {
  s->queued_end += len;
  s->conn->q->stats.stream_tx_bytes += len;
  s->fin_queued = fin;
  if (stream_has_output(s))
    mark_ready(s);
}

/* len bytes that no segment is left for. More than all segments together hold is refused for good. */
static int no_segs(struct rn_quic_stream *s, size_t len) {
  struct rn_quic *q = s->conn->q;
  q->stats.seg_exhausted++;
  if (!suffice(q->bulk_segs->count, q->segs->count, len))
    return RN_ERR_LIMIT;
  segwait_join(s, len);
  return RN_ERR_AGAIN;
}

/* What most calls are: a message that fits a segment, on a stream with nothing queued. */
static int write_small(struct rn_quic_stream *s, const struct rn_quic_part *parts, size_t count,
                       size_t len, bool fin) {
  struct seg *g = seg_take(s->conn->q, len);
  if (g == NULL)
    return no_segs(s, len);
  uint8_t *at = g->bytes;
  for (size_t i = 0; i < count; i++) {
    if (parts[i].len > 0) /* or data may be NULL */
      memcpy(at, parts[i].data, parts[i].len);
    at += parts[i].len;
  }
  g->len = (uint32_t)len;
  g->end = s->queued_end + len;
  append(s, g);
  queued(s, len, fin);
  return RN_OK;
}

int rn_quic_stream_writev(struct rn_quic_stream *s, const struct rn_quic_part *parts, size_t count,
                          bool fin) {
  size_t len = 0;
  for (size_t i = 0; i < count; i++)
    len += parts[i].len;
  int err = writable(s, len, fin);
  if (err != RN_OK)
    return err;
  if (s->tail == NULL && len > 0 && len <= SMALL_ROOM)
    return write_small(s, parts, count, len, fin);
  size_t room = tail_room(s), first = len < room ? len : room;
  struct seg *rest = NULL;
  if (len > first && (rest = chain_of(s->conn->q, len - first)) == NULL)
    return no_segs(s, len - first);
  struct reader r = { .parts = parts, .count = count };
  fill_tail(s, &r, first);
  append_chain(s, rest, &r, len - first);
  queued(s, len, fin);
  return RN_OK;
}

int rn_quic_stream_write(struct rn_quic_stream *s, const void *data, size_t len, bool fin) {
  const struct rn_quic_part part = { data, len };
  return rn_quic_stream_writev(s, &part, 1, fin);
}

int rn_quic_stream_write_ref(struct rn_quic_stream *s, const void *data, size_t len, bool fin,
                             void (*release)(void *arg), void *arg) {
  int err = len > UINT32_MAX ? RN_ERR_INVAL : writable(s, len, fin);
  if (err != RN_OK)
    return err;
  struct seg *g = seg_take(s->conn->q, 0);
  if (g == NULL)
    return no_segs(s, 0);
  g->cap = 0;
  g->base = data;
  g->len = (uint32_t)len;
  g->end = s->queued_end + len;
  g->release = release;
  g->arg = arg;
  append(s, g);
  queued(s, len, fin);
  return RN_OK;
}

size_t stream_gather(const struct rn_quic_stream *s, ngtcp2_vec vec[RN_QUIC_VEC_MAX], bool *fin) {
  size_t n = 0;
  uint32_t off = s->cur_off;
  const struct seg *g = s->cur;
  for (; g != NULL && n < RN_QUIC_VEC_MAX; g = g->next, off = 0) {
    if (g->len == off)
      continue;
    vec[n++] = (ngtcp2_vec){ .base = (uint8_t *)(uintptr_t)(g->base + off), .len = g->len - off };
  }
  *fin = s->fin_queued && g == NULL;
  return n;
}

bool stream_pace(struct rn_quic_stream *s) {
  struct rn_quic_conn *c = s->conn;
  if (c->q->cfg.max_stream_bandwidth == 0 || s->pace_ns <= c->q->now_ns)
    return false;
  rn_list_remove(&s->ready_node);
  rn_list_push_back(&c->paced, &s->ready_node);
  if (s->pace_ns < c->pace_at_ns)
    c->pace_at_ns = s->pace_ns;
  return true;
}

/* The level of the bucket is a point in time, as in util/bucket.h, with PACE_BURST_NS of depth. */
static void pace_charge(struct rn_quic_stream *s, size_t bytes) {
  const struct rn_quic *q = s->conn->q;
  uint64_t rate = q->cfg.max_stream_bandwidth;
  if (rate == 0)
    return;
  uint64_t floor_ns = q->now_ns > PACE_BURST_NS ? q->now_ns - PACE_BURST_NS : 0;
  uint64_t from_ns = s->pace_ns > floor_ns ? s->pace_ns : floor_ns;
  s->pace_ns = from_ns + (uint64_t)((double)bytes * 1e9 / (double)rate);
}

void stream_unpace(struct rn_quic_conn *c) {
  if (c->pace_at_ns > c->q->now_ns)
    return;
  c->pace_at_ns = UINT64_MAX;
  struct rn_list *n = c->paced.next;
  while (n != &c->paced) {
    struct rn_quic_stream *s = RN_LIST_ENTRY(n, struct rn_quic_stream, ready_node);
    n = n->next;
    if (s->pace_ns > c->q->now_ns) {
      c->pace_at_ns = s->pace_ns < c->pace_at_ns ? s->pace_ns : c->pace_at_ns;
      continue;
    }
    rn_list_remove(&s->ready_node);
    rn_list_push_back(&c->ready, &s->ready_node);
  }
}

void stream_sent(struct rn_quic_stream *s, size_t bytes, bool fin) {
  pace_charge(s, bytes);
  while (s->cur != NULL) {
    size_t left = s->cur->len - s->cur_off;
    if (bytes < left) {
      s->cur_off += (uint32_t)bytes;
      bytes = 0;
      break;
    }
    bytes -= left;
    s->cur = s->cur->next;
    s->cur_off = 0;
  }
  RN_ASSERT(bytes == 0);
  if (fin && s->cur == NULL)
    s->fin_sent = true;
  if (!stream_has_output(s)) {
    rn_list_remove(&s->ready_node);
    rn_list_init(&s->ready_node);
  }
}

static void tell_writable(struct rn_quic_stream *s) {
  struct rn_quic *q = s->conn->q;
  if (!s->want_writable || s->write_closed || (s->queued_end - s->acked) * 2 > q->cfg.send_bytes)
    return;
  s->want_writable = false;
  q->ev->stream_writable(q->app, s);
}

void stream_acked(struct rn_quic_stream *s, uint64_t upto) {
  if (upto <= s->acked)
    return;
  s->acked = upto;
  struct rn_quic *q = s->conn->q;
  /* The tail stays while it is the segment being filled: a later write finds room in it. */
  while (s->head != NULL && s->head != s->cur && s->head->end <= upto) {
    struct seg *g = s->head;
    s->head = g->next;
    if (s->head == NULL)
      s->tail = NULL;
    seg_give(q, g);
  }
  tell_writable(s);
}

void stream_stopped(struct rn_quic_stream *s) {
  bool told = s->write_closed;
  s->write_closed = true;
  drop_queue(s);
  if (!told)
    s->conn->q->ev->stream_stop(s->conn->q->app, s);
}

void stream_unblock(struct rn_quic_conn *c) {
  if (rn_list_empty(&c->blocked) || ngtcp2_conn_get_max_data_left(c->ng) == 0)
    return;
  struct rn_list *n = c->blocked.next;
  while (n != &c->blocked) {
    struct rn_quic_stream *s = RN_LIST_ENTRY(n, struct rn_quic_stream, ready_node);
    n = n->next;
    if (ngtcp2_conn_get_max_stream_data_left(c->ng, s->id) == 0)
      continue;
    s->blocked = false;
    rn_list_remove(&s->ready_node);
    rn_list_push_back(&c->ready, &s->ready_node);
    conn_mark_dirty(c);
  }
}

/* A MAX_STREAMS for each stream would be a datagram of its own wherever calls come one at a time: what closes a stream is an ACK, with which nothing
 * else goes out. And it would have to be acknowledged, along with the next answer at once. So the peer gets credit a sixteenth of the limit at a time. */
static uint32_t credit_batch(const struct rn_quic_conn *c) {
  uint64_t n = c->q->cfg.max_streams_bidi / 16;
  return n < 1 ? 1 : n > CREDIT_BATCH_MOST ? CREDIT_BATCH_MOST : (uint32_t)n;
}

void stream_give_back_credit(struct rn_quic_conn *c) {
  uint32_t n = c->streams_withheld;
  if (n < credit_batch(c) || c->ng == NULL)
    return;
  if (rn_slab_free_count(c->q->streams) <= c->q->lim.streams / 16) {
    c->q->stats.credit_withheld++;
    return;
  }
  c->streams_withheld = 0;
  ngtcp2_conn_extend_max_streams_bidi(c->ng, n);
  conn_mark_dirty(c);
}

/* ---- for the application ---- */

int rn_quic_stream_open(struct rn_quic_conn *c, struct rn_quic_stream **out) {
  if (c->state != CONN_READY)
    return RN_ERR_STATE;
  if (ngtcp2_conn_get_streams_bidi_left(c->ng) == 0) {
    c->want_streams = true;
    return RN_ERR_AGAIN;
  }
  struct rn_quic_stream *s = stream_new(c, -1, true);
  if (s == NULL)
    return RN_ERR_LIMIT;
  int rv = ngtcp2_conn_open_bidi_stream(c->ng, &s->id, s);
  if (rv != 0) {
    rn_list_remove(&s->conn_node);
    c->stream_count--;
    c->q->stats.streams--;
    rn_slab_give(c->q->streams, s);
    return RN_ERR_LIMIT;
  }
  *out = s;
  return RN_OK;
}

uint64_t rn_quic_conn_streams_left(const struct rn_quic_conn *c) {
  return c->state == CONN_READY ? ngtcp2_conn_get_streams_bidi_left(c->ng) : 0;
}

int64_t rn_quic_stream_id(const struct rn_quic_stream *s) { return s->id; }
struct rn_quic_conn *rn_quic_stream_conn(const struct rn_quic_stream *s) { return s->conn; }
void rn_quic_stream_set_user(struct rn_quic_stream *s, void *user) { s->user = user; }
void *rn_quic_stream_user(const struct rn_quic_stream *s) { return s->user; }
void rn_quic_stream_keep_whole(struct rn_quic_stream *s) { s->whole = true; }
uint64_t rn_quic_stream_queued(const struct rn_quic_stream *s) { return s->queued_end - s->acked; }

void rn_quic_stream_consume_conn(struct rn_quic_stream *s, size_t n) {
  struct rn_quic_conn *c = s->conn;
  if (n == 0 || c->ng == NULL)
    return;
  ngtcp2_conn_extend_max_offset(c->ng, n);
  conn_mark_dirty(c);
}

void rn_quic_stream_consume_own(struct rn_quic_stream *s, size_t n) {
  struct rn_quic_conn *c = s->conn;
  if (n == 0 || c->ng == NULL || s->rx_done)
    return;
  ngtcp2_conn_extend_max_stream_offset(c->ng, s->id, n);
  conn_mark_dirty(c);
}

void rn_quic_stream_consume(struct rn_quic_stream *s, size_t n) {
  rn_quic_stream_consume_conn(s, n);
  rn_quic_stream_consume_own(s, n);
}

uint64_t rn_quic_stream_window(const struct rn_quic_stream *s) {
  const struct rn_quic_config *cfg = &s->conn->q->cfg;
  return s->local && cfg->own_stream_window != 0 ? cfg->own_stream_window : cfg->stream_window;
}

void rn_quic_stream_reset(struct rn_quic_stream *s, uint64_t code) {
  if (s->reset_sent || s->conn->ng == NULL)
    return;
  s->reset_sent = true;
  s->write_closed = true;
  ngtcp2_conn_shutdown_stream_write(s->conn->ng, 0, s->id, code);
  drop_queue(s);
  conn_mark_dirty(s->conn);
}

void rn_quic_stream_stop(struct rn_quic_stream *s, uint64_t code) {
  if (s->stop_sent || s->rx_done || s->conn->ng == NULL)
    return;
  s->stop_sent = true;
  ngtcp2_conn_shutdown_stream_read(s->conn->ng, 0, s->id, code);
  conn_mark_dirty(s->conn);
}
