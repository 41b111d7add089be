/* dataplane/inspect.c: what control asks about connections. Half of the ring stays free of it, for what serves calls. */
#include "dataplane/lcore.h"
#include "util/err.h"

#include <assert.h>
#include <string.h>

#define CONNS_MAX 32u

static_assert(sizeof(struct rn_quic_conn_info) <= RN_MSG_CONN_TAIL_MAX, "travels as a tail");

static bool has_room(const struct rn_lcore *lc, size_t messages) {
  return rn_ring_used(&lc->to_control) + messages <= lc->view->topo.ring.slot_count / 2;
}

void rn_inspect_conns(struct rn_lcore *lc, const struct rn_msg_conns *m) {
  uint32_t most = m->max < CONNS_MAX ? m->max : CONNS_MAX;
  const struct rn_msg_conn c = { .job = m->job };
  struct rn_msg_conns_end end = { .job = m->job, .next = m->from };
  struct rn_quic_conn_info info;
  bool found = true;
  /* What rn_quic_conns_next looks at in one call is a turn's worth of it, when it finds none. */
  for (uint32_t i = 0; i < most && found && end.next != UINT32_MAX && has_room(lc, 2); i++) {
    end.next = rn_quic_conns_next(lc->quic, end.next, &found, &info);
    if (found)
      rn_control_push(lc, RN_MSG_CONN, &c, &info, sizeof(info));
  }
  rn_control_push(lc, RN_MSG_CONNS_END, &end, NULL, 0);
}

/* ---- qlog ---- */

static void qlog_say(struct rn_lcore *lc, uint32_t job, int status, bool last, const char *text,
                     size_t len) {
  const struct rn_msg_qlog_text m = {
    .job = job, .status = status, .last = last, .lost = lc->qlog_lost
  };
  rn_control_push(lc, RN_MSG_QLOG_TEXT, &m, text, len);
}

/* Whole records or nothing of them: half a line is of no use to a reader. */
static void qlog_write(void *ctx, const char *text, size_t len, bool last) {
  struct rn_lcore *lc = ctx;
  if (!has_room(lc, len / RN_MSG_QLOG_TEXT_TAIL_MAX + 1)) {
    lc->stats.lcore.qlog_lost++;
    lc->qlog_lost++;
    len = 0;
  }
  for (size_t at = 0; at < len;) {
    size_t n = len - at < RN_MSG_QLOG_TEXT_TAIL_MAX ? len - at : RN_MSG_QLOG_TEXT_TAIL_MAX;
    qlog_say(lc, lc->qlog_job, RN_OK, false, text + at, n);
    at += n;
  }
  if (last)
    qlog_say(lc, lc->qlog_job, RN_OK, true, NULL, 0);
}

void rn_inspect_qlog(struct rn_lcore *lc, const struct rn_msg_qlog *m) {
  if (m->what == RN_MSG_QLOG_STOP) {
    if (m->job == lc->qlog_job)
      rn_quic_qlog_stop(lc->quic);
    return;
  }
  const struct rn_quic_qlog sink = { .write = qlog_write, .ctx = lc };
  uint32_t before = lc->qlog_job;
  lc->qlog = sink;
  lc->qlog_job = m->job; /* the first record comes from within start */
  int err = m->what == RN_MSG_QLOG_CONN
                ? rn_quic_qlog_start(lc->quic, lc->now_ns, m->number, &lc->qlog)
                : rn_quic_qlog_next(lc->quic, &m->client, &lc->qlog);
  if (err == RN_OK) {
    lc->qlog_lost = 0;
    return;
  }
  lc->qlog_job = before;
  qlog_say(lc, m->job, err, true, NULL, 0);
}

void rn_inspect_stop(struct rn_lcore *lc) { rn_quic_qlog_stop(lc->quic); }
