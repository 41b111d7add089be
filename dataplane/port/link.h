/* dataplane/port/link.h: one queue of a port together with what its frames need: addresses, neighbours, answers. Datagrams come out of
 * it and go into it; ARP, neighbour discovery and echo are dealt with inside.
 *
 *   rn_link_rx -> datagrams -> the endpoint        rn_link_rx_done gives the buffers back
 *   the endpoint -> rn_link_sink -> frames         rn_link_flush hands them to the driver
 *
 * A datagram for a neighbour whose MAC address is not known waits, one of RN_LINK_PARKED_MAX at most, while it is asked for. One lcore
 * owns each link and calls everything here. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/net/net.h"
#include "dataplane/net/parse.h"
#include "dataplane/port/port.h"
#include "quic/quic.h"
#include "topo/stats.h"

#define RN_LINK_BURST      64u
#define RN_LINK_PARKED_MAX 8u

struct rn_link;

struct rn_link_config {
  struct rn_port *port; /* outlives the link */
  uint16_t queue;
  struct rn_net_if nif;
  uint32_t neighbours;              /* capacity: a power of two, 4..65,536 */
  uint64_t seed;                    /* random */
  struct rn_stats_port *port_stats; /* where it counts */
  struct rn_stats_net *net_stats;
  /* Where there are several lcores: called with every ARP packet and neighbour discovery message, for the other ones, which may have asked; the
   * driver brings the answer to any of them. NULL: none. */
  void (*overhear)(void *ctx, enum rn_net_kind kind, const struct rn_dgram *d,
                   const struct rn_net_meta *m);
  void *overhear_ctx;
};

/* Bytes needed, 64-byte aligned; 0 if neighbours is out of range. */
size_t rn_link_footprint(uint32_t neighbours);
/* Formats mem, which stays the caller's. RN_OK or RN_ERR_INVAL. */
int rn_link_init(void *mem, const struct rn_link_config *cfg, struct rn_link **out);
/* Gives all buffers back. NULL is fine. */
void rn_link_fini(struct rn_link *l);

/* Receives one burst. Sets *out to the datagrams that were in it, valid until rn_link_rx_done, and *frames to the frames the driver had
 * (whether or not they held any). Returns the number of datagrams, at most RN_LINK_BURST. */
size_t rn_link_rx(struct rn_link *l, uint64_t now_ns, const struct rn_dgram **out, size_t *frames);
/* After each rn_link_rx. */
void rn_link_rx_done(struct rn_link *l);

/* For rn_quic_tx. now_ns is that of the last rn_link_rx. */
const struct rn_quic_sink *rn_link_sink(struct rn_link *l);

/* Hands the driver what was written. What it does not take waits for the next flush, or is dropped when it took nothing for 10 ms. Returns
 * the number of frames taken. */
size_t rn_link_flush(struct rn_link *l, uint64_t now_ns);
/* True while frames wait for the driver. */
bool rn_link_waiting(const struct rn_link *l);

/* The MAC address of a datagram's sender while its burst is being handled; for handing it to another lcore, whose link then learns it. False when it
 * is not known. */
bool rn_link_mac(struct rn_link *l, const struct rn_addr *remote, uint8_t mac[6]);
void rn_link_learn(struct rn_link *l, const struct rn_addr *remote, const uint8_t mac[6]);
/* Learns from what another lcore's link overheard; answers nothing. */
void rn_link_overheard(struct rn_link *l, enum rn_net_kind kind, const struct rn_dgram *d,
                       const struct rn_net_meta *m);

/* Housekeeping, a few times a second: reads the driver's counter, drops what waited too long for a neighbour. */
void rn_link_tidy(struct rn_link *l, uint64_t now_ns);

/* Owned mode: tells the link which addresses are ours (RFC 5227 section 3, RFC 4861 section 7.2.6). */
void rn_link_announce(struct rn_link *l, uint64_t now_ns);

/* The addresses may be changed between two turns. */
struct rn_net_if *rn_link_if(struct rn_link *l);
/* Readable when frames wait; -1: cannot be waited for. */
int rn_link_fd(const struct rn_link *l);
/* After poll() said POLLERR for it, as when the interface went down: takes the error away, so that the next poll() waits. */
void rn_link_clear_error(struct rn_link *l);
