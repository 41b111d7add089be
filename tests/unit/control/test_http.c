/* tests/unit/control/test_http.c: the HTTP server with real connections over loopback; server and clients share this thread. */
#include "fake_node.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/http.h"
#include "control/http_listen.h"
#include "sys/clock.h"
#include "util/err.h"

#define CONNECTIONS 3
#define TIMEOUT_MS  100 /* of the server, in these tests */
#define PATIENCE_NS (10 * RN_NS_PER_S)

static struct fake_node f;
static uv_loop_t loop;
static struct rn_http *http;
static struct sockaddr_in at;
static int send_buffer; /* bytes; 0: the kernel's choice */
static char answer[262144];

static void start(uint32_t timeout_ms) {
  const struct rn_http_limits limits = { .connections = CONNECTIONS, .timeout_ms = timeout_ms };
  socklen_t bytes = sizeof(at);
  int fd;
  assert_int_equal(rn_http_listen("127.0.0.1:0", &fd), RN_OK);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &bytes), 0);
  if (send_buffer != 0) /* connections inherit it */
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof(send_buffer));
  assert_int_equal(rn_http_new(&loop, fd, &limits, &f.node, &http), RN_OK);
}

static int setup(void **state) {
  (void)state;
  fake_node_init(&f);
  send_buffer = 0;
  fake_node_publish(&f, rn_sys_now_ns());
  return uv_loop_init(&loop);
}

static int teardown(void **state) {
  (void)state;
  rn_http_close(http);
  http = NULL;
  uv_run(&loop, UV_RUN_DEFAULT);
  return uv_loop_close(&loop);
}

static int dial(void) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
  return fd;
}

/* One turn of the loop, once it or the client has something. */
static void turn(int fd) {
  struct pollfd p[2] = { { .fd = uv_backend_fd(&loop), .events = POLLIN },
                         { .fd = fd, .events = POLLIN } };
  int wait_ms = uv_backend_timeout(&loop);
  poll(p, 2, wait_ms >= 0 && wait_ms < 100 ? wait_ms : 100); /* the test's own patience ends, too */
  uv_run(&loop, UV_RUN_NOWAIT);
}

/* Runs the server until it has ended the connection; what came is in answer. */
static void until_closed(int fd) {
  uint64_t begin_ns = rn_sys_now_ns();
  size_t len = 0;
  ssize_t n = -1;
  while (n != 0 && !(n < 0 && errno == ECONNRESET)) {
    assert_true(rn_sys_now_ns() - begin_ns < PATIENCE_NS);
    turn(fd);
    while ((n = recv(fd, answer + len, sizeof(answer) - 1 - len, MSG_DONTWAIT)) > 0)
      len += (size_t)n;
  }
  answer[len] = '\0';
  close(fd);
}

