/* dataplane/port/port.h: where packets come from. A driver is one constant structure of functions in one file; what all of DPDK's Ethernet
 * devices share is in ethdev.c.
 *
 *   rn_eal_init, once -> rn_port_open -> rn_link_init per queue (link.h) -> rx_burst, tx_burst -> rn_port_close
 *
 * Open and close belong to the main thread; each queue to one lcore. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "topo/topo.h"
#include "util/err.h"

struct rte_mbuf;
struct rte_mempool;

struct rn_port_config {
  const struct rn_topo_port *profile; /* not needed after open */
  uint16_t queues;   /* receive and transmit pairs, one per lcore: 1..RN_TOPO_LCORES_MAX */
  uint16_t rx_descs; /* per queue */
  uint16_t tx_descs;
  uint32_t mbufs; /* packet buffers, per queue */
};

/* What a driver knows of its device before it is opened. */
struct rn_port_info {
  uint16_t mtu; /* longest IP packet */
  uint8_t mac[6];
  uint32_t frame_bytes; /* what one receive buffer has to hold */
};

struct rn_port {
  const struct rn_port_driver *driver;
  struct rn_port_info info;
  char interface[RN_TOPO_NAME_BYTES]; /* the kernel's device; empty: there is none */
  uint16_t queues;
  uint16_t ethdev;             /* DPDK's number of the device */
  int fds[RN_TOPO_LCORES_MAX]; /* per queue: readable when frames wait; -1: cannot be waited for */
  struct rte_mempool
      *pools[RN_TOPO_LCORES_MAX]; /* per queue; its lcore alone takes and gives back */
};

struct rn_port_driver {
  const char *name; /* as in the configuration */
  enum rn_topo_driver id;
  bool flows_stay; /* what has the same addresses and ports always comes to the same queue */

  /* Looks at the device. RN_OK; RN_ERR_NOENT or RN_ERR_SYS with the reason in why. */
  int (*probe)(const struct rn_topo_port *profile, struct rn_port_info *out, char *why,
               size_t why_bytes);
  /* Makes the device of p (info and pools are set) and starts it; sets ethdev and fds. RN_OK, or RN_ERR_SYS with why, nothing left. */
  int (*open)(struct rn_port *p, const struct rn_port_config *cfg, char *why, size_t why_bytes);

  /* At most n frames, the buffers are then the caller's; returns how many. */
  uint16_t (*rx_burst)(struct rn_port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n);
  /* Returns how many of n were taken, from the first on; the others stay the caller's. */
  uint16_t (*tx_burst)(struct rn_port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n);
  /* Frames lost since the last call because the receive queue was full. A system call at most: for housekeeping. */
  uint64_t (*missed)(struct rn_port *p, uint16_t queue);
  void (*close)(struct rn_port *p);
};

/* All drivers of this build, NULL-terminated. */
extern const struct rn_port_driver *const rn_port_drivers[];

/* Opens a port by its profile: finds the driver, probes, makes a pool per queue. RN_OK and *out, which is the caller's to close; else
 * RN_ERR_NOENT, RN_ERR_LIMIT (memory) or RN_ERR_SYS with the reason in why, nothing left. */
int rn_port_open(const struct rn_port_config *cfg, struct rn_port **out, char *why,
                 size_t why_bytes);
void rn_port_close(struct rn_port *p); /* NULL is fine */
