/* bench/cluster/control_load_plane.c: in the place of a node's data plane: a simulated cluster in real time, of which that node's rpcnet-control is the last member.
 * What others say to it comes over the rings, as from an lcore. bench/cluster/control_load starts it and reads what it writes.
 *
 * RN_LOAD_NODES: of the cluster, control included. RN_LOAD_OUT: the file that a line of JSON is written to every second, and when something happens.
 * SIGUSR1 stops RN_LOAD_KILL of the simulated nodes. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/swarm.h"
#include "ring/msg.h"
#include "sys/clock.h"
#include "sys/event.h"
#include "sys/log.h"
#include "sys/memfd.h"
#include "topo/topo.h"
#include "util/err.h"
#include "util/hist.h"

#define ASKS  256u /* more than control has open */
#define HEARD 65536u

struct ask {
  bool open;
  uint32_t id;
  uint64_t until_ns;
};

struct heard {
  uint64_t at_ns;
  bool ping;
};

struct load {
  struct rn_topo_view view;
  struct rn_ring_tx tx;
  struct rn_ring_rx rx;
  struct rn_lcore_stats stats;
  struct swarm *swarm;
  uint32_t nodes;
  uint64_t began_ns;      /* when the swarm's time began */
  uint64_t serving_ns;    /* when control was told that there is a data plane */
  uint64_t behind_max_ns; /* how late the swarm was */
  struct ask asks[ASKS];
  struct heard heard[HEARD];  /* by the request's number modulo */
  struct rn_hist ping, other; /* time to answer, of this second */
  uint64_t heard_count, asked, answered, lost, full, bytes_in, bytes_out, alive;
  FILE *out;
};

static volatile sig_atomic_t terminated, kill_wanted;
static void on_term(int sig) { (void)sig, terminated = 1; }
static void on_usr1(int sig) { (void)sig, kill_wanted = 1; }

static double since_s(const struct load *l) {
  return l->serving_ns == 0 ? 0 : (double)(rn_sys_now_ns() - l->serving_ns) / 1e9;
}

static void push(struct load *l, enum rn_msg_type type, const void *fixed, const void *tail,
                 size_t n) {
  l->full += rn_msg_push(&l->tx, type, fixed, tail, n) != RN_OK;
  if (rn_ring_must_wake(&l->tx))
    rn_sys_event_ring(RN_TOPO_FD_CONTROL);
}

/* ---- from the swarm to control ---- */

static void on_request(void *app, uint64_t number, const struct rn_addr *from, const uint8_t *msg,
                       size_t len) {
  struct load *l = app;
  struct rn_swim_msg m;
  size_t used;
  const struct rn_msg_gossip_heard h = { .number = (number >> 16 << 32) | (number & 0xffff),
                                         .from = *from };
  int err = rn_swim_get(msg, len, &m, &used);
  RN_ASSERT(err == RN_OK);
  l->heard[number % HEARD] = (struct heard){ rn_sys_now_ns(), m.type == RN_SWIM_PING };
  l->heard_count++;
  l->bytes_in += len;
  push(l, RN_MSG_GOSSIP_HEARD, &h, msg, len);
}

static struct ask *ask_of(struct load *l, uint32_t id) {
  for (uint32_t i = 0; i < ASKS; i++)
    if (l->asks[i].open && l->asks[i].id == id)
      return &l->asks[i];
  return NULL;
}

static void came(struct load *l, struct ask *a, int status, const uint8_t *msg, size_t len) {
  const struct rn_msg_gossip_came m = { .id = a->id, .status = status };
  a->open = false;
  l->bytes_in += len;
  push(l, RN_MSG_GOSSIP_CAME, &m, msg, len);
}

static void on_answer(void *app, uint32_t id, const uint8_t *msg, size_t len) {
  struct load *l = app;
  struct ask *a = ask_of(l, id);
  if (a == NULL)
    return; /* too late */
  l->answered++;
  came(l, a, RN_OK, msg, len);
}

static void give_up(struct load *l) {
  const uint64_t now = rn_sys_now_ns();
  for (uint32_t i = 0; i < ASKS; i++) {
    if (l->asks[i].open && l->asks[i].until_ns <= now) {
      l->lost++;
      came(l, &l->asks[i], RN_ERR_TIMEOUT, NULL, 0);
    }
  }
}

