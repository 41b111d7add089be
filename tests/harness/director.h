/* tests/harness/director.h: an endpoint that forwards calls: server, pool and forwarder on it, with a choice of workers that is as simple as can be. With a
 * fan-out and its pool beside them where it has a method for it. */
#pragma once
#include "harness/peer.h"
#include "rpc/fanout.h"
#include "rpc/forward.h"
#include "rpc/pool.h"
#include "rpc/server.h"

#define DIRECTOR_WORKERS 64
#define DIRECTOR_ROUTES  4

/* A worker as the director sees it, and what it was told of it. */
struct director_worker {
  struct rn_addr addr;
  bool there; /* may be chosen */
  uint32_t begun, ended[RN_FORWARD_DROPPED + 1];
};

struct director_route {
  const char *prefix; /* of methods; NULL: no more routes */
  struct rn_forward_route r;
};

/* A method whose calls go to all workers that are there, "w-0" and so on. */
struct director_fan {
  const char *method; /* NULL: none, and no fan-out either */
  struct rn_fanout_route r;
  struct rn_fanout_limits limits;
  struct rn_pool_params pool_params;
  uint32_t named; /* how often a worker was asked for */
  char id[16];
};

struct director {
  struct peer base; /* base.params may be changed between prepare and start */
  struct rn_rpc_server_limits server_limits;
  struct rn_rpc_server_config server_config;
  struct rn_pool_params pool_params;
  struct rn_forward_params forward_params;
  struct director_worker workers[DIRECTOR_WORKERS];
  struct director_route routes[DIRECTOR_ROUTES];
  struct director_fan fan;
  uint32_t next;                 /* worker to look at first */
  uint32_t budget;               /* further tries that are allowed */
  uint32_t asked;                /* how often one was asked for */
  struct rn_forward_times times; /* of the last answered call */
  struct net *net;
  struct net_host *host;
  struct rn_rpc_server *server;
  struct rn_pool *pool;
  struct rn_forward *forward;
  struct rn_pool *fan_pool; /* NULL as what follows: fan.method was */
  struct rn_fanout *fanout;
  void *mem[5];
  size_t mem_bytes[5];
};

/* No workers, no routes; a budget without end. */
void director_prepare(struct director *d, const struct pki *pki, uint64_t seed);
/* tls: as a server; client_tls: as a client. Both stay the caller's. */
void director_start(struct director *d, struct rn_quic_tls *tls, struct rn_quic_tls *client_tls,
                    struct net *net, const struct rn_addr *addr);
void director_stop(struct director *d);
/* Nothing is in flight and every try that was begun has ended. Says on stderr what is not so. */
bool director_is_quiet(const struct director *d);
/* Every pool has what it had at the start. Connections have to be gone. */
bool director_is_clean(const struct director *d);
