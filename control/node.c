/* control/node.c */
#include "control/node.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control/drain.h"
#include "control/gossip.h"
#include "control/topo_of.h"
#include "sys/channel.h"
#include "sys/clock.h"
#include "sys/event.h"
#include "sys/memfd.h"
#include "util/err.h"

#define NO_ERROR_CODE 0x0 /* rpcnet peers close with 0 at a regular end, docs/protocol.md */

static void set_state(struct rn_node *n, enum rn_node_state next) {
  static const char *const names[RN_NODE_STATE_COUNT] = { "none", "starting", "serving" };
  rn_debug("data plane: %s -> %s", names[n->state], names[next]);
  n->state = next;
}

/* ---- the region ---- */

static void release_region(struct rn_node *n) {
  rn_sys_unmap(n->view.base, n->view.bytes);
  n->view.base = NULL;
  if (n->region_fd >= 0)
    close(n->region_fd);
  n->region_fd = -1;
  for (uint32_t i = 0; i < RN_TOPO_LCORES_MAX; i++)
    n->lcores[i].ready = false;
}

/* Our ends of all rings, and their bells announced. */
static int attach_rings(struct rn_node *n) {
  n->generation++;
  n->rotation.step = RN_SECRETS_IDLE;
  for (uint32_t i = 0; i < n->topo.lcore_count; i++) {
    struct rn_node_lcore *l = &n->lcores[i];
    int err = rn_topo_control_rings(&n->view, i, &l->from, &l->to);
    if (err != RN_OK)
      return err;
    l->ready = false;
    l->keys_owed = 0;
    l->key_epoch = n->topo.cid.key_epoch;
    l->stats = (struct rn_lcore_stats){ 0 };
    l->sampled_busy_ns = l->sampled_idle_ns = l->stats_ns = 0;
    l->busy_share = 0;
  }
  return RN_OK;
}

static int describe(struct rn_node *n, const struct rn_secret_epoch *e, struct rn_topo *t) {
  const struct rn_topo_inputs in = { .secret = e->bytes,
                                     .secret_bytes = sizeof(e->bytes),
                                     .key_epoch = e->epoch,
                                     .epoch = (uint8_t)(n->epoch_base + n->starts),
                                     .start_unix_ns = rn_sys_wall_ns(),
                                     .privileged = n->privileged,
                                     .bpf_attached = n->bpf_attached };
  return rn_topo_of_config(n->cfg, &in, t);
}

/* What a region of ours holds besides the description. */
static struct rn_topo_blobs blobs_of(const struct rn_node *n) {
  size_t bytes;
  const char *cert = rn_keys_cert_pem(n->keys, &bytes);
  return (struct rn_topo_blobs){ .cert = { cert, bytes },
                                 .ca = { n->ca_pem, n->ca_bytes },
                                 .peer_ca = { n->peer_ca_pem, n->peer_ca_bytes } };
}

static bool same_blob(const struct rn_topo_blob *ours, const char *served, size_t bytes) {
  return bytes == ours->bytes && (bytes == 0 || memcmp(served, ours->p, bytes) == 0);
}

/* Whether what n->view's data plane serves with is what ours would. */
static bool serves_blobs(const struct rn_node *n) {
  const struct rn_topo_blobs ours = blobs_of(n);
  size_t cert_bytes, ca_bytes, peer_ca_bytes;
  const char *cert = rn_topo_cert(&n->view, &cert_bytes), *ca = rn_topo_ca(&n->view, &ca_bytes),
             *peer_ca = rn_topo_peer_ca(&n->view, &peer_ca_bytes);
  return same_blob(&ours.cert, cert, cert_bytes) && same_blob(&ours.ca, ca, ca_bytes) &&
         same_blob(&ours.peer_ca, peer_ca, peer_ca_bytes);
}

