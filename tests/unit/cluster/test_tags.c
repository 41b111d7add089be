/* tests/unit/cluster/test_tags.c */
#include "rn_test.h"

#include "cluster/tags.h"
#include "table.h"
#include "util/rng.h"

static void expect(const struct rn_tags *t, const char *key, const char *want) {
  struct rn_bin_str got = { NULL, 0 };
  assert_int_equal(rn_tags_check(t), RN_OK);
  assert_int_equal(rn_tags_get(t, text(key), &got), want != NULL);
  assert_int_equal(got.len, want != NULL ? strlen(want) : 0);
  if (want != NULL)
    assert_memory_equal(got.p, want, got.len);
}

static void tags_are_set_replaced_and_unset(void **state) {
  (void)state;
  struct rn_tags t = { 0 };
  expect(&t, "role", NULL);
  assert_int_equal(rn_tags_set(&t, text("role"), text("worker")), RN_OK);
  assert_int_equal(rn_tags_set(&t, text("label"), text("w1")), RN_OK);
  assert_int_equal(rn_tags_set(&t, text("role"), text("director of many")), RN_OK);
  assert_int_equal(t.count, 2);
  expect(&t, "role", "director of many");
  expect(&t, "label", "w1");
  expect(&t, "rol", NULL);
  assert_true(rn_tags_unset(&t, text("label")));
  assert_false(rn_tags_unset(&t, text("label")));
  expect(&t, "label", NULL);
  expect(&t, "role", "director of many");
  assert_int_equal(rn_tags_set(&t, text(""), text("")), RN_OK); /* as the wire allows */
  expect(&t, "", "");
}

static void a_value_may_come_from_the_tags_themselves(void **state) {
  (void)state;
  struct rn_tags t = { 0 };
  struct rn_bin_str v;
  assert_int_equal(rn_tags_set(&t, text("b"), text("the text")), RN_OK);
  assert_true(rn_tags_get(&t, text("b"), &v));
  assert_int_equal(rn_tags_set(&t, text("a"), v), RN_OK);
  expect(&t, "a", "the text");
  expect(&t, "b", "the text");
}

static void what_does_not_fit_changes_nothing(void **state) {
  (void)state;
  static char big[RN_TAG_MAX + 1];
  struct rn_tags t = { 0 }, before;
  memset(big, 'x', sizeof(big));
  assert_int_equal(rn_tags_set(&t, text("a"), (struct rn_bin_str){ big, RN_TAG_MAX }), RN_OK);
  before = t;
  assert_int_equal(rn_tags_set(&t, text("b"), (struct rn_bin_str){ big, RN_TAG_MAX + 1 }),
                   RN_ERR_LIMIT);
  assert_int_equal(rn_tags_set(&t, text("b"), (struct rn_bin_str){ big, RN_TAG_MAX }),
                   RN_ERR_LIMIT);
  assert_memory_equal(&t, &before, sizeof(t));
  /* The room of what is replaced counts. */
  assert_int_equal(rn_tags_set(&t, text("b"), (struct rn_bin_str){ big, RN_TAGS_BYTES - 258 - 3 }),
                   RN_OK);
  assert_int_equal(t.bytes, RN_TAGS_BYTES);
  assert_int_equal(rn_tags_set(&t, text("a"), text("1")), RN_OK);
  expect(&t, "a", "1");
}

static void tags_cross_the_wire(void **state) {
  (void)state;
  static const struct rn_addr addr = { .ip = { 10, 0, 0, 1 }, .port = 1, .family = 4 };
  uint8_t buf[2000];
  struct rn_bin_writer w = { .buf = buf, .cap = sizeof(buf) };
  struct rn_swim_update u;
  struct rn_tags t = { 0 }, back;
  size_t used;
  assert_int_equal(rn_tags_set(&t, text("z"), text("1")), RN_OK);
  assert_int_equal(rn_tags_set(&t, text("a"), text("")), RN_OK);
  rn_swim_put_update(&w, text("n"), &addr, 1, RN_SWIM_ALIVE, t.count);
  rn_tags_put(&w, &t);
  assert_int_equal(w.err, RN_OK);
  assert_int_equal(rn_swim_update_get(buf, w.len, &u, &used), RN_OK);
  assert_int_equal(used, w.len);
  memset(&back, 0x5a, sizeof(back));
  assert_int_equal(rn_tags_of_wire(&back, u.tags), 0);
  assert_true(rn_tags_eq(&t, &back));
}

