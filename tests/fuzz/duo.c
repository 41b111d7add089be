/* tests/fuzz/duo.c */
#include "duo.h"

#include <assert.h>
#include <sys/mman.h>

#define OPENSSL_SUPPRESS_DEPRECATED /* RAND_set_rand_method: what a test needs of it, providers make long */
#include <openssl/rand.h>

#include "fuzz.h"
#include "harness/pki.h"
#include "quic/tls.h"

#define START_NS  UINT64_C(1000000000)
#define WRITE_MAX 32768u
#define TIMES_MAX 300u

/* ---- assertions ---- */

/* Those of ngtcp2 1.22.1 that a peer is known to bring about: the connection ends, and all that is checked here holds on. */
static const char *const known[] = {
  "NGTCP2_ERR_CONN_ID_BLOCKED == rv",
};

void __assert_fail(const char *text, const char *file, unsigned int line, const char *function) {
  for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
    if (strcmp(text, known[i]) == 0)
      rn_quic_assertion(file);
  }
  fprintf(stderr, "%s:%u: %s: %s\n", file, line, function, text);
  abort();
}

/* ---- OpenSSL's randomness ---- */

static struct rn_rng ssl_rng;

static int ssl_bytes(unsigned char *out, int n) {
  for (int i = 0; i < n; i++)
    out[i] = (unsigned char)(rn_rng_next(&ssl_rng) >> 32);
  return 1;
}

static int ssl_status(void) { return 1; }

static void seed_openssl(void) {
  static const RAND_METHOD method = { .bytes = ssl_bytes,
                                      .pseudorand = ssl_bytes,
                                      .status = ssl_status };
  rn_rng_init(&ssl_rng, 7);
  CHECK(RAND_set_rand_method(&method) == 1);
}

static void fill_random(void *ctx, uint8_t *out, size_t n) {
  for (size_t i = 0; i < n; i++)
    out[i] = (uint8_t)(rn_rng_next(ctx) >> 32);
}

/* Certificates and contexts are the same for every run: they are made once. */
static struct pki *pki;
static struct rn_quic_tls *tls[DUO_SIDES];

static void make_tls(void) {
  char why[256];
  struct rn_quic_tls_config cfg = { 0 };
  pki = pki_new(PKI_P256);
  CHECK(rn_quic_tls_new(&cfg, &tls[DUO_CLIENT], why, sizeof(why)) == RN_OK);
  cfg.cert_pem = pki_cert_pem(pki, &cfg.cert_pem_bytes);
  CHECK(rn_quic_tls_new(&cfg, &tls[DUO_SERVER], why, sizeof(why)) == RN_OK);
}

/* ---- the application ---- */

/* What the bytes of a stream are, in each direction. */
static uint8_t pattern(int64_t id, uint8_t from, uint64_t at) {
  return (uint8_t)((uint64_t)id * 131 + from * 57u + at * 7 + (at >> 8));
}

static void on_ready(void *app, struct rn_quic_conn *c) {
  struct duo_side *s = app;
  uint32_t i = 0;
  while (i < DUO_CONNS && s->conns[i] != NULL)
    CHECK(s->conns[i++] != c);
  if (i < DUO_CONNS)
    s->conns[i] = c;
  CHECK(rn_quic_conn_is_server(c) == (s->idx == DUO_SERVER) && rn_quic_conn_endpoint(c) == s->q);
}

static void on_closed(void *app, struct rn_quic_conn *c, const struct rn_quic_close *why) {
  struct duo_side *s = app;
  CHECK(why->kind <= RN_QUIC_CLOSE_RESET);
  for (uint32_t i = 0; i < DUO_CONNS; i++) {
    if (s->conns[i] == c)
      s->conns[i] = NULL;
  }
  for (uint32_t i = 0; i < DUO_STREAMS; i++)
    CHECK(s->streams[i].s == NULL || rn_quic_stream_conn(s->streams[i].s) != c);
}

