/* tests/unit/rpc/forward_world.h: a client, a director and three workers with the built-in methods, on simulated links, or as many as WORKERS says at most and
 * world_workers at a time. For one test program each. */
#pragma once
#include "rn_test.h"

#include "harness/director.h"
#include "harness/rpc_peer.h"
#include "util/err.h"
#include "wire/rpc.h"

#define MS UINT64_C(1000000)
#ifndef WORKERS
#define WORKERS 3
#endif

struct outcome {
  int done, err;
  char text[256];
  uint8_t *data; /* the result, or all items one after the other */
  size_t len, items;
};

struct world {
  struct net *net;
  struct pki *pki;
  struct rn_quic_tls *accept, *dial;
  struct rpc_peer client, workers[WORKERS];
  struct director dir;
  struct rn_quic_conn *conn; /* the client's */
};

static struct world *w;
static unsigned int world_workers = 3;

static struct rn_addr addr(unsigned int last, uint16_t port) {
  return (struct rn_addr){ .family = 4, .ip = { 10, 0, 0, (uint8_t)last }, .port = port };
}

static void run_ms(uint64_t ms) { net_run(w->net, net_now(w->net) + ms * MS, NULL, NULL); }

static const struct rn_forward_stats *stats(void) { return rn_forward_stats(w->dir.forward); }
static const struct rn_rpc_stats *worker_stats(unsigned int i) {
  return rn_rpc_server_stats(w->workers[i].server);
}

/* ---- life ---- */

static void world_prepare(void) {
  w = calloc(1, sizeof(*w));
  w->net = net_new(7);
  w->pki = pki_new(PKI_P256);
  w->accept = peer_tls(w->pki, NULL, NULL);
  w->dial = peer_tls(NULL, w->pki, NULL);
  rpc_peer_prepare(&w->client, NULL, 1);
  w->client.client_limits.body_bytes = 32u << 20;
  director_prepare(&w->dir, w->pki, 2);
  w->dir.routes[0] = (struct director_route){ "", { .tries = 3, .timeout_ns = 5000 * MS } };
  for (unsigned int i = 0; i < world_workers; i++) {
    rpc_peer_prepare(&w->workers[i], w->pki, 10 + i);
    w->dir.workers[i] = (struct director_worker){ .addr = addr(11 + i, 8080), .there = i == 0 };
  }
}

/* Every pair is 2 ms apart. */
static void world_start(void) {
  const struct rn_addr client_at = addr(1, 4000), director_at = addr(2, 8080);
  rpc_peer_start(&w->client, w->dial, w->net, &client_at);
  director_start(&w->dir, w->accept, w->dial, w->net, &director_at);
  w->client.host->link.delay_ns = w->dir.host->link.delay_ns = 2 * MS;
  for (unsigned int i = 0; i < world_workers; i++) {
    const struct rn_addr at = addr(11 + i, 8080);
    rpc_peer_start(&w->workers[i], w->accept, w->net, &at);
    w->workers[i].host->link.delay_ns = 2 * MS;
  }
  const struct rn_path path = { .local = client_at, .remote = director_at };
  assert_int_equal(rn_quic_connect(w->client.base.q, net_now(w->net), &path, "localhost", &w->conn),
                   RN_OK);
  run_ms(50);
  assert_int_equal(w->client.base.ready, 1);
}

static void world_free(void) {
  rpc_peer_stop(&w->client);
  director_stop(&w->dir);
  for (unsigned int i = 0; i < world_workers; i++)
    rpc_peer_stop(&w->workers[i]);
  net_free(w->net);
  rn_quic_tls_free(w->accept);
  rn_quic_tls_free(w->dial);
  pki_free(w->pki);
  free(w);
}

static bool all_gone(void *arg) {
  (void)arg;
  uint64_t n = rn_quic_stats(w->client.base.q)->conns + rn_quic_stats(w->dir.base.q)->conns;
  for (unsigned int i = 0; i < world_workers; i++)
    n += rn_quic_stats(w->workers[i].base.q)->conns;
  return n == 0;
}

/* Nothing may be left over by a test: no call, and when the connections are closed nothing at all. */
static int teardown(void **state) {
  (void)state;
  for (unsigned int i = 0; i < world_workers; i++)
    w->workers[i].host->link.holes[0] = (struct net_hole){ 0, 0 };
  run_ms(1000);
  bool ok = director_is_quiet(&w->dir);
  uint64_t streams = rn_quic_stats(w->dir.base.q)->streams;
  if (streams != 0)
    fprintf(stderr, "left over: %d streams of the director\n", (int)streams);
  rn_quic_close_all(w->client.base.q, net_now(w->net), 0);
  rn_quic_close_all(w->dir.base.q, net_now(w->net), 0);
  bool gone = net_run(w->net, net_now(w->net) + 60000 * MS, all_gone, NULL);
  ok &= gone && streams == 0 && director_is_clean(&w->dir) && rpc_peer_is_clean(&w->client);
  for (unsigned int i = 0; i < world_workers; i++)
    ok &= rpc_peer_is_clean(&w->workers[i]);
  if (!ok)
    net_transcript(w->net);
  world_free();
  return ok ? 0 : -1;
}

/* ---- calls ---- */

static void keep(struct outcome *o, const void *data, size_t len) {
  o->data = realloc(o->data, o->len + len + 1);
  memcpy(o->data + o->len, data, len);
  o->len += len;
}

static void on_done(void *user, struct rn_rpc_client_call *call, const struct rn_rpc_result *r) {
  struct outcome *o = user;
  (void)call;
  o->done++;
  o->err = r->err;
  memcpy(o->text, r->text, sizeof(o->text));
  if (r->len > 0)
    keep(o, r->data, r->len);
}

static void on_item(void *user, struct rn_rpc_client_call *call, const uint8_t *data, size_t len) {
  struct outcome *o = user;
  (void)call;
  o->items++;
  keep(o, data, len);
}

static struct rn_rpc_client_call *call(struct outcome *o, const char *method, const void *params,
                                       size_t len) {
  struct rn_rpc_client_call *c;
  assert_int_equal(rn_rpc_client_call(w->client.client, w->conn, method, params, len, 60000 * MS,
                                      on_done, o, &c),
                   RN_OK);
  return c;
}

static struct rn_rpc_client_call *stream(struct outcome *o, const char *method) {
  static const struct rn_rpc_stream_events ev = { .item = on_item, .done = on_done };
  struct rn_rpc_client_call *c;
  assert_int_equal(rn_rpc_client_stream(w->client.client, w->conn, method, 60000 * MS, &ev, o, &c),
                   RN_OK);
  return c;
}

static void forget(struct outcome *o) {
  free(o->data);
  *o = (struct outcome){ 0 };
}

/* A call and its answer, which has to be the params. */
static void echoes(const void *data, size_t len) {
  struct outcome o = { 0 };
  call(&o, "binary_echo", data, len);
  run_ms(400);
  assert_int_equal(o.done, 1);
  assert_string_equal(o.text, "");
  assert_int_equal(o.len, len);
  if (len > 0)
    assert_memory_equal(o.data, data, len);
  forget(&o);
}
