/* lib/quic/stats.h: the counters of lib/schema/metrics/quic.def as a struct. Written by the endpoint's lcore only. */
#pragma once
#include <stdint.h>

struct rn_quic_stats {
#define RN_METRIC(name, kind, unit, help) uint64_t name;
#include "schema/metrics/quic.def"
#undef RN_METRIC
};
