/* control/admin.h: the unix socket that rpcnetctl talks to. On the event loop.
 *
 * A client sends one line, {"request": NAME} and what NAME takes, gets one line, {"ok": true, "result": ...} or {"ok": false, "error": "..."}, and
 * the connection ends. After the line of qlog, which has no result, comes the log, until its time is over.
 *
 *   status, stats
 *   trace         "count": the newest so many of each lcore; "after": [number per lcore], only newer ones
 *   connections   "lcore": only of this one; "limit": at most so many
 *   secrets       "action": "rotate" or "reload"; absent: the epochs that there are
 *   qlog          "connection": its name, or "client": the next one from this address (absent: from any); "seconds": how long, 1..3600 */
#pragma once
#include <uv.h>

#include "control/node.h"

#define RN_ADMIN_LINE_MAX    4096u
#define RN_ADMIN_CLIENTS_MAX 16u
#define RN_ADMIN_TIMEOUT_MS  5000u

struct rn_admin;

/* Serves the listening socket fd (taken over). RN_OK or RN_ERR_SYS. n outlives it. */
int rn_admin_new(uv_loop_t *loop, int fd, struct rn_node *n, struct rn_admin **out);
