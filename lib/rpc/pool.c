/* lib/rpc/pool.c: memory, peers, and who gets which connection. */
#include "rpc/pool_priv.h"
#include "util/err.h"

#include <string.h>

#define CONNS_MAX    65536u
#define PEERS_MAX    65536u
#define PER_PEER_MAX 64u
#define TURN_STREAMS 64u

/* ---- memory ---- */

struct layout {
  size_t wheel, by_addr, peers, links, total;
};

static bool limits_ok(const struct rn_pool_limits *lim) {
  return lim->conns >= 1 && lim->conns <= CONNS_MAX && lim->peers >= 1 && lim->peers <= PEERS_MAX;
}

static bool config_ok(const struct rn_pool_config *cfg) {
  return cfg->conns_per_peer >= 1 && cfg->conns_per_peer <= PER_PEER_MAX &&
         cfg->dial_timeout_ns > 0 && cfg->backoff_first_ns > 0 &&
         cfg->backoff_most_ns >= cfg->backoff_first_ns &&
         (cfg->silence_ns == 0 ||
          (cfg->keep_alive_ns != 0 && cfg->keep_alive_ns <= cfg->silence_ns / 2));
}

static size_t place(size_t *at, size_t bytes) {
  size_t here = (*at + 63) & ~(size_t)63;
  *at = here + bytes;
  return here;
}

static void layout_of(const struct rn_pool_limits *lim, struct layout *l) {
  size_t at = sizeof(struct rn_pool);
  l->wheel = place(&at, rn_wheel_footprint());
  l->by_addr = place(&at, rn_cidmap_footprint(lim->peers));
  l->peers = place(&at, rn_slab_footprint(sizeof(struct pool_peer), lim->peers));
  l->links = place(&at, rn_slab_footprint(sizeof(struct pool_link), lim->conns));
  l->total = (at + 63) & ~(size_t)63;
}

size_t rn_pool_footprint(const struct rn_pool_limits *lim) {
  if (!limits_ok(lim))
    return 0;
  struct layout l;
  layout_of(lim, &l);
  return l.total;
}

int rn_pool_init(void *mem, const struct rn_pool_params *params, struct rn_pool **out) {
  if (!limits_ok(&params->limits) || !config_ok(&params->config) || params->quic == NULL)
    return RN_ERR_INVAL;
  struct layout l;
  layout_of(&params->limits, &l);
  uint8_t *base = mem;
  struct rn_pool *p = mem;
  *p = (struct rn_pool){
    .quic = params->quic, .cfg = params->config, .local = params->local, .ctx = params->ctx
  };
  rn_wheel_init(base + l.wheel, 0, &p->wheel);
  rn_cidmap_init(base + l.by_addr, params->limits.peers, params->hash_key, &p->by_addr);
  rn_slab_init(base + l.peers, sizeof(struct pool_peer), params->limits.peers, &p->peers);
  rn_slab_init(base + l.links, sizeof(struct pool_link), params->limits.conns, &p->links);
  rn_list_init(&p->to_dial);
  rn_list_init(&p->idle);
  rn_list_init(&p->spare);
  rn_list_init(&p->warm);
  *out = p;
  return RN_OK;
}

int rn_pool_configure(struct rn_pool *p, const struct rn_pool_config *cfg) {
  if (!config_ok(cfg))
    return RN_ERR_INVAL;
  p->cfg = *cfg;
  return RN_OK;
}

/* ---- peers ---- */

static struct pool_peer *look_up(const struct rn_pool *p, const struct rn_addr *addr) {
  uint32_t idx;
  if (!rn_cidmap_get(p->by_addr, (const uint8_t *)"", 0, addr, &idx))
    return NULL;
  return rn_slab_at(p->peers, idx);
}

static uint32_t near_idx(const struct rn_addr *a) {
  uint32_t last = a->family == 4 ? a->ip[3] : (uint32_t)a->ip[15] ^ a->ip[14];
  return (last ^ a->port) & (NEAR_PEERS - 1);
}

struct pool_peer *peer_find(struct rn_pool *p, const struct rn_addr *addr) {
  struct pool_peer **near = &p->near[near_idx(addr)];
  if (*near != NULL && rn_addr_eq(&(*near)->addr, addr))
    return *near;
  struct pool_peer *peer = look_up(p, addr);
  if (peer != NULL)
    *near = peer;
  return peer;
}

static void peer_forget(struct rn_pool *p, struct pool_peer *peer) {
  struct pool_peer **near = &p->near[near_idx(&peer->addr)];
  if (*near == peer)
    *near = NULL;
  rn_cidmap_del(p->by_addr, (const uint8_t *)"", 0, &peer->addr);
  rn_list_remove(&peer->spare_node);
  rn_list_remove(&peer->dial_node);
  rn_wheel_cancel(p->wheel, &peer->timer);
  rn_slab_give(p->peers, peer);
  p->stats.peers--;
}

