/* lib/quic/inspect.c: what a connection is like now. */
#include "quic/inspect.h"

#include "quic/quic_priv.h"

#define LOOK_MAX 256u

uint64_t rn_quic_conn_number(const struct rn_quic_conn *c) {
  return (uint64_t)c->gen << 32 | c->slot;
}

static enum rn_quic_conn_phase phase_of(const struct rn_quic_conn *c) {
  switch (c->state) {
  case CONN_HANDSHAKE:
    return RN_QUIC_PHASE_HANDSHAKE;
  case CONN_READY:
    return RN_QUIC_PHASE_READY;
  case CONN_CLOSING:
    return RN_QUIC_PHASE_CLOSING;
  default:
    return RN_QUIC_PHASE_DRAINING;
  }
}

static void describe(const struct rn_quic_conn *c, struct rn_quic_conn_info *out) {
  uint64_t now_ns = c->q->now_ns;
  *out = (struct rn_quic_conn_info){ .number = rn_quic_conn_number(c),
                                     .path = c->path,
                                     .phase = phase_of(c),
                                     .server = c->server,
                                     .streams = c->stream_count,
                                     .age_ns = now_ns - c->born_ns,
                                     .silent_ns = now_ns - c->heard_ns };
  if (c->ng == NULL)
    return;
  ngtcp2_conn_info i;
  ngtcp2_conn_get_conn_info(c->ng, &i);
  out->rtt_ns = rn_quic_conn_rtt_ns(c);
  out->rtt_min_ns = out->rtt_ns != 0 ? i.min_rtt : 0;
  out->cwnd = i.cwnd;
  out->in_flight = i.bytes_in_flight;
  out->lost_packets = i.pkt_lost < UINT32_MAX ? (uint32_t)i.pkt_lost : UINT32_MAX;
  out->rx_bytes = i.bytes_recv;
  out->tx_bytes = i.bytes_sent;
  out->rx_packets = i.pkt_recv;
  out->tx_packets = i.pkt_sent;
}

uint32_t rn_quic_conns_next(const struct rn_quic *q, uint32_t from, bool *found,
                            struct rn_quic_conn_info *out) {
  *found = false;
  for (uint32_t looked = 0; looked < LOOK_MAX && from < q->conn_fresh; looked++) {
    const struct rn_quic_conn *c = &q->conns[from++];
    if (c->state == CONN_FREE)
      continue;
    *found = true;
    describe(c, out);
    break;
  }
  return from < q->conn_fresh ? from : UINT32_MAX;
}
