/* Calls passed on by a director: what gets through, what fails how, and who is asked next. */
#include "forward_world.h"
#include "util/refuse.h"

static int setup(void **state) {
  (void)state;
  world_prepare();
  world_start();
  return 0;
}

static void fails_with(const char *method, const char *text, uint64_t within_ms) {
  struct outcome o = { 0 };
  call(&o, method, "x", 1);
  run_ms(within_ms);
  assert_int_equal(o.done, 1);
  assert_string_equal(o.text, text);
  forget(&o);
}

static void set_there(bool a, bool b, bool c) {
  w->dir.workers[0].there = a;
  w->dir.workers[1].there = b;
  w->dir.workers[2].there = c;
}

/* Nothing comes from or gets to the worker any more, from now on. */
static void cut_off(unsigned int i) {
  w->workers[i].host->link.holes[0] = (struct net_hole){ net_now(w->net), UINT64_MAX };
}

static void unary_calls_come_back_unchanged(void **state) {
  (void)state;
  static uint8_t big[300000];
  for (size_t i = 0; i < sizeof(big); i++)
    big[i] = (uint8_t)(i * 31 + (i >> 9));
  static const size_t sizes[] = { 0, 1, 4, 100, 1300, 5000, 70000, sizeof(big) };
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
    echoes(big, sizes[i]);
  assert_int_equal(stats()->calls, 8);
  assert_int_equal(stats()->answered, 8);
  assert_int_equal(worker_stats(0)->requests, 8);
  assert_int_equal(w->dir.workers[0].ended[RN_FORWARD_ANSWERED], 8);
  assert_int_equal(rn_pool_stats(w->dir.pool)->dials, 1);
}

static void errors_of_workers_come_back_unchanged(void **state) {
  (void)state;
  fails_with("fail", "Stream error: Stream error: x", 200);
  fails_with("no_such_method", "Stream error: Unknown method: no_such_method", 200);
  assert_int_equal(stats()->errors, 0);
}

static void streams_run_both_ways_at_once(void **state) {
  (void)state;
  struct outcome o = { 0 };
  struct rn_rpc_client_call *c = stream(&o, "echo_stream");
  for (int i = 0; i < 5; i++) {
    assert_int_equal(rn_rpc_client_send(c, "hello", 5), RN_OK);
    run_ms(30);
    assert_int_equal(o.items, i + 1); /* while the client has not ended */
  }
  rn_rpc_client_send_end(c);
  run_ms(100);
  assert_int_equal(o.done, 1);
  assert_int_equal(o.err, RN_OK);
  assert_int_equal(o.len, 25);
  forget(&o);
  stream(&o, "tick_stream");
  run_ms(400);
  assert_int_equal(o.done, 1);
  assert_int_equal(o.items, 20);
  forget(&o);
}

static void items_that_failed_and_what_follows_get_through(void **state) {
  (void)state;
  struct outcome o = { 0 };
  struct rn_rpc_client_call *c = stream(&o, "err_stream");
  rn_rpc_client_send(c, "a", 1);
  rn_rpc_client_send(c, "ERR", 3);
  rn_rpc_client_send(c, "b", 1);
  rn_rpc_client_send_end(c);
  run_ms(200);
  assert_int_equal(o.items, 3);
  assert_string_equal((keep(&o, "", 1), (char *)o.data), "aError processing requestb");
  forget(&o);
}

static void stream_to_nobodys_method_ends(void **state) {
  (void)state;
  struct outcome o = { 0 };
  stream(&o, "no_such_stream");
  run_ms(200);
  assert_int_equal(o.done, 1);
  assert_int_equal(o.items, 1);
  forget(&o);
}

static void methods_without_a_route_stay(void **state) {
  (void)state;
  w->dir.routes[0].prefix = "Inference.";
  fails_with("echo", "Stream error: Unknown method: echo", 100);
  assert_int_equal(stats()->calls, 0);
}

/* ---- no worker ---- */

