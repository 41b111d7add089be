/* control/directory.h: whom a director sends calls to: cluster/registry.h over the members, its snapshots published to the lcores. One for the routes of the
 * configuration, in their order, and behind them one for DirectorRegistry.get_worker. On the event loop. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "cluster/registry.h"

struct rn_node;
struct rn_directory;

#define RN_DIRECTORY_WORKERS 1024u /* of one route */
#define RN_DIRECTORY_SLOTS   4096u /* of all */

/* For n, which has director.enabled and outlives it. NULL: memory is out, or the routes are not to be had (logged). */
struct rn_directory *rn_directory_new(struct rn_node *n);
void rn_directory_free(struct rn_directory *d);

/* Members have changed: the snapshots are made anew when rn_directory_tick is next called. */
void rn_directory_changed(struct rn_directory *d);
/* These lcores have nothing yet. hold_ns: they serve by what a control process before this one said, which stands until we had so long to learn what it knew; where we
 * know of no worker for a route by then, for ten times as long. */
void rn_directory_serving(struct rn_directory *d, uint64_t now_ns, uint64_t hold_ns);
/* Makes and publishes what is due; m: the members. Often. */
void rn_directory_tick(struct rn_directory *d, const struct rn_members *m, uint64_t now_ns);
/* When there is something due again, UINT64_MAX: nothing is. */
uint64_t rn_directory_next_ns(const struct rn_directory *d);

/* For people: the registry as of the last tick. */
const struct rn_registry *rn_directory_registry(const struct rn_directory *d);
/* The route of a method, its index in the registry, RN_ROUTE_NONE: it is not forwarded. */
uint32_t rn_directory_route(const struct rn_directory *d, const char *method);
/* The index of get_worker's, RN_ROUTE_NONE: it is not served. */
uint32_t rn_directory_get_worker(const struct rn_directory *d);