/* What is known of a peer without connections is worth less than room for another. */
static struct pool_peer *peer_new(struct rn_pool *p, const struct rn_addr *addr) {
  if (rn_slab_free_count(p->peers) == 0 && !rn_list_empty(&p->spare))
    peer_forget(p, RN_LIST_ENTRY(p->spare.next, struct pool_peer, spare_node));
  struct pool_peer *peer = rn_slab_take(p->peers);
  if (peer == NULL) {
    p->stats.peer_limit++;
    return NULL;
  }
  *peer = (struct pool_peer){ .addr = *addr };
  rn_list_init(&peer->links);
  rn_list_init(&peer->waiters);
  rn_list_init(&peer->dial_node);
  rn_list_init(&peer->spare_node);
  rn_list_init(&peer->warm_node);
  rn_timer_init(&peer->timer);
  rn_cidmap_put(p->by_addr, (const uint8_t *)"", 0, addr, rn_slab_idx(p->peers, peer));
  p->stats.peers++;
  return peer;
}

static struct pool_peer *peer_of(struct rn_pool *p, const struct rn_addr *addr) {
  struct pool_peer *peer = peer_find(p, addr);
  return peer != NULL ? peer : peer_new(p, addr);
}

bool peer_in_backoff(const struct rn_pool *p, const struct pool_peer *peer) {
  return peer->failures > 0 && p->now_ns < peer->retry_ns;
}

void peer_wants_dial(struct rn_pool *p, struct pool_peer *peer) {
  if (rn_list_empty(&peer->dial_node))
    rn_list_push_back(&p->to_dial, &peer->dial_node);
}

void peer_settle(struct rn_pool *p, struct pool_peer *peer) {
  if (peer->busy)
    return;
  bool spare = peer->link_count == 0 && peer->warm == 0 && rn_list_empty(&peer->waiters) &&
               rn_list_empty(&peer->dial_node);
  if (!spare)
    rn_list_remove(&peer->spare_node);
  else if (rn_list_empty(&peer->spare_node))
    rn_list_push_back(&p->spare, &peer->spare_node);
}

/* The usable connection with the fewest streams; NULL: none. */
/* Calls of one turn share datagrams, there and back, if they share a connection: the one that was taken stays until it has TURN_STREAMS more than the
 * least used, or as many as streams_per_conn says. */
static struct pool_link *link_for_turn(const struct rn_pool *p, struct pool_peer *peer,
                                       struct pool_link *least) {
  struct pool_link *l = peer->last;
  if (peer->last_ns == p->now_ns && l != NULL && link_is_usable(l) &&
      (p->cfg.streams_per_conn == 0 || l->streams < p->cfg.streams_per_conn) &&
      l->streams < least->streams + TURN_STREAMS)
    return l;
  peer->last = least;
  peer->last_ns = p->now_ns;
  return least;
}

static struct pool_link *least_used(const struct pool_peer *peer) {
  struct pool_link *best = NULL;
  for (struct rn_list *n = peer->links.next; n != &peer->links; n = n->next) {
    struct pool_link *l = RN_LIST_ENTRY(n, struct pool_link, peer_node);
    if (link_is_usable(l) && (best == NULL || l->streams < best->streams))
      best = l;
  }
  return best;
}

/* ---- waiters ---- */

void rn_pool_waiter_init(struct rn_pool_waiter *w,
                         void (*done)(struct rn_pool_waiter *w, int err, struct rn_quic_conn *c)) {
  rn_list_init(&w->node);
  w->done = done;
}

void rn_pool_unwait(struct rn_pool *p, struct rn_pool_waiter *w) {
  if (rn_list_empty(&w->node))
    return;
  rn_list_remove(&w->node);
  p->stats.waiters--;
}

static struct rn_pool_waiter *next_waiter(struct rn_pool *p, struct rn_list *from) {
  struct rn_pool_waiter *w = RN_LIST_ENTRY(from->next, struct rn_pool_waiter, node);
  rn_pool_unwait(p, w);
  return w;
}

/* An endpoint tells of streams_available only who was refused one. */
static void ask_for_streams(const struct pool_peer *peer) {
  struct rn_quic_stream *none;
  for (struct rn_list *n = peer->links.next; n != &peer->links; n = n->next) {
    const struct pool_link *l = RN_LIST_ENTRY(n, struct pool_link, peer_node);
    if (rn_quic_conn_is_ready(l->c) && rn_quic_conn_streams_left(l->c) == 0)
      (void)rn_quic_stream_open(l->c, &none);
  }
}

