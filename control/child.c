/* control/child.c */
#include "control/child.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void rn_child_init(struct rn_child *c, const char *name) {
  *c = (struct rn_child){ .name = name, .pidfd = -1 };
}

void rn_child_started(struct rn_child *c, pid_t pid, int pidfd, uint64_t now_ns) {
  c->pid = pid;
  c->pidfd = pidfd;
  c->starts++;
  c->started_ns = now_ns;
}

void rn_child_ended(struct rn_child *c, uint64_t now_ns) {
  if (c->pidfd >= 0)
    close(c->pidfd);
  c->pid = 0;
  c->pidfd = -1;
  if (now_ns - c->started_ns >= RN_CHILD_STEADY_NS)
    c->backoff_ns = 0;
  c->start_from_ns = now_ns + c->backoff_ns;
  uint64_t next_ns = c->backoff_ns == 0 ? RN_CHILD_PAUSE_FIRST_NS : 2 * c->backoff_ns;
  c->backoff_ns = next_ns < RN_CHILD_PAUSE_LAST_NS ? next_ns : RN_CHILD_PAUSE_LAST_NS;
}

void rn_child_failed(struct rn_child *c, uint64_t now_ns) {
  c->started_ns = now_ns;
  rn_child_ended(c, now_ns);
}

bool rn_child_running(const struct rn_child *c) { return c->pid != 0; }

const char *rn_child_status_text(int status, char *out, size_t cap) {
  if (WIFEXITED(status))
    snprintf(out, cap, "exited with status %d", WEXITSTATUS(status));
  else if (WIFSIGNALED(status))
    snprintf(out, cap, "was killed by signal %d (%s)%s", WTERMSIG(status),
             strsignal(WTERMSIG(status)), WCOREDUMP(status) ? ", core dumped" : "");
  else
    snprintf(out, cap, "ended with wait status %d", status);
  return out;
}
