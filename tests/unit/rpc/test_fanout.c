/* Calls that a director makes at every worker: what comes back for each of them, in time and within the limits. */
#include "util/refuse.h"
#include "wire/bincode.h"

#define WORKERS 64
#include "forward_world.h"

/* ---- the world: one method goes to everybody, all others are forwarded ---- */

static const char *method = "binary_echo";

static void prepare(unsigned int count) {
  world_workers = count;
  world_prepare();
  w->dir.fan.method = method;
  for (unsigned int i = 0; i < count; i++)
    w->dir.workers[i].there = true;
}

static int setup(void **state) {
  (void)state;
  method = "binary_echo";
  prepare(3);
  world_start();
  return 0;
}

static int setup_sleep(void **state) {
  (void)state;
  method = "sleep";
  prepare(3);
  world_start();
  return 0;
}

static int setup_many(void **state) {
  (void)state;
  method = "binary_echo";
  prepare(WORKERS);
  struct rn_quic_limits *lim = &w->dir.base.params.limits;
  lim->conns = lim->half_open = 2 * WORKERS;
  lim->heap_bytes = 64u << 20;
  w->dir.fan.pool_params.limits = (struct rn_pool_limits){ WORKERS, WORKERS };
  w->dir.fan.pool_params.config.waiters = 4 * WORKERS;
  world_start();
  return 0;
}

static const struct rn_fanout_stats *fan(void) { return rn_fanout_stats(w->dir.fanout); }

static void cut_off(unsigned int i) {
  w->workers[i].host->link.holes[0] = (struct net_hole){ net_now(w->net), UINT64_MAX };
}

/* ---- what came back ---- */

struct part {
  struct rn_bin_str id, answer;
  uint32_t tag; /* 0: Ok */
};

/* o is the answer to a call to count workers. */
static void parts_of(const struct outcome *o, struct part *out, uint64_t count) {
  struct rn_bin_reader r = { .buf = o->data, .len = o->len, .str_max = SIZE_MAX };
  assert_int_equal(o->done, 1);
  assert_string_equal(o->text, "");
  assert_int_equal(rn_bin_u64(&r), count);
  for (uint64_t i = 0; i < count; i++) {
    out[i].id = rn_bin_str(&r);
    out[i].tag = rn_bin_u32(&r);
    assert_true(out[i].tag <= 1);
    size_t len = rn_bin_u64(&r);
    out[i].answer = (struct rn_bin_str){ (const char *)rn_bin_take(&r, len), len };
  }
  assert_int_equal(r.err, RN_OK);
  assert_int_equal(r.at, r.len);
}

static void is_text(const struct rn_bin_str *s, const char *text) {
  char found[256];
  snprintf(found, sizeof(found), "%.*s", (int)s->len, s->p);
  assert_string_equal(found, text);
}

static void is_part(const struct part *p, const char *id, uint32_t tag, const char *answer) {
  is_text(&p->id, id);
  is_text(&p->answer, answer);
  assert_int_equal(p->tag, tag);
}

static const char unreached[] = "Connection error: The worker cannot be reached";
static const char overloaded[] = "Internal error: server overloaded";
static const char too_large[] = "Stream error: Response too large";

static void fails_with(const void *params, size_t len, const char *text) {
  struct outcome o = { 0 };
  call(&o, method, params, len);
  run_ms(10);
  assert_int_equal(o.done, 1);
  assert_string_equal(o.text, text);
  forget(&o);
}

/* ---- answers ---- */

static void every_worker_answers(void **state) {
  (void)state;
  struct part p[3];
  struct outcome o = { 0 };
  for (int i = 0; i < 2; i++) { /* dialled first, then at once */
    call(&o, method, "hello", 5);
    run_ms(i == 0 ? 50 : 10);
    parts_of(&o, p, 3);
    is_part(&p[0], "w-0", 0, "hello");
    is_part(&p[1], "w-1", 0, "hello");
    is_part(&p[2], "w-2", 0, "hello");
    forget(&o);
  }
  for (unsigned int i = 0; i < 3; i++)
    assert_int_equal(worker_stats(i)->requests, 2);
  assert_int_equal(rn_rpc_server_answered_at_once(w->dir.server), 0);
  assert_int_equal(fan()->calls, 2);
  assert_int_equal(fan()->answered, 2);
  assert_int_equal(fan()->asked, 6);
  assert_int_equal(fan()->good, 6);
  assert_int_equal(rn_pool_stats(w->dir.fan_pool)->dials, 3);
}

