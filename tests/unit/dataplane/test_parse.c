/* tests/unit/dataplane/test_parse.c: what is ours, and the one reason for which each other frame is dropped. */
#include "frames.h"
#include "rn_test.h"

#define REASON(name) offsetof(struct rn_stats_net, name)
#define NO_REASON    SIZE_MAX

/* A base frame, changed: bytes `hex` over those at `at`, `grow` bytes longer (or shorter). */
struct row {
  const char *name;
  char family; /* '4', '6' */
  uint32_t at;
  const char *hex;
  int grow;
  enum rn_net_kind kind;
  size_t reason;
};

static const struct row rows[] = {
  { "as it is, IPv4", '4', 0, "", 0, RN_NET_UDP, NO_REASON },
  { "as it is, IPv6", '6', 0, "", 0, RN_NET_UDP, NO_REASON },
  { "padded to 60 bytes", '4', 0, "", 13, RN_NET_UDP, NO_REASON },
  { "wrong UDP checksum", '4', 40, "dead", 0, RN_NET_UDP, NO_REASON },
  { "empty frame", '4', 0, "", -47, RN_NET_DROP, REASON(drop_short) },
  { "IPv4 header cut", '4', 0, "", -20, RN_NET_DROP, REASON(drop_short) },
  { "IPv6 header cut", '6', 0, "", -20, RN_NET_DROP, REASON(drop_short) },
  { "one byte cut", '4', 0, "", -1, RN_NET_DROP, REASON(drop_cut) },
  { "one byte cut, IPv6", '6', 0, "", -1, RN_NET_DROP, REASON(drop_cut) },
  { "other machine's", '4', 0, "020000000003", 0, RN_NET_DROP, REASON(drop_dst_mac) },
  { "broadcast MAC, our IP", '4', 0, "ffffffffffff", 0, RN_NET_DROP, REASON(drop_dst_mac) },
  { "from a group", '4', 6, "03", 0, RN_NET_DROP, REASON(drop_dst_mac) },
  { "LLDP", '4', 12, "88cc", 0, RN_NET_DROP, REASON(drop_ethertype) },
  { "double tag", '4', 12, "88a8", 0, RN_NET_DROP, REASON(drop_vlan) },
  { "VLAN 5", '4', 12, "81000005", 0, RN_NET_DROP, REASON(drop_vlan) },
  { "IPv6 in an IPv4 ethertype", '4', 14, "65", 0, RN_NET_DROP, REASON(drop_ip_header) },
  { "IPv4 in an IPv6 ethertype", '6', 14, "40", 0, RN_NET_DROP, REASON(drop_ip_header) },
  { "header length 16", '4', 14, "44", 0, RN_NET_DROP, REASON(drop_ip_header) },
  { "total below header", '4', 16, "0013", 0, RN_NET_DROP, REASON(drop_ip_header) },
  { "options", '4', 14, "46", 0, RN_NET_DROP, REASON(drop_ip_options) },
  { "first fragment", '4', 20, "2000", 0, RN_NET_DROP, REASON(drop_ip_fragment) },
  { "last fragment", '4', 20, "0001", 0, RN_NET_DROP, REASON(drop_ip_fragment) },
  { "other address", '4', 33, "03", 0, RN_NET_DROP, REASON(drop_not_ours) },
  { "other address, IPv6", '6', 53, "03", 0, RN_NET_DROP, REASON(drop_not_ours) },
  { "from loopback", '4', 26, "7f000001", 0, RN_NET_DROP, REASON(drop_source) },
  { "from a group address", '4', 26, "e0000001", 0, RN_NET_DROP, REASON(drop_source) },
  { "from 0.0.0.0", '4', 26, "00000000", 0, RN_NET_DROP, REASON(drop_source) },
  { "from ourselves", '4', 29, "02", 0, RN_NET_DROP, REASON(drop_source) },
  { "from ourselves, IPv6", '6', 37, "02", 0, RN_NET_DROP, REASON(drop_source) },
  { "from a group, IPv6", '6', 22, "ff02", 0, RN_NET_DROP, REASON(drop_source) },
  { "UDP from ::", '6', 22, "00000000000000000000000000000000", 0, RN_NET_DROP,
    REASON(drop_source) },
  { "TCP", '4', 23, "06", 0, RN_NET_DROP, REASON(drop_ip_proto) },
  { "TCP, IPv6", '6', 20, "06", 0, RN_NET_DROP, REASON(drop_ip_proto) },
  { "AH, IPv6", '6', 20, "33", 0, RN_NET_DROP, REASON(drop_ip_proto) },
  { "no room for UDP", '4', 16, "0018", 0, RN_NET_DROP, REASON(drop_udp_length) },
  { "UDP length 7", '4', 38, "0007", 0, RN_NET_DROP, REASON(drop_udp_length) },
  { "UDP longer than IP", '4', 38, "000e", 0, RN_NET_DROP, REASON(drop_udp_length) },
  { "UDP longer than IP, IPv6", '6', 58, "000e", 0, RN_NET_DROP, REASON(drop_udp_length) },
  { "port above", '4', 36, "1f91", 0, RN_NET_DROP, REASON(drop_udp_port) },
  { "port below", '4', 36, "1f8f", 0, RN_NET_DROP, REASON(drop_udp_port) },
  { "from port 0", '6', 54, "0000", 0, RN_NET_DROP, REASON(drop_udp_port) },
};

