/* control/inspect.c */
#include "control/inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "control/node.h"
#include "control/status.h"
#include "quic/inspect.h"
#include "util/err.h"

#define PAGE 32u /* connections asked for at a time */

struct job {
  enum { JOB_FREE, JOB_CONNECTIONS, JOB_QLOG } kind;
  uint32_t id;
  struct rn_inspect_client client;
  yyjson_mut_doc *doc; /* connections */
  yyjson_mut_val *list;
  uint32_t
      lcore_idx; /* that is asked now; qlog: that logs, UINT32_MAX while all wait for the next connection */
  uint32_t last_lcore;
  uint32_t left;
};

struct rn_inspect {
  struct rn_node *node;
  uint32_t next_id;
  struct job jobs[RN_INSPECT_JOBS];
};

struct rn_inspect *rn_inspect_new(struct rn_node *n) {
  struct rn_inspect *in = calloc(1, sizeof(*in));
  if (in != NULL)
    in->node = n;
  return in;
}

/* ---- jobs ---- */

static struct job *job_new(struct rn_inspect *in, const struct rn_inspect_client *client) {
  for (size_t i = 0; i < RN_INSPECT_JOBS; i++) {
    struct job *j = &in->jobs[i];
    if (j->kind != JOB_FREE)
      continue;
    in->next_id += in->next_id == UINT32_MAX ? 2 : 1; /* 0 is none */
    *j = (struct job){ .id = in->next_id, .client = *client };
    return j;
  }
  return NULL;
}

static struct job *job_find(struct rn_inspect *in, uint32_t id) {
  for (size_t i = 0; i < RN_INSPECT_JOBS; i++) {
    if (in->jobs[i].kind != JOB_FREE && in->jobs[i].id == id)
      return &in->jobs[i];
  }
  return NULL;
}

static void job_free(struct job *j) {
  yyjson_mut_doc_free(j->doc);
  *j = (struct job){ 0 };
}

static void job_done(struct job *j, char *json, size_t len) {
  struct rn_inspect_client client = j->client;
  job_free(j);
  client.done(client.arg, json, len);
}

static void job_fail(struct job *j, const char *why) {
  size_t len = 0;
  char *json = rn_status_error_json(why, &len);
  job_done(j, json, len);
}

static void tell_qlog(struct rn_inspect *in, const struct job *j, uint32_t lcore_idx,
                      enum rn_msg_qlog_what what, uint64_t number, const struct rn_addr *client) {
  struct rn_msg_qlog m = { .job = j->id, .what = what, .number = number };
  if (client != NULL)
    m.client = *client;
  rn_node_send(in->node, lcore_idx, RN_MSG_QLOG, &m, NULL, 0);
}

/* Every lcore that may be at work for j, but for one. */
static void stop_qlog(struct rn_inspect *in, const struct job *j, uint32_t but) {
  for (uint32_t i = 0; i < in->node->topo.lcore_count; i++) {
    if (i != but && (j->lcore_idx == UINT32_MAX || j->lcore_idx == i))
      tell_qlog(in, j, i, RN_MSG_QLOG_STOP, 0, NULL);
  }
}

void rn_inspect_cancel(struct rn_inspect *in, uint32_t job) {
  struct job *j = in != NULL ? job_find(in, job) : NULL;
  if (j == NULL)
    return;
  if (j->kind == JOB_QLOG && in->node->state != RN_NODE_NONE)
    stop_qlog(in, j, UINT32_MAX);
  job_free(j);
}

void rn_inspect_lost(struct rn_inspect *in) {
  for (size_t i = 0; in != NULL && i < RN_INSPECT_JOBS; i++) {
    if (in->jobs[i].kind != JOB_FREE)
      job_fail(&in->jobs[i], "the data plane ended");
  }
}

void rn_inspect_free(struct rn_inspect *in) {
  for (size_t i = 0; in != NULL && i < RN_INSPECT_JOBS; i++)
    job_free(&in->jobs[i]);
  free(in);
}

