/* lib/rpc/classify.h: what a new stream carries, from all bytes that have come so far. Nothing on the wire says it (docs/protocol.md,
 * "Telling them apart"). */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "rpc/handler.h"

enum rn_rpc_class {
  RN_RPC_MORE,           /* cannot tell yet */
  RN_RPC_UNARY,          /* RpcRequest; its method may be unknown, the rest may be missing */
  RN_RPC_STREAM,         /* a registered streaming method: *handler, *name_bytes */
  RN_RPC_STREAM_UNKNOWN, /* reads like a streaming method that nobody registered: *name_bytes */
  RN_RPC_SWIM,
  RN_RPC_BAD,
};

struct rn_rpc_methods; /* the table of handlers, rpc/methods.h */

/* Any bytes are safe. */
enum rn_rpc_class rn_rpc_classify(const struct rn_rpc_methods *m, const uint8_t *buf, size_t len,
                                  const struct rn_handler **handler, size_t *name_bytes);
