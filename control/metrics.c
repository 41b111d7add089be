/* control/metrics.c */
#include "control/metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/health.h"
#include "sys/clock.h"

#define LE_STEP 4 /* cells in one bucket: half a doubling, 57 buckets */

/* ---- text that grows ---- */

struct text {
  char *at; /* NULL: memory is out */
  size_t len, room;
};

static void grow(struct text *t) {
  char *more = realloc(t->at, t->room * 2);
  if (more == NULL) {
    free(t->at);
    t->len = t->room = 0;
  }
  t->room *= 2;
  t->at = more;
}

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...) {
  for (;;) {
    va_list args;
    if (t->at == NULL)
      return;
    va_start(args, format);
    int n = vsnprintf(t->at + t->len, t->room - t->len, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < t->room - t->len) {
      t->len += (size_t)n;
      return;
    }
    grow(t);
  }
}

static void family(struct text *t, const char *name, const char *kind, const char *help) {
  put(t, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static const char *kind_name(enum rn_metric_kind kind) {
  return kind == RN_METRIC_COUNTER ? "counter" : "gauge";
}

/* Exact, which a double would not be. */
static void put_seconds(struct text *t, uint64_t ns) {
  uint64_t whole_s = ns / RN_NS_PER_S, rest_ns = ns % RN_NS_PER_S;
  put(t, " %" PRIu64 ".%09" PRIu64 "\n", whole_s, rest_ns);
}

/* As seconds where the name says nanoseconds. */
static void put_value(struct text *t, const char *name, uint64_t v) {
  if (rn_metric_is_time(name))
    put_seconds(t, v);
  else
    put(t, " %" PRIu64 "\n", v);
}

/* ---- what users know a node by ---- */

static void put_family(struct text *t, const char *name) {
#define RN_EXPOSED_FAMILY(declared, kind, help)                                                    \
  if (strcmp(name, #declared) == 0)                                                                \
    family(t, name, kind_name(RN_METRIC_##kind), help);
#include "schema/metrics/exposed.def"
}

/* offset: in struct rn_lcore_stats. */
static uint64_t sum_of(const struct rn_node *n, size_t offset) {
  uint64_t sum = 0, v;
  for (uint32_t i = 0; i < n->topo.lcore_count; i++) {
    memcpy(&v, (const uint8_t *)&n->lcores[i].stats + offset, sizeof(v));
    sum += v;
  }
  return sum;
}

static void put_calls(struct text *t, const struct rn_node *n) {
  put_family(t, "rpc_requests_total");
  put(t, "rpc_requests_total %" PRIu64 "\n", rn_rates_calls(n));
  put_family(t, "rpc_errors_total");
#define RN_EXPOSED_ERROR(type, group, counter)                                                     \
  put(t, "rpc_errors_total{type=\"%s\"} %" PRIu64 "\n", #type,                                     \
      sum_of(n, offsetof(struct rn_lcore_stats, group.counter)));
#include "schema/metrics/exposed.def"
}

static void put_gauges(struct text *t, const struct rn_rates *r) {
#define RN_EXPOSED(group, name, help)                                                              \
  family(t, #group "_" #name, "gauge", help " (over the last second)");                            \
  put(t, #group "_" #name " %.6g\n", r->name);
#include "schema/metrics/exposed.def"
}

/* ---- histograms ---- */

static void put_histogram(struct text *t, const char *name, const char *labels,
                          const struct rn_tally_copy *h) {
  const char *comma = labels[0] != '\0' ? "," : "", *open = labels[0] != '\0' ? "{" : "";
  const char *close = labels[0] != '\0' ? "}" : "";
  uint64_t seen = 0;
  for (uint32_t i = 0; i + 1 < RN_TALLY_CELLS; i++) {
    seen += h->cells[i];
    if (i % LE_STEP == 0)
      put(t, "%s_bucket{%s%sle=\"%.12g\"} %" PRIu64 "\n", name, labels, comma,
          (double)rn_tally_bound(i) / (double)RN_NS_PER_S, seen);
  }
  put(t, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, comma, h->count);
  put(t, "%s_sum%s%s%s", name, open, labels, close);
  put_seconds(t, h->sum_ns);
  put(t, "%s_count%s%s%s %" PRIu64 "\n", name, open, labels, close, h->count);
}

static_assert((RN_TALLY_CELLS - 2) % LE_STEP == 0, "the last bound is a bucket's");

/* Turns are what tells one lcore from another: those by lcore. All others are of the node. */
static void put_histograms(struct text *t, const struct rn_node *n) {
  struct rn_tally_copy h;
  char labels[64];
  for (uint32_t i = 0; i < RN_HIST_COUNT; i++) {
    const struct rn_hist_desc *d = &rn_hist_descs[i];
    if (i == 0 || strcmp(d->exposed, rn_hist_descs[i - 1].exposed) != 0)
      family(t, d->exposed, "histogram", d->help);
    if (i == RN_HIST_turn_ns) {
      for (uint32_t lcore = 0; lcore < n->topo.lcore_count; lcore++) {
        rn_stats_hist_read(rn_topo_stats(&n->view, lcore), RN_HIST_turn_ns, &h);
        snprintf(labels, sizeof(labels), "lcore=\"%u\"", lcore);
        put_histogram(t, d->exposed, labels, &h);
      }
      continue;
    }
    rn_rates_hist(n, i, &h);
    snprintf(labels, sizeof(labels), d->stage[0] != '\0' ? "stage=\"%s\"" : "%s", d->stage);
    put_histogram(t, d->exposed, labels, &h);
  }
}

/* ---- every counter ---- */

static void put_lcores(struct text *t, const struct rn_node *n) {
  char name[RN_METRIC_EXPOSED_BYTES];
  for (size_t i = 0; i < RN_STATS_VALUES; i++) {
    const struct rn_metric_desc *d = &rn_metric_descs[i];
    rn_metric_exposed(d->group, d->name, d->kind, name);
    family(t, name, kind_name(d->kind), d->help);
    for (uint32_t l = 0; l < n->topo.lcore_count; l++) {
      put(t, "%s{lcore=\"%u\"}", name, l);
      put_value(t, d->name, rn_stats_value(&n->lcores[l].stats, i));
    }
  }
}

static void put_control_metric(struct text *t, const char *name, enum rn_metric_kind kind,
                               const char *help, uint64_t value) {
  char exposed[RN_METRIC_EXPOSED_BYTES];
  rn_metric_exposed("control", name, kind, exposed);
  family(t, exposed, kind_name(kind), help);
  put(t, "%s", exposed);
  put_value(t, name, value);
}

static void put_control(struct text *t, const struct rn_node *n) {
#define RN_METRIC(name, kind, unit, help)                                                          \
  put_control_metric(t, #name, RN_METRIC_##kind, help, n->stats.name);
#include "schema/metrics/control.def"
#undef RN_METRIC
}

static void put_node(struct text *t, struct rn_node *n) {
  char why[128];
  bool ready = rn_health_ready(n, rn_sys_now_ns(), why, sizeof(why));
  put_family(t, "rpcnet_build_info");
  put(t, "rpcnet_build_info{version=\"%s\",node=\"%s\"} 1\n", RN_VERSION, n->cfg->node.name);
  put_family(t, "rpcnet_ready");
  put(t, "rpcnet_ready %d\n", ready);
}

char *rn_metrics_text(struct rn_node *n, size_t *len) {
  struct text t = { .at = malloc(65536), .room = 65536 };
  rn_node_sample(n, false);
  put_node(&t, n);
  put_gauges(&t, &n->rates);
  put_control(&t, n);
  if (n->state != RN_NODE_NONE) {
    put_calls(&t, n);
    put_histograms(&t, n);
    put_lcores(&t, n);
  }
  *len = t.len;
  return t.at;
}
