/* lib/rpc/pool_conn.c: the life of a pooled connection. */
#include "rpc/pool_priv.h"
#include "util/err.h"

#define DEFAULT_NAME "localhost"
#define CLOSE_CODE   0 /* NO_ERROR */
#define SHORT_LIFE_NS                                                                              \
  UINT64_C(1000000000) /* whoever ends connections sooner is as one that cannot be dialled */

/* ---- state ---- */

#define NOT_ALLOWED 0xff
static const uint8_t link_next[LINK_STATE_COUNT][LINK_EV_COUNT] = {
  [LINK_DIALLING] = { LINK_READY, LINK_CLOSING },
  [LINK_READY] = { NOT_ALLOWED, LINK_CLOSING },
  [LINK_CLOSING] = { NOT_ALLOWED, NOT_ALLOWED },
};

static void link_set_state(struct pool_link *l, enum link_event ev) {
  uint8_t next = link_next[l->state][ev];
  RN_ASSERT(next != NOT_ALLOWED);
  l->state = next;
}

bool link_is_usable(const struct pool_link *l) {
  return l->state == LINK_READY && rn_quic_conn_is_ready(l->c) &&
         rn_quic_conn_streams_left(l->c) > 0;
}

static void set_idle(struct pool_link *l, bool idle) {
  struct rn_pool *p = l->pool;
  if (idle == !rn_list_empty(&l->idle_node))
    return;
  if (idle) {
    rn_list_push_back(&p->idle, &l->idle_node);
    p->stats.conns_idle++;
  } else {
    rn_list_remove(&l->idle_node);
    p->stats.conns_idle--;
  }
}

/* Out of its peer's sight, and of everything that counts connections in use. */
static void link_part(struct pool_link *l) {
  struct rn_pool *p = l->pool;
  struct pool_peer *peer = l->peer;
  if (peer == NULL)
    return;
  set_idle(l, false);
  if (l->state == LINK_DIALLING) {
    peer->dialling--;
    p->stats.conns_dialling--;
  } else {
    p->stats.conns_ready--;
  }
  peer->link_count--;
  if (peer->last == l)
    peer->last = NULL;
  rn_list_remove(&l->peer_node);
  rn_wheel_cancel(p->wheel, &l->timer);
  l->peer = NULL;
}

void link_close(struct pool_link *l) {
  link_part(l);
  link_set_state(l, LINK_EV_CLOSE);
  rn_quic_conn_close(l->c, CLOSE_CODE);
}

/* ---- failures ---- */

static void back_off(struct rn_pool *p, struct pool_peer *peer) {
  uint64_t wait_ns = p->cfg.backoff_first_ns;
  for (uint32_t i = 0; i < peer->failures && wait_ns < p->cfg.backoff_most_ns; i++)
    wait_ns *= 2;
  if (wait_ns > p->cfg.backoff_most_ns)
    wait_ns = p->cfg.backoff_most_ns;
  peer->failures++;
  peer->retry_ns = p->now_ns + wait_ns;
}

/* Whether the peer has, or gets by itself, something that can still serve those who wait. */
static bool has_hope(const struct pool_peer *peer) { return peer->link_count > 0; }

static void dial_failed(struct rn_pool *p, struct pool_peer *peer, int err) {
  p->stats.dial_failures++;
  back_off(p, peer);
  if (!has_hope(peer))
    peer_fail(p, peer, err);
  else
    peer_settle(p, peer);
}

/* Warm peers are dialled again by themselves, others by who waits. */
static void dial_again(struct rn_pool *p, struct pool_peer *peer) {
  peer->more |= !rn_list_empty(&peer->waiters);
  if (peer->more || peer->link_count < peer->warm)
    peer_wants_dial(p, peer);
  peer_settle(p, peer);
}

/* ---- dials ---- */

static bool wants_dial(const struct rn_pool *p, const struct pool_peer *peer) {
  if (peer->link_count >= p->cfg.conns_per_peer)
    return false;
  return peer->link_count < peer->warm || (peer->more && peer->dialling == 0);
}

/* An object for one more connection, if need be in the place of one that is idle. RN_ERR_AGAIN: when that is gone; RN_ERR_LIMIT. */
static int take_room(struct rn_pool *p, struct pool_link **out) {
  bool full = rn_slab_free_count(p->links) == 0;
  if (full && p->stats.conns > p->stats.conns_ready + p->stats.conns_dialling)
    return RN_ERR_AGAIN; /* one is being closed */
  if (full && !rn_list_empty(&p->idle)) {
    struct pool_link *oldest = RN_LIST_ENTRY(p->idle.next, struct pool_link, idle_node);
    struct pool_peer *owner = oldest->peer;
    p->stats.evicted++;
    link_close(oldest);
    peer_settle(p, owner);
    return RN_ERR_AGAIN;
  }
  *out = rn_slab_take(p->links);
  if (*out != NULL)
    return RN_OK;
  p->stats.conn_limit++;
  return RN_ERR_LIMIT;
}

