/* tests/fuzz/quic_model.h: what lib/rpc needs of lib/quic, as a model: a stream keeps what came and what is said, refuses what does not fit its
 * queue, and ends the process where the contract is broken: credit for bytes that never came, a call for a stream that is closed, bytes given by
 * reference that changed. It calls no events; a target does. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quic/quic.h"

#define MODEL_REFS 4u

struct rn_quic {
  uint64_t now_ns;
  size_t queue_bytes; /* of a stream; what goes past them is RN_ERR_AGAIN */
};

struct rn_quic_conn {
  struct rn_quic *q;
};

struct bytes {
  uint8_t *p;
  size_t len, cap;
};

struct rn_quic_stream {
  struct rn_quic_conn *conn;
  void *user;
  struct bytes in;  /* given to the server */
  struct bytes out; /* said by it */
  size_t credited, queued;
  bool open, rx_done, rx_reset, stop_sent, fin_said, reset_said, peer_stopped, want_writable;
  size_t ref_count;
  struct ref {
    const uint8_t *data;
    size_t at, len; /* in out */
    void (*release)(void *arg);
    void *arg;
  } refs[MODEL_REFS];
};

/* Appends; the bytes are to be freed by their owner. */
void model_put(struct bytes *b, const void *data, size_t len);
/* The queue is empty: the peer has all of it, or never will. */
void model_sent(struct rn_quic_stream *s);
