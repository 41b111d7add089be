/* Gossip between two nodes over simulated links: who answers, when, and what becomes of what nobody answers. */
#include "rn_test.h"

#include "harness/peer.h"
#include "rpc/gossip.h"
#include "wire/swim.h"

#define MS UINT64_C(1000000)

struct heard {
  uint64_t number;
  uint8_t msg[2048];
  size_t len;
};

/* A node: an endpoint of both roles, the server, a pool and gossip; the decider is the test. */
struct node {
  struct peer peer;
  struct rn_rpc_server *rpc;
  struct rn_pool *pool;
  struct rn_gossip *gossip;
  struct net_host *host;
  struct rn_addr addr;
  void *mem[3];
  size_t bytes[3];
  bool busy; /* the decider takes nothing */
  struct heard heard[64];
  uint32_t heard_count, answered, failed, pieces;
  int why;
  uint8_t answer[4096];
  size_t answer_len;
};

static struct net *net;
static struct pki *pki;
static struct node a, b;

static struct node *node_of(void *app) { return RN_LIST_ENTRY(app, struct node, peer); }

/* ---- glue, as on an lcore ---- */

static bool ours(const struct rn_quic_stream *s) {
  return !rn_quic_conn_is_server(rn_quic_stream_conn(s));
}
static void on_ready(void *app, struct rn_quic_conn *c) {
  struct rn_pool *p = rn_quic_conn_is_server(c) ? NULL : rn_pool_of(c);
  (void)app;
  if (p != NULL)
    rn_pool_conn_ready(p, c);
}
static void on_conn_closed(void *app, struct rn_quic_conn *c, const struct rn_quic_close *why) {
  struct rn_pool *p = rn_quic_conn_is_server(c) ? NULL : rn_pool_of(c);
  (void)app, (void)why;
  if (p != NULL)
    rn_pool_conn_closed(p, c);
}
static int on_open(void *app, struct rn_quic_stream *s) {
  return ours(s) ? RN_ERR_REFUSED : rn_rpc_server_stream_open(node_of(app)->rpc, s);
}
static void on_data(void *app, struct rn_quic_stream *s, const uint8_t *data, size_t len,
                    bool fin) {
  struct node *n = node_of(app);
  if (!ours(s)) {
    rn_rpc_server_stream_data(n->rpc, s, data, len, fin);
    return;
  }
  n->pieces += len > 0;
  rn_gossip_stream_data(n->gossip, s, data, len, fin);
}
static void on_reset(void *app, struct rn_quic_stream *s, uint64_t code) {
  (void)code;
  if (ours(s))
    rn_gossip_stream_reset(node_of(app)->gossip, s);
  else
    rn_rpc_server_stream_reset(node_of(app)->rpc, s);
}
static void on_stop(void *app, struct rn_quic_stream *s) {
  if (!ours(s))
    rn_rpc_server_stream_stop(node_of(app)->rpc, s);
}
static void on_writable(void *app, struct rn_quic_stream *s) {
  if (!ours(s))
    rn_rpc_server_stream_writable(node_of(app)->rpc, s);
}
static void on_closed(void *app, struct rn_quic_stream *s) {
  if (ours(s))
    rn_gossip_stream_closed(node_of(app)->gossip, s);
  else
    rn_rpc_server_stream_closed(node_of(app)->rpc, s);
}

static uint64_t next_expiry(void *ctx) {
  const struct node *n = ctx;
  const uint64_t at[] = { rn_rpc_server_next_expiry(n->rpc), rn_pool_next_expiry(n->pool),
                          rn_gossip_next_expiry(n->gossip) };
  uint64_t least = at[0];
  for (size_t i = 1; i < 3; i++)
    least = at[i] < least ? at[i] : least;
  return least;
}
static void timers(void *ctx, uint64_t now_ns) {
  struct node *n = ctx;
  rn_rpc_server_timers(n->rpc, now_ns);
  rn_pool_timers(n->pool, now_ns);
  rn_gossip_timers(n->gossip, now_ns);
}
static bool check(void *ctx) {
  struct node *n = ctx;
  return rn_rpc_server_check(n->rpc) == RN_OK && rn_pool_check(n->pool) == RN_OK &&
         rn_gossip_check(n->gossip) == RN_OK;
}

