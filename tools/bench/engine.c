/* tools/bench/engine.c: the load. */
#include "bench.h"
#include "util/err.h"
#include "wire/rpc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define NS_PER_S     UINT64_C(1000000000)
#define CONNECT_NS   (15 * NS_PER_S)
#define DRAIN_NS     (5 * NS_PER_S)
#define PROGRESS_NS  NS_PER_S
#define IDLE_WAIT_NS UINT64_C(2000000)
#define SLEEP_MS     10 /* what is asked of the method sleep */

struct call;

struct conn {
  struct engine *e;
  struct rn_quic_conn *quic;
  uint32_t in_flight;
  uint64_t dialled_ns, ready_ns;
  struct call *idle; /* calls not in flight, linked */
  /* streaming: items come back in order, so a ring of send times is enough */
  struct rn_rpc_client_call *stream;
  uint64_t *sent_ns;
  uint64_t sent, received;
};

struct call {
  struct conn *c;
  struct call *next;
  uint64_t start_ns; /* open loop: when it should have been sent */
};

struct engine {
  const struct bench_options *o;
  struct bench_result *r;
  struct rn_client *client;
  struct conn *conns;
  struct call *calls;
  uint8_t *payload;
  uint32_t ready, closed;
  uint64_t now_ns, measure_ns, end_ns;
  bool stopping;
  uint32_t next_conn; /* open loop: round robin */
  uint64_t scheduled; /* open loop: calls that were due so far */
  uint64_t first_due_ns;
};

/* ---- outcomes ---- */

static bool measuring(const struct engine *e) {
  return e->now_ns >= e->measure_ns && e->now_ns < e->end_ns;
}

static void record(struct engine *e, uint64_t start_ns) {
  uint64_t now = rn_client_now();
  e->now_ns = now;
  if (!measuring(e))
    return;
  e->r->calls++;
  rn_hist_add(&e->r->latency, now > start_ns ? now - start_ns : 0);
}

static void record_error(struct engine *e, uint64_t start_ns, const struct rn_rpc_result *res) {
  if (e->stopping || e->now_ns < e->measure_ns)
    return;
  uint64_t now = rn_client_now();
  if (res->err == RN_ERR_REFUSED)
    rn_hist_add(&e->r->refusal, now > start_ns ? now - start_ns : 0);
  e->r->errors++;
  e->r->timeouts += res->err == RN_ERR_TIMEOUT;
  e->r->refused += res->err == RN_ERR_REFUSED;
  if (e->r->first_error[0] == '\0')
    snprintf(e->r->first_error, sizeof(e->r->first_error), "%s", res->text);
}

/* ---- calls ---- */

static bool send_call(struct conn *c, uint64_t start_ns);

static void on_done(void *user, struct rn_rpc_client_call *handle,
                    const struct rn_rpc_result *res) {
  (void)handle;
  struct call *k = user;
  struct conn *c = k->c;
  struct engine *e = c->e;
  if (res->err == RN_OK)
    record(e, k->start_ns);
  else
    record_error(e, k->start_ns, res);
  k->next = c->idle;
  c->idle = k;
  c->in_flight--;
  if (e->o->rate_per_s == 0 && !e->stopping && res->err == RN_OK)
    send_call(c, rn_client_now());
}

static bool send_call(struct conn *c, uint64_t start_ns) {
  struct engine *e = c->e;
  struct call *k = c->idle;
  if (k == NULL || c->quic == NULL || !rn_quic_conn_is_ready(c->quic))
    return false;
  k->start_ns = start_ns;
  if (rn_rpc_client_call(rn_client_rpc(e->client), c->quic, e->o->method, e->payload,
                         e->o->payload_bytes, e->o->timeout_ns, on_done, k, NULL) != RN_OK)
    return false;
  c->idle = k->next;
  c->in_flight++;
  return true;
}

static void top_up(struct engine *e) {
  for (uint32_t i = 0; i < e->o->connections; i++) {
    while (e->conns[i].in_flight < e->o->outstanding && send_call(&e->conns[i], e->now_ns)) {
    }
  }
}

/* Sends what is due by now. A call that finds every connection's calls in flight counts as late and is not sent: the latencies would
 * otherwise leave out just the ones that had to wait. */
static void send_due(struct engine *e) {
  uint64_t due = (uint64_t)((double)(e->now_ns - e->first_due_ns) * e->o->rate_per_s / 1e9);
  for (; e->scheduled < due; e->scheduled++) {
    uint64_t at = e->first_due_ns + (uint64_t)((double)e->scheduled * 1e9 / e->o->rate_per_s);
    bool sent = false;
    for (uint32_t tries = 0; !sent && tries < e->o->connections; tries++) {
      struct conn *c = &e->conns[e->next_conn];
      e->next_conn = (e->next_conn + 1) % e->o->connections;
      sent = c->in_flight < e->o->outstanding && send_call(c, at);
    }
    if (!sent && measuring(e))
      e->r->late++;
  }
}

