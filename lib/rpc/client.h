/* lib/rpc/client.h: the client side of RPC over the streams of lib/quic. Sans-IO; one thread owns each client.
 *
 * The owner of the endpoint passes stream events of client-role connections on to the functions below. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quic/quic.h"

struct rn_rpc_client;
struct rn_rpc_client_call; /* one call; valid until its done callback returns */

struct rn_rpc_client_limits {
  uint32_t calls;    /* calls outstanding, 1..16,777,216 */
  size_t body_bytes; /* for answers that span datagrams, >= 64 KiB */
};

/* How a call ended: err RN_OK with the result, or the error and its text as the reference's client would give it ("Stream error: ...",
 * "Request timeout", ...). Everything is valid during the callback. */
struct rn_rpc_result {
  int err; /* RN_ERR_REFUSED: the peer answered with an error; RN_ERR_TIMEOUT, RN_ERR_CLOSED, RN_ERR_PROTO, RN_ERR_LIMIT */
  const uint8_t *data;
  size_t len;
  char text[256]; /* cut if longer */
  uint64_t id;
};

typedef void (*rn_rpc_done)(void *user, struct rn_rpc_client_call *call,
                            const struct rn_rpc_result *r);

struct rn_rpc_stream_events {
  void (*item)(void *user, struct rn_rpc_client_call *call, const uint8_t *data, size_t len);
  /* rn_rpc_client_send may succeed again. May be NULL. */
  void (*writable)(void *user, struct rn_rpc_client_call *call);
  /* The peer's end marker or FIN (err RN_OK), or what went wrong. Last event. */
  rn_rpc_done done;
};

/* Bytes needed, 64-byte aligned; 0 if a limit is out of range. */
size_t rn_rpc_client_footprint(const struct rn_rpc_client_limits *lim);
/* max_response_bytes: of one answer or item, 32..1 GiB. RN_OK or RN_ERR_INVAL. Nothing to release. */
int rn_rpc_client_init(void *mem, const struct rn_rpc_client_limits *lim, size_t max_response_bytes,
                       struct rn_rpc_client **out);

/* A unary call. Method and params are copied. timeout_ns 0: none. RN_OK, and done is called once; RN_ERR_AGAIN (peer's stream limit),
 * RN_ERR_LIMIT, RN_ERR_STATE (connection not ready), RN_ERR_INVAL: nothing was sent and done is not called. out may be NULL. */
int rn_rpc_client_call(struct rn_rpc_client *v, struct rn_quic_conn *conn, const char *method,
                       const void *params, size_t len, uint64_t timeout_ns, rn_rpc_done done,
                       void *user, struct rn_rpc_client_call **out);

/* A streaming call. idle_timeout_ns: longest time between two items; 0: none. Errors as above. */
int rn_rpc_client_stream(struct rn_rpc_client *v, struct rn_quic_conn *conn, const char *method,
                         uint64_t idle_timeout_ns, const struct rn_rpc_stream_events *ev,
                         void *user, struct rn_rpc_client_call **out);
/* One item, len > 0. RN_OK, RN_ERR_AGAIN (writable follows), RN_ERR_INVAL or RN_ERR_CLOSED. */
int rn_rpc_client_send(struct rn_rpc_client_call *call, const void *data, size_t len);
/* No more items from us: end marker. Idempotent. RN_OK or RN_ERR_AGAIN (writable follows). */
int rn_rpc_client_send_end(struct rn_rpc_client_call *call);

/* Gives up: FIN and STOP_SENDING(0), as the reference's client does. done is called, with RN_ERR_CANCEL, before this returns. */
void rn_rpc_client_cancel(struct rn_rpc_client_call *call);

/* Stream events, as in struct rn_quic_events. */
void rn_rpc_client_stream_data(struct rn_rpc_client *v, struct rn_quic_stream *s,
                               const uint8_t *data, size_t len, bool fin);
void rn_rpc_client_stream_reset(struct rn_rpc_client *v, struct rn_quic_stream *s);
void rn_rpc_client_stream_writable(struct rn_rpc_client *v, struct rn_quic_stream *s);
void rn_rpc_client_stream_closed(struct rn_rpc_client *v, struct rn_quic_stream *s);

/* When rn_rpc_client_timers must be called next; UINT64_MAX: no timer is set. */
uint64_t rn_rpc_client_next_expiry(const struct rn_rpc_client *v);
void rn_rpc_client_timers(struct rn_rpc_client *v, uint64_t now_ns);
uint32_t rn_rpc_client_calls(const struct rn_rpc_client *v); /* outstanding */
/* How often a limit was hit. */
uint64_t rn_rpc_client_call_limit(const struct rn_rpc_client *v); /* calls not started */
uint64_t rn_rpc_client_body_limit(const struct rn_rpc_client *v); /* answers not gathered */
/* Tests: from now on every n-th call object, or body, is refused as if there were none; 0: none. Return how many were since the last call.
 * Only in builds that refuse, util/refuse.h. */
uint64_t rn_rpc_client_fail_calls(struct rn_rpc_client *v, uint32_t n);
uint64_t rn_rpc_client_fail_bodies(struct rn_rpc_client *v, uint32_t n);
/* RN_OK or RN_ERR_STATE. For simulations and fuzzers: slow. */
int rn_rpc_client_check(const struct rn_rpc_client *v);
