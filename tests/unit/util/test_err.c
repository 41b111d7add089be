#include "rn_test.h"

#include "util/err.h"

static void every_error_has_its_text(void **state) {
  (void)state;
#define RN_ERR(name, value, text) assert_string_equal(rn_err_text(RN_ERR_##name), text);
#include "schema/errors.def"
#undef RN_ERR
  assert_string_equal(rn_err_text(RN_OK), "success");
}

static void other_values_have_one_too(void **state) {
  (void)state;
  assert_string_equal(rn_err_text(-9999), "unknown error");
  assert_string_equal(rn_err_text(1), "unknown error");
  assert_string_equal(rn_err_text(INT32_MIN), "unknown error");
}

static void values_are_negative_and_differ(void **state) {
  (void)state;
  static const int values[] = {
#define RN_ERR(name, value, text) value,
#include "schema/errors.def"
#undef RN_ERR
  };
  for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
    assert_true(values[i] < RN_OK);
    for (size_t k = 0; k < i; k++)
      assert_int_not_equal(values[i], values[k]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_error_has_its_text),
    cmocka_unit_test(other_values_have_one_too),
    cmocka_unit_test(values_are_negative_and_differ),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
