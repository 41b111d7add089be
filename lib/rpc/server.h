/* lib/rpc/server.h: the server side of RPC over the streams of lib/quic. Sans-IO; one lcore owns each server.
 *
 * The owner of the endpoint passes stream events of server-role connections on to the functions below. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "quic/quic.h"
#include "rpc/handler.h"
#include "rpc/stats.h"

struct rn_rpc_server;

struct rn_rpc_server_limits {
  uint32_t
      calls; /* call objects: incomplete requests, unanswered and streaming calls; 1..16,777,216 */
  size_t body_bytes; /* for requests that span datagrams and for large answers; >= 64 KiB */
  uint32_t methods;  /* 1..4,096 */
};

struct rn_rpc_server_config {
  size_t max_request_bytes; /* a whole unary request, 32..1 GiB */
  size_t max_item_bytes;    /* one streaming item, 1..1 GiB */
  uint64_t
      request_timeout_ns; /* from the first byte to the last, and from the last byte to the answer; 0: none */
  size_t max_response_bytes; /* a unary call's result; 0: no limit */
  uint64_t
      stream_item_timeout_ns; /* how long a streaming peer may be silent before its end; 0: none */
};

/* SWIM messages come on the same port (docs/protocol.md, "Gossip"). NULL: answered as a node without a cluster does, with FIN. */
typedef void (*rn_rpc_gossip)(void *ctx, struct rn_quic_stream *s, const uint8_t *msg, size_t len);

/* Bytes needed, 64-byte aligned; 0 if a limit is out of range. */
size_t rn_rpc_server_footprint(const struct rn_rpc_server_limits *lim);
/* Formats mem, which stays the caller's. RN_OK or RN_ERR_INVAL. Nothing to release. */
int rn_rpc_server_init(void *mem, const struct rn_rpc_server_limits *lim,
                       const struct rn_rpc_server_config *cfg, struct rn_rpc_server **out);
/* New values hold for requests that come later. RN_OK or RN_ERR_INVAL. */
int rn_rpc_server_configure(struct rn_rpc_server *v, const struct rn_rpc_server_config *cfg);
void rn_rpc_server_on_gossip(struct rn_rpc_server *v, rn_rpc_gossip fn, void *ctx);

/* Adds a method; h is kept, not copied. RN_OK, RN_ERR_EXIST, RN_ERR_LIMIT, or RN_ERR_INVAL for an unusable name. */
int rn_rpc_server_add(struct rn_rpc_server *v, const struct rn_handler *h);

/* Limits of one method's own, in place of the configured ones; 0: none of its own. max_request_bytes counts the params. RN_OK, or
 * RN_ERR_NOENT when no handler has that name. */
int rn_rpc_server_limit(struct rn_rpc_server *v, const char *method, uint64_t request_timeout_ns,
                        size_t max_request_bytes);

/* One pointer for handlers to find their driver's state by; NULL at first. */
void rn_rpc_server_set_user(struct rn_rpc_server *v, const void *user);

/* Stream events, as in struct rn_quic_events. */
int rn_rpc_server_stream_open(struct rn_rpc_server *v, struct rn_quic_stream *s);
void rn_rpc_server_stream_data(struct rn_rpc_server *v, struct rn_quic_stream *s,
                               const uint8_t *data, size_t len, bool fin);
void rn_rpc_server_stream_reset(struct rn_rpc_server *v, struct rn_quic_stream *s);
void rn_rpc_server_stream_stop(struct rn_rpc_server *v, struct rn_quic_stream *s);
void rn_rpc_server_stream_writable(struct rn_rpc_server *v, struct rn_quic_stream *s);
void rn_rpc_server_stream_closed(struct rn_rpc_server *v, struct rn_quic_stream *s);

/* When rn_rpc_server_timers must be called next; UINT64_MAX: no timer is set. */
uint64_t rn_rpc_server_next_expiry(const struct rn_rpc_server *v);
void rn_rpc_server_timers(struct rn_rpc_server *v, uint64_t now_ns);

/* The counters so far; the pointer stays valid. */
const struct rn_rpc_stats *rn_rpc_server_stats(const struct rn_rpc_server *v);
/* RN_OK or RN_ERR_STATE. For simulations and fuzzers: slow. */
int rn_rpc_server_check(const struct rn_rpc_server *v);