/* A new memory with a new description in it, mapped as n->view. */
static int make_region(struct rn_node *n, char *why, size_t why_bytes) {
  const struct rn_topo_blobs blobs = blobs_of(n);
  void *map = NULL;
  if (describe(n, rn_secrets_newest(&n->secrets), &n->topo) != RN_OK) {
    snprintf(why, why_bytes, "the secret is too short");
    return RN_ERR_CONFIG;
  }
  size_t bytes = rn_topo_footprint(&n->topo, &blobs);
  if (bytes == 0) {
    snprintf(why, why_bytes, "certificates or lcores are too large for one region");
    return RN_ERR_CONFIG;
  }
  if (rn_sys_memfd("rpcnet-region", bytes, &n->region_fd) != RN_OK ||
      rn_sys_map(n->region_fd, bytes, &map) != RN_OK) {
    snprintf(why, why_bytes, "no memory for a region of %zu bytes", bytes);
    return RN_ERR_SYS;
  }
  n->view.base = map;
  n->view.bytes = bytes;
  int err = rn_topo_build(map, bytes, &n->topo, &blobs, (uint32_t)getpid(), why, why_bytes);
  if (err != RN_OK)
    return RN_ERR_CONFIG;
  n->view.topo = n->topo;
  return attach_rings(n);
}

int rn_node_start(struct rn_node *n) {
  char why[256];
  int fds[2 + RN_TOPO_LCORES_MAX];
  n->adopted = false;
  int err = make_region(n, why, sizeof(why));
  if (err != RN_OK) {
    rn_error("data plane: %s", why);
    release_region(n);
    return err;
  }
  fds[0] = n->region_fd;
  fds[1] = n->bell_fd;
  for (uint32_t i = 0; i < n->topo.lcore_count; i++)
    fds[2 + i] = n->lcores[i].bell_fd;
  const struct rn_parent_msg m = { .type = RN_PARENT_START, .arg = n->topo.lcore_count };
  err = rn_sys_send(n->channel, &m, sizeof(m), fds, 2 + n->topo.lcore_count);
  if (err != RN_OK) {
    rn_error("rpcnetd does not answer: %s", rn_err_text(err));
    return RN_ERR_SYS;
  }
  set_state(n, RN_NODE_STARTING);
  rn_node_drain(n); /* announces that we sleep */
  return RN_OK;
}

/* ---- a data plane that runs already ---- */

static const struct rn_secret_epoch *epoch_or_newest(const struct rn_secrets *s, uint32_t epoch) {
  for (uint32_t i = 0; i < s->count; i++) {
    if (s->of[i].epoch == epoch)
      return &s->of[i];
  }
  return rn_secrets_newest(s);
}

/* Maps the region that rpcnetd kept. RN_OK when it is what we would start now. */
static int adopt(struct rn_node *n, const struct rn_parent_msg *hello, int region_fd, char *why,
                 size_t why_bytes) {
  size_t bytes;
  void *map;
  if (rn_sys_memfd_check(region_fd, &bytes) != RN_OK ||
      rn_sys_map(region_fd, bytes, &map) != RN_OK) {
    snprintf(why, why_bytes, "the region cannot be mapped");
    return RN_ERR_CORRUPT;
  }
  n->view.base = map;
  n->view.bytes = bytes;
  if (rn_topo_attach(map, bytes, &n->view, why, why_bytes) != RN_OK)
    return RN_ERR_CORRUPT;
  struct rn_topo want, placed = n->view.topo;
  /* It was started with what was the newest epoch then; it is told the others when it serves. */
  if (describe(n, epoch_or_newest(&n->secrets, placed.cid.key_epoch), &want) != RN_OK)
    return RN_ERR_CONFIG;
  /* Places follow from counts and sizes, which are compared: take them from there. */
  want.tls.cert = placed.tls.cert;
  want.tls.ca = placed.tls.ca;
  want.tls.peer_ca = placed.tls.peer_ca;
  for (uint32_t i = 0; i < RN_TOPO_LCORES_MAX; i++) {
    want.lcores[i].to_control = placed.lcores[i].to_control;
    want.lcores[i].from_control = placed.lcores[i].from_control;
    want.lcores[i].stats = placed.lcores[i].stats;
  }
  if (!rn_topo_serves_same(&want, &placed) || hello->arg != placed.lcore_count ||
      !serves_blobs(n)) {
    snprintf(why, why_bytes, "it serves with another certificate or configuration");
    return RN_ERR_STATE;
  }
  n->topo = placed;
  n->adopted = true;
  uint64_t age_ns = rn_sys_wall_ns() - placed.start_unix_ns;
  if (age_ns < n->started_ns) /* else the wall clock was set meanwhile */
    n->started_ns -= age_ns;
  return attach_rings(n);
}

void rn_node_say_hello(struct rn_node *n) {
  const struct rn_msg_ctl_hello hello = { .pid = (uint32_t)getpid() };
  for (uint32_t i = 0; n->state == RN_NODE_STARTING && i < n->topo.lcore_count; i++) {
    if (!n->lcores[i].ready)
      rn_node_send(n, i, RN_MSG_CTL_HELLO, &hello, NULL, 0);
  }
}

