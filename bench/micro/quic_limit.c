/* bench/micro/quic_limit.c: what QUIC and TLS alone allow. Two endpoints in one thread exchange 32-byte calls, one stream each, over memory; the
 * time spent in the server's endpoint is counted, per call. No network, no RPC parsing, no handler but an echo.
 *
 *   quic_limit [--seconds S] [--rounds N] [--json] [OUTSTANDING...]      default: 1 16 64 256 1024, five rounds of 1 s each */
#include "bench/wire.h"
#include "harness/peer.h"

#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CALL_BYTES 32
#define ROUNDS_MAX 99

struct bench {
  struct peer client, server;
  struct wire to_server, to_client;
  uint32_t outstanding, in_flight;
  uint64_t calls, server_ns, server_rx, server_tx;
  struct rn_quic_conn *conn;
};

static uint64_t clock_ns(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- applications ---- */

static void client_ready(void *app, struct rn_quic_conn *c) { ((struct bench *)app)->conn = c; }
static void server_ready(void *app, struct rn_quic_conn *c) { (void)app, (void)c; }
static int stream_open(void *app, struct rn_quic_stream *s) { return (void)app, (void)s, RN_OK; }
static void stream_nothing(void *app, struct rn_quic_stream *s) { (void)app, (void)s; }
static void stream_code(void *app, struct rn_quic_stream *s, uint64_t code) {
  (void)app, (void)s, (void)code;
}

static void conn_closed(void *app, struct rn_quic_conn *c, const struct rn_quic_close *why) {
  (void)app, (void)c;
  if (why->kind != RN_QUIC_CLOSE_LOCAL) {
    fprintf(stderr, "connection closed: kind %d code %" PRIu64 "\n", why->kind, why->code);
    exit(1);
  }
}

static void server_data(void *app, struct rn_quic_stream *s, const uint8_t *data, size_t len,
                        bool fin) {
  (void)app;
  if (len != 0 && rn_quic_stream_write(s, data, len, true) != RN_OK)
    abort();
  rn_quic_stream_consume(s, len);
  (void)fin;
}

static void client_data(void *app, struct rn_quic_stream *s, const uint8_t *data, size_t len,
                        bool fin) {
  struct bench *b = app;
  (void)data;
  rn_quic_stream_consume(s, len);
  if (fin) {
    b->calls++;
    b->in_flight--;
  }
}

static int sign(void *app, const struct rn_quic_sign_req *req) {
  struct bench *b = app;
  uint8_t sig[RN_QUIC_SIG_BYTES_MAX];
  size_t n = pki_sign(b->server.pki, req->scheme, req->tbs, req->tbs_bytes, sig, sizeof(sig));
  rn_quic_sign_done(b->server.q, rn_quic_now(b->server.q), req->job, RN_OK, sig, n);
  return RN_OK;
}

static const struct rn_quic_events client_events = {
  .conn_ready = client_ready,
  .conn_closed = conn_closed,
  .stream_open = stream_open,
  .stream_data = client_data,
  .stream_reset = stream_code,
  .stream_stop = stream_nothing,
  .stream_writable = stream_nothing,
  .stream_closed = stream_nothing,
};
static const struct rn_quic_events server_events = {
  .conn_ready = server_ready,
  .conn_closed = conn_closed,
  .stream_open = stream_open,
  .stream_data = server_data,
  .stream_reset = stream_code,
  .stream_stop = stream_nothing,
  .stream_writable = stream_nothing,
  .stream_closed = stream_nothing,
  .sign = sign,
};

/* ---- turns ---- */

static void client_turn(struct bench *b) {
  uint64_t now = clock_ns();
  wire_receive(&b->to_client, b->client.q, now);
  while (b->conn != NULL && b->in_flight < b->outstanding) {
    static const uint8_t payload[CALL_BYTES] = { 1 };
    struct rn_quic_stream *s;
    if (rn_quic_stream_open(b->conn, &s) != RN_OK)
      break;
    if (rn_quic_stream_write(s, payload, sizeof(payload), true) != RN_OK)
      abort();
    b->in_flight++;
  }
  wire_send(&b->to_server, b->client.q, now);
}

static void server_turn(struct bench *b) {
  uint64_t now = clock_ns();
  b->server_rx += wire_receive(&b->to_server, b->server.q, now);
  b->server_tx += wire_send(&b->to_client, b->server.q, now);
  b->server_ns += clock_ns() - now;
}

/* ---- runs ---- */

static struct bench *bench_new(const struct pki *pki, uint32_t outstanding) {
  struct bench *b = aligned_alloc(64, (sizeof(*b) + 63) & ~(size_t)63);
  memset(b, 0, sizeof(*b));
  b->outstanding = outstanding;
  peer_prepare(&b->server, pki, 1);
  peer_prepare(&b->client, NULL, 2);
  b->server.params.events = &server_events;
  b->client.params.events = &client_events;
  b->server.params.app = b->client.params.app = b;
  b->server.params.config.max_streams_bidi = 10000;
  b->server.params.config.conn_window = b->client.params.config.conn_window = 16u << 20;
  peer_start(&b->server, NULL, NULL);
  peer_start(&b->client, pki, NULL);
  wire_pair(&b->to_server, &b->to_client);
  struct rn_quic_conn *c;
  if (rn_quic_connect(b->client.q, clock_ns(), &b->to_client.seen_as, "localhost", &c) != RN_OK)
    abort();
  return b;
}

static void bench_free(struct bench *b) {
  peer_stop(&b->client);
  peer_stop(&b->server);
  free(b);
}

static double run_once(const struct pki *pki, uint32_t outstanding, double seconds,
                       double *rx_per_dgram) {
  struct bench *b = bench_new(pki, outstanding);
  uint64_t end = clock_ns() + 300000000u; /* warm up: handshake, congestion window */
  while (clock_ns() < end) {
    client_turn(b);
    server_turn(b);
  }
  b->calls = b->server_ns = b->server_rx = b->server_tx = 0;
  end = clock_ns() + (uint64_t)(seconds * 1e9);
  while (clock_ns() < end) {
    client_turn(b);
    server_turn(b);
  }
  double ns = (double)b->server_ns / (double)b->calls;
  *rx_per_dgram = (double)b->calls / (double)b->server_rx;
  bench_free(b);
  return ns;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

struct options {
  double seconds;
  int rounds;
  bool json;
  uint32_t outstanding[16];
  int count;
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct options *o = state->input;
  switch (key) {
  case 's':
    o->seconds = atof(arg);
    break;
  case 'r':
    o->rounds = atoi(arg);
    break;
  case 'j':
    o->json = true;
    break;
  case ARGP_KEY_ARG:
    if (o->count == 16 || atoi(arg) < 1)
      argp_error(state, "OUTSTANDING is a number of at least 1, at most 16 of them: %s", arg);
    o->outstanding[o->count++] = (uint32_t)atoi(arg);
    break;
  default:
    return ARGP_ERR_UNKNOWN;
  }
  if (o->rounds < 1 || o->rounds > ROUNDS_MAX || o->seconds <= 0)
    argp_error(state, "--rounds is 1..%d, --seconds above 0", ROUNDS_MAX);
  return 0;
}

int main(int argc, char **argv) {
  static const struct argp_option opts[] = {
    { "seconds", 's', "S", 0, "length of a round (default 1)", 0 },
    { "rounds", 'r', "N", 0, "rounds of each (default 5)", 0 },
    { "json", 'j', NULL, 0, "print JSON", 0 },
    { 0 },
  };
  static const struct argp argp = {
    opts, parse, "[OUTSTANDING...]", "Server time per call of QUIC and TLS alone, in memory.", NULL,
    NULL, NULL
  };
  struct options o = { .seconds = 1, .rounds = 5 };
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  if (o.count == 0) {
    static const uint32_t usual[] = { 1, 16, 64, 256, 1024 };
    o.count = 5;
    memcpy(o.outstanding, usual, sizeof(usual));
  }
  struct pki *pki = pki_new(PKI_P256);
  printf(o.json ? "[\n" : "%12s %12s %12s %12s %14s\n", "outstanding", "ns/call", "min", "max",
         "calls/datagram");
  for (int i = 0; i < o.count; i++) {
    double ns[ROUNDS_MAX], per_dgram = 0;
    for (int r = 0; r < o.rounds; r++)
      ns[r] = run_once(pki, o.outstanding[i], o.seconds, &per_dgram);
    qsort(ns, (size_t)o.rounds, sizeof(ns[0]), by_value);
    if (o.json)
      printf("  {\"outstanding\": %u, \"server_ns_per_call\": %.1f, \"min\": %.1f, \"max\": %.1f, "
             "\"calls_per_datagram\": %.1f}%s\n",
             o.outstanding[i], ns[o.rounds / 2], ns[0], ns[o.rounds - 1], per_dgram,
             i + 1 < o.count ? "," : "");
    else
      printf("%12u %12.1f %12.1f %12.1f %14.1f\n", o.outstanding[i], ns[o.rounds / 2], ns[0],
             ns[o.rounds - 1], per_dgram);
    fflush(stdout);
  }
  if (o.json)
    printf("]\n");
  pki_free(pki);
  return 0;
}
