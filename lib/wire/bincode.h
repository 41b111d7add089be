/* lib/wire/bincode.h: bincode 1.3 as the published crate uses it: little endian, fixed width, lengths u64, enum tags u32, Option and bool
 * u8. A reader and a writer that never leave their buffer; after the first error every further call does nothing and the error stays. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "util/addr.h"
#include "util/err.h"
#include "wire/rpc.h"

/* A piece of the decoded bytes. */
struct rn_bin_str {
  const char *p; /* no NUL at the end */
  size_t len;
};

struct rn_bin_reader {
  const uint8_t *buf;
  size_t len, at;
  size_t str_max; /* longer strings are RN_ERR_TOOBIG */
  int err;        /* RN_OK, RN_ERR_SHORT, RN_ERR_TOOBIG or RN_ERR_PROTO */
};

struct rn_bin_writer {
  uint8_t *buf;
  size_t cap, len;
  int err; /* RN_OK, or RN_ERR_LIMIT: cap was too small */
};

static inline const uint8_t *rn_bin_take(struct rn_bin_reader *r, size_t n) {
  if (r->err != RN_OK)
    return NULL;
  if (n > r->len - r->at) {
    r->err = RN_ERR_SHORT;
    return NULL;
  }
  r->at += n;
  return r->buf + r->at - n;
}

static inline uint8_t rn_bin_u8(struct rn_bin_reader *r) {
  const uint8_t *p = rn_bin_take(r, 1);
  return p != NULL ? *p : 0;
}

static inline uint32_t rn_bin_u32(struct rn_bin_reader *r) {
  const uint8_t *p = rn_bin_take(r, 4);
  return p != NULL ? rn_wire_u32(p) : 0;
}

static inline uint64_t rn_bin_u64(struct rn_bin_reader *r) {
  const uint8_t *p = rn_bin_take(r, 8);
  return p != NULL ? rn_wire_u64(p) : 0;
}

/* bool, or the tag of an Option. */
static inline bool rn_bin_bool(struct rn_bin_reader *r) {
  uint8_t v = rn_bin_u8(r);
  if (v > 1 && r->err == RN_OK)
    r->err = RN_ERR_PROTO;
  return v == 1;
}

/* UTF-8. */
static inline struct rn_bin_str rn_bin_str(struct rn_bin_reader *r) {
  uint64_t n = rn_bin_u64(r);
  if (r->err == RN_OK && n > r->str_max)
    r->err = RN_ERR_TOOBIG;
  const uint8_t *p = rn_bin_take(r, r->err == RN_OK ? (size_t)n : 0);
  if (p != NULL && !rn_wire_utf8_ok(p, (size_t)n)) {
    r->err = RN_ERR_PROTO;
    p = NULL;
  }
  return (struct rn_bin_str){ (const char *)p, p != NULL ? (size_t)n : 0 };
}

/* SocketAddr: tag V4 or V6, octets, port. */
static inline void rn_bin_addr(struct rn_bin_reader *r, struct rn_addr *out) {
  struct rn_addr a = { 0 };
  uint32_t tag = rn_bin_u32(r);
  if (tag > 1 && r->err == RN_OK)
    r->err = RN_ERR_PROTO;
  size_t n = tag == 0 ? 4 : 16;
  const uint8_t *ip = rn_bin_take(r, n), *port = rn_bin_take(r, 2);
  if (r->err != RN_OK)
    return;
  memcpy(a.ip, ip, n);
  a.port = (uint16_t)(port[0] | port[1] << 8);
  a.family = tag == 0 ? 4 : 6;
  *out = a;
}

static inline uint8_t *rn_bin_room(struct rn_bin_writer *w, size_t n) {
  if (w->err == RN_OK && n > w->cap - w->len)
    w->err = RN_ERR_LIMIT;
  if (w->err != RN_OK)
    return NULL;
  w->len += n;
  return w->buf + w->len - n;
}

static inline void rn_bin_put_u8(struct rn_bin_writer *w, uint8_t v) {
  uint8_t *p = rn_bin_room(w, 1);
  if (p != NULL)
    *p = v;
}

static inline void rn_bin_put_u32(struct rn_bin_writer *w, uint32_t v) {
  uint8_t *p = rn_bin_room(w, 4);
  if (p != NULL)
    rn_wire_put_u32(p, v);
}

static inline void rn_bin_put_u64(struct rn_bin_writer *w, uint64_t v) {
  uint8_t *p = rn_bin_room(w, 8);
  if (p != NULL)
    rn_wire_put_u64(p, v);
}

static inline void rn_bin_put_str(struct rn_bin_writer *w, const char *s, size_t len) {
  rn_bin_put_u64(w, len);
  uint8_t *p = rn_bin_room(w, len);
  if (p != NULL && len > 0)
    memcpy(p, s, len);
}

static inline void rn_bin_put_addr(struct rn_bin_writer *w, const struct rn_addr *a) {
  size_t n = a->family == 6 ? 16 : 4;
  rn_bin_put_u32(w, a->family == 6);
  uint8_t *ip = rn_bin_room(w, n), *port = rn_bin_room(w, 2);
  if (port == NULL)
    return;
  memcpy(ip, a->ip, n);
  port[0] = (uint8_t)a->port;
  port[1] = (uint8_t)(a->port >> 8);
}
