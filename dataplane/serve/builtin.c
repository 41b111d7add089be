/* dataplane/serve/builtin.c: the built-in unary methods. */
#include "dataplane/serve/builtin.h"
#include "dataplane/serve/builtin_pvt.h"
#include "util/err.h"
#include "wire/rpc.h"

#include <stdio.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)
/* compute runs in slices so that a long one does not hold up the lcore: about 100 us each. */
#define COMPUTE_SLICE 100000u

/* What bincode says of params that end too early. */
static const char too_short[] = "Serialization error: io error: unexpected end of file";
static const char no_memory[] = "Internal error: server overloaded";

static void fail_with(struct rn_call *c, const char *text) { rn_call_error(c, text, strlen(text)); }

static void echo(struct rn_call *c, const uint8_t *params, size_t len) {
  (void)params, (void)len;
  rn_call_reply_params(c);
}

static void reverse_bytes(uint8_t *p, size_t len) {
  for (size_t i = 0, j = len; i + 1 < j; i++) {
    uint8_t t = p[i];
    p[i] = p[--j];
    p[j] = t;
  }
}

/* Text is reversed by characters, as the reference does: all bytes, and then those of each character back again. */
static void reverse_in_place(uint8_t *p, size_t len) {
  bool text = rn_wire_utf8_ok(p, len);
  reverse_bytes(p, len);
  for (size_t i = 0; text && i < len; i++) {
    size_t start = i;
    while ((p[i] & 0xc0) == 0x80)
      i++; /* continuation bytes now stand before the first one */
    reverse_bytes(p + start, i + 1 - start);
  }
}

static void reverse(struct rn_call *c, const uint8_t *params, size_t len) {
  uint8_t small[256];
  if (len <= sizeof(small)) {
    memcpy(small, params, len);
    reverse_in_place(small, len);
    rn_call_reply(c, small, len);
    return;
  }
  const uint8_t *held;
  if (rn_call_hold(c, &held) != RN_OK) {
    fail_with(c, no_memory);
    return;
  }
  reverse_in_place((uint8_t *)(uintptr_t)held, len); /* the call's own copy */
  rn_call_reply_params(c);
}

struct compute {
  uint64_t x;
  uint32_t i, n;
};

static void compute_slice(struct rn_call *c) {
  struct compute *k = rn_call_scratch(c);
  uint32_t stop = k->n - k->i > COMPUTE_SLICE ? k->i + COMPUTE_SLICE : k->n;
  uint64_t x = k->x;
  for (uint32_t i = k->i; i < stop; i++)
    x = x * 6364136223846793005u + 1442695040888963407u + i;
  k->x = x;
  k->i = stop;
  if (stop < k->n) {
    rn_call_timer(c, rn_call_now(c));
    return;
  }
  uint8_t out[8];
  rn_wire_put_u64(out, x);
  rn_call_reply(c, out, sizeof(out));
}

static void compute(struct rn_call *c, const uint8_t *params, size_t len) {
  if (len < 4) {
    fail_with(c, too_short);
    return;
  }
  *(struct compute *)rn_call_scratch(c) = (struct compute){ .n = rn_wire_u32(params) };
  compute_slice(c);
}

static void add(struct rn_call *c, const uint8_t *params, size_t len) {
  if (len < 16) {
    fail_with(c, too_short);
    return;
  }
  uint8_t out[8];
  rn_wire_put_u64(
      out, rn_wire_u64(params) +
               rn_wire_u64(params + 8)); /* two's complement: wraps as Rust's release build */
  rn_call_reply(c, out, sizeof(out));
}

static void sleep_call(struct rn_call *c, const uint8_t *params, size_t len) {
  const uint8_t *held;
  if (len < 8) {
    fail_with(c, too_short);
    return;
  }
  uint64_t ms = rn_wire_u64(params);
  if (rn_call_hold(c, &held) != RN_OK) {
    fail_with(c, no_memory);
    return;
  }
  if (ms > UINT64_MAX / NS_PER_MS / 4)
    ms = UINT64_MAX / NS_PER_MS / 4;
  rn_call_timer(c, rn_call_now(c) + ms * NS_PER_MS);
}

static void fail(struct rn_call *c, const uint8_t *params, size_t len) {
  static const char prefix[] = "Stream error: ";
  char text[900];
  size_t n = sizeof(prefix) - 1, room = sizeof(text) - n;
  memcpy(text, prefix, n);
  if (len > room)
    len = room;
  while (len > 0 && !rn_wire_utf8_ok(params, len))
    len--; /* what is no text, or was cut within a character, is left out */
  memcpy(text + n, params, len);
  rn_call_error(c, text, n + len);
}

static void health(struct rn_call *c, const uint8_t *params, size_t len) {
  (void)params, (void)len;
  const struct rn_builtin_info *info = rn_call_server_user(c);
  uint8_t out[128];
  size_t n = strnlen(info->version, 64);
  out[0] = info->healthy;
  rn_wire_put_u64(out + 1, n);
  memcpy(out + 9, info->version, n);
  rn_wire_put_u64(out + 9 + n, (rn_call_now(c) - info->start_ns) / (1000 * NS_PER_MS));
  rn_call_reply(c, out, 17 + n);
}

static void ready(struct rn_call *c, const uint8_t *params, size_t len) {
  (void)params, (void)len;
  const struct rn_builtin_info *info = rn_call_server_user(c);
  uint8_t out[17];
  out[0] = info->ready;
  rn_wire_put_u64(out + 1, info->workers_available);
  rn_wire_put_u64(out + 9, info->cluster_size);
  rn_call_reply(c, out, sizeof(out));
}

static const struct rn_handler unary[] = {
  { .name = "echo", .request = echo },
  { .name = "binary_echo", .request = echo },
  { .name = "reverse", .request = reverse },
  { .name = "compute", .request = compute, .timer = compute_slice },
  { .name = "add", .request = add },
  { .name = "sleep", .request = sleep_call, .timer = rn_call_reply_params },
  { .name = "fail", .request = fail },
  { .name = "health", .request = health },
  { .name = "ready", .request = ready },
};
#define UNARY_COUNT (sizeof(unary) / sizeof(unary[0]))

int rn_builtin_add(struct rn_rpc_server *v, const struct rn_builtin_info *info) {
  rn_rpc_server_set_user(v, info);
  int err = RN_OK;
  for (size_t i = 0; i < UNARY_COUNT && err == RN_OK; i++)
    err = rn_rpc_server_add(v, &unary[i]);
  for (unsigned int i = 0; i < rn_builtin_streaming_count && err == RN_OK; i++)
    err = rn_rpc_server_add(v, &rn_builtin_streaming[i]);
  return err == RN_OK ? rn_rpc_server_add(v, &rn_builtin_inference) : err;
}
