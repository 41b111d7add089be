/* control/admin.c */
#include "control/admin.h"

#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "control/status.h"
#include "util/err.h"

struct rn_admin {
  uv_pipe_t listener;
  struct rn_node *node;
  uint32_t clients;
};

struct client {
  uv_pipe_t pipe;
  uv_timer_t timer; /* the whole exchange has to fit */
  uv_write_t write;
  struct rn_admin *admin;
  char *answer;
  size_t len;
  unsigned int open_handles;
  char line[RN_ADMIN_LINE_MAX];
};

static void on_closed(uv_handle_t *h) {
  struct client *c = h->data;
  if (--c->open_handles > 0)
    return;
  c->admin->clients--;
  free(c->answer);
  free(c);
}

static void close_client(struct client *c) {
  if (uv_is_closing((uv_handle_t *)&c->pipe))
    return;
  uv_close((uv_handle_t *)&c->pipe, on_closed);
  uv_close((uv_handle_t *)&c->timer, on_closed);
}

static void refuse(struct client *c) {
  c->admin->node->stats.admin_refused++;
  close_client(c);
}

static void on_timeout(uv_timer_t *t) { refuse(t->data); }

static void on_written(uv_write_t *w, int status) {
  (void)status;
  close_client(w->data);
}

/* The answer to one line of the client. */
static char *respond(struct rn_node *n, const char *line, size_t len, size_t *out_len) {
  yyjson_doc *doc = yyjson_read(line, len, 0);
  const char *request = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "request"));
  char *text;
  n->stats.admin_requests++;
  if (request != NULL && strcmp(request, "status") == 0) {
    text = rn_status_json(n, out_len);
  } else if (request != NULL && strcmp(request, "stats") == 0) {
    text = rn_stats_json(n, out_len);
  } else {
    n->stats.admin_refused++;
    text = rn_status_error_json(request != NULL
                                    ? "unknown request; there are status and stats"
                                    : "a request is one line like {\"request\": \"status\"}",
                                out_len);
  }
  yyjson_doc_free(doc);
  return text;
}

static void answer(struct client *c, size_t line_len) {
  static char newline[] = "\n";
  size_t n = 0;
  uv_read_stop((uv_stream_t *)&c->pipe);
  c->answer = respond(c->admin->node, c->line, line_len, &n);
  if (c->answer == NULL) {
    refuse(c);
    return;
  }
  const uv_buf_t bufs[] = { uv_buf_init(c->answer, (unsigned int)n), uv_buf_init(newline, 1) };
  c->write.data = c;
  if (uv_write(&c->write, (uv_stream_t *)&c->pipe, bufs, 2, on_written) != 0)
    close_client(c);
}

static void on_alloc(uv_handle_t *h, size_t suggested, uv_buf_t *buf) {
  struct client *c = h->data;
  (void)suggested;
  *buf = uv_buf_init(c->line + c->len, (unsigned int)(sizeof(c->line) - c->len));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *buf) {
  struct client *c = s->data;
  (void)buf;
  if (n == 0)
    return;
  if (n < 0) { /* gone, or a line longer than the buffer (UV_ENOBUFS) */
    refuse(c);
    return;
  }
  const char *end = memchr(c->line + c->len, '\n', (size_t)n);
  c->len += (size_t)n;
  if (end != NULL)
    answer(c, (size_t)(end - c->line));
}

static void on_connection(uv_stream_t *listener, int status) {
  struct rn_admin *a = listener->data;
  if (status != 0)
    return;
  struct client *c = calloc(1, sizeof(*c));
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
  a->listener.data = a;
  if (uv_pipe_init(loop, &a->listener, 0) != 0 || uv_pipe_open(&a->listener, fd) != 0 ||
      uv_listen((uv_stream_t *)&a->listener, RN_ADMIN_CLIENTS_MAX, on_connection) != 0)
    return RN_ERR_SYS; /* the process ends now: the loop may still refer to a */
  *out = a;
  return RN_OK;
}
