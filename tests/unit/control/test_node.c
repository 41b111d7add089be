/* tests/unit/control/test_node.c: rpcnet-control between an rpcnetd and a data plane that are both this test: the one end of a channel, and the lcore's
 * ends of the rings in the region that control makes. */
#include "rn_test.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/node.h"
#include "pem_files.h"
#include "sys/channel.h"
#include "sys/clock.h"
#include "sys/event.h"
#include "sys/memfd.h"
#include "util/err.h"

struct fix {
  struct rn_config cfg;
  struct rn_keys *keys;
  const char *ca, *peer_ca; /* NULL: none */
  struct rn_node node;
  uv_loop_t loop;
  int parent; /* our end of the channel */
  /* the data plane's view */
  int fds[2 + RN_TOPO_LCORES_MAX];
  size_t fd_count;
  struct rn_topo_view view;
  struct rn_ring_tx tx[2];
  struct rn_ring_rx rx[2];
};

static char why[256];

static void make_config(struct rn_config *cfg) {
  static const char text[] =
      "port:\n  interface: eth0\nlcores:\n  count: 2\ntls:\n  cert: a\n  key: b\n"
      "limits:\n  signing_queue: 2\n";
  struct rn_config_errors *errs = rn_config_errors_new();
  if (rn_config_load_text("test", text, sizeof(text) - 1, cfg, errs) != RN_OK) {
    rn_config_errors_print(errs, stderr);
    fail();
  }
  rn_config_errors_free(errs);
}

static struct fix *fix_new(const char *kind, unsigned int bits, const char *group) {
  struct fix *f = calloc(1, sizeof(*f));
  struct pem_pair p;
  assert_non_null(f);
  make_config(&f->cfg);
  pem_pair_make(&p, kind, bits, group);
  assert_int_equal(rn_keys_load(p.cert_fd, "crt", p.key_fd, "key", &f->keys, why, sizeof(why)),
                   RN_OK);
  pem_pair_close(&p);
  assert_int_equal(uv_loop_init(&f->loop), 0);
  return f;
}

static void node_make(struct fix *f) {
  int pair[2];
  assert_int_equal(rn_sys_channel(pair), RN_OK);
  f->parent = pair[0];
  f->node = (struct rn_node){
    .cfg = &f->cfg, .keys = f->keys, .channel = pair[1], .secrets.count = 1, .epoch_base = 250
  };
  f->node.ca_pem = f->ca;
  f->node.ca_bytes = f->ca != NULL ? strlen(f->ca) : 0;
  f->node.peer_ca_pem = f->peer_ca;
  f->node.peer_ca_bytes = f->peer_ca != NULL ? strlen(f->peer_ca) : 0;
  f->node.signer.loop = &f->loop;
}

static int node_init(struct fix *f, const struct rn_parent_msg *hello, const int *fds,
                     size_t count) {
  return rn_node_init(&f->node, hello, fds, count, why, sizeof(why));
}

static void node_close(struct fix *f) {
  rn_node_fini(&f->node);
  close(f->node.bell_fd);
  for (size_t i = 0; i < RN_TOPO_LCORES_MAX; i++)
    close(f->node.lcores[i].bell_fd);
  close(f->node.channel);
  close(f->parent);
}

static void drop_dataplane(struct fix *f) {
  rn_sys_unmap(f->view.base, f->view.bytes);
  for (size_t i = 0; i < f->fd_count; i++)
    close(f->fds[i]);
  f->fd_count = 0;
  f->view.base = NULL;
}

static void fix_free(struct fix *f) {
  drop_dataplane(f);
  node_close(f);
  uv_run(&f->loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&f->loop), 0);
  rn_keys_free(f->keys);
  free(f);
}

/* The next request of control, which must be of this type. */
static struct rn_parent_msg expect(struct fix *f, enum rn_parent_type type) {
  struct rn_parent_msg m;
  size_t len;
  f->fd_count = sizeof(f->fds) / sizeof(f->fds[0]);
  assert_int_equal(rn_sys_recv(f->parent, &m, sizeof(m), &len, f->fds, &f->fd_count), RN_OK);
  assert_int_equal(len, sizeof(m));
  assert_string_equal(rn_parent_type_name(m.type), rn_parent_type_name(type));
  return m;
}

