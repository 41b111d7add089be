/* tools/bench/main.c: the options of rpcnet-bench. */
#include "bench.h"
#include "util/err.h"

#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_RUNTIME 1
#define EXIT_USAGE   2

const char *argp_program_version = "rpcnet-bench " RN_VERSION;

enum { OPT_CA = 256, OPT_NAME, OPT_WARMUP, OPT_TIMEOUT, OPT_JSON, OPT_STREAM, OPT_PORT, OPT_SPIN };

static const struct argp_option options[] = {
  { "connections", 'c', "N", 0, "connections (default 1)", 0 },
  { "outstanding", 'o', "N", 0,
    "calls in flight on each; with --stream items ahead (throughput 64, latency 1, load 1024)", 0 },
  { "payload", 'p', "BYTES", 0, "size of the params (default 32)", 0 },
  { "duration", 'd', "SECONDS", 0, "measured time (default 10)", 0 },
  { "warmup", OPT_WARMUP, "SECONDS", 0, "time before that (default 1)", 0 },
  { "method", 'm', "NAME", 0, "default echo; with --stream echo_stream", 0 },
  { "rate", 'r', "PER_SECOND", 0,
    "open loop: calls offered per second; latency counts from the intended time", 0 },
  { "stream", OPT_STREAM, NULL, 0, "one streaming call per connection; items are counted", 0 },
  { "timeout", OPT_TIMEOUT, "SECONDS", 0, "of a call, or between two items (default 30)", 0 },
  { "spin", OPT_SPIN, "US", 0,
    "ask for answers that long without sleep, after the last one came (default 50)", 0 },
  { "ca", OPT_CA, "FILE", 0, "verify the server with this PEM certificate (default: not verified)",
    0 },
  { "server-name", OPT_NAME, "NAME", 0, "name the certificate must carry (default localhost)", 0 },
  { "port", OPT_PORT, "DRIVER:INTERFACE", 0,
    "over a DPDK port, such as af_packet:eth0, instead of a UDP socket", 0 },
  { "json", OPT_JSON, NULL, 0, "print one JSON object", 0 },
  { "quiet", 'q', NULL, 0, "no progress", 0 },
  { 0 },
};

static const char doc[] =
    "Puts load on an rpcnet server.\v"
    "throughput  as many calls as go, each connection keeping --outstanding in flight\n"
    "latency     one call at a time\n"
    "load        calls on a schedule (--rate)\n"
    "handshake   --connections at a time are made and closed again\n\n"
    "Example: rpcnet-bench throughput 172.28.80.10:8080 --connections 4 --outstanding 64 "
    "--duration 10";

static double number(struct argp_state *state, const char *what, const char *arg, double low,
                     double high) {
  char *end;
  errno = 0;
  double v = strtod(arg, &end);
  if (errno != 0 || *arg == '\0' || *end != '\0' || v < low || v > high)
    argp_error(state, "%s: \"%s\" is not a number from %g to %g", what, arg, low, high);
  return v;
}

static error_t positional(struct bench_options *o, char *arg, struct argp_state *state) {
  static const char *const modes[BENCH_MODE_COUNT] = { "throughput", "latency", "load",
                                                       "handshake" };
  if (state->arg_num == 0) {
    for (int i = 0; i < BENCH_MODE_COUNT; i++) {
      if (strcmp(arg, modes[i]) == 0) {
        o->mode = (enum bench_mode)i;
        return 0;
      }
    }
    argp_error(state, "\"%s\" is none of throughput, latency, load, handshake", arg);
  }
  if (state->arg_num == 1) {
    if (rn_addr_parse(arg, &o->target) != RN_OK || o->target.port == 0)
      argp_error(state, "\"%s\" is no ADDRESS:PORT (for example 127.0.0.1:8080 or [::1]:8080)",
                 arg);
    o->target_text = arg;
    return 0;
  }
  return ARGP_ERR_UNKNOWN;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct bench_options *o = state->input;
  switch (key) {
  case 'c':
    o->connections = (uint32_t)number(state, "--connections", arg, 1, 10000);
    break;
  case 'o':
    o->outstanding = (uint32_t)number(state, "--outstanding", arg, 1, 100000);
    break;
  case 'p':
    o->payload_bytes = (uint32_t)number(state, "--payload", arg, 0, 16u << 20);
    break;
  case 'd':
    o->duration_s = number(state, "--duration", arg, 0.1, 3600);
    break;
  case OPT_WARMUP:
    o->warmup_s = number(state, "--warmup", arg, 0, 3600);
    break;
  case 'm':
    o->method = arg;
    break;
  case 'r':
    o->rate_per_s = number(state, "--rate", arg, 1, 1e8);
    break;
  case OPT_STREAM:
    o->stream = true;
    break;
  case OPT_TIMEOUT:
    o->timeout_ns = (uint64_t)(number(state, "--timeout", arg, 0.001, 3600) * 1e9);
    break;
  case OPT_SPIN:
    o->spin_ns = (uint64_t)(number(state, "--spin", arg, 0, 1e6) * 1e3);
    break;
  case OPT_CA:
    o->ca_file = arg;
    break;
  case OPT_NAME:
    o->server_name = arg;
    break;
  case OPT_PORT:
    o->port = arg;
    break;
  case OPT_JSON:
    o->json = true;
    break;
  case 'q':
    o->quiet = true;
    break;
  case ARGP_KEY_ARG:
    return positional(o, arg, state);
  case ARGP_KEY_END:
    if (state->arg_num < 2)
      argp_error(state, "a mode and the server's ADDRESS:PORT are needed");
    if (o->mode == BENCH_LOAD && o->rate_per_s == 0)
      argp_error(state, "load needs --rate");
    if (o->mode != BENCH_LOAD && o->rate_per_s != 0)
      argp_error(state, "--rate goes with load");
    if (o->stream && o->rate_per_s != 0)
      argp_error(state, "--stream has no schedule: it does not go with load");
    if (o->stream && o->payload_bytes == 0)
      argp_error(state, "--stream needs --payload above 0: an empty item is the end of a stream");
    break;
  default:
    return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

int main(int argc, char **argv) {
  static const struct argp argp = { options, parse, "MODE ADDRESS:PORT", doc, NULL, NULL, NULL };
  static const uint32_t usual_outstanding[] = {
    [BENCH_THROUGHPUT] = 64, [BENCH_LATENCY] = 1, [BENCH_LOAD] = 1024, [BENCH_HANDSHAKE] = 1
  };
  static struct bench_result result; /* its histogram is too large for the stack */
  struct bench_options o = { .server_name = "localhost",
                             .connections = 1,
                             .payload_bytes = 32,
                             .duration_s = 10,
                             .warmup_s = 1,
                             .timeout_ns = UINT64_C(30000000000),
                             .spin_ns = 50000 };
  char why[512] = "";
  argp_err_exit_status = EXIT_USAGE;
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  if (o.outstanding == 0)
    o.outstanding = usual_outstanding[o.mode];
  if (o.method == NULL)
    o.method = o.stream ? "echo_stream" : "echo";
  int err = o.mode == BENCH_HANDSHAKE ? bench_handshakes(&o, &result, why, sizeof(why))
                                      : bench_run(&o, &result, why, sizeof(why));
  if (err != RN_OK) {
    fprintf(stderr, "rpcnet-bench: %s\n", why);
    return EXIT_RUNTIME;
  }
  report_result(&o, &result);
  return result.errors == 0 ? 0 : EXIT_RUNTIME;
}
