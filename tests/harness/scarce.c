/* tests/harness/scarce.c */
#include "harness/scarce.h"

#include <stdlib.h>

#include <openssl/crypto.h>

#include "util/refuse.h"

static const char *const names[SCARCE_POOLS] = {
  [SCARCE_STREAMS] = "streams",
  [SCARCE_SEGS] = "segs",
  [SCARCE_BULK_SEGS] = "bulk",
  [SCARCE_HEAP] = "heap",
  [SCARCE_KEYS] = "keys",
  [SCARCE_INITIALS] = "initials",
  [SCARCE_RESET_TOKENS] = "resets",
  [SCARCE_CALLS] = "calls",
  [SCARCE_BODIES] = "bodies",
  [SCARCE_TLS] = "tls",
  [SCARCE_ALL] = "all",
};

const char *scarce_name(enum scarce_pool pool) { return names[pool]; }

/* ---- OpenSSL ---- */

/* OpenSSL has one memory for the whole process, malloc's: refused is what it takes while the client is at work. Not as the client dials, and not at
 * the server, which does the same as it accepts: SSL_set_connect_state and SSL_set_accept_state of OpenSSL 3.5 have no way to fail, and use what
 * they could not allocate. */
static struct rn_refusals tls;
static const struct rpc_peer *tls_of;

static bool tls_refused(void) {
  return tls_of != NULL && net_at_work(tls_of->net) == tls_of->host && rn_refused(&tls);
}

static void *tls_malloc(size_t bytes, const char *file, int line) {
  (void)file, (void)line;
  return tls_refused() ? NULL : malloc(bytes);
}

static void *tls_realloc(void *p, size_t bytes, const char *file, int line) {
  (void)file, (void)line;
  return tls_refused() ? NULL : realloc(p, bytes);
}

static void tls_free(void *p, const char *file, int line) {
  (void)file, (void)line;
  free(p);
}

void scarce_setup(void) {
  if (CRYPTO_set_mem_functions(tls_malloc, tls_realloc, tls_free) != 1)
    abort();
}

/* ---- pools ---- */

/* The endpoint's pools have the same order. */
static bool is_quics(enum scarce_pool pool, enum rn_quic_pool *out) {
  static const enum rn_quic_pool of[SCARCE_CALLS] = {
    [SCARCE_STREAMS] = RN_QUIC_POOL_STREAMS,
    [SCARCE_SEGS] = RN_QUIC_POOL_SEGS,
    [SCARCE_BULK_SEGS] = RN_QUIC_POOL_BULK_SEGS,
    [SCARCE_HEAP] = RN_QUIC_POOL_HEAP,
    [SCARCE_KEYS] = RN_QUIC_POOL_KEYS,
    [SCARCE_INITIALS] = RN_QUIC_POOL_INITIALS,
    [SCARCE_RESET_TOKENS] = RN_QUIC_POOL_RESET_TOKENS,
  };
  if (pool >= SCARCE_CALLS)
    return false;
  *out = of[pool];
  return true;
}

static uint64_t refuse_calls(struct rpc_peer *p, uint32_t n) {
  return p->server != NULL ? rn_rpc_server_fail_calls(p->server, n)
                           : rn_rpc_client_fail_calls(p->client, n);
}

static uint64_t refuse_bodies(struct rpc_peer *p, uint32_t n) {
  return p->server != NULL ? rn_rpc_server_fail_bodies(p->server, n)
                           : rn_rpc_client_fail_bodies(p->client, n);
}

/* How many were refused since the last time. */
static uint64_t refuse(struct rpc_peer *p, enum scarce_pool pool, uint32_t n) {
  enum rn_quic_pool quics;
  uint64_t sum = 0;
  if (is_quics(pool, &quics))
    return rn_quic_fail_every(p->base.q, quics, n);
  switch (pool) {
  case SCARCE_CALLS:
    return refuse_calls(p, n);
  case SCARCE_BODIES:
    return refuse_bodies(p, n);
  case SCARCE_TLS:
    tls_of = n != 0 ? p : NULL;
    return rn_refuse_every(&tls, n);
  default:
    for (enum scarce_pool each = 0; each < SCARCE_TLS; each++)
      sum += refuse(p, each, n);
    return sum;
  }
}

void scarce_begin(struct rpc_peer *p, enum scarce_pool pool, uint32_t n) {
  (void)refuse(p, pool, n);
}

uint64_t scarce_end(struct rpc_peer *p, enum scarce_pool pool) { return refuse(p, pool, 0); }

/* ---- counters ---- */

static uint64_t counted_rpc(const struct rpc_peer *p, enum scarce_pool pool) {
  if (p->server != NULL)
    return pool == SCARCE_CALLS ? rn_rpc_server_stats(p->server)->call_limit
                                : rn_rpc_server_stats(p->server)->body_limit;
  return pool == SCARCE_CALLS ? rn_rpc_client_call_limit(p->client)
                              : rn_rpc_client_body_limit(p->client);
}

uint64_t scarce_counted(const struct rpc_peer *p, enum scarce_pool pool) {
  const struct rn_quic_stats *s = rn_quic_stats(p->base.q);
  uint64_t sum = 0;
  switch (pool) {
  case SCARCE_STREAMS:
    return s->stream_limit;
  case SCARCE_SEGS:
    return s->seg_exhausted;
  case SCARCE_BULK_SEGS:
    return s->bulk_limit;
  case SCARCE_HEAP:
    return s->heap_limit;
  case SCARCE_KEYS:
    return s->key_limit;
  case SCARCE_INITIALS:
    return s->initial_limit;
  case SCARCE_RESET_TOKENS:
    return s->reset_token_limit;
  case SCARCE_CALLS:
  case SCARCE_BODIES:
    return counted_rpc(p, pool);
  case SCARCE_TLS: /* the machine's memory, not ours: what fails is a handshake */
  case SCARCE_POOLS:
    return 0;
  case SCARCE_ALL:
    break;
  }
  for (enum scarce_pool each = 0; each < SCARCE_TLS; each++)
    sum += scarce_counted(p, each);
  return sum;
}

bool scarce_is_used(enum scarce_pool pool, bool server) {
  switch (pool) {
  case SCARCE_INITIALS:
    return server;
  case SCARCE_RESET_TOKENS: /* a server gives one with its first connection ID, a client cannot */
  case SCARCE_TLS:
    return !server;
  default:
    return true;
  }
}