static void expect_nothing(struct fix *f) {
  struct pollfd p = { .fd = f->parent, .events = POLLIN };
  assert_int_equal(poll(&p, 1, 0), 0);
}

/* Attaches as a data plane to what START brought. */
static void attach(struct fix *f) {
  size_t bytes;
  void *map;
  assert_int_equal(rn_sys_memfd_check(f->fds[0], &bytes), RN_OK);
  assert_int_equal(rn_sys_map(f->fds[0], bytes, &map), RN_OK);
  assert_int_equal(rn_topo_attach(map, bytes, &f->view, why, sizeof(why)), RN_OK);
  for (uint32_t i = 0; i < 2; i++)
    assert_int_equal(rn_topo_lcore_rings(&f->view, i, &f->tx[i], &f->rx[i]), RN_OK);
}

static void started(struct fix *f, uint32_t starts) {
  const struct rn_parent_msg m = {
    .type = RN_PARENT_REPLY, .arg = RN_PARENT_START, .pid = 4000 + starts, .starts = starts
  };
  assert_int_equal(rn_node_on_parent(&f->node, &m), RN_OK);
}

static void ready(struct fix *f, uint32_t lcore) {
  const struct rn_msg_ready m = { .pid = 4001, .lcore_idx = (uint16_t)lcore, .mtu = 1400 };
  assert_int_equal(rn_msg_push(&f->tx[lcore], RN_MSG_READY, &m, NULL, 0), RN_OK);
  assert_true(rn_ring_must_wake(&f->tx[lcore]));
  rn_node_drain(&f->node);
}

/* The next KEYS of an lcore, answered with this status. */
static struct rn_msg_keys answer_keys(struct fix *f, uint32_t lcore, int status) {
  struct rn_msg m;
  assert_int_equal(rn_msg_pop(&f->rx[lcore], RN_MSG_TO_LCORE, &m), RN_OK);
  rn_ring_release(&f->rx[lcore]);
  assert_int_equal(m.type, RN_MSG_KEYS);
  const struct rn_msg_keys_done done = { .step = m.keys.step,
                                         .epoch = m.keys.epoch,
                                         .status = status };
  assert_int_equal(rn_msg_push(&f->tx[lcore], RN_MSG_KEYS_DONE, &done, NULL, 0), RN_OK);
  rn_node_drain(&f->node);
  return m.keys;
}

static void expect_silence(struct fix *f) {
  struct rn_msg m;
  for (uint32_t i = 0; i < 2; i++)
    assert_int_equal(rn_msg_pop(&f->rx[i], RN_MSG_TO_LCORE, &m), RN_ERR_AGAIN);
}

/* Both lcores learn the epochs, and then use the newest. */
static void take_keys(struct fix *f) {
  for (uint32_t i = 0; i < 2 * f->node.secrets.count; i++)
    assert_int_equal(answer_keys(f, i % 2, RN_OK).step, RN_MSG_KEYS_ADD);
  for (uint32_t i = 0; i < 2; i++)
    assert_int_equal(answer_keys(f, i, RN_OK).step, RN_MSG_KEYS_USE);
  expect_silence(f);
  assert_int_equal(f->node.rotation.step, RN_SECRETS_IDLE);
}

/* A node whose data plane serves. */
static struct fix *serve(struct fix *f) {
  const struct rn_parent_msg hello = { .type = RN_PARENT_HELLO };
  node_make(f);
  assert_int_equal(node_init(f, &hello, NULL, 0), RN_OK);
  (void)expect(f, RN_PARENT_START);
  attach(f);
  started(f, 1);
  ready(f, 0);
  ready(f, 1);
  take_keys(f);
  struct fix keep = *f;
  (void)expect(f, RN_PARENT_READY);
  memcpy(f->fds, keep.fds, sizeof(f->fds));
  f->fd_count = keep.fd_count;
  return f;
}

static struct fix *serving(const char *kind, unsigned int bits, const char *group) {
  return serve(fix_new(kind, bits, group));
}

