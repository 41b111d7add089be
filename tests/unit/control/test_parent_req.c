/* tests/unit/control/test_parent_req.c: what rpcnetd does for a control that asks: files of the cluster, and the one that it writes. This test is control. */
#include "rn_test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/parent.h"
#include "sys/channel.h"
#include "sys/memfd.h"
#include "util/err.h"

static struct rn_parent p;
static int ours; /* our end of the channel */
static char dir[64];

static int setup(void **state) {
  (void)state;
  int pair[2];
  snprintf(dir, sizeof(dir), "/tmp/rn_parent_XXXXXX");
  assert_non_null(mkdtemp(dir));
  assert_int_equal(rn_sys_channel(pair), RN_OK);
  p = (struct rn_parent){ .channel = pair[0], .config_fd = -1, .cfg.cluster.enabled = true };
  ours = pair[1];
  snprintf(p.cfg.cluster.state_file, sizeof(p.cfg.cluster.state_file), "%s/state", dir);
  snprintf(p.cfg.cluster.ca, sizeof(p.cfg.cluster.ca), "/dev/null");
  return 0;
}

static int teardown(void **state) {
  (void)state;
  close(ours);
  close(p.channel);
  (void)unlink(p.cfg.cluster.state_file);
  return rmdir(dir); /* nothing else may have been left there */
}

/* The answer to a request; *fd: what it brought, or -1. */
static struct rn_parent_msg ask(enum rn_parent_type type, uint32_t arg, const int *fds,
                                size_t fd_count, int *fd) {
  const struct rn_parent_msg m = { .type = type, .arg = arg };
  struct rn_parent_msg r;
  size_t len, got = 1;
  rn_parent_request(&p, &m, fds, fd_count);
  *fd = -1;
  assert_int_equal(rn_sys_recv(ours, &r, sizeof(r), &len, fd, &got), RN_OK);
  assert_int_equal(r.type, RN_PARENT_REPLY);
  assert_int_equal(r.arg, type);
  assert_int_equal(got, *fd >= 0);
  return r;
}

static struct rn_parent_msg save_fd(int content) {
  int fd;
  struct rn_parent_msg r = ask(RN_PARENT_SAVE, 0, &content, 1, &fd);
  assert_int_equal(fd, -1);
  assert_int_equal(fcntl(content, F_GETFD), -1); /* taken over, and closed */
  return r;
}

static struct rn_parent_msg save(const char *text) {
  int fd;
  void *map;
  assert_int_equal(rn_sys_memfd("state", strlen(text), &fd), RN_OK);
  assert_int_equal(rn_sys_map(fd, strlen(text), &map), RN_OK);
  memcpy(map, text, strlen(text));
  rn_sys_unmap(map, strlen(text));
  return save_fd(fd);
}

