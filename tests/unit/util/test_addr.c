#include "rn_test.h"

#include "util/addr.h"
#include "util/err.h"
#include "util/rng.h"

#include <arpa/inet.h>

static void writes_and_reads_canonical_text(void **state) {
  (void)state;
  static const char *const canonical[] = {
    "192.0.2.1:8080",      "0.0.0.0:0",         "255.255.255.255:65535",    "[::]:0",
    "[::1]:8000",          "[2001:db8::1]:443", "[2001:db8:0:1:1:1:1:1]:1", "[2001:0:0:1::1]:1",
    "[1:2:3:4:5:6:7:8]:9", "[fe80::]:5",        "[::ffff:192.0.2.1]:80",
  };
  for (size_t i = 0; i < sizeof(canonical) / sizeof(canonical[0]); i++) {
    struct rn_addr a;
    char text[RN_ADDR_TEXT_BYTES];
    assert_int_equal(rn_addr_parse(canonical[i], &a), RN_OK);
    assert_string_equal(rn_addr_text(&a, text), canonical[i]);
  }
}

static void port_is_optional(void **state) {
  (void)state;
  struct rn_addr a;
  assert_int_equal(rn_addr_parse("10.1.2.3", &a), RN_OK);
  assert_int_equal(a.port, 0);
  assert_int_equal(rn_addr_parse("2001:db8::5", &a), RN_OK);
  assert_int_equal(a.family, 6);
  assert_int_equal(a.ip[15], 5);
}

static void refuses_what_is_no_address(void **state) {
  (void)state;
  static const char *const bad[] = {
    "",
    "1.2.3",
    "1.2.3.4.5",
    "256.1.1.1",
    "01.2.3.4",
    "1.2.3.4:",
    "1.2.3.4:65536",
    "1.2.3.4:80x",
    ":::",
    "1::2::3",
    "[::1",
    "::1]:5",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "12345::",
    "localhost",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8::",
    "::ffff:1.2.3",
    "::1.2.3.4:80",
    "1:2:3:4:5:6:7:1.2.3.4",
    "1.2.3.4::",
    "fe80::1%eth0",
    "[1.2.3.4]:80",
    "[::1]80",
    "[::1]:",
  };
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    struct rn_addr a = { .port = 77 };
    if (rn_addr_parse(bad[i], &a) != RN_ERR_INVAL)
      fail_msg("accepted \"%s\"", bad[i]);
    assert_int_equal(a.port, 77);
  }
}

/* RFC 5952 section 5: the decision about addresses that hold an IPv4 address. */
static void mapped_addresses_stay_ipv6(void **state) {
  (void)state;
  struct rn_addr mapped, hex, plain;
  char text[RN_ADDR_TEXT_BYTES];
  assert_int_equal(rn_addr_parse("[::ffff:192.0.2.1]:80", &mapped), RN_OK);
  assert_int_equal(rn_addr_parse("[::ffff:c000:201]:80", &hex), RN_OK);
  assert_int_equal(rn_addr_parse("192.0.2.1:80", &plain), RN_OK);
  assert_int_equal(mapped.family, 6);
  assert_true(rn_addr_eq(&mapped, &hex));
  assert_false(rn_addr_eq(&mapped, &plain));
  assert_string_equal(rn_addr_text(&hex, text), "[::ffff:192.0.2.1]:80");
  /* Other ways to hold one are read, and written as hex. */
  assert_int_equal(rn_addr_parse("64:ff9b::192.0.2.33", &mapped), RN_OK);
  assert_string_equal(rn_addr_text(&mapped, text), "[64:ff9b::c000:221]:0");
  assert_int_equal(rn_addr_parse("1:2:3:4:5:6:7.8.9.10", &mapped), RN_OK);
  assert_string_equal(rn_addr_text(&mapped, text), "[1:2:3:4:5:6:708:90a]:0");
}

static void no_address_has_a_text_too(void **state) {
  (void)state;
  struct rn_addr a = { 0 };
  char text[RN_ADDR_TEXT_BYTES];
  assert_string_equal(rn_addr_text(&a, text), "none");
}

static void paths_compare_both_ends(void **state) {
  (void)state;
  struct rn_path a = { 0 }, b = { 0 };
  assert_int_equal(rn_addr_parse("10.0.0.1:1", &a.local), RN_OK);
  assert_int_equal(rn_addr_parse("10.0.0.2:2", &a.remote), RN_OK);
  b = a;
  assert_true(rn_path_eq(&a, &b));
  b.remote.port++;
  assert_false(rn_path_eq(&a, &b));
}

/* An address with many zero groups, as text of inet_ntop, then damaged in a few places. */
static void some_text(struct rn_rng *rng, char out[64]) {
  static const char letters[] = "0123456789abcdefABF:::...[]%";
  uint8_t ip[16];
  for (int i = 0; i < 16; i++)
    ip[i] = rn_rng_below(rng, 3) == 0 ? (uint8_t)rn_rng_next(rng) : 0;
  if (rn_rng_below(rng, 4) == 0)
    ip[10] = ip[11] = 0xff;
  assert_non_null(inet_ntop(rn_rng_below(rng, 4) == 0 ? AF_INET : AF_INET6, ip, out, 64));
  for (uint64_t n = rn_rng_below(rng, 4); n > 0; n--) {
    size_t len = strlen(out), at = (size_t)rn_rng_below(rng, len + 1);
    char c = letters[rn_rng_below(rng, sizeof(letters) - 1)];
    if (rn_rng_below(rng, 2) == 0 || len > 60) {
      out[at] = at < len ? c : '\0';
    } else {
      memmove(out + at + 1, out + at, len + 1 - at);
      out[at] = c;
    }
  }
}

static void agrees_with_the_c_library(void **state) {
  (void)state;
  struct rn_rng rng;
  rn_rng_init(&rng, 4);
  int accepted[2] = { 0 };
  for (int i = 0; i < 100000; i++) {
    char text[64], want[64], got[RN_ADDR_TEXT_BYTES];
    some_text(&rng, text);
    bool six = strchr(text, ':') != NULL;
    if (text[0] == '[' || (six && text[strcspn(text, ".:")] == '.'))
      continue; /* forms with a port: not known to inet_pton */
    struct rn_addr a;
    uint8_t ip[16] = { 0 };
    bool ok = inet_pton(six ? AF_INET6 : AF_INET, text, ip) == 1;
    if ((rn_addr_parse(text, &a) == RN_OK) != ok)
      fail_msg("seed=4: %s \"%s\"", ok ? "refused" : "accepted", text);
    if (!ok)
      continue;
    accepted[six]++;
    assert_memory_equal(a.ip, ip, 16);
    static const uint8_t zeros[12];
    if (six && memcmp(ip, zeros, 12) == 0)
      continue; /* inet_ntop writes the deprecated IPv4-compatible form (RFC 4291 section 2.5.5.1) */
    assert_non_null(inet_ntop(six ? AF_INET6 : AF_INET, ip, want, sizeof(want)));
    rn_addr_text(&a, got);
    got[strlen(got) - (six ? 3 : 2)] = '\0'; /* "]:0", ":0" */
    assert_string_equal(got + six, want);
  }
  assert_true(accepted[0] > 1000 && accepted[1] > 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(writes_and_reads_canonical_text), cmocka_unit_test(port_is_optional),
    cmocka_unit_test(refuses_what_is_no_address),      cmocka_unit_test(mapped_addresses_stay_ipv6),
    cmocka_unit_test(no_address_has_a_text_too),       cmocka_unit_test(paths_compare_both_ends),
    cmocka_unit_test(agrees_with_the_c_library),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
