/* bench/cluster/scenarios.h: what happens to a cluster. */
#pragma once
#include "report.h"

struct scenario {
  const char *name;
  void (*play)(struct world *w, struct report *r, uint32_t samples);
  bool empty;  /* begins without nodes */
  double loss; /* of packets */
};

extern const struct scenario scenarios[];
extern const uint32_t scenario_count;
