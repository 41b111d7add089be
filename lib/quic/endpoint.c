/* lib/quic/endpoint.c: an endpoint's memory, configuration and timers. */
#include "quic/quic_priv.h"

#include <string.h>

#define CONNS_MAX             65536u
#define STREAMS_MAX           16777216u
#define SEGS_MIN              16u
#define RATE_MAX              1000000u
#define RESET_TOKENS_PER_CONN 2u /* the first one, and the one of the ID in use */

/* ---- memory ---- */

/* Where each part of the one block lies. */
struct layout {
  size_t conns, replies, admit, epochs, retry, aead, heap, wheel, streams, segs, bulk_segs,
      initials, reset_tokens, total;
};

static size_t place(size_t *at, size_t bytes) {
  size_t here = (*at + 63) & ~(size_t)63;
  *at = here + bytes;
  return here;
}

static uint32_t aead_count(const struct rn_quic_limits *lim) {
  return lim->conns * RN_AEAD_CTX_PER_CONN;
}

static bool limits_ok(const struct rn_quic_limits *lim) {
  return lim->conns >= 1 && lim->conns <= CONNS_MAX && lim->half_open >= 1 &&
         lim->half_open <= lim->conns && lim->streams >= 1 && lim->streams <= STREAMS_MAX &&
         lim->segs >= SEGS_MIN && lim->bulk_segs >= SEGS_MIN && lim->sign_jobs <= lim->half_open &&
         lim->heap_bytes >= RN_QUIC_HEAP_BYTES_MIN;
}

static void layout_of(const struct rn_quic_limits *lim, struct layout *l) {
  size_t at = sizeof(struct rn_quic);
  l->epochs = place(&at, epochs_footprint());
  l->retry = place(&at, rn_retry_codec_footprint());
  l->wheel = place(&at, rn_wheel_footprint());
  l->replies = place(&at, RN_QUIC_REPLIES * sizeof(struct reply));
  l->admit = place(&at, admit_footprint());
  l->initials = place(&at, rn_cidmap_footprint(lim->conns + RN_QUIC_ADMIT_QUEUE));
  l->reset_tokens = place(&at, rn_cidmap_footprint(lim->conns * RESET_TOKENS_PER_CONN));
  l->conns = place(&at, lim->conns * sizeof(struct rn_quic_conn));
  l->aead = place(&at, rn_aead_pool_footprint(aead_count(lim)));
  l->streams = place(&at, rn_slab_footprint(sizeof(struct rn_quic_stream), lim->streams));
  l->segs = place(&at, rn_slab_footprint(RN_QUIC_SEG_BYTES, lim->segs));
  l->bulk_segs = place(&at, rn_slab_footprint(RN_QUIC_BULK_SEG_BYTES, lim->bulk_segs));
  l->heap = place(&at, rn_heap_footprint(lim->heap_bytes));
  l->total = (at + 63) & ~(size_t)63;
}

size_t rn_quic_footprint(const struct rn_quic_limits *lim) {
  if (!limits_ok(lim))
    return 0;
  struct layout l;
  layout_of(lim, &l);
  return l.total;
}

/* ---- life ---- */

static bool config_ok(const struct rn_quic_config *c) {
  return c->cc <= RN_QUIC_CC_BBR && c->retry <= RN_QUIC_RETRY_ALWAYS &&
         c->handshake_timeout_ns > 0 && c->max_udp_payload >= RN_QUIC_MIN_INITIAL &&
         c->max_udp_payload <= 65527 && c->send_bytes > 0 && c->answers_per_s <= RATE_MAX &&
         c->prefix_handshakes_per_s <= RATE_MAX &&
         c->max_ack_delay_ns <= (UINT64_C(1) << 14) * 1000000;
}

/* A tenth of a second's worth at once. */
static void set_answer_rate(struct rn_quic *q) {
  uint32_t rate = q->cfg.answers_per_s;
  if (rate != 0)
    rn_bucket_init(&q->answers, rate, rate / 10 + 1);
}

