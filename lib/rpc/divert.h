/* lib/rpc/divert.h: calls that leave the server before they are complete. Whoever takes one gets its stream, the bytes that have come and those that
 * will, and answers by himself. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quic/quic.h"
#include "rpc/handler.h"

struct rn_rpc_taken;

/* Events of a taken stream, as in struct rn_quic_events; its data has had no credit. */
struct rn_rpc_taker {
  void (*data)(struct rn_rpc_taken *t, struct rn_quic_stream *s, const uint8_t *data, size_t len,
               bool fin);
  void (*reset)(struct rn_rpc_taken *t, struct rn_quic_stream *s);
  void (*stop)(struct rn_rpc_taken *t, struct rn_quic_stream *s);
  void (*writable)(struct rn_rpc_taken *t, struct rn_quic_stream *s);
  void (*closed)(struct rn_rpc_taken *t, struct rn_quic_stream *s);
};

/* What the user pointer of each stream of a server points to begins with this. */
struct rn_rpc_taken {
  const struct rn_rpc_taker *taker; /* NULL: the server's own */
};

/* Asked about each call as soon as the name of its method is there, before the server's own handlers. */
struct rn_rpc_diversion {
  /* Something that take understands, or NULL: the call stays here. name: text without control characters, of 1 to 1,023 bytes, not
   * NUL-terminated. Nobody is asked about streaming methods with names of less than three bytes. */
  void *(*route)(void *ctx, enum rn_handler_kind kind, const char *name, size_t len);
  /* The stream is the taker's from now on, which sets the stream's user to something that begins with struct rn_rpc_taken. bytes[0..len), at least
   * all up to the end of the name, are what came so far; they have had no credit. fin: no more will. */
  void (*take)(void *ctx, void *route, enum rn_handler_kind kind, struct rn_quic_stream *s,
               const uint8_t *bytes, size_t len, bool fin);
  void *ctx;
};
