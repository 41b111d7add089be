/* lib/rpc/forward.h: calls of clients passed on to workers, cut through: bytes go on as they come, unchanged, in both directions. Sans-IO; one lcore
 * owns each forwarder.
 *
 *   client ==server-role stream==> forwarder ==client-role stream of a pooled connection==> worker
 *          <=====================           <============================================
 *
 * The endpoint, the server whose calls are forwarded and the pool are the lcore's too. What a slow reader has not taken stays with the forwarder, and
 * its sender gets no more credit for that stream: a call keeps no more than the stream's window, rn_quic_config.stream_window of requests and
 * own_stream_window of answers. The connection's credit is given back at once, so that no other stream waits.
 *
 * A call goes to another worker when there is no connection to the first one, and, if its route says that it may be made twice, when the worker fails
 * or is late before the first byte of its answer. Which worker is the owner's choice, through struct rn_forward_ops. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/divert.h"
#include "rpc/pool.h"

struct rn_forward;

/* The counters of lib/schema/metrics/forward.def. */
struct rn_forward_stats {
#define RN_METRIC(name, kind, unit, help) uint64_t name;
#include "schema/metrics/forward.def"
#undef RN_METRIC
};

#define RN_FORWARD_TRIES_MAX 8u

/* How calls of some methods are to be treated; the owner's, and stays while in_flight > 0. */
struct rn_forward_route {
  bool idempotent;        /* a call may be made again although a worker may have begun with it */
  uint8_t tries;          /* workers that a call may be given to, 1..RN_FORWARD_TRIES_MAX */
  uint32_t max_in_flight; /* calls beyond are answered with an error; 0: no limit */
  uint64_t
      timeout_ns; /* unary: for the request, then for the first byte of the answer; then, and for streaming calls from the start, the longest
                              time without a byte; 0: none */
  uint64_t
      try_timeout_ns; /* idempotent: another worker is tried when no byte of an answer has come so long after the request's last; 0: none */
  uint64_t
      hedge_ns; /* idempotent: a second worker is tried beside the first one, so long after; 0: none */
  void *user;         /* the owner's */
  uint32_t in_flight; /* kept by the forwarder; 0 at first */
};

/* What a worker is chosen for. */
struct rn_forward_question {
  const struct rn_forward_route *route;
  const struct rn_quic_stream *client;
  const uint8_t *
      head; /* the call's first bytes, of which a key may be made: the method and what came with it; NULL where they are not kept */
  size_t head_bytes;
  const uint32_t *tried; /* workers that are not to be chosen (again) */
  uint32_t tried_count;
};

/* How a try ended, for the worker's account. */
enum rn_forward_outcome {
  RN_FORWARD_ANSWERED,
  RN_FORWARD_UNREACHED, /* no connection */
  RN_FORWARD_BROKEN,    /* reset, or the connection was lost */
  RN_FORWARD_LATE,      /* try_timeout_ns or timeout_ns */
  RN_FORWARD_DROPPED, /* says nothing about the worker: the client gave up, another one was faster, or we had no room */
};

/* An answered call's way, in ns; each as seen from turn to turn. */
struct rn_forward_times {
  enum rn_handler_kind kind;
  uint64_t
      connect_ns; /* from its first bytes until a stream to the worker that answered was open, tries before included */
  uint64_t worker_ns; /* until the first byte of the answer */
  uint64_t answer_ns; /* until its end was passed on */
  uint64_t asked_ns;  /* from the last byte of the request until then */
};

struct rn_forward_ops {
  /* The route of a method, or NULL: the call is not for forwarding. As in struct rn_rpc_diversion. */
  struct rn_forward_route *(*route)(void *ctx, enum rn_handler_kind kind, const char *name,
                                    size_t len);
  /* RN_OK with a worker and its address, or an error: there is none. */
  int (*pick)(void *ctx, const struct rn_forward_question *q, uint32_t *worker,
              struct rn_addr *addr);
  /* The worker is given a call; ended is called once for each begun. latency_ns: from the stream's opening to the first byte of the answer; 0: none came. */
  void (*begun)(void *ctx, uint32_t worker);
  void (*ended)(void *ctx, uint32_t worker, enum rn_forward_outcome how, uint64_t latency_ns);
  /* A further try, or a hedge, because a worker that was reached failed or is slow: takes from the retry budget, or says no. */
  bool (*may_retry)(void *ctx, struct rn_forward_route *route);
  /* The end of an answer was passed on. May be NULL. */
  void (*answered)(void *ctx, const struct rn_forward_times *t);
};

struct rn_forward_limits {
  uint32_t calls;   /* being forwarded at a time, 1..16,777,216 */
  uint32_t buffers; /* of RN_FORWARD_BUFFER_BYTES, for what is kept, 16..16,777,216 */
};
#define RN_FORWARD_BUFFER_BYTES 4096u

struct rn_forward_config {
  uint32_t replay_bytes; /* of a request, kept for another try; a longer one is made once */
};

struct rn_forward_params {
  struct rn_forward_limits limits;
  struct rn_forward_config config;
  struct rn_quic *quic; /* outlives the forwarder, as the pool */
  struct rn_pool *pool;
  const struct rn_forward_ops *ops;
  void *ctx; /* first argument of every one of ops */
};

/* Bytes needed, 64-byte aligned; 0 if a limit is out of range. */
size_t rn_forward_footprint(const struct rn_forward_limits *lim);
/* Formats mem, which stays the caller's. RN_OK or RN_ERR_INVAL. Nothing to release. */
int rn_forward_init(void *mem, const struct rn_forward_params *p, struct rn_forward **out);
/* New values hold from now on. */
void rn_forward_configure(struct rn_forward *f, const struct rn_forward_config *cfg);
/* For rn_rpc_server_divert: events of the clients' streams then come by the server. */
const struct rn_rpc_diversion *rn_forward_diversion(const struct rn_forward *f);

/* Events of streams of the pool's connections, as in struct rn_quic_events. */
void rn_forward_stream_data(struct rn_forward *f, struct rn_quic_stream *s, const uint8_t *data,
                            size_t len, bool fin);
void rn_forward_stream_reset(struct rn_forward *f, struct rn_quic_stream *s, uint64_t code);
void rn_forward_stream_stop(struct rn_forward *f, struct rn_quic_stream *s);
void rn_forward_stream_writable(struct rn_forward *f, struct rn_quic_stream *s);
void rn_forward_stream_closed(struct rn_forward *f, struct rn_quic_stream *s);

/* When rn_forward_timers must be called next; UINT64_MAX: no timer is set. */
uint64_t rn_forward_next_expiry(const struct rn_forward *f);
void rn_forward_timers(struct rn_forward *f, uint64_t now_ns);

/* The now_ns of what it is at work on, or was last: for ops. */
uint64_t rn_forward_now(const struct rn_forward *f);

/* The counters so far; the pointer stays valid. */
const struct rn_forward_stats *rn_forward_stats(const struct rn_forward *f);
/* Tests: from now on every n-th call object, or buffer, is refused as if there were none; 0: none. Return how many were since the last call.
 * Only in builds that refuse, util/refuse.h. */
uint64_t rn_forward_fail_calls(struct rn_forward *f, uint32_t n);
uint64_t rn_forward_fail_buffers(struct rn_forward *f, uint32_t n);
/* RN_OK or RN_ERR_STATE. For simulations and fuzzers: slow. */
int rn_forward_check(const struct rn_forward *f);