/* ---- the decider ---- */

static int io_heard(void *ctx, uint64_t number, const struct rn_addr *from, const uint8_t *msg,
                    size_t len) {
  struct node *n = ctx;
  const struct node *other = n == &a ? &b : &a;
  assert_memory_equal(from->ip, other->addr.ip, 4);
  if (n->busy)
    return RN_ERR_AGAIN;
  struct heard *h = &n->heard[n->heard_count++ % 64];
  assert_in_range(len, 1, sizeof(h->msg));
  *h = (struct heard){ .number = number, .len = len };
  memcpy(h->msg, msg, len);
  return RN_OK;
}
static void io_answered(void *ctx, uint32_t id, const uint8_t *msg, size_t len) {
  struct node *n = ctx;
  assert_int_equal(id, 7);
  n->answered++;
  n->answer_len = len;
  if (len > 0)
    memcpy(n->answer, msg, len);
}
static void io_failed(void *ctx, uint32_t id, int why) {
  struct node *n = ctx;
  assert_int_equal(id, 7);
  n->failed++;
  n->why = why;
}

static int source(void *ctx, const struct rn_addr *remote, struct rn_addr *local) {
  (void)remote;
  *local = ((const struct node *)ctx)->addr;
  return RN_OK;
}

/* ---- set-up ---- */

static void *piece(struct node *n, int i, size_t bytes) {
  n->bytes[i] = bytes;
  return n->mem[i] = region_new(bytes);
}

static void start(struct node *n, uint8_t last, struct rn_quic_events *events,
                  uint32_t heard_limit) {
  *n = (struct node){ .addr = { .family = 4, .ip = { 10, 0, 0, last }, .port = 8080 } };
  peer_prepare(&n->peer, pki, last);
  *events = *n->peer.params.events;
  events->conn_ready = on_ready, events->conn_closed = on_conn_closed;
  events->stream_open = on_open, events->stream_data = on_data, events->stream_reset = on_reset;
  events->stream_stop = on_stop, events->stream_writable = on_writable;
  events->stream_closed = on_closed;
  n->peer.params.events = events;
  peer_start(&n->peer, pki, NULL);
  const struct rn_rpc_server_limits sl = { .calls = 256, .body_bytes = 1u << 20, .methods = 8 };
  const struct rn_rpc_server_config sc = { .max_request_bytes = 1u << 16,
                                           .max_item_bytes = 1u << 16,
                                           .request_timeout_ns = 1000 * MS };
  assert_int_equal(rn_rpc_server_init(piece(n, 0, rn_rpc_server_footprint(&sl)), &sl, &sc, &n->rpc),
                   RN_OK);
  struct rn_pool_params pp = { .limits = { .conns = 4, .peers = 4 },
                               .config = { .conns_per_peer = 1,
                                           .waiters = 16,
                                           .dial_timeout_ns = 400 * MS,
                                           .idle_timeout_ns = 60000 * MS,
                                           .backoff_first_ns = 100 * MS,
                                           .backoff_most_ns = 6400 * MS },
                               .quic = n->peer.q,
                               .local = source,
                               .ctx = n,
                               .hash_key = { 1 } };
  assert_int_equal(rn_pool_init(piece(n, 1, rn_pool_footprint(&pp.limits)), &pp, &n->pool), RN_OK);
  const struct rn_gossip_limits gl = { .heard = heard_limit, .asks = 8 };
  const struct rn_gossip_config gc = { .ping_ns = 10000 * MS };
  const struct rn_gossip_io gio = { io_heard, io_answered, io_failed, n };
  assert_int_equal(rn_gossip_init(piece(n, 2, rn_gossip_footprint(&gl)), &gl, &gc, &gio, n->rpc,
                                  n->pool, &n->gossip),
                   RN_OK);
  n->host = net_add(net, n->peer.q, &n->addr);
  n->host->link.delay_ns = 2 * MS;
  n->host->layer = (struct net_layer){ next_expiry, timers, check, n };
}

static struct rn_quic_events a_events, b_events;

static void start_both(uint32_t heard_limit) {
  net = net_new(5);
  pki = pki_new(PKI_P256);
  start(&a, 1, &a_events, heard_limit);
  start(&b, 2, &b_events, heard_limit);
}

