/* lib/sys/process.c */
#include "sys/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/channel.h"
#include "sys/privs.h"
#include "util/err.h"

#define FIRST_FD 3

/* Moves the wanted descriptors to 3, 4, ...: first out of the way of these numbers, then into
 * place. Close-on-exec goes with dup2. */
static bool child_fds(const struct rn_sys_spawn *s) {
  int tmp[RN_SYS_CHANNEL_FDS_MAX];
  int above = FIRST_FD + (int)s->fd_count;
  for (size_t i = 0; i < s->fd_count; i++) {
    tmp[i] = fcntl(s->fds[i], F_DUPFD, above);
    if (tmp[i] < 0)
      return false;
  }
  for (size_t i = 0; i < s->fd_count; i++) {
    if (dup2(tmp[i], FIRST_FD + (int)i) < 0)
      return false;
  }
  return syscall(SYS_close_range, (unsigned int)above, ~0u, 0) == 0;
}

/* The signal state of a freshly started program; handlers go with the execution anyway. */
static void child_signals(void) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL);
}

/* Runs in the child between fork and execution; the exec error travels back over report, which
 * execution closes. */
static void child(const struct rn_sys_spawn *s, pid_t parent, int report) {
  int fds[RN_SYS_CHANNEL_FDS_MAX];
  struct rn_sys_spawn with_report = *s;
  for (size_t i = 0; i < s->fd_count; i++)
    fds[i] = s->fds[i];
  fds[s->fd_count] = report; /* kept as the last one, then made close-on-exec again */
  with_report.fds = fds;
  with_report.fd_count = s->fd_count + 1;
  child_signals();
  int report_fd = FIRST_FD + (int)s->fd_count;
  if (child_fds(&with_report) && fcntl(report_fd, F_SETFD, FD_CLOEXEC) == 0 &&
      (s->keep_caps || rn_sys_become(s->uid, s->gid) == RN_OK) &&
      (s->keep_caps || rn_sys_drop_caps() == RN_OK) && rn_sys_die_with_parent(parent))
    execv(s->path, s->argv);
  int err = errno != 0 ? errno : EPERM;
  ssize_t n = write(report_fd, &err, sizeof(err));
  (void)n;
  _exit(127);
}

int rn_sys_pidfd(pid_t pid, int *out_fd) {
  int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (fd < 0)
    return RN_ERR_NOENT;
  *out_fd = fd;
  return RN_OK;
}

int rn_sys_spawn(const struct rn_sys_spawn *s, pid_t *pid, int *pidfd) {
  int report[2];
  if (s->fd_count >= RN_SYS_CHANNEL_FDS_MAX || pipe2(report, O_CLOEXEC) != 0)
    return RN_ERR_SYS;
  pid_t parent = getpid();
  pid_t p = fork();
  if (p == 0)
    child(s, parent, report[1]);
  close(report[1]);
  if (p < 0) {
    close(report[0]);
    return RN_ERR_SYS;
  }
  int child_errno = 0;
  ssize_t n;
  do {
    n = read(report[0], &child_errno, sizeof(child_errno));
  } while (n < 0 && errno == EINTR);
  close(report[0]);
  if (n != 0) {
    while (waitpid(p, NULL, 0) < 0 && errno == EINTR)
      continue;
    errno = n == (ssize_t)sizeof(child_errno) ? child_errno : EIO;
    return errno == ENOENT || errno == EACCES ? RN_ERR_NOENT : RN_ERR_SYS;
  }
  /* Not reaped by anyone else before our caller does, so the number still is this child. */
  if (rn_sys_pidfd(p, pidfd) != RN_OK) {
    kill(p, SIGKILL);
    waitpid(p, NULL, 0);
    return RN_ERR_SYS;
  }
  *pid = p;
  return RN_OK;
}

bool rn_sys_die_with_parent(pid_t parent) {
  return prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent;
}

int rn_sys_pidfd_kill(int pidfd, int sig) {
  return syscall(SYS_pidfd_send_signal, pidfd, sig, NULL, 0) == 0 ? RN_OK : RN_ERR_CLOSED;
}

void rn_sys_notify(const char *state) {
  const char *path = getenv("NOTIFY_SOCKET");
  struct sockaddr_un to = { .sun_family = AF_UNIX };
  if (path == NULL || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(to.sun_path))
    return;
  memcpy(to.sun_path, path, strlen(path));
  if (path[0] == '@')
    to.sun_path[0] = '\0'; /* the abstract namespace */
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return;
  socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
  ssize_t n = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, len);
  (void)n; /* a manager that does not listen is no reason to fail */
  close(fd);
}
