/* tests/unit/bpf/test_pass.c: packet in, verdict, packet out, by BPF_PROG_TEST_RUN; then the loader on a device of its own. Needs CAP_SYS_ADMIN (or
 * CAP_BPF and CAP_NET_ADMIN): skipped without. */
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "control/bpf/loader.h"
#include "rn_test.h"
#include "util/err.h"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include "pass.skel.h"
#pragma GCC diagnostic pop

#define SKIPPED 77

struct row {
  const char *name;
  const char *hex;
  uint32_t verdict;
};

static const struct row rows[] = {
  { "UDP",
    "020000000002020000000009080045000021000040004011"
    "26c00a0000090a0000029c401f90000d000068656c6c6f",
    XDP_PASS },
  { "ARP", "ffffffffffff020000000009080600010800060400010200000000090a0000090000000000000a000002",
    XDP_PASS },
  { "only a header", "02000000000202000000000988cc", XDP_PASS },
};

static void passes_every_frame_unchanged(void **state) {
  (void)state;
  struct rn_pass *skel = rn_pass__open_and_load();
  assert_non_null(skel);
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
    uint8_t in[256] = { 0 }, out[512];
    uint32_t len = (uint32_t)rn_test_unhex(rows[i].hex, in, sizeof(in));
    LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = len, .data_out = out,
                .data_size_out = sizeof(out));
    if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.rn_pass), &opts) != 0)
      fail_msg("%s: %s", rows[i].name, strerror(errno));
    if (opts.retval != rows[i].verdict)
      fail_msg("%s: verdict %u", rows[i].name, opts.retval);
    assert_int_equal(opts.data_size_out, len);
    assert_memory_equal(out, in, len);
  }
  rn_pass__destroy(skel);
}

/* The id of the XDP program on the interface, 0: none. */
static uint32_t program_on(const char *interface) {
  LIBBPF_OPTS(bpf_xdp_query_opts, opts);
  assert_int_equal(bpf_xdp_query((int)if_nametoindex(interface), 0, &opts), 0);
  return opts.prog_id;
}

static void stays_while_its_descriptor_is_open(void **state) {
  (void)state;
  struct rn_bpf_links *l = NULL;
  char why[256] = "";
  assert_int_equal(rn_bpf_attach("rnt0", &l, why, sizeof(why)), RN_OK);
  assert_int_equal(rn_bpf_kind(l), RN_BPF_NATIVE);
  assert_int_not_equal(program_on("rnt0"), 0);
  int kept = dup(rn_bpf_link_fd(l));
  rn_bpf_release(l);
  assert_int_not_equal(program_on("rnt0"), 0);
  close(kept);
  assert_int_equal(program_on("rnt0"), 0);
}

static void a_second_program_is_refused(void **state) {
  (void)state;
  struct rn_bpf_links *l = NULL, *other = NULL;
  char why[256] = "";
  assert_int_equal(rn_bpf_attach("rnt0", &l, why, sizeof(why)), RN_OK);
  assert_int_equal(rn_bpf_attach("rnt0", &other, why, sizeof(why)), RN_ERR_EXIST);
  assert_null(other);
  assert_non_null(strstr(why, "rnt0"));
  rn_bpf_release(l);
}

static void no_interface_is_said(void **state) {
  (void)state;
  struct rn_bpf_links *l = NULL;
  char why[256] = "";
  assert_int_equal(rn_bpf_attach("rnt9", &l, why, sizeof(why)), RN_ERR_NOENT);
  assert_non_null(strstr(why, "rnt9"));
}

/* In a child without privileges. */
static void says_what_it_costs_when_not_allowed(void **state) {
  (void)state;
  pid_t pid = fork();
  if (pid == 0) {
    struct rn_bpf_links *l = NULL;
    char why[256] = "";
    _exit(setresuid(65534, 65534, 65534) == 0 &&
                  rn_bpf_attach("rnt0", &l, why, sizeof(why)) == RN_ERR_REFUSED &&
                  strstr(why, "CAP_BPF") != NULL && strstr(why, "cut") != NULL
              ? 0
              : 1);
  }
  int status = -1;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

int main(void) {
  if (unshare(CLONE_NEWNET) != 0 || system("ip link add rnt0 type veth peer name rnt1 && ip link "
                                           "set rnt0 up && ip link set rnt1 up") != 0) {
    fprintf(stderr, "skipped: network namespaces need CAP_SYS_ADMIN\n");
    return SKIPPED;
  }
  libbpf_set_print(NULL);
  struct rn_pass *skel = rn_pass__open_and_load();
  if (skel == NULL && errno == EPERM) {
    fprintf(stderr, "skipped: BPF may not be loaded here\n");
    return SKIPPED;
  }
  rn_pass__destroy(skel);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(passes_every_frame_unchanged),
    cmocka_unit_test(stays_while_its_descriptor_is_open),
    cmocka_unit_test(a_second_program_is_refused),
    cmocka_unit_test(no_interface_is_said),
    cmocka_unit_test(says_what_it_costs_when_not_allowed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
