/* Calls from end to end: our client role against the server with the built-in methods, over two endpoints on a simulated link. */
#include "world.h"

/* ---- servers with little ---- */

static int setup_few_segs(void **state) {
  (void)state;
  return setup_with(16, 0);
}

/* Whose window stays open whatever is lost. */
static int setup_bbr(void **state) {
  client_cc = RN_QUIC_CC_BBR;
  int err = setup(state);
  client_cc = RN_QUIC_CC_CUBIC;
  return err;
}

static int setup_few_calls(void **state) {
  (void)state;
  return setup_with(0, 256);
}

/* ---- calls ---- */

static void on_done(void *user, struct rn_rpc_client_call *call, const struct rn_rpc_result *r) {
  (void)call;
  struct outcome *o = user;
  o->done++;
  o->err = r->err;
  o->id = r->id;
  memcpy(o->text, r->text, sizeof(o->text));
  if (r->data != NULL) {
    o->data = realloc(o->data, r->len + 1);
    memcpy(o->data, r->data, r->len);
    o->len = r->len;
  }
}

static void on_item(void *user, struct rn_rpc_client_call *call, const uint8_t *data, size_t len) {
  (void)call;
  struct outcome *o = user;
  o->data = realloc(o->data, o->len + len);
  memcpy(o->data + o->len, data, len);
  o->len += len;
  o->item_at_ns[o->items] = net_now(w->net);
  o->item_lens[o->items++] = len;
  assert_true(o->items < ITEMS_MAX);
}

static const struct rn_rpc_stream_events stream_events = { .item = on_item, .done = on_done };

static void clear(struct outcome *o) {
  free(o->data);
  memset(o, 0, sizeof(*o));
}

static void call(const char *method, const void *params, size_t len, struct outcome *o) {
  assert_int_equal(rn_rpc_client_call(w->rpc_client, w->client.conn, method, params, len,
                                      31000 * MS, on_done, o, NULL),
                   RN_OK);
}

static struct rn_rpc_client_call *stream(const char *method, struct outcome *o) {
  struct rn_rpc_client_call *c;
  assert_int_equal(
      rn_rpc_client_stream(w->rpc_client, w->client.conn, method, 3000 * MS, &stream_events, o, &c),
      RN_OK);
  return c;
}

static void expect_result(const char *method, const void *params, size_t len, const void *want,
                          size_t want_len) {
  struct outcome o = { 0 };
  call(method, params, len, &o);
  run_ms(30);
  assert_int_equal(o.done, 1);
  assert_int_equal(o.err, RN_OK);
  assert_int_equal(o.len, want_len);
  if (want_len > 0)
    assert_memory_equal(o.data, want, want_len);
  clear(&o);
}

static void expect_error(const char *method, const void *params, size_t len, const char *want) {
  struct outcome o = { 0 };
  call(method, params, len, &o);
  run_ms(30);
  assert_int_equal(o.done, 1);
  assert_int_equal(o.err, RN_ERR_REFUSED);
  assert_string_equal(o.text, want);
  clear(&o);
}

static void echoes_every_size(void **state) {
  (void)state;
  static const size_t sizes[] = { 0,    1,     15,    100,   1000,   1023,    1024,
                                  1025, 10000, 16384, 16385, 100000, 1048576, 12000000 };
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
    uint8_t *p = malloc(sizes[i] + 1);
    for (size_t k = 0; k < sizes[i]; k++)
      p[k] = (uint8_t)(k * 31 + (k >> 9));
    struct outcome o = { 0 };
    call(i % 2 ? "echo" : "binary_echo", p, sizes[i], &o);
    run_ms(sizes[i] > 100000 ? 300 : 30);
    assert_int_equal(o.done, 1);
    assert_int_equal(o.err, RN_OK);
    assert_int_equal(o.len, sizes[i]);
    assert_true(sizes[i] == 0 || memcmp(o.data, p, sizes[i]) == 0);
    clear(&o);
    free(p);
  }
}

