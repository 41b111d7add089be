/* tests/harness/swarm.h: a cluster in a fake world: nodes of cluster/cluster.h, and models of the published crate's, that talk over reliable, delayed streams.
 * What a seed has made it makes again. */
#pragma once
#include "cluster/cluster.h"

#define SWARM_MS UINT64_C(1000000)
#define SWARM_S  UINT64_C(1000000000)

struct swarm; /* opaque; swarm.c */

struct swarm_config {
  uint64_t seed;
  uint32_t nodes; /* addresses: node i is "node-<address>" at 10.1.i/256.i%256:8080 */
  uint64_t delay_min, delay_max; /* of a message */
  double loss; /* of a packet: what it carried comes later, or after some of them not at all */
  uint64_t interval_ns;
  uint32_t suspicion_multiplier; /* 0: the default */
};

#define SWARM_NODES_MAX 16384u

/* What has happened: a node's event. */
typedef void swarm_event(void *app, uint32_t node, enum rn_cluster_event_type type,
                         const struct rn_member *who, uint64_t now_ns);

/* Nobody is there yet. on_event may be NULL. */
struct swarm *swarm_new(const struct swarm_config *cfg, swarm_event *on_event, void *app);
void swarm_free(struct swarm *s);

/* A process for node i, which has none: it knows its seeds (node numbers; itself is left out), and has the tag role=worker. */
void swarm_start(struct swarm *s, uint32_t i, const uint32_t *seeds, uint32_t seed_count);
/* The same for the published crate. */
void swarm_start_published(struct swarm *s, uint32_t i, const uint32_t *seeds, uint32_t seed_count);
/* All processes of ours know each other from now on, as if they had been together for long: nothing is left to be told. */
void swarm_acquaint(struct swarm *s);
/* The process dies; nobody is told. */
void swarm_kill(struct swarm *s, uint32_t i);
/* SIGSTOP, SIGCONT: what comes meanwhile waits. */
void swarm_freeze(struct swarm *s, uint32_t i, bool frozen);
/* A published node ends what it is asked without bytes, and goes on asking; or no longer does. */
void swarm_mute(struct swarm *s, uint32_t i, bool mute);
/* Messages from i to k are lost from now on, or no longer. */
void swarm_cut(struct swarm *s, uint32_t i, uint32_t k, bool cut);
/* The node is busy: each thing that it does comes up to so much later. */
void swarm_slow(struct swarm *s, uint32_t i, uint64_t up_to_ns);

/* The node's clock is ahead by so much more from now on. */
void swarm_jump(struct swarm *s, uint32_t i, uint64_t ns);

/* A message of `from` is on its way: a request, or an answer to one. */
typedef void swarm_message(void *app, uint32_t from, uint32_t to, bool answer, size_t len,
                           uint64_t now_ns);
/* Calls on_message for each from now on, with the app of swarm_new. */
void swarm_tap(struct swarm *s, swarm_message *on_message);

/* Node i, which has no process here, runs elsewhere: what reaches it is given to these, and what it says is said by the two functions below. */
struct swarm_outside {
  void (*request)(void *app, uint64_t number, const struct rn_addr *from, const uint8_t *msg,
                  size_t len);
  void (*answer)(void *app, uint32_t id, const uint8_t *msg, size_t len);
};
void swarm_outside(struct swarm *s, uint32_t i, const struct swarm_outside *o);
void swarm_outside_ask(struct swarm *s, uint32_t i, uint32_t id, const struct rn_addr *to,
                       const uint8_t *msg, size_t len);
/* Once for each number. */
void swarm_outside_answer(struct swarm *s, uint32_t i, uint64_t number, const uint8_t *msg,
                          size_t len);

/* Time goes on. After one step of a node in as many as there are nodes its tables are checked. */
void swarm_run(struct swarm *s, uint64_t ns);

uint64_t swarm_now(const struct swarm *s);
/* When something happens next; UINT64_MAX: nothing will. */
uint64_t swarm_next(const struct swarm *s);
/* The number of the node that has this address, and the address of a node. */
uint32_t swarm_at(const struct rn_addr *a);
struct rn_addr swarm_addr(uint32_t i);
/* NULL: no process, or a published one. */
struct rn_cluster *swarm_node(const struct swarm *s, uint32_t i);
/* What i thinks of k: RN_SWIM_STATE_COUNT: it does not know it. i may be a published one. */
enum rn_swim_state swarm_view(const struct swarm *s, uint32_t i, uint32_t k);
/* i's entry of k, or NULL; not for a published i. */
struct rn_member *swarm_member(const struct swarm *s, uint32_t i, uint32_t k);
/* Bytes that i has sent in messages, and how many. */
uint64_t swarm_bytes(const struct swarm *s, uint32_t i);
uint64_t swarm_messages(const struct swarm *s, uint32_t i);