static void ask_signature(struct fix *f, uint32_t lcore, uint64_t job, uint16_t scheme) {
  static const char context[] = "TLS 1.3, server CertificateVerify";
  const struct rn_msg_sign_req req = { .job = job, .lcore_idx = (uint16_t)lcore, .scheme = scheme };
  uint8_t tbs[130];
  memset(tbs, 0x20, 64);
  memcpy(tbs + 64, context, sizeof(context));
  memset(tbs + 98, 7, 32);
  assert_int_equal(rn_msg_push(&f->tx[lcore], RN_MSG_SIGN_REQ, &req, tbs, sizeof(tbs)), RN_OK);
}

static void newest_epoch_is_used_once_all_know_it(void **state) {
  (void)state;
  struct fix *f = serving("EC", 0, "P-256");
  struct rn_secrets *s = &f->node.secrets;
  s->of[s->count++] = (struct rn_secret_epoch){ .epoch = 9, .bytes = { 1 } };
  rn_secrets_publish(&f->node);
  (void)answer_keys(f, 0, RN_OK);
  (void)answer_keys(f, 0, RN_OK);
  (void)answer_keys(f, 1, RN_OK);
  struct rn_msg m;
  assert_int_equal(rn_msg_pop(&f->rx[0], RN_MSG_TO_LCORE, &m),
                   RN_ERR_AGAIN); /* not before lcore 1 has all */
  assert_int_equal(f->node.lcores[0].key_epoch, 0);
  assert_int_equal(answer_keys(f, 1, RN_OK).epoch, 9);
  /* What got lost is said again, to those that owe an answer. */
  assert_int_equal(answer_keys(f, 0, RN_OK).step, RN_MSG_KEYS_USE);
  assert_int_equal(rn_msg_pop(&f->rx[1], RN_MSG_TO_LCORE, &m), RN_OK);
  rn_secrets_tick(&f->node);
  const struct rn_msg_keys use = answer_keys(f, 1, RN_OK);
  assert_int_equal(use.epoch, 9);
  assert_int_equal(use.oldest, 3); /* seven can be told apart */
  assert_int_equal(f->node.lcores[1].key_epoch, 9);
  expect_silence(f);
  rn_secrets_tick(&f->node);
  expect_silence(f);
  drop_dataplane(f);
  fix_free(f);
}

static void on_rotated(void *arg, const char *error) {
  snprintf(arg, 128, "%s", error != NULL ? error : "fine");
}

static void who_asked_for_a_rotation_is_told_of_its_end(void **state) {
  (void)state;
  struct fix *f = serving("EC", 0, "P-256");
  char told[128] = "";
  const struct rn_secrets_client who = { .done = on_rotated, .arg = told };
  assert_int_equal(rn_secrets_reload(&f->node, true, &who), RN_ERR_NOENT);
  snprintf(f->cfg.node.secret_file, sizeof(f->cfg.node.secret_file), "file");
  assert_int_equal(rn_secrets_reload(&f->node, true, &who), RN_OK);
  assert_int_equal(rn_secrets_reload(&f->node, false, &who), RN_ERR_AGAIN);
  struct fix keep = *f;
  (void)expect(f, RN_PARENT_ROTATE);
  struct rn_parent_msg reply = {
    .type = RN_PARENT_REPLY, .arg = RN_PARENT_ROTATE, .status = RN_ERR_SYS, .text = "no room"
  };
  rn_secrets_on_reply(&f->node, &reply, -1);
  assert_string_equal(told, "no room");
  /* The next one goes further, and an lcore refuses. */
  assert_int_equal(rn_secrets_reload(&f->node, false, &who), RN_OK);
  (void)expect(f, RN_PARENT_OPEN);
  FILE *file = tmpfile();
  assert_non_null(file);
  fprintf(file, "3 %064d\n", 0);
  rewind(file);
  reply = (struct rn_parent_msg){ .type = RN_PARENT_REPLY, .arg = RN_PARENT_OPEN };
  rn_secrets_on_reply(&f->node, &reply, dup(fileno(file)));
  assert_int_equal(answer_keys(f, 0, RN_ERR_LIMIT).epoch, 3);
  assert_non_null(strstr(told, "lcore 0 does not take epoch 3"));
  fclose(file);
  memcpy(f->fds, keep.fds, sizeof(f->fds));
  f->fd_count = keep.fd_count;
  fix_free(f);
}