static void stop(struct node *n) {
  peer_stop(&n->peer);
  for (int i = 0; i < 3; i++)
    region_free(n->mem[i], n->bytes[i]);
}

static int setup(void **state) {
  (void)state;
  start_both(16);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  int left = (int)rn_gossip_stats(a.gossip)->open + (int)rn_gossip_stats(b.gossip)->open +
             (int)rn_gossip_stats(a.gossip)->waiting + (int)rn_gossip_stats(b.gossip)->waiting;
  stop(&a);
  stop(&b);
  net_free(net);
  pki_free(pki);
  return left;
}

static void run_ms(uint64_t ms) { net_run(net, net_now(net) + ms * MS, NULL, NULL); }

/* ---- messages ---- */

static struct rn_bin_str str(const char *s) { return (struct rn_bin_str){ s, strlen(s) }; }

static size_t message(uint8_t buf[1100], enum rn_swim_type type, const char *from, size_t fill) {
  struct rn_bin_writer w = { .buf = buf, .cap = 1100 };
  const struct rn_addr addr = { .family = 4, .ip = { 10, 0, 0, 9 }, .port = 1 };
  static char id[256];
  memset(id, 'x', 250);
  const size_t count = fill / 290;
  rn_swim_put_head(&w, type, str(from), &addr, str("you"), count);
  for (size_t i = 0; i < count; i++)
    rn_swim_put_update(&w, str(id), &addr, 1, RN_SWIM_ALIVE, 0);
  rn_swim_put_seq(&w, 42);
  assert_int_equal(w.err, RN_OK);
  return w.len;
}

static void say_self(struct node *n, const char *id) {
  uint8_t buf[RN_GOSSIP_SELF_MAX];
  struct rn_bin_writer w = { .buf = buf, .cap = sizeof(buf) };
  rn_swim_put_update(&w, str(id), &n->addr, 5, RN_SWIM_ALIVE, 1);
  rn_swim_put_tag(&w, str("role"), str("worker"));
  assert_int_equal(rn_gossip_self(n->gossip, buf, w.len), RN_OK);
}

static void ask(enum rn_swim_type type, uint64_t wait_ms) {
  uint8_t buf[1100];
  size_t len = message(buf, type, "node-a", 0);
  rn_gossip_ask(a.gossip, net_now(net), 7, &b.addr, wait_ms * MS, buf, len);
}

/* a asks b, and hears that; what b's decider says comes back whole. */
static void the_answer_of_the_decider_comes_back_in_one_piece(void **state) {
  (void)state;
  uint8_t buf[1100];
  ask(RN_SWIM_PING, 1000);
  assert_int_equal(rn_gossip_stats(a.gossip)->open, 1);
  run_ms(25);
  assert_int_equal(b.heard_count, 1);
  size_t len = message(buf, RN_SWIM_ACK, "node-b", 900);
  assert_int_equal(rn_gossip_answer(b.gossip, b.heard[0].number, buf, len), RN_OK);
  run_ms(10);
  assert_int_equal(a.answered, 1);
  assert_int_equal(a.pieces, 1);
  assert_int_equal(a.answer_len, len);
  assert_memory_equal(a.answer, buf, len);
  assert_int_equal(rn_gossip_stats(b.gossip)->answers, 1);
  assert_int_equal(rn_gossip_stats(b.gossip)->own_acks, 0);
  /* The second one finds the connection. */
  ask(RN_SWIM_PING, 1000);
  run_ms(5);
  assert_int_equal(b.heard_count, 2);
  assert_int_equal(rn_gossip_answer(b.gossip, b.heard[1].number, NULL, 0), RN_OK);
  run_ms(5);
  assert_int_equal(a.answered, 2);
  assert_int_equal(a.answer_len, 0);
  assert_int_equal(rn_pool_stats(a.pool)->dials, 1);
  assert_int_equal(rn_pool_stats(a.pool)->hits, 1);
}

