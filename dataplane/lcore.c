/* dataplane/lcore.c: the loop. */
#include "dataplane/lcore.h"
#include "sys/clock.h"
#include "sys/event.h"

#include <poll.h>
#include <rte_cycles.h>
#include <rte_pause.h>
#include <sched.h>
#include <string.h>

#define HOUSEKEEPING_NS UINT64_C(100000)
#define TIDY_NS         UINT64_C(200000000)
#define SPIN_NS         UINT64_C(20000) /* without work before the core is offered to others */
#define ALONE_NS        UINT64_C(3000) /* an offer that took longer was taken: the core is shared */
#define SHARED_NS       UINT64_C(10000000) /* and is offered at once for so long */
/* Without work before the lcore sleeps: about what it costs to be woken. Whoever runs in another control group gets nothing from sched_yield(), and
 * is not put before us when he wakes: to him each lcore on the core costs that much. */
#define AWAKE_NS         UINT64_C(60000)
#define SLEEP_MAX_NS     UINT64_C(100000000)
#define SLEEP_MIN_NS     UINT64_C(20000) /* a wait shorter than this is not worth two system calls */
#define DEFAULT_CLOSE_NS UINT64_C(1000000000)
#define SHUTDOWN_CODE    0 /* NO_ERROR, as the reference's side does when it goes */

static uint64_t read_clock(void *ctx) {
  struct rn_lcore *lc = ctx;
  return rn_tsc_ns(&lc->tsc, rte_rdtsc());
}

static uint64_t clock_ns(struct rn_lcore *lc) { return read_clock(lc); }

/* Both clocks, unless something came between the readings. */
static void adjust_clock(struct rn_lcore *lc) {
  uint64_t before = rte_rdtsc(), ns = rn_sys_now_ns(), after = rte_rdtsc();
  if (after - before < rte_get_tsc_hz() / 500000) /* 2 us */
    rn_tsc_adjust(&lc->tsc, before, ns);
}

/* ---- housekeeping ---- */

/* Adds what the pool counts to what others have counted. */
static void add_pool(struct rn_stats_pool *sum, const struct rn_pool *pool) {
  const struct rn_pool_stats *p = rn_pool_stats(pool);
  static_assert(sizeof(*p) == sizeof(*sum), "made from the same list");
#define RN_METRIC(name, kind, unit, help) sum->name += p->name;
#include "schema/metrics/pool.def"
#undef RN_METRIC
}

static void publish_upstream(struct rn_lcore *lc) {
  lc->stats.pool = (struct rn_stats_pool){ 0 };
  if (lc->forwarding != NULL) {
    const struct rn_forward_stats *f = rn_forward_stats(rn_forwarding_forward(lc->forwarding));
    static_assert(sizeof(*f) == sizeof(lc->stats.forward), "made from the same list");
    memcpy(&lc->stats.forward, f, sizeof(*f));
    add_pool(&lc->stats.pool, rn_forwarding_pool(lc->forwarding));
  }
  if (lc->call_all != NULL) {
    const struct rn_fanout_stats *a = rn_fanout_stats(rn_call_all_fanout(lc->call_all));
    static_assert(sizeof(*a) == sizeof(lc->stats.fanout), "made from the same list");
    memcpy(&lc->stats.fanout, a, sizeof(*a));
    add_pool(&lc->stats.pool, rn_call_all_pool(lc->call_all));
  }
}

static void publish_cluster(struct rn_lcore *lc) {
  const struct rn_gossip_stats *g = rn_gossip_stats(lc->gossip);
  static_assert(sizeof(*g) == sizeof(lc->stats.gossip), "made from the same list");
  memcpy(&lc->stats.gossip, g, sizeof(*g));
  if (lc->director == NULL)
    return;
  const struct rn_director_stats *d = rn_director_stats(lc->director);
  static_assert(sizeof(*d) == sizeof(lc->stats.director), "made from the same list");
  memcpy(&lc->stats.director, d, sizeof(*d));
  lc->info.workers_available = d->workers;
  publish_upstream(lc);
}

