/* tests/sim/calls.c */
#include "calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/err.h"
#include "wire/rpc.h"

#define AT_ONCE     8u /* calls outstanding */
#define LARGE_BYTES 100000u
#define SLEEP_MS    5u
#define TICKS       20u

enum kind { ECHO, ADD, SLEEP, LARGE, ECHO_STREAM, COUNT_STREAM, SUM_STREAM, TICK_STREAM, KINDS };

/* How many of each kind, and what streaming ones send and get. */
static const struct plan {
  const char *method;
  bool streaming;
  uint32_t calls, items_sent, items_got;
} plans[KINDS] = {
  [ECHO] = { "echo", false, 38, 0, 0 },
  [ADD] = { "add", false, 6, 0, 0 },
  [SLEEP] = { "sleep", false, 3, 0, 0 },
  [LARGE] = { "binary_echo", false, 4, 0, 0 },
  [ECHO_STREAM] = { "echo_stream", true, 2, 40, 40 },
  [COUNT_STREAM] = { "count_stream", true, 1, 1, 300 },
  [SUM_STREAM] = { "sum_stream", true, 1, 50, 1 },
  [TICK_STREAM] = { "tick_stream", true, 1, 0, TICKS },
};

struct one {
  struct calls *k;
  struct rn_rpc_client_call *call;
  uint32_t idx;
  enum kind kind;
  uint32_t sent, got; /* items */
  bool wrong, over;
  bool refused; /* an item said that the call failed */
  uint64_t bytes;
};

struct calls {
  struct rpc_peer *client;
  uint64_t timeout_ns;
  uint32_t next, outstanding;
  struct calls_result res;
  struct one all[CALLS_COUNT];
  uint8_t body[LARGE_BYTES];
};

/* ---- what is sent and expected ---- */

static uint8_t pattern(const struct one *o, uint64_t item, uint64_t at) {
  return (uint8_t)(o->idx * 131u + item * 57u + at * 7u + (at >> 8));
}

static void fill(const struct one *o, uint64_t item, uint8_t *out, size_t n) {
  for (size_t i = 0; i < n; i++)
    out[i] = pattern(o, item, i);
}

static bool is_pattern(const struct one *o, uint64_t item, const uint8_t *data, size_t n,
                       size_t expected) {
  if (n != expected)
    return false;
  for (size_t i = 0; i < n; i++) {
    if (data[i] != pattern(o, item, i))
      return false;
  }
  return true;
}

static size_t unary_bytes(const struct one *o) {
  switch (o->kind) {
  case ADD:
    return 16;
  case SLEEP:
    return 8;
  case LARGE:
    return LARGE_BYTES;
  default:
    return o->idx * 37u % 2000u;
  }
}

static size_t item_bytes(const struct one *o, uint32_t i) { return 1 + (o->idx + i * 97u) % 1500u; }

static size_t make_params(const struct one *o, uint8_t *out) {
  size_t n = unary_bytes(o);
  fill(o, 0, out, n);
  if (o->kind == ADD) {
    rn_wire_put_u64(out, o->idx);
    rn_wire_put_u64(out + 8, 1000);
  } else if (o->kind == SLEEP) {
    rn_wire_put_u64(out, SLEEP_MS);
  }
  return n;
}

static bool right_answer(const struct one *o, const struct rn_rpc_result *r) {
  switch (o->kind) {
  case ADD:
    return r->len == 8 && rn_wire_u64(r->data) == o->idx + 1000u;
  case SLEEP:
    return r->len == 8 && rn_wire_u64(r->data) == SLEEP_MS;
  default:
    return is_pattern(o, 0, r->data, r->len, unary_bytes(o));
  }
}

static bool is_text(const uint8_t *data, size_t len, const char *format, uint32_t i) {
  char text[32];
  int n = snprintf(text, sizeof(text), "%s-%u", format, i);
  return len == (size_t)n && memcmp(data, text, len) == 0;
}

static bool right_item(const struct one *o, const uint8_t *data, size_t len) {
  switch (o->kind) {
  case COUNT_STREAM:
    return is_text(data, len, "token", o->got);
  case TICK_STREAM:
    return is_text(data, len, "tick", o->got);
  case SUM_STREAM:
    return len == 8 && rn_wire_u64(data) == plans[SUM_STREAM].items_sent * 3u;
  default:
    return is_pattern(o, o->got, data, len, item_bytes(o, o->got));
  }
}

static size_t make_item(const struct one *o, uint8_t *out) {
  if (o->kind == COUNT_STREAM) {
    rn_wire_put_u32(out, plans[COUNT_STREAM].items_got);
    return 4;
  }
  if (o->kind == SUM_STREAM) {
    rn_wire_put_u64(out, 3);
    return 8;
  }
  size_t n = item_bytes(o, o->sent);
  fill(o, o->sent, out, n);
  return n;
}

/* ---- ends ---- */

static void fill_up(struct calls *k);

