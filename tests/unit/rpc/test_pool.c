/* A pool's endpoint and up to three others on simulated links: which connection a caller gets, and what becomes of connections. */
#include "rn_test.h"

#include "harness/peer.h"
#include "rpc/pool.h"
#include "util/err.h"
#include "util/refuse.h"

#define MS      UINT64_C(1000000)
#define SERVERS 3
#define CALLERS 64

struct caller {
  struct rn_pool_waiter w;
  struct rn_quic_conn *conn;
  struct rn_quic_stream *s;
  int told, err;
};

struct world {
  struct net *net;
  struct pki *pki;
  struct peer node, servers[SERVERS];
  struct net_host *host, *at[SERVERS];
  struct rn_pool *pool;
  struct rn_pool_params params;
  size_t mem_bytes;
  void *mem;
  struct caller callers[CALLERS];
  int local_err;
};

static struct world *w;

static struct rn_addr addr(unsigned int i) {
  return (struct rn_addr){ .family = 4, .ip = { 10, 0, 0, (uint8_t)(2 + i) }, .port = 8080 };
}

/* ---- the node: events of its connections are the pool's ---- */

static void on_ready(void *app, struct rn_quic_conn *c) {
  (void)app;
  if (rn_pool_of(c) != NULL)
    rn_pool_conn_ready(rn_pool_of(c), c);
}
static void on_closed(void *app, struct rn_quic_conn *c, const struct rn_quic_close *why) {
  (void)app, (void)why;
  if (rn_pool_of(c) != NULL)
    rn_pool_conn_closed(rn_pool_of(c), c);
}
static void on_available(void *app, struct rn_quic_conn *c) {
  (void)app;
  if (rn_pool_of(c) != NULL)
    rn_pool_streams_available(rn_pool_of(c), c);
}
static void on_stream_closed(void *app, struct rn_quic_stream *s) {
  struct caller *k = rn_quic_stream_user(s);
  (void)app;
  rn_pool_stream_closed(rn_quic_stream_conn(s));
  k->s = NULL;
}

static struct rn_quic_events node_events;

static int local_addr(void *ctx, const struct rn_addr *peer, struct rn_addr *out) {
  (void)ctx, (void)peer;
  *out = (struct rn_addr){ .family = 4, .ip = { 10, 0, 0, 1 }, .port = 4000 };
  return w->local_err;
}

static uint64_t pool_expiry(void *ctx) { return (void)ctx, rn_pool_next_expiry(w->pool); }
static void pool_timers(void *ctx, uint64_t now_ns) {
  (void)ctx;
  rn_pool_timers(w->pool, now_ns);
}
static bool pool_check(void *ctx) { return (void)ctx, rn_pool_check(w->pool) == RN_OK; }

static void start_server(unsigned int i) {
  const struct rn_addr at = addr(i);
  peer_prepare(&w->servers[i], w->pki, 10 + i);
  w->servers[i].echo = true;
  w->servers[i].params.config.max_streams_bidi = 4;
  peer_start(&w->servers[i], NULL, NULL);
  w->at[i] = net_add(w->net, w->servers[i].q, &at);
  w->at[i]->link.delay_ns = 5 * MS;
}

static void fill_key(uint8_t key[16]) { memset(key, 7, 16); }

static int setup(void **state) {
  (void)state;
  w = calloc(1, sizeof(*w));
  w->net = net_new(5);
  w->pki = pki_new(PKI_P256);
  peer_prepare(&w->node, NULL, 1);
  node_events = *w->node.params.events;
  node_events.conn_ready = on_ready, node_events.conn_closed = on_closed;
  node_events.streams_available = on_available, node_events.stream_closed = on_stream_closed;
  w->node.params.events = &node_events;
  peer_start(&w->node, w->pki, NULL);
  const struct rn_addr at = { .family = 4, .ip = { 10, 0, 0, 1 }, .port = 4000 };
  w->host = net_add(w->net, w->node.q, &at);
  w->host->link.delay_ns = 5 * MS;
  for (unsigned int i = 0; i < SERVERS; i++)
    start_server(i);
  w->params = (struct rn_pool_params){
    .limits = { .conns = 4, .peers = 4 },
    .config = { .conns_per_peer = 2,
                .streams_per_conn = 2,
                .waiters = 16,
                .dial_timeout_ns = 1000 * MS,
                .idle_timeout_ns = 5000 * MS,
                .backoff_first_ns = 100 * MS,
                .backoff_most_ns = 1000 * MS },
    .quic = w->node.q,
    .local = local_addr,
  };
  fill_key(w->params.hash_key);
  w->mem_bytes = rn_pool_footprint(&w->params.limits);
  w->mem = region_new(w->mem_bytes);
  assert_int_equal(rn_pool_init(w->mem, &w->params, &w->pool), RN_OK);
  w->host->layer = (struct net_layer){ pool_expiry, pool_timers, pool_check, NULL };
  return 0;
}