static void without_workers_the_answer_is_an_error_at_once(void **state) {
  (void)state;
  set_there(false, false, false);
  fails_with("echo", "Stream error: Stream error: No workers available", 10);
  struct outcome o = { 0 };
  struct rn_rpc_client_call *c = stream(&o, "echo_stream");
  rn_rpc_client_send(c, "a", 1);
  run_ms(10);
  assert_int_equal(o.done, 1);
  assert_int_equal(o.items, 1);
  assert_memory_equal(o.data, "Error processing request", 24);
  forget(&o);
  assert_int_equal(stats()->errors_no_worker, 2);
}

static void connect_failure_goes_to_another_worker(void **state) {
  (void)state;
  w->dir.workers[0].addr = addr(99, 8080); /* nobody is there */
  set_there(true, true, false);
  struct outcome o = { 0 };
  call(&o, "echo", "hi", 2);
  run_ms(1200); /* the dial's time */
  assert_int_equal(o.done, 1);
  assert_int_equal(o.err, RN_OK);
  forget(&o);
  assert_int_equal(w->dir.workers[0].ended[RN_FORWARD_UNREACHED], 1);
  assert_int_equal(w->dir.workers[1].ended[RN_FORWARD_ANSWERED], 1);
  w->dir.next = 0;
  echoes("again", 5); /* without delay: its dials back off */
  assert_int_equal(w->dir.workers[0].ended[RN_FORWARD_UNREACHED], 2);
  assert_int_equal(w->dir.asked, 0); /* nothing was sent: no part of the retry budget */
}

static void workers_that_cannot_be_reached_run_out(void **state) {
  (void)state;
  for (unsigned int i = 0; i < WORKERS; i++)
    w->dir.workers[i].addr = addr(90 + i, 8080);
  set_there(true, true, true);
  struct outcome o = { 0 };
  call(&o, "echo", "hi", 2);
  run_ms(3500);
  assert_int_equal(o.done, 1);
  assert_string_equal(o.text, "Stream error: Stream error: No workers available");
  forget(&o);
  assert_int_equal(stats()->unreached, 3);
}

/* ---- workers that fail ---- */

static void idempotent_call_survives_the_loss_of_its_worker(void **state) {
  (void)state;
  uint8_t ms[8];
  rn_wire_put_u64(ms, 200);
  w->dir.routes[0].r.idempotent = true;
  set_there(true, true, false);
  echoes("warm", 4);
  w->dir.next = 0;
  struct outcome o = { 0 };
  call(&o, "sleep", ms, 8);
  run_ms(50);
  rn_quic_close_all(w->workers[0].base.q, net_now(w->net), 0);
  run_ms(400);
  assert_int_equal(o.done, 1);
  assert_int_equal(o.err, RN_OK);
  forget(&o);
  assert_int_equal(stats()->retries, 1);
  assert_int_equal(w->dir.asked, 1);
  assert_int_equal(w->dir.workers[0].ended[RN_FORWARD_BROKEN], 1);
}

static void other_call_fails_with_its_worker(void **state) {
  (void)state;
  uint8_t ms[8];
  rn_wire_put_u64(ms, 200);
  set_there(true, true, false);
  struct outcome o = { 0 }, s = { 0 };
  call(&o, "sleep", ms, 8);
  run_ms(20);
  w->dir.next = 0;
  stream(&s, "echo_stream");
  run_ms(50);
  rn_quic_close_all(w->workers[0].base.q, net_now(w->net), 0);
  run_ms(50);
  assert_int_equal(o.done + s.done, 2);
  assert_string_equal(o.text, "Stream error: Connection error: Stream closed unexpectedly");
  assert_int_equal(s.items, 1); /* an error item */
  forget(&o), forget(&s);
  assert_int_equal(stats()->errors_broken, 2);
}

static void begun_answer_is_not_begun_again(void **state) {
  (void)state;
  w->dir.routes[0].r.idempotent = true;
  set_there(true, true, false);
  struct outcome o = { 0 };
  stream(&o, "tick_stream");
  run_ms(100);
  assert_true(o.items > 0 && o.items < 20);
  rn_quic_close_all(w->workers[0].base.q, net_now(w->net), 0);
  run_ms(100);
  assert_int_equal(o.done, 1);
  assert_string_equal(o.text, "Connection error: The stream was reset by the peer");
  assert_int_equal(stats()->retries, 0);
  forget(&o);
}

