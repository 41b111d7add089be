/* control/parent_req.c: the fixed list of what control may ask. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/file_put.h"
#include "control/parent.h"
#include "control/secret_file.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "sys/memfd.h"
#include "sys/process.h"
#include "util/err.h"

static struct rn_parent_msg reply_to(const struct rn_parent_msg *m, int status) {
  return (struct rn_parent_msg){ .type = RN_PARENT_REPLY, .arg = m->type, .status = status };
}

static const char *path_of(const struct rn_parent *p, uint32_t file) {
  switch (file) {
  case RN_PARENT_FILE_CERT:
    return p->cfg.tls.cert;
  case RN_PARENT_FILE_KEY:
    return p->cfg.tls.key;
  case RN_PARENT_FILE_CA:
    return p->cfg.tls.ca;
  case RN_PARENT_FILE_SECRET:
    return p->cfg.node.secret_file;
  case RN_PARENT_FILE_PEER_CA:
    return p->cfg.cluster.enabled ? p->cfg.cluster.ca : "";
  case RN_PARENT_FILE_STATE:
    return p->cfg.cluster.enabled ? p->cfg.cluster.state_file : "";
  default:
    return "";
  }
}

/* What is at path may be made by others than us: it has to be a file, and opening it must not wait. */
static int open_state(const char *path, struct rn_parent_msg *r) {
  struct stat st;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT)
    r->status = RN_ERR_NOENT;
  if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
    close(fd);
    errno = EINVAL;
    fd = -1;
  }
  return fd;
}

/* -1: r says why. */
static int open_named(const char *path, enum rn_parent_file file, struct rn_parent_msg *r) {
  int fd = file == RN_PARENT_FILE_STATE ? open_state(path, r)
                                        : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) {
    if (r->status == RN_OK)
      r->status = RN_ERR_SYS;
    snprintf(r->text, sizeof(r->text), "%s", strerror(errno));
    return -1;
  }
  if (file == RN_PARENT_FILE_SECRET)
    r->status = rn_secret_file_check(fd, r->text, sizeof(r->text));
  if (r->status == RN_OK)
    return fd;
  close(fd);
  return -1;
}

static int open_config(const struct rn_parent *p, struct rn_parent_msg *r) {
  int fd = lseek(p->config_fd, 0, SEEK_SET) == 0 ? fcntl(p->config_fd, F_DUPFD_CLOEXEC, 3) : -1;
  if (fd < 0) {
    r->status = RN_ERR_SYS;
    snprintf(r->text, sizeof(r->text), "%s", strerror(errno));
  }
  return fd;
}

static void do_open(struct rn_parent *p, const struct rn_parent_msg *m) {
  struct rn_parent_msg r = reply_to(m, RN_OK);
  const char *path = path_of(p, m->arg);
  int fd = -1;
  if (m->arg == RN_PARENT_FILE_CONFIG) {
    fd = open_config(p, &r);
  } else if (path[0] != '\0') {
    fd = open_named(path, m->arg, &r);
  } else {
    r.status = RN_ERR_REFUSED;
    snprintf(r.text, sizeof(r.text), "the configuration names no file number %u", m->arg);
    rn_warn("refused to open file number %u for rpcnet-control: the configuration names none",
            m->arg);
  }
  rn_parent_send(p, &r, &fd, fd >= 0 ? 1 : 0);
  if (fd >= 0)
    close(fd);
}

static void do_attach(struct rn_parent *p, const struct rn_parent_msg *m) {
  struct rn_parent_msg r = reply_to(m, RN_ERR_REFUSED);
  if (m->arg == 0) {
    r.status = rn_port_attach(&p->port, &p->cfg.port, r.text, sizeof(r.text));
    r.attached = p->port.bpf_attached;
    if (r.status == RN_OK)
      snprintf(r.text, sizeof(r.text), "%s", p->port.note);
  } else {
    rn_warn("refused to attach to port %u: there is none", m->arg);
  }
  rn_parent_send(p, &r, NULL, 0);
}

/* Takes over fds on success. */
static int do_start(struct rn_parent *p, const struct rn_parent_msg *m, const int *fds,
                    size_t fd_count) {
  size_t bytes;
  if (m->arg < 1 || m->arg > RN_TOPO_LCORES_MAX || fd_count != 2 + m->arg)
    return RN_ERR_INVAL;
  if (rn_child_running(&p->dataplane) || p->start_wanted || p->stopping)
    return RN_ERR_STATE;
  if (rn_sys_memfd_check(fds[0], &bytes) != RN_OK || bytes > RN_TOPO_REGION_MAX)
    return RN_ERR_INVAL;
  rn_parent_drop_fds(p);
  memcpy(p->dp_fds, fds, fd_count * sizeof(int));
  p->dp_fd_count = (uint32_t)fd_count;
  p->start_wanted = true; /* the loop starts it when its pause is over, and replies */
  return RN_OK;
}

