/* lib/rpc/gossip_ask.c: what we ask peers: a connection of the pool, one stream, one message each way. */
#include "rpc/gossip_priv.h"
#include "util/err.h"
#include "wire/swim.h"

#include <string.h>

static void ask_free(struct ask *a) {
  struct rn_gossip *g = a->g;
  rn_wheel_cancel(g->wheel, &a->timer);
  rn_pool_unwait(g->pool, &a->waiter);
  if (a->s != NULL) {
    rn_quic_stream_set_user(a->s, NULL);
    a->s = NULL;
  }
  rn_list_remove(&a->node);
  rn_slab_give(g->asks, a);
  g->stats.open--;
}

/* As the published crate drops a stream: FIN was sent with the request, so what is left is to say that we read no more. */
static void drop_stream(struct ask *a) {
  if (a->s != NULL)
    rn_quic_stream_stop(a->s, 0);
}

static void fail(struct ask *a, int why, uint64_t *counter) {
  struct rn_gossip *g = a->g;
  const uint32_t id = a->id;
  ++*counter;
  drop_stream(a);
  ask_free(a);
  g->io.failed(g->io.ctx, id, why);
}

static void succeed(struct ask *a, size_t len) {
  struct rn_gossip *g = a->g;
  uint8_t msg[ANSWER_MAX];
  const uint32_t id = a->id;
  memcpy(msg, a->bytes, len);
  drop_stream(a);
  ask_free(a);
  g->io.answered(g->io.ctx, id, msg, len);
}

/* ---- start ---- */

static void send_on(struct ask *a, struct rn_quic_conn *conn) {
  struct rn_gossip *g = a->g;
  int err = rn_quic_stream_open(conn, &a->s);
  if (err != RN_OK) {
    a->s = NULL;
    fail(a, RN_ERR_LIMIT, &g->stats.asks_limit);
    return;
  }
  rn_quic_conn_keep_alive(conn, g->cfg.ping_ns);
  rn_pool_stream_opened(conn);
  rn_quic_stream_set_user(a->s, a);
  rn_quic_stream_keep_whole(a->s);
  if (rn_quic_stream_write(a->s, a->bytes, a->len, true) != RN_OK) {
    rn_quic_stream_reset(a->s, 0);
    fail(a, RN_ERR_LIMIT, &g->stats.asks_limit);
    return;
  }
  a->len = 0;
  a->sent_ns = rn_quic_now(rn_quic_conn_endpoint(conn));
}

static void on_conn(struct rn_pool_waiter *w, int err, struct rn_quic_conn *conn) {
  struct ask *a = RN_LIST_ENTRY(w, struct ask, waiter);
  if (err == RN_OK)
    send_on(a, conn);
  else
    fail(a, err == RN_ERR_TIMEOUT ? err : RN_ERR_REFUSED, &a->g->stats.asks_refused);
}

void rn_gossip_ask(struct rn_gossip *g, uint64_t now_ns, uint32_t id, const struct rn_addr *to,
                   uint64_t wait_ns, const uint8_t *msg, size_t len) {
  struct ask *a = len <= RN_GOSSIP_SEND_MAX ? rn_slab_take(g->asks) : NULL;
  struct rn_quic_conn *conn;
  g->stats.asks++;
  if (a == NULL) {
    g->stats.asks_limit++;
    g->io.failed(g->io.ctx, id, RN_ERR_LIMIT);
    return;
  }
  *a = (struct ask){ .g = g, .id = id, .len = (uint32_t)len, .to = *to };
  memcpy(a->bytes, msg, len);
  rn_timer_init(&a->timer);
  rn_pool_waiter_init(&a->waiter, on_conn);
  rn_list_init(&a->node);
  rn_list_push_back(&g->open, &a->node);
  g->stats.open++;
  rn_wheel_set(g->wheel, &a->timer, now_ns + wait_ns);
  int err = rn_pool_get(g->pool, now_ns, to, &a->waiter, &conn);
  if (err == RN_OK)
    send_on(a, conn);
  else if (err != RN_ERR_AGAIN)
    fail(a, RN_ERR_REFUSED, &g->stats.asks_refused);
}

void rn_gossip_forget(struct rn_gossip *g) {
  while (!rn_list_empty(&g->open)) {
    struct ask *a = RN_LIST_ENTRY(g->open.next, struct ask, node);
    drop_stream(a);
    ask_free(a);
  }
}

/* ---- the answer ---- */

/* Nobody waits for what comes on a stream whose ask is over. */
void rn_gossip_stream_data(struct rn_gossip *g, struct rn_quic_stream *s, const uint8_t *data,
                           size_t len, bool fin) {
  struct ask *a = rn_quic_stream_user(s);
  struct rn_swim_msg m;
  size_t used;
  rn_quic_stream_consume(s, len);
  if (a == NULL)
    return;
  if (len > ANSWER_MAX - a->len) {
    fail(a, RN_ERR_PROTO, &g->stats.asks_lost);
    return;
  }
  if (len > 0)
    memcpy(a->bytes + a->len, data, len);
  a->len += (uint32_t)len;
  int err = rn_swim_get(a->bytes, a->len, &m, &used);
  if (err == RN_OK)
    succeed(a, used);
  else if (fin && a->len == 0)
    succeed(a, 0);
  else if (fin || err != RN_ERR_SHORT)
    fail(a, RN_ERR_PROTO, &g->stats.asks_lost);
}

void rn_gossip_stream_reset(struct rn_gossip *g, struct rn_quic_stream *s) {
  struct ask *a = rn_quic_stream_user(s);
  if (a != NULL)
    fail(a, RN_ERR_CLOSED, &g->stats.asks_lost);
}

void rn_gossip_stream_closed(struct rn_gossip *g, struct rn_quic_stream *s) {
  struct ask *a = rn_quic_stream_user(s);
  rn_pool_stream_closed(rn_quic_stream_conn(s));
  if (a == NULL)
    return;
  a->s = NULL;
  fail(a, RN_ERR_CLOSED, &g->stats.asks_lost);
}

/* ---- time ---- */

/* Not even an acknowledgement came: the peer is gone, or another one is there, which may not tell us. Its next ask begins with a connection. */
static bool is_dead(const struct ask *a) {
  return a->s != NULL && rn_quic_conn_heard_ns(rn_quic_stream_conn(a->s)) < a->sent_ns;
}

static void on_late(struct rn_timer *t, void *ctx) {
  struct ask *a = RN_LIST_ENTRY(t, struct ask, timer);
  struct rn_gossip *g = a->g;
  const struct rn_addr to = a->to;
  const bool dead = is_dead(a);
  fail(a, RN_ERR_TIMEOUT, &g->stats.asks_late);
  if (dead)
    rn_pool_drop(g->pool, *(const uint64_t *)ctx, &to);
}

uint64_t rn_gossip_next_expiry(const struct rn_gossip *g) { return rn_wheel_next_expiry(g->wheel); }
void rn_gossip_timers(struct rn_gossip *g, uint64_t now_ns) {
  rn_wheel_fire(g->wheel, now_ns, on_late, &now_ns);
}