void peer_serve(struct rn_pool *p, struct pool_peer *peer) {
  struct pool_link *l;
  /* Each once: who opens no stream, or waits again, would otherwise be told for ever. */
  uint64_t most = p->stats.waiters;
  bool was_busy = peer->busy;
  peer->busy = true;
  while (!rn_list_empty(&peer->waiters) && most-- > 0 && (l = least_used(peer)) != NULL) {
    struct rn_pool_waiter *w = next_waiter(p, &peer->waiters);
    w->done(w, RN_OK, l->c);
  }
  peer->busy = was_busy;
  if (!rn_list_empty(&peer->waiters)) {
    ask_for_streams(peer);
    peer->more = true;
    peer_wants_dial(p, peer);
  }
  peer_settle(p, peer);
}

void peer_fail(struct rn_pool *p, struct pool_peer *peer, int err) {
  struct rn_list all;
  rn_list_init(&all);
  while (!rn_list_empty(&peer->waiters)) { /* those who wait again are not among them */
    struct rn_list *n = peer->waiters.next;
    rn_list_remove(n);
    rn_list_push_back(&all, n);
  }
  bool was_busy = peer->busy;
  peer->busy = true;
  while (!rn_list_empty(&all)) {
    struct rn_pool_waiter *w = next_waiter(p, &all);
    w->done(w, err, NULL);
  }
  peer->busy = was_busy;
  peer_settle(p, peer);
}

/* ---- for the application ---- */

static bool no_room(const struct rn_pool *p, const struct pool_peer *peer) {
  return peer->link_count == 0 && rn_slab_free_count(p->links) == 0 && rn_list_empty(&p->idle);
}

static int join(struct rn_pool *p, struct pool_peer *peer, struct rn_pool_waiter *w) {
  if (peer->dialling == 0 && peer_in_backoff(p, peer)) {
    p->stats.backoffs++;
    return RN_ERR_REFUSED;
  }
  if (no_room(p, peer)) {
    p->stats.conn_limit++;
    return RN_ERR_LIMIT;
  }
  bool waits = w != NULL && p->stats.waiters < p->cfg.waiters;
  peer->more = true;
  peer_wants_dial(p, peer);
  if (w != NULL && !waits) {
    p->stats.waiter_limit++;
    return RN_ERR_LIMIT;
  }
  if (waits) {
    rn_list_push_back(&peer->waiters, &w->node);
    p->stats.waiters++;
    ask_for_streams(peer);
  }
  return RN_ERR_AGAIN;
}

int rn_pool_get(struct rn_pool *p, uint64_t now_ns, const struct rn_addr *addr,
                struct rn_pool_waiter *w, struct rn_quic_conn **out) {
  p->now_ns = now_ns;
  struct pool_peer *peer = peer_of(p, addr);
  if (peer == NULL)
    return RN_ERR_LIMIT;
  struct pool_link *l = least_used(peer);
  if (l == NULL) {
    p->stats.misses++;
    int err = join(p, peer, w);
    peer_settle(p, peer);
    return err;
  }
  p->stats.hits++;
  l = link_for_turn(p, peer, l);
  if (p->cfg.streams_per_conn != 0 && l->streams >= p->cfg.streams_per_conn &&
      peer->link_count < p->cfg.conns_per_peer) {
    peer->more = true;
    peer_wants_dial(p, peer);
  }
  *out = l->c;
  return RN_OK;
}

static void set_warm(struct rn_pool *p, struct pool_peer *peer, uint32_t n) {
  peer->warm = n < p->cfg.conns_per_peer ? n : p->cfg.conns_per_peer;
  peer->warm_round = p->warm_round;
  rn_list_remove(&peer->warm_node);
  if (n > 0)
    rn_list_push_back(&p->warm, &peer->warm_node);
}

int rn_pool_warm(struct rn_pool *p, uint64_t now_ns, const struct rn_addr *addr, uint32_t n) {
  p->now_ns = now_ns;
  struct pool_peer *peer = n > 0 ? peer_of(p, addr) : peer_find(p, addr);
  if (peer == NULL)
    return n > 0 ? RN_ERR_LIMIT : RN_OK;
  set_warm(p, peer, n);
  if (n > 0)
    peer_wants_dial(p, peer);
  peer_settle(p, peer);
  return RN_OK;
}

void rn_pool_warm_begin(struct rn_pool *p) { p->warm_round++; }

/* Those named last stand last. */
void rn_pool_warm_end(struct rn_pool *p, uint64_t now_ns) {
  p->now_ns = now_ns;
  while (!rn_list_empty(&p->warm)) {
    struct pool_peer *peer = RN_LIST_ENTRY(p->warm.next, struct pool_peer, warm_node);
    if (peer->warm_round == p->warm_round)
      return;
    set_warm(p, peer, 0);
    peer_settle(p, peer);
  }
}

