/* lib/rpc/forward_priv.h: what the files of the forwarder share. Nobody else includes it.
 *
 *   forward.c        memory, calls that are taken, time
 *   forward_try.c    workers: chosen, reached, failed, tried again
 *   forward_pump.c   bytes, and the credit for them
 *   forward_end.c    answers of our own, and the end of calls
 *   forward_buf.c    bytes that are kept
 *   forward_check.c  the invariants, walked */
#pragma once
#include "rpc/forward.h"
#include "util/list.h"
#include "util/slab.h"
#include "util/wheel.h"

#define TRIES_AT_ONCE 2u   /* a first one and its hedge */
#define SMALL_BYTES   128u /* of a request, kept without a buffer */

/* ---- bytes that are kept, in the order in which they came ---- */

struct fwd_chunk {
  struct fwd_chunk *next;
  uint64_t at; /* offset of its first byte */
  uint32_t len, cap;
  uint8_t *bytes;
};

/* Offsets count all bytes of a direction; kept are those from base to end. */
struct fwd_buf {
  struct fwd_chunk *head, *tail;
  uint64_t base, end;
};

/* ---- one worker's part in a call ---- */

/*   NONE --picked--> WAITING --connection--> OPEN --its stream closed behind the answer--> SPENT
 *     ^                 |                     |                                              |
 *     +-----ended-------+---------------------+----------------------------------------------+ */
enum try_state { TRY_NONE, TRY_WAITING, TRY_OPEN, TRY_SPENT, TRY_STATE_COUNT };
enum try_event { TRY_EV_PICKED, TRY_EV_OPENED, TRY_EV_SPENT, TRY_EV_ENDED, TRY_EV_COUNT };

struct fwd_try {
  struct fwd_call *call;
  struct rn_quic_stream *s; /* OPEN; its user is the try */
  struct rn_pool_waiter w;  /* WAITING */
  uint64_t begun_ns;        /* when it was opened, or began to wait */
  uint64_t latency_ns;
  uint64_t sent;   /* offset of the next byte to write to it */
  uint32_t worker; /* the owner's number for it */
  uint8_t state;   /* enum try_state; written by try_set_state only */
  bool fin_sent : 1;
  bool closed : 1; /* the worker takes no more of the request */
};

struct fwd_call {
  struct rn_rpc_taken taken; /* user of the client's stream */
  struct rn_forward *f;
  struct rn_quic_stream *client; /* NULL: closed */
  struct rn_forward_route *route;
  struct fwd_try *from; /* whose answer is passed on; NULL: nobody has begun to answer */
  struct fwd_buf req, resp;
  uint64_t req_credited, resp_credited; /* of the streams' windows */
  uint64_t id;                          /* unary */
  uint64_t req_bytes;                   /* unary: of the whole request; 0: not known yet */
  uint64_t begun_ns;
  uint64_t asked_ns; /* when bytes of the request came last */
  uint64_t moved_ns; /* when bytes came last */
  struct rn_timer timer;
  struct rn_list node; /* in rn_forward.calls */
  uint32_t tried[RN_FORWARD_TRIES_MAX];
  uint8_t tried_count;
  uint8_t kind; /* enum rn_handler_kind */
  bool req_fin : 1, resp_fin : 1;
  bool keep : 1;      /* the request stays, for another try */
  bool alone : 1;     /* no try is begun beside the one there is, however slow it is */
  bool resp_done : 1; /* FIN was queued for the client */
  struct fwd_try tries[TRIES_AT_ONCE];
  struct fwd_chunk small; /* whose bytes are small_bytes */
  uint8_t small_bytes[SMALL_BYTES];
};

struct rn_forward {
  struct rn_quic *quic;
  struct rn_pool *pool;
  const struct rn_forward_ops *ops;
  void *ctx;
  struct rn_forward_config cfg;
  struct rn_forward_limits lim;
  struct rn_rpc_diversion diversion;
  struct rn_slab *slab; /* calls */
  struct rn_slab *chunks;
  struct rn_wheel *wheel;
  struct rn_list calls;
  uint64_t now_ns;
  struct rn_forward_stats stats;
};

