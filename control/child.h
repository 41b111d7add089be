/* control/child.h: when a process of the node is started again. Time is an argument; rpcnetd's one thread uses it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct rn_child {
  const char *name; /* of its program */
  pid_t pid;        /* 0: not running */
  int pidfd;        /* -1: not running */
  uint32_t starts;
  uint64_t started_ns;
  uint64_t backoff_ns;    /* the pause before the next start */
  uint64_t start_from_ns; /* not before this moment */
};

/* Pauses: none after a process that ran for RN_CHILD_STEADY_NS, then doubling from the first to the last. */
#define RN_CHILD_PAUSE_FIRST_NS 50000000ull
#define RN_CHILD_PAUSE_LAST_NS  800000000ull
#define RN_CHILD_STEADY_NS      1000000000ull

void rn_child_init(struct rn_child *c, const char *name);
void rn_child_started(struct rn_child *c, pid_t pid, int pidfd, uint64_t now_ns);
/* It ended: closes pidfd, and sets start_from_ns. */
void rn_child_ended(struct rn_child *c, uint64_t now_ns);
/* It could not even be started: the same pause. */
void rn_child_failed(struct rn_child *c, uint64_t now_ns);
bool rn_child_running(const struct rn_child *c);

/* What waitpid said, in words: "exited with status 1", "was killed by signal 9 (Killed)". Returns out. */
const char *rn_child_status_text(int status, char *out, size_t cap);
