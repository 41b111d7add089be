/* lib/quic/rx.c: from a datagram to the connection it is for, to a new connection, or to a stateless answer.
 *
 * A batch is classified first, which prefetches the connections it names, and read after: consecutive datagrams of one connection
 * find it in the cache. */
#include "quic/contain.h"
#include "quic/quic_priv.h"

#include <string.h>

#define MIN_RESET_BYTES 21 /* RFC 9000 section 10.3 */

enum target {
  TO_CONN,
  TO_ENDED,   /* closing or draining */
  TO_ACCEPT,  /* an Initial of no known connection */
  TO_VERSION, /* a version we do not speak */
  TO_RESET,   /* a connection ID that we do not know, or know no longer */
  TO_LCORE,
  TO_DROP, /* counted already */
};

struct rx_item {
  enum target to;
  struct rn_quic_conn *conn;
  uint32_t lcore_idx;
  ngtcp2_version_cid vc;
};

static struct rx_item drop(uint64_t *counter) {
  ++*counter;
  return (struct rx_item){ .to = TO_DROP };
}

static struct rx_item to_conn(struct rn_quic_conn *c) {
  __builtin_prefetch(c->ng);
  return (struct rx_item){ .to = c->ng != NULL ? TO_CONN : TO_ENDED, .conn = c };
}

/* A stateless reset looks like a short header packet with an unknown ID; its last 16 bytes tell (RFC 9000 section 10.3.1). */
static struct rn_quic_conn *find_reset(struct rn_quic *q, const struct rn_dgram *d) {
  static const struct rn_addr anywhere;
  uint32_t slot;
  if (d->len < MIN_RESET_BYTES ||
      !rn_cidmap_get(q->reset_tokens, d->data + d->len - 16, 16, &anywhere, &slot))
    return NULL;
  return &q->conns[slot];
}

static struct rx_item unknown_short(struct rn_quic *q, const struct rn_dgram *d) {
  struct rn_quic_conn *c = find_reset(q, d);
  if (c != NULL)
    return to_conn(c);
  return (struct rx_item){ .to = TO_RESET, .vc = { .dcid = d->data + 1, .dcidlen = RN_CID_BYTES } };
}

static struct rx_item classify_short(struct rn_quic *q, const struct rn_dgram *d) {
  struct rn_cid id;
  if (d->len < 1 + RN_CID_BYTES)
    return drop(&q->stats.drop_malformed);
  struct rn_quic_conn *c;
  switch (epochs_read(q, d->data + 1, RN_CID_BYTES, &id, &c)) {
  case RN_CID_OURS:
    return c != NULL ? to_conn(c) : unknown_short(q, d);
  case RN_CID_LCORE:
    return (struct rx_item){ .to = TO_LCORE, .lcore_idx = id.lcore_idx };
  default:
    return unknown_short(q, d);
  }
}

/* The lcore at which the packets of a first flight meet. */
static uint32_t meeting_lcore(const struct rn_quic *q, const ngtcp2_version_cid *vc) {
  if (q->spread.lcores <= 1)
    return q->cid_cfg.lcore_idx;
  return (uint32_t)(rn_siphash(q->spread.key, vc->dcid, vc->dcidlen) % q->spread.lcores);
}

static struct rx_item classify_long(struct rn_quic *q, const struct rn_dgram *d) {
  struct rx_item item = { .to = TO_ACCEPT };
  int rv = ngtcp2_pkt_decode_version_cid(&item.vc, d->data, d->len, RN_CID_BYTES);
  if (rv == NGTCP2_ERR_VERSION_NEGOTIATION) {
    item.to = TO_VERSION;
    return item;
  }
  if (rv != 0)
    return drop(&q->stats.drop_malformed);
  struct rn_cid id;
  bool retried = false; /* our Retry named this lcore */
  if (item.vc.dcidlen == RN_CID_BYTES) {
    struct rn_quic_conn *c;
    enum rn_cid_verdict v = epochs_read(q, item.vc.dcid, item.vc.dcidlen, &id, &c);
    if (v == RN_CID_OURS && id.slot != RN_CID_SLOT_NONE)
      return c != NULL ? to_conn(c) : drop(&q->stats.drop_unknown_cid);
    if (v == RN_CID_LCORE) {
      item.to = TO_LCORE;
      item.lcore_idx = id.lcore_idx;
      return item;
    }
    retried = v == RN_CID_OURS;
  }
  uint32_t slot, meet = retried ? q->cid_cfg.lcore_idx : meeting_lcore(q, &item.vc);
  if (meet != q->cid_cfg.lcore_idx) {
    item.to = TO_LCORE;
    item.lcore_idx = meet;
    return item;
  }
  if (rn_cidmap_get(q->initials, item.vc.dcid, item.vc.dcidlen, &d->path.remote, &slot) &&
      slot != INITIAL_IN_LINE)
    return to_conn(&q->conns[slot]);
  return item;
}

