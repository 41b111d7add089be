/* control/drain.c */
#include "control/drain.h"

#include <stdbool.h>

#include "control/gossip.h"
#include "control/health.h"
#include "control/node.h"
#include "control/parent.h"
#include "sys/channel.h"
#include "sys/clock.h"
#include "sys/log.h"

/* How long an lcore may take to say that it refuses new calls. */
#define HEED_NS UINT64_C(1000000000)

static void enter(struct rn_node *n, enum rn_drain_phase phase) {
  n->drain.phase = (uint8_t)phase;
  n->drain.since_ns = rn_sys_now_ns();
}

/* A control that stands still says nothing, and rpcnetd does not wait for it. */
static void tell_parent(const struct rn_node *n, uint64_t within_ns) {
  const struct rn_parent_msg m = { .type = RN_PARENT_DRAINING,
                                   .arg = (uint32_t)(within_ns / RN_NS_PER_MS) };
  (void)rn_sys_send(n->channel, &m, sizeof(m), NULL, 0);
}

static void finish_calls(struct rn_node *n) {
  const struct rn_msg_ctl_drain m = { 0 };
  for (uint32_t i = 0; n->state != RN_NODE_NONE && i < n->topo.lcore_count; i++)
    rn_node_send(n, i, RN_MSG_CTL_DRAIN, &m, NULL, 0);
  enter(n, RN_DRAIN_FINISHING);
}

/* A page that says that the lcore refuses new calls counts all that it had taken before. An lcore that stands still, or does not
 * heed what it is told, finishes nothing. */
static uint64_t calls_left(struct rn_node *n) {
  const uint64_t now_ns = rn_sys_now_ns();
  const bool told_just_now = now_ns - n->drain.since_ns < HEED_NS;
  uint64_t left = 0;
  rn_node_sample(n, false);
  for (uint32_t i = 0; n->state != RN_NODE_NONE && i < n->topo.lcore_count; i++) {
    const struct rn_node_lcore *l = &n->lcores[i];
    if (now_ns > l->stats_ns + RN_HEALTH_SILENT_NS)
      continue;
    if (l->stats.rpc.draining != 0)
      left += l->stats.rpc.calls + l->stats.forward.in_flight;
    else
      left += told_just_now;
  }
  return left;
}

static void end(struct rn_node *n, uint64_t left) {
  if (left > 0)
    rn_warn("draining: %llu calls have not finished in time", (unsigned long long)left);
  enter(n, RN_DRAIN_OVER);
  tell_parent(n, 0);
  rn_node_shut_down(n, n->drain.within_ms);
}

void rn_drain_begin(struct rn_node *n, uint32_t within_ms) {
  if (n->drain.phase != RN_DRAIN_NONE)
    return;
  n->drain.within_ms = within_ms;
  tell_parent(n, n->cfg->node.drain_timeout_ns + (n->gossip != NULL ? RN_DRAIN_ANNOUNCE_NS : 0));
  const bool announced = n->gossip != NULL && rn_gossiper_leave(n->gossip) == RN_OK;
  if (announced)
    enter(n, RN_DRAIN_ANNOUNCING);
  else
    finish_calls(n);
  rn_drain_tick(n);
}

void rn_drain_tick(struct rn_node *n) {
  const struct rn_drain *d = &n->drain;
  const uint64_t took_ns = rn_sys_now_ns() - d->since_ns;
  if (d->phase == RN_DRAIN_ANNOUNCING && took_ns >= RN_DRAIN_ANNOUNCE_NS) {
    finish_calls(n);
  } else if (d->phase == RN_DRAIN_FINISHING) {
    uint64_t left = n->cfg->node.drain_timeout_ns > 0 ? calls_left(n) : 0;
    if (left == 0 || took_ns >= n->cfg->node.drain_timeout_ns)
      end(n, left);
  }
}
