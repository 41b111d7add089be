/* Two endpoints on bad links: whatever the network does, every byte arrives once and in order, and nothing is left over. The invariants are
 * walked after each step (harness/net.c). A failure prints the seed and the last datagrams. */
#include "rn_test.h"

#include "harness/peer.h"

#define MS    UINT64_C(1000000)
#define SEEDS 20
#define CALLS 60
#define BYTES 3000

struct scenario {
  const char *name;
  struct net_link link;  /* both ways */
  double handshake_loss; /* in place of link.loss until the handshake is done */
  uint64_t limit_ms;
};

struct world {
  struct net *net;
  struct peer server, client;
  struct net_host *server_host, *client_host;
};

static struct pki *pki;

static const struct rn_path path = { .local = { .ip = { 10, 0, 0, 1 }, .port = 4000, .family = 4 },
                                     .remote = {
                                         .ip = { 10, 0, 0, 2 }, .port = 8080, .family = 4 } };

static void begin(struct world *w, uint64_t seed, const struct scenario *sc) {
  *w = (struct world){ .net = net_new(seed) };
  peer_prepare(&w->server, pki, seed * 2);
  peer_prepare(&w->client, NULL, seed * 2 + 1);
  w->server.echo = true;
  w->client.params.config.handshake_timeout_ns = w->server.params.config.handshake_timeout_ns =
      60000 * MS;
  peer_start(&w->server, NULL, NULL);
  peer_start(&w->client, pki, NULL);
  w->client_host = net_add(w->net, w->client.q, &path.local);
  w->server_host = net_add(w->net, w->server.q, &path.remote);
  w->client_host->link = w->server_host->link = sc->link;
  if (sc->handshake_loss > 0)
    w->client_host->link.loss = w->server_host->link.loss = sc->handshake_loss;
}

static void end(struct world *w) {
  peer_stop(&w->client);
  peer_stop(&w->server);
  net_free(w->net);
}

static bool both_ready(void *arg) {
  const struct world *w = arg;
  return w->client.ready == 1 && w->server.ready == 1;
}

static bool all_answered(void *arg) {
  const struct world *w = arg;
  return w->client.bytes == CALLS * BYTES && w->client.fins == CALLS;
}

static bool no_streams(void *arg) {
  const struct world *w = arg;
  return rn_quic_stats(w->server.q)->streams == 0 && rn_quic_stats(w->client.q)->streams == 0;
}

static bool both_gone(void *arg) {
  const struct world *w = arg;
  return rn_quic_stats(w->server.q)->conns == 0 && rn_quic_stats(w->client.q)->conns == 0;
}

static void must(struct world *w, bool ok, const char *what, const struct scenario *sc,
                 uint64_t seed) {
  if (ok)
    return;
  net_transcript(w->net);
  fail_msg("%s, seed=%llu: %s", sc->name, (unsigned long long)seed, what);
}

static void one_run(const struct scenario *sc, uint64_t seed) {
  struct world w;
  struct rn_quic_conn *c;
  begin(&w, seed, sc);
  uint64_t until = net_now(w.net) + sc->limit_ms * MS;
  assert_int_equal(rn_quic_connect(w.client.q, net_now(w.net), &path, "localhost", &c), RN_OK);
  must(&w, net_run(w.net, until, both_ready, &w), "the handshake did not complete", sc, seed);
  w.client_host->link.loss = w.server_host->link.loss = sc->link.loss;
  for (int i = 0; i < CALLS; i++) {
    uint8_t buf[BYTES];
    struct rn_quic_stream *s;
    memset(buf, i, sizeof(buf));
    assert_int_equal(rn_quic_stream_open(w.client.conn, &s), RN_OK);
    assert_int_equal(rn_quic_stream_write(s, buf, sizeof(buf), true), RN_OK);
  }
  must(&w, net_run(w.net, until, all_answered, &w), "not every call was answered", sc, seed);
  must(&w, net_run(w.net, until, no_streams, &w), "streams are left over", sc, seed);
  rn_quic_conn_close(w.client.conn, 0);
  must(&w, net_run(w.net, net_now(w.net) + 120000 * MS, both_gone, &w), "a connection is left over",
       sc, seed);
  assert_int_equal(rn_quic_stats(w.server.q)->heap_bytes, 0);
  assert_int_equal(rn_quic_stats(w.server.q)->segs, 0);
  assert_int_equal(rn_quic_stats(w.client.q)->segs, 0);
  end(&w);
}

static void all_seeds(const struct scenario *sc) {
  for (uint64_t seed = 1; seed <= SEEDS; seed++)
    one_run(sc, seed);
}

#define SCENARIO(fn, ...)                                                                          \
  static void fn(void **state) {                                                                   \
    (void)state;                                                                                   \
    static const struct scenario sc = { .name = #fn, __VA_ARGS__ };                                \
    all_seeds(&sc);                                                                                \
  }

SCENARIO(a_clean_link, .link = { .delay_ns = 5 * MS }, .limit_ms = 2000)
SCENARIO(heavy_loss_in_the_handshake, .link = { .delay_ns = 10 * MS, .loss = 0.02 },
         .handshake_loss = 0.3, .limit_ms = 120000)
SCENARIO(loss_all_along, .link = { .delay_ns = 20 * MS, .loss = 0.05 }, .limit_ms = 60000)
SCENARIO(reordering, .link = { .delay_ns = 5 * MS, .jitter_ns = 20 * MS }, .limit_ms = 30000)
SCENARIO(duplicates, .link = { .delay_ns = 5 * MS, .duplicate = 0.3 }, .limit_ms = 10000)
SCENARIO(corruption, .link = { .delay_ns = 5 * MS, .corrupt = 0.05 }, .limit_ms = 60000)
SCENARIO(a_satellite, .link = { .delay_ns = 375 * MS }, .limit_ms = 60000)
SCENARIO(a_slow_link, .link = { .delay_ns = 10 * MS, .rate_bytes_s = 200000, .queue_ns = 100 * MS },
         .limit_ms = 60000)
SCENARIO(five_seconds_of_nothing,
         .link = { .delay_ns = 10 * MS, .holes = { { 1060 * MS, 6060 * MS } } }, .limit_ms = 60000)
SCENARIO(all_at_once,
         .link = { .delay_ns = 10 * MS,
                   .jitter_ns = 15 * MS,
                   .loss = 0.03,
                   .duplicate = 0.05,
                   .corrupt = 0.02 },
         .limit_ms = 120000)

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_clean_link),
    cmocka_unit_test(heavy_loss_in_the_handshake),
    cmocka_unit_test(loss_all_along),
    cmocka_unit_test(reordering),
    cmocka_unit_test(duplicates),
    cmocka_unit_test(corruption),
    cmocka_unit_test(a_satellite),
    cmocka_unit_test(a_slow_link),
    cmocka_unit_test(five_seconds_of_nothing),
    cmocka_unit_test(all_at_once),
  };
  pki = pki_new(PKI_P256);
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  pki_free(pki);
  return failed;
}