static void answers_of_every_size_come_back(void **state) {
  (void)state;
  static uint8_t big[100000];
  struct part p[3];
  struct outcome o = { 0 };
  for (size_t i = 0; i < sizeof(big); i++)
    big[i] = (uint8_t)(i * 31 + (i >> 9));
  static const size_t sizes[] = { 0, 1, 1300, 20000, sizeof(big) };
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    call(&o, method, big, sizes[i]);
    run_ms(400);
    parts_of(&o, p, 3);
    for (int k = 0; k < 3; k++) {
      assert_int_equal(p[k].tag, 0);
      assert_int_equal(p[k].answer.len, sizes[i]);
      assert_true(sizes[i] == 0 || memcmp(p[k].answer.p, big, sizes[i]) == 0);
    }
    forget(&o);
  }
}

static void other_methods_are_forwarded(void **state) {
  (void)state;
  struct outcome o = { 0 };
  echoes("one", 3);
  struct rn_rpc_client_call *c = stream(&o, method); /* it goes to nobody */
  rn_rpc_client_send(c, "an item of some bytes", 21);
  run_ms(100);
  assert_int_equal(o.items, 1);
  forget(&o);
  assert_int_equal(fan()->calls, 0);
  assert_int_equal(stats()->calls, 1);
}

static void sixty_four_workers_answer(void **state) {
  (void)state;
  static struct part p[WORKERS];
  struct outcome o[4] = { 0 };
  char id[16];
  for (int i = 0; i < 4; i++)
    call(&o[i], method, "to all", 6);
  run_ms(500);
  for (int i = 0; i < 4; i++) {
    parts_of(&o[i], p, WORKERS);
    for (unsigned int k = 0; k < WORKERS; k++) {
      snprintf(id, sizeof(id), "w-%u", k);
      is_part(&p[k], id, 0, "to all");
    }
    forget(&o[i]);
  }
  assert_int_equal(fan()->good, 4 * WORKERS);
  assert_int_equal(rn_pool_stats(w->dir.fan_pool)->dials, WORKERS);
}

static void without_workers_the_answer_is_an_error_at_once(void **state) {
  (void)state;
  for (unsigned int i = 0; i < 3; i++)
    w->dir.workers[i].there = false;
  fails_with("x", 1, "Stream error: Stream error: No workers available");
  assert_int_equal(fan()->errors, 1);
  assert_int_equal(fan()->errors_no_worker, 1);
}

/* ---- workers that fail ---- */

/* At worker 1 the parameters are too many. */
static void error_of_one_worker_is_its_answer(void **state) {
  (void)state;
  struct part p[3];
  struct outcome o = { 0 };
  assert_int_equal(rn_rpc_server_limit(w->workers[1].server, method, 0, 2), RN_OK);
  call(&o, method, "abc", 3);
  run_ms(100);
  parts_of(&o, p, 3);
  is_part(&p[0], "w-0", 0, "abc");
  is_part(&p[1], "w-1", 1,
          "Stream error: Internal error: request is larger than the server allows");
  is_part(&p[2], "w-2", 0, "abc");
  forget(&o);
  assert_int_equal(fan()->refused, 1);
}

static void worker_that_resets_is_an_error(void **state) {
  (void)state;
  if (!RN_REFUSALS_BUILT)
    skip();
  struct part p[3];
  struct outcome o = { 0 };
  rn_rpc_server_fail_calls(w->workers[2].server, 1);
  call(&o, method, "abc", 3);
  run_ms(100);
  parts_of(&o, p, 3);
  is_part(&p[2], "w-2", 1, "Connection error: The stream was reset by the peer");
  is_part(&p[0], "w-0", 0, "abc");
  forget(&o);
  assert_int_equal(fan()->broken, 1);
}

