/* lib/rpc/handler.h: what serves a method, and what it may do with a call.
 *
 * A handler may answer at once or later, from a timer, a ring or another connection's event; it is never called again for a call it has
 * answered or that was cancelled. All functions belong to the lcore that owns the server. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rn_call;
struct rn_quic_conn;

enum rn_handler_kind { RN_HANDLER_UNARY, RN_HANDLER_STREAMING, RN_HANDLER_GOSSIP };

struct rn_handler {
  const char *name; /* UTF-8, at most 1,023 bytes */
  enum rn_handler_kind kind;
  bool
      keeps_time; /* unary: a complete call has no deadline but those that the handler sets itself */

  /* Unary: the request. Gossip: the message, which lib/wire/swim.h can read. params stay valid until the call is answered only if rn_call_hold was called before this returned. */
  void (*request)(struct rn_call *c, const uint8_t *params, size_t len);

  /* Streaming; each may be NULL. An item is valid during the call; RN_OK takes it, RN_ERR_AGAIN (after an rn_call_item that said so) has it
   * delivered once more when the peer reads again. After end the peer sends no more items. */
  void (*open)(struct rn_call *c);
  int (*item)(struct rn_call *c, const uint8_t *data, size_t len);
  void (*end)(struct rn_call *c);
  /* An rn_call_item that said RN_ERR_AGAIN may succeed now. */
  void (*writable)(struct rn_call *c);

  /* Either kind; each may be NULL. */
  void (*timer)(struct rn_call *c);
  void (*cancel)(
      struct rn_call
          *c); /* reset, stopped, too late or connection gone: c is invalid when this returns */
};

#define RN_CALL_SCRATCH_BYTES 64

/* The handler's memory for this call, zero at its start, 16-byte aligned. */
void *rn_call_scratch(struct rn_call *c);
const struct rn_handler *rn_call_handler(const struct rn_call *c);
/* What rn_rpc_server_set_user set. */
const void *rn_call_server_user(const struct rn_call *c);
uint64_t rn_call_now(const struct rn_call *c); /* ns, of the event being handled */

/* Calls handler->timer at that time, once. Setting it again moves it. */
void rn_call_timer(struct rn_call *c, uint64_t at_ns);

/* Unary: keeps params valid until the answer. RN_OK, or RN_ERR_LIMIT: copy what you need, or answer with an error. */
int rn_call_hold(struct rn_call *c, const uint8_t **params);

/* Unary: the answer; the call is over. The bytes are copied. When there is no memory for them the peer gets an error instead. */
void rn_call_reply(struct rn_call *c, const void *data, size_t len);
/* Unary: answers with the request's own params, without a copy where they were gathered in a buffer. */
void rn_call_reply_params(struct rn_call *c);
/* Unary: the error text as the peer shall see it, UTF-8; above 1,000 bytes it is cut behind the last character that fits. Streaming: one
 * error item (the text does not travel) and the end. The call is over. */
void rn_call_error(struct rn_call *c, const char *text, size_t len);

/* Gossip: the answer, in one frame of one packet if it fits, and FIN; len 0: FIN alone. The call is over. */
void rn_call_gossip(struct rn_call *c, const void *msg, size_t len);
/* Whose call it is. */
struct rn_quic_conn *rn_call_conn(const struct rn_call *c);

/* Streaming: one item, len > 0 (an empty item would be the end marker). RN_OK; RN_ERR_AGAIN: the peer reads too slowly, nothing was taken,
 * writable follows, and no further item is delivered until then; RN_ERR_INVAL; RN_ERR_CLOSED: the call is over. */
int rn_call_item(struct rn_call *c, const void *data, size_t len);
/* Streaming: an item that failed; the stream goes on. Errors as rn_call_item. */
int rn_call_item_error(struct rn_call *c);
/* Streaming: no more items from us; the call is over. */
void rn_call_end(struct rn_call *c);
