/* dataplane/net/build.c: from the inside out: UDP, IP, Ethernet, each in front of the last. */
#include "dataplane/net/build.h"

#include "dataplane/net/sum.h"

#define HOP_LIMIT 64

static size_t ip_bytes(uint8_t family) { return family == 4 ? RN_IP4_BYTES : RN_IP6_BYTES; }

size_t rn_net_udp_hdr_bytes(const struct rn_net_if *nif, uint8_t family) {
  return RN_ETH_BYTES + (nif->vlan != 0 ? RN_VLAN_BYTES : 0) + ip_bytes(family) + RN_UDP_BYTES;
}

uint8_t *rn_net_build_eth(const struct rn_net_if *nif, const uint8_t dst_mac[6], uint16_t type,
                          uint8_t *p) {
  p -= 2;
  rn_put16(p, type);
  if (nif->vlan != 0) {
    p -= RN_VLAN_BYTES;
    rn_put16(p, RN_ETHERTYPE_VLAN);
    rn_put16(p + 2, nif->vlan);
  }
  p -= 12;
  memcpy(p, dst_mac, 6);
  memcpy(p + 6, nif->mac, 6);
  return p;
}

/* RFC 791; ECN: RFC 3168. */
static uint8_t *ip4(const uint8_t *src, const uint8_t *dst, uint8_t proto, uint8_t hop_limit,
                    uint8_t ecn, uint8_t *l4, size_t len) {
  uint8_t *b = l4 - RN_IP4_BYTES;
  b[0] = 0x45;
  b[1] = ecn;
  rn_put16(b + 2, (uint16_t)(RN_IP4_BYTES + len));
  rn_put16(b + 4, 0);
  rn_put16(b + 6, 0x4000); /* DF */
  b[8] = hop_limit;
  b[9] = proto;
  rn_put16(b + 10, 0);
  memcpy(b + 12, src, 4);
  memcpy(b + 16, dst, 4);
  uint16_t sum = rn_net_sum_fold(rn_net_sum(b, RN_IP4_BYTES, 0));
  memcpy(b + 10, &sum, sizeof(sum));
  return b;
}

/* RFC 8200. */
static uint8_t *ip6(const uint8_t *src, const uint8_t *dst, uint8_t proto, uint8_t hop_limit,
                    uint8_t ecn, uint32_t flow, uint8_t *l4, size_t len) {
  uint8_t *b = l4 - RN_IP6_BYTES;
  b[0] = 0x60;
  b[1] = (uint8_t)((uint32_t)ecn << 4 | (flow >> 16 & 0x0f));
  rn_put16(b + 2, (uint16_t)flow);
  rn_put16(b + 4, (uint16_t)len);
  b[6] = proto;
  b[7] = hop_limit;
  memcpy(b + 8, src, 16);
  memcpy(b + 24, dst, 16);
  return b;
}

/* 20 bits that are the same for all packets of a path and tell nothing about it, RFC 6437 section 3. */
static uint32_t flow_label(uint32_t key, const struct rn_path *path) {
  uint64_t w[4], h = key | 1;
  memcpy(w, path->local.ip, 16);
  memcpy(w + 2, path->remote.ip, 16);
  for (int i = 0; i < 4; i++)
    h = (h ^ w[i]) * 0x9e3779b97f4a7c15u, h ^= h >> 29;
  h = (h ^ ((uint64_t)path->local.port << 16 | path->remote.port)) * 0x9e3779b97f4a7c15u;
  return (uint32_t)(h >> 44);
}

uint8_t *rn_net_build_udp(const struct rn_net_if *nif, const uint8_t dst_mac[6],
                          const struct rn_path *path, uint8_t ecn, uint8_t *payload, size_t len) {
  const uint8_t *src = path->local.ip, *dst = path->remote.ip;
  uint8_t family = path->local.family;
  uint8_t *u = payload - RN_UDP_BYTES;
  size_t total = RN_UDP_BYTES + len;
  rn_put16(u, path->local.port);
  rn_put16(u + 2, path->remote.port);
  rn_put16(u + 4, (uint16_t)total);
  rn_put16(u + 6, 0);
  uint64_t acc = rn_net_sum_pseudo(src, dst, family == 4 ? 4 : 16, RN_IPPROTO_UDP, (uint32_t)total);
  uint16_t sum = rn_net_sum_fold(rn_net_sum(u, total, acc));
  sum = sum == 0 ? 0xffff : sum; /* 0 would say: no checksum */
  memcpy(u + 6, &sum, sizeof(sum));
  if (family == 4)
    return rn_net_build_eth(nif, dst_mac, RN_ETHERTYPE_IP4,
                            ip4(src, dst, RN_IPPROTO_UDP, HOP_LIMIT, ecn, u, total));
  uint32_t flow = flow_label(nif->flow_key, path);
  return rn_net_build_eth(nif, dst_mac, RN_ETHERTYPE_IP6,
                          ip6(src, dst, RN_IPPROTO_UDP, HOP_LIMIT, ecn, flow, u, total));
}

uint8_t *rn_net_build_ip(const struct rn_net_if *nif, const uint8_t dst_mac[6],
                         const struct rn_addr *local, const struct rn_addr *remote, uint8_t proto,
                         uint8_t hop_limit, uint8_t *payload, size_t len) {
  if (local->family == 4)
    return rn_net_build_eth(nif, dst_mac, RN_ETHERTYPE_IP4,
                            ip4(local->ip, remote->ip, proto, hop_limit, 0, payload, len));
  return rn_net_build_eth(nif, dst_mac, RN_ETHERTYPE_IP6,
                          ip6(local->ip, remote->ip, proto, hop_limit, 0, 0, payload, len));
}