static void on_available(void *app, struct rn_quic_conn *c) {
  (void)app;
  CHECK(rn_quic_conn_streams_left(c) > 0);
}

static struct duo_stream *stream_place(struct duo_side *s, struct rn_quic_stream *qs) {
  for (uint32_t i = 0; i < DUO_STREAMS; i++) {
    if (s->streams[i].s == NULL) {
      s->streams[i] = (struct duo_stream){ .s = qs };
      return &s->streams[i];
    }
  }
  return NULL;
}

static int on_open(void *app, struct rn_quic_stream *qs) {
  struct duo_side *s = app;
  int64_t id = rn_quic_stream_id(qs);
  CHECK(id >= 0 && (id & 3) == (s->idx == DUO_SERVER ? 0 : 1)); /* RFC 9000 section 2.1 */
  struct duo_stream *st = s->refuse ? NULL : stream_place(s, qs);
  if (st == NULL)
    return RN_ERR_LIMIT;
  rn_quic_stream_set_user(qs, st);
  return RN_OK;
}

static struct duo_stream *live(struct rn_quic_stream *qs) {
  struct duo_stream *st = rn_quic_stream_user(qs);
  CHECK(st != NULL && st->s == qs);
  return st;
}

static void on_data(void *app, struct rn_quic_stream *qs, const uint8_t *data, size_t len,
                    bool fin) {
  struct duo_side *s = app;
  struct duo_stream *st = live(qs);
  volatile uint8_t sum = 0;
  CHECK(!st->fin_received && !st->reset_received);
  for (size_t i = 0; i < len; i++) {
    sum = (uint8_t)(sum + data[i]);
    if (s->duo->honest)
      CHECK(data[i] == pattern(rn_quic_stream_id(qs), !s->idx, st->received + i));
  }
  st->received += len;
  st->unconsumed += len;
  st->fin_received |= fin;
  if (!s->hold)
    duo_consume(st, true);
}

static void on_reset(void *app, struct rn_quic_stream *qs, uint64_t code) {
  (void)app, (void)code;
  struct duo_stream *st = live(qs);
  CHECK(!st->fin_received && !st->reset_received);
  st->reset_received = true;
}

static void on_stop(void *app, struct rn_quic_stream *qs) {
  (void)app;
  live(qs)->aborted = true;
}

static void on_writable(void *app, struct rn_quic_stream *qs) {
  (void)app;
  (void)live(qs);
}

static void on_stream_closed(void *app, struct rn_quic_stream *qs) {
  struct duo_stream *st = rn_quic_stream_user(qs);
  (void)app;
  if (st == NULL) /* refused: it was never ours */
    return;
  CHECK(st->s == qs);
  st->s = NULL;
}

static void answer(struct duo_side *s, uint32_t i, bool fail) {
  uint8_t sig[RN_QUIC_SIG_BYTES_MAX];
  size_t n = pki_sign(pki, s->scheme[i], s->tbs[i], s->tbs_bytes[i], sig, sizeof(sig));
  CHECK(n > 0);
  rn_quic_sign_done(s->q, s->duo->now_ns, s->jobs[i], fail ? RN_ERR_REFUSED : RN_OK, sig, n);
}

static int on_sign(void *app, const struct rn_quic_sign_req *req) {
  struct duo_side *s = app;
  if (s->job_count == DUO_JOBS)
    return RN_ERR_LIMIT;
  uint32_t i = s->job_count;
  CHECK(req->tbs_bytes <= RN_QUIC_TBS_BYTES_MAX);
  memcpy(s->tbs[i], req->tbs, req->tbs_bytes);
  s->tbs_bytes[i] = req->tbs_bytes;
  s->scheme[i] = req->scheme;
  s->jobs[i] = req->job;
  if (s->sign_later)
    s->job_count++;
  else
    answer(s, i, false);
  return RN_OK;
}

static void on_foreign(void *app, uint32_t lcore_idx, const struct rn_dgram *dg) {
  (void)dg;
  CHECK(lcore_idx < ((struct duo_side *)app)->params.cid.lcore_count);
}

