/* dataplane/sandbox.c: the system calls an lcore may make, and why. */
#include "dataplane/sandbox.h"
#include "sys/privs.h"
#include "sys/seccomp.h"
#include "util/err.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct rn_sys_call allowed[] = {
  /* port */
  RN_SYS_CALL(sendto, "the af_packet driver starts transmission of what lies in its ring"),
  RN_SYS_CALL(poll, "the af_packet driver waits for room in its transmit ring"),
  RN_SYS_CALL(getsockopt, "frames the kernel lost; the error of an interface that went down"),
  RN_SYS_CALL(recvfrom, "rtnetlink: changes of the interface's addresses; sendto asks for them"),
  /* idling */
  RN_SYS_CALL(ppoll, "sleep until a frame, a message or a timer"),
  RN_SYS_CALL(sched_yield, "give the core away when there is no work"),
  RN_SYS_CALL(read, "clear the doorbell; interrupt thread of EAL"),
  RN_SYS_CALL(write, "ring control's doorbell; log lines"),
  RN_SYS_CALL(epoll_wait, "interrupt thread of EAL waits for ever"),
  RN_SYS_CALL(recvmsg, "multi-process thread of EAL waits for ever"),
  RN_SYS_CALL(futex, "locks within libc and OpenSSL"),
  /* handshakes */
  RN_SYS_CALL(getrandom, "connection IDs, nonces, TLS"),
  RN_SYS_CALL(getpid, "OpenSSL's random generator looks for forks"),
  RN_SYS_CALL(rt_sigprocmask, "OpenSSL's paused jobs switch contexts"),
  RN_SYS_CALL(rt_sigaction, "libc"),
  RN_SYS_CALL(rt_sigreturn, "return from the SIGTERM handler"),
  RN_SYS_CALL(clock_gettime, "log lines and certificate times where there is no vDSO clock"),
  RN_SYS_CALL(gettimeofday, "the same"),
  RN_SYS_CALL(brk, "memory of TLS connections"),
  RN_SYS_CALL(mmap, "the same, and stacks of paused jobs"),
  RN_SYS_CALL(mprotect, "the same"),
  RN_SYS_CALL(munmap, "the same"),
  RN_SYS_CALL(mremap, "the same"),
  RN_SYS_CALL(madvise, "the same"),
  /* end */
  RN_SYS_CALL(exit, "a thread ends"),
  RN_SYS_CALL(exit_group, "the process ends"),
  RN_SYS_CALL(close, "descriptors at the end"),
  RN_SYS_CALL(restart_syscall, "a sleep was interrupted"),
  RN_SYS_CALL(tgkill, "abort() after a failed assertion"),
  RN_SYS_CALL(gettid, "the same"),
};

/* ---- capabilities ----
 *
 * They belong to threads. A change of user clears those of all threads, but a node may be configured to stay who it is, and then DPDK's threads
 * would keep what they were started with: each is told by a signal to drop its own. */

#define DROP_SIGNAL (SIGRTMIN + 1)
#define WAIT_MS     1000

static _Atomic unsigned int dropped;

static void on_drop(int sig) {
  (void)sig;
  (void)rn_sys_drop_caps(); /* seen below if it failed */
  atomic_fetch_add(&dropped, 1);
}

/* Calls fn for every thread but the calling one; returns how many there were, or -1. */
static int each_other_thread(int (*fn)(pid_t tid)) {
  DIR *dir = opendir("/proc/self/task");
  int count = 0;
  if (dir == NULL)
    return -1;
  for (struct dirent *e; (e = readdir(dir)) != NULL && count >= 0;) {
    pid_t tid = (pid_t)atoi(e->d_name);
    if (tid > 0 && tid != gettid())
      count = fn(tid) == 0 ? count + 1 : -1;
  }
  closedir(dir);
  return count;
}

static int tell(pid_t tid) { return tgkill(getpid(), tid, DROP_SIGNAL); }

/* 0 when the thread has no capability. */
static int look(pid_t tid) {
  char path[64], line[128];
  unsigned long long caps = 1;
  snprintf(path, sizeof(path), "/proc/self/task/%d/status", (int)tid);
  FILE *f = fopen(path, "r");
  while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
    if (sscanf(line, "CapPrm: %llx", &caps) == 1)
      break;
  }
  if (f != NULL)
    fclose(f);
  return caps == 0 ? 0 : -1;
}

static int drop_all_caps(void) {
  const struct sigaction sa = { .sa_handler = on_drop, .sa_flags = SA_RESTART };
  if (sigaction(DROP_SIGNAL, &sa, NULL) != 0 || rn_sys_drop_caps() != RN_OK)
    return RN_ERR_SYS;
  int others = each_other_thread(tell);
  for (int ms = 0; ms < WAIT_MS && others > 0 && atomic_load(&dropped) < (unsigned int)others; ms++)
    usleep(1000);
  signal(DROP_SIGNAL, SIG_IGN);
  return others >= 0 && each_other_thread(look) == others ? RN_OK : RN_ERR_SYS;
}

int rn_sandbox_enter(uint32_t uid, uint32_t gid, int seccomp, char *why, size_t why_bytes) {
  if (rn_sys_become(uid, gid) != RN_OK) {
    snprintf(why, why_bytes, "cannot become user %u, group %u: %s", uid, gid, strerror(errno));
    return RN_ERR_SYS;
  }
  if (drop_all_caps() != RN_OK || rn_sys_not_dumpable() != RN_OK) {
    snprintf(why, why_bytes, "capabilities could not be dropped on every thread");
    return RN_ERR_SYS;
  }
  if (seccomp &&
      rn_sys_seccomp(allowed, sizeof(allowed) / sizeof(allowed[0]), RN_SYS_DENY_EPERM) != RN_OK) {
    snprintf(why, why_bytes, "seccomp filter: %s", strerror(errno));
    return RN_ERR_SYS;
  }
  return RN_OK;
}
