/* tests/unit/control/test_startup.c: what control asks before its loop runs, with this test as rpcnetd. Answers are in the channel before the
 * questions. */
#include "rn_test.h"

#include <fcntl.h>
#include <unistd.h>

#include "control/startup.h"
#include "pem_files.h"
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

/* ---- files ---- */

static void hand_over(struct fix *f, int fd) {
  const struct rn_parent_msg m = { .type = RN_PARENT_REPLY, .arg = RN_PARENT_OPEN };
  assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
  assert_int_equal(rn_sys_send(f->pair[0], &m, sizeof(m), &fd, 1), RN_OK);
}

static void refuse(struct fix *f, int status, const char *text) {
  struct rn_parent_msg m = { .type = RN_PARENT_REPLY, .arg = RN_PARENT_OPEN, .status = status };
  snprintf(m.text, sizeof(m.text), "%s", text);
  assert_int_equal(rn_sys_send(f->pair[0], &m, sizeof(m), NULL, 0), RN_OK);
}

/* The file that control asks for next. */
static uint32_t asked(struct fix *f) {
  struct rn_parent_msg m = { 0 };
  size_t len, no_fds = 0;
  assert_int_equal(rn_sys_recv(f->pair[0], &m, sizeof(m), &len, NULL, &no_fds), RN_OK);
  assert_int_equal(m.type, RN_PARENT_OPEN);
  return m.arg;
}

/* Hands over a configuration with these sections more, and the node's certificate and key. */
static void begin_load(struct fix *f, const char *sections, const struct pem_pair *p) {
  char text[512];
  fix_init(f);
  int n = snprintf(text, sizeof(text), "port: {interface: eth0}\n%s", sections);
  int config = pem_file(text, (size_t)n);
  hand_over(f, config);
  hand_over(f, p->cert_fd);
  hand_over(f, p->key_fd);
  close(config);
}

static int end_load(struct fix *f) {
  const struct rn_startup_source src = { .channel = f->pair[1], .config_path = "test" };
  int err = rn_startup_load(&src, &f->s);
  assert_int_equal(asked(f), RN_PARENT_FILE_CONFIG);
  assert_int_equal(asked(f), RN_PARENT_FILE_CERT);
  assert_int_equal(asked(f), RN_PARENT_FILE_KEY);
  return err;
}

static void load_free(struct fix *f) {
  rn_startup_free(&f->s);
  fix_close(f);
}

static void same_text(int fd, const char *pem, size_t bytes) {
  static char text[65536];
  ssize_t n = pread(fd, text, sizeof(text), 0);
  assert_true(n > 0);
  assert_int_equal(bytes, n);
  assert_memory_equal(pem, text, bytes);
}

#define TLS    "tls: {cert: a, key: b}\n"
#define TLS_CA "tls: {cert: a, key: b, ca: c}\n"

static void peers_are_trusted_by_the_best_there_is(void **state) {
  (void)state;
  struct pem_pair own, ca, peers;
  struct fix f;
  pem_pair_make(&own, "EC", 0, "P-256");
  pem_pair_make(&ca, "EC", 0, "P-256");
  pem_pair_make(&peers, "EC", 0, "P-256");

  begin_load(&f, TLS_CA "cluster: {enabled: true, ca: d}\n", &own);
  hand_over(&f, ca.cert_fd);
  hand_over(&f, peers.cert_fd);
  assert_int_equal(end_load(&f), RN_OK);
  assert_int_equal(asked(&f), RN_PARENT_FILE_CA);
  assert_int_equal(asked(&f), RN_PARENT_FILE_PEER_CA);
  same_text(ca.cert_fd, f.s.ca_pem, f.s.ca_bytes);
  same_text(peers.cert_fd, f.s.peer_ca_pem, f.s.peer_ca_bytes);
  load_free(&f);

  begin_load(&f, TLS_CA "cluster: {enabled: true}\n", &own);
  hand_over(&f, ca.cert_fd);
  assert_int_equal(end_load(&f), RN_OK);
  same_text(ca.cert_fd, f.s.peer_ca_pem, f.s.peer_ca_bytes);
  load_free(&f);

  begin_load(&f, TLS "cluster: {enabled: true}\n", &own);
  assert_int_equal(end_load(&f), RN_OK);
  assert_null(f.s.ca_pem);
  same_text(own.cert_fd, f.s.peer_ca_pem, f.s.peer_ca_bytes);
  load_free(&f);

  begin_load(&f, TLS_CA "cluster: {ca: d}\n", &own); /* not enabled */
  hand_over(&f, ca.cert_fd);
  assert_int_equal(end_load(&f), RN_OK);
  assert_null(f.s.peer_ca_pem);
  assert_int_equal(f.s.peer_ca_bytes, 0);
  load_free(&f);
  pem_pair_close(&own);
  pem_pair_close(&ca);
  pem_pair_close(&peers);
}

