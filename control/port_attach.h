/* control/port_attach.h: what rpcnetd holds on the node's interface for the node's whole life. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "control/config.h"

struct rn_bpf_links;

struct rn_port_attach {
  bool done;         /* attached, as far as the configuration asks */
  bool bpf_attached; /* our programs sit on the interface */
  struct rn_bpf_links *links;
  int guard_fds[2]; /* -1: none */
  char note[256];   /* why there are no programs; empty: there are, or none are wanted */
};

void rn_port_attach_init(struct rn_port_attach *a);
/* Once; again does nothing. RN_OK; RN_ERR_CONFIG or RN_ERR_SYS with why, when what is required is not possible. */
int rn_port_attach(struct rn_port_attach *a, const struct rn_config_port *port, char *why,
                   size_t why_bytes);
void rn_port_attach_release(struct rn_port_attach *a);