static void retry_budget_is_asked(void **state) {
  (void)state;
  uint8_t ms[8];
  rn_wire_put_u64(ms, 200);
  w->dir.routes[0].r.idempotent = true;
  w->dir.budget = 0;
  set_there(true, true, false);
  struct outcome o = { 0 };
  call(&o, "sleep", ms, 8);
  run_ms(50);
  rn_quic_close_all(w->workers[0].base.q, net_now(w->net), 0);
  run_ms(50);
  assert_int_equal(o.done, 1);
  assert_int_equal(stats()->retry_refused, 1);
  forget(&o);
}

static void long_request_is_made_once(void **state) {
  (void)state;
  static uint8_t big[40000]; /* more than is kept for another try */
  rn_wire_put_u64(big, 200);
  w->dir.routes[0].r.idempotent = true;
  set_there(true, true, false);
  struct outcome o = { 0 };
  call(&o, "sleep", big, sizeof(big));
  run_ms(80);
  assert_int_equal(stats()->replay_lost, 1);
  rn_quic_close_all(w->workers[0].base.q, net_now(w->net), 0);
  run_ms(50);
  assert_int_equal(o.done, 1);
  assert_int_equal(stats()->retries, 0);
  forget(&o);
}

static void reset_of_the_worker_is_passed_on(void **state) {
  (void)state;
  rn_rpc_server_fail_calls(w->workers[0].server, 1); /* no room: STOP_SENDING and RESET_STREAM */
  struct outcome o = { 0 };
  call(&o, "echo", "hi", 2);
  run_ms(100);
  assert_int_equal(o.done, 1);
  assert_string_equal(o.text, "Connection error: The stream was reset by the peer");
  forget(&o);
  w->dir.routes[0].r.idempotent = true;
  set_there(true, true, false);
  w->dir.next = 0;
  echoes("other", 5);
  rn_rpc_server_fail_calls(w->workers[0].server, 0);
}

/* ---- time ---- */

static void late_worker_is_given_up_for_another(void **state) {
  (void)state;
  w->dir.routes[0].r.idempotent = true;
  w->dir.routes[0].r.try_timeout_ns = 100 * MS;
  set_there(true, true, false);
  echoes("warm", 4);
  echoes("warm", 4);
  w->dir.next = 0;
  cut_off(0);
  struct outcome o = { 0 };
  call(&o, "echo", "hi", 2);
  run_ms(130);
  assert_int_equal(o.done, 1);
  assert_int_equal(o.err, RN_OK);
  forget(&o);
  assert_int_equal(w->dir.workers[0].ended[RN_FORWARD_LATE], 1);
  assert_int_equal(stats()->retries, 1);
}

static void late_worker_goes_on_where_there_is_no_other(void **state) {
  (void)state;
  uint8_t ms[8];
  rn_wire_put_u64(ms, 300);
  w->dir.routes[0].r.idempotent = true;
  w->dir.routes[0].r.try_timeout_ns = 100 * MS;
  struct outcome o = { 0 };
  call(&o, "sleep", ms, 8);
  run_ms(500);
  assert_int_equal(o.done, 1);
  assert_int_equal(o.err, RN_OK);
  forget(&o);
  assert_int_equal(stats()->retries, 0);
}

static void route_has_its_own_timeout(void **state) {
  (void)state;
  uint8_t ms[8];
  rn_wire_put_u64(ms, 1000);
  w->dir.routes[0].r.timeout_ns = 200 * MS;
  struct outcome o = { 0 };
  call(&o, "sleep", ms, 8);
  run_ms(230);
  assert_int_equal(o.done, 1);
  assert_string_equal(o.text, "Stream error: Request timeout");
  forget(&o);
  run_ms(20);
  assert_int_equal(worker_stats(0)->calls, 0); /* cancelled there */
  assert_int_equal(worker_stats(0)->cancelled, 1);
  assert_int_equal(w->dir.workers[0].ended[RN_FORWARD_LATE], 1);
}

