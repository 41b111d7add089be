/* control/status.h: what rpcnetctl shows, as JSON. The event loop's thread. */
#pragma once
#include <stddef.h>

#include <yyjson.h>

#include "control/node.h"

/* {"ok": true, "result": <result>}, to be filled; NULL when memory is out. The caller's to free. */
yyjson_mut_doc *rn_status_answer(yyjson_mut_val **result);

/* Texts are the caller's to free(); NULL when memory is out. */
char *rn_status_json(struct rn_node *n, size_t *len);
char *rn_stats_json(struct rn_node *n, size_t *len);
char *rn_status_error_json(const char *text, size_t *len);
