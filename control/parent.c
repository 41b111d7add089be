/* control/parent.c: the poll loop, and what follows from a child's end. */
#include "control/parent.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/channel.h"
#include "sys/clock.h"
#include "sys/event.h"
#include "sys/log.h"
#include "sys/process.h"
#include "util/err.h"

void rn_parent_send(struct rn_parent *p, const struct rn_parent_msg *m, const int *fds,
                    size_t fd_count) {
  if (p->channel < 0)
    return;
  int err = rn_sys_send(p->channel, m, sizeof(*m), fds, fd_count);
  if (err != RN_OK && err != RN_ERR_CLOSED)
    rn_warn("message %s to rpcnet-control is lost: %s", rn_parent_type_name(m->type),
            rn_err_text(err));
}

void rn_parent_drop_fds(struct rn_parent *p) {
  for (uint32_t i = 0; i < p->dp_fd_count; i++)
    close(p->dp_fds[i]);
  p->dp_fd_count = 0;
  p->start_wanted = false;
}

static int start_control(struct rn_parent *p, uint64_t now_ns) {
  int pair[2], pidfd;
  pid_t pid;
  if (rn_sys_channel(pair) != RN_OK)
    return RN_ERR_SYS;
  char *argv[] = { (char *)(uintptr_t)"rpcnet-control", (char *)(uintptr_t)"--config",
                   (char *)(uintptr_t)p->config_name, NULL };
  const int fds[] = { pair[1], p->admin_fd, p->http_fd };
  bool root = geteuid() == 0;
  const struct rn_sys_spawn s = { .path = p->control_path,
                                  .argv = argv,
                                  .fds = fds,
                                  .fd_count = p->http_fd >= 0 ? 3 : 2,
                                  .uid = root ? p->cfg.node.control_uid : 0,
                                  .gid = root ? p->cfg.node.control_gid : 0 };
  int err = rn_sys_spawn(&s, &pid, &pidfd);
  close(pair[1]);
  if (err != RN_OK) {
    rn_error("cannot start %s: %s", p->control_path, strerror(errno));
    close(pair[0]);
    return err;
  }
  rn_child_started(&p->control, pid, pidfd, now_ns);
  p->channel = pair[0];
  rn_info("%s started, pid %d", p->control.name, pid);
  struct rn_parent_msg hello = { .type = RN_PARENT_HELLO,
                                 .starts = p->dataplane.starts,
                                 .privileged = root };
  memcpy(hello.seed, p->seed, sizeof(hello.seed));
  bool running = rn_child_running(&p->dataplane);
  if (running) {
    hello.arg = p->dp_fd_count - 2;
    hello.pid = (uint32_t)p->dataplane.pid;
  }
  rn_parent_send(p, &hello, p->dp_fds, running ? p->dp_fd_count : 0);
  return RN_OK;
}

struct rn_mandate rn_parent_mandate(const struct rn_config *cfg, bool root) {
  struct rn_mandate m = { .uid = root ? cfg->node.dataplane_uid : 0,
                          .gid = root ? cfg->node.dataplane_gid : 0,
                          .sandbox = cfg->node.sandbox,
                          .driver = cfg->port.driver };
  snprintf(m.interface, sizeof(m.interface), "%s", cfg->port.interface);
  return m;
}

int rn_parent_start_dataplane(struct rn_parent *p, uint64_t now_ns) {
  char mandate[RN_MANDATE_TEXT_BYTES];
  const struct rn_mandate m = rn_parent_mandate(&p->cfg, geteuid() == 0);
  rn_mandate_text(&m, mandate);
  char *argv[] = { (char *)(uintptr_t)"rpcnet-dataplane", (char *)(uintptr_t)"--mandate", mandate,
                   NULL };
  /* It opens its port with our privileges and then gives them up itself: sandbox.c of the data plane. That it does so, and which port, is not left to the
   * description, which is control's. */
  const struct rn_sys_spawn s = { .path = p->dataplane_path,
                                  .argv = argv,
                                  .fds = p->dp_fds,
                                  .fd_count = p->dp_fd_count,
                                  .keep_caps = true };
  pid_t pid;
  int pidfd;
  p->start_wanted = false;
  int err = rn_sys_spawn(&s, &pid, &pidfd);
  struct rn_parent_msg r = { .type = RN_PARENT_REPLY, .arg = RN_PARENT_START, .status = err };
  if (err == RN_OK) {
    rn_child_started(&p->dataplane, pid, pidfd, now_ns);
    rn_info("%s started, pid %d", p->dataplane.name, pid);
    r.pid = (uint32_t)pid;
  } else {
    rn_error("cannot start %s: %s", p->dataplane_path, strerror(errno));
    rn_parent_drop_fds(p);
  }
  r.starts = p->dataplane.starts;
  rn_parent_send(p, &r, NULL, 0);
  return err;
}

/* ---- ends ---- */

static void end_control(struct rn_parent *p, uint64_t now_ns) {
  if (!rn_child_running(&p->control))
    return;
  (void)rn_sys_pidfd_kill(p->control.pidfd, SIGTERM);
  p->control_kill_at_ns = now_ns + RN_NS_PER_S;
}