static int teardown(void **state) {
  (void)state;
  rn_quic_close_all(w->node.q, net_now(w->net), 0);
  const struct rn_pool_stats *st = rn_pool_stats(w->pool);
  int left = (int)(st->conns_ready + st->conns_dialling + st->streams + st->waiters);
  peer_stop(&w->node);
  for (unsigned int i = 0; i < SERVERS; i++)
    peer_stop(&w->servers[i]);
  net_free(w->net);
  pki_free(w->pki);
  region_free(w->mem, w->mem_bytes);
  free(w);
  return left; /* nothing may be left over by a test */
}

static const struct rn_pool_stats *stats(void) { return rn_pool_stats(w->pool); }
static void run_ms(uint64_t ms) { net_run(w->net, net_now(w->net) + ms * MS, NULL, NULL); }
static void configure(void) {
  assert_int_equal(rn_pool_configure(w->pool, &w->params.config), RN_OK);
}

/* ---- callers ---- */

static void open_stream(struct caller *k, struct rn_quic_conn *c) {
  k->conn = c;
  assert_int_equal(rn_quic_stream_open(c, &k->s), RN_OK);
  rn_quic_stream_set_user(k->s, k);
  rn_pool_stream_opened(c);
}

static void told(struct rn_pool_waiter *waiter, int err, struct rn_quic_conn *c) {
  struct caller *k = RN_LIST_ENTRY(waiter, struct caller, w);
  k->told++;
  k->err = err;
  if (err == RN_OK)
    open_stream(k, c);
}

/* Caller i wants a connection to server `to`. */
static int get(unsigned int i, unsigned int to) {
  struct caller *k = &w->callers[i];
  struct rn_quic_conn *c;
  const struct rn_addr at = addr(to);
  *k = (struct caller){ 0 };
  rn_pool_waiter_init(&k->w, told);
  int err = rn_pool_get(w->pool, net_now(w->net), &at, &k->w, &c);
  if (err == RN_OK)
    open_stream(k, c);
  return err;
}

static void finish(unsigned int i) {
  assert_non_null(w->callers[i].s);
  rn_quic_stream_write(w->callers[i].s, "x", 1, true);
}

/* ---- tests ---- */

static void first_caller_waits_for_the_dial_others_find_it(void **state) {
  (void)state;
  assert_int_equal(get(0, 0), RN_ERR_AGAIN);
  assert_int_equal(get(1, 0), RN_ERR_AGAIN);
  run_ms(100);
  assert_int_equal(w->callers[0].told + w->callers[1].told, 2);
  assert_int_equal(w->callers[0].err, RN_OK);
  assert_ptr_equal(w->callers[0].conn, w->callers[1].conn);
  assert_int_equal(stats()->dials, 1);
  finish(0), finish(1);
  run_ms(100);
  assert_int_equal(get(2, 0), RN_OK);
  assert_ptr_equal(w->callers[2].conn, w->callers[0].conn);
  finish(2);
  run_ms(100);
  assert_int_equal(stats()->hits, 1);
  assert_int_equal(stats()->misses, 2);
  assert_int_equal(stats()->conns_idle, 1);
}

static void busy_connection_gets_a_second_beside_it(void **state) {
  (void)state;
  assert_int_equal(get(0, 0), RN_ERR_AGAIN);
  run_ms(100);
  assert_int_equal(get(1, 0), RN_OK);
  assert_int_equal(get(2, 0), RN_OK); /* above streams_per_conn, but nobody has to wait */
  run_ms(100);
  assert_int_equal(stats()->dials, 2);
  assert_int_equal(get(3, 0), RN_OK); /* the one with the fewest streams */
  assert_ptr_not_equal(w->callers[3].conn, w->callers[0].conn);
  for (unsigned int i = 0; i < 4; i++)
    finish(i);
  run_ms(100);
}

