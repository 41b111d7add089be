/* dataplane/serve/upstream.c */
#include "dataplane/serve/upstream.h"

#include <string.h>

#define CONNS_MAX    4096u
#define STREAMS_BUSY 256u /* with so many on each connection to a worker another one is made */
/* A worker that is not heard of for so long is as good as gone: whoever waits for it may go elsewhere. */
#define KEEP_ALIVE_NS UINT64_C(1000000000)
#define SILENCE_NS    UINT64_C(3000000000)
#define BACKOFF_NS    UINT64_C(100000000)
#define BACKOFF_MOST  UINT64_C(3200000000)

static struct rn_pool_limits limits(const struct rn_topo *t) {
  const uint32_t most = t->quic_limits.conns < CONNS_MAX ? t->quic_limits.conns : CONNS_MAX;
  return (struct rn_pool_limits){ .conns = most, .peers = CONNS_MAX };
}

size_t rn_upstream_footprint(const struct rn_topo *t) {
  const struct rn_pool_limits lim = limits(t);
  return rn_pool_footprint(&lim);
}

int rn_upstream_init(void *mem, const struct rn_upstream_params *p, struct rn_pool **out) {
  const struct rn_topo_cluster *c = &p->topo->cluster;
  struct rn_pool_params pp = { .limits = limits(p->topo),
                               .config = { .conns_per_peer = c->conns_per_worker,
                                           .streams_per_conn = STREAMS_BUSY,
                                           .waiters = p->waiters,
                                           .dial_timeout_ns = c->connect_timeout_ns,
                                           .idle_timeout_ns = c->idle_timeout_ns,
                                           .keep_alive_ns = KEEP_ALIVE_NS,
                                           .silence_ns = SILENCE_NS,
                                           .backoff_first_ns = BACKOFF_NS,
                                           .backoff_most_ns = BACKOFF_MOST,
                                           .server_name = c->server_name },
                               .quic = p->quic,
                               .local = p->local,
                               .ctx = p->ctx };
  memcpy(pp.hash_key, p->hash_key, sizeof(pp.hash_key));
  return rn_pool_init(mem, &pp, out);
}

void rn_upstream_revive(struct rn_pool *pool, const struct rn_bal_pool *workers, uint64_t now_ns) {
  for (uint32_t i = 0; workers != NULL && i < workers->count; i++)
    rn_pool_revive(pool, now_ns, &rn_bal_pool_workers(workers)[i].addr);
}