static int dial(struct rn_pool *p, struct pool_peer *peer) {
  struct rn_path path = { .remote = peer->addr };
  struct pool_link *l;
  int err = take_room(p, &l);
  if (err != RN_OK)
    return err;
  *l = (struct pool_link){ .pool = p, .peer = peer };
  if (p->local != NULL)
    err = p->local(p->ctx, &peer->addr, &path.local);
  const char *name = p->cfg.server_name != NULL ? p->cfg.server_name : DEFAULT_NAME;
  if (err == RN_OK)
    err = rn_quic_connect_tls(p->quic, p->now_ns, &path, name, p->cfg.tls, &l->c);
  if (err != RN_OK) {
    rn_slab_give(p->links, l);
    return err == RN_ERR_LIMIT ? RN_ERR_LIMIT : RN_ERR_REFUSED;
  }
  rn_list_init(&l->idle_node);
  rn_timer_init(&l->timer);
  rn_list_push_back(&peer->links, &l->peer_node);
  rn_quic_conn_set_user(l->c, l);
  rn_quic_conn_keep_alive(l->c, p->cfg.keep_alive_ns);
  rn_wheel_set(p->wheel, &l->timer, p->now_ns + p->cfg.dial_timeout_ns);
  peer->link_count++;
  peer->dialling++;
  p->stats.conns++;
  p->stats.conns_dialling++;
  p->stats.dials++;
  return RN_OK;
}

static void dial_as_wanted(struct rn_pool *p, struct pool_peer *peer) {
  while (wants_dial(p, peer)) {
    if (peer_in_backoff(p, peer)) {
      if (peer->warm > 0)
        rn_wheel_set(p->wheel, &peer->timer, peer->retry_ns);
      if (!has_hope(peer))
        peer_fail(p, peer, RN_ERR_REFUSED);
      return;
    }
    peer->more = false;
    int err = dial(p, peer);
    if (err == RN_ERR_AGAIN) {
      peer->more = true;
      peer_wants_dial(p, peer);
      return;
    }
    if (err != RN_OK) {
      dial_failed(p, peer, err);
      dial_again(p, peer);
      return;
    }
  }
  peer->more = false;
}

static void dial_all(struct rn_pool *p) {
  struct rn_list now;
  rn_list_init(&now);
  while (!rn_list_empty(&p->to_dial)) { /* those that come back wait for the next turn */
    struct rn_list *n = p->to_dial.next;
    rn_list_remove(n);
    rn_list_push_back(&now, n);
  }
  while (!rn_list_empty(&now)) {
    struct pool_peer *peer = RN_LIST_ENTRY(now.next, struct pool_peer, dial_node);
    rn_list_remove(&peer->dial_node);
    dial_as_wanted(p, peer);
    peer_settle(p, peer);
  }
}

/* ---- events ---- */

struct rn_pool *rn_pool_of(const struct rn_quic_conn *c) {
  const struct pool_link *l = rn_quic_conn_user(c);
  return l != NULL ? l->pool : NULL;
}

static uint64_t look_at_ns(const struct pool_link *l) {
  const struct rn_pool_config *cfg = &l->pool->cfg;
  uint64_t at = l->pool->now_ns + cfg->dial_timeout_ns; /* limits may be set while it runs */
  if (cfg->idle_timeout_ns != 0 && l->used_ns + cfg->idle_timeout_ns < at)
    at = l->used_ns + cfg->idle_timeout_ns;
  if (cfg->silence_ns != 0 && rn_quic_conn_heard_ns(l->c) + cfg->silence_ns < at)
    at = rn_quic_conn_heard_ns(l->c) + cfg->silence_ns;
  return at;
}

void rn_pool_conn_ready(struct rn_pool *p, struct rn_quic_conn *c) {
  struct pool_link *l = rn_quic_conn_user(c);
  p->now_ns = rn_quic_now(p->quic);
  if (l->state != LINK_DIALLING)
    return;
  struct pool_peer *peer = l->peer;
  link_set_state(l, LINK_EV_READY);
  peer->dialling--;
  p->stats.conns_dialling--;
  p->stats.conns_ready++;
  l->ready_ns = l->used_ns = p->now_ns;
  set_idle(l, true);
  rn_wheel_set(p->wheel, &l->timer, look_at_ns(l));
  peer_serve(p, peer);
}

