/* dataplane/net/parse.h: takes a received frame apart. */
#pragma once
#include "dataplane/net/net.h"
#include "quic/quic.h"

enum rn_net_kind {
  RN_NET_DROP, /* counted under its reason */
  RN_NET_UDP,  /* d: a datagram for us */
  RN_NET_ARP,  /* d->data: the ARP packet */
  RN_NET_NDP, /* d->data: the ICMPv6 message, of type 135 or 136; d->path: its addresses, ports 0 */
  RN_NET_ECHO, /* owned mode; d->data: the ICMP message, d->path: its addresses, ports 0 */
};

/* What the frame said beside the datagram. */
struct rn_net_meta {
  const uint8_t *src_mac; /* 6 bytes, in the frame */
  uint8_t hop_limit;      /* or TTL */
  bool dst_multicast;     /* IPv6: sent to a group */
};

/* Reads frame[0..len), any bytes. The UDP checksum is not looked at: frames from a virtual interface carry unfinished ones,
 * and AEAD (RFC 9001) protects better. d->data points into the frame. d and m are written for every kind but DROP. */
enum rn_net_kind rn_net_parse(const struct rn_net_if *nif, struct rn_stats_net *st,
                              const uint8_t *frame, uint32_t len, struct rn_dgram *d,
                              struct rn_net_meta *m);
