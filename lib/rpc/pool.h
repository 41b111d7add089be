/* lib/rpc/pool.h: client-role connections of one endpoint, kept open and shared, by the peer's address. Sans-IO; one lcore owns each pool.
 *
 *   rn_pool_get --RN_OK---> a ready connection: open a stream on it, rn_pool_stream_opened, ..., rn_pool_stream_closed
 *               --AGAIN---> the waiter's done is called later, with a connection or an error
 *               --else----> at once: the peer does not answer, or a limit was reached
 *
 * Several pools may stand on one endpoint. Its owner passes events of client-role connections on to the pool that rn_pool_of names, and calls
 * rn_pool_timers when rn_pool_next_expiry says so: dials are made there and nowhere else, because an endpoint cannot dial from within its events. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quic/quic.h"
#include "util/list.h"

struct rn_pool;

/* The counters of lib/schema/metrics/pool.def. */
struct rn_pool_stats {
#define RN_METRIC(name, kind, unit, help) uint64_t name;
#include "schema/metrics/pool.def"
#undef RN_METRIC
};

struct rn_pool_limits {
  uint32_t conns; /* of all peers, 1..65,536 */
  uint32_t peers; /* addresses with connections, waiters or a recent failure, 1..65,536 */
};

struct rn_pool_config {
  uint32_t conns_per_peer; /* 1..64 */
  uint32_t
      streams_per_conn; /* with so many open on each, another connection is dialled; 0: when the peer allows no more */
  uint32_t
      waiters; /* how many may wait for connections at a time; 0: nobody waits, gets start a dial and say RN_ERR_LIMIT */
  uint64_t dial_timeout_ns; /* > 0 */
  uint64_t idle_timeout_ns; /* closed after so long without a stream; 0: never */
  uint64_t keep_alive_ns;   /* PING after so much silence; 0: none */
  uint64_t
      silence_ns; /* closed when not heard of for so long, 0: never; needs a keep_alive_ns of at most half */
  uint64_t backoff_first_ns; /* after a dial failed; twice as long after each further one; > 0 */
  uint64_t backoff_most_ns;  /* >= backoff_first_ns */
  struct rn_quic_tls
      *tls; /* whom to trust; NULL: the endpoint's. One without trust anchors trusts any peer */
  const char *
      server_name; /* that the peer's certificate must carry; NULL: "localhost". Kept, not copied */
};

struct rn_pool_params {
  struct rn_pool_limits limits;
  struct rn_pool_config config;
  struct rn_quic *quic; /* outlives the pool */
  /* Fills in where a dial to the peer comes from; out->family 0 before. RN_OK, or an error: the dial fails. NULL: an address of family 0 will do. */
  int (*local)(void *ctx, const struct rn_addr *peer, struct rn_addr *out);
  void *ctx;
  uint8_t hash_key[16]; /* random: addresses come from others */
};

/* Bytes needed, 64-byte aligned; 0 if a limit is out of range. */
size_t rn_pool_footprint(const struct rn_pool_limits *lim);
/* Formats mem, which stays the caller's. RN_OK or RN_ERR_INVAL. Nothing to release: connections are the endpoint's. */
int rn_pool_init(void *mem, const struct rn_pool_params *p, struct rn_pool **out);
/* New values hold from now on, those of dials for dials that follow. RN_OK or RN_ERR_INVAL. */
int rn_pool_configure(struct rn_pool *p, const struct rn_pool_config *cfg);

/* One who waits; the caller's, in place until done is called or rn_pool_unwait. The fields belong to the pool but done. */
struct rn_pool_waiter {
  struct rn_list node;
  /* RN_OK: as after a get that said so, the stream is to be opened before this returns. RN_ERR_REFUSED: the peer cannot be reached;
   * RN_ERR_TIMEOUT: not in time; RN_ERR_LIMIT: the endpoint or the pool has no room. May call everything here but rn_pool_timers. */
  void (*done)(struct rn_pool_waiter *w, int err, struct rn_quic_conn *c);
};

/* To be called once, before the first get; done is never NULL. */
void rn_pool_waiter_init(struct rn_pool_waiter *w,
                         void (*done)(struct rn_pool_waiter *w, int err, struct rn_quic_conn *c));

/* A connection to the peer. RN_OK with *out, which is ready and has streams left: of several the one with the fewest streams.
 * RN_ERR_AGAIN: none yet, w->done follows. RN_ERR_REFUSED: its last dials failed, and the next one is not due. RN_ERR_LIMIT: no room, counted.
 * w is one that does not wait already; NULL: nobody waits. From within events or not. */
int rn_pool_get(struct rn_pool *p, uint64_t now_ns, const struct rn_addr *peer,
                struct rn_pool_waiter *w, struct rn_quic_conn **out);
/* w waits no longer; one that does not is fine. */
void rn_pool_unwait(struct rn_pool *p, struct rn_pool_waiter *w);

/* A stream was opened on a pool's connection; it is not in use any more, at the latest when its stream_closed event came. */
void rn_pool_stream_opened(struct rn_quic_conn *c);
void rn_pool_stream_closed(struct rn_quic_conn *c);

/* Keeps n connections to the peer (of conns_per_peer at most) from now on, and dials them again when they end; 0: no longer. RN_OK, or RN_ERR_LIMIT. */
int rn_pool_warm(struct rn_pool *p, uint64_t now_ns, const struct rn_addr *peer, uint32_t n);
/* Where the whole list of those to be kept warm is told anew: begin, rn_pool_warm for each, end. Who was not named is warm no longer. */
void rn_pool_warm_begin(struct rn_pool *p);
void rn_pool_warm_end(struct rn_pool *p, uint64_t now_ns);
/* The peer is known to be gone: its connections are closed, whoever waits gets RN_ERR_REFUSED, and it is warm no longer. */
void rn_pool_drop(struct rn_pool *p, uint64_t now_ns, const struct rn_addr *peer);
/* The peer is known to be there (again): failures of earlier dials are forgotten. */
void rn_pool_revive(struct rn_pool *p, uint64_t now_ns, const struct rn_addr *peer);
/* How many ready connections there are to the peer. */
uint32_t rn_pool_ready(const struct rn_pool *p, const struct rn_addr *peer);

/* The pool that dialled c; NULL: none, or it has given c up. Only for client-role connections: it looks at rn_quic_conn_user. */
struct rn_pool *rn_pool_of(const struct rn_quic_conn *c);

/* Events of connections that are the pool's, as in struct rn_quic_events. */
void rn_pool_conn_ready(struct rn_pool *p, struct rn_quic_conn *c);
void rn_pool_conn_closed(struct rn_pool *p, struct rn_quic_conn *c);
void rn_pool_streams_available(struct rn_pool *p, struct rn_quic_conn *c);

/* When rn_pool_timers must be called next, not from within an event; 0: now; UINT64_MAX: no timer is set. */
uint64_t rn_pool_next_expiry(const struct rn_pool *p);
void rn_pool_timers(struct rn_pool *p, uint64_t now_ns);

/* The counters so far; the pointer stays valid. */
const struct rn_pool_stats *rn_pool_stats(const struct rn_pool *p);
/* Tests: from now on every n-th connection, or peer, is refused as if there were no room; 0: none. Return how many were since the last call.
 * Only in builds that refuse, util/refuse.h. */
uint64_t rn_pool_fail_conns(struct rn_pool *p, uint32_t n);
uint64_t rn_pool_fail_peers(struct rn_pool *p, uint32_t n);
/* RN_OK or RN_ERR_STATE. For simulations and fuzzers: slow. */
int rn_pool_check(const struct rn_pool *p);
