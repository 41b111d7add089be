/* control/udp_guard.c */
#include "control/udp_guard.h"

#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/err.h"

/* The filter is there before the socket is bound, so that not even one datagram waits in its queue. */
static int guard_socket(int family, const char *interface, uint16_t port, int *out_fd) {
  struct sock_filter drop_all[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
  const struct sock_fprog prog = { .len = 1, .filter = drop_all };
  const int one = 1, small = 1;
  struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(port) };
  struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
  int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return errno == EAFNOSUPPORT ? RN_ERR_NOENT : RN_ERR_SYS;
  bool ok =
      setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) == 0 &&
      setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) == 0 &&
      setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, (socklen_t)strlen(interface)) == 0;
  if (ok && family == AF_INET6)
    ok = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == 0 &&
         bind(fd, (struct sockaddr *)&a6, sizeof(a6)) == 0;
  else if (ok)
    ok = bind(fd, (struct sockaddr *)&a4, sizeof(a4)) == 0;
  if (ok) {
    *out_fd = fd;
    return RN_OK;
  }
  int saved = errno;
  close(fd);
  errno = saved;
  /* A kernel with IPv6 switched off has the family and no address to bind. */
  return family == AF_INET6 && errno == EADDRNOTAVAIL ? RN_ERR_NOENT : RN_ERR_SYS;
}

int rn_udp_guard_open(const char *interface, uint16_t port, int out_fds[2], char *why,
                      size_t why_bytes) {
  static const int families[2] = { AF_INET, AF_INET6 };
  int fds[2] = { -1, -1 };
  for (int i = 0; i < 2; i++) {
    if (guard_socket(families[i], interface, port, &fds[i]) == RN_ERR_SYS) {
      snprintf(why, why_bytes, "UDP port %u of %s: %s", port, interface, strerror(errno));
      rn_udp_guard_close(fds);
      return RN_ERR_SYS;
    }
  }
  out_fds[0] = fds[0];
  out_fds[1] = fds[1];
  return RN_OK;
}

void rn_udp_guard_close(int fds[2]) {
  for (int i = 0; i < 2; i++) {
    if (fds[i] >= 0)
      close(fds[i]);
    fds[i] = -1;
  }
}
