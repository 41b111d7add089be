/* lib/ring/msg.c: tables made of messages.def. */
#include "ring/msg.h"

#include <assert.h>
#include <string.h>

#include "util/err.h"

#define RN_FIELD(type, name) +sizeof(type)
#define RN_MSG(NAME, name, dir, tail_max, help, fields)                                            \
  static_assert(sizeof(struct rn_msg_##name) == 0 fields, "no holes: they would leak memory");     \
  static_assert((tail_max) <= sizeof(((struct rn_msg *)0)->tail), "rn_msg holds every tail");
#include "schema/messages.def"
#undef RN_MSG
#undef RN_FIELD

struct msg_desc {
  const char *name;
  const char *declaration; /* what the schema is hashed over */
  uint16_t fixed_bytes;
  uint16_t tail_max;
  uint8_t dir;
};

static const struct msg_desc descs[RN_MSG_TYPE_COUNT] = {
#define RN_MSG(NAME, name, dir, tail_max, help, fields)                                            \
  [RN_MSG_##NAME] = { #NAME, #NAME #dir #tail_max #fields, sizeof(struct rn_msg_##name),           \
                      (tail_max), RN_MSG_##dir },
#include "schema/messages.def"
#undef RN_MSG
};

/* The largest fixed part, and what one message takes in all. */
union any_fixed {
#define RN_MSG(NAME, name, dir, tail_max, help, fields) struct rn_msg_##name name;
#include "schema/messages.def"
#undef RN_MSG
};

uint32_t rn_msg_schema(void) {
  uint32_t h = 2166136261u; /* FNV-1a: nobody attacks it, it tells builds apart */
  for (unsigned int t = 1; t < RN_MSG_TYPE_COUNT; t++) {
    for (const char *c = descs[t].declaration; *c != '\0'; c++)
      h = (h ^ (uint8_t)*c) * 16777619u;
    h = (h ^ descs[t].fixed_bytes) * 16777619u;
  }
  return h;
}

const char *rn_msg_name(unsigned int type) {
  return type > RN_MSG_NONE && type < RN_MSG_TYPE_COUNT ? descs[type].name : "?";
}

int rn_msg_push(struct rn_ring_tx *tx, enum rn_msg_type type, const void *fixed, const void *tail,
                size_t tail_bytes) {
  if (type <= RN_MSG_NONE || type >= RN_MSG_TYPE_COUNT || tail_bytes > descs[type].tail_max)
    return RN_ERR_INVAL;
  const struct rn_ring_part parts[] = { { fixed, descs[type].fixed_bytes },
                                        { tail, (uint32_t)tail_bytes } };
  return rn_ring_push(tx, (uint16_t)type, parts, 2);
}

int rn_msg_pop(struct rn_ring_rx *rx, enum rn_msg_dir dir, struct rn_msg *out) {
  uint8_t buf[sizeof(union any_fixed) + sizeof(out->tail)];
  struct rn_ring_msg head;
  int err = rn_ring_pop(rx, &head, buf, sizeof(buf));
  if (err != RN_OK)
    return err == RN_ERR_AGAIN ? err : RN_ERR_CORRUPT;
  if (head.type <= RN_MSG_NONE || head.type >= RN_MSG_TYPE_COUNT)
    return RN_ERR_CORRUPT;
  const struct msg_desc *d = &descs[head.type];
  if (d->dir != dir || head.len < d->fixed_bytes || head.len - d->fixed_bytes > d->tail_max)
    return RN_ERR_CORRUPT;
  out->type = head.type;
  out->tail_bytes = (uint16_t)(head.len - d->fixed_bytes);
  memcpy(&out->ready, buf, d->fixed_bytes);
  memcpy(out->tail, buf + d->fixed_bytes, out->tail_bytes);
  return RN_OK;
}
