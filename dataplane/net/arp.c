/* dataplane/net/arp.c
 *
 *   0     2     4  5  6   8          14        18         24        28
 *   | hw  | ptype|hl|pl|op | sender MAC| sender IP| target MAC| target IP| */
#include "dataplane/net/arp.h"

#include "dataplane/net/build.h"

#define ARP_BYTES 28u

enum { OP_REQUEST = 1, OP_REPLY = 2 };

static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
static const uint8_t fixed[6] = { 0, 1, 8, 0, 6, 4 }; /* Ethernet, IPv4, their lengths */

static size_t packet(const struct rn_net_if *nif, const uint8_t dst_mac[6], uint16_t op,
                     const uint8_t *source_ip, const uint8_t *target_mac, const uint8_t *target_ip,
                     uint8_t *out) {
  uint8_t *b = out + RN_ETH_BYTES + (nif->vlan != 0 ? RN_VLAN_BYTES : 0);
  memset(out, 0, RN_NET_ANSWER_MAX);
  memcpy(b, fixed, sizeof(fixed));
  rn_put16(b + 6, op);
  memcpy(b + 8, nif->mac, 6);
  memcpy(b + 14, source_ip, 4);
  memcpy(b + 18, target_mac, 6);
  memcpy(b + 24, target_ip, 4);
  rn_net_build_eth(nif, dst_mac, RN_ETHERTYPE_ARP, b);
  return RN_NET_FRAME_MIN;
}

size_t rn_arp_request(const struct rn_net_if *nif, struct rn_stats_net *st,
                      const struct rn_addr *source, const struct rn_addr *target, uint8_t *out) {
  static const uint8_t unknown[6];
  st->arp_requests++;
  return packet(nif, broadcast, OP_REQUEST, source->ip, unknown, target->ip, out);
}

static bool well_formed(const uint8_t *b, uint32_t len) {
  static const uint8_t none[6];
  return len >= ARP_BYTES && memcmp(b, fixed, sizeof(fixed)) == 0 && b[6] == 0 &&
         (b[7] == OP_REQUEST || b[7] == OP_REPLY) && !(b[8] & 1) && memcmp(b + 8, none, 6) != 0;
}

size_t rn_arp_rx(const struct rn_net_if *nif, struct rn_neigh *t, struct rn_stats_net *st,
                 uint64_t now_ns, const uint8_t *b, uint32_t len, uint8_t *out) {
  static const uint8_t none[4];
  if (!well_formed(b, len)) {
    st->drop_arp++;
    return 0;
  }
  const uint8_t *sender_mac = b + 8, *sender_ip = b + 14, *target_ip = b + 24;
  bool probe = memcmp(sender_ip, none, 4) == 0; /* someone asks whether the address is free */
  bool for_us = rn_net_is_ours(nif, 4, target_ip);
  if (rn_net_is_ours(nif, 4, sender_ip)) {
    /* In shared mode the kernel's own requests come by here. */
    if (memcmp(sender_mac, nif->mac, 6) != 0)
      st->addr_conflicts++;
    return 0;
  }
  struct rn_addr sender;
  rn_net_addr_set(&sender, 4, sender_ip, 0);
  if (!probe && rn_net_on_link(nif, &sender)) {
    if (for_us)
      rn_neigh_learn(t, now_ns, &sender, sender_mac);
    else
      rn_neigh_update(t, now_ns, &sender, sender_mac);
  }
  if (!for_us)
    st->drop_arp++;
  if (!for_us || b[7] != OP_REQUEST || !nif->owned)
    return 0;
  st->arp_replies++;
  return packet(nif, sender_mac, OP_REPLY, target_ip, sender_mac, sender_ip, out);
}
