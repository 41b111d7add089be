/* tests/rn_test.h: cmocka with the headers it asks for, and what our tests share. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Turns hex digits into bytes; asserts that hex is well formed and fits cap. Returns the byte count. */
static inline size_t rn_test_unhex(const char *hex, uint8_t *out, size_t cap) {
  size_t n = strlen(hex) / 2;
  assert_int_equal(strlen(hex) % 2, 0);
  assert_true(n <= cap);
  for (size_t i = 0; i < n; i++) {
    unsigned int byte;
    assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
    out[i] = (uint8_t)byte;
  }
  return n;
}