static void silent_stream_ends_after_the_timeout(void **state) {
  (void)state;
  w->dir.routes[0].r.timeout_ns = 200 * MS;
  struct outcome o = { 0 };
  struct rn_rpc_client_call *c = stream(&o, "echo_stream");
  for (int i = 0; i < 5; i++) { /* as long as there is something it goes on */
    rn_rpc_client_send(c, "a", 1);
    run_ms(150);
  }
  assert_int_equal(o.items, 5);
  assert_int_equal(o.done, 0);
  run_ms(100);
  assert_int_equal(o.done, 1);
  assert_int_equal(stats()->errors_timeout, 1);
  forget(&o);
}

static void faster_of_two_workers_answers(void **state) {
  (void)state;
  w->dir.routes[0].r.idempotent = true;
  w->dir.routes[0].r.hedge_ns = 50 * MS;
  set_there(true, true, false);
  echoes("warm", 4);
  echoes("warm", 4);
  assert_int_equal(stats()->hedges, 0);
  w->dir.next = 0;
  cut_off(0);
  struct outcome o = { 0 };
  call(&o, "echo", "hi", 2);
  run_ms(70);
  assert_int_equal(o.done, 1);
  assert_int_equal(o.err, RN_OK);
  forget(&o);
  assert_int_equal(stats()->hedges, 1);
  assert_int_equal(stats()->hedge_wins, 1);
  assert_int_equal(w->dir.workers[0].ended[RN_FORWARD_DROPPED], 1);
}

static void slower_of_two_workers_is_cancelled(void **state) {
  (void)state;
  uint8_t ms[8];
  rn_wire_put_u64(ms, 100);
  w->dir.routes[0].r.idempotent = true;
  w->dir.routes[0].r.hedge_ns = 50 * MS;
  set_there(true, true, false);
  echoes("warm", 4);
  echoes("warm", 4);
  w->dir.next = 0;
  struct outcome o = { 0 };
  call(&o, "sleep", ms, 8);
  run_ms(120);
  assert_int_equal(o.done, 1);
  forget(&o);
  run_ms(20);
  assert_int_equal(worker_stats(1)->cancelled, 1);
  assert_int_equal(stats()->hedge_wins, 0);
}

/* Links take 2 ms each way, to the director and on to the worker. */
static void time_is_told_where_it_was_spent(void **state) {
  (void)state;
  const struct rn_forward_times *t = &w->dir.times;
  uint8_t ms[8];
  rn_wire_put_u64(ms, 100);
  for (int i = 0; i < 2; i++) {
    struct outcome o = { 0 };
    call(&o, "sleep", ms, 8);
    run_ms(150);
    assert_int_equal(o.done, 1);
    forget(&o);
    assert_int_equal(t->kind, RN_HANDLER_UNARY);
    assert_in_range(t->connect_ns, i == 0 ? 4 * MS : 0, i == 0 ? 20 * MS : 0);
    assert_in_range(t->worker_ns, 104 * MS, 115 * MS);
    assert_int_equal(t->answer_ns, 0);
    assert_int_equal(t->asked_ns, t->connect_ns + t->worker_ns + t->answer_ns);
  }
  struct outcome o = { 0 };
  stream(&o, "tick_stream"); /* 20 items */
  run_ms(400);
  assert_int_equal(o.done, 1);
  forget(&o);
  assert_int_equal(t->kind, RN_HANDLER_STREAMING);
  assert_in_range(t->answer_ns, 50 * MS, 400 * MS);
}

/* ---- limits ---- */

static void route_has_room_for_so_many(void **state) {
  (void)state;
  uint8_t ms[8];
  rn_wire_put_u64(ms, 100);
  w->dir.routes[0].r.max_in_flight = 2;
  struct outcome a = { 0 }, b = { 0 };
  call(&a, "sleep", ms, 8);
  call(&b, "sleep", ms, 8);
  fails_with("echo", "Stream error: Internal error: server overloaded", 10);
  run_ms(200);
  assert_int_equal(a.err + b.err, RN_OK);
  assert_int_equal(a.done + b.done, 2);
  forget(&a), forget(&b);
  assert_int_equal(stats()->errors_route, 1);
  echoes("room", 4);
}

