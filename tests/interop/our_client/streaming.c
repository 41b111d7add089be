/* The three kinds of streaming, error items, full duplex, cancellation, big frames. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/interop/our_client/peer.h"
#include "util/err.h"

#define ITEM_BYTES 5000000u

/* One streaming call: what is sent, what has to come back. */
struct exchange {
  uint32_t send_count, want_count;
  size_t (*make)(uint32_t i, uint8_t *out); /* item i to send; at most ITEM_BYTES */
  size_t (*want)(uint32_t i, uint8_t *out); /* item i that has to come */
  bool held;                                /* ends and sends only what the case itself lets it */
  uint8_t *out, *expected;                  /* ITEM_BYTES each */
  struct rn_rpc_client_call *call;
  uint32_t sent, got, done;
  int err;
  bool wrong; /* noted */
  char text[256];
};

static void pump(struct exchange *x) {
  while (!x->held && x->sent < x->send_count) {
    if (rn_rpc_client_send(x->call, x->out, x->make(x->sent, x->out)) != RN_OK)
      return; /* writable follows */
    x->sent++;
  }
  if (!x->held)
    rn_rpc_client_send_end(x->call);
}

static void on_item(void *user, struct rn_rpc_client_call *call, const uint8_t *data, size_t len) {
  struct exchange *x = user;
  char name[32];
  (void)call;
  snprintf(name, sizeof(name), "item %u", x->got);
  if (!x->wrong && x->got < x->want_count)
    x->wrong = !same(name, data, len, x->expected, x->want(x->got, x->expected));
  x->got++;
}

static void on_writable(void *user, struct rn_rpc_client_call *call) {
  (void)call;
  pump(user);
}

static void on_done(void *user, struct rn_rpc_client_call *call, const struct rn_rpc_result *r) {
  struct exchange *x = user;
  (void)call;
  x->err = r->err;
  memcpy(x->text, r->text, sizeof(x->text));
  x->call = NULL;
  x->done = 1;
}

static bool begin(struct peer *p, const char *method, struct exchange *x) {
  static const struct rn_rpc_stream_events events = { on_item, on_writable, on_done };
  x->out = malloc(ITEM_BYTES);
  x->expected = malloc(ITEM_BYTES);
  RN_ASSERT(x->out != NULL && x->expected != NULL);
  int err = rn_rpc_client_stream(rn_client_rpc(p->client), p->conn[0], method, 30 * S_NS, &events,
                                 x, &x->call);
  if (err != RN_OK)
    return fail("%s: %s", method, rn_err_text(err));
  pump(x);
  return true;
}

/* Waits for the end; everything that was wanted has to have come. Releases x. */
static bool finish(struct peer *p, struct exchange *x, bool so_far) {
  bool ok = so_far && peer_until(p, &x->done, 1, 30 * S_NS);
  if (!ok)
    peer_close(p); /* the call must not find a gone exchange later */
  if (ok && x->err != RN_OK)
    ok = fail("ended: %s", x->text);
  if (ok && (x->wrong || x->got != x->want_count))
    ok = fail("%u items, expected %u", x->got, x->want_count);
  free(x->out);
  free(x->expected);
  return ok && !x->wrong;
}

static bool exchange(const struct target *t, const char *method, struct exchange *x) {
  struct peer p;
  bool ok = peer_open(&p, t, 1, 64) && begin(&p, method, x);
  ok = finish(&p, x, ok);
  peer_close(&p);
  return ok;
}

static size_t numbered(uint32_t i, uint8_t *out) {
  return (size_t)sprintf((char *)out, "message-%u", i);
}

static bool echo_stream_500(const struct target *t) {
  struct exchange x = { .send_count = 500, .want_count = 500, .make = numbered, .want = numbered };
  return exchange(t, "echo_stream", &x);
}

static size_t big(uint32_t i, uint8_t *out) {
  pattern(out, ITEM_BYTES, i);
  return ITEM_BYTES;
}

static bool frames_5mb(const struct target *t) {
  struct exchange x = { .send_count = 2, .want_count = 2, .make = big, .want = big };
  return exchange(t, "echo_stream", &x);
}

static size_t count_1000(uint32_t i, uint8_t *out) {
  const uint32_t n = 1000;
  (void)i;
  memcpy(out, &n, sizeof(n));
  return sizeof(n);
}

static size_t token(uint32_t i, uint8_t *out) {
  return (size_t)sprintf((char *)out, "token-%u", i);
}

static bool count_stream_1000(const struct target *t) {
  struct exchange x = { .send_count = 1, .want_count = 1000, .make = count_1000, .want = token };
  return exchange(t, "count_stream", &x);
}

static size_t number(uint32_t i, uint8_t *out) {
  const int64_t n = (int64_t)i - 100;
  memcpy(out, &n, sizeof(n));
  return sizeof(n);
}

static size_t sum_of_numbers(uint32_t i, uint8_t *out) {
  const int64_t n = 999 * 500 - 1000 * 100;
  (void)i;
  memcpy(out, &n, sizeof(n));
  return sizeof(n);
}

static bool sum_stream_1000(const struct target *t) {
  struct exchange x = {
    .send_count = 1000, .want_count = 1, .make = number, .want = sum_of_numbers
  };
  return exchange(t, "sum_stream", &x);
}

