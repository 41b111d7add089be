/* tools/gen/metrics.c: docs/metrics.md from lib/schema/metrics and lib/schema/errors.def. */
#include <stdbool.h>
#include <string.h>

#include "tools/gen/gen.h"
#include "topo/stats.h"

static const char intro[] = "# Metrics\n"
                            "\n"
                            "<!-- Made from lib/schema/metrics and lib/schema/errors.def by "
                            "tools/gen-docs: do not edit. -->\n"
                            "\n"
                            "`rpcnetctl stats` shows them, `rpcnetctl stats --json` gives them to "
                            "programs, and [Prometheus](monitoring.md) gets them\n"
                            "by the name in the second column, those of lcores with the label "
                            "`lcore`. A counter only grows, from the start of the\n"
                            "process that counts; a gauge says how much there is now.\n";

static const char exposed[] =
    "\n## For users of the node\n\nOf all lcores together.\n\n"
    "| for Prometheus | rpcnetctl stats | kind | what it says |\n|---|---|---|---|\n";

static const char histograms[] =
    "\n## Histograms\n\nTimes that each lcore counts in steps of an eighth of a doubling, from 64 "
    "ns to "
    "17 s.\n\n| name | for Prometheus | what it counts |\n|---|---|---|\n";

static const struct {
  const char *name;
  const char *help;
} groups[] = {
  { "lcore", "The loop of each lcore" },
  { "port", "What the driver did for each lcore" },
  { "net", "Ethernet, IP and UDP, per lcore. In shared mode most drops are frames that are the "
           "kernel's, which has its own copy of each" },
  { "quic", "The QUIC endpoint of each lcore" },
  { "rpc", "Calls, per lcore" },
  { "gossip", "Messages of the cluster between peers and control, per lcore" },
  { "director", "Whom a director chooses, per lcore" },
  { "forward", "Calls that a director forwards, per lcore" },
  { "pool", "Connections to workers for these and for calls to all of them, per lcore" },
  { "fanout", "Calls that a director makes at every worker, per lcore" },
};

static void write_head(FILE *out, const char *name, const char *help) {
  fprintf(out,
          "\n## %s\n\n%s.\n\n| name | for Prometheus | kind | unit | what it counts |\n"
          "|---|---|---|---|---|\n",
          name, help);
}

static const char *kind_name(enum rn_metric_kind kind) {
  return kind == RN_METRIC_COUNTER ? "counter" : "gauge";
}

static void write_metric(FILE *out, const char *group, const char *name, enum rn_metric_kind kind,
                         const char *unit, const char *help) {
  char prometheus[RN_METRIC_EXPOSED_BYTES];
  fprintf(out, "| `%s` | `%s` | %s | %s | %s |\n", name,
          rn_metric_exposed(group, name, kind, prometheus), kind_name(kind), unit, help);
}

static void write_exposed(FILE *out) {
  fputs(exposed, out);
#define RN_EXPOSED_FAMILY(name, kind, help)                                                        \
  fprintf(out, "| `%s` | | %s | %s |\n", #name, kind_name(RN_METRIC_##kind), help);
#define RN_EXPOSED(group, name, help)                                                              \
  fprintf(out, "| `%s_%s` | `%s.%s` | gauge | %s |\n", #group, #name, #group, #name, help);
#include "schema/metrics/exposed.def"
  fputs("\nThe gauges are over the last second. `rpc_errors_total` has these values of the label "
        "`type`:\n\n| type | counter |\n|---|---|\n",
        out);
#define RN_EXPOSED_ERROR(type, group, counter)                                                     \
  fprintf(out, "| `%s` | `%s.%s` |\n", #type, #group, #counter);
#include "schema/metrics/exposed.def"
}

void gen_metrics(FILE *out) {
  fputs(intro, out);
  write_exposed(out);
  for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
    write_head(out, groups[g].name, groups[g].help);
    for (size_t i = 0; i < RN_STATS_VALUES; i++) {
      const struct rn_metric_desc *d = &rn_metric_descs[i];
      if (strcmp(d->group, groups[g].name) == 0)
        write_metric(out, d->group, d->name, d->kind, d->unit, d->help);
    }
  }
  write_head(out, "control", "The process that holds the private key");
#define RN_METRIC(name, kind, unit, help)                                                          \
  write_metric(out, "control", #name, RN_METRIC_##kind, unit, help);
#include "schema/metrics/control.def"
#undef RN_METRIC
  fputs(histograms, out);
  for (size_t i = 0; i < RN_HIST_COUNT; i++) {
    const struct rn_hist_desc *d = &rn_hist_descs[i];
    bool stage = d->stage[0] != '\0';
    fprintf(out, "| `%s` | `%s%s%s%s` | %s |\n", d->name, d->exposed, stage ? "{stage=\"" : "",
            d->stage, stage ? "\"}" : "", d->help);
  }
  fprintf(out, "\n## Errors\n\nWhat functions return and logs name.\n\n| name | value | meaning "
               "|\n|---|---|---|\n");
#define RN_ERR(name, value, text) fprintf(out, "| `RN_ERR_%s` | %d | %s |\n", #name, value, text);
#include "schema/errors.def"
#undef RN_ERR
}
