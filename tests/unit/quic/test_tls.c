#include "rn_test.h"

#include <pthread.h>

#include <openssl/ssl.h>

#include "quic/close.h"
#include "tls_pair.h"
#include "util/err.h"

static void every_key_type_signs_elsewhere(void **state) {
  (void)state;
  static const struct {
    const char *type;
    uint16_t scheme;
  } keys[] = { { "P-256", 0x0403 }, { "P-384", 0x0503 }, { "RSA", 0x0804 }, { "ED25519", 0x0807 } };
  for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
    struct node n = node_new(keys[i].type, &localhost, NULL, NULL);
    struct pair p;
    handshake_ok(&n, "localhost", &p);
    assert_int_equal(p.sign_requests, 1);
    assert_int_equal(p.sign_scheme, keys[i].scheme);
    assert_int_equal(p.sign_tbs_bytes, 64 + 33 + 1 + 32); /* RFC 8446 section 4.4.3 */
    pair_end(&p);
    node_free(&n);
  }
}

static void every_suite_carries_data_through_key_updates(void **state) {
  (void)state;
  static const char *const suites[] = { "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                        "TLS_CHACHA20_POLY1305_SHA256" };
  for (size_t i = 0; i < 3; i++) {
    struct rn_quic_tls_config cfg = { .cipher_suites = suites[i] };
    struct node n = node_new("P-256", &localhost, &cfg, NULL);
    struct pair p;
    enum rn_aead_suite got;
    handshake_ok(&n, "localhost", &p);
    assert_int_equal(rn_tls_suite(&p.server.tls, &got), RN_OK);
    assert_int_equal(got, i);
    assert_int_equal(rn_tls_suite(&p.client.tls, &got), RN_OK);
    assert_int_equal(got, i);
    pair_exchange(&p, 5);
    for (int update = 0; update < 3; update++) {
      p.now_ns += 3000000000; /* RFC 9001 section 6.5: not before 3 PTO */
      pair_exchange(&p, 1);   /* ngtcp2 prepares the next keys when it writes */
      assert_int_equal(ngtcp2_conn_initiate_key_update(p.client.conn, p.now_ns), 0);
      int64_t stream;
      assert_int_equal(ngtcp2_conn_open_bidi_stream(p.client.conn, &stream, NULL), 0);
      assert_int_equal(ngtcp2_conn_shutdown_stream(p.client.conn, 0, stream, 1), 0);
      pair_exchange(&p, 8);
      assert_completed(&p);
    }
    pair_end(&p);
    node_free(&n);
  }
}

static void server_prefers_suites_in_its_order(void **state) {
  (void)state;
  struct rn_quic_tls_config cfg = { .cipher_suites =
                                        "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256" };
  struct node n = node_new("P-256", &localhost, &cfg, NULL);
  struct pair p;
  enum rn_aead_suite got;
  handshake_ok(&n, "localhost", &p);
  assert_int_equal(rn_tls_suite(&p.server.tls, &got), RN_OK);
  assert_int_equal(got, RN_AEAD_CHACHA20);
  pair_end(&p);
  node_free(&n);
}

static void handshake_waits_for_the_signature(void **state) {
  (void)state;
  struct node n = node_new("P-256", &localhost, NULL, NULL);
  struct pair p = { .server_key = n.key, .hold_signatures = true };
  assert_true(pair_start(&p, n.client, n.server, "localhost"));
  pair_run(&p);
  assert_int_equal(p.server.error, 0);
  assert_true(p.server.tls.sign_wanted);
  assert_false(p.client.completed);
  /* More from the client meanwhile, here its first flight again, changes nothing. */
  p.now_ns += 2000000000;
  assert_int_equal(ngtcp2_conn_handle_expiry(p.client.conn, p.now_ns), 0);
  pair_exchange(&p, 3);
  assert_int_equal(p.server.error, 0);
  assert_true(p.server.tls.sign != NULL);
  pair_sign(&p);
  assert_false(p.server.tls.sign_wanted);
  pair_run(&p);
  assert_completed(&p);
  pair_end(&p);
  node_free(&n);
}

/* RFC 9001 section 4.1.3: the ClientHello is the last of its level. */
static void bytes_after_the_client_hello_wait_and_are_refused(void **state) {
  (void)state;
  struct node n = node_new("P-256", &localhost, NULL, NULL);
  struct pair p = { .server_key = n.key, .hold_signatures = true };
  assert_true(pair_start(&p, n.client, n.server, "localhost"));
  pair_run(&p);
  assert_int_equal(rn_tls_recv_crypto(p.server.conn, NGTCP2_ENCRYPTION_LEVEL_INITIAL, 0,
                                      (const uint8_t *)"more", 4, NULL),
                   0);
  assert_true(p.server.tls.sign != NULL);
  pair_sign(&p);
  assert_true(p.server.tls.sign == NULL);
  assert_int_equal(p.server.error, NGTCP2_ERR_CRYPTO);
  pair_end(&p);
  node_free(&n);
}

static void signer_error_fails_the_handshake(void **state) {
  (void)state;
  struct node n = node_new("P-256", &localhost, NULL, NULL);
  struct pair p = { .server_key = NULL };
  assert_true(pair_start(&p, n.client, n.server, "localhost"));
  pair_run(&p);
  assert_int_equal(p.server.error, NGTCP2_ERR_CRYPTO);
  assert_int_equal(p.server.alert, SSL_AD_INTERNAL_ERROR);
  assert_null(p.server.tls.sign);
  assert_int_equal(rn_tls_sign_done(&p.server.tls, RN_OK, NULL, 0), 0);
  pair_end(&p);
  node_free(&n);
}

static void wrong_signature_is_refused_by_the_client(void **state) {
  (void)state;
  struct node n = node_new("ED25519", &localhost, NULL, NULL);
  struct pair p = { .server_key = n.key, .wrong_signature = true };
  assert_true(pair_start(&p, n.client, n.server, "localhost"));
  pair_run(&p);
  assert_int_equal(p.client.error, NGTCP2_ERR_CRYPTO);
  assert_int_equal(p.client.alert, SSL_AD_DECRYPT_ERROR);
  pair_end(&p);
  node_free(&n);
}

static void a_connection_may_end_while_it_waits(void **state) {
  (void)state;
  struct node n = node_new("P-384", &localhost, NULL, NULL);
  /* More rounds than the thread has jobs: a leaked one would end this. */
  assert_int_equal(rn_tls_thread_init(2), RN_OK);
  for (int i = 0; i < 8; i++) {
    struct pair p = { .server_key = n.key, .hold_signatures = true };
    assert_true(pair_start(&p, n.client, n.server, "localhost"));
    pair_run(&p);
    assert_true(p.server.tls.sign_wanted);
    pair_end(&p);
  }
  rn_tls_thread_fini();
  node_free(&n);
}

static void signatures_come_back_in_any_order(void **state) {
  (void)state;
  enum { N = 6 };
  struct node n = node_new("P-256", &localhost, NULL, NULL);
  struct pair p[N];
  assert_int_equal(rn_tls_thread_init(N), RN_OK);
  for (int i = 0; i < N; i++) {
    p[i] = (struct pair){ .server_key = n.key, .hold_signatures = true };
    assert_true(pair_start(&p[i], n.client, n.server, "localhost"));
    pair_run(&p[i]);
    assert_true(p[i].server.tls.sign_wanted);
  }
  static const int order[N] = { 3, 0, 5, 1, 4, 2 };
  for (int i = 0; i < N; i++) {
    pair_sign(&p[order[i]]);
    pair_run(&p[order[i]]);
    assert_completed(&p[order[i]]);
  }
  for (int i = 0; i < N; i++)
    pair_end(&p[i]);
  rn_tls_thread_fini();
  node_free(&n);
}

static void jobs_beyond_the_limit_fail_cleanly(void **state) {
  (void)state;
  struct node n = node_new("P-256", &localhost, NULL, NULL);
  struct pair p[3];
  assert_int_equal(rn_tls_thread_init(1), RN_OK); /* one waits, one runs */
  for (int i = 0; i < 3; i++) {
    p[i] = (struct pair){ .server_key = n.key, .hold_signatures = true };
    assert_true(pair_start(&p[i], n.client, n.server, "localhost"));
    pair_run(&p[i]);
  }
  assert_true(p[0].server.tls.sign_wanted);
  assert_true(p[1].server.tls.sign_wanted);
  assert_int_equal(p[2].server.error, NGTCP2_ERR_CRYPTO);
  for (int i = 0; i < 3; i++)
    pair_end(&p[i]);
  rn_tls_thread_fini();
  node_free(&n);
}

/* How many of three handshakes on the calling thread wait for their signature; the others have failed. */
static int three_wait(const struct node *n) {
  struct pair p[3];
  int waiting = 0;
  for (int i = 0; i < 3; i++) {
    p[i] = (struct pair){ .server_key = n->key, .hold_signatures = true };
    if (!pair_start(&p[i], n->client, n->server, "localhost"))
      return -1;
    pair_run(&p[i]);
    waiting += p[i].server.tls.sign_wanted;
  }
  for (int i = 0; i < 3; i++)
    pair_end(&p[i]);
  return waiting;
}

struct other_thread {
  const struct node *node;
  uint32_t jobs_at_first, jobs_then;
  int wait_at_first, wait_then;
};

static void *on_another_thread(void *arg) {
  struct other_thread *o = arg;
  o->jobs_at_first = rn_tls_thread_jobs();
  o->wait_at_first = three_wait(o->node);
  if (rn_tls_thread_init(1) != RN_OK)
    return NULL;
  o->jobs_then = rn_tls_thread_jobs();
  o->wait_then = three_wait(o->node);
  rn_tls_thread_fini();
  return NULL;
}

static void each_thread_has_jobs_of_its_own(void **state) {
  (void)state;
  struct node n = node_new("P-256", &localhost, NULL, NULL);
  assert_int_equal(rn_tls_thread_init(1), RN_OK);
  assert_int_equal(three_wait(&n), 2);
  struct other_thread o = { .node = &n };
  pthread_t t;
  assert_int_equal(pthread_create(&t, NULL, on_another_thread, &o), 0);
  assert_int_equal(pthread_join(t, NULL), 0);
  assert_int_equal(o.jobs_at_first, 0);
  assert_int_equal(o.wait_at_first, 3); /* this thread's limit is not the other's */
  assert_int_equal(o.jobs_then, 1);
  assert_int_equal(o.wait_then, 2);
  assert_int_equal(rn_tls_thread_jobs(), 1);
  rn_tls_thread_fini();
  assert_int_equal(rn_tls_thread_jobs(), 0);
  node_free(&n);
}

static void hello_retry_request_finds_a_common_group(void **state) {
  (void)state;
  struct rn_quic_tls_config cfg = { .groups = "X25519" };
  struct node n = node_new("P-256", &localhost, &cfg, NULL);
  struct pair p;
  handshake_ok(&n, "localhost", &p);
  pair_end(&p);
  node_free(&n);

  cfg.groups = "P-521";
  struct rn_quic_tls_config other = { .groups = "X25519" };
  n = node_new("P-256", &localhost, &cfg, &other);
  p = (struct pair){ .server_key = n.key };
  assert_true(pair_start(&p, n.client, n.server, "localhost"));
  pair_run(&p);
  assert_int_equal(p.server.error, NGTCP2_ERR_CRYPTO);
  assert_int_equal(p.server.alert, SSL_AD_HANDSHAKE_FAILURE);
  pair_end(&p);
  node_free(&n);
}

static void alpn_mismatch_is_no_application_protocol(void **state) {
  (void)state;
  struct rn_quic_tls_config cfg = { .alpn = "hq-interop" };
  struct node n = node_new("P-256", &localhost, NULL, &cfg);
  struct pair p = { .server_key = n.key };
  assert_true(pair_start(&p, n.client, n.server, "localhost"));
  pair_run(&p);
  assert_int_equal(p.server.error, NGTCP2_ERR_CRYPTO);
  assert_int_equal(p.server.alert, SSL_AD_NO_APPLICATION_PROTOCOL); /* RFC 9001 section 8.1 */
  pair_end(&p);
  node_free(&n);
}

/* Returns the client's alert; 0: accepted. */
static uint8_t connect_to(const struct pair_cert_opt *cert, const char *name) {
  struct node n = node_new("P-256", cert, NULL, NULL);
  struct pair p = { .server_key = n.key };
  assert_true(pair_start(&p, n.client, n.server, name));
  pair_run(&p);
  uint8_t alert = p.client.alert;
  assert_int_equal(p.client.completed, alert == 0);
  pair_end(&p);
  node_free(&n);
  return alert;
}

static void the_certificate_must_carry_the_name(void **state) {
  (void)state;
  static const struct pair_cert_opt cn_only = { "node.example", NULL, NULL };
  static const struct pair_cert_opt ip6 = { "node.example", "IP:::1", NULL };
  assert_int_equal(connect_to(&localhost, "localhost"), 0);
  assert_int_equal(connect_to(&localhost, "127.0.0.1"), 0);
  assert_int_equal(connect_to(&localhost, NULL), 0);
  assert_int_equal(connect_to(&cn_only, "node.example"), 0);
  assert_int_equal(connect_to(&ip6, "::1"), 0);
  assert_int_equal(connect_to(&localhost, "other.example"), SSL_AD_BAD_CERTIFICATE);
  assert_int_equal(connect_to(&localhost, "127.0.0.2"), SSL_AD_BAD_CERTIFICATE);
  assert_int_equal(connect_to(&cn_only, "other.example"), SSL_AD_BAD_CERTIFICATE);
}

/* As peers do that pin a certificate: no CA is known, the leaf itself is trusted. */
static void a_leaf_without_its_issuer_can_be_trusted(void **state) {
  (void)state;
  EVP_PKEY *issuer = pair_key("P-256");
  struct pair_cert_opt signed_by = localhost;
  signed_by.issuer = issuer;
  assert_int_equal(connect_to(&signed_by, "localhost"), 0);
  EVP_PKEY_free(issuer);
}

static void an_unknown_certificate_is_refused_unless_nothing_is_checked(void **state) {
  (void)state;
  struct node a = node_new("P-256", &localhost, NULL, NULL);
  struct node b = node_new("P-256", &localhost, NULL, NULL);
  struct pair p = { .server_key = a.key };
  assert_true(pair_start(&p, b.client, a.server, "localhost"));
  pair_run(&p);
  assert_int_equal(p.client.error, NGTCP2_ERR_CRYPTO);
  assert_true(p.client.alert == SSL_AD_UNKNOWN_CA || p.client.alert == SSL_AD_BAD_CERTIFICATE);
  pair_end(&p);

  struct rn_quic_tls *trusting = tls_new(&(struct rn_quic_tls_config){ 0 });
  p = (struct pair){ .server_key = a.key };
  assert_true(pair_start(&p, trusting, a.server, "whatever.example"));
  pair_run(&p);
  assert_completed(&p);
  pair_end(&p);
  rn_quic_tls_free(trusting);
  node_free(&a);
  node_free(&b);
}

static void client_certificates_are_asked_for_and_signed_elsewhere(void **state) {
  (void)state;
  struct rn_quic_tls_config require = { .require_client_cert = true };
  struct node n = node_new("P-256", &localhost, &require, NULL);
  struct pair p = { .server_key = n.key };
  assert_true(pair_start(&p, n.client, n.server, "localhost")); /* without a certificate */
  pair_run(&p);
  assert_int_equal(p.server.error, NGTCP2_ERR_CRYPTO);
  assert_int_equal(p.server.alert, SSL_AD_CERTIFICATE_REQUIRED);
  pair_end(&p);

  p = (struct pair){ .server_key = n.key, .client_key = n.key };
  assert_true(pair_start(&p, n.server, n.server, NULL)); /* a node dials with its own */
  pair_run(&p);
  assert_completed(&p);
  assert_int_equal(p.sign_requests, 2);
  pair_end(&p);
  node_free(&n);
}

static void tickets_do_not_disturb(void **state) {
  (void)state;
  uint8_t keys[RN_TLS_TICKET_KEY_BYTES] = { 3 };
  struct rn_quic_tls_config cfg = { .session_tickets = true, .ticket_keys = keys };
  struct node n = node_new("P-256", &localhost, &cfg, &cfg);
  struct pair p;
  handshake_ok(&n, "localhost", &p);
  pair_exchange(&p, 5);
  assert_completed(&p);
  pair_end(&p);
  node_free(&n);
}

static void tls_can_be_released_after_the_handshake(void **state) {
  (void)state;
  struct node n = node_new("P-256", &localhost, NULL, NULL);
  struct pair p;
  handshake_ok(&n, "localhost", &p);
  pair_exchange(&p, 5);
  rn_tls_conn_release(&p.server.tls);
  rn_tls_conn_release(&p.client.tls);
  p.now_ns += 3000000000;
  assert_int_equal(ngtcp2_conn_initiate_key_update(p.client.conn, p.now_ns), 0);
  int64_t stream;
  assert_int_equal(ngtcp2_conn_open_bidi_stream(p.client.conn, &stream, NULL), 0);
  assert_int_equal(ngtcp2_conn_shutdown_stream(p.client.conn, 0, stream, 1), 0);
  pair_exchange(&p, 8);
  assert_completed(&p);
  assert_int_equal(rn_tls_recv_crypto(p.server.conn, NGTCP2_ENCRYPTION_LEVEL_1RTT, 0,
                                      (const uint8_t *)"x", 1, NULL),
                   NGTCP2_ERR_CRYPTO);
  assert_int_equal(ngtcp2_conn_get_tls_alert(p.server.conn), SSL_AD_UNEXPECTED_MESSAGE);
  pair_end(&p);
  node_free(&n);
}

static int late_crypto(struct pair *p, const uint8_t *data, size_t len) {
  return rn_tls_recv_crypto(p->client.conn, NGTCP2_ENCRYPTION_LEVEL_1RTT, 0, data, len, NULL);
}

/* RFC 9001 section 6: a KeyUpdate message is an error, also to a client that let go of TLS. */
static void a_client_reads_past_tickets_and_nothing_else(void **state) {
  (void)state;
  struct node n = node_new("P-256", &localhost, NULL, NULL);
  struct pair p;
  handshake_ok(&n, "localhost", &p);
  pair_exchange(&p, 5);
  const uint8_t tickets[] = { 4, 0, 0, 3, 'a', 'b', 'c', 4, 0, 0, 0, 4, 0, 0, 1, 24 };
  const uint8_t key_update[] = { 24, 0, 0, 1, 0 };
  for (size_t i = 0; i < sizeof(tickets); i++) {
    if (i == 2) /* in the midst of a head */
      rn_tls_conn_confirmed(&p.client.tls);
    assert_int_equal(late_crypto(&p, tickets + i, 1), 0);
  }
  assert_null(p.client.tls.ssl);
  assert_int_equal(late_crypto(&p, tickets, sizeof(tickets)), 0);
  assert_int_equal(late_crypto(&p, key_update, sizeof(key_update)), NGTCP2_ERR_CRYPTO);
  assert_int_equal(ngtcp2_conn_get_tls_alert(p.client.conn), SSL_AD_UNEXPECTED_MESSAGE);
  pair_end(&p);
  node_free(&n);
}

static void a_client_that_wants_tickets_keeps_tls(void **state) {
  (void)state;
  struct rn_quic_tls_config cfg = { .session_tickets = true };
  struct node n = node_new("P-256", &localhost, &cfg, &cfg);
  struct pair p;
  handshake_ok(&n, "localhost", &p);
  rn_tls_conn_confirmed(&p.client.tls);
  rn_tls_conn_confirmed(&p.server.tls);
  assert_non_null(p.client.tls.ssl);
  assert_null(p.server.tls.ssl);
  pair_exchange(&p, 5);
  assert_completed(&p);
  pair_end(&p);
  node_free(&n);
}

/* Every take of a context fails once: the connection ends, and gives back what it has. */
static void a_pool_too_small_fails_the_handshake_cleanly(void **state) {
  (void)state;
  struct node n = node_new("P-256", &localhost, NULL, NULL);
  int failed = 0;
  for (uint32_t count = 1; count <= RN_AEAD_CTX_PER_CONN; count++) {
    struct pair p = { .server_key = n.key, .ctx_count = count };
    assert_true(pair_start(&p, n.client, n.server, "localhost"));
    pair_run(&p);
    failed += p.server.error != 0;
    assert_true(p.server.error != 0 || p.server.completed);
    pair_end(&p);
  }
  assert_true(failed >= 5 && failed < RN_AEAD_CTX_PER_CONN);
  node_free(&n);
}

/* RFC 9000 section 8.1.2: the client takes it for what it is. */
static void a_refused_client_learns_the_code(void **state) {
  (void)state;
  struct node n = node_new("P-256", &localhost, NULL, NULL);
  struct pair p = { 0 };
  assert_true(pair_start(&p, n.client, n.server, "localhost"));
  uint8_t initial[1500], reply[RN_CLOSE_BYTES_MAX];
  ngtcp2_path_storage ps;
  ngtcp2_pkt_info pi = { 0 };
  ngtcp2_path_storage_zero(&ps);
  ngtcp2_ssize len =
      ngtcp2_conn_write_pkt(p.client.conn, &ps.path, &pi, initial, sizeof(initial), p.now_ns);
  assert_true(len >= 1200);
  ngtcp2_pkt_hd hd;
  assert_int_equal(ngtcp2_accept(&hd, initial, (size_t)len), 0);
  const struct rn_retry_cid to = { hd.scid.data, hd.scid.datalen };
  const struct rn_retry_cid from = { hd.dcid.data, hd.dcid.datalen };
  size_t bytes =
      rn_close_write(p.server.pool, &to, &from, NGTCP2_INVALID_TOKEN, reply, sizeof(reply));
  assert_true(bytes > 0);
  assert_int_equal(
      rn_close_write(p.server.pool, &to, &from, NGTCP2_INVALID_TOKEN, reply, bytes - 1), 0);
  assert_int_equal(ngtcp2_conn_read_pkt(p.client.conn, ngtcp2_conn_get_path(p.client.conn), &pi,
                                        reply, bytes, p.now_ns),
                   NGTCP2_ERR_DRAINING);
  const ngtcp2_ccerr *why = ngtcp2_conn_get_ccerr(p.client.conn);
  assert_int_equal(why->type, NGTCP2_CCERR_TYPE_TRANSPORT);
  assert_int_equal(why->error_code, NGTCP2_INVALID_TOKEN);
  pair_end(&p);
  node_free(&n);
}

static void configuration_errors_say_what_is_wrong(void **state) {
  (void)state;
  struct rn_quic_tls *t = NULL;
  char err[200];
  EVP_PKEY *key = pair_key("P-256");
  char *pem = pair_cert(key, &localhost);
  struct {
    struct rn_quic_tls_config cfg;
    const char *word;
  } bad[] = {
    { { .cert_pem = "nonsense", .cert_pem_bytes = 8 }, "certificate" },
    { { .cert_pem = pem, .cert_pem_bytes = strlen(pem) / 2 }, "certificate" },
    { { .ca_pem = "", .ca_pem_bytes = 0 }, "CA" },
    { { .cipher_suites = "TLS_AES_128_GCM_SHA256:TLS_NO_SUCH" }, "TLS_NO_SUCH" },
    { { .cipher_suites = "" }, "suite" },
    { { .groups = "P-256:P-1" }, "P-1" },
    { { .alpn = "" }, "alpn" },
    { { .cert_pem = pem, .cert_pem_bytes = strlen(pem), .require_client_cert = true }, "CA" },
  };
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    assert_int_equal(rn_quic_tls_new(&bad[i].cfg, &t, err, sizeof(err)), RN_ERR_INVAL);
    assert_non_null(strstr(err, bad[i].word));
  }
  assert_null(t);
  EVP_PKEY_free(key);
  free(pem);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(every_key_type_signs_elsewhere),
    cmocka_unit_test(every_suite_carries_data_through_key_updates),
    cmocka_unit_test(server_prefers_suites_in_its_order),
    cmocka_unit_test(handshake_waits_for_the_signature),
    cmocka_unit_test(bytes_after_the_client_hello_wait_and_are_refused),
    cmocka_unit_test(signer_error_fails_the_handshake),
    cmocka_unit_test(wrong_signature_is_refused_by_the_client),
    cmocka_unit_test(a_connection_may_end_while_it_waits),
    cmocka_unit_test(signatures_come_back_in_any_order),
    cmocka_unit_test(jobs_beyond_the_limit_fail_cleanly),
    cmocka_unit_test(each_thread_has_jobs_of_its_own),
    cmocka_unit_test(hello_retry_request_finds_a_common_group),
    cmocka_unit_test(alpn_mismatch_is_no_application_protocol),
    cmocka_unit_test(the_certificate_must_carry_the_name),
    cmocka_unit_test(a_leaf_without_its_issuer_can_be_trusted),
    cmocka_unit_test(an_unknown_certificate_is_refused_unless_nothing_is_checked),
    cmocka_unit_test(client_certificates_are_asked_for_and_signed_elsewhere),
    cmocka_unit_test(tickets_do_not_disturb),
    cmocka_unit_test(tls_can_be_released_after_the_handshake),
    cmocka_unit_test(a_client_reads_past_tickets_and_nothing_else),
    cmocka_unit_test(a_client_that_wants_tickets_keeps_tls),
    cmocka_unit_test(a_pool_too_small_fails_the_handshake_cleanly),
    cmocka_unit_test(a_refused_client_learns_the_code),
    cmocka_unit_test(configuration_errors_say_what_is_wrong),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
