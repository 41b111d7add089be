/* lib/topo/stats.h: what an lcore counts, and the page in the region where it publishes it.
 *
 * The lcore adds to its own private counters and copies them to its page in housekeeping, about
 * every 100 us. Readers copy the page and keep the copy when the page's sequence was even and the
 * same before and after. */
#pragma once
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

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
#undef RN_METRIC
};

#define RN_STATS_VALUES (sizeof(struct rn_lcore_stats) / sizeof(uint64_t))

struct rn_stats_page {
  _Atomic uint64_t seq;          /* odd while the lcore writes */
  _Atomic uint64_t published_ns; /* monotonic clock; 0: never */
  uint8_t pad[48];
  _Atomic uint64_t values[RN_STATS_VALUES];
};

enum rn_metric_kind { RN_METRIC_COUNTER, RN_METRIC_GAUGE };

/* One metric of rn_lcore_stats, in the order of its members. */
struct rn_metric_desc {
  const char *group; /* "lcore", "port", "net", "quic", "rpc" */
  const char *name;
  enum rn_metric_kind kind;
  const char *unit;
  const char *help;
};
extern const struct rn_metric_desc rn_metric_descs[RN_STATS_VALUES];

/* The i-th value of s, as rn_metric_descs[i] describes it; i < RN_STATS_VALUES. */
uint64_t rn_stats_value(const struct rn_lcore_stats *s, size_t i);

/* Called by the page's one writer. */
void rn_stats_publish(struct rn_stats_page *page, const struct rn_lcore_stats *s, uint64_t now_ns);

/* RN_OK; RN_ERR_AGAIN when the writer was busy each of 100 times (it died while writing, or is
 * hostile), *out unchanged. published_ns may be NULL. */
int rn_stats_read(const struct rn_stats_page *page, struct rn_lcore_stats *out,
                  uint64_t *published_ns);
