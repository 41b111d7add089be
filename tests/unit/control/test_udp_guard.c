/* tests/unit/control/test_udp_guard.c: on the loopback interface. */
#include "rn_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/udp_guard.h"
#include "util/err.h"

/* A UDP port that is free now. */
static uint16_t free_port(void) {
  struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  socklen_t len = sizeof(a);
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
  close(fd);
  return ntohs(a.sin_port);
}

/* True when a datagram to the port comes back as ICMP port unreachable. */
static bool unreachable(uint16_t port) {
  struct sockaddr_in a = { .sin_family = AF_INET,
                           .sin_port = htons(port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
  assert_int_equal(send(fd, "x", 1, 0), 1);
  struct pollfd p = { .fd = fd, .events = POLLIN };
  (void)poll(&p, 1, 100);
  char c;
  bool refused = recv(fd, &c, 1, MSG_DONTWAIT) < 0 && errno == ECONNREFUSED;
  close(fd);
  return refused;
}

static void keeps_the_kernel_from_answering_and_takes_nothing(void **state) {
  (void)state;
  char why[256], buf[8];
  int fds[2];
  uint16_t port = free_port();
  assert_true(unreachable(port));
  assert_int_equal(rn_udp_guard_open("lo", port, fds, why, sizeof(why)), RN_OK);
  assert_true(fds[0] >= 0);
  assert_false(unreachable(port));
  assert_int_equal(recv(fds[0], buf, sizeof(buf), MSG_DONTWAIT), -1);
  assert_int_equal(errno, EAGAIN);
  rn_udp_guard_close(fds);
  assert_int_equal(fds[0], -1);
  assert_true(unreachable(port));
}

static void says_when_the_port_is_taken(void **state) {
  (void)state;
  char why[256] = "";
  int first[2], second[2] = { -7, -7 };
  uint16_t port = free_port();
  assert_int_equal(rn_udp_guard_open("lo", port, first, why, sizeof(why)), RN_OK);
  assert_int_equal(rn_udp_guard_open("lo", port, second, why, sizeof(why)), RN_ERR_SYS);
  assert_non_null(strstr(why, "lo: Address already in use"));
  assert_int_equal(second[0], -7);
  rn_udp_guard_close(first);
  assert_int_equal(rn_udp_guard_open("no-such-device", port, second, why, sizeof(why)), RN_ERR_SYS);
  assert_non_null(strstr(why, "No such device"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(keeps_the_kernel_from_answering_and_takes_nothing),
    cmocka_unit_test(says_when_the_port_is_taken),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
