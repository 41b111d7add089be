/* lib/util/err.h: the error codes of lib/schema/errors.def, and the assertion for our own mistakes. */
#pragma once
#include <stdio.h>
#include <stdlib.h>

#define RN_ERR(name, value, text) RN_ERR_##name = (value),
enum rn_err {
  RN_OK = 0,
#include "schema/errors.def"
};
#undef RN_ERR

/* Text for an enum rn_err; static, never NULL ("unknown error" for other values). */
const char *rn_err_text(int err);

/* For what only a mistake of ours can bring about. Input from a peer, a process or a file never gets here. */
#define RN_ASSERT(cond)                                                                            \
  do {                                                                                             \
    if (__builtin_expect(!(cond), 0)) {                                                            \
      fprintf(stderr, "%s:%d: assertion failed: %s\n", __FILE__, __LINE__, #cond);                 \
      abort();                                                                                     \
    }                                                                                              \
  } while (0)
