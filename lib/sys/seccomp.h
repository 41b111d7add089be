/* lib/sys/seccomp.h: a filter of system calls, made of a table that gives a reason for each. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* One allowed system call. arg_idx -1: with any arguments; else only when argument arg_idx (0..5)
 * equals arg (all 64 bits). Several entries for one call allow any of them. */
struct rn_sys_call {
  int nr; /* __NR_... */
  int arg_idx;
  uint64_t arg;
  const char *reason;
};
#define RN_SYS_CALL(name, why)                { __NR_##name, -1, 0, why }
#define RN_SYS_CALL_IF(name, idx, value, why) { __NR_##name, (idx), (value), why }

enum rn_sys_deny {
  RN_SYS_DENY_KILL,  /* the process ends with SIGSYS */
  RN_SYS_DENY_EPERM, /* the call fails */
};

#define RN_SYS_CALLS_MAX 128u

/* Allows the table's calls, nothing else, for all threads of the process, for ever. Sets
 * no_new_privs. x86-64 and aarch64 only; calls of another architecture's ABI are denied. RN_OK,
 * RN_ERR_INVAL, or RN_ERR_SYS (the kernel has no seccomp: errno says). */
int rn_sys_seccomp(const struct rn_sys_call *table, size_t count, enum rn_sys_deny deny);
