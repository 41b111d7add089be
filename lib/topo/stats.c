/* lib/topo/stats.c */
#include "topo/stats.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "util/err.h"

static_assert(sizeof(struct rn_lcore_stats) % sizeof(uint64_t) == 0, "read and written as values");
static_assert(offsetof(struct rn_stats_page, values) == 64, "shared layout");

/* COUNTER and GAUGE of the .def files. */
#define RN_METRIC(name, kind, unit, help) { GROUP, #name, RN_METRIC_##kind, unit, help },
const struct rn_metric_desc rn_metric_descs[RN_STATS_VALUES] = {
#define GROUP "lcore"
#include "schema/metrics/lcore.def"
#undef GROUP
#define GROUP "port"
#include "schema/metrics/port.def"
#undef GROUP
#define GROUP "net"
#include "schema/metrics/net.def"
#undef GROUP
#define GROUP "quic"
#include "schema/metrics/quic.def"
#undef GROUP
#define GROUP "rpc"
#include "schema/metrics/rpc.def"
#undef GROUP
#define GROUP "gossip"
#include "schema/metrics/gossip.def"
#undef GROUP
#define GROUP "director"
#include "schema/metrics/director.def"
#undef GROUP
#define GROUP "forward"
#include "schema/metrics/forward.def"
#undef GROUP
#define GROUP "pool"
#include "schema/metrics/pool.def"
#undef GROUP
#define GROUP "fanout"
#include "schema/metrics/fanout.def"
#undef GROUP
};
#undef RN_METRIC

const struct rn_hist_desc rn_hist_descs[RN_HIST_COUNT] = {
#define RN_HISTOGRAM(name, exposed, stage, help) [RN_HIST_##name] = { #name, exposed, stage, help },
#include "schema/metrics/hist.def"
#undef RN_HISTOGRAM
};

bool rn_metric_is_time(const char *name) {
  size_t len = strlen(name);
  return len > 3 && strcmp(name + len - 3, "_ns") == 0;
}

const char *rn_metric_exposed(const char *group, const char *name, enum rn_metric_kind kind,
                              char *out) {
  bool time = rn_metric_is_time(name);
  size_t len = strlen(name) - (time ? 3 : 0);
  snprintf(out, RN_METRIC_EXPOSED_BYTES, "rpcnet_%s_%.*s%s%s", group, (int)len, name,
           time ? "_seconds" : "", kind == RN_METRIC_COUNTER ? "_total" : "");
  return out;
}

uint64_t rn_stats_value(const struct rn_lcore_stats *s, size_t i) {
  RN_ASSERT(i < RN_STATS_VALUES);
  uint64_t v;
  memcpy(&v, (const uint8_t *)s + i * sizeof(v), sizeof(v));
  return v;
}

/* A sequence lock: seq is made odd before and even after the values. The values are relaxed
 * atomics, which cost the same as plain stores and loads here; the fences order them against seq.
 */
void rn_stats_publish(struct rn_stats_page *page, const struct rn_lcore_stats *s, uint64_t now_ns) {
  uint64_t seq =
      atomic_load_explicit(&page->seq, memory_order_relaxed) & ~1ull; /* we are the writer */
  atomic_store_explicit(&page->seq, seq + 1, memory_order_relaxed);
  atomic_thread_fence(
      memory_order_release); /* odd before any value; pairs with the acquire fence in read */
  for (size_t i = 0; i < RN_STATS_VALUES; i++)
    atomic_store_explicit(&page->values[i], rn_stats_value(s, i), memory_order_relaxed);
  atomic_store_explicit(&page->published_ns, now_ns, memory_order_relaxed);
  atomic_store_explicit(&page->seq, seq + 2,
                        memory_order_release); /* pairs with the first acquire in read */
}

int rn_stats_read(const struct rn_stats_page *page, struct rn_lcore_stats *out,
                  uint64_t *published_ns) {
  uint64_t values[RN_STATS_VALUES];
  for (unsigned int attempt = 0; attempt < 100; attempt++) {
    uint64_t before = atomic_load_explicit(&page->seq, memory_order_acquire);
    for (size_t i = 0; i < RN_STATS_VALUES; i++)
      values[i] = atomic_load_explicit(&page->values[i], memory_order_relaxed);
    uint64_t at_ns = atomic_load_explicit(&page->published_ns, memory_order_relaxed);
    atomic_thread_fence(memory_order_acquire); /* values before the second look at seq */
    uint64_t after = atomic_load_explicit(&page->seq, memory_order_relaxed);
    if (before % 2 == 0 && before == after) {
      memcpy(out, values, sizeof(*out));
      if (published_ns != NULL)
        *published_ns = at_ns;
      return RN_OK;
    }
  }
  return RN_ERR_AGAIN;
}

void rn_stats_hist_read(const struct rn_stats_page *page, enum rn_hist_id which,
                        struct rn_tally_copy *out) {
  RN_ASSERT(which < RN_HIST_COUNT);
  rn_tally_read(&page->hists[which], out);
}