static const struct swarm_outside outside = { .request = on_request, .answer = on_answer };

/* ---- from control ---- */

static void say_ready(struct load *l) {
  const struct rn_msg_ready ready = { .pid = (uint32_t)getpid(),
                                      .mtu = 1500,
                                      .addr = swarm_addr(l->nodes - 1) };
  push(l, RN_MSG_READY, &ready, NULL, 0);
  l->serving_ns = rn_sys_now_ns();
}

static void take_ask(struct load *l, const struct rn_msg *m) {
  struct ask *a = l->asks;
  while (a < l->asks + ASKS && a->open)
    a++;
  RN_ASSERT(a < l->asks + ASKS);
  *a = (struct ask){ true, m->gossip_ask.id, rn_sys_now_ns() + m->gossip_ask.wait_ns };
  l->asked++;
  l->bytes_out += m->tail_bytes;
  swarm_outside_ask(l->swarm, l->nodes - 1, a->id, &m->gossip_ask.to, m->tail, m->tail_bytes);
}

static void take_reply(struct load *l, const struct rn_msg *m) {
  const uint64_t number = m->gossip_reply.number >> 32 << 16 | (m->gossip_reply.number & 0xffff);
  const struct heard *h = &l->heard[number % HEARD];
  rn_hist_add(h->ping ? &l->ping : &l->other, rn_sys_now_ns() - h->at_ns);
  l->bytes_out += m->tail_bytes;
  swarm_outside_answer(l->swarm, l->nodes - 1, number, m->tail, m->tail_bytes);
}

static void take_self(struct load *l, const struct rn_msg *m) {
  if (m->gossip_self.alive == l->alive)
    return;
  l->alive = m->gossip_self.alive;
  fprintf(l->out, "{\"what\": \"alive\", \"t\": %.4f, \"alive\": %" PRIu64 "}\n", since_s(l),
          l->alive);
}

/* True when it is time to end. */
static bool drain(struct load *l) {
  struct rn_msg m;
  bool end = false, any = false;
  while (rn_msg_pop(&l->rx, RN_MSG_TO_LCORE, &m) == RN_OK) {
    any = true;
    switch (m.type) {
    case RN_MSG_CTL_HELLO:
      say_ready(l);
      break;
    case RN_MSG_CTL_DRAIN:
      l->stats.rpc.draining = 1;
      break;
    case RN_MSG_CTL_SHUTDOWN:
      end = true;
      break;
    case RN_MSG_GOSSIP_ASK:
      take_ask(l, &m);
      break;
    case RN_MSG_GOSSIP_REPLY:
      take_reply(l, &m);
      break;
    case RN_MSG_GOSSIP_SELF:
      take_self(l, &m);
      break;
    default:
      break;
    }
  }
  if (any)
    rn_ring_release(&l->rx);
  return end;
}

/* ---- time ---- */

static void say_second(struct load *l) {
  fprintf(l->out,
          "{\"what\": \"second\", \"t\": %.3f, \"alive\": %" PRIu64 ", \"heard\": %" PRIu64
          ", \"asked\": %" PRIu64 ", \"answered\": %" PRIu64 ", \"lost\": %" PRIu64
          ", \"ring_full\": %" PRIu64 ", \"bytes_in\": %" PRIu64 ", \"bytes_out\": %" PRIu64
          ", \"acks\": %" PRIu64 ", \"ack_p50_us\": %.1f, \"ack_p99_us\": %.1f, "
          "\"ack_max_us\": %.1f, \"relays\": %" PRIu64 ", \"behind_us\": %.0f}\n",
          since_s(l), l->alive, l->heard_count, l->asked, l->answered, l->lost, l->full,
          l->bytes_in, l->bytes_out, l->ping.count, (double)rn_hist_quantile(&l->ping, 0.5) / 1e3,
          (double)rn_hist_quantile(&l->ping, 0.99) / 1e3, (double)l->ping.max / 1e3, l->other.count,
          (double)l->behind_max_ns / 1e3);
  fflush(l->out);
  rn_hist_reset(&l->ping);
  rn_hist_reset(&l->other);
  l->behind_max_ns = 0;
}

