/* bench/guard/script.c: fixed work for bench/guard/run to count the instructions of. A client and a server in one thread, over memory; the clock is a
 * counter and the seeds are constants, so that a run repeats. What OpenSSL draws by itself (key shares, signatures) is the only thing that varies.
 *
 *   script NAME SIDE        prints how many calls, items or handshakes were counted
 *
 * Only what runs within guard_counted is counted, which is the endpoint and the RPC layer of SIDE after a warm-up. Signing is not: another process
 * does it in a node. */
#include "bench/wire.h"
#include "dataplane/serve/builtin.h"
#include "harness/peer.h"
#include "rpc/client.h"
#include "rpc/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_BYTES 32
#define TURN_NS    UINT64_C(10000)
#define MS         UINT64_C(1000000)

struct world {
  struct peer client, server;
  struct wire to_server, to_client;
  struct rn_rpc_server *rpc_server;
  struct rn_rpc_client *rpc_client;
  struct rn_builtin_info info;
  struct rn_quic_conn *conn;
  struct rn_rpc_client_call *stream;
  uint64_t now_ns, done;
  uint32_t outstanding, in_flight;
  bool counting, count_server;
};

static void fail(const char *what) {
  fprintf(stderr, "script: %s\n", what);
  exit(1);
}

static void must(int err, const char *what) {
  if (err != RN_OK)
    fail(what);
}

static void *zeroed(size_t bytes) {
  void *p = bytes > 0 ? aligned_alloc(64, bytes) : NULL;
  if (p == NULL)
    fail("no memory");
  return memset(p, 0, bytes);
}

/* ---- calls ---- */

static const uint8_t payload[CALL_BYTES] = { 1, 2, 3 };

static void call_done(void *user, struct rn_rpc_client_call *call, const struct rn_rpc_result *r) {
  struct world *w = user;
  (void)call;
  if (r->err != RN_OK || r->len != CALL_BYTES)
    fail(r->text);
  w->done++;
  w->in_flight--;
}

static void stream_item(void *user, struct rn_rpc_client_call *call, const uint8_t *data,
                        size_t len) {
  struct world *w = user;
  (void)call, (void)data;
  if (len != CALL_BYTES)
    fail("an item of another length");
  w->done++;
  w->in_flight--;
}

static void stream_done(void *user, struct rn_rpc_client_call *call,
                        const struct rn_rpc_result *r) {
  (void)user, (void)call;
  fail(r->err == RN_OK ? "the stream ended" : r->text);
}

static void top_up_calls(struct world *w) {
  for (; w->in_flight < w->outstanding; w->in_flight++)
    must(rn_rpc_client_call(w->rpc_client, w->conn, "echo", payload, sizeof(payload), 30000 * MS,
                            call_done, w, NULL),
         "a call was refused");
}

static void top_up_stream(struct world *w) {
  static const struct rn_rpc_stream_events events = { .item = stream_item, .done = stream_done };
  if (w->stream == NULL)
    must(rn_rpc_client_stream(w->rpc_client, w->conn, "echo_stream", 30000 * MS, &events, w,
                              &w->stream),
         "the stream was refused");
  for (; w->in_flight < w->outstanding; w->in_flight++) {
    if (rn_rpc_client_send(w->stream, payload, sizeof(payload)) != RN_OK)
      break;
  }
}

/* ---- stream events to the RPC layer ---- */

static void conn_ready(void *app, struct rn_quic_conn *c) { ((struct world *)app)->conn = c; }

static void conn_gone(void *app, struct rn_quic_conn *c, const struct rn_quic_close *why) {
  (void)c;
  if (why->kind != RN_QUIC_CLOSE_LOCAL || why->code != 0)
    fail("the connection was lost");
  ((struct world *)app)->done++;
}

static void server_ready(void *app, struct rn_quic_conn *c) { (void)app, (void)c; }
static void server_gone(void *app, struct rn_quic_conn *c, const struct rn_quic_close *why) {
  (void)app, (void)c, (void)why;
}

static int client_open(void *app, struct rn_quic_stream *s) {
  return (void)app, (void)s, RN_ERR_REFUSED;
}
static void client_data(void *app, struct rn_quic_stream *s, const uint8_t *d, size_t n, bool fin) {
  rn_rpc_client_stream_data(((struct world *)app)->rpc_client, s, d, n, fin);
}
static void client_reset(void *app, struct rn_quic_stream *s, uint64_t code) {
  (void)code;
  rn_rpc_client_stream_reset(((struct world *)app)->rpc_client, s);
}
static void client_stop(void *app, struct rn_quic_stream *s) { (void)app, (void)s; }
static void client_writable(void *app, struct rn_quic_stream *s) {
  rn_rpc_client_stream_writable(((struct world *)app)->rpc_client, s);
}
static void client_closed(void *app, struct rn_quic_stream *s) {
  rn_rpc_client_stream_closed(((struct world *)app)->rpc_client, s);
}

