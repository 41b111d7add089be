/* control/rates.c */
#include "control/rates.h"

#include <string.h>
#include <unistd.h>

#include "control/node.h"
#include "control/usage.h"
#include "sys/clock.h"

void rn_rates_hist(const struct rn_node *n, uint32_t hist_id, struct rn_tally_copy *out) {
  struct rn_tally_copy one;
  memset(out, 0, sizeof(*out));
  for (uint32_t i = 0; n->state != RN_NODE_NONE && i < n->topo.lcore_count; i++) {
    rn_stats_hist_read(rn_topo_stats(&n->view, i), (enum rn_hist_id)hist_id, &one);
    rn_tally_merge(out, &one);
  }
}

uint64_t rn_rates_calls(const struct rn_node *n) {
  uint64_t calls = 0;
  for (uint32_t i = 0; n->state != RN_NODE_NONE && i < n->topo.lcore_count; i++)
    calls += n->lcores[i].stats.rpc.requests + n->lcores[i].stats.rpc.streams +
             n->lcores[i].stats.forward.calls;
  return calls;
}

static void count_hits(struct rn_rates *r, const struct rn_node *n) {
  for (uint32_t i = 0; n->state != RN_NODE_NONE && i < n->topo.lcore_count; i++) {
    r->hits += n->lcores[i].stats.pool.hits;
    r->misses += n->lcores[i].stats.pool.misses;
  }
}

static double hit_rate(uint64_t hits, uint64_t misses) {
  return hits + misses > 0 ? (double)hits / (double)(hits + misses) : 1;
}

/* Processes that come and go between two samples take their CPU time with them: never below zero. */
static double growth(double now, double before) { return now > before ? now - before : 0; }

void rn_rates_sample(struct rn_rates *r, const struct rn_node *n, uint64_t now_ns) {
  const uint32_t pids[] = { n->pid, (uint32_t)getpid(), (uint32_t)getppid() };
  struct rn_rates next = { .at_ns = now_ns, .generation = n->generation };
  next.calls = rn_rates_calls(n);
  count_hits(&next, n);
  next.healthy_workers = n->healthy_workers;
  next.hit_rate = 1;
  rn_rates_hist(n, RN_HIST_call_ns, &next.latency);
  uint64_t memory_bytes = 0;
  for (size_t i = 0; i < sizeof(pids) / sizeof(pids[0]); i++) {
    struct rn_usage u = rn_usage_of(pids[i]);
    next.cpu_s += u.cpu_s;
    memory_bytes += u.memory_bytes;
  }
  next.memory_mb = (double)memory_bytes / 1e6;
  if (r->at_ns != 0 && now_ns > r->at_ns) {
    double seconds = (double)(now_ns - r->at_ns) / (double)RN_NS_PER_S;
    struct rn_tally_copy recent = next.latency;
    bool same = r->generation == n->generation && next.calls >= r->calls;
    if (same)
      rn_tally_since(&recent, &r->latency);
    next.throughput_rps = (double)(next.calls - (same ? r->calls : 0)) / seconds;
    next.latency_p50_us = (double)rn_tally_quantile(&recent, 0.5) / 1e3;
    next.latency_p99_us = (double)rn_tally_quantile(&recent, 0.99) / 1e3;
    next.hit_rate =
        hit_rate(next.hits - (same ? r->hits : 0), next.misses - (same ? r->misses : 0));
    next.cpu_usage_pct = 100 * growth(next.cpu_s, r->cpu_s) / seconds;
  }
  *r = next;
}
