/* tests/harness/peer.c */
#include "harness/peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void on_ready(void *app, struct rn_quic_conn *c) {
  struct peer *p = app;
  p->ready++;
  p->conn = c;
}

static void on_closed(void *app, struct rn_quic_conn *c, const struct rn_quic_close *why) {
  struct peer *p = app;
  p->closed++;
  p->why = *why;
  if (p->conn == c)
    p->conn = NULL;
}

static void on_available(void *app, struct rn_quic_conn *c) {
  (void)c;
  ((struct peer *)app)->available++;
}

static int on_open(void *app, struct rn_quic_stream *s) {
  (void)s;
  ((struct peer *)app)->streams_open++;
  return RN_OK;
}

static void on_data(void *app, struct rn_quic_stream *s, const uint8_t *data, size_t len,
                    bool fin) {
  struct peer *p = app;
  p->bytes += len;
  p->fins += fin;
  for (size_t i = 0; i < len; i++)
    p->hash = (p->hash ^ data[i]) * 0x100000001b3u;
  if (p->echo && (len > 0 || fin)) {
    int err = rn_quic_stream_write(s, data, len, fin);
    if (err != RN_OK && err != RN_ERR_CLOSED)
      abort();
  }
  if (!p->no_credit)
    rn_quic_stream_consume(s, len);
}

static void on_reset(void *app, struct rn_quic_stream *s, uint64_t code) {
  (void)s, (void)code;
  ((struct peer *)app)->resets++;
}

static void on_stop(void *app, struct rn_quic_stream *s) {
  (void)s;
  ((struct peer *)app)->stops++;
}

static void on_writable(void *app, struct rn_quic_stream *s) {
  (void)s;
  ((struct peer *)app)->writables++;
}

static void on_stream_closed(void *app, struct rn_quic_stream *s) {
  (void)s;
  ((struct peer *)app)->streams_closed++;
}

int peer_sign(struct peer *p, const struct rn_quic_sign_req *req) {
  if (p->refuse_sign)
    return RN_ERR_REFUSED;
  if (p->defer_sign) {
    p->sign_job = req->job;
    p->sign_scheme = req->scheme;
    p->sign_tbs_bytes = req->tbs_bytes;
    memcpy(p->sign_tbs, req->tbs, req->tbs_bytes);
    return RN_OK;
  }
  uint8_t sig[RN_QUIC_SIG_BYTES_MAX];
  size_t n = pki_sign(p->pki, req->scheme, req->tbs, req->tbs_bytes, sig, sizeof(sig));
  rn_quic_sign_done(p->q, rn_quic_now(p->q), req->job, n > 0 ? RN_OK : RN_ERR_CRYPTO, sig, n);
  return RN_OK;
}

static int on_sign(void *app, const struct rn_quic_sign_req *req) { return peer_sign(app, req); }

static void on_foreign(void *app, uint32_t lcore_idx, const struct rn_dgram *d) {
  (void)lcore_idx, (void)d;
  ((struct peer *)app)->foreign++;
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

static void fill_random(void *ctx, uint8_t *out, size_t n) {
  for (size_t i = 0; i < n; i++)
    out[i] = (uint8_t)(rn_rng_next(ctx) >> 32);
}

void peer_prepare(struct peer *p, const struct pki *pki, uint64_t seed) {
  *p = (struct peer){ .pki = pki };
  rn_rng_init(&p->rng, seed);
  p->params = (struct rn_quic_params){
    .limits = { .conns = 64,
                .half_open = 32,
                .streams = 20000,
                .segs = 40000,
                .bulk_segs = 2000,
                .sign_jobs = 32,
                .heap_bytes = 64u << 20 },
    .config = { .listen = pki != NULL,
                .cc = RN_QUIC_CC_CUBIC,
                .retry = RN_QUIC_RETRY_NEVER,
                .idle_timeout_ns = 30000000000u,
                .handshake_timeout_ns = 10000000000u,
                .max_ack_delay_ns = 25000000,
                .conn_window = 1u << 20,
                .stream_window = 1u << 20,
                .max_streams_bidi = 256,
                .send_bytes = 1u << 20,
                .max_udp_payload = 1452 },
    .cid = { .config_id = 1, .server_id = 7, .epoch = 1, .lcore_count = 1, .key_epoch = 1 },
    .events = &events,
    .app = p,
    .rand = fill_random,
    .rand_ctx = &p->rng,
  };
  fill_random(&p->rng, p->params.cid.key, 16);
  fill_random(&p->rng, p->params.cid.reset_key, 32);
  fill_random(&p->rng, p->params.cid.token_key, 32);
}

/* ---- memory ---- */

/* Pages that are touched cost time, others none; what is written behind the end is caught by the page that follows. */
static size_t region_pages(size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  return (bytes + page - 1) / page * page;
}

void *region_new(size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = region_pages(bytes);
  uint8_t *at = mmap(NULL, pages + page, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (bytes == 0 || bytes % 64 != 0 || at == MAP_FAILED ||
      mprotect(at + pages, page, PROT_NONE) != 0)
    abort();
  return at + (pages - bytes);
}

void region_free(void *mem, size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = region_pages(bytes);
  if (mem != NULL)
    munmap((uint8_t *)mem - (pages - bytes), pages + page);
}

/* ---- life ---- */

struct rn_quic_tls *peer_tls(const struct pki *own, const struct pki *ca,
                             const struct rn_quic_tls_config *tls_override) {
  struct rn_quic_tls_config cfg =
      tls_override != NULL ? *tls_override : (struct rn_quic_tls_config){ 0 };
  struct rn_quic_tls *tls;
  if (own != NULL)
    cfg.cert_pem = pki_cert_pem(own, &cfg.cert_pem_bytes);
  if (ca != NULL)
    cfg.ca_pem = pki_cert_pem(ca, &cfg.ca_pem_bytes);
  char text[256];
  if (rn_quic_tls_new(&cfg, &tls, text, sizeof(text)) != RN_OK) {
    fprintf(stderr, "tls: %s\n", text);
    abort();
  }
  return tls;
}

void peer_start_with(struct peer *p, struct rn_quic_tls *tls) {
  p->params.tls = tls;
  p->mem_bytes = rn_quic_footprint(&p->params.limits);
  p->mem = region_new(p->mem_bytes);
  if (rn_quic_init(p->mem, &p->params, &p->q) != RN_OK)
    abort();
}

void peer_start(struct peer *p, const struct pki *ca,
                const struct rn_quic_tls_config *tls_override) {
  p->tls = peer_tls(p->pki, ca, tls_override);
  peer_start_with(p, p->tls);
}

void peer_stop(struct peer *p) {
  rn_quic_fini(p->q);
  rn_quic_tls_free(p->tls);
  region_free(p->mem, p->mem_bytes);
}
