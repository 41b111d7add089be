/* Which Initials may start a connection, and when: each limit of lib/quic/admit.c is reached. */
#include "rn_test.h"

#include "harness/peer.h"

#define MS     UINT64_C(1000000)
#define FIRSTS 300

/* Datagrams of a client, one for each connection it dials. */
struct first {
  uint8_t bytes[1500];
  size_t len;
  struct rn_path path; /* as the server sees it */
};

struct world {
  struct pki *pki;
  struct peer server, client;
  struct first *firsts;
  size_t count;
  uint8_t buf[2048];
  uint64_t now_ns;
};

static struct rn_addr addr(uint8_t net, uint8_t last) {
  return (struct rn_addr){ .family = 4, .ip = { 10, 0, net, last }, .port = 4000 };
}

static const struct rn_addr server_addr = { .family = 4, .ip = { 10, 9, 9, 9 }, .port = 8080 };

static void prepare(struct world *w) {
  *w = (struct world){ .pki = pki_new(PKI_P256), .now_ns = 1000 * MS };
  w->firsts = calloc(FIRSTS, sizeof(*w->firsts));
  peer_prepare(&w->server, w->pki, 1);
  peer_prepare(&w->client, NULL, 2);
  w->client.params.limits.conns = w->client.params.limits.half_open = FIRSTS;
  w->server.params.limits.conns = w->server.params.limits.half_open = FIRSTS;
}

static void start(struct world *w) {
  peer_start(&w->server, NULL, NULL);
  peer_start(&w->client, w->pki, NULL);
}

static void finish(struct world *w) {
  assert_int_equal(rn_quic_check(w->server.q), RN_OK);
  peer_stop(&w->client);
  peer_stop(&w->server);
  pki_free(w->pki);
  free(w->firsts);
}

static uint8_t *reserve(void *ctx, size_t cap) {
  struct world *w = ctx;
  return cap <= sizeof(w->buf) ? w->buf : NULL;
}

static void keep(void *ctx, const struct rn_path *path, uint8_t ecn, size_t len) {
  struct world *w = ctx;
  (void)ecn;
  if (len == 0 || w->count == FIRSTS)
    return;
  struct first *f = &w->firsts[w->count++];
  memcpy(f->bytes, w->buf, f->len = len);
  f->path = (struct rn_path){ .local = path->remote, .remote = path->local };
}

/* What q sends now is kept, in place of what was kept before. */
static void collect(struct world *w, struct rn_quic *q) {
  const struct rn_quic_sink sink = { reserve, keep, w };
  w->count = 0;
  rn_quic_tx(q, w->now_ns, &sink);
}

/* n new clients in 10.0.net.0/24 say their first word. */
static void knock(struct world *w, uint8_t net, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const struct rn_path path = { .local = addr(net, (uint8_t)i), .remote = server_addr };
    struct rn_quic_conn *c;
    assert_int_equal(rn_quic_connect(w->client.q, w->now_ns, &path, "localhost", &c), RN_OK);
  }
  collect(w, w->client.q);
  assert_int_equal(w->count, n);
}

static void deliver(struct world *w, struct rn_quic *q) {
  for (size_t i = 0; i < w->count; i++) {
    const struct first *f = &w->firsts[i];
    const struct rn_dgram d = { .data = f->bytes, .len = (uint32_t)f->len, .path = f->path };
    rn_quic_rx(q, w->now_ns, &d, 1);
  }
}

static void turns(struct world *w, size_t n) {
  for (size_t i = 0; i < n; i++)
    rn_quic_timers(w->server.q, w->now_ns);
}

static const struct rn_quic_stats *stats(struct world *w) { return rn_quic_stats(w->server.q); }

static void one_connection_starts_per_turn(void **state) {
  (void)state;
  struct world w;
  prepare(&w);
  start(&w);
  knock(&w, 1, 3);
  deliver(&w, w.server.q);
  for (uint64_t i = 0; i < 3; i++) {
    assert_int_equal(stats(&w)->conns_accepted, i);
    assert_int_equal(rn_quic_next_expiry(w.server.q), w.now_ns); /* the next turn is due now */
    turns(&w, 1);
  }
  assert_int_equal(stats(&w)->conns_accepted, 3);
  assert_true(rn_quic_next_expiry(w.server.q) > w.now_ns);
  finish(&w);
}

