/* bench/cluster/report.c */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void samples_add(struct samples *s, uint64_t ns) {
  if (ns == UINT64_MAX)
    s->missed++;
  else if (s->count < REPORT_SAMPLES_MAX)
    s->s[s->count++] = (double)ns / (double)SWARM_S;
}

static int by_size(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double samples_quantile(struct samples *s, double q) {
  if (s->count == 0)
    return 0;
  qsort(s->s, s->count, sizeof(s->s[0]), by_size);
  const uint32_t i = (uint32_t)(q * s->count);
  return s->s[i < s->count ? i : s->count - 1];
}

void report_subjects(struct report *r, const struct world *w) {
  for (uint32_t i = 0; i < w->subject_count; i++) {
    samples_add(&r->first, w->subjects[i].first_ns);
    samples_add(&r->director, w->subjects[i].director_ns);
    samples_add(&r->all, w->subjects[i].all_ns);
  }
}

static void print_samples(const char *name, struct samples *s) {
  if (s->count + s->missed == 0)
    return;
  printf(", \"%s\": {\"n\": %u, \"missed\": %u, \"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, "
         "\"max\": %.3f}",
         name, s->count, s->missed, samples_quantile(s, 0.5), samples_quantile(s, 0.9),
         samples_quantile(s, 0.99), samples_quantile(s, 1));
}

/* A node's: rates, and what there is at the end. */
static void print_cost(const struct report *r) {
  const double per = r->seconds * r->nodes;
  printf(", \"cost\": {\"seconds\": %.0f, \"messages_per_s\": %.3f, \"requests_per_s\": %.3f, "
         "\"message_bytes_per_s\": %.0f, \"dials_per_s\": %.4f, \"closes_per_s\": %.4f, "
         "\"pings_per_s\": %.4f, \"conns_dialled\": %.1f, \"table_kib\": %.0f, "
         "\"cpu_percent_cluster\": %.4f}",
         r->seconds, (double)r->cost.messages / per, (double)r->cost.requests / per,
         (double)r->cost.message_bytes / per, (double)r->cost.dials / per,
         (double)r->cost.closes / per, (double)r->cost.pings / per, (double)r->conns / r->nodes,
         (double)r->node_bytes / 1024, r->cpu_s / per * 100);
}

void report_print(struct report *r) {
  printf("{\"variant\": \"%s\", \"scenario\": \"%s\", \"nodes\": %u, \"seed\": %" PRIu64
         ", \"loss\": %.2f",
         r->variant, r->scenario, r->nodes, r->seed, r->loss);
  print_samples("first_suspect", &r->first);
  print_samples("director", &r->director);
  print_samples("everyone", &r->all);
  print_samples("settled", &r->settled);
  if (r->node_hours > 0)
    printf(", \"wrong\": {\"node_hours\": %.2f, \"suspected_healthy\": %" PRIu64
           ", \"suspected_impaired\": %" PRIu64 ", \"failed_healthy\": %" PRIu64
           ", \"failed_impaired\": %" PRIu64 ", \"failed_events\": %" PRIu64 "}",
           r->node_hours, r->wrong.suspected[0], r->wrong.suspected[1], r->wrong.failed[0],
           r->wrong.failed[1], r->wrong.failed_events[0] + r->wrong.failed_events[1]);
  if (r->seconds > 0)
    print_cost(r);
  printf("}\n");
  fflush(stdout);
}
