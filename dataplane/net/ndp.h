/* dataplane/net/ndp.h: neighbour solicitation and advertisement, RFC 4861 sections 4.3, 4.4 and 7. */
#pragma once
#include "dataplane/net/neigh.h"
#include "dataplane/net/net.h"
#include "dataplane/net/parse.h"

/* Handles the ICMPv6 message d (of type 135 or 136, any bytes after): learns from it, and in owned mode answers solicitations for our
 * addresses. Returns the length of the frame written to out[0..RN_NET_ANSWER_MAX), 0: none. */
size_t rn_ndp_rx(const struct rn_net_if *nif, struct rn_neigh *t, struct rn_stats_net *st,
                 uint64_t now_ns, const struct rn_dgram *d, const struct rn_net_meta *m,
                 uint8_t *out);

/* Writes a solicitation for target, sent from source. Returns its length. */
size_t rn_ndp_solicit(const struct rn_net_if *nif, struct rn_stats_net *st,
                      const struct rn_addr *source, const struct rn_addr *target, uint8_t *out);

/* Writes an advertisement of our address source to all nodes. Returns its length. */
size_t rn_ndp_announce(const struct rn_net_if *nif, struct rn_stats_net *st,
                       const struct rn_addr *source, uint8_t *out);
