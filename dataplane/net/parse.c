/* dataplane/net/parse.c: one function per header, from the outside in. Each has a frame's rest and leaves through drop() or
 * the next header. */
#include "dataplane/net/parse.h"

#include "dataplane/net/sum.h"

/* What is known of the frame so far. */
struct parse {
  const struct rn_net_if *nif;
  struct rn_stats_net *st;
  struct rn_dgram *d;
  struct rn_net_meta *m;
  bool mac_ours; /* sent to our MAC address, not to a group */
};

static enum rn_net_kind drop(uint64_t *reason) {
  (*reason)++;
  return RN_NET_DROP;
}

/* RFC 768. ip_len: bytes that IP carries for UDP. */
static enum rn_net_kind udp(struct parse *p, const uint8_t *b, uint32_t ip_len) {
  if (ip_len < RN_UDP_BYTES)
    return drop(&p->st->drop_udp_length);
  uint16_t src = rn_get16(b), dst = rn_get16(b + 2), udp_len = rn_get16(b + 4);
  if ((uint16_t)(dst - p->nif->udp_port) >= p->nif->udp_ports || src == 0)
    return drop(&p->st->drop_udp_port);
  if (udp_len < RN_UDP_BYTES || udp_len > ip_len)
    return drop(&p->st->drop_udp_length);
  p->d->data = b + RN_UDP_BYTES;
  p->d->len = udp_len - RN_UDP_BYTES;
  p->d->path.local.port = dst;
  p->d->path.remote.port = src;
  p->st->rx_udp++;
  return RN_NET_UDP;
}

static enum rn_net_kind message(struct parse *p, enum rn_net_kind kind, const uint8_t *b,
                                uint32_t len) {
  p->d->data = b;
  p->d->len = len;
  return kind;
}

/* Sources that nobody can answer: RFC 1122 section 3.2.1.3. 0.0.0.0/8, 127/8, 224/4 and above. */
static bool source4_ok(const struct rn_net_if *nif, const uint8_t *ip) {
  return ip[0] != 0 && ip[0] != 127 && ip[0] < 224 && !rn_net_is_ours(nif, 4, ip);
}

/* RFC 791. Options and fragments are refused: QUIC peers send neither. */
static enum rn_net_kind ip4(struct parse *p, const uint8_t *b, uint32_t len) {
  if (len < RN_IP4_BYTES)
    return drop(&p->st->drop_short);
  uint32_t hdr_bytes = (b[0] & 0x0fu) * 4u, total = rn_get16(b + 2);
  if (b[0] >> 4 != 4 || hdr_bytes < RN_IP4_BYTES || total < hdr_bytes)
    return drop(&p->st->drop_ip_header);
  const uint8_t *src = b + 12, *dst = b + 16;
  if (!p->mac_ours)
    return drop(&p->st->drop_dst_mac); /* broadcast and multicast carry nothing for us */
  if (!rn_net_is_ours(p->nif, 4, dst))
    return drop(&p->st->drop_not_ours);
  if (hdr_bytes != RN_IP4_BYTES)
    return drop(&p->st->drop_ip_options);
  if (rn_get16(b + 6) & 0x3fff) /* more fragments, or an offset */
    return drop(&p->st->drop_ip_fragment);
  if (total > len)
    return drop(&p->st->drop_cut);
  if (rn_net_sum_fold(rn_net_sum(b, RN_IP4_BYTES, 0)) != 0)
    return drop(&p->st->drop_ip_checksum);
  if (!source4_ok(p->nif, src))
    return drop(&p->st->drop_source);
  p->d->ecn = b[1] & 3;
  p->m->hop_limit = b[8];
  p->m->dst_multicast = false;
  rn_net_addr_set(&p->d->path.local, 4, dst, 0);
  rn_net_addr_set(&p->d->path.remote, 4, src, 0);
  if (b[9] == RN_IPPROTO_UDP)
    return udp(p, b + hdr_bytes, total - hdr_bytes);
  if (b[9] == RN_IPPROTO_ICMP && p->nif->owned)
    return message(p, RN_NET_ECHO, b + hdr_bytes, total - hdr_bytes);
  return drop(&p->st->drop_ip_proto);
}

enum {
  EXT_HOP_BY_HOP = 0,
  EXT_ROUTING = 43,
  EXT_FRAGMENT = 44,
  EXT_DEST = 60,
};
#define EXT_MAX 4 /* more headers than any sender has reason for */

/* Walks the extension headers (RFC 8200 section 4) that say nothing to us. Returns the counter of what is wrong with them, or
 * NULL with *next and *at at the upper layer. */
static uint64_t *extensions(struct parse *p, const uint8_t *b, uint32_t len, uint8_t *next,
                            uint32_t *at) {
  for (int i = 0; *next == EXT_HOP_BY_HOP || *next == EXT_ROUTING || *next == EXT_DEST ||
                  *next == EXT_FRAGMENT;
       i++) {
    if (*next == EXT_FRAGMENT)
      return &p->st->drop_ip_fragment;
    if (i == EXT_MAX || len - *at < 8 || (*next == EXT_HOP_BY_HOP && i > 0))
      return &p->st->drop_ip_ext;
    uint32_t bytes = 8u + b[*at + 1] * 8u;
    if (bytes > len - *at ||
        (*next == EXT_ROUTING && b[*at + 3] != 0)) /* segments left: we forward nothing */
      return &p->st->drop_ip_ext;
    *next = b[*at];
    *at += bytes;
  }
  return NULL;
}