static void unary_methods_do_what_they_say(void **state) {
  (void)state;
  expect_result("reverse", "abc", 3, "cba", 3);
  uint8_t big[3000], gib[3000];
  for (size_t i = 0; i < sizeof(big); i++)
    big[i] = gib[sizeof(big) - 1 - i] = (uint8_t)(i * 7);
  expect_result("reverse",
                "na\xc3\xaf"
                "ve \xe2\x98\x83",
                10,
                "\xe2\x98\x83 ev\xc3\xaf"
                "an",
                10);
  big[0] = gib[sizeof(gib) - 1] = 0xff; /* no text: by bytes */
  expect_result("reverse", big, sizeof(big), gib, sizeof(gib));
  expect_result("reverse", "", 0, "", 0);

  uint8_t n[4], x[8];
  rn_wire_put_u32(n, 1000000); /* ten slices */
  uint64_t v = 0;
  for (uint64_t i = 0; i < 1000000; i++)
    v = v * 6364136223846793005u + 1442695040888963407u + i;
  rn_wire_put_u64(x, v);
  expect_result("compute", n, 4, x, 8);
  expect_error("compute", n, 3,
               "Stream error: Serialization error: io error: unexpected end of file");

  uint8_t pair[16], sum[8];
  rn_wire_put_u64(pair, (uint64_t)-5);
  rn_wire_put_u64(pair + 8, 47);
  rn_wire_put_u64(sum, 42);
  expect_result("add", pair, 16, sum, 8);
  expect_error("fail", "boom", 4, "Stream error: Stream error: boom");
  expect_error("nope", "", 0, "Stream error: Unknown method: nope");

  static const uint8_t ready[17] = { 1, 4, 0, 0, 0, 0, 0, 0, 0, 5 };
  expect_result("ready", "", 0, ready, 17);
  static const uint8_t health[22] = { 1, 5, 0, 0, 0, 0, 0, 0, 0, '1', '.', '2', '.', '3', 1 };
  expect_result("health", "", 0, health, 22);
}

static void sleep_answers_later_and_others_go_on(void **state) {
  (void)state;
  struct outcome slow = { 0 };
  uint8_t ms[8];
  rn_wire_put_u64(ms, 500);
  call("sleep", ms, 8, &slow);
  run_ms(100);
  expect_result("echo", "quick", 5, "quick", 5);
  assert_int_equal(slow.done, 0);
  run_ms(450);
  assert_int_equal(slow.done, 1);
  assert_memory_equal(slow.data, ms, 8);
  clear(&slow);
}

static void too_slow_a_handler_is_ended_by_the_server(void **state) {
  (void)state;
  struct outcome o = { 0 };
  uint8_t ms[8];
  rn_wire_put_u64(ms, 40000);
  rn_quic_conn_keep_alive(w->client.conn, 5000 * MS);
  assert_int_equal(
      rn_rpc_client_call(w->rpc_client, w->client.conn, "sleep", ms, 8, 0, on_done, &o, NULL),
      RN_OK);
  run_ms(29000);
  assert_int_equal(o.done, 0);
  run_ms(1100);
  assert_string_equal(o.text, "Stream error: Request timeout");
  assert_int_equal(rn_rpc_server_stats(w->rpc_server)->errors_timeout, 1);
}

static void a_method_may_have_limits_of_its_own(void **state) {
  (void)state;
  struct outcome o = { 0 };
  uint8_t ms[8];
  rn_wire_put_u64(ms, 5000);
  assert_int_equal(rn_rpc_server_limit(w->rpc_server, "sleep", 1000 * MS, 8), RN_OK);
  assert_int_equal(rn_rpc_server_limit(w->rpc_server, "no such method", 1, 1), RN_ERR_NOENT);
  call("sleep", ms, 8, &o);
  run_ms(1100);
  assert_string_equal(o.text, "Stream error: Request timeout");
  expect_error("sleep", "123456789", 9,
               "Stream error: Internal error: request is larger than the server allows");
  clear(&o);
}

static void client_times_out_by_itself(void **state) {
  (void)state;
  struct outcome o = { 0 };
  uint8_t ms[8];
  rn_wire_put_u64(ms, 5000);
  assert_int_equal(rn_rpc_client_call(w->rpc_client, w->client.conn, "sleep", ms, 8, 1000 * MS,
                                      on_done, &o, NULL),
                   RN_OK);
  run_ms(1100);
  assert_int_equal(o.err, RN_ERR_TIMEOUT);
  assert_string_equal(o.text, "Request timeout");
  run_ms(100);
  /* The server heard of it: the call is gone. */
  assert_int_equal(rn_rpc_server_stats(w->rpc_server)->cancelled, 1);
  assert_int_equal(rn_rpc_server_stats(w->rpc_server)->calls, 0);
}

