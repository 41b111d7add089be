/* tests/unit/quic/endpoint_world.h: two endpoints on a simulated link, a server that echoes and a client, for tests of what happens between them. Each program
 * that includes it has its own; what one does not use, it leaves. */
#pragma once
#include "harness/peer.h"

#define MS UINT64_C(1000000)

struct world {
  struct net *net;
  struct pki *pki;
  struct peer server, client;
  struct net_host *server_host, *client_host;
  struct rn_path path; /* as the client sees it */
};

static inline struct rn_addr addr(uint8_t last, uint16_t port) {
  return (struct rn_addr){ .family = 4, .ip = { 10, 0, 0, last }, .port = port };
}

static inline void world_prepare(struct world *w, enum pki_type type) {
  *w = (struct world){ .net = net_new(1), .pki = pki_new(type) };
  peer_prepare(&w->server, w->pki, 11);
  peer_prepare(&w->client, NULL, 12);
  w->server.echo = true;
  w->path = (struct rn_path){ .local = addr(1, 40000), .remote = addr(2, 8080) };
}

static inline void world_start(struct world *w) {
  peer_start(&w->server, NULL, NULL);
  peer_start(&w->client, w->pki, NULL);
  w->client_host = net_add(w->net, w->client.q, &w->path.local);
  w->server_host = net_add(w->net, w->server.q, &w->path.remote);
  w->client_host->link.delay_ns = w->server_host->link.delay_ns = 5 * MS;
}

static inline void world_end(struct world *w) {
  peer_stop(&w->client);
  peer_stop(&w->server);
  net_free(w->net);
  pki_free(w->pki);
}

static inline bool both_ready(void *arg) {
  struct world *w = arg;
  return w->client.ready == 1 && w->server.ready == 1;
}

static inline bool client_closed(void *arg) { return ((struct world *)arg)->client.closed == 1; }
static inline bool both_closed(void *arg) {
  struct world *w = arg;
  return w->client.closed == 1 && w->server.closed == 1;
}

static inline bool run_ms(struct world *w, uint64_t ms, bool (*done)(void *)) {
  return net_run(w->net, net_now(w->net) + ms * MS, done, w);
}

static inline void connect_world(struct world *w) {
  struct rn_quic_conn *c;
  assert_int_equal(rn_quic_connect(w->client.q, net_now(w->net), &w->path, "localhost", &c), RN_OK);
  assert_true(run_ms(w, 5000, both_ready));
}

static inline void begin(struct world *w) {
  world_prepare(w, PKI_P256);
  world_start(w);
  connect_world(w);
}

static inline void call(struct world *w, const void *data, size_t len) {
  struct rn_quic_stream *s;
  assert_int_equal(rn_quic_stream_open(w->client.conn, &s), RN_OK);
  assert_int_equal(rn_quic_stream_write(s, data, len, true), RN_OK);
}
