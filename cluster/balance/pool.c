/* cluster/balance/pool.c */
#include "cluster/balance/pool.h"

#include <stdbool.h>
#include <string.h>

#include "util/err.h"
#include "util/hash.h"

#define RING_PLACE (~(uint64_t)0xffff)

uint64_t rn_bal_key(const char *text, size_t len) {
  static const uint8_t key[16] = "rpcnet balance"; /* everybody's: all directors hash alike */
  uint64_t h = rn_siphash(key, text, len);
  return h != 0 ? h : 1;
}

static uint32_t ring_bits_of(uint32_t count) {
  uint32_t bits = 1;
  while ((1u << bits) < 2 * RN_BAL_POINTS * count)
    bits++;
  return bits;
}

/* Where the texts begin. */
static size_t texts_at(uint32_t count, uint32_t ring_bits) {
  size_t bytes = sizeof(struct rn_bal_pool);
  bytes += count * (sizeof(struct rn_bal_worker) + RN_BAL_POINTS * sizeof(uint64_t));
  return bytes + ((size_t)1 << ring_bits) * sizeof(uint16_t);
}

size_t rn_bal_pool_bytes(uint32_t count, size_t text_bytes) {
  if (count > RN_BAL_WORKERS_MAX || text_bytes > (size_t)count * RN_BAL_ID_MAX)
    return 0;
  return (texts_at(count, ring_bits_of(count)) + text_bytes + 7) & ~(size_t)7;
}

/* A heap's sort: in place, without the memory that qsort may ask for. */
static void sift_specs(struct rn_bal_spec *s, uint32_t at, uint32_t n) {
  for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && s[child].worker.key < s[child + 1].worker.key)
      child++;
    if (s[at].worker.key >= s[child].worker.key)
      return;
    struct rn_bal_spec swap = s[at];
    s[at] = s[child];
    s[child] = swap;
  }
}

static void sort_specs(struct rn_bal_spec *s, uint32_t n) {
  for (uint32_t i = n / 2; i-- > 0;)
    sift_specs(s, i, n);
  for (uint32_t i = n; i-- > 1;) {
    struct rn_bal_spec swap = s[0];
    s[0] = s[i];
    s[i] = swap;
    sift_specs(s, 0, i);
  }
}

/* The n-th point of a worker. */
static uint64_t point_of(uint64_t key, uint32_t n, uint32_t idx) {
  uint64_t z = key + n * 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 32) * 0xd6e8feb86659fd93u;
  z = (z ^ z >> 32) * 0xd6e8feb86659fd93u;
  return ((z ^ z >> 32) & RING_PLACE) | idx;
}

/* Places are spread evenly, so each is put into its arc and moved back past the few before it. */
static void form_ring(const struct rn_bal_worker *w, uint32_t count, uint32_t ring_bits,
                      uint64_t *ring, uint16_t *first) {
  uint32_t arcs = 1u << ring_bits, shift = 64 - ring_bits, points = count * RN_BAL_POINTS, sum = 0;
  memset(first, 0, arcs * sizeof(*first));
  for (uint32_t i = 0; i < points; i++)
    first[point_of(w[i / RN_BAL_POINTS].key, i % RN_BAL_POINTS, 0) >> shift]++;
  for (uint32_t i = 0; i < arcs; i++) { /* where each arc ends, until it is filled from there */
    sum += first[i];
    first[i] = (uint16_t)sum;
  }
  for (uint32_t i = 0; i < points; i++) {
    uint32_t idx = i / RN_BAL_POINTS;
    uint64_t point = point_of(w[idx].key, i % RN_BAL_POINTS, idx);
    ring[--first[point >> shift]] = point;
  }
  for (uint32_t i = 1; i < points; i++) {
    uint64_t point = ring[i];
    uint32_t at = i;
    for (; at > 0 && ring[at - 1] > point; at--)
      ring[at] = ring[at - 1];
    ring[at] = point;
  }
}

static int specs_fit(const struct rn_bal_spec *specs, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    const struct rn_bal_worker *w = &specs[i].worker;
    if (w->key == 0 || w->weight < 1 || w->weight > RN_BAL_WEIGHT_MAX ||
        (w->flags & ~RN_BAL_FLAGS) != 0)
      return RN_ERR_INVAL;
    if (i > 0 && w->key == specs[i - 1].worker.key)
      return RN_ERR_EXIST;
  }
  return RN_OK;
}

