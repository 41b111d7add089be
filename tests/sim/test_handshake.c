/* What the network may do to a handshake. A ClientHello of two datagrams (a post-quantum key share makes it so), lost, late or twice: one
 * connection is made, and its handshake completes. An address that changes under way: handled or dropped, and nothing is left over. */
#include "rn_test.h"

#include "harness/peer.h"

#define MS UINT64_C(1000000)

struct world {
  struct net *net;
  struct pki *pki;
  struct peer server, client;
  struct net_host *server_host, *client_host;
};

static const struct rn_path path = { .local = { .ip = { 10, 0, 0, 1 }, .port = 4000, .family = 4 },
                                     .remote = {
                                         .ip = { 10, 0, 0, 2 }, .port = 8080, .family = 4 } };

static const struct rn_quic_tls_config large_hello = { .groups = "X25519MLKEM768:X25519" };

static void begin(struct world *w, enum rn_quic_retry retry) {
  *w = (struct world){ .net = net_new(1), .pki = pki_new(PKI_P256) };
  peer_prepare(&w->server, w->pki, 21);
  peer_prepare(&w->client, NULL, 22);
  w->server.echo = true;
  w->server.params.config.retry = retry;
  peer_start(&w->server, NULL, &large_hello);
  peer_start(&w->client, w->pki, &large_hello);
  w->client_host = net_add(w->net, w->client.q, &path.local);
  w->server_host = net_add(w->net, w->server.q, &path.remote);
  w->client_host->link.delay_ns = w->server_host->link.delay_ns = 5 * MS;
}

static void end(struct world *w) {
  peer_stop(&w->client);
  peer_stop(&w->server);
  net_free(w->net);
  pki_free(w->pki);
}

static bool both_ready(void *arg) {
  const struct world *w = arg;
  return w->client.ready == 1 && w->server.ready == 1;
}

static bool answered(void *arg) { return ((struct world *)arg)->client.fins == 1; }

static void dial(struct world *w) {
  struct rn_quic_conn *c;
  assert_int_equal(rn_quic_connect(w->client.q, net_now(w->net), &path, "localhost", &c), RN_OK);
}

static bool run_ms(struct world *w, uint64_t ms, bool (*done)(void *)) {
  return net_run(w->net, net_now(w->net) + ms * MS, done, w);
}

static void one_connection_serves(struct world *w) {
  const struct rn_quic_stats *s = rn_quic_stats(w->server.q);
  bool ok = run_ms(w, 8000, both_ready);
  if (!ok || s->conns_accepted != 1)
    net_transcript(w->net);
  assert_true(ok);
  struct rn_quic_stream *st;
  assert_int_equal(rn_quic_stream_open(w->client.conn, &st), RN_OK);
  assert_int_equal(rn_quic_stream_write(st, "hello", 5, true), RN_OK);
  assert_true(run_ms(w, 1000, answered));
  run_ms(w, 12000, NULL); /* the handshake timeout of any other that was made */
  assert_int_equal(s->conns_accepted, 1);
  assert_int_equal(s->conns_ready, 1);
  assert_int_equal(s->conns, 1);
  assert_int_equal(s->half_open, 0);
  assert_int_equal(s->closed_handshake, 0);
  assert_int_equal(s->sign_requests, 1);
}

/* fate: what becomes of the client's datagrams, harness/net.h. */
static void hello_arrives(const char *fate, enum rn_quic_retry retry) {
  struct world w;
  begin(&w, retry);
  w.client_host->link.fate = fate;
  w.client_host->link.late_ns = 2 * MS;
  dial(&w);
  one_connection_serves(&w);
  end(&w);
}

static void hello_takes_two_datagrams(void **state) {
  (void)state;
  struct world w;
  begin(&w, RN_QUIC_RETRY_NEVER);
  dial(&w);
  run_ms(&w, 1, NULL);
  assert_int_equal(w.client_host->link.sent, 2);
  one_connection_serves(&w);
  end(&w);
}

#define CASE(fn, fate)                                                                             \
  static void fn(void **state) {                                                                   \
    (void)state;                                                                                   \
    hello_arrives(fate, RN_QUIC_RETRY_NEVER);                                                      \
  }

CASE(first_lost, "x")
CASE(second_lost, ".x")
CASE(swapped, "l")
CASE(both_twice, "22")
CASE(swapped_and_twice, "l2")
CASE(first_lost_four_times, "x.x.x.x")
CASE(second_lost_four_times, ".x.x.x.x")
CASE(both_lost_then_swapped, "xxl")

static void retry_then_first_lost(void **state) {
  (void)state;
  /* The first flight is answered with a Retry for each datagram, the second comes without its first datagram. */
  hello_arrives("..x", RN_QUIC_RETRY_ALWAYS);
}

static bool server_empty(void *arg) {
  return rn_quic_stats(((struct world *)arg)->server.q)->conns == 0;
}

