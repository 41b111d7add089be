/* Connections looked at from beside, and one of them written down. */
#include "rn_test.h"

#include "harness/peer.h"
#include "quic/inspect.h"

#define MS      UINT64_C(1000000)
#define CLIENTS 3

struct log {
  char text[1 << 20];
  size_t len;
  int last;
};

struct world {
  struct net *net;
  struct pki *pki;
  struct peer server, clients[CLIENTS];
  struct log log;
  struct rn_quic_qlog sink;
};

static struct rn_addr addr(uint8_t last, uint16_t port) {
  return (struct rn_addr){ .family = 4, .ip = { 10, 0, 0, last }, .port = port };
}

static void on_text(void *ctx, const char *text, size_t len, bool last) {
  struct log *l = ctx;
  assert_int_equal(l->last, 0); /* nothing follows the end */
  assert_true(l->len + len < sizeof(l->text));
  if (len > 0)
    memcpy(l->text + l->len, text, len);
  l->len += len;
  l->last += last;
}

static void run_ms(struct world *w, uint64_t ms) {
  net_run(w->net, net_now(w->net) + ms * MS, NULL, NULL);
}

static void dial(struct world *w, uint8_t i) {
  struct rn_path path = { .local = addr(i, 4000), .remote = addr(9, 8080) };
  struct rn_quic_conn *c;
  assert_int_equal(rn_quic_connect(w->clients[i].q, net_now(w->net), &path, "localhost", &c),
                   RN_OK);
  run_ms(w, 100);
  assert_int_equal(w->clients[i].ready, 1);
}

static int setup(void **state) {
  struct world *w = calloc(1, sizeof(*w));
  w->net = net_new(3);
  w->pki = pki_new(PKI_P256);
  w->sink = (struct rn_quic_qlog){ .write = on_text, .ctx = &w->log };
  peer_prepare(&w->server, w->pki, 1);
  w->server.echo = true;
  peer_start(&w->server, NULL, NULL);
  struct rn_addr to = addr(9, 8080);
  net_add(w->net, w->server.q, &to)->link.delay_ns = 5 * MS;
  for (uint8_t i = 0; i < CLIENTS; i++) {
    struct rn_addr from = addr(i, 4000);
    peer_prepare(&w->clients[i], NULL, 20u + i);
    peer_start(&w->clients[i], w->pki, NULL);
    net_add(w->net, w->clients[i].q, &from)->link.delay_ns = 5 * MS;
  }
  *state = w;
  return 0;
}

static int teardown(void **state) {
  struct world *w = *state;
  for (int i = 0; i < CLIENTS; i++)
    peer_stop(&w->clients[i]);
  peer_stop(&w->server);
  net_free(w->net);
  pki_free(w->pki);
  free(w);
  return 0;
}

static void say(struct world *w, int client, const char *text) {
  struct rn_quic_stream *s;
  assert_int_equal(rn_quic_stream_open(w->clients[client].conn, &s), RN_OK);
  assert_int_equal(rn_quic_stream_write(s, text, strlen(text), true), RN_OK);
  run_ms(w, 100);
}

/* All connections of the server, in the order of their slots. */
static size_t list(struct world *w, struct rn_quic_conn_info *out, size_t max) {
  size_t n = 0;
  bool found;
  for (uint32_t from = 0; from != UINT32_MAX && n < max;) {
    from = rn_quic_conns_next(w->server.q, from, &found, &out[n]);
    n += found;
  }
  return n;
}

static bool logged(const struct world *w, const char *what) {
  return memmem(w->log.text, w->log.len, what, strlen(what)) != NULL;
}

/* RFC 7464: each record begins with RS and ends with a newline. */
static void expect_whole_records(const struct world *w) {
  size_t rs = 0, newlines = 0;
  assert_true(w->log.len > 0);
  assert_int_equal(w->log.text[0], 0x1e);
  assert_int_equal(w->log.text[w->log.len - 1], '\n');
  for (size_t i = 0; i < w->log.len; i++) {
    rs += w->log.text[i] == 0x1e;
    newlines += w->log.text[i] == '\n';
    if (w->log.text[i] == 0x1e)
      assert_true(i == 0 || w->log.text[i - 1] == '\n');
  }
  assert_int_equal(rs, newlines);
}

static void every_connection_is_listed_once(void **state) {
  struct world *w = *state;
  struct rn_quic_conn_info info[CLIENTS + 1];
  assert_int_equal(list(w, info, CLIENTS + 1), 0);
  for (uint8_t i = 0; i < CLIENTS; i++)
    dial(w, i);
  say(w, 1, "hello");
  assert_int_equal(list(w, info, CLIENTS + 1), CLIENTS);
  for (uint8_t i = 0; i < CLIENTS; i++) {
    struct rn_addr from = addr(i, 4000);
    assert_true(rn_addr_eq(&info[i].path.remote, &from));
    assert_int_equal(info[i].phase, RN_QUIC_PHASE_READY);
    assert_int_equal(info[i].server, 1);
    assert_in_range(info[i].rtt_ns, 10 * MS, 11 * MS);
    assert_in_range(info[i].age_ns, 0, 1000 * MS);
    assert_true(info[i].age_ns >= info[i].silent_ns && info[i].cwnd > 0 && info[i].rx_packets > 0);
    assert_int_equal(info[i].lost_packets, 0);
  }
  assert_true(info[0].age_ns > info[1].age_ns);
  assert_true(info[1].rx_bytes > info[2].rx_bytes);
  assert_true(info[0].number != info[1].number && info[1].number != info[2].number);
}

