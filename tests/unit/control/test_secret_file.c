/* tests/unit/control/test_secret_file.c */
#include "rn_test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/secret_file.h"
#include "util/err.h"

#define HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static char why[256], dir[64], path[96];
static struct rn_secrets s;

static int setup(void **state) {
  (void)state;
  snprintf(dir, sizeof(dir), "/tmp/rn_secret_XXXXXX");
  assert_non_null(mkdtemp(dir));
  snprintf(path, sizeof(path), "%s/secret", dir);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  (void)unlink(path);
  return rmdir(dir); /* nothing else may have been left there */
}

static int parse(const char *text) {
  return rn_secret_file_parse(text, strlen(text), &s, why, sizeof(why));
}

static void write_file(const char *text, mode_t mode) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
  assert_int_equal(fchmod(fd, mode), 0);
  close(fd);
}

static int load(void) {
  int fd = open(path, O_RDONLY);
  assert_true(fd >= 0);
  int err = rn_secret_file_check(fd, why, sizeof(why));
  if (err == RN_OK)
    err = rn_secret_file_read(fd, &s, why, sizeof(why));
  close(fd);
  return err;
}

static void sound_text_is_read(void **state) {
  (void)state;
  assert_int_equal(parse("# first\n\n0 " HEX "\n# next\n4294967295 " HEX), RN_OK);
  assert_int_equal(s.count, 2);
  assert_int_equal(s.of[0].epoch, 0);
  assert_int_equal(rn_secrets_newest(&s)->epoch, UINT32_MAX);
  for (uint8_t i = 0; i < RN_SECRET_BYTES; i++)
    assert_int_equal(s.of[1].bytes[i], i);
}

static void what_is_wrong_is_said_by_line(void **state) {
  (void)state;
  static const struct {
    const char *text, *want;
  } cases[] = {
    { "", "no epoch in it" },
    { "# only this\n", "no epoch in it" },
    { "1 " HEX "\n" HEX "\n", "line 2 begins with no epoch's number" },
    { "4294967296 " HEX, "line 1 begins with no epoch's number" },
    { "99999999999999999999999999 " HEX, "line 1 begins with no epoch's number" },
    { " 1 " HEX, "line 1 begins with no epoch's number" },
    { "1", "line 1 begins with no epoch's number" },
    { "1 ", "line 1 does not end with 64" },
    { "1 " HEX "0", "line 1 does not end with 64" },
    { "1 " HEX "\r\n", "line 1 does not end with 64" },
    { "1 0X0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
      "64 hexadecimal digits" },
    { "\n2 " HEX "\n2 " HEX "\n", "line 3 has a number that is not above" },
    { "2 " HEX "\n1 " HEX "\n", "line 2 has a number that is not above" },
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    static const struct rn_secrets none;
    assert_int_equal(parse(cases[i].text), RN_ERR_CONFIG);
    assert_non_null(strstr(why, cases[i].want));
    assert_null(strstr(why, "0102"));
    assert_memory_equal(&s, &none, sizeof(s));
  }
  char text[34 * 80];
  size_t n = 0;
  for (int i = 0; i < 33; i++)
    n += (size_t)snprintf(text + n, sizeof(text) - n, "%d " HEX "\n", i);
  assert_int_equal(parse(text), RN_ERR_CONFIG);
  assert_string_equal(why, "line 33 is one epoch more than 32");
}

static void file_that_others_may_use_is_refused(void **state) {
  (void)state;
  static const mode_t wrong[] = { 0640, 0604, 0620, 0601, 0666 };
  for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
    write_file("1 " HEX, wrong[i]);
    assert_int_equal(load(), RN_ERR_CONFIG);
    assert_non_null(strstr(why, "0600 is right"));
  }
  write_file("1 " HEX, 0400);
  assert_int_equal(load(), RN_OK);
  int fd = open(dir, O_RDONLY);
  assert_int_equal(rn_secret_file_check(fd, why, sizeof(why)), RN_ERR_CONFIG);
  assert_string_equal(why, "is no regular file");
  close(fd);
  if (geteuid() == 0) {
    assert_int_equal(chown(path, 4711, 4711), 0);
    assert_int_equal(load(), RN_ERR_CONFIG);
    assert_non_null(strstr(why, "belongs to user 4711"));
  }
}

