/* lib/util/slab.h: objects of one size from the caller's memory. One lcore owns each slab.
 *
 * A page of objects that were never taken is never touched, so a large limit costs address space and no memory. Last given, first taken:
 * the object is still in the cache. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "util/refuse.h"

struct rn_slab {
  void *free; /* the object given last; its first word points to the one before */
  uint8_t *objs;
  size_t obj_bytes; /* rounded up to 64 */
  uint32_t count;
  uint32_t fresh; /* objects from here on were never taken */
  uint32_t in_use;
  uint32_t high_water;
  uint64_t failures; /* takes refused */
  struct rn_refusals refusals;
};

/* Bytes needed, 64-byte aligned; 0 when obj_bytes is 0 or above 1 MiB, or count is 0. */
size_t rn_slab_footprint(size_t obj_bytes, uint32_t count);

/* Formats mem (64-byte aligned, footprint bytes), which stays the caller's. RN_OK or RN_ERR_INVAL. Nothing to release. */
int rn_slab_init(void *mem, size_t obj_bytes, uint32_t count, struct rn_slab **out);

/* Tests: from now on every n-th take is refused, as if the limit were reached; 0: none. Returns how many were since the last call. */
uint64_t rn_slab_fail_every(struct rn_slab *s, uint32_t n);

/* An object, 64-byte aligned, content undefined; NULL when all are taken. */
static inline void *rn_slab_take(struct rn_slab *s) {
  void *obj = s->free;
  if (rn_refused(&s->refusals) || (obj == NULL && s->fresh == s->count)) {
    s->failures++;
    return NULL;
  }
  if (obj != NULL)
    s->free = *(void **)obj;
  else
    obj = s->objs + s->obj_bytes * s->fresh++;
  if (++s->in_use > s->high_water)
    s->high_water = s->in_use;
  return obj;
}

/* obj came from take and was not given since. */
static inline void rn_slab_give(struct rn_slab *s, void *obj) {
  *(void **)obj = s->free;
  s->free = obj;
  s->in_use--;
}

static inline uint64_t rn_slab_failures(const struct rn_slab *s) { return s->failures; }
static inline uint32_t rn_slab_in_use(const struct rn_slab *s) { return s->in_use; }
static inline uint32_t rn_slab_free_count(const struct rn_slab *s) { return s->count - s->in_use; }

/* 0..count-1, the same for the same object. */
static inline uint32_t rn_slab_idx(const struct rn_slab *s, const void *obj) {
  return (uint32_t)((size_t)((const uint8_t *)obj - s->objs) / s->obj_bytes);
}
static inline void *rn_slab_at(const struct rn_slab *s, uint32_t idx) {
  return s->objs + s->obj_bytes * idx;
}