/* How long control may let calls finish, and before that tell others that we go. */
static uint64_t drain_ns(const struct rn_parent *p) {
  return p->cfg.node.drain_timeout_ns + (p->cfg.cluster.enabled ? RN_DRAIN_ANNOUNCE_NS : 0);
}

void rn_parent_shutdown(struct rn_parent *p, int exit_status) {
  uint64_t now_ns = rn_sys_now_ns();
  if (p->stopping)
    return;
  p->stopping = true;
  p->exit_status = exit_status;
  rn_sys_notify("STOPPING=1\nSTATUS=closing connections");
  if (!rn_child_running(&p->dataplane)) {
    rn_parent_drop_fds(p);
    end_control(p, now_ns);
    return;
  }
  p->dp_kill_at_ns = now_ns + RN_PARENT_KILL_NS;
  if (rn_child_running(&p->control)) {
    const struct rn_parent_msg m = { .type = RN_PARENT_SHUTDOWN,
                                     .within_ms = (uint32_t)(RN_PARENT_TERM_NS / RN_NS_PER_MS) };
    rn_parent_send(p, &m, NULL, 0);
    p->dp_term_at_ns = now_ns + RN_PARENT_TERM_NS;
    p->drained_by_ns = now_ns + drain_ns(p);
  } else {
    (void)rn_sys_pidfd_kill(p->dataplane.pidfd, SIGTERM);
  }
}

int rn_parent_draining(struct rn_parent *p, uint32_t within_ms) {
  const uint64_t wanted_ns = rn_sys_now_ns() + within_ms * RN_NS_PER_MS;
  const uint64_t until_ns = wanted_ns < p->drained_by_ns ? wanted_ns : p->drained_by_ns;
  if (!p->stopping || p->drained_by_ns == 0 || !rn_child_running(&p->dataplane))
    return RN_ERR_STATE;
  p->dp_term_at_ns = until_ns + RN_PARENT_TERM_NS;
  p->dp_kill_at_ns = until_ns + RN_PARENT_KILL_NS;
  return RN_OK;
}

/* Until the node was ready once, a failure is a mistake in configuration or environment that a restart would only repeat. */
static bool final_failure(struct rn_parent *p, const struct rn_child *c, int status) {
  char text[96];
  if (p->stopping || p->ready_once)
    return false;
  rn_error("%s %s before the node was ready", c->name,
           rn_child_status_text(status, text, sizeof(text)));
  rn_parent_shutdown(p, WIFEXITED(status) && WEXITSTATUS(status) == 2 ? 2 : 1);
  return true;
}

static void log_end(const struct rn_parent *p, const struct rn_child *c, pid_t pid, int status) {
  char text[96];
  rn_child_status_text(status, text, sizeof(text));
  if (p->stopping)
    rn_info("%s (pid %d) %s", c->name, pid, text);
  else
    rn_warn("%s (pid %d) %s; starting it again", c->name, pid, text);
}

static void control_ended(struct rn_parent *p, int status, uint64_t now_ns) {
  pid_t pid = p->control.pid;
  rn_child_ended(&p->control, now_ns);
  if (p->channel >= 0)
    close(p->channel);
  p->channel = -1;
  p->control_kill_at_ns = 0;
  if (p->start_wanted)
    rn_parent_drop_fds(p); /* its successor asks again */
  if (final_failure(p, &p->control, status))
    return;
  log_end(p, &p->control, pid, status);
  if (p->stopping && rn_child_running(&p->dataplane)) { /* nobody watches the calls any more */
    (void)rn_sys_pidfd_kill(p->dataplane.pidfd, SIGTERM);
    p->dp_term_at_ns = 0;
    p->dp_kill_at_ns = now_ns + RN_PARENT_KILL_NS - RN_PARENT_TERM_NS;
  }
}

static void dataplane_ended(struct rn_parent *p, int status, uint64_t now_ns) {
  const struct rn_parent_msg m = { .type = RN_PARENT_ENDED,
                                   .status = status,
                                   .pid = (uint32_t)p->dataplane.pid,
                                   .starts = p->dataplane.starts };
  pid_t pid = p->dataplane.pid;
  rn_child_ended(&p->dataplane, now_ns);
  rn_parent_drop_fds(p);
  p->dp_kill_at_ns = p->dp_term_at_ns = 0;
  if (final_failure(p, &p->dataplane, status))
    return;
  log_end(p, &p->dataplane, pid, status);
  if (p->stopping)
    end_control(p, now_ns);
  else
    rn_parent_send(p, &m, NULL, 0);
}

/* As PID 1 of a container we are also the parent of every orphan. */
static void reap(struct rn_parent *p) {
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    if (pid == p->control.pid)
      control_ended(p, status, rn_sys_now_ns());
    else if (pid == p->dataplane.pid)
      dataplane_ended(p, status, rn_sys_now_ns());
  }
}

/* ---- the loop ---- */

