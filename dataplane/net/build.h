/* dataplane/net/build.h: headers in front of a payload that lies where it will be sent from. */
#pragma once
#include "dataplane/net/net.h"

/* Bytes that the functions below write before the payload; at most RN_NET_HDR_MAX. */
size_t rn_net_udp_hdr_bytes(const struct rn_net_if *nif, uint8_t family);

/* Writes Ethernet (and VLAN), IP and UDP headers into the bytes before payload[0..len). Checksums are computed here, over the payload
 * too. IPv4 gets DF and, as RFC 6864 allows with it, ID 0; IPv6 a flow label of the path. path->local and ->remote are of one
 * family; the caller checked that the packet fits nif->mtu. Returns the frame's first byte. */
uint8_t *rn_net_build_udp(const struct rn_net_if *nif, const uint8_t dst_mac[6],
                          const struct rn_path *path, uint8_t ecn, uint8_t *payload, size_t len);

/* The same without UDP, for ICMP messages that hold their checksum; local and remote are without ports. */
uint8_t *rn_net_build_ip(const struct rn_net_if *nif, const uint8_t dst_mac[6],
                         const struct rn_addr *local, const struct rn_addr *remote, uint8_t proto,
                         uint8_t hop_limit, uint8_t *payload, size_t len);

/* Writes an Ethernet header (and VLAN tag) before p; returns its first byte. */
uint8_t *rn_net_build_eth(const struct rn_net_if *nif, const uint8_t dst_mac[6], uint16_t type,
                          uint8_t *p);