static void worker_that_is_not_there_is_an_error(void **state) {
  (void)state;
  struct part p[3];
  struct outcome o = { 0 };
  w->dir.workers[1].addr = addr(99, 8080);
  for (int i = 0; i < 2; i++) {
    call(&o, method, "abc", 3);
    run_ms(i == 0 ? 1100 : 10); /* the dial's time, then its backoff */
    parts_of(&o, p, 3);
    is_part(&p[0], "w-0", 0, "abc");
    is_part(&p[1], "w-1", 1, unreached);
    is_part(&p[2], "w-2", 0, "abc");
    forget(&o);
  }
  assert_int_equal(fan()->unreached, 2);
}

static void late_worker_does_not_hold_up_the_others_answers(void **state) {
  (void)state;
  struct part p[3];
  struct outcome o = { 0 };
  w->dir.fan.r.timeout_ns = 200 * MS;
  call(&o, method, "warm", 4);
  run_ms(50);
  forget(&o);
  cut_off(0);
  call(&o, method, "abc", 3);
  run_ms(190);
  assert_int_equal(o.done, 0);
  run_ms(20);
  parts_of(&o, p, 3);
  is_part(&p[0], "w-0", 1, "Request timeout");
  is_part(&p[1], "w-1", 0, "abc");
  is_part(&p[2], "w-2", 0, "abc");
  forget(&o);
  assert_int_equal(fan()->late, 1);
}

static void late_dial_counts_as_well(void **state) {
  (void)state;
  struct part p[3];
  struct outcome o = { 0 };
  w->dir.fan.r.timeout_ns = 200 * MS;
  w->dir.workers[2].addr = addr(99, 8080);
  call(&o, method, "abc", 3);
  run_ms(210);
  parts_of(&o, p, 3);
  is_part(&p[2], "w-2", 1, "Request timeout");
  forget(&o);
}

static void late_workers_are_told(void **state) {
  (void)state;
  uint8_t ms[8];
  struct part p[3];
  struct outcome o = { 0 };
  rn_wire_put_u64(ms, 3000);
  w->dir.fan.r.timeout_ns = 200 * MS;
  call(&o, method, ms, 8);
  run_ms(220);
  parts_of(&o, p, 3);
  for (int i = 0; i < 3; i++)
    assert_int_equal(p[i].tag, 1);
  forget(&o);
  run_ms(20);
  for (unsigned int i = 0; i < 3; i++)
    assert_int_equal(worker_stats(i)->cancelled, 1);
  assert_int_equal(fan()->late, 3);
}

/* The server's own time for calls does not count here. */
static void route_alone_says_how_long_it_may_take(void **state) {
  (void)state;
  uint8_t ms[8];
  struct part p[3];
  struct outcome o = { 0 };
  struct rn_rpc_server_config cfg = w->dir.server_config;
  rn_wire_put_u64(ms, 300);
  w->dir.fan.r.timeout_ns = 0;
  cfg.request_timeout_ns = 100 * MS;
  assert_int_equal(rn_rpc_server_configure(w->dir.server, &cfg), RN_OK);
  call(&o, method, ms, 8);
  run_ms(400);
  parts_of(&o, p, 3);
  assert_int_equal(p[0].tag + p[1].tag + p[2].tag, 0);
  forget(&o);
}

static void worker_that_dies_meanwhile_is_an_error(void **state) {
  (void)state;
  uint8_t ms[8];
  struct part p[3];
  struct outcome o = { 0 };
  rn_wire_put_u64(ms, 300);
  call(&o, method, ms, 8);
  run_ms(100);
  rn_quic_close_all(w->workers[1].base.q, net_now(w->net), 0);
  run_ms(400);
  parts_of(&o, p, 3);
  assert_int_equal(p[0].tag + p[2].tag, 0);
  is_part(&p[1], "w-1", 1, "Connection error: The connection was closed");
  forget(&o);
  assert_int_equal(fan()->broken, 1);
}

/* ---- clients that give up ---- */

static void cancel_reaches_every_worker(void **state) {
  (void)state;
  uint8_t ms[8];
  struct outcome o = { 0 };
  rn_wire_put_u64(ms, 3000);
  struct rn_rpc_client_call *c = call(&o, method, ms, 8);
  run_ms(50);
  rn_rpc_client_cancel(c);
  run_ms(50);
  for (unsigned int i = 0; i < 3; i++)
    assert_int_equal(worker_stats(i)->cancelled, 1);
  assert_int_equal(fan()->cancelled, 1);
  assert_int_equal(fan()->in_flight, 0);
  forget(&o);
}