static void ten_thousand_calls_at_once(void **state) {
  (void)state;
  enum { N = 10000 };
  struct outcome *o = calloc(N, sizeof(*o));
  for (uint32_t i = 0; i < N; i++) {
    uint8_t p[4];
    rn_wire_put_u32(p, i);
    call("echo", p, 4, &o[i]);
  }
  run_ms(300);
  for (uint32_t i = 0; i < N; i++) {
    assert_int_equal(o[i].done, 1);
    assert_int_equal(o[i].id, i + 1);
    assert_int_equal(rn_wire_u32(o[i].data), i);
    clear(&o[i]);
  }
  free(o);
  run_ms(50);
  assert_int_equal(rn_quic_stats(w->server.q)->streams, 0);
}

static void streams_echo_in_order(void **state) {
  (void)state;
  struct outcome o = { 0 };
  struct rn_rpc_client_call *c = stream("echo_stream", &o);
  for (int i = 0; i < 500; i++) {
    char text[16];
    int n = snprintf(text, sizeof(text), "msg-%d", i);
    assert_int_equal(rn_rpc_client_send(c, text, (size_t)n), RN_OK);
  }
  assert_int_equal(rn_rpc_client_send_end(c), RN_OK);
  run_ms(100);
  assert_int_equal(o.done, 1);
  assert_int_equal(o.items, 500);
  const char *at = (char *)o.data;
  for (int i = 0; i < 500; i++) {
    char text[16];
    int n = snprintf(text, sizeof(text), "msg-%d", i);
    assert_int_equal(o.item_lens[i], n);
    assert_memory_equal(at, text, (size_t)n);
    at += n;
  }
  clear(&o);
}

static void count_sum_and_err_streams(void **state) {
  (void)state;
  struct outcome o = { 0 };
  uint8_t n[8];
  rn_wire_put_u32(n, 1000);
  struct rn_rpc_client_call *c = stream("count_stream", &o);
  rn_rpc_client_send(c, n, 4);
  rn_rpc_client_send_end(c);
  run_ms(50);
  assert_int_equal(o.done, 1);
  assert_int_equal(o.items, 1000);
  assert_memory_equal(o.data + o.len - 9, "token-999", 9);
  clear(&o);

  c = stream("sum_stream", &o);
  for (uint64_t i = 1; i <= 1000; i++) {
    rn_wire_put_u64(n, i);
    rn_rpc_client_send(c, n, 8);
  }
  rn_rpc_client_send_end(c);
  run_ms(50);
  assert_int_equal(o.items, 1);
  assert_int_equal(rn_wire_u64(o.data), 500500);
  clear(&o);

  c = stream("err_stream", &o);
  rn_rpc_client_send(c, "a", 1);
  rn_rpc_client_send(c, "ERR", 3);
  rn_rpc_client_send(c, "b", 1);
  rn_rpc_client_send_end(c);
  run_ms(50);
  assert_int_equal(o.items, 3);
  assert_memory_equal(o.data, "aError processing requestb", 26);
  clear(&o);
}

static void ticks_come_while_the_client_is_silent(void **state) {
  (void)state;
  struct outcome o = { 0 };
  struct rn_rpc_client_call *c = stream("tick_stream", &o);
  run_ms(100);
  assert_in_range(o.items, 8, 11);
  rn_rpc_client_send(c, "noise", 5);
  run_ms(150);
  assert_int_equal(o.done, 1);
  assert_int_equal(o.items, 20);
  for (size_t i = 1; i < 20; i++)
    assert_in_range(o.item_at_ns[i] - o.item_at_ns[i - 1], 8 * MS, 13 * MS);
  clear(&o);
}

static void unknown_stream_gets_an_error_frame(void **state) {
  (void)state;
  struct outcome o = { 0 };
  struct rn_rpc_client_call *c = stream("no_such_stream_here", &o);
  rn_rpc_client_send(c, "hello", 5);
  run_ms(50);
  assert_int_equal(o.done, 1);
  assert_memory_equal(o.data, "Error processing request", 24);
  clear(&o);
}

