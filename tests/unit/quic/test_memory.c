/* What connections cost of OpenSSL's memory: little once their handshake is confirmed, and nothing when they are gone. A program of its own, for
 * OpenSSL takes its allocator only before it first allocates. */
#include "rn_test.h"

#include <openssl/crypto.h>

#include "harness/peer.h"

#define MS    UINT64_C(1000000)
#define CONNS 32

static size_t in_use;

/* The size stands before each block. */
#define HEAD 16

static void *track(void *raw, size_t bytes) {
  if (raw == NULL)
    return NULL;
  memcpy(raw, &bytes, sizeof(bytes));
  in_use += bytes;
  return (char *)raw + HEAD;
}

static void *untrack(void *p) {
  size_t bytes;
  void *raw = (char *)p - HEAD;
  memcpy(&bytes, raw, sizeof(bytes));
  in_use -= bytes;
  return raw;
}

static void *count_malloc(size_t bytes, const char *file, int line) {
  (void)file, (void)line;
  return track(malloc(bytes + HEAD), bytes);
}

static void count_free(void *p, const char *file, int line) {
  (void)file, (void)line;
  if (p != NULL)
    free(untrack(p));
}

static void *count_realloc(void *p, size_t bytes, const char *file, int line) {
  if (p == NULL)
    return count_malloc(bytes, file, line);
  if (bytes == 0) {
    count_free(p, file, line);
    return NULL;
  }
  return track(realloc(untrack(p), bytes + HEAD), bytes);
}

struct world {
  struct net *net;
  struct pki *pki;
  struct peer server, client;
  struct net_host *client_host, *server_host;
  struct rn_path path;
};

static bool all_ready(void *arg) {
  const struct world *w = arg;
  return w->client.ready == CONNS && w->server.ready == CONNS;
}

static bool all_gone(void *arg) {
  const struct world *w = arg;
  return rn_quic_stats(w->server.q)->conns == 0 && rn_quic_stats(w->client.q)->conns == 0;
}

static void begin(struct world *w, bool server_tickets) {
  const struct rn_quic_tls_config cfg = { .session_tickets = server_tickets };
  *w = (struct world){ .net = net_new(1), .pki = pki_new(PKI_P256) };
  peer_prepare(&w->server, w->pki, 41);
  peer_prepare(&w->client, NULL, 42);
  w->server.echo = true;
  w->server.params.config.idle_timeout_ns = w->client.params.config.idle_timeout_ns = 0;
  peer_start(&w->server, NULL, &cfg);
  peer_start(&w->client, w->pki, NULL);
  w->path = (struct rn_path){ .local = { .family = 4, .ip = { 10, 0, 0, 1 }, .port = 4000 },
                              .remote = { .family = 4, .ip = { 10, 0, 0, 2 }, .port = 8080 } };
  w->client_host = net_add(w->net, w->client.q, &w->path.local);
  w->server_host = net_add(w->net, w->server.q, &w->path.remote);
  w->client_host->link.delay_ns = w->server_host->link.delay_ns = MS;
}

static void end(struct world *w) {
  peer_stop(&w->client);
  peer_stop(&w->server);
  net_free(w->net);
  pki_free(w->pki);
}

static bool run_ms(struct world *w, uint64_t ms, bool (*done)(void *)) {
  return net_run(w->net, net_now(w->net) + ms * MS, done, w);
}

static void dial(struct world *w, uint32_t count, bool (*done)(void *)) {
  for (uint32_t i = 0; i < count; i++) {
    struct rn_quic_conn *c;
    assert_int_equal(rn_quic_connect(w->client.q, net_now(w->net), &w->path, "localhost", &c),
                     RN_OK);
    w->path.local.port++;
    run_ms(w, 20, NULL);
  }
  assert_true(run_ms(w, 2000, done));
}

static bool one_ready(void *arg) {
  const struct world *w = arg;
  return w->client.ready == 1 && w->server.ready == 1;
}

static void call(struct world *w) {
  struct rn_quic_stream *s;
  uint64_t before = w->client.bytes;
  assert_int_equal(rn_quic_stream_open(w->client.conn, &s), RN_OK);
  assert_int_equal(rn_quic_stream_write(s, "update", 6, true), RN_OK);
  run_ms(w, 1000, NULL);
  assert_int_equal(w->client.bytes, before + 6);
}

/* The call before has the next keys made. */
static void update(struct world *w, struct rn_quic_conn *c) {
  call(w);
  assert_int_equal(rn_quic_conn_update_keys(c, net_now(w->net)), RN_OK);
  call(w);
}

static void idle_connections_hold_little(bool server_tickets) {
  struct world w;
  begin(&w, server_tickets);
  /* What OpenSSL sets up once, at the first handshake, is no connection's. */
  dial(&w, 1, one_ready);
  rn_quic_close_all(w.client.q, net_now(w.net), 0);
  assert_true(run_ms(&w, 20000, all_gone));
  w.client.ready = w.server.ready = 0;
  size_t before = in_use;
  dial(&w, CONNS, all_ready);
  run_ms(&w, 2000, NULL); /* confirmed, and what came with it read */
  size_t each = (in_use - before) / (2 * CONNS);
  print_message("OpenSSL: %zu bytes at each end of an idle connection; QUIC heap: %llu bytes\n",
                each, (unsigned long long)(rn_quic_stats(w.server.q)->heap_bytes / CONNS));
  assert_in_range(each, 0, 256);
  /* Keys are updated without TLS, by either end, more than once. */
  for (int i = 0; i < 3; i++) {
    update(&w, w.client.conn);
    update(&w, w.server.conn);
  }
  assert_int_equal(w.client.closed + w.server.closed, 2); /* the first one */
  rn_quic_close_all(w.client.q, net_now(w.net), 0);
  assert_true(run_ms(&w, 20000, all_gone));
  assert_int_equal(in_use, before);
  end(&w);
}

static void without_tickets(void **state) {
  (void)state;
  idle_connections_hold_little(false);
}

/* The client did not ask for tickets and gets some: it reads past them. */
static void with_the_servers_tickets(void **state) {
  (void)state;
  idle_connections_hold_little(true);
}

int main(void) {
  if (CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free) != 1)
    return 1;
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(without_tickets),
    cmocka_unit_test(with_the_servers_tickets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
