/* control/health.c */
#include "control/health.h"

#include <inttypes.h>
#include <stdio.h>

#include "sys/clock.h"

bool rn_health_ready(struct rn_node *n, uint64_t now_ns, char *why, size_t why_bytes) {
  static const char *const states[RN_NODE_STATE_COUNT] = { "is not running", "is starting", "" };
  if (n->stopping) {
    snprintf(why, why_bytes, "the node is shutting down");
    return false;
  }
  if (n->state != RN_NODE_SERVING) {
    snprintf(why, why_bytes, "the data plane %s", states[n->state]);
    return false;
  }
  rn_node_sample(n, false);
  for (uint32_t i = 0; i < n->topo.lcore_count; i++) {
    uint64_t at_ns = n->lcores[i].stats_ns, age_ns = now_ns > at_ns ? now_ns - at_ns : 0;
    uint64_t age_ms = age_ns / RN_NS_PER_MS;
    if (age_ns <= RN_HEALTH_SILENT_NS)
      continue;
    if (at_ns == 0)
      snprintf(why, why_bytes, "lcore %u has never published", i);
    else
      snprintf(why, why_bytes, "lcore %u is silent for %" PRIu64 " ms", i, age_ms);
    return false;
  }
  return true;
}
