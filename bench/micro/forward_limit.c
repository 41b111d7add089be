/* bench/micro/forward_limit.c: what forwarding costs without a network. A client, a director and a worker in one thread exchange 32-byte unary calls over
 * memory; the time spent in the director (its endpoint, the RPC server that hands calls over, pool, forwarder) is counted, per call.
 *
 *   forward_limit [--seconds S] [--rounds N] [--idempotent] [--calls N] [OUTSTANDING...]      default: 1 16 64 256, five rounds of 1 s each
 *
 * --calls N: instead, one round of so many calls, for callgrind. */
#include "bench/wire.h"
#include "harness/peer.h"
#include "rpc/forward.h"
#include "rpc/server.h"
#include "util/err.h"
#include "wire/rpc.h"

#include <argp.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PARAM_BYTES 4
#define ROUNDS_MAX  99

struct bench {
  struct peer client, director, worker;
  struct wire to_director, to_client, from_worker, to_worker;
  struct rn_rpc_server *server;
  struct rn_pool *pool;
  struct rn_forward *forward;
  void *mem[3];
  struct rn_forward_route route;
  struct rn_addr worker_addr;
  struct rn_quic_conn *conn;
  uint32_t outstanding, in_flight;
  uint64_t calls, director_ns, director_rx;
  uint8_t request[RN_WIRE_REQUEST_HEAD_BYTES(4) + PARAM_BYTES];
};

