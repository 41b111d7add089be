#include "rn_test.h"

#include "control/config.h"
#include "control/config_value.h"

static const struct rn_config_key duration = {
  .type = RN_CONFIG_DURATION, .word = "none", .bytes = 8, .min = 1000000, .max = 86400000000000
};
static const struct rn_config_key size = {
  .type = RN_CONFIG_SIZE, .word = "", .bytes = 8, .min = 1, .max = UINT64_C(1) << 40
};
static const struct rn_config_key rate = {
  .type = RN_CONFIG_RATE, .word = "unlimited", .bytes = 8, .min = 1, .max = UINT64_C(1) << 40
};
static const struct rn_config_key number = {
  .type = RN_CONFIG_UINT, .word = "", .bytes = 4, .min = 10, .max = 4294967295
};
static const struct rn_config_key prefix = { .type = RN_CONFIG_PREFIX,
                                             .word = "",
                                             .bytes = sizeof(struct rn_config_prefix) };
static const struct rn_config_key gateway = {
  .type = RN_CONFIG_ADDR, .word = "none", .of = 4, .bytes = sizeof(struct rn_addr)
};

static const char *parse(const struct rn_config_key *k, const char *text, void *out) {
  return rn_config_value_parse(k, text, strlen(text), false, out);
}

static void numbers_with_units_are_read_exactly(void **state) {
  (void)state;
  const struct {
    const struct rn_config_key *key;
    const char *text;
    uint64_t value;
  } cases[] = {
    { &duration, "1ms", 1000000 },
    { &duration, "1000us", 1000000 },
    { &duration, "1000000ns", 1000000 },
    { &duration, "30s", 30000000000 },
    { &duration, "5m", 300000000000 },
    { &duration, "24h", 86400000000000 },
    { &duration, "30 s", 30000000000 },
    { &duration, "none", 0 },
    { &size, "1", 1 },
    { &size, "64k", 65536 },
    { &size, "64K", 65536 },
    { &size, "64KiB", 65536 },
    { &size, "64kB", 64000 },
    { &size, "16MiB", 16777216 },
    { &size, "16M", 16777216 },
    { &size, "3GB", 3000000000 },
    { &size, "1G", 1073741824 },
    { &size, "7B", 7 },
    { &rate, "8kbit/s", 1000 },
    { &rate, "1Gbit/s", 125000000 },
    { &rate, "10MB/s", 10000000 },
    { &rate, "1KiB/s", 1024 },
    { &rate, "unlimited", 0 },
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    uint64_t v = 99;
    assert_null(parse(cases[i].key, cases[i].text, &v));
    assert_int_equal(v, cases[i].value);
  }
  uint32_t n;
  assert_null(parse(&number, "4294967295", &n));
  assert_int_equal(n, 4294967295);
}

static void malformed_numbers_leave_the_value_alone(void **state) {
  (void)state;
  const struct {
    const struct rn_config_key *key;
    const char *text, *what;
  } cases[] = {
    { &duration, "30", "a unit is missing" },
    { &duration, "30d", "unknown unit" },
    { &duration, "1.5s", "not a whole number" },
    { &duration, "s", "not a number" },
    { &duration, "", "not a number" },
    { &duration, "-1s", "negative" },
    { &duration, "999us", "too small" },
    { &duration, "25h", "too large" },
    { &duration, "0", "a unit is missing" },
    { &duration, "0s", "too small" },
    { &duration, "99999999999999999999s", "too large" },
    { &duration, "18446744073709551615h", "too large" },
    { &duration, "2021498936738380h", "too large" }, /* were it cut to 64 bits, 1015808 ns */
    { &duration, "30s ", "unknown unit" },
    { &duration, "30  s", "unknown unit" },
    { &duration, "NONE", "not a number" },
    { &size, "64m", "unknown unit" },
    { &size, "0x10", "unknown unit" },
    { &size, "0", "too small" },
    { &size, "2000G", "too large" },
    { &rate, "5", "a unit is missing" },
    { &rate, "5MB", "unknown unit" },
    { &number, "9", "too small" },
    { &number, "4294967296", "too large" },
    { &number, "10s", "not a whole number" },
    { &number, "18446744073709551626", "too large" }, /* 10, were it cut to 64 bits */
    { &number, "1_0", "not a whole number" },
    { &number, "10.0", "not a whole number" },
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    uint64_t v = 99;
    const char *what = parse(cases[i].key, cases[i].text, &v);
    if (what == NULL || strncmp(what, cases[i].what, strlen(cases[i].what)) != 0)
      fail_msg("\"%s\": %s", cases[i].text, what == NULL ? "accepted" : what);
    assert_int_equal(v, 99);
  }
}

