/* control/admin.c */
#include "control/admin.h"
#include "control/admin_priv.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <yyjson.h>

#include "control/status.h"
#include "util/err.h"

#define TRACES_DEFAULT      20u
#define CONNECTIONS_DEFAULT 1000u
#define QLOG_SECONDS        10u
#define QLOG_SECONDS_MAX    3600u
#define QLOG_BACKLOG_MAX    (8u << 20) /* bytes that a slow reader may leave unread */

struct rn_admin {
  uv_pipe_t listener;
  struct rn_node *node;
  uint32_t clients;
};

struct rn_admin_client {
  uv_pipe_t pipe;
  uv_timer_t timer; /* the whole exchange has to fit */
  struct rn_admin *admin;
  size_t len;   /* of line */
  uint32_t job; /* of node->inspect that works for it; 0: none */
  uint32_t writes;
  bool asked;  /* its line was there */
  bool log;    /* what it gets has no length known before */
  bool ending; /* closed when all is written */
  unsigned int open_handles;
  char line[RN_ADMIN_LINE_MAX];
};

/* ---- end ---- */

static void on_closed(uv_handle_t *h) {
  struct rn_admin_client *c = h->data;
  if (--c->open_handles > 0)
    return;
  c->admin->clients--;
  free(c);
}

static void close_client(struct rn_admin_client *c) {
  if (uv_is_closing((uv_handle_t *)&c->pipe))
    return;
  rn_inspect_cancel(c->admin->node->inspect, c->job);
  rn_secrets_forget(c->admin->node, c);
  uv_close((uv_handle_t *)&c->pipe, on_closed);
  uv_close((uv_handle_t *)&c->timer, on_closed);
}

static void refuse(struct rn_admin_client *c) {
  c->admin->node->stats.admin_refused++;
  close_client(c);
}

static void end_when_written(struct rn_admin_client *c) {
  c->ending = true;
  if (c->writes == 0)
    close_client(c);
}

static void on_timeout(uv_timer_t *t) {
  struct rn_admin_client *c = t->data;
  if (c->ending || (!c->log && c->job == 0)) {
    refuse(c);
    return;
  }
  rn_inspect_cancel(c->admin->node->inspect, c->job);
  c->job = 0;
  uv_timer_start(&c->timer, on_timeout, RN_ADMIN_TIMEOUT_MS, 0);
  if (c->log)
    end_when_written(c);
  else
    rn_admin_error(c, "nothing came in time");
}

/* ---- answers ---- */

struct written {
  uv_write_t req;
  struct rn_admin_client *client;
  char *text;
};

static void on_written(uv_write_t *req, int status) {
  struct written *w = (struct written *)req;
  struct rn_admin_client *c = w->client;
  free(w->text);
  free(w);
  c->writes--;
  if (status != 0)
    close_client(c);
  else if (c->ending && c->writes == 0)
    close_client(c);
}

/* Takes text over. */
static void say(struct rn_admin_client *c, char *text, size_t len) {
  struct written *w = text != NULL ? malloc(sizeof(*w)) : NULL;
  if (w == NULL || uv_is_closing((uv_handle_t *)&c->pipe)) {
    free(text);
    free(w);
    refuse(c);
    return;
  }
  w->client = c;
  w->text = text;
  uv_buf_t buf = uv_buf_init(text, (unsigned int)len);
  c->writes++;
  if (uv_write(&w->req, (uv_stream_t *)&c->pipe, &buf, 1, on_written) != 0) {
    c->writes--;
    free(text);
    free(w);
    close_client(c);
  }
}

void rn_admin_answer(struct rn_admin_client *c, char *json, size_t len) {
  char *line = json != NULL ? realloc(json, len + 1) : NULL;
  if (line == NULL) {
    free(json);
    refuse(c);
    return;
  }
  line[len] = '\n';
  c->ending = true;
  say(c, line, len + 1);
}

void rn_admin_answer_doc(struct rn_admin_client *c, yyjson_mut_doc *doc) {
  size_t len = 0;
  char *json = doc != NULL ? yyjson_mut_write(doc, 0, &len) : NULL;
  yyjson_mut_doc_free(doc);
  rn_admin_answer(c, json, len);
}

void rn_admin_error(struct rn_admin_client *c, const char *why) {
  size_t len = 0;
  char *json = rn_status_error_json(why, &len);
  c->admin->node->stats.admin_refused++;
  rn_admin_answer(c, json, len);
}

struct rn_node *rn_admin_node(struct rn_admin_client *c) { return c->admin->node; }

/* ---- requests ---- */

static void on_status(struct rn_admin_client *c, yyjson_val *request) {
  (void)request;
  size_t len = 0;
  char *json = rn_status_json(c->admin->node, &len);
  rn_admin_answer(c, json, len);
}

static void on_stats(struct rn_admin_client *c, yyjson_val *request) {
  (void)request;
  size_t len = 0;
  char *json = rn_stats_json(c->admin->node, &len);
  rn_admin_answer(c, json, len);
}