static void serves_once_every_lcore_is_ready(void **state) {
  (void)state;
  struct fix *f = fix_new("EC", 0, "P-256");
  const struct rn_parent_msg hello = { .type = RN_PARENT_HELLO };
  node_make(f);
  assert_int_equal(node_init(f, &hello, NULL, 0), RN_OK);
  assert_int_equal(expect(f, RN_PARENT_START).arg, 2);
  assert_int_equal(f->fd_count, 4);
  attach(f);
  assert_int_equal(f->view.topo.cid.epoch, 250);
  started(f, 1);
  ready(f, 0);
  expect_nothing(f);
  assert_int_equal(f->node.state, RN_NODE_STARTING);
  ready(f, 1);
  drop_dataplane(f);
  (void)expect(f, RN_PARENT_READY);
  assert_int_equal(f->node.state, RN_NODE_SERVING);
  fix_free(f);
}

static void signature_returns_to_the_lcore_that_asked(void **state) {
  (void)state;
  struct fix *f = serving("EC", 0, "P-256");
  struct rn_msg m;
  (void)rn_sys_event_clear(f->fds[3]);
  assert_true(rn_ring_sleep(&f->rx[1]));
  ask_signature(f, 1, 77, 0x0403);
  rn_node_drain(&f->node);
  assert_true(rn_sys_event_clear(f->fds[3])); /* its bell, as it slept */
  assert_int_equal(rn_msg_pop(&f->rx[1], RN_MSG_TO_LCORE, &m), RN_OK);
  assert_int_equal(m.type, RN_MSG_SIGN_RSP);
  assert_int_equal(m.sign_rsp.job, 77);
  assert_int_equal(m.sign_rsp.status, RN_OK);
  assert_true(m.tail_bytes > 60);
  assert_int_equal(rn_msg_pop(&f->rx[0], RN_MSG_TO_LCORE, &m), RN_ERR_AGAIN);
  ask_signature(f, 0, 78, 0x0503); /* a scheme that the key has not */
  rn_node_drain(&f->node);
  assert_int_equal(rn_msg_pop(&f->rx[0], RN_MSG_TO_LCORE, &m), RN_OK);
  assert_int_equal(m.sign_rsp.status, RN_ERR_REFUSED);
  assert_int_equal(m.tail_bytes, 0);
  assert_int_equal(f->node.stats.sign_done, 1);
  assert_int_equal(f->node.stats.sign_refused, 1);
  fix_free(f);
}

static void queue_of_slow_signatures_is_bounded(void **state) {
  (void)state;
  struct fix *f = serving("RSA", 2048, NULL);
  struct rn_msg m;
  unsigned int ok = 0, limit = 0;
  for (uint64_t job = 0; job < 10; job++) /* room for twice the signing_queue of 2 */
    ask_signature(f, 0, job, 0x0804);
  rn_node_drain(&f->node);
  assert_int_equal(f->node.stats.sign_queue, 4);
  while (f->node.signer.queued > 0)
    uv_run(&f->loop, UV_RUN_ONCE);
  while (rn_msg_pop(&f->rx[0], RN_MSG_TO_LCORE, &m) == RN_OK) {
    ok += m.sign_rsp.status == RN_OK && m.tail_bytes == 256;
    limit += m.sign_rsp.status == RN_ERR_LIMIT;
  }
  assert_int_equal(ok, 4);
  assert_int_equal(limit, 6);
  assert_int_equal(f->node.stats.sign_limit, 6);
  assert_int_equal(f->node.stats.sign_queue, 0);
  fix_free(f);
}

static void signature_for_a_data_plane_that_ended_is_dropped(void **state) {
  (void)state;
  struct fix *f = serving("RSA", 2048, NULL);
  struct rn_msg m;
  ask_signature(f, 0, 5, 0x0804);
  rn_node_drain(&f->node);
  const struct rn_parent_msg ended = { .type = RN_PARENT_ENDED, .status = 9, .starts = 1 };
  assert_int_equal(rn_node_on_parent(&f->node, &ended), RN_OK);
  drop_dataplane(f);
  (void)expect(f, RN_PARENT_START);
  attach(f);
  assert_int_equal(f->view.topo.cid.epoch, 251); /* the next one */
  started(f, 2);
  while (f->node.signer.queued > 0)
    uv_run(&f->loop, UV_RUN_ONCE);
  assert_int_equal(f->node.stats.sign_late, 1);
  assert_int_equal(rn_msg_pop(&f->rx[0], RN_MSG_TO_LCORE, &m), RN_ERR_AGAIN);
  fix_free(f);
}