static int make_bells(struct rn_node *n) {
  int err = rn_sys_event(&n->bell_fd);
  for (uint32_t i = 0; err == RN_OK && i < RN_TOPO_LCORES_MAX; i++)
    err = rn_sys_event(&n->lcores[i].bell_fd);
  return err;
}

/* The bells of the running data plane take the place of ours. */
static void take_bells(struct rn_node *n, const int *fds, size_t fd_count) {
  close(n->bell_fd);
  n->bell_fd = fds[1];
  for (size_t i = 0; i + 2 < fd_count; i++) {
    close(n->lcores[i].bell_fd);
    n->lcores[i].bell_fd = fds[2 + i];
  }
}

static void on_signed(void *arg, const struct rn_sign_job *j) {
  struct rn_node *n = arg;
  const struct rn_msg_sign_rsp rsp = { .job = j->job, .status = j->status };
  if (j->generation != n->generation || n->state == RN_NODE_NONE) {
    n->stats.sign_late++;
    return;
  }
  rn_node_send(n, j->lcore_idx, RN_MSG_SIGN_RSP, &rsp, j->sig, j->sig_bytes);
}

int rn_node_init(struct rn_node *n, const struct rn_parent_msg *hello, const int *fds,
                 size_t fd_count, char *why, size_t why_bytes) {
  n->region_fd = n->bell_fd = -1;
  n->starts = hello->starts;
  n->stats.dataplane_starts = hello->starts;
  n->signer.keys = n->keys;
  n->signer.stats = &n->stats;
  n->signer.done = on_signed;
  n->signer.arg = n;
  n->signer.queued_max = n->cfg->limits.signing_queue * 2;
  if (make_bells(n) != RN_OK) {
    snprintf(why, why_bytes, "no descriptors for doorbells");
    return RN_ERR_SYS;
  }
  if (hello->arg == 0)
    return rn_node_start(n);

  rn_info("a data plane with %u lcores runs already, pid %u", hello->arg, hello->pid);
  n->pid = hello->pid;
  n->started_ns = rn_sys_now_ns();
  if (fd_count < 3 || fd_count != 2 + hello->arg) {
    snprintf(why, why_bytes, "rpcnetd sent %zu descriptors", fd_count);
    return RN_ERR_SYS;
  }
  take_bells(n, fds, fd_count);
  n->region_fd = fds[0];
  char reason[256];
  if (adopt(n, hello, fds[0], reason, sizeof(reason)) != RN_OK) {
    rn_warn("the data plane has to be started again: %s", reason);
    release_region(n);
    const struct rn_parent_msg stop = { .type = RN_PARENT_STOP };
    return rn_sys_send(n->channel, &stop, sizeof(stop), NULL, 0) == RN_OK ? RN_OK : RN_ERR_SYS;
  }
  set_state(n, RN_NODE_STARTING);
  rn_node_say_hello(n);
  rn_node_drain(n);
  return RN_OK;
}

void rn_node_fini(struct rn_node *n) {
  rn_inspect_free(n->inspect);
  n->inspect = NULL;
  rn_gossiper_free(n->gossip);
  n->gossip = NULL;
  release_region(n);
  rn_secrets_wipe(&n->secrets);
}

/* ---- messages ---- */

int rn_node_send(struct rn_node *n, uint32_t lcore_idx, enum rn_msg_type type, const void *fixed,
                 const void *tail, size_t tail_bytes) {
  struct rn_node_lcore *l = &n->lcores[lcore_idx];
  int err = rn_msg_push(&l->to, type, fixed, tail, tail_bytes);
  if (err != RN_OK) {
    n->stats.ring_full++;
    return err;
  }
  n->stats.ring_tx++;
  if (rn_ring_must_wake(&l->to))
    rn_sys_event_ring(l->bell_fd);
  return RN_OK;
}