/* ---- streams ---- */

static void stream_send(struct conn *c) {
  struct engine *e = c->e;
  while (!e->stopping && c->stream != NULL && c->sent - c->received < e->o->outstanding) {
    uint64_t now = rn_client_now();
    if (rn_rpc_client_send(c->stream, e->payload, e->o->payload_bytes) != RN_OK)
      return;
    c->sent_ns[c->sent++ % e->o->outstanding] = now;
  }
}

static void on_item(void *user, struct rn_rpc_client_call *handle, const uint8_t *data,
                    size_t len) {
  (void)handle, (void)data, (void)len;
  struct conn *c = user;
  record(c->e, c->sent_ns[c->received++ % c->e->o->outstanding]);
}

static void on_stream_writable(void *user, struct rn_rpc_client_call *handle) {
  (void)handle;
  stream_send(user);
}

static void on_stream_done(void *user, struct rn_rpc_client_call *handle,
                           const struct rn_rpc_result *res) {
  (void)handle;
  struct conn *c = user;
  if (res->err != RN_OK)
    record_error(c->e, c->ready_ns, res);
  c->stream = NULL;
}

static const struct rn_rpc_stream_events stream_events = { .item = on_item,
                                                           .writable = on_stream_writable,
                                                           .done = on_stream_done };

/* ---- connections ---- */

static void on_ready(void *user, struct rn_quic_conn *quic) {
  struct engine *e = user;
  struct conn *c = rn_quic_conn_user(quic);
  c->ready_ns = rn_client_now();
  e->ready++;
}

static void on_closed(void *user, struct rn_quic_conn *quic, const struct rn_quic_close *why) {
  struct engine *e = user;
  struct conn *c = rn_quic_conn_user(quic);
  e->closed++;
  c->quic = NULL;
  if (!e->stopping && e->r->first_error[0] == '\0')
    snprintf(e->r->first_error, sizeof(e->r->first_error),
             "connection closed by %s, %s code 0x%" PRIx64,
             why->kind == RN_QUIC_CLOSE_PEER        ? "the server"
             : why->kind == RN_QUIC_CLOSE_IDLE      ? "idle timeout"
             : why->kind == RN_QUIC_CLOSE_HANDSHAKE ? "a failed handshake"
             : why->kind == RN_QUIC_CLOSE_RESET     ? "a stateless reset"
                                                    : "this side",
             why->app ? "application" : "transport", why->code);
}

static void on_streams(void *user, struct rn_quic_conn *quic) {
  struct engine *e = user;
  struct conn *c = rn_quic_conn_user(quic);
  if (e->o->rate_per_s == 0 && !e->o->stream && e->first_due_ns != 0) {
    while (!e->stopping && c->in_flight < e->o->outstanding && send_call(c, rn_client_now())) {
    }
  }
}