static const struct rn_quic_events events = {
  .conn_ready = on_ready,
  .conn_closed = on_closed,
  .streams_available = on_available,
  .stream_open = on_open,
  .stream_data = on_data,
  .stream_reset = on_reset,
  .stream_stop = on_stop,
  .stream_writable = on_writable,
  .stream_closed = on_stream_closed,
  .sign = on_sign,
  .foreign = on_foreign,
};

struct duo_stream *duo_open(struct duo_side *s, struct rn_quic_conn *c) {
  struct rn_quic_stream *qs;
  struct duo_stream *st = stream_place(s, NULL);
  if (st == NULL || rn_quic_stream_open(c, &qs) != RN_OK)
    return NULL;
  st->s = qs;
  rn_quic_stream_set_user(qs, st);
  return st;
}

static void on_release(void *arg) {
  struct duo_ref *r = arg;
  CHECK(r->used); /* once */
  r->used = false;
  memset(r->bytes, 0xee, sizeof(r->bytes));
}

static bool refs_left(const struct duo_side *s) {
  for (uint32_t i = 0; i < DUO_REFS; i++) {
    if (s->refs[i].used)
      return true;
  }
  return false;
}

static int write_ref(struct duo_side *s, struct rn_quic_stream *qs, const uint8_t *bytes, size_t n,
                     bool fin) {
  for (uint32_t i = 0; i < DUO_REFS; i++) {
    struct duo_ref *r = &s->refs[i];
    if (r->used)
      continue;
    r->side = s;
    memcpy(r->bytes, bytes, n);
    r->used = true;
    int err = rn_quic_stream_write_ref(qs, r->bytes, n, fin, on_release, r);
    if (err != RN_OK)
      r->used = false;
    return err;
  }
  return RN_ERR_AGAIN;
}

void duo_write(struct duo_side *s, struct duo_stream *st, enum duo_write how, size_t n, bool fin) {
  static uint8_t bytes[WRITE_MAX];
  int err;
  n %= how == DUO_WRITE_REF ? sizeof(s->refs[0].bytes) : WRITE_MAX;
  for (size_t i = 0; i < n; i++)
    bytes[i] = pattern(rn_quic_stream_id(st->s), s->idx, st->written + i);
  const struct rn_quic_part parts[] = { { bytes, n / 3 },
                                        { NULL, 0 },
                                        { bytes + n / 3, n - n / 3 } };
  if (how == DUO_WRITE_REF)
    err = write_ref(s, st->s, bytes, n, fin);
  else if (how == DUO_WRITEV)
    err = rn_quic_stream_writev(st->s, parts, 3, fin);
  else
    err = rn_quic_stream_write(st->s, bytes, n, fin);
  CHECK(err == RN_OK || err == RN_ERR_AGAIN || err == RN_ERR_CLOSED);
  CHECK(err != RN_OK || !st->fin_written);
  if (err == RN_OK) {
    st->written += n;
    st->fin_written = fin;
  }
}

void duo_consume(struct duo_stream *st, bool all) {
  uint64_t n = all ? st->unconsumed : st->unconsumed / 2;
  st->unconsumed -= n;
  rn_quic_stream_consume(st->s, n);
}

void duo_abort(struct duo_stream *st, bool reset, bool stop) {
  st->aborted = true;
  if (reset)
    rn_quic_stream_reset(st->s, 5);
  if (stop)
    rn_quic_stream_stop(st->s, 6);
}

void duo_sign(struct duo_side *s, bool fail) {
  if (s->job_count == 0)
    return;
  /* Not only the oldest's memory: an answer may bring the next request. */
  s->job_count--;
  answer(s, s->job_count, fail);
}

/* ---- life ---- */

