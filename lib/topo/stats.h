/* lib/topo/stats.h: what an lcore counts, and the page in the region where it publishes it.
 *
 * The lcore adds to its own private counters and copies them to its page in housekeeping, about
 * every 100 us. Readers copy the page and keep the copy when the page's sequence was even and the
 * same before and after. Histograms are too large to copy that often: the lcore counts in the page itself, and a
 * reader sees each cell whole. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "topo/trace.h"
#include "util/tally.h"

struct rn_lcore_stats {
#define RN_METRIC(name, kind, unit, help) uint64_t name;
  struct rn_stats_lcore {
#include "schema/metrics/lcore.def"
  } lcore;
  struct rn_stats_port {
#include "schema/metrics/port.def"
  } port;
  struct rn_stats_net {
#include "schema/metrics/net.def"
  } net;
  struct rn_stats_quic {
#include "schema/metrics/quic.def"
  } quic;
  struct rn_stats_rpc {
#include "schema/metrics/rpc.def"
  } rpc;
  struct rn_stats_gossip {
#include "schema/metrics/gossip.def"
  } gossip;
  struct rn_stats_director {
#include "schema/metrics/director.def"
  } director;
  struct rn_stats_forward {
#include "schema/metrics/forward.def"
  } forward;
  struct rn_stats_pool {
#include "schema/metrics/pool.def"
  } pool;
  struct rn_stats_fanout {
#include "schema/metrics/fanout.def"
  } fanout;
#undef RN_METRIC
};

#define RN_STATS_VALUES (sizeof(struct rn_lcore_stats) / sizeof(uint64_t))

/* RN_HIST_call_ns and so on. */
enum rn_hist_id {
#define RN_HISTOGRAM(name, exposed, stage, help) RN_HIST_##name,
#include "schema/metrics/hist.def"
#undef RN_HISTOGRAM
  RN_HIST_COUNT
};

struct rn_stats_page {
  _Atomic uint64_t seq;          /* odd while the lcore writes */
  _Atomic uint64_t published_ns; /* monotonic clock; 0: never */
  uint8_t pad[48];
  _Atomic uint64_t values[RN_STATS_VALUES];
  struct rn_tally hists[RN_HIST_COUNT]; /* written in place, outside of seq */
  struct rn_trace_page traces;          /* the same */
};

enum rn_metric_kind { RN_METRIC_COUNTER, RN_METRIC_GAUGE };

/* One metric of rn_lcore_stats, in the order of its members. */
struct rn_metric_desc {
  const char *
      group; /* "lcore", "port", "net", "quic", "rpc", "gossip", "director", "forward", "pool", "fanout" */
  const char *name;
  enum rn_metric_kind kind;
  const char *unit;
  const char *help;
};
extern const struct rn_metric_desc rn_metric_descs[RN_STATS_VALUES];

#define RN_METRIC_EXPOSED_BYTES 96

/* Writes the name under which Prometheus knows a metric into out[RN_METRIC_EXPOSED_BYTES] and returns out: rpcnet_<group>_<name>, with _total behind that
 * of a counter. Names that end in _ns are exposed in seconds and end so. */
const char *rn_metric_exposed(const char *group, const char *name, enum rn_metric_kind kind,
                              char *out);
/* True when the name ends in _ns. */
bool rn_metric_is_time(const char *name);

/* One histogram of the page, by enum rn_hist_id. */
struct rn_hist_desc {
  const char *name;
  const char *exposed; /* to Prometheus, in seconds */
  const char *stage;   /* its label; "": none */
  const char *help;
};
extern const struct rn_hist_desc rn_hist_descs[RN_HIST_COUNT];

/* The i-th value of s, as rn_metric_descs[i] describes it; i < RN_STATS_VALUES. */
uint64_t rn_stats_value(const struct rn_lcore_stats *s, size_t i);

/* Called by the page's one writer. */
void rn_stats_publish(struct rn_stats_page *page, const struct rn_lcore_stats *s, uint64_t now_ns);

/* RN_OK; RN_ERR_AGAIN when the writer was busy each of 100 times (it died while writing, or is
 * hostile), *out unchanged. published_ns may be NULL. */
int rn_stats_read(const struct rn_stats_page *page, struct rn_lcore_stats *out,
                  uint64_t *published_ns);

/* Counts `count` events that took ns each; count may be 0. Called by the page's one writer: a few plain loads and stores. */
static inline void rn_stats_hist_add(struct rn_stats_page *page, enum rn_hist_id which, uint64_t ns,
                                     uint64_t count) {
  rn_tally_add(&page->hists[which], ns, count);
}

/* Copies a histogram; any bytes in the page are safe. */
void rn_stats_hist_read(const struct rn_stats_page *page, enum rn_hist_id which,
                        struct rn_tally_copy *out);
