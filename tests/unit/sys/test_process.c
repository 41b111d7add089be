/* tests/unit/sys/test_process.c: children and their descriptors, privileges, system call filters,
 * systemd's notification. */
#include "rn_test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/privs.h"
#include "sys/process.h"
#include "sys/seccomp.h"
#include "util/err.h"

#ifndef CHILD
#error "CHILD is the path of tests/unit/sys/child"
#endif

/* Runs child with its output in out. Returns the wait status. */
static int run(struct rn_sys_spawn *s, char *const *argv, char *out, size_t cap) {
  int pipe_fds[2], pidfd;
  pid_t pid;
  assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
  int saved = dup(STDOUT_FILENO);
  fflush(stdout);
  dup2(pipe_fds[1], STDOUT_FILENO);
  s->path = CHILD;
  s->argv = argv;
  int err = rn_sys_spawn(s, &pid, &pidfd);
  dup2(saved, STDOUT_FILENO);
  close(saved);
  close(pipe_fds[1]);
  assert_int_equal(err, RN_OK);
  ssize_t n, total = 0;
  while ((n = read(pipe_fds[0], out + total, cap - 1 - (size_t)total)) > 0)
    total += n;
  out[total] = '\0';
  close(pipe_fds[0]);
  struct pollfd p = { .fd = pidfd, .events = POLLIN };
  assert_int_equal(poll(&p, 1, 10000), 1);
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  close(pidfd);
  return status;
}

static void child_gets_its_descriptors_and_no_others(void **state) {
  (void)state;
  char out[256];
  char *argv[] = { (char *)"child", NULL };
  int pipe_fds[2];
  assert_int_equal(pipe(pipe_fds), 0); /* not close-on-exec: must be closed all the same */
  int extra = fcntl(pipe_fds[1], F_DUPFD, 40);
  assert_int_equal(write(pipe_fds[1], "hello", 5), 5);
  /* Given in an order in which a careless dup2 would overwrite one before it is moved. */
  const int fds[] = { pipe_fds[1], pipe_fds[0], pipe_fds[1] };
  struct rn_sys_spawn s = { .fds = fds, .fd_count = 3, .keep_caps = true };
  int status = run(&s, argv, out, sizeof(out));
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  assert_non_null(strstr(out, "fds=3f ")); /* 0..2 and 3, 4, 5 */
  assert_non_null(strstr(out, "read=5:hello"));
  close(pipe_fds[0]);
  close(pipe_fds[1]);
  close(extra);
}

static void child_has_no_privileges_unless_it_keeps_them(void **state) {
  (void)state;
  char out[256];
  char *argv[] = { (char *)"child", NULL };
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int fds[] = { null, null };
  bool root = geteuid() == 0;
  struct rn_sys_spawn s = {
    .fds = fds, .fd_count = 2, .uid = root ? 12345 : 0, .gid = root ? 12346 : 0
  };
  run(&s, argv, out, sizeof(out));
  assert_non_null(strstr(out, root ? "uid=12345 gid=12346 caps=0 nnp=1" : "caps=0 nnp=1"));
  s.keep_caps = true;
  run(&s, argv, out, sizeof(out));
  assert_non_null(strstr(out, "nnp=0"));
  if (root)
    assert_non_null(strstr(out, "uid=0"));
  close(null);
}

static void what_cannot_be_executed_is_an_error_here(void **state) {
  (void)state;
  char *argv[] = { (char *)"x", NULL };
  pid_t pid = -5;
  int pidfd = -5;
  struct rn_sys_spawn s = { .path = "/nonexistent/program", .argv = argv, .keep_caps = true };
  assert_int_equal(rn_sys_spawn(&s, &pid, &pidfd), RN_ERR_NOENT);
  assert_int_equal(errno, ENOENT);
  assert_int_equal(pid, -5);
  assert_int_equal(pidfd, -5);
}

static void pidfd_signals_the_child(void **state) {
  (void)state;
  char *argv[] = { (char *)"child", (char *)"sleep", NULL };
  pid_t pid;
  int pidfd, status;
  struct rn_sys_spawn s = { .path = CHILD, .argv = argv, .keep_caps = true };
  assert_int_equal(rn_sys_spawn(&s, &pid, &pidfd), RN_OK);
  assert_int_equal(rn_sys_pidfd_kill(pidfd, SIGTERM), RN_OK);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
  assert_int_equal(rn_sys_pidfd_kill(pidfd, SIGTERM), RN_ERR_CLOSED);
  close(pidfd);
}