static void publish(struct rn_lcore *lc) {
  const struct rn_quic_stats *q = rn_quic_stats(lc->quic);
  const struct rn_rpc_stats *r = rn_rpc_server_stats(lc->rpc);
  static_assert(sizeof(*q) == sizeof(lc->stats.quic) && sizeof(*r) == sizeof(lc->stats.rpc),
                "made from the same lists");
  memcpy(&lc->stats.quic, q, sizeof(*q));
  memcpy(&lc->stats.rpc, r, sizeof(*r));
  if (lc->gossip != NULL)
    publish_cluster(lc);
  rn_stats_publish(lc->page, &lc->stats, lc->now_ns);
}

/* System calls of the drivers, and changes of the kernel's addresses. */
static void tidy(struct rn_lcore *lc) {
  lc->tidied_ns = lc->now_ns;
  adjust_clock(lc);
  rn_quic_set_wall(lc->quic, lc->now_ns, rn_sys_wall_ns());
  rn_link_tidy(lc->link, lc->now_ns);
  if (lc->kernel.fd >= 0 && rn_kernel_changed(&lc->kernel))
    rn_kernel_addrs(&lc->kernel, rn_link_if(lc->link));
}

static void housekeeping(struct rn_lcore *lc) {
  if (lc->now_ns - lc->published_ns < HOUSEKEEPING_NS)
    return;
  lc->published_ns = lc->now_ns;
  if (lc->now_ns - lc->tidied_ns >= TIDY_NS)
    tidy(lc);
  publish(lc);
  if (!lc->closing && atomic_load_explicit(lc->stop, memory_order_relaxed)) {
    rn_quic_close_all(lc->quic, lc->now_ns, SHUTDOWN_CODE);
    lc->closing = true;
    lc->close_by_ns = lc->now_ns + DEFAULT_CLOSE_NS;
  }
}

/* ---- time ---- */

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t next_expiry(const struct rn_lcore *lc) {
  uint64_t at = earlier(rn_quic_next_expiry(lc->quic), rn_rpc_server_next_expiry(lc->rpc));
  if (lc->director != NULL)
    at = earlier(at, rn_director_next_expiry(lc->director));
  if (lc->forwarding != NULL)
    at = earlier(at, earlier(rn_pool_next_expiry(rn_forwarding_pool(lc->forwarding)),
                             rn_forward_next_expiry(rn_forwarding_forward(lc->forwarding))));
  if (lc->call_all != NULL)
    at = earlier(at, rn_pool_next_expiry(rn_call_all_pool(lc->call_all)));
  if (lc->gossip == NULL)
    return at;
  return earlier(at,
                 earlier(rn_pool_next_expiry(lc->gossip_pool), rn_gossip_next_expiry(lc->gossip)));
}

static uint32_t fire_timers(struct rn_lcore *lc) {
  uint64_t at = next_expiry(lc);
  if (at > lc->now_ns)
    return 0;
  if (at != 0 && at + RN_NS_PER_MS < lc->now_ns) /* 0: a dial, which is due at once */
    lc->stats.lcore.late_timers++;
  rn_quic_timers(lc->quic, lc->now_ns);
  rn_rpc_server_timers(lc->rpc, lc->now_ns);
  if (lc->director != NULL)
    rn_director_timers(lc->director, lc->now_ns);
  if (lc->forwarding != NULL) {
    rn_pool_timers(rn_forwarding_pool(lc->forwarding), lc->now_ns);
    rn_forward_timers(rn_forwarding_forward(lc->forwarding), lc->now_ns);
  }
  if (lc->call_all != NULL)
    rn_pool_timers(rn_call_all_pool(lc->call_all), lc->now_ns);
  if (lc->gossip != NULL) {
    rn_pool_timers(lc->gossip_pool, lc->now_ns);
    rn_gossip_timers(lc->gossip, lc->now_ns);
  }
  return 1;
}

/* ---- idling ---- */

/* True when no ring holds anything and each would ring the bell from now on. */
static bool rings_sleep(struct rn_lcore *lc) {
  if (!rn_ring_sleep(&lc->from_control))
    return false;
  if (lc->steer == NULL || rn_steer_sleep(lc->steer))
    return true;
  rn_ring_awake(&lc->from_control);
  return false;
}