static void send_text(int fd, const char *text) {
  assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void ask(const char *request) {
  int fd = dial();
  send_text(fd, request);
  until_closed(fd);
}

/* Turns of the loop until a counter is at least n. */
static void until_counted(const uint64_t *counter, uint64_t n) {
  uint64_t begin_ns = rn_sys_now_ns();
  while (*counter < n) {
    assert_true(rn_sys_now_ns() - begin_ns < PATIENCE_NS);
    turn(-1);
  }
  assert_int_equal(*counter, n);
}

static void begins(const char *with) {
  if (strncmp(answer, with, strlen(with)) != 0)
    fail_msg("'%.200s' does not begin with '%s'", answer, with);
}

static const char *body(void) {
  const char *end = strstr(answer, "\r\n\r\n");
  assert_non_null(end);
  return end + 4;
}

static void scrapes_get_text(void **state) {
  (void)state;
  f.node.stats.sign_done = 5;
  start(TIMEOUT_MS);
  ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  begins("HTTP/1.1 200 ");
  assert_non_null(strstr(answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  assert_non_null(strstr(answer, "\nrpcnet_control_sign_done_total 5\n"));
  assert_int_equal(f.node.stats.http_requests, 1);
  assert_int_equal(f.node.stats.http_scrapes, 1);
}

static void scrapes_close_together_share_one_text(void **state) {
  (void)state;
  start(TIMEOUT_MS);
  ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  uint64_t first_ns = rn_sys_now_ns();
  f.node.stats.sign_done = 6;
  ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  if (rn_sys_now_ns() - first_ns < RN_HTTP_CACHE_MS * RN_NS_PER_MS / 2) /* else we were held up */
    assert_non_null(strstr(answer, "\nrpcnet_control_sign_done_total 0\n"));
  const char *now = NULL;
  while (now == NULL && rn_sys_now_ns() - first_ns < PATIENCE_NS) {
    ask("GET /metrics?again HTTP/1.0\r\n\r\n");
    now = strstr(answer, "\nrpcnet_control_sign_done_total 6\n");
  }
  assert_non_null(now);
}

static void health_is_told_with_its_reason(void **state) {
  (void)state;
  start(TIMEOUT_MS);
  ask("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
  begins("HTTP/1.1 200 ");
  assert_string_equal(body(), "{\"status\": \"live\"}\n");
  fake_node_publish(&f, rn_sys_now_ns());
  ask("GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n");
  begins("HTTP/1.1 200 ");
  assert_string_equal(body(), "{\"status\": \"ready\"}\n");
  f.node.state = RN_NODE_STARTING;
  ask("GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n");
  begins("HTTP/1.1 503 ");
  assert_non_null(strstr(answer, "Content-Type: application/json\r\n"));
  assert_string_equal(body(),
                      "{\"status\": \"not ready\", \"reason\": \"the data plane is starting\"}\n");
  assert_int_equal(f.node.stats.http_errors, 0);
}

static void head_has_no_body(void **state) {
  (void)state;
  start(TIMEOUT_MS);
  ask("HEAD /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
  begins("HTTP/1.1 200 ");
  assert_string_equal(body(), "");
}

static void other_paths_and_methods_are_refused(void **state) {
  (void)state;
  start(TIMEOUT_MS);
  ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  begins("HTTP/1.1 404 ");
  ask("GET /metrics/ HTTP/1.1\r\nHost: x\r\n\r\n");
  begins("HTTP/1.1 404 ");
  ask("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000000\r\n\r\n");
  begins("HTTP/1.1 405 ");
  assert_non_null(strstr(answer, "Allow: GET, HEAD\r\n"));
  assert_int_equal(f.node.stats.http_errors, 3);
  assert_int_equal(f.node.stats.http_scrapes, 0);
}

static void a_request_that_is_too_large_is_refused(void **state) {
  (void)state;
  static char request[4 * RN_HTTP_REQUEST_MAX];
  start(2000);
  memset(request, 'a', sizeof(request) - 1);
  memcpy(request, "GET /", 5);
  ask(request);
  begins("HTTP/1.1 414 ");
  memcpy(request, "GET /metrics HTTP/1.1\r\nHost: x\r\nX: ", 35);
  ask(request);
  begins("HTTP/1.1 431 ");
  ask("nonsense\r\n\r\n");
  assert_null(strstr(answer, " 200 "));
  until_counted(&f.node.stats.http_malformed, 3);
  assert_int_equal(f.node.stats.http_requests, 0);
}

static void a_silent_client_is_ended(void **state) {
  (void)state;
  start(TIMEOUT_MS);
  uint64_t begin_ns = rn_sys_now_ns();
  int fd = dial();
  until_closed(fd);
  assert_true(rn_sys_now_ns() - begin_ns >= TIMEOUT_MS * RN_NS_PER_MS);
  assert_string_equal(answer, "");
  assert_int_equal(f.node.stats.http_late, 1);
  until_counted(&f.node.stats.http_late, 1);
  assert_int_equal(f.node.stats.http_malformed, 0);
}

static void a_client_that_sends_an_octet_now_and_then_is_ended_too(void **state) {
  (void)state;
  static const char octets[] = "GET /metrics HTTP/1.1\r\nX-Header-Without-End: aaaaaaaaaaaaaaaaaaa";
  start(TIMEOUT_MS);
  int fd = dial();
  uint64_t begin_ns = rn_sys_now_ns();
  for (size_t i = 0; f.node.stats.http_late == 0; i++) {
    assert_true(rn_sys_now_ns() - begin_ns < PATIENCE_NS);
    if (i < sizeof(octets) - 1)
      (void)send(fd, octets + i, 1, MSG_NOSIGNAL);
    turn(fd);
  }
  until_closed(fd);
  assert_string_equal(answer, "");
  assert_int_equal(f.node.stats.http_requests, 0);
}

/* A receive window that stays shut: the answer does not fit into what the kernel buffers for both. */
static void a_client_that_does_not_read_is_ended(void **state) {
  (void)state;
  int small = 1;
  send_buffer = 4096;
  start(TIMEOUT_MS);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
  send_text(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  until_counted(&f.node.stats.http_late, 1);
  until_closed(fd);
  begins("HTTP/1.1 200 ");
  assert_int_equal(f.node.stats.http_malformed, 0);
}

static void more_connections_than_allowed_are_closed(void **state) {
  (void)state;
  int fds[CONNECTIONS];
  start(2000);
  for (int i = 0; i < CONNECTIONS; i++)
    fds[i] = dial();
  for (int i = 0; i < 5; i++) {
    int fd = dial();
    until_closed(fd);
    assert_string_equal(answer, "");
    assert_int_equal(f.node.stats.http_limit, i + 1);
  }
  assert_int_equal(f.node.stats.http_late, 0); /* those that were first are still there */
  send_text(fds[0], "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
  until_closed(fds[0]);
  begins("HTTP/1.1 200 ");
  ask("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"); /* in its place */
  begins("HTTP/1.1 200 ");
  close(fds[1]);
  close(fds[2]);
  until_counted(&f.node.stats.http_malformed, 2);
}

static void nothing_is_left_of_those_who_come_and_go(void **state) {
  (void)state;
  start(2000);
  for (int i = 0; i < 200; i++) {
    if (i % 2 == 0) {
      ask("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
      begins("HTTP/1.1 200 ");
    } else {
      close(dial());
      until_counted(&f.node.stats.http_malformed, (uint64_t)(i + 1) / 2);
    }
  }
  assert_int_equal(f.node.stats.http_limit, 0);
}

static void an_address_that_is_taken_is_an_error(void **state) {
  (void)state;
  char text[64];
  int fd;
  start(2000);
  snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(at.sin_port));
  assert_int_equal(rn_http_listen(text, &fd), RN_ERR_CONFIG);
  assert_int_equal(errno, EADDRINUSE);
  assert_int_equal(rn_http_listen("here", &fd), RN_ERR_CONFIG);
  assert_int_equal(rn_http_listen("[::]:0", &fd), RN_OK);
  close(fd);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
    TEST(scrapes_get_text),
    TEST(scrapes_close_together_share_one_text),
    TEST(health_is_told_with_its_reason),
    TEST(head_has_no_body),
    TEST(other_paths_and_methods_are_refused),
    TEST(a_request_that_is_too_large_is_refused),
    TEST(a_silent_client_is_ended),
    TEST(a_client_that_sends_an_octet_now_and_then_is_ended_too),
    TEST(a_client_that_does_not_read_is_ended),
    TEST(more_connections_than_allowed_are_closed),
    TEST(nothing_is_left_of_those_who_come_and_go),
    TEST(an_address_that_is_taken_is_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
