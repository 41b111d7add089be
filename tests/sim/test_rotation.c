/* The secret is rotated while connections are there, handshakes are under way, and packets come back to a server that was started again. */
#include "rn_test.h"

#include "harness/peer.h"
#include "quic/secret.h"

#define MS     UINT64_C(1000000)
#define S      (1000 * MS)
#define EPOCHS 32 /* whose connection IDs an endpoint understands */

struct world {
  struct net *net;
  struct pki *pki;
  struct peer server, client;
  struct net_host *server_host, *client_host;
  struct rn_path path; /* of the next dial */
  uint32_t wanted;     /* fins of the client */
};

static struct rn_addr addr(uint8_t last, uint16_t port) {
  return (struct rn_addr){ .family = 4, .ip = { 10, 0, 0, last }, .port = port };
}

/* The keys of an epoch; all nodes here share the secret. */
static struct rn_secret_keys keys_of(uint32_t epoch) {
  uint8_t secret[32];
  struct rn_secret_keys k;
  memset(secret, (int)(epoch * 37), sizeof(secret));
  assert_int_equal(rn_secret_derive(secret, sizeof(secret), epoch, &k), RN_OK);
  return k;
}

static void prepare_server(struct world *w, uint32_t epoch, enum rn_quic_retry retry) {
  const struct rn_secret_keys k = keys_of(epoch);
  peer_prepare(&w->server, w->pki, 31);
  w->server.echo = true;
  w->server.params.config.retry = retry;
  w->server.params.config.address_token_ns = 60 * S;
  rn_secret_to_cid(&k, &w->server.params.cid);
}

static void begin(struct world *w, enum rn_quic_retry retry) {
  *w = (struct world){ .net = net_new(1),
                       .pki = pki_new(PKI_P256),
                       .path = { .local = addr(1, 4000), .remote = addr(2, 443) } };
  prepare_server(w, 1, retry);
  peer_prepare(&w->client, NULL, 32);
  peer_start(&w->server, NULL, NULL);
  peer_start(&w->client, w->pki, NULL);
  w->client_host = net_add(w->net, w->client.q, &w->path.local);
  w->server_host = net_add(w->net, w->server.q, &w->path.remote);
  w->client_host->link.delay_ns = w->server_host->link.delay_ns = 5 * MS;
}

static void end(struct world *w) {
  peer_stop(&w->client);
  peer_stop(&w->server);
  net_free(w->net);
  pki_free(w->pki);
}

/* Another process in its place, of another start, whose newest epoch this is. */
static void restart_server(struct world *w, uint32_t epoch) {
  uint8_t start = w->server.params.cid.epoch;
  enum rn_quic_retry retry = w->server.params.config.retry;
  peer_stop(&w->server);
  prepare_server(w, epoch, retry);
  w->server.params.cid.epoch = (uint8_t)(start + 1);
  peer_start(&w->server, NULL, NULL);
  w->server_host->q = w->server.q;
}

static void add(struct world *w, uint32_t epoch) {
  const struct rn_secret_keys k = keys_of(epoch);
  assert_int_equal(rn_quic_keys_add(w->server.q, net_now(w->net), &k), RN_OK);
}

static void rotate(struct world *w, uint32_t epoch, uint32_t oldest) {
  add(w, epoch);
  assert_int_equal(rn_quic_keys_use(w->server.q, epoch, oldest), RN_OK);
  assert_int_equal(rn_quic_stats(w->server.q)->key_epoch, epoch);
}

static bool run_ms(struct world *w, uint64_t ms, bool (*done)(void *)) {
  return net_run(w->net, net_now(w->net) + ms * MS, done, w);
}

static bool is_ready(void *arg) {
  const struct world *w = arg;
  return w->client.ready == w->wanted;
}

static bool is_answered(void *arg) {
  const struct world *w = arg;
  return w->client.fins == w->wanted;
}

