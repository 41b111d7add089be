/* tests/fuzz/fuzz_rpc_server.c: the server of lib/rpc under streams that anyone opens, feeds and drops. lib/quic is
 * a model here (quic_model.h).
 *
 *   1 octet     bit 0: only data and FIN; all is done twice, the second time with each stream's bytes at once
 *               bit 1: a gossip function; bits 2, 3: bytes a stream queues; bit 4: small items and results; bit 5: short times
 *   then steps  1 octet: high half what, low half which stream
 *     0-2, 15   1 octet n, n octets: data; 3: with FIN
 *     4         1 octet n, 1 octet value: 256 n bytes of it
 *     5         FIN alone; 6: RESET_STREAM; 7: STOP_SENDING; 8: peer reads all; 9: stream closed
 *     10        1 octet n: n * 4 ms pass; 11: time passes to the next expiry; 12: an empty piece of data
 *
 * Checked at each step: the server's own check; the peer gets credit for what it sent, never for more; a handler is called as its contract says.
 * At the end: when every peer has read all and sent FIN and the times are over, no call, request body or answer is left, all bytes were credited, and
 * every stream has its answer, complete and to the right request, or was reset; reset only where a limit, a time or the peer is the reason. */
#include "fuzz.h"

#include <assert.h>

#include "quic_model.h"
#include "rpc/classify.h"
#include "rpc/methods.h"
#include "rpc/server.h"
#include "wire/rpc.h"
#include "wire/swim.h"

#define STREAMS     16u
#define CALLS       8u
#define BODY_BYTES  65536u
#define METHODS_MAX 16u
#define MS          UINT64_C(1000000)
#define BULK_BYTES  20000u /* an answer that is no copy */
#define PUSHES      5u
#define ROUNDS_MAX  100000

static struct rn_quic quic;
static struct rn_quic_conn conn = { .q = &quic };
static struct rn_quic_stream streams[STREAMS];

/* ---- handlers ---- */

/* In a call's scratch. */
struct work {
  bool live, ended, stalled;
  uint32_t items;
  const uint8_t *params;
  size_t params_bytes;
  uint64_t hash, timer_ns;
};
static_assert(sizeof(struct work) <= RN_CALL_SCRATCH_BYTES, "fits a call's scratch");

static size_t live_calls;

static uint64_t hash_of(const uint8_t *p, size_t n) {
  uint64_t h = 14695981039346656037u; /* FNV-1a */
  for (size_t i = 0; i < n; i++)
    h = (h ^ p[i]) * 1099511628211u;
  return h;
}

static struct work *begin(struct rn_call *c) {
  struct work *w = rn_call_scratch(c);
  for (size_t i = 0; i < sizeof(*w); i++)
    CHECK(((const uint8_t *)w)[i] == 0);
  w->live = true;
  live_calls++;
  return w;
}

static struct work *work_of(struct rn_call *c) {
  struct work *w = rn_call_scratch(c);
  CHECK(w->live);
  return w;
}

/* Before the call is answered: nothing of it is touched after. */
static void finish(struct rn_call *c) {
  work_of(c)->live = false;
  CHECK(live_calls-- > 0);
}

static void on_cancel(struct rn_call *c) { finish(c); }

static void echo(struct rn_call *c, const uint8_t *params, size_t len) {
  (void)params, (void)len;
  begin(c);
  finish(c);
  rn_call_reply_params(c);
}

static void fails(struct rn_call *c, const uint8_t *params, size_t len) {
  begin(c);
  finish(c);
  if (fuzz_utf8_ok(params, len))
    rn_call_error(c, (const char *)params, len);
  else
    rn_call_error(c, "no text", 7);
}

static void bulk(struct rn_call *c, const uint8_t *params, size_t len) {
  static uint8_t answer[BULK_BYTES];
  begin(c);
  finish(c);
  memset(answer, len > 0 ? params[0] : 0, sizeof(answer));
  rn_call_reply(c, answer, sizeof(answer));
}