/* So that they share datagrams. */
static void calls_of_one_turn_share_a_connection(void **state) {
  (void)state;
  w->params.config.streams_per_conn = 3;
  configure();
  const struct rn_addr at = addr(0);
  assert_int_equal(rn_pool_warm(w->pool, net_now(w->net), &at, 2), RN_OK);
  run_ms(100);
  for (unsigned int i = 0; i < 6; i++)
    assert_int_equal(get(i, 0), RN_OK);
  for (unsigned int i = 1; i < 6; i++) /* as many as streams_per_conn says, then the other one */
    assert_ptr_equal(w->callers[i].conn, w->callers[i - i % 3].conn);
  assert_ptr_not_equal(w->callers[3].conn, w->callers[0].conn);
  finish(0);
  run_ms(100);
  assert_int_equal(get(6, 0), RN_OK); /* the one with the fewest streams */
  assert_ptr_equal(w->callers[6].conn, w->callers[1].conn);
  for (unsigned int i = 1; i < 7; i++)
    finish(i);
  run_ms(100);
}

static void callers_wait_for_streams_of_the_peer(void **state) {
  (void)state;
  for (unsigned int i = 0; i < 12; i++) /* two connections of four streams each */
    assert_int_equal(get(i, 0), RN_ERR_AGAIN);
  run_ms(200);
  assert_int_equal(stats()->streams, 8);
  assert_int_equal(stats()->waiters, 4);
  assert_int_equal(stats()->dials, 2);
  for (unsigned int i = 0; i < 12; i++) {
    if (w->callers[i].s != NULL)
      finish(i);
  }
  run_ms(200);
  assert_int_equal(stats()->waiters, 0);
  for (unsigned int i = 0; i < 12; i++) {
    if (w->callers[i].s != NULL)
      finish(i);
  }
  run_ms(200);
}

static void waiters_are_bounded_and_may_leave(void **state) {
  (void)state;
  for (unsigned int i = 0; i < 16; i++)
    assert_int_equal(get(i, 0), RN_ERR_AGAIN);
  assert_int_equal(get(16, 0), RN_ERR_LIMIT);
  assert_int_equal(stats()->waiter_limit, 1);
  for (unsigned int i = 0; i < 16; i++)
    rn_pool_unwait(w->pool, &w->callers[i].w);
  assert_int_equal(get(17, 0), RN_ERR_AGAIN);
  run_ms(100);
  assert_int_equal(w->callers[3].told, 0);
  assert_int_equal(w->callers[17].told, 1);
  finish(17);
  run_ms(100);
}

static void unreachable_peer_times_out_and_backs_off(void **state) {
  (void)state;
  assert_int_equal(get(0, 7), RN_ERR_AGAIN); /* nobody is there */
  run_ms(990);
  assert_int_equal(w->callers[0].told, 0);
  run_ms(20);
  assert_int_equal(w->callers[0].err, RN_ERR_TIMEOUT);
  assert_int_equal(stats()->dial_timeouts, 1);
  assert_int_equal(get(1, 7), RN_ERR_REFUSED); /* at once */
  run_ms(100);
  assert_int_equal(get(1, 7), RN_ERR_AGAIN);
  run_ms(1150);
  assert_int_equal(w->callers[1].told, 1);
  assert_int_equal(get(2, 7), RN_ERR_REFUSED); /* twice as long */
  run_ms(100);
  assert_int_equal(get(2, 7), RN_ERR_AGAIN);
  const struct rn_addr at = addr(7);
  run_ms(1010);
  assert_int_equal(get(3, 7), RN_ERR_REFUSED);
  rn_pool_revive(w->pool, net_now(w->net), &at);
  assert_int_equal(get(3, 7), RN_ERR_AGAIN);
  rn_pool_unwait(w->pool, &w->callers[3].w);
  run_ms(1100);
}

static void lost_connection_is_gone_at_once(void **state) {
  (void)state;
  assert_int_equal(get(0, 0), RN_ERR_AGAIN);
  run_ms(2000);
  rn_quic_close_all(w->servers[0].q, net_now(w->net), 0);
  run_ms(20);
  assert_null(w->callers[0].s);
  assert_int_equal(stats()->lost, 1);
  assert_int_equal(stats()->conns, 0);
  assert_int_equal(get(1, 0), RN_ERR_AGAIN);
  run_ms(100);
  assert_int_equal(w->callers[1].err, RN_OK);
  finish(1);
  run_ms(100);
}

/* A stream's end is told before that of its connection, which is then not to be had any more. */
static struct caller *again_from_closed;
static void get_again(void *app, struct rn_quic_stream *s) {
  on_stream_closed(app, s);
  if (again_from_closed == NULL)
    return;
  again_from_closed = NULL;
  assert_int_equal(get(5, 0), RN_ERR_AGAIN);
}