/* A number of the request, or what is taken without it. */
static uint32_t number_of(yyjson_val *request, const char *key, uint32_t otherwise) {
  yyjson_val *v = yyjson_obj_get(request, key);
  if (!yyjson_is_uint(v))
    return otherwise;
  return yyjson_get_uint(v) < UINT32_MAX ? (uint32_t)yyjson_get_uint(v) : UINT32_MAX;
}

static void on_trace(struct rn_admin_client *c, yyjson_val *request) {
  uint64_t after[RN_TOPO_LCORES_MAX];
  size_t count = 0, len = 0, i, n;
  yyjson_val *v;
  yyjson_arr_foreach(yyjson_obj_get(request, "after"), i, n, v) {
    if (count < RN_TOPO_LCORES_MAX)
      after[count++] = yyjson_get_uint(v);
  }
  char *json = rn_inspect_traces_json(c->admin->node, after, count,
                                      number_of(request, "count", TRACES_DEFAULT), &len);
  rn_admin_answer(c, json, len);
}

static void on_job_done(void *arg, char *json, size_t len) {
  struct rn_admin_client *c = arg;
  c->job = 0;
  if (!c->log) {
    rn_admin_answer(c, json, len);
    return;
  }
  free(json); /* why it ended: there is no place for it behind a log */
  end_when_written(c);
}

static void on_connections(struct rn_admin_client *c, yyjson_val *request) {
  const struct rn_inspect_client who = { .done = on_job_done, .arg = c };
  uint32_t job =
      rn_inspect_connections(c->admin->node->inspect, number_of(request, "lcore", UINT32_MAX),
                             number_of(request, "limit", CONNECTIONS_DEFAULT), &who);
  if (job == 0)
    rn_admin_error(c, "too many are asking");
  else if (!c->ending)
    c->job = job;
}

/* The first text of a log follows the line that says that it is one. */
static void on_log_text(void *arg, const char *text, size_t len) {
  static const char first[] = "{\"ok\": true}\n";
  struct rn_admin_client *c = arg;
  if (c->ending)
    return;
  if (uv_stream_get_write_queue_size((uv_stream_t *)&c->pipe) > QLOG_BACKLOG_MAX) {
    refuse(c);
    return;
  }
  size_t head = c->log ? 0 : sizeof(first) - 1;
  char *copy = malloc(head + len);
  if (copy != NULL) {
    memcpy(copy, first, head);
    memcpy(copy + head, text, len);
  }
  c->log = true;
  say(c, copy, head + len);
}

static void on_qlog(struct rn_admin_client *c, yyjson_val *request) {
  const struct rn_inspect_client who = { .text = on_log_text, .done = on_job_done, .arg = c };
  const char *name = yyjson_get_str(yyjson_obj_get(request, "connection"));
  const char *from = yyjson_get_str(yyjson_obj_get(request, "client")), *why;
  struct rn_addr client_addr = { 0 };
  uint32_t seconds = number_of(request, "seconds", QLOG_SECONDS);
  if (from != NULL && rn_addr_parse(from, &client_addr) != RN_OK) {
    rn_admin_error(c, "client is an IP address, like 192.0.2.1");
    return;
  }
  if (seconds < 1 || seconds > QLOG_SECONDS_MAX) {
    rn_admin_error(c, "seconds is from 1 to 3600");
    return;
  }
  c->job = rn_inspect_qlog(c->admin->node->inspect, name, &client_addr, &who, &why);
  if (c->job == 0)
    rn_admin_error(c, why);
  else
    uv_timer_start(&c->timer, on_timeout, seconds * UINT64_C(1000), 0);
}

/* ---- the secret ---- */

static void on_secrets_done(void *arg, const char *error) {
  struct rn_admin_client *c = arg;
  size_t len = 0;
  if (error != NULL) {
    rn_admin_error(c, error);
    return;
  }
  char *json = rn_secrets_json(c->admin->node, &len);
  rn_admin_answer(c, json, len);
}

static void on_secrets(struct rn_admin_client *c, yyjson_val *request) {
  struct rn_node *n = c->admin->node;
  const struct rn_secrets_client who = { .done = on_secrets_done, .arg = c };
  const char *action = yyjson_get_str(yyjson_obj_get(request, "action"));
  bool rotate = action != NULL && strcmp(action, "rotate") == 0;
  if (action == NULL) {
    on_secrets_done(c, NULL);
    return;
  }
  if (!rotate && strcmp(action, "reload") != 0) {
    rn_admin_error(c, "an action of secrets is rotate or reload");
    return;
  }
  int err = rn_secrets_reload(n, rotate, &who);
  if (err == RN_ERR_NOENT)
    rn_admin_error(c, "node.secret_file is not configured: keys are random ones of this start");
  else if (err != RN_OK)
    rn_admin_error(c, "a rotation or reload is under way");
}

