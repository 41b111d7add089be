/* lib/sys/seccomp.c: a table of calls to a classic BPF program.
 *
 *   A = arch;  not ours: kill
 *   A = nr;    above the x32 bit: kill
 *   per entry: nr != entry ? next : (argument matches ? ALLOW : next)
 *   deny
 *
 * The program stays linear: it is run by the kernel in a few hundred ns at worst, and the processes
 * that use it make few calls. */
#include "sys/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/err.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#define NR_END   0x40000000u /* the x32 ABI's calls start here */
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#define NR_END   0xffffffffu
#else
#error "seccomp: architecture not known"
#endif

#define ARG_LOW(i)  (uint32_t)(offsetof(struct seccomp_data, args) + (i) * sizeof(uint64_t))
#define ARG_HIGH(i) (ARG_LOW(i) + 4) /* both architectures are little-endian */

/* arch and nr (6), five to seven per entry, the verdict. */
#define PROG_MAX (6 + 7 * RN_SYS_CALLS_MAX + 1)

struct prog {
  struct sock_filter code[PROG_MAX];
  unsigned short len;
};

static void emit(struct prog *p, struct sock_filter f) { p->code[p->len++] = f; }

static void load(struct prog *p, uint32_t off) {
  emit(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, off));
}

static void ret(struct prog *p, uint32_t verdict) {
  emit(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict));
}

static void skip_unless_equal(struct prog *p, uint32_t value, uint8_t skip) {
  emit(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip));
}

static void emit_call(struct prog *p, const struct rn_sys_call *c) {
  bool with_arg = c->arg_idx >= 0;
  skip_unless_equal(p, (uint32_t)c->nr, with_arg ? 6 : 1);
  if (with_arg) {
    load(p, ARG_LOW((unsigned int)c->arg_idx));
    skip_unless_equal(p, (uint32_t)c->arg, 3);
    load(p, ARG_HIGH((unsigned int)c->arg_idx));
    skip_unless_equal(p, (uint32_t)(c->arg >> 32), 1);
  }
  ret(p, SECCOMP_RET_ALLOW);
  if (with_arg)
    load(p, offsetof(struct seccomp_data, nr)); /* the argument took its place */
}

int rn_sys_seccomp(const struct rn_sys_call *table, size_t count, enum rn_sys_deny deny) {
  if (count > RN_SYS_CALLS_MAX)
    return RN_ERR_INVAL;
  for (size_t i = 0; i < count; i++) {
    if (table[i].nr < 0 || table[i].arg_idx < -1 || table[i].arg_idx > 5 || table[i].reason == NULL)
      return RN_ERR_INVAL;
  }
  struct prog p = { .len = 0 };
  load(&p, offsetof(struct seccomp_data, arch));
  skip_unless_equal(&p, OUR_ARCH, 2);
  load(&p, offsetof(struct seccomp_data, nr));
  emit(&p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, NR_END, 0, 1));
  ret(&p, SECCOMP_RET_KILL_PROCESS);
  for (size_t i = 0; i < count; i++)
    emit_call(&p, &table[i]);
  ret(&p, deny == RN_SYS_DENY_KILL ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM);

  struct sock_fprog prog = { .len = p.len, .filter = p.code };
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog) != 0)
    return RN_ERR_SYS;
  return RN_OK;
}
