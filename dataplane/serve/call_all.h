/* dataplane/serve/call_all.h: an lcore's calls to every worker of a route: lib/rpc/fanout.h, with the workers that the director knows. */
#pragma once
#include "dataplane/serve/director.h"
#include "rpc/fanout.h"
#include "rpc/pool.h"

struct rn_call_all; /* opaque; call_all.c */

struct rn_call_all_params {
  const struct rn_topo
      *topo; /* director.enabled, with such a route; outlives it, as all that follows */
  struct rn_director *director;
  struct rn_quic *quic;
  struct rn_rpc_server *rpc; /* which gets a handler for each such route's method */
  /* As in struct rn_pool_params. */
  int (*local)(void *ctx, const struct rn_addr *peer, struct rn_addr *out);
  void *ctx;
  uint8_t hash_key[16]; /* random */
};

/* Bytes needed, 64-byte aligned, most of them touched when used only; 0: t has no route for every worker. */
size_t rn_call_all_footprint(const struct rn_topo *t);
/* Formats mem, which stays the caller's. RN_OK, RN_ERR_INVAL, or what rn_rpc_server_replace says. Nothing to release. */
int rn_call_all_init(void *mem, const struct rn_call_all_params *p, struct rn_call_all **out);

/* Its pool and its fan-out: for events of connections and streams, timers and counters. */
struct rn_pool *rn_call_all_pool(struct rn_call_all *a);
struct rn_fanout *rn_call_all_fanout(struct rn_call_all *a);

/* Workers of that route are others now: who is there (again) may be dialled at once. A route that is not for every worker is fine. */
void rn_call_all_changed(struct rn_call_all *a, uint32_t route, uint64_t now_ns);

/* RN_OK or RN_ERR_STATE. Slow. */
int rn_call_all_check(const struct rn_call_all *a);