static void anchors_that_cannot_be_read_are_an_error(void **state) {
  (void)state;
  struct pem_pair own;
  struct fix f;
  pem_pair_make(&own, "EC", 0, "P-256");
  begin_load(&f, TLS "cluster: {enabled: true, ca: d}\n", &own);
  refuse(&f, RN_ERR_SYS, "No such file or directory");
  assert_int_equal(end_load(&f), RN_ERR_CONFIG);
  load_free(&f);
  begin_load(&f, TLS "cluster: {enabled: true, ca: d}\n", &own);
  hand_over(&f, own.key_fd); /* no certificate */
  assert_int_equal(end_load(&f), RN_ERR_CONFIG);
  load_free(&f);
  pem_pair_close(&own);
}

#define STATE "cluster: {enabled: true, state_file: s}\n"

static void state_file_is_read_and_never_an_error(void **state) {
  (void)state;
  struct pem_pair own;
  struct fix f;
  pem_pair_make(&own, "EC", 0, "P-256");
  begin_load(&f, TLS STATE, &own);
  int fd = pem_file("members", 7);
  hand_over(&f, fd);
  assert_int_equal(end_load(&f), RN_OK);
  assert_int_equal(asked(&f), RN_PARENT_FILE_STATE);
  assert_int_equal(f.s.state_bytes, 7);
  assert_memory_equal(f.s.state, "members", 7);
  load_free(&f);

  begin_load(&f, TLS STATE, &own);
  refuse(&f, RN_ERR_NOENT, "No such file or directory");
  assert_int_equal(end_load(&f), RN_OK);
  assert_null(f.s.state);
  load_free(&f);

  begin_load(&f, TLS STATE, &own);
  refuse(&f, RN_ERR_SYS, "Permission denied");
  assert_int_equal(end_load(&f), RN_OK);
  assert_null(f.s.state);
  load_free(&f);

  begin_load(&f, TLS STATE, &own);
  assert_int_equal(ftruncate(fd, RN_PARENT_SAVE_MAX + 1), 0);
  hand_over(&f, fd);
  assert_int_equal(end_load(&f), RN_OK);
  assert_null(f.s.state);
  load_free(&f);

  begin_load(&f, TLS "cluster: {state_file: s}\n", &own); /* not enabled */
  assert_int_equal(end_load(&f), RN_OK);
  assert_null(f.s.state);
  struct rn_parent_msg m;
  size_t len, no_fds = 0;
  assert_int_equal(rn_sys_recv(f.pair[0], &m, sizeof(m), &len, NULL, &no_fds), RN_ERR_AGAIN);
  load_free(&f);
  close(fd);
  pem_pair_close(&own);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(end_of_the_data_plane_is_no_answer),
    cmocka_unit_test(hello_is_corrected_by_it),
    cmocka_unit_test(what_is_neither_is_refused),
    cmocka_unit_test(peers_are_trusted_by_the_best_there_is),
    cmocka_unit_test(state_file_is_read_and_never_an_error),
    cmocka_unit_test(anchors_that_cannot_be_read_are_an_error),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