static void ended(struct one *o, int err, const char *text) {
  struct calls_result *res = &o->k->res;
  const char *fault = err != RN_OK ? text : o->wrong ? "a wrong answer" : NULL;
  if (fault != NULL && res->why_text[0] == '\0')
    snprintf(res->why_text, sizeof(res->why_text), "call %u (%s): %.180s", o->idx,
             plans[o->kind].method, fault);
  res->late += err == RN_ERR_TIMEOUT;
  res->failed_unary += err != RN_OK && !plans[o->kind].streaming;
  if (err != RN_OK)
    res->failed++;
  else if (o->wrong)
    res->wrong++;
  else
    res->done++;
  if (fault == NULL)
    res->bytes += o->bytes;
  net_event(o->k->client->net, o->k->client->host, "call over", o->idx, (uint64_t)-err);
  o->over = true;
  o->call = NULL;
  o->k->outstanding--;
}

static void on_done(void *user, struct rn_rpc_client_call *call, const struct rn_rpc_result *r) {
  struct one *o = user;
  (void)call;
  if (r->err == RN_OK && !plans[o->kind].streaming) {
    o->wrong = !right_answer(o, r);
    o->bytes += r->len;
  } else if (r->err == RN_OK && !o->refused) {
    o->wrong |= o->got != plans[o->kind].items_got;
  }
  if (o->refused)
    ended(o, RN_ERR_REFUSED, "an item that failed");
  else
    ended(o, r->err, r->text);
  fill_up(o->k);
}

static void on_item(void *user, struct rn_rpc_client_call *call, const uint8_t *data, size_t len) {
  static const char failed[] = "Error processing request";
  struct one *o = user;
  (void)call;
  if (len == sizeof(failed) - 1 && memcmp(data, failed, len) == 0) {
    o->refused = true;
    return;
  }
  o->wrong |= o->got >= plans[o->kind].items_got || !right_item(o, data, len);
  o->got++;
  o->bytes += len;
}

/* ---- starts ---- */

static void send_items(struct one *o) {
  uint8_t buf[2048];
  while (o->sent < plans[o->kind].items_sent) {
    size_t n = make_item(o, buf);
    if (rn_rpc_client_send(o->call, buf, n) != RN_OK)
      return; /* writable goes on */
    o->bytes += n;
    o->sent++;
  }
  rn_rpc_client_send_end(o->call);
}

static void on_writable(void *user, struct rn_rpc_client_call *call) {
  struct one *o = user;
  o->call = call;
  send_items(o);
}

static int start_one(struct calls *k, struct one *o) {
  static const struct rn_rpc_stream_events ev = { on_item, on_writable, on_done };
  const struct plan *p = &plans[o->kind];
  struct rn_quic_conn *conn = k->client->base.conn;
  if (conn == NULL)
    return RN_ERR_CLOSED;
  if (p->streaming) {
    int err =
        rn_rpc_client_stream(k->client->client, conn, p->method, k->timeout_ns, &ev, o, &o->call);
    if (err == RN_OK)
      send_items(o);
    return err;
  }
  size_t n = make_params(o, k->body);
  o->bytes = n;
  return rn_rpc_client_call(k->client->client, conn, p->method, k->body, n, k->timeout_ns, on_done,
                            o, &o->call);
}

static void fill_up(struct calls *k) {
  while (k->outstanding < AT_ONCE && k->next < CALLS_COUNT) {
    struct one *o = &k->all[k->next];
    net_event(k->client->net, k->client->host, "call", o->idx, o->kind);
    k->next++;
    k->outstanding++;
    int err = start_one(k, o);
    if (err != RN_OK)
      ended(o, err, rn_err_text(err));
  }
}

struct calls *calls_new(struct rpc_peer *client, uint64_t seed, uint64_t timeout_ns) {
  struct calls *k = calloc(1, sizeof(*k));
  struct rn_rng rng;
  uint32_t n = 0;
  k->client = client;
  k->timeout_ns = timeout_ns;
  for (enum kind kind = 0; kind < KINDS; kind++) {
    for (uint32_t i = 0; i < plans[kind].calls; i++)
      k->all[n++].kind = kind;
  }
  if (n != CALLS_COUNT)
    abort();
  rn_rng_init(&rng, seed);
  for (uint32_t i = CALLS_COUNT - 1; i > 0; i--) {
    uint32_t j = (uint32_t)rn_rng_below(&rng, i + 1);
    enum kind swapped = k->all[i].kind;
    k->all[i].kind = k->all[j].kind;
    k->all[j].kind = swapped;
  }
  for (uint32_t i = 0; i < CALLS_COUNT; i++) {
    k->all[i].k = k;
    k->all[i].idx = i;
  }
  return k;
}

void calls_free(struct calls *k) { free(k); }
void calls_start(struct calls *k) { fill_up(k); }
bool calls_over(const struct calls *k) { return k->next == CALLS_COUNT && k->outstanding == 0; }
const struct calls_result *calls_result(const struct calls *k) { return &k->res; }
