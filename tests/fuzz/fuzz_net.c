/* tests/fuzz/fuzz_net.c: frames from anyone, into the parser and whoever answers. The input is a sequence of frames:
 *
 *   1 octet     bit 0: owned mode; bit 1: a VLAN of ours; bit 2: a second passes before each frame; bit 3: checksums of IPv4 and ICMP are made right;
 *               bit 4: before each frame comes what it begins with, wherever it is worth a look, with the lengths of IP made right
 *   per frame   2 octets length, big-endian, and the frame; the last one may end early
 *
 * Checked after each frame: an answer is a frame of ours to whom it may go, of a sensible length; nobody's address became ours in the
 * neighbour table; the table holds together; every frame was counted once. */
#include "fuzz.h"

#include "dataplane/net/arp.h"
#include "dataplane/net/icmp.h"
#include "dataplane/net/ndp.h"
#include "dataplane/net/parse.h"
#include "dataplane/net/sum.h"

#define NEIGHBOURS 16u
#define ANSWER_MAX 2048u

static struct rn_net_if port(uint8_t flags) {
  struct rn_net_if nif = { .mac = { 2, 0, 0, 0, 0, 2 },
                           .mtu = 1500,
                           .udp_port = 8080,
                           .udp_ports = 1,
                           .addr_count = 2,
                           .flow_key = 7 };
  nif.owned = flags & 1;
  nif.vlan = flags & 2 ? 5 : 0;
  CHECK(rn_addr_parse("10.0.0.2", &nif.addrs[0].addr) == RN_OK &&
        rn_addr_parse("2001:db8::2", &nif.addrs[1].addr) == RN_OK);
  CHECK(rn_addr_parse("10.0.0.1", &nif.gateway4) == RN_OK);
  nif.addrs[0].prefix_bits = 24;
  nif.addrs[1].prefix_bits = 64;
  return nif;
}

/* Drops and answers: each frame adds one to exactly one of these. */
static uint64_t verdicts(const struct rn_stats_net *st) {
  const uint64_t all[] = { st->rx_udp,           st->drop_short,      st->drop_vlan,
                           st->drop_dst_mac,     st->drop_ethertype,  st->drop_ip_header,
                           st->drop_ip_checksum, st->drop_ip_options, st->drop_ip_fragment,
                           st->drop_ip_ext,      st->drop_cut,        st->drop_source,
                           st->drop_not_ours,    st->drop_ip_proto,   st->drop_udp_length,
                           st->drop_udp_port };
  uint64_t sum = 0;
  for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
    sum += all[i];
  return sum;
}

static void check_answer(const struct rn_net_if *nif, const uint8_t *out, size_t n,
                         size_t frame_bytes) {
  if (n == 0)
    return;
  CHECK(nif->owned);
  CHECK(n >= RN_NET_FRAME_MIN || n >= 42); /* an echo is as long as its request */
  CHECK(n <= RN_NET_ANSWER_MAX || n <= frame_bytes);
  CHECK(memcmp(out + 6, nif->mac, 6) == 0);
}

/* A block of its own, so that the sanitizer sees a read behind it. */
static uint8_t *exact_copy(const uint8_t *p, size_t n) {
  uint8_t *copy = malloc(n > 0 ? n : 1);
  CHECK(copy != NULL);
  if (n > 0)
    memcpy(copy, p, n);
  return copy;
}

static void put_sum(uint8_t *at, uint64_t acc) {
  uint16_t sum = rn_net_sum_fold(acc);
  memcpy(at, &sum, sizeof(sum));
}

/* Nobody guesses a checksum: what lies behind one is reached by frames that have it. */
static void make_sums(uint8_t *frame, uint32_t len) {
  uint8_t *b = frame + RN_ETH_BYTES;
  uint32_t n = len > RN_ETH_BYTES ? len - RN_ETH_BYTES : 0;
  if (n >= RN_IP4_BYTES + 4 && rn_get16(frame + 12) == RN_ETHERTYPE_IP4) {
    uint32_t total = rn_get16(b + 2) < n ? rn_get16(b + 2) : n;
    memset(b + 10, 0, 2);
    put_sum(b + 10, rn_net_sum(b, RN_IP4_BYTES, 0));
    if (b[9] == RN_IPPROTO_ICMP && total >= RN_IP4_BYTES + 4) {
      memset(b + 22, 0, 2);
      put_sum(b + 22, rn_net_sum(b + RN_IP4_BYTES, total - RN_IP4_BYTES, 0));
    }
  } else if (n >= RN_IP6_BYTES + 4 && rn_get16(frame + 12) == RN_ETHERTYPE_IP6 &&
             b[6] == RN_IPPROTO_ICMP6) {
    uint32_t bytes = rn_get16(b + 4);
    if (bytes < 4 || bytes > n - RN_IP6_BYTES)
      return;
    memset(b + 42, 0, 2);
    put_sum(b + 42, rn_net_sum(b + RN_IP6_BYTES, bytes,
                               rn_net_sum_pseudo(b + 8, b + 24, 16, RN_IPPROTO_ICMP6, bytes)));
  }
}

