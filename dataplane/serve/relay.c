/* dataplane/serve/relay.c */
#include "dataplane/serve/relay.h"

#include "dataplane/lcore.h"
#include "util/err.h"
#include "wire/swim.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define HEARD_MAX                                                                                  \
  1024u /* requests that wait for control: a cluster's whole round comes in spread over its interval */
#define ASKS_MAX 256u /* control has at most RN_CLUSTER_ASKS_MAX, 128, open */

static int on_heard(void *ctx, uint64_t number, const struct rn_addr *from, const uint8_t *msg,
                    size_t len) {
  const struct rn_msg_gossip_heard m = { .number = number, .from = *from };
  return rn_control_push(ctx, RN_MSG_GOSSIP_HEARD, &m, msg, len);
}

static void say_what_came(struct rn_lcore *lc, uint32_t id, int status, const uint8_t *msg,
                          size_t len) {
  const struct rn_msg_gossip_came m = { .id = id, .status = status };
  rn_control_push(lc, RN_MSG_GOSSIP_CAME, &m, msg, len);
}

static void on_answered(void *ctx, uint32_t id, const uint8_t *msg, size_t len) {
  say_what_came(ctx, id, RN_OK, msg, len);
}

static void on_failed(void *ctx, uint32_t id, int why) { say_what_came(ctx, id, why, NULL, 0); }

int rn_relay_setup(struct rn_lcore *lc) {
  static const struct rn_gossip_limits lim = { .heard = HEARD_MAX, .asks = ASKS_MAX };
  const struct rn_topo_cluster *t = &lc->view->topo.cluster;
  struct rn_gossip_config cfg = { .ping_ns = t->ping_interval_ns,
                                  .allowed_count = t->allowed_count };
  static_assert(sizeof(cfg.allowed) == sizeof(t->allowed), "one list");
  memcpy(cfg.allowed, t->allowed, sizeof(cfg.allowed));
  const struct rn_gossip_io io = {
    .heard = on_heard, .answered = on_answered, .failed = on_failed, .ctx = lc
  };
  void *mem = rn_lcore_memory(rn_gossip_footprint(&lim));
  return mem != NULL ? rn_gossip_init(mem, &lim, &cfg, &io, lc->rpc, lc->gossip_pool, &lc->gossip)
                     : RN_ERR_SYS;
}

static int take_self(struct rn_lcore *lc, const struct rn_msg *m) {
  struct rn_swim_update u;
  size_t used;
  lc->info.cluster_size = m->gossip_self.alive;
  if (m->tail_bytes > 0 && rn_swim_update_get(m->tail, m->tail_bytes, &u, &used) == RN_OK)
    snprintf(lc->info.label, sizeof(lc->info.label), "%.*s", (int)u.node_id.len, u.node_id.p);
  return rn_gossip_self(lc->gossip, m->tail, m->tail_bytes);
}

void rn_relay_on_message(struct rn_lcore *lc, const struct rn_msg *m) {
  int err = RN_OK;
  if (lc->gossip == NULL)
    err = RN_ERR_STATE;
  else if (m->type == RN_MSG_GOSSIP_ASK)
    rn_gossip_ask(lc->gossip, lc->now_ns, m->gossip_ask.id, &m->gossip_ask.to,
                  m->gossip_ask.wait_ns, m->tail, m->tail_bytes);
  else if (m->type == RN_MSG_GOSSIP_SELF)
    err = take_self(lc, m);
  else
    (void)rn_gossip_answer(lc->gossip, m->gossip_reply.number, m->tail, m->tail_bytes);
  if (err != RN_OK)
    lc->stats.lcore.ring_corrupt++;
}

void rn_relay_attached(struct rn_lcore *lc) {
  if (lc->gossip != NULL)
    rn_gossip_forget(lc->gossip);
}