static size_t with_errors(uint32_t i, uint8_t *out) {
  if (i % 3 != 1)
    return numbered(i, out);
  memcpy(out, "ERR", 3);
  return 3;
}

static size_t errors_said(uint32_t i, uint8_t *out) {
  static const char text[] = "Error processing request";
  if (i % 3 != 1)
    return numbered(i, out);
  memcpy(out, text, sizeof(text) - 1);
  return sizeof(text) - 1;
}

static bool err_stream(const struct target *t) {
  struct exchange x = {
    .send_count = 9, .want_count = 9, .make = with_errors, .want = errors_said
  };
  return exchange(t, "err_stream", &x);
}

static bool ping_pong(const struct target *t) {
  struct exchange x = { .want_count = 100, .make = numbered, .want = numbered, .held = true };
  struct peer p;
  bool ok = peer_open(&p, t, 1, 64) && begin(&p, "echo_stream", &x);
  for (uint32_t i = 0; ok && i < 100; i++) {
    ok = rn_rpc_client_send(x.call, x.out, numbered(i, x.out)) == RN_OK || fail("send %u", i);
    ok = ok && peer_until(&p, &x.got, i + 1, 3 * S_NS);
  }
  x.held = false;
  if (ok)
    pump(&x);
  ok = finish(&p, &x, ok);
  peer_close(&p);
  return ok;
}

static size_t tick(uint32_t i, uint8_t *out) { return (size_t)sprintf((char *)out, "tick-%u", i); }

/* Sends a frame every 5 ms; the ticks, 10 ms apart, have to come meanwhile. */
static bool tick_duplex(const struct target *t) {
  struct exchange x = { .want_count = 20, .make = numbered, .want = tick, .held = true };
  struct peer p;
  uint32_t sent = 0;
  bool ok = peer_open(&p, t, 1, 64) && begin(&p, "tick_stream", &x);
  uint64_t start_ns = rn_client_now();
  while (ok && x.got < 20 && rn_client_now() < start_ns + 3 * S_NS) {
    if (x.done == 0 && rn_rpc_client_send(x.call, x.out, numbered(sent, x.out)) == RN_OK)
      sent++;
    ok = peer_idle(&p, 5 * MS_NS);
  }
  uint64_t took_ms = (rn_client_now() - start_ns) / MS_NS;
  x.held = false;
  if (ok && x.done == 0)
    pump(&x);
  ok = finish(&p, &x, ok);
  if (ok && (sent < 15 || took_ms < 150 || took_ms > 1500))
    ok = fail("%u frames sent, 20 ticks in %llu ms", sent, (unsigned long long)took_ms);
  peer_close(&p);
  return ok;
}

/* Sends nothing but the method's name. */
static bool tick_idle(const struct target *t) {
  struct exchange x = { .want_count = 20, .make = numbered, .want = tick, .held = true };
  struct peer p;
  bool ok = peer_open(&p, t, 1, 64) && begin(&p, "tick_stream", &x) &&
            peer_until(&p, &x.got, 20, 3 * S_NS);
  x.held = false;
  if (ok && x.done == 0)
    pump(&x);
  ok = finish(&p, &x, ok);
  peer_close(&p);
  return ok;
}

static size_t count_1m(uint32_t i, uint8_t *out) {
  const uint32_t n = 1000000;
  (void)i;
  memcpy(out, &n, sizeof(n));
  return sizeof(n);
}

static bool early_cancel(const struct target *t) {
  struct peer p;
  bool ok = peer_open(&p, t, 1, 64);
  for (uint32_t i = 0; ok && i < 50; i++) {
    struct exchange x = { .send_count = 1, .want_count = 1, .make = count_1m, .want = token };
    ok = begin(&p, "count_stream", &x) && peer_until(&p, &x.got, 1, 5 * S_NS);
    if (x.call != NULL && p.client != NULL)
      rn_rpc_client_cancel(x.call);
    if (ok && x.err != RN_ERR_CANCEL)
      ok = fail("cancelled: %s", rn_err_text(x.err));
    free(x.out);
    free(x.expected);
  }
  ok = ok && echo(&p, 1 << 20, 1);
  peer_close(&p);
  return ok;
}

const struct kase streaming_cases[] = {
  { .name = "echo_stream_500",
    .shows = "500 messages there and back, in order",
    .run = echo_stream_500 },
  { .name = "echo_stream_ping_pong",
    .shows = "100 times: the next goes out when the last came back",
    .run = ping_pong },
  { .name = "count_stream_1000", .shows = "one request, 1,000 tokens", .run = count_stream_1000 },
  { .name = "sum_stream_1000", .shows = "1,000 numbers, one answer", .run = sum_stream_1000 },
  { .name = "tick_duplex",
    .shows = "20 ticks arrive while the client is sending",
    .run = tick_duplex },
  { .name = "tick_idle",
    .shows = "20 ticks arrive while the client sends nothing",
    .run = tick_idle },
  { .name = "err_stream",
    .shows = "error items arrive as error frames, the stream goes on",
    .run = err_stream },
  { .name = "frames_5mb",
    .shows = "two frames of 5,000,000 bytes through echo_stream",
    .run = frames_5mb },
  { .name = "early_cancel",
    .shows = "50 streams of a million tokens cancelled after the first",
    .run = early_cancel },
  { .name = NULL },
};
