/* tests/unit/control/test_state_file.c */
#include "rn_test.h"

#include <inttypes.h>

#include "control/state_file.h"
#include "util/err.h"
#include "util/hash.h"

static char why[256];

#define STR(s) ((struct rn_bin_str){ (s), strlen(s) })

static void *mem;

static struct rn_members *table(uint32_t capacity) {
  static const uint8_t key[16] = { 7 };
  const struct rn_swim_update self = { .node_id = STR("me"),
                                       .addr = { .ip = { 127, 0, 0, 1 }, .port = 1, .family = 4 } };
  struct rn_members *m;
  mem = aligned_alloc(64, rn_members_footprint(capacity));
  assert_non_null(mem);
  assert_int_equal(rn_members_init(mem, capacity, key, &self, NULL, NULL, 0, &m), RN_OK);
  return m;
}

/* Adds or changes one; tags are key, value, key, value, NULL. */
static void put(struct rn_members *m, const char *id, uint16_t port, uint64_t incarnation,
                enum rn_swim_state state, const char *const *tags) {
  static uint8_t buf[8192];
  struct rn_bin_writer w = { .buf = buf, .cap = sizeof(buf) };
  struct rn_swim_update u = { .node_id = STR(id),
                              .addr = { .ip = { 192, 0, 2, 1 }, .port = port, .family = 4 },
                              .incarnation = incarnation,
                              .state = state };
  for (; tags != NULL && tags[0] != NULL; tags += 2, u.tags.left++)
    rn_swim_put_tag(&w, STR(tags[0]), STR(tags[1]));
  u.tags.buf = buf;
  u.tags.len = w.len;
  assert_int_not_equal(rn_members_apply(m, &u, RN_MEMBER_HEARSAY, 0, NULL), 0);
}

static void into_table(void *app, const struct rn_swim_update *u) {
  assert_int_not_equal(rn_members_apply(app, u, RN_MEMBER_HEARSAY, 0, NULL), 0);
}

static void into_nothing(void *app, const struct rn_swim_update *u) {
  (void)app;
  (void)u;
  fail_msg("a damaged file was believed");
}

static void count(void *app, const struct rn_swim_update *u) {
  (void)u;
  ++*(unsigned int *)app;
}

static void golden_text(void **state) {
  (void)state;
  static const char want[] =
      "{\"version\":1,\"members\":[\n"
      "{\"id\":\"a\",\"addr\":\"192.0.2.1:8080\",\"incarnation\":5,\"state\":\"alive\",\"tags\":{"
      "\"role\":\"worker\"}},\n"
      "{\"id\":\"c\",\"addr\":\"192.0.2.1:8082\",\"incarnation\":7,\"state\":\"failed\",\"tags\":{}"
      "},\n"
      "{\"id\":\"b\",\"addr\":\"192.0.2.1:8081\",\"incarnation\":0,\"state\":\"left\",\"tags\":{}}"
      "\n"
      "],\"sum\":\"0be4ffde83d5c3a8\"}\n"; /* by another implementation of SipHash */
  static const char *const tags[] = { "role", "worker", NULL };
  struct rn_members *m = table(8);
  char *text;
  size_t len;
  uint32_t left_out = 9;
  put(m, "c", 8082, 7, RN_SWIM_FAILED, NULL); /* whoever is gone comes last */
  put(m, "b", 8081, 0, RN_SWIM_LEFT, NULL);
  put(m, "a", 8080, 5, RN_SWIM_ALIVE, tags);
  assert_int_equal(rn_state_write(m, &text, &len, &left_out), RN_OK);
  assert_string_equal(text, want);
  assert_int_equal(len, strlen(want));
  assert_int_equal(left_out, 0);
  free(text);
  free(mem);
}