static void a_repeated_initial_finds_its_connection(void **state) {
  (void)state;
  struct world w;
  prepare(&w);
  start(&w);
  knock(&w, 1, 2);
  deliver(&w, w.server.q);
  deliver(&w, w.server.q); /* still in line */
  turns(&w, 4);
  deliver(&w, w.server.q); /* there already */
  turns(&w, 2);
  assert_int_equal(stats(&w)->conns_accepted, 2);
  finish(&w);
}

static void the_line_has_an_end(void **state) {
  (void)state;
  struct world w;
  prepare(&w);
  start(&w);
  knock(&w, 1, 250);
  deliver(&w, w.server.q);
  knock(&w, 2, 9);
  deliver(&w, w.server.q);
  assert_int_equal(stats(&w)->drop_admit_queue, 3); /* of 256 */
  turns(&w, 300);
  assert_int_equal(stats(&w)->conns_accepted, 256);
  finish(&w);
}

static void an_initial_too_long_for_the_line_is_dropped(void **state) {
  (void)state;
  struct world w;
  prepare(&w);
  start(&w);
  knock(&w, 1, 1);
  static uint8_t padded[3000]; /* what follows the packet is padding of the datagram */
  memcpy(padded, w.firsts[0].bytes, w.firsts[0].len);
  const struct rn_dgram d = { .data = padded, .len = sizeof(padded), .path = w.firsts[0].path };
  rn_quic_rx(w.server.q, w.now_ns, &d, 1);
  turns(&w, 1);
  assert_int_equal(stats(&w)->drop_admit_queue, 1);
  assert_int_equal(stats(&w)->conns_accepted, 0);
  finish(&w);
}

static void retry_starts_by_itself_and_stops(void **state) {
  (void)state;
  struct world w;
  prepare(&w);
  w.server.params.limits.half_open = 8;
  w.server.params.limits.sign_jobs = 8;
  w.server.params.config.retry = RN_QUIC_RETRY_AUTO;
  start(&w);
  for (uint64_t round = 1; round <= 2; round++) {
    knock(&w, 1, 8);
    deliver(&w, w.server.q);
    turns(&w, 8);
    assert_int_equal(stats(&w)->conns_accepted, 5 * round); /* the fifth is more than half */
    assert_int_equal(stats(&w)->retry_sent, 3 * round);
    assert_int_equal(stats(&w)->retry_starts, round);
    assert_int_equal(stats(&w)->half_open, 5);
    collect(&w, w.server.q);
    w.now_ns += 11000 * MS; /* nobody finishes */
    turns(&w, 1);
    assert_int_equal(stats(&w)->half_open, 0);
  }
  finish(&w);
}

static void a_prefix_over_its_rate_has_to_prove_its_address(void **state) {
  (void)state;
  struct world w;
  prepare(&w);
  w.server.params.config.retry = RN_QUIC_RETRY_AUTO;
  w.server.params.config.prefix_handshakes_per_s = 2;
  start(&w);
  knock(&w, 1, 3);
  deliver(&w, w.server.q);
  assert_int_equal(stats(&w)->retry_sent, 1);
  /* It does, and is still over the rate. */
  collect(&w, w.server.q);
  assert_int_equal(w.count, 1);
  deliver(&w, w.client.q);
  collect(&w, w.client.q);
  deliver(&w, w.server.q);
  assert_int_equal(stats(&w)->drop_prefix_rate, 1);
  /* Others are not. */
  knock(&w, 2, 2);
  deliver(&w, w.server.q);
  turns(&w, 10);
  assert_int_equal(stats(&w)->conns_accepted, 4);
  w.now_ns += 1000 * MS;
  knock(&w, 1, 2);
  deliver(&w, w.server.q);
  turns(&w, 2);
  assert_int_equal(stats(&w)->conns_accepted, 6);
  assert_int_equal(stats(&w)->drop_prefix_rate, 1);
  finish(&w);
}

static void without_retry_a_prefix_over_its_rate_is_dropped(void **state) {
  (void)state;
  struct world w;
  prepare(&w);
  w.server.params.config.retry = RN_QUIC_RETRY_NEVER;
  w.server.params.config.prefix_handshakes_per_s = 2;
  start(&w);
  knock(&w, 1, 5);
  deliver(&w, w.server.q);
  turns(&w, 5);
  assert_int_equal(stats(&w)->conns_accepted, 2);
  assert_int_equal(stats(&w)->drop_prefix_rate, 3);
  assert_int_equal(stats(&w)->retry_sent, 0);
  finish(&w);
}

