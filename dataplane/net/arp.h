/* dataplane/net/arp.h: ARP (RFC 826) for IPv4 addresses on Ethernet. */
#pragma once
#include "dataplane/net/neigh.h"
#include "dataplane/net/net.h"

/* Handles an ARP packet b[0..len), any bytes: learns from answers, and in owned mode answers requests for our addresses and counts
 * machines that claim one of them (RFC 5227). Returns the length of the frame written to out[0..RN_NET_ANSWER_MAX), 0: none. */
size_t rn_arp_rx(const struct rn_net_if *nif, struct rn_neigh *t, struct rn_stats_net *st,
                 uint64_t now_ns, const uint8_t *b, uint32_t len, uint8_t *out);

/* Writes a request for target into out[0..RN_NET_ANSWER_MAX), sent from source; with source equal to target it announces that address.
 * Returns its length. */
size_t rn_arp_request(const struct rn_net_if *nif, struct rn_stats_net *st,
                      const struct rn_addr *source, const struct rn_addr *target, uint8_t *out);
