/* lib/rpc/server_priv.h: what the files of the server share. Nobody else includes it.
 *
 *   server.c     memory, methods, stream events -> calls
 *   request.c    bytes -> complete request, unary dispatch
 *   streaming.c  frames -> items
 *   reply.c      what a handler says -> bytes
 *   body.c       memory for requests and answers that do not fit one datagram */
#pragma once
#include "rpc/methods.h"
#include "rpc/server.h"
#include "util/buddy.h"
#include "util/list.h"
#include "util/slab.h"
#include "util/wheel.h"

/* A call from its first byte to its answer:
 *
 *   READING --unary request complete--> RUNNING --answer--> DONE
 *      |  \--streaming method-> STREAMING --our end, cancel--^
 *      +--refused--------------------------------------------+
 *
 * DONE lasts until the functions at work on the call have returned. */
enum call_state { CALL_READING, CALL_RUNNING, CALL_STREAMING, CALL_DONE, CALL_STATE_COUNT };
enum call_event { CALL_EV_REQUEST, CALL_EV_STREAM, CALL_EV_DONE, CALL_EV_COUNT };

/* Bytes gathered over several datagrams. Freed by body_free, or by the stream once it was queued by reference. */
struct body {
  struct rn_rpc_server *v;
  size_t len, cap; /* of bytes */
  uint64_t align;
  uint8_t bytes[];
};

struct rn_call {
  struct rn_rpc_taken taken; /* taker NULL: it is a call of the server's */
  struct rn_rpc_server *v;
  struct rn_quic_stream *s;
  const struct rn_handler *h;
  uint64_t id;
  struct body *body; /* what has come and was not used up */
  const uint8_t *params;
  size_t params_bytes;
  size_t need;         /* bytes without which parsing again is of no use */
  size_t uncredited;   /* received bytes the peer got no credit for yet */
  uint64_t begun_ns;   /* when the request was complete */
  uint8_t state;       /* enum call_state; written by call_set_state only */
  uint8_t watched;     /* rn_rpc_watch.begun's number for it, or 0 */
  bool held : 1;       /* params stay */
  bool busy : 1;       /* one of our functions is at work on it: DONE does not free it yet */
  bool stalled : 1;    /* streaming: an item was refused; no further item until writable */
  bool peer_ended : 1; /* end marker or FIN was told to the handler */
  bool peer_fin : 1;
  struct rn_timer deadline;
  struct rn_timer timer;
  _Alignas(16) uint8_t scratch[RN_CALL_SCRATCH_BYTES];
};

struct rn_rpc_server {
  struct rn_rpc_server_limits lim;
  struct rn_rpc_server_config cfg;
  struct rn_rpc_methods *methods;
  struct rn_slab *calls;
  struct rn_buddy *bodies;
  struct rn_wheel *timers;    /* rn_call.timer */
  struct rn_wheel *deadlines; /* rn_call.deadline */
  uint64_t now_ns;
  const struct rn_handler *gossip; /* NULL: FIN */
  const void *user;
  const struct rn_rpc_diversion *diversion;
  const struct rn_rpc_watch *watch;
  bool armed; /* only with a watch */
  uint32_t answered_at_once;
  struct rn_rpc_stats stats;
};

/* server.c */
void call_set_state(struct rn_call *c, enum call_event ev);
/* The stream has nothing more to do with the call: later bytes are credited and dropped. */
void call_done(struct rn_call *c);
/* call_done for a unary call whose request was complete; bytes: of its answer. */
void call_end(struct rn_call *c, enum rn_rpc_outcome how, size_t bytes);
void call_free(struct rn_call *c);
/* Gives up on bytes that are no request: both directions end. counter may be NULL. */
void call_refuse(struct rn_call *c, uint64_t *counter);
void call_cancel(struct rn_call *c);
void call_credit(struct rn_call *c);
/* own_ns: the method's own timeout; 0: as configured for all. */
void call_start_deadline(struct rn_call *c, uint64_t own_ns);

/* request.c: new bytes of a READING call. */
void request_feed(struct rn_call *c, const uint8_t *data, size_t len, bool fin);

/* streaming.c */
void streaming_open(struct rn_call *c, const struct rn_handler *h);
void streaming_feed(struct rn_call *c, const uint8_t *data, size_t len, bool fin);
void streaming_resume(struct rn_call *c);

/* reply.c */
void reply_unknown_method(struct rn_call *c, const char *method, size_t len);
void reply_refused_stream(struct rn_call *c, uint64_t *counter);
void reply_text(struct rn_call *c, const char *text, uint64_t *counter);

/* body.c: RN_OK or RN_ERR_LIMIT. */
int body_append(struct rn_call *c, const uint8_t *data, size_t len, size_t need);
struct body *body_new(struct rn_rpc_server *v, size_t cap);
void body_free(void *body);
