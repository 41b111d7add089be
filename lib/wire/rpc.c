/* lib/wire/rpc.c */
#include "wire/rpc.h"
#include "util/err.h"

#include <string.h>

/* Behind the ASCII that p starts with, or somewhat before its end. */
static const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end) {
  uint64_t eight;
  uint32_t four;
  for (; end - p >= 8; p += 8) {
    memcpy(&eight, p, 8);
    if ((eight & UINT64_C(0x8080808080808080)) != 0)
      return p;
  }
  if (end - p < 4)
    return p;
  memcpy(&four, p, 4);
  return (four & 0x80808080u) == 0 ? p + 4 : p;
}

bool rn_wire_utf8_ok(const void *text, size_t len) {
  const uint8_t *p = text, *end = p + len;
  while ((p = skip_ascii(p, end)) < end) {
    uint8_t c = *p++;
    if (c < 0x80)
      continue;
    /* Length, and the range of the second byte: RFC 3629 section 4. */
    size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
    uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (c < 0xc2 || c > 0xf4 || (size_t)(end - p) < more || p[0] < low || p[0] > high)
      return false;
    for (size_t i = 1; i < more; i++) {
      if ((p[i] & 0xc0) != 0x80)
        return false;
    }
    p += more;
  }
  return true;
}

/* A cursor that remembers how far it would have to read. */
struct cursor {
  const uint8_t *buf;
  size_t len, max, at;
};

/* Moves over n bytes. RN_OK; RN_ERR_SHORT: at stands behind them nevertheless, so that it says what is needed; RN_ERR_TOOBIG. */
static int skip(struct cursor *c, uint64_t n) {
  if (n > c->max - c->at)
    return RN_ERR_TOOBIG;
  c->at += (size_t)n;
  return c->at <= c->len ? RN_OK : RN_ERR_SHORT;
}

static int get_u64(struct cursor *c, uint64_t *out) {
  int err = skip(c, 8);
  if (err == RN_OK)
    *out = rn_wire_u64(c->buf + c->at - 8);
  return err;
}

static int get_blob(struct cursor *c, const uint8_t **data, size_t *bytes) {
  uint64_t n = 0;
  int err = get_u64(c, &n);
  if (err != RN_OK)
    return err;
  *data = c->buf + c->at;
  *bytes = (size_t)n;
  return skip(c, n);
}

int rn_wire_request_get(const uint8_t *buf, size_t len, size_t max_bytes,
                        struct rn_wire_request *out, size_t *used, size_t *need) {
  struct cursor c = { .buf = buf, .len = len, .max = max_bytes };
  struct rn_wire_request r;
  const uint8_t *method;
  int err = get_u64(&c, &r.id);
  if (err == RN_OK)
    err = get_blob(&c, &method, &r.method_bytes);
  if (err == RN_OK && !rn_wire_utf8_ok(method, r.method_bytes))
    err = RN_ERR_PROTO;
  if (err == RN_OK)
    err = get_blob(&c, &r.params, &r.params_bytes);
  if (err == RN_ERR_SHORT)
    *need = c.at;
  if (err != RN_OK)
    return err;
  r.method = (const char *)method;
  *out = r;
  *used = c.at;
  return RN_OK;
}

void rn_wire_request_head(uint8_t *out, uint64_t id, const char *method, size_t method_bytes,
                          size_t params_bytes) {
  rn_wire_put_u64(out, id);
  rn_wire_put_u64(out + 8, method_bytes);
  memcpy(out + 16, method, method_bytes);
  rn_wire_put_u64(out + 16 + method_bytes, params_bytes);
}

static int get_option(struct cursor *c, const uint8_t **data, size_t *bytes) {
  *data = NULL;
  *bytes = 0;
  int err = skip(c, 1);
  if (err != RN_OK)
    return err;
  uint8_t tag = c->buf[c->at - 1];
  if (tag > 1)
    return RN_ERR_PROTO;
  return tag == 1 ? get_blob(c, data, bytes) : RN_OK;
}

int rn_wire_response_get(const uint8_t *buf, size_t len, size_t max_bytes,
                         struct rn_wire_response *out, size_t *used, size_t *need) {
  struct cursor c = { .buf = buf, .len = len, .max = max_bytes };
  struct rn_wire_response r;
  const uint8_t *error = NULL;
  int err = get_u64(&c, &r.id);
  if (err == RN_OK)
    err = get_option(&c, &r.result, &r.result_bytes);
  if (err == RN_OK)
    err = get_option(&c, &error, &r.error_bytes);
  if (err == RN_OK && error != NULL && !rn_wire_utf8_ok(error, r.error_bytes))
    err = RN_ERR_PROTO;
  if (err == RN_ERR_SHORT)
    *need = c.at;
  if (err != RN_OK)
    return err;
  r.error = (const char *)error;
  *out = r;
  *used = c.at;
  return RN_OK;
}

void rn_wire_result_head(uint8_t out[RN_WIRE_RESULT_HEAD_BYTES], uint64_t id, size_t result_bytes) {
  rn_wire_put_u64(out, id);
  out[8] = 1;
  rn_wire_put_u64(out + 9, result_bytes);
}

void rn_wire_error_head(uint8_t out[RN_WIRE_ERROR_HEAD_BYTES], uint64_t id, size_t text_bytes) {
  rn_wire_put_u64(out, id);
  out[8] = 0;
  out[9] = 1;
  rn_wire_put_u64(out + 10, text_bytes);
}

int rn_wire_frame_get(const uint8_t *buf, size_t len, size_t max_item_bytes, const uint8_t **item,
                      size_t *item_bytes, size_t *used, size_t *need) {
  if (len < 4) {
    *need = 4;
    return RN_ERR_SHORT;
  }
  size_t n = rn_wire_u32(buf);
  if (n > max_item_bytes)
    return RN_ERR_TOOBIG;
  if (len - 4 < n) {
    *need = 4 + n;
    return RN_ERR_SHORT;
  }
  *item = buf + 4;
  *item_bytes = n;
  *used = 4 + n;
  return RN_OK;
}