/* ---- connections ---- */

static void ask(struct rn_inspect *in, const struct job *j, uint32_t from) {
  const struct rn_msg_conns m = { .job = j->id,
                                  .from = from,
                                  .max = j->left < PAGE ? j->left : PAGE };
  rn_node_send(in->node, j->lcore_idx, RN_MSG_CONNS, &m, NULL, 0);
}

uint32_t rn_inspect_connections(struct rn_inspect *in, uint32_t only, uint32_t most,
                                const struct rn_inspect_client *client) {
  struct job *j = job_new(in, client);
  if (j == NULL)
    return 0;
  uint32_t id = j->id;
  j->kind = JOB_CONNECTIONS;
  if (in->node->state == RN_NODE_NONE) {
    job_fail(j, "the data plane is not running");
    return id;
  }
  if (only != UINT32_MAX && only >= in->node->topo.lcore_count) {
    job_fail(j, "there is no such lcore");
    return id;
  }
  yyjson_mut_val *r;
  j->doc = rn_status_answer(&r);
  j->list = j->doc != NULL ? yyjson_mut_obj_add_arr(j->doc, r, "connections") : NULL;
  if (j->list == NULL) {
    job_done(j, NULL, 0);
    return id;
  }
  j->lcore_idx = only != UINT32_MAX ? only : 0;
  j->last_lcore = only != UINT32_MAX ? only : in->node->topo.lcore_count - 1;
  j->left = most;
  ask(in, j, 0);
  return id;
}

static void add_addr(yyjson_mut_doc *doc, yyjson_mut_val *o, const char *key,
                     const struct rn_addr *a) {
  char text[RN_ADDR_TEXT_BYTES];
  yyjson_mut_obj_add_strcpy(doc, o, key, rn_addr_text(a, text));
}

static double ms(uint64_t ns) { return (double)ns / 1e6; }

/* What the lcore says is not trusted to be in range. */
static void on_conn(struct job *j, uint32_t idx, const struct rn_msg *m) {
  static const char *const phases[RN_QUIC_PHASE_COUNT] = { "handshake", "ready", "closing",
                                                           "draining" };
  struct rn_quic_conn_info i;
  if (m->tail_bytes != sizeof(i) || j->left == 0)
    return;
  memcpy(&i, m->tail, sizeof(i));
  char name[48];
  snprintf(name, sizeof(name), "%u.%u.%u", idx, (uint32_t)i.number, (uint32_t)(i.number >> 32));
  yyjson_mut_doc *doc = j->doc;
  yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, j->list);
  yyjson_mut_obj_add_strcpy(doc, o, "connection", name);
  yyjson_mut_obj_add_uint(doc, o, "lcore", idx);
  add_addr(doc, o, "peer", &i.path.remote);
  add_addr(doc, o, "local", &i.path.local);
  yyjson_mut_obj_add_str(doc, o, "phase", phases[i.phase < RN_QUIC_PHASE_COUNT ? i.phase : 0]);
  yyjson_mut_obj_add_str(doc, o, "role", i.server != 0 ? "server" : "client");
  yyjson_mut_obj_add_real(doc, o, "age_ms", ms(i.age_ns));
  yyjson_mut_obj_add_real(doc, o, "silent_ms", ms(i.silent_ns));
  yyjson_mut_obj_add_real(doc, o, "rtt_ms", ms(i.rtt_ns));
  yyjson_mut_obj_add_real(doc, o, "rtt_min_ms", ms(i.rtt_min_ns));
  yyjson_mut_obj_add_uint(doc, o, "streams", i.streams);
  yyjson_mut_obj_add_uint(doc, o, "congestion_window", i.cwnd);
  yyjson_mut_obj_add_uint(doc, o, "bytes_in_flight", i.in_flight);
  yyjson_mut_obj_add_uint(doc, o, "rx_bytes", i.rx_bytes);
  yyjson_mut_obj_add_uint(doc, o, "tx_bytes", i.tx_bytes);
  yyjson_mut_obj_add_uint(doc, o, "rx_packets", i.rx_packets);
  yyjson_mut_obj_add_uint(doc, o, "tx_packets", i.tx_packets);
  yyjson_mut_obj_add_uint(doc, o, "lost_packets", i.lost_packets);
  j->left--;
}

