/* Calls passed on by a director whose client or worker reads slowly: how much is kept, and that nobody else waits. */
#include "forward_world.h"

#define WINDOW     (128u << 10) /* of the director's streams to workers */
#define SEND_BYTES (64u << 10)
#define BIG        (5u << 20)

static struct peer slow; /* a client that reads when it is told to, or a worker that does not */
static uint8_t *big;

static void prepare_pools(struct rn_quic_params *p, uint64_t stream_window, uint64_t conn_window) {
  p->config.stream_window = stream_window;
  p->config.conn_window = conn_window;
  p->limits.bulk_segs = 4096;
  p->limits.segs = 8192;
}

static int setup_slow(void **state) {
  (void)state;
  world_prepare();
  prepare_pools(&w->dir.base.params, 1u << 20, 512u << 10);
  prepare_pools(&w->client.base.params, 1u << 20, 1u << 20);
  w->dir.base.params.config.own_stream_window = WINDOW;
  w->dir.base.params.config.send_bytes = SEND_BYTES;
  w->dir.routes[0].r.timeout_ns = 0; /* who reads slowly is not cut off */
  for (unsigned int i = 0; i < WORKERS; i++) {
    prepare_pools(&w->workers[i].base.params, 1u << 20, 1u << 20);
    w->workers[i].server_limits.body_bytes = 64u << 20;
    w->workers[i].server_config.max_request_bytes = 8u << 20;
    w->workers[i].server_config.max_item_bytes = 8u << 20;
  }
  w->client.base.params.config.send_bytes = 8u << 20;
  w->client.max_response_bytes = 8u << 20;
  world_start();
  big = malloc(BIG);
  for (size_t i = 0; i < BIG; i++)
    big[i] = (uint8_t)(i * 7 + (i >> 10) * 3);
  return 0;
}

static int teardown_slow(void **state) {
  int left = teardown(state);
  if (slow.q != NULL)
    peer_stop(&slow);
  slow = (struct peer){ 0 };
  free(big);
  return left;
}

/* Beside the director and the workers: a client with an endpoint of its own. */
static void slow_client_start(void) {
  const struct rn_path path = { .local = addr(3, 4000), .remote = addr(2, 8080) };
  struct rn_quic_conn *c;
  peer_prepare(&slow, NULL, 33);
  prepare_pools(&slow.params, 64u << 10, 1u << 20);
  slow.params.config.send_bytes = 8u << 20;
  slow.no_credit = true;
  peer_start_with(&slow, w->dial);
  net_add(w->net, slow.q, &path.local)->link.delay_ns = 2 * MS;
  assert_int_equal(rn_quic_connect(slow.q, net_now(w->net), &path, "localhost", &c), RN_OK);
  run_ms(50);
}

static struct rn_quic_stream *ask_for_much(const void *params, size_t len) {
  uint8_t head[RN_WIRE_REQUEST_HEAD_BYTES(11)];
  struct rn_quic_stream *s;
  rn_wire_request_head(head, 1, "binary_echo", 11, len);
  const struct rn_quic_part parts[] = { { head, sizeof(head) }, { params, len } };
  assert_int_equal(rn_quic_stream_open(slow.conn, &s), RN_OK);
  assert_int_equal(rn_quic_stream_writev(s, parts, 2, true), RN_OK);
  return s;
}

static size_t kept_bytes(void) { return (size_t)stats()->buffers * RN_FORWARD_BUFFER_BYTES; }