static void what_is_written_is_read(void **state) {
  (void)state;
  static const char *const tags[] = { "", "empty", "rolle", "\xc3\xa4\"\\\n\x01", "z", "", NULL };
  static const char odd[] = "\xe2\x82\xac \"\\/\x7f";
  struct rn_members *m = table(8), *n;
  char *text;
  size_t len;
  uint32_t left_out;
  put(m, odd, 1, RN_INCARNATION_MAX, RN_SWIM_ALIVE, tags);
  put(m, "suspect", 2, 1, RN_SWIM_SUSPECT, NULL);
  put(m, "failed", 3, 2, RN_SWIM_FAILED, tags);
  put(m, "left", 4, 3, RN_SWIM_LEFT, NULL);
  assert_int_equal(rn_state_write(m, &text, &len, &left_out), RN_OK);
  void *first = mem;
  n = table(8);
  assert_int_equal(rn_state_read(text, len, into_table, n, why, sizeof(why)), RN_OK);
  assert_int_equal(rn_members_count(n), 5);
  assert_int_equal(rn_members_check(n), RN_OK);
  for (uint32_t i = 0; i < rn_members_count(m); i++) {
    const struct rn_member *a = rn_members_at(m, i);
    const struct rn_member *b = rn_members_by_id(n, (struct rn_bin_str){ a->id, a->id_len });
    assert_non_null(b);
    assert_true(rn_addr_eq(&a->addr, &b->addr));
    assert_int_equal(a->incarnation, b->incarnation);
    assert_int_equal(a->state, b->state);
    assert_true(rn_tags_eq(&a->tags, &b->tags));
  }
  free(text);
  free(mem);
  free(first);
}

static void node_that_knows_nobody_has_a_file_too(void **state) {
  (void)state;
  struct rn_members *m = table(8);
  char *text;
  size_t len;
  uint32_t left_out;
  unsigned int n = 0;
  assert_int_equal(rn_state_write(m, &text, &len, &left_out), RN_OK);
  assert_int_equal(rn_state_read(text, len, count, &n, why, sizeof(why)), RN_OK);
  assert_int_equal(n, 0);
  free(text);
  free(mem);
}

static void damage_anywhere_is_found(void **state) {
  (void)state;
  struct rn_members *m = table(8);
  char *text;
  size_t len;
  uint32_t left_out;
  put(m, "a", 1, 1, RN_SWIM_ALIVE, NULL);
  put(m, "b", 2, 1, RN_SWIM_FAILED, NULL);
  assert_int_equal(rn_state_write(m, &text, &len, &left_out), RN_OK);
  for (size_t i = 0; i < len; i++) {
    assert_int_equal(rn_state_read(text, i, into_nothing, NULL, why, sizeof(why)), RN_ERR_CONFIG);
    for (int bit = 0; bit < 8; bit++) {
      text[i] = (char)(text[i] ^ 1 << bit);
      assert_int_equal(rn_state_read(text, len, into_nothing, NULL, why, sizeof(why)),
                       RN_ERR_CONFIG);
      assert_non_null(strstr(why, "damaged"));
      text[i] = (char)(text[i] ^ 1 << bit);
    }
  }
  char *longer = calloc(1, len + 1);
  memcpy(longer, text, len); /* a zero behind it, as of a block that was never written */
  assert_int_equal(rn_state_read(longer, len + 1, into_nothing, NULL, why, sizeof(why)),
                   RN_ERR_CONFIG);
  free(longer);
  free(text);
  free(mem);
}

/* A text whose sum is right, whatever else is not. */
static void expect_refused(const char *body, const char *part) {
  static const uint8_t zero[16];
  char text[8192];
  int n = snprintf(text, sizeof(text), "%s\n]", body);
  uint64_t sum = rn_siphash(zero, text, (size_t)n);
  n += snprintf(text + n, sizeof(text) - (size_t)n, ",\"sum\":\"%016" PRIx64 "\"}\n", sum);
  why[0] = 0;
  assert_int_equal(rn_state_read(text, (size_t)n, into_nothing, NULL, why, sizeof(why)),
                   RN_ERR_CONFIG);
  if (strstr(why, part) == NULL)
    fail_msg("%s: \"%s\" does not say \"%s\"", body, why, part);
}

