/* lib/rpc/gossip.c: memory, and what peers ask. */
#include "rpc/gossip_priv.h"
#include "util/err.h"
#include "wire/swim.h"

#include <string.h>

/* ---- memory ---- */

struct layout {
  size_t heard, asks, wheel, total;
};

static void layout_of(const struct rn_gossip_limits *lim, struct layout *l) {
  l->heard = (sizeof(struct rn_gossip) + 63) & ~(size_t)63;
  l->asks = (l->heard + lim->heard * sizeof(struct heard) + 63) & ~(size_t)63;
  l->wheel = l->asks + rn_slab_footprint(sizeof(struct ask), lim->asks);
  l->total = (l->wheel + rn_wheel_footprint() + 63) & ~(size_t)63;
}

size_t rn_gossip_footprint(const struct rn_gossip_limits *lim) {
  if (lim->heard < 1 || lim->heard > 65536 || lim->asks < 1 || lim->asks > 65536)
    return 0;
  struct layout l;
  layout_of(lim, &l);
  return l.total;
}

/* ---- requests of peers ---- */

/* What the call carries: its place, and which use of that it is. */
struct mark {
  uint32_t place;
};

static struct rn_gossip *gossip_of(const struct rn_call *c) {
  return RN_LIST_ENTRY(rn_call_handler(c), struct rn_gossip, handler);
}

static uint64_t number_of(const struct rn_gossip *g, uint32_t place) {
  return (uint64_t)g->heard[place].round << 32 | place;
}

static struct heard *heard_take(struct rn_gossip *g, struct rn_call *c, uint32_t *place) {
  *place = g->heard_free;
  if (*place == UINT32_MAX) {
    g->stats.heard_limit++;
    return NULL;
  }
  struct heard *h = &g->heard[*place];
  g->heard_free = h->next_free;
  h->round++;
  h->call = c;
  g->stats.waiting++;
  return h;
}

/* Its call is about to be answered, or is gone. */
static void heard_give(struct rn_gossip *g, struct heard *h) {
  h->call = NULL;
  h->next_free = g->heard_free;
  g->heard_free = (uint32_t)(h - g->heard);
  g->stats.waiting--;
}

static void answer_ourselves(struct rn_gossip *g, struct rn_call *c, enum rn_swim_type type,
                             struct rn_bin_str to, uint64_t seq) {
  uint8_t buf[RN_GOSSIP_SEND_MAX];
  struct rn_bin_writer w = { .buf = buf, .cap = sizeof(buf) };
  struct rn_swim_update self;
  size_t used;
  if (type != RN_SWIM_PING || g->self_len == 0) {
    g->stats.own_ends++;
    rn_call_gossip(c, NULL, 0);
    return;
  }
  int err = rn_swim_update_get(g->self, g->self_len, &self, &used);
  RN_ASSERT(err == RN_OK); /* rn_gossip_self has read it */
  rn_swim_put_head(&w, RN_SWIM_ACK, self.node_id, NULL, to, 1);
  uint8_t *room = rn_bin_room(&w, g->self_len);
  if (room != NULL)
    memcpy(room, g->self, g->self_len);
  rn_swim_put_seq(&w, seq);
  RN_ASSERT(w.err == RN_OK); /* two ids of 255 bytes and the update fit */
  g->stats.own_acks++;
  rn_call_gossip(c, buf, w.len);
}

static bool is_allowed(const struct rn_gossip *g, const struct rn_quic_conn *c) {
  const uint8_t *peer = rn_quic_conn_peer_sha256(c);
  bool found = g->cfg.allowed_count == 0;
  for (uint32_t i = 0; !found && peer != NULL && i < g->cfg.allowed_count; i++)
    found = memcmp(g->cfg.allowed[i], peer, sizeof(g->cfg.allowed[i])) == 0;
  return found;
}

static void on_request(struct rn_call *c, const uint8_t *msg, size_t len) {
  struct rn_gossip *g = gossip_of(c);
  struct rn_swim_msg m;
  size_t used;
  uint32_t place;
  struct rn_path path;
  int err = rn_swim_get(msg, len, &m, &used);
  RN_ASSERT(err == RN_OK && m.from.len <= PEER_ID_MAX); /* the server and classify have looked */
  g->stats.heard++;
  if (!is_allowed(g, rn_call_conn(c))) {
    g->stats.forbidden++;
    rn_call_gossip(c, NULL, 0);
    return;
  }
  rn_quic_conn_keep_alive(rn_call_conn(c), g->cfg.ping_ns);
  struct heard *h = heard_take(g, c, &place);
  if (h == NULL) {
    answer_ourselves(g, c, m.type, m.from, m.seq);
    return;
  }
  h->type = (uint8_t)m.type;
  h->seq = m.seq;
  h->from_len = (uint8_t)m.from.len;
  memcpy(h->from, m.from.p, m.from.len);
  ((struct mark *)rn_call_scratch(c))->place = place;
  rn_call_timer(c,
                rn_call_now(c) + (m.type == RN_SWIM_PING ? RN_GOSSIP_ACK_NS : RN_GOSSIP_WAIT_NS));
  rn_quic_conn_path(rn_call_conn(c), &path);
  if (g->io.heard(g->io.ctx, number_of(g, place), &path.remote, msg, len) == RN_OK || h->call != c)
    return;
  heard_give(g, h);
  answer_ourselves(g, c, m.type, m.from, m.seq);
}

