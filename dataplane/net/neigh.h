/* dataplane/net/neigh.h: which MAC address an IP address on the link has.
 *
 * A cache of fixed size: sets of four, the least recently confirmed one of a set gives way. Entries come from frames that were received
 * (the answer goes back to where the question came from), from ARP and from neighbour discovery:
 *
 *      lookup          learn                    30 s without a frame
 *   -----------> ASKED -----> KNOWN (confirmed) -------------------> KNOWN (used on; asked again once a second)
 *                  |                                                    |
 *                  +-- asked 3 times --> gone <----- asked 3 times -----+
 *
 * The intervals are those of RFC 4861 section 10. One lcore owns each table; time is an argument. */
#pragma once
#include "dataplane/net/net.h"
#include "util/err.h"

struct rn_neigh;

/* Bytes needed, 64-byte aligned; 0 unless capacity is a power of two, 4..65,536. */
size_t rn_neigh_footprint(uint32_t capacity);

/* Formats mem, which stays the caller's. seed: random, so that nobody can choose addresses that share a set. st: where it counts.
 * RN_OK or RN_ERR_INVAL. Nothing to release. */
int rn_neigh_init(void *mem, uint32_t capacity, uint64_t seed, struct rn_stats_net *st,
                  struct rn_neigh **out);

/* A frame from addr (its port is ignored) came from mac: adds or confirms. Another MAC address than that of an entry confirmed in the
 * last second is not believed. */
void rn_neigh_learn(struct rn_neigh *t, uint64_t now_ns, const struct rn_addr *addr,
                    const uint8_t mac[6]);

/* The same, but only for an address that is in the table: for announcements that nobody asked for. */
void rn_neigh_update(struct rn_neigh *t, uint64_t now_ns, const struct rn_addr *addr,
                     const uint8_t mac[6]);

enum rn_neigh_verdict {
  RN_NEIGH_NONE,      /* nothing known; nothing changed */
  RN_NEIGH_KNOWN,     /* mac is written */
  RN_NEIGH_KNOWN_ASK, /* mac is written, and it is time to ask again */
  RN_NEIGH_ASK,       /* not known: send a request for it now */
  RN_NEIGH_WAIT,      /* not known: asked less than a second ago */
};

/* Looks up without asking: RN_NEIGH_NONE or RN_NEIGH_KNOWN. */
enum rn_neigh_verdict rn_neigh_peek(struct rn_neigh *t, const struct rn_addr *addr, uint8_t mac[6]);

/* Looks up the next hop of something that is to be sent; every verdict but NONE. */
enum rn_neigh_verdict rn_neigh_lookup(struct rn_neigh *t, uint64_t now_ns,
                                      const struct rn_addr *addr, uint8_t mac[6]);

/* RN_OK, or RN_ERR_STATE when an invariant does not hold. For tests and fuzzers. */
int rn_neigh_check(const struct rn_neigh *t);
