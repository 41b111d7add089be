/* control/directory.c */
#include "control/directory.h"

#include <stdlib.h>
#include <string.h>

#include "cluster/balance/balance.h"
#include "control/node.h"
#include "sys/clock.h"
#include "sys/log.h"
#include "util/err.h"

#define GET_WORKER "DirectorRegistry.get_worker"
#define REFRESH_NS UINT64_C(10000000) /* not more often: a join of hundreds is many changes */
#define RETRY_NS   UINT64_C(50000000)
#define KEEP_HOLDS                                                                                 \
  10u /* so many times as long as it takes to learn of workers, those that were known stand where none is */

_Static_assert(RN_TOPO_ROUTES_MAX < RN_ROUTES_MAX, "one more for get_worker");
_Static_assert((int)RN_CONFIG_STRATEGY_CONSISTENT_HASH == (int)RN_TOPO_CONSISTENT_HASH,
               "one order in the configuration, the description and cluster/balance");

struct rn_directory {
  struct rn_node *node;
  struct rn_registry *registry;
  uint32_t route_count;
  uint32_t get_worker; /* RN_ROUTE_NONE: is not served */
  bool changed;
  uint64_t not_before_ns; /* of the next refresh */
  uint64_t
      keep_until_ns; /* until then lcores are not told that a route has no worker at all: we may not know them yet */
  uint64_t retry_ns; /* when lcores whose ring was full are told again; UINT64_MAX: none was */
  bool unsent[RN_TOPO_LCORES_MAX][RN_ROUTES_MAX];
};

/* ---- routes ---- */

static int add_route(struct rn_registry_route *out, const char *method, const struct rn_tags *want,
                     uint32_t strategy, bool near_first, bool call_all) {
  *out = (struct rn_registry_route){
    .route = { .strategy = (uint8_t)strategy, .near_first = near_first, .call_all = call_all },
    .want = *want
  };
  return rn_route_set_pattern(&out->route, method, strlen(method));
}

static int set_routes(struct rn_directory *d) {
  const struct rn_config_director *cfg = &d->node->cfg->director;
  struct rn_registry_route *routes = calloc(RN_ROUTES_MAX, sizeof(*routes));
  uint32_t count = 0;
  int err = routes != NULL ? RN_OK : RN_ERR_SYS;
  for (; err == RN_OK && count < cfg->routes_count; count++) {
    const struct rn_config_route *r = &cfg->routes[count];
    err = add_route(&routes[count], r->method, &r->tags, (uint32_t)r->strategy, r->near_first,
                    r->call_all);
  }
  d->get_worker = RN_ROUTE_NONE;
  if (err == RN_OK && cfg->get_worker) {
    d->get_worker = count;
    err = add_route(&routes[count++], GET_WORKER, &cfg->worker_tags, (uint32_t)cfg->strategy, false,
                    false);
  }
  d->route_count = count;
  if (err == RN_OK)
    err = rn_registry_set_routes(d->registry, routes, count);
  free(routes);
  return err;
}

struct rn_directory *rn_directory_new(struct rn_node *n) {
  static const struct rn_registry_limits lim = { .routes = RN_ROUTES_MAX,
                                                 .workers = RN_DIRECTORY_WORKERS,
                                                 .slots = RN_DIRECTORY_SLOTS };
  struct rn_directory *d = calloc(1, sizeof(*d));
  void *mem = aligned_alloc(64, rn_registry_footprint(&lim));
  int err = d != NULL && mem != NULL ? RN_OK : RN_ERR_SYS;
  /* Versions of this control process are above those of any before. */
  if (err == RN_OK)
    err = rn_registry_init(mem, &lim, rn_sys_wall_ns(), &d->registry);
  if (err == RN_OK) {
    d->node = n;
    d->retry_ns = UINT64_MAX;
    err = set_routes(d);
  }
  if (err == RN_OK)
    return d;
  rn_error("director: %s", rn_err_text(err));
  free(mem);
  free(d);
  return NULL;
}

void rn_directory_free(struct rn_directory *d) {
  if (d == NULL)
    return;
  free(d->registry);
  free(d);
}

