/* Calls followed through their stages, and the time that each takes: over two endpoints on a simulated link, with a clock that moves by 100 ns each time it
 * is read. */
#include "../rpc/world.h"
#include "dataplane/trace.h"

#define STEP_NS 100u

static struct rn_stats_page page;
static struct rn_tracer tracer;
static uint64_t ahead_ns; /* of the simulation's clock */

static uint64_t read_clock(void *ctx) {
  (void)ctx;
  ahead_ns += STEP_NS;
  return net_now(w->net) + ahead_ns;
}

/* The lcore's part: data is announced, and after each step what was queued is sent. */
static void announced_data(void *app, struct rn_quic_stream *s, const uint8_t *d, size_t n,
                           bool fin) {
  rn_tracer_bytes(&tracer);
  server_data(app, s, d, n, fin);
}

static void run_lcore_ms(uint64_t ms) {
  for (uint64_t i = 0; i < ms; i++) {
    uint64_t turn_ns = net_now(w->net);
    ahead_ns = 0;
    if (rn_tracer_arm(&tracer, turn_ns, 1) != RN_TRACE_NO)
      rn_tracer_datagram(&tracer);
    net_run(w->net, turn_ns + MS, NULL, NULL);
    rn_tracer_disarm(&tracer);
    drive_rpc(w);
    rn_tracer_sent(&tracer, turn_ns);
  }
}

static int setup_every(uint64_t interval_ns) {
  int err = setup(NULL);
  server_events.stream_data = announced_data;
  memset(&page, 0, sizeof(page));
  memset(&tracer, 0, sizeof(tracer));
  rn_tracer_init(&tracer, w->rpc_server, &page, interval_ns, 1);
  tracer.clock_ns = read_clock;
  return err;
}

static int setup_all(void **state) { return (void)state, setup_every(1); }
static int setup_none(void **state) { return (void)state, setup_every(0); }
static int setup_seldom(void **state) { return (void)state, setup_every(50 * MS); }

static void on_done(void *user, struct rn_rpc_client_call *call, const struct rn_rpc_result *r) {
  (void)call, (void)r;
  ++*(int *)user;
}

static struct rn_rpc_client_call *call(const char *method, const void *params, size_t len,
                                       int *done) {
  struct rn_rpc_client_call *c;
  assert_int_equal(rn_rpc_client_call(w->rpc_client, w->client.conn, method, params, len,
                                      31000 * MS, on_done, done, &c),
                   RN_OK);
  return c;
}

static uint64_t counted(enum rn_hist_id which) {
  struct rn_tally_copy t;
  rn_stats_hist_read(&page, which, &t);
  return t.count;
}

static struct rn_trace trace(uint64_t number) {
  struct rn_trace t;
  assert_int_equal(rn_trace_get(&page.traces, number, &t), RN_OK);
  return t;
}

static void call_is_followed_through_all_stages(void **state) {
  (void)state;
  int done = 0;
  call("echo", "hello", 5, &done);
  run_lcore_ms(10);
  assert_int_equal(done, 1);
  assert_int_equal(atomic_load(&page.traces.written), 1);
  struct rn_trace t = trace(1);
  assert_int_equal(t.outcome, RN_TRACE_RESULT);
  assert_int_equal(t.method_bytes, 4);
  assert_memory_equal(t.method, "echo", 4);
  assert_int_equal(t.request_bytes, 5);
  assert_int_equal(t.answer_bytes, 5);
  assert_int_equal(t.peer.port, 4000);
  /* One reading of the clock each, but for quic, in which the simulated time moved, and tx. */
  assert_int_equal(t.stage_ns[RN_TRACE_RX], STEP_NS);
  assert_int_equal(t.stage_ns[RN_TRACE_CLASSIFY], STEP_NS);
  assert_int_equal(t.stage_ns[RN_TRACE_HANDLER], STEP_NS);
  assert_true(t.stage_ns[RN_TRACE_QUIC] >= STEP_NS && t.stage_ns[RN_TRACE_TX] >= STEP_NS);
  for (int h = RN_HIST_stage_rx_ns; h <= RN_HIST_stage_tx_ns; h++)
    assert_int_equal(counted((enum rn_hist_id)h), 1);
  assert_int_equal(counted(RN_HIST_call_ns), 1);
}

