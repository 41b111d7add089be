/* cluster/registry.h: from who is alive to who can be called: the workers of each route, as snapshots for the lcores. In the caller's memory; one thread owns each.
 *
 * A worker of a route is a member that is Alive, known by its id, not ourselves, has all the tags that the route asks for ("role=worker" is one of those, nothing
 * more), and does not say that it is draining. These tags have a meaning of their own:
 *
 *   weight     1..10000, how much it can take beside others, "weighted" only; without it 1; 0: no calls
 *   zone       any text; near is who has the same as we
 *   draining   no new calls, unless "", "0", "no" or "false"
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/balance/pool.h"
#include "cluster/balance/routes.h"
#include "cluster/members.h"

struct rn_registry; /* opaque; registry.c */

struct rn_registry_limits {
  uint32_t routes;  /* 1..RN_ROUTES_MAX */
  uint32_t workers; /* of one route, 1..RN_BAL_WORKERS_MAX */
  uint32_t slots;   /* of all routes, 1..RN_LOAD_SLOTS_MAX: what rn_load_init is told */
};

struct rn_registry_route {
  struct rn_route route;
  struct rn_tags want;
};

/* All but the first as of the last refresh. */
struct rn_registry_stats {
  uint64_t refreshes;
  uint64_t workers;  /* that have a slot */
  uint64_t left_out; /* for want of room in a route's pool, each route's */
  uint64_t no_slot;  /* for want of a slot */
  uint64_t
      bad_weights; /* tags "weight" that are no number, taken for 1, or too high, taken for the highest; each route's */
  uint64_t collisions; /* ids with the key of another one; each route's */
};

/* Adds "key=value" to what a route wants. RN_OK; RN_ERR_INVAL without "=" or key; RN_ERR_LIMIT. */
int rn_registry_want(struct rn_tags *want, const char *text, size_t len);

/* Bytes needed, 64-byte aligned; 0 when a limit is out of range. */
size_t rn_registry_footprint(const struct rn_registry_limits *lim);
/* Formats mem, which stays the caller's, without routes. Versions of snapshots begin above version: what an earlier life has published must be below it. RN_OK or
 * RN_ERR_INVAL. Nothing to release. */
int rn_registry_init(void *mem, const struct rn_registry_limits *lim, uint64_t version,
                     struct rn_registry **out);

/* All of routes[0..count) or nothing; their snapshots are made by the next refresh. Snapshots of indices that are there no more are not kept. RN_OK; RN_ERR_LIMIT above
 * the limit; what rn_routes_add has to say. */
int rn_registry_set_routes(struct rn_registry *r, const struct rn_registry_route *routes,
                           uint32_t count);

/* After m has changed. Returns how many routes have a snapshot that the caller has not seen yet. */
uint32_t rn_registry_refresh(struct rn_registry *r, const struct rn_members *m);
/* The next route with one, from index 0 on; RN_ROUTE_NONE: no more. It counts as seen then. */
uint32_t rn_registry_next_changed(struct rn_registry *r);

/* The snapshot of a route, valid until the next refresh; NULL before the first. idx below the count of routes. */
const struct rn_bal_pool *rn_registry_pool(const struct rn_registry *r, uint32_t idx);
/* The routes themselves, to be published with them. */
const struct rn_routes *rn_registry_routes(const struct rn_registry *r);
const struct rn_registry_stats *rn_registry_stats(const struct rn_registry *r);

/* Slots, routes and snapshots. RN_OK or RN_ERR_STATE. Slow. */
int rn_registry_check(const struct rn_registry *r);