static void later(struct rn_call *c, const uint8_t *params, size_t len) {
  struct work *w = begin(c);
  uint64_t hash = hash_of(params, len);
  w->params_bytes = len;
  if (rn_call_hold(c, &w->params) != RN_OK) {
    finish(c);
    rn_call_error(c, "no memory", 9);
    return;
  }
  w->hash = hash;
  w->timer_ns = rn_call_now(c) + (len > 0 ? w->params[0] : 1) * MS;
  rn_call_timer(c, w->timer_ns);
}

static void later_timer(struct rn_call *c) {
  const struct work *w = work_of(c);
  CHECK(rn_call_now(c) >= w->timer_ns && hash_of(w->params, w->params_bytes) == w->hash);
  finish(c);
  rn_call_reply_params(c);
}

static void never(struct rn_call *c, const uint8_t *params, size_t len) {
  (void)params, (void)len;
  begin(c);
}

static void stream_open(struct rn_call *c) { begin(c); }

static int stream_echo(struct rn_call *c, const uint8_t *data, size_t len) {
  const struct work *w = work_of(c);
  CHECK(!w->ended && len > 0);
  return rn_call_item(c, data, len);
}

static void stream_end(struct rn_call *c) {
  struct work *w = work_of(c);
  CHECK(!w->ended);
  w->ended = true;
  finish(c);
  rn_call_end(c);
}

/* The second item fails, the third one ends the call. */
static int stream_fails(struct rn_call *c, const uint8_t *data, size_t len) {
  struct work *w = work_of(c);
  CHECK(!w->ended && data != NULL && len > 0);
  if (w->items == 0) {
    w->items++;
    return RN_OK;
  }
  if (w->items == 1) {
    int err = rn_call_item_error(c);
    w->items += err != RN_ERR_AGAIN;
    return err;
  }
  finish(c);
  rn_call_error(c, "third", 5);
  return RN_OK;
}

/* Takes a while to end after its peer's end, and nothing comes to it in between. */
static int slow_item(struct rn_call *c, const uint8_t *data, size_t len) {
  CHECK(!work_of(c)->ended && data != NULL && len > 0);
  return RN_OK;
}

static void slow_end(struct rn_call *c) {
  struct work *w = work_of(c);
  CHECK(!w->ended);
  w->ended = true;
  rn_call_timer(c, rn_call_now(c) + MS);
}

static void slow_timer(struct rn_call *c) {
  finish(c);
  rn_call_end(c);
}

/* Sends by itself, whatever comes. */
static void push_some(struct rn_call *c) {
  static const uint8_t item[100] = { 'p' };
  struct work *w = work_of(c);
  while (w->items < PUSHES) {
    if (rn_call_item(c, item, sizeof(item)) == RN_ERR_AGAIN) {
      w->stalled = true;
      return;
    }
    w->items++;
  }
  finish(c);
  rn_call_end(c);
}

static void push_open(struct rn_call *c) {
  begin(c);
  rn_call_timer(c, rn_call_now(c) + MS);
}

static void push_writable(struct rn_call *c) {
  struct work *w = work_of(c);
  CHECK(w->stalled);
  w->stalled = false;
  push_some(c);
}

static const struct rn_handler handlers[] = {
  { .name = "echo", .kind = RN_HANDLER_UNARY, .request = echo, .cancel = on_cancel },
  { .name = "fail", .kind = RN_HANDLER_UNARY, .request = fails, .cancel = on_cancel },
  { .name = "bulk", .kind = RN_HANDLER_UNARY, .request = bulk, .cancel = on_cancel },
  { .name = "later",
    .kind = RN_HANDLER_UNARY,
    .request = later,
    .timer = later_timer,
    .cancel = on_cancel },
  { .name = "never", .kind = RN_HANDLER_UNARY, .request = never, .cancel = on_cancel },
  { .name = "echo_stream",
    .kind = RN_HANDLER_STREAMING,
    .open = stream_open,
    .item = stream_echo,
    .end = stream_end,
    .cancel = on_cancel },
  { .name = "fail",
    .kind = RN_HANDLER_STREAMING,
    .open = stream_open,
    .item = stream_fails,
    .end = stream_end,
    .cancel = on_cancel },
  { .name = "slow",
    .kind = RN_HANDLER_STREAMING,
    .open = stream_open,
    .item = slow_item,
    .end = slow_end,
    .timer = slow_timer,
    .cancel = on_cancel },
  { .name = "push",
    .kind = RN_HANDLER_STREAMING,
    .open = push_open,
    .writable = push_writable,
    .timer = push_some,
    .cancel = on_cancel },
};
#define HANDLER_COUNT (sizeof(handlers) / sizeof(handlers[0]))

