/* control/startup.c */
#include "control/startup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sys/channel.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "util/err.h"

#define ANSWER_MS 10000 /* rpcnetd does nothing that takes long */

static int wait_message(int channel, struct rn_parent_msg *m, int *fds, size_t *fd_count) {
  struct pollfd p = { .fd = channel, .events = POLLIN };
  size_t len;
  int n;
  do {
    n = poll(&p, 1, ANSWER_MS);
  } while (n < 0 && errno == EINTR);
  if (n != 1 || rn_sys_recv(channel, m, sizeof(*m), &len, fds, fd_count) != RN_OK ||
      len != sizeof(*m))
    return RN_ERR_SYS;
  m->text[sizeof(m->text) - 1] = '\0';
  return RN_OK;
}

int rn_startup_hello(int channel, struct rn_parent_msg *out, int *fds, size_t *fd_count) {
  if (wait_message(channel, out, fds, fd_count) != RN_OK || out->type != RN_PARENT_HELLO) {
    rn_error("rpcnetd does not say hello: rpcnet-control is started by rpcnetd, not by hand");
    return RN_ERR_SYS;
  }
  return RN_OK;
}

/* The data plane may die, or the node be told to end, while we ask: what rpcnetd says of that is kept for later. */
static bool keep_unasked(struct rn_startup *s, const struct rn_parent_msg *m) {
  if (m->type == RN_PARENT_RELOAD)
    return true; /* after it was asked for: it is about to be read */
  if ((m->type != RN_PARENT_ENDED && m->type != RN_PARENT_SHUTDOWN) ||
      s->unasked_count == sizeof(s->unasked) / sizeof(s->unasked[0]))
    return false;
  s->unasked[s->unasked_count++] = *m;
  return true;
}

/* One request and its reply. *fd is -1 unless the reply brought a descriptor. */
static int ask(int channel, struct rn_startup *s, enum rn_parent_type type, uint32_t arg,
               struct rn_parent_msg *reply, int *fd) {
  const struct rn_parent_msg m = { .type = type, .arg = arg };
  int err = rn_sys_send(channel, &m, sizeof(m), NULL, 0);
  *fd = -1;
  do {
    size_t fd_count = 1;
    if (err == RN_OK)
      err = wait_message(channel, reply, fd, &fd_count);
  } while (err == RN_OK && keep_unasked(s, reply));
  if (err != RN_OK || reply->type != RN_PARENT_REPLY || reply->arg != type) {
    snprintf(reply->text, sizeof(reply->text), "rpcnetd does not answer");
    return RN_ERR_SYS;
  }
  return reply->status;
}

/* An open file; logs what keeps it from being opened. */
static int open_file(const struct rn_startup_source *src, struct rn_startup *s,
                     enum rn_parent_file file, const char *key, const char *path, int *out) {
  struct rn_parent_msg reply;
  int fd = -1;
  if (src->channel < 0) {
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
      snprintf(reply.text, sizeof(reply.text), "%s", strerror(errno));
  } else if (ask(src->channel, s, RN_PARENT_OPEN, file, &reply, &fd) == RN_OK && fd < 0) {
    snprintf(reply.text, sizeof(reply.text), "rpcnetd sent no descriptor");
  }
  if (fd < 0) {
    rn_error("%s%s%s: %s", key, key[0] != '\0' ? " " : "", path, reply.text);
    return RN_ERR_CONFIG;
  }
  *out = fd;
  return RN_OK;
}

static int load_config(const struct rn_startup_source *src, struct rn_startup *s) {
  struct rn_config_errors *errs = rn_config_errors_new();
  int fd, err = errs != NULL ? RN_OK : RN_ERR_SYS;
  if (err == RN_OK && src->channel < 0) {
    err = rn_config_load_file(src->config_path, &s->cfg, errs);
  } else if (err == RN_OK) {
    err = open_file(src, s, RN_PARENT_FILE_CONFIG, "", src->config_path, &fd);
    if (err == RN_OK) {
      err = rn_config_load_fd(fd, src->config_path, &s->cfg, errs);
      close(fd);
    }
  }
  if (errs != NULL && rn_config_errors_count(errs) > 0)
    rn_config_errors_print(errs, stderr);
  rn_config_errors_free(errs);
  return err;
}

