/* lib/wire/swim.h: the bytes of SWIM gossip (docs/protocol.md, "Gossip"). Decoding points into the caller's bytes and never allocates;
 * what rn_swim_get accepted is well formed throughout, so that the iterators below cannot fail. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "wire/bincode.h"

enum rn_swim_type { RN_SWIM_PING, RN_SWIM_ACK, RN_SWIM_PING_REQ, RN_SWIM_TYPE_COUNT };
enum rn_swim_state {
  RN_SWIM_ALIVE,
  RN_SWIM_SUSPECT,
  RN_SWIM_FAILED,
  RN_SWIM_LEFT,
  RN_SWIM_STATE_COUNT
};

#define RN_SWIM_STR_MAX 65536u /* of a node id, a tag's key or value */

/* Updates not read yet. */
struct rn_swim_updates {
  const uint8_t *buf;
  size_t len;
  uint64_t left;
};

struct rn_swim_tags {
  const uint8_t *buf;
  size_t len;
  uint64_t left;
};

struct rn_swim_msg {
  enum rn_swim_type type;
  struct rn_bin_str from;
  struct rn_bin_str to; /* Ack: to; PingReq: target_id */
  struct rn_addr addr;  /* Ping: from_addr; PingReq: target */
  struct rn_swim_updates updates;
  uint64_t seq;
};

struct rn_swim_update {
  struct rn_bin_str node_id;
  struct rn_addr addr;
  uint64_t incarnation;
  enum rn_swim_state state;
  struct rn_swim_tags tags;
};

/* Any bytes are safe; bytes behind the message are left alone. RN_OK with *used; RN_ERR_SHORT; RN_ERR_TOOBIG (a string above RN_SWIM_STR_MAX);
 * RN_ERR_PROTO (unknown tag, state or address family, text that is not UTF-8). *out is untouched on error. */
int rn_swim_get(const uint8_t *buf, size_t len, struct rn_swim_msg *out, size_t *used);
/* The same for one NodeUpdate by itself. */
int rn_swim_update_get(const uint8_t *buf, size_t len, struct rn_swim_update *out, size_t *used);

/* The next one of an accepted message; false: there are no more. */
bool rn_swim_next_update(struct rn_swim_updates *u, struct rn_swim_update *out);
bool rn_swim_next_tag(struct rn_swim_tags *t, struct rn_bin_str *key, struct rn_bin_str *value);

/* Writing: rn_swim_put_head, update_count times rn_swim_put_update each followed by its tags (rn_swim_put_tag), rn_swim_put_seq. What does not fit shows
 * in w->err. addr and to as in struct rn_swim_msg; what the type does not have is not looked at. */
void rn_swim_put_head(struct rn_bin_writer *w, enum rn_swim_type type, struct rn_bin_str from,
                      const struct rn_addr *addr, struct rn_bin_str to, uint64_t update_count);
void rn_swim_put_update(struct rn_bin_writer *w, struct rn_bin_str node_id,
                        const struct rn_addr *addr, uint64_t incarnation, enum rn_swim_state state,
                        uint64_t tag_count);
void rn_swim_put_tag(struct rn_bin_writer *w, struct rn_bin_str key, struct rn_bin_str value);
void rn_swim_put_seq(struct rn_bin_writer *w, uint64_t seq);
