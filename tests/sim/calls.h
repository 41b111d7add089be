/* tests/sim/calls.h: the calls of one simulated client: small and large unary ones, ones that take time, streaming ones in every direction. What
 * comes back is compared byte by byte. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "harness/rpc_peer.h"

#define CALLS_COUNT 56u

struct calls; /* opaque */

/* In an order that follows from seed. timeout_ns: of each call, or between two items; 0: none. */
struct calls *calls_new(struct rpc_peer *client, uint64_t seed, uint64_t timeout_ns);
void calls_free(struct calls *k);
/* Starts as many as may be outstanding at once; others follow as these end. The connection is ready. */
void calls_start(struct calls *k);
bool calls_over(const struct calls *k); /* all have ended */

struct calls_result {
  uint32_t done;         /* with the right answer */
  uint32_t failed;       /* with an error */
  uint32_t late;         /* of these with RN_ERR_TIMEOUT */
  uint32_t failed_unary; /* and of these unary ones */
  uint32_t wrong;        /* with an answer that is not the right one */
  uint64_t bytes;        /* of right answers and of the requests for them */
  char why_text[256];    /* the first error or wrong answer */
};
const struct calls_result *calls_result(const struct calls *k);
