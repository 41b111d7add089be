/* lib/rpc/gossip.h: SWIM messages of one lcore on their way between peers and whoever decides what they mean, the decider: the control process, or a test.
 * Sans-IO; one lcore owns each.
 *
 *   peers' streams -> request ---------> io.heard ----> the decider ----> rn_gossip_answer -> stream
 *                        \-- nothing in RN_GOSSIP_ACK_NS: an Ack of our own --------------------^
 *
 *   rn_gossip_ask -> stream of a pooled connection -> the peer -> io.answered, or io.failed
 *
 * A published peer that is not answered in time never asks again (docs/protocol.md, "Gossip"), so a Ping is answered here when the decider is late, dead or
 * has no room: with the last update that it gave about ourselves. Whoever answers first is heard; the other answer is counted and dropped. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "rpc/pool.h"
#include "rpc/server.h"

#define RN_GOSSIP_SELF_MAX 512u  /* bytes of an update about ourselves */
#define RN_GOSSIP_SEND_MAX 1100u /* of what we send: one frame of one packet */
/* How long the decider may take. A peer waits 200 ms or more for an Ack, and 400 ms or more for somebody whom it asked to try. */
#define RN_GOSSIP_ACK_NS  UINT64_C(30000000)
#define RN_GOSSIP_WAIT_NS UINT64_C(350000000)

struct rn_gossip;

struct rn_gossip_limits {
  uint32_t heard; /* requests that wait for the decider; 1..65,536 */
  uint32_t asks;  /* requests of ours that are open; 1..65,536 */
};

struct rn_gossip_io {
  /* A request, under that number. RN_OK: rn_gossip_answer may follow; any error: there is no room for it, and it is answered without the decider. */
  int (*heard)(void *ctx, uint64_t number, const struct rn_addr *from, const uint8_t *msg,
               size_t len);
  /* What came for an rn_gossip_ask; len 0: the end and no bytes. */
  void (*answered)(void *ctx, uint32_t id, const uint8_t *msg, size_t len);
  /* Nothing came, and nothing will. why: RN_ERR_TIMEOUT, RN_ERR_REFUSED (nobody there), RN_ERR_CLOSED, RN_ERR_LIMIT, RN_ERR_PROTO. */
  void (*failed)(void *ctx, uint32_t id, int why);
  void *ctx;
};

#define RN_GOSSIP_ALLOWED_MAX 64u

struct rn_gossip_config {
  uint64_t ping_ns;       /* PING after so much silence on connections that gossip; 0: none */
  uint32_t allowed_count; /* 0: whoever can connect may gossip */
  uint8_t allowed[RN_GOSSIP_ALLOWED_MAX]
                 [32]; /* SHA-256 of client certificates that may; others get FIN */
};

struct rn_gossip_stats {
#define RN_METRIC(name, kind, unit, help) uint64_t name;
#include "schema/metrics/gossip.def"
#undef RN_METRIC
};

/* Bytes needed, 64-byte aligned; 0 if a limit is out of range. */
size_t rn_gossip_footprint(const struct rn_gossip_limits *lim);
/* Formats mem, which stays the caller's, as do io, pool and v; takes v's gossip. RN_OK or RN_ERR_INVAL. Nothing to release; the calls of v and the asks
 * have to be over, or never looked at again. */
int rn_gossip_init(void *mem, const struct rn_gossip_limits *lim,
                   const struct rn_gossip_config *cfg, const struct rn_gossip_io *io,
                   struct rn_rpc_server *v, struct rn_pool *pool, struct rn_gossip **out);

/* What our own Acks say of us from now on: one NodeUpdate. len 0: we have nothing to say, and answer with FIN alone. RN_OK; RN_ERR_INVAL: it is none, or
 * above RN_GOSSIP_SELF_MAX. */
int rn_gossip_self(struct rn_gossip *g, const uint8_t *update, size_t len);

/* The decider's answer to io.heard; len 0: FIN alone. RN_OK; RN_ERR_NOENT: it was answered, or the peer is gone; RN_ERR_TOOBIG above
 * RN_GOSSIP_SEND_MAX, answered without it. */
int rn_gossip_answer(struct rn_gossip *g, uint64_t number, const uint8_t *msg, size_t len);

/* Asks the peer at that address: exactly one of io.answered and io.failed follows, within wait_ns, perhaps before this returns. */
void rn_gossip_ask(struct rn_gossip *g, uint64_t now_ns, uint32_t id, const struct rn_addr *to,
                   uint64_t wait_ns, const uint8_t *msg, size_t len);
/* The decider that asked is another one now: what it asked for is dropped without a word. */
void rn_gossip_forget(struct rn_gossip *g);

/* Events of streams of connections of the pool, as in struct rn_quic_events. */
void rn_gossip_stream_data(struct rn_gossip *g, struct rn_quic_stream *s, const uint8_t *data,
                           size_t len, bool fin);
void rn_gossip_stream_reset(struct rn_gossip *g, struct rn_quic_stream *s);
void rn_gossip_stream_closed(struct rn_gossip *g, struct rn_quic_stream *s);

/* When rn_gossip_timers must be called next; UINT64_MAX: no timer is set. */
uint64_t rn_gossip_next_expiry(const struct rn_gossip *g);
void rn_gossip_timers(struct rn_gossip *g, uint64_t now_ns);

/* The counters so far; the pointer stays valid. */
const struct rn_gossip_stats *rn_gossip_stats(const struct rn_gossip *g);
/* RN_OK or RN_ERR_STATE. For simulations and fuzzers: slow. */
int rn_gossip_check(const struct rn_gossip *g);