static void each_frame_has_its_verdict(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(false);
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    const struct row *r = &rows[i];
    uint8_t buf[FRAMES_MAX] = { 0 };
    uint32_t len = r->family == '4' ? frames_udp4(buf) : frames_udp6(buf);
    rn_test_unhex(r->hex, buf + r->at, FRAMES_MAX - r->at);
    if (r->family == '4' && buf[12] == 0x08)
      frames_fix_ip4(buf);
    len = (uint32_t)((int)len + r->grow);
    uint8_t *frame = test_malloc(len); /* its exact size, so that a read behind it is seen */
    memcpy(frame, buf, len);
    struct rn_stats_net st = { 0 }, want = { 0 };
    struct rn_dgram d = { 0 };
    struct rn_net_meta m = { 0 };
    if (rn_net_parse(&nif, &st, frame, len, &d, &m) != r->kind)
      fail_msg("%s: wrong verdict", r->name);
    if (r->kind == RN_NET_UDP)
      want.rx_udp = 1;
    else
      *(uint64_t *)((char *)&want + r->reason) = 1;
    if (memcmp(&st, &want, sizeof(st)) != 0)
      fail_msg("%s: wrong counter", r->name);
    if (r->kind == RN_NET_UDP) {
      assert_int_equal(d.len, 5);
      assert_memory_equal(d.data, "hello", 5);
    }
    test_free(frame);
  }
}

static void wrong_ip_checksum_is_dropped(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(false);
  struct rn_stats_net st = { 0 };
  struct rn_dgram d;
  struct rn_net_meta m;
  uint8_t f[FRAMES_MAX];
  uint32_t len = frames_udp4(f);
  f[25] ^= 1;
  assert_int_equal(rn_net_parse(&nif, &st, f, len, &d, &m), RN_NET_DROP);
  assert_int_equal(st.drop_ip_checksum, 1);
}

static void tells_path_ecn_and_mac(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(false);
  struct rn_stats_net st = { 0 };
  struct rn_dgram d;
  struct rn_net_meta m;
  uint8_t f[FRAMES_MAX];
  char text[RN_ADDR_TEXT_BYTES];
  assert_int_equal(rn_net_parse(&nif, &st, f, frames_udp4(f), &d, &m), RN_NET_UDP);
  assert_string_equal(rn_addr_text(&d.path.remote, text), "10.0.0.9:40000");
  assert_string_equal(rn_addr_text(&d.path.local, text), "10.0.0.2:8080");
  assert_int_equal(d.ecn, 2);
  assert_int_equal(m.src_mac[5], 9);
  assert_int_equal(m.hop_limit, 64);
  assert_int_equal(rn_net_parse(&nif, &st, f, frames_udp6(f), &d, &m), RN_NET_UDP);
  assert_string_equal(rn_addr_text(&d.path.remote, text), "[2001:db8::9]:40000");
  assert_string_equal(rn_addr_text(&d.path.local, text), "[2001:db8::2]:8080");
  assert_int_equal(d.ecn, 1);
}

/* Inserts hex at byte `at` of a frame; returns the new length. */
static uint32_t insert(uint8_t *f, uint32_t len, uint32_t at, const char *hex) {
  uint8_t add[256];
  uint32_t n = (uint32_t)rn_test_unhex(hex, add, sizeof(add));
  memmove(f + at + n, f + at, len - at);
  memcpy(f + at, add, n);
  return len + n;
}

