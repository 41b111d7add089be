/* lib/quic/tx.c: from ready streams to datagrams in the sink.
 *
 * One datagram is filled from as many streams as fit (NGTCP2_WRITE_STREAM_FLAG_MORE): with small RPCs this is what decides the cost
 * of a call. The last pending stream goes without the flag, which saves ngtcp2 a round to find that nothing follows. */
#include "quic/contain.h"
#include "quic/quic_priv.h"

#include <string.h>

/* Datagrams of one connection in a row: about what ngtcp2's send quantum allows, and others get their turn. */
#define TX_BURST 16

enum written {
  WROTE_PACKET,
  WROTE_LAST, /* a packet, and nothing is left to send now */
  WROTE_NOTHING,
  SINK_FULL,
  CONN_ENDED,
};

static struct rn_quic_stream *next_ready(struct rn_quic_conn *c) {
  while (!rn_list_empty(&c->ready)) {
    struct rn_quic_stream *s = RN_LIST_ENTRY(c->ready.next, struct rn_quic_stream, ready_node);
    if (!stream_pace(s))
      return s;
  }
  return NULL;
}

static void park_blocked(struct rn_quic_stream *s) {
  s->blocked = true;
  rn_list_remove(&s->ready_node);
  rn_list_push_back(&s->conn->blocked, &s->ready_node);
}

static bool is_last(const struct rn_quic_conn *c, const struct rn_quic_stream *s) {
  return c->ready.next == &s->ready_node && c->ready.prev == &s->ready_node;
}

static void count_tx(struct rn_quic *q, size_t len) {
  q->stats.tx_datagrams++;
  q->stats.tx_bytes += len;
}

/* One visit of a connection. */
struct visit {
  const struct rn_quic_sink *sink;
  size_t count;   /* datagrams written */
  bool reserved;  /* the sink waits for a commit */
  bool sink_full; /* the connection stays first in line */
};

static uint8_t *reserve(struct visit *v, size_t cap) {
  uint8_t *buf = v->sink->reserve(v->sink->ctx, cap);
  v->reserved = buf != NULL;
  return buf;
}

static void commit(struct visit *v, const struct rn_path *path, uint8_t ecn, size_t len) {
  v->reserved = false;
  v->sink->commit(v->sink->ctx, path, ecn, len);
}

static enum written write_datagram(struct rn_quic_conn *c, struct visit *v) {
  struct rn_quic *q = c->q;
  size_t cap = q->cfg.max_udp_payload;
  uint8_t *buf = reserve(v, cap);
  if (buf == NULL)
    return SINK_FULL;
  ngtcp2_path_storage ps;
  ngtcp2_path_storage_zero(&ps);
  ngtcp2_pkt_info pi;
  ngtcp2_vec vec[RN_QUIC_VEC_MAX];
  bool begun = false; /* there are frames of streams in the packet */
  for (;;) {
    struct rn_quic_stream *s = next_ready(c);
    if (s != NULL && s->whole && begun)
      s = NULL; /* the packet goes as it is: the next one has room for it */
    bool fin = false, last = true;
    size_t n = 0;
    uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_NONE;
    if (s != NULL) {
      n = stream_gather(s, vec, &fin);
      last = is_last(c, s) && n < RN_QUIC_VEC_MAX;
      flags =
          (fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0u) | (last ? 0u : NGTCP2_WRITE_STREAM_FLAG_MORE);
    }
    ngtcp2_ssize took = -1;
    ngtcp2_ssize wrote = ngtcp2_conn_writev_stream(c->ng, &ps.path, &pi, buf, cap, &took, flags,
                                                   s != NULL ? s->id : -1, vec, n, q->now_ns);
    c->last_flight |= c->state == CONN_READY;
    if (took >= 0 && s != NULL) {
      size_t all = 0;
      for (size_t i = 0; i < n; i++)
        all += vec[i].len;
      if (c->logged)
        qlog_moved(s, "transport", "network", (size_t)took, fin && (size_t)took == all);
      stream_sent(s, (size_t)took, fin && (size_t)took == all);
    }
    if (wrote > 0) {
      struct rn_path path;
      path_of_packet(c, &ps.path, &path);
      commit(v, &path, (uint8_t)pi.ecn, (size_t)wrote);
      count_tx(q, (size_t)wrote);
      if (c->logged)
        qlog_datagram(c, "sent", (size_t)wrote, (uint8_t)pi.ecn);
      bool done = rn_list_empty(&c->ready) && c->state == CONN_READY && (size_t)wrote + 64 < cap;
      return done ? WROTE_LAST : WROTE_PACKET;
    }
    if (wrote == NGTCP2_ERR_WRITE_MORE) {
      begun = true;
      continue;
    }
    if (s != NULL && wrote == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
      park_blocked(s);
      continue;
    }
    if (s != NULL && (wrote == NGTCP2_ERR_STREAM_SHUT_WR || wrote == NGTCP2_ERR_STREAM_NOT_FOUND)) {
      stream_stopped(s);
      continue;
    }
    commit(v, &c->path, 0, 0);
    if (wrote == 0)
      return WROTE_NOTHING;
    conn_fail(c, (int)wrote);
    return CONN_ENDED;
  }
}

