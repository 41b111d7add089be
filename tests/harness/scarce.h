/* tests/harness/scarce.h: an RPC endpoint one of whose pools refuses every n-th take. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "harness/rpc_peer.h"

enum scarce_pool {
  SCARCE_STREAMS,
  SCARCE_SEGS,
  SCARCE_BULK_SEGS,
  SCARCE_HEAP, /* ngtcp2's */
  SCARCE_KEYS,
  SCARCE_INITIALS,
  SCARCE_RESET_TOKENS,
  SCARCE_CALLS,
  SCARCE_BODIES,
  SCARCE_TLS, /* OpenSSL's memory, in the handshakes of a client */
  SCARCE_ALL, /* the others but TLS at once */
  SCARCE_POOLS
};

const char *scarce_name(enum scarce_pool pool);
/* Whether connections and calls take from it at all. */
bool scarce_is_used(enum scarce_pool pool, bool server);

/* Before anything of OpenSSL's is used. */
void scarce_setup(void);
/* From here on; n > 0. */
void scarce_begin(struct rpc_peer *p, enum scarce_pool pool, uint32_t n);
/* No more. How many takes were refused in between. */
uint64_t scarce_end(struct rpc_peer *p, enum scarce_pool pool);
/* What the endpoint's own counters say of it; 0 for TLS, which has none. */
uint64_t scarce_counted(const struct rpc_peer *p, enum scarce_pool pool);
