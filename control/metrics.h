/* control/metrics.h: a node's metrics in the Prometheus text format 0.0.4. On the event loop. */
#pragma once
#include <stddef.h>

#include "control/node.h"

/* Reads the statistics pages, which keeps no lcore waiting, and writes everything that lib/schema/metrics declares. Without a data plane what lcores count
 * is absent; a data plane that starts again counts from zero. Returns text for the caller to free(), of *len bytes; NULL when memory is out. */
char *rn_metrics_text(struct rn_node *n, size_t *len);