static bool client_closed(void *arg) { return ((struct world *)arg)->client.closed == 1; }

/* One more connection, which gets ready. */
static void connect_world(struct world *w) {
  struct rn_quic_conn *c;
  assert_int_equal(rn_quic_connect(w->client.q, net_now(w->net), &w->path, "localhost", &c), RN_OK);
  w->wanted = w->client.ready + 1;
  bool ok = run_ms(w, 5000, is_ready);
  if (!ok)
    net_transcript(w->net);
  assert_true(ok);
  run_ms(w, 200, NULL); /* HANDSHAKE_DONE, NEW_TOKEN */
}

static void write_call(struct world *w) {
  struct rn_quic_stream *s;
  assert_int_equal(rn_quic_stream_open(w->client.conn, &s), RN_OK);
  assert_int_equal(rn_quic_stream_write(s, "hello", 5, true), RN_OK);
}

static void call(struct world *w) {
  w->wanted = (uint32_t)w->client.fins + 1;
  write_call(w);
  assert_true(run_ms(w, 1000, is_answered));
}

/* ---- connections ---- */

static void a_connection_outlives_31_rotations(void **state) {
  (void)state;
  struct world w;
  begin(&w, RN_QUIC_RETRY_NEVER);
  connect_world(&w);
  for (uint32_t epoch = 2; epoch <= EPOCHS; epoch++) {
    rotate(&w, epoch, epoch > 6 ? epoch - 6 : 1);
    call(&w);
  }
  const struct rn_quic_stats *s = rn_quic_stats(w.server.q);
  assert_int_equal(w.client.closed, 0);
  assert_int_equal(s->drop_unknown_cid + s->reset_sent + s->closed_epoch, 0);
  end(&w);
}

/* No frame makes a peer drop the connection IDs that it has. */
static void after_32_rotations_it_is_closed_as_at_a_regular_end(void **state) {
  (void)state;
  struct world w;
  begin(&w, RN_QUIC_RETRY_NEVER);
  connect_world(&w);
  for (uint32_t epoch = 2; epoch <= EPOCHS; epoch++)
    rotate(&w, epoch, epoch);
  struct rn_quic_conn *old = w.client.conn;
  w.path.local.port++;
  connect_world(&w);
  assert_ptr_not_equal(w.client.conn, old);
  rotate(&w, EPOCHS + 1, EPOCHS + 1);
  assert_true(run_ms(&w, 1000, client_closed));
  assert_int_equal(w.client.why.kind, RN_QUIC_CLOSE_PEER);
  assert_true(w.client.why.app);
  assert_int_equal(w.client.why.code, 0);
  assert_int_equal(rn_quic_stats(w.server.q)->closed_epoch, 1);
  call(&w); /* the younger one goes on */
  end(&w);
}

/* What an endpoint says to keys that make no sense. */
static void keys_come_once_and_only_forward(void **state) {
  (void)state;
  struct world w;
  begin(&w, RN_QUIC_RETRY_NEVER);
  add(&w, 5);
  add(&w, 5);
  struct rn_secret_keys other = keys_of(5);
  other.reset[31] ^= 1;
  assert_int_equal(rn_quic_keys_add(w.server.q, 0, &other), RN_ERR_EXIST);
  assert_int_equal(rn_quic_keys_use(w.server.q, 4, 4), RN_ERR_NOENT);
  assert_int_equal(rn_quic_keys_use(w.server.q, 5, 6), RN_ERR_STATE);
  assert_int_equal(rn_quic_keys_use(w.server.q, 5, 1), RN_OK);
  assert_int_equal(rn_quic_keys_use(w.server.q, 1, 1), RN_ERR_STATE);
  for (uint32_t epoch = 100; epoch < 100 + EPOCHS - 2; epoch++)
    add(&w, epoch);
  other = keys_of(4);                                               /* older than all */
  assert_int_equal(rn_quic_keys_add(w.server.q, 0, &other), RN_OK); /* 1 makes way */
  other = keys_of(3);
  assert_int_equal(rn_quic_keys_add(w.server.q, 0, &other), RN_ERR_LIMIT);
  assert_int_equal(rn_quic_check(w.server.q), RN_OK);
  end(&w);
}

