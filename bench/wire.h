/* bench/wire.h: one direction between two endpoints in memory, and the addresses that the benches of bench/ use. */
#pragma once
#include "quic/quic.h"

#include <stdint.h>

#define WIRE_QUEUE_MAX 4096

/* Zeroed is empty. Datagrams that find it full are refused: the endpoint keeps what it wanted to send. */
struct wire {
  uint8_t bytes[WIRE_QUEUE_MAX][1500];
  struct rn_dgram dgrams[WIRE_QUEUE_MAX];
  uint32_t count;
  struct rn_path seen_as; /* by the receiver */
};

static inline uint8_t *wire_reserve(void *ctx, size_t cap) {
  struct wire *w = ctx;
  return w->count < WIRE_QUEUE_MAX && cap <= sizeof(w->bytes[0]) ? w->bytes[w->count] : NULL;
}

static inline void wire_commit(void *ctx, const struct rn_path *path, uint8_t ecn, size_t len) {
  struct wire *w = ctx;
  (void)path;
  if (len == 0)
    return;
  w->dgrams[w->count] = (struct rn_dgram){
    .data = w->bytes[w->count], .len = (uint32_t)len, .ecn = ecn, .path = w->seen_as
  };
  w->count++;
}

/* What q sends goes into w. Returns how many datagrams. */
static inline size_t wire_send(struct wire *w, struct rn_quic *q, uint64_t now_ns) {
  const struct rn_quic_sink sink = { .reserve = wire_reserve, .commit = wire_commit, .ctx = w };
  return rn_quic_tx(q, now_ns, &sink);
}

/* Gives q all that is in w, and fires its timers. Returns how many datagrams. */
static inline uint32_t wire_receive(struct wire *w, struct rn_quic *q, uint64_t now_ns) {
  uint32_t n = w->count;
  rn_quic_rx(q, now_ns, w->dgrams, n);
  w->count = 0;
  if (rn_quic_next_expiry(q) <= now_ns)
    rn_quic_timers(q, now_ns);
  return n;
}

/* The two directions between a client at 127.0.0.1:4000 and a server at 127.0.0.2:8080. The client's path is to_client->seen_as. */
static inline void wire_pair(struct wire *to_server, struct wire *to_client) {
  const struct rn_path path = { .local = { .ip = { 127, 0, 0, 1 }, .port = 4000, .family = 4 },
                                .remote = { .ip = { 127, 0, 0, 2 }, .port = 8080, .family = 4 } };
  to_client->seen_as = path;
  to_server->seen_as = (struct rn_path){ .local = path.remote, .remote = path.local };
}