/* One event at a time: control's answer is looked for between any two. True when it is time to end. */
static bool run_swarm(struct load *l) {
  for (;;) {
    if (drain(l))
      return true;
    const uint64_t now = rn_sys_now_ns() - l->began_ns + SWARM_S, next = swarm_next(l->swarm);
    if (next > now) {
      swarm_run(l->swarm, now - swarm_now(l->swarm));
      return false;
    }
    if (now - next > l->behind_max_ns)
      l->behind_max_ns = now - next;
    swarm_run(l->swarm, next - swarm_now(l->swarm));
  }
}

static void kill_some(struct load *l) {
  const uint32_t count = (uint32_t)atoi(getenv("RN_LOAD_KILL"));
  for (uint32_t i = 1; i <= count; i++) /* spread evenly; not the seed */
    swarm_kill(l->swarm, i * (l->nodes - 2) / (count + 1) + 1);
  fprintf(l->out, "{\"what\": \"killed\", \"t\": %.4f, \"count\": %u}\n", since_s(l), count);
  kill_wanted = 0;
}

static void run(struct load *l) {
  uint64_t second_ns = rn_sys_now_ns();
  say_ready(l);
  while (!terminated && !run_swarm(l)) {
    const uint64_t now = rn_sys_now_ns();
    if (kill_wanted)
      kill_some(l);
    give_up(l);
    if (now - second_ns >= RN_NS_PER_S) {
      second_ns += RN_NS_PER_S;
      say_second(l);
      rn_stats_publish(rn_topo_stats(&l->view, 0), &l->stats, now);
    }
    struct pollfd p = { .fd = RN_TOPO_FD_LCORE(0), .events = POLLIN };
    const struct timespec wait = { .tv_nsec = 200000 };
    if (rn_ring_sleep(&l->rx))
      (void)ppoll(&p, 1, &wait, NULL);
    rn_ring_awake(&l->rx);
    (void)rn_sys_event_clear(RN_TOPO_FD_LCORE(0));
  }
}

/* ---- start ---- */

static int attach(struct load *l) {
  char why[256];
  size_t bytes;
  void *map;
  if (rn_sys_memfd_check(RN_TOPO_FD_REGION, &bytes) != RN_OK ||
      rn_sys_map(RN_TOPO_FD_REGION, bytes, &map) != RN_OK ||
      rn_topo_attach(map, bytes, &l->view, why, sizeof(why)) != RN_OK)
    return RN_ERR_INVAL;
  return rn_topo_lcore_rings(&l->view, 0, &l->tx, &l->rx);
}

/* All but control, who know each other. */
static void make_swarm(struct load *l) {
  const struct swarm_config cfg = { .seed = 1,
                                    .nodes = l->nodes,
                                    .delay_min = SWARM_MS / 10,
                                    .delay_max = SWARM_MS / 2,
                                    .interval_ns = SWARM_S };
  const uint32_t seed = 0;
  l->swarm = swarm_new(&cfg, NULL, l);
  for (uint32_t i = 0; i < l->nodes - 1; i++)
    swarm_start(l->swarm, i, &seed, 1);
  swarm_acquaint(l->swarm);
  swarm_outside(l->swarm, l->nodes - 1, &outside);
}

int main(void) {
  static struct load l;
  const struct sigaction term = { .sa_handler = on_term }, usr1 = { .sa_handler = on_usr1 };
  rn_log_init("control-load-plane", RN_LOG_INFO);
  if (getenv("RN_LOAD_NODES") == NULL || getenv("RN_LOAD_OUT") == NULL ||
      getenv("RN_LOAD_KILL") == NULL) {
    rn_error("started by bench/cluster/control_load only");
    return 2;
  }
  sigaction(SIGTERM, &term, NULL);
  sigaction(SIGUSR1, &usr1, NULL);
  l.nodes = (uint32_t)atoi(getenv("RN_LOAD_NODES"));
  l.out = fopen(getenv("RN_LOAD_OUT"), "w");
  if (l.out == NULL || attach(&l) != RN_OK) {
    rn_error("no file, or no region");
    return 2;
  }
  make_swarm(&l);
  l.began_ns = rn_sys_now_ns();
  run(&l);
  say_second(&l);
  return 0;
}
