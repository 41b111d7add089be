/* dataplane/net/ndp.c
 *
 *   0      1      2          4            8            24
 *   | type | code | checksum | flags, 0   | target     | options: type, length / 8, ... */
#include "dataplane/net/ndp.h"

#include "dataplane/net/build.h"
#include "dataplane/net/sum.h"

#define FIXED_BYTES 24u
#define OPT_BYTES   8u /* type, length, MAC address */
#define HOP_LIMIT   255

enum { SOLICIT = 135, ADVERT = 136 };
enum { OPT_SOURCE_MAC = 1, OPT_TARGET_MAC = 2 };
enum { FLAG_SOLICITED = 0x40, FLAG_OVERRIDE = 0x20 };

static const uint8_t unspecified[16];

/* A message with one option: our MAC address. */
static size_t message(const struct rn_net_if *nif, uint8_t type, uint8_t flags,
                      const struct rn_addr *source, const uint8_t dst_ip[16],
                      const uint8_t dst_mac[6], const uint8_t target[16], uint8_t *out) {
  uint8_t *b = out + RN_ETH_BYTES + (nif->vlan != 0 ? RN_VLAN_BYTES : 0) + RN_IP6_BYTES;
  size_t len = FIXED_BYTES + OPT_BYTES;
  struct rn_addr dst;
  rn_net_addr_set(&dst, 6, dst_ip, 0);
  memset(b, 0, len);
  b[0] = type;
  b[4] = flags;
  memcpy(b + 8, target, 16);
  b[FIXED_BYTES] = type == SOLICIT ? OPT_SOURCE_MAC : OPT_TARGET_MAC;
  b[FIXED_BYTES + 1] = OPT_BYTES / 8;
  memcpy(b + FIXED_BYTES + 2, nif->mac, 6);
  uint16_t sum = rn_net_sum_fold(rn_net_sum(
      b, len, rn_net_sum_pseudo(source->ip, dst_ip, 16, RN_IPPROTO_ICMP6, (uint32_t)len)));
  memcpy(b + 2, &sum, sizeof(sum));
  rn_net_build_ip(nif, dst_mac, source, &dst, RN_IPPROTO_ICMP6, HOP_LIMIT, b, len);
  return (size_t)(b - out) + len;
}

size_t rn_ndp_solicit(const struct rn_net_if *nif, struct rn_stats_net *st,
                      const struct rn_addr *source, const struct rn_addr *target, uint8_t *out) {
  uint8_t group[16], mac[6];
  rn_net_solicited_node(target->ip, group);
  rn_net_multicast6_mac(group, mac);
  st->ndp_solicits++;
  return message(nif, SOLICIT, 0, source, group, mac, target->ip, out);
}

/* To all nodes: an announcement, or the answer to somebody who has no address yet. */
static size_t advert_all(const struct rn_net_if *nif, const struct rn_addr *source, uint8_t *out) {
  static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
  uint8_t mac[6];
  rn_net_multicast6_mac(all_nodes, mac);
  return message(nif, ADVERT, FLAG_OVERRIDE, source, all_nodes, mac, source->ip, out);
}

size_t rn_ndp_announce(const struct rn_net_if *nif, struct rn_stats_net *st,
                       const struct rn_addr *source, uint8_t *out) {
  st->ndp_adverts++;
  return advert_all(nif, source, out);
}

/* Finds the MAC address option of this type. False when an option is malformed; *mac is NULL when there is none. */
static bool options(const uint8_t *b, uint32_t len, uint8_t type, const uint8_t **mac) {
  *mac = NULL;
  for (uint32_t at = FIXED_BYTES; at < len;) {
    uint32_t bytes = len - at >= 2 ? b[at + 1] * 8u : 0;
    if (bytes == 0 || bytes > len - at)
      return false;
    if (b[at] == type && bytes == OPT_BYTES && !(b[at + 2] & 1))
      *mac = b + at + 2;
    at += bytes;
  }
  return true;
}

/* RFC 4861 sections 7.1.1 and 7.1.2. */
static bool valid(const struct rn_dgram *d, const struct rn_net_meta *m, const uint8_t **mac) {
  const uint8_t *b = d->data, *src = d->path.remote.ip, *dst = d->path.local.ip;
  if (d->len < FIXED_BYTES || m->hop_limit != HOP_LIMIT || b[1] != 0 || b[8] == 0xff)
    return false;
  if (rn_net_sum_fold(
          rn_net_sum(b, d->len, rn_net_sum_pseudo(src, dst, 16, RN_IPPROTO_ICMP6, d->len))) != 0)
    return false;
  if (!options(b, d->len, b[0] == SOLICIT ? OPT_SOURCE_MAC : OPT_TARGET_MAC, mac))
    return false;
  bool no_source = memcmp(src, unspecified, 16) == 0;
  if (b[0] == SOLICIT)
    return !no_source || (m->dst_multicast && dst[11] == 1 && dst[12] == 0xff && *mac == NULL);
  return !no_source && !(m->dst_multicast && (b[4] & FLAG_SOLICITED));
}

static size_t solicited(const struct rn_net_if *nif, struct rn_neigh *t, struct rn_stats_net *st,
                        uint64_t now_ns, const struct rn_dgram *d, const struct rn_net_meta *m,
                        const uint8_t *mac, uint8_t *out) {
  const uint8_t *target = d->data + 8;
  const struct rn_addr *from = &d->path.remote;
  if (!rn_net_is_ours(nif, 6, target)) {
    st->drop_ndp++;
    return 0;
  }
  bool no_source = memcmp(from->ip, unspecified, 16) == 0;
  if (mac != NULL && rn_net_on_link(nif, from))
    rn_neigh_learn(t, now_ns, from, mac);
  if (!nif->owned)
    return 0; /* the kernel answers */
  struct rn_addr source;
  rn_net_addr_set(&source, 6, target, 0);
  st->ndp_adverts++;
  if (no_source)
    return advert_all(nif, &source, out);
  return message(nif, ADVERT, FLAG_SOLICITED | FLAG_OVERRIDE, &source, from->ip,
                 mac != NULL ? mac : m->src_mac, target, out);
}

size_t rn_ndp_rx(const struct rn_net_if *nif, struct rn_neigh *t, struct rn_stats_net *st,
                 uint64_t now_ns, const struct rn_dgram *d, const struct rn_net_meta *m,
                 uint8_t *out) {
  const uint8_t *mac;
  if (!valid(d, m, &mac)) {
    st->drop_ndp++;
    return 0;
  }
  if (d->data[0] == SOLICIT)
    return solicited(nif, t, st, now_ns, d, m, mac, out);
  struct rn_addr target;
  rn_net_addr_set(&target, 6, d->data + 8, 0);
  if (rn_net_is_ours(nif, 6, target.ip)) {
    st->addr_conflicts++;
    return 0;
  }
  /* An answer without the option is allowed when it was asked for by unicast, which we never do. */
  if (mac != NULL)
    rn_neigh_update(t, now_ns, &target, mac);
  return 0;
}
