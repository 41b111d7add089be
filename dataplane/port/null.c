/* dataplane/port/null.c: no packets at all: for trying a node out, and for what a loop costs without a driver. */
#include "dataplane/port/drivers.h"
#include "dataplane/port/ethdev.h"

static int probe(const struct rn_topo_port *profile, struct rn_port_info *out, char *why,
                 size_t why_bytes) {
  (void)why;
  (void)why_bytes;
  uint16_t mtu = profile->mtu != 0 ? profile->mtu : 1500;
  *out = (struct rn_port_info){ .mtu = mtu, .mac = { 2, 0, 0, 0, 0, 1 }, .frame_bytes = mtu + 32u };
  return RN_OK;
}

static int open_port(struct rn_port *p, const struct rn_port_config *cfg, char *why,
                     size_t why_bytes) {
  int err = rn_ethdev_make(p, "net_null0", "no-rx=1", why, why_bytes);
  return err == RN_OK ? rn_ethdev_start(p, cfg, why, why_bytes) : err;
}

static uint64_t missed(struct rn_port *p, uint16_t queue) {
  (void)p;
  (void)queue;
  return 0;
}

const struct rn_port_driver rn_port_null = {
  .name = "null",
  .id = RN_TOPO_NULL,
  .flows_stay = true,
  .probe = probe,
  .open = open_port,
  .rx_burst = rn_ethdev_rx,
  .tx_burst = rn_ethdev_tx,
  .missed = missed,
  .close = rn_ethdev_close,
};