static void lcore_that_reads_nothing_only_loses_its_own(void **state) {
  (void)state;
  struct fix *f = serving("EC", 0, "P-256");
  struct rn_msg m;
  uint32_t slots = f->view.topo.ring.slot_count;
  for (uint32_t i = 0; i < slots + 10; i++) {
    ask_signature(f, 0, i, 0x0403);
    rn_node_drain(&f->node);
  }
  assert_int_equal(f->node.stats.ring_full, 10);
  ask_signature(f, 1, 1, 0x0403);
  rn_node_drain(&f->node);
  assert_int_equal(rn_msg_pop(&f->rx[1], RN_MSG_TO_LCORE, &m), RN_OK);
  fix_free(f);
}

static void chatty_lcore_is_held_back(void **state) {
  (void)state;
  struct fix *f = serving("EC", 0, "P-256");
  const struct rn_msg_log line = { .lcore_idx = 0, .level = RN_LOG_DEBUG };
  rn_log_init("test", RN_LOG_ERROR);
  for (int i = 0; i < 120; i++)
    assert_int_equal(rn_msg_push(&f->tx[0], RN_MSG_LOG, &line, "hello", 5), RN_OK);
  rn_node_drain(&f->node);
  assert_in_range(f->node.stats.log_suppressed, 60, 70); /* 50 at once, then one each 100 ms */
  fix_free(f);
}

static void message_of_control_itself_is_refused_from_an_lcore(void **state) {
  (void)state;
  struct fix *f = serving("EC", 0, "P-256");
  const struct rn_msg_ctl_shutdown stop = { .app_code = 1 };
  assert_int_equal(rn_msg_push(&f->tx[0], RN_MSG_CTL_SHUTDOWN, &stop, NULL, 0), RN_OK);
  rn_node_drain(&f->node);
  assert_int_equal(f->node.stats.ring_corrupt, 1);
  fix_free(f);
}

/* Control dies; its successor is told of the data plane that runs. */
static void successor(struct fix *f, uint32_t lcores) {
  int fds[4];
  for (int i = 0; i < 4; i++)
    fds[i] = dup(f->fds[i]);
  node_close(f);
  node_make(f);
  const struct rn_parent_msg hello = {
    .type = RN_PARENT_HELLO, .arg = lcores, .pid = 4001, .starts = 1
  };
  assert_int_equal(node_init(f, &hello, fds, 4), RN_OK);
}

static void successor_attaches_to_the_running_data_plane(void **state) {
  (void)state;
  struct fix *f = serving("EC", 0, "P-256");
  struct rn_msg m;
  ask_signature(f, 0, 5, 0x0403); /* asked while nobody was there */
  successor(f, 2);
  expect_nothing(f);
  for (uint32_t i = 0; i < 2; i++) {
    bool hello = false;
    while (rn_msg_pop(&f->rx[i], RN_MSG_TO_LCORE, &m) == RN_OK)
      hello = hello || m.type == RN_MSG_CTL_HELLO;
    assert_true(hello);
  }
  assert_int_equal(f->node.stats.sign_done, 1);
  ready(f, 0);
  ready(f, 1);
  int fds[4];
  memcpy(fds, f->fds, sizeof(fds));
  (void)expect(f, RN_PARENT_READY);
  assert_int_equal(f->node.state, RN_NODE_SERVING);
  for (int i = 0; i < 4; i++)
    close(fds[i]);
  fix_free(f);
}

