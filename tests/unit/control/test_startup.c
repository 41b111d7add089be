/* tests/unit/control/test_startup.c: what control asks before its loop runs, with this test as rpcnetd. Answers are in the channel before the
 * questions. */
#include "rn_test.h"

#include <fcntl.h>
#include <unistd.h>

#include "control/startup.h"
#include "sys/channel.h"
#include "util/err.h"

struct fix {
  int pair[2]; /* [0] is rpcnetd's */
  struct rn_startup s;
};

static void fix_init(struct fix *f) {
  *f = (struct fix){ 0 };
  assert_int_equal(rn_sys_channel(f->pair), RN_OK);
}

static void fix_close(struct fix *f) {
  close(f->pair[0]);
  close(f->pair[1]);
}

static void say(struct fix *f, enum rn_parent_type type, uint32_t arg) {
  const struct rn_parent_msg m = { .type = type, .arg = arg, .starts = 7, .attached = 1 };
  assert_int_equal(rn_sys_send(f->pair[0], &m, sizeof(m), NULL, 0), RN_OK);
}

static int attach(struct fix *f) {
  const struct rn_startup_source src = { .channel = f->pair[1], .config_path = "test" };
  return rn_startup_attach(&src, &f->s);
}

static void end_of_the_data_plane_is_no_answer(void **state) {
  (void)state;
  struct fix f;
  fix_init(&f);
  say(&f, RN_PARENT_ENDED, 0);
  say(&f, RN_PARENT_SHUTDOWN, 0);
  say(&f, RN_PARENT_REPLY, RN_PARENT_ATTACH);
  assert_int_equal(attach(&f), RN_OK);
  assert_true(f.s.bpf_attached);
  assert_int_equal(f.s.unasked_count, 2);
  assert_int_equal(f.s.unasked[0].type, RN_PARENT_ENDED);
  assert_int_equal(f.s.unasked[1].type, RN_PARENT_SHUTDOWN);
  fix_close(&f);
}

static void hello_is_corrected_by_it(void **state) {
  (void)state;
  struct fix f;
  fix_init(&f);
  struct rn_parent_msg hello = { .type = RN_PARENT_HELLO, .arg = 1, .starts = 6 };
  int fds[3];
  size_t count = 3;
  for (int i = 0; i < 3; i++)
    fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
  rn_startup_correct(&f.s, &hello, fds, &count);
  assert_int_equal(count, 3);
  assert_int_equal(hello.arg, 1);
  say(&f, RN_PARENT_ENDED, 0);
  say(&f, RN_PARENT_REPLY, RN_PARENT_ATTACH);
  assert_int_equal(attach(&f), RN_OK);
  rn_startup_correct(&f.s, &hello, fds, &count);
  assert_int_equal(count, 0);
  assert_int_equal(hello.arg, 0);
  assert_int_equal(hello.starts, 7);
  for (int i = 0; i < 3; i++)
    assert_int_equal(fcntl(fds[i], F_GETFD), -1);
  fix_close(&f);
}

static void what_is_neither_is_refused(void **state) {
  (void)state;
  struct fix f;
  fix_init(&f);
  say(&f, RN_PARENT_REPLY, RN_PARENT_OPEN); /* to another question */
  assert_int_equal(attach(&f), RN_ERR_CONFIG);
  for (int i = 0; i < 3; i++) /* more than can come */
    say(&f, RN_PARENT_ENDED, 0);
  say(&f, RN_PARENT_REPLY, RN_PARENT_ATTACH);
  assert_int_equal(attach(&f), RN_ERR_CONFIG);
  fix_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(end_of_the_data_plane_is_no_answer),
    cmocka_unit_test(hello_is_corrected_by_it),
    cmocka_unit_test(what_is_neither_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
