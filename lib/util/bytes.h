/* lib/util/bytes.h: cursors that read and write little-endian bytes and never leave their buffer.
 *
 * The first step past the end clears ok and it stays so: from then on reads give zeros and writes do nothing. A codec therefore does all its
 * steps and looks at ok once. Plain values: copy one to look ahead. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Reads buf[0..len). */
struct rn_bytes_in {
  const uint8_t *buf;
  size_t len;
  size_t at; /* next byte, 0..len; where the failed step began when ok is false */
  bool ok;
};

/* buf outlives the cursor; NULL is fine when len is 0. */
static inline struct rn_bytes_in rn_bytes_in(const void *buf, size_t len) {
  return (struct rn_bytes_in){ .buf = buf, .len = len, .ok = true };
}

/* Bytes that can still be read; 0 when ok is false. */
static inline size_t rn_bytes_left(const struct rn_bytes_in *in) {
  return in->ok ? in->len - in->at : 0;
}

/* Moves over n bytes, any value, and returns where they begin in the buffer. NULL when there are fewer. n 0 can give NULL as well: ok tells. */
static inline const uint8_t *rn_bytes_get(struct rn_bytes_in *in, uint64_t n) {
  if (!in->ok || n > in->len - in->at) {
    in->ok = false;
    return NULL;
  }
  const uint8_t *p = in->buf != NULL ? in->buf + in->at : NULL;
  in->at += (size_t)n;
  return p;
}

/* Copies n bytes to out; zeros when there are fewer. */
static inline void rn_bytes_get_copy(struct rn_bytes_in *in, void *out, size_t n) {
  const uint8_t *p = rn_bytes_get(in, n);
  if (n == 0)
    return;
  if (p != NULL)
    memcpy(out, p, n);
  else
    memset(out, 0, n);
}

/* The integer of n bytes, 1..8; 0 when there are fewer. Compiles to one load for a constant n. */
static inline uint64_t rn_bytes_get_uint(struct rn_bytes_in *in, unsigned int n) {
  const uint8_t *p = rn_bytes_get(in, n);
  uint64_t v = 0;
  for (unsigned int i = 0; p != NULL && i < n; i++)
    v |= (uint64_t)p[i] << (8 * i);
  return v;
}

/* One integer each; 0 when there are fewer bytes. */
static inline uint8_t rn_bytes_get_u8(struct rn_bytes_in *in) {
  return (uint8_t)rn_bytes_get_uint(in, 1);
}
static inline uint16_t rn_bytes_get_u16(struct rn_bytes_in *in) {
  return (uint16_t)rn_bytes_get_uint(in, 2);
}
static inline uint32_t rn_bytes_get_u32(struct rn_bytes_in *in) {
  return (uint32_t)rn_bytes_get_uint(in, 4);
}
static inline uint64_t rn_bytes_get_u64(struct rn_bytes_in *in) { return rn_bytes_get_uint(in, 8); }

/* Writes buf[0..cap). */
struct rn_bytes_out {
  uint8_t *buf;
  size_t cap;
  size_t len; /* written so far */
  bool ok;
};

/* buf outlives the cursor; NULL is fine when cap is 0. */
static inline struct rn_bytes_out rn_bytes_out(void *buf, size_t cap) {
  return (struct rn_bytes_out){ .buf = buf, .cap = cap, .ok = true };
}

/* Room for n bytes, for the caller to fill. NULL when there is less. n 0 can give NULL as well: ok tells. */
static inline uint8_t *rn_bytes_reserve(struct rn_bytes_out *out, uint64_t n) {
  if (!out->ok || n > out->cap - out->len) {
    out->ok = false;
    return NULL;
  }
  uint8_t *p = out->buf != NULL ? out->buf + out->len : NULL;
  out->len += (size_t)n;
  return p;
}

/* All n bytes or none. */
static inline void rn_bytes_put(struct rn_bytes_out *out, const void *data, size_t n) {
  uint8_t *p = rn_bytes_reserve(out, n);
  if (p != NULL && n > 0)
    memcpy(p, data, n);
}

/* The low n bytes, 1..8, of v; all or none. */
static inline void rn_bytes_put_uint(struct rn_bytes_out *out, uint64_t v, unsigned int n) {
  uint8_t *p = rn_bytes_reserve(out, n);
  for (unsigned int i = 0; p != NULL && i < n; i++)
    p[i] = (uint8_t)(v >> (8 * i));
}

/* One integer each; all of it or nothing. */
static inline void rn_bytes_put_u8(struct rn_bytes_out *out, uint8_t v) {
  rn_bytes_put_uint(out, v, 1);
}
static inline void rn_bytes_put_u16(struct rn_bytes_out *out, uint16_t v) {
  rn_bytes_put_uint(out, v, 2);
}
static inline void rn_bytes_put_u32(struct rn_bytes_out *out, uint32_t v) {
  rn_bytes_put_uint(out, v, 4);
}
static inline void rn_bytes_put_u64(struct rn_bytes_out *out, uint64_t v) {
  rn_bytes_put_uint(out, v, 8);
}