static int server_open(void *app, struct rn_quic_stream *s) {
  return rn_rpc_server_stream_open(((struct world *)app)->rpc_server, s);
}
static void server_data(void *app, struct rn_quic_stream *s, const uint8_t *d, size_t n, bool fin) {
  rn_rpc_server_stream_data(((struct world *)app)->rpc_server, s, d, n, fin);
}
static void server_reset(void *app, struct rn_quic_stream *s, uint64_t code) {
  (void)code;
  rn_rpc_server_stream_reset(((struct world *)app)->rpc_server, s);
}
static void server_stop(void *app, struct rn_quic_stream *s) {
  rn_rpc_server_stream_stop(((struct world *)app)->rpc_server, s);
}
static void server_writable(void *app, struct rn_quic_stream *s) {
  rn_rpc_server_stream_writable(((struct world *)app)->rpc_server, s);
}
static void server_closed(void *app, struct rn_quic_stream *s) {
  rn_rpc_server_stream_closed(((struct world *)app)->rpc_server, s);
}

/* The peer keeps the request; sign_pending answers it. */
static int server_sign(void *app, const struct rn_quic_sign_req *req) {
  struct peer *p = &((struct world *)app)->server;
  p->sign_job = req->job;
  p->sign_scheme = req->scheme;
  p->sign_tbs_bytes = req->tbs_bytes;
  memcpy(p->sign_tbs, req->tbs, req->tbs_bytes);
  return RN_OK;
}

static const struct rn_quic_events client_events = {
  .conn_ready = conn_ready,
  .conn_closed = conn_gone,
  .stream_open = client_open,
  .stream_data = client_data,
  .stream_reset = client_reset,
  .stream_stop = client_stop,
  .stream_writable = client_writable,
  .stream_closed = client_closed,
};
static const struct rn_quic_events server_events = {
  .conn_ready = server_ready,
  .conn_closed = server_gone,
  .stream_open = server_open,
  .stream_data = server_data,
  .stream_reset = server_reset,
  .stream_stop = server_stop,
  .stream_writable = server_writable,
  .stream_closed = server_closed,
  .sign = server_sign,
};

/* ---- turns ---- */

static void client_turn(struct world *w) {
  wire_receive(&w->to_client, w->client.q, w->now_ns);
  if (rn_rpc_client_next_expiry(w->rpc_client) <= w->now_ns)
    rn_rpc_client_timers(w->rpc_client, w->now_ns);
  wire_send(&w->to_server, w->client.q, w->now_ns);
}

static void server_turn(struct world *w) {
  wire_receive(&w->to_server, w->server.q, w->now_ns);
  if (rn_rpc_server_next_expiry(w->rpc_server) <= w->now_ns)
    rn_rpc_server_timers(w->rpc_server, w->now_ns);
  wire_send(&w->to_client, w->server.q, w->now_ns);
}

/* What bench/guard/run counts, by this name: never inlined, cloned or nested. */
#ifdef __clang__
#define GUARD_OPAQUE __attribute__((noinline)) /* clang has no noipa */
#else
#define GUARD_OPAQUE __attribute__((noipa))
#endif
GUARD_OPAQUE void guard_counted(void (*work)(struct world *), struct world *w);
void guard_counted(void (*work)(struct world *), struct world *w) { work(w); }

static void do_work(void (*work)(struct world *), struct world *w, bool of_server) {
  if (w->counting && w->count_server == of_server)
    guard_counted(work, w);
  else
    work(w);
}

static uint8_t signature[RN_QUIC_SIG_BYTES_MAX];
static size_t signature_bytes;

static void signed_turn(struct world *w) {
  rn_quic_sign_done(w->server.q, w->now_ns, w->server.sign_job, RN_OK, signature, signature_bytes);
  server_turn(w);
}

