/* lib/util/hash.h: keyed hashing of what peers choose, and a map from connection IDs. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"

/* SipHash-2-4 (Aumasson, Bernstein 2012): who does not know the key cannot choose data that collides. Any data, any alignment; data may be
 * NULL when len is 0. */
uint64_t rn_siphash(const uint8_t key[16], const void *data, size_t len);

#define RN_CIDMAP_KEY_MAX 20

/* (up to 20 bytes, address) -> 32-bit value, of fixed capacity. One lcore owns each. */
struct rn_cidmap;

/* Bytes needed for up to capacity entries, 64-byte aligned; 0 when capacity is 0 or above 2^28. */
size_t rn_cidmap_footprint(uint32_t capacity);
/* Formats mem, which stays the caller's. hash_key: random. RN_OK or RN_ERR_INVAL. Nothing to release. */
int rn_cidmap_init(void *mem, uint32_t capacity, const uint8_t hash_key[16],
                   struct rn_cidmap **out);

/* Adds or replaces. RN_OK; RN_ERR_LIMIT when full; RN_ERR_INVAL for a key longer than RN_CIDMAP_KEY_MAX. */
int rn_cidmap_put(struct rn_cidmap *m, const uint8_t *key, size_t len, const struct rn_addr *addr,
                  uint32_t value);
/* Whether the key is there; then *value is its value, else *value is unchanged. */
bool rn_cidmap_get(const struct rn_cidmap *m, const uint8_t *key, size_t len,
                   const struct rn_addr *addr, uint32_t *value);
/* A key that is not there is fine. */
void rn_cidmap_del(struct rn_cidmap *m, const uint8_t *key, size_t len, const struct rn_addr *addr);
uint32_t rn_cidmap_count(const struct rn_cidmap *m);
uint32_t rn_cidmap_high_water(const struct rn_cidmap *m); /* the most entries there ever were */
uint64_t rn_cidmap_failures(const struct rn_cidmap *m);   /* puts that got RN_ERR_LIMIT */
/* Tests: refuse every n-th put of a new key, as if the map were full; 0: none. Returns how many were since the last call. */
uint64_t rn_cidmap_fail_every(struct rn_cidmap *m, uint32_t n);
/* Walks every entry. RN_OK or RN_ERR_STATE. Slow. */
int rn_cidmap_check(const struct rn_cidmap *m);
