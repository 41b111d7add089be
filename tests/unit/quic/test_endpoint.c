/* Two endpoints on a simulated link: what each of RFC 9000's mechanisms does from end to end. */
#include "rn_test.h"

#include "endpoint_world.h"

static void handshake_and_echo(enum pki_type type) {
  struct world w;
  world_prepare(&w, type);
  world_start(&w);
  connect_world(&w);
  call(&w, "hello", 5);
  run_ms(&w, 200, NULL);
  assert_int_equal(w.client.bytes, 5);
  assert_int_equal(w.client.fins, 1);
  assert_int_equal(w.client.hash, w.server.hash);
  assert_int_equal(w.client.streams_closed, 1);
  assert_int_equal(w.server.streams_closed, 1);
  assert_int_equal(rn_quic_stats(w.server.q)->streams, 0);
  assert_int_equal(rn_quic_stats(w.server.q)->half_open, 0);
  assert_int_equal(rn_quic_stats(w.server.q)->segs, 0);
  world_end(&w);
}

static void answers_with_every_kind_of_key(void **state) {
  (void)state;
  handshake_and_echo(PKI_P256);
  handshake_and_echo(PKI_P384);
  handshake_and_echo(PKI_RSA2048);
  handshake_and_echo(PKI_ED25519);
}

static void carries_much_over_many_streams(void **state) {
  (void)state;
  struct world w;
  begin(&w);
  uint64_t total = 0;
  for (int i = 0; i < 200; i++) {
    uint8_t buf[1000];
    memset(buf, i, sizeof(buf));
    call(&w, buf, (size_t)i * 5);
    total += (uint64_t)i * 5;
  }
  run_ms(&w, 2000, NULL);
  assert_int_equal(w.client.bytes, total);
  assert_int_equal(w.client.fins, 200);
  assert_int_equal(w.client.streams_closed, 200);
  assert_int_equal(rn_quic_stats(w.server.q)->streams, 0);
  world_end(&w);
}

/* The datagram that a client sends first. */
struct first {
  uint8_t buf[2048], bytes[2048];
  size_t len;
  struct rn_path path; /* as the server sees it */
};

static uint8_t *first_reserve(void *ctx, size_t cap) {
  struct first *f = ctx;
  return cap <= sizeof(f->buf) ? f->buf : NULL;
}

static void first_commit(void *ctx, const struct rn_path *path, uint8_t ecn, size_t len) {
  (void)path, (void)ecn;
  struct first *f = ctx;
  if (len > 0)
    memcpy(f->bytes, f->buf, f->len = len);
}

static void first_flights_meet_at_one_lcore(void **state) {
  (void)state;
  uint32_t accepted[2] = { 0 };
  for (uint8_t i = 0; i < 32; i++) {
    struct world w;
    world_prepare(&w, PKI_P256);
    struct peer other;
    peer_prepare(&other, w.pki, 13);
    struct peer *lcores[2] = { &w.server, &other };
    for (uint8_t k = 0; k < 2; k++) {
      lcores[k]->params.cid.lcore_count = 2;
      lcores[k]->params.cid.lcore_idx = k;
      lcores[k]->params.spread = (struct rn_quic_spread){ .lcores = 2, .key = { 7 } };
    }
    w.client.rng.s[0] += i; /* another DCID */
    world_start(&w);
    peer_start(&other, NULL, NULL);
    struct rn_quic_conn *c;
    struct first first = { .path = { .local = w.path.remote, .remote = w.path.local } };
    const struct rn_quic_sink sink = { first_reserve, first_commit, &first };
    assert_int_equal(rn_quic_connect(w.client.q, MS, &w.path, "localhost", &c), RN_OK);
    assert_int_equal(rn_quic_tx(w.client.q, MS, &sink), 1);
    const struct rn_dgram d = { .data = first.bytes,
                                .len = (uint32_t)first.len,
                                .path = first.path };
    for (uint8_t k = 0; k < 2; k++) {
      rn_quic_rx(lcores[k]->q, MS, &d, 1);
      rn_quic_rx(lcores[k]->q, MS, &d, 1); /* a repetition finds its connection */
      rn_quic_timers(lcores[k]->q, MS);
      rn_quic_timers(lcores[k]->q, MS);
      uint64_t conns = rn_quic_stats(lcores[k]->q)->conns_accepted;
      assert_int_equal(conns + lcores[k]->foreign / 2, 1);
      accepted[k] += (uint32_t)conns;
    }
    peer_stop(&other);
    world_end(&w);
  }
  assert_int_equal(accepted[0] + accepted[1], 32);
  assert_in_range(accepted[0], 6, 26);
}

