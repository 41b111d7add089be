/* tests/unit/dataplane/test_build.c: frames we write, against bytes and against our own parser. */
#include "dataplane/net/build.h"
#include "dataplane/net/sum.h"
#include "frames.h"
#include "rn_test.h"

static const uint8_t peer_mac[6] = { 2, 0, 0, 0, 0, 9 };

static struct rn_path path(const char *local, const char *remote) {
  struct rn_path p;
  assert_int_equal(rn_addr_parse(local, &p.local), 0);
  assert_int_equal(rn_addr_parse(remote, &p.remote), 0);
  return p;
}

static void writes_an_ipv4_frame(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(false);
  struct rn_path p = path("10.0.0.2:8080", "10.0.0.9:40000");
  uint8_t buf[FRAMES_MAX], want[FRAMES_MAX];
  memcpy(buf + 100, "hello", 5);
  uint8_t *f = rn_net_build_udp(&nif, peer_mac, &p, 2, buf + 100, 5);
  assert_ptr_equal(f + rn_net_udp_hdr_bytes(&nif, 4), buf + 100);
  size_t n = rn_test_unhex("020000000009"
                           "020000000002"
                           "0800"
                           "4502002100004000401126c0"
                           "0a0000020a000009"
                           "1f909c40000d",
                           want, sizeof(want));
  assert_memory_equal(f, want, n);
  assert_true(frames_sums_ok(f));
}

static void writes_an_ipv6_frame(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(false);
  struct rn_path p = path("[2001:db8::2]:8080", "[2001:db8::9]:40000");
  uint8_t buf[FRAMES_MAX];
  memcpy(buf + 100, "hello", 5);
  uint8_t *f = rn_net_build_udp(&nif, peer_mac, &p, 1, buf + 100, 5);
  assert_ptr_equal(f + rn_net_udp_hdr_bytes(&nif, 6), buf + 100);
  assert_int_equal(f[14] << 8 | (f[15] & 0xf0), 0x6010); /* version, ECN 1 */
  assert_int_equal(rn_get16(f + 18), 13);
  assert_int_equal(f[20], 17);
  assert_int_equal(f[21], 64);
  assert_true(frames_sums_ok(f));
}

static void flow_label_stays_with_its_path(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(false);
  uint8_t buf[FRAMES_MAX] = { 0 }, first[4];
  struct rn_path p = path("[2001:db8::2]:8080", "[2001:db8::9]:40000");
  memcpy(first, rn_net_build_udp(&nif, peer_mac, &p, 0, buf + 100, 5) + 14, 4);
  assert_memory_equal(first, rn_net_build_udp(&nif, peer_mac, &p, 0, buf + 100, 9) + 14, 4);
  p.remote.port++;
  assert_memory_not_equal(first, rn_net_build_udp(&nif, peer_mac, &p, 0, buf + 100, 5) + 14, 4);
}

static void tags_frames_of_a_vlan(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(false), other;
  struct rn_path p = path("10.0.0.2:8080", "10.0.0.9:8080");
  uint8_t buf[FRAMES_MAX] = { 0 };
  nif.vlan = 0x123;
  uint8_t *f = rn_net_build_udp(&nif, peer_mac, &p, 0, buf + 100, 5);
  assert_ptr_equal(f + rn_net_udp_hdr_bytes(&nif, 4), buf + 100);
  assert_int_equal(rn_get16(f + 12), 0x8100);
  assert_int_equal(rn_get16(f + 14), 0x123);
  other = nif; /* the peer reads it */
  memcpy(other.mac, peer_mac, 6);
  other.addrs[0].addr.ip[3] = 9;
  struct rn_stats_net st = { 0 };
  struct rn_dgram d;
  struct rn_net_meta m;
  assert_int_equal(rn_net_parse(&other, &st, f, (uint32_t)(buf + 105 - f), &d, &m), RN_NET_UDP);
  assert_int_equal(d.len, 5);
}

static void checksum_is_right_for_every_length_and_alignment(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(false);
  struct rn_path paths[] = { path("10.0.0.2:8080", "10.0.0.9:1"),
                             path("[2001:db8::2]:8080", "[2001:db8::9]:1") };
  uint8_t buf[FRAMES_MAX];
  for (size_t i = 0; i < sizeof(buf); i++)
    buf[i] = (uint8_t)(i * 37 + 251);
  for (size_t len = 0; len < 1400; len += len < 70 ? 1 : 61) {
    for (size_t align = 0; align < 4; align++) {
      for (int i = 0; i < 2; i++)
        assert_true(
            frames_sums_ok(rn_net_build_udp(&nif, peer_mac, &paths[i], 0, buf + 100 + align, len)));
    }
  }
}

static void a_checksum_of_0_is_sent_as_ffff(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(false);
  struct rn_path p = path("10.0.0.2:8080", "10.0.0.9:40000");
  uint8_t buf[FRAMES_MAX] = { 0 };
  uint8_t *f = rn_net_build_udp(&nif, peer_mac, &p, 0, buf + 100, 2);
  memcpy(buf + 100, f + 40, 2); /* what is missing to a sum of ffff */
  rn_net_build_udp(&nif, peer_mac, &p, 0, buf + 100, 2);
  assert_int_equal(rn_get16(f + 40), 0xffff);
}

static void sum_of_the_largest_datagram(void **state) {
  (void)state;
  static uint8_t all[65535];
  memset(all, 0xff, sizeof(all));
  assert_int_equal(rn_net_sum_fold(rn_net_sum(all, sizeof(all) - 1, 0)), 0);
  assert_int_equal(rn_net_sum_fold(rn_net_sum(all, sizeof(all), 0)),
                   0xff00); /* low byte first: the odd one counts as 00ff */
}

static void next_hop_and_source(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(false);
  struct rn_addr on, off, ll;
  assert_int_equal(rn_addr_parse("10.0.0.77", &on), 0);
  assert_int_equal(rn_addr_parse("10.0.1.77", &off), 0);
  assert_int_equal(rn_addr_parse("fe80::5", &ll), 0);
  assert_ptr_equal(rn_net_next_hop(&nif, &on), &on);
  assert_ptr_equal(rn_net_next_hop(&nif, &off), &nif.gateway4);
  assert_ptr_equal(rn_net_next_hop(&nif, &ll), &ll);
  assert_ptr_equal(rn_net_source(&nif, &off), &nif.addrs[0].addr);
  assert_null(rn_net_source(&nif, &ll)); /* no link-local address here */
  nif.gateway4.family = 0;
  assert_null(rn_net_next_hop(&nif, &off));
  nif.addrs[0].prefix_bits = 23;
  assert_ptr_equal(rn_net_next_hop(&nif, &off), &off);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(writes_an_ipv4_frame),
    cmocka_unit_test(writes_an_ipv6_frame),
    cmocka_unit_test(flow_label_stays_with_its_path),
    cmocka_unit_test(tags_frames_of_a_vlan),
    cmocka_unit_test(checksum_is_right_for_every_length_and_alignment),
    cmocka_unit_test(a_checksum_of_0_is_sent_as_ffff),
    cmocka_unit_test(sum_of_the_largest_datagram),
    cmocka_unit_test(next_hop_and_source),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