static void rings_awake(struct rn_lcore *lc) {
  rn_ring_awake(&lc->from_control);
  if (lc->steer != NULL)
    rn_steer_awake(lc->steer);
}

/* Sleeps until a frame, a message or a timer. The rings are asked last, so that a message between the last look and the sleep rings the bell. */
static void sleep_lcore(struct rn_lcore *lc) {
  uint64_t now = clock_ns(lc), at = next_expiry(lc);
  uint64_t left = at <= now ? 0 : at - now;
  if (left > SLEEP_MAX_NS)
    left = SLEEP_MAX_NS;
  if (left < SLEEP_MIN_NS || !rings_sleep(lc))
    return;
  publish(lc);
  struct pollfd fds[2] = { { .fd = lc->bell_fd, .events = POLLIN },
                           { .fd = rn_link_fd(lc->link), .events = POLLIN } };
  const struct timespec ts = { .tv_sec = (time_t)(left / RN_NS_PER_S),
                               .tv_nsec = (long)(left % RN_NS_PER_S) };
  lc->stats.lcore.sleeps++;
  ppoll(fds, 2, &ts, NULL);
  rings_awake(lc);
  if (fds[1].revents & POLLERR)
    rn_link_clear_error(lc->link);
  if (fds[0].revents != 0)
    rn_sys_event_clear(lc->bell_fd);
  uint64_t slept = clock_ns(lc) - now;
  lc->stats.lcore.sleep_ns += slept;
}

static void yield(struct rn_lcore *lc) {
  uint64_t before = clock_ns(lc);
  lc->stats.lcore.yields++;
  sched_yield();
  uint64_t after = clock_ns(lc);
  if (after - before > ALONE_NS)
    lc->shared_until_ns = after + SHARED_NS;
}

/* More processes than cores would make a bare spin cost milliseconds of tail latency: spin, then yield, then sleep; no spin where somebody else has just
 * run on this core, who may be whom we answer. A driver without a descriptor cannot wake anybody, so there the lcore only yields. */
static void idle(struct rn_lcore *lc) {
  uint64_t idle_ns = lc->now_ns - lc->busy_at_ns;
  if (lc->view->topo.idle == RN_TOPO_IDLE_SPIN ||
      (idle_ns < SPIN_NS && lc->now_ns >= lc->shared_until_ns)) {
    rte_pause();
    return;
  }
  if (idle_ns < AWAKE_NS || rn_link_fd(lc->link) < 0 || rn_link_waiting(lc->link) ||
      rn_quic_tx_pending(lc->quic)) {
    yield(lc);
    return;
  }
  sleep_lcore(lc);
}

/* ---- the loop ---- */

/* topo.scatter: every other datagram goes to the next lcore, which does not know why it got it. */
static size_t scatter(struct rn_lcore *lc, const struct rn_dgram *dgrams, size_t n,
                      struct rn_dgram *out) {
  uint32_t next = (lc->idx + 1) % lc->view->topo.lcore_count;
  size_t kept = 0;
  for (size_t i = 0; i < n; i++) {
    if (lc->scattered++ % 2 != 0)
      rn_lcore_hand_over(lc, next, &dgrams[i]);
    else
      out[kept++] = dgrams[i];
  }
  return kept;
}

/* To QUIC, in two parts when the time is to be taken between them. */
static void feed(struct rn_lcore *lc, const struct rn_dgram *dgrams, size_t n) {
  size_t first = n > 0 ? rn_tracer_arm(&lc->tracer, lc->now_ns, n) : RN_TRACE_NO;
  if (first == RN_TRACE_NO) {
    if (n > 0)
      rn_quic_rx(lc->quic, lc->now_ns, dgrams, n);
    return;
  }
  if (first > 0)
    rn_quic_rx(lc->quic, lc->now_ns, dgrams, first);
  rn_tracer_datagram(&lc->tracer);
  rn_quic_rx(lc->quic, lc->now_ns, dgrams + first, n - first);
  rn_tracer_disarm(&lc->tracer);
}