static void on_ready(struct rn_node *n, uint32_t idx, const struct rn_msg_ready *m) {
  n->lcores[idx].ready = true;
  n->lcores[idx].mtu = m->mtu;
  n->lcores[idx].addr = m->addr;
  if (n->state != RN_NODE_STARTING)
    return;
  for (uint32_t i = 0; i < n->topo.lcore_count; i++) {
    if (!n->lcores[i].ready)
      return;
  }
  set_state(n, RN_NODE_SERVING);
  rn_info("serving on UDP port %u of %s with %u lcores, MTU %u, %s certificate of %s",
          n->topo.ports[0].udp_port,
          n->topo.ports[0].interface[0] != '\0' ? n->topo.ports[0].interface : "no interface",
          n->topo.lcore_count, m->mtu, rn_keys_type(n->keys), rn_keys_subject(n->keys));
  const struct rn_parent_msg ready = { .type = RN_PARENT_READY };
  (void)rn_sys_send(n->channel, &ready, sizeof(ready), NULL, 0);
  rn_secrets_publish(n);
  if (n->gossip != NULL)
    rn_gossiper_serving(n->gossip, &n->lcores[0].addr);
}

static void on_log(struct rn_node *n, uint32_t idx, const struct rn_msg *m) {
  struct rn_node_lcore *l = &n->lcores[idx];
  uint64_t suppressed;
  enum rn_log_level level =
      m->log.level < RN_LOG_LEVEL_COUNT ? (enum rn_log_level)m->log.level : RN_LOG_ERROR;
  if (!rn_log_may(&l->log_limit, rn_sys_now_ns(), 100 * RN_NS_PER_MS, 50, &suppressed)) {
    n->stats.log_suppressed++;
    return;
  }
  if (suppressed > 0)
    rn_warn("lcore %u: %llu lines were held back", idx, (unsigned long long)suppressed);
  rn_log(level, "lcore %u: %.*s", idx, (int)m->tail_bytes, (const char *)m->tail);
}

static void on_sign_request(struct rn_node *n, uint32_t idx, const struct rn_msg *m) {
  struct rn_sign_job j = { .job = m->sign_req.job,
                           .generation = n->generation,
                           .lcore_idx = (uint16_t)idx,
                           .scheme = m->sign_req.scheme,
                           .tbs_bytes = m->tail_bytes };
  memcpy(j.tbs, m->tail, m->tail_bytes); /* at most 146: rn_msg_pop checked */
  rn_signer_submit(&n->signer, &j);
}

/* lcore_idx inside a message is for people who read dumps; what counts is the ring it came over. */
static void on_message(struct rn_node *n, uint32_t idx, const struct rn_msg *m) {
  switch (m->type) {
  case RN_MSG_READY:
    on_ready(n, idx, &m->ready);
    break;
  case RN_MSG_LOG:
    on_log(n, idx, m);
    break;
  case RN_MSG_SIGN_REQ:
    on_sign_request(n, idx, m);
    break;
  case RN_MSG_KEYS_DONE:
    rn_secrets_on_done(n, idx, &m->keys_done);
    break;
  case RN_MSG_CONN:
  case RN_MSG_CONNS_END:
  case RN_MSG_QLOG_TEXT:
    rn_inspect_on_message(n->inspect, idx, m);
    break;
  case RN_MSG_GOSSIP_HEARD:
  case RN_MSG_GOSSIP_CAME:
    rn_gossiper_on_message(n->gossip, idx, m);
    break;
  default:
    n->stats.ring_corrupt++;
    break;
  }
}

/* At most a ring full at a time, so that one lcore that writes without end does not keep the loop. True when something was there. */
static bool drain_lcore(struct rn_node *n, uint32_t idx) {
  struct rn_node_lcore *l = &n->lcores[idx];
  struct rn_msg m;
  uint32_t count;
  for (count = 0; count < n->topo.ring.slot_count; count++) {
    int err = rn_msg_pop(&l->from, RN_MSG_TO_CONTROL, &m);
    if (err == RN_ERR_AGAIN)
      break;
    n->stats.ring_rx++;
    if (err == RN_OK)
      on_message(n, idx, &m);
    else
      n->stats.ring_corrupt++;
  }
  rn_ring_release(&l->from);
  return count > 0;
}

void rn_node_drain(struct rn_node *n) {
  (void)rn_sys_event_clear(n->bell_fd);
  if (n->state == RN_NODE_NONE)
    return;
  bool again = false;
  for (uint32_t i = 0; i < n->topo.lcore_count; i++) {
    (void)drain_lcore(n, i);
    if (!rn_ring_sleep(&n->lcores[i].from))
      again = true;
  }
  if (again) /* by way of the loop: other descriptors have their turn first */
    rn_sys_event_ring(n->bell_fd);
}

/* ---- rpcnetd ---- */