static void large_items_and_a_slow_reader(void **state) {
  (void)state;
  struct outcome o = { 0 };
  size_t big = 5000000;
  uint8_t *p = malloc(big);
  for (size_t i = 0; i < big; i++)
    p[i] = (uint8_t)(i >> 8);
  struct rn_rpc_client_call *c = stream("echo_stream", &o);
  run_ms(20); /* the name is acknowledged: an empty queue takes any size */
  assert_int_equal(rn_rpc_client_send(c, p, big), RN_OK);
  run_ms(400);
  assert_int_equal(rn_rpc_client_send(c, p, big), RN_OK);
  run_ms(400);
  rn_rpc_client_send_end(c);
  run_ms(100);
  assert_int_equal(o.done, 1);
  assert_int_equal(o.items, 2);
  assert_memory_equal(o.data, p, big);
  clear(&o);
  free(p);
}

static void cancelled_stream_frees_the_server(void **state) {
  (void)state;
  struct outcome o = { 0 };
  struct rn_rpc_client_call *c = stream("tick_stream", &o);
  run_ms(50);
  rn_rpc_client_cancel(c);
  assert_int_equal(o.err, RN_ERR_CANCEL);
  run_ms(100);
  assert_int_equal(rn_rpc_server_stats(w->rpc_server)->calls, 0);
  assert_int_equal(rn_quic_stats(w->server.q)->streams, 0);
  clear(&o);
}

/* A request cut at every byte, with FIN held back, and bytes behind it. */
static void split_at_any_byte(void **state) {
  (void)state;
  uint8_t req[64];
  rn_wire_request_head(req, 7, "echo", 4, 8);
  memcpy(req + 28, "12345678surplus", 15);
  for (size_t cut = 1; cut < 36; cut++) {
    struct rn_quic_stream *s;
    uint64_t before = rn_rpc_server_stats(w->rpc_server)->replies;
    assert_int_equal(rn_quic_stream_open(w->client.conn, &s), RN_OK);
    rn_quic_stream_write(s, req, cut, false);
    run_ms(25);
    assert_int_equal(rn_rpc_server_stats(w->rpc_server)->replies, before);
    rn_quic_stream_write(s, req + cut, 43 - cut, false);
    run_ms(25);
    assert_int_equal(rn_rpc_server_stats(w->rpc_server)->replies, before + 1);
    rn_quic_stream_write(s, NULL, 0, true);
    run_ms(25);
  }
  run_ms(20);
  assert_int_equal(rn_quic_stats(w->server.q)->streams, 0);
}

static void garbage_and_oversize_are_refused_and_counted(void **state) {
  (void)state;
  struct rn_quic_stream *s;
  uint8_t junk[40];
  memset(junk, 0xff, sizeof(junk));
  assert_int_equal(rn_quic_stream_open(w->client.conn, &s), RN_OK);
  rn_quic_stream_write(s, junk, sizeof(junk), false);
  run_ms(5);
  assert_int_equal(rn_rpc_server_stats(w->rpc_server)->bad_requests, 1);
  uint8_t head[64];
  rn_wire_request_head(head, 9, "echo", 4, 17u << 20);
  assert_int_equal(rn_quic_stream_open(w->client.conn, &s), RN_OK);
  rn_quic_stream_write(s, head, 28, false);
  run_ms(5);
  assert_int_equal(rn_rpc_server_stats(w->rpc_server)->too_large, 1);
  rn_quic_stream_write(s, NULL, 0, true);
  run_ms(20);
  assert_int_equal(rn_quic_stats(w->server.q)->streams, 0);
}

static void an_unfinished_request_times_out(void **state) {
  (void)state;
  struct rn_quic_stream *s;
  assert_int_equal(rn_quic_stream_open(w->client.conn, &s), RN_OK);
  rn_quic_stream_write(s, "\1\0\0\0\0", 5, false);
  rn_quic_conn_keep_alive(w->client.conn, 5000 * MS);
  run_ms(29000);
  assert_int_equal(rn_rpc_server_stats(w->rpc_server)->calls, 1);
  run_ms(1500);
  assert_int_equal(rn_rpc_server_stats(w->rpc_server)->read_timeouts, 1);
}

