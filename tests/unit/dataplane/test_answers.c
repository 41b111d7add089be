/* tests/unit/dataplane/test_answers.c: ARP (RFC 826, 5227), neighbour discovery (RFC 4861) and echo (RFC 792, 4443), frame in, frame
 * out. */
#include "dataplane/net/arp.h"
#include "dataplane/net/icmp.h"
#include "dataplane/net/ndp.h"
#include "frames.h"
#include "rn_test.h"

static struct rn_stats_net st;
static struct rn_neigh *t;
static struct rn_icmp ic;

static int setup(void **state) {
  st = (struct rn_stats_net){ 0 };
  ic = (struct rn_icmp){ 0 };
  *state = aligned_alloc(64, rn_neigh_footprint(64));
  return rn_neigh_init(*state, 64, 12345, &st, &t);
}

static int teardown(void **state) {
  free(*state);
  return 0;
}

static const uint64_t now = 10000000000;

/* Gives a frame to the parser and to whom it says; returns the answer's length. */
static size_t rx(const struct rn_net_if *nif, const uint8_t *frame, uint32_t len, uint8_t *out) {
  struct rn_dgram d;
  struct rn_net_meta m;
  switch (rn_net_parse(nif, &st, frame, len, &d, &m)) {
  case RN_NET_ARP:
    return rn_arp_rx(nif, t, &st, now, d.data, d.len, out);
  case RN_NET_NDP:
    return rn_ndp_rx(nif, t, &st, now, &d, &m, out);
  case RN_NET_ECHO:
    return rn_icmp_rx(nif, &ic, &st, now, &d, &m, out, FRAMES_MAX);
  default:
    return 0;
  }
}

static size_t rx_hex(const struct rn_net_if *nif, const char *hex, uint8_t *out) {
  uint8_t f[FRAMES_MAX];
  return rx(nif, f, (uint32_t)rn_test_unhex(hex, f, sizeof(f)), out);
}

static bool knows(const char *ip) {
  struct rn_addr a;
  uint8_t mac[6];
  assert_int_equal(rn_addr_parse(ip, &a), 0);
  return rn_neigh_peek(t, &a, mac) == RN_NEIGH_KNOWN;
}

/* Who has 10.0.0.2? Tell 10.0.0.9. */
#define ARP_HEAD                                                                                   \
  "ffffffffffff"                                                                                   \
  "020000000009"                                                                                   \
  "0806"                                                                                           \
  "000108000604"
#define ARP_ASKS                                                                                   \
  ARP_HEAD "0001"                                                                                  \
           "020000000009"                                                                          \
           "0a000009"                                                                              \
           "000000000000"                                                                          \
           "0a000002"

static void owned_mode_answers_arp_and_learns_the_asker(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(true);
  uint8_t out[FRAMES_MAX], want[FRAMES_MAX];
  size_t n = rn_test_unhex("020000000009"
                           "020000000002"
                           "0806"
                           "000108000604"
                           "0002"
                           "020000000002"
                           "0a000002"
                           "020000000009"
                           "0a000009",
                           want, sizeof(want));
  assert_int_equal(rx_hex(&nif, ARP_ASKS, out), RN_NET_FRAME_MIN);
  assert_memory_equal(out, want, n);
  assert_true(knows("10.0.0.9"));
  assert_int_equal(st.arp_replies, 1);
}

static void shared_mode_leaves_arp_to_the_kernel(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(false);
  uint8_t out[FRAMES_MAX];
  assert_int_equal(rx_hex(&nif, ARP_ASKS, out), 0);
  assert_int_equal(st.arp_replies, 0);
  assert_true(knows("10.0.0.9"));
}

static void arp_probe_is_answered_and_not_learned(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(true);
  uint8_t out[FRAMES_MAX];
  assert_int_equal(rx_hex(&nif,
                          ARP_HEAD "0001"
                                   "020000000009"
                                   "00000000"
                                   "000000000000"
                                   "0a000002",
                          out),
                   RN_NET_FRAME_MIN);
  assert_int_equal(st.neighs, 0);
}