static bool source6_ok(const struct rn_net_if *nif, const uint8_t *ip) {
  static const uint8_t loopback[16] = { [15] = 1 };
  return ip[0] != 0xff && memcmp(ip, loopback, 16) != 0 && !rn_net_is_ours(nif, 6, ip);
}

/* The groups in which neighbour discovery speaks to us: ff02::1 and the solicited-node groups of our addresses. */
static bool group6_ours(const struct rn_net_if *nif, const uint8_t *ip) {
  static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };
  if (memcmp(ip, all_nodes, 16) == 0)
    return true;
  for (unsigned int i = 0; i < nif->addr_count; i++) {
    uint8_t group[16];
    rn_net_solicited_node(nif->addrs[i].addr.ip, group);
    if (nif->addrs[i].addr.family == 6 && memcmp(ip, group, 16) == 0)
      return true;
  }
  return false;
}

static enum rn_net_kind icmp6(struct parse *p, const uint8_t *b, uint32_t len) {
  if (len >= 8 && (b[0] == 135 || b[0] == 136))
    return message(p, RN_NET_NDP, b, len);
  return p->nif->owned && !p->m->dst_multicast ? message(p, RN_NET_ECHO, b, len)
                                               : drop(&p->st->drop_ip_proto);
}

/* RFC 8200. */
static enum rn_net_kind ip6(struct parse *p, const uint8_t *b, uint32_t len) {
  static const uint8_t none[16];
  if (len < RN_IP6_BYTES)
    return drop(&p->st->drop_short);
  if (b[0] >> 4 != 6)
    return drop(&p->st->drop_ip_header);
  const uint8_t *src = b + 8, *dst = b + 24;
  uint32_t total = RN_IP6_BYTES + rn_get16(b + 4), at = RN_IP6_BYTES;
  bool group = dst[0] == 0xff;
  if (group ? !group6_ours(p->nif, dst) : !rn_net_is_ours(p->nif, 6, dst))
    return drop(&p->st->drop_not_ours);
  if (!group && !p->mac_ours)
    return drop(&p->st->drop_dst_mac);
  if (total > len)
    return drop(&p->st->drop_cut);
  if (!source6_ok(p->nif, src))
    return drop(&p->st->drop_source);
  uint8_t next = b[6];
  uint64_t *wrong = extensions(p, b, total, &next, &at);
  if (wrong != NULL)
    return drop(wrong);
  p->d->ecn = (b[1] >> 4) & 3;
  p->m->hop_limit = b[7];
  p->m->dst_multicast = group;
  rn_net_addr_set(&p->d->path.local, 6, dst, 0);
  rn_net_addr_set(&p->d->path.remote, 6, src, 0);
  if (next == RN_IPPROTO_ICMP6)
    return icmp6(p, b + at, total - at); /* alone may come from :: (duplicate address detection) */
  if (next != RN_IPPROTO_UDP || group)
    return drop(&p->st->drop_ip_proto);
  if (memcmp(src, none, 16) == 0)
    return drop(&p->st->drop_source);
  return udp(p, b + at, total - at);
}

/* IEEE 802.1Q: untagged, priority-tagged (VLAN 0), or tagged for our VLAN; never two tags. */
static bool vlan_ours(const struct rn_net_if *nif, uint16_t type, uint16_t vid) {
  if (type == RN_ETHERTYPE_VLAN || type == RN_ETHERTYPE_QINQ)
    return false;
  return vid == nif->vlan;
}

enum rn_net_kind rn_net_parse(const struct rn_net_if *nif, struct rn_stats_net *st,
                              const uint8_t *frame, uint32_t len, struct rn_dgram *d,
                              struct rn_net_meta *m) {
  static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
  if (len < RN_ETH_BYTES)
    return drop(&st->drop_short);
  uint32_t at = RN_ETH_BYTES;
  uint16_t type = rn_get16(frame + 12), vid = 0;
  if (type == RN_ETHERTYPE_VLAN) {
    if (len < RN_ETH_BYTES + RN_VLAN_BYTES)
      return drop(&st->drop_short);
    vid = rn_get16(frame + 14) & 0x0fff;
    type = rn_get16(frame + 16);
    at += RN_VLAN_BYTES;
  }
  if (!vlan_ours(nif, type, vid))
    return drop(&st->drop_vlan);
  struct parse p = {
    .nif = nif, .st = st, .d = d, .m = m, .mac_ours = memcmp(frame, nif->mac, 6) == 0
  };
  bool group6 = frame[0] == 0x33 && frame[1] == 0x33;
  bool all = memcmp(frame, broadcast, 6) == 0;
  if ((!p.mac_ours && !group6 && !all) || (frame[6] & 1)) /* a group cannot send */
    return drop(&st->drop_dst_mac);
  m->src_mac = frame + 6;
  switch (type) {
  case RN_ETHERTYPE_IP4:
    return ip4(&p, frame + at, len - at);
  case RN_ETHERTYPE_IP6:
    return ip6(&p, frame + at, len - at);
  case RN_ETHERTYPE_ARP:
    return message(&p, RN_NET_ARP, frame + at, len - at);
  default:
    return drop(&st->drop_ethertype);
  }
}
