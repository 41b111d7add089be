/* Credit of a connection's window and of a stream's, given apart: a stream whose bytes are kept stops by itself, and no other stream with it. */
#include "rn_test.h"

#include "harness/peer.h"

#define MS     UINT64_C(1000000)
#define WINDOW 65536u

struct world {
  struct net *net;
  struct pki *pki;
  struct peer server, client;
  struct rn_quic_stream *first; /* that the server got bytes on */
  uint64_t on_first, on_others;
  struct rn_quic_events events;
};

static struct world *w;

static void keeps_the_first(void *app, struct rn_quic_stream *s, const uint8_t *data, size_t len,
                            bool fin) {
  (void)app, (void)data, (void)fin;
  if (w->first == NULL)
    w->first = s;
  rn_quic_stream_consume_conn(s, len);
  if (s == w->first) {
    w->on_first += len;
  } else {
    rn_quic_stream_consume_own(s, len);
    w->on_others += len;
  }
}

static int setup(void **state) {
  (void)state;
  w = calloc(1, sizeof(*w));
  w->net = net_new(1);
  w->pki = pki_new(PKI_P256);
  const struct rn_path path = { .local = { .family = 4, .ip = { 10, 0, 0, 1 }, .port = 4000 },
                                .remote = { .family = 4, .ip = { 10, 0, 0, 2 }, .port = 8080 } };
  peer_prepare(&w->server, w->pki, 1);
  peer_prepare(&w->client, NULL, 2);
  w->events = *w->server.params.events;
  w->server.params.config.stream_window = WINDOW;
  w->server.params.config.conn_window = 2 * WINDOW;
  w->client.params.config.own_stream_window = WINDOW / 2;
  w->server.params.events = &w->events;
  peer_start(&w->server, NULL, NULL);
  peer_start(&w->client, w->pki, NULL);
  net_add(w->net, w->client.q, &path.local)->link.delay_ns = MS;
  net_add(w->net, w->server.q, &path.remote)->link.delay_ns = MS;
  struct rn_quic_conn *c;
  assert_int_equal(rn_quic_connect(w->client.q, net_now(w->net), &path, "localhost", &c), RN_OK);
  net_run(w->net, net_now(w->net) + 100 * MS, NULL, NULL);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  peer_stop(&w->client);
  peer_stop(&w->server);
  net_free(w->net);
  pki_free(w->pki);
  free(w);
  return 0;
}

static struct rn_quic_stream *send_some(size_t len) {
  static const uint8_t bytes[8 * WINDOW];
  struct rn_quic_stream *s;
  assert_int_equal(rn_quic_stream_open(w->client.conn, &s), RN_OK);
  assert_int_equal(rn_quic_stream_write(s, bytes, len, true), RN_OK);
  net_run(w->net, net_now(w->net) + 2000 * MS, NULL, NULL);
  return s;
}

static void kept_bytes_hold_up_their_own_stream_only(void **state) {
  (void)state;
  w->events.stream_data = keeps_the_first;
  send_some(2 * WINDOW);
  assert_int_equal(w->on_first, WINDOW);
  send_some(8 * WINDOW); /* four times the connection's window */
  assert_int_equal(w->on_others, 8 * WINDOW);
  assert_int_equal(w->on_first, WINDOW);
  rn_quic_stream_consume_own(w->first, WINDOW);
  net_run(w->net, net_now(w->net) + 2000 * MS, NULL, NULL);
  assert_int_equal(w->on_first, 2 * WINDOW);
}

static void streams_that_we_open_may_have_a_window_of_their_own(void **state) {
  (void)state;
  w->server.echo = true;
  w->client.no_credit = true;
  const struct rn_quic_stream *s = send_some(WINDOW);
  assert_int_equal(w->client.bytes, WINDOW / 2);
  assert_int_equal(rn_quic_stream_window(s), WINDOW / 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(kept_bytes_hold_up_their_own_stream_only, setup, teardown),
    cmocka_unit_test_setup_teardown(streams_that_we_open_may_have_a_window_of_their_own, setup,
                                    teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
