/* tests/unit/sys/test_sys.c: shared memory, channels, doorbells, log lines. */
#include "rn_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/channel.h"
#include "sys/clock.h"
#include "sys/event.h"
#include "sys/log.h"
#include "sys/memfd.h"
#include "util/err.h"

static void memory_cannot_change_its_size(void **state) {
  (void)state;
  int fd;
  size_t bytes = 0;
  assert_int_equal(rn_sys_memfd("test", 8192, &fd), RN_OK);
  assert_int_equal(rn_sys_memfd_check(fd, &bytes), RN_OK);
  assert_int_equal(bytes, 8192);
  assert_int_equal(ftruncate(fd, 4096), -1);
  assert_int_equal(errno, EPERM);
  assert_int_equal(ftruncate(fd, 16384), -1);
  assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  close(fd);
}

static void memory_without_seals_is_refused(void **state) {
  (void)state;
  size_t bytes = 5;
  int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  assert_true(fd >= 0);
  assert_int_equal(ftruncate(fd, 4096), 0);
  assert_int_equal(rn_sys_memfd_check(fd, &bytes), RN_ERR_INVAL);
  assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
  assert_int_equal(rn_sys_memfd_check(fd, &bytes),
                   RN_ERR_INVAL); /* could still shrink under a mapping */
  close(fd);
  fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  assert_int_equal(rn_sys_memfd_check(fd, &bytes), RN_ERR_INVAL);
  close(fd);
  assert_int_equal(rn_sys_memfd_check(-1, &bytes), RN_ERR_INVAL);
  assert_int_equal(bytes, 5);
}

static void two_mappings_show_the_same_memory(void **state) {
  (void)state;
  int fd;
  void *a, *b;
  assert_int_equal(rn_sys_memfd("test", 4096, &fd), RN_OK);
  assert_int_equal(rn_sys_map(fd, 4096, &a), RN_OK);
  assert_int_equal(rn_sys_map(fd, 4096, &b), RN_OK);
  memcpy(a, "hello", 6);
  assert_string_equal(b, "hello");
  rn_sys_unmap(a, 4096);
  rn_sys_unmap(b, 4096);
  rn_sys_unmap(NULL, 4096);
  close(fd);
}

static unsigned int open_fds(void) {
  unsigned int n = 0;
  for (int fd = 0; fd < 256; fd++)
    n += fcntl(fd, F_GETFD) >= 0;
  return n;
}

static void channel_carries_descriptors(void **state) {
  (void)state;
  int pair[2], fds[4], got[4];
  size_t len, count = 4;
  char buf[16];
  assert_int_equal(rn_sys_channel(pair), RN_OK);
  assert_int_equal(rn_sys_recv(pair[1], buf, sizeof(buf), &len, got, &count), RN_ERR_AGAIN);
  assert_int_equal(rn_sys_event(&fds[0]), RN_OK);
  assert_int_equal(rn_sys_event(&fds[1]), RN_OK);
  assert_int_equal(rn_sys_send(pair[0], "ab", 2, fds, 2), RN_OK);
  assert_int_equal(rn_sys_recv(pair[1], buf, sizeof(buf), &len, got, &count), RN_OK);
  assert_int_equal(len, 2);
  assert_int_equal(count, 2);
  rn_sys_event_ring(got[1]);
  assert_false(rn_sys_event_clear(fds[0]));
  assert_true(rn_sys_event_clear(fds[1]));
  assert_false(rn_sys_event_clear(fds[1]));
  assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
  for (int i = 0; i < 2; i++) {
    close(fds[i]);
    close(got[i]);
    close(pair[i]);
  }
}

static void more_than_asked_for_is_dropped_with_its_descriptors(void **state) {
  (void)state;
  int pair[2], fd, got[1];
  size_t len, count;
  char buf[4];
  assert_int_equal(rn_sys_channel(pair), RN_OK);
  assert_int_equal(rn_sys_event(&fd), RN_OK);
  const int twice[] = { fd, fd };
  unsigned int before = open_fds();
  assert_int_equal(rn_sys_send(pair[0], "ab", 2, twice, 2), RN_OK);
  assert_int_equal(rn_sys_send(pair[0], "abcdefgh", 8, twice, 1), RN_OK);
  assert_int_equal(rn_sys_send(pair[0], "xy", 2, NULL, 0), RN_OK);
  count = 1;
  assert_int_equal(rn_sys_recv(pair[1], buf, sizeof(buf), &len, got, &count), RN_ERR_TOOBIG);
  count = 1;
  assert_int_equal(rn_sys_recv(pair[1], buf, sizeof(buf), &len, got, &count), RN_ERR_TOOBIG);
  assert_int_equal(open_fds(), before);
  count = 1;
  assert_int_equal(rn_sys_recv(pair[1], buf, sizeof(buf), &len, got, &count), RN_OK);
  assert_int_equal(count, 0);
  assert_int_equal(len, 2);
  close(pair[0]);
  assert_int_equal(rn_sys_recv(pair[1], buf, sizeof(buf), &len, got, &count), RN_ERR_CLOSED);
  assert_int_equal(rn_sys_send(pair[1], "a", 1, NULL, 0), RN_ERR_CLOSED);
  close(pair[1]);
  close(fd);
}