static void arp_reply_completes_what_was_asked(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(false);
  struct rn_addr to;
  uint8_t out[FRAMES_MAX], mac[6];
  assert_int_equal(rn_addr_parse("10.0.0.9", &to), 0);
  assert_int_equal(rn_neigh_lookup(t, now, &to, mac), RN_NEIGH_ASK);
  assert_int_equal(rn_arp_request(&nif, &st, &nif.addrs[0].addr, &to, out), RN_NET_FRAME_MIN);
  uint8_t want[FRAMES_MAX];
  size_t n = rn_test_unhex("ffffffffffff"
                           "020000000002"
                           "0806"
                           "000108000604"
                           "0001"
                           "020000000002"
                           "0a000002"
                           "000000000000"
                           "0a000009",
                           want, sizeof(want));
  assert_memory_equal(out, want, n);
  assert_int_equal(rx_hex(&nif,
                          "020000000002"
                          "020000000009"
                          "0806"
                          "000108000604"
                          "0002"
                          "020000000009"
                          "0a000009"
                          "020000000002"
                          "0a000002",
                          out),
                   0);
  assert_int_equal(rn_neigh_lookup(t, now, &to, mac), RN_NEIGH_KNOWN);
}

static void arp_that_is_not_for_us_is_dropped(void **state) {
  (void)state;
  static const char *const bad[] = {
    ARP_HEAD "0001"
             "020000000009"
             "0a000009"
             "000000000000"
             "0a000003", /* another's address */
    ARP_HEAD "0003"
             "020000000009"
             "0a000009"
             "000000000000"
             "0a000002", /* RARP */
    ARP_HEAD "0001"
             "030000000009"
             "0a000009"
             "000000000000"
             "0a000002", /* from a group */
    ARP_HEAD "0001"
             "000000000000"
             "0a000009"
             "000000000000"
             "0a000002", /* from nobody */
    ARP_HEAD "0001"
             "020000000009"
             "0a000009"
             "000000000000"
             "0a0000", /* short */
    "ffffffffffff"
    "020000000009"
    "0806"
    "000686dd0610"
    "0001"
    "020000000009"
    "0a000009"
    "000000000000"
    "0a000002",
  };
  struct rn_net_if nif = frames_port(true);
  uint8_t out[FRAMES_MAX];
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    assert_int_equal(rx_hex(&nif, bad[i], out), 0);
    assert_int_equal(st.drop_arp, i + 1);
  }
  assert_int_equal(st.neighs, 0);
}

static void a_claim_of_our_address_is_counted_and_not_learned(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(true);
  uint8_t out[FRAMES_MAX];
  assert_int_equal(rx_hex(&nif,
                          ARP_HEAD "0001"
                                   "020000000009"
                                   "0a000002"
                                   "000000000000"
                                   "0a000002",
                          out),
                   0);
  assert_int_equal(st.addr_conflicts, 1);
  assert_int_equal(st.neighs, 0);
}

static void arp_from_off_the_link_is_not_learned(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(true);
  uint8_t out[FRAMES_MAX];
  rx_hex(&nif,
         ARP_HEAD "0001"
                  "020000000009"
                  "0a000109"
                  "000000000000"
                  "0a000002",
         out);
  assert_int_equal(st.neighs, 0);
}

