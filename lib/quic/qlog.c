/* lib/quic/qlog.c: one connection, written down.
 *
 * ngtcp2 can log a connection only from its birth, and does it packet by packet. What is there already is logged from outside: datagrams, streams
 * and the congestion controller's state after each visit. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "quic/quic_priv.h"

#define RECORD_BYTES 512

static void end(struct rn_quic *q) {
  if (q->qlog.conn != NULL)
    q->qlog.conn->logged = false;
  q->qlog = (struct qlog){ 0 };
}

/* One record: RS, JSON, newline (RFC 7464). */
__attribute__((format(printf, 2, 3))) static void record(struct rn_quic *q, const char *fmt, ...) {
  char text[RECORD_BYTES];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(text, sizeof(text), fmt, ap);
  va_end(ap);
  if (n > 0 && (size_t)n < sizeof(text))
    q->qlog.sink->write(q->qlog.sink->ctx, text, (size_t)n, false);
}

/* Milliseconds since logging began, as the header says. */
static double since(const struct rn_quic *q) {
  return (double)(q->now_ns - q->qlog.start_ns) / 1e6;
}

static void head(const struct rn_quic_conn *c) {
  record(
      c->q,
      "\x1e{\"qlog_version\":\"0.3\",\"qlog_format\":\"JSON-SEQ\",\"trace\":{\"vantage_point\":{"
      "\"name\":\"rpcnet\",\"type\":"
      "\"%s\"},\"common_fields\":{\"group_id\":\"%" PRIu32 ".%" PRIu32
      "\",\"protocol_type\":[\"QUIC\"],\"time_format\":\"relative\",\"reference_time\":%.3f}}}\n",
      c->server ? "server" : "client", c->slot, c->gen, (double)wall_ns(c->q) / 1e6);
}

int rn_quic_qlog_start(struct rn_quic *q, uint64_t now_ns, uint64_t number,
                       const struct rn_quic_qlog *sink) {
  if (q->qlog.sink != NULL)
    return RN_ERR_EXIST;
  struct rn_quic_conn *c = conn_find(q, (uint32_t)number, (uint32_t)(number >> 32));
  if (c == NULL || c->ng == NULL)
    return RN_ERR_NOENT;
  q->now_ns = now_ns;
  q->qlog = (struct qlog){ .sink = sink, .conn = c, .start_ns = now_ns };
  c->logged = true;
  head(c);
  qlog_metrics(c);
  return RN_OK;
}

int rn_quic_qlog_next(struct rn_quic *q, const struct rn_addr *client,
                      const struct rn_quic_qlog *sink) {
  if (q->qlog.sink != NULL)
    return RN_ERR_EXIST;
  q->qlog = (struct qlog){ .sink = sink, .client = *client };
  return RN_OK;
}

void rn_quic_qlog_stop(struct rn_quic *q) { end(q); }

/* ---- from its birth ---- */

static void on_text(void *user, uint32_t flags, const void *data, size_t len) {
  struct rn_quic_conn *c = user;
  struct rn_quic *q = c->q;
  if (q->qlog.conn != c) /* stopped: ngtcp2 cannot be told */
    return;
  bool last = (flags & NGTCP2_QLOG_WRITE_FLAG_FIN) != 0;
  q->qlog.sink->write(q->qlog.sink->ctx, data, len, last);
  if (last)
    end(q);
}

void qlog_offer(struct rn_quic_conn *c, const struct rn_path *path, ngtcp2_settings *s) {
  struct qlog *l = &c->q->qlog;
  bool any = l->client.family == 0;
  if (l->sink == NULL || l->conn != NULL ||
      (!any && (l->client.family != path->remote.family ||
                memcmp(l->client.ip, path->remote.ip, sizeof(l->client.ip)) != 0)))
    return;
  l->conn = c;
  s->qlog_write = on_text;
}

/* ---- from outside ---- */

void qlog_datagram(struct rn_quic_conn *c, const char *what, size_t len, uint8_t ecn) {
  static const char *const ecns[] = { "Not-ECT", "ECT(1)", "ECT(0)", "CE" };
  record(c->q,
         "\x1e{\"time\":%.6f,\"name\":\"transport:datagrams_%s\",\"data\":{\"count\":1,\"raw\":[{"
         "\"length\":%zu}],\"ecn\":\"%s\"}}\n",
         since(c->q), what, len, ecns[ecn & 3]);
}

void qlog_moved(struct rn_quic_stream *s, const char *from, const char *to, size_t len, bool fin) {
  record(s->conn->q,
         "\x1e{\"time\":%.6f,\"name\":\"transport:data_moved\",\"data\":{\"stream_id\":%" PRId64
         ",\"length\":%zu,\"from\":\"%s\",\"to\":\"%s\",\"fin\":%s}}\n",
         since(s->conn->q), s->id, len, from, to, fin ? "true" : "false");
}

void qlog_metrics(struct rn_quic_conn *c) {
  ngtcp2_conn_info i;
  if (c->ng == NULL)
    return;
  ngtcp2_conn_get_conn_info(c->ng, &i);
  record(c->q,
         "\x1e{\"time\":%.6f,\"name\":\"recovery:metrics_updated\",\"data\":{\"smoothed_rtt\":%.3f,"
         "\"min_rtt\":%.3f,\"latest_rtt\":%.3f,"
         "\"rtt_variance\":%.3f,\"congestion_window\":%" PRIu64 ",\"bytes_in_flight\":%" PRIu64
         ",\"packets_lost\":%" PRIu64 "}}\n",
         since(c->q), (double)i.smoothed_rtt / 1e6,
         i.min_rtt == UINT64_MAX ? 0 : (double)i.min_rtt / 1e6, (double)i.latest_rtt / 1e6,
         (double)i.rttvar / 1e6, i.cwnd, i.bytes_in_flight, i.pkt_lost);
}

void qlog_ended(struct rn_quic_conn *c, const struct rn_quic_close *why) {
  struct rn_quic *q = c->q;
  if (q->qlog.conn != c)
    return;
  bool remote = why->kind == RN_QUIC_CLOSE_PEER || why->kind == RN_QUIC_CLOSE_RESET;
  if (c->logged)
    record(q,
           "\x1e{\"time\":%.6f,\"name\":\"connectivity:connection_closed\",\"data\":{\"owner\":\"%"
           "s\",\"%s_code\":%" PRIu64 "}}\n",
           since(q), remote ? "remote" : "local", why->app ? "application" : "connection",
           why->code);
  q->qlog.sink->write(q->qlog.sink->ctx, NULL, 0, true);
  end(q);
}