static void numbers_are_shown_in_the_largest_unit_that_divides_them(void **state) {
  (void)state;
  const struct {
    const struct rn_config_key *key;
    uint64_t value;
    const char *text;
  } cases[] = {
    { &duration, 30000000000, "30s" }, { &duration, 90000000000, "90s" },
    { &duration, 120000000000, "2m" }, { &duration, 1, "1ns" },
    { &duration, 0, "none" },          { &size, 65536, "64KiB" },
    { &size, 1000, "1000" },           { &size, 0, "0" },
    { &rate, 125000, "125000B/s" },    { &rate, 1 << 20, "1MiB/s" },
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    char out[RN_CONFIG_VALUE_BYTES];
    assert_string_equal(rn_config_value_text(cases[i].key, &cases[i].value, out), cases[i].text);
  }
}

static void addresses_are_those_that_a_node_can_have(void **state) {
  (void)state;
  struct rn_config_prefix p;
  assert_null(parse(&prefix, "192.0.2.7/24", &p));
  assert_int_equal(p.prefix_bits, 24);
  assert_int_equal(p.addr.ip[3], 7);
  assert_null(parse(&prefix, "2001:db8::7/128", &p));
  assert_int_equal(p.prefix_bits, 128);
  const char *const bad[] = {
    "192.0.2.7",          "192.0.2.7/0",      "192.0.2.7/33", "192.0.2.7/",
    "192.0.2.7:80/24",    "[2001:db8::7]/64", "::/64",        "::1/128",
    "2001:db8::7/129",    "0.0.0.0/8",        "127.0.0.1/8",  "224.0.0.1/4",
    "255.255.255.255/32", "ff02::1/64",       "/24",          "a/24"
  };
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    assert_non_null(parse(&prefix, bad[i], &p));
  struct rn_addr a;
  assert_null(parse(&gateway, "192.0.2.1", &a));
  assert_int_equal(a.family, 4);
  assert_non_null(parse(&gateway, "2001:db8::1", &a));
  assert_null(parse(&gateway, "none", &a));
  assert_int_equal(a.family, 0);
}

static void every_default_lies_in_its_own_range(void **state) {
  (void)state;
  for (size_t i = 0; i < RN_CONFIG_KEY_COUNT; i++) {
    const struct rn_config_key *k = &rn_config_keys[i];
    if (k->type != RN_CONFIG_UINT && k->type != RN_CONFIG_SIZE && k->type != RN_CONFIG_RATE &&
        k->type != RN_CONFIG_DURATION)
      continue;
    bool word = k->dflt == 0 && k->word[0] != 0;
    if (k->count_max == 0 && !word && (k->dflt < k->min || k->dflt > k->max))
      fail_msg("%s: default %llu", k->name, (unsigned long long)k->dflt);
    assert_true(k->bytes == 8 || k->max <= UINT32_MAX);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(numbers_with_units_are_read_exactly),
    cmocka_unit_test(malformed_numbers_leave_the_value_alone),
    cmocka_unit_test(numbers_are_shown_in_the_largest_unit_that_divides_them),
    cmocka_unit_test(addresses_are_those_that_a_node_can_have),
    cmocka_unit_test(every_default_lies_in_its_own_range),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
