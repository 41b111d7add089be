/* dataplane/control.c: messages between an lcore and the control process. */
#include "dataplane/lcore.h"
#include "dataplane/serve/relay.h"
#include "quic/secret.h"
#include "sys/event.h"
#include "util/err.h"

#include <string.h>
#include <unistd.h>

int rn_control_push(struct rn_lcore *lc, enum rn_msg_type type, const void *fixed, const void *tail,
                    size_t tail_bytes) {
  int err = rn_msg_push(&lc->to_control, type, fixed, tail, tail_bytes);
  if (err != RN_OK) {
    lc->stats.lcore.ring_full++;
    return err;
  }
  lc->stats.lcore.ring_tx++;
  if (rn_ring_must_wake(&lc->to_control)) {
    lc->stats.lcore.doorbells++;
    rn_sys_event_ring(lc->control_bell_fd);
  }
  return RN_OK;
}

int rn_control_sign(struct rn_lcore *lc, const struct rn_quic_sign_req *req) {
  const struct rn_msg_sign_req m = { .job = req->job,
                                     .lcore_idx = (uint16_t)lc->idx,
                                     .scheme = req->scheme };
  return rn_control_push(lc, RN_MSG_SIGN_REQ, &m, req->tbs, req->tbs_bytes);
}

/* Where others reach us unless the configuration says otherwise. */
static struct rn_addr first_addr(const struct rn_net_if *nif) {
  /* Any of the documentation's addresses: what is asked for is one that is good for others than those on the link. */
  static const struct rn_addr somebody[] = {
    { .family = 4, .ip = { 192, 0, 2, 1 } },
    { .family = 6, .ip = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 } },
  };
  struct rn_addr addr = { 0 };
  for (size_t i = 0; i < 2 && addr.family == 0; i++) {
    const struct rn_addr *source = rn_net_source(nif, &somebody[i]);
    if (source != NULL)
      addr = *source;
  }
  if (addr.family != 0)
    addr.port = nif->udp_port;
  return addr;
}

void rn_control_ready(struct rn_lcore *lc) {
  const struct rn_msg_ready m = { .pid = (uint32_t)getpid(),
                                  .lcore_idx = (uint16_t)lc->idx,
                                  .mtu = lc->port->info.mtu,
                                  .addr = first_addr(rn_link_if(lc->link)) };
  rn_control_push(lc, RN_MSG_READY, &m, NULL, 0);
}

static void shutdown_lcore(struct rn_lcore *lc, const struct rn_msg_ctl_shutdown *m) {
  rn_quic_close_all(lc->quic, lc->now_ns, m->app_code);
  lc->closing = true;
  lc->close_by_ns = lc->now_ns + m->within_ns;
}

static void take_keys(struct rn_lcore *lc, const struct rn_msg *m) {
  struct rn_msg_keys_done done = { .step = m->keys.step,
                                   .epoch = m->keys.epoch,
                                   .status = RN_ERR_INVAL };
  struct rn_secret_keys keys;
  if (m->keys.step == RN_MSG_KEYS_USE) {
    done.status = rn_quic_keys_use(lc->quic, m->keys.epoch, m->keys.oldest);
  } else if (m->keys.step == RN_MSG_KEYS_ADD && m->tail_bytes == sizeof(keys)) {
    memcpy(&keys, m->tail, sizeof(keys));
    if (keys.epoch == m->keys.epoch)
      done.status = rn_quic_keys_add(lc->quic, lc->now_ns, &keys);
    explicit_bzero(&keys, sizeof(keys));
  }
  rn_control_push(lc, RN_MSG_KEYS_DONE, &done, NULL, 0);
}

static void take_pool(struct rn_lcore *lc, const struct rn_msg *m) {
  if (lc->director == NULL ||
      rn_director_pool(lc->director, &m->pool, m->tail, m->tail_bytes) != RN_OK) {
    lc->stats.lcore.ring_corrupt++;
    return;
  }
  const uint32_t route = m->pool.route;
  if (route >= lc->view->topo.director.route_count) /* get_worker's */
    return;
  if (lc->view->topo.director.routes[route].call_all != 0)
    rn_call_all_changed(lc->call_all, route, lc->now_ns);
  else
    rn_forwarding_changed(lc->forwarding, route, lc->now_ns);
}

static void handle(struct rn_lcore *lc, const struct rn_msg *m) {
  switch (m->type) {
  case RN_MSG_SIGN_RSP:
    rn_quic_sign_done(lc->quic, lc->now_ns, m->sign_rsp.job, m->sign_rsp.status, m->tail,
                      m->tail_bytes);
    break;
  case RN_MSG_CTL_SHUTDOWN:
    shutdown_lcore(lc, &m->ctl_shutdown);
    break;
  case RN_MSG_POOL:
    take_pool(lc, m);
    break;
  case RN_MSG_CTL_DRAIN:
    rn_rpc_server_drain(lc->rpc);
    lc->info.ready = false;
    break;
  case RN_MSG_CONNS:
    rn_inspect_conns(lc, &m->conns);
    break;
  case RN_MSG_QLOG:
    rn_inspect_qlog(lc, &m->qlog);
    break;
  case RN_MSG_KEYS:
    take_keys(lc, m);
    break;
  case RN_MSG_GOSSIP_REPLY:
  case RN_MSG_GOSSIP_ASK:
  case RN_MSG_GOSSIP_SELF:
    rn_relay_on_message(lc, m);
    break;
  case RN_MSG_CTL_HELLO:
    rn_inspect_stop(lc);
    rn_relay_attached(lc);
    rn_control_ready(lc);
    /* What the control before this one took and did not answer. */
    rn_quic_sign_again(lc->quic, lc->now_ns);
    break;
  default:
    lc->stats.lcore.ring_corrupt++;
    break;
  }
}

/* A signature sets a handshake going again, as dear as a hundred calls: one per turn, as Initials are admitted. */
uint32_t rn_control_drain(struct rn_lcore *lc) {
  struct rn_msg m;
  uint32_t n = 0;
  m.type = RN_MSG_NONE;
  for (; n < RN_LCORE_MESSAGES && m.type != RN_MSG_SIGN_RSP; n++) {
    int err = rn_msg_pop(&lc->from_control, RN_MSG_TO_LCORE, &m);
    if (err == RN_ERR_AGAIN)
      break;
    lc->stats.lcore.ring_rx++;
    if (err == RN_OK)
      handle(lc, &m);
    else
      lc->stats.lcore.ring_corrupt++;
  }
  if (m.type == RN_MSG_KEYS)
    explicit_bzero(&m, sizeof(m));
  if (n > 0)
    rn_ring_release(&lc->from_control);
  return n;
}
