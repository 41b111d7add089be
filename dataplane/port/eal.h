/* dataplane/port/eal.h: DPDK's environment. Its arguments are built here and nowhere else: users configure a node, not EAL. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "topo/topo.h"
#include "util/err.h"

struct rn_eal_config {
  uint32_t lcore_count;             /* 1..RN_TOPO_LCORES_MAX */
  int32_t cpus[RN_TOPO_LCORES_MAX]; /* core of each; -1: wherever this process may run */
  uint32_t memory_mb;               /* for packet buffers, >= 16 */
  bool hugepages;                   /* else ordinary pages */
  bool nic;                         /* a PCI device will be opened */
};

/* Once per process, on the main thread, which becomes lcore 0. DPDK's own messages go to the log at level debug, its errors as warnings.
 * RN_OK, or RN_ERR_SYS with the reason in why; EAL cannot be tried a second time. */
int rn_eal_init(const struct rn_eal_config *cfg, char *why, size_t why_bytes);

/* Runs fn(args[i]) on lcore i, for all; the calling thread is lcore 0. Returns when all have returned: the first result that is not
 * RN_OK, or RN_OK. */
int rn_eal_run(int (*fn)(void *arg), void *const *args, uint32_t lcore_count);

void rn_eal_fini(void);