/* An ICMPv6 frame with the right lengths and checksum. dst: "group" for the solicited-node group of ::2. */
static uint32_t icmp6(uint8_t *f, const char *src, const char *dst, uint8_t hop_limit,
                      const char *body) {
  struct rn_addr s, d;
  assert_int_equal(rn_addr_parse(src, &s), 0);
  bool group = strcmp(dst, "group") == 0;
  assert_int_equal(rn_addr_parse(group ? "ff02::1:ff00:2" : dst, &d), 0);
  memset(f, 0, 54);
  rn_test_unhex(group ? "3333ff000002" : "020000000002", f, 6);
  rn_test_unhex("020000000009"
                "86dd"
                "60",
                f + 6, 9);
  f[20] = 58;
  f[21] = hop_limit;
  memcpy(f + 22, s.ip, 16);
  memcpy(f + 38, d.ip, 16);
  uint32_t len = (uint32_t)rn_test_unhex(body, f + 54, FRAMES_MAX - 54);
  f[18] = (uint8_t)(len >> 8);
  f[19] = (uint8_t)len;
  uint16_t sum = frames_sum(f + 54, len, frames_pseudo(f));
  f[56] = (uint8_t)(sum >> 8);
  f[57] = (uint8_t)sum;
  return 54 + len;
}

#define OUR6 "20010db8000000000000000000000002"
#define NINE "20010db8000000000000000000000009"
#define NS   "8700000000000000" OUR6

static void owned_mode_answers_a_solicitation(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(true);
  uint8_t f[FRAMES_MAX], out[FRAMES_MAX], want[FRAMES_MAX];
  size_t n = rx(&nif, f, icmp6(f, "2001:db8::9", "group", 255, NS "0101020000000009"), out);
  assert_int_equal(n, 86);
  n = rn_test_unhex("020000000009"
                    "020000000002"
                    "86dd"
                    "60000000"
                    "0020"
                    "3a"
                    "ff" OUR6 NINE "8800",
                    want, sizeof(want));
  assert_memory_equal(out, want, n);
  n = rn_test_unhex("60000000" OUR6 "0201020000000002", want,
                    sizeof(want)); /* solicited, override; our MAC */
  assert_memory_equal(out + 58, want, n);
  assert_true(frames_sums_ok(out));
  assert_true(knows("2001:db8::9"));
}

static void shared_mode_leaves_solicitations_to_the_kernel(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(false);
  uint8_t f[FRAMES_MAX], out[FRAMES_MAX];
  assert_int_equal(rx(&nif, f, icmp6(f, "2001:db8::9", "group", 255, NS "0101020000000009"), out),
                   0);
  assert_true(knows("2001:db8::9"));
}

/* RFC 4862 section 5.4: somebody wants our address. */
static void duplicate_address_detection_is_answered_to_all(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(true);
  uint8_t f[FRAMES_MAX], out[FRAMES_MAX], want[FRAMES_MAX];
  assert_int_equal(rx(&nif, f, icmp6(f, "::", "group", 255, NS), out), 86);
  size_t n = rn_test_unhex("333300000001", want, sizeof(want));
  assert_memory_equal(out, want, n);
  assert_int_equal(out[38], 0xff);
  assert_int_equal(out[58], 0x20); /* not solicited */
  assert_true(frames_sums_ok(out));
}

/* RFC 4861 section 7.1.1. */
static void solicitations_that_break_a_rule_are_dropped(void **state) {
  (void)state;
  static const struct {
    const char *src, *dst;
    uint8_t hop_limit;
    const char *body;
  } bad[] = {
    { "2001:db8::9", "group", 254, NS },
    { "2001:db8::9", "group", 255, "8701000000000000" OUR6 },
    { "2001:db8::9", "group", 255, "870000000000000020010db80000000000000000000000" },
    { "2001:db8::9", "group", 255,
      "8700000000000000"
      "ff020000000000000000000000000001" },
    { "2001:db8::9", "group", 255, NS "0100020000000009" }, /* option of length 0 */
    { "2001:db8::9", "group", 255, NS "0102020000000009" }, /* longer than the message */
    { "2001:db8::9", "group", 255, NS "01" },
    { "::", "group", 255, NS "0101020000000009" },
    { "::", "2001:db8::2", 255, NS },
    { "2001:db8::9", "group", 255, "8700000000000000" NINE }, /* another's address */
  };
  struct rn_net_if nif = frames_port(true);
  uint8_t f[FRAMES_MAX], out[FRAMES_MAX];
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    assert_int_equal(
        rx(&nif, f, icmp6(f, bad[i].src, bad[i].dst, bad[i].hop_limit, bad[i].body), out), 0);
    assert_int_equal(st.drop_ndp, i + 1);
  }
  uint32_t len = icmp6(f, "2001:db8::9", "group", 255, NS);
  f[60] ^= 1; /* checksum */
  assert_int_equal(rx(&nif, f, len, out), 0);
  assert_int_equal(st.neighs, 0);
}