static void order_and_doubles_on_the_wire_do_not_matter(void **state) {
  (void)state;
  uint8_t buf[5000];
  struct rn_tags t, want = { 0 };
  struct rn_bin_writer w = { .buf = buf, .cap = sizeof(buf) };
  static char big[300];
  memset(big, 'y', sizeof(big));
  rn_swim_put_tag(&w, text("b"), text("1"));
  rn_swim_put_tag(&w, text("a"), text("2"));
  rn_swim_put_tag(&w, text("b"), text("3"));
  rn_swim_put_tag(&w, text("c"), (struct rn_bin_str){ big, sizeof(big) });
  assert_int_equal(rn_tags_of_wire(&t, (struct rn_swim_tags){ buf, w.len, 4 }), 1);
  assert_int_equal(rn_tags_set(&want, text("a"), text("2")), RN_OK);
  assert_int_equal(rn_tags_set(&want, text("b"), text("3")), RN_OK);
  assert_true(rn_tags_eq(&t, &want));
}

static void a_filter_matches_who_has_all_of_it(void **state) {
  (void)state;
  struct rn_tags t = { 0 }, wanted = { 0 };
  assert_true(rn_tags_match(&t, &wanted));
  assert_int_equal(rn_tags_set(&wanted, text("role"), text("worker")), RN_OK);
  assert_false(rn_tags_match(&t, &wanted));
  assert_int_equal(rn_tags_set(&t, text("role"), text("worke")), RN_OK);
  assert_false(rn_tags_match(&t, &wanted));
  assert_int_equal(rn_tags_set(&t, text("role"), text("worker")), RN_OK);
  assert_int_equal(rn_tags_set(&t, text("zone"), text("1")), RN_OK);
  assert_true(rn_tags_match(&t, &wanted));
}

/* Against a list of pairs. */
static void behaves_like_a_list(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 50; seed++) {
    struct rn_rng rng;
    struct rn_tags t = { 0 };
    int model[26]; /* length of the value, -1: not there */
    rn_rng_init(&rng, seed);
    memset(model, -1, sizeof(model));
    for (int step = 0; step < 500; step++) {
      static const char values[] = "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv";
      uint64_t k = rn_rng_below(&rng, 26), n = rn_rng_below(&rng, 50);
      char name[2] = { (char)('a' + k), 0 };
      size_t bytes = 0;
      for (int i = 0; i < 26; i++)
        bytes += i != (int)k && model[i] >= 0 ? 3 + (size_t)model[i] : 0;
      if (rn_rng_below(&rng, 4) == 0) {
        assert_int_equal(rn_tags_unset(&t, text(name)), model[k] >= 0);
        model[k] = -1;
      } else if (rn_tags_set(&t, text(name), (struct rn_bin_str){ values, n }) == RN_OK) {
        assert_true(bytes + 3 + n <= RN_TAGS_BYTES);
        model[k] = (int)n;
      } else {
        assert_true(bytes + 3 + n > RN_TAGS_BYTES);
      }
      for (int i = 0; i < 26; i++) {
        struct rn_bin_str v;
        char other[2] = { (char)('a' + i), 0 };
        assert_int_equal(rn_tags_get(&t, text(other), &v), model[i] >= 0);
        if (model[i] >= 0)
          assert_int_equal(v.len, model[i]);
      }
      assert_int_equal(rn_tags_check(&t), RN_OK);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(tags_are_set_replaced_and_unset),
    cmocka_unit_test(a_value_may_come_from_the_tags_themselves),
    cmocka_unit_test(what_does_not_fit_changes_nothing),
    cmocka_unit_test(tags_cross_the_wire),
    cmocka_unit_test(order_and_doubles_on_the_wire_do_not_matter),
    cmocka_unit_test(a_filter_matches_who_has_all_of_it),
    cmocka_unit_test(behaves_like_a_list),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
