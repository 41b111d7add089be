/* tests/unit/control/test_child.c */
#include "rn_test.h"

#include <fcntl.h>
#include <unistd.h>

#include "control/child.h"

#define MS 1000000ull
#define S  1000000000ull

static void pauses_grow_and_never_reach_a_second(void **state) {
  (void)state;
  struct rn_child c;
  uint64_t now_ns = 5 * S, last_ns = 0;
  rn_child_init(&c, "program");
  assert_false(rn_child_running(&c));
  assert_int_equal(c.start_from_ns, 0);
  for (unsigned int i = 0; i < 20; i++) {
    rn_child_started(&c, 77, open("/dev/null", O_RDONLY | O_CLOEXEC), now_ns);
    assert_true(rn_child_running(&c));
    now_ns += MS; /* dies at once */
    rn_child_ended(&c, now_ns);
    assert_false(rn_child_running(&c));
    uint64_t pause_ns = c.start_from_ns - now_ns;
    assert_true(pause_ns < S);
    assert_true(pause_ns >= last_ns);
    assert_int_equal(pause_ns == 0, i == 0); /* the first time is free */
    last_ns = pause_ns;
    now_ns = c.start_from_ns;
  }
  assert_int_equal(last_ns, RN_CHILD_PAUSE_LAST_NS);
  assert_int_equal(c.starts, 20);
}

static void a_steady_process_comes_back_at_once(void **state) {
  (void)state;
  struct rn_child c;
  uint64_t now_ns = S;
  rn_child_init(&c, "program");
  for (unsigned int i = 0; i < 8; i++) {
    rn_child_started(&c, 77, -1, now_ns);
    rn_child_ended(&c, now_ns + MS);
    now_ns = c.start_from_ns;
  }
  rn_child_started(&c, 77, -1, now_ns);
  now_ns += RN_CHILD_STEADY_NS;
  rn_child_ended(&c, now_ns);
  assert_int_equal(c.start_from_ns, now_ns);
}

static void what_cannot_be_started_is_tried_with_pauses_too(void **state) {
  (void)state;
  struct rn_child c;
  rn_child_init(&c, "program");
  rn_child_failed(&c, 100 * S);
  rn_child_failed(&c, 100 * S);
  assert_true(c.start_from_ns > 100 * S);
}

static void says_how_it_ended(void **state) {
  (void)state;
  char text[96];
  assert_string_equal(rn_child_status_text(0x0200, text, sizeof(text)), "exited with status 2");
  assert_string_equal(rn_child_status_text(9, text, sizeof(text)),
                      "was killed by signal 9 (Killed)");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(pauses_grow_and_never_reach_a_second),
    cmocka_unit_test(a_steady_process_comes_back_at_once),
    cmocka_unit_test(what_cannot_be_started_is_tried_with_pauses_too),
    cmocka_unit_test(says_how_it_ended),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
