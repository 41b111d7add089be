/* bench/cluster/cost.h: the QUIC connections that would carry the messages of a simulated cluster: how often a node dials, closes, and sends a PING. What each of
 * these costs in bytes, CPU and memory is in price.py, so that other prices need no other simulation.
 *
 * A node keeps the connections that it has dialled in a pool. It asks over the one to that node, or dials; the one that was used least recently has to go when the
 * pool is full, and one that was not used for a while is closed. Each request is a stream. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As dataplane/setup.c has them for one lcore, and cluster.ping_interval. */
#define COST_POOL         256u                  /* connections that a node has dialled */
#define COST_IDLE_NS      UINT64_C(60000000000) /* closed when not used for that long */
#define COST_PING_EACH_NS UINT64_C(10000000000) /* a PING after each such time without a message */

struct cost; /* opaque; cost.c */

/* Of all nodes together, since cost_clear. */
struct cost_sums {
  uint64_t messages, requests; /* requests: those of them that are no answers */
  uint64_t message_bytes;
  uint64_t dials, closes, pings;
};

struct cost *cost_new(uint32_t nodes);
void cost_free(struct cost *c);
/* A message: swarm_message. */
void cost_message(struct cost *c, uint32_t from, uint32_t to, bool answer, size_t len,
                  uint64_t now_ns);
/* Starts counting anew; connections stay. */
void cost_clear(struct cost *c);
/* Closes and PINGs that are due by now are counted as well. */
void cost_sums(struct cost *c, uint64_t now_ns, struct cost_sums *out);
/* Connections that there are, each once. */
uint64_t cost_conns(const struct cost *c);
