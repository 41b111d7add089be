/* dataplane/serve/forward.h: an lcore's forwarding of calls: lib/rpc/forward.h, with workers chosen by cluster/balance among those that the director knows. */
#pragma once
#include "dataplane/serve/director.h"
#include "rpc/forward.h"
#include "rpc/pool.h"
#include "topo/stats.h"

struct rn_forwarding; /* opaque; forward.c */

struct rn_forwarding_params {
  const struct rn_topo *topo; /* director.enabled, with routes; outlives it, as all that follows */
  struct rn_director *director;
  struct rn_quic *quic;
  struct rn_rpc_server *rpc;  /* whose calls are forwarded */
  struct rn_stats_page *page; /* for histograms */
  /* As in struct rn_pool_params. */
  int (*local)(void *ctx, const struct rn_addr *peer, struct rn_addr *out);
  void *ctx;
  uint8_t hash_key[16]; /* random */
};

/* Bytes needed, 64-byte aligned, most of them touched when used only; 0: t forwards nothing. */
size_t rn_forwarding_footprint(const struct rn_topo *t);
/* Formats mem, which stays the caller's. RN_OK or RN_ERR_INVAL. Nothing to release. */
int rn_forwarding_init(void *mem, const struct rn_forwarding_params *p, struct rn_forwarding **out);

/* Its pool and its forwarder: for events of connections and streams, timers and counters. */
struct rn_pool *rn_forwarding_pool(struct rn_forwarding *f);
struct rn_forward *rn_forwarding_forward(struct rn_forwarding *f);

/* Workers of that route are others now: who is there (again) may be dialled at once, and some connections to each are made without being asked for. */
void rn_forwarding_changed(struct rn_forwarding *f, uint32_t route, uint64_t now_ns);

/* RN_OK or RN_ERR_STATE. Slow. */
int rn_forwarding_check(const struct rn_forwarding *f);