static void client_that_goes_while_we_dial_leaves_nothing(void **state) {
  (void)state;
  struct outcome o = { 0 };
  call(&o, method, "abc", 3);
  run_ms(3);
  assert_int_equal(rn_pool_stats(w->dir.fan_pool)->waiters, 3);
  rn_quic_close_all(w->client.base.q, net_now(w->net), 0);
  run_ms(50);
  assert_int_equal(fan()->cancelled, 1);
  assert_int_equal(rn_pool_stats(w->dir.fan_pool)->waiters, 0);
  forget(&o);
}

/* ---- limits ---- */

static void route_has_room_for_so_many(void **state) {
  (void)state;
  uint8_t ms[8];
  struct outcome a = { 0 };
  rn_wire_put_u64(ms, 100);
  w->dir.fan.r.max_in_flight = 1;
  call(&a, method, ms, 8);
  fails_with(ms, 8, "Stream error: Internal error: server overloaded");
  run_ms(200);
  assert_int_equal(a.done, 1);
  assert_int_equal(a.err, RN_OK);
  forget(&a);
  assert_int_equal(fan()->errors_route, 1);
}

static int setup_small(void **state) {
  (void)state;
  method = "sleep";
  prepare(3);
  w->dir.fan.limits =
      (struct rn_fanout_limits){ .calls = 2, .asks = 5, .answer_bytes = 4096, .body_bytes = 65536 };
  world_start();
  return 0;
}

static void so_many_workers_are_asked_at_a_time(void **state) {
  (void)state;
  uint8_t ms[8];
  struct outcome a = { 0 };
  rn_wire_put_u64(ms, 100);
  call(&a, method, ms, 8);
  fails_with(ms, 8, "Stream error: Internal error: server overloaded");
  assert_int_equal(fan()->ask_limit, 1);
  assert_int_equal(fan()->errors_overload, 1);
  run_ms(200);
  assert_int_equal(a.err, RN_OK);
  forget(&a);
}

static void so_many_calls_are_made_at_a_time(void **state) {
  (void)state;
  uint8_t ms[8];
  struct outcome a[2] = { 0 };
  rn_wire_put_u64(ms, 100);
  w->dir.workers[1].there = w->dir.workers[2].there = false;
  call(&a[0], method, ms, 8);
  call(&a[1], method, ms, 8);
  fails_with(ms, 8, "Stream error: Internal error: server overloaded");
  assert_int_equal(fan()->call_limit, 1);
  run_ms(200);
  assert_int_equal(a[0].done + a[1].done, 2);
  forget(&a[0]), forget(&a[1]);
}

/* Two of three answers of 1,500 bytes have room in 4 KiB beside all names. */
static void answer_without_room_is_left_out(void **state) {
  (void)state;
  static uint8_t params[1500];
  struct part p[3];
  struct outcome o = { 0 };
  rn_wire_put_u64(params, 10);
  call(&o, method, params, sizeof(params));
  run_ms(200);
  parts_of(&o, p, 3);
  int good = 0;
  for (int i = 0; i < 3; i++) {
    good += p[i].tag == 0;
    if (p[i].tag == 1)
      is_text(&p[i].answer, too_large);
  }
  assert_int_equal(good, 2);
  assert_int_equal(fan()->too_large, 1);
  forget(&o);
  static uint8_t larger[6000]; /* than all answers may be: not even read */
  rn_wire_put_u64(larger, 10);
  call(&o, method, larger, sizeof(larger));
  run_ms(200);
  parts_of(&o, p, 3);
  for (int i = 0; i < 3; i++)
    is_text(&p[i].answer, too_large);
  forget(&o);
  assert_int_equal(fan()->too_large, 4);
}

static int setup_no_room_for_names(void **state) {
  (void)state;
  method = "binary_echo";
  prepare(20);
  w->dir.fan.limits.answer_bytes = 1024;
  world_start();
  return 0;
}