static void ended_ones_show_until_their_slot_is_free(void **state) {
  struct world *w = *state;
  struct rn_quic_conn_info info[2];
  dial(w, 0);
  rn_quic_conn_close(w->clients[0].conn, 0);
  net_run(w->net, net_now(w->net) + 10 * MS, NULL, NULL);
  assert_int_equal(list(w, info, 2), 1);
  assert_int_equal(info[0].phase, RN_QUIC_PHASE_DRAINING);
  assert_int_equal(info[0].cwnd, 0);
  run_ms(w, 2000);
  assert_int_equal(list(w, info, 2), 0);
}

static void one_that_is_there_is_logged_from_outside(void **state) {
  struct world *w = *state;
  dial(w, 0);
  dial(w, 1);
  struct rn_quic_conn_info info[CLIENTS];
  assert_int_equal(list(w, info, CLIENTS), 2);
  assert_int_equal(rn_quic_qlog_start(w->server.q, net_now(w->net),
                                      info[1].number + (UINT64_C(1) << 32), &w->sink),
                   RN_ERR_NOENT);
  assert_int_equal(rn_quic_qlog_start(w->server.q, net_now(w->net), info[1].number, &w->sink),
                   RN_OK);
  assert_int_equal(rn_quic_qlog_start(w->server.q, net_now(w->net), info[0].number, &w->sink),
                   RN_ERR_EXIST);
  size_t before = w->log.len;
  say(w, 0, "not logged");
  assert_int_equal(w->log.len, before);
  say(w, 1, "fourteen bytes");
  assert_true(logged(w, "transport:datagrams_received") && logged(w, "transport:datagrams_sent"));
  assert_true(logged(w, "\"length\":14,\"from\":\"network\",\"to\":\"application\",\"fin\":true"));
  assert_true(logged(w, "\"length\":14,\"from\":\"transport\",\"to\":\"network\""));
  assert_true(logged(w, "recovery:metrics_updated"));
  rn_quic_conn_close(w->clients[1].conn, 7);
  run_ms(w, 100);
  assert_true(
      logged(w, "connection_closed\",\"data\":{\"owner\":\"remote\",\"application_code\":7"));
  assert_int_equal(w->log.last, 1);
  expect_whole_records(w);
}

static void stopped_log_is_silent(void **state) {
  struct world *w = *state;
  struct rn_quic_conn_info info[1];
  dial(w, 0);
  list(w, info, 1);
  assert_int_equal(rn_quic_qlog_start(w->server.q, net_now(w->net), info[0].number, &w->sink),
                   RN_OK);
  rn_quic_qlog_stop(w->server.q);
  size_t before = w->log.len;
  say(w, 0, "x");
  assert_int_equal(w->log.len, before);
  assert_int_equal(w->log.last, 0);
  /* and another may be logged */
  assert_int_equal(rn_quic_qlog_start(w->server.q, net_now(w->net), info[0].number, &w->sink),
                   RN_OK);
}

static void next_of_a_client_is_logged_from_its_first_packet(void **state) {
  struct world *w = *state;
  struct rn_addr from = addr(1, 0);
  assert_int_equal(rn_quic_qlog_next(w->server.q, &from, &w->sink), RN_OK);
  dial(w, 0);
  assert_int_equal(w->log.len, 0);
  dial(w, 1);
  assert_true(logged(w, "packet_received") && logged(w, "initial") && logged(w, "crypto"));
  say(w, 1, "hello");
  assert_true(logged(w, "\"frame_type\":\"stream\""));
  size_t before = w->log.len;
  say(w, 0, "not logged");
  assert_int_equal(w->log.len, before);
  rn_quic_conn_close(w->clients[1].conn, 0);
  run_ms(w, 100);
  assert_int_equal(w->log.last, 1);
  expect_whole_records(w);
}

/* ngtcp2 cannot be told to stop: what it says then goes nowhere, and not into another's log. */
static void log_from_the_first_packet_can_be_stopped(void **state) {
  struct world *w = *state;
  struct rn_addr any = { 0 };
  assert_int_equal(rn_quic_qlog_next(w->server.q, &any, &w->sink), RN_OK);
  dial(w, 0);
  assert_true(w->log.len > 0);
  rn_quic_qlog_stop(w->server.q);
  size_t before = w->log.len;
  assert_int_equal(rn_quic_qlog_next(w->server.q, &any, &w->sink), RN_OK);
  say(w, 0, "hello");
  assert_int_equal(w->log.len, before);
  rn_quic_conn_close(w->clients[0].conn, 0);
  run_ms(w, 2000);
  assert_int_equal(w->log.last, 0);
  dial(w, 1);
  assert_true(w->log.len > before);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(every_connection_is_listed_once, setup, teardown),
    cmocka_unit_test_setup_teardown(ended_ones_show_until_their_slot_is_free, setup, teardown),
    cmocka_unit_test_setup_teardown(one_that_is_there_is_logged_from_outside, setup, teardown),
    cmocka_unit_test_setup_teardown(stopped_log_is_silent, setup, teardown),
    cmocka_unit_test_setup_teardown(next_of_a_client_is_logged_from_its_first_packet, setup,
                                    teardown),
    cmocka_unit_test_setup_teardown(log_from_the_first_packet_can_be_stopped, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
