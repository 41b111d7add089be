/* dataplane/net/net.c: which addresses are ours, and which way to the others. */
#include "dataplane/net/net.h"

static bool prefix_eq(const uint8_t *a, const uint8_t *b, uint8_t bits) {
  size_t whole = bits / 8u;
  if (memcmp(a, b, whole) != 0)
    return false;
  uint8_t rest = bits % 8u;
  return rest == 0 || ((a[whole] ^ b[whole]) >> (8u - rest)) == 0;
}

static bool link_local6(const struct rn_addr *a) {
  return a->family == 6 && a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

bool rn_net_is_ours(const struct rn_net_if *nif, uint8_t family, const uint8_t *ip) {
  size_t n = family == 4 ? 4 : 16;
  for (unsigned int i = 0; i < nif->addr_count; i++) {
    const struct rn_addr *a = &nif->addrs[i].addr;
    if (a->family == family && memcmp(a->ip, ip, n) == 0)
      return true;
  }
  return false;
}

bool rn_net_on_link(const struct rn_net_if *nif, const struct rn_addr *dst) {
  if (link_local6(dst))
    return true;
  for (unsigned int i = 0; i < nif->addr_count; i++) {
    const struct rn_net_addr *a = &nif->addrs[i];
    if (a->addr.family == dst->family && prefix_eq(a->addr.ip, dst->ip, a->prefix_bits))
      return true;
  }
  return false;
}

const struct rn_addr *rn_net_next_hop(const struct rn_net_if *nif, const struct rn_addr *dst) {
  if (rn_net_on_link(nif, dst))
    return dst;
  const struct rn_addr *gw = dst->family == 4 ? &nif->gateway4 : &nif->gateway6;
  return gw->family == dst->family ? gw : NULL;
}

const struct rn_addr *rn_net_source(const struct rn_net_if *nif, const struct rn_addr *dst) {
  const struct rn_addr *first = NULL;
  for (unsigned int i = 0; i < nif->addr_count; i++) {
    const struct rn_net_addr *a = &nif->addrs[i];
    if (a->addr.family != dst->family || link_local6(&a->addr) != link_local6(dst))
      continue;
    if (prefix_eq(a->addr.ip, dst->ip, a->prefix_bits))
      return &a->addr;
    if (first == NULL)
      first = &a->addr;
  }
  return first;
}

void rn_net_solicited_node(const uint8_t ip[16], uint8_t out[16]) {
  static const uint8_t prefix[13] = { 0xff, 0x02, [11] = 0x01, [12] = 0xff };
  memcpy(out, prefix, sizeof(prefix));
  memcpy(out + 13, ip + 13, 3);
}

void rn_net_multicast6_mac(const uint8_t ip[16], uint8_t out[6]) {
  out[0] = out[1] = 0x33;
  memcpy(out + 2, ip + 12, 4);
}