/* A pool of 32 streams, 31 of them open: one that ends then gives no credit before more than two are free. */
static void credit_is_withheld_while_streams_run_low(void **state) {
  (void)state;
  struct world w;
  world_prepare(&w, PKI_P256);
  w.server.params.limits.streams = 32;
  w.server.params.config.max_streams_bidi = 31;
  w.server.echo = false;
  world_start(&w);
  connect_world(&w);
  struct rn_quic_stream *s[31];
  for (int i = 0; i < 31; i++) {
    assert_int_equal(rn_quic_stream_open(w.client.conn, &s[i]), RN_OK);
    assert_int_equal(rn_quic_stream_write(s[i], "x", 1, false), RN_OK);
  }
  run_ms(&w, 100, NULL);
  assert_int_equal(rn_quic_stats(w.server.q)->streams, 31);
  assert_int_equal(rn_quic_conn_streams_left(w.client.conn), 0);
  for (int i = 0; i < 31; i++) {
    rn_quic_stream_reset(s[i], 0);
    rn_quic_stream_stop(s[i], 0);
    run_ms(&w, 100, NULL);
    if (i == 0) {
      assert_int_equal(rn_quic_stats(w.server.q)->streams, 30);
      assert_int_equal(rn_quic_conn_streams_left(w.client.conn), 0);
      assert_int_equal(rn_quic_stats(w.server.q)->credit_withheld, 1);
    }
  }
  assert_int_equal(rn_quic_stats(w.server.q)->streams, 0);
  assert_int_equal(rn_quic_conn_streams_left(w.client.conn), 31);
  world_end(&w);
}

static uint32_t fins_wanted;
static bool fins_came(void *arg) { return ((struct world *)arg)->client.fins == fins_wanted; }

/* One call at a time between machines of one rack: an acknowledgement goes with what is said next, or for two packets; nor does credit for streams, a
 * sixteenth of 256 at a time, travel alone. By itself ngtcp2 takes four datagrams for each call. */
static void acknowledgements_wait_for_company(void **state) {
  (void)state;
  struct world w;
  const uint32_t calls = 200;
  world_prepare(&w, PKI_P256);
  world_start(&w);
  w.client_host->link.delay_ns = w.server_host->link.delay_ns = 10000;
  connect_world(&w);
  run_ms(&w, 100, NULL);
  const uint64_t asked = rn_quic_stats(w.client.q)->tx_datagrams;
  const uint64_t answered = rn_quic_stats(w.server.q)->tx_datagrams;
  for (fins_wanted = 1; fins_wanted <= calls; fins_wanted++) {
    call(&w, "hello", 5);
    assert_true(run_ms(&w, 100, fins_came));
  }
  assert_in_range(rn_quic_stats(w.client.q)->tx_datagrams - asked, calls, calls + calls * 6 / 10);
  assert_in_range(rn_quic_stats(w.server.q)->tx_datagrams - answered, calls, calls + calls / 5);
  assert_in_range(rn_quic_stats(w.server.q)->streams, 0, 2);
  run_ms(&w, 1, NULL); /* the last one waits for nobody that long */
  assert_int_equal(rn_quic_stats(w.server.q)->streams, 0);
  assert_in_range(rn_quic_conn_streams_left(w.client.conn), 256 - 15, 256);
  world_end(&w);
}

static bool all_back(void *arg) { return ((struct world *)arg)->client.bytes == (8u << 20); }

static void large_transfer_crosses_the_windows(void **state) {
  (void)state;
  struct world w;
  world_prepare(&w, PKI_P256);
  w.client.params.config.send_bytes = w.server.params.config.send_bytes = 16u << 20;
  w.client.params.limits.bulk_segs = w.server.params.limits.bulk_segs = 8000;
  world_start(&w);
  connect_world(&w);
  size_t len = 8u << 20; /* windows are 1 MiB */
  uint8_t *big = malloc(len);
  for (size_t i = 0; i < len; i++)
    big[i] = (uint8_t)(i * 7 + (i >> 11));
  call(&w, big, len);
  assert_true(run_ms(&w, 60000, all_back));
  assert_int_equal(w.client.hash, w.server.hash);
  free(big);
  world_end(&w);
}

