/* dataplane/port/ethdev.c */
#include "dataplane/port/ethdev.h"

#include <stdio.h>
#include <string.h>

#include <rte_bus_vdev.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

static int refuse(char *why, size_t why_bytes, const char *name, const char *what, int err) {
  snprintf(why, why_bytes, "%s: %s: %s", name, what, rte_strerror(-err));
  return RN_ERR_SYS;
}

int rn_ethdev_make(struct rn_port *p, const char *name, const char *args, char *why,
                   size_t why_bytes) {
  int err = rte_vdev_init(name, args);
  if (err != 0)
    return refuse(why, why_bytes, name, "the device cannot be made", err);
  err = rte_eth_dev_get_port_by_name(name, &p->ethdev);
  if (err != 0) {
    (void)rte_vdev_uninit(name);
    return refuse(why, why_bytes, name, "the device is not there", err);
  }
  return RN_OK;
}

static int queues(struct rn_port *p, const struct rn_port_config *cfg) {
  const struct rte_eth_conf conf = { .rxmode = { .mq_mode = RTE_ETH_MQ_RX_NONE } };
  int err = rte_eth_dev_configure(p->ethdev, cfg->queues, cfg->queues, &conf);
  uint16_t rx_descs = cfg->rx_descs, tx_descs = cfg->tx_descs;
  if (err == 0)
    err = rte_eth_dev_adjust_nb_rx_tx_desc(p->ethdev, &rx_descs, &tx_descs);
  for (uint16_t i = 0; i < cfg->queues && err == 0; i++) {
    err = rte_eth_rx_queue_setup(p->ethdev, i, rx_descs, (unsigned int)SOCKET_ID_ANY, NULL,
                                 p->pools[i]);
    if (err == 0)
      err = rte_eth_tx_queue_setup(p->ethdev, i, tx_descs, (unsigned int)SOCKET_ID_ANY, NULL);
  }
  return err;
}

int rn_ethdev_start(struct rn_port *p, const struct rn_port_config *cfg, char *why,
                    size_t why_bytes) {
  const char *what = "its queues cannot be set up";
  int err = queues(p, cfg);
  if (err == 0) {
    what = "the device does not start";
    err = rte_eth_dev_start(p->ethdev);
  }
  if (err == 0)
    return RN_OK;
  char name[RTE_ETH_NAME_MAX_LEN] = "device";
  (void)rte_eth_dev_get_name_by_port(p->ethdev, name);
  rn_ethdev_close(p);
  return refuse(why, why_bytes, name, what, err);
}

uint16_t rn_ethdev_rx(struct rn_port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n) {
  return rte_eth_rx_burst(p->ethdev, queue, m, n);
}

uint16_t rn_ethdev_tx(struct rn_port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n) {
  return rte_eth_tx_burst(p->ethdev, queue, m, n);
}

void rn_ethdev_close(struct rn_port *p) {
  char name[RTE_ETH_NAME_MAX_LEN];
  bool named = rte_eth_dev_get_name_by_port(p->ethdev, name) == 0;
  (void)rte_eth_dev_stop(p->ethdev);
  (void)rte_eth_dev_close(p->ethdev);
  if (named)
    (void)rte_vdev_uninit(name);
}
