/* lib/rpc/fanout_ask.c: workers: asked, answered, given up. */
#include "rpc/fanout_priv.h"
#include "util/err.h"
#include "wire/rpc.h"

#include <assert.h>
#include <string.h>

#define TUPLE_BYTES 20u /* lengths of the id and of the answer, and the tag before it */

static const char unreached[] = "Connection error: The worker cannot be reached";
static const char late[] = "Request timeout";
static const char overloaded[] = "Internal error: server overloaded";
static const char too_large[] = "Stream error: Response too large";
static_assert(sizeof(unreached) <= ASK_TEXT_MAX && sizeof(overloaded) <= ASK_TEXT_MAX &&
                  sizeof(too_large) <= ASK_TEXT_MAX && sizeof(late) <= ASK_TEXT_MAX,
              "room is set aside for them");

static const uint8_t ask_next[ASK_STATE_COUNT][ASK_EV_COUNT] = {
  /* 0: not allowed */
  [ASK_WAITING] = { [ASK_EV_ASKED] = ASK_ASKED, [ASK_EV_DONE] = ASK_DONE },
  [ASK_ASKED] = { [ASK_EV_DONE] = ASK_DONE },
};

static void ask_set_state(struct fan_ask *a, enum ask_event ev) {
  uint8_t next = ask_next[a->state][ev];
  RN_ASSERT(next != 0);
  a->state = next;
}

size_t ask_room(size_t id_bytes) { return TUPLE_BYTES + id_bytes + ASK_TEXT_MAX; }

/* ---- ends ---- */

/* Without a copy: text has to stay. */
static void settle_with(struct fan_ask *a, const char *text, uint64_t *counter) {
  ++*counter;
  ask_set_state(a, ASK_EV_DONE);
  a->answer = (const uint8_t *)text;
  a->answer_bytes = strlen(text);
  fan_settle(a->fan);
}

static uint64_t body_failures(const struct rn_fanout *f) {
  return rn_buddy_failures(f->bodies) + rn_rpc_client_body_limit(f->client);
}

/* The client of ours, or we, had no room for what the worker said: the call's share of it, or all that is there. */
static void settle_without_room(struct fan_ask *a) {
  struct rn_fanout *f = a->fan->f;
  const uint64_t failures = body_failures(f);
  const bool no_memory = failures != f->stats.body_limit;
  f->stats.body_limit = failures;
  settle_with(a, no_memory ? overloaded : too_large,
              no_memory ? &f->stats.overload : &f->stats.too_large);
}

static void settle_with_copy(struct fan_ask *a, bool good, const void *bytes, size_t len,
                             uint64_t *counter) {
  struct fan *k = a->fan;
  struct rn_fanout *f = k->f;
  uint8_t *copy = NULL;
  if (len <= f->lim.answer_bytes - k->bytes)
    copy = len > 0 ? rn_buddy_alloc(f->bodies, len, NULL) : f->out;
  if (copy == NULL) {
    settle_without_room(a);
    return;
  }
  if (len > 0)
    memcpy(copy, bytes, len);
  ++*counter;
  ask_set_state(a, ASK_EV_DONE);
  k->bytes += len;
  a->good = good;
  a->kept = len > 0;
  a->answer = copy;
  a->answer_bytes = len;
  fan_settle(k);
}

/* Not to be told of its answer any more. */
static void ask_drop(struct fan_ask *a) {
  const bool asked = a->state == ASK_ASKED;
  if (a->state == ASK_WAITING)
    rn_pool_unwait(a->fan->f->pool, &a->w);
  if (a->state != ASK_DONE)
    ask_set_state(a, ASK_EV_DONE);
  if (asked)
    rn_rpc_client_cancel(a->call);
}

void ask_late(struct fan_ask *a) {
  if (a->state == ASK_DONE)
    return;
  ask_drop(a);
  a->fan->f->stats.late++;
  a->answer = (const uint8_t *)late;
  a->answer_bytes = sizeof(late) - 1;
  fan_settle(a->fan);
}

void ask_free(struct fan_ask *a) {
  struct rn_fanout *f = a->fan->f;
  ask_drop(a);
  if (a->kept)
    rn_buddy_free(f->bodies, (void *)(uintptr_t)a->answer);
  rn_list_remove(&a->node);
  f->stats.asks--;
  rn_slab_give(f->asks, a);
}

/* ---- the question ---- */

/* The text of an error as our client has it, which may have cut it within a character. */
static size_t text_bytes(const char *text) {
  size_t n = strlen(text);
  while (n > 0 && !rn_wire_utf8_ok((const uint8_t *)text, n))
    n--;
  return n;
}

static void on_answer(void *user, struct rn_rpc_client_call *call, const struct rn_rpc_result *r) {
  struct fan_ask *a = user;
  struct rn_fanout_stats *st = &a->fan->f->stats;
  (void)call;
  if (a->state != ASK_ASKED) /* we gave it up */
    return;
  if (r->err == RN_OK)
    settle_with_copy(a, true, r->data, r->len, &st->good);
  else if (r->err == RN_ERR_LIMIT)
    settle_without_room(a);
  else
    settle_with_copy(a, false, r->text, text_bytes(r->text),
                     r->err == RN_ERR_REFUSED ? &st->refused : &st->broken);
}

static void ask_on(struct fan_ask *a, struct rn_quic_conn *conn) {
  const struct fan *k = a->fan;
  struct rn_fanout *f = k->f;
  const uint32_t before = rn_quic_conn_stream_count(conn);
  int err = rn_rpc_client_call(f->client, conn, k->route->handler.name, k->params, k->params_bytes,
                               0, on_answer, a, &a->call);
  if (rn_quic_conn_stream_count(conn) != before) /* it may be there although the call is not */
    rn_pool_stream_opened(conn);
  if (err == RN_OK)
    ask_set_state(a, ASK_EV_ASKED);
  else
    settle_with(a, overloaded, &f->stats.overload);
}

static void no_conn(struct fan_ask *a, int err) {
  struct rn_fanout_stats *st = &a->fan->f->stats;
  bool full = err == RN_ERR_LIMIT;
  settle_with(a, full ? overloaded : unreached, full ? &st->overload : &st->unreached);
}

static void on_conn(struct rn_pool_waiter *w, int err, struct rn_quic_conn *conn) {
  struct fan_ask *a = RN_LIST_ENTRY(w, struct fan_ask, w);
  if (err == RN_OK)
    ask_on(a, conn);
  else
    no_conn(a, err);
}

bool ask_add(struct fan *k, const struct rn_fanout_worker *w) {
  struct rn_fanout *f = k->f;
  struct fan_ask *a = rn_slab_take(f->asks);
  if (a == NULL)
    return false;
  a->fan = k;
  a->call = NULL;
  a->addr = w->addr;
  a->answer = NULL;
  a->answer_bytes = 0;
  a->state = ASK_WAITING;
  a->good = a->kept = false;
  a->id_bytes = (uint8_t)w->id_bytes;
  memcpy(a->id, w->id, w->id_bytes);
  rn_pool_waiter_init(&a->w, on_conn);
  rn_list_push_back(&k->asks, &a->node);
  f->stats.asks++;
  return true;
}

void ask_begin(struct fan_ask *a) {
  struct rn_fanout *f = a->fan->f;
  struct rn_quic_conn *conn;
  int err = rn_pool_get(f->pool, rn_quic_now(f->quic), &a->addr, &a->w, &conn);
  f->stats.asked++;
  if (err == RN_OK)
    ask_on(a, conn);
  else if (err != RN_ERR_AGAIN)
    no_conn(a, err);
}