static void expect_file(const char *text) {
  char got[64] = "";
  struct stat st;
  int fd = open(p.cfg.cluster.state_file, O_RDONLY | O_NOFOLLOW);
  assert_true(fd >= 0);
  assert_int_equal(read(fd, got, sizeof(got) - 1), (ssize_t)strlen(text));
  assert_string_equal(got, text);
  assert_int_equal(fstat(fd, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  close(fd);
}

static void content_takes_the_place_of_the_file(void **state) {
  (void)state;
  int fd;
  assert_int_equal(save("first").status, RN_OK);
  expect_file("first");
  assert_int_equal(chmod(p.cfg.cluster.state_file, 0644), 0);
  int old = open(p.cfg.cluster.state_file, O_RDONLY);
  assert_int_equal(save("second").status, RN_OK);
  expect_file("second");
  char text[8];
  assert_int_equal(read(old, text, sizeof(text)), 5); /* who had it open sees all of the old one */
  close(old);
  struct rn_parent_msg r = ask(RN_PARENT_OPEN, RN_PARENT_FILE_STATE, NULL, 0, &fd);
  assert_int_equal(r.status, RN_OK);
  assert_int_equal(read(fd, text, sizeof(text)), 6);
  assert_memory_equal(text, "second", 6);
  close(fd);
}

static void link_is_replaced_and_not_followed(void **state) {
  (void)state;
  char victim[96], text[8];
  snprintf(victim, sizeof(victim), "%s/victim", dir);
  int fd = open(victim, O_RDWR | O_CREAT, 0600);
  assert_int_equal(write(fd, "mine", 4), 4);
  assert_int_equal(symlink(victim, p.cfg.cluster.state_file), 0);
  assert_int_equal(save("members").status, RN_OK);
  expect_file("members");
  assert_int_equal(pread(fd, text, sizeof(text), 0), 4);
  close(fd);
  assert_int_equal(unlink(victim), 0);
}

static void what_is_no_content_is_refused(void **state) {
  (void)state;
  int fd, fds[2];
  assert_int_equal(save("members").status, RN_OK);
  assert_int_equal(ask(RN_PARENT_SAVE, 0, NULL, 0, &fd).status, RN_ERR_INVAL);
  assert_int_equal(save_fd(memfd_create("open", MFD_CLOEXEC)).status, RN_ERR_INVAL); /* no seals */
  assert_int_equal(save_fd(open("/dev/zero", O_RDONLY | O_CLOEXEC)).status, RN_ERR_INVAL);
  assert_int_equal(rn_sys_memfd("large", RN_PARENT_SAVE_MAX + 1, &fd), RN_OK);
  assert_int_equal(save_fd(fd).status, RN_ERR_TOOBIG);
  for (int i = 0; i < 2; i++)
    assert_int_equal(rn_sys_memfd("two", 4096, &fds[i]), RN_OK);
  assert_int_equal(ask(RN_PARENT_SAVE, 0, fds, 2, &fd).status, RN_ERR_INVAL);
  assert_int_equal(fcntl(fds[1], F_GETFD), -1);
  expect_file("members");
  assert_int_equal(rn_sys_memfd("largest", RN_PARENT_SAVE_MAX, &fd), RN_OK);
  assert_int_equal(save_fd(fd).status, RN_OK);
}

static void failure_says_why_and_leaves_the_old_file(void **state) {
  (void)state;
  char *path = p.cfg.cluster.state_file;
  assert_int_equal(mkdir(path, 0700), 0); /* a directory cannot be replaced */
  struct rn_parent_msg r = save("members");
  assert_int_equal(r.status, RN_ERR_SYS);
  assert_non_null(strstr(r.text, "/state: Is a directory"));
  assert_int_equal(rmdir(path), 0);
  snprintf(path, sizeof(p.cfg.cluster.state_file), "%s/absent/state", dir);
  r = save("members");
  assert_int_equal(r.status, RN_ERR_SYS);
  assert_non_null(strstr(r.text, "No such file"));
}

static void only_an_enabled_cluster_has_files(void **state) {
  (void)state;
  int fd;
  assert_int_equal(ask(RN_PARENT_OPEN, RN_PARENT_FILE_PEER_CA, NULL, 0, &fd).status, RN_OK);
  close(fd);
  p.cfg.cluster.enabled = false;
  assert_int_equal(save("members").status, RN_ERR_REFUSED);
  assert_int_equal(ask(RN_PARENT_OPEN, RN_PARENT_FILE_STATE, NULL, 0, &fd).status, RN_ERR_REFUSED);
  assert_int_equal(ask(RN_PARENT_OPEN, RN_PARENT_FILE_PEER_CA, NULL, 0, &fd).status,
                   RN_ERR_REFUSED);
  assert_int_equal(access(p.cfg.cluster.state_file, F_OK), -1);
  p.cfg.cluster.enabled = true;
  p.cfg.cluster.state_file[0] = '\0';
  assert_int_equal(save("members").status, RN_ERR_REFUSED);
}

static void state_file_may_be_absent_and_has_to_be_a_file(void **state) {
  (void)state;
  int fd;
  struct rn_parent_msg r = ask(RN_PARENT_OPEN, RN_PARENT_FILE_STATE, NULL, 0, &fd);
  assert_int_equal(r.status, RN_ERR_NOENT);
  assert_int_equal(fd, -1);
  assert_int_equal(mkfifo(p.cfg.cluster.state_file, 0600), 0); /* nobody writes: must not wait */
  r = ask(RN_PARENT_OPEN, RN_PARENT_FILE_STATE, NULL, 0, &fd);
  assert_int_equal(r.status, RN_ERR_SYS);
  assert_int_equal(fd, -1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(content_takes_the_place_of_the_file, setup, teardown),
    cmocka_unit_test_setup_teardown(link_is_replaced_and_not_followed, setup, teardown),
    cmocka_unit_test_setup_teardown(what_is_no_content_is_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(failure_says_why_and_leaves_the_old_file, setup, teardown),
    cmocka_unit_test_setup_teardown(only_an_enabled_cluster_has_files, setup, teardown),
    cmocka_unit_test_setup_teardown(state_file_may_be_absent_and_has_to_be_a_file, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