static void each_part_is_looked_at_before_anything_is_told(void **state) {
  (void)state;
  static const char good[] = "{\"id\":\"g\",\"addr\":\"192.0.2.1:1\",\"incarnation\":1,\"state\":"
                             "\"alive\",\"tags\":{}}";
  static const struct {
    const char *id, *addr, *incarnation, *status, *tags, *part;
  } cases[] = {
    { "\"\"", "\"192.0.2.1:1\"", "1", "\"alive\"", "{}", "member 1 has a wrong id" },
    { "7", "\"192.0.2.1:1\"", "1", "\"alive\"", "{}", "wrong id" },
    { "\"a\"", "\"192.0.2.1\"", "1", "\"alive\"", "{}", "wrong addr" },
    { "\"a\"", "\"192.0.2.1:1\\u0000\"", "1", "\"alive\"", "{}", "wrong addr" },
    { "\"a\"", "\"node:1\"", "1", "\"alive\"", "{}", "wrong addr" },
    { "\"a\"", "\"192.0.2.1:1\"", "-1", "\"alive\"", "{}", "wrong incarnation" },
    { "\"a\"", "\"192.0.2.1:1\"", "1.5", "\"alive\"", "{}", "wrong incarnation" },
    { "\"a\"", "\"192.0.2.1:1\"", "9223372036854775808", "\"alive\"", "{}", "wrong incarnation" },
    { "\"a\"", "\"192.0.2.1:1\"", "1", "\"dead\"", "{}", "wrong state" },
    { "\"a\"", "\"192.0.2.1:1\"", "1", "0", "{}", "wrong state" },
    { "\"a\"", "\"192.0.2.1:1\"", "1", "\"alive\"", "[]", "wrong tags" },
    { "\"a\"", "\"192.0.2.1:1\"", "1", "\"alive\"", "{\"a\":1}", "wrong tags" },
    { "\"a\"", "\"192.0.2.1:1\"", "1", "\"alive\"", "{\"a\":\"1\",\"a\":\"2\"}", "wrong tags" },
    { "\"a\"", "\"192.0.2.1:1\"", "1", "\"alive\"", "{},\"more\":1", "wrong form" },
    { "\"a\"", "\"192.0.2.1:1\"", "1", "\"alive\"", "{}}x{", "at byte" },
  };
  char body[1024], id[300];
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    snprintf(body, sizeof(body),
             "{\"version\":1,\"members\":[\n%s,\n"
             "{\"id\":%s,\"addr\":%s,\"incarnation\":%s,\"state\":%s,\"tags\":%s}",
             good, cases[i].id, cases[i].addr, cases[i].incarnation, cases[i].status,
             cases[i].tags);
    expect_refused(body, cases[i].part);
  }
  memset(id, 'x', sizeof(id));
  id[RN_MEMBER_ID_MAX + 1] = 0;
  snprintf(body, sizeof(body),
           "{\"version\":1,\"members\":[\n{\"id\":\"%s\",\"addr\":\"192.0.2.1:1\",\"incarnation\":"
           "1,\"state\":\"alive\",\"tags\":{}}",
           id);
  expect_refused(body, "member 0 has a wrong id");
  expect_refused("{\"version\":1,\"members\":[\n7", "wrong form");
  expect_refused("{\"version\":2,\"members\":[\n", "another version");
  expect_refused("{\"members\":[\n", "another version");
  expect_refused("{\"version\":1,\"member\":[\n", "no members");
  expect_refused("", "at byte");
}

static void what_is_above_the_limit_is_left_out(void **state) {
  (void)state;
  char value[RN_TAG_MAX + 1], id[16];
  const char *const tags[] = { "a", value, "b", "c", NULL };
  struct rn_members *m = table(16384);
  char *text;
  size_t len;
  uint32_t left_out;
  unsigned int n = 0;
  memset(value, 0x01, RN_TAG_MAX); /* six bytes each in JSON */
  value[RN_TAG_MAX] = 0;
  for (uint16_t i = 0; i < 4000; i++) {
    snprintf(id, sizeof(id), "n%u", i);
    put(m, id, (uint16_t)(i + 1), 1, i % 2 ? RN_SWIM_ALIVE : RN_SWIM_LEFT, tags);
  }
  assert_int_equal(rn_state_write(m, &text, &len, &left_out), RN_OK);
  assert_true(len <= RN_STATE_BYTES_MAX && len > RN_STATE_BYTES_MAX - 2048);
  assert_int_equal(rn_state_read(text, len, count, &n, why, sizeof(why)), RN_OK);
  assert_int_equal(n + left_out, 4000);
  assert_true(n > 2000); /* all that are alive, and some that left */
  free(text);
  text = calloc(1, RN_STATE_BYTES_MAX + 1);
  assert_int_equal(
      rn_state_read(text, RN_STATE_BYTES_MAX + 1, into_nothing, NULL, why, sizeof(why)),
      RN_ERR_CONFIG);
  assert_non_null(strstr(why, "larger than"));
  free(text);
  free(mem);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(golden_text),
    cmocka_unit_test(what_is_written_is_read),
    cmocka_unit_test(node_that_knows_nobody_has_a_file_too),
    cmocka_unit_test(damage_anywhere_is_found),
    cmocka_unit_test(each_part_is_looked_at_before_anything_is_told),
    cmocka_unit_test(what_is_above_the_limit_is_left_out),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
