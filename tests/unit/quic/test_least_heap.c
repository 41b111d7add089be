/* The least heap that an endpoint takes is enough for a handshake and calls, whatever the configuration; less is refused. */
#include "rn_test.h"

#include "harness/peer.h"
#include "quic/quic_priv.h"

#define MS    UINT64_C(1000000)
#define CALLS 20
#define BYTES 20000

struct variant {
  enum rn_quic_cc cc;
  enum rn_quic_retry retry;
  bool pmtud, large_hello; /* a ClientHello of two datagrams */
  double loss;
};

struct world {
  struct net *net;
  struct pki *pki;
  struct peer server, client;
};

static bool both_ready(void *arg) {
  const struct world *w = arg;
  return w->client.ready == 1 && w->server.ready == 1;
}

static bool all_answered(void *arg) {
  return ((const struct world *)arg)->client.bytes == (uint64_t)CALLS * BYTES;
}

static struct net_host *start(struct world *w, struct peer *p, const struct variant *v,
                              const struct rn_addr *at) {
  static const struct rn_quic_tls_config large_hello = { .groups = "X25519MLKEM768:X25519" };
  p->params.limits.heap_bytes = RN_QUIC_HEAP_BYTES_MIN;
  p->params.config.cc = v->cc;
  p->params.config.retry = v->retry;
  p->params.config.pmtud = v->pmtud;
  peer_start(p, p->pki != NULL ? NULL : w->pki, v->large_hello ? &large_hello : NULL);
  struct net_host *h = net_add(w->net, p->q, at);
  h->link.delay_ns = 5 * MS;
  h->link.loss = v->loss;
  return h;
}

static void is_enough(const struct variant *v, uint64_t seed) {
  static const struct rn_path path = { .local = { .ip = { 10, 0, 0, 1 }, .port = 1, .family = 4 },
                                       .remote = {
                                           .ip = { 10, 0, 0, 2 }, .port = 2, .family = 4 } };
  static const uint8_t body[BYTES];
  struct world w = { .net = net_new(seed), .pki = pki_new(PKI_P256) };
  peer_prepare(&w.server, w.pki, 2 * seed);
  peer_prepare(&w.client, NULL, 2 * seed + 1);
  w.server.echo = true;
  start(&w, &w.client, v, &path.local);
  start(&w, &w.server, v, &path.remote);
  struct rn_quic_conn *c;
  assert_int_equal(rn_quic_connect(w.client.q, net_now(w.net), &path, "localhost", &c), RN_OK);
  assert_true(net_run(w.net, net_now(w.net) + 10000 * MS, both_ready, &w));
  for (int i = 0; i < CALLS; i++) {
    struct rn_quic_stream *s;
    assert_int_equal(rn_quic_stream_open(w.client.conn, &s), RN_OK);
    assert_int_equal(rn_quic_stream_write(s, body, sizeof(body), true), RN_OK);
  }
  assert_true(net_run(w.net, net_now(w.net) + 30000 * MS, all_answered, &w));
  assert_int_equal(rn_heap_failures(w.client.q->heap) + rn_heap_failures(w.server.q->heap), 0);
  peer_stop(&w.client);
  peer_stop(&w.server);
  net_free(w.net);
  pki_free(w.pki);
}

static void the_least_is_enough(void **state) {
  (void)state;
  static const struct variant variants[] = {
    { .cc = RN_QUIC_CC_CUBIC },
    { .cc = RN_QUIC_CC_NEWRENO, .loss = 0.05 },
    { .cc = RN_QUIC_CC_BBR, .pmtud = true, .large_hello = true, .loss = 0.02 },
    { .cc = RN_QUIC_CC_CUBIC, .retry = RN_QUIC_RETRY_ALWAYS, .large_hello = true, .pmtud = true },
  };
  for (uint64_t seed = 1; seed <= 3; seed++) {
    for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
      is_enough(&variants[i], seed);
  }
}

static void less_is_refused(void **state) {
  (void)state;
  struct peer p;
  peer_prepare(&p, NULL, 1);
  p.params.limits.heap_bytes = RN_QUIC_HEAP_BYTES_MIN;
  assert_int_not_equal(rn_quic_footprint(&p.params.limits), 0);
  p.params.limits.heap_bytes--;
  assert_int_equal(rn_quic_footprint(&p.params.limits), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_least_is_enough),
    cmocka_unit_test(less_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
