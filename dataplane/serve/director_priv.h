/* dataplane/serve/director_priv.h: what director.c (snapshots) and get_worker.c (redirects and their leases) share. */
#pragma once
#include "dataplane/serve/director.h"

#define LEASES_MAX  65536u
#define LEASE_HEADS 16384u /* a power of two */
#define LEASE_NONE  UINT32_MAX

/* A client that was sent to a worker. Leases last equally long, so the oldest ends first: they lie in a ring. */
struct lease {
  struct rn_bal_ticket ticket;
  uint64_t client; /* of its connection_id; 0: given back early */
  uint64_t until_ns;
  uint32_t next; /* with the same head */
};

struct target {
  struct rn_bal *bal;
  uint8_t *snapshot[2];
  uint32_t current; /* which of them is in use */
  uint32_t got;     /* bytes of the other one */
  uint64_t version;
};

struct rn_director {
  const struct rn_topo_director *cfg;
  struct rn_load *load;
  struct rn_routes routes;
  struct target targets[RN_TOPO_ROUTES_MAX + 1];
  struct rn_handler get_worker;
  void (*rand)(void *ctx, uint8_t *out, size_t n);
  void *rand_ctx;
  struct lease *leases;            /* LEASES_MAX of them */
  uint32_t *by_client;             /* LEASE_HEADS of them: the newest lease, or LEASE_NONE */
  uint64_t lease_head, lease_tail; /* given out at head, ended at tail */
  uint64_t seed;
  struct rn_director_stats stats;
};

/* get_worker.c */
void leases_init(struct rn_director *d, struct lease *leases, uint32_t *by_client, uint64_t seed);
int leases_check(const struct rn_director *d);
