/* control/drain.h: how a node ends without a call being lost: others are told, new calls are refused, those in progress finish.
 *
 *   SHUTDOWN of rpcnetd --> ANNOUNCING --RN_DRAIN_ANNOUNCE_NS--> FINISHING --no calls, or node.drain_timeout--> OVER: the lcores are told to end
 *                               \-- not in a cluster ------------^
 *
 * SIGTERM and rpcnetctl drain both come as that SHUTDOWN. On the event loop. */
#pragma once
#include <stdint.h>

struct rn_node;

enum rn_drain_phase { RN_DRAIN_NONE, RN_DRAIN_ANNOUNCING, RN_DRAIN_FINISHING, RN_DRAIN_OVER };

struct rn_drain {
  uint8_t phase; /* enum rn_drain_phase */
  uint32_t within_ms;
  uint64_t since_ns; /* of the phase */
};

#define RN_DRAIN_TICK_MS 20u

/* n->gossip leaves. within_ms: what the lcores are given to close their connections at last. Once. */
void rn_drain_begin(struct rn_node *n, uint32_t within_ms);
/* Every RN_DRAIN_TICK_MS while a drain goes on; nothing happens otherwise. */
void rn_drain_tick(struct rn_node *n);
