/* dataplane/net/net.h: what the modules that read and write frames share. They see bytes, never DPDK: tests, fuzzers and the load
 * generator link them alone.
 *
 *   frame -> parse -> UDP:  struct rn_dgram, for the QUIC endpoint
 *                  -> ARP:  arp    -> a frame to send back, or none; neigh learns
 *                  -> NDP:  ndp    -> the same
 *                  -> ECHO: icmp   -> the same
 *   datagram -> neigh (which MAC address?) -> build -> frame
 *
 * One lcore owns each object; frames come from anyone and any bytes are safe. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "topo/stats.h"
#include "util/addr.h"

#define RN_ETH_BYTES      14u
#define RN_VLAN_BYTES     4u
#define RN_IP4_BYTES      20u
#define RN_IP6_BYTES      40u
#define RN_UDP_BYTES      8u
#define RN_NET_HDR_MAX    (RN_ETH_BYTES + RN_VLAN_BYTES + RN_IP6_BYTES + RN_UDP_BYTES)
#define RN_NET_FRAME_MIN  60u  /* IEEE 802.3, without FCS: shorter frames are padded */
#define RN_NET_ANSWER_MAX 128u /* the longest ARP or NDP frame we send */
#define RN_NET_ADDRS_MAX  16u

#define RN_ETHERTYPE_IP4  0x0800u
#define RN_ETHERTYPE_ARP  0x0806u
#define RN_ETHERTYPE_VLAN 0x8100u
#define RN_ETHERTYPE_QINQ 0x88a8u
#define RN_ETHERTYPE_IP6  0x86ddu
#define RN_IPPROTO_ICMP   1u
#define RN_IPPROTO_UDP    17u
#define RN_IPPROTO_ICMP6  58u

/* An address of ours and its link's prefix. */
struct rn_net_addr {
  struct rn_addr addr; /* port 0 */
  uint8_t prefix_bits; /* 0..32 or 0..128 */
};

/* A port as frames see it. Plain data; may change between two calls (the kernel's addresses do, in shared mode). */
struct rn_net_if {
  uint8_t mac[6];
  uint16_t vlan;      /* 1..4094; 0: untagged */
  uint16_t mtu;       /* longest IP packet, bytes */
  uint16_t udp_port;  /* the first UDP port that is ours */
  uint16_t udp_ports; /* how many from there on, >= 1 */
  bool owned; /* the addresses are ours alone: we answer ARP, NDP and echo. Else the kernel does */
  uint8_t addr_count;
  uint32_t flow_key; /* random: IPv6 flow labels derive from it, RFC 6437 */
  struct rn_net_addr addrs[RN_NET_ADDRS_MAX];
  struct rn_addr gateway4; /* family 0: none */
  struct rn_addr gateway6;
};

/* True when ip (4 or 16 bytes by family) is one of the port's addresses. */
bool rn_net_is_ours(const struct rn_net_if *nif, uint8_t family, const uint8_t *ip);

/* True when dst can be reached without a router. */
bool rn_net_on_link(const struct rn_net_if *nif, const struct rn_addr *dst);

/* Where frames for dst go: dst itself or a gateway; NULL: there is no route. */
const struct rn_addr *rn_net_next_hop(const struct rn_net_if *nif, const struct rn_addr *dst);

/* The address to send from when the caller has none: the first one on dst's link, else the first of its family that is not
 * link-local; NULL: none. */
const struct rn_addr *rn_net_source(const struct rn_net_if *nif, const struct rn_addr *dst);

/* ff02::1:ffXX:XXXX of a unicast address, RFC 4291 section 2.7.1. */
void rn_net_solicited_node(const uint8_t ip[16], uint8_t out[16]);
/* 33:33 and the last four bytes, RFC 2464 section 7. */
void rn_net_multicast6_mac(const uint8_t ip[16], uint8_t out[6]);

static inline uint16_t rn_get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }

static inline void rn_put16(uint8_t *p, uint16_t v) {
  p[0] = (uint8_t)(v >> 8);
  p[1] = (uint8_t)v;
}

/* An rn_addr of family 4 or 6 from network order. */
static inline void rn_net_addr_set(struct rn_addr *a, uint8_t family, const uint8_t *ip,
                                   uint16_t port) {
  *a = (struct rn_addr){ .port = port, .family = family };
  memcpy(a->ip, ip, family == 4 ? 4 : 16);
}
