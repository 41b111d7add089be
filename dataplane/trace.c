/* dataplane/trace.c */
#include "dataplane/trace.h"
#include "quic/inspect.h"

#include <string.h>
static uint64_t clock_ns(struct rn_tracer *t) { return t->clock_ns(t->clock_ctx); }

static void answered_late(void *ctx, uint64_t since_ns) {
  struct rn_tracer *t = ctx;
  if (t->late_count < RN_TRACE_LATE)
    t->late[t->late_count++] = since_ns;
  else /* with the part of the turn until now, instead of all of it */
    rn_stats_hist_add(t->page, RN_HIST_call_ns, clock_ns(t) - since_ns, 1);
}

static struct rn_tracer_call *free_call(struct rn_tracer *t) {
  for (size_t i = 0; i < RN_TRACE_OPEN; i++) {
    if (t->calls[i].state == TRACE_FREE)
      return &t->calls[i];
  }
  return NULL;
}

static uint8_t begun(void *ctx, const struct rn_rpc_begun *b) {
  struct rn_tracer *t = ctx;
  struct rn_tracer_call *c = free_call(t);
  rn_tracer_disarm(t);
  if (c == NULL)
    return 0;
  const struct rn_quic_conn *conn = rn_quic_stream_conn(b->s);
  struct rn_path path;
  rn_quic_conn_path(conn, &path);
  size_t name = b->method_bytes < RN_TRACE_METHOD_BYTES ? b->method_bytes : RN_TRACE_METHOD_BYTES;
  c->t = (struct rn_trace){ .at_ns = t->turn_ns,
                            .conn = rn_quic_conn_number(conn),
                            .stream_id = (uint64_t)rn_quic_stream_id(b->s),
                            .peer = path.remote,
                            .request_bytes = (uint32_t)b->params_bytes,
                            .method_bytes = (uint32_t)name };
  memcpy(c->t.method, b->method, name);
  c->state = TRACE_RUNNING;
  c->mark_ns = clock_ns(t);
  c->t.stage_ns[RN_TRACE_RX] = t->datagram_ns - t->turn_ns;
  c->t.stage_ns[RN_TRACE_QUIC] = t->bytes_ns - t->datagram_ns;
  c->t.stage_ns[RN_TRACE_CLASSIFY] = c->mark_ns - t->bytes_ns;
  t->next_ns = t->turn_ns + t->interval_ns;
  return (uint8_t)(c - t->calls + 1);
}

static enum rn_trace_outcome outcome_of(enum rn_rpc_outcome how) {
  switch (how) {
  case RN_RPC_RESULT:
    return RN_TRACE_RESULT;
  case RN_RPC_ERROR:
    return RN_TRACE_ERROR;
  case RN_RPC_CANCELLED:
    return RN_TRACE_CANCELLED;
  default:
    return RN_TRACE_UNANSWERED;
  }
}

static void ended(void *ctx, uint8_t number, enum rn_rpc_outcome how, size_t bytes) {
  struct rn_tracer *t = ctx;
  struct rn_tracer_call *c = &t->calls[number - 1];
  uint64_t now_ns = clock_ns(t);
  c->t.stage_ns[RN_TRACE_HANDLER] = now_ns - c->mark_ns;
  c->t.outcome = outcome_of(how);
  c->t.answer_bytes = (uint32_t)bytes;
  c->mark_ns = now_ns;
  c->state = TRACE_ENDED;
  t->ended++;
}

void rn_tracer_init(struct rn_tracer *t, struct rn_rpc_server *rpc, struct rn_stats_page *page,
                    uint64_t interval_ns, uint64_t seed) {
  t->watch = (struct rn_rpc_watch){
    .answered_late = answered_late, .begun = begun, .ended = ended, .ctx = t
  };
  t->rpc = rpc;
  t->page = page;
  t->interval_ns = interval_ns;
  rn_rng_init(&t->rng, seed);
  rn_rpc_server_watch(rpc, &t->watch);
}

size_t rn_tracer_arm(struct rn_tracer *t, uint64_t now_ns, size_t n) {
  if (t->interval_ns == 0 || now_ns < t->next_ns)
    return RN_TRACE_NO;
  t->turn_ns = now_ns;
  return (size_t)rn_rng_below(&t->rng, n);
}

void rn_tracer_datagram(struct rn_tracer *t) {
  t->datagram_ns = t->bytes_ns = clock_ns(t);
  t->armed = true;
  rn_rpc_server_arm(t->rpc, true);
}

void rn_tracer_disarm(struct rn_tracer *t) {
  t->armed = false;
  rn_rpc_server_arm(t->rpc, false);
}

static void add_stages(struct rn_tracer *t, const struct rn_trace *trace) {
  static const enum rn_hist_id hists[RN_TRACE_STAGE_COUNT] = {
    RN_HIST_stage_rx_ns, RN_HIST_stage_quic_ns, RN_HIST_stage_classify_ns, RN_HIST_stage_handler_ns,
    RN_HIST_stage_tx_ns
  };
  for (size_t i = 0; i < RN_TRACE_STAGE_COUNT; i++)
    rn_stats_hist_add(t->page, hists[i], trace->stage_ns[i], 1);
}

void rn_tracer_sent(struct rn_tracer *t, uint64_t turn_ns) {
  uint32_t at_once = rn_rpc_server_answered_at_once(t->rpc);
  if (at_once == 0 && t->late_count == 0 && t->ended == 0)
    return;
  uint64_t now_ns = clock_ns(t);
  rn_stats_hist_add(t->page, RN_HIST_call_ns, now_ns - turn_ns, at_once);
  for (uint32_t i = 0; i < t->late_count; i++)
    rn_stats_hist_add(t->page, RN_HIST_call_ns, now_ns - t->late[i], 1);
  t->late_count = 0;
  for (size_t i = 0; t->ended > 0 && i < RN_TRACE_OPEN; i++) {
    struct rn_tracer_call *c = &t->calls[i];
    if (c->state != TRACE_ENDED)
      continue;
    c->state = TRACE_FREE;
    t->ended--;
    c->t.stage_ns[RN_TRACE_TX] = now_ns - c->mark_ns;
    if (c->t.outcome <= RN_TRACE_ERROR)
      add_stages(t, &c->t);
    rn_trace_put(&t->page->traces, &c->t);
  }
}
