/* dataplane/port/kernel.h: what the kernel knows of a network interface, by rtnetlink: its addresses and default routers, and that they
 * changed. Needs no privilege. One thread owns each. */
#pragma once
#include <stdbool.h>

#include "dataplane/net/net.h"
#include "dataplane/port/port.h"

struct rn_kernel {
  int fd; /* readable when something changed */
  unsigned int ifindex;
  uint32_t seq;
};

/* Opens a watch on an interface. RN_OK; RN_ERR_NOENT or RN_ERR_SYS. */
int rn_kernel_open(const char *interface, struct rn_kernel *out);
void rn_kernel_close(struct rn_kernel *k);

/* Fills in addrs, addr_count, gateway4 and gateway6 of nif. Addresses beyond RN_NET_ADDRS_MAX are left out. RN_OK, or RN_ERR_SYS
 * with nif unchanged. */
int rn_kernel_addrs(struct rn_kernel *k, struct rn_net_if *nif);

/* Reads what was announced since the last call: true when addresses or routes changed, or announcements were lost. One system call when
 * there are none. */
bool rn_kernel_changed(struct rn_kernel *k);

/* The frames' view of an open port: the profile's addresses in owned mode, the kernel's (k) in shared mode. k may be NULL for a port
 * without a kernel interface. flow_key: random. RN_OK; RN_ERR_INVAL, or RN_ERR_SYS from rn_kernel_addrs. */
int rn_kernel_if(const struct rn_port *p, const struct rn_topo_port *profile, struct rn_kernel *k,
                 uint32_t flow_key, struct rn_net_if *out);