static void turn(struct world *w, void (*app)(struct world *)) {
  w->now_ns += TURN_NS;
  if (app != NULL)
    do_work(app, w, false);
  do_work(client_turn, w, false);
  do_work(server_turn, w, true);
  if (w->server.sign_tbs_bytes == 0)
    return;
  signature_bytes = pki_sign(w->server.pki, w->server.sign_scheme, w->server.sign_tbs,
                             w->server.sign_tbs_bytes, signature, sizeof(signature));
  w->server.sign_tbs_bytes = 0;
  do_work(signed_turn, w, true);
}

static void connect_one(struct world *w) {
  struct rn_quic_conn *c;
  must(rn_quic_connect(w->client.q, w->now_ns, &w->to_client.seen_as, "localhost", &c),
       "cannot connect");
}

static void close_one(struct world *w) { rn_quic_conn_close(w->conn, 0); }

/* ---- scripts ---- */

/* count of them, with as many ahead as w->outstanding says. */
static uint64_t run_calls(struct world *w, void (*app)(struct world *), uint64_t warmup,
                          uint64_t count) {
  connect_one(w);
  while (w->conn == NULL)
    turn(w, NULL);
  while (w->done < warmup)
    turn(w, app);
  uint64_t before = w->done;
  w->counting = true;
  while (w->done < before + count)
    turn(w, app);
  return w->done - before;
}

/* From the first Initial to what the server sends when the connection is closed again. */
static uint64_t run_handshakes(struct world *w, uint64_t warmup, uint64_t count) {
  for (uint64_t i = 0; i < warmup + count; i++) {
    w->counting = i >= warmup;
    w->conn = NULL;
    do_work(connect_one, w, false);
    while (w->conn == NULL)
      turn(w, NULL);
    for (int k = 0; k < 10; k++)
      turn(w, NULL);
    do_work(close_one, w, false);
    while (w->done == i)
      turn(w, NULL);
    turn(w, NULL);
  }
  return count;
}

static struct world *world_new(const struct pki *pki) {
  struct world *w = zeroed((sizeof(*w) + 63) & ~(size_t)63);
  w->now_ns = 1000 * MS;
  peer_prepare(&w->server, pki, 1);
  peer_prepare(&w->client, NULL, 2);
  w->server.params.events = &server_events;
  w->client.params.events = &client_events;
  w->server.params.app = w->client.params.app = w;
  w->server.params.config.max_streams_bidi = 10000;
  w->server.params.config.conn_window = w->client.params.config.conn_window = 16u << 20;
  peer_start(&w->server, NULL, NULL);
  peer_start(&w->client, pki, NULL);
  wire_pair(&w->to_server, &w->to_client);

  const struct rn_rpc_server_limits sl = { .calls = 1024, .body_bytes = 1u << 20, .methods = 64 };
  const struct rn_rpc_server_config sc = { .max_request_bytes = 1u << 20,
                                           .max_item_bytes = 1u << 20,
                                           .request_timeout_ns = 30000 * MS };
  must(rn_rpc_server_init(zeroed(rn_rpc_server_footprint(&sl)), &sl, &sc, &w->rpc_server),
       "server");
  w->info = (struct rn_builtin_info){ .version = "1", .healthy = true, .ready = true };
  must(rn_builtin_add(w->rpc_server, &w->info), "methods");
  const struct rn_rpc_client_limits cl = { .calls = 1024, .body_bytes = 1u << 20 };
  must(rn_rpc_client_init(zeroed(rn_rpc_client_footprint(&cl)), &cl, 1u << 20, &w->rpc_client),
       "client");
  return w;
}

int main(int argc, char **argv) {
  if (argc != 3 || (strcmp(argv[2], "server") != 0 && strcmp(argv[2], "client") != 0)) {
    fprintf(stderr, "usage: script unary_1|unary_64|stream_256|handshake server|client\n");
    return 2;
  }
  struct world *w = world_new(pki_new(PKI_P256)); /* the system takes it all back */
  w->count_server = argv[2][0] == 's';
  uint64_t counted = 0;
  if (strcmp(argv[1], "unary_1") == 0)
    w->outstanding = 1, counted = run_calls(w, top_up_calls, 500, 2000);
  else if (strcmp(argv[1], "unary_64") == 0)
    w->outstanding = 64, counted = run_calls(w, top_up_calls, 6400, 12800);
  else if (strcmp(argv[1], "stream_256") == 0)
    w->outstanding = 256, counted = run_calls(w, top_up_stream, 25600, 51200);
  else if (strcmp(argv[1], "handshake") == 0)
    counted = run_handshakes(w, 4, 40);
  else
    fail("no such script");
  printf("%" PRIu64 "\n", counted);
  return 0;
}
