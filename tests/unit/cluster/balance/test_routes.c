/* tests/unit/cluster/balance/test_routes.c */
#include "rn_test.h"

#include "cluster/balance/routes.h"
#include "util/err.h"
#include "util/rng.h"

static struct rn_routes table;

static int add(const char *pattern) {
  struct rn_route r = { 0 };
  int err = rn_route_set_pattern(&r, pattern, strlen(pattern));
  return err != RN_OK ? err : rn_routes_add(&table, &r);
}

static const char *match(const char *method) {
  uint32_t i = rn_routes_match(&table, method, strlen(method));
  return i == RN_ROUTE_NONE ? "none" : table.route[i].pattern;
}

static int start(void **state) {
  (void)state;
  memset(&table, 0, sizeof(table));
  return 0;
}

static void the_longest_pattern_wins_whatever_the_order(void **state) {
  (void)state;
  static const char *const patterns[] = { "*", "Inference.*", "Inference.generate",
                                          "Inference.gen*", "Inference.generate*" };
  struct rn_rng rng;
  rn_rng_init(&rng, 1);
  for (uint32_t round = 0; round < 50; round++) {
    uint32_t order[] = { 0, 1, 2, 3, 4 };
    start(NULL);
    for (uint32_t i = 5; i > 0; i--) {
      uint32_t k = (uint32_t)rn_rng_below(&rng, i), p = order[k];
      order[k] = order[i - 1];
      assert_int_equal(add(patterns[p]), RN_OK);
      assert_int_equal(rn_routes_check(&table), RN_OK);
    }
    assert_string_equal(match("Inference.generate"), "Inference.generate");
    assert_string_equal(match("Inference.generate2"), "Inference.generate*");
    assert_string_equal(match("Inference.genera"), "Inference.gen*");
    assert_string_equal(match("Inference."), "Inference.*");
    assert_string_equal(match("Inference"), "*");
    assert_string_equal(match(""), "*");
  }
}

static void a_method_without_a_route_has_none(void **state) {
  (void)state;
  assert_string_equal(match("A.b"), "none");
  assert_int_equal(add("A.*"), RN_OK);
  assert_int_equal(add("B.c"), RN_OK);
  assert_string_equal(match("A.b"), "A.*");
  assert_string_equal(match("A"), "none");
  assert_string_equal(match("B.cd"), "none");
  assert_string_equal(match("B."), "none");
}

static void patterns_that_mean_nothing_are_refused(void **state) {
  (void)state;
  struct rn_route r = { 0 };
  char text[RN_ROUTE_TEXT_MAX + 2];
  memset(text, 'a', sizeof(text));
  assert_int_equal(rn_route_set_pattern(&r, text, RN_ROUTE_TEXT_MAX), RN_OK);
  assert_int_equal(rn_route_set_pattern(&r, text, RN_ROUTE_TEXT_MAX + 1), RN_ERR_INVAL);
  assert_int_equal(rn_route_set_pattern(&r, "a\0b", 3), RN_ERR_INVAL);
  assert_int_equal(add(""), RN_ERR_INVAL);
  assert_int_equal(add("*.a"), RN_ERR_INVAL);
  assert_int_equal(add("a.**"), RN_ERR_INVAL);
  assert_int_equal(add("a.*"), RN_OK);
  assert_int_equal(add("a.*"), RN_ERR_EXIST);
  assert_int_equal(rn_route_set_pattern(&r, "b", 1), RN_OK);
  r.strategy = 7;
  assert_int_equal(rn_routes_add(&table, &r), RN_ERR_INVAL);
  r.strategy = 6;
  r.timeout_ns = 5;
  r.try_timeout_ns = 6;
  assert_int_equal(rn_routes_add(&table, &r), RN_ERR_INVAL);
  r.timeout_ns = 0;
  assert_int_equal(rn_routes_add(&table, &r), RN_OK);
}

static void there_are_only_so_many(void **state) {
  (void)state;
  char text[16];
  for (uint32_t i = 0; i < RN_ROUTES_MAX; i++) {
    snprintf(text, sizeof(text), "S%u.*", i);
    assert_int_equal(add(text), RN_OK);
  }
  assert_int_equal(add("one more"), RN_ERR_LIMIT);
  assert_int_equal(rn_routes_check(&table), RN_OK);
  assert_string_equal(match("S63.x"), "S63.*");
}

static void damaged_tables_are_refused_or_harmless(void **state) {
  (void)state;
  struct rn_rng rng;
  uint32_t refused = 0;
  rn_rng_init(&rng, 3);
  assert_int_equal(add("*"), RN_OK);
  assert_int_equal(add("A.*"), RN_OK);
  assert_int_equal(add("A.bcd"), RN_OK);
  for (uint32_t i = 0; i < 20000; i++) {
    struct rn_routes whole = table;
    uint64_t bytes = offsetof(struct rn_routes, route) + 3 * sizeof(struct rn_route);
    ((uint8_t *)&table)[rn_rng_below(&rng, bytes)] ^= (uint8_t)(1u << rn_rng_below(&rng, 8));
    refused += rn_routes_check(&table) != RN_OK;
    if (rn_routes_check(&table) == RN_OK)
      match("A.bcd");
    table = whole;
  }
  assert_in_range(refused, 100, 19999);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup(the_longest_pattern_wins_whatever_the_order, start),
    cmocka_unit_test_setup(a_method_without_a_route_has_none, start),
    cmocka_unit_test_setup(patterns_that_mean_nothing_are_refused, start),
    cmocka_unit_test_setup(there_are_only_so_many, start),
    cmocka_unit_test_setup(damaged_tables_are_refused_or_harmless, start),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
