/* lib/rpc/forward_try.c: one worker after the other, or beside the other, until one answers. */
#include "rpc/forward_priv.h"
#include "util/err.h"

/* ---- state ---- */

#define NOT_ALLOWED 0xff
static const uint8_t try_next[TRY_STATE_COUNT][TRY_EV_COUNT] = {
  /* PICKED, OPENED, SPENT, ENDED */
  [TRY_NONE] = { TRY_WAITING, NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED },
  [TRY_WAITING] = { NOT_ALLOWED, TRY_OPEN, NOT_ALLOWED, TRY_NONE },
  [TRY_OPEN] = { NOT_ALLOWED, NOT_ALLOWED, TRY_SPENT, TRY_NONE },
  [TRY_SPENT] = { NOT_ALLOWED, NOT_ALLOWED, NOT_ALLOWED, TRY_NONE },
};

static void try_set_state(struct fwd_try *t, enum try_event ev) {
  uint8_t next = try_next[t->state][ev];
  RN_ASSERT(next != NOT_ALLOWED);
  t->state = next;
}

bool try_is_live(const struct fwd_try *t) { return t->state != TRY_NONE; }

static struct fwd_try *other_of(struct fwd_try *t) {
  struct fwd_call *k = t->call;
  return t == &k->tries[0] ? &k->tries[1] : &k->tries[0];
}

/* ---- begin ---- */

static int open_stream(struct fwd_try *t, struct rn_quic_conn *c) {
  int err = rn_quic_stream_open(c, &t->s);
  if (err != RN_OK)
    return err;
  rn_quic_stream_set_user(t->s, t);
  rn_pool_stream_opened(c);
  try_set_state(t, TRY_EV_OPENED);
  t->begun_ns = t->call->f->now_ns;
  return RN_OK;
}

static void connected(struct rn_pool_waiter *w, int err, struct rn_quic_conn *c) {
  struct fwd_try *t = RN_LIST_ENTRY(w, struct fwd_try, w);
  struct fwd_call *k = t->call;
  struct rn_forward *f = k->f;
  f->now_ns = rn_quic_now(f->quic);
  if (err == RN_OK)
    err = open_stream(t, c);
  if (err == RN_ERR_LIMIT)
    try_failed(t, RN_FORWARD_DROPPED, WHY_OVERLOAD);
  else if (err != RN_OK)
    try_failed(t, RN_FORWARD_UNREACHED, WHY_NO_WORKER);
  if (err != RN_OK)
    return;
  pump_to_worker(t);
  pump_settle(k);
  call_arm(k);
}

static int pick(struct fwd_call *k, struct fwd_try *t, const uint8_t *head, size_t head_bytes,
                struct rn_addr *addr) {
  const struct rn_forward *f = k->f;
  struct rn_forward_question q = { .route = k->route,
                                   .client = k->client,
                                   .head = head,
                                   .head_bytes = head_bytes,
                                   .tried = k->tried,
                                   .tried_count = k->tried_count };
  if (head == NULL && !buf_empty(&k->req))
    q.head = buf_at(&k->req, k->req.base, &q.head_bytes);
  return f->ops->pick(f->ctx, &q, &t->worker, addr);
}

/* A connection to the worker, or a place among those who wait for one. */
static int reach(struct fwd_try *t, const struct rn_addr *addr) {
  struct rn_forward *f = t->call->f;
  struct rn_quic_conn *c;
  int err = rn_pool_get(f->pool, f->now_ns, addr, &t->w, &c);
  if (err == RN_ERR_AGAIN) {
    f->stats.waits++;
    return RN_OK;
  }
  return err == RN_OK ? open_stream(t, c) : err;
}

int try_begin(struct fwd_call *k, struct fwd_try *t, const uint8_t *head, size_t head_bytes) {
  struct rn_forward *f = k->f;
  int err = RN_ERR_NOENT;
  while (k->tried_count < k->route->tries) {
    struct rn_addr addr;
    if (pick(k, t, head, head_bytes, &addr) != RN_OK)
      break;
    k->tried[k->tried_count++] = t->worker;
    *t = (struct fwd_try){ .call = k, .worker = t->worker, .begun_ns = f->now_ns };
    rn_pool_waiter_init(&t->w, connected);
    try_set_state(t, TRY_EV_PICKED);
    f->ops->begun(f->ctx, t->worker);
    err = reach(t, &addr);
    if (err == RN_OK) {
      call_arm(k);
      return RN_OK;
    }
    f->stats.unreached++;
    try_end(t, err == RN_ERR_LIMIT ? RN_FORWARD_DROPPED : RN_FORWARD_UNREACHED);
  }
  return err;
}

/* ---- end ---- */

/* The stream has nothing more to do with the call, and is not in use any more: it is not waited for its end, which ngtcp2 1.22.1 never sees when it was
 * stopped while bytes behind a gap had come. The connection's end, after its idle timeout, is that of the stream then. */
static void part(struct fwd_try *t) {
  if (t->s == NULL)
    return;
  rn_quic_stream_set_user(t->s, NULL);
  rn_pool_stream_closed(rn_quic_stream_conn(t->s));
  t->s = NULL;
}

static void give_up_stream(struct fwd_try *t, enum rn_forward_outcome how) {
  if (how != RN_FORWARD_ANSWERED) {
    rn_quic_stream_stop(t->s, 0);
    rn_quic_stream_reset(t->s, 0);
    return;
  }
  /* As the published client does once it has read the answer. */
  bool all = t->sent == t->call->req.end;
  if (!t->fin_sent && (!all || rn_quic_stream_write(t->s, NULL, 0, true) != RN_OK))
    rn_quic_stream_reset(t->s, 0);
}