/* The CONNECTION_CLOSE of a connection that has ended otherwise. */
static enum written write_close_pkt(struct rn_quic_conn *c, struct visit *v) {
  if (!c->close_send)
    return WROTE_NOTHING;
  uint8_t *buf = reserve(v, c->close_pkt->len);
  if (buf == NULL)
    return SINK_FULL;
  memcpy(buf, c->close_pkt->bytes, c->close_pkt->len);
  commit(v, &c->path, 0, c->close_pkt->len);
  count_tx(c->q, c->close_pkt->len);
  c->close_send = false;
  return WROTE_LAST;
}

static void leave_line(struct rn_quic_conn *c) {
  rn_list_remove(&c->dirty_node);
  rn_list_init(&c->dirty_node);
}

static void visit_conn(struct rn_quic_conn *c, void *arg) {
  struct visit *v = arg;
  if (c->close_wanted && c->ng != NULL)
    conn_settle(c);
  for (unsigned burst = 0; burst < TX_BURST; burst++) {
    enum written w = c->ng != NULL ? write_datagram(c, v) : write_close_pkt(c, v);
    if (w == WROTE_PACKET || w == WROTE_LAST)
      v->count++;
    if (w == CONN_ENDED)
      continue; /* its CONNECTION_CLOSE is next */
    v->sink_full = w == SINK_FULL;
    if (v->sink_full)
      return;
    if (w != WROTE_PACKET) {
      leave_line(c);
      break;
    }
  }
  if (c->ng != NULL) {
    ngtcp2_conn_update_pkt_tx_time(c->ng, c->q->now_ns);
    if (c->logged)
      qlog_metrics(c);
    conn_settle(c);
    conn_arm(c);
  }
}

size_t rn_quic_tx(struct rn_quic *q, uint64_t now_ns, const struct rn_quic_sink *sink) {
  q->now_ns = now_ns;
  size_t count = stateless_flush(q, sink);
  if (!rn_list_empty(&q->seg_waiting))
    segwait_tell(q);
  while (!rn_list_empty(&q->dirty)) {
    struct rn_quic_conn *c = RN_LIST_ENTRY(q->dirty.next, struct rn_quic_conn, dirty_node);
    struct visit v = { .sink = sink };
    if (!contain_run(c, visit_conn, &v)) {
      if (v.reserved)
        sink->commit(sink->ctx, &c->path, 0, 0);
      conn_abandon(c);
    }
    count += v.count;
    if (v.sink_full)
      break;
    if (!rn_list_empty(&c->dirty_node)) { /* more to send: behind the others */
      leave_line(c);
      rn_list_push_back(&q->dirty, &c->dirty_node);
    }
  }
  return count;
}

bool rn_quic_tx_pending(const struct rn_quic *q) {
  return !rn_list_empty(&q->dirty) || q->reply_head != q->reply_tail || segwait_due(q);
}