static int dial(struct engine *e, char *why, size_t why_bytes) {
  for (uint32_t i = 0; i < e->o->connections; i++) {
    struct conn *c = &e->conns[i];
    *c = (struct conn){ .e = e, .dialled_ns = rn_client_now() };
    int err = rn_client_connect(e->client, &e->o->target, e->o->server_name, &c->quic);
    if (err != RN_OK) {
      snprintf(why, why_bytes, "connect: %s", rn_err_text(err));
      return err;
    }
    rn_quic_conn_set_user(c->quic, c);
    rn_client_step(e->client, 0);
  }
  uint64_t give_up = rn_client_now() + CONNECT_NS;
  while (e->ready < e->o->connections && e->closed == 0 && rn_client_now() < give_up)
    rn_client_step(e->client, IDLE_WAIT_NS);
  if (e->ready < e->o->connections) {
    snprintf(why, why_bytes, "%u of %u connections to %s came up%s%s", e->ready, e->o->connections,
             e->o->target_text, e->r->first_error[0] != '\0' ? ": " : " within 15 s",
             e->r->first_error);
    return RN_ERR_CLOSED;
  }
  return RN_OK;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double median_handshake(const struct engine *e) {
  double *us = malloc(e->o->connections * sizeof(*us));
  for (uint32_t i = 0; i < e->o->connections; i++)
    us[i] = (double)(e->conns[i].ready_ns - e->conns[i].dialled_ns) / 1e3;
  qsort(us, e->o->connections, sizeof(*us), by_value);
  double m = us[e->o->connections / 2];
  free(us);
  return m;
}

/* ---- a run ---- */

static int start_work(struct engine *e, char *why, size_t why_bytes) {
  for (uint32_t i = 0; i < e->o->connections; i++) {
    struct conn *c = &e->conns[i];
    for (uint32_t k = 0; k < e->o->outstanding; k++) {
      struct call *call = &e->calls[(size_t)i * e->o->outstanding + k];
      call->c = c;
      call->next = c->idle;
      c->idle = call;
    }
    if (!e->o->stream)
      continue;
    c->sent_ns = calloc(e->o->outstanding, sizeof(*c->sent_ns));
    int err = rn_rpc_client_stream(rn_client_rpc(e->client), c->quic, e->o->method,
                                   e->o->timeout_ns, &stream_events, c, &c->stream);
    if (err != RN_OK) {
      snprintf(why, why_bytes, "streaming call: %s", rn_err_text(err));
      return err;
    }
  }
  return RN_OK;
}

double bench_cpu_seconds(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void one_turn(struct engine *e) {
  uint64_t wait = IDLE_WAIT_NS;
  e->now_ns = rn_client_now();
  if (e->o->stream) {
    for (uint32_t i = 0; i < e->o->connections; i++)
      stream_send(&e->conns[i]);
  } else if (e->o->rate_per_s > 0) {
    send_due(e);
    double gap_ns = 1e9 / e->o->rate_per_s; /* until the next call is due */
    wait = gap_ns < (double)IDLE_WAIT_NS ? (uint64_t)gap_ns : IDLE_WAIT_NS;
  } else {
    top_up(e);
  }
  rn_client_step(e->client, wait);
}

static void run_load(struct engine *e) {
  uint64_t start = rn_client_now(), next_report = start + PROGRESS_NS;
  e->first_due_ns = start;
  e->measure_ns = start + (uint64_t)(e->o->warmup_s * 1e9);
  e->end_ns = e->measure_ns + (uint64_t)(e->o->duration_s * 1e9);
  double cpu = -1;
  for (e->now_ns = start; e->now_ns < e->end_ns && e->closed == 0; e->now_ns = rn_client_now()) {
    one_turn(e);
    if (cpu < 0 && e->now_ns >= e->measure_ns)
      cpu = bench_cpu_seconds();
    if (e->now_ns >= next_report) {
      next_report += PROGRESS_NS;
      report_progress(e->o, (double)(e->now_ns - start) / 1e9, e->r->calls, e->r->errors);
    }
  }
  e->r->client_cpu_s = bench_cpu_seconds() - cpu;
  e->r->seconds = (double)((e->now_ns < e->end_ns ? e->now_ns : e->end_ns) - e->measure_ns) / 1e9;
  if (e->closed > 0)
    e->r->errors++;
}

static void drain(struct engine *e) {
  e->stopping = true;
  uint64_t until = rn_client_now() + DRAIN_NS;
  for (uint32_t i = 0; i < e->o->connections; i++) {
    if (e->conns[i].stream != NULL)
      rn_rpc_client_send_end(e->conns[i].stream);
  }
  while (rn_rpc_client_calls(rn_client_rpc(e->client)) > 0 && e->closed == 0 &&
         rn_client_now() < until)
    rn_client_step(e->client, IDLE_WAIT_NS);
}

int bench_run(const struct bench_options *o, struct bench_result *r, char *why, size_t why_bytes) {
  struct engine e = { .o = o, .r = r };
  const struct rn_client_events ev = { .ready = on_ready,
                                       .closed = on_closed,
                                       .streams_available = on_streams };
  e.conns = calloc(o->connections, sizeof(*e.conns));
  e.calls = calloc((size_t)o->connections * o->outstanding, sizeof(*e.calls));
  e.payload = calloc(1, o->payload_bytes + 1);
  for (uint32_t i = 0; i < o->payload_bytes; i++)
    e.payload[i] = (uint8_t)(i * 31 + 1);
  if (strcmp(o->method, "compute") == 0 && o->payload_bytes >= 4)
    rn_wire_put_u32(e.payload, 1000);
  if (strcmp(o->method, "sleep") == 0 && o->payload_bytes >= 8)
    rn_wire_put_u64(e.payload, SLEEP_MS);
  int err = bench_client_new(o, o->connections, o->connections * (o->outstanding + 16), &ev, &e,
                             &e.client, why, why_bytes);
  if (err == RN_OK)
    err = dial(&e, why, why_bytes);
  if (err == RN_OK)
    err = start_work(&e, why, why_bytes);
  if (err == RN_OK) {
    r->handshake_us = median_handshake(&e);
    run_load(&e);
    drain(&e);
  }
  e.stopping = true;
  rn_client_free(e.client);
  for (uint32_t i = 0; i < o->connections; i++)
    free(e.conns[i].sent_ns);
  free(e.conns);
  free(e.calls);
  free(e.payload);
  return err;
}
