/* dataplane/serve/upstream.h: an lcore's connections to the workers that a director sends calls to: lib/rpc/pool.h as the configuration wants it. One pool for calls
 * that are forwarded and one for those that go to every worker. */
#pragma once
#include "cluster/balance/pool.h"
#include "rpc/pool.h"
#include "topo/topo.h"

struct rn_upstream_params {
  const struct rn_topo *topo;
  struct rn_quic *quic;
  /* As in struct rn_pool_params. */
  int (*local)(void *ctx, const struct rn_addr *peer, struct rn_addr *out);
  void *ctx;
  const uint8_t *hash_key; /* 16 random octets, copied */
  uint32_t waiters;        /* calls that may wait for connections at a time */
};

/* Bytes needed, 64-byte aligned. */
size_t rn_upstream_footprint(const struct rn_topo *t);
/* As rn_pool_init. */
int rn_upstream_init(void *mem, const struct rn_upstream_params *p, struct rn_pool **out);

/* Who is there (again) may be dialled at once. workers NULL: nobody. */
void rn_upstream_revive(struct rn_pool *pool, const struct rn_bal_pool *workers, uint64_t now_ns);
