/* lib/rpc/server.h: the server side of RPC over the streams of lib/quic. Sans-IO; one lcore owns each server.
 *
 * The owner of the endpoint passes stream events of server-role connections on to the functions below. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quic/quic.h"
#include "rpc/divert.h"
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

/* A SWIM message is gathered up to here; a longer one is refused. */
#define RN_RPC_GOSSIP_MAX 8192u

/* How a unary call ended, once its request was complete. */
enum rn_rpc_outcome {
  RN_RPC_RESULT,
  RN_RPC_ERROR,      /* an error text was queued */
  RN_RPC_UNANSWERED, /* nothing could be queued */
  RN_RPC_CANCELLED,  /* the peer gave up or is gone */
};

/* A unary call whose handler is about to run. */
struct rn_rpc_begun {
  const struct rn_quic_stream *s;
  const char *method; /* as received: not NUL-terminated, may be of no handler */
  size_t method_bytes;
  size_t params_bytes;
};

/* Looks at unary calls from beside; may not act on them. */
struct rn_rpc_watch {
  /* A call was answered later than in the moment (now_ns) in which its last byte came, since_ns. Those answered at once are counted, see
   * rn_rpc_server_answered_at_once. */
  void (*answered_late)(void *ctx, uint64_t since_ns);
  /* While the server is armed. 0: not of interest; else the number under which `ended` is told. */
  uint8_t (*begun)(void *ctx, const struct rn_rpc_begun *b);
  /* bytes: of the result or the error text. */
  void (*ended)(void *ctx, uint8_t number, enum rn_rpc_outcome how, size_t bytes);
  void *ctx;
};

/* Bytes needed, 64-byte aligned; 0 if a limit is out of range. */
size_t rn_rpc_server_footprint(const struct rn_rpc_server_limits *lim);
/* Formats mem, which stays the caller's. RN_OK or RN_ERR_INVAL. Nothing to release. */
int rn_rpc_server_init(void *mem, const struct rn_rpc_server_limits *lim,
                       const struct rn_rpc_server_config *cfg, struct rn_rpc_server **out);
/* New values hold for requests that come later. RN_OK or RN_ERR_INVAL. */
int rn_rpc_server_configure(struct rn_rpc_server *v, const struct rn_rpc_server_config *cfg);
/* SWIM messages come on the same port (docs/protocol.md, "Gossip"). h, of kind RN_HANDLER_GOSSIP, is kept, not copied; it has no deadline but those
 * that it sets itself. NULL: they are answered as a node without a cluster does, with FIN. */
void rn_rpc_server_on_gossip(struct rn_rpc_server *v, const struct rn_handler *h);

/* d is kept, not copied; NULL: no call leaves. */
void rn_rpc_server_divert(struct rn_rpc_server *v, const struct rn_rpc_diversion *d);

/* Adds a method; h is kept, not copied. RN_OK, RN_ERR_EXIST, RN_ERR_LIMIT, or RN_ERR_INVAL for an unusable name. */
int rn_rpc_server_add(struct rn_rpc_server *v, const struct rn_handler *h);

/* As add, but in place of a handler of that name and kind where there is one, whose limits it takes over. Before the first call. */
int rn_rpc_server_replace(struct rn_rpc_server *v, const struct rn_handler *h);

/* Limits of one method's own, in place of the configured ones; 0: none of its own. max_request_bytes counts the params. RN_OK, or
 * RN_ERR_NOENT when no handler has that name. */
int rn_rpc_server_limit(struct rn_rpc_server *v, const char *method, uint64_t request_timeout_ns,
                        size_t max_request_bytes);

/* From now on new calls get an error instead of their handler; those that are there go on, and gossip does. Not to be undone. */
void rn_rpc_server_drain(struct rn_rpc_server *v);

/* One pointer for handlers to find their driver's state by; NULL at first. */
void rn_rpc_server_set_user(struct rn_rpc_server *v, const void *user);

/* w is kept, not copied; NULL: nobody looks. A watched server is armed or not: calls that begin while it is are told to w->begun. */
void rn_rpc_server_watch(struct rn_rpc_server *v, const struct rn_rpc_watch *w);
void rn_rpc_server_arm(struct rn_rpc_server *v, bool armed);

/* Unary calls answered in the moment in which their last byte came, since this was last asked. */
uint32_t rn_rpc_server_answered_at_once(struct rn_rpc_server *v);

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
/* Tests: from now on every n-th call object, or body, is refused as if there were none; 0: none. Return how many were since the last call.
 * Only in builds that refuse, util/refuse.h. */
uint64_t rn_rpc_server_fail_calls(struct rn_rpc_server *v, uint32_t n);
uint64_t rn_rpc_server_fail_bodies(struct rn_rpc_server *v, uint32_t n);
/* RN_OK or RN_ERR_STATE. For simulations and fuzzers: slow. */
int rn_rpc_server_check(const struct rn_rpc_server *v);
