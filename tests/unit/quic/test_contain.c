/* A failed check of ngtcp2 ends one connection; the endpoint and its other connections go on. What fails here is a check of our own with
 * the name of one of ngtcp2's files, in a place where ngtcp2 is on the stack. */
#include "rn_test.h"

#include <assert.h>

#include "harness/peer.h"

#define MS UINT64_C(1000000)

static const char bomb[] = "bomb";
static bool armed; /* the next datagram that is written goes off */

static void fail_as_ngtcp2(void) {
  __assert_fail("test", "../lib/ngtcp2_conn.c", 1, "ngtcp2_conn_test");
}

static const struct rn_quic_events *plain;

static void on_data(void *app, struct rn_quic_stream *s, const uint8_t *data, size_t len,
                    bool fin) {
  if (len == sizeof(bomb) && memcmp(data, bomb, len) == 0)
    fail_as_ngtcp2();
  plain->stream_data(app, s, data, len, fin);
}

struct world {
  struct net *net;
  struct pki *pki;
  struct peer server, clients[2];
  struct rn_quic_events events;
};

static struct rn_addr addr(uint8_t last, uint16_t port) {
  return (struct rn_addr){ .family = 4, .ip = { 10, 0, 0, last }, .port = port };
}

static bool all_ready(void *arg) { return ((struct world *)arg)->server.ready == 2; }

static void begin(struct world *w) {
  *w = (struct world){ .net = net_new(3), .pki = pki_new(PKI_P256) };
  peer_prepare(&w->server, w->pki, 1);
  plain = w->server.params.events;
  w->events = *plain;
  w->events.stream_data = on_data;
  w->server.params.events = &w->events;
  w->server.echo = true;
  peer_start(&w->server, NULL, NULL);
  struct rn_addr to = addr(9, 8080);
  net_add(w->net, w->server.q, &to)->link.delay_ns = MS;
  for (uint8_t i = 0; i < 2; i++) {
    struct rn_path path = { .local = addr(i, 4000), .remote = to };
    struct rn_quic_conn *c;
    peer_prepare(&w->clients[i], NULL, 20u + i);
    peer_start(&w->clients[i], w->pki, NULL);
    net_add(w->net, w->clients[i].q, &path.local)->link.delay_ns = MS;
    assert_int_equal(rn_quic_connect(w->clients[i].q, net_now(w->net), &path, "localhost", &c),
                     RN_OK);
  }
  assert_true(net_run(w->net, net_now(w->net) + 5000 * MS, all_ready, w));
}

static void end(struct world *w) {
  for (int i = 0; i < 2; i++)
    peer_stop(&w->clients[i]);
  peer_stop(&w->server);
  net_free(w->net);
  pki_free(w->pki);
}

static void send_on(struct world *w, int client, const void *data, size_t len) {
  struct rn_quic_stream *s;
  assert_int_equal(rn_quic_stream_open(w->clients[client].conn, &s), RN_OK);
  assert_int_equal(rn_quic_stream_write(s, data, len, true), RN_OK);
}

static void expect_one_lost(struct world *w) {
  const struct rn_quic_stats *s = rn_quic_stats(w->server.q);
  assert_int_equal(s->assertions, 1);
  assert_int_equal(s->conns, 1);
  assert_int_equal(w->server.closed, 1);
  assert_int_equal(w->server.why.code, 1); /* INTERNAL_ERROR */
  assert_int_equal(w->server.streams_open, w->server.streams_closed);
  /* The other one is as it was; the lost one repeats what was not acknowledged and learns of it by a stateless reset. */
  send_on(w, 1, "hello", 5);
  net_run(w->net, net_now(w->net) + 1000 * MS, NULL, NULL);
  assert_int_equal(w->clients[1].bytes, 5);
  assert_int_equal(w->clients[1].closed, 0);
  assert_int_equal(w->clients[0].closed, 1);
  assert_int_equal(w->clients[0].why.kind, RN_QUIC_CLOSE_RESET);
  assert_int_equal(rn_quic_check(w->server.q), RN_OK);
}

static void while_reading_ends_one_connection(void **state) {
  (void)state;
  struct world w;
  begin(&w);
  send_on(&w, 0, bomb, sizeof(bomb));
  net_run(w.net, net_now(w.net) + 20 * MS, NULL, NULL);
  expect_one_lost(&w);
  end(&w);
}

static uint8_t *reserve(void *ctx, size_t cap) {
  static uint8_t buf[2048];
  ++*(int *)ctx;
  return cap <= sizeof(buf) ? buf : NULL;
}

static void commit(void *ctx, const struct rn_path *path, uint8_t ecn, size_t len) {
  (void)path, (void)ecn, (void)len;
  --*(int *)ctx;
  if (armed) {
    armed = false;
    fail_as_ngtcp2();
  }
}

static void while_writing_ends_one_connection(void **state) {
  (void)state;
  struct world w;
  begin(&w);
  net_run(w.net, net_now(w.net) + 500 * MS, NULL, NULL);
  struct rn_quic_stream *s;
  int reserved = 0;
  const struct rn_quic_sink sink = { reserve, commit, &reserved };
  assert_int_equal(rn_quic_stream_open(w.server.conn, &s), RN_OK);
  assert_int_equal(rn_quic_stream_write(s, "x", 1, true), RN_OK);
  armed = true;
  rn_quic_tx(w.server.q, net_now(w.net), &sink);
  assert_false(armed);
  assert_int_equal(reserved, 0); /* each was committed */
  assert_int_equal(rn_quic_stats(w.server.q)->assertions, 1);
  assert_int_equal(rn_quic_stats(w.server.q)->conns, 1);
  assert_int_equal(rn_quic_check(w.server.q), RN_OK);
  end(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(while_reading_ends_one_connection),
    cmocka_unit_test(while_writing_ends_one_connection),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