/* ---- to the lcores ---- */

/* False: its ring is full. An lcore that gets a part of a snapshot and then another one forgets the first. */
static bool publish(struct rn_directory *d, uint32_t lcore_idx, uint32_t route) {
  const struct rn_bal_pool *pool = rn_registry_pool(d->registry, route);
  struct rn_msg_pool m = { .version = pool->version, .route = route, .bytes = pool->bytes };
  for (; m.offset < pool->bytes; m.offset += RN_MSG_POOL_TAIL_MAX) {
    const uint32_t left = pool->bytes - m.offset;
    const uint32_t n = left < RN_MSG_POOL_TAIL_MAX ? left : RN_MSG_POOL_TAIL_MAX;
    if (rn_node_send(d->node, lcore_idx, RN_MSG_POOL, &m, (const uint8_t *)pool + m.offset, n) !=
        RN_OK)
      return false;
  }
  return true;
}

/* What is better left as the control process before this one said. */
static bool kept(const struct rn_directory *d, uint32_t route, uint64_t now_ns) {
  return now_ns < d->keep_until_ns && rn_registry_pool(d->registry, route)->count == 0;
}

static void send_unsent(struct rn_directory *d, uint64_t now_ns) {
  d->retry_ns = UINT64_MAX;
  for (uint32_t i = 0; i < d->node->topo.lcore_count; i++) {
    for (uint32_t r = 0; r < d->route_count; r++) {
      if (!d->unsent[i][r] || rn_registry_pool(d->registry, r) == NULL)
        continue;
      if (kept(d, r, now_ns)) {
        d->retry_ns = d->keep_until_ns;
        continue;
      }
      if (!publish(d, i, r)) {
        d->retry_ns = now_ns + RETRY_NS;
        break;
      }
      d->unsent[i][r] = false;
    }
  }
}

static void mark(struct rn_directory *d, uint32_t route) {
  for (uint32_t i = 0; i < RN_TOPO_LCORES_MAX; i++)
    d->unsent[i][route] = true;
}

void rn_directory_changed(struct rn_directory *d) { d->changed = true; }

void rn_directory_serving(struct rn_directory *d, uint64_t now_ns, uint64_t hold_ns) {
  for (uint32_t r = 0; r < d->route_count; r++)
    mark(d, r);
  d->changed = true;
  d->retry_ns = 0;
  d->keep_until_ns = now_ns + KEEP_HOLDS * hold_ns;
  if (d->not_before_ns < now_ns + hold_ns)
    d->not_before_ns = now_ns + hold_ns;
}

void rn_directory_tick(struct rn_directory *d, const struct rn_members *m, uint64_t now_ns) {
  if (now_ns < d->not_before_ns || d->node->state != RN_NODE_SERVING)
    return;
  if (d->changed) {
    d->changed = false;
    d->not_before_ns = now_ns + REFRESH_NS;
    if (rn_registry_refresh(d->registry, m) > 0)
      d->retry_ns = 0;
    d->node->healthy_workers = (uint32_t)rn_registry_stats(d->registry)->workers;
    for (uint32_t r; (r = rn_registry_next_changed(d->registry)) != RN_ROUTE_NONE;)
      mark(d, r);
  }
  if (now_ns >= d->retry_ns)
    send_unsent(d, now_ns);
}

uint64_t rn_directory_next_ns(const struct rn_directory *d) {
  const uint64_t at = d->changed ? 0 : d->retry_ns;
  return at < d->not_before_ns ? d->not_before_ns : at;
}

/* ---- for people ---- */

const struct rn_registry *rn_directory_registry(const struct rn_directory *d) {
  return d->registry;
}

uint32_t rn_directory_route(const struct rn_directory *d, const char *method) {
  uint32_t r = rn_routes_match(rn_registry_routes(d->registry), method, strlen(method));
  return r == d->get_worker ? RN_ROUTE_NONE : r;
}

uint32_t rn_directory_get_worker(const struct rn_directory *d) { return d->get_worker; }
