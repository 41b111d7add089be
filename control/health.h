/* control/health.h: whether a node may be sent calls. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/node.h"

#define RN_HEALTH_SILENT_NS                                                                        \
  1000000000ull /* an lcore publishes each 100 us, and each 100 ms when it sleeps */

/* True when every lcore serves and has published within the last second; else why says what is wrong, without quotes or backslashes. Reads the statistics
 * pages. The event loop's thread. */
bool rn_health_ready(struct rn_node *n, uint64_t now_ns, char *why, size_t why_bytes);