/* A certificate outside of its time is worth a word, not a refusal: the clock may be what is wrong. */
static void check_validity(const struct rn_keys *k, const char *name) {
  int64_t now_s = (int64_t)(rn_sys_wall_ns() / RN_NS_PER_S);
  if (now_s > rn_keys_not_after(k))
    rn_warn("tls.cert %s: expired; clients that check it will not connect", name);
  else if (now_s < rn_keys_not_before(k))
    rn_warn("tls.cert %s: not valid yet; clients that check it will not connect", name);
  else if (now_s + 7 * 86400 > rn_keys_not_after(k))
    rn_warn("tls.cert %s: expires in %" PRId64 " hours", name,
            (rn_keys_not_after(k) - now_s) / 3600);
}

static int load_keys(const struct rn_startup_source *src, struct rn_startup *s) {
  char why[512];
  int cert_fd = -1, key_fd = -1;
  /* Both files are tried, so that both mistakes are reported. */
  int err = open_file(src, s, RN_PARENT_FILE_CERT, "tls.cert", s->cfg.tls.cert, &cert_fd);
  int key_err = open_file(src, s, RN_PARENT_FILE_KEY, "tls.key", s->cfg.tls.key, &key_fd);
  if (err == RN_OK)
    err = key_err;
  if (err == RN_OK) {
    err =
        rn_keys_load(cert_fd, s->cfg.tls.cert, key_fd, s->cfg.tls.key, &s->keys, why, sizeof(why));
    if (err != RN_OK)
      rn_error("%s", why);
    else
      check_validity(s->keys, s->cfg.tls.cert);
  }
  if (cert_fd >= 0)
    close(cert_fd);
  if (key_fd >= 0)
    close(key_fd);
  return err;
}

static int read_anchors(const struct rn_startup_source *src, struct rn_startup *s,
                        enum rn_parent_file file, const char *key, const char *path, char **pem,
                        size_t *bytes) {
  char why[512];
  int fd;
  int err = open_file(src, s, file, key, path, &fd);
  if (err != RN_OK)
    return err;
  err = rn_keys_read_ca(fd, path, pem, bytes, why, sizeof(why));
  if (err != RN_OK)
    rn_error("%s", why);
  close(fd);
  return err;
}

static int load_ca(const struct rn_startup_source *src, struct rn_startup *s) {
  if (s->cfg.tls.ca[0] == '\0')
    return RN_OK;
  return read_anchors(src, s, RN_PARENT_FILE_CA, "tls.ca", s->cfg.tls.ca, &s->ca_pem, &s->ca_bytes);
}

/* After keys and tls.ca, of which one is the default. */
static int load_peer_ca(const struct rn_startup_source *src, struct rn_startup *s) {
  const char *own = s->ca_pem;
  size_t bytes = s->ca_bytes;
  if (!s->cfg.cluster.enabled)
    return RN_OK;
  if (s->cfg.cluster.ca[0] != '\0')
    return read_anchors(src, s, RN_PARENT_FILE_PEER_CA, "cluster.ca", s->cfg.cluster.ca,
                        &s->peer_ca_pem, &s->peer_ca_bytes);
  if (own == NULL && s->cfg.tls.ca[0] == '\0' && s->keys != NULL)
    own = rn_keys_cert_pem(s->keys, &bytes);
  if (own == NULL)
    return RN_OK; /* it could not be read, which was said */
  s->peer_ca_pem = malloc(bytes);
  if (s->peer_ca_pem == NULL)
    return RN_ERR_SYS;
  memcpy(s->peer_ca_pem, own, bytes);
  s->peer_ca_bytes = bytes;
  return RN_OK;
}