static void channel_that_is_full_says_so(void **state) {
  (void)state;
  int pair[2], err = RN_OK;
  char msg[1024] = { 0 };
  assert_int_equal(rn_sys_channel(pair), RN_OK);
  for (unsigned int i = 0; i < 100000 && err == RN_OK; i++)
    err = rn_sys_send(pair[0], msg, sizeof(msg), NULL, 0);
  assert_int_equal(err, RN_ERR_AGAIN);
  close(pair[0]);
  close(pair[1]);
}

static void signals_arrive_at_the_descriptor(void **state) {
  (void)state;
  static const int list[] = { SIGUSR1, SIGUSR2, 0 };
  int fd;
  assert_int_equal(rn_sys_signals(list, &fd), RN_OK);
  assert_int_equal(rn_sys_signal_next(fd), 0);
  raise(SIGUSR2);
  assert_int_equal(rn_sys_signal_next(fd), SIGUSR2);
  assert_int_equal(rn_sys_signal_next(fd), 0);
  close(fd);
}

static void log_line_is_one_line(void **state) {
  (void)state;
  char out[RN_LOG_LINE_BYTES];
  int n = rn_log_format(out, sizeof(out), false, 1700000000123456789ull, "prog", RN_LOG_WARN,
                        "a\nb\033[1m");
  assert_string_equal(out, "2023-11-14T22:13:20.123Z prog warning: a b [1m\n");
  assert_int_equal(n, (int)strlen(out));
  rn_log_format(out, sizeof(out), true, 0, "prog", RN_LOG_ERROR, "text");
  assert_string_equal(out, "<3>prog: text\n");
  n = rn_log_format(out, 16, true, 0, "prog", RN_LOG_DEBUG, "a long text that does not fit");
  assert_int_equal(n, 15);
  assert_string_equal(out, "<7>prog: a lon\n");
}

static void log_limit_counts_what_it_holds_back(void **state) {
  (void)state;
  struct rn_log_limit l = { 0 };
  uint64_t suppressed = 99;
  assert_true(rn_log_may(&l, 0, 1000, 2, &suppressed));
  assert_true(rn_log_may(&l, 0, 1000, 2, &suppressed));
  assert_int_equal(suppressed, 0);
  assert_false(rn_log_may(&l, 0, 1000, 2, &suppressed));
  assert_false(rn_log_may(&l, 999, 1000, 2, &suppressed));
  assert_true(rn_log_may(&l, 1000, 1000, 2, &suppressed));
  assert_int_equal(suppressed, 2);
}

static void log_goes_to_standard_error_up_to_its_level(void **state) {
  (void)state;
  int pipe_fds[2], saved = dup(STDERR_FILENO);
  char buf[4096];
  assert_int_equal(pipe(pipe_fds), 0);
  assert_true(dup2(pipe_fds[1], STDERR_FILENO) >= 0);
  rn_log_init("prog", RN_LOG_INFO);
  rn_info("seen %d", 1);
  rn_debug("not seen");
  rn_log_set_level(RN_LOG_DEBUG);
  rn_debug("seen %d", 2);
  dup2(saved, STDERR_FILENO);
  close(saved);
  close(pipe_fds[1]);
  ssize_t n = read(pipe_fds[0], buf, sizeof(buf) - 1);
  assert_true(n > 0);
  buf[n] = '\0';
  assert_non_null(strstr(buf, "prog info: seen 1\n"));
  assert_non_null(strstr(buf, "prog debug: seen 2\n"));
  assert_null(strstr(buf, "not seen"));
  close(pipe_fds[0]);
}

static void log_knows_the_journal_by_its_inode(void **state) {
  (void)state;
  int pipe_fds[2], saved = dup(STDERR_FILENO);
  char buf[256], stream[64];
  struct stat st;
  assert_int_equal(pipe(pipe_fds), 0);
  assert_int_equal(fstat(pipe_fds[1], &st), 0);
  assert_true(dup2(pipe_fds[1], STDERR_FILENO) >= 0);
  snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
           (unsigned long long)st.st_ino);
  setenv("JOURNAL_STREAM", stream, 1);
  rn_log_init("prog", RN_LOG_INFO);
  rn_warn("one");
  /* Somebody else's, inherited. */
  snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
           (unsigned long long)st.st_ino + 1);
  setenv("JOURNAL_STREAM", stream, 1);
  rn_log_init("prog", RN_LOG_INFO);
  rn_warn("two");
  unsetenv("JOURNAL_STREAM");
  dup2(saved, STDERR_FILENO);
  close(saved);
  ssize_t n = read(pipe_fds[0], buf, sizeof(buf) - 1);
  assert_true(n > 0);
  buf[n] = '\0';
  assert_non_null(strstr(buf, "<4>prog: one\n"));
  assert_non_null(strstr(buf, " prog warning: two\n"));
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(memory_cannot_change_its_size),
    cmocka_unit_test(memory_without_seals_is_refused),
    cmocka_unit_test(two_mappings_show_the_same_memory),
    cmocka_unit_test(channel_carries_descriptors),
    cmocka_unit_test(more_than_asked_for_is_dropped_with_its_descriptors),
    cmocka_unit_test(channel_that_is_full_says_so),
    cmocka_unit_test(signals_arrive_at_the_descriptor),
    cmocka_unit_test(log_line_is_one_line),
    cmocka_unit_test(log_limit_counts_what_it_holds_back),
    cmocka_unit_test(log_goes_to_standard_error_up_to_its_level),
    cmocka_unit_test(log_knows_the_journal_by_its_inode),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