static void each_end_has_its_outcome(void **state) {
  (void)state;
  int done = 0;
  call("nobody", "", 0, &done);
  run_lcore_ms(10);
  assert_int_equal(trace(1).outcome, RN_TRACE_ERROR);
  assert_memory_equal(trace(1).method, "nobody", 6);
  struct rn_rpc_client_call *c = call("sleep", "\xe8\x03\0\0\0\0\0\0", 8, &done);
  run_lcore_ms(10);
  assert_int_equal(atomic_load(&page.traces.written), 1);
  rn_rpc_client_cancel(c);
  run_lcore_ms(10);
  assert_int_equal(trace(2).outcome, RN_TRACE_CANCELLED);
  /* Only what was answered has a time. */
  assert_int_equal(counted(RN_HIST_call_ns), 1);
  assert_int_equal(counted(RN_HIST_stage_handler_ns), 1);
}

static void long_names_are_cut(void **state) {
  (void)state;
  char name[201] = { 0 };
  int done = 0;
  memset(name, 'n', sizeof(name) - 1);
  call(name, "", 0, &done);
  run_lcore_ms(10);
  assert_int_equal(trace(1).method_bytes, RN_TRACE_METHOD_BYTES);
}

static void all_calls_are_counted_when_none_is_followed(void **state) {
  (void)state;
  int done = 0;
  for (int i = 0; i < 200; i++)
    call("echo", "x", 1, &done);
  run_lcore_ms(20);
  assert_int_equal(done, 200);
  assert_int_equal(atomic_load(&page.traces.written), 0);
  assert_int_equal(counted(RN_HIST_call_ns), 200);
}

static void one_per_interval_is_followed(void **state) {
  (void)state;
  int done = 0;
  for (int i = 0; i < 200; i++) {
    call("echo", "x", 1, &done);
    run_lcore_ms(1);
  }
  run_lcore_ms(10);
  assert_int_equal(done, 200);
  assert_in_range(atomic_load(&page.traces.written), 3, 5);
  assert_int_equal(counted(RN_HIST_call_ns), 200);
}

/* More than there is room for are answered in one turn, long after they came; and more are on their way than can be followed. */
static void late_answers_are_counted_with_all_of_their_time(void **state) {
  (void)state;
  enum { N = RN_TRACE_LATE * 2 };
  int done = 0;
  for (int i = 0; i < N; i++) {
    call("sleep", "\x64\0\0\0\0\0\0\0", 8, &done);
    if (i < 2 * (int)RN_TRACE_OPEN)
      run_lcore_ms(1);
  }
  run_lcore_ms(300);
  assert_int_equal(done, N);
  struct rn_tally_copy t;
  rn_stats_hist_read(&page, RN_HIST_call_ns, &t);
  assert_int_equal(t.count, N);
  assert_in_range(t.sum_ns / N, 99 * MS, 103 * MS);
  assert_int_equal(atomic_load(&page.traces.written), RN_TRACE_OPEN);
  assert_in_range(trace(1).stage_ns[RN_TRACE_HANDLER], 99 * MS, 103 * MS);
  /* Their places are free again. */
  call("echo", "x", 1, &done);
  run_lcore_ms(10);
  assert_int_equal(atomic_load(&page.traces.written), RN_TRACE_OPEN + 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(call_is_followed_through_all_stages, setup_all, teardown),
    cmocka_unit_test_setup_teardown(each_end_has_its_outcome, setup_all, teardown),
    cmocka_unit_test_setup_teardown(long_names_are_cut, setup_all, teardown),
    cmocka_unit_test_setup_teardown(all_calls_are_counted_when_none_is_followed, setup_none,
                                    teardown),
    cmocka_unit_test_setup_teardown(one_per_interval_is_followed, setup_seldom, teardown),
    cmocka_unit_test_setup_teardown(late_answers_are_counted_with_all_of_their_time, setup_all,
                                    teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