/* All of a file that may have up to max bytes. NULL: it has more, or cannot be read. */
static char *read_all(int fd, size_t max, size_t *bytes) {
  struct stat st;
  if (fstat(fd, &st) != 0 || st.st_size < 0 || (size_t)st.st_size > max)
    return NULL;
  size_t len = (size_t)st.st_size, at = 0;
  char *text = malloc(len + 1); /* an empty one, too, is there */
  while (text != NULL && at < len) {
    ssize_t n = read(fd, text + at, len - at);
    if (n < 0 && errno != EINTR) {
      free(text);
      return NULL;
    }
    if (n == 0)
      break;
    at += n > 0 ? (size_t)n : 0;
  }
  *bytes = at;
  return text;
}

/* Without it a node starts as if for the first time: whatever is wrong with it is no reason not to. */
static int load_state(const struct rn_startup_source *src, struct rn_startup *s) {
  const struct rn_config_cluster *c = &s->cfg.cluster;
  struct rn_parent_msg reply;
  int fd, err;
  if (!c->enabled || c->state_file[0] == '\0' || src->channel < 0)
    return RN_OK;
  err = ask(src->channel, s, RN_PARENT_OPEN, RN_PARENT_FILE_STATE, &reply, &fd);
  if (err == RN_OK && fd >= 0)
    s->state = read_all(fd, RN_PARENT_SAVE_MAX, &s->state_bytes);
  if (fd >= 0)
    close(fd);
  if (err == RN_ERR_NOENT)
    rn_info("cluster.state_file %s: not there yet", c->state_file);
  else if (s->state == NULL)
    rn_warn("cluster.state_file %s: ignored: %s", c->state_file,
            err != RN_OK ? reply.text : "cannot be read, or is too large");
  return RN_OK;
}

static int load_secret(const struct rn_startup_source *src, struct rn_startup *s) {
  char why[512];
  int fd;
  if (s->cfg.node.secret_file[0] == '\0')
    return RN_OK;
  int err =
      open_file(src, s, RN_PARENT_FILE_SECRET, "node.secret_file", s->cfg.node.secret_file, &fd);
  if (err != RN_OK)
    return err;
  err = rn_secret_file_check(fd, why, sizeof(why));
  if (err == RN_OK)
    err = rn_secret_file_read(fd, &s->secrets, why, sizeof(why));
  if (err != RN_OK)
    rn_error("node.secret_file %s: %s", s->cfg.node.secret_file, why);
  close(fd);
  return err;
}

int rn_startup_load(const struct rn_startup_source *src, struct rn_startup *out) {
  int err = load_config(src, out);
  if (err != RN_OK)
    return err;
  rn_log_set_level(out->cfg.node.log_level);
  /* All of them, for the same reason. */
  int (*const loads[])(const struct rn_startup_source *,
                       struct rn_startup *) = { load_keys, load_ca, load_peer_ca, load_secret,
                                                load_state };
  for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
    int one = loads[i](src, out);
    if (err == RN_OK)
      err = one;
  }
  return err;
}

int rn_startup_attach(const struct rn_startup_source *src, struct rn_startup *s) {
  struct rn_parent_msg reply;
  int fd;
  int err = ask(src->channel, s, RN_PARENT_ATTACH, 0, &reply, &fd);
  if (fd >= 0)
    close(fd);
  if (err != RN_OK) {
    rn_error("port: %s", reply.text);
    return RN_ERR_CONFIG;
  }
  s->bpf_attached = reply.attached != 0;
  if (reply.text[0] != '\0')
    rn_warn("port: %s", reply.text);
  return RN_OK;
}

void rn_startup_correct(const struct rn_startup *s, struct rn_parent_msg *hello, const int *fds,
                        size_t *fd_count) {
  for (size_t i = 0; i < s->unasked_count; i++) {
    if (s->unasked[i].type != RN_PARENT_ENDED)
      continue;
    hello->arg = 0;
    hello->starts = s->unasked[i].starts;
    for (size_t j = 0; j < *fd_count; j++)
      close(fds[j]);
    *fd_count = 0;
  }
}

void rn_startup_free(struct rn_startup *s) {
  rn_keys_free(s->keys);
  free(s->ca_pem);
  free(s->peer_ca_pem);
  free(s->state);
  rn_secrets_wipe(&s->secrets);
}
