/* tools/rpcnetctl_print.c */
#include "tools/rpcnetctl.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

static const char *text(yyjson_val *obj, const char *key) {
  const char *s = yyjson_get_str(yyjson_obj_get(obj, key));
  return s != NULL && s[0] != '\0' ? s : "-";
}

static uint64_t number(yyjson_val *obj, const char *key) {
  return yyjson_get_uint(yyjson_obj_get(obj, key));
}

static double real(yyjson_val *obj, const char *key) {
  return yyjson_get_num(yyjson_obj_get(obj, key));
}

static void print_process(FILE *out, const char *name, yyjson_val *p) {
  fprintf(out, "  %-16s %8" PRIu64 " %10.1f s %8.1f MB\n", name, number(p, "pid"),
          real(p, "cpu_seconds"), (double)number(p, "memory_bytes") / 1e6);
}

static void print_date(FILE *out, int64_t unix_s) {
  char buf[32] = "?";
  time_t t = (time_t)unix_s;
  struct tm tm;
  if (gmtime_r(&t, &tm) != NULL)
    strftime(buf, sizeof(buf), "%Y-%m-%d", &tm);
  fprintf(out, "%s", buf);
}

void rn_ctl_print_status(FILE *out, yyjson_val *r) {
  yyjson_val *dp = yyjson_obj_get(r, "dataplane"), *port = yyjson_obj_get(r, "port");
  yyjson_val *cert = yyjson_obj_get(r, "certificate");
  fprintf(out, "node         %s, rpcnet %s\n", text(r, "node"), text(r, "version"));
  fprintf(out, "data plane   %s for %" PRIu64 " s, started %" PRIu64 " times\n", text(dp, "state"),
          number(dp, "uptime_seconds"), number(dp, "starts"));
  fprintf(out, "port         %s %s, %s, UDP port %" PRIu64 ", MTU %" PRIu64 ", BPF %s\n",
          text(port, "driver"), text(port, "interface"), text(port, "mode"),
          number(port, "udp_port"), number(port, "mtu"),
          yyjson_get_bool(yyjson_obj_get(port, "bpf")) ? "attached" : "none");
  fprintf(out, "certificate  %s, %s, until ", text(cert, "subject"), text(cert, "key"));
  print_date(out, yyjson_get_sint(yyjson_obj_get(cert, "not_after_unix_s")));
  fprintf(out, "\n\n  %-16s %8s %12s %11s\n", "process", "pid", "CPU", "memory");
  print_process(out, "rpcnetd", yyjson_obj_get(r, "rpcnetd"));
  print_process(out, "rpcnet-control", yyjson_obj_get(r, "control"));
  print_process(out, "rpcnet-dataplane", dp);

  fprintf(out, "\n  %5s %5s %6s %7s %12s %10s %14s %14s\n", "lcore", "core", "ready", "busy",
          "connections", "streams", "datagrams in", "out");
  size_t i, count;
  yyjson_val *l;
  yyjson_arr_foreach(yyjson_obj_get(dp, "lcores"), i, count, l) {
    int64_t core = yyjson_get_sint(yyjson_obj_get(l, "core"));
    char core_text[24] = "any";
    if (core >= 0)
      snprintf(core_text, sizeof(core_text), "%" PRId64, core);
    fprintf(
        out,
        "  %5" PRIu64 " %5s %6s %6.1f%% %12" PRIu64 " %10" PRIu64 " %14" PRIu64 " %14" PRIu64 "\n",
        number(l, "lcore"), core_text, yyjson_get_bool(yyjson_obj_get(l, "ready")) ? "yes" : "no",
        100 * real(l, "busy_share"), number(l, "connections"), number(l, "streams"),
        number(l, "rx_datagrams"), number(l, "tx_datagrams"));
  }
}

static uint64_t lcore_value(yyjson_val *lcore, yyjson_val *metric) {
  return number(yyjson_obj_get(yyjson_obj_get(lcore, "metrics"), text(metric, "group")),
                text(metric, "name"));
}

static void print_metric(FILE *out, yyjson_val *m, yyjson_val *lcores, bool all) {
  uint64_t total = 0;
  size_t i, count;
  yyjson_val *l;
  yyjson_arr_foreach(lcores, i, count, l) total += lcore_value(l, m);
  if (total == 0 && !all)
    return;
  fprintf(out, "  %-24s %16" PRIu64, text(m, "name"), total);
  if (count > 1) {
    yyjson_arr_foreach(lcores, i, count, l) fprintf(out, " %14" PRIu64, lcore_value(l, m));
  }
  fprintf(out, "  %s\n", text(m, "help"));
}

