/* lib/sys/channel.c */
#include "sys/channel.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/err.h"

union fd_space {
  struct cmsghdr align;
  uint8_t bytes[CMSG_SPACE(sizeof(int) * RN_SYS_CHANNEL_FDS_MAX)];
};

int rn_sys_channel(int out_fds[2]) {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
    return RN_ERR_SYS;
  out_fds[0] = fds[0];
  out_fds[1] = fds[1];
  return RN_OK;
}

static int error_of_errno(void) {
  switch (errno) {
  case EAGAIN:
    return RN_ERR_AGAIN;
  case EPIPE:
  case ECONNRESET:
    return RN_ERR_CLOSED;
  default:
    return RN_ERR_SYS;
  }
}

int rn_sys_send(int sock, const void *msg, size_t len, const int *fds, size_t fd_count) {
  if (len == 0 || fd_count > RN_SYS_CHANNEL_FDS_MAX)
    return RN_ERR_INVAL;
  struct iovec iov = { .iov_base = (void *)(uintptr_t)msg, .iov_len = len };
  struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
  union fd_space space;
  memset(&space, 0, sizeof(space));
  if (fd_count > 0) {
    mh.msg_control = space.bytes;
    mh.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
    struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);
    cm->cmsg_level = SOL_SOCKET;
    cm->cmsg_type = SCM_RIGHTS;
    cm->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
    memcpy(CMSG_DATA(cm), fds, sizeof(int) * fd_count);
  }
  ssize_t n;
  do {
    n = sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  return n < 0 ? error_of_errno() : RN_OK;
}

/* Moves the descriptors of a received message to out[0..room); closes what finds no room. Returns
 * how many there were. */
static size_t take_fds(struct msghdr *mh, int *out, size_t room) {
  size_t count = 0;
  for (struct cmsghdr *cm = CMSG_FIRSTHDR(mh); cm != NULL; cm = CMSG_NXTHDR(mh, cm)) {
    if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
      continue;
    size_t n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < n; i++, count++) {
      int fd;
      memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(int));
      if (count < room)
        out[count] = fd;
      else
        close(fd);
    }
  }
  return count;
}

int rn_sys_recv(int sock, void *buf, size_t cap, size_t *len, int *fds, size_t *fd_count) {
  int got[RN_SYS_CHANNEL_FDS_MAX];
  struct iovec iov = { .iov_base = buf, .iov_len = cap };
  union fd_space space;
  struct msghdr mh = { .msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = space.bytes,
                       .msg_controllen = sizeof(space.bytes) };
  ssize_t n;
  do {
    n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n < 0)
    return error_of_errno();
  size_t count = take_fds(&mh, got, RN_SYS_CHANNEL_FDS_MAX);
  if (n == 0 || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || count > *fd_count) {
    for (size_t i = 0; i < count && i < RN_SYS_CHANNEL_FDS_MAX; i++)
      close(got[i]);
    return n == 0 ? RN_ERR_CLOSED : RN_ERR_TOOBIG;
  }
  if (count > 0)
    memcpy(fds, got, count * sizeof(int));
  *fd_count = count;
  *len = (size_t)n;
  return RN_OK;
}