static void on_conns_end(struct rn_inspect *in, struct job *j, uint32_t next) {
  bool more = next != UINT32_MAX;
  if (j->left > 0 && (more || j->lcore_idx < j->last_lcore)) {
    if (!more)
      j->lcore_idx++;
    ask(in, j, more ? next : 0);
    return;
  }
  yyjson_mut_val *result = yyjson_mut_obj_get(yyjson_mut_doc_get_root(j->doc), "result");
  yyjson_mut_obj_add_bool(j->doc, result, "more", more || j->lcore_idx < j->last_lcore);
  size_t len = 0;
  char *json = yyjson_mut_write(j->doc, 0, &len);
  job_done(j, json, len);
}

/* ---- qlog ---- */

uint32_t rn_inspect_qlog(struct rn_inspect *in, const char *name, const struct rn_addr *client_addr,
                         const struct rn_inspect_client *client, const char **why) {
  uint32_t lcore_idx = UINT32_MAX, slot = 0, gen = 0;
  int end = 0;
  *why = NULL;
  if (name != NULL && (sscanf(name, "%u.%u.%u%n", &lcore_idx, &slot, &gen, &end) != 3 ||
                       name[end] != '\0' || lcore_idx >= in->node->topo.lcore_count))
    *why = "a connection is named as rpcnetctl connections does, like 0.12.3";
  else if (in->node->state == RN_NODE_NONE)
    *why = "the data plane is not running";
  if (*why != NULL)
    return 0;
  struct job *j = job_new(in, client);
  if (j == NULL) {
    *why = "too many are asking";
    return 0;
  }
  j->kind = JOB_QLOG;
  j->lcore_idx = lcore_idx;
  if (name != NULL) {
    tell_qlog(in, j, lcore_idx, RN_MSG_QLOG_CONN, (uint64_t)gen << 32 | slot, NULL);
    return j->id;
  }
  for (uint32_t i = 0; i < in->node->topo.lcore_count; i++)
    tell_qlog(in, j, i, RN_MSG_QLOG_NEXT, 0, client_addr);
  return j->id;
}

static void on_qlog_text(struct rn_inspect *in, struct job *j, uint32_t idx,
                         const struct rn_msg *m) {
  if (m->qlog_text.status != RN_OK) {
    if (j->lcore_idx == UINT32_MAX)
      stop_qlog(in, j, idx);
    job_fail(j, m->qlog_text.status == RN_ERR_EXIST
                    ? "a connection of that lcore is being logged already"
                    : "there is no such connection (any more)");
    return;
  }
  if (j->lcore_idx == UINT32_MAX) { /* the next connection came here */
    stop_qlog(in, j, idx);
    j->lcore_idx = idx;
  }
  if (m->tail_bytes > 0)
    j->client.text(j->client.arg, (const char *)m->tail, m->tail_bytes);
  /* The client may have gone with that. */
  j = job_find(in, m->qlog_text.job);
  if (j != NULL && m->qlog_text.last != 0)
    job_done(j, NULL, 0);
}

/* ---- either ---- */