/* Why a call has no answer but ours. RESET: the worker's own reset is passed on; UNREAD: the client never finished asking. */
enum why {
  WHY_NO_WORKER,
  WHY_LATE,
  WHY_BROKEN,
  WHY_ROUTE,
  WHY_OVERLOAD,
  WHY_RESET,
  WHY_UNREAD,
  WHY_COUNT
};

/* forward.c */
extern const struct rn_rpc_taker fwd_taker;
/* When something has to happen next by itself. */
void call_arm(struct fwd_call *k);

/* forward_buf.c; small: used first, may be NULL. */
int buf_append(struct rn_forward *f, struct fwd_buf *b, struct fwd_chunk *small,
               const uint8_t *data, size_t len);
/* What lies at offset at, base <= at < end: returns it and *len, at least 1. */
const uint8_t *buf_at(const struct fwd_buf *b, uint64_t at, size_t *len);
/* Gives up everything before offset upto. */
void buf_trim(struct rn_forward *f, struct fwd_buf *b, const struct fwd_chunk *small,
              uint64_t upto);
/* Bytes that were passed on without being kept; b is empty. */
static inline void buf_pass(struct fwd_buf *b, size_t len) { b->base = b->end += len; }
static inline bool buf_empty(const struct fwd_buf *b) { return b->base == b->end; }

/* forward_try.c */
/* Finds a worker for a call that has none, or a hedge beside the one it has. head: what has come of the call; NULL: look at what is kept. RN_OK: one
 * is being asked; else why not, and nothing has changed but what was tried. */
int try_begin(struct fwd_call *k, struct fwd_try *t, const uint8_t *head, size_t head_bytes);
/* The try comes to nothing: another one, or the call fails and is told why. The call may be gone then. */
void try_failed(struct fwd_try *t, enum rn_forward_outcome how, enum why why);
/* t ends, whatever it was doing. Its stream, if it is still there, is given up unless its answer is complete. */
void try_end(struct fwd_try *t, enum rn_forward_outcome how);
/* Its stream was closed: behind the end of the answer, or too soon. The call may be gone after the latter. */
void try_spent(struct fwd_try *t);
void try_lost(struct fwd_try *t);
/* k is answered by t: no other try goes on, and there will be none. */
void try_wins(struct fwd_try *t);
/* No byte of an answer has come for long: a hedge, or another worker in the place of one who is late. */
void try_look(struct fwd_call *k);
/* When to look; UINT64_MAX: never. */
uint64_t try_look_ns(const struct fwd_call *k);
bool try_is_live(const struct fwd_try *t);

/* forward_pump.c */
/* Bytes of the request came. k may be gone then. */
void pump_request(struct fwd_call *k, const uint8_t *data, size_t len, bool fin);
/* Of the answer, from k->from. k may be gone then. */
void pump_response(struct fwd_call *k, const uint8_t *data, size_t len, bool fin);
/* Writes what t has not got of the request; RN_OK also when not all of it could be. */
void pump_to_worker(struct fwd_try *t);
/* Writes what is kept of the answer. k may be gone then. */
void pump_to_client(struct fwd_call *k);
/* Forgets what nobody needs any more of the request, and gives credit. */
void pump_settle(struct fwd_call *k);

/* forward_end.c */
/* The answer is complete and queued for the client. */
void end_answered(struct fwd_call *k);
/* The client gave up. */
void end_cancelled(struct fwd_call *k);
/* The call cannot be answered: an error text as long as nothing has been passed on, else a reset. */
void end_failed(struct fwd_call *k, enum why why);
/* The same for a call that was not taken. */
void end_refused(struct rn_forward *f, struct rn_quic_stream *s, enum rn_handler_kind kind,
                 uint64_t id, enum why why, bool fin);