static void dying_connection_is_given_to_nobody(void **state) {
  (void)state;
  w->params.config.conns_per_peer = 1;
  configure();
  assert_int_equal(get(0, 0), RN_ERR_AGAIN);
  run_ms(2000);
  again_from_closed = &w->callers[0];
  node_events.stream_closed = get_again;
  rn_quic_close_all(w->servers[0].q, net_now(w->net), 0);
  run_ms(100);
  assert_int_equal(w->callers[5].err, RN_OK);
  assert_int_equal(w->callers[5].told, 1);
  finish(5);
  run_ms(100);
}

static void idle_connections_are_closed_and_warm_ones_kept(void **state) {
  (void)state;
  const struct rn_addr at = addr(1);
  assert_int_equal(rn_pool_warm(w->pool, net_now(w->net), &at, 1), RN_OK);
  assert_int_equal(get(0, 0), RN_ERR_AGAIN);
  run_ms(100);
  assert_int_equal(rn_pool_ready(w->pool, &at), 1);
  finish(0);
  run_ms(4800);
  assert_int_equal(stats()->conns_idle, 2);
  run_ms(400);
  assert_int_equal(stats()->idle_closed, 1);
  run_ms(20000);
  assert_int_equal(rn_pool_ready(w->pool, &at), 1);
  rn_quic_close_all(w->servers[1].q, net_now(w->net), 0); /* dialled again without being asked */
  run_ms(1000);
  assert_int_equal(rn_pool_ready(w->pool, &at), 1);
  rn_pool_warm(w->pool, net_now(w->net), &at, 0);
  run_ms(12000);
  assert_int_equal(stats()->conns, 0);
}

/* The list of the warm told anew: who is on both has its connection still, who is not any more loses it when it was idle for long. */
static void warm_peers_are_those_named_last(void **state) {
  (void)state;
  const struct rn_addr a = addr(0), b = addr(1), c = addr(2);
  const struct rn_addr *const rounds[3][2] = { { &a, &b }, { &c, &b }, { NULL, NULL } };
  const uint32_t dials[] = { 2, 3, 3 };
  for (unsigned int i = 0; i < 3; i++) {
    rn_pool_warm_begin(w->pool);
    for (unsigned int k = 0; k < 2 && rounds[i][k] != NULL; k++)
      assert_int_equal(rn_pool_warm(w->pool, net_now(w->net), rounds[i][k], 1), RN_OK);
    rn_pool_warm_end(w->pool, net_now(w->net));
    assert_int_equal(rn_pool_check(w->pool), RN_OK);
    run_ms(12000);
    assert_int_equal(stats()->dials, dials[i]);
    assert_int_equal(rn_pool_ready(w->pool, &a), i == 0);
    assert_int_equal(rn_pool_ready(w->pool, &b), i < 2);
    assert_int_equal(rn_pool_ready(w->pool, &c), i == 1);
  }
}

static void connection_in_use_is_not_idle(void **state) {
  (void)state;
  assert_int_equal(get(0, 0), RN_ERR_AGAIN);
  run_ms(18700);
  assert_non_null(w->callers[0].s);
  assert_int_equal(stats()->conns_ready, 1);
  finish(0);
  run_ms(4900);
  assert_int_equal(stats()->conns_ready, 1); /* the time begins with the last stream's end */
}

static void silent_peer_is_given_up(void **state) {
  (void)state;
  w->params.config.keep_alive_ns = 200 * MS;
  w->params.config.silence_ns = 1000 * MS;
  w->params.config.backoff_first_ns = 1000 * MS;
  configure();
  assert_int_equal(get(0, 0), RN_ERR_AGAIN);
  run_ms(6000);
  assert_non_null(w->callers[0].s); /* nothing to say, but there */
  w->at[0]->link.holes[0] = (struct net_hole){ net_now(w->net), UINT64_MAX };
  run_ms(1300);
  assert_null(w->callers[0].s);
  assert_int_equal(stats()->silent_closed, 1);
  assert_int_equal(get(1, 0), RN_ERR_REFUSED);
}

static void full_pool_makes_room_from_idle_ones(void **state) {
  (void)state;
  w->params.config.conns_per_peer = 4;
  w->params.config.streams_per_conn = 1;
  configure();
  const struct rn_addr at = addr(0);
  assert_int_equal(rn_pool_warm(w->pool, net_now(w->net), &at, 4), RN_OK);
  run_ms(100);
  assert_int_equal(stats()->conns_idle, 4);
  rn_pool_warm(w->pool, net_now(w->net), &at, 0);
  assert_int_equal(get(0, 1), RN_ERR_AGAIN);
  run_ms(100);
  assert_int_equal(w->callers[0].err, RN_OK);
  assert_int_equal(stats()->evicted, 1);
  for (unsigned int i = 1; i < 4; i++)
    assert_int_equal(get(i, 0), RN_OK);
  assert_int_equal(get(4, 2), RN_ERR_LIMIT); /* none of the four is idle */
  assert_int_equal(stats()->conn_limit, 1);
  for (unsigned int i = 0; i < 4; i++)
    finish(i);
  run_ms(100);
}

