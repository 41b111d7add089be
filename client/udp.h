/* client/udp.h: a UDP socket in bursts: GSO and GRO (UDP_SEGMENT, UDP_GRO) where the kernel has them, ECN both ways.
 *
 * The sink writes datagrams one behind the other into one arena; those of equal size and path leave the process as one system call
 * and cross the kernel's stack as one packet. Any one thread uses it. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "quic/quic.h"
#include "util/addr.h"

struct rn_udp;

struct rn_udp_stats {
  uint64_t rx_calls, rx_datagrams, tx_calls, tx_datagrams, tx_errors, rx_truncated;
};

/* Binds to local (port 0: any; family decides IPv4 or IPv6). RN_OK, or RN_ERR_SYS with errno set. */
int rn_udp_open(const struct rn_addr *local, struct rn_udp **out);
void rn_udp_close(struct rn_udp *u); /* NULL is fine */

/* The address bound to at first; datagrams go on to carry it after rn_udp_rebind. */
const struct rn_addr *rn_udp_local(const struct rn_udp *u);
int rn_udp_fd(const struct rn_udp *u);
const struct rn_udp_stats *rn_udp_stats(const struct rn_udp *u);

/* Closes the socket and binds another on a new port: what a NAT does to a client. RN_OK or RN_ERR_SYS. */
int rn_udp_rebind(struct rn_udp *u);

/* Received datagrams, without waiting; *out points to them until the next call. Returns how many, 0 when there are none. */
size_t rn_udp_rx(struct rn_udp *u, struct rn_dgram **out);

/* For rn_quic_tx; rn_udp_flush afterwards sends what was committed. */
const struct rn_quic_sink *rn_udp_sink(struct rn_udp *u);
void rn_udp_flush(struct rn_udp *u);