static void more_workers_than_an_answer_can_name(void **state) {
  (void)state;
  fails_with("x", 1, "Stream error: Internal error: too many workers for one answer");
  assert_int_equal(fan()->errors_workers, 1);
  assert_int_equal(fan()->asked, 0);
}

static void pool_that_is_full_is_an_error(void **state) {
  (void)state;
  struct part p[3];
  struct outcome o = { 0 };
  struct rn_pool_config c = w->dir.fan.pool_params.config;
  c.waiters = 1;
  assert_int_equal(rn_pool_configure(w->dir.fan_pool, &c), RN_OK);
  call(&o, method, "abc", 3);
  run_ms(100);
  parts_of(&o, p, 3);
  is_part(&p[0], "w-0", 0, "abc");
  is_part(&p[1], "w-1", 1, overloaded);
  is_part(&p[2], "w-2", 1, overloaded);
  forget(&o);
  assert_int_equal(fan()->overload, 2);
}

static void refusals_are_answered(void **state) {
  (void)state;
  if (!RN_REFUSALS_BUILT)
    skip();
  static uint8_t big[40000];
  struct part p[3];
  struct outcome o = { 0 };
  rn_fanout_fail_calls(w->dir.fanout, 1);
  fails_with("x", 1, "Stream error: Internal error: server overloaded");
  assert_int_equal(rn_fanout_fail_calls(w->dir.fanout, 0), 1);
  rn_fanout_fail_asks(w->dir.fanout, 2);
  fails_with("x", 1, "Stream error: Internal error: server overloaded");
  assert_int_equal(rn_fanout_fail_asks(w->dir.fanout, 0), 1);
  rn_rpc_server_fail_bodies(w->dir.server, 1); /* the parameters cannot be kept */
  fails_with("x", 1, "Stream error: Internal error: server overloaded");
  assert_int_equal(rn_rpc_server_fail_bodies(w->dir.server, 0), 1);
  assert_int_equal(fan()->errors_overload, 3);
  for (int large = 0; large < 2; large++) { /* the second is gathered by the client of ours */
    rn_fanout_fail_bodies(w->dir.fanout, 1);
    call(&o, method, big, large ? sizeof(big) : 10);
    run_ms(200);
    parts_of(&o, p, 3);
    for (int i = 0; i < 3; i++)
      is_text(&p[i].answer, overloaded);
    forget(&o);
    assert_int_equal(rn_fanout_fail_bodies(w->dir.fanout, 0), 3);
    assert_int_equal(fan()->body_limit, 3 * (uint64_t)(large + 1));
    run_ms(100);
  }
  assert_int_equal(fan()->overload, 6);
  assert_int_equal(fan()->too_large, 0);
}

#define CASE(f)      cmocka_unit_test_setup_teardown(f, setup, teardown)
#define WITH(f, set) cmocka_unit_test_setup_teardown(f, set, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
    CASE(every_worker_answers),
    CASE(answers_of_every_size_come_back),
    WITH(other_methods_are_forwarded, setup_sleep),
    WITH(sixty_four_workers_answer, setup_many),
    CASE(without_workers_the_answer_is_an_error_at_once),
    CASE(error_of_one_worker_is_its_answer),
    CASE(worker_that_resets_is_an_error),
    CASE(worker_that_is_not_there_is_an_error),
    CASE(late_worker_does_not_hold_up_the_others_answers),
    CASE(late_dial_counts_as_well),
    WITH(late_workers_are_told, setup_sleep),
    WITH(route_alone_says_how_long_it_may_take, setup_sleep),
    WITH(worker_that_dies_meanwhile_is_an_error, setup_sleep),
    WITH(cancel_reaches_every_worker, setup_sleep),
    CASE(client_that_goes_while_we_dial_leaves_nothing),
    WITH(route_has_room_for_so_many, setup_sleep),
    WITH(so_many_workers_are_asked_at_a_time, setup_small),
    WITH(so_many_calls_are_made_at_a_time, setup_small),
    WITH(answer_without_room_is_left_out, setup_small),
    WITH(more_workers_than_an_answer_can_name, setup_no_room_for_names),
    CASE(pool_that_is_full_is_an_error),
    CASE(refusals_are_answered),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