/* Answers at once, or later: by the number of what it is asked. */
static void on_gossip(struct rn_call *c, const uint8_t *msg, size_t len) {
  struct rn_swim_msg m;
  size_t used;
  begin(c);
  CHECK(rn_swim_get(msg, len, &m, &used) == RN_OK && used == len);
  if (m.seq % 2 != 0) {
    rn_call_timer(c, rn_call_now(c) + 5 * MS);
    return;
  }
  finish(c);
  rn_call_gossip(c, "ack", 3);
}

static void gossip_timer(struct rn_call *c) {
  finish(c);
  rn_call_gossip(c, "ack", 3);
}

static const struct rn_handler gossip_handler = { .name = "gossip",
                                                  .kind = RN_HANDLER_GOSSIP,
                                                  .request = on_gossip,
                                                  .timer = gossip_timer,
                                                  .cancel = on_cancel };

/* ---- the server, and what a peer does to it ---- */

static struct rn_rpc_server *server;
static struct rn_rpc_methods *names; /* the same methods, to tell what bytes are */

static void start(uint8_t flags) {
  static _Alignas(64) uint8_t names_mem[65536];
  static const size_t queue_limits[] = { SIZE_MAX, 64, 512, 4096 };
  static void *mem;
  const struct rn_rpc_server_limits lim = { CALLS, BODY_BYTES, METHODS_MAX };
  struct rn_rpc_server_config cfg = { .max_request_bytes = 32768,
                                      .max_item_bytes = flags & 16 ? 64 : 16384,
                                      .max_response_bytes = flags & 16 ? 100 : 0,
                                      .request_timeout_ns = flags & 32 ? 20 * MS : 500 * MS,
                                      .stream_item_timeout_ns = flags & 32 ? 10 * MS : 1000 * MS };
  if (mem == NULL)
    mem = aligned_alloc(64, rn_rpc_server_footprint(&lim));
  CHECK(mem != NULL && rn_rpc_methods_footprint(METHODS_MAX) <= sizeof(names_mem));
  CHECK(rn_rpc_server_init(mem, &lim, &cfg, &server) == RN_OK);
  rn_rpc_methods_init(names_mem, METHODS_MAX, &names);
  for (size_t i = 0; i < HANDLER_COUNT; i++)
    CHECK(rn_rpc_server_add(server, &handlers[i]) == RN_OK &&
          rn_rpc_methods_add(names, &handlers[i]) == RN_OK);
  if (flags & 2)
    rn_rpc_server_on_gossip(server, &gossip_handler);
  quic.queue_bytes = queue_limits[flags >> 2 & 3];
  quic.now_ns = 1000 * MS;
  live_calls = 0;
  /* The wheels begin at 0. */
  rn_rpc_server_timers(server, quic.now_ns);
}

static void check_all(void) {
  const struct rn_rpc_stats *st = rn_rpc_server_stats(server);
  CHECK(rn_rpc_server_check(server) == RN_OK);
  CHECK(st->calls <= CALLS && live_calls <= st->calls && st->body_bytes <= BODY_BYTES);
  for (size_t i = 0; i < STREAMS; i++)
    CHECK(streams[i].credited <= streams[i].in.len);
}

static void open_stream(struct rn_quic_stream *s) {
  if (s->open)
    return;
  free(s->in.p);
  free(s->out.p);
  *s = (struct rn_quic_stream){ .conn = &conn, .open = true };
  CHECK(rn_rpc_server_stream_open(server, s) == RN_OK);
}