int rn_quic_init(void *mem, const struct rn_quic_params *p, struct rn_quic **out) {
  if (!limits_ok(&p->limits) || !config_ok(&p->config) || p->events == NULL || p->rand == NULL ||
      p->tls == NULL || (p->spread.lcores > 1 && p->cid.lcore_idx >= p->spread.lcores))
    return RN_ERR_INVAL;
  struct layout l;
  layout_of(&p->limits, &l);
  uint8_t *base = mem;
  struct rn_quic *q = mem;
  *q = (struct rn_quic){
    .lim = p->limits,
    .cfg = p->config,
    .ev = p->events,
    .app = p->app,
    .rand = p->rand,
    .rand_ctx = p->rand_ctx,
    .tls = p->tls,
    .client_tls = p->client_tls != NULL ? p->client_tls : p->tls,
    .cid_cfg = p->cid,
    .spread = p->spread,
    .conn_free = UINT32_MAX,
    .conns = (struct rn_quic_conn *)(void *)(base + l.conns),
    .replies = (struct reply *)(void *)(base + l.replies),
  };
  int err = epochs_init(q, base + l.epochs);
  if (err != RN_OK)
    return err;
  err = rn_retry_codec_init(base + l.retry, &q->retry);
  if (err != RN_OK)
    return err;
  err = rn_aead_pool_init(base + l.aead, aead_count(&p->limits), &q->aead);
  if (err != RN_OK)
    return err;
  uint8_t hash_key[16];
  p->rand(p->rand_ctx, hash_key, sizeof(hash_key));
  set_answer_rate(q);
  admit_init(base + l.admit, &p->limits, hash_key, &q->admit);
  rn_wheel_init(base + l.wheel, 0, &q->wheel);
  rn_cidmap_init(base + l.initials, p->limits.conns + RN_QUIC_ADMIT_QUEUE, hash_key, &q->initials);
  rn_cidmap_init(base + l.reset_tokens, p->limits.conns * RESET_TOKENS_PER_CONN, hash_key,
                 &q->reset_tokens);
  rn_slab_init(base + l.streams, sizeof(struct rn_quic_stream), p->limits.streams, &q->streams);
  rn_slab_init(base + l.segs, RN_QUIC_SEG_BYTES, p->limits.segs, &q->segs);
  rn_slab_init(base + l.bulk_segs, RN_QUIC_BULK_SEG_BYTES, p->limits.bulk_segs, &q->bulk_segs);
  rn_heap_init(base + l.heap, p->limits.heap_bytes, &q->heap);
  rn_list_init(&q->dirty);
  rn_list_init(&q->lingering);
  rn_list_init(&q->signing);
  rn_list_init(&q->seg_waiting);
  callbacks_init(q);
  *out = q;
  return RN_OK;
}

int rn_quic_configure(struct rn_quic *q, const struct rn_quic_config *cfg) {
  if (!config_ok(cfg))
    return RN_ERR_INVAL;
  q->cfg = *cfg;
  set_answer_rate(q);
  return RN_OK;
}

void rn_quic_fini(struct rn_quic *q) {
  if (q == NULL)
    return;
  for (uint32_t i = 0; i < q->conn_fresh; i++) {
    if (q->conns[i].state != CONN_FREE)
      conn_free(&q->conns[i]);
  }
  rn_aead_pool_fini(q->aead);
  epochs_wipe(q);
}

void rn_quic_close_all(struct rn_quic *q, uint64_t now_ns, uint64_t code) {
  q->now_ns = now_ns;
  for (uint32_t i = 0; i < q->conn_fresh; i++) {
    struct rn_quic_conn *c = &q->conns[i];
    if (c->ng != NULL)
      conn_close_now(c, true, code);
  }
}

/* ---- time ---- */

static void on_timer(struct rn_timer *t, void *ctx) {
  (void)ctx;
  conn_on_timer(RN_LIST_ENTRY(t, struct rn_quic_conn, timer));
}

void rn_quic_timers(struct rn_quic *q, uint64_t now_ns) {
  q->now_ns = now_ns;
  admit_next(q);
  rn_wheel_fire(q->wheel, now_ns, on_timer, NULL);
}

uint64_t rn_quic_next_expiry(const struct rn_quic *q) {
  return admit_waiting(q) > 0 ? q->now_ns : rn_wheel_next_expiry(q->wheel);
}
void rn_quic_set_wall(struct rn_quic *q, uint64_t now_ns, uint64_t wall_ns) {
  q->wall_ahead_ns = wall_ns - now_ns;
}
uint64_t rn_quic_now(const struct rn_quic *q) { return q->now_ns; }

uint64_t rn_quic_fail_every(struct rn_quic *q, enum rn_quic_pool pool, uint32_t n) {
  switch (pool) {
  case RN_QUIC_POOL_STREAMS:
    return rn_slab_fail_every(q->streams, n);
  case RN_QUIC_POOL_SEGS:
    return rn_slab_fail_every(q->segs, n);
  case RN_QUIC_POOL_BULK_SEGS:
    return rn_slab_fail_every(q->bulk_segs, n);
  case RN_QUIC_POOL_HEAP:
    return rn_heap_fail_every(q->heap, n);
  case RN_QUIC_POOL_KEYS:
    return rn_aead_pool_fail_every(q->aead, n);
  case RN_QUIC_POOL_INITIALS:
    return rn_cidmap_fail_every(q->initials, n);
  case RN_QUIC_POOL_RESET_TOKENS:
    return rn_cidmap_fail_every(q->reset_tokens, n);
  case RN_QUIC_POOLS:
    break;
  }
  return 0;
}

const struct rn_quic_stats *rn_quic_stats(const struct rn_quic *q) {
  struct rn_quic_stats *s = (struct rn_quic_stats *)(uintptr_t)&q->stats;
  s->segs = rn_slab_in_use(q->segs) + rn_slab_in_use(q->bulk_segs);
  s->heap_bytes = rn_heap_in_use(q->heap);
  s->stream_limit = rn_slab_failures(q->streams);
  s->bulk_limit = rn_slab_failures(q->bulk_segs);
  s->heap_limit = rn_heap_failures(q->heap);
  s->key_limit = rn_aead_pool_failures(q->aead);
  s->initial_limit = rn_cidmap_failures(q->initials);
  s->ticket_unknown = rn_quic_tls_tickets_unknown(q->tls);
  return s;
}