static struct heard *heard_of(struct rn_gossip *g, struct rn_call *c) {
  return &g->heard[((struct mark *)rn_call_scratch(c))->place];
}

static void on_late(struct rn_call *c) {
  struct rn_gossip *g = gossip_of(c);
  struct heard *h = heard_of(g, c);
  heard_give(g, h);
  answer_ourselves(g, c, (enum rn_swim_type)h->type, (struct rn_bin_str){ h->from, h->from_len },
                   h->seq);
}

static void on_cancel(struct rn_call *c) {
  struct rn_gossip *g = gossip_of(c);
  g->stats.heard_gone++;
  heard_give(g, heard_of(g, c));
}

int rn_gossip_answer(struct rn_gossip *g, uint64_t number, const uint8_t *msg, size_t len) {
  const uint32_t place = (uint32_t)number;
  struct heard *h = place < g->lim.heard ? &g->heard[place] : NULL;
  if (h == NULL || h->call == NULL || h->round != number >> 32) {
    g->stats.late_answers++;
    return RN_ERR_NOENT;
  }
  if (len > RN_GOSSIP_SEND_MAX) {
    on_late(h->call);
    return RN_ERR_TOOBIG;
  }
  struct rn_call *c = h->call;
  heard_give(g, h);
  g->stats.answers++;
  rn_call_gossip(c, msg, len);
  return RN_OK;
}

int rn_gossip_self(struct rn_gossip *g, const uint8_t *update, size_t len) {
  struct rn_swim_update u;
  size_t used;
  if (len > RN_GOSSIP_SELF_MAX ||
      (len > 0 && (rn_swim_update_get(update, len, &u, &used) != RN_OK || used != len ||
                   u.node_id.len > PEER_ID_MAX)))
    return RN_ERR_INVAL;
  if (len > 0)
    memcpy(g->self, update, len);
  g->self_len = (uint32_t)len;
  return RN_OK;
}

/* ---- the object ---- */

int rn_gossip_init(void *mem, const struct rn_gossip_limits *lim,
                   const struct rn_gossip_config *cfg, const struct rn_gossip_io *io,
                   struct rn_rpc_server *v, struct rn_pool *pool, struct rn_gossip **out) {
  if (rn_gossip_footprint(lim) == 0)
    return RN_ERR_INVAL;
  struct layout l;
  layout_of(lim, &l);
  uint8_t *base = mem;
  struct rn_gossip *g = mem;
  *g = (struct rn_gossip){ .handler = { .name = "gossip",
                                        .kind = RN_HANDLER_GOSSIP,
                                        .request = on_request,
                                        .timer = on_late,
                                        .cancel = on_cancel },
                           .lim = *lim,
                           .cfg = *cfg,
                           .io = *io,
                           .pool = pool,
                           .heard = (struct heard *)(base + l.heard),
                           .heard_free = UINT32_MAX };
  for (uint32_t i = lim->heard; i-- > 0;) {
    g->heard[i] = (struct heard){ .next_free = g->heard_free };
    g->heard_free = i;
  }
  rn_list_init(&g->open);
  rn_slab_init(base + l.asks, sizeof(struct ask), lim->asks, &g->asks);
  rn_wheel_init(base + l.wheel, 0, &g->wheel);
  rn_rpc_server_on_gossip(v, &g->handler);
  *out = g;
  return RN_OK;
}

const struct rn_gossip_stats *rn_gossip_stats(const struct rn_gossip *g) { return &g->stats; }

int rn_gossip_check(const struct rn_gossip *g) {
  uint32_t free_count = 0, used = 0, open = 0;
  for (uint32_t i = g->heard_free; i != UINT32_MAX; i = g->heard[i].next_free) {
    if (i >= g->lim.heard || g->heard[i].call != NULL || ++free_count > g->lim.heard)
      return RN_ERR_STATE;
  }
  for (uint32_t i = 0; i < g->lim.heard; i++)
    used += g->heard[i].call != NULL;
  for (const struct rn_list *n = g->open.next; n != &g->open; n = n->next)
    open++;
  if (free_count + used != g->lim.heard || used != g->stats.waiting || open != g->stats.open ||
      open != rn_slab_in_use(g->asks))
    return RN_ERR_STATE;
  return rn_wheel_check(g->wheel);
}