static void do_stop(struct rn_parent *p, const struct rn_parent_msg *m) {
  struct rn_parent_msg r = reply_to(m, RN_ERR_STATE);
  if (rn_child_running(&p->dataplane)) {
    rn_info("ending %s: rpcnet-control asks for another start", p->dataplane.name);
    (void)rn_sys_pidfd_kill(p->dataplane.pidfd, SIGTERM);
    p->dp_kill_at_ns = rn_sys_now_ns() + RN_PARENT_KILL_NS;
    r.status = RN_OK;
  }
  rn_parent_send(p, &r, NULL, 0);
}

static void do_ready(struct rn_parent *p) {
  if (!p->ready_once) {
    rn_info("node %s is ready", p->cfg.node.name);
    rn_sys_notify("READY=1\nSTATUS=serving");
  }
  p->ready_once = true;
}

static void do_rotate(struct rn_parent *p, const struct rn_parent_msg *m) {
  struct rn_parent_msg r = reply_to(m, RN_ERR_REFUSED);
  const char *path = p->cfg.node.secret_file;
  uint32_t epoch;
  if (path[0] == '\0') {
    snprintf(r.text, sizeof(r.text), "the configuration names none");
  } else {
    r.status = rn_secret_file_rotate(path, &epoch, r.text, sizeof(r.text));
    if (r.status == RN_OK)
      rn_info("node.secret_file %s: added epoch %u", path, epoch);
  }
  rn_parent_send(p, &r, NULL, 0);
}

/* Control may still write to the memory: a copy is what counts. NULL: it is not what it should be. */
static char *copy_of(int fd, size_t bytes) {
  char *copy = malloc(bytes);
  size_t at = 0;
  while (copy != NULL && at < bytes) {
    ssize_t n = pread(fd, copy + at, bytes - at, (off_t)at);
    if (n <= 0) {
      free(copy);
      return NULL;
    }
    at += (size_t)n;
  }
  return copy;
}

/* Takes over fds on success. */
static int do_save(struct rn_parent *p, const struct rn_parent_msg *m, const int *fds,
                   size_t fd_count) {
  struct rn_parent_msg r = reply_to(m, RN_OK);
  const char *path = path_of(p, RN_PARENT_FILE_STATE);
  size_t bytes;
  if (path[0] == '\0')
    return RN_ERR_REFUSED;
  if (fd_count != 1 || rn_sys_memfd_check(fds[0], &bytes) != RN_OK)
    return RN_ERR_INVAL;
  if (bytes > RN_PARENT_SAVE_MAX)
    return RN_ERR_TOOBIG;
  char *copy = copy_of(fds[0], bytes);
  if (copy == NULL)
    return RN_ERR_SYS;
  r.status = rn_file_put(path, copy, bytes, false, NULL, r.text, sizeof(r.text));
  free(copy);
  close(fds[0]);
  rn_parent_send(p, &r, NULL, 0);
  return RN_OK;
}

void rn_parent_request(struct rn_parent *p, const struct rn_parent_msg *m, const int *fds,
                       size_t fd_count) {
  bool wants_fds = m->type == RN_PARENT_START || m->type == RN_PARENT_SAVE;
  int err = RN_OK;
  if (fd_count > 0 && !wants_fds) {
    err = RN_ERR_REFUSED;
  } else if (m->type == RN_PARENT_OPEN) {
    do_open(p, m);
  } else if (m->type == RN_PARENT_ATTACH) {
    do_attach(p, m);
  } else if (m->type == RN_PARENT_START) {
    err = do_start(p, m, fds, fd_count);
  } else if (m->type == RN_PARENT_STOP) {
    do_stop(p, m);
  } else if (m->type == RN_PARENT_READY) {
    do_ready(p);
  } else if (m->type == RN_PARENT_DRAIN) {
    rn_info("rpcnet-control asks for the end of the node");
    rn_parent_shutdown(p, 0);
  } else if (m->type == RN_PARENT_DRAINING) {
    err = rn_parent_draining(p, m->arg);
  } else if (m->type == RN_PARENT_ROTATE) {
    do_rotate(p, m);
  } else if (m->type == RN_PARENT_SAVE) {
    err = do_save(p, m, fds, fd_count);
  } else {
    err = RN_ERR_REFUSED;
  }
  if (err == RN_OK)
    return;
  rn_warn("refused request %s (%u) of rpcnet-control with %zu descriptors: %s",
          rn_parent_type_name(m->type), m->type, fd_count, rn_err_text(err));
  for (size_t i = 0; i < fd_count; i++)
    close(fds[i]);
  struct rn_parent_msg r = reply_to(m, err);
  snprintf(r.text, sizeof(r.text), "%s", rn_err_text(err));
  rn_parent_send(p, &r, NULL, 0);
}
