/* lib/quic/signing.c: connections whose handshake waits for a signature.
 *
 *   TLS pauses -> signing_begin -> events->sign ----------------> rn_quic_sign_done -> the handshake goes on
 *                                    |   nobody answers: the signer died with it
 *                                    +-> rn_quic_sign_again asks once more
 *                                    +-> sign_timeout_ns later: CONNECTION_REFUSED */
#include "quic/contain.h"
#include "quic/quic_priv.h"

void signing_end(struct rn_quic_conn *c) {
  if (!c->sign_pending)
    return;
  c->sign_pending = false;
  c->q->stats.sign_jobs--;
  rn_list_remove(&c->sign_node);
  rn_list_init(&c->sign_node);
}

bool signing_overdue(const struct rn_quic_conn *c) {
  return c->sign_pending && c->q->now_ns >= c->sign_by_ns;
}

static int ask(struct rn_quic_conn *c) {
  struct rn_quic *q = c->q;
  const uint8_t *tbs;
  size_t tbs_bytes;
  struct rn_quic_sign_req req = { .job = (uint64_t)c->slot << 32 | c->gen };
  rn_tls_sign_request(&c->tls, &req.scheme, &tbs, &tbs_bytes);
  req.tbs = tbs;
  req.tbs_bytes = (uint16_t)tbs_bytes;
  return q->ev->sign != NULL ? q->ev->sign(q->app, &req) : RN_ERR_REFUSED;
}

void signing_begin(struct rn_quic_conn *c) {
  struct rn_quic *q = c->q;
  c->tls.sign_wanted = false;
  if (q->stats.sign_jobs >= q->lim.sign_jobs) {
    q->stats.sign_limit++;
    conn_refuse(c);
    return;
  }
  uint64_t wait_ns = q->cfg.sign_timeout_ns;
  c->sign_by_ns = wait_ns != 0 ? q->now_ns + wait_ns : UINT64_MAX;
  c->sign_pending = true;
  rn_list_push_back(&q->signing, &c->sign_node);
  q->stats.sign_jobs++;
  q->stats.sign_requests++;
  if (ask(c) == RN_OK || c->ng == NULL || !c->sign_pending)
    return;
  q->stats.sign_failures++;
  conn_refuse(c);
}

void rn_quic_sign_again(struct rn_quic *q, uint64_t now_ns) {
  q->now_ns = now_ns;
  /* An answer may come from within the call and take its connection off the list. */
  uint32_t left = (uint32_t)q->stats.sign_jobs;
  while (left-- > 0 && !rn_list_empty(&q->signing)) {
    struct rn_quic_conn *c = RN_LIST_ENTRY(q->signing.next, struct rn_quic_conn, sign_node);
    rn_list_remove(&c->sign_node);
    rn_list_push_back(&q->signing, &c->sign_node);
    q->stats.sign_repeats++;
    if (ask(c) != RN_OK)
      return; /* no room for more questions: the others wait for their time-out */
  }
}

struct signature {
  int err;
  const uint8_t *bytes;
  size_t len;
};

static void go_on_signed(struct rn_quic_conn *c, void *arg) {
  const struct signature *sig = arg;
  int rv = rn_tls_sign_done(&c->tls, sig->err, sig->bytes, sig->len);
  if (rv == 0) /* packets that came during the pause were kept by ngtcp2 */
    rv = ngtcp2_conn_continue_handshake(c->ng, c->q->now_ns);
  if (rv != 0) {
    conn_fail(c, rv);
    return;
  }
  conn_mark_dirty(c);
  conn_settle(c);
}

void rn_quic_sign_done(struct rn_quic *q, uint64_t now_ns, uint64_t job, int err,
                       const uint8_t *sig, size_t sig_bytes) {
  q->now_ns = now_ns;
  struct rn_quic_conn *c = conn_find(q, (uint32_t)(job >> 32), (uint32_t)job & CONN_GEN_MASK);
  if (c == NULL || !c->sign_pending)
    return;
  signing_end(c);
  if (err != RN_OK)
    q->stats.sign_failures++;
  struct signature s = { .err = err, .bytes = sig, .len = sig_bytes };
  if (!contain_run(c, go_on_signed, &s))
    conn_abandon(c);
}