static int released;
static void count_release(void *arg) {
  (void)arg;
  released++;
}

static void referenced_bytes_are_released_once(void **state) {
  (void)state;
  struct world w;
  begin(&w);
  static uint8_t big[300000];
  struct rn_quic_stream *s;
  released = 0;
  assert_int_equal(rn_quic_stream_open(w.client.conn, &s), RN_OK);
  assert_int_equal(rn_quic_stream_write(s, "head", 4, false), RN_OK);
  assert_int_equal(rn_quic_stream_write_ref(s, big, sizeof(big), false, count_release, NULL),
                   RN_OK);
  assert_int_equal(rn_quic_stream_write(s, "tail", 4, true), RN_OK);
  run_ms(&w, 3000, NULL);
  assert_int_equal(released, 1);
  assert_int_equal(w.client.bytes, sizeof(big) + 8);
  /* And when the connection ends early. */
  assert_int_equal(rn_quic_stream_open(w.client.conn, &s), RN_OK);
  assert_int_equal(rn_quic_stream_write_ref(s, big, sizeof(big), true, count_release, NULL), RN_OK);
  rn_quic_conn_close(w.client.conn, 7);
  assert_true(run_ms(&w, 1000, both_closed));
  assert_int_equal(released, 2);
  world_end(&w);
}

static void close_reaches_the_peer_with_its_code(void **state) {
  (void)state;
  struct world w;
  begin(&w);
  /* So slow that 3 PTO are longer than a slot may stay. */
  w.client_host->link.delay_ns = w.server_host->link.delay_ns = 3000 * MS;
  for (int i = 0; i < 3; i++) {
    call(&w, "hello", 5);
    run_ms(&w, 7000, NULL);
  }
  rn_quic_conn_close(w.client.conn, 42);
  assert_true(run_ms(&w, 4000, both_closed));
  assert_int_equal(rn_quic_stats(w.server.q)->conns, 1);
  assert_int_equal(w.client.why.kind, RN_QUIC_CLOSE_LOCAL);
  assert_int_equal(w.server.why.kind, RN_QUIC_CLOSE_PEER);
  assert_true(w.server.why.app);
  assert_int_equal(w.server.why.code, 42);
  run_ms(&w, 5100, NULL); /* closing and draining periods */
  assert_int_equal(rn_quic_stats(w.server.q)->conns, 0);
  assert_int_equal(rn_quic_stats(w.client.q)->conns, 0);
  assert_int_equal(rn_quic_stats(w.server.q)->heap_bytes, 0);
  world_end(&w);
}

static void idle_connection_times_out_silently(void **state) {
  (void)state;
  struct world w;
  begin(&w);
  assert_true(run_ms(&w, 40000, both_closed));
  assert_int_equal(w.client.why.kind, RN_QUIC_CLOSE_IDLE);
  assert_int_equal(rn_quic_stats(w.server.q)->closed_idle, 1);
  world_end(&w);
}

static void keep_alive_holds_it(void **state) {
  (void)state;
  struct world w;
  world_prepare(&w, PKI_P256);
  w.client.params.config.keep_alive_ns = 10000 * MS;
  world_start(&w);
  connect_world(&w);
  assert_false(run_ms(&w, 120000, client_closed));
  call(&w, "x", 1);
  run_ms(&w, 100, NULL);
  assert_int_equal(w.client.bytes, 1);
  world_end(&w);
}

static void retry_is_answered_and_accepted(void **state) {
  (void)state;
  struct world w;
  world_prepare(&w, PKI_P256);
  w.server.params.config.retry = RN_QUIC_RETRY_ALWAYS;
  world_start(&w);
  connect_world(&w);
  assert_int_equal(rn_quic_stats(w.server.q)->retry_sent, 1);
  assert_int_equal(rn_quic_stats(w.server.q)->conns_accepted, 1);
  call(&w, "x", 1);
  run_ms(&w, 100, NULL);
  assert_int_equal(w.client.bytes, 1);
  world_end(&w);
}