static void a_result_above_the_limit_is_an_error(void **state) {
  (void)state;
  const struct rn_rpc_server_config cfg = { .max_request_bytes = 16u << 20,
                                            .max_item_bytes = 8u << 20,
                                            .max_response_bytes = 2000 };
  assert_int_equal(rn_rpc_server_configure(w->rpc_server, &cfg), RN_OK);
  uint8_t *p = calloc(1, 50000);
  static const char text[] =
      "Stream error: Internal error: response is larger than the server allows";
  expect_result("echo", p, 2000, p, 2000);
  expect_error("echo", p, 2001, text);
  expect_error("echo", p, 50000, text);
  expect_result("reverse", p, 2000, p, 2000);
  expect_error("reverse", p, 2001, text);
  assert_int_equal(rn_rpc_server_stats(w->rpc_server)->errors_response, 3);
  free(p);
}

static void a_silent_stream_ends(void **state) {
  (void)state;
  const struct rn_rpc_server_config cfg = { .max_request_bytes = 16u << 20,
                                            .max_item_bytes = 8u << 20,
                                            .stream_item_timeout_ns = 500 * MS };
  assert_int_equal(rn_rpc_server_configure(w->rpc_server, &cfg), RN_OK);
  struct outcome o = { 0 };
  struct rn_rpc_client_call *c = stream("echo_stream", &o);
  for (int i = 0; i < 3; i++) { /* each item starts the time anew */
    run_ms(400);
    assert_int_equal(rn_rpc_client_send(c, "x", 1), RN_OK);
  }
  run_ms(490);
  assert_int_equal(o.done, 0);
  run_ms(30);
  assert_int_equal(o.done, 1);
  assert_int_equal(o.err, RN_ERR_CLOSED);
  assert_int_equal(o.items, 3);
  clear(&o);

  /* Who has sent its end marker may be silent. */
  uint64_t ended = rn_rpc_server_stats(w->rpc_server)->item_timeouts;
  assert_int_equal(ended, 1);
  c = stream("tick_stream", &o);
  rn_rpc_client_send_end(c);
  run_ms(600);
  assert_int_equal(o.items, 20);
  assert_int_equal(o.err, RN_OK);
  assert_int_equal(rn_rpc_server_stats(w->rpc_server)->item_timeouts, ended);
  clear(&o);
}

/* RFC 9000 section 3: each half ends by itself, so ours has to end too. */
static void a_stream_given_up_before_its_first_byte_is_closed(void **state) {
  (void)state;
  struct rn_quic_stream *s;
  assert_int_equal(rn_quic_stream_open(w->client.conn, &s), RN_OK);
  rn_quic_stream_reset(s, 0);
  run_ms(200);
  assert_int_equal(rn_quic_stats(w->server.q)->streams_opened, 1);
  assert_int_equal(rn_quic_stats(w->server.q)->streams, 0);
  assert_int_equal(rn_quic_stats(w->client.q)->streams, 0);
}

/* Cut at 1,000 bytes and yet UTF-8: the answer can be decoded. */
static void a_long_error_text_ends_with_a_whole_character(void **state) {
  (void)state;
  struct outcome o = { 0 };
  char method[1012];
  memset(method, 'm', sizeof(method) - 1);
  memcpy(method + 999, "\xc3\xb6", 2);
  method[1011] = '\0';
  call(method, NULL, 0, &o);
  run_ms(100);
  assert_int_equal(o.done, 1);
  assert_int_equal(o.err, RN_ERR_REFUSED);
  assert_memory_equal(o.text, "Stream error: Unknown method: mmm", 33);
  clear(&o);
}

/* First an error takes the place of a result, then a reset that of the error; and all of it is over when there is memory again. */
static void without_send_buffers_calls_end_all_the_same(void **state) {
  (void)state;
  static struct outcome o[100];
  static uint8_t params[150]; /* many requests in one flight */
  for (int i = 0; i < 100; i++)
    call("echo", params, sizeof(params), &o[i]);
  run_ms(200);
  const struct rn_rpc_stats *st = rn_rpc_server_stats(w->rpc_server);
  assert_true(st->errors_overload > 0);
  assert_true(st->unanswered > 0);
  assert_int_equal(st->replies + st->errors,
                   100); /* an error that could not be queued is one, too */
  uint64_t results = 0;
  for (int i = 0; i < 100; i++) {
    assert_int_equal(o[i].done, 1);
    results += o[i].err == RN_OK;
    clear(&o[i]);
  }
  assert_int_equal(results, st->replies);
  expect_result("echo", params, sizeof(params), params, sizeof(params));
}

