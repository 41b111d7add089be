/* tools/bench/report.c */
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static const char *unit(const struct bench_options *o) {
  return o->mode == BENCH_HANDSHAKE ? "handshakes" : o->stream ? "items" : "RPC";
}

void report_progress(const struct bench_options *o, double at_s, uint64_t calls, uint64_t errors) {
  if (o->quiet)
    return;
  double measured = at_s - o->warmup_s;
  if (measured <= 0)
    fprintf(stderr, "%s%5.1f s  warming up", isatty(2) ? "\r" : "", at_s);
  else
    fprintf(stderr, "%s%5.1f s  %12.0f %s/s  %" PRIu64 " errors", isatty(2) ? "\r" : "", at_s,
            (double)calls / measured, unit(o), errors);
  fprintf(stderr, isatty(2) ? "   " : "\n");
}

static double us(const struct bench_result *r, double q) {
  return (double)rn_hist_quantile(&r->latency, q) / 1e3;
}
static double refusal_us(const struct bench_result *r, double q) {
  return (double)rn_hist_quantile(&r->refusal, q) / 1e3;
}

static void print_json(const struct bench_options *o, const struct bench_result *r, double rps) {
  static const char *const modes[] = { "throughput", "latency", "load", "handshake" };
  printf("{\"mode\": \"%s\", \"target\": \"%s\", \"method\": \"%s\", \"stream\": %s, "
         "\"connections\": %u, \"outstanding\": %u, "
         "\"payload_bytes\": %u, \"seconds\": %.3f, \"offered_per_s\": %.0f, \"rps\": %.0f, "
         "\"calls\": %" PRIu64 ", \"errors\": %" PRIu64 ", \"timeouts\": %" PRIu64
         ", \"refused\": %" PRIu64 ", \"late\": %" PRIu64
         ", \"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": "
         "%.1f, \"mean_us\": %.1f, \"refused_p50_us\": %.1f, \"refused_p99_us\": %.1f, "
         "\"handshake_us\": %.0f, \"client_cpu_pct\": %.1f}\n",
         modes[o->mode], o->target_text, o->method, o->stream ? "true" : "false", o->connections,
         o->outstanding, o->payload_bytes, r->seconds, o->rate_per_s, rps, r->calls, r->errors,
         r->timeouts, r->refused, r->late, us(r, 0.5), us(r, 0.9), us(r, 0.99), us(r, 0.999),
         (double)r->latency.max / 1e3,
         r->latency.count ? (double)r->latency.sum / (double)r->latency.count / 1e3 : 0,
         refusal_us(r, 0.5), refusal_us(r, 0.99), r->handshake_us,
         r->client_cpu_s / r->seconds * 100);
}

static void print_table(const struct bench_options *o, const struct bench_result *r, double rps) {
  if (o->mode == BENCH_HANDSHAKE)
    printf("%-22s %u at a time, each closed when it is ready\n", "load", o->connections);
  else
    printf("%-22s %s, %u connection%s x %u %s, %u B%s\n", "load", o->method, o->connections,
           o->connections == 1 ? "" : "s", o->outstanding,
           o->stream ? "items ahead" : "outstanding", o->payload_bytes,
           o->rate_per_s > 0 ? ", open loop" : "");
  if (o->rate_per_s > 0)
    printf("%-22s %.0f\n", "offered per second", o->rate_per_s);
  char label[32];
  snprintf(label, sizeof(label), "%s per second", unit(o));
  printf("%-22s %.0f\n", label, rps);
  printf("%-22s p50 %.1f  p90 %.1f  p99 %.1f  p99.9 %.1f  max %.1f\n", "latency, us", us(r, 0.5),
         us(r, 0.9), us(r, 0.99), us(r, 0.999), (double)r->latency.max / 1e3);
  printf("%-22s %" PRIu64 " (%" PRIu64 " timeouts, %" PRIu64 " answered with an error)\n", "errors",
         r->errors, r->timeouts, r->refused);
  if (r->refused > 0)
    printf("%-22s p50 %.1f  p99 %.1f\n", "until an error, us", refusal_us(r, 0.5),
           refusal_us(r, 0.99));
  if (o->rate_per_s > 0)
    printf("%-22s %" PRIu64 "\n", "not sent, all in flight", r->late);
  printf("%-22s %.0f us\n", "handshake, median", r->handshake_us);
  printf("%-22s %.0f %% of a core\n", "client CPU", r->client_cpu_s / r->seconds * 100);
  if (r->first_error[0] != '\0')
    printf("%-22s %s\n", "first error", r->first_error);
}

void report_result(const struct bench_options *o, const struct bench_result *r) {
  double rps = r->seconds > 0 ? (double)r->calls / r->seconds : 0;
  if (!o->quiet && isatty(2))
    fprintf(stderr, "\r%60s\r", "");
  if (o->json)
    print_json(o, r, rps);
  else
    print_table(o, r, rps);
}