static void check_own_ack(uint32_t answers) {
  struct rn_swim_msg m;
  struct rn_swim_update u;
  size_t used;
  assert_int_equal(a.answered, answers);
  assert_int_equal(rn_swim_get(a.answer, a.answer_len, &m, &used), RN_OK);
  assert_int_equal(m.type, RN_SWIM_ACK);
  assert_int_equal(m.seq, 42);
  assert_memory_equal(m.from.p, "node-b", m.from.len);
  assert_memory_equal(m.to.p, "node-a", m.to.len);
  assert_true(rn_swim_next_update(&m.updates, &u));
  assert_memory_equal(u.node_id.p, "node-b", u.node_id.len);
  assert_int_equal(u.incarnation, 5);
}

static void a_late_decider_is_answered_for(void **state) {
  (void)state;
  say_self(&b, "node-b");
  ask(RN_SWIM_PING, 1000);
  run_ms(60);
  assert_int_equal(b.heard_count, 1);
  check_own_ack(1);
  assert_int_equal(rn_gossip_stats(b.gossip)->own_acks, 1);
  assert_int_equal(rn_gossip_answer(b.gossip, b.heard[0].number, NULL, 0), RN_ERR_NOENT);
  assert_int_equal(rn_gossip_stats(b.gossip)->late_answers, 1);
}

static void a_full_ring_is_answered_for_at_once(void **state) {
  (void)state;
  say_self(&b, "node-b");
  b.busy = true;
  ask(RN_SWIM_PING, 1000);
  run_ms(25);
  check_own_ack(1);
  assert_int_equal(rn_gossip_stats(b.gossip)->waiting, 0);
}

static void who_has_nothing_to_say_ends_without_bytes(void **state) {
  (void)state;
  ask(RN_SWIM_PING, 1000);
  run_ms(60);
  assert_int_equal(a.answered, 1);
  assert_int_equal(a.answer_len, 0);
  say_self(&b, "node-b");
  assert_int_equal(rn_gossip_self(b.gossip, NULL, 0), RN_OK); /* after leave */
  ask(RN_SWIM_PING, 1000);
  run_ms(60);
  assert_int_equal(a.answered, 2);
  assert_int_equal(a.answer_len, 0);
  assert_int_equal(rn_gossip_stats(b.gossip)->own_ends, 2);
}

/* Only the decider can try for others; its time is longer, and silence is the end of the stream. */
static void a_ping_req_waits_longer_and_ends_empty(void **state) {
  (void)state;
  say_self(&b, "node-b");
  ask(RN_SWIM_PING_REQ, 1000);
  run_ms(300);
  assert_int_equal(a.answered, 0);
  run_ms(100);
  assert_int_equal(a.answered, 1);
  assert_int_equal(a.answer_len, 0);
}

static void more_than_may_wait_are_answered_without_the_decider(void **state) {
  (void)state;
  teardown(state);
  start_both(2);
  say_self(&b, "node-b");
  for (int i = 0; i < 3; i++)
    ask(RN_SWIM_PING, 1000);
  run_ms(25);
  assert_int_equal(b.heard_count, 2);
  check_own_ack(1);
  assert_int_equal(rn_gossip_stats(b.gossip)->heard_limit, 1);
  run_ms(60);
  check_own_ack(3);
}

static void too_many_asks_are_refused(void **state) {
  (void)state;
  for (int i = 0; i < 9; i++)
    ask(RN_SWIM_PING, 50);
  assert_int_equal(a.failed, 1);
  assert_int_equal(a.why, RN_ERR_LIMIT);
  assert_int_equal(rn_gossip_stats(a.gossip)->asks_limit, 1);
  run_ms(200);
  assert_int_equal(a.answered, 8);
}

static void nobody_there_is_told_and_not_dialled_for_a_while(void **state) {
  (void)state;
  b.host->link.loss = a.host->link.loss = 1;
  ask(RN_SWIM_PING, 1000);
  run_ms(520);
  assert_int_equal(a.failed, 1);
  assert_int_equal(a.why, RN_ERR_TIMEOUT);
  ask(RN_SWIM_PING, 1000); /* 100 ms after the dial failed it may be tried again */
  run_ms(1);
  assert_int_equal(rn_pool_stats(a.pool)->dials, 2);
  run_ms(410);
  assert_int_equal(a.failed, 2);
  ask(RN_SWIM_PING, 1000); /* 200 ms now */
  assert_int_equal(a.failed, 3);
  assert_int_equal(a.why, RN_ERR_REFUSED);
  assert_int_equal(rn_pool_stats(a.pool)->dials, 2);
}