static void wrong_name_fails_the_handshake(void **state) {
  (void)state;
  struct world w;
  world_prepare(&w, PKI_P256);
  world_start(&w);
  struct rn_quic_conn *c;
  assert_int_equal(rn_quic_connect(w.client.q, net_now(w.net), &w.path, "example.org", &c), RN_OK);
  assert_true(run_ms(&w, 5000, client_closed));
  assert_int_equal(w.client.ready, 0);
  assert_int_equal(w.client.why.kind, RN_QUIC_CLOSE_HANDSHAKE);
  assert_int_equal(w.client.why.code & 0xff00, 0x100); /* CRYPTO_ERROR, RFC 9000 section 20.1 */
  world_end(&w);
}

static void late_signature_resumes_the_handshake(void **state) {
  (void)state;
  struct world w;
  world_prepare(&w, PKI_P256);
  w.server.defer_sign = true;
  world_start(&w);
  struct rn_quic_conn *c;
  assert_int_equal(rn_quic_connect(w.client.q, net_now(w.net), &w.path, "localhost", &c), RN_OK);
  assert_false(run_ms(&w, 500, both_ready));
  assert_int_equal(rn_quic_stats(w.server.q)->sign_jobs, 1);
  uint8_t sig[RN_QUIC_SIG_BYTES_MAX];
  size_t n = pki_sign(w.pki, w.server.sign_scheme, w.server.sign_tbs, w.server.sign_tbs_bytes, sig,
                      sizeof(sig));
  rn_quic_sign_done(w.server.q, net_now(w.net), w.server.sign_job, RN_OK, sig, n);
  assert_true(run_ms(&w, 2000, both_ready));
  assert_int_equal(rn_quic_stats(w.server.q)->sign_jobs, 0);
  /* A second answer to the same job is ignored. */
  rn_quic_sign_done(w.server.q, net_now(w.net), w.server.sign_job, RN_OK, sig, n);
  world_end(&w);
}

static void refused_or_missing_signature_ends_the_handshake(void **state) {
  (void)state;
  struct world w;
  world_prepare(&w, PKI_P256);
  w.server.refuse_sign = true;
  world_start(&w);
  struct rn_quic_conn *c;
  assert_int_equal(rn_quic_connect(w.client.q, net_now(w.net), &w.path, "localhost", &c), RN_OK);
  assert_true(run_ms(&w, 5000, both_closed));
  assert_int_equal(rn_quic_stats(w.server.q)->sign_failures, 1);
  w.server.refuse_sign = false;
  w.server.defer_sign = true;
  w.server.closed = w.client.closed = 0;
  assert_int_equal(rn_quic_connect(w.client.q, net_now(w.net), &w.path, "localhost", &c), RN_OK);
  assert_true(run_ms(&w, 30000, both_closed));
  assert_int_equal(rn_quic_stats(w.server.q)->sign_jobs, 0);
  world_end(&w);
}

static void signature_that_never_comes_refuses_the_handshake(void **state) {
  (void)state;
  struct world w;
  world_prepare(&w, PKI_P256);
  w.server.defer_sign = true;
  w.server.params.config.sign_timeout_ns = 2000000000;
  world_start(&w);
  struct rn_quic_conn *c;
  assert_int_equal(rn_quic_connect(w.client.q, net_now(w.net), &w.path, "localhost", &c), RN_OK);
  assert_false(run_ms(&w, 1900, client_closed));
  assert_int_equal(rn_quic_stats(w.server.q)->sign_jobs, 1);
  assert_true(run_ms(&w, 300, both_closed));
  assert_int_equal(w.client.why.kind, RN_QUIC_CLOSE_PEER);
  assert_false(w.client.why.app);
  assert_int_equal(w.client.why.code, 0x2); /* CONNECTION_REFUSED, RFC 9000 section 20.1 */
  const struct rn_quic_stats *st = rn_quic_stats(w.server.q);
  assert_int_equal(st->sign_timeouts, 1);
  assert_int_equal(st->closed_handshake, 1);
  assert_int_equal(st->sign_jobs, 0);
  assert_int_equal(rn_quic_check(w.server.q), RN_OK);
  world_end(&w);
}

static bool two_pairs_ready(void *arg) {
  struct world *w = arg;
  return w->client.ready == 2 && w->server.ready == 2;
}

