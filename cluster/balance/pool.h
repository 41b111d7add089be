/* cluster/balance/pool.h: a snapshot of the workers that one route can choose among. Control forms it, publishes its bytes to each lcore, and never changes
 * it; the next one has a higher version. It holds no pointers, so it can be copied as it is, and rn_bal_pool_check says whether any bytes are one.
 *
 *   +--------+----------------+-------------+--------------------+-------+
 *   | header | workers by key | ring points | ring: first points | texts |
 *   +--------+----------------+-------------+--------------------+-------+
 *
 * The ring is for consistent_hash.c: RN_BAL_POINTS points per worker, in the order of their places, and for each of 2^ring_bits equal arcs the first point that does
 * not lie before it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"

#define RN_BAL_WORKERS_MAX 1024u
#define RN_BAL_WEIGHT_MAX  10000u
#define RN_BAL_ID_MAX      255u
#define RN_BAL_POINTS      8u

enum rn_bal_flag {
  RN_BAL_DRAINING = 1, /* is to get no new calls */
  RN_BAL_EJECTED = 2,  /* control's word that it fails; each lcore has its own besides */
  RN_BAL_NEAR = 4,     /* of our own zone */
  RN_BAL_FLAGS = 7
};

struct rn_bal_worker {
  uint64_t key;  /* of the node id, never 0: what a worker is known by everywhere here */
  uint64_t zone; /* of the zone's name; 0: none */
  struct rn_addr addr;
  uint32_t weight;  /* 1..RN_BAL_WEIGHT_MAX */
  uint32_t text_at; /* the node id, not terminated: bytes from the begin of the pool */
  uint16_t slot;    /* cluster/balance/load.h */
  uint8_t text_len;
  uint8_t flags; /* enum rn_bal_flag */
  uint8_t zero[4];
};
_Static_assert(sizeof(struct rn_bal_worker) == 56, "two processes share it");

struct rn_bal_pool {
  uint64_t version;
  uint64_t zone;  /* our own; 0: none */
  uint32_t bytes; /* of all of it */
  uint32_t count; /* workers, 0..RN_BAL_WORKERS_MAX */
  uint32_t ring_bits;
  uint32_t text_bytes;
};
_Static_assert(sizeof(struct rn_bal_pool) == 32, "two processes share it");

/* What a worker of a new pool is to be; text is copied. */
struct rn_bal_spec {
  struct rn_bal_worker worker; /* text_at, text_len and RN_BAL_NEAR are not looked at */
  const char *id;
  uint8_t id_len;
};

/* The key of a node id or of a zone's name; the same at every node, never 0. */
uint64_t rn_bal_key(const char *text, size_t len);

/* Bytes of a pool of count workers whose ids have text_bytes in all; 0 when count is above RN_BAL_WORKERS_MAX or an id's length would be. */
size_t rn_bal_pool_bytes(uint32_t count, size_t text_bytes);

/* Forms a pool in mem[0..cap), 8-byte aligned, which stays the caller's; sorts specs[0..count) by key on the way. A worker is near when its zone is zone and there
 * is one. RN_OK; RN_ERR_TOOBIG when cap is too small; RN_ERR_EXIST when two have one key; RN_ERR_INVAL for a key of 0, a weight out of range or too many. */
int rn_bal_pool_form(void *mem, size_t cap, uint64_t version, uint64_t zone,
                     struct rn_bal_spec *specs, uint32_t count, const struct rn_bal_pool **out);

/* Whether bytes[0..len), 8-byte aligned, any content, begin with a pool that everything here can work with. RN_OK or RN_ERR_CORRUPT. */
int rn_bal_pool_check(const void *bytes, size_t len);

/* Whether both hold the same workers with the same properties, whatever their versions. */
bool rn_bal_pool_eq(const struct rn_bal_pool *a, const struct rn_bal_pool *b);

/* By key: 0..count-1. */
static inline const struct rn_bal_worker *rn_bal_pool_workers(const struct rn_bal_pool *p) {
  return (const struct rn_bal_worker *)(const void *)(p + 1);
}

/* The node id of a worker of p, text_len bytes. */
static inline const char *rn_bal_pool_text(const struct rn_bal_pool *p,
                                           const struct rn_bal_worker *w) {
  return (const char *)(const void *)p + w->text_at;
}

/* count * RN_BAL_POINTS of them, each: the place in the upper 48 bits, the worker's index in the lower 16. */
static inline const uint64_t *rn_bal_pool_ring(const struct rn_bal_pool *p) {
  return (const uint64_t *)(const void *)(rn_bal_pool_workers(p) + p->count);
}

/* 2^ring_bits of them. */
static inline const uint16_t *rn_bal_pool_first(const struct rn_bal_pool *p) {
  return (const uint16_t *)(const void *)(rn_bal_pool_ring(p) + p->count * RN_BAL_POINTS);
}

/* The worker's index, or p->count when it is none of them. */
uint32_t rn_bal_pool_find(const struct rn_bal_pool *p, uint64_t key);
