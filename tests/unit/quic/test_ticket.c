/* Session tickets across nodes and epochs of their keys. */
#include "rn_test.h"

#include <openssl/ssl.h>

#include "quic/tls_pvt.h"
#include "tls_pair.h"
#include "util/err.h"

static SSL_SESSION *kept; /* the last ticket a client got */

static int keep_session(SSL *ssl, SSL_SESSION *s) {
  (void)ssl;
  SSL_SESSION_free(kept);
  kept = s;
  return 1;
}

/* A node whose tickets are under these epochs' keys: all bytes of an epoch's key are its number. The first is used. */
static struct node node_with_epochs(struct rn_quic_tls_config *cfg, const uint32_t *epochs,
                                    size_t count) {
  uint8_t key[RN_TLS_TICKET_KEY_BYTES];
  struct rn_quic_tls_config clients = { .session_tickets = true };
  memset(key, (int)epochs[0], sizeof(key));
  cfg->session_tickets = true;
  cfg->ticket_keys = key;
  cfg->ticket_epoch = epochs[0];
  struct node n = node_new("P-256", &localhost, cfg, &clients);
  for (size_t i = 1; i < count; i++) {
    memset(key, (int)epochs[i], sizeof(key));
    rn_quic_tls_ticket_key(n.server, epochs[i], key);
  }
  SSL_CTX_sess_set_new_cb(n.client->client, keep_session);
  return n;
}

/* A handshake that offers the kept ticket, if any: was it resumed? Afterwards the kept ticket is a new one. */
static bool resumes(struct node *n) {
  struct pair p = { .server_key = n->key, .client_key = n->key };
  assert_true(pair_start(&p, n->client, n->server, "localhost"));
  SSL_SESSION *offered = kept;
  if (kept != NULL) {
    SSL_SESSION_up_ref(kept);
    assert_int_equal(SSL_set_session(p.client.tls.ssl, kept), 1);
  }
  pair_run(&p);
  assert_completed(&p);
  pair_exchange(&p, 5);
  bool yes = rn_tls_conn_resumed(&p.server.tls);
  assert_int_equal(yes, rn_tls_conn_resumed(&p.client.tls));
  assert_int_equal(yes, p.sign_requests == 0);
  assert_true(kept != NULL && kept != offered);
  SSL_SESSION_free(offered);
  pair_end(&p);
  return yes;
}

/* The name of the key that the kept ticket is under: its first octet. */
static uint8_t kept_under(void) {
  const unsigned char *ticket;
  size_t n;
  SSL_SESSION_get0_ticket(kept, &ticket, &n);
  assert_true(n > 16);
  return ticket[0];
}

static void forget_session(void) {
  SSL_SESSION_free(kept);
  kept = NULL;
}

static void tickets_resume_on_another_node_with_the_same_keys(void **state) {
  (void)state;
  struct rn_quic_tls_config cfg = { 0 };
  const uint32_t one[] = { 1 }, two[] = { 2 };
  struct node a = node_with_epochs(&cfg, one, 1), b = node_with_epochs(&cfg, one, 1),
              stranger = node_with_epochs(&cfg, two, 1);
  assert_false(resumes(&a));
  assert_true(resumes(&a));
  assert_true(resumes(&b));
  assert_int_equal(rn_quic_tls_tickets_unknown(b.server), 0);
  assert_false(resumes(&stranger));
  assert_int_equal(rn_quic_tls_tickets_unknown(stranger.server), 1);
  forget_session();
  node_free(&a);
  node_free(&b);
  node_free(&stranger);
}

static void tickets_of_earlier_epochs_are_taken_and_renewed(void **state) {
  (void)state;
  struct rn_quic_tls_config cfg = { 0 };
  const uint32_t epochs[] = { 1, 2 };
  struct node n = node_with_epochs(&cfg, epochs, 2);
  assert_false(resumes(&n));
  assert_int_equal(kept_under(), 1);
  rn_quic_tls_ticket_use(n.server, 2, 1);
  assert_true(resumes(&n));
  assert_int_equal(kept_under(), 2); /* the new one */
  assert_true(resumes(&n));
  forget_session();
  node_free(&n);
}

static void tickets_of_a_retired_epoch_mean_a_full_handshake(void **state) {
  (void)state;
  struct rn_quic_tls_config cfg = { 0 };
  const uint32_t epochs[] = { 1, 2 };
  struct node n = node_with_epochs(&cfg, epochs, 2);
  assert_false(resumes(&n));
  rn_quic_tls_ticket_use(n.server, 2, 2);
  assert_false(resumes(&n));
  assert_int_equal(rn_quic_tls_tickets_unknown(n.server), 1);
  /* Seven epochs on, another one has its place; and what is older does not push out what is newer. */
  uint8_t key[RN_TLS_TICKET_KEY_BYTES];
  memset(key, 9, sizeof(key));
  rn_quic_tls_ticket_key(n.server, 9, key);
  memset(key, 2, sizeof(key));
  rn_quic_tls_ticket_key(n.server, 2, key);
  assert_int_equal(kept_under(), 2);
  assert_false(resumes(&n));
  assert_int_equal(kept_under(), 9);
  rn_quic_tls_ticket_use(n.server, 9, 3);
  assert_true(resumes(&n));
  forget_session();
  node_free(&n);
}

/* Else a client without a certificate could get its ticket at a node that does not mind. */
static void tickets_do_not_pass_for_client_certificates(void **state) {
  (void)state;
  const uint32_t one[] = { 1 };
  struct rn_quic_tls_config open = { 0 }, strict = { .require_client_cert = true };
  struct node a = node_with_epochs(&open, one, 1), b = node_with_epochs(&strict, one, 1);
  struct pair p = { .server_key = b.key };
  assert_false(resumes(&a));
  assert_true(pair_start(&p, a.client, b.server, "localhost"));
  assert_int_equal(SSL_set_session(p.client.tls.ssl, kept), 1);
  pair_run(&p);
  assert_int_not_equal(p.client.error | p.server.error, 0);
  assert_false(p.server.completed);
  pair_end(&p);
  forget_session();
  node_free(&a);
  node_free(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(tickets_resume_on_another_node_with_the_same_keys),
    cmocka_unit_test(tickets_of_earlier_epochs_are_taken_and_renewed),
    cmocka_unit_test(tickets_of_a_retired_epoch_mean_a_full_handshake),
    cmocka_unit_test(tickets_do_not_pass_for_client_certificates),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
