/* tools/rpcnetctl_ask.c: one exchange over the admin socket. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/rpcnetctl.h"

#define ANSWER_MAX (64u << 20)
#define PIECE      65536u

int rn_ctl_fail(const char *socket_path, const char *what) {
  fprintf(stderr, "rpcnetctl: %s: %s\n", socket_path, what);
  return -1;
}

/* A connected socket, or -1 with the reason printed. */
static int dial(const char *path, uint32_t timeout_s) {
  struct sockaddr_un a = { .sun_family = AF_UNIX };
  const struct timeval limit = { .tv_sec = timeout_s };
  if (strlen(path) >= sizeof(a.sun_path))
    return rn_ctl_fail(path, "longer than a unix socket's path can be");
  memcpy(a.sun_path, path, strlen(path));
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0)
    return rn_ctl_fail(path, strerror(errno));
  if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
    return fd;
  bool absent = errno == ENOENT || errno == ECONNREFUSED;
  rn_ctl_fail(path, absent ? "no node is running here; start one with rpcnetd, or name its socket "
                             "with --socket"
                           : strerror(errno));
  close(fd);
  return -1;
}

/* A connection on which the request is sent, or -1. */
static int begin(const char *path, const char *request, uint32_t timeout_s) {
  int fd = dial(path, timeout_s);
  size_t len = strlen(request);
  if (fd < 0)
    return -1;
  if (send(fd, request, len, MSG_NOSIGNAL) == (ssize_t)len && send(fd, "\n", 1, MSG_NOSIGNAL) == 1)
    return fd;
  close(fd);
  return rn_ctl_fail(path, "the node ended the connection without an answer");
}

struct text {
  char *bytes;
  size_t len, cap;
};

/* What comes next, at the end of t. As recv. */
static ssize_t receive(int fd, struct text *t) {
  if (t->cap - t->len < PIECE) {
    size_t cap = t->cap * 2 + PIECE;
    char *more = cap <= 2 * ANSWER_MAX ? realloc(t->bytes, cap) : NULL;
    if (more == NULL) {
      errno = ENOMEM;
      return -1;
    }
    t->bytes = more;
    t->cap = cap;
  }
  ssize_t got = recv(fd, t->bytes + t->len, t->cap - t->len, 0);
  if (got > 0)
    t->len += (size_t)got;
  return got;
}

static const char *why_none(ssize_t got) {
  if (got >= 0)
    return "the node ended the connection without an answer";
  return errno == EAGAIN || errno == EWOULDBLOCK ? "the node does not answer" : strerror(errno);
}

/* The answer in a line, checked; NULL with what is wrong printed. */
static yyjson_doc *parse(const char *path, const char *line, size_t len) {
  yyjson_doc *doc = yyjson_read(line, len, 0);
  yyjson_val *root = yyjson_doc_get_root(doc);
  if (yyjson_get_bool(yyjson_obj_get(root, "ok")))
    return doc;
  const char *error = yyjson_get_str(yyjson_obj_get(root, "error"));
  rn_ctl_fail(path, error != NULL ? error : "the answer cannot be read");
  yyjson_doc_free(doc);
  return NULL;
}

yyjson_doc *rn_ctl_ask(const char *path, const char *request) {
  struct text t = { 0 };
  yyjson_doc *doc = NULL;
  ssize_t got;
  int fd = begin(path, request, RN_CTL_TIMEOUT_S);
  if (fd < 0)
    return NULL;
  while ((got = receive(fd, &t)) > 0)
    ;
  if (got == 0 && t.len > 0)
    doc = parse(path, t.bytes, t.len);
  else
    rn_ctl_fail(path, why_none(got));
  close(fd);
  free(t.bytes);
  return doc;
}

int rn_ctl_copy(const char *path, const char *request, uint32_t timeout_s, FILE *out) {
  struct text t = { 0 };
  int status = -1;
  const char *end = NULL;
  ssize_t got = 0;
  int fd = begin(path, request, timeout_s);
  if (fd < 0)
    return -1;
  while (end == NULL && (got = receive(fd, &t)) > 0)
    end = memchr(t.bytes, '\n', t.len);
  if (end == NULL) {
    rn_ctl_fail(path, why_none(got));
    goto out;
  }
  yyjson_doc *doc = parse(path, t.bytes, (size_t)(end - t.bytes));
  if (doc == NULL)
    goto out;
  yyjson_doc_free(doc);
  size_t from = (size_t)(end + 1 - t.bytes);
  do {
    if (fwrite(t.bytes + from, 1, t.len - from, out) != t.len - from || fflush(out) != 0)
      goto out; /* nobody reads on */
    t.len = from = 0;
  } while ((got = receive(fd, &t)) > 0);
  status = got == 0 ? 0 : rn_ctl_fail(path, why_none(got));
out:
  close(fd);
  free(t.bytes);
  return status;
}
