/* dataplane/events.c: whose the events of the endpoint are. Accepted connections are the RPC server's, dialled ones their pool's: gossip's, that of calls that go to
 * every worker, or that of forwarded calls. */
#include "dataplane/lcore.h"
#include "sys/event.h"
#include "util/err.h"

/* ---- connections ---- */

/* NULL: not dialled, or given up. */
static struct rn_pool *pool_of(const struct rn_quic_conn *c) {
  return rn_quic_conn_is_server(c) ? NULL : rn_pool_of(c);
}

static void on_conn_ready(void *app, struct rn_quic_conn *c) {
  struct rn_pool *pool = pool_of(c);
  (void)app;
  if (pool != NULL)
    rn_pool_conn_ready(pool, c);
}
static void on_conn_closed(void *app, struct rn_quic_conn *c, const struct rn_quic_close *why) {
  struct rn_pool *pool = pool_of(c);
  (void)app, (void)why;
  if (pool != NULL)
    rn_pool_conn_closed(pool, c);
}
static void on_available(void *app, struct rn_quic_conn *c) {
  struct rn_pool *pool = pool_of(c);
  (void)app;
  if (pool != NULL)
    rn_pool_streams_available(pool, c);
}

/* ---- streams ---- */

enum owner { OF_SERVER, OF_GOSSIP, OF_CALL_ALL, OF_FORWARDER };

static enum owner owner_of(const struct rn_lcore *lc, const struct rn_quic_stream *s) {
  const struct rn_quic_conn *c = rn_quic_stream_conn(s);
  if (rn_quic_conn_is_server(c))
    return OF_SERVER;
  const struct rn_pool *pool = rn_pool_of(c);
  if (pool == lc->gossip_pool)
    return OF_GOSSIP;
  return lc->call_all != NULL && pool == rn_call_all_pool(lc->call_all) ? OF_CALL_ALL
                                                                        : OF_FORWARDER;
}

static struct rn_fanout *fanout_of(const struct rn_lcore *lc) {
  return rn_call_all_fanout(lc->call_all);
}
static struct rn_forward *forward_of(const struct rn_lcore *lc) {
  return rn_forwarding_forward(lc->forwarding);
}

static int on_open(void *app, struct rn_quic_stream *s) {
  struct rn_lcore *lc = app;
  /* Whom we dial has nothing to ask: its own connections are for that. */
  return owner_of(lc, s) == OF_SERVER ? rn_rpc_server_stream_open(lc->rpc, s) : RN_ERR_REFUSED;
}

static void on_data(void *app, struct rn_quic_stream *s, const uint8_t *data, size_t len,
                    bool fin) {
  struct rn_lcore *lc = app;
  rn_tracer_bytes(&lc->tracer);
  switch (owner_of(lc, s)) {
  case OF_SERVER:
    rn_rpc_server_stream_data(lc->rpc, s, data, len, fin);
    return;
  case OF_GOSSIP:
    rn_gossip_stream_data(lc->gossip, s, data, len, fin);
    return;
  case OF_CALL_ALL:
    rn_fanout_stream_data(fanout_of(lc), s, data, len, fin);
    return;
  case OF_FORWARDER:
    rn_forward_stream_data(forward_of(lc), s, data, len, fin);
    return;
  }
}

static void on_reset(void *app, struct rn_quic_stream *s, uint64_t code) {
  struct rn_lcore *lc = app;
  switch (owner_of(lc, s)) {
  case OF_SERVER:
    rn_rpc_server_stream_reset(lc->rpc, s);
    return;
  case OF_GOSSIP:
    rn_gossip_stream_reset(lc->gossip, s);
    return;
  case OF_CALL_ALL:
    rn_fanout_stream_reset(fanout_of(lc), s);
    return;
  case OF_FORWARDER:
    rn_forward_stream_reset(forward_of(lc), s, code);
    return;
  }
}

static void on_stop(void *app, struct rn_quic_stream *s) {
  struct rn_lcore *lc = app;
  switch (owner_of(lc, s)) {
  case OF_SERVER:
    rn_rpc_server_stream_stop(lc->rpc, s);
    return;
  case OF_FORWARDER:
    rn_forward_stream_stop(forward_of(lc), s);
    return;
  case OF_GOSSIP:
  case OF_CALL_ALL: /* the answer says what became of the request */
    return;
  }
}

static void on_writable(void *app, struct rn_quic_stream *s) {
  struct rn_lcore *lc = app;
  switch (owner_of(lc, s)) {
  case OF_SERVER:
    rn_rpc_server_stream_writable(lc->rpc, s);
    return;
  case OF_CALL_ALL:
    rn_fanout_stream_writable(fanout_of(lc), s);
    return;
  case OF_FORWARDER:
    rn_forward_stream_writable(forward_of(lc), s);
    return;
  case OF_GOSSIP: /* its messages are written at once or not at all */
    return;
  }
}

static void on_stream_closed(void *app, struct rn_quic_stream *s) {
  struct rn_lcore *lc = app;
  switch (owner_of(lc, s)) {
  case OF_SERVER:
    rn_rpc_server_stream_closed(lc->rpc, s);
    return;
  case OF_GOSSIP:
    rn_gossip_stream_closed(lc->gossip, s);
    return;
  case OF_CALL_ALL:
    rn_fanout_stream_closed(fanout_of(lc), s);
    return;
  case OF_FORWARDER:
    rn_forward_stream_closed(forward_of(lc), s);
    return;
  }
}

/* ---- datagrams for other lcores ---- */

static void hand_over(struct rn_lcore *lc, uint32_t to, enum rn_net_kind kind,
                      const struct rn_dgram *d, const struct rn_net_meta *m) {
  bool wake = false;
  if (rn_steer_send(lc->steer, to, kind, d, m, &wake) != RN_OK) {
    lc->stats.lcore.handoff_full++;
    return;
  }
  lc->stats.lcore.handoff_tx++;
  if (wake)
    rn_sys_event_ring(RN_TOPO_FD_LCORE(to));
}

void rn_lcore_hand_over(struct rn_lcore *lc, uint32_t to, const struct rn_dgram *d) {
  uint8_t mac[6];
  const struct rn_net_meta m = { .src_mac = mac };
  if (lc->steer != NULL && rn_link_mac(lc->link, &d->path.remote, mac))
    hand_over(lc, to, RN_NET_UDP, d, &m);
  else
    lc->stats.lcore.handoff_full++;
}

/* Its connection ID names another lcore. */
static void on_foreign(void *app, uint32_t lcore_idx, const struct rn_dgram *d) {
  rn_lcore_hand_over(app, lcore_idx, d);
}

void rn_lcore_overhear(void *ctx, enum rn_net_kind kind, const struct rn_dgram *d,
                       const struct rn_net_meta *m) {
  struct rn_lcore *lc = ctx;
  for (uint32_t i = 0; i < lc->view->topo.lcore_count; i++) {
    if (i != lc->idx)
      hand_over(lc, i, kind, d, m);
  }
}

/* ---- the table ---- */

static int on_sign(void *app, const struct rn_quic_sign_req *req) {
  return rn_control_sign(app, req);
}

const struct rn_quic_events rn_lcore_events = {
  .conn_ready = on_conn_ready,
  .conn_closed = on_conn_closed,
  .streams_available = on_available,
  .stream_open = on_open,
  .stream_data = on_data,
  .stream_reset = on_reset,
  .stream_stop = on_stop,
  .stream_writable = on_writable,
  .stream_closed = on_stream_closed,
  .sign = on_sign,
  .foreign = on_foreign,
};