/* The published peer does not send stateless resets: a peer that was started anew would not be heard on the old connection for 30 s. */
static void a_connection_that_is_dead_is_given_up(void **state) {
  (void)state;
  say_self(&b, "node-b");
  ask(RN_SWIM_PING, 1000);
  run_ms(60);
  assert_int_equal(a.answered, 1);
  b.host->link.loss = 1;
  ask(RN_SWIM_PING, 300);
  run_ms(400);
  assert_int_equal(a.failed, 1);
  assert_int_equal(rn_pool_stats(a.pool)->conns_ready, 0);
  b.host->link.loss = 0;
  ask(RN_SWIM_PING, 1000);
  run_ms(60);
  assert_int_equal(a.answered, 2);
  assert_int_equal(rn_pool_stats(a.pool)->dials, 2);
}

static void a_decider_that_is_gone_is_not_told(void **state) {
  (void)state;
  ask(RN_SWIM_PING, 1000);
  rn_gossip_forget(a.gossip);
  run_ms(60);
  ask(RN_SWIM_PING, 1000);
  run_ms(15);
  rn_gossip_forget(a.gossip);
  run_ms(100);
  assert_int_equal(a.answered + a.failed, 0);
  assert_int_equal(rn_quic_stats(a.peer.q)->streams, 0);
  assert_int_equal(rn_quic_stats(b.peer.q)->streams, 0);
}

/* RFC 9000 section 10.1.2: a PING each 10 s on a connection that has gossiped, against the idle timeout of 30 s. */
static void connections_that_gossip_stay_up(void **state) {
  (void)state;
  say_self(&b, "node-b");
  ask(RN_SWIM_PING, 1000);
  run_ms(50000);
  assert_int_equal(rn_pool_stats(a.pool)->conns_ready, 1);
  run_ms(15000); /* the pool's own idle time is over */
  assert_int_equal(rn_pool_stats(a.pool)->conns_ready, 0);
  assert_int_equal(rn_pool_stats(a.pool)->idle_closed, 1);
}

/* The client of these tests shows no certificate. */
static void whose_certificate_is_not_listed_is_not_heard(void **state) {
  (void)state;
  static struct rn_gossip *other;
  const struct rn_gossip_limits gl = { .heard = 4, .asks = 4 };
  const struct rn_gossip_config gc = { .allowed_count = 1 };
  const struct rn_gossip_io gio = { io_heard, io_answered, io_failed, &b };
  void *mem = region_new(rn_gossip_footprint(&gl));
  assert_int_equal(rn_gossip_init(mem, &gl, &gc, &gio, b.rpc, b.pool, &other), RN_OK);
  ask(RN_SWIM_PING, 1000);
  run_ms(60);
  assert_int_equal(a.answered, 1);
  assert_int_equal(a.answer_len, 0);
  assert_int_equal(b.heard_count, 0);
  assert_int_equal(rn_gossip_stats(other)->forbidden, 1);
  region_free(mem, rn_gossip_footprint(&gl));
}

static void what_is_no_update_is_not_said_of_us(void **state) {
  (void)state;
  assert_int_equal(rn_gossip_self(b.gossip, (const uint8_t *)"nonsense", 8), RN_ERR_INVAL);
  static const uint8_t large[RN_GOSSIP_SELF_MAX + 1];
  assert_int_equal(rn_gossip_self(b.gossip, large, sizeof(large)), RN_ERR_INVAL);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
    T(the_answer_of_the_decider_comes_back_in_one_piece),
    T(a_late_decider_is_answered_for),
    T(a_full_ring_is_answered_for_at_once),
    T(who_has_nothing_to_say_ends_without_bytes),
    T(a_ping_req_waits_longer_and_ends_empty),
    T(more_than_may_wait_are_answered_without_the_decider),
    T(too_many_asks_are_refused),
    T(nobody_there_is_told_and_not_dialled_for_a_while),
    T(a_connection_that_is_dead_is_given_up),
    T(a_decider_that_is_gone_is_not_told),
    T(connections_that_gossip_stay_up),
    T(whose_certificate_is_not_listed_is_not_heard),
    T(what_is_no_update_is_not_said_of_us),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