/* A process that starts the child in this mode and is killed. */
static void parent_dies(const char *mode) {
  int pipe_fds[2];
  assert_int_equal(pipe(pipe_fds), 0);
  pid_t middle = fork();
  assert_true(middle >= 0);
  if (middle == 0) {
    char *argv[] = { (char *)"child", (char *)(uintptr_t)mode, NULL };
    /* The child's standard output ends up in the pipe: what it says comes after it has become who it will be. */
    dup2(pipe_fds[1], STDOUT_FILENO);
    struct rn_sys_spawn s = { .path = CHILD, .argv = argv, .keep_caps = true };
    pid_t pid;
    int pidfd;
    if (rn_sys_spawn(&s, &pid, &pidfd) != RN_OK ||
        write(pipe_fds[1], &pid, sizeof(pid)) != sizeof(pid))
      _exit(1);
    pause();
  }
  char said[16 + sizeof(pid_t)];
  size_t n = 0;
  while (n < 9 + sizeof(pid_t)) { /* the pid and "sleeping\n", in either order */
    ssize_t got = read(pipe_fds[0], said + n, sizeof(said) - n);
    assert_true(got > 0);
    n += (size_t)got;
  }
  pid_t grandchild;
  memcpy(&grandchild, memcmp(said, "sleeping\n", 9) == 0 ? said + 9 : said, sizeof(grandchild));
  int pidfd;
  assert_int_equal(rn_sys_pidfd(grandchild, &pidfd), RN_OK);
  kill(middle, SIGKILL);
  waitpid(middle, NULL, 0);
  struct pollfd p = { .fd = pidfd, .events = POLLIN };
  assert_int_equal(poll(&p, 1, 5000), 1);
  close(pidfd);
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

static void child_ends_when_its_parent_does(void **state) {
  (void)state;
  parent_dies("sleep");
}

static void child_that_became_another_user_does_too(void **state) {
  (void)state;
  if (geteuid() == 0)
    parent_dies("become");
}

/* Runs body in a forked process; returns its wait status. */
static int in_child(void (*body)(void)) {
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    body();
    syscall(SYS_exit_group, 0);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return status;
}

static const struct rn_sys_call few_calls[] = {
  RN_SYS_CALL(exit_group, "to end"),
  RN_SYS_CALL(getppid, "stands for any call without conditions"),
  RN_SYS_CALL_IF(prctl, 0, PR_GET_DUMPABLE, "one operation of many"),
  RN_SYS_CALL_IF(prctl, 0, 0x100000000ull + PR_GET_DUMPABLE, "needs the upper half compared"),
};

static void filtered_eperm(void) {
  if (rn_sys_seccomp(few_calls, 3, RN_SYS_DENY_EPERM) != RN_OK)
    _exit(1);
  if (syscall(SYS_getppid) < 0)
    _exit(2);
  if (syscall(SYS_prctl, PR_GET_DUMPABLE, 0, 0, 0, 0) < 0)
    _exit(3);
  errno = 0;
  if (syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0) != -1 || errno != EPERM)
    _exit(4);
  if (syscall(SYS_prctl, 0x100000000ul + PR_GET_DUMPABLE, 0, 0, 0, 0) != -1)
    _exit(5);
  if (syscall(SYS_getuid) != -1)
    _exit(6);
}

static void filtered_kill(void) {
  if (rn_sys_seccomp(few_calls, 4, RN_SYS_DENY_KILL) != RN_OK)
    _exit(1);
  syscall(SYS_getppid);
  syscall(SYS_getuid);
}

static void filter_allows_the_table_and_nothing_else(void **state) {
  (void)state;
  int status = in_child(filtered_eperm);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  status = in_child(filtered_kill);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

static void filter_refuses_a_table_without_reasons(void **state) {
  (void)state;
  const struct rn_sys_call bad[] = { { SYS_read, -1, 0, NULL } };
  const struct rn_sys_call worse[] = { { SYS_read, 6, 0, "no such argument" } };
  assert_int_equal(rn_sys_seccomp(bad, 1, RN_SYS_DENY_EPERM), RN_ERR_INVAL);
  assert_int_equal(rn_sys_seccomp(worse, 1, RN_SYS_DENY_EPERM), RN_ERR_INVAL);
  assert_int_equal(rn_sys_seccomp(few_calls, RN_SYS_CALLS_MAX + 1, RN_SYS_DENY_EPERM),
                   RN_ERR_INVAL);
}

static void drop_everything(void) {
  if (geteuid() == 0 && rn_sys_become(12345, 12345) != RN_OK)
    _exit(1);
  if (rn_sys_drop_caps() != RN_OK || rn_sys_caps() != 0 ||
      prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
    _exit(2);
  if (rn_sys_not_dumpable() != RN_OK || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
    _exit(3);
  if (setuid(0) == 0 && getuid() == 0)
    _exit(4);
}

static void privileges_are_gone_for_good(void **state) {
  (void)state;
  int status = in_child(drop_everything);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static void systemd_is_told_over_its_socket(void **state) {
  (void)state;
  struct sockaddr_un a = { .sun_family = AF_UNIX };
  char name[64], buf[64];
  snprintf(name, sizeof(name), "@rn-test-%d", getpid());
  memcpy(a.sun_path, name, strlen(name));
  a.sun_path[0] = '\0';
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
  assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
  setenv("NOTIFY_SOCKET", name, 1);
  rn_sys_notify("READY=1");
  unsetenv("NOTIFY_SOCKET");
  rn_sys_notify("READY=1"); /* outside of systemd: nothing */
  assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), 7);
  assert_memory_equal(buf, "READY=1", 7);
  assert_int_equal(recv(fd, buf, sizeof(buf), MSG_DONTWAIT), -1);
  close(fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(child_gets_its_descriptors_and_no_others),
    cmocka_unit_test(child_has_no_privileges_unless_it_keeps_them),
    cmocka_unit_test(what_cannot_be_executed_is_an_error_here),
    cmocka_unit_test(pidfd_signals_the_child),
    cmocka_unit_test(child_ends_when_its_parent_does),
    cmocka_unit_test(child_that_became_another_user_does_too),
    cmocka_unit_test(filter_allows_the_table_and_nothing_else),
    cmocka_unit_test(filter_refuses_a_table_without_reasons),
    cmocka_unit_test(privileges_are_gone_for_good),
    cmocka_unit_test(systemd_is_told_over_its_socket),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
