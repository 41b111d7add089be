/* control/http.h: metrics and health over HTTP. On the event loop.
 *
 *   GET /metrics        Prometheus text, control/metrics.h; at most 100 ms old
 *   GET /health/live    200: this process runs its loop
 *   GET /health/ready   200, or 503 with the reason: control/health.h
 *
 * One connection is one exchange. It has to be over within timeout_ms, whoever is slow, and its request has to fit into RN_HTTP_REQUEST_MAX. */
#pragma once
#include <stdint.h>

#include <uv.h>

#include "control/node.h"

#define RN_HTTP_REQUEST_MAX                                                                        \
  8192u /* bytes of a request and its headers, and of those of the answer */
#define RN_HTTP_TIMEOUT_MS 5000u
#define RN_HTTP_CACHE_MS   100u

struct rn_http_limits {
  uint32_t connections; /* at least 1 */
  uint32_t timeout_ms;
};

struct rn_http;

/* Serves the listening socket fd (taken over). Counts in n->stats. RN_OK or RN_ERR_SYS, after which nothing is left. n outlives it. */
int rn_http_new(uv_loop_t *loop, int fd, const struct rn_http_limits *limits, struct rn_node *n,
                struct rn_http **out);

/* Ends every connection; the memory goes with the next turns of the loop. NULL is fine. */
void rn_http_close(struct rn_http *h);