/* The lcore's answer found no room: the ring was full of what nobody had read. */
static void hello_is_repeated_to_an_lcore_that_has_not_answered(void **state) {
  (void)state;
  struct fix *f = serving("EC", 0, "P-256");
  struct rn_msg m;
  rn_node_say_hello(&f->node); /* it serves: nobody has to be asked */
  assert_int_equal(rn_msg_pop(&f->rx[0], RN_MSG_TO_LCORE, &m), RN_ERR_AGAIN);
  int fds[4];
  memcpy(fds, f->fds, sizeof(fds));
  successor(f, 2);
  for (uint32_t i = 0; i < 2; i++) {
    assert_int_equal(rn_msg_pop(&f->rx[i], RN_MSG_TO_LCORE, &m), RN_OK);
    assert_int_equal(m.type, RN_MSG_CTL_HELLO);
  }
  ready(f, 1);
  rn_node_say_hello(&f->node);
  assert_int_equal(rn_msg_pop(&f->rx[1], RN_MSG_TO_LCORE, &m), RN_ERR_AGAIN);
  assert_int_equal(rn_msg_pop(&f->rx[0], RN_MSG_TO_LCORE, &m), RN_OK);
  assert_int_equal(m.type, RN_MSG_CTL_HELLO);
  assert_int_equal(m.ctl_hello.pid, getpid());
  ready(f, 0);
  assert_int_equal(f->node.state, RN_NODE_SERVING);
  for (int i = 0; i < 4; i++)
    close(fds[i]);
  fix_free(f);
}

static void ends_a_data_plane_that_serves_something_else(void **state) {
  (void)state;
  struct fix *f = serving("EC", 0, "P-256");
  f->cfg.quic.max_concurrent_streams++;
  int fds[4];
  memcpy(fds, f->fds, sizeof(fds));
  successor(f, 2);
  (void)expect(f, RN_PARENT_STOP);
  assert_int_equal(f->node.state, RN_NODE_NONE);
  const struct rn_parent_msg ended = { .type = RN_PARENT_ENDED, .starts = 1 };
  assert_int_equal(rn_node_on_parent(&f->node, &ended), RN_OK);
  (void)expect(f, RN_PARENT_START);
  for (int i = 0; i < 4; i++)
    close(fds[i]);
  fix_free(f);
}

static void ends_a_data_plane_that_trusts_others(void **state) {
  (void)state;
  static const struct {
    const char *ca, *peer_ca;
    bool same;
  } next[] = { { "a", "b", true },
               { "A", "b", false },
               { "a", "B", false },
               { "a", "bb", false },
               { NULL, "b", false } };
  for (size_t i = 0; i < sizeof(next) / sizeof(next[0]); i++) {
    struct fix *f = fix_new("EC", 0, "P-256");
    f->cfg.cluster.enabled = true;
    f->ca = "a";
    f->peer_ca = "b";
    (void)serve(f);
    f->ca = next[i].ca;
    f->peer_ca = next[i].peer_ca;
    int fds[4];
    memcpy(fds, f->fds, sizeof(fds));
    successor(f, 2);
    if (next[i].same)
      expect_nothing(f);
    else
      (void)expect(f, RN_PARENT_STOP);
    for (int k = 0; k < 4; k++)
      close(fds[k]);
    if (next[i].same)
      f->fd_count = 0;
    fix_free(f);
  }
}

static void ends_a_data_plane_whose_region_makes_no_sense(void **state) {
  (void)state;
  struct fix *f = serving("EC", 0, "P-256");
  memset(f->view.base, 0xff, 64);
  int fds[4];
  memcpy(fds, f->fds, sizeof(fds));
  successor(f, 2);
  (void)expect(f, RN_PARENT_STOP);
  for (int i = 0; i < 4; i++)
    close(fds[i]);
  fix_free(f);
}

static void publish_calls(struct fix *f, uint64_t draining, uint64_t calls) {
  for (uint32_t i = 0; i < 2; i++) {
    const struct rn_lcore_stats s = { .rpc = { .draining = draining, .calls = calls } };
    rn_stats_publish(rn_topo_stats(&f->view, i), &s, rn_sys_now_ns());
  }
}