static void prepare_side(struct duo *d, uint8_t idx) {
  struct duo_side *s = &d->sides[idx];
  *s = (struct duo_side){ .duo = d, .idx = idx };
  rn_rng_init(&s->rng, 100u + idx);
  s->addr = (struct rn_addr){ .ip = { 10, 0, 0, (uint8_t)(1 + idx) },
                              .port = idx == DUO_SERVER ? 8080 : 4000,
                              .family = 4 };
  s->params = (struct rn_quic_params){
    .limits = { .conns = 6,
                .half_open = 4,
                .streams = 40,
                .segs = 64,
                .bulk_segs = 24,
                .sign_jobs = 3,
                .heap_bytes = 8u << 20 },
    .config = { .listen = idx == DUO_SERVER,
                .idle_timeout_ns = 30000 * DUO_MS,
                .handshake_timeout_ns = 10000 * DUO_MS,
                .max_ack_delay_ns = 25 * DUO_MS,
                .conn_window = 20000,
                .stream_window = 8000,
                .max_streams_bidi = 10,
                .send_bytes = 30000,
                .max_udp_payload = 1452 },
    .cid = { .config_id = 1,
             .key_epoch = 1,
             .server_id = (uint16_t)(7 + idx),
             .epoch = 1,
             .lcore_idx = 0,
             .lcore_count = 2 },
    .tls = tls[idx],
    .events = &events,
    .app = s,
    .rand = fill_random,
    .rand_ctx = &s->rng,
  };
  fill_random(&s->rng, s->params.cid.key, sizeof(s->params.cid.key));
  fill_random(&s->rng, s->params.cid.reset_key, sizeof(s->params.cid.reset_key));
  fill_random(&s->rng, s->params.cid.token_key, sizeof(s->params.cid.token_key));
}

void duo_prepare(struct duo *d) {
  seed_openssl();
  if (pki == NULL)
    make_tls();
  seed_openssl();
  d->now_ns = START_NS;
  d->count = 0;
  d->honest = true;
  for (uint8_t i = 0; i < DUO_SIDES; i++)
    prepare_side(d, i);
}

