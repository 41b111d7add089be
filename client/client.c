/* client/client.c */
#include "client/client.h"
#include "client/udp.h"
#include "util/err.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#define NS_PER_S        UINT64_C(1000000000)
#define NS_PER_MS       UINT64_C(1000000)
#define SLEEP_MIN_NS    UINT64_C(20000) /* a wait shorter than this is not worth a system call */
#define SPIN_NS         UINT64_C(50000)
#define RX_MORE         16u   /* fewer datagrams at once: the queue is empty now */
#define STREAM_SLACK    1024u /* streams whose call is over and whose last packet is on its way */
#define MAX_UDP_PAYLOAD 1452u

struct rn_client {
  const struct rn_client_io *io;
  void *io_ctx; /* NULL: not opened */
  struct rn_quic_tls *tls;
  struct rn_quic *quic;
  struct rn_rpc_client *rpc;
  void *quic_mem, *rpc_mem;
  size_t quic_bytes, rpc_bytes;
  struct rn_client_events ev;
  void *user;
  uint64_t spin_ns;
  uint64_t busy_at_ns; /* when there was something to do last */
};

uint64_t rn_client_now(void) {
  struct timespec ts;
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* ---- events of the endpoint ---- */

static void on_ready(void *app, struct rn_quic_conn *conn) {
  struct rn_client *c = app;
  if (c->ev.ready != NULL)
    c->ev.ready(c->user, conn);
}

static void on_closed(void *app, struct rn_quic_conn *conn, const struct rn_quic_close *why) {
  struct rn_client *c = app;
  if (c->ev.closed != NULL)
    c->ev.closed(c->user, conn, why);
}

static void on_streams(void *app, struct rn_quic_conn *conn) {
  struct rn_client *c = app;
  if (c->ev.streams_available != NULL)
    c->ev.streams_available(c->user, conn);
}

static int on_open(void *app, struct rn_quic_stream *s) {
  return (void)app, (void)s, RN_ERR_REFUSED;
}

static void on_data(void *app, struct rn_quic_stream *s, const uint8_t *data, size_t len,
                    bool fin) {
  rn_rpc_client_stream_data(((struct rn_client *)app)->rpc, s, data, len, fin);
}

static void on_reset(void *app, struct rn_quic_stream *s, uint64_t code) {
  (void)code;
  rn_rpc_client_stream_reset(((struct rn_client *)app)->rpc, s);
}

static void on_stop(void *app, struct rn_quic_stream *s) {
  (void)app, (void)s;
} /* the answer may still come */

static void on_writable(void *app, struct rn_quic_stream *s) {
  rn_rpc_client_stream_writable(((struct rn_client *)app)->rpc, s);
}

static void on_stream_closed(void *app, struct rn_quic_stream *s) {
  rn_rpc_client_stream_closed(((struct rn_client *)app)->rpc, s);
}

static const struct rn_quic_events events = {
  .conn_ready = on_ready,
  .conn_closed = on_closed,
  .streams_available = on_streams,
  .stream_open = on_open,
  .stream_data = on_data,
  .stream_reset = on_reset,
  .stream_stop = on_stop,
  .stream_writable = on_writable,
  .stream_closed = on_stream_closed,
};

/* ---- life ---- */

static void fill_random(void *ctx, uint8_t *out, size_t n) {
  (void)ctx;
  while (n > 0) {
    ssize_t got = getrandom(out, n, 0);
    if (got < 0)
      continue; /* EINTR is all that can happen */
    out += got;
    n -= (size_t)got;
  }
}

void rn_client_defaults(struct rn_client_config *cfg) {
  *cfg = (struct rn_client_config){
    .local = { .family = 4 },
    .conns = 16,
    .calls = 16384,
    .keep_alive_ns = 10 * NS_PER_S,
    .idle_timeout_ns = 30 * NS_PER_S,
    .cc = RN_QUIC_CC_CUBIC,
    .max_body_bytes = 64u << 20,
    .max_udp_payload = MAX_UDP_PAYLOAD,
    .spin_ns = SPIN_NS,
  };
}

static void *map_memory(size_t bytes) {
  void *p =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED)
    return NULL;
  madvise(p, bytes, MADV_HUGEPAGE);
  return p;
}