static void shutdown_reaches_every_lcore_and_nothing_is_started_again(void **state) {
  (void)state;
  struct fix *f = serving("EC", 0, "P-256");
  struct rn_msg m;
  const struct rn_parent_msg shutdown = { .type = RN_PARENT_SHUTDOWN, .within_ms = 1500 };
  const struct rn_parent_msg ended = { .type = RN_PARENT_ENDED, .starts = 1 };
  publish_calls(f, 0, 0); /* of a moment in which calls were still taken */
  assert_int_equal(rn_node_on_parent(&f->node, &shutdown), RN_OK);
  for (uint32_t i = 0; i < 2; i++) {
    assert_int_equal(rn_msg_pop(&f->rx[i], RN_MSG_TO_LCORE, &m), RN_OK);
    assert_int_equal(m.type, RN_MSG_CTL_DRAIN);
  }
  publish_calls(f, 1, 3); /* calls go on */
  rn_drain_tick(&f->node);
  assert_int_equal(rn_msg_pop(&f->rx[0], RN_MSG_TO_LCORE, &m), RN_ERR_AGAIN);
  publish_calls(f, 1, 0);
  rn_drain_tick(&f->node);
  for (uint32_t i = 0; i < 2; i++) {
    assert_int_equal(rn_msg_pop(&f->rx[i], RN_MSG_TO_LCORE, &m), RN_OK);
    assert_int_equal(m.type, RN_MSG_CTL_SHUTDOWN);
    assert_int_equal(m.ctl_shutdown.within_ns, 1500 * RN_NS_PER_MS);
  }
  assert_int_equal(expect(f, RN_PARENT_DRAINING).arg, 30000);
  assert_int_equal(expect(f, RN_PARENT_DRAINING).arg, 0);
  assert_int_equal(rn_node_on_parent(&f->node, &ended), RN_OK);
  expect_nothing(f);
  fix_free(f);
}

static void calls_that_do_not_finish_are_waited_for_so_long(void **state) {
  (void)state;
  struct fix *f = serving("EC", 0, "P-256");
  struct rn_msg m;
  struct rn_config cfg = *f->node.cfg;
  cfg.node.drain_timeout_ns = 30 * RN_NS_PER_MS;
  f->node.cfg = &cfg;
  const struct rn_parent_msg shutdown = { .type = RN_PARENT_SHUTDOWN, .within_ms = 1500 };
  publish_calls(f, 0, 1);
  assert_int_equal(rn_node_on_parent(&f->node, &shutdown), RN_OK);
  assert_int_equal(rn_node_on_parent(&f->node, &shutdown), RN_OK); /* twice is once */
  publish_calls(f, 1, 1);
  assert_int_equal(rn_msg_pop(&f->rx[0], RN_MSG_TO_LCORE, &m), RN_OK);
  rn_drain_tick(&f->node);
  assert_int_equal(rn_msg_pop(&f->rx[0], RN_MSG_TO_LCORE, &m), RN_ERR_AGAIN);
  const struct timespec ts = { .tv_nsec = 40 * 1000000 };
  nanosleep(&ts, NULL);
  rn_drain_tick(&f->node);
  assert_int_equal(rn_msg_pop(&f->rx[0], RN_MSG_TO_LCORE, &m), RN_OK);
  assert_int_equal(m.type, RN_MSG_CTL_SHUTDOWN);
  fix_free(f);
}

/* Their pages are those of long ago: there is nothing to wait for. */
static void lcores_that_stand_still_are_not_waited_for(void **state) {
  (void)state;
  struct fix *f = serving("EC", 0, "P-256");
  struct rn_msg m;
  const struct rn_lcore_stats s = { .rpc = { .calls = 7 } };
  const struct rn_parent_msg shutdown = { .type = RN_PARENT_SHUTDOWN, .within_ms = 1500 };
  for (uint32_t i = 0; i < 2; i++)
    rn_stats_publish(rn_topo_stats(&f->view, i), &s, rn_sys_now_ns() - 2 * RN_NS_PER_S);
  assert_int_equal(rn_node_on_parent(&f->node, &shutdown), RN_OK);
  assert_int_equal(rn_msg_pop(&f->rx[0], RN_MSG_TO_LCORE, &m), RN_OK);
  assert_int_equal(m.type, RN_MSG_CTL_DRAIN);
  assert_int_equal(rn_msg_pop(&f->rx[0], RN_MSG_TO_LCORE, &m), RN_OK);
  assert_int_equal(m.type, RN_MSG_CTL_SHUTDOWN);
  fix_free(f);
}

