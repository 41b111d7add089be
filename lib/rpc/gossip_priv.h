/* lib/rpc/gossip_priv.h: what gossip.c (memory, requests of peers) and gossip_ask.c (requests of ours) share. */
#pragma once
#include "rpc/gossip.h"
#include "util/list.h"
#include "util/slab.h"
#include "util/wheel.h"

#define PEER_ID_MAX 255u /* lib/rpc/classify.c takes no more for gossip */
#define ANSWER_MAX  4096u

/* A peer's request that the decider has. */
struct heard {
  struct rn_call *call; /* NULL: free */
  uint32_t round;       /* how often this place was used: the upper half of its number */
  uint32_t next_free;
  uint64_t seq;
  uint8_t type; /* enum rn_swim_type */
  uint8_t from_len;
  char from[PEER_ID_MAX];
};

/* A request of ours: first without a stream, as long as the connection is being made. */
struct ask {
  struct rn_gossip *g;
  struct rn_list node;          /* in g->asks */
  struct rn_quic_stream *s;     /* NULL: not yet */
  struct rn_pool_waiter waiter; /* for a connection */
  struct rn_timer timer;
  struct rn_addr to;
  uint64_t sent_ns;
  uint32_t id;
  uint32_t len; /* of bytes: what is sent, then what has come */
  uint8_t bytes[ANSWER_MAX];
};

struct rn_gossip {
  struct rn_handler handler; /* what v calls; first, so that the calls lead here */
  struct rn_gossip_limits lim;
  struct rn_gossip_config cfg;
  struct rn_gossip_io io;
  struct rn_pool *pool;
  struct heard *heard; /* lim.heard of them */
  uint32_t heard_free; /* head of the free list, or UINT32_MAX */
  struct rn_slab *asks;
  struct rn_list open; /* asks */
  struct rn_wheel *wheel;
  uint32_t self_len; /* 0: nothing to say */
  uint8_t self[RN_GOSSIP_SELF_MAX];
  struct rn_gossip_stats stats;
};
