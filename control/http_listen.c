/* control/http_listen.c */
#include "control/http_listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/addr.h"
#include "util/err.h"

#define BACKLOG 64

int rn_http_listen(const char *text, int *out) {
  struct rn_addr a;
  struct sockaddr_in in = { .sin_family = AF_INET };
  struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
  if (rn_addr_parse(text, &a) != RN_OK) {
    errno = EINVAL;
    return RN_ERR_CONFIG;
  }
  in.sin_port = in6.sin6_port = htons(a.port);
  memcpy(&in.sin_addr, a.ip, sizeof(in.sin_addr));
  memcpy(&in6.sin6_addr, a.ip, sizeof(in6.sin6_addr));
  bool six = a.family == 6;
  const struct sockaddr *to = six ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;
  int on = 1, fd = socket(to->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return RN_ERR_CONFIG;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
      bind(fd, to, six ? sizeof(in6) : sizeof(in)) == 0 && listen(fd, BACKLOG) == 0) {
    *out = fd;
    return RN_OK;
  }
  int err = errno;
  close(fd);
  errno = err;
  return RN_ERR_CONFIG;
}