static void who_waits_for_a_dial_is_counted(void **state) {
  (void)state;
  struct rn_pool_config c = w->dir.pool_params.config;
  c.waiters = 1;
  assert_int_equal(rn_pool_configure(w->dir.pool, &c), RN_OK);
  struct outcome a = { 0 };
  call(&a, "echo", "x", 1);
  fails_with("echo", "Stream error: Internal error: server overloaded", 6);
  run_ms(100);
  assert_int_equal(a.err, RN_OK);
  assert_int_equal(a.done, 1);
  forget(&a);
  assert_int_equal(stats()->errors_overload, 1);
  assert_int_equal(w->dir.workers[0].ended[RN_FORWARD_DROPPED], 1);
}

static void refusals_are_answered(void **state) {
  (void)state;
  if (!RN_REFUSALS_BUILT)
    skip();
  static const uint8_t big[20000];
  rn_forward_fail_calls(w->dir.forward, 1);
  fails_with("echo", "Stream error: Internal error: server overloaded", 10);
  assert_int_equal(rn_forward_fail_calls(w->dir.forward, 0), 1);
  rn_forward_fail_buffers(w->dir.forward, 1);
  struct outcome o = { 0 };
  call(&o, "echo", big, sizeof(big)); /* has to wait for the dial */
  run_ms(100);
  assert_int_equal(o.done, 1);
  assert_string_equal(o.text, "Stream error: Internal error: server overloaded");
  forget(&o);
  assert_true(rn_forward_fail_buffers(w->dir.forward, 0) > 0);
  assert_int_equal(stats()->errors_overload, 2);
  run_ms(100);
  echoes(big, sizeof(big));
}

/* ---- clients that give up ---- */

static void cancel_reaches_the_worker(void **state) {
  (void)state;
  uint8_t ms[8];
  rn_wire_put_u64(ms, 3000);
  struct outcome o = { 0 }, s = { 0 };
  struct rn_rpc_client_call *c = call(&o, "sleep", ms, 8);
  struct rn_rpc_client_call *t = stream(&s, "tick_stream");
  run_ms(50);
  assert_int_equal(worker_stats(0)->calls, 2);
  rn_rpc_client_cancel(c);
  rn_rpc_client_cancel(t);
  run_ms(50);
  assert_int_equal(worker_stats(0)->calls, 0);
  assert_int_equal(worker_stats(0)->cancelled, 2);
  assert_int_equal(stats()->cancelled, 2);
  forget(&o), forget(&s);
}

static void client_that_is_gone_leaves_nothing(void **state) {
  (void)state;
  uint8_t ms[8];
  rn_wire_put_u64(ms, 3000);
  struct outcome o = { 0 }, waiting = { 0 };
  call(&o, "sleep", ms, 8);
  run_ms(50);
  set_there(false, true, false);
  call(&waiting, "echo", "x", 1);
  run_ms(3); /* the dial is under way */
  rn_quic_close_all(w->client.base.q, net_now(w->net), 0);
  run_ms(50);
  assert_int_equal(stats()->in_flight, 0);
  assert_int_equal(worker_stats(0)->calls, 0);
  assert_int_equal(o.done + waiting.done, 2);
  forget(&o), forget(&waiting);
}

/* ---- raw streams: what a client of ours would not do ---- */

static struct rn_quic_stream *raw(void) {
  struct rn_quic_stream *s;
  assert_int_equal(rn_quic_stream_open(w->conn, &s), RN_OK);
  return s;
}

