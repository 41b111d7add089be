/* dataplane/serve/builtin.h: the methods every node has (docs/protocol.md, "Built-in methods"). No DPDK here: test servers link it too. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "rpc/server.h"

/* What health and ready tell; kept up to date by the driver, read at each call. */
struct rn_builtin_info {
  const char *version;
  char label[256];   /* what Inference.generate calls this node: its id in the cluster */
  uint64_t start_ns; /* of the clock that drives the server */
  bool healthy, ready;
  uint64_t workers_available, cluster_size;
};

/* Adds all of them to v. info stays the caller's and must outlive v. RN_OK, or what rn_rpc_server_add says. */
int rn_builtin_add(struct rn_rpc_server *v, const struct rn_builtin_info *info);
#define RN_BUILTIN_COUNT 15