static void advertisement_completes_what_was_asked(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(false);
  struct rn_addr to;
  uint8_t f[FRAMES_MAX], out[FRAMES_MAX], mac[6], want[FRAMES_MAX];
  assert_int_equal(rn_addr_parse("2001:db8::9", &to), 0);
  assert_int_equal(
      rx(&nif, f,
         icmp6(f, "2001:db8::9", "2001:db8::2", 255, "8800000060000000" NINE "0201020000000009"),
         out),
      0);
  assert_int_equal(st.neighs, 0); /* nobody asked */
  assert_int_equal(rn_neigh_lookup(t, now, &to, mac), RN_NEIGH_ASK);
  assert_int_equal(rn_ndp_solicit(&nif, &st, &nif.addrs[1].addr, &to, out), 86);
  size_t n = rn_test_unhex("3333ff000009"
                           "020000000002"
                           "86dd",
                           want, sizeof(want));
  assert_memory_equal(out, want, n);
  assert_true(frames_sums_ok(out));
  rx(&nif, f,
     icmp6(f, "2001:db8::9", "2001:db8::2", 255, "8800000060000000" NINE "0201020000000009"), out);
  assert_int_equal(rn_neigh_lookup(t, now, &to, mac), RN_NEIGH_KNOWN);
  assert_int_equal(mac[5], 9);
}

static void advertisement_of_our_address_is_a_conflict(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(true);
  uint8_t f[FRAMES_MAX], out[FRAMES_MAX];
  rx(&nif, f,
     icmp6(f, "2001:db8::9", "2001:db8::2", 255, "8800000060000000" OUR6 "0201020000000009"), out);
  assert_int_equal(st.addr_conflicts, 1);
}

static void announcements_read_well(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(true);
  uint8_t out[FRAMES_MAX];
  assert_int_equal(rn_ndp_announce(&nif, &st, &nif.addrs[1].addr, out), 86);
  assert_true(frames_sums_ok(out));
  assert_int_equal(rn_arp_request(&nif, &st, &nif.addrs[0].addr, &nif.addrs[0].addr, out), 60);
  assert_memory_equal(out + 28, out + 38, 4); /* sender is target */
}

static uint32_t echo4(uint8_t *f, const char *message) {
  uint32_t len = (uint32_t)rn_test_unhex("020000000002"
                                         "020000000009"
                                         "0800"
                                         "4500000000004000400100000a0000090a000002",
                                         f, FRAMES_MAX);
  uint32_t n = (uint32_t)rn_test_unhex(message, f + len, FRAMES_MAX - len);
  f[17] = (uint8_t)(20 + n);
  frames_fix_ip4(f);
  uint16_t sum = frames_sum(f + 34, n, 0);
  f[36] = (uint8_t)(sum >> 8);
  f[37] = (uint8_t)sum;
  return len + n;
}

static void owned_mode_answers_echo4(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(true);
  uint8_t f[FRAMES_MAX], out[FRAMES_MAX];
  uint32_t len = echo4(f, "08000000"
                          "12340001"
                          "6162636465666768696a6b6c6d6e6f70717273");
  assert_int_equal(rx(&nif, f, len, out), len);
  assert_memory_equal(out, f + 6, 6);
  assert_memory_equal(out + 26, f + 30, 4);
  assert_memory_equal(out + 30, f + 26, 4);
  assert_int_equal(out[34], 0);
  assert_memory_equal(out + 38, f + 38, len - 38);
  assert_true(frames_sums_ok(out));
}

