/* lib/rpc/fanout.h: a call of a client made at every worker of a route, all at once; the answers go back as one. Sans-IO; one lcore owns each fan-out.
 *
 *   client ==unary call==> server ==handler==> fan-out ==one unary call each==> worker, worker, worker
 *          <==Vec<(String, Result<Vec<u8>, String>)>==       <==result, error or nothing in time==
 *
 * The client's answer holds each worker's id and what it said, in the order in which the owner names them; what a worker did not say is an error with the text that
 * the reference's client would give (docs/protocol.md, "A call to every worker"). The endpoint, the server and the pool are the lcore's too; the pool's
 * connections are for nothing but this. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/pool.h"
#include "rpc/server.h"

struct rn_fanout;

/* The counters of lib/schema/metrics/fanout.def. */
struct rn_fanout_stats {
#define RN_METRIC(name, kind, unit, help) uint64_t name;
#include "schema/metrics/fanout.def"
#undef RN_METRIC
};

/* How calls of one method are to be treated; the owner's, in place as long as the fan-out. */
struct rn_fanout_route {
  uint32_t max_in_flight; /* calls beyond are answered with an error; 0: no limit */
  uint64_t timeout_ns;    /* from the request's last byte to a worker's whole answer; 0: none */
  uint32_t in_flight;     /* kept by the fan-out, as what follows; 0 at first */
  struct rn_fanout *fanout;
  struct rn_handler handler;
};

#define RN_FANOUT_ID_MAX 255u

struct rn_fanout_worker {
  const char *id; /* UTF-8, 0..RN_FANOUT_ID_MAX bytes, not terminated */
  size_t id_bytes;
  struct rn_addr addr;
};

struct rn_fanout_ops {
  /* How many workers the route has now. */
  uint32_t (*count)(void *ctx, const struct rn_fanout_route *r);
  /* The n-th of them; asked right after count. id has to stay until the next question. */
  void (*worker)(void *ctx, const struct rn_fanout_route *r, uint32_t n,
                 struct rn_fanout_worker *out);
};

struct rn_fanout_limits {
  uint32_t calls;      /* of clients at a time, 1..65,536 */
  uint32_t asks;       /* workers asked at a time, for all of them, 1..1,048,576 */
  size_t answer_bytes; /* of the whole answer to a client, 1 KiB..1 GiB */
  size_t body_bytes;   /* kept of answers, and as much again of halves of answers; >= 64 KiB */
};

struct rn_fanout_params {
  struct rn_fanout_limits limits;
  struct rn_quic *quic; /* outlives the fan-out, as the pool */
  struct rn_pool *pool;
  const struct rn_fanout_ops *ops;
  void *ctx; /* first argument of every one of ops */
};

/* Bytes needed, 64-byte aligned, most of them touched when used only; 0 if a limit is out of range. */
size_t rn_fanout_footprint(const struct rn_fanout_limits *lim);
/* Formats mem, which stays the caller's. RN_OK or RN_ERR_INVAL. Nothing to release. */
int rn_fanout_init(void *mem, const struct rn_fanout_params *p, struct rn_fanout **out);

/* Unary calls of a method are r's from now on, whoever served them before. method is kept, not copied. What rn_rpc_server_replace says. */
int rn_fanout_serve(struct rn_fanout *f, struct rn_rpc_server *v, const char *method,
                    struct rn_fanout_route *r);

/* Events of streams of the pool's connections, as in struct rn_quic_events; there is nothing to be done about stream_stop. */
void rn_fanout_stream_data(struct rn_fanout *f, struct rn_quic_stream *s, const uint8_t *data,
                           size_t len, bool fin);
void rn_fanout_stream_reset(struct rn_fanout *f, struct rn_quic_stream *s);
void rn_fanout_stream_writable(struct rn_fanout *f, struct rn_quic_stream *s);
void rn_fanout_stream_closed(struct rn_fanout *f, struct rn_quic_stream *s);

/* No timers of its own: those of the calls are the server's, and the pool has some. */

/* The counters so far; the pointer stays valid. */
const struct rn_fanout_stats *rn_fanout_stats(struct rn_fanout *f);
/* Tests: from now on every n-th object of a client's call, of a worker's, or memory for an answer, is refused as if there were none; 0: none. Return how many were
 * since the last call. Only in builds that refuse, util/refuse.h. */
uint64_t rn_fanout_fail_calls(struct rn_fanout *f, uint32_t n);
uint64_t rn_fanout_fail_asks(struct rn_fanout *f, uint32_t n);
uint64_t rn_fanout_fail_bodies(struct rn_fanout *f, uint32_t n);
/* RN_OK or RN_ERR_STATE. For simulations and fuzzers: slow. */
int rn_fanout_check(const struct rn_fanout *f);
