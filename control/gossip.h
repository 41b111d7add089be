/* control/gossip.h: this node's part in its cluster: cluster/ driven by the event loop, its messages carried over the rings to and from the lcores.
 *
 *   cluster/ -- ask --> GOSSIP_ASK to the lcore of that address          GOSSIP_CAME --> cluster/
 *   GOSSIP_HEARD ----> cluster/ -- answer --> GOSSIP_REPLY               what we say of ourselves --> GOSSIP_SELF, for when we are late
 *
 * It begins when it knows at what address others reach us: cluster.advertise_addr, or what the first READY says. On the event loop. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "cluster/cluster.h"
#include "control/directory.h"
#include "control/event_log.h"
#include "ring/msg.h"

struct rn_node;
struct rn_gossiper;

/* For n, which has cluster.enabled and outlives it; n->gossip is set. state: the text of cluster.state_file, which stays the caller's and is read when the
 * cluster begins; NULL: there is none. RN_OK or RN_ERR_SYS (no memory). */
int rn_gossiper_new(uv_loop_t *loop, struct rn_node *n, const char *state, size_t state_bytes);
/* Without a word to others. NULL is fine. */
void rn_gossiper_free(struct rn_gossiper *g);

/* Every lcore serves: *addr is the port's, family 0 where it has none. */
void rn_gossiper_serving(struct rn_gossiper *g, const struct rn_addr *addr);
/* GOSSIP_HEARD and GOSSIP_CAME of an lcore. */
void rn_gossiper_on_message(struct rn_gossiper *g, uint32_t lcore_idx, const struct rn_msg *m);
/* Once a second. */
void rn_gossiper_second(struct rn_gossiper *g);

/* The cluster; NULL as long as it has not begun. What changes it goes by the functions below. */
struct rn_cluster *rn_gossiper_cluster(struct rn_gossiper *g);
/* NULL: this node is no director. */
struct rn_directory *rn_gossiper_directory(struct rn_gossiper *g);
const struct rn_event_log *rn_gossiper_events(const struct rn_gossiper *g);

/* RN_OK; RN_ERR_STATE: it has not begun, or we have left; RN_ERR_LIMIT; RN_ERR_INVAL. */
int rn_gossiper_tag_set(struct rn_gossiper *g, const char *key, const char *value);
int rn_gossiper_tag_unset(struct rn_gossiper *g, const char *key);
/* One more address to look for members at. */
int rn_gossiper_join(struct rn_gossiper *g, const struct rn_addr *seed);
/* We are Left from now on, with no tags that make somebody choose us; our Acks say so for RN_GOSSIPER_LEAVING_NS, and then there are none. */
int rn_gossiper_leave(struct rn_gossiper *g);
#define RN_GOSSIPER_LEAVING_NS UINT64_C(3000000000)
/* Since when we have left, by rn_sys_now_ns; 0: we have not. */
uint64_t rn_gossiper_left_ns(const struct rn_gossiper *g);