static void gives_up_when_rpcnetd_cannot_start_it(void **state) {
  (void)state;
  struct fix *f = fix_new("EC", 0, "P-256");
  const struct rn_parent_msg hello = { .type = RN_PARENT_HELLO };
  const struct rn_parent_msg no = {
    .type = RN_PARENT_REPLY, .arg = RN_PARENT_START, .status = RN_ERR_NOENT, .text = "absent"
  };
  node_make(f);
  assert_int_equal(node_init(f, &hello, NULL, 0), RN_OK);
  (void)expect(f, RN_PARENT_START);
  assert_int_equal(rn_node_on_parent(&f->node, &no), RN_ERR_SYS);
  fix_free(f);
}

static void state_is_saved_one_at_a_time(void **state) {
  (void)state;
  struct fix *f = serving("EC", 0, "P-256");
  struct rn_parent_msg saved = { .type = RN_PARENT_REPLY, .arg = RN_PARENT_SAVE };
  static char large[RN_PARENT_SAVE_MAX + 1];
  char text[4];
  size_t bytes;
  assert_int_equal(rn_node_save(&f->node, "abc", 3), RN_ERR_NOENT);
  snprintf(f->cfg.cluster.state_file, sizeof(f->cfg.cluster.state_file), "s");
  assert_int_equal(rn_node_save(&f->node, "abc", 3), RN_ERR_NOENT);
  f->cfg.cluster.enabled = true;
  assert_int_equal(rn_node_save(&f->node, "", 0), RN_ERR_TOOBIG);
  assert_int_equal(rn_node_save(&f->node, large, sizeof(large)), RN_ERR_TOOBIG);
  expect_nothing(f);
  drop_dataplane(f);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(rn_node_save(&f->node, "abc", 3), RN_OK);
    (void)expect(f, RN_PARENT_SAVE);
    assert_int_equal(f->fd_count, 1);
    assert_int_equal(rn_sys_memfd_check(f->fds[0], &bytes), RN_OK);
    assert_int_equal(bytes, 3);
    assert_int_equal(pread(f->fds[0], text, sizeof(text), 0), 3);
    assert_memory_equal(text, "abc", 3);
    assert_int_equal(rn_node_save(&f->node, "abc", 3), RN_ERR_AGAIN);
    expect_nothing(f);
    assert_int_equal(rn_node_on_parent(&f->node, &saved), RN_OK);
    saved.status = RN_ERR_SYS; /* a failure is logged, and the next one may follow */
    snprintf(saved.text, sizeof(saved.text), "no space left");
    drop_dataplane(f);
  }
  fix_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(newest_epoch_is_used_once_all_know_it),
    cmocka_unit_test(who_asked_for_a_rotation_is_told_of_its_end),
    cmocka_unit_test(serves_once_every_lcore_is_ready),
    cmocka_unit_test(signature_returns_to_the_lcore_that_asked),
    cmocka_unit_test(queue_of_slow_signatures_is_bounded),
    cmocka_unit_test(signature_for_a_data_plane_that_ended_is_dropped),
    cmocka_unit_test(lcore_that_reads_nothing_only_loses_its_own),
    cmocka_unit_test(chatty_lcore_is_held_back),
    cmocka_unit_test(message_of_control_itself_is_refused_from_an_lcore),
    cmocka_unit_test(successor_attaches_to_the_running_data_plane),
    cmocka_unit_test(hello_is_repeated_to_an_lcore_that_has_not_answered),
    cmocka_unit_test(ends_a_data_plane_that_serves_something_else),
    cmocka_unit_test(ends_a_data_plane_that_trusts_others),
    cmocka_unit_test(state_is_saved_one_at_a_time),
    cmocka_unit_test(ends_a_data_plane_whose_region_makes_no_sense),
    cmocka_unit_test(shutdown_reaches_every_lcore_and_nothing_is_started_again),
    cmocka_unit_test(calls_that_do_not_finish_are_waited_for_so_long),
    cmocka_unit_test(lcores_that_stand_still_are_not_waited_for),
    cmocka_unit_test(gives_up_when_rpcnetd_cannot_start_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