static void one(const struct rn_net_if *nif, struct rn_neigh *t, struct rn_icmp *ic,
                struct rn_stats_net *st, uint64_t now_ns, const uint8_t *frame, uint32_t len) {
  static uint8_t out[ANSWER_MAX];
  struct rn_dgram d = { 0 };
  struct rn_net_meta m = { 0 };
  uint64_t before = verdicts(st);
  size_t n = 0;
  enum rn_net_kind kind = rn_net_parse(nif, st, frame, len, &d, &m);
  CHECK(verdicts(st) - before == (kind == RN_NET_DROP || kind == RN_NET_UDP));
  CHECK(kind == RN_NET_DROP || (d.data >= frame && d.data + d.len <= frame + len));
  if (kind == RN_NET_UDP) {
    CHECK(rn_net_is_ours(nif, d.path.local.family, d.path.local.ip) && d.path.local.port == 8080 &&
          d.path.remote.port != 0);
    rn_neigh_learn(t, now_ns, &d.path.remote, m.src_mac);
    return;
  }
  if (kind == RN_NET_DROP)
    return;
  uint8_t *exact =
      exact_copy(d.data, d.len); /* what is behind the message in its frame is none of theirs */
  d.data = exact;
  if (kind == RN_NET_ARP)
    n = rn_arp_rx(nif, t, st, now_ns, d.data, d.len, out);
  else if (kind == RN_NET_NDP)
    n = rn_ndp_rx(nif, t, st, now_ns, &d, &m, out);
  else if (kind == RN_NET_ECHO)
    n = rn_icmp_rx(nif, ic, st, now_ns, &d, &m, out, sizeof(out));
  free(exact);
  check_answer(nif, out, n, len);
}

/* As if the sender had meant it to be so short: else a length that is not true is all that is seen of it. */
static void make_lengths(uint8_t *frame, uint32_t len) {
  uint32_t n = len > RN_ETH_BYTES ? len - RN_ETH_BYTES : 0;
  uint8_t *b = frame + RN_ETH_BYTES;
  if (n >= RN_IP4_BYTES && rn_get16(frame + 12) == RN_ETHERTYPE_IP4)
    rn_put16(b + 2, (uint16_t)n);
  else if (n >= RN_IP6_BYTES && rn_get16(frame + 12) == RN_ETHERTYPE_IP6)
    rn_put16(b + 4, (uint16_t)(n - RN_IP6_BYTES));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static _Alignas(64) uint8_t mem[4096];
  struct rn_stats_net st = { 0 };
  struct rn_icmp ic = { 0 };
  struct rn_neigh *t;
  if (len == 0)
    return 0;
  struct rn_net_if nif = port(data[0]);
  CHECK(rn_neigh_footprint(NEIGHBOURS) <= sizeof(mem) &&
        rn_neigh_init(mem, NEIGHBOURS, 1, &st, &t) == RN_OK);
  uint64_t now_ns = 1;
  for (size_t at = 1; at + 2 <= len;) {
    uint32_t n = rn_get16(data + at);
    at += 2;
    n = n < len - at ? n : (uint32_t)(len - at);
    for (uint32_t cut = data[0] & 16 ? 0 : n; cut < n; cut = (uint32_t)fuzz_next_cut(cut, n)) {
      uint8_t *begin = exact_copy(data + at, cut);
      make_lengths(begin, cut);
      if (data[0] & 8)
        make_sums(begin, cut);
      one(&nif, t, &ic, &st, now_ns, begin, cut);
      free(begin);
    }
    uint8_t *exact = exact_copy(data + at, n);
    if (data[0] & 8)
      make_sums(exact, n);
    one(&nif, t, &ic, &st, now_ns, exact, n);
    free(exact);
    CHECK(rn_neigh_check(t) == RN_OK);
    for (uint8_t i = 0; i < nif.addr_count; i++) {
      uint8_t mac[6];
      CHECK(rn_neigh_peek(t, &nif.addrs[i].addr, mac) == RN_NEIGH_NONE);
    }
    now_ns += data[0] & 4 ? 1000000000u : 1000u;
    at += n;
  }
  return 0;
}