/* ---- stateless resets ---- */

/* made: the epoch that the connection was made under. known: what the server has after its restart, the newest last. */
static bool is_reset(uint32_t made, const uint32_t *known, size_t count) {
  struct world w;
  begin(&w, RN_QUIC_RETRY_NEVER);
  for (uint32_t epoch = 2; epoch <= made; epoch++)
    rotate(&w, epoch, 1);
  connect_world(&w);
  restart_server(&w, known[count - 1]);
  for (size_t i = 0; i + 1 < count; i++)
    add(&w, known[i]);
  write_call(&w);
  bool closed = run_ms(&w, 5000, client_closed);
  assert_true(rn_quic_stats(w.server.q)->reset_sent > 0);
  bool reset = closed && w.client.why.kind == RN_QUIC_CLOSE_RESET;
  end(&w);
  return reset;
}

static void resets_match_across_restart_and_rotation(void **state) {
  (void)state;
  const uint32_t one[] = { 1 }, two[] = { 2 }, both[] = { 1, 2 }, same_id[] = { 1, 8 };
  assert_true(is_reset(1, one, 1));
  assert_true(is_reset(2, two, 1));
  assert_true(is_reset(1, both, 2));
  assert_true(is_reset(2, both, 2));
  assert_true(is_reset(1, same_id, 2)); /* two epochs with one config id */
  assert_false(is_reset(1, two, 1));    /* keys that are gone */
}

/* ---- Retry ---- */

/* Rotates when the Retry is under way to the client; what the server takes then. */
static const struct rn_quic_stats *rotate_in_retry(struct world *w, uint32_t epoch,
                                                   uint32_t oldest) {
  struct rn_quic_conn *c;
  begin(w, RN_QUIC_RETRY_ALWAYS);
  assert_int_equal(rn_quic_connect(w->client.q, net_now(w->net), &w->path, "localhost", &c), RN_OK);
  run_ms(w, 7, NULL);
  assert_int_equal(rn_quic_stats(w->server.q)->retry_sent, 1);
  rotate(w, epoch, oldest);
  w->wanted = 1;
  if (run_ms(w, 1000, is_ready))
    run_ms(w, 50, NULL);
  return rn_quic_stats(w->server.q);
}

static void a_retry_from_before_the_rotation_is_taken(void **state) {
  (void)state;
  struct world w;
  const struct rn_quic_stats *s = rotate_in_retry(&w, 2, 1);
  assert_int_equal(s->conns_ready, 1);
  assert_int_equal(s->retry_sent, 1);
  end(&w);
}

static void a_retry_of_a_retired_epoch_is_refused(void **state) {
  (void)state;
  struct world w;
  const struct rn_quic_stats *s = rotate_in_retry(&w, 2, 2);
  assert_int_equal(s->conns_ready, 0);
  assert_true(s->drop_bad_token >= 1);
  end(&w);
}

/* Its token reads as one of another epoch with the same config id would: not at all. */
static void a_retry_is_refused_when_seven_epochs_came(void **state) {
  (void)state;
  struct world w;
  const struct rn_quic_stats *s = rotate_in_retry(&w, 8, 1);
  assert_int_equal(s->conns_ready, 0);
  assert_true(s->drop_bad_token >= 1);
  end(&w);
}

/* ---- address tokens ---- */

/* A first connection, which is asked for a Retry and given a token. */
static const struct rn_quic_stats *first_visit(struct world *w) {
  begin(w, RN_QUIC_RETRY_ALWAYS);
  rn_quic_set_wall(w->server.q, net_now(w->net), 1000 * S);
  connect_world(w);
  const struct rn_quic_stats *s = rn_quic_stats(w->server.q);
  assert_int_equal(s->retry_sent, 1);
  assert_int_equal(s->address_token_sent, 1);
  w->path.local.port = 4001;
  return s;
}