static void signature_is_asked_for_again(void **state) {
  (void)state;
  struct world w;
  world_prepare(&w, PKI_P256);
  w.server.defer_sign = true;
  world_start(&w);
  struct rn_quic_conn *c;
  assert_int_equal(rn_quic_connect(w.client.q, net_now(w.net), &w.path, "localhost", &c), RN_OK);
  assert_int_equal(rn_quic_connect(w.client.q, net_now(w.net), &w.path, "localhost", &c), RN_OK);
  assert_false(run_ms(&w, 500, two_pairs_ready));
  assert_int_equal(rn_quic_stats(w.server.q)->sign_jobs, 2);
  rn_quic_sign_again(w.server.q, net_now(w.net)); /* asked, and again nobody answers */
  assert_int_equal(rn_quic_stats(w.server.q)->sign_repeats, 2);
  w.server.refuse_sign = true; /* no room for the question: both go on waiting */
  rn_quic_sign_again(w.server.q, net_now(w.net));
  assert_int_equal(rn_quic_stats(w.server.q)->sign_jobs, 2);
  w.server.refuse_sign = w.server.defer_sign = false;
  rn_quic_sign_again(w.server.q, net_now(w.net)); /* answered from within the call */
  assert_int_equal(rn_quic_stats(w.server.q)->sign_jobs, 0);
  assert_true(run_ms(&w, 2000, two_pairs_ready));
  uint64_t repeats = rn_quic_stats(w.server.q)->sign_repeats;
  rn_quic_sign_again(w.server.q, net_now(w.net));
  assert_int_equal(rn_quic_stats(w.server.q)->sign_repeats, repeats);
  assert_int_equal(rn_quic_check(w.server.q), RN_OK);
  world_end(&w);
}

static int early_update;

static void update_at_once(void *app, struct rn_quic_conn *c) {
  ((struct peer *)app)->ready++;
  early_update = rn_quic_conn_update_keys(c, rn_quic_now(rn_quic_conn_endpoint(c)));
}

static void key_update_before_the_handshake_is_confirmed_is_refused(void **state) {
  (void)state;
  struct world w;
  world_prepare(&w, PKI_P256);
  struct rn_quic_events events = *w.client.params.events;
  events.conn_ready = update_at_once;
  w.client.params.events = &events;
  world_start(&w);
  early_update = RN_OK;
  connect_world(&w);
  assert_int_equal(early_update, RN_ERR_STATE);
  world_end(&w);
}

/* The parts that make up a message may be empty, and then have no address. */
static void empty_parts_are_no_bytes(void **state) {
  (void)state;
  struct world w;
  static uint8_t bytes[3000];
  const struct rn_quic_part parts[] = { { NULL, 0 }, { bytes, 1 },    { NULL, 0 },
                                        { NULL, 0 }, { bytes, 2999 }, { NULL, 0 } };
  begin(&w);
  struct rn_quic_stream *s;
  assert_int_equal(rn_quic_stream_open(w.client.conn, &s), RN_OK);
  assert_int_equal(rn_quic_stream_writev(s, parts, 6, true), RN_OK);
  run_ms(&w, 1000, NULL);
  assert_int_equal(w.client.bytes, 3000);
  world_end(&w);
}

static void migration_and_key_update_lose_nothing(void **state) {
  (void)state;
  struct world w;
  begin(&w);
  run_ms(&w, 200, NULL);
  uint64_t sent = 0;
  for (uint16_t i = 1; i <= 6; i++) {
    struct rn_addr a = addr(1, (uint16_t)(41000 + i));
    assert_int_equal(rn_quic_conn_migrate(w.client.conn, net_now(w.net), &a), RN_OK);
    call(&w, "migrate", 7);
    sent += 7;
    run_ms(&w, 1000, NULL);
    assert_int_equal(w.client.bytes, sent);
    assert_int_equal(rn_quic_conn_update_keys(w.client.conn, net_now(w.net)), RN_OK);
    call(&w, "update", 6);
    sent += 6;
    run_ms(&w, 1000, NULL);
    assert_int_equal(w.client.bytes, sent);
  }
  assert_int_equal(rn_quic_stats(w.server.q)->path_migrations, 6);
  struct rn_path path;
  rn_quic_conn_path(w.server.conn, &path);
  assert_int_equal(path.remote.port, 41006);
  world_end(&w);
}

