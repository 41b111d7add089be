/* lib/rpc/stats.h: the counters of lib/schema/metrics/rpc.def as a struct. Written by the server's lcore only. */
#pragma once
#include <stdint.h>

struct rn_rpc_stats {
#define RN_METRIC(name, kind, unit, help) uint64_t name;
#include "schema/metrics/rpc.def"
#undef RN_METRIC
};
