/* bench/cluster/lean_map.c: the map of util/hash.h as simulations of thousands of nodes can hold it: 8 bytes for an entry instead of 56. Of a key it keeps 44 bits of
 * its hash, so that two keys may be taken for one: with 5,000 members in a table, one chance in a million; hash keys are the same in each run. */
#include <string.h>

#include "util/err.h"
#include "util/hash.h"

#define VALUE_BITS 20u

struct rn_cidmap {
  uint8_t hash_key[16];
  uint32_t mask, capacity, count, high_water;
  uint64_t *entries; /* hash, value; 0: none */
};

static size_t round64(size_t n) { return (n + 63) & ~(size_t)63; }

static uint32_t table_size(uint32_t capacity) {
  uint32_t n = 4;
  while (n < 2 * (uint64_t)capacity)
    n *= 2;
  return n;
}

size_t rn_cidmap_footprint(uint32_t capacity) {
  if (capacity == 0 || capacity > 1u << VALUE_BITS)
    return 0;
  return round64(sizeof(struct rn_cidmap)) + round64(table_size(capacity) * sizeof(uint64_t));
}

int rn_cidmap_init(void *mem, uint32_t capacity, const uint8_t hash_key[16],
                   struct rn_cidmap **out) {
  struct rn_cidmap *m = mem;
  if (rn_cidmap_footprint(capacity) == 0)
    return RN_ERR_INVAL;
  *m = (struct rn_cidmap){ .mask = table_size(capacity) - 1, .capacity = capacity };
  memcpy(m->hash_key, hash_key, sizeof(m->hash_key));
  m->entries = (uint64_t *)(void *)((uint8_t *)mem + round64(sizeof(*m)));
  memset(m->entries, 0, ((size_t)m->mask + 1) * sizeof(uint64_t));
  *out = m;
  return RN_OK;
}

/* Never 0. */
static uint64_t hash_of(const struct rn_cidmap *m, const uint8_t *key, size_t len,
                        const struct rn_addr *addr) {
  uint8_t bytes[RN_CIDMAP_KEY_MAX + sizeof(*addr)];
  memcpy(bytes, key, len);
  memcpy(bytes + len, addr, sizeof(*addr));
  return rn_siphash(m->hash_key, bytes, len + sizeof(*addr)) >> VALUE_BITS | 1;
}

static uint32_t home(const struct rn_cidmap *m, uint64_t hash) {
  return (uint32_t)(hash >> 1) & m->mask;
}

static uint32_t find(const struct rn_cidmap *m, uint64_t hash) {
  uint32_t i = home(m, hash);
  while (m->entries[i] != 0 && m->entries[i] >> VALUE_BITS != hash)
    i = (i + 1) & m->mask;
  return i;
}

int rn_cidmap_put(struct rn_cidmap *m, const uint8_t *key, size_t len, const struct rn_addr *addr,
                  uint32_t value) {
  const uint64_t hash = hash_of(m, key, len, addr);
  const uint32_t i = find(m, hash);
  if (m->entries[i] == 0) {
    if (m->count == m->capacity)
      return RN_ERR_LIMIT;
    m->high_water += ++m->count > m->high_water;
  }
  m->entries[i] = hash << VALUE_BITS | value;
  return RN_OK;
}

bool rn_cidmap_get(const struct rn_cidmap *m, const uint8_t *key, size_t len,
                   const struct rn_addr *addr, uint32_t *value) {
  const uint64_t e = m->entries[find(m, hash_of(m, key, len, addr))];
  if (e == 0)
    return false;
  *value = (uint32_t)(e & ((1u << VALUE_BITS) - 1));
  return true;
}

void rn_cidmap_del(struct rn_cidmap *m, const uint8_t *key, size_t len,
                   const struct rn_addr *addr) {
  uint32_t i = find(m, hash_of(m, key, len, addr));
  if (m->entries[i] == 0)
    return;
  m->count--;
  /* Those behind it that could not have their place move up. */
  for (uint32_t k = (i + 1) & m->mask; m->entries[k] != 0; k = (k + 1) & m->mask) {
    const uint32_t from = home(m, m->entries[k] >> VALUE_BITS);
    if (((k - from) & m->mask) < ((k - i) & m->mask))
      continue;
    m->entries[i] = m->entries[k];
    i = k;
  }
  m->entries[i] = 0;
}

uint32_t rn_cidmap_count(const struct rn_cidmap *m) { return m->count; }

int rn_cidmap_check(const struct rn_cidmap *m) {
  uint32_t count = 0;
  for (uint32_t i = 0; i <= m->mask; i++)
    count += m->entries[i] != 0;
  return count == m->count ? RN_OK : RN_ERR_STATE;
}
