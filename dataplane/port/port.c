/* dataplane/port/port.c: finds the driver and makes the pools. */
#include "dataplane/port/port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include "dataplane/port/drivers.h"

const struct rn_port_driver *const rn_port_drivers[] = { &rn_port_af_packet, &rn_port_null, NULL };

/* A pool's cache serves its lcore without atomics; both bursts of a turn fit into it. */
#define CACHE 256u

static const struct rn_port_driver *driver_of(uint32_t id) {
  for (const struct rn_port_driver *const *d = rn_port_drivers; *d != NULL; d++) {
    if ((uint32_t)(*d)->id == id)
      return *d;
  }
  return NULL;
}

static int make_pools(struct rn_port *p, const struct rn_port_config *cfg, char *why,
                      size_t why_bytes) {
  uint32_t room = p->info.frame_bytes > 2048 ? p->info.frame_bytes : 2048;
  for (uint16_t i = 0; i < cfg->queues; i++) {
    char name[RTE_MEMPOOL_NAMESIZE];
    static unsigned int pools; /* names are never used twice */
    snprintf(name, sizeof(name), "mbufs%u", pools++);
    p->pools[i] = rte_pktmbuf_pool_create(name, cfg->mbufs, CACHE, 0,
                                          (uint16_t)(RTE_PKTMBUF_HEADROOM + room), SOCKET_ID_ANY);
    if (p->pools[i] == NULL) {
      snprintf(why, why_bytes,
               "%u packet buffers of %u bytes for queue %u do not fit the packet memory: %s",
               cfg->mbufs, room, i, rte_strerror(rte_errno));
      return RN_ERR_LIMIT;
    }
  }
  return RN_OK;
}

static void free_pools(struct rn_port *p) {
  for (uint16_t i = 0; i < p->queues; i++)
    rte_mempool_free(p->pools[i]); /* NULL is fine */
}

int rn_port_open(const struct rn_port_config *cfg, struct rn_port **out, char *why,
                 size_t why_bytes) {
  RN_ASSERT(cfg->queues >= 1 && cfg->queues <= RN_TOPO_LCORES_MAX);
  const struct rn_port_driver *driver = driver_of(cfg->profile->driver);
  if (driver == NULL) {
    snprintf(why, why_bytes, "this build has no driver of kind %u", cfg->profile->driver);
    return RN_ERR_NOENT;
  }
  struct rn_port *p = calloc(1, sizeof(*p));
  if (p == NULL)
    return RN_ERR_LIMIT;
  p->driver = driver;
  p->queues = cfg->queues;
  for (uint32_t i = 0; i < RN_TOPO_LCORES_MAX; i++)
    p->fds[i] = -1;
  int err = driver->probe(cfg->profile, &p->info, why, why_bytes);
  if (err == RN_OK)
    err = make_pools(p, cfg, why, why_bytes);
  if (err == RN_OK)
    err = driver->open(p, cfg, why, why_bytes);
  if (err != RN_OK) {
    free_pools(p);
    free(p);
    return err;
  }
  *out = p;
  return RN_OK;
}

void rn_port_close(struct rn_port *p) {
  if (p == NULL)
    return;
  p->driver->close(p);
  free_pools(p);
  free(p);
}