static void a_returning_client_needs_no_retry(void **state) {
  (void)state;
  struct world w;
  const struct rn_quic_stats *s = first_visit(&w);
  connect_world(&w);
  assert_int_equal(s->retry_sent, 1);
  assert_int_equal(s->address_token_accepted, 1);
  assert_int_equal(s->address_token_sent, 2);
  call(&w);
  rotate(&w, 2, 1); /* the token in hand is of epoch 1 */
  w.path.local.port = 4002;
  connect_world(&w);
  assert_int_equal(s->retry_sent, 1);
  assert_int_equal(s->address_token_accepted, 2);
  assert_int_equal(s->address_token_expired + s->address_token_refused, 0);
  end(&w);
}

/* Another node, or the same one after a restart: its clock counts from somewhere else, the wall clock is one for all. */
static void a_token_is_good_at_another_node_with_the_secret(void **state) {
  (void)state;
  struct world w;
  (void)first_visit(&w);
  restart_server(&w, 1);
  rn_quic_set_wall(w.server.q, net_now(w.net), 1010 * S);
  connect_world(&w);
  const struct rn_quic_stats *s = rn_quic_stats(w.server.q);
  assert_int_equal(s->retry_sent, 0);
  assert_int_equal(s->address_token_accepted, 1);
  end(&w);
}

static void a_token_that_is_no_good_means_a_retry(void **state) {
  (void)state;
  struct world w;
  const struct rn_quic_stats *s = first_visit(&w);
  rn_quic_set_wall(w.server.q, net_now(w.net), 1062 * S);
  connect_world(&w);
  assert_int_equal(s->retry_sent, 2);
  assert_int_equal(s->address_token_expired, 1);

  rotate(&w, 2, 2); /* retired */
  w.path.local.port++;
  connect_world(&w);
  assert_int_equal(s->retry_sent, 3);
  assert_int_equal(s->address_token_refused, 1);

  w.path.local.port++;
  net_rebind(w.net, w.client_host, true); /* the client is elsewhere */
  connect_world(&w);
  assert_int_equal(s->retry_sent, 4);
  assert_int_equal(s->address_token_refused, 2);
  assert_int_equal(s->address_token_accepted, 0);
  assert_int_equal(s->drop_bad_token, 0);
  end(&w);
}

static void without_a_lifetime_there_are_no_tokens(void **state) {
  (void)state;
  struct world w;
  begin(&w, RN_QUIC_RETRY_ALWAYS);
  struct rn_quic_config cfg = w.server.params.config;
  cfg.address_token_ns = 0;
  assert_int_equal(rn_quic_configure(w.server.q, &cfg), RN_OK);
  connect_world(&w);
  w.path.local.port++;
  connect_world(&w);
  assert_int_equal(rn_quic_stats(w.server.q)->retry_sent, 2);
  assert_int_equal(rn_quic_stats(w.server.q)->address_token_sent, 0);
  end(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_connection_outlives_31_rotations),
    cmocka_unit_test(after_32_rotations_it_is_closed_as_at_a_regular_end),
    cmocka_unit_test(keys_come_once_and_only_forward),
    cmocka_unit_test(resets_match_across_restart_and_rotation),
    cmocka_unit_test(a_retry_from_before_the_rotation_is_taken),
    cmocka_unit_test(a_retry_of_a_retired_epoch_is_refused),
    cmocka_unit_test(a_retry_is_refused_when_seven_epochs_came),
    cmocka_unit_test(a_returning_client_needs_no_retry),
    cmocka_unit_test(a_token_is_good_at_another_node_with_the_secret),
    cmocka_unit_test(a_token_that_is_no_good_means_a_retry),
    cmocka_unit_test(without_a_lifetime_there_are_no_tokens),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