/* Half a ClientHello and then silence, as from a forged address: RFC 9000 section 8.1 limits what it is answered, the handshake timeout how long
 * it is kept. */
static void half_a_hello_gets_little_and_is_forgotten(void **state) {
  (void)state;
  struct world w;
  begin(&w, RN_QUIC_RETRY_NEVER);
  w.client_host->link.fate = "x";
  w.client_host->link.holes[0] = (struct net_hole){ net_now(w.net) + 1 * MS, UINT64_MAX };
  dial(&w);
  run_ms(&w, 1000, NULL);
  const struct rn_quic_stats *s = rn_quic_stats(w.server.q);
  assert_int_equal(s->conns_accepted, 1);
  assert_int_equal(s->half_open, 1);
  assert_true(run_ms(&w, 20000, server_empty));
  assert_int_equal(s->half_open, 0);
  assert_int_equal(s->closed_handshake, 1);
  assert_in_range(w.server_host->link.bytes, 1, 3 * 1200);
  assert_int_equal(rn_quic_stats(w.server.q)->heap_bytes, 0);
  end(&w);
}

/* The client's network gives it another port. What was sent to the old one is lost. */
static void rebind(struct world *w, uint16_t port) {
  w->client_host->nat = true;
  w->client_host->open_port = port;
}

/* Before the client heard of us: to us it is another client, and one of the two gets through. */
static void rebinding_before_the_answer_starts_anew(void **state) {
  (void)state;
  struct world w;
  begin(&w, RN_QUIC_RETRY_NEVER);
  dial(&w);
  run_ms(&w, 3, NULL);
  rebind(&w, 4001);
  const struct rn_quic_stats *s = rn_quic_stats(w.server.q);
  assert_true(run_ms(&w, 8000, both_ready));
  assert_int_equal(s->conns_accepted, 2);
  assert_int_equal(s->half_open, 1);
  uint64_t two = rn_quic_stats(w.server.q)->heap_bytes;
  run_ms(&w, 12000, NULL); /* handshake timeout of the other */
  assert_int_equal(s->half_open, 0);
  assert_int_equal(s->conns, 1);
  assert_int_equal(s->closed_handshake, 1);
  assert_true(rn_quic_stats(w.server.q)->heap_bytes < two);
  end(&w);
}

/* After it: RFC 9000 section 9 has no migration before the handshake is confirmed. */
static void rebinding_in_the_handshake_is_dropped_and_counted(void **state) {
  (void)state;
  struct world w;
  begin(&w, RN_QUIC_RETRY_NEVER);
  dial(&w);
  run_ms(&w, 7, NULL); /* our flight is on its way to the old port and gets there */
  rebind(&w, 4001);
  const struct rn_quic_stats *s = rn_quic_stats(w.server.q);
  run_ms(&w, 1000, NULL);
  assert_int_equal(w.client.ready, 1);
  assert_int_equal(w.server.ready, 0);
  assert_true(s->drop_early_move >= 1);
  assert_true(run_ms(&w, 60000, server_empty));
  assert_int_equal(s->conns_accepted, 1);
  assert_int_equal(s->closed_handshake, 1);
  assert_int_equal(s->half_open, 0);
  assert_int_equal(s->sign_jobs, 0);
  assert_int_equal(rn_quic_stats(w.server.q)->heap_bytes, 0);
  run_ms(&w, 60000, NULL);
  assert_int_equal(w.client.closed, 1);
  assert_int_equal(rn_quic_stats(w.client.q)->conns, 0);
  assert_int_equal(rn_quic_stats(w.client.q)->heap_bytes, 0);
  end(&w);
}

/* The network takes it back in time: the handshake goes on where it was. */
static void rebinding_back_completes_the_handshake(void **state) {
  (void)state;
  struct world w;
  begin(&w, RN_QUIC_RETRY_NEVER);
  dial(&w);
  run_ms(&w, 7, NULL);
  rebind(&w, 4001);
  run_ms(&w, 200, NULL);
  rebind(&w, 4000);
  one_connection_serves(&w);
  assert_true(rn_quic_stats(w.server.q)->drop_early_move >= 1);
  end(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(hello_takes_two_datagrams),
    cmocka_unit_test(first_lost),
    cmocka_unit_test(second_lost),
    cmocka_unit_test(swapped),
    cmocka_unit_test(both_twice),
    cmocka_unit_test(swapped_and_twice),
    cmocka_unit_test(first_lost_four_times),
    cmocka_unit_test(second_lost_four_times),
    cmocka_unit_test(both_lost_then_swapped),
    cmocka_unit_test(retry_then_first_lost),
    cmocka_unit_test(half_a_hello_gets_little_and_is_forgotten),
    cmocka_unit_test(rebinding_before_the_answer_starts_anew),
    cmocka_unit_test(rebinding_in_the_handshake_is_dropped_and_counted),
    cmocka_unit_test(rebinding_back_completes_the_handshake),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