/* 256 calls in all: of three quarters each connection takes twice what it leaves, and of the last 64 each of the 32 connections that there may be can have 2. */
static void the_last_calls_are_for_others(void **state) {
  (void)state;
  enum { GREEDY = 7, WANTED = 200, KEPT = 2 };
  static const uint64_t can_have[GREEDY + 1] = { 128, 43, 14, 5, 2, KEPT, KEPT, KEPT };
  static struct outcome greedy[GREEDY][WANTED], modest[KEPT];
  uint8_t ms[8] = { 0x90, 1 }; /* 400 */
  struct rn_path path = { .local = { .ip = { 10, 0, 0, 1 }, .port = 4000, .family = 4 },
                          .remote = { .ip = { 10, 0, 0, 2 }, .port = 8080, .family = 4 } };
  const struct rn_rpc_stats *st = rn_rpc_server_stats(w->rpc_server);
  uint64_t taken = 0;
  for (int c = 0; c <= GREEDY; c++) { /* the first connection is there already */
    for (int i = 0; i < (c < GREEDY ? WANTED : KEPT); i++)
      call("sleep", ms, 8, c < GREEDY ? &greedy[c][i] : &modest[i]);
    run_ms(20);
    taken += can_have[c];
    assert_int_equal(st->calls, taken);
    if (c < GREEDY) {
      struct rn_quic_conn *next;
      path.local.port++;
      assert_int_equal(rn_quic_connect(w->client.q, net_now(w->net), &path, "localhost", &next),
                       RN_OK);
      run_ms(20);
      assert_int_equal(w->client.ready, c + 2);
    }
  }
  assert_int_equal(st->call_limit, GREEDY * WANTED + KEPT - taken);
  run_ms(600);
  for (int i = 0; i < WANTED; i++)
    assert_int_equal(greedy[0][i].err == RN_OK, i < (int)can_have[0]);
  for (int i = 0; i < KEPT; i++)
    assert_int_equal(modest[i].done == 1 && modest[i].err == RN_OK, 1);
}

/* A path that stands still for a while makes a client send again what is on its way; then both arrive. For ten thousand small calls that is as many frames
 * that say nothing new, more than ngtcp2 would put up with by itself. */
static void what_was_sent_twice_for_nothing_is_forgiven(void **state) {
  (void)state;
  enum { CALLS = 2000, ROUNDS = 30 };
  static struct outcome o[CALLS];
  w->server_host->link.delay_ns = MS;
  for (int round = 0; round < ROUNDS; round++) {
    assert_int_equal(w->server.closed, 0);
    for (int i = 0; i < CALLS; i++)
      call("echo", "x", 1, &o[i]);
    w->client_host->link.delay_ns =
        round > 0 ? 200 * MS : MS; /* the first one opens the congestion window */
    run_ms(25);
    w->client_host->link.delay_ns = MS;
    run_ms(300);
    for (int i = 0; i < CALLS; i++) {
      assert_int_equal(o[i].done, 1);
      assert_int_equal(o[i].err, RN_OK);
      clear(&o[i]);
    }
  }
  assert_int_equal(w->server.closed, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    T(echoes_every_size),
    T(unary_methods_do_what_they_say),
    T(sleep_answers_later_and_others_go_on),
    T(too_slow_a_handler_is_ended_by_the_server),
    T(a_method_may_have_limits_of_its_own),
    T(client_times_out_by_itself),
    T(ten_thousand_calls_at_once),
    T(streams_echo_in_order),
    T(count_sum_and_err_streams),
    T(ticks_come_while_the_client_is_silent),
    T(unknown_stream_gets_an_error_frame),
    T(large_items_and_a_slow_reader),
    T(cancelled_stream_frees_the_server),
    T(split_at_any_byte),
    T(garbage_and_oversize_are_refused_and_counted),
    T(an_unfinished_request_times_out),
    T(a_result_above_the_limit_is_an_error),
    T(a_silent_stream_ends),
    T(a_stream_given_up_before_its_first_byte_is_closed),
    T(a_long_error_text_ends_with_a_whole_character),
    cmocka_unit_test_setup_teardown(what_was_sent_twice_for_nothing_is_forgiven, setup_bbr,
                                    teardown),
    cmocka_unit_test_setup_teardown(the_last_calls_are_for_others, setup_few_calls, teardown),
    cmocka_unit_test_setup_teardown(without_send_buffers_calls_end_all_the_same, setup_few_segs,
                                    teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
