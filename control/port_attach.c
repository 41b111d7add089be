/* control/port_attach.c */
#include "control/port_attach.h"

#include <stdio.h>

#include "control/bpf/loader.h"
#include "control/udp_guard.h"
#include "util/err.h"

void rn_port_attach_init(struct rn_port_attach *a) {
  *a = (struct rn_port_attach){ .guard_fds = { -1, -1 } };
}

/* Without its program a node works, with a cost that the note names; unless the configuration insists. */
static int attach_bpf(struct rn_port_attach *a, const struct rn_config_port *port, char *why,
                      size_t why_bytes) {
  char reason[256] = "";
  if (port->bpf == RN_CONFIG_BPF_OFF)
    return RN_OK;
  int err = rn_bpf_attach(port->interface, &a->links, reason, sizeof(reason));
  if (err == RN_ERR_NOENT || (err != RN_OK && port->bpf == RN_CONFIG_BPF_REQUIRED)) {
    snprintf(why, why_bytes, "%s", reason);
    return RN_ERR_CONFIG;
  }
  a->bpf_attached = err == RN_OK;
  if (err != RN_OK)
    snprintf(a->note, sizeof(a->note), "%s", reason);
  else if (rn_bpf_kind(a->links) == RN_BPF_GENERIC)
    snprintf(a->note, sizeof(a->note),
             "%s: its driver knows no XDP: frames above the MTU are possible", port->interface);
  return RN_OK;
}

int rn_port_attach(struct rn_port_attach *a, const struct rn_config_port *port, char *why,
                   size_t why_bytes) {
  if (a->done || port->driver != RN_TOPO_AF_PACKET)
    return RN_OK;
  int err = attach_bpf(a, port, why, why_bytes);
  if (err == RN_OK && port->mode == RN_TOPO_SHARED)
    err = rn_udp_guard_open(port->interface, (uint16_t)port->listen_port, a->guard_fds, why,
                            why_bytes);
  if (err != RN_OK) {
    rn_port_attach_release(a);
    return err;
  }
  a->done = true;
  return RN_OK;
}

void rn_port_attach_release(struct rn_port_attach *a) {
  rn_bpf_release(a->links);
  a->links = NULL;
  rn_udp_guard_close(a->guard_fds);
  a->done = a->bpf_attached = false;
}