/* The request in two pieces, split at each byte. */
static void requests_may_be_split_anywhere(void **state) {
  (void)state;
  uint8_t unary[RN_WIRE_REQUEST_HEAD_BYTES(4) + 4], frames[4 + 11 + 4 + 5 + 4];
  rn_wire_request_head(unary, 1, "echo", 4, 4);
  memcpy(unary + RN_WIRE_REQUEST_HEAD_BYTES(4), "abcd", 4);
  rn_wire_put_u32(frames, 11);
  memcpy(frames + 4, "echo_stream", 11);
  rn_wire_put_u32(frames + 15, 5);
  memcpy(frames + 19, "hello", 5);
  rn_wire_put_u32(frames + 24, 0);
  for (size_t at = 1; at < sizeof(unary) + sizeof(frames) - 1; at++) {
    bool first = at < sizeof(unary);
    const uint8_t *bytes = first ? unary : frames;
    size_t len = first ? sizeof(unary) : sizeof(frames), cut = first ? at : at - sizeof(unary) + 1;
    if (cut >= len)
      continue;
    uint64_t before = stats()->answered;
    struct rn_quic_stream *s = raw();
    rn_quic_stream_write(s, NULL, 0, false);
    rn_quic_stream_write(s, bytes, cut, false);
    run_ms(20);
    rn_quic_stream_write(s, bytes + cut, len - cut, false);
    run_ms(20);
    assert_int_equal(stats()->answered, before + 1);
    rn_quic_stream_write(s, NULL, 0, true);
    rn_quic_stream_stop(s, 0);
  }
  assert_int_equal(worker_stats(0)->bad_requests, 0);
}

/* FIN without the marker is an end, too, along with the first bytes or later. */
static void fin_of_the_client_reaches_the_worker(void **state) {
  (void)state;
  uint8_t frames[4 + 11 + 4 + 5];
  rn_wire_put_u32(frames, 11);
  memcpy(frames + 4, "echo_stream", 11);
  rn_wire_put_u32(frames + 15, 5);
  memcpy(frames + 19, "hello", 5);
  for (size_t cut = 0; cut < sizeof(frames); cut += 5) {
    struct rn_quic_stream *s = raw();
    if (cut > 0)
      rn_quic_stream_write(s, frames, cut, false);
    run_ms(20);
    rn_quic_stream_write(s, frames + cut, sizeof(frames) - cut, cut % 2 == 0);
    run_ms(20);
    if (cut % 2 == 1)
      rn_quic_stream_write(s, NULL, 0, true);
    run_ms(20);
    assert_int_equal(stats()->answered, cut / 5 + 1);
  }
}

static void unfinished_request_is_given_up(void **state) {
  (void)state;
  uint8_t head[RN_WIRE_REQUEST_HEAD_BYTES(4)];
  rn_wire_request_head(head, 1, "echo", 4, 4);
  w->dir.routes[0].r.timeout_ns = 200 * MS;
  struct rn_quic_stream *s = raw();
  rn_quic_stream_write(s, head, sizeof(head), false);
  run_ms(150);
  assert_int_equal(stats()->in_flight, 1);
  rn_quic_stream_write(s, "a", 1, false); /* does not make the time longer */
  run_ms(100);
  assert_int_equal(stats()->unread, 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
    CASE(unary_calls_come_back_unchanged),
    CASE(errors_of_workers_come_back_unchanged),
    CASE(streams_run_both_ways_at_once),
    CASE(items_that_failed_and_what_follows_get_through),
    CASE(stream_to_nobodys_method_ends),
    CASE(methods_without_a_route_stay),
    CASE(without_workers_the_answer_is_an_error_at_once),
    CASE(connect_failure_goes_to_another_worker),
    CASE(workers_that_cannot_be_reached_run_out),
    CASE(idempotent_call_survives_the_loss_of_its_worker),
    CASE(other_call_fails_with_its_worker),
    CASE(begun_answer_is_not_begun_again),
    CASE(retry_budget_is_asked),
    CASE(long_request_is_made_once),
    CASE(reset_of_the_worker_is_passed_on),
    CASE(late_worker_is_given_up_for_another),
    CASE(late_worker_goes_on_where_there_is_no_other),
    CASE(route_has_its_own_timeout),
    CASE(silent_stream_ends_after_the_timeout),
    CASE(faster_of_two_workers_answers),
    CASE(slower_of_two_workers_is_cancelled),
    CASE(time_is_told_where_it_was_spent),
    CASE(route_has_room_for_so_many),
    CASE(who_waits_for_a_dial_is_counted),
    CASE(refusals_are_answered),
    CASE(cancel_reaches_the_worker),
    CASE(client_that_is_gone_leaves_nothing),
    CASE(requests_may_be_split_anywhere),
    CASE(fin_of_the_client_reaches_the_worker),
    CASE(unfinished_request_is_given_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
