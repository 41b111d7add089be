/* dataplane/net/icmp.c */
#include "dataplane/net/icmp.h"

#include "dataplane/net/build.h"
#include "dataplane/net/sum.h"

#define COST_NS   (1000000000u / RN_ICMP_RATE)
#define HDR_BYTES 8u
#define HOP_LIMIT 64

enum { ECHO4 = 8, ECHO4_REPLY = 0, ECHO6 = 128, ECHO6_REPLY = 129 };

static bool may_answer(struct rn_icmp *ic, uint64_t now_ns) {
  uint64_t full_ns = (ic->full_ns > now_ns ? ic->full_ns : now_ns) + COST_NS;
  if (full_ns - now_ns > (uint64_t)COST_NS * RN_ICMP_BURST)
    return false;
  ic->full_ns = full_ns;
  return true;
}

/* The start of the checksum: ICMPv6's covers the addresses. */
static uint64_t sum_start(const struct rn_path *p, uint32_t len) {
  return p->local.family == 4
             ? 0
             : rn_net_sum_pseudo(p->remote.ip, p->local.ip, 16, RN_IPPROTO_ICMP6, len);
}

size_t rn_icmp_rx(const struct rn_net_if *nif, struct rn_icmp *ic, struct rn_stats_net *st,
                  uint64_t now_ns, const struct rn_dgram *d, const struct rn_net_meta *m,
                  uint8_t *out, size_t cap) {
  static const uint8_t unspecified[16];
  bool v4 = d->path.local.family == 4;
  size_t hdr_bytes = rn_net_udp_hdr_bytes(nif, v4 ? 4 : 6) - RN_UDP_BYTES;
  if (d->len < HDR_BYTES || d->data[0] != (v4 ? ECHO4 : ECHO6) || d->data[1] != 0 ||
      hdr_bytes + d->len > cap || memcmp(d->path.remote.ip, unspecified, v4 ? 4 : 16) == 0 ||
      rn_net_sum_fold(rn_net_sum(d->data, d->len, sum_start(&d->path, d->len))) != 0) {
    st->drop_icmp++;
    return 0;
  }
  if (!may_answer(ic, now_ns)) {
    st->drop_icmp_rate++;
    return 0;
  }
  uint8_t *b = out + hdr_bytes;
  memcpy(b, d->data, d->len);
  b[0] = v4 ? ECHO4_REPLY : ECHO6_REPLY;
  b[2] = b[3] = 0;
  uint16_t sum = rn_net_sum_fold(rn_net_sum(b, d->len, sum_start(&d->path, d->len)));
  memcpy(b + 2, &sum, sizeof(sum));
  rn_net_build_ip(nif, m->src_mac, &d->path.local, &d->path.remote,
                  v4 ? RN_IPPROTO_ICMP : RN_IPPROTO_ICMP6, HOP_LIMIT, b, d->len);
  st->echo_replies++;
  size_t len = hdr_bytes + d->len;
  if (len < RN_NET_FRAME_MIN && cap >= RN_NET_FRAME_MIN) {
    memset(out + len, 0, RN_NET_FRAME_MIN - len);
    len = RN_NET_FRAME_MIN;
  }
  return len;
}
