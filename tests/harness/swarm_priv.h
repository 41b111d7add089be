/* tests/harness/swarm_priv.h: what swarm.c and published.c share. */
#pragma once
#include "cluster/cluster.h"
#include "harness/swarm.h"
#include "util/rng.h"

/* The published crate's node, as far as others see it: it pings one member after the other, raises the incarnation of whoever does not answer, never refutes,
 * and relays nothing. */
#define PUBLISHED_MEMBERS 64u

struct published {
  uint32_t self, count, next;
  bool waiting; /* for the answer to its Ping */
  bool mute;    /* its heartbeats are stopped */
  uint64_t round_ns, seq;
  struct {
    char id[64];
    struct rn_addr addr;
    uint64_t incarnation;
    enum rn_swim_state state;
  } members[PUBLISHED_MEMBERS]; /* the first is itself */
};

void swarm_id(uint32_t i, char out[64]);

void published_init(struct published *p, uint32_t self, uint64_t incarnation, uint64_t now_ns);
void published_add(struct published *p, uint32_t i);
/* Its round: the Ping to send, at *to; returns its length, 0: nobody to ask. *asked: which member. */
size_t published_round(struct published *p, uint8_t *out, size_t cap, struct rn_addr *to,
                       uint32_t *asked);
/* The answer to a request; returns its length, 0: none. */
size_t published_heard(struct published *p, const uint8_t *msg, size_t len, uint8_t *out,
                       size_t cap);
/* What became of the Ping to that member; len 0: nothing, after its time-out. */
void published_answered(struct published *p, uint32_t asked, const uint8_t *msg, size_t len);
enum rn_swim_state published_view(const struct published *p, const char *id);
