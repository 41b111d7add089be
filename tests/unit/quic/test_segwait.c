/* Writes for which no send segment is left: refused and counted, and told of when others have given theirs back. */
#include "rn_test.h"

#include "harness/peer.h"

#define MS   UINT64_C(1000000)
#define SEGS 16u

struct world {
  struct net *net;
  struct pki *pki;
  struct peer server, client;
};

static bool both_ready(void *arg) {
  const struct world *w = arg;
  return w->client.ready == 1 && w->server.ready == 1;
}

static void run_ms(struct world *w, uint64_t ms) {
  net_run(w->net, net_now(w->net) + ms * MS, NULL, NULL);
}

static void begin(struct world *w) {
  static const struct rn_path path = { .local = { .ip = { 10, 0, 0, 1 }, .port = 1, .family = 4 },
                                       .remote = {
                                           .ip = { 10, 0, 0, 2 }, .port = 2, .family = 4 } };
  *w = (struct world){ .net = net_new(1), .pki = pki_new(PKI_P256) };
  peer_prepare(&w->server, w->pki, 1);
  peer_prepare(&w->client, NULL, 2);
  w->server.echo = true;
  w->client.params.limits.segs = w->client.params.limits.bulk_segs = SEGS;
  peer_start(&w->server, NULL, NULL);
  peer_start(&w->client, w->pki, NULL);
  net_add(w->net, w->client.q, &path.local)->link.delay_ns = MS;
  net_add(w->net, w->server.q, &path.remote)->link.delay_ns = MS;
  struct rn_quic_conn *c;
  assert_int_equal(rn_quic_connect(w->client.q, net_now(w->net), &path, "localhost", &c), RN_OK);
  assert_true(net_run(w->net, net_now(w->net) + 1000 * MS, both_ready, w));
}

static void end(struct world *w) {
  assert_int_equal(rn_quic_check(w->client.q), RN_OK);
  peer_stop(&w->client);
  peer_stop(&w->server);
  net_free(w->net);
  pki_free(w->pki);
}

static struct rn_quic_stream *open_stream(struct world *w) {
  struct rn_quic_stream *s;
  assert_int_equal(rn_quic_stream_open(w->client.conn, &s), RN_OK);
  return s;
}

/* Each small write holds a segment of its own, on a stream of its own. */
static void take_all_small(struct world *w) {
  for (uint32_t i = 0; i < SEGS; i++)
    assert_int_equal(rn_quic_stream_write(open_stream(w), "held", 4, true), RN_OK);
}

static void a_stream_with_nothing_queued_is_told(void **state) {
  (void)state;
  struct world w;
  begin(&w);
  take_all_small(&w);
  struct rn_quic_stream *s = open_stream(&w);
  assert_int_equal(rn_quic_stream_write(s, "late", 4, true), RN_ERR_AGAIN);
  assert_int_equal(rn_quic_stats(w.client.q)->seg_exhausted, 1);
  assert_int_equal(w.client.writables, 0);
  run_ms(&w, 500);
  assert_int_equal(w.client.writables, 1);
  assert_int_equal(rn_quic_stream_write(s, "late", 4, true), RN_OK);
  run_ms(&w, 500);
  assert_int_equal(w.client.bytes, (SEGS + 1) * 4);
  assert_int_equal(w.client.writables, 1);
  end(&w);
}

static void who_gave_up_is_not_told(void **state) {
  (void)state;
  struct world w;
  begin(&w);
  take_all_small(&w);
  struct rn_quic_stream *s = open_stream(&w);
  assert_int_equal(rn_quic_stream_write(s, "late", 4, true), RN_ERR_AGAIN);
  rn_quic_stream_reset(s, 0);
  rn_quic_stream_stop(s, 0);
  run_ms(&w, 500);
  assert_int_equal(w.client.writables, 0);
  end(&w);
}

/* What is waiting for much lets others pass, and has its turn when there is room for all of it. */
static void little_passes_much(void **state) {
  (void)state;
  static uint8_t much[SEGS * 4000];
  struct world w;
  begin(&w);
  take_all_small(&w);
  struct rn_quic_stream *half = open_stream(&w), *all = open_stream(&w), *little = open_stream(&w);
  assert_int_equal(rn_quic_stream_write(half, much, sizeof(much) / 2, false), RN_OK);
  assert_int_equal(rn_quic_stream_write(all, much, sizeof(much), true), RN_ERR_AGAIN);
  assert_int_equal(rn_quic_stream_write(little, "late", 4, true), RN_ERR_AGAIN);
  assert_false(rn_quic_stream_write(all, much, sizeof(much), true) == RN_OK);
  run_ms(&w, 1000);
  assert_int_equal(w.client.writables, 2);
  assert_int_equal(rn_quic_stream_write(little, "late", 4, true), RN_OK);
  assert_int_equal(rn_quic_stream_write(all, much, sizeof(much), true), RN_OK);
  run_ms(&w, 2000);
  assert_int_equal(w.client.bytes, SEGS * 4 + 4 + sizeof(much) + sizeof(much) / 2);
  end(&w);
}

/* Nothing that others give back would ever do. */
static void more_than_there_are_is_refused_for_good(void **state) {
  (void)state;
  static uint8_t too_much[SEGS * 8192];
  struct world w;
  begin(&w);
  struct rn_quic_stream *s = open_stream(&w);
  assert_int_equal(rn_quic_stream_write(s, too_much, sizeof(too_much), true), RN_ERR_LIMIT);
  assert_int_equal(rn_quic_stats(w.client.q)->seg_exhausted, 1);
  assert_false(rn_quic_tx_pending(w.client.q));
  run_ms(&w, 500);
  assert_int_equal(w.client.writables, 0);
  end(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_stream_with_nothing_queued_is_told),
    cmocka_unit_test(who_gave_up_is_not_told),
    cmocka_unit_test(little_passes_much),
    cmocka_unit_test(more_than_there_are_is_refused_for_good),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