static void fill_params(const struct rn_client_config *cfg, struct rn_client *c,
                        struct rn_quic_params *p) {
  uint32_t bulk = (uint32_t)(cfg->max_body_bytes / 3500) + 1024;
  *p = (struct rn_quic_params){
    .limits = { .conns = cfg->conns,
                .half_open = cfg->conns,
                .streams = 2 * cfg->calls + STREAM_SLACK,
                .segs = 3 * cfg->calls + STREAM_SLACK,
                .bulk_segs = bulk,
                .heap_bytes =
                    ((size_t)64 << 20) + (size_t)cfg->conns * 65536 + (size_t)cfg->calls * 4096 },
    .config = { .cc = cfg->cc,
                .idle_timeout_ns = cfg->idle_timeout_ns,
                .keep_alive_ns = cfg->keep_alive_ns,
                .handshake_timeout_ns = 10 * NS_PER_S,
                .initial_rtt_ns = 20 * NS_PER_MS,
                .max_ack_delay_ns = 5 * NS_PER_MS,
                .conn_window = 16u << 20,
                .stream_window = 8u << 20,
                .max_streams_bidi = 100,
                .send_bytes = 2u << 20,
                .max_udp_payload = cfg->max_udp_payload,
                .pmtud = true },
    .tls = c->tls,
    .events = &events,
    .app = c,
    .rand = fill_random,
  };
  p->cid.lcore_count = 1;
  fill_random(NULL, p->cid.key, sizeof(p->cid.key));
  fill_random(NULL, p->cid.reset_key, sizeof(p->cid.reset_key));
  fill_random(NULL, p->cid.token_key, sizeof(p->cid.token_key));
}

static int make_endpoint(struct rn_client *c, const struct rn_client_config *cfg) {
  struct rn_quic_params params;
  fill_params(cfg, c, &params);
  const struct rn_rpc_client_limits limits = { .calls = cfg->calls,
                                               .body_bytes = cfg->max_body_bytes * 4 };
  c->quic_bytes = rn_quic_footprint(&params.limits);
  c->rpc_bytes = rn_rpc_client_footprint(&limits);
  if (c->quic_bytes == 0 || c->rpc_bytes == 0)
    return RN_ERR_INVAL;
  c->quic_mem = map_memory(c->quic_bytes);
  c->rpc_mem = map_memory(c->rpc_bytes);
  if (c->quic_mem == NULL || c->rpc_mem == NULL)
    return RN_ERR_SYS;
  int err = rn_quic_init(c->quic_mem, &params, &c->quic);
  if (err == RN_OK)
    err = rn_rpc_client_init(c->rpc_mem, &limits, cfg->max_body_bytes, &c->rpc);
  return err;
}

int rn_client_new(const struct rn_client_config *cfg, const struct rn_client_events *ev, void *user,
                  struct rn_client **out, char *err_text, size_t err_text_bytes) {
  struct rn_client *c = calloc(1, sizeof(*c));
  if (c == NULL)
    return RN_ERR_SYS;
  if (ev != NULL)
    c->ev = *ev;
  c->user = user;
  c->spin_ns = cfg->spin_ns;
  c->io = cfg->io != NULL ? cfg->io : &rn_client_io_udp;
  c->io_ctx = cfg->io != NULL ? cfg->io_ctx : NULL;
  const struct rn_quic_tls_config tls = { .ca_pem = cfg->ca_pem,
                                          .ca_pem_bytes = cfg->ca_pem_bytes,
                                          .cipher_suites = cfg->cipher_suites,
                                          .groups = cfg->groups };
  int err = rn_quic_tls_new(&tls, &c->tls, err_text, err_text_bytes);
  if (err != RN_OK)
    goto fail;
  if (c->io_ctx == NULL) {
    struct rn_udp *udp = NULL;
    err = rn_udp_open(&cfg->local, &udp);
    if (err != RN_OK) {
      snprintf(err_text, err_text_bytes, "UDP socket: %s", strerror(errno));
      goto fail;
    }
    c->io_ctx = udp;
  }
  err = make_endpoint(c, cfg);
  if (err != RN_OK) {
    snprintf(err_text, err_text_bytes, "endpoint: %s", rn_err_text(err));
    goto fail;
  }
  *out = c;
  return RN_OK;
fail:
  rn_client_free(c);
  return err;
}