void try_end(struct fwd_try *t, enum rn_forward_outcome how) {
  struct rn_forward *f = t->call->f;
  if (t->state == TRY_WAITING)
    rn_pool_unwait(f->pool, &t->w);
  if (t->s != NULL)
    give_up_stream(t, how);
  part(t);
  try_set_state(t, TRY_EV_ENDED);
  f->stats.broken += how == RN_FORWARD_BROKEN;
  f->stats.late += how == RN_FORWARD_LATE;
  f->ops->ended(f->ctx, t->worker, how, t->latency_ns);
}

void try_spent(struct fwd_try *t) {
  part(t);
  try_set_state(t, TRY_EV_SPENT);
}

void try_lost(struct fwd_try *t) {
  part(t);
  try_failed(t, RN_FORWARD_BROKEN, WHY_BROKEN);
}

void try_wins(struct fwd_try *t) {
  struct fwd_call *k = t->call;
  struct rn_forward *f = k->f;
  struct fwd_try *other = other_of(t);
  k->from = t;
  k->keep = false;
  t->latency_ns = f->now_ns - t->begun_ns;
  if (try_is_live(other)) {
    f->stats.hedge_wins += t == &k->tries[1];
    try_end(other, RN_FORWARD_DROPPED);
  }
  if (!buf_empty(&k->req))
    pump_settle(k);
}

/* ---- again ---- */

/* Whether the whole request so far is there, and nobody has begun to answer. */
static bool can_repeat(const struct fwd_call *k) {
  return k->from == NULL && k->req.base == 0 && k->tried_count < k->route->tries;
}

static bool allowed(const struct fwd_call *k) {
  struct rn_forward *f = k->f;
  if (f->ops->may_retry(f->ctx, k->route))
    return true;
  f->stats.retry_refused++;
  return false;
}

/* Where nothing was sent nothing was begun, and nothing is amplified. */
static bool may_repeat(const struct fwd_call *k, bool was_sent) {
  return can_repeat(k) && (!was_sent || (k->route->idempotent && allowed(k)));
}

void try_failed(struct fwd_try *t, enum rn_forward_outcome how, enum why why) {
  struct fwd_call *k = t->call;
  struct rn_forward *f = k->f;
  bool was_sent = t->state != TRY_WAITING;
  f->stats.unreached += !was_sent;
  try_end(t, how);
  if (k->from != NULL && k->from != t) /* only the loser of two */
    return;
  if (k->from == NULL && try_is_live(other_of(t)))
    return;
  if (!may_repeat(k, was_sent)) {
    end_failed(k, why);
    return;
  }
  f->stats.retries++;
  int err = try_begin(k, t, NULL, 0);
  if (err != RN_OK) {
    end_failed(k, err == RN_ERR_LIMIT ? WHY_OVERLOAD : why);
    return;
  }
  pump_to_worker(t);
  pump_settle(k);
}

/* ---- slow workers ---- */

static uint64_t waited_from_ns(const struct fwd_call *k, const struct fwd_try *t) {
  return t->begun_ns > k->asked_ns ? t->begun_ns : k->asked_ns;
}

/* The one try there is, while a hedge may be set beside it. */
static const struct fwd_try *alone(const struct fwd_call *k) {
  const struct fwd_try *a = &k->tries[0], *b = &k->tries[1];
  if (try_is_live(a) == try_is_live(b))
    return NULL;
  return try_is_live(a) ? a : b;
}

static bool may_look(const struct fwd_call *k) {
  return !k->alone && k->route->idempotent && can_repeat(k);
}

static uint64_t hedge_at_ns(const struct fwd_call *k) {
  const struct fwd_try *t = alone(k);
  if (k->route->hedge_ns == 0 || t == NULL || !may_look(k))
    return UINT64_MAX;
  return waited_from_ns(k, t) + k->route->hedge_ns;
}

static uint64_t late_at_ns(const struct fwd_call *k, const struct fwd_try *t) {
  if (k->route->try_timeout_ns == 0 || !try_is_live(t) || !may_look(k))
    return UINT64_MAX;
  return waited_from_ns(k, t) + k->route->try_timeout_ns;
}

uint64_t try_look_ns(const struct fwd_call *k) {
  uint64_t at = hedge_at_ns(k);
  for (uint32_t i = 0; i < TRIES_AT_ONCE; i++) {
    uint64_t late = late_at_ns(k, &k->tries[i]);
    at = late < at ? late : at;
  }
  return at;
}

/* A second try beside `slow`. False: there is none, and no other attempt at one. */
static bool begin_beside(struct fwd_call *k, struct fwd_try *slow) {
  struct fwd_try *t = other_of(slow);
  k->alone = (slow->state != TRY_WAITING && !allowed(k)) || try_begin(k, t, NULL, 0) != RN_OK;
  if (k->alone)
    return false;
  pump_to_worker(t);
  pump_settle(k);
  return true;
}

/* Another one in its place. Where there is none it may go on. */
static void too_late(struct fwd_try *t) {
  struct fwd_call *k = t->call;
  bool other = try_is_live(other_of(t));
  if (!other && !begin_beside(k, t))
    return;
  k->f->stats.retries += !other;
  try_end(t, RN_FORWARD_LATE);
  pump_settle(k);
}

void try_look(struct fwd_call *k) {
  struct rn_forward *f = k->f;
  for (uint32_t i = 0; i < TRIES_AT_ONCE; i++) {
    if (late_at_ns(k, &k->tries[i]) <= f->now_ns) {
      too_late(&k->tries[i]);
      return;
    }
  }
  if (hedge_at_ns(k) <= f->now_ns)
    f->stats.hedges += begin_beside(k, &k->tries[alone(k) != &k->tries[0]]);
}