static uint64_t clock_ns(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* ---- client and worker ---- */

static void client_ready(void *app, struct rn_quic_conn *c) { ((struct bench *)app)->conn = c; }
static void conn_nothing(void *app, struct rn_quic_conn *c) { (void)app, (void)c; }
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

static void client_data(void *app, struct rn_quic_stream *s, const uint8_t *data, size_t len,
                        bool fin) {
  struct bench *b = app;
  (void)data;
  rn_quic_stream_consume(s, len);
  if (!fin)
    return;
  if (len != RN_WIRE_RESULT_HEAD_BYTES + PARAM_BYTES + 1)
    abort();
  b->calls++;
  b->in_flight--;
}

static void worker_data(void *app, struct rn_quic_stream *s, const uint8_t *data, size_t len,
                        bool fin) {
  uint8_t answer[RN_WIRE_RESULT_HEAD_BYTES + PARAM_BYTES + 1] = { 0 };
  (void)app, (void)data, (void)fin;
  rn_quic_stream_consume(s, len);
  if (len == 0)
    return;
  rn_wire_result_head(answer, 1, PARAM_BYTES);
  if (rn_quic_stream_write(s, answer, sizeof(answer), true) != RN_OK)
    abort();
}

static int worker_sign(void *app, const struct rn_quic_sign_req *req) {
  return peer_sign(&((struct bench *)app)->worker, req);
}

static const struct rn_quic_events client_events = {
  .conn_ready = client_ready,
  .conn_closed = conn_closed,
  .streams_available = conn_nothing,
  .stream_open = stream_open,
  .stream_data = client_data,
  .stream_reset = stream_code,
  .stream_stop = stream_nothing,
  .stream_writable = stream_nothing,
  .stream_closed = stream_nothing,
};
static const struct rn_quic_events worker_events = {
  .conn_ready = conn_nothing,
  .conn_closed = conn_closed,
  .streams_available = conn_nothing,
  .stream_open = stream_open,
  .stream_data = worker_data,
  .stream_reset = stream_code,
  .stream_stop = stream_nothing,
  .stream_writable = stream_nothing,
  .stream_closed = stream_nothing,
  .sign = worker_sign,
};

/* ---- director ---- */

static bool of_client(const struct rn_quic_stream *s) {
  return rn_quic_conn_is_server(rn_quic_stream_conn(s));
}
static void on_ready(void *app, struct rn_quic_conn *c) {
  if (!rn_quic_conn_is_server(c))
    rn_pool_conn_ready(((struct bench *)app)->pool, c);
}
static void on_closed(void *app, struct rn_quic_conn *c, const struct rn_quic_close *why) {
  if (!rn_quic_conn_is_server(c))
    rn_pool_conn_closed(((struct bench *)app)->pool, c);
  conn_closed(app, c, why);
}
static void on_available(void *app, struct rn_quic_conn *c) {
  if (!rn_quic_conn_is_server(c))
    rn_pool_streams_available(((struct bench *)app)->pool, c);
}
static void on_data(void *app, struct rn_quic_stream *s, const uint8_t *data, size_t len,
                    bool fin) {
  struct bench *b = app;
  if (of_client(s))
    rn_rpc_server_stream_data(b->server, s, data, len, fin);
  else
    rn_forward_stream_data(b->forward, s, data, len, fin);
}
static void on_reset(void *app, struct rn_quic_stream *s, uint64_t code) {
  struct bench *b = app;
  if (of_client(s))
    rn_rpc_server_stream_reset(b->server, s);
  else
    rn_forward_stream_reset(b->forward, s, code);
}
static void on_stop(void *app, struct rn_quic_stream *s) {
  struct bench *b = app;
  if (of_client(s))
    rn_rpc_server_stream_stop(b->server, s);
  else
    rn_forward_stream_stop(b->forward, s);
}
static void on_writable(void *app, struct rn_quic_stream *s) {
  struct bench *b = app;
  if (of_client(s))
    rn_rpc_server_stream_writable(b->server, s);
  else
    rn_forward_stream_writable(b->forward, s);
}
static void on_stream_closed(void *app, struct rn_quic_stream *s) {
  struct bench *b = app;
  if (of_client(s))
    rn_rpc_server_stream_closed(b->server, s);
  else
    rn_forward_stream_closed(b->forward, s);
}
static int director_sign(void *app, const struct rn_quic_sign_req *req) {
  return peer_sign(&((struct bench *)app)->director, req);
}

static const struct rn_quic_events director_events = {
  .conn_ready = on_ready,
  .conn_closed = on_closed,
  .streams_available = on_available,
  .stream_open = stream_open,
  .stream_data = on_data,
  .stream_reset = on_reset,
  .stream_stop = on_stop,
  .stream_writable = on_writable,
  .stream_closed = on_stream_closed,
  .sign = director_sign,
};

static struct rn_forward_route *route(void *ctx, enum rn_handler_kind kind, const char *name,
                                      size_t len) {
  (void)kind, (void)name;
  return len == 4 ? &((struct bench *)ctx)->route : NULL;
}
static int pick(void *ctx, const struct rn_forward_question *q, uint32_t *worker,
                struct rn_addr *addr) {
  (void)q;
  *worker = 0;
  *addr = ((struct bench *)ctx)->worker_addr;
  return RN_OK;
}
static void begun(void *ctx, uint32_t worker) { (void)ctx, (void)worker; }
static void ended(void *ctx, uint32_t worker, enum rn_forward_outcome how, uint64_t latency_ns) {
  (void)ctx, (void)worker, (void)how, (void)latency_ns;
}
static bool may_retry(void *ctx, struct rn_forward_route *r) { return (void)ctx, (void)r, true; }
static const struct rn_forward_ops ops = {
  .route = route, .pick = pick, .begun = begun, .ended = ended, .may_retry = may_retry
};

static int local(void *ctx, const struct rn_addr *peer, struct rn_addr *out) {
  (void)ctx, (void)peer;
  *out = (struct rn_addr){ .ip = { 127, 0, 0, 2 }, .port = 8080, .family = 4 };
  return RN_OK;
}

static void *part(struct bench *b, uint32_t i, size_t bytes) {
  b->mem[i] = aligned_alloc(64, bytes);
  if (bytes == 0 || b->mem[i] == NULL)
    abort();
  memset(b->mem[i], 0, bytes);
  return b->mem[i];
}

static void must(int err) {
  if (err != RN_OK) {
    fprintf(stderr, "%s\n", rn_err_text(err));
    exit(1);
  }
}

static void director_start(struct bench *b) {
  const struct rn_rpc_server_limits sl = { .calls = 4096, .body_bytes = 1u << 20, .methods = 16 };
  const struct rn_rpc_server_config sc = { .max_request_bytes = 1u << 20,
                                           .max_item_bytes = 1u << 20,
                                           .request_timeout_ns = 35000000000u };
  must(rn_rpc_server_init(part(b, 0, rn_rpc_server_footprint(&sl)), &sl, &sc, &b->server));
  const struct rn_pool_params pp = { .limits = { .conns = 8, .peers = 8 },
                                     .config = { .conns_per_peer = 1,
                                                 .waiters = 4096,
                                                 .dial_timeout_ns = 1000000000,
                                                 .idle_timeout_ns = 30000000000u,
                                                 .backoff_first_ns = 1000000000,
                                                 .backoff_most_ns = 1000000000 },
                                     .quic = b->director.q,
                                     .local = local };
  must(rn_pool_init(part(b, 1, rn_pool_footprint(&pp.limits)), &pp, &b->pool));
  const struct rn_forward_params fp = { .limits = { .calls = 4096, .buffers = 1024 },
                                        .config = { .replay_bytes = 65536 },
                                        .quic = b->director.q,
                                        .pool = b->pool,
                                        .ops = &ops,
                                        .ctx = b };
  must(rn_forward_init(part(b, 2, rn_forward_footprint(&fp.limits)), &fp, &b->forward));
  rn_rpc_server_divert(b->server, rn_forward_diversion(b->forward));
}

/* ---- turns ---- */

static void client_turn(struct bench *b) {
  uint64_t now = clock_ns();
  wire_receive(&b->to_client, b->client.q, now);
  while (b->conn != NULL && b->in_flight < b->outstanding) {
    struct rn_quic_stream *s;
    if (rn_quic_stream_open(b->conn, &s) != RN_OK)
      break;
    must(rn_quic_stream_write(s, b->request, sizeof(b->request), true));
    b->in_flight++;
  }
  wire_send(&b->to_director, b->client.q, now);
}

static void worker_turn(struct bench *b) {
  uint64_t now = clock_ns();
  wire_receive(&b->to_worker, b->worker.q, now);
  wire_send(&b->from_worker, b->worker.q, now);
}

/* What the director sends goes to whom it is for. */
static struct wire *open_wire;
static uint8_t *reserve(void *ctx, size_t cap) {
  struct bench *b = ctx;
  if (b->to_client.count == WIRE_QUEUE_MAX || b->to_worker.count == WIRE_QUEUE_MAX)
    return NULL;
  open_wire = &b->to_client;
  return wire_reserve(open_wire, cap);
}
static void commit(void *ctx, const struct rn_path *path, uint8_t ecn, size_t len) {
  struct bench *b = ctx;
  if (len > 0 && path->remote.ip[3] == 3) {
    memcpy(wire_reserve(&b->to_worker, len), wire_reserve(open_wire, len), len);
    open_wire = &b->to_worker;
  }
  wire_commit(open_wire, path, ecn, len);
}

static void director_turn(struct bench *b) {
  const struct rn_quic_sink sink = { .reserve = reserve, .commit = commit, .ctx = b };
  struct rn_quic *q = b->director.q;
  uint64_t now = clock_ns();
  b->director_rx += wire_receive(&b->to_director, q, now);
  b->director_rx += wire_receive(&b->from_worker, q, now);
  if (rn_pool_next_expiry(b->pool) <= now)
    rn_pool_timers(b->pool, now);
  if (rn_forward_next_expiry(b->forward) <= now)
    rn_forward_timers(b->forward, now);
  if (rn_rpc_server_next_expiry(b->server) <= now)
    rn_rpc_server_timers(b->server, now);
  rn_quic_tx(q, now, &sink);
  b->director_ns += clock_ns() - now;
}

static void turns(struct bench *b, uint64_t until_ns, uint64_t until_calls) {
  while (clock_ns() < until_ns && b->calls < until_calls) {
    client_turn(b);
    director_turn(b);
    worker_turn(b);
    director_turn(b);
  }
}

/* ---- runs ---- */

static void prepare(struct peer *p, const struct pki *pki, uint64_t seed,
                    const struct rn_quic_events *events, void *app) {
  peer_prepare(p, pki, seed);
  p->params.events = events;
  p->params.app = app;
  p->params.config.max_streams_bidi = 10000;
  p->params.config.conn_window = 16u << 20;
}

static struct bench *bench_new(const struct pki *pki, uint32_t outstanding, bool idempotent) {
  struct bench *b = aligned_alloc(64, (sizeof(*b) + 63) & ~(size_t)63);
  memset(b, 0, sizeof(*b));
  b->outstanding = outstanding;
  b->route = (struct rn_forward_route){ .tries = idempotent ? 3 : 1,
                                        .idempotent = idempotent,
                                        .timeout_ns = 30000000000u };
  rn_wire_request_head(b->request, 1, "echo", 4, PARAM_BYTES);
  prepare(&b->client, NULL, 1, &client_events, b);
  prepare(&b->director, pki, 2, &director_events, b);
  prepare(&b->worker, pki, 3, &worker_events, b);
  peer_start(&b->client, NULL, NULL);
  peer_start(&b->director, NULL, NULL);
  peer_start(&b->worker, NULL, NULL);
  wire_pair(&b->to_director, &b->to_client);
  b->worker_addr = (struct rn_addr){ .ip = { 127, 0, 0, 3 }, .port = 8080, .family = 4 };
  b->to_worker.seen_as =
      (struct rn_path){ .local = b->worker_addr, .remote = b->to_director.seen_as.local };
  b->from_worker.seen_as =
      (struct rn_path){ .local = b->to_director.seen_as.local, .remote = b->worker_addr };
  director_start(b);
  struct rn_quic_conn *c;
  must(rn_quic_connect(b->client.q, clock_ns(), &b->to_client.seen_as, "localhost", &c));
  return b;
}

static void bench_free(struct bench *b) {
  peer_stop(&b->client);
  peer_stop(&b->director);
  peer_stop(&b->worker);
  for (uint32_t i = 0; i < 3; i++)
    free(b->mem[i]);
  free(b);
}

struct options {
  double seconds;
  int rounds, count;
  bool idempotent;
  uint64_t calls;
  uint32_t outstanding[16];
};

static double run_once(const struct pki *pki, const struct options *o, uint32_t outstanding,
                       double *per_dgram) {
  struct bench *b = bench_new(pki, outstanding, o->idempotent);
  turns(b, clock_ns() + 300000000u, o->calls != 0 ? 1 : UINT64_MAX); /* warm up */
  b->calls = b->director_ns = b->director_rx = 0;
  turns(b, o->calls != 0 ? UINT64_MAX : clock_ns() + (uint64_t)(o->seconds * 1e9),
        o->calls != 0 ? o->calls : UINT64_MAX);
  double ns = (double)b->director_ns / (double)b->calls;
  *per_dgram = (double)b->calls / (double)b->director_rx;
  bench_free(b);
  return ns;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct options *o = state->input;
  switch (key) {
  case 's':
    o->seconds = atof(arg);
    break;
  case 'r':
    o->rounds = atoi(arg);
    break;
  case 'i':
    o->idempotent = true;
    break;
  case 'c':
    o->calls = strtoull(arg, NULL, 10);
    o->rounds = 1;
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
    { "idempotent", 'i', NULL, 0, "calls that may be made again: the request is kept", 0 },
    { "calls", 'c', "N", 0, "one round of N calls", 0 },
    { 0 },
  };
  static const struct argp argp = {
    opts, parse, "[OUTSTANDING...]", "Director's time per forwarded call, in memory.", NULL,
    NULL, NULL
  };
  struct options o = { .seconds = 1, .rounds = 5 };
  argp_parse(&argp, argc, argv, 0, NULL, &o);
  if (o.count == 0) {
    static const uint32_t usual[] = { 1, 16, 64, 256 };
    o.count = 4;
    memcpy(o.outstanding, usual, sizeof(usual));
  }
  struct pki *pki = pki_new(PKI_P256);
  printf("%12s %12s %12s %12s %14s\n", "outstanding", "ns/call", "min", "max", "calls/datagram");
  for (int i = 0; i < o.count; i++) {
    double ns[ROUNDS_MAX], per_dgram = 0;
    for (int r = 0; r < o.rounds; r++)
      ns[r] = run_once(pki, &o, o.outstanding[i], &per_dgram);
    qsort(ns, (size_t)o.rounds, sizeof(ns[0]), by_value);
    printf("%12u %12.1f %12.1f %12.1f %14.1f\n", o.outstanding[i], ns[o.rounds / 2], ns[0],
           ns[o.rounds - 1], per_dgram);
    fflush(stdout);
  }
  pki_free(pki);
  return 0;
}
