/* lib/wire/rpc.h: the bytes of unary calls and of streaming frames (docs/protocol.md, "Unary" and "Streaming").
 *
 * bincode 1.3: little endian, lengths u64, Option u8. Decoding points into the caller's bytes and never allocates; a decoder says how many
 * bytes it needs in all as soon as the lengths are there, so that nobody parses twice. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RpcRequest { id, method, params }; the pointers point into the decoded bytes. */
struct rn_wire_request {
  uint64_t id;
  const char *method; /* UTF-8, no NUL at the end */
  const uint8_t *params;
  size_t method_bytes;
  size_t params_bytes;
};

/* RpcResponse { id, result: Option, error: Option }. */
struct rn_wire_response {
  uint64_t id;
  const uint8_t *result; /* NULL: None */
  const char *error;     /* NULL: None; UTF-8 */
  size_t result_bytes;
  size_t error_bytes;
};

#define RN_WIRE_REQUEST_HEAD_BYTES(method_bytes) (24 + (size_t)(method_bytes))
#define RN_WIRE_RESULT_HEAD_BYTES                17
#define RN_WIRE_ERROR_HEAD_BYTES                 18
#define RN_WIRE_NAME_BYTES_MAX                   1023 /* of a streaming method */

/* Any bytes are safe; bytes behind the message are left alone. max_bytes: the largest message accepted.
 * RN_OK with *used; RN_ERR_SHORT with *need, a lower bound of the message's length, exact once the lengths are there; RN_ERR_TOOBIG;
 * RN_ERR_PROTO (method is not UTF-8). Other outputs are untouched on error. */
int rn_wire_request_get(const uint8_t *buf, size_t len, size_t max_bytes,
                        struct rn_wire_request *out, size_t *used, size_t *need);
/* Writes everything before the params to out[RN_WIRE_REQUEST_HEAD_BYTES]. */
void rn_wire_request_head(uint8_t *out, uint64_t id, const char *method, size_t method_bytes,
                          size_t params_bytes);

/* As rn_wire_request_get; also RN_ERR_PROTO for an Option tag that is neither 0 nor 1. */
int rn_wire_response_get(const uint8_t *buf, size_t len, size_t max_bytes,
                         struct rn_wire_response *out, size_t *used, size_t *need);
/* Writes everything before the result; behind the result follows one zero byte. */
void rn_wire_result_head(uint8_t out[RN_WIRE_RESULT_HEAD_BYTES], uint64_t id, size_t result_bytes);
/* Writes everything before the error's text; nothing follows it. */
void rn_wire_error_head(uint8_t out[RN_WIRE_ERROR_HEAD_BYTES], uint64_t id, size_t text_bytes);

/* One frame of a stream: u32 length, then bytes; length 0 ends the direction.
 * RN_OK with *item, *item_bytes (0: end marker) and *used; RN_ERR_SHORT with *need; RN_ERR_TOOBIG. */
int rn_wire_frame_get(const uint8_t *buf, size_t len, size_t max_item_bytes, const uint8_t **item,
                      size_t *item_bytes, size_t *used, size_t *need);

/* Whether text[0..len) is well-formed UTF-8 (RFC 3629); any bytes are safe. */
bool rn_wire_utf8_ok(const void *text, size_t len);

static inline uint32_t rn_wire_u32(const uint8_t *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t rn_wire_u64(const uint8_t *p) {
  return rn_wire_u32(p) | (uint64_t)rn_wire_u32(p + 4) << 32;
}
static inline void rn_wire_put_u32(uint8_t *p, uint32_t v) {
  p[0] = (uint8_t)v, p[1] = (uint8_t)(v >> 8), p[2] = (uint8_t)(v >> 16), p[3] = (uint8_t)(v >> 24);
}
static inline void rn_wire_put_u64(uint8_t *p, uint64_t v) {
  rn_wire_put_u32(p, (uint32_t)v);
  rn_wire_put_u32(p + 4, (uint32_t)(v >> 32));
}