static void owned_mode_answers_echo6(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(true);
  uint8_t f[FRAMES_MAX], out[FRAMES_MAX];
  uint32_t len = icmp6(f, "2001:db8::9", "2001:db8::2", 64,
                       "80000000"
                       "12340001"
                       "616263");
  assert_int_equal(rx(&nif, f, len, out), len);
  assert_int_equal(out[54], 129);
  assert_memory_equal(out + 58, f + 58, len - 58);
  assert_true(frames_sums_ok(out));
}

static void other_icmp_is_dropped(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(true);
  uint8_t f[FRAMES_MAX], out[FRAMES_MAX];
  assert_int_equal(rx(&nif, f,
                      echo4(f, "0d000000"
                               "12340001"
                               "61626364"),
                      out),
                   0); /* timestamp */
  assert_int_equal(rx(&nif, f,
                      echo4(f, "08010000"
                               "12340001"),
                      out),
                   0);                                     /* code 1 */
  assert_int_equal(rx(&nif, f, echo4(f, "0800"), out), 0); /* short */
  uint32_t len = echo4(f, "08000000"
                          "12340001");
  f[41] ^= 1;
  assert_int_equal(rx(&nif, f, len, out), 0);
  assert_int_equal(rx(&nif, f, icmp6(f, "2001:db8::9", "2001:db8::2", 64, "0100000000000000"), out),
                   0); /* unreachable */
  assert_int_equal(st.drop_icmp, 5);
}

static void shared_mode_leaves_echo_to_the_kernel(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(false);
  uint8_t f[FRAMES_MAX], out[FRAMES_MAX];
  assert_int_equal(rx(&nif, f,
                      echo4(f, "08000000"
                               "12340001"),
                      out),
                   0);
  assert_int_equal(rx(&nif, f, icmp6(f, "2001:db8::9", "2001:db8::2", 64, "8000000012340001"), out),
                   0);
  assert_int_equal(st.drop_ip_proto, 2);
}

static void echo_is_limited(void **state) {
  (void)state;
  struct rn_net_if nif = frames_port(true);
  uint8_t f[FRAMES_MAX], out[FRAMES_MAX];
  uint32_t len = echo4(f, "08000000"
                          "12340001");
  for (unsigned int i = 0; i < RN_ICMP_BURST; i++)
    assert_int_not_equal(rx(&nif, f, len, out), 0);
  assert_int_equal(rx(&nif, f, len, out), 0);
  assert_int_equal(st.drop_icmp_rate, 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
    CASE(owned_mode_answers_arp_and_learns_the_asker),
    CASE(shared_mode_leaves_arp_to_the_kernel),
    CASE(arp_probe_is_answered_and_not_learned),
    CASE(arp_reply_completes_what_was_asked),
    CASE(arp_that_is_not_for_us_is_dropped),
    CASE(a_claim_of_our_address_is_counted_and_not_learned),
    CASE(arp_from_off_the_link_is_not_learned),
    CASE(owned_mode_answers_a_solicitation),
    CASE(shared_mode_leaves_solicitations_to_the_kernel),
    CASE(duplicate_address_detection_is_answered_to_all),
    CASE(solicitations_that_break_a_rule_are_dropped),
    CASE(advertisement_completes_what_was_asked),
    CASE(advertisement_of_our_address_is_a_conflict),
    CASE(announcements_read_well),
    CASE(owned_mode_answers_echo4),
    CASE(owned_mode_answers_echo6),
    CASE(other_icmp_is_dropped),
    CASE(shared_mode_leaves_echo_to_the_kernel),
    CASE(echo_is_limited),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
