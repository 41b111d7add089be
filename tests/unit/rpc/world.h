/* tests/unit/rpc/world.h: two endpoints on a simulated link, the RPC server with the built-in methods on one, our client role on the other. For one test program. */
#pragma once
#include "rn_test.h"

#include "dataplane/serve/builtin.h"
#include "harness/peer.h"
#include "rpc/client.h"
#include "rpc/server.h"
#include "wire/rpc.h"

#define MS        UINT64_C(1000000)
#define ITEMS_MAX 1200

struct outcome {
  int done, err;
  uint64_t id;
  char text[256];
  uint8_t *data; /* result, or all items one after the other */
  size_t len, items;
  size_t item_lens[ITEMS_MAX];
  uint64_t item_at_ns[ITEMS_MAX];
};

struct world {
  struct net *net;
  struct pki *pki;
  struct peer server, client;
  struct rn_rpc_server *rpc_server;
  struct rn_rpc_client *rpc_client;
  void *server_mem, *client_mem;
  struct rn_builtin_info info;
  struct net_host *server_host, *client_host;
};

static struct world *w;
static enum rn_quic_cc client_cc; /* for setup_with */

/* ---- glue: stream events to the RPC layer ---- */

static void server_data(void *app, struct rn_quic_stream *s, const uint8_t *d, size_t n, bool fin) {
  (void)app;
  rn_rpc_server_stream_data(w->rpc_server, s, d, n, fin);
}
static int server_open(void *app, struct rn_quic_stream *s) {
  return (void)app, rn_rpc_server_stream_open(w->rpc_server, s);
}
static void server_reset(void *app, struct rn_quic_stream *s, uint64_t code) {
  (void)app, (void)code;
  rn_rpc_server_stream_reset(w->rpc_server, s);
}
static void server_stop(void *app, struct rn_quic_stream *s) {
  (void)app, rn_rpc_server_stream_stop(w->rpc_server, s);
}
static void server_writable(void *app, struct rn_quic_stream *s) {
  (void)app, rn_rpc_server_stream_writable(w->rpc_server, s);
}
static void server_closed(void *app, struct rn_quic_stream *s) {
  (void)app, rn_rpc_server_stream_closed(w->rpc_server, s);
}
static void client_data(void *app, struct rn_quic_stream *s, const uint8_t *d, size_t n, bool fin) {
  (void)app;
  rn_rpc_client_stream_data(w->rpc_client, s, d, n, fin);
}
static int client_open(void *app, struct rn_quic_stream *s) {
  return (void)app, (void)s, RN_ERR_REFUSED;
}
static void client_reset(void *app, struct rn_quic_stream *s, uint64_t code) {
  (void)app, (void)code;
  rn_rpc_client_stream_reset(w->rpc_client, s);
}
static void client_stop(void *app, struct rn_quic_stream *s) { (void)app, (void)s; }
static void client_writable(void *app, struct rn_quic_stream *s) {
  (void)app, rn_rpc_client_stream_writable(w->rpc_client, s);
}
static void client_closed(void *app, struct rn_quic_stream *s) {
  (void)app, rn_rpc_client_stream_closed(w->rpc_client, s);
}

static struct rn_quic_events server_events, client_events;

static void drive_rpc(struct world *world) {
  rn_rpc_server_timers(world->rpc_server, net_now(world->net));
  rn_rpc_client_timers(world->rpc_client, net_now(world->net));
  assert_int_equal(rn_rpc_server_check(world->rpc_server), RN_OK);
}

/* Runs for ms in steps of 1 ms, so that the RPC layer's timers fire as well. */
static void run_ms(uint64_t ms) {
  for (uint64_t i = 0; i < ms; i++) {
    net_run(w->net, net_now(w->net) + MS, NULL, NULL);
    drive_rpc(w);
  }
}

static void *zeroed(size_t n) {
  void *p = aligned_alloc(64, n);
  assert_non_null(p);
  memset(p, 0, n);
  return p;
}

