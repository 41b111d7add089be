/* lib/util/err.c */
#include "util/err.h"

const char *rn_err_text(int err) {
  switch (err) {
  case RN_OK:
    return "success";
#define RN_ERR(name, value, text)                                                                  \
  case value:                                                                                      \
    return text;
#include "schema/errors.def"
#undef RN_ERR
  default:
    return "unknown error";
  }
}
