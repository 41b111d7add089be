/* control/stats.h: the counters of lib/schema/metrics/control.def. The event loop of rpcnet-control alone writes and reads them. */
#pragma once
#include <stdint.h>

struct rn_control_stats {
#define RN_METRIC(name, kind, unit, help) uint64_t name;
#include "schema/metrics/control.def"
#undef RN_METRIC
};
