/* lib/rpc/methods.h: handlers by name. Filled at start, read only after. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/handler.h"

struct rn_rpc_methods;

/* Bytes needed, 64-byte aligned; 0 when capacity is 0 or above 4,096. */
size_t rn_rpc_methods_footprint(uint32_t capacity);
void rn_rpc_methods_init(void *mem, uint32_t capacity, struct rn_rpc_methods **out);
/* h is kept. RN_OK, RN_ERR_EXIST, RN_ERR_LIMIT, or RN_ERR_INVAL: empty, longer than 1,023 bytes or not UTF-8. */
int rn_rpc_methods_add(struct rn_rpc_methods *m, const struct rn_handler *h);
/* As add, but in place of one of that name and kind where there is one, whose limits it takes over. */
int rn_rpc_methods_replace(struct rn_rpc_methods *m, const struct rn_handler *h);
/* What one method may have of its own; both 0: as all the others. */
struct rn_rpc_method_limits {
  uint64_t request_timeout_ns;
  size_t max_request_bytes;
};
/* For every kind of this name. RN_OK, or RN_ERR_NOENT. */
int rn_rpc_methods_limit(struct rn_rpc_methods *m, const char *name,
                         const struct rn_rpc_method_limits *lim);

/* A handler and the limits of its method. */
struct rn_rpc_method {
  const struct rn_handler *h;
  struct rn_rpc_method_limits lim;
};

/* NULL when there is none of this name and kind. */
const struct rn_rpc_method *rn_rpc_methods_find(const struct rn_rpc_methods *m,
                                                enum rn_handler_kind kind, const char *name,
                                                size_t len);
/* Whether a streaming method of full_len bytes starts with these len bytes (len <= full_len). */
bool rn_rpc_methods_may_stream(const struct rn_rpc_methods *m, const uint8_t *start, size_t len,
                               size_t full_len);
