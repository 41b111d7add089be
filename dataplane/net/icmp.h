/* dataplane/net/icmp.h: echo in owned mode, RFC 792 and RFC 4443 section 4. No ICMP error is ever sent. */
#pragma once
#include "dataplane/net/net.h"
#include "dataplane/net/parse.h"

/* The limit for answers: RN_ICMP_RATE a second, RN_ICMP_BURST at once. Zeroed at start. */
#define RN_ICMP_RATE  1000u
#define RN_ICMP_BURST 100u
struct rn_icmp {
  uint64_t full_ns; /* when all of the burst may be used again */
};

/* Handles the ICMP or ICMPv6 message d, any bytes. Returns the length of the frame written to out[0..cap), 0: none. The answer goes to
 * the MAC address the request came from. */
size_t rn_icmp_rx(const struct rn_net_if *nif, struct rn_icmp *ic, struct rn_stats_net *st,
                  uint64_t now_ns, const struct rn_dgram *d, const struct rn_net_meta *m,
                  uint8_t *out, size_t cap);
