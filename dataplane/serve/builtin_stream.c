/* dataplane/serve/builtin_stream.c: the built-in streaming methods. */
#include "dataplane/serve/builtin_pvt.h"
#include "util/err.h"
#include "wire/rpc.h"

#include <stdio.h>
#include <string.h>

#define TICK_NS    UINT64_C(10000000)
#define TICK_COUNT 20u

/* ---- echo_stream, err_stream ---- */

static int echo_item(struct rn_call *c, const uint8_t *data, size_t len) {
  return rn_call_item(c, data, len);
}

static int err_item(struct rn_call *c, const uint8_t *data, size_t len) {
  if (len == 3 && memcmp(data, "ERR", 3) == 0)
    return rn_call_item_error(c);
  return rn_call_item(c, data, len);
}

/* ---- count_stream: n, then token-0 ... token-(n-1) ---- */

struct count {
  uint32_t n, next;
  bool asked;
};

static void count_on(struct rn_call *c) {
  struct count *k = rn_call_scratch(c);
  while (k->next < k->n) {
    char text[24];
    int len = snprintf(text, sizeof(text), "token-%u", k->next);
    int err = rn_call_item(c, text, (size_t)len);
    if (err != RN_OK)
      return; /* writable goes on */
    k->next++;
  }
  rn_call_end(c);
}

static int count_item(struct rn_call *c, const uint8_t *data, size_t len) {
  struct count *k = rn_call_scratch(c);
  if (k->asked)
    return RN_OK;
  if (len < 4) {
    rn_call_error(c, "", 0);
    return RN_OK;
  }
  k->asked = true;
  k->n = rn_wire_u32(data);
  count_on(c);
  return RN_OK;
}

static void count_end(struct rn_call *c) {
  const struct count *k = rn_call_scratch(c);
  if (!k->asked)
    rn_call_end(c);
}

/* ---- sum_stream: i64 items, then one with their sum ---- */

struct sum {
  uint64_t sum;
  bool ended; /* no items follow */
};

static int sum_item(struct rn_call *c, const uint8_t *data, size_t len) {
  struct sum *k = rn_call_scratch(c);
  if (len < 8)
    return rn_call_item_error(c);
  k->sum += rn_wire_u64(data);
  return RN_OK;
}

static void sum_answer(struct rn_call *c) {
  const struct sum *k = rn_call_scratch(c);
  uint8_t out[8];
  rn_wire_put_u64(out, k->sum);
  if (k->ended && rn_call_item(c, out, sizeof(out)) == RN_OK)
    rn_call_end(c);
}

static void sum_end(struct rn_call *c) {
  ((struct sum *)rn_call_scratch(c))->ended = true;
  sum_answer(c);
}

/* ---- tick_stream: 20 items, 10 ms apart, whatever the peer sends ---- */

static void tick_open(struct rn_call *c) { rn_call_timer(c, rn_call_now(c) + TICK_NS); }

static void tick(struct rn_call *c) {
  uint32_t *i = rn_call_scratch(c);
  char text[24];
  int len = snprintf(text, sizeof(text), "tick-%u", *i);
  if (rn_call_item(c, text, (size_t)len) != RN_OK)
    return; /* writable is this function too */
  if (++*i == TICK_COUNT)
    rn_call_end(c);
  else
    rn_call_timer(c, rn_call_now(c) + TICK_NS);
}

const struct rn_handler rn_builtin_streaming[] = {
  { .name = "echo_stream", .kind = RN_HANDLER_STREAMING, .item = echo_item, .end = rn_call_end },
  { .name = "err_stream", .kind = RN_HANDLER_STREAMING, .item = err_item, .end = rn_call_end },
  { .name = "count_stream",
    .kind = RN_HANDLER_STREAMING,
    .item = count_item,
    .end = count_end,
    .writable = count_on },
  { .name = "sum_stream",
    .kind = RN_HANDLER_STREAMING,
    .item = sum_item,
    .end = sum_end,
    .writable = sum_answer },
  { .name = "tick_stream",
    .kind = RN_HANDLER_STREAMING,
    .open = tick_open,
    .timer = tick,
    .writable = tick },
};
const unsigned int rn_builtin_streaming_count =
    sizeof(rn_builtin_streaming) / sizeof(rn_builtin_streaming[0]);
