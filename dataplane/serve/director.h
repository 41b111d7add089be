/* dataplane/serve/director.h: whom an lcore sends calls to: the snapshots that control publishes for each route, and what calls there have shown. Used by
 * get_worker.c, forward.c and call_all.c. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "cluster/balance/balance.h"
#include "cluster/balance/routes.h"
#include "ring/msg.h"
#include "rpc/server.h"
#include "topo/topo.h"

#define RN_DIRECTOR_WORKERS 1024u /* of one route: control/directory.h */
#define RN_DIRECTOR_SLOTS   4096u

struct rn_director; /* opaque; director.c */

struct rn_director_stats {
#define RN_METRIC(name, kind, unit, help) uint64_t name;
#include "schema/metrics/director.def"
#undef RN_METRIC
};

/* Bytes needed, 64-byte aligned, most of them never touched; 0: cfg is not enabled. */
size_t rn_director_footprint(const struct rn_topo_director *cfg);
/* Formats mem, which stays the caller's, as does cfg. shared: zeroed, rn_load_shared_bytes(lcores, RN_DIRECTOR_SLOTS), the same for all lcores. seed: random, another
 * one on each. RN_OK or RN_ERR_INVAL. Nothing to release. */
int rn_director_init(void *mem, const struct rn_topo_director *cfg, void *shared, uint32_t lcores,
                     uint32_t lcore_idx, uint64_t seed, struct rn_director **out);

/* A piece of a snapshot. RN_OK, also for one that is too old; RN_ERR_CORRUPT: counted, and what there was stays. */
int rn_director_pool(struct rn_director *d, const struct rn_msg_pool *m, const uint8_t *tail,
                     size_t tail_bytes);

/* The index of a method's route, RN_ROUTE_NONE: it is not forwarded, as those for every worker are not. */
uint32_t rn_director_route(const struct rn_director *d, const char *method, size_t len);
/* A route's workers; idx below the count of routes, or that count: get_worker's. */
struct rn_bal *rn_director_bal(struct rn_director *d, uint32_t idx);

/* Adds DirectorRegistry.get_worker to v. rand: as in struct rn_quic_params. RN_OK or what rn_rpc_server_add says. */
int rn_director_serve(struct rn_director *d, struct rn_rpc_server *v,
                      void (*rand)(void *ctx, uint8_t *out, size_t n), void *rand_ctx);

/* Leases that are over. UINT64_MAX: none is out. */
uint64_t rn_director_next_expiry(const struct rn_director *d);
void rn_director_timers(struct rn_director *d, uint64_t now_ns);

const struct rn_director_stats *rn_director_stats(struct rn_director *d);
/* RN_OK or RN_ERR_STATE. Slow. */
int rn_director_check(const struct rn_director *d);
