/* dataplane/steer.h: datagrams that arrived at the wrong lcore.
 *
 * The kernel, or a NIC's hash, brings a packet to some lcore; its connection ID may name another one, after a client changed its port. Then its bytes
 * go over a ring to that one: one ring for each pair, so each has one producer and one consumer. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/net/parse.h"
#include "quic/quic.h"
#include "ring/ring.h"
#include "topo/topo.h"

#define RN_STEER_BURST         16u
#define RN_STEER_PAYLOAD_BYTES 9216u /* longer datagrams are not handed over */
#define RN_STEER_HEAD_BYTES    64u
#define RN_STEER_SLOT_BYTES    (RN_STEER_HEAD_BYTES + RN_STEER_PAYLOAD_BYTES)

/* One lcore's ends. Its lcore alone uses it, after attach. */
struct rn_steer {
  uint32_t idx;
  uint32_t count;
  uint32_t first; /* whose ring is looked at first next time */
  struct rn_ring_tx to[RN_TOPO_LCORES_MAX];
  struct rn_ring_rx from[RN_TOPO_LCORES_MAX];
  struct rn_dgram dgrams[RN_STEER_BURST];
  struct rn_net_meta metas[RN_STEER_BURST]; /* of each frame */
  uint8_t kinds[RN_STEER_BURST];            /* enum rn_net_kind */
  uint8_t *slots;                           /* RN_STEER_BURST of RN_STEER_SLOT_BYTES */
};

/* Bytes of memory for the rings between count lcores, 1..RN_TOPO_LCORES_MAX; 64-byte aligned. */
size_t rn_steer_footprint(uint32_t count);
/* Makes all rings in mem. Before any lcore runs. */
void rn_steer_format(void *mem, uint32_t count);
/* lcore idx's ends; slots: RN_STEER_BURST * RN_STEER_SLOT_BYTES bytes. Both stay the caller's. */
void rn_steer_attach(struct rn_steer *s, void *mem, uint32_t count, uint32_t idx, uint8_t *slots);

/* Hands what the parser made of a frame to lcore `to` (never idx itself): RN_NET_UDP, a datagram for one of its connections; RN_NET_ARP or RN_NET_NDP,
 * so that it learns from an answer to its own question. RN_OK, with *wake true when that lcore sleeps and its bell must be rung; RN_ERR_AGAIN when its
 * ring is full, RN_ERR_TOOBIG, RN_ERR_INVAL for an lcore that is none: it is dropped. */
int rn_steer_send(struct rn_steer *s, uint32_t to, enum rn_net_kind kind, const struct rn_dgram *d,
                  const struct rn_net_meta *m, bool *wake);

/* Takes up to RN_STEER_BURST of them from the others; s->dgrams, s->kinds and s->metas are valid until the next call. */
size_t rn_steer_receive(struct rn_steer *s);

/* As rn_ring_sleep: true when nothing is there and a datagram from now on rings the bell. */
bool rn_steer_sleep(struct rn_steer *s);
void rn_steer_awake(struct rn_steer *s);
