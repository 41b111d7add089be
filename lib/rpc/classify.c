/* lib/rpc/classify.c */
#include "rpc/classify.h"
#include "rpc/methods.h"
#include "wire/rpc.h"

#define UNARY_LENGTHS_AT 16 /* id and the method's length stand before */
#define SWIM_TAGS        3u /* Ping, Ack, PingReq */
#define SWIM_NODE_ID_MAX 255u

/* "u32 length, name" of a registered method wins over every other reading of the same bytes. */
static enum rn_rpc_class as_streaming(const struct rn_rpc_methods *m, const uint8_t *buf,
                                      size_t len, size_t name_bytes,
                                      const struct rn_handler **handler) {
  size_t have = len - 4 < name_bytes ? len - 4 : name_bytes;
  if (have > 0 && buf[4] == 0)
    return RN_RPC_BAD; /* the high half of a small id: no name begins with NUL */
  if (have < name_bytes)
    return rn_rpc_methods_may_stream(m, buf + 4, have, name_bytes) ? RN_RPC_MORE : RN_RPC_BAD;
  const struct rn_rpc_method *e =
      rn_rpc_methods_find(m, RN_HANDLER_STREAMING, (const char *)buf + 4, name_bytes);
  if (e == NULL)
    return RN_RPC_BAD;
  *handler = e->h;
  return RN_RPC_STREAM;
}

enum rn_rpc_class rn_rpc_classify(const struct rn_rpc_methods *m, const uint8_t *buf, size_t len,
                                  const struct rn_handler **handler, size_t *name_bytes) {
  if (len < 4)
    return RN_RPC_MORE;
  uint32_t first = rn_wire_u32(buf);
  bool name_possible = first >= 1 && first <= RN_WIRE_NAME_BYTES_MAX;
  if (name_possible) {
    enum rn_rpc_class k = as_streaming(m, buf, len, first, handler);
    *name_bytes = first;
    if (k != RN_RPC_BAD)
      return k;
  }
  if (len < UNARY_LENGTHS_AT)
    return RN_RPC_MORE;
  uint64_t from_bytes = rn_wire_u64(buf + 4), method_bytes = rn_wire_u64(buf + 8);
  if (first < SWIM_TAGS && from_bytes >= 1 && from_bytes <= SWIM_NODE_ID_MAX)
    return RN_RPC_SWIM;
  if (method_bytes <= RN_WIRE_NAME_BYTES_MAX) {
    if (len - UNARY_LENGTHS_AT < method_bytes ||
        rn_wire_utf8_ok(buf + UNARY_LENGTHS_AT, (size_t)method_bytes))
      return RN_RPC_UNARY;
  }
  if (!name_possible)
    return RN_RPC_BAD;
  if (len - 4 < first)
    return RN_RPC_MORE;
  return rn_wire_utf8_ok(buf + 4, first) ? RN_RPC_STREAM_UNKNOWN : RN_RPC_BAD;
}
