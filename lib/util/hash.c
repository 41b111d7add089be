/* lib/util/hash.c */
#include "util/hash.h"
#include "util/err.h"
#include "util/refuse.h"

#include <assert.h>
#include <string.h>

/* ---- SipHash ---- */

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "load64 reads as the paper does");

static uint64_t load64(const uint8_t *p) {
  uint64_t v;
  memcpy(&v, p, 8);
  return v;
}

static inline uint64_t rotl(uint64_t v, unsigned int n) { return v << n | v >> (64 - n); }

static inline void sip_round(uint64_t v[4]) {
  v[0] += v[1], v[2] += v[3];
  v[1] = rotl(v[1], 13) ^ v[0], v[3] = rotl(v[3], 16) ^ v[2];
  v[0] = rotl(v[0], 32);
  v[2] += v[1], v[0] += v[3];
  v[1] = rotl(v[1], 17) ^ v[2], v[3] = rotl(v[3], 21) ^ v[0];
  v[2] = rotl(v[2], 32);
}

uint64_t rn_siphash(const uint8_t key[16], const void *data, size_t len) {
  const uint8_t *p = data;
  uint64_t k0 = load64(key), k1 = load64(key + 8);
  uint64_t v[4] = { k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                    k1 ^ 0x7465646279746573u };
  size_t left = len;
  for (; left >= 8; left -= 8, p += 8) {
    uint64_t m = load64(p);
    v[3] ^= m;
    sip_round(v), sip_round(v);
    v[0] ^= m;
  }
  uint64_t last = (uint64_t)len << 56;
  for (size_t i = 0; i < left; i++)
    last |= (uint64_t)p[i] << (8 * i);
  v[3] ^= last;
  sip_round(v), sip_round(v);
  v[0] ^= last;
  v[2] ^= 0xff;
  sip_round(v), sip_round(v), sip_round(v), sip_round(v);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* ---- map: open addressing, linear probing, deletion by shifting back; at most half full ---- */

struct entry {
  uint8_t key[RN_CIDMAP_KEY_MAX];
  uint8_t len;
  uint8_t used;
  uint8_t zero[2];
  struct rn_addr addr;
  uint32_t value;
  uint32_t hash;
};

struct rn_cidmap {
  uint8_t hash_key[16];
  uint32_t mask, capacity, count, high_water;
  struct rn_refusals refusals;
  uint64_t failures;
  struct entry *entries;
};

static uint32_t table_size(uint32_t capacity) {
  uint32_t n = 4;
  while (n < 2 * (uint64_t)capacity)
    n *= 2;
  return n;
}

static size_t round64(size_t n) { return (n + 63) & ~(size_t)63; }

size_t rn_cidmap_footprint(uint32_t capacity) {
  if (capacity == 0 || capacity > 1u << 28)
    return 0;
  return round64(sizeof(struct rn_cidmap)) + round64(table_size(capacity) * sizeof(struct entry));
}

int rn_cidmap_init(void *mem, uint32_t capacity, const uint8_t hash_key[16],
                   struct rn_cidmap **out) {
  if (rn_cidmap_footprint(capacity) == 0)
    return RN_ERR_INVAL;
  struct rn_cidmap *m = mem;
  *m = (struct rn_cidmap){ .mask = table_size(capacity) - 1, .capacity = capacity };
  memcpy(m->hash_key, hash_key, 16);
  m->entries = (struct entry *)(void *)((uint8_t *)mem + round64(sizeof(*m)));
  memset(m->entries, 0, ((size_t)m->mask + 1) * sizeof(struct entry));
  *out = m;
  return RN_OK;
}

static void make_key(const struct rn_cidmap *m, struct entry *e, const uint8_t *key, size_t len,
                     const struct rn_addr *addr) {
  *e = (struct entry){ .len = (uint8_t)len, .used = 1, .addr = *addr };
  memcpy(e->key, key, len);
  e->hash = (uint32_t)rn_siphash(m->hash_key, e, offsetof(struct entry, value));
}

static bool same_key(const struct entry *a, const struct entry *b) {
  return a->hash == b->hash && memcmp(a, b, offsetof(struct entry, value)) == 0;
}

/* Where the key is, or the empty place where it would go. */
static uint32_t find(const struct rn_cidmap *m, const struct entry *e) {
  uint32_t i = e->hash & m->mask;
  while (m->entries[i].used && !same_key(&m->entries[i], e))
    i = (i + 1) & m->mask;
  return i;
}

int rn_cidmap_put(struct rn_cidmap *m, const uint8_t *key, size_t len, const struct rn_addr *addr,
                  uint32_t value) {
  if (len > RN_CIDMAP_KEY_MAX)
    return RN_ERR_INVAL;
  struct entry e;
  make_key(m, &e, key, len, addr);
  e.value = value;
  uint32_t i = find(m, &e);
  if (!m->entries[i].used) {
    bool injected = rn_refused(&m->refusals);
    if (m->count == m->capacity || injected) {
      m->failures++;
      return RN_ERR_LIMIT;
    }
    if (++m->count > m->high_water)
      m->high_water = m->count;
  }
  m->entries[i] = e;
  return RN_OK;
}

bool rn_cidmap_get(const struct rn_cidmap *m, const uint8_t *key, size_t len,
                   const struct rn_addr *addr, uint32_t *value) {
  if (len > RN_CIDMAP_KEY_MAX || m->count == 0)
    return false;
  struct entry e;
  make_key(m, &e, key, len, addr);
  uint32_t i = find(m, &e);
  if (!m->entries[i].used)
    return false;
  *value = m->entries[i].value;
  return true;
}

void rn_cidmap_del(struct rn_cidmap *m, const uint8_t *key, size_t len,
                   const struct rn_addr *addr) {
  if (len > RN_CIDMAP_KEY_MAX)
    return;
  struct entry e;
  make_key(m, &e, key, len, addr);
  uint32_t hole = find(m, &e);
  if (!m->entries[hole].used)
    return;
  m->count--;
  for (uint32_t i = (hole + 1) & m->mask; m->entries[i].used; i = (i + 1) & m->mask) {
    uint32_t home = m->entries[i].hash & m->mask;
    if (((i - home) & m->mask) >= ((i - hole) & m->mask)) {
      m->entries[hole] = m->entries[i];
      hole = i;
    }
  }
  m->entries[hole].used = 0;
}

uint32_t rn_cidmap_count(const struct rn_cidmap *m) { return m->count; }
uint32_t rn_cidmap_high_water(const struct rn_cidmap *m) { return m->high_water; }
uint64_t rn_cidmap_failures(const struct rn_cidmap *m) { return m->failures; }

uint64_t rn_cidmap_fail_every(struct rn_cidmap *m, uint32_t n) {
  return rn_refuse_every(&m->refusals, n);
}

int rn_cidmap_check(const struct rn_cidmap *m) {
  uint32_t used = 0;
  for (uint32_t i = 0; i <= m->mask; i++) {
    const struct entry *e = &m->entries[i];
    if (!e->used)
      continue;
    used++;
    /* A search from home meets this entry: no empty place and no equal before it. */
    uint32_t hash = (uint32_t)rn_siphash(m->hash_key, e, offsetof(struct entry, value));
    if (e->len > RN_CIDMAP_KEY_MAX || e->hash != hash || find(m, e) != i)
      return RN_ERR_STATE;
  }
  return used == m->count && used <= m->high_water && m->high_water <= m->capacity ? RN_OK
                                                                                   : RN_ERR_STATE;
}
