/* control/http.c: libmicrohttpd without a thread of its own. Its epoll descriptor lies in ours; it works when that has something, or when time is up. */
#include "control/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "control/health.h"
#include "control/metrics.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "util/err.h"

struct conn {
  struct MHD_Connection *mhd; /* NULL: free */
  uint64_t since_ns;
  bool answered;
  bool late;
};

struct rn_http {
  struct MHD_Daemon *daemon;
  struct rn_node *node;
  struct rn_http_limits limits;
  uv_poll_t poll;
  uv_timer_t timer;
  unsigned int open_handles;
  struct MHD_Response *metrics; /* the last one made, shared by who asks soon after */
  uint64_t metrics_ns;
  uint32_t conn_count;
  struct conn conns[];
};

/* ---- answers ---- */

/* NULL when memory is out. text is taken over, or stays, by mode. */
static struct MHD_Response *response(char *text, size_t len, enum MHD_ResponseMemoryMode mode,
                                     const char *type) {
  struct MHD_Response *r = MHD_create_response_from_buffer(len, text, mode);
  if (r == NULL) {
    if (mode == MHD_RESPMEM_MUST_FREE)
      free(text);
    return NULL;
  }
  (void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
  (void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
  return r;
}

static enum MHD_Result send_text(struct MHD_Connection *mhd, unsigned int status, const char *type,
                                 const char *text) {
  union {
    const char *in;
    char *out; /* copied, not written */
  } u = { .in = text };
  struct MHD_Response *r = response(u.out, strlen(text), MHD_RESPMEM_MUST_COPY, type);
  if (r == NULL)
    return MHD_NO;
  if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
    (void)MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
  enum MHD_Result done = MHD_queue_response(mhd, status, r);
  MHD_destroy_response(r);
  return done;
}

static enum MHD_Result answer_metrics(struct rn_http *h, struct MHD_Connection *mhd) {
  uint64_t now_ns = rn_sys_now_ns();
  h->node->stats.http_scrapes++;
  if (h->metrics == NULL || now_ns - h->metrics_ns >= RN_HTTP_CACHE_MS * RN_NS_PER_MS) {
    size_t len;
    char *text = rn_metrics_text(h->node, &len);
    if (h->metrics != NULL)
      MHD_destroy_response(h->metrics); /* who is still being sent it keeps it */
    h->metrics = text == NULL ? NULL
                              : response(text, len, MHD_RESPMEM_MUST_FREE,
                                         "text/plain; version=0.0.4; charset=utf-8");
    h->metrics_ns = now_ns;
  }
  return h->metrics != NULL ? MHD_queue_response(mhd, MHD_HTTP_OK, h->metrics) : MHD_NO;
}

static enum MHD_Result answer_ready(struct rn_http *h, struct MHD_Connection *mhd) {
  char why[128], text[192];
  if (rn_health_ready(h->node, rn_sys_now_ns(), why, sizeof(why)))
    return send_text(mhd, MHD_HTTP_OK, "application/json", "{\"status\": \"ready\"}\n");
  snprintf(text, sizeof(text), "{\"status\": \"not ready\", \"reason\": \"%s\"}\n", why);
  return send_text(mhd, MHD_HTTP_SERVICE_UNAVAILABLE, "application/json", text);
}

static enum MHD_Result answer(struct rn_http *h, struct MHD_Connection *mhd, const char *url,
                              const char *method) {
  bool metrics = strcmp(url, "/metrics") == 0, live = strcmp(url, "/health/live") == 0;
  if (!metrics && !live && strcmp(url, "/health/ready") != 0) {
    h->node->stats.http_errors++;
    return send_text(mhd, MHD_HTTP_NOT_FOUND, "text/plain",
                     "There are /metrics, /health/live and /health/ready.\n");
  }
  if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
    h->node->stats.http_errors++;
    return send_text(mhd, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", "GET or HEAD.\n");
  }
  if (metrics)
    return answer_metrics(h, mhd);
  return live ? send_text(mhd, MHD_HTTP_OK, "application/json", "{\"status\": \"live\"}\n")
              : answer_ready(h, mhd);
}

/* Called once the headers are there. A body is not waited for: the connection ends with the answer. */
static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_bytes, void **request) {
  struct rn_http *h = cls;
  (void)version;
  (void)upload;
  (void)upload_bytes;
  (void)request;
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  struct conn *c = info != NULL ? info->socket_context : NULL;
  if (c == NULL)
    return MHD_NO;
  h->node->stats.http_requests++;
  c->answered = true;
  return answer(h, mhd, url, method);
}

/* ---- connections ---- */

static enum MHD_Result on_accept(void *cls, const struct sockaddr *from, socklen_t bytes) {
  struct rn_http *h = cls;
  (void)from;
  (void)bytes;
  if (h->conn_count < h->limits.connections)
    return MHD_YES;
  h->node->stats.http_limit++;
  return MHD_NO;
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode what) {
  struct rn_http *h = cls;
  struct conn *c = *context;
  if (what == MHD_CONNECTION_NOTIFY_STARTED) {
    for (c = h->conns; c->mhd != NULL; c++) /* on_accept made sure that there is one */
      RN_ASSERT(c + 1 < h->conns + h->limits.connections);
    *c = (struct conn){ .mhd = mhd, .since_ns = rn_sys_now_ns() };
    *context = c;
    h->conn_count++;
    return;
  }
  if (c == NULL)
    return;
  if (!c->answered && !c->late)
    h->node->stats.http_malformed++;
  c->mhd = NULL;
  h->conn_count--;
}

/* libmicrohttpd knows a time of silence only, which one octet now and then prolongs. It sees the end of the socket, and tidies up as for a client that went. */
static void end_late(struct rn_http *h, uint64_t now_ns) {
  for (struct conn *c = h->conns; c < h->conns + h->limits.connections; c++) {
    if (c->mhd == NULL || c->late || now_ns - c->since_ns < h->limits.timeout_ms * RN_NS_PER_MS)
      continue;
    const union MHD_ConnectionInfo *fd =
        MHD_get_connection_info(c->mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
    c->late = true;
    h->node->stats.http_late++;
    if (fd != NULL)
      (void)shutdown(fd->connect_fd, SHUT_RDWR);
  }
}

/* ---- the loop ---- */

static void on_timer(uv_timer_t *t);

/* Wakes for libmicrohttpd's time or the first connection that will be late. */
static void schedule(struct rn_http *h, uint64_t now_ns) {
  uint64_t wait_ms = UINT64_MAX, mhd_ms;
  for (const struct conn *c = h->conns; c < h->conns + h->limits.connections; c++) {
    if (c->mhd == NULL || c->late)
      continue;
    uint64_t age_ms = (now_ns - c->since_ns) / RN_NS_PER_MS;
    uint64_t left_ms = age_ms < h->limits.timeout_ms ? h->limits.timeout_ms - age_ms : 0;
    wait_ms = left_ms < wait_ms ? left_ms : wait_ms;
  }
  if (MHD_get_timeout64(h->daemon, &mhd_ms) == MHD_YES && mhd_ms < wait_ms)
    wait_ms = mhd_ms;
  if (wait_ms == UINT64_MAX)
    uv_timer_stop(&h->timer);
  else
    uv_timer_start(&h->timer, on_timer, wait_ms, 0);
}

static void run(struct rn_http *h) {
  end_late(h, rn_sys_now_ns());
  if (MHD_run(h->daemon) != MHD_YES)
    rn_warn("http: the server cannot go on");
  schedule(h, rn_sys_now_ns());
}

static void on_timer(uv_timer_t *t) { run(t->data); }

static void on_poll(uv_poll_t *p, int status, int events) {
  (void)status;
  (void)events;
  run(p->data);
}

/* ---- life ---- */

static void on_closed(uv_handle_t *handle) {
  struct rn_http *h = handle->data;
  if (--h->open_handles == 0)
    free(h);
}

void rn_http_close(struct rn_http *h) {
  if (h == NULL)
    return;
  uv_poll_stop(&h->poll); /* before its descriptor goes */
  MHD_stop_daemon(h->daemon);
  if (h->metrics != NULL)
    MHD_destroy_response(h->metrics);
  uv_close((uv_handle_t *)&h->poll, on_closed);
  uv_close((uv_handle_t *)&h->timer, on_closed);
}

static struct MHD_Daemon *start_daemon(struct rn_http *h, int fd) {
  /* One more than our limit, so that on_accept sees what exceeds it. */
  return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_THREAD_SAFETY, 0, on_accept, h, on_request, h,
                          MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                          (unsigned int)h->limits.connections + 1,
                          MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)RN_HTTP_REQUEST_MAX,
                          MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_END);
}

int rn_http_new(uv_loop_t *loop, int fd, const struct rn_http_limits *limits, struct rn_node *n,
                struct rn_http **out) {
  struct rn_http *h = calloc(1, sizeof(*h) + limits->connections * sizeof(h->conns[0]));
  if (h == NULL) {
    close(fd);
    return RN_ERR_SYS;
  }
  h->node = n;
  h->limits = *limits;
  h->poll.data = h->timer.data = h;
  h->daemon = start_daemon(h, fd);
  if (h->daemon == NULL) {
    close(fd);
    free(h);
    return RN_ERR_SYS;
  }
  const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
  if (info == NULL || uv_poll_init(loop, &h->poll, info->epoll_fd) != 0) {
    MHD_stop_daemon(h->daemon);
    free(h);
    return RN_ERR_SYS;
  }
  uv_timer_init(loop, &h->timer);
  h->open_handles = 2;
  uv_poll_start(&h->poll, UV_READABLE, on_poll); /* fails for bad arguments only */
  *out = h;
  return RN_OK;
}