/* What the server has of send buffers of either size and of calls; 0: plenty. */
static int setup_with(uint32_t server_segs, uint32_t calls) {
  w = calloc(1, sizeof(*w));
  w->net = net_new(3);
  w->pki = pki_new(PKI_P256);
  peer_prepare(&w->server, w->pki, 1);
  peer_prepare(&w->client, NULL, 2);
  w->server.params.config.stream_window = w->client.params.config.stream_window = 8u << 20;
  w->server.params.config.conn_window = w->client.params.config.conn_window = 16u << 20;
  w->server.params.config.max_streams_bidi = 10000;
  w->client.params.limits.bulk_segs = w->server.params.limits.bulk_segs = 8192;
  w->client.params.config.cc = client_cc;
  if (server_segs != 0)
    w->server.params.limits.segs = w->server.params.limits.bulk_segs = server_segs;
  if (calls != 0)
    w->server.params.limits.conns = 32;
  server_events = *w->server.params.events;
  server_events.stream_open = server_open, server_events.stream_data = server_data,
  server_events.stream_reset = server_reset;
  server_events.stream_stop = server_stop, server_events.stream_writable = server_writable;
  server_events.stream_closed = server_closed;
  client_events = *w->client.params.events;
  client_events.stream_open = client_open, client_events.stream_data = client_data,
  client_events.stream_reset = client_reset;
  client_events.stream_stop = client_stop, client_events.stream_writable = client_writable;
  client_events.stream_closed = client_closed;
  w->server.params.events = &server_events;
  w->client.params.events = &client_events;
  peer_start(&w->server, NULL, NULL);
  peer_start(&w->client, w->pki, NULL);

  const struct rn_rpc_server_limits sl = { .calls = calls != 0 ? calls : 12000,
                                           .body_bytes = 64u << 20,
                                           .methods = 64 };
  const struct rn_rpc_server_config sc = { .max_request_bytes = 16u << 20,
                                           .max_item_bytes = 8u << 20,
                                           .request_timeout_ns = 30000 * MS };
  w->server_mem = zeroed(rn_rpc_server_footprint(&sl));
  assert_int_equal(rn_rpc_server_init(w->server_mem, &sl, &sc, &w->rpc_server), RN_OK);
  w->info = (struct rn_builtin_info){
    .version = "1.2.3", .healthy = true, .ready = true, .workers_available = 4, .cluster_size = 5
  };
  assert_int_equal(rn_builtin_add(w->rpc_server, &w->info), RN_OK);
  const struct rn_rpc_client_limits cl = { .calls = 12000, .body_bytes = 64u << 20 };
  w->client_mem = zeroed(rn_rpc_client_footprint(&cl));
  assert_int_equal(rn_rpc_client_init(w->client_mem, &cl, 16u << 20, &w->rpc_client), RN_OK);

  const struct rn_path path = { .local = { .ip = { 10, 0, 0, 1 }, .port = 4000, .family = 4 },
                                .remote = { .ip = { 10, 0, 0, 2 }, .port = 8080, .family = 4 } };
  w->client_host = net_add(w->net, w->client.q, &path.local);
  w->server_host = net_add(w->net, w->server.q, &path.remote);
  struct rn_quic_conn *c;
  assert_int_equal(rn_quic_connect(w->client.q, net_now(w->net), &path, "localhost", &c), RN_OK);
  run_ms(20);
  assert_int_equal(w->client.ready, 1);
  return 0;
}

static int setup(void **state) {
  (void)state;
  return setup_with(0, 0);
}

static int teardown(void **state) {
  (void)state;
  const struct rn_rpc_stats *st = rn_rpc_server_stats(w->rpc_server);
  int left = (int)st->calls + (int)st->body_bytes + (int)rn_rpc_client_calls(w->rpc_client);
  peer_stop(&w->client);
  peer_stop(&w->server);
  net_free(w->net);
  pki_free(w->pki);
  free(w->server_mem);
  free(w->client_mem);
  free(w);
  return left; /* nothing may be left over by a test */
}