int rn_bal_pool_form(void *mem, size_t cap, uint64_t version, uint64_t zone,
                     struct rn_bal_spec *specs, uint32_t count, const struct rn_bal_pool **out) {
  if (count > RN_BAL_WORKERS_MAX)
    return RN_ERR_INVAL;
  sort_specs(specs, count);
  int err = specs_fit(specs, count);
  if (err != RN_OK)
    return err;
  size_t text_bytes = 0;
  for (uint32_t i = 0; i < count; i++)
    text_bytes += specs[i].id_len;
  size_t bytes = rn_bal_pool_bytes(count, text_bytes);
  if (bytes > cap)
    return RN_ERR_TOOBIG;
  struct rn_bal_pool *p = mem;
  memset(p, 0, bytes); /* also the bytes between: equal pools are equal bytes */
  *p = (struct rn_bal_pool){ .version = version,
                             .zone = zone,
                             .bytes = (uint32_t)bytes,
                             .count = count,
                             .ring_bits = ring_bits_of(count),
                             .text_bytes = (uint32_t)text_bytes };
  struct rn_bal_worker *workers = (struct rn_bal_worker *)(void *)(p + 1);
  uint64_t *ring = (uint64_t *)(void *)(workers + count);
  uint32_t at = (uint32_t)texts_at(count, p->ring_bits);
  for (uint32_t i = 0; i < count; i++) {
    struct rn_bal_worker *w = &workers[i];
    *w = specs[i].worker;
    memset(w->zero, 0, sizeof(w->zero));
    w->flags &= (uint8_t)~RN_BAL_NEAR;
    if (zone != 0 && w->zone == zone)
      w->flags |= RN_BAL_NEAR;
    w->text_at = at;
    w->text_len = specs[i].id_len;
    if (w->text_len > 0)
      memcpy((char *)mem + at, specs[i].id, w->text_len);
    at += w->text_len;
  }
  form_ring(workers, count, p->ring_bits, ring, (uint16_t *)(void *)(ring + count * RN_BAL_POINTS));
  *out = p;
  return RN_OK;
}

static bool workers_fit(const struct rn_bal_pool *p) {
  const struct rn_bal_worker *w = rn_bal_pool_workers(p);
  size_t at = texts_at(p->count, p->ring_bits);
  for (uint32_t i = 0; i < p->count; i++, w++) {
    bool near = p->zone != 0 && w->zone == p->zone;
    if (w->key == 0 || (i > 0 && w->key <= w[-1].key) || w->weight < 1 ||
        w->weight > RN_BAL_WEIGHT_MAX || (w->flags & ~RN_BAL_FLAGS) != 0 ||
        near != ((w->flags & RN_BAL_NEAR) != 0) || w->text_at != at)
      return false;
    at += w->text_len;
  }
  return at == texts_at(p->count, p->ring_bits) + p->text_bytes;
}

/* Whether the points are where they should be is between control and its workers; that each worker has its number of them, in order, is for us. */
static bool ring_fits(const struct rn_bal_pool *p) {
  const uint64_t *ring = rn_bal_pool_ring(p);
  const uint16_t *first = rn_bal_pool_first(p);
  uint32_t points = p->count * RN_BAL_POINTS;
  uint16_t seen[RN_BAL_WORKERS_MAX] = { 0 };
  for (uint32_t i = 0; i < points; i++) {
    uint32_t idx = (uint32_t)(ring[i] & 0xffff);
    if (idx >= p->count || ++seen[idx] > RN_BAL_POINTS || (i > 0 && ring[i] < ring[i - 1]))
      return false;
  }
  for (uint32_t arc = 0, at = 0; arc < 1u << p->ring_bits; arc++) {
    while (at < points && ring[at] >> (64 - p->ring_bits) < arc)
      at++;
    if (first[arc] != at)
      return false;
  }
  return true;
}

int rn_bal_pool_check(const void *bytes, size_t len) {
  const struct rn_bal_pool *p = bytes;
  if (len < sizeof(*p) || p->bytes > len || p->count > RN_BAL_WORKERS_MAX ||
      p->ring_bits != ring_bits_of(p->count) || p->bytes == 0 ||
      p->bytes != rn_bal_pool_bytes(p->count, p->text_bytes))
    return RN_ERR_CORRUPT;
  return workers_fit(p) && ring_fits(p) ? RN_OK : RN_ERR_CORRUPT;
}

bool rn_bal_pool_eq(const struct rn_bal_pool *a, const struct rn_bal_pool *b) {
  size_t skip = sizeof(a->version);
  return a->bytes == b->bytes &&
         memcmp((const char *)a + skip, (const char *)b + skip, a->bytes - skip) == 0;
}

uint32_t rn_bal_pool_find(const struct rn_bal_pool *p, uint64_t key) {
  const struct rn_bal_worker *w = rn_bal_pool_workers(p);
  uint32_t low = 0, n = p->count;
  while (n > 0) {
    uint32_t half = n / 2;
    if (w[low + half].key < key) {
      low += half + 1;
      n -= half + 1;
    } else {
      n = half;
    }
  }
  return low < p->count && w[low].key == key ? low : p->count;
}