void rn_pool_conn_closed(struct rn_pool *p, struct rn_quic_conn *c) {
  struct pool_link *l = rn_quic_conn_user(c);
  struct pool_peer *peer = l->peer;
  bool was_ready = l->state == LINK_READY;
  uint64_t ready_ns = l->ready_ns;
  p->now_ns = rn_quic_now(p->quic);
  link_part(l);
  RN_ASSERT(l->streams == 0);
  rn_slab_give(p->links, l);
  p->stats.conns--;
  rn_quic_conn_set_user(c, NULL);
  if (peer == NULL) /* we closed it */
    return;
  if (!was_ready) {
    dial_failed(p, peer, RN_ERR_REFUSED);
  } else {
    p->stats.lost++;
    if (p->now_ns - ready_ns < SHORT_LIFE_NS)
      back_off(p, peer);
  }
  dial_again(p, peer);
}

void rn_pool_streams_available(struct rn_pool *p, struct rn_quic_conn *c) {
  struct pool_link *l = rn_quic_conn_user(c);
  p->now_ns = rn_quic_now(p->quic);
  if (l->peer != NULL)
    peer_serve(p, l->peer);
}

void rn_pool_stream_opened(struct rn_quic_conn *c) {
  struct pool_link *l = rn_quic_conn_user(c);
  if (l->streams++ == 0)
    set_idle(l, false);
  l->pool->stats.streams++;
}

void rn_pool_stream_closed(struct rn_quic_conn *c) {
  struct pool_link *l = rn_quic_conn_user(c);
  struct rn_pool *p = l->pool;
  RN_ASSERT(l->streams > 0);
  p->stats.streams--;
  if (--l->streams > 0)
    return;
  l->used_ns = rn_quic_now(p->quic);
  set_idle(l, l->state == LINK_READY);
}

/* ---- time ---- */

static void dial_too_late(struct rn_pool *p, struct pool_link *l) {
  struct pool_peer *peer = l->peer;
  p->stats.dial_timeouts++;
  link_close(l);
  dial_failed(p, peer, RN_ERR_TIMEOUT);
  dial_again(p, peer);
}

static void look_at(struct rn_pool *p, struct pool_link *l) {
  const struct rn_pool_config *cfg = &p->cfg;
  struct pool_peer *peer = l->peer;
  bool silent = cfg->silence_ns != 0 && p->now_ns - rn_quic_conn_heard_ns(l->c) >= cfg->silence_ns;
  bool idle = cfg->idle_timeout_ns != 0 && l->streams == 0 &&
              p->now_ns - l->used_ns >= cfg->idle_timeout_ns &&
              peer->link_count - peer->dialling > peer->warm;
  if (silent || idle) {
    if (silent)
      p->stats.silent_closed++;
    else
      p->stats.idle_closed++;
    link_close(l);
    if (silent)
      back_off(p, peer);
    dial_again(p, peer);
    return;
  }
  if (l->streams > 0 || cfg->idle_timeout_ns == 0 || p->now_ns - l->used_ns >= cfg->idle_timeout_ns)
    l->used_ns = p->now_ns; /* in use, or kept warm: looked at again a timeout later */
  rn_wheel_set(p->wheel, &l->timer, look_at_ns(l));
}

static bool is_link_timer(const struct rn_pool *p, const struct rn_timer *t) {
  const uint8_t *at = (const uint8_t *)t, *first = p->links->objs;
  return at >= first && at < first + p->links->obj_bytes * p->links->count;
}

static void on_timer(struct rn_timer *t, void *ctx) {
  struct rn_pool *p = ctx;
  if (!is_link_timer(p, t)) {
    peer_wants_dial(p, RN_LIST_ENTRY(t, struct pool_peer, timer));
    return;
  }
  struct pool_link *l = RN_LIST_ENTRY(t, struct pool_link, timer);
  if (l->state == LINK_DIALLING)
    dial_too_late(p, l);
  else
    look_at(p, l);
}

void rn_pool_timers(struct rn_pool *p, uint64_t now_ns) {
  p->now_ns = now_ns;
  rn_wheel_fire(p->wheel, now_ns, on_timer, p);
  dial_all(p);
}

uint64_t rn_pool_next_expiry(const struct rn_pool *p) {
  return rn_list_empty(&p->to_dial) ? rn_wheel_next_expiry(p->wheel) : 0;
}
