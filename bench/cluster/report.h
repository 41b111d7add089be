/* bench/cluster/report.h: the figures of a scenario, as one line of JSON. */
#pragma once
#include "world.h"

#define REPORT_SAMPLES_MAX 4096u

/* Seconds; those that did not happen are counted apart. */
struct samples {
  uint32_t count, missed;
  double s[REPORT_SAMPLES_MAX];
};

struct report {
  const char *variant, *scenario;
  uint32_t nodes;
  uint64_t seed;
  double loss;
  struct samples first, director, all; /* from a failure, or a change of tags */
  struct samples settled;              /* until everybody knew everybody again */
  double node_hours;                   /* in which verdicts were wrong */
  struct wrong wrong;
  double seconds; /* that costs are of; 0: none were taken */
  struct cost_sums cost;
  uint64_t conns;
  double cpu_s; /* of the cluster's code and the simulator */
  size_t node_bytes;
};

void samples_add(struct samples *s, uint64_t ns);
/* 0..1; 1: the largest. 0 where there is none. */
double samples_quantile(struct samples *s, double q);
/* From the world's subjects. */
void report_subjects(struct report *r, const struct world *w);
void report_print(struct report *r);