static void unknown_version_is_negotiated(void **state) {
  (void)state;
  struct world w;
  world_prepare(&w, PKI_P256);
  world_start(&w);
  uint8_t pkt[1200] = { 0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1, 2, 3, 4, 5, 6, 7, 8, 4, 9, 9, 9, 9 };
  struct rn_dgram d = { .data = pkt,
                        .len = sizeof(pkt),
                        .path = { .local = w.path.remote, .remote = w.path.local } };
  rn_quic_rx(w.server.q, net_now(w.net), &d, 1);
  assert_int_equal(rn_quic_stats(w.server.q)->vn_sent, 1);
  d.len = 1199; /* RFC 9000 section 6.1 */
  rn_quic_rx(w.server.q, net_now(w.net), &d, 1);
  assert_int_equal(rn_quic_stats(w.server.q)->vn_sent, 1);
  assert_int_equal(rn_quic_stats(w.server.q)->drop_malformed, 1);
  world_end(&w);
}

static bool client_reset(void *arg) {
  struct world *w = arg;
  return w->client.closed == 1 && w->client.why.kind == RN_QUIC_CLOSE_RESET;
}

static void forgotten_connection_gets_a_stateless_reset(void **state) {
  (void)state;
  struct world w;
  begin(&w);
  run_ms(&w, 200, NULL);
  /* The server starts anew: another epoch, the same keys. */
  struct rn_quic_params params = w.server.params;
  const struct pki *pki = w.pki;
  peer_stop(&w.server);
  peer_prepare(&w.server, pki, 99);
  w.server.params.cid = params.cid;
  w.server.params.cid.epoch++;
  peer_start(&w.server, NULL, NULL);
  w.server_host->q = w.server.q;
  call(&w, "anyone there?", 13);
  assert_true(run_ms(&w, 5000, client_reset));
  assert_true(rn_quic_stats(w.server.q)->reset_sent >= 1);
  world_end(&w);
}

/* Three clients dial a server that has room for two; what it counted. */
static struct rn_quic_stats three_for_two(uint32_t sign_jobs, bool defer_sign) {
  struct world w;
  world_prepare(&w, PKI_P256);
  w.server.params.limits.conns = w.server.params.limits.half_open = 2;
  w.server.params.limits.sign_jobs = sign_jobs;
  w.server.defer_sign = defer_sign;
  world_start(&w);
  struct rn_quic_conn *c;
  for (int i = 0; i < 3; i++) {
    w.path.local.port++;
    assert_int_equal(rn_quic_connect(w.client.q, net_now(w.net), &w.path, "localhost", &c), RN_OK);
    run_ms(&w, 30, NULL);
  }
  struct rn_quic_stats s = *rn_quic_stats(w.server.q);
  world_end(&w);
  return s;
}

static void limits_refuse_and_count(void **state) {
  (void)state;
  assert_int_equal(three_for_two(1, true).sign_limit, 2);
  assert_true(three_for_two(2, true).drop_half_open > 0);
  assert_true(three_for_two(2, false).drop_conn_limit > 0);
}

static void more_streams_than_the_pool_are_refused(void **state) {
  (void)state;
  struct world w;
  world_prepare(&w, PKI_P256);
  w.server.params.limits.streams = 16;
  w.server.echo = false;
  world_start(&w);
  connect_world(&w);
  for (int i = 0; i < 20; i++)
    call(&w, "x", 1);
  run_ms(&w, 500, NULL);
  assert_int_equal(w.server.streams_open, 16);
  assert_int_equal(rn_quic_stats(w.server.q)->streams_refused, 4);
  assert_int_equal(w.client.resets, 4);
  world_end(&w);
}

static void send_limit_says_again_then_writable(void **state) {
  (void)state;
  struct world w;
  world_prepare(&w, PKI_P256);
  w.client.params.config.send_bytes = 1000;
  world_start(&w);
  connect_world(&w);
  struct rn_quic_stream *s;
  uint8_t buf[600] = { 0 };
  assert_int_equal(rn_quic_stream_open(w.client.conn, &s), RN_OK);
  assert_int_equal(rn_quic_stream_write(s, buf, sizeof(buf), false), RN_OK);
  assert_int_equal(rn_quic_stream_write(s, buf, sizeof(buf), false), RN_ERR_AGAIN);
  assert_int_equal(rn_quic_stats(w.client.q)->send_limit, 1);
  run_ms(&w, 200, NULL);
  assert_int_equal(w.client.writables, 1);
  assert_int_equal(rn_quic_stream_write(s, buf, sizeof(buf), true), RN_OK);
  assert_int_equal(rn_quic_stream_write(s, buf, 1, true), RN_ERR_CLOSED);
  run_ms(&w, 200, NULL);
  assert_int_equal(w.client.bytes, 1200);
  world_end(&w);
}

