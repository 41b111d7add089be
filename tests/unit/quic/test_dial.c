/* Whom an endpoint trusts when it dials: another TLS context than the one it accepts with. */
#include "rn_test.h"

#include "harness/peer.h"

#define MS UINT64_C(1000000)

struct world {
  struct net *net;
  struct pki *pki, *own;
  struct peer server, node; /* node accepts with its own certificate and dials */
  struct rn_quic_tls *other;
  struct rn_path path;
};

/* The node's own context trusts the node's own certificate only; `other` trusts the server's. */
static void begin(struct world *w, bool other_dials) {
  *w = (struct world){ .net = net_new(1), .pki = pki_new(PKI_P256), .own = pki_new(PKI_P256) };
  w->path = (struct rn_path){ .local = { .family = 4, .ip = { 10, 0, 0, 1 }, .port = 4000 },
                              .remote = { .family = 4, .ip = { 10, 0, 0, 2 }, .port = 8080 } };
  peer_prepare(&w->server, w->pki, 1);
  peer_prepare(&w->node, w->own, 2);
  w->other = peer_tls(w->own, w->pki, NULL);
  w->node.params.client_tls = other_dials ? w->other : NULL;
  peer_start(&w->server, NULL, NULL);
  peer_start(&w->node, w->own, NULL);
  net_add(w->net, w->node.q, &w->path.local);
  net_add(w->net, w->server.q, &w->path.remote);
}

static void end(struct world *w) {
  peer_stop(&w->node);
  peer_stop(&w->server);
  rn_quic_tls_free(w->other);
  net_free(w->net);
  pki_free(w->pki);
  pki_free(w->own);
}

/* Whether the dial ends with a connection. */
static bool dial(struct world *w, struct rn_quic_tls *tls) {
  struct rn_quic_conn *c;
  assert_int_equal(rn_quic_connect_tls(w->node.q, net_now(w->net), &w->path, "localhost", tls, &c),
                   RN_OK);
  net_run(w->net, net_now(w->net) + 200 * MS, NULL, NULL);
  return w->node.ready == 1;
}

static void trusts_by_its_own_context_unless_told_otherwise(void **state) {
  (void)state;
  struct world w;
  begin(&w, false);
  assert_false(dial(&w, NULL));
  end(&w);
}

static void client_context_of_the_endpoint_is_for_dials(void **state) {
  (void)state;
  struct world w;
  begin(&w, true);
  assert_true(dial(&w, NULL));
  end(&w);
}

static void context_of_one_dial_goes_first(void **state) {
  (void)state;
  struct world w;
  begin(&w, false);
  assert_true(dial(&w, w.other));
  assert_in_range(rn_quic_conn_heard_ns(w.node.conn), net_now(w.net) - 200 * MS, net_now(w.net));
  end(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(trusts_by_its_own_context_unless_told_otherwise),
    cmocka_unit_test(client_context_of_the_endpoint_is_for_dials),
    cmocka_unit_test(context_of_one_dial_goes_first),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