/* ---- reading ---- */

static void read_guarded(struct rn_quic_conn *c, void *arg) {
  const struct rn_dgram *d = arg;
  struct rn_quic *q = c->q;
  /* RFC 9000 section 9: no migration before the handshake is confirmed. ngtcp2 would ignore it, too, but count nothing. */
  if (c->server && c->state == CONN_HANDSHAKE && !rn_path_eq(&d->path, &c->path)) {
    q->stats.drop_early_move++;
    return;
  }
  struct native_path np;
  path_of_conn(c, &d->path, &np);
  const ngtcp2_pkt_info pi = { .ecn = d->ecn };
  if (c->logged)
    qlog_datagram(c, "received", d->len, d->ecn);
  int rv = ngtcp2_conn_read_pkt(c->ng, &np.path, &pi, d->data, d->len, q->now_ns);
  /* The first datagrams of a long ClientHello may come in any order. ngtcp2 has read this one whole and keeps its bytes, but would have us
   * check the address before we hold any for it. One that comes in order holds as much unchecked: what bounds both is half_open, and before
   * that retry_wanted. A Retry now would be lost on a client that has seen an answer, and leave what it started here behind. */
  if (rv == 0 || rv == NGTCP2_ERR_RETRY) {
    c->heard_ns = q->now_ns;
    conn_settle(c);
    conn_mark_dirty(c);
    return;
  }
  conn_fail(c, rv);
}

void conn_read(struct rn_quic_conn *c, const struct rn_dgram *d) {
  if (!contain_run(c, read_guarded, (void *)(uintptr_t)d))
    conn_abandon(c);
}

static void deliver(struct rn_quic *q, const struct rx_item *it, const struct rn_dgram *d) {
  struct rn_quic_conn *c = it->conn;
  switch (it->to) {
  case TO_CONN:
    /* An earlier datagram of the batch may have ended it, even given the slot to another. */
    if (c->ng != NULL)
      conn_read(c, d);
    else if (c->state != CONN_FREE)
      conn_rx_closed(c);
    break;
  case TO_ENDED:
    if (c->ng == NULL && c->state != CONN_FREE)
      conn_rx_closed(c);
    break;
  case TO_ACCEPT: {
    uint32_t slot;
    bool known = rn_cidmap_get(q->initials, it->vc.dcid, it->vc.dcidlen, &d->path.remote, &slot);
    admit_initial(q, d, known);
    break;
  }
  case TO_VERSION:
    stateless_version_negotiation(q, &it->vc, d);
    break;
  case TO_RESET:
    stateless_reset(q, d, it->vc.dcid);
    break;
  case TO_LCORE:
    if (q->ev->foreign != NULL)
      q->ev->foreign(q->app, it->lcore_idx, d);
    else
      q->stats.drop_foreign++;
    break;
  case TO_DROP:
    break;
  }
}

void rn_quic_rx(struct rn_quic *q, uint64_t now_ns, const struct rn_dgram *d, size_t n) {
  q->now_ns = now_ns;
  struct rx_item items[RN_QUIC_RX_BATCH];
  while (n > 0) {
    size_t batch = n < RN_QUIC_RX_BATCH ? n : RN_QUIC_RX_BATCH;
    for (size_t i = 0; i < batch; i++) {
      q->stats.rx_datagrams++;
      q->stats.rx_bytes += d[i].len;
      if (d[i].len == 0)
        items[i] = drop(&q->stats.drop_malformed);
      else
        items[i] = (d[i].data[0] & 0x80) != 0 ? classify_long(q, &d[i]) : classify_short(q, &d[i]);
    }
    for (size_t i = 0; i < batch; i++)
      deliver(q, &items[i], &d[i]);
    d += batch;
    n -= batch;
  }
}
