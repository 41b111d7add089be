/* control/sandbox.c: each call with what it is for. There is no execve, no socket, no connect, no ptrace, no open for writing: who takes control over
 * has its memory and its descriptors, and can reach nothing else. */
#include "control/sandbox.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include "sys/seccomp.h"

static const struct rn_sys_call calls[] = {
  /* the event loop */
  RN_SYS_CALL(epoll_pwait, "libuv waits"),
#ifdef __NR_epoll_wait
  RN_SYS_CALL(epoll_wait, "the same, on architectures that have it"),
#endif
  RN_SYS_CALL(epoll_create1, "libuv begins"),
  RN_SYS_CALL(eventfd2, "the same; doorbells"),
  RN_SYS_CALL(pipe2, "the same, for signals"),
  RN_SYS_CALL(uname, "the same: which kernel it has"),
  RN_SYS_CALL(listen, "the admin socket, which rpcnetd bound"),
  RN_SYS_CALL(epoll_ctl, "clients come and go"),
  RN_SYS_CALL(read, "doorbells, admin requests, libuv's own eventfd and pipes"),
  RN_SYS_CALL(write, "doorbells, log lines, admin answers"),
  RN_SYS_CALL(writev, "admin answers"),
  RN_SYS_CALL(accept4, "admin clients"),
  RN_SYS_CALL(close, "admin clients, regions that ended"),
  RN_SYS_CALL(ioctl, "libuv asks what kind of descriptor it has"),
  RN_SYS_CALL(getsockopt, "the same"),
  RN_SYS_CALL(getsockname, "the same"),
  RN_SYS_CALL(fcntl, "the same; seals of regions"),
  RN_SYS_CALL(fstat, "size of a region; stdio"),
  RN_SYS_CALL(newfstatat, "the same in newer C libraries"),
  /* HTTP */
  RN_SYS_CALL(setsockopt, "libmicrohttpd: when a segment goes out"),
  RN_SYS_CALL(recvfrom, "HTTP requests"),
  RN_SYS_CALL(sendto, "HTTP answers; is an admin client still there"),
  RN_SYS_CALL(shutdown, "HTTP connections that end, or are late"),
  /* rpcnetd and the data plane */
  RN_SYS_CALL(sendmsg, "requests to rpcnetd, with descriptors"),
  RN_SYS_CALL(recvmsg, "its answers"),
  RN_SYS_CALL(memfd_create, "the next region"),
  RN_SYS_CALL(ftruncate, "its size"),
  RN_SYS_CALL(mmap, "regions, memory, stacks of worker threads"),
  RN_SYS_CALL(munmap, "the same"),
  RN_SYS_CALL(mprotect, "stacks of worker threads"),
  RN_SYS_CALL(madvise, "regions stay out of core dumps; the allocator gives memory back"),
  RN_SYS_CALL(mremap, "the allocator grows a block"),
  RN_SYS_CALL(brk, "the allocator"),
  RN_SYS_CALL(munlock, "memory for secrets is freed at the end"),
  /* worker threads for slow signatures */
  RN_SYS_CALL(clone3, "libuv starts them with the first slow signature"),
#ifdef __NR_clone
  RN_SYS_CALL(clone, "the same in older C libraries"),
#endif
  RN_SYS_CALL(set_robust_list, "a thread begins"),
  RN_SYS_CALL(rseq, "the same"),
  RN_SYS_CALL(sched_getaffinity, "the same, in newer libuv"),
  RN_SYS_CALL(prctl, "the same: its name"),
  RN_SYS_CALL(futex, "locks between them"),
  RN_SYS_CALL(exit, "a thread ends"),
  RN_SYS_CALL(getrandom, "nonces of ECDSA, salts of RSA-PSS"),
  /* time, signals, the end */
  RN_SYS_CALL(clock_gettime, "where the vDSO cannot answer"),
  RN_SYS_CALL(rt_sigaction, "libuv's signal handling"),
  RN_SYS_CALL(rt_sigprocmask, "the same"),
  RN_SYS_CALL(rt_sigreturn, "the same"),
  RN_SYS_CALL(restart_syscall, "after SIGSTOP and SIGCONT"),
  RN_SYS_CALL(getpid, "the status answer; OpenSSL sees forks"),
  RN_SYS_CALL(getppid, "the status answer"),
  RN_SYS_CALL(gettid, "abort"),
  RN_SYS_CALL(tgkill, "abort"),
  RN_SYS_CALL(exit_group, "the end"),
  /* the status answer reads /proc/PID/stat: read only */
  RN_SYS_CALL_IF(openat, 2, O_RDONLY | O_CLOEXEC, "/proc/PID/stat of the node's processes"),
};

int rn_control_sandbox(void) {
  return rn_sys_seccomp(calls, sizeof(calls) / sizeof(calls[0]), RN_SYS_DENY_EPERM);
}
