/* bench/cluster/cost.h: what the messages of a simulated cluster cost beyond their own bytes: the QUIC connections that carry them. A model: each number stands here
 * once, to be compared with real processes; where it comes from is said beside it.
 *
 * A node keeps the connections that it has dialled in a pool. It asks over the one to that node, or dials; the one that was used least recently has to go when the
 * pool is full, and one that was not used for a while is closed. Each request is a stream: a packet with it, one with the answer and an ACK, and an ACK for that. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- bytes ---- */

#define COST_IP_UDP_BYTES 28u /* IPv4 without options, UDP; a link's own headers are not counted */
/* Short header with our connection ID of 17 octets and a packet number of 2, and the AEAD's tag. */
#define COST_PACKET_BYTES (COST_IP_UDP_BYTES + 1u + 17u + 2u + 16u)
#define COST_STREAM_BYTES 7u /* STREAM frame: type, id of 4 octets, length of 2 */
#define COST_ACK_BYTES    6u /* ACK frame of one range */
#define COST_PING_BYTES   (COST_PACKET_BYTES + 1u)
/* Of a full handshake with a P-256 certificate, both Initials padded to 1,200, connection IDs and tickets; by who dialled and who was. Estimated. */
#define COST_DIAL_BYTES   2900u
#define COST_DIALED_BYTES 2500u
#define COST_CLOSE_BYTES  (COST_PACKET_BYTES + 5u)

/* ---- the pool ---- */

#define COST_POOL         64u                   /* connections that a node has dialled */
#define COST_IDLE_NS      UINT64_C(30000000000) /* closed when not used for that long */
#define COST_PING_EACH_NS UINT64_C(10000000000) /* a PING after each such time without a message */

/* ---- CPU and memory ---- */

/* Of a node for one end of a handshake: 3.1 k a second and core (docs/claims.md). */
#define COST_DIAL_CPU_NS UINT64_C(320000)
/* A message in or out: packet and AEAD on the lcore, the ring, and waking control. Assumed, above the 440 ns of a call on a busy lcore (docs/performance.md). */
#define COST_MESSAGE_CPU_NS UINT64_C(15000)
/* An idle connection of a node (docs/claims.md). Each counts at both its ends. */
#define COST_CONN_MEMORY_BYTES UINT64_C(47616)

struct cost; /* opaque; cost.c */

/* Of all nodes together, since cost_clear. */
struct cost_sums {
  uint64_t messages, message_bytes;
  uint64_t bytes; /* everything, with the messages */
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
