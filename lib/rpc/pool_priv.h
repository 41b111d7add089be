/* lib/rpc/pool_priv.h: what the files of the pool share. Nobody else includes it.
 *
 *   pool.c       memory, peers, who gets which connection
 *   pool_conn.c  the life of a connection: dialled, ready, closed; timers */
#pragma once
#include "rpc/pool.h"
#include "util/hash.h"
#include "util/slab.h"
#include "util/wheel.h"

/*   DIALLING --conn_ready--> READY --we close it--> CLOSING
 *       \--failed, too late--------------------------^
 * and from each of them conn_closed frees it. */
enum link_state { LINK_DIALLING, LINK_READY, LINK_CLOSING, LINK_STATE_COUNT };
enum link_event { LINK_EV_READY, LINK_EV_CLOSE, LINK_EV_COUNT };

/* One connection; the rn_quic_conn's user. */
struct pool_link {
  struct rn_pool *pool;
  struct rn_quic_conn *c;
  struct pool_peer *peer;   /* NULL: CLOSING, its peer has nothing to do with it any more */
  struct rn_list peer_node; /* in peer->links */
  struct rn_list idle_node; /* READY without streams: in rn_pool.idle, longest idle first */
  struct rn_timer timer;    /* the dial's end; then when to look at idleness and silence */
  uint64_t ready_ns;
  uint64_t used_ns; /* when its last stream ended */
  uint32_t streams;
  uint8_t state; /* enum link_state; written by link_set_state only */
};

struct pool_peer {
  struct rn_addr addr;
  struct rn_list links;     /* DIALLING and READY */
  struct rn_list waiters;   /* who came first is first */
  struct rn_list dial_node; /* in rn_pool.to_dial */
  struct rn_list
      spare_node;           /* without links, waiters and warmth: in rn_pool.spare, longest first */
  struct rn_list warm_node; /* warm > 0: in rn_pool.warm */
  struct rn_timer timer;    /* warm: the next dial */
  uint64_t retry_ns;        /* no dial before */
  struct pool_link *last;   /* whose turn it was at last_ns; NULL: nobody's, or it is gone */
  uint64_t last_ns;
  uint32_t link_count, dialling, warm, failures;
  uint32_t warm_round; /* in which it was last named */
  bool more : 1;       /* one more connection is wanted */
  bool busy : 1;       /* its waiters are being told: it stays */
};

#define NEAR_PEERS 64u /* a power of two */

struct rn_pool {
  struct pool_peer *near
      [NEAR_PEERS]; /* by near_idx: found last, so that most calls need no hash of the address; NULL: nobody */
  struct rn_quic *quic;
  struct rn_pool_config cfg;
  int (*local)(void *ctx, const struct rn_addr *peer, struct rn_addr *out);
  void *ctx;
  struct rn_slab *links;
  struct rn_slab *peers;
  struct rn_cidmap *by_addr; /* address -> index in peers */
  struct rn_wheel *wheel;
  struct rn_list to_dial;
  struct rn_list idle;
  struct rn_list spare;
  struct rn_list warm;
  uint32_t warm_round;
  uint64_t now_ns;
  struct rn_pool_stats stats;
};

/* pool.c */
struct pool_peer *peer_find(struct rn_pool *p, const struct rn_addr *addr);
/* Has rn_pool_timers look at whether to dial. */
void peer_wants_dial(struct rn_pool *p, struct pool_peer *peer);
/* Gives those who wait what connections can carry now. */
void peer_serve(struct rn_pool *p, struct pool_peer *peer);
/* Nothing comes of it for all who wait. */
void peer_fail(struct rn_pool *p, struct pool_peer *peer, int err);
/* To be called when links, waiters or warmth may have come to nothing. */
void peer_settle(struct rn_pool *p, struct pool_peer *peer);
bool peer_in_backoff(const struct rn_pool *p, const struct pool_peer *peer);

/* pool_conn.c */
bool link_is_usable(const struct pool_link *l);
/* Closes l for good; its peer forgets it now. */
void link_close(struct pool_link *l);
