/* lib/sys/event.c */
#include "sys/event.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "util/err.h"

int rn_sys_event(int *out_fd) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0)
    return RN_ERR_SYS;
  *out_fd = fd;
  return RN_OK;
}

void rn_sys_event_ring(int fd) {
  const uint64_t one = 1;
  /* EAGAIN: the counter is at its end, so the bell has been ringing for long. */
  ssize_t n = write(fd, &one, sizeof(one));
  (void)n;
}

bool rn_sys_event_clear(int fd) {
  uint64_t count;
  return read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

int rn_sys_signals(const int *signals, int *out_fd) {
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; signals[i] != 0; i++)
    sigaddset(&set, signals[i]);
  if (pthread_sigmask(SIG_BLOCK, &set, NULL) != 0)
    return RN_ERR_SYS;
  int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0)
    return RN_ERR_SYS;
  *out_fd = fd;
  return RN_OK;
}

int rn_sys_signal_next(int fd) {
  struct signalfd_siginfo info;
  if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
    return 0;
  return (int)info.ssi_signo;
}