/* What lib/quic does not tell after FIN, RESET_STREAM or our own STOP_SENDING, it does not tell here. */
static void feed(struct rn_quic_stream *s, const uint8_t *data, size_t len, bool fin) {
  open_stream(s);
  if (s->rx_done || s->stop_sent)
    return;
  uint8_t *exact = fuzz_exact(data, len);
  model_put(&s->in, data, len);
  s->rx_done = fin;
  rn_rpc_server_stream_data(server, s, exact, len, fin);
  memset(exact, 0xee, len);
  fuzz_free(exact, len);
}

static void feed_run(struct rn_quic_stream *s, size_t n, uint8_t value) {
  static uint8_t run[256];
  memset(run, value, sizeof(run));
  for (size_t i = 0; i < n; i++)
    feed(s, run, sizeof(run), false);
}

static void peer_reset(struct rn_quic_stream *s) {
  open_stream(s);
  if (s->rx_done)
    return;
  s->rx_done = s->rx_reset = true;
  rn_rpc_server_stream_reset(server, s);
}

static void peer_stop(struct rn_quic_stream *s) {
  open_stream(s);
  if (s->peer_stopped || s->reset_said)
    return;
  s->peer_stopped = true;
  model_sent(s);
  rn_rpc_server_stream_stop(server, s);
}

static void peer_reads(struct rn_quic_stream *s) {
  model_sent(s);
  if (!s->want_writable || s->fin_said || s->reset_said || s->peer_stopped)
    return;
  s->want_writable = false;
  rn_rpc_server_stream_writable(server, s);
}

static void closed(struct rn_quic_stream *s) {
  if (!s->open)
    return;
  s->peer_stopped = true;
  model_sent(s);
  rn_rpc_server_stream_closed(server, s);
  CHECK(s->credited == s->in.len);
  s->open = false;
}

static void pass_time(uint64_t ns) {
  quic.now_ns += ns;
  rn_rpc_server_timers(server, quic.now_ns);
}

static void pass_to_expiry(void) {
  uint64_t next_ns = rn_rpc_server_next_expiry(server);
  if (next_ns != UINT64_MAX)
    pass_time(next_ns > quic.now_ns ? next_ns - quic.now_ns : 0);
}

/* ---- steps ---- */

struct input {
  const uint8_t *p;
  size_t len, at;
};

static uint8_t take(struct input *in) { return in->at < in->len ? in->p[in->at++] : 0; }

static void data_step(struct rn_quic_stream *s, struct input *in, bool fin) {
  size_t n = take(in), left = in->len - in->at;
  n = n < left ? n : left;
  feed(s, in->p + in->at, n, fin);
  in->at += n;
}

static void step(struct input *in, bool only_data) {
  uint8_t op = take(in);
  struct rn_quic_stream *s = &streams[op & 15];
  unsigned what = op >> 4;
  if (what <= 3 || what == 15)
    data_step(s, in, what == 3);
  else if (what == 5)
    feed(s, NULL, 0, true);
  else if (what == 12)
    feed(s, NULL, 0, false);
  else if (what == 4)
    feed_run(s, take(in), take(in));
  else if (only_data)
    return;
  else if (what == 6)
    peer_reset(s);
  else if (what == 7)
    peer_stop(s);
  else if (what == 8)
    peer_reads(s);
  else if (what == 9)
    closed(s);
  else if (what == 10)
    pass_time(take(in) * 4 * MS);
  else if (what == 11)
    pass_to_expiry();
}

/* ---- the end ---- */

static bool all_read(void) {
  bool something = false;
  for (size_t i = 0; i < STREAMS; i++) {
    something |= streams[i].open && streams[i].want_writable && streams[i].queued > 0;
    if (streams[i].open)
      peer_reads(&streams[i]);
  }
  return !something;
}