static void bandwidth_of_a_stream_is_limited(void **state) {
  (void)state;
  struct world w;
  world_prepare(&w, PKI_P256);
  w.client.params.config.max_stream_bandwidth = 100000;
  world_start(&w);
  connect_world(&w);
  static uint8_t buf[300000];
  call(&w, buf, sizeof(buf));
  run_ms(&w, 1000, NULL);
  /* 1 s at 100 kB/s, the burst, and a packet more. */
  assert_in_range(w.server.bytes, 90000, 105000);
  run_ms(&w, 3000, NULL);
  assert_int_equal(w.server.bytes, sizeof(buf));
  world_end(&w);
}

static void reset_and_stop_reach_the_other_side(void **state) {
  (void)state;
  struct world w;
  begin(&w);
  struct rn_quic_stream *s;
  assert_int_equal(rn_quic_stream_open(w.client.conn, &s), RN_OK);
  assert_int_equal(rn_quic_stream_write(s, "abc", 3, false), RN_OK);
  run_ms(&w, 100, NULL);
  rn_quic_stream_stop(s, 6);
  run_ms(&w, 100, NULL);
  assert_int_equal(w.client.resets,
                   1); /* RFC 9000 section 3.5: STOP_SENDING is answered with RESET_STREAM */
  assert_int_equal(rn_quic_stream_write(s, "more", 4, false), RN_OK);
  run_ms(&w, 100, NULL);
  assert_int_equal(w.server.stops, 1); /* it tried to echo */
  rn_quic_stream_reset(s, 5);
  run_ms(&w, 100, NULL);
  assert_int_equal(w.server.resets, 1);
  assert_int_equal(w.client.streams_closed, 1);
  assert_int_equal(w.server.streams_closed, 1);
  world_end(&w);
}

static void path_mtu_is_probed(void **state) {
  (void)state;
  struct world w;
  world_prepare(&w, PKI_P256);
  w.client.params.config.pmtud = w.server.params.config.pmtud = true;
  world_start(&w);
  connect_world(&w);
  static uint8_t buf[200000];
  call(&w, buf, sizeof(buf));
  run_ms(&w, 3000, NULL);
  assert_int_equal(w.client.bytes, sizeof(buf));
  uint64_t before = rn_quic_stats(w.server.q)->tx_datagrams;
  call(&w, buf, sizeof(buf));
  run_ms(&w, 3000, NULL);
  /* 200,000 B in packets of 1,452 B are 140; in packets of 1,200 B 170. */
  assert_in_range(rn_quic_stats(w.server.q)->tx_datagrams - before, 138, 165);
  world_end(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(first_flights_meet_at_one_lcore),
    cmocka_unit_test(answers_with_every_kind_of_key),
    cmocka_unit_test(credit_is_withheld_while_streams_run_low),
    cmocka_unit_test(acknowledgements_wait_for_company),
    cmocka_unit_test(carries_much_over_many_streams),
    cmocka_unit_test(large_transfer_crosses_the_windows),
    cmocka_unit_test(referenced_bytes_are_released_once),
    cmocka_unit_test(close_reaches_the_peer_with_its_code),
    cmocka_unit_test(idle_connection_times_out_silently),
    cmocka_unit_test(keep_alive_holds_it),
    cmocka_unit_test(retry_is_answered_and_accepted),
    cmocka_unit_test(wrong_name_fails_the_handshake),
    cmocka_unit_test(late_signature_resumes_the_handshake),
    cmocka_unit_test(refused_or_missing_signature_ends_the_handshake),
    cmocka_unit_test(signature_that_never_comes_refuses_the_handshake),
    cmocka_unit_test(signature_is_asked_for_again),
    cmocka_unit_test(migration_and_key_update_lose_nothing),
    cmocka_unit_test(unknown_version_is_negotiated),
    cmocka_unit_test(forgotten_connection_gets_a_stateless_reset),
    cmocka_unit_test(limits_refuse_and_count),
    cmocka_unit_test(more_streams_than_the_pool_are_refused),
    cmocka_unit_test(send_limit_says_again_then_writable),
    cmocka_unit_test(bandwidth_of_a_stream_is_limited),
    cmocka_unit_test(key_update_before_the_handshake_is_confirmed_is_refused),
    cmocka_unit_test(empty_parts_are_no_bytes),
    cmocka_unit_test(reset_and_stop_reach_the_other_side),
    cmocka_unit_test(path_mtu_is_probed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
