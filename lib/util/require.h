/* lib/util/require.h: for the functions that walk over what must always hold. */
#pragma once
#include <stdio.h>

#include "util/err.h"

/* Ends the function with RN_ERR_STATE, and says on stderr what is not so, unless cond holds. */
#define RN_REQUIRE(cond)                                                                           \
  do {                                                                                             \
    if (!(cond)) {                                                                                 \
      fprintf(stderr, "%s:%d: invariant broken: %s\n", __FILE__, __LINE__, #cond);                 \
      return RN_ERR_STATE;                                                                         \
    }                                                                                              \
  } while (0)