void rn_inspect_on_message(struct rn_inspect *in, uint32_t lcore_idx, const struct rn_msg *m) {
  uint32_t id = m->type == RN_MSG_CONN        ? m->conn.job
                : m->type == RN_MSG_CONNS_END ? m->conns_end.job
                                              : m->qlog_text.job;
  struct job *j = in != NULL ? job_find(in, id) : NULL;
  if (j == NULL) /* cancelled meanwhile */
    return;
  bool asked = j->lcore_idx == lcore_idx || (j->kind == JOB_QLOG && j->lcore_idx == UINT32_MAX);
  if (!asked || (j->kind == JOB_QLOG) != (m->type == RN_MSG_QLOG_TEXT)) {
    in->node->stats.ring_corrupt++;
    return;
  }
  if (m->type == RN_MSG_CONN)
    on_conn(j, lcore_idx, m);
  else if (m->type == RN_MSG_CONNS_END)
    on_conns_end(in, j, m->conns_end.next);
  else
    on_qlog_text(in, j, lcore_idx, m);
}

/* ---- traces ---- */

static void add_trace(yyjson_mut_doc *doc, yyjson_mut_val *list, uint32_t idx,
                      const struct rn_trace *t) {
  char conn[48], method[RN_TRACE_METHOD_BYTES];
  uint64_t total_ns = 0;
  snprintf(conn, sizeof(conn), "%u.%u.%u", idx, (uint32_t)t->conn, (uint32_t)(t->conn >> 32));
  for (uint32_t i = 0; i < t->method_bytes; i++) /* it may be anything */
    method[i] = t->method[i] >= 0x20 && t->method[i] < 0x7f ? t->method[i] : '?';
  yyjson_mut_val *o = yyjson_mut_arr_add_obj(doc, list);
  yyjson_mut_obj_add_uint(doc, o, "lcore", idx);
  yyjson_mut_obj_add_uint(doc, o, "number", t->number);
  yyjson_mut_obj_add_real(doc, o, "at_ms", ms(t->at_ns));
  yyjson_mut_obj_add_strcpy(doc, o, "connection", conn);
  yyjson_mut_obj_add_uint(doc, o, "stream", t->stream_id);
  add_addr(doc, o, "peer", &t->peer);
  yyjson_mut_obj_add_strncpy(doc, o, "method", method, t->method_bytes);
  yyjson_mut_obj_add_str(doc, o, "outcome", rn_trace_outcome_name(t->outcome));
  yyjson_mut_obj_add_uint(doc, o, "request_bytes", t->request_bytes);
  yyjson_mut_obj_add_uint(doc, o, "answer_bytes", t->answer_bytes);
  yyjson_mut_val *stages = yyjson_mut_obj_add_obj(doc, o, "stage_ns");
  for (uint32_t i = 0; i < RN_TRACE_STAGE_COUNT; i++) {
    yyjson_mut_obj_add_uint(doc, stages, rn_trace_stage_name(i), t->stage_ns[i]);
    total_ns += t->stage_ns[i];
  }
  yyjson_mut_obj_add_uint(doc, o, "total_ns", total_ns);
}

char *rn_inspect_traces_json(struct rn_node *n, const uint64_t *after, size_t after_count,
                             uint32_t most, size_t *len) {
  yyjson_mut_val *r;
  yyjson_mut_doc *doc = rn_status_answer(&r);
  if (doc == NULL)
    return NULL;
  yyjson_mut_val *written = yyjson_mut_obj_add_arr(doc, r, "written");
  yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, r, "calls");
  for (uint32_t i = 0; n->state != RN_NODE_NONE && i < n->topo.lcore_count; i++) {
    const struct rn_trace_page *page = &rn_topo_stats(&n->view, i)->traces;
    uint64_t last = atomic_load_explicit(&page->written, memory_order_acquire);
    uint64_t from = i < after_count && after[i] <= last ? after[i] : 0;
    uint64_t keep = most < RN_TRACE_SLOTS ? most : RN_TRACE_SLOTS;
    if (last - from > keep)
      from = last - keep;
    yyjson_mut_arr_add_uint(doc, written, last);
    struct rn_trace t;
    for (uint64_t number = from + 1; number <= last; number++) {
      if (rn_trace_get(page, number, &t) == RN_OK)
        add_trace(doc, list, i, &t);
    }
  }
  char *text = yyjson_mut_write(doc, 0, len);
  yyjson_mut_doc_free(doc);
  return text;
}