/* Every peer sends FIN and reads what there is, and all times pass: nobody is waited for, so that only handlers can be late. */
static void run_out(void) {
  const struct rn_rpc_stats *st = rn_rpc_server_stats(server);
  uint64_t late = st->read_timeouts + st->item_timeouts;
  int rounds = 0;
  for (size_t i = 0; i < STREAMS; i++) {
    if (streams[i].open)
      feed(&streams[i], NULL, 0, true);
  }
  do {
    while (!all_read())
      CHECK(rounds++ < ROUNDS_MAX);
    check_all();
    pass_to_expiry();
    CHECK(rounds++ < ROUNDS_MAX);
  } while (rn_rpc_server_next_expiry(server) != UINT64_MAX || !all_read());
  CHECK(st->read_timeouts + st->item_timeouts == late);
}

/* Complete frames from *at, one after the other; whether the last one was the end marker. */
static bool next_frame(const struct bytes *b, size_t *at, const uint8_t **item, size_t *bytes) {
  size_t used, need;
  if (rn_wire_frame_get(b->p + *at, b->len - *at, SIZE_MAX, item, bytes, &used, &need) != RN_OK)
    return false;
  *at += used;
  return true;
}

static void check_unary_answer(const struct rn_quic_stream *s) {
  struct rn_wire_request r;
  struct rn_wire_response a;
  size_t used, need, method_bytes;
  CHECK(rn_wire_response_get(s->out.p, s->out.len, SIZE_MAX, &a, &used, &need) == RN_OK);
  CHECK(used == s->out.len && a.id == rn_wire_u64(s->in.p));
  CHECK((a.result != NULL) != (a.error != NULL));
  if (rn_wire_request_get(s->in.p, s->in.len, SIZE_MAX, &r, &used, &need) != RN_OK)
    return; /* larger than we take: it was an error before all was there */
  method_bytes = r.method_bytes;
  bool is_echo = (method_bytes == 4 && memcmp(r.method, "echo", 4) == 0) ||
                 (method_bytes == 5 && memcmp(r.method, "later", 5) == 0);
  if (a.result != NULL && is_echo)
    CHECK(a.result_bytes == r.params_bytes && memcmp(a.result, r.params, r.params_bytes) == 0);
  else if (a.result != NULL)
    CHECK(method_bytes == 4 && memcmp(r.method, "bulk", 4) == 0 && a.result_bytes == BULK_BYTES);
}

/* Frames, of which the last one is the end; an echo's are those that came. */
static void check_stream_answer(const struct rn_quic_stream *s, size_t name_bytes, bool is_echo) {
  size_t at = 0, in_at = 4 + name_bytes, bytes = 1, in_bytes = 1;
  const uint8_t *item, *in_item;
  while (bytes > 0) {
    CHECK(next_frame(&s->out, &at, &item, &bytes));
    bool came = is_echo && in_bytes > 0 && next_frame(&s->in, &in_at, &in_item, &in_bytes);
    if (is_echo && bytes > 0)
      CHECK(came && bytes == in_bytes && memcmp(item, in_item, bytes) == 0);
    else if (is_echo)
      CHECK(!came || in_bytes == 0);
  }
  CHECK(at == s->out.len);
}

/* Whether something was refused for its size or for want of room, or ended for its lateness: who may then have no answer is not told here. */
static bool refused(const struct rn_rpc_stats *st) {
  return st->call_limit + st->body_limit + st->too_large + st->read_timeouts + st->item_timeouts >
         0;
}