static void on_signal(struct rn_parent *p, int sig) {
  if (sig == SIGHUP) {
    const struct rn_parent_msg m = { .type = RN_PARENT_RELOAD };
    rn_info("SIGHUP: reading node.secret_file again; the configuration holds until the next start");
    rn_parent_send(p, &m, NULL, 0);
  } else if (sig == SIGTERM || sig == SIGINT) {
    if (p->stopping) { /* asked twice: at once */
      p->dp_kill_at_ns = p->dp_kill_at_ns != 0 ? 1 : 0;
      p->control_kill_at_ns = p->control_kill_at_ns != 0 ? 1 : 0;
    } else {
      rn_info("%s: ending", strsignal(sig));
    }
    rn_parent_shutdown(p, 0);
  }
}

static void on_channel(struct rn_parent *p) {
  while (p->channel >= 0) {
    struct rn_parent_msg m;
    int fds[2 + RN_TOPO_LCORES_MAX];
    size_t len, fd_count = sizeof(fds) / sizeof(fds[0]);
    int err = rn_sys_recv(p->channel, &m, sizeof(m), &len, fds, &fd_count);
    if (err == RN_ERR_TOOBIG || (err == RN_OK && len != sizeof(m))) {
      rn_warn("refused a malformed request of rpcnet-control");
      for (size_t i = 0; err == RN_OK && i < fd_count; i++)
        close(fds[i]);
      continue;
    }
    if (err != RN_OK)
      return; /* nothing more, or control is about to end */
    rn_parent_request(p, &m, fds, fd_count);
  }
}

/* Control closed its end: it is ending, or it has lost its way. Either way this instance is over. */
static void on_hangup(struct rn_parent *p) {
  close(p->channel);
  p->channel = -1;
  if (rn_child_running(&p->control))
    p->control_kill_at_ns = rn_sys_now_ns() + RN_NS_PER_S;
}

static bool due(uint64_t *at_ns, uint64_t now_ns) {
  if (*at_ns == 0 || now_ns < *at_ns)
    return false;
  *at_ns = 0;
  return true;
}

static void on_time(struct rn_parent *p, uint64_t now_ns) {
  if (due(&p->dp_term_at_ns, now_ns) && rn_child_running(&p->dataplane))
    (void)rn_sys_pidfd_kill(p->dataplane.pidfd, SIGTERM);
  if (due(&p->dp_kill_at_ns, now_ns) && rn_child_running(&p->dataplane)) {
    rn_warn("%s does not end: killing it", p->dataplane.name);
    (void)rn_sys_pidfd_kill(p->dataplane.pidfd, SIGKILL);
  }
  if (due(&p->control_kill_at_ns, now_ns) && rn_child_running(&p->control))
    (void)rn_sys_pidfd_kill(p->control.pidfd, SIGKILL);
  if (p->stopping)
    return;
  if (!rn_child_running(&p->control) && now_ns >= p->control.start_from_ns &&
      start_control(p, now_ns) != RN_OK) {
    if (!p->ready_once)
      rn_parent_shutdown(p, 1);
    else
      rn_child_failed(&p->control, now_ns);
  }
  if (p->start_wanted && now_ns >= p->dataplane.start_from_ns &&
      rn_parent_start_dataplane(p, now_ns) != RN_OK && !p->ready_once)
    rn_parent_shutdown(p, 1);
}

/* Milliseconds until on_time has something to do; -1: never. */
static int timeout_ms(const struct rn_parent *p, uint64_t now_ns) {
  uint64_t at_ns = UINT64_MAX;
  const uint64_t set[] = {
    p->dp_term_at_ns,
    p->dp_kill_at_ns,
    p->control_kill_at_ns,
    !p->stopping && !rn_child_running(&p->control) ? p->control.start_from_ns : 0,
    p->start_wanted ? p->dataplane.start_from_ns + 1 : 0,
  };
  for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++) {
    if (set[i] != 0 && set[i] < at_ns)
      at_ns = set[i];
  }
  if (at_ns == UINT64_MAX)
    return -1;
  return at_ns <= now_ns ? 0 : (int)((at_ns - now_ns) / RN_NS_PER_MS) + 1;
}

int rn_parent_run(struct rn_parent *p) {
  on_time(p, rn_sys_now_ns());
  while (!p->stopping || rn_child_running(&p->control) || rn_child_running(&p->dataplane)) {
    struct pollfd fds[] = { { .fd = p->signal_fd, .events = POLLIN },
                            { .fd = p->channel, .events = POLLIN } };
    int n = poll(fds, 2, timeout_ms(p, rn_sys_now_ns()));
    if (n < 0 && errno != EINTR)
      return 1;
    /* Requests first: what control sent before it ended still counts. */
    if (fds[1].revents != 0)
      on_channel(p);
    if ((fds[1].revents & (POLLHUP | POLLERR)) != 0)
      on_hangup(p);
    for (int sig; (sig = rn_sys_signal_next(p->signal_fd)) != 0;)
      on_signal(p, sig);
    reap(p);
    on_time(p, rn_sys_now_ns());
  }
  return p->exit_status;
}