static void forgets_peers_that_are_of_no_use_first(void **state) {
  (void)state;
  w->params.config.backoff_first_ns = 1000 * MS;
  configure();
  for (unsigned int i = 0; i < 4; i++)
    assert_int_equal(get(i, 10 + i), RN_ERR_AGAIN);
  assert_int_equal(get(4, 0), RN_ERR_LIMIT);
  assert_int_equal(stats()->peer_limit, 1);
  const struct rn_addr at = addr(10);
  rn_pool_revive(w->pool, net_now(w->net),
                 &at); /* looked up last: what is remembered of that goes, too */
  run_ms(1100);
  assert_int_equal(get(4, 0), RN_ERR_AGAIN);
  run_ms(100);
  assert_int_equal(w->callers[4].err, RN_OK);
  assert_int_equal(get(5, 13), RN_ERR_REFUSED); /* still known; 10 is forgotten */
  finish(4);
  run_ms(100);
}

static void dropped_peer_loses_its_connections(void **state) {
  (void)state;
  const struct rn_addr a = addr(0), b = addr(1);
  assert_int_equal(get(0, 0), RN_ERR_AGAIN);
  run_ms(100);
  assert_int_equal(get(1, 1), RN_ERR_AGAIN);
  rn_pool_drop(w->pool, net_now(w->net), &a);
  rn_pool_drop(w->pool, net_now(w->net), &b);
  assert_int_equal(w->callers[1].err, RN_ERR_REFUSED);
  run_ms(100);
  assert_null(w->callers[0].s);
  assert_int_equal(stats()->conns, 0);
}

static void refusals_reach_the_caller_and_leave_nothing(void **state) {
  (void)state;
  if (!RN_REFUSALS_BUILT)
    skip();
  rn_pool_fail_peers(w->pool, 1);
  assert_int_equal(get(0, 0), RN_ERR_LIMIT);
  assert_int_equal(rn_pool_fail_peers(w->pool, 0), 1);
  rn_pool_fail_conns(w->pool, 1);
  assert_int_equal(get(0, 0), RN_ERR_AGAIN);
  run_ms(10);
  assert_int_equal(w->callers[0].err, RN_ERR_LIMIT);
  assert_int_equal(rn_pool_fail_conns(w->pool, 0), 1);
  w->local_err = RN_ERR_NOENT;
  run_ms(200);
  assert_int_equal(get(0, 0), RN_ERR_AGAIN);
  run_ms(10);
  assert_int_equal(w->callers[0].err, RN_ERR_REFUSED);
  w->local_err = RN_OK;
}

static void limits_out_of_range_are_refused(void **state) {
  (void)state;
  const struct rn_pool_limits none = { .conns = 0, .peers = 1 },
                              many = { .conns = 1, .peers = 65537 };
  assert_int_equal(rn_pool_footprint(&none), 0);
  assert_int_equal(rn_pool_footprint(&many), 0);
  struct rn_pool_config c = w->params.config;
  c.silence_ns = 1000 * MS; /* without a keep-alive a silent peer is no dead one */
  assert_int_equal(rn_pool_configure(w->pool, &c), RN_ERR_INVAL);
  c = w->params.config;
  c.backoff_most_ns = c.backoff_first_ns - 1;
  assert_int_equal(rn_pool_configure(w->pool, &c), RN_ERR_INVAL);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
    CASE(first_caller_waits_for_the_dial_others_find_it),
    CASE(busy_connection_gets_a_second_beside_it),
    CASE(calls_of_one_turn_share_a_connection),
    CASE(callers_wait_for_streams_of_the_peer),
    CASE(waiters_are_bounded_and_may_leave),
    CASE(unreachable_peer_times_out_and_backs_off),
    CASE(lost_connection_is_gone_at_once),
    CASE(dying_connection_is_given_to_nobody),
    CASE(idle_connections_are_closed_and_warm_ones_kept),
    CASE(warm_peers_are_those_named_last),
    CASE(connection_in_use_is_not_idle),
    CASE(silent_peer_is_given_up),
    CASE(full_pool_makes_room_from_idle_ones),
    CASE(forgets_peers_that_are_of_no_use_first),
    CASE(dropped_peer_loses_its_connections),
    CASE(refusals_reach_the_caller_and_leave_nothing),
    CASE(limits_out_of_range_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