void rn_node_shut_down(struct rn_node *n, uint32_t within_ms) {
  const struct rn_msg_ctl_shutdown m = { .app_code = NO_ERROR_CODE,
                                         .within_ns = within_ms * RN_NS_PER_MS };
  if (n->state == RN_NODE_NONE)
    return;
  rn_info("telling %u lcores to close their connections", n->topo.lcore_count);
  for (uint32_t i = 0; i < n->topo.lcore_count; i++)
    rn_node_send(n, i, RN_MSG_CTL_SHUTDOWN, &m, NULL, 0);
}

int rn_node_save(struct rn_node *n, const char *text, size_t len) {
  const struct rn_parent_msg m = { .type = RN_PARENT_SAVE };
  const struct rn_config_cluster *c = &n->cfg->cluster;
  void *map;
  int fd;
  if (!c->enabled || c->state_file[0] == '\0')
    return RN_ERR_NOENT;
  if (n->saving)
    return RN_ERR_AGAIN;
  if (len == 0 || len > RN_PARENT_SAVE_MAX)
    return RN_ERR_TOOBIG;
  if (rn_sys_memfd("rpcnet-state", len, &fd) != RN_OK)
    return RN_ERR_SYS;
  int err = rn_sys_map(fd, len, &map);
  if (err == RN_OK) {
    memcpy(map, text, len);
    rn_sys_unmap(map, len);
    err = rn_sys_send(n->channel, &m, sizeof(m), &fd, 1);
  }
  close(fd);
  n->saving = err == RN_OK;
  return err == RN_OK || err == RN_ERR_AGAIN ? err : RN_ERR_SYS;
}

static void on_saved(struct rn_node *n, const struct rn_parent_msg *m) {
  n->saving = false;
  if (m->status != RN_OK)
    rn_warn("cluster.state_file: not written: %.*s", (int)sizeof(m->text), m->text);
}

static int on_reply(struct rn_node *n, const struct rn_parent_msg *m) {
  if (m->arg == RN_PARENT_SAVE)
    on_saved(n, m);
  if (m->arg != RN_PARENT_START)
    return RN_OK;
  if (m->status != RN_OK) {
    rn_error("rpcnetd could not start the data plane: %.*s", (int)sizeof(m->text), m->text);
    return n->stopping ? RN_OK : RN_ERR_SYS;
  }
  n->pid = m->pid;
  n->starts = m->starts;
  n->stats.dataplane_starts = m->starts;
  n->started_ns = rn_sys_now_ns();
  return RN_OK;
}

int rn_node_on_parent(struct rn_node *n, const struct rn_parent_msg *m) {
  switch (m->type) {
  case RN_PARENT_REPLY:
    return on_reply(n, m);
  case RN_PARENT_ENDED:
    rn_node_drain(n); /* its last words */
    set_state(n, RN_NODE_NONE);
    rn_inspect_lost(n->inspect);
    release_region(n);
    n->pid = 0;
    n->starts = m->starts;
    return n->stopping ? RN_OK : rn_node_start(n);
  case RN_PARENT_RELOAD:
    if (rn_secrets_reload(n, false, NULL) == RN_ERR_AGAIN)
      rn_warn("the secret is being read already");
    return RN_OK;
  case RN_PARENT_SHUTDOWN:
    n->stopping = true;
    rn_drain_begin(n, m->within_ms);
    return RN_OK;
  default:
    rn_warn("rpcnetd sent %s, which means nothing here", rn_parent_type_name(m->type));
    return RN_OK;
  }
}

/* ---- statistics ---- */

void rn_node_sample(struct rn_node *n, bool share) {
  if (n->state == RN_NODE_NONE)
    return;
  for (uint32_t i = 0; i < n->topo.lcore_count; i++) {
    struct rn_node_lcore *l = &n->lcores[i];
    (void)rn_stats_read(rn_topo_stats(&n->view, i), &l->stats, &l->stats_ns);
    if (!share)
      continue;
    uint64_t busy_ns = l->stats.lcore.busy_ns - l->sampled_busy_ns;
    uint64_t idle_ns = l->stats.lcore.idle_ns - l->sampled_idle_ns;
    l->busy_share = busy_ns + idle_ns > 0 ? (double)busy_ns / (double)(busy_ns + idle_ns) : 0;
    l->sampled_busy_ns = l->stats.lcore.busy_ns;
    l->sampled_idle_ns = l->stats.lcore.idle_ns;
  }
}