static void check_answer(const struct rn_quic_stream *s, bool gossip, bool complete) {
  const struct rn_handler *h = NULL;
  size_t name_bytes = 0;
  enum rn_rpc_class k = rn_rpc_classify(names, s->in.p, s->in.len, &h, &name_bytes);
  struct rn_wire_request r;
  size_t used, need;
  struct rn_swim_msg m;
  bool asked = (k == RN_RPC_SWIM && rn_swim_get(s->in.p, s->in.len, &m, &used) == RN_OK &&
                used <= RN_RPC_GOSSIP_MAX) ||
               k == RN_RPC_STREAM || k == RN_RPC_STREAM_UNKNOWN ||
               (k == RN_RPC_UNARY &&
                rn_wire_request_get(s->in.p, s->in.len, SIZE_MAX, &r, &used, &need) == RN_OK);
  CHECK(s->fin_said || s->reset_said || s->peer_stopped);
  if (complete && asked && !s->peer_stopped && !s->rx_reset)
    CHECK(s->fin_said && !s->reset_said);
  if (!s->fin_said || s->reset_said)
    return;
  switch (k) {
  case RN_RPC_UNARY:
    check_unary_answer(s);
    return;
  case RN_RPC_STREAM:
    check_stream_answer(s, name_bytes, h->item == stream_echo);
    return;
  case RN_RPC_STREAM_UNKNOWN:
    check_stream_answer(s, name_bytes, false);
    return;
  case RN_RPC_SWIM:
    CHECK(s->out.len == (gossip ? 3u : 0u));
    return;
  default:
    CHECK(false && "an answer to nothing");
  }
}

static void finish_all(uint8_t flags) {
  const struct rn_rpc_stats *st = rn_rpc_server_stats(server);
  run_out();
  CHECK(st->calls == 0 && st->body_bytes == 0 && live_calls == 0);
  CHECK(rn_rpc_server_next_expiry(server) == UINT64_MAX);
  for (size_t i = 0; i < STREAMS; i++) {
    struct rn_quic_stream *s = &streams[i];
    if (!s->open)
      continue;
    CHECK(s->credited == s->in.len && s->ref_count == 0);
    check_answer(s, flags & 2, !refused(st));
    closed(s);
  }
  check_all();
  CHECK(st->calls == 0 && st->body_bytes == 0);
}

/* ---- once, and once more at one go ---- */

struct outcome {
  struct bytes in, out;
  bool fed, fin, reset;
};

static void forget_streams(void) {
  for (size_t i = 0; i < STREAMS; i++) {
    free(streams[i].in.p);
    free(streams[i].out.p);
    streams[i] = (struct rn_quic_stream){ 0 };
  }
}

/* The bytes of each stream at once, as long as none had to be refused for want of memory: the same answers. */
static void check_at_once(uint8_t flags, struct outcome before[STREAMS],
                          const struct rn_rpc_stats *st) {
  start(flags);
  for (size_t i = 0; i < STREAMS; i++) {
    if (before[i].fed) {
      feed(&streams[i], before[i].in.p, before[i].in.len, true);
      peer_reads(&streams[i]);
    }
  }
  finish_all(flags);
  const struct rn_rpc_stats *now = rn_rpc_server_stats(server);
  bool full = st->call_limit + st->body_limit + now->call_limit + now->body_limit > 0;
  for (size_t i = 0; i < STREAMS && !full; i++) {
    const struct rn_quic_stream *s = &streams[i];
    CHECK(s->fin_said == before[i].fin && s->reset_said == before[i].reset);
    CHECK(s->out.len == before[i].out.len);
    CHECK(s->out.len == 0 || memcmp(s->out.p, before[i].out.p, s->out.len) == 0);
  }
  if (!full)
    CHECK(memcmp(now, st, sizeof(*st)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct outcome before[STREAMS];
  struct input in = { data, len, 0 };
  uint8_t flags = take(&in);
  bool only_data = flags & 1;
  if (only_data)
    flags &= (uint8_t)~12u; /* nobody reads slowly */
  start(flags);
  while (in.at < in.len) {
    step(&in, only_data);
    check_all();
  }
  finish_all(flags);
  struct rn_rpc_stats st = *rn_rpc_server_stats(server);
  for (size_t i = 0; i < STREAMS; i++) {
    struct rn_quic_stream *s = &streams[i];
    before[i] = (struct outcome){ s->in, s->out, s->conn != NULL, s->fin_said, s->reset_said };
    s->in = s->out = (struct bytes){ 0 };
  }
  forget_streams();
  if (only_data)
    check_at_once(flags, before, &st);
  forget_streams();
  for (size_t i = 0; i < STREAMS; i++) {
    free(before[i].in.p);
    free(before[i].out.p);
  }
  return 0;
}