/* The gauges that people look for first. */
static void print_rates(FILE *out, yyjson_val *r) {
  static const char *const groups[] = { "rpc", "pool", "cluster" };
  for (size_t g = 0; g < sizeof(groups) / sizeof(groups[0]); g++) {
    yyjson_val *rates = yyjson_obj_get(r, groups[g]), *key, *value;
    size_t i, count;
    if (rates == NULL) /* yyjson counts on from the address */
      continue;
    fprintf(out, "%s, in the last second\n", groups[g]);
    yyjson_obj_foreach(rates, i, count, key, value)
        fprintf(out, "  %-24s %16.2f\n", yyjson_get_str(key), yyjson_get_num(value));
    fprintf(out, "\n");
  }
}

void rn_ctl_print_stats(FILE *out, yyjson_val *r, bool all) {
  yyjson_val *lcores = yyjson_obj_get(r, "lcores"), *m, *key, *value;
  const char *group = "";
  size_t i, count, shown = 0;
  print_rates(out, r);
  yyjson_arr_foreach(yyjson_obj_get(r, "metrics"), i, count, m) {
    if (strcmp(group, text(m, "group")) != 0) {
      group = text(m, "group");
      fprintf(out, "%s%s\n", shown++ > 0 ? "\n" : "", group);
    }
    print_metric(out, m, lcores, all);
  }
  fprintf(out, "\ncontrol\n");
  yyjson_val *control = yyjson_obj_get(r, "control");
  if (control == NULL) /* the same */
    return;
  yyjson_obj_foreach(control, i, count, key, value) {
    if (all || yyjson_get_uint(value) != 0)
      fprintf(out, "  %-24s %16" PRIu64 "\n", yyjson_get_str(key), yyjson_get_uint(value));
  }
}

void rn_ctl_print_connections(FILE *out, yyjson_val *r) {
  size_t i, count;
  yyjson_val *c;
  fprintf(out, "%-16s %-24s %-9s %9s %9s %9s %8s %9s %9s %11s %11s %6s\n", "connection", "peer",
          "phase", "age s", "silent s", "rtt ms", "streams", "window", "in flight", "bytes in",
          "out", "lost");
  yyjson_arr_foreach(yyjson_obj_get(r, "connections"), i, count, c) {
    fprintf(out,
            "%-16s %-24s %-9s %9.1f %9.1f %9.3f %8" PRIu64 " %9" PRIu64 " %9" PRIu64 " %11" PRIu64
            " %11" PRIu64 " %6" PRIu64 "\n",
            text(c, "connection"), text(c, "peer"), text(c, "phase"), real(c, "age_ms") / 1e3,
            real(c, "silent_ms") / 1e3, real(c, "rtt_ms"), number(c, "streams"),
            number(c, "congestion_window"), number(c, "bytes_in_flight"), number(c, "rx_bytes"),
            number(c, "tx_bytes"), number(c, "lost_packets"));
  }
  if (yyjson_get_bool(yyjson_obj_get(r, "more")))
    fprintf(out, "there are more; --count says how many to list\n");
}

static double us(yyjson_val *obj, const char *key) { return (double)number(obj, key) / 1e3; }

void rn_ctl_print_traces(FILE *out, yyjson_val *r, bool head) {
  size_t i, count;
  yyjson_val *c;
  if (head)
    fprintf(out, "%-16s %-22s %-20s %-10s %8s %8s %9s %9s %9s %9s %9s %10s\n", "connection", "peer",
            "method", "outcome", "bytes in", "out", "rx us", "quic us", "class us", "handler",
            "tx us", "total us");
  yyjson_arr_foreach(yyjson_obj_get(r, "calls"), i, count, c) {
    yyjson_val *s = yyjson_obj_get(c, "stage_ns");
    fprintf(out,
            "%-16s %-22s %-20s %-10s %8" PRIu64 " %8" PRIu64
            " %9.2f %9.2f %9.2f %9.2f %9.2f %10.2f\n",
            text(c, "connection"), text(c, "peer"), text(c, "method"), text(c, "outcome"),
            number(c, "request_bytes"), number(c, "answer_bytes"), us(s, "rx"), us(s, "quic"),
            us(s, "classify"), us(s, "handler"), us(s, "tx"), us(c, "total_ns"));
  }
}

static void print_numbers(FILE *out, const char *name, yyjson_val *list) {
  size_t i, count;
  yyjson_val *v;
  fprintf(out, "%-16s", name);
  yyjson_arr_foreach(list, i, count, v) fprintf(out, " %" PRIu64, yyjson_get_uint(v));
  fprintf(out, "\n");
}

void rn_ctl_print_secrets(FILE *out, yyjson_val *r) {
  fprintf(out, "%-16s %s\n", "file", text(r, "file"));
  print_numbers(out, "epochs", yyjson_obj_get(r, "epochs"));
  fprintf(out, "%-16s %" PRIu64 "\n", "newest", number(r, "newest"));
  fprintf(out, "%-16s %" PRIu64 "\n", "taken from", number(r, "oldest"));
  print_numbers(out, "lcores use", yyjson_obj_get(r, "lcores"));
}
