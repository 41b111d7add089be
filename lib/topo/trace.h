/* lib/topo/trace.h: calls that an lcore followed through its stages, in its statistics page, newest over oldest.
 *
 *   frame found --rx--> QUIC has it --quic--> request bytes --classify--> handler runs --handler--> answer queued --tx--> driver has it
 *
 * One writer, the lcore; readers copy a record whole or not at all. */
#pragma once
#include <stdatomic.h>
#include <stdint.h>

#include "util/addr.h"

enum rn_trace_stage {
  RN_TRACE_RX,
  RN_TRACE_QUIC,
  RN_TRACE_CLASSIFY,
  RN_TRACE_HANDLER,
  RN_TRACE_TX,
  RN_TRACE_STAGE_COUNT
};

/* How the call ended: its result or an error text was queued; nothing could be queued; the peer gave up or was gone. */
enum rn_trace_outcome {
  RN_TRACE_RESULT,
  RN_TRACE_ERROR,
  RN_TRACE_UNANSWERED,
  RN_TRACE_CANCELLED,
  RN_TRACE_OUTCOME_COUNT
};

#define RN_TRACE_SLOTS        256u /* records kept, a power of two */
#define RN_TRACE_METHOD_BYTES 64u

struct rn_trace {
  uint64_t number; /* from 1, in the order of their ends */
  uint64_t at_ns;  /* when the frame was found, monotonic clock */
  uint64_t stage_ns[RN_TRACE_STAGE_COUNT];
  uint64_t conn; /* rn_quic_conn_number */
  uint64_t stream_id;
  struct rn_addr peer;
  uint32_t request_bytes;             /* params */
  uint32_t answer_bytes;              /* result or error text */
  uint32_t outcome;                   /* enum rn_trace_outcome */
  uint32_t method_bytes;              /* of the name's beginning in method */
  char method[RN_TRACE_METHOD_BYTES]; /* may hold any bytes; no NUL */
};
#define RN_TRACE_WORDS (sizeof(struct rn_trace) / sizeof(uint64_t))

/* All zeros is an empty one. */
struct rn_trace_page {
  _Atomic uint64_t written; /* records so far: the last is number `written` */
  struct rn_trace_slot {
    _Atomic uint64_t seq; /* odd while the lcore writes */
    _Atomic uint64_t words[RN_TRACE_WORDS];
  } slots[RN_TRACE_SLOTS];
};

/* Sets t->number and keeps a copy. The page's one writer. */
void rn_trace_put(struct rn_trace_page *page, struct rn_trace *t);

/* Copies record `number`. RN_OK; RN_ERR_NOENT: not written yet, overwritten, or its writer is busy with it. Whatever is in the page, *out is in range:
 * method_bytes and outcome are checked. Any thread. */
int rn_trace_get(const struct rn_trace_page *page, uint64_t number, struct rn_trace *out);

/* "rx", "result" and so on. */
const char *rn_trace_stage_name(enum rn_trace_stage stage);
const char *rn_trace_outcome_name(enum rn_trace_outcome outcome);
