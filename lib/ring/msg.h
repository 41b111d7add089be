/* lib/ring/msg.h: the messages of lib/schema/messages.def as C, and their checks. Works on any
 * thread; keeps no state. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/ring.h"
#include "util/addr.h"

enum rn_msg_type {
  RN_MSG_NONE = 0,
#define RN_MSG(NAME, name, dir, tail_max, help, fields) RN_MSG_##NAME,
#include "schema/messages.def"
#undef RN_MSG
  RN_MSG_TYPE_COUNT
};

/* rn_msg_keys.step */
enum rn_msg_keys_step { RN_MSG_KEYS_ADD = 1, RN_MSG_KEYS_USE };

/* rn_msg_qlog.what */
enum rn_msg_qlog_what {
  RN_MSG_QLOG_STOP,
  RN_MSG_QLOG_CONN, /* the one with this number, from now on */
  RN_MSG_QLOG_NEXT, /* the next one that client dials, from its first packet on */
};

enum rn_msg_dir { RN_MSG_TO_CONTROL = 1, RN_MSG_TO_LCORE = 2 };

#define RN_FIELD(type, name) type name;
#define RN_MSG(NAME, name, dir, tail_max, help, fields)                                            \
  struct rn_msg_##name {                                                                           \
    fields                                                                                         \
  };
#include "schema/messages.def"
#undef RN_MSG
#undef RN_FIELD

/* The longest tail of each message: RN_MSG_<NAME>_TAIL_MAX. */
enum {
#define RN_MSG(NAME, name, dir, tail_max, help, fields) RN_MSG_##NAME##_TAIL_MAX = (tail_max),
#include "schema/messages.def"
#undef RN_MSG
};

/* A received message: a private copy, checked. */
struct rn_msg {
  uint16_t type; /* enum rn_msg_type */
  uint16_t tail_bytes;
  union {
#define RN_MSG(NAME, name, dir, tail_max, help, fields) struct rn_msg_##name name;
#include "schema/messages.def"
#undef RN_MSG
  };
  uint8_t tail[8192]; /* tail_bytes of it are the message's */
};

/* The hash over all declarations: the ring's schema, and part of the region's layout hash. */
uint32_t rn_msg_schema(void);

/* "SIGN_REQ"; "?" for a type that is none. Static text. */
const char *rn_msg_name(unsigned int type);

/* Appends one message; fixed is the struct of its type. RN_OK, RN_ERR_AGAIN or RN_ERR_CORRUPT as
 * rn_ring_push; RN_ERR_INVAL for a type that is none or a tail longer than declared. */
int rn_msg_push(struct rn_ring_tx *tx, enum rn_msg_type type, const void *fixed, const void *tail,
                size_t tail_bytes);

/* Takes the next message that may travel in direction dir. RN_OK; RN_ERR_AGAIN when there is none;
 * RN_ERR_CORRUPT when it was of an unknown type, the wrong direction or the wrong length, or
 * unreadable: it is skipped; count it and go on. */
int rn_msg_pop(struct rn_ring_rx *rx, enum rn_msg_dir dir, struct rn_msg *out);
