/* control/rates.h: the gauges of lib/schema/metrics/exposed.def, each over the time between the last two samples. On the event loop. */
#pragma once
#include <stdint.h>

#include "util/tally.h"

struct rn_node;

struct rn_rates {
  /* at the last sample */
  uint64_t at_ns; /* 0: there was none */
  uint32_t generation;
  uint64_t calls;
  uint64_t hits, misses; /* of connections to workers */
  double cpu_s;
  struct rn_tally_copy latency; /* of all lcores */

  /* between the last two; 0 until then */
#define RN_EXPOSED(group, name, help) double name;
#include "schema/metrics/exposed.def"
};

/* Takes a sample; n->lcores[] hold a fresh one of their own. Data planes that were started between two samples are never compared with each other. */
void rn_rates_sample(struct rn_rates *r, const struct rn_node *n, uint64_t now_ns);

/* Sum over all lcores of a running data plane; nothing when there is none. */
void rn_rates_hist(const struct rn_node *n, uint32_t hist_id, struct rn_tally_copy *out);
uint64_t rn_rates_calls(const struct rn_node *n);