void rn_pool_drop(struct rn_pool *p, uint64_t now_ns, const struct rn_addr *addr) {
  p->now_ns = now_ns;
  struct pool_peer *peer = peer_find(p, addr);
  if (peer == NULL)
    return;
  set_warm(p, peer, 0);
  peer->more = false;
  rn_list_remove(&peer->dial_node);
  while (!rn_list_empty(&peer->links))
    link_close(RN_LIST_ENTRY(peer->links.next, struct pool_link, peer_node));
  peer_fail(p, peer, RN_ERR_REFUSED);
}

void rn_pool_revive(struct rn_pool *p, uint64_t now_ns, const struct rn_addr *addr) {
  p->now_ns = now_ns;
  struct pool_peer *peer = peer_find(p, addr);
  if (peer == NULL)
    return;
  peer->failures = 0;
  if (peer->warm > 0)
    peer_wants_dial(p, peer);
}

uint32_t rn_pool_ready(const struct rn_pool *p, const struct rn_addr *addr) {
  const struct pool_peer *peer = look_up(p, addr);
  return peer != NULL ? peer->link_count - peer->dialling : 0;
}

const struct rn_pool_stats *rn_pool_stats(const struct rn_pool *p) { return &p->stats; }

uint64_t rn_pool_fail_conns(struct rn_pool *p, uint32_t n) {
  return rn_slab_fail_every(p->links, n);
}
uint64_t rn_pool_fail_peers(struct rn_pool *p, uint32_t n) {
  return rn_slab_fail_every(p->peers, n);
}

/* ---- invariants ---- */

static bool link_ok(const struct rn_pool *p, const struct pool_peer *peer,
                    const struct pool_link *l) {
  bool idle = l->state == LINK_READY && l->streams == 0;
  return l->peer == peer && l->pool == p && l->state != LINK_CLOSING &&
         rn_quic_conn_user(l->c) == l && idle == !rn_list_empty(&l->idle_node) &&
         rn_timer_is_set(&l->timer) && (l->state == LINK_READY || l->streams == 0);
}

/* Adds what is known of one peer to sum. */
static bool peer_ok(const struct rn_pool *p, const struct pool_peer *peer,
                    struct rn_pool_stats *sum) {
  uint32_t links = 0, dialling = 0;
  if (peer->last != NULL && peer->last->peer != peer)
    return false;
  for (const struct rn_list *n = peer->links.next; n != &peer->links; n = n->next) {
    const struct pool_link *l = RN_LIST_ENTRY(n, struct pool_link, peer_node);
    if (!link_ok(p, peer, l))
      return false;
    links++;
    dialling += l->state == LINK_DIALLING;
    sum->conns_idle += l->state == LINK_READY && l->streams == 0;
  }
  for (const struct rn_list *n = peer->waiters.next; n != &peer->waiters; n = n->next)
    sum->waiters++;
  sum->conns_ready += links - dialling;
  sum->conns_dialling += dialling;
  sum->peers++;
  bool used = links > 0 || peer->warm > 0 || !rn_list_empty(&peer->waiters) ||
              !rn_list_empty(&peer->dial_node);
  return links == peer->link_count && dialling == peer->dialling && !peer->busy &&
         used == rn_list_empty(&peer->spare_node) &&
         (peer->warm > 0) != rn_list_empty(&peer->warm_node) && look_up(p, &peer->addr) == peer;
}

static bool near_ok(const struct rn_pool *p) {
  for (uint32_t i = 0; i < NEAR_PEERS; i++) {
    const struct pool_peer *peer = p->near[i];
    if (peer != NULL && (near_idx(&peer->addr) != i || look_up(p, &peer->addr) != peer))
      return false;
  }
  return true;
}

int rn_pool_check(const struct rn_pool *p) {
  struct rn_pool_stats sum = { 0 };
  for (uint32_t i = 0; i < p->peers->fresh; i++) {
    const struct pool_peer *peer = rn_slab_at(p->peers, i);
    uint32_t idx;
    /* One that was given back is nobody's entry: its first bytes link free objects. */
    if (rn_cidmap_get(p->by_addr, (const uint8_t *)"", 0, &peer->addr, &idx) && idx == i &&
        !peer_ok(p, peer, &sum))
      return RN_ERR_STATE;
  }
  const struct rn_pool_stats *st = &p->stats;
  bool ok = sum.conns_ready == st->conns_ready && sum.conns_dialling == st->conns_dialling &&
            sum.conns_idle == st->conns_idle && sum.waiters == st->waiters &&
            sum.peers == st->peers && st->peers == rn_slab_in_use(p->peers) &&
            st->peers == rn_cidmap_count(p->by_addr) && st->conns == rn_slab_in_use(p->links) &&
            st->conns >= st->conns_ready + st->conns_dialling &&
            (st->conns > 0 || st->streams == 0);
  return ok && near_ok(p) && rn_wheel_check(p->wheel) == RN_OK ? RN_OK : RN_ERR_STATE;
}