static void reads_our_vlan_and_the_priority_tag(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(false);
  struct rn_stats_net st = { 0 };
  struct rn_dgram d;
  struct rn_net_meta m;
  uint8_t f[FRAMES_MAX];
  uint32_t len = insert(f, frames_udp4(f), 12, "8100a000"); /* priority 5, VLAN 0 */
  assert_int_equal(rn_net_parse(&nif, &st, f, len, &d, &m), RN_NET_UDP);
  nif.vlan = 5;
  assert_int_equal(rn_net_parse(&nif, &st, f, len, &d, &m), RN_NET_DROP);
  f[15] = 5;
  assert_int_equal(rn_net_parse(&nif, &st, f, len, &d, &m), RN_NET_UDP);
  assert_int_equal(rn_net_parse(&nif, &st, f, frames_udp4(f), &d, &m), RN_NET_DROP); /* untagged */
  assert_int_equal(st.drop_vlan, 2);
}

struct ext {
  const char *hex;
  uint8_t first;
  size_t reason;
};

/* RFC 8200 section 4: hop-by-hop 0, destination 60, routing 43, fragment 44. */
static void walks_extension_headers(void **state) {
  (void)state;
  static const struct ext exts[] = {
    { "1100010400000000", 0, NO_REASON },
    { "1100010400000000", 60, NO_REASON },
    { "3c000104000000001101010c000000000000000000000000", 0, NO_REASON },
    { "1100010400000000", 43, REASON(drop_ip_ext) + 0 }, /* segments left: 4 */
    { "1100010000000000", 43, NO_REASON },
    { "1100000000000001", 44, REASON(drop_ip_fragment) },
    { "1120010400000000", 60, REASON(drop_ip_ext) },                 /* longer than the packet */
    { "00000104000000001100010400000000", 60, REASON(drop_ip_ext) }, /* hop-by-hop is not first */
    { "3c000104000000003c000104000000003c000104000000003c000104000000001100010400000000", 60,
      REASON(drop_ip_ext) },
  };
  struct rn_net_if nif = frames_port(false);
  for (size_t i = 0; i < sizeof(exts) / sizeof(exts[0]); i++) {
    struct rn_stats_net st = { 0 };
    struct rn_dgram d;
    struct rn_net_meta m;
    uint8_t f[FRAMES_MAX];
    uint32_t len = insert(f, frames_udp6(f), 54, exts[i].hex);
    f[20] = exts[i].first;
    f[19] = (uint8_t)(len - 54);
    bool fine = exts[i].reason == NO_REASON;
    assert_int_equal(rn_net_parse(&nif, &st, f, len, &d, &m), fine ? RN_NET_UDP : RN_NET_DROP);
    if (fine)
      assert_memory_equal(d.data, "hello", 5);
    else
      assert_int_equal(*(uint64_t *)((char *)&st + exts[i].reason), 1);
  }
}

static void takes_a_range_of_ports(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(false);
  struct rn_stats_net st = { 0 };
  struct rn_dgram d;
  struct rn_net_meta m;
  uint8_t f[FRAMES_MAX];
  uint32_t len = frames_udp4(f);
  nif.udp_port = 8000;
  nif.udp_ports = 81;
  assert_int_equal(rn_net_parse(&nif, &st, f, len, &d, &m), RN_NET_UDP);
  nif.udp_ports = 80;
  assert_int_equal(rn_net_parse(&nif, &st, f, len, &d, &m), RN_NET_DROP);
}

static void any_prefix_of_a_frame_is_safe(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(true);
  uint8_t f[FRAMES_MAX];
  for (int family = 4; family <= 6; family += 2) {
    uint32_t full = family == 4 ? frames_udp4(f) : frames_udp6(f);
    for (uint32_t len = 0; len < full; len++) {
      struct rn_stats_net st = { 0 };
      struct rn_dgram d;
      struct rn_net_meta m;
      uint8_t *exact = test_malloc(len + 1);
      memcpy(exact + 1, f, len);
      assert_int_equal(rn_net_parse(&nif, &st, exact + 1, len, &d, &m), RN_NET_DROP);
      assert_int_equal(st.drop_short + st.drop_cut, 1);
      test_free(exact);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(each_frame_has_its_verdict),
    cmocka_unit_test(wrong_ip_checksum_is_dropped),
    cmocka_unit_test(tells_path_ecn_and_mac),
    cmocka_unit_test(reads_our_vlan_and_the_priority_tag),
    cmocka_unit_test(walks_extension_headers),
    cmocka_unit_test(takes_a_range_of_ports),
    cmocka_unit_test(any_prefix_of_a_frame_is_safe),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