static void too_large_a_file_is_refused(void **state) {
  (void)state;
  static char text[RN_SECRET_FILE_BYTES_MAX + 2];
  memset(text, '#', RN_SECRET_FILE_BYTES_MAX + 1);
  write_file(text, 0600);
  assert_int_equal(load(), RN_ERR_CONFIG);
  assert_non_null(strstr(why, "larger than"));
}

static void absent_file_is_made_once(void **state) {
  (void)state;
  struct stat st;
  assert_int_equal(rn_secret_file_make(path, why, sizeof(why)), RN_OK);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  assert_int_equal(load(), RN_OK);
  assert_int_equal(s.count, 1);
  assert_int_equal(s.of[0].epoch, 1);
  const struct rn_secrets first = s;
  assert_int_equal(rn_secret_file_make(path, why, sizeof(why)), RN_OK);
  assert_int_equal(load(), RN_OK);
  assert_memory_equal(&s, &first, sizeof(s));
  assert_int_equal(rn_secret_file_make("/nowhere/at/all", why, sizeof(why)), RN_ERR_SYS);
  assert_non_null(strstr(why, "/nowhere/at/all"));
}

static void rotation_adds_an_epoch_and_keeps_the_others(void **state) {
  (void)state;
  struct stat st;
  uint32_t epoch;
  write_file("7 " HEX "\n", 0400);
  for (uint32_t i = 0; i < RN_SECRETS_MAX + 3; i++) {
    assert_int_equal(rn_secret_file_rotate(path, &epoch, why, sizeof(why)), RN_OK);
    assert_int_equal(epoch, 8 + i);
    assert_int_equal(load(), RN_OK);
    assert_int_equal(rn_secrets_newest(&s)->epoch, epoch);
    assert_int_equal(s.count, i + 2 < RN_SECRETS_MAX ? i + 2 : RN_SECRETS_MAX);
    assert_memory_not_equal(s.of[s.count - 1].bytes, s.of[s.count - 2].bytes, RN_SECRET_BYTES);
    if (i == 0)
      assert_int_equal(s.of[0].bytes[31], 31);
  }
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
}

static void rotation_of_a_damaged_file_changes_nothing(void **state) {
  (void)state;
  uint32_t epoch;
  write_file("1 " HEX "\nx", 0600);
  assert_int_equal(rn_secret_file_rotate(path, &epoch, why, sizeof(why)), RN_ERR_CONFIG);
  assert_non_null(strstr(why, "line 2"));
  write_file("1 " HEX "\n", 0644);
  assert_int_equal(rn_secret_file_rotate(path, &epoch, why, sizeof(why)), RN_ERR_CONFIG);
  write_file("4294967295 " HEX "\n", 0600);
  assert_int_equal(rn_secret_file_rotate(path, &epoch, why, sizeof(why)), RN_ERR_CONFIG);
  assert_int_equal(load(), RN_OK);
  assert_int_equal(s.count, 1);
  (void)unlink(path);
  assert_int_equal(rn_secret_file_rotate(path, &epoch, why, sizeof(why)), RN_ERR_SYS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(sound_text_is_read),
    cmocka_unit_test(what_is_wrong_is_said_by_line),
    cmocka_unit_test_setup_teardown(file_that_others_may_use_is_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(too_large_a_file_is_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(absent_file_is_made_once, setup, teardown),
    cmocka_unit_test_setup_teardown(rotation_adds_an_epoch_and_keeps_the_others, setup, teardown),
    cmocka_unit_test_setup_teardown(rotation_of_a_damaged_file_changes_nothing, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
