/* tools/bench/bench.h: rpcnet-bench.
 *
 *   main.c     options
 *   setup.c    a client from them
 *   engine.c   calls in a closed loop, on a schedule, or as one stream; latencies
 *   handshake.c  connections, made and closed again
 *   report.c   progress, table, JSON
 *   port.c     datagrams over a DPDK port instead of a UDP socket */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "client/client.h"
#include "util/hist.h"

enum bench_mode { BENCH_THROUGHPUT, BENCH_LATENCY, BENCH_LOAD, BENCH_HANDSHAKE, BENCH_MODE_COUNT };

struct bench_options {
  enum bench_mode mode;
  struct rn_addr target;
  const char *target_text;
  const char *server_name;
  const char *ca_file; /* NULL: the server is not verified */
  const char *method;
  const char *port; /* DRIVER:INTERFACE; NULL: a UDP socket */
  uint32_t connections;
  uint32_t outstanding; /* per connection; of a stream: items ahead */
  uint32_t payload_bytes;
  double duration_s, warmup_s;
  double rate_per_s; /* open loop: calls offered, over all connections; 0: closed loop */
  uint64_t timeout_ns;
  uint64_t spin_ns;
  bool stream; /* one streaming call per connection, items instead of calls */
  bool json, quiet;
};

struct bench_result {
  struct rn_hist latency; /* ns; open loop: from the intended time of sending */
  struct rn_hist refusal; /* the same, of calls that were answered with an error */
  uint64_t calls, errors, timeouts, refused,
      late; /* late: open loop, not sent because outstanding calls were at their limit */
  double seconds;
  double client_cpu_s;
  double handshake_us; /* median of the connections */
  char first_error[256];
};

/* User and system time of this process. */
double bench_cpu_seconds(void);

/* A client with room for so many connections and calls. RN_OK, or an error with why. */
int bench_client_new(const struct bench_options *o, uint32_t conns, uint32_t calls,
                     const struct rn_client_events *ev, void *user, struct rn_client **out,
                     char *why, size_t why_bytes);

/* A run. RN_OK, or an error with why. */
int bench_run(const struct bench_options *o, struct bench_result *r, char *why, size_t why_bytes);
int bench_handshakes(const struct bench_options *o, struct bench_result *r, char *why,
                     size_t why_bytes); /* calls and latency are those of handshakes */

void report_progress(const struct bench_options *o, double at_s, uint64_t calls, uint64_t errors);
void report_result(const struct bench_options *o, const struct bench_result *r);
