/* dataplane/port/ethdev.h: what the drivers that are DPDK Ethernet devices share. */
#pragma once
#include "dataplane/port/port.h"

/* Makes the virtual device name (such as "net_af_packet0") with these arguments and sets p->ethdev. RN_OK, or RN_ERR_SYS with why. */
int rn_ethdev_make(struct rn_port *p, const char *name, const char *args, char *why,
                   size_t why_bytes);
/* Sets its queues up and starts it. RN_OK, or RN_ERR_SYS with why, the device removed. */
int rn_ethdev_start(struct rn_port *p, const struct rn_port_config *cfg, char *why,
                    size_t why_bytes);

/* Functions of a driver. */
uint16_t rn_ethdev_rx(struct rn_port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n);
uint16_t rn_ethdev_tx(struct rn_port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n);
void rn_ethdev_close(struct rn_port *p);