static void stateless_answers_have_a_rate(void **state) {
  (void)state;
  struct world w;
  prepare(&w);
  w.server.params.config.retry = RN_QUIC_RETRY_ALWAYS;
  w.server.params.config.answers_per_s = 20; /* 3 at once */
  start(&w);
  knock(&w, 1, 5);
  deliver(&w, w.server.q);
  assert_int_equal(stats(&w)->retry_sent, 3);
  assert_int_equal(stats(&w)->drop_answer_rate, 2);
  w.now_ns += 100 * MS;
  deliver(&w, w.server.q);
  assert_int_equal(stats(&w)->retry_sent, 5);
  assert_int_equal(stats(&w)->drop_answer_rate, 5);
  finish(&w);
}

/* A client that repeats its Initial while it waits in line must not be sent away for a Retry: it would come back as another. */
static void who_is_in_line_is_not_asked_again(void **state) {
  (void)state;
  struct world w;
  prepare(&w);
  w.server.params.limits.half_open = 8;
  w.server.params.limits.sign_jobs = 8;
  w.server.params.config.retry = RN_QUIC_RETRY_AUTO;
  start(&w);
  knock(&w, 1, 5);
  deliver(&w, w.server.q);
  deliver(&w, w.server.q); /* crowded by now */
  assert_int_equal(stats(&w)->retry_sent, 0);
  turns(&w, 10);
  assert_int_equal(stats(&w)->conns_accepted, 5);
  deliver(&w, w.server.q);
  turns(&w, 5);
  assert_int_equal(stats(&w)->conns_accepted, 5);
  assert_int_equal(stats(&w)->retry_sent, 0);
  finish(&w);
}

static void retry_starts_when_many_handshakes_fail(void **state) {
  (void)state;
  struct world w;
  prepare(&w);
  w.server.params.limits.half_open = 8;
  w.server.params.limits.sign_jobs = 8;
  w.server.params.config.retry = RN_QUIC_RETRY_AUTO;
  start(&w);
  for (uint64_t i = 0; i < 9; i++) {
    knock(&w, 1, 1);
    w.firsts[0].bytes[w.firsts[0].len - 1] ^= 1; /* nobody can decrypt it */
    deliver(&w, w.server.q);
    turns(&w, 1);
    assert_int_equal(stats(&w)->half_open, 0);
    assert_int_equal(stats(&w)->retry_starts, 0);
  }
  assert_int_equal(stats(&w)->closed_handshake, 9);
  knock(&w, 1, 1);
  deliver(&w, w.server.q);
  assert_int_equal(stats(&w)->retry_starts, 1);
  assert_int_equal(stats(&w)->retry_sent, 1);
  w.now_ns += 1001 * MS;
  knock(&w, 1, 1);
  deliver(&w, w.server.q);
  turns(&w, 1);
  assert_int_equal(stats(&w)->retry_sent, 1);
  assert_int_equal(stats(&w)->half_open, 1);
  finish(&w);
}

/* Connections that ended keep their slots for a while, but not from newcomers. */
static void the_dead_make_room(void **state) {
  (void)state;
  struct world w;
  prepare(&w);
  w.server.params.limits.conns = w.server.params.limits.half_open = 4;
  w.server.params.limits.sign_jobs = 4;
  start(&w);
  knock(&w, 1, 5);
  deliver(&w, w.server.q);
  turns(&w, 5);
  assert_int_equal(stats(&w)->conns_accepted, 4);
  assert_int_equal(stats(&w)->drop_half_open, 1);
  rn_quic_close_all(w.server.q, w.now_ns, 0);
  collect(&w, w.server.q);
  assert_int_equal(stats(&w)->conns, 4);
  knock(&w, 2, 3);
  deliver(&w, w.server.q);
  turns(&w, 3);
  assert_int_equal(stats(&w)->conns_accepted, 7);
  assert_int_equal(stats(&w)->linger_cut, 3);
  assert_int_equal(stats(&w)->conns, 4);
  finish(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_connection_starts_per_turn),
    cmocka_unit_test(a_repeated_initial_finds_its_connection),
    cmocka_unit_test(the_line_has_an_end),
    cmocka_unit_test(an_initial_too_long_for_the_line_is_dropped),
    cmocka_unit_test(retry_starts_by_itself_and_stops),
    cmocka_unit_test(a_prefix_over_its_rate_has_to_prove_its_address),
    cmocka_unit_test(without_retry_a_prefix_over_its_rate_is_dropped),
    cmocka_unit_test(stateless_answers_have_a_rate),
    cmocka_unit_test(who_is_in_line_is_not_asked_again),
    cmocka_unit_test(retry_starts_when_many_handshakes_fail),
    cmocka_unit_test(the_dead_make_room),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
