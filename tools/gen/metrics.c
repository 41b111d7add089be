/* tools/gen/metrics.c: docs/metrics.md from lib/schema/metrics and lib/schema/errors.def. */
#include <string.h>

#include "tools/gen/gen.h"
#include "topo/stats.h"

static const char intro[] = "# Metrics\n"
                            "\n"
                            "<!-- Made from lib/schema/metrics and lib/schema/errors.def by "
                            "tools/gen-docs: do not edit. -->\n"
                            "\n"
                            "`rpcnetctl stats` shows them, `rpcnetctl stats --json` gives them to "
                            "programs. A counter only grows, from the start\n"
                            "of the process that counts; a gauge says how much there is now.\n";

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
};

static void write_head(FILE *out, const char *name, const char *help) {
  fprintf(out, "\n## %s\n\n%s.\n\n| name | kind | unit | what it counts |\n|---|---|---|---|\n",
          name, help);
}

static void write_metric(FILE *out, const char *name, enum rn_metric_kind kind, const char *unit,
                         const char *help) {
  fprintf(out, "| `%s` | %s | %s | %s |\n", name, kind == RN_METRIC_COUNTER ? "counter" : "gauge",
          unit, help);
}

void gen_metrics(FILE *out) {
  fputs(intro, out);
  for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
    write_head(out, groups[g].name, groups[g].help);
    for (size_t i = 0; i < RN_STATS_VALUES; i++) {
      const struct rn_metric_desc *d = &rn_metric_descs[i];
      if (strcmp(d->group, groups[g].name) == 0)
        write_metric(out, d->name, d->kind, d->unit, d->help);
    }
  }
  write_head(out, "control", "The process that holds the private key");
#define RN_METRIC(name, kind, unit, help) write_metric(out, #name, RN_METRIC_##kind, unit, help);
#include "schema/metrics/control.def"
#undef RN_METRIC
  fprintf(out, "\n## Errors\n\nWhat functions return and logs name.\n\n| name | value | meaning "
               "|\n|---|---|---|\n");
#define RN_ERR(name, value, text) fprintf(out, "| `RN_ERR_%s` | %d | %s |\n", #name, value, text);
#include "schema/errors.def"
#undef RN_ERR
}