static void slow_client_keeps_a_window_and_nobody_waiting(void **state) {
  (void)state;
  slow_client_start();
  struct rn_quic_stream *s = ask_for_much(big, BIG);
  run_ms(3000);
  assert_int_equal(slow.bytes, 64u << 10); /* its window */
  assert_true(kept_bytes() > 0 && kept_bytes() <= WINDOW + 2 * RN_FORWARD_BUFFER_BYTES);
  assert_true(worker_stats(0)->body_bytes > BIG / 2); /* the rest stays where it is made */
  for (int i = 0; i < 20; i++) /* in sum more than the pooled connection's window */
    echoes(big, 100000);
  assert_int_equal(rn_pool_stats(w->dir.pool)->dials, 1);
  slow.no_credit = false;
  rn_quic_stream_consume(s, 64u << 10);
  run_ms(5000);
  assert_int_equal(slow.bytes, RN_WIRE_RESULT_HEAD_BYTES + BIG + 1);
  assert_int_equal(kept_bytes(), 0);
  rn_quic_close_all(slow.q, net_now(w->net), 0);
  run_ms(500);
}

static void slow_client_that_goes_leaves_nothing(void **state) {
  (void)state;
  slow_client_start();
  ask_for_much(big, BIG);
  run_ms(3000);
  assert_true(kept_bytes() > 0);
  rn_quic_close_all(slow.q, net_now(w->net), 0);
  run_ms(500);
  assert_int_equal(kept_bytes(), 0);
  assert_int_equal(stats()->cancelled, 1);
}

/* A worker that takes no byte beyond its window: what the client had sent before it was told is kept, at most its first window. */
static void slow_worker_stops_its_client_only(void **state) {
  (void)state;
  const struct rn_addr at = addr(4, 8080);
  peer_prepare(&slow, w->pki, 34);
  prepare_pools(&slow.params, 64u << 10, 1u << 20);
  slow.no_credit = true;
  peer_start_with(&slow, w->accept);
  net_add(w->net, slow.q, &at)->link.delay_ns = 2 * MS;
  w->dir.workers[3] = (struct director_worker){ .addr = at, .there = true };
  w->dir.next = 3;
  struct outcome o = { 0 };
  call(&o, "binary_echo", big, BIG);
  run_ms(2000);
  assert_int_equal(slow.bytes, 64u << 10);
  assert_true(kept_bytes() > 0 && kept_bytes() <= (1u << 20));
  w->dir.workers[3].there = false;
  for (int i = 0; i < 20; i++)
    echoes(big, 100000);
  rn_quic_close_all(w->client.base.q, net_now(w->net), 0);
  run_ms(100);
  assert_int_equal(kept_bytes(), 0);
  forget(&o);
  rn_quic_close_all(slow.q, net_now(w->net), 0);
  run_ms(500);
}

static void large_items_get_through(void **state) {
  (void)state;
  struct outcome o = { 0 }, s = { 0 };
  call(&o, "binary_echo", big, BIG);
  struct rn_rpc_client_call *c = stream(&s, "echo_stream");
  assert_int_equal(rn_rpc_client_send(c, big, BIG), RN_OK);
  rn_rpc_client_send_end(c);
  run_ms(20000);
  assert_int_equal(o.done + s.done, 2);
  assert_int_equal(o.len, BIG);
  assert_memory_equal(o.data, big, BIG);
  assert_int_equal(s.len, BIG);
  assert_memory_equal(s.data, big, BIG);
  forget(&o), forget(&s);
}

static void what_follows_an_early_answer_is_read_to_its_end(void **state) {
  (void)state;
  w->dir.workers[0].there = false;
  struct outcome o = { 0 };
  call(&o, "binary_echo", big, BIG);
  run_ms(100);
  assert_int_equal(o.done, 1);
  forget(&o);
  run_ms(3000);
  assert_int_equal(rn_quic_stats(w->client.base.q)->streams, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup_slow, teardown_slow)

int main(void) {
  const struct CMUnitTest tests[] = {
    CASE(slow_client_keeps_a_window_and_nobody_waiting),
    CASE(slow_client_that_goes_leaves_nothing),
    CASE(slow_worker_stops_its_client_only),
    CASE(what_follows_an_early_answer_is_read_to_its_end),
    CASE(large_items_get_through),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
