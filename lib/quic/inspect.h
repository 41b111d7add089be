/* lib/quic/inspect.h: an endpoint's connections, looked at from beside. On the endpoint's thread, between calls of quic.h. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quic/quic.h"
#include "util/addr.h"

/* Names a connection among all that the endpoint ever had, but for one whose slot was used 2^24 times since: the low half is its slot. */
uint64_t rn_quic_conn_number(const struct rn_quic_conn *c);

enum rn_quic_conn_phase {
  RN_QUIC_PHASE_HANDSHAKE,
  RN_QUIC_PHASE_READY,
  RN_QUIC_PHASE_CLOSING,  /* RFC 9000 section 10.2: waits for 3 PTO */
  RN_QUIC_PHASE_DRAINING, /* the same */
  RN_QUIC_PHASE_COUNT
};

/* Counts and congestion state are 0 in CLOSING and DRAINING. */
struct rn_quic_conn_info {
  uint64_t number;
  struct rn_path path;
  uint32_t phase;  /* enum rn_quic_conn_phase */
  uint32_t server; /* 1: the peer dialled */
  uint32_t streams;
  uint32_t lost_packets;
  uint64_t age_ns;    /* since its first datagram */
  uint64_t silent_ns; /* since the last datagram that was read */
  uint64_t rtt_ns;    /* smoothed; 0 before the first sample */
  uint64_t rtt_min_ns;
  uint64_t cwnd;               /* bytes */
  uint64_t in_flight;          /* bytes */
  uint64_t rx_bytes, tx_bytes; /* of packets */
  uint64_t rx_packets, tx_packets;
};

/* Looks for a connection from slot `from` on, at most 256 slots far. Returns the slot to go on with, UINT32_MAX behind the last; *found says whether
 * *out was filled. */
uint32_t rn_quic_conns_next(const struct rn_quic *q, uint32_t from, bool *found,
                            struct rn_quic_conn_info *out);

/* ---- qlog: JSON text sequences (RFC 7464) of draft-ietf-quic-qlog-main-schema-02 ----
 *
 * One connection of an endpoint at a time. Of one that is there already: its datagrams, how much of which stream they moved, congestion state, and
 * its end. Of one that is logged from its first packet: what ngtcp2 writes, which is every packet and frame. */

struct rn_quic_qlog {
  /* A record, or its beginning or continuation where it is longer than 4 KiB. last: no more of this connection follows; len may be 0. */
  void (*write)(void *ctx, const char *text, size_t len, bool last);
  void *ctx;
};

/* Logs this connection from now on; sink is kept, not copied. RN_OK; RN_ERR_NOENT: there is none of this number, or it has ended; RN_ERR_EXIST:
 * another one is being logged. */
int rn_quic_qlog_start(struct rn_quic *q, uint64_t now_ns, uint64_t number,
                       const struct rn_quic_qlog *sink);

/* Logs the next connection that is accepted from its first packet on; of this client (its port is not looked at), or of any when family is 0. RN_OK or
 * RN_ERR_EXIST. */
int rn_quic_qlog_next(struct rn_quic *q, const struct rn_addr *client,
                      const struct rn_quic_qlog *sink);

/* Forgets what start or next said; write is not called any more. */
void rn_quic_qlog_stop(struct rn_quic *q);