void rn_client_free(struct rn_client *c) {
  if (c == NULL)
    return;
  if (c->quic != NULL && c->rpc != NULL) {
    rn_quic_close_all(c->quic, rn_client_now(), 0);
    rn_quic_tx(c->quic, rn_client_now(), c->io->sink(c->io_ctx));
    c->io->flush(c->io_ctx, rn_client_now());
    rn_quic_fini(c->quic);
  }
  if (c->quic_mem != NULL)
    munmap(c->quic_mem, c->quic_bytes);
  if (c->rpc_mem != NULL)
    munmap(c->rpc_mem, c->rpc_bytes);
  if (c->io_ctx != NULL)
    c->io->close(c->io_ctx);
  rn_quic_tls_free(c->tls);
  free(c);
}

int rn_client_connect(struct rn_client *c, const struct rn_addr *to, const char *server_name,
                      struct rn_quic_conn **out) {
  const struct rn_path path = { .local = *c->io->local(c->io_ctx), .remote = *to };
  return rn_quic_connect(c->quic, rn_client_now(), &path, server_name, out);
}

int rn_client_rebind(struct rn_client *c) {
  return c->io->rebind != NULL ? c->io->rebind(c->io_ctx) : RN_ERR_SYS;
}

/* ---- one turn ---- */

static bool receive(struct rn_client *c, uint64_t now_ns) {
  bool any = false;
  for (int i = 0; i < 4; i++) { /* then it is time to answer */
    const struct rn_dgram *d;
    size_t n = c->io->rx(c->io_ctx, now_ns, &d);
    if (n > 0)
      rn_quic_rx(c->quic, now_ns, d, n);
    c->io->rx_done(c->io_ctx);
    any |= n > 0;
    if (n < RX_MORE)
      break;
  }
  return any;
}

static uint64_t next_expiry(const struct rn_client *c) {
  uint64_t a = rn_quic_next_expiry(c->quic), b = rn_rpc_client_next_expiry(c->rpc);
  return a < b ? a : b;
}

static void wait_for_input(struct rn_client *c, uint64_t wait_ns) {
  uint64_t now_ns = rn_client_now(), at = next_expiry(c);
  uint64_t left = at <= now_ns ? 0 : at - now_ns;
  if (left > wait_ns)
    left = wait_ns;
  if (left < SLEEP_MIN_NS)
    return;
  c->io->wait(c->io_ctx, left);
}

bool rn_client_step(struct rn_client *c, uint64_t wait_ns) {
  uint64_t now_ns = rn_client_now();
  bool busy = receive(c, now_ns);
  if (rn_quic_next_expiry(c->quic) <= now_ns)
    rn_quic_timers(c->quic, now_ns);
  if (rn_rpc_client_next_expiry(c->rpc) <= now_ns)
    rn_rpc_client_timers(c->rpc, now_ns);
  if (rn_quic_tx(c->quic, now_ns, c->io->sink(c->io_ctx)) > 0)
    busy = true;
  c->io->flush(c->io_ctx, now_ns);
  if (busy)
    c->busy_at_ns = now_ns;
  else if (wait_ns > 0 && now_ns - c->busy_at_ns >= c->spin_ns)
    wait_for_input(c, wait_ns);
  return busy;
}

struct rn_rpc_client *rn_client_rpc(struct rn_client *c) { return c->rpc; }
struct rn_quic *rn_client_quic(struct rn_client *c) { return c->quic; }
