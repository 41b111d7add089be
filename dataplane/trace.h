/* dataplane/trace.h: how long calls take. Every call's time is counted; now and then one is followed through its stages (topo/trace.h says which).
 *
 * A turn in which a call is to be followed splits its burst at a random datagram and takes the time there, when request bytes come, and when
 * the handler starts; the first call that begins behind that datagram is the one. So each call is as likely as any other, and in all other
 * turns this costs a comparison.
 *
 * Owned and called by one lcore. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/server.h"
#include "topo/stats.h"
#include "util/rng.h"

#define RN_TRACE_OPEN 15u /* calls followed at a time; further ones have to wait for one of them */
#define RN_TRACE_LATE 64u /* answers of calls of earlier turns that wait for the end of a turn */

struct rn_tracer {
  struct rn_rpc_watch watch;
  struct rn_rpc_server *rpc;
  struct rn_stats_page *page;
  uint64_t (*clock_ns)(void *ctx); /* the same clock as now_ns, read anew */
  void *clock_ctx;
  uint64_t interval_ns; /* a call is followed so often at most; 0: never */
  uint64_t next_ns;     /* not before */
  struct rn_rng rng;

  bool armed;
  uint64_t turn_ns, datagram_ns, bytes_ns; /* of the turn in which it is armed */
  struct rn_tracer_call {
    enum { TRACE_FREE, TRACE_RUNNING, TRACE_ENDED } state;
    uint64_t mark_ns; /* the last one taken */
    struct rn_trace t;
  } calls[RN_TRACE_OPEN];
  uint32_t ended; /* of calls */
  uint32_t late_count;
  uint64_t late[RN_TRACE_LATE]; /* when they began */
};

/* Looks at rpc's calls from now on. seed: any number. */
void rn_tracer_init(struct rn_tracer *t, struct rn_rpc_server *rpc, struct rn_stats_page *page,
                    uint64_t interval_ns, uint64_t seed);

/* QUIC is about to get n > 0 datagrams, found in the turn that began at now_ns. RN_TRACE_NO when no call is to be followed now; else QUIC gets so
 * many of them (0..n-1) before rn_tracer_datagram is called, and the rest after. */
#define RN_TRACE_NO SIZE_MAX
size_t rn_tracer_arm(struct rn_tracer *t, uint64_t now_ns, size_t n);
void rn_tracer_datagram(struct rn_tracer *t);
/* They are read. */
void rn_tracer_disarm(struct rn_tracer *t);

/* Bytes of a stream came. */
static inline void rn_tracer_bytes(struct rn_tracer *t) {
  if (t->armed)
    t->bytes_ns = t->clock_ns(t->clock_ctx);
}

/* The driver has what was queued in the turn that began at turn_ns: what ended in it is counted. */
void rn_tracer_sent(struct rn_tracer *t, uint64_t turn_ns);
