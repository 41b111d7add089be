/* lib/wire/swim.c */
#include "wire/swim.h"

#define TAG_BYTES_MIN    16u /* two empty strings */
#define UPDATE_BYTES_MIN 38u /* empty id, IPv4, no tags */

static struct rn_bin_reader reader(const uint8_t *buf, size_t len) {
  return (struct rn_bin_reader){ .buf = buf, .len = len, .str_max = RN_SWIM_STR_MAX };
}

/* A count that the bytes that are there can never hold is not worth a loop; with more bytes it may be fine. */
static uint64_t get_count(struct rn_bin_reader *r, size_t item_bytes_min) {
  uint64_t n = rn_bin_u64(r);
  if (r->err == RN_OK && n > (r->len - r->at) / item_bytes_min) {
    r->err = RN_ERR_SHORT;
    return 0;
  }
  return n;
}

static void read_tags(struct rn_bin_reader *r, struct rn_swim_tags *out) {
  uint64_t n = get_count(r, TAG_BYTES_MIN);
  size_t start = r->at;
  for (uint64_t i = 0; i < n && r->err == RN_OK; i++) {
    rn_bin_str(r);
    rn_bin_str(r);
  }
  *out = (struct rn_swim_tags){ r->buf + start, r->at - start, n };
}

static void read_update(struct rn_bin_reader *r, struct rn_swim_update *out) {
  out->node_id = rn_bin_str(r);
  rn_bin_addr(r, &out->addr);
  out->incarnation = rn_bin_u64(r);
  uint32_t state = rn_bin_u32(r);
  if (state >= RN_SWIM_STATE_COUNT && r->err == RN_OK)
    r->err = RN_ERR_PROTO;
  out->state = (enum rn_swim_state)state;
  read_tags(r, &out->tags);
}

static void read_updates(struct rn_bin_reader *r, struct rn_swim_updates *out) {
  struct rn_swim_update u;
  uint64_t n = get_count(r, UPDATE_BYTES_MIN);
  size_t start = r->at;
  for (uint64_t i = 0; i < n && r->err == RN_OK; i++)
    read_update(r, &u);
  *out = (struct rn_swim_updates){ r->buf + start, r->at - start, n };
}

int rn_swim_get(const uint8_t *buf, size_t len, struct rn_swim_msg *out, size_t *used) {
  struct rn_bin_reader r = reader(buf, len);
  struct rn_swim_msg m = { 0 };
  uint32_t type = rn_bin_u32(&r);
  if (type >= RN_SWIM_TYPE_COUNT && r.err == RN_OK)
    r.err = RN_ERR_PROTO;
  m.type = (enum rn_swim_type)type;
  m.from = rn_bin_str(&r);
  if (m.type != RN_SWIM_ACK)
    rn_bin_addr(&r, &m.addr);
  if (m.type != RN_SWIM_PING)
    m.to = rn_bin_str(&r);
  read_updates(&r, &m.updates);
  m.seq = rn_bin_u64(&r);
  if (r.err != RN_OK)
    return r.err;
  *out = m;
  *used = r.at;
  return RN_OK;
}

int rn_swim_update_get(const uint8_t *buf, size_t len, struct rn_swim_update *out, size_t *used) {
  struct rn_bin_reader r = reader(buf, len);
  struct rn_swim_update u = { 0 };
  read_update(&r, &u);
  if (r.err != RN_OK)
    return r.err;
  *out = u;
  *used = r.at;
  return RN_OK;
}

bool rn_swim_next_update(struct rn_swim_updates *u, struct rn_swim_update *out) {
  size_t used;
  if (u->left == 0 || rn_swim_update_get(u->buf, u->len, out, &used) != RN_OK)
    return false;
  u->buf += used;
  u->len -= used;
  u->left--;
  return true;
}

bool rn_swim_next_tag(struct rn_swim_tags *t, struct rn_bin_str *key, struct rn_bin_str *value) {
  struct rn_bin_reader r = reader(t->buf, t->len);
  if (t->left == 0)
    return false;
  *key = rn_bin_str(&r);
  *value = rn_bin_str(&r);
  if (r.err != RN_OK)
    return false;
  t->buf += r.at;
  t->len -= r.at;
  t->left--;
  return true;
}

/* ---- writing ---- */

void rn_swim_put_head(struct rn_bin_writer *w, enum rn_swim_type type, struct rn_bin_str from,
                      const struct rn_addr *addr, struct rn_bin_str to, uint64_t update_count) {
  rn_bin_put_u32(w, type);
  rn_bin_put_str(w, from.p, from.len);
  if (type != RN_SWIM_ACK)
    rn_bin_put_addr(w, addr);
  if (type != RN_SWIM_PING)
    rn_bin_put_str(w, to.p, to.len);
  rn_bin_put_u64(w, update_count);
}

void rn_swim_put_update(struct rn_bin_writer *w, struct rn_bin_str node_id,
                        const struct rn_addr *addr, uint64_t incarnation, enum rn_swim_state state,
                        uint64_t tag_count) {
  rn_bin_put_str(w, node_id.p, node_id.len);
  rn_bin_put_addr(w, addr);
  rn_bin_put_u64(w, incarnation);
  rn_bin_put_u32(w, state);
  rn_bin_put_u64(w, tag_count);
}

void rn_swim_put_tag(struct rn_bin_writer *w, struct rn_bin_str key, struct rn_bin_str value) {
  rn_bin_put_str(w, key.p, key.len);
  rn_bin_put_str(w, value.p, value.len);
}

void rn_swim_put_seq(struct rn_bin_writer *w, uint64_t seq) { rn_bin_put_u64(w, seq); }