static size_t receive(struct rn_lcore *lc) {
  const struct rn_dgram *dgrams;
  struct rn_dgram kept[RN_LINK_BURST];
  size_t frames, n = rn_link_rx(lc->link, lc->now_ns, &dgrams, &frames);
  if (lc->view->topo.scatter && lc->steer != NULL) {
    n = scatter(lc, dgrams, n, kept);
    dgrams = kept;
  }
  feed(lc, dgrams, n);
  rn_link_rx_done(lc->link);
  return frames;
}

/* From other lcores: datagrams of our connections, and what they overheard. */
static size_t receive_handed_over(struct rn_lcore *lc) {
  struct rn_steer *s = lc->steer;
  size_t n = s != NULL ? rn_steer_receive(s) : 0, count = 0;
  for (size_t i = 0; i < n; i++) {
    if (s->kinds[i] == RN_NET_UDP) {
      rn_link_learn(lc->link, &s->dgrams[i].path.remote, s->metas[i].src_mac);
      s->dgrams[count++] = s->dgrams[i];
    } else {
      rn_link_overheard(lc->link, s->kinds[i], &s->dgrams[i], &s->metas[i]);
    }
  }
  if (count > 0)
    feed(lc, s->dgrams, count);
  lc->stats.lcore.handoff_rx += n;
  return n;
}

/* True when there was work. */
static bool turn(struct rn_lcore *lc) {
  size_t work = receive(lc);
  work += receive_handed_over(lc);
  work += rn_control_drain(lc);
  work += fire_timers(lc);
  if (rn_quic_tx_pending(lc->quic))
    work += rn_quic_tx(lc->quic, lc->now_ns, rn_link_sink(lc->link));
  rn_link_flush(lc->link, lc->now_ns);
  rn_tracer_sent(&lc->tracer, lc->now_ns);
  housekeeping(lc);
  return work > 0;
}

static void record_turn(struct rn_lcore *lc, uint64_t took_ns) {
  rn_stats_hist_add(lc->page, RN_HIST_turn_ns, took_ns, 1);
  if (took_ns > lc->stats.lcore.turn_max_ns)
    lc->stats.lcore.turn_max_ns = took_ns;
}

static bool is_finished(const struct rn_lcore *lc) {
  return lc->closing && ((!rn_quic_tx_pending(lc->quic) && !rn_link_waiting(lc->link)) ||
                         lc->now_ns >= lc->close_by_ns);
}

int rn_lcore_run(struct rn_lcore *lc) {
  /* OpenSSL keeps paused handshakes by thread, so this is no business of setup.c. */
  int err = rn_tls_thread_init(lc->view->topo.quic_limits.sign_jobs);
  if (err != RN_OK) {
    atomic_store_explicit(lc->stop, true, memory_order_relaxed);
    return err;
  }
  lc->stats.lcore.tls_jobs_max = rn_tls_thread_jobs();
  rn_tsc_init(&lc->tsc, rte_get_tsc_hz(), rte_rdtsc(), rn_sys_now_ns());
  lc->now_ns = lc->published_ns = lc->info.start_ns = clock_ns(lc);
  rn_tracer_init(&lc->tracer, lc->rpc, lc->page, lc->view->topo.trace_interval_ns, lc->now_ns);
  lc->tracer.clock_ns = read_clock;
  lc->tracer.clock_ctx = lc;
  if (rn_link_if(lc->link)->owned)
    rn_link_announce(lc->link, lc->now_ns);
  rn_quic_set_wall(lc->quic, lc->now_ns, rn_sys_wall_ns());
  rn_control_ready(lc);
  while (!is_finished(lc)) {
    bool busy = turn(lc);
    uint64_t now = clock_ns(lc), took = now - lc->now_ns;
    lc->now_ns = now;
    lc->stats.lcore.turns++;
    if (busy) {
      lc->stats.lcore.busy_turns++;
      lc->stats.lcore.busy_ns += took;
      record_turn(lc, took);
      lc->busy_at_ns = now;
    } else {
      idle(lc);
      lc->now_ns = clock_ns(lc);
      lc->stats.lcore.idle_ns += took + (lc->now_ns - now);
    }
  }
  publish(lc);
  return RN_OK;
}