static const struct rn_admin_request requests[] = {
  { "status", on_status }, { "stats", on_stats },
  { "trace", on_trace },   { "connections", on_connections },
  { "qlog", on_qlog },     { "secrets", on_secrets },
  { NULL, NULL },
};
static const struct rn_admin_request *const tables[] = { requests, rn_admin_cluster_requests };
#define TABLE_COUNT (sizeof(tables) / sizeof(tables[0]))

static const struct rn_admin_request *find(const char *name) {
  for (size_t i = 0; i < TABLE_COUNT; i++) {
    for (const struct rn_admin_request *r = tables[i]; r->name != NULL; r++) {
      if (strcmp(name, r->name) == 0)
        return r;
    }
  }
  return NULL;
}

static void unknown(struct rn_admin_client *c, bool named) {
  char why[256] = "a request is one line like {\"request\": \"status\"}";
  size_t n = 0;
  if (named)
    n = (size_t)snprintf(why, sizeof(why), "unknown request; there are");
  for (size_t i = 0; named && i < TABLE_COUNT; i++) {
    for (const struct rn_admin_request *r = tables[i]; r->name != NULL && n < sizeof(why); r++)
      n += (size_t)snprintf(why + n, sizeof(why) - n, "%s %s",
                            i + (size_t)(r - tables[i]) > 0 ? "," : "", r->name);
  }
  rn_admin_error(c, why);
}

static void respond(struct rn_admin_client *c, size_t line_len) {
  c->asked = true;
  yyjson_doc *doc = yyjson_read(c->line, line_len, 0);
  yyjson_val *root = yyjson_doc_get_root(doc);
  const char *name = yyjson_get_str(yyjson_obj_get(root, "request"));
  const struct rn_admin_request *found = name != NULL ? find(name) : NULL;
  c->admin->node->stats.admin_requests++;
  if (found != NULL)
    found->run(c, root);
  else
    unknown(c, name != NULL);
  yyjson_doc_free(doc);
}

/* ---- the socket ---- */

/* Both directions are closed: then not even nothing can be sent. */
static bool is_gone(const struct rn_admin_client *c) {
  int fd = -1;
  return uv_fileno((const uv_handle_t *)&c->pipe, &fd) != 0 ||
         (send(fd, "", 0, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EPIPE);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf) {
  struct rn_admin_client *c = h->data;
  (void)suggested;
  *buf = uv_buf_init(c->line + c->len, (unsigned int)(sizeof(c->line) - c->len));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf) {
  struct rn_admin_client *c = s->data;
  (void)buf;
  if (n == 0)
    return;
  if (n < 0 && c->asked) { /* it has said all; a job is dropped when it does not listen either */
    uv_read_stop(s);
    if (c->job != 0 && is_gone(c))
      close_client(c);
    return;
  }
  if (n < 0) { /* gone, or a line longer than the buffer (UV_ENOBUFS) */
    refuse(c);
    return;
  }
  if (c->asked) /* more than a line: of no meaning */
    return;
  const char *end = memchr(c->line + c->len, '\n', (size_t)n);
  c->len += (size_t)n;
  if (end != NULL)
    respond(c, (size_t)(end - c->line));
}

static void on_connection(uv_stream_t *listener, int status) {
  struct rn_admin *a = listener->data;
  if (status != 0)
    return;
  struct rn_admin_client *c = calloc(1, sizeof(*c));
  if (c == NULL)
    return; /* it stays in the backlog */
  c->admin = a;
  c->pipe.data = c->timer.data = c;
  c->open_handles = 2;
  a->clients++;
  uv_pipe_init(listener->loop, &c->pipe, 0);
  uv_timer_init(listener->loop, &c->timer);
  if (uv_accept(listener, (uv_stream_t *)&c->pipe) != 0) {
    close_client(c);
    return;
  }
  if (a->clients > RN_ADMIN_CLIENTS_MAX) {
    refuse(c);
    return;
  }
  uv_timer_start(&c->timer, on_timeout, RN_ADMIN_TIMEOUT_MS, 0);
  uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read);
}

int rn_admin_new(uv_loop_t *loop, int fd, struct rn_node *n, struct rn_admin **out) {
  struct rn_admin *a = calloc(1, sizeof(*a));
  if (a == NULL)
    return RN_ERR_SYS;
  a->node = n;
  n->inspect = rn_inspect_new(n);
  if (n->inspect == NULL)
    return RN_ERR_SYS;
  a->listener.data = a;
  if (uv_pipe_init(loop, &a->listener, 0) != 0 || uv_pipe_open(&a->listener, fd) != 0 ||
      uv_listen((uv_stream_t *)&a->listener, RN_ADMIN_CLIENTS_MAX, on_connection) != 0)
    return RN_ERR_SYS; /* the process ends now: the loop may still refer to a */
  *out = a;
  return RN_OK;
}