void duo_start(struct duo *d) {
  for (uint8_t i = 0; i < DUO_SIDES; i++) {
    struct duo_side *s = &d->sides[i];
    s->mem_bytes = rn_quic_footprint(&s->params.limits);
    CHECK(s->mem_bytes > 0);
    /* Pages that are not needed cost nothing this way. */
    s->mem = mmap(NULL, s->mem_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(s->mem != MAP_FAILED && rn_quic_init(s->mem, &s->params, &s->q) == RN_OK);
  }
}

static void check_empty(struct duo_side *s) {
  const struct rn_quic_stats *st = rn_quic_stats(s->q);
  CHECK(st->conns == 0 && st->half_open == 0 && st->streams == 0 && st->sign_jobs == 0);
  CHECK(st->segs == 0 && st->heap_bytes == 0 && !refs_left(s));
  for (uint32_t i = 0; i < DUO_STREAMS; i++)
    CHECK(s->streams[i].s == NULL);
  for (uint32_t i = 0; i < DUO_CONNS; i++)
    CHECK(s->conns[i] == NULL);
}

/* What is on its way when both have closed may start another connection: it ends by its timers. */
static void let_end(struct duo *d) {
  for (uint8_t i = 0; i < DUO_SIDES; i++)
    rn_quic_close_all(d->sides[i].q, d->now_ns, 0);
  duo_talk(d, 4);
  duo_advance(d,
              600000 * DUO_MS); /* three of the longest PTO that a peer's packets can bring about */
  for (uint8_t i = 0; i < DUO_SIDES; i++)
    check_empty(&d->sides[i]);
}

void duo_end(struct duo *d, bool gently) {
  if (gently)
    let_end(d);
  for (uint8_t i = 0; i < DUO_SIDES; i++) {
    struct duo_side *s = &d->sides[i];
    rn_quic_fini(s->q);
    CHECK(!refs_left(s));
    munmap(s->mem, s->mem_bytes);
  }
}

/* ---- datagrams ---- */

struct rn_path duo_path_to(const struct duo *d, uint8_t side) {
  return (struct rn_path){ .local = d->sides[side].addr, .remote = d->sides[!side].addr };
}

void duo_connect(struct duo *d) {
  struct rn_quic_conn *c;
  const struct rn_path path = duo_path_to(d, DUO_CLIENT);
  (void)rn_quic_connect(d->sides[DUO_CLIENT].q, d->now_ns, &path, "localhost", &c);
}

static uint8_t *sink_reserve(void *ctx, size_t cap) {
  struct duo *d = ctx;
  return d->count < DUO_DGRAMS && cap <= DUO_DGRAM_BYTES ? d->dgrams[d->count].bytes : NULL;
}

static void sink_commit(void *ctx, const struct rn_path *path, uint8_t ecn, size_t len) {
  struct duo *d = ctx;
  struct duo_dgram *g = &d->dgrams[d->count];
  CHECK(d->count < DUO_DGRAMS && len <= DUO_DGRAM_BYTES);
  if (len == 0)
    return;
  g->path = (struct rn_path){ .local = path->remote, .remote = path->local };
  g->ecn = ecn;
  g->len = (uint32_t)len;
  d->count++;
}

void duo_tx(struct duo *d, uint8_t side) {
  const struct rn_quic_sink sink = { .reserve = sink_reserve, .commit = sink_commit, .ctx = d };
  uint32_t from = d->count;
  rn_quic_timers(d->sides[side].q,
                 d->now_ns); /* a turn of the loop has them, too: handshakes begin in them */
  rn_quic_tx(d->sides[side].q, d->now_ns, &sink);
  for (uint32_t i = from; i < d->count; i++)
    d->dgrams[i].to = !side;
  CHECK(rn_quic_check(d->sides[side].q) == RN_OK);
}

void duo_rx(struct duo *d, uint8_t side, const struct rn_path *path, uint8_t ecn,
            const uint8_t *bytes, size_t len) {
  uint8_t *exact = fuzz_exact(bytes, len);
  const struct rn_dgram dg = { .data = exact, .len = (uint32_t)len, .ecn = ecn, .path = *path };
  rn_quic_rx(d->sides[side].q, d->now_ns, &dg, 1);
  fuzz_free(exact, len);
  CHECK(rn_quic_check(d->sides[side].q) == RN_OK);
}

void duo_drop(struct duo *d, uint32_t i) {
  memmove(&d->dgrams[i], &d->dgrams[i + 1], (d->count - i - 1) * sizeof(d->dgrams[0]));
  d->count--;
}

void duo_deliver(struct duo *d, uint32_t i) {
  static struct duo_dgram g;
  g = d->dgrams[i];
  duo_drop(d, i);
  duo_rx(d, g.to, &g.path, g.ecn, g.bytes, g.len);
}

static void tx_both(struct duo *d) {
  duo_tx(d, DUO_CLIENT);
  duo_tx(d, DUO_SERVER);
}

void duo_talk(struct duo *d, unsigned int rounds) {
  tx_both(d);
  for (unsigned int r = 0; r < rounds && d->count > 0; r++) {
    for (uint32_t n = d->count; n > 0; n--)
      duo_deliver(d, 0);
    d->now_ns += DUO_MS;
    tx_both(d);
  }
}

void duo_advance(struct duo *d, uint64_t by_ns) {
  uint64_t until_ns = d->now_ns + by_ns;
  for (uint32_t i = 0; i < TIMES_MAX && d->now_ns < until_ns; i++) {
    uint64_t at_ns = until_ns;
    for (uint8_t k = 0; k < DUO_SIDES; k++) {
      uint64_t t = rn_quic_next_expiry(d->sides[k].q);
      at_ns = t < at_ns ? t : at_ns;
    }
    d->now_ns = at_ns > d->now_ns ? at_ns : d->now_ns + 1000;
    if (d->count > DUO_DGRAMS / 2) /* a queue that is full */
      d->count = 0;
    tx_both(d);
  }
}

void duo_check(const struct duo *d) {
  for (uint8_t i = 0; i < DUO_SIDES; i++)
    CHECK(rn_quic_check(d->sides[i].q) == RN_OK);
}
