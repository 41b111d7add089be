/* lib/util/slab.c */
#include "util/slab.h"
#include "util/err.h"

#define OBJ_BYTES_MAX (1u << 20)
#define HEAD_BYTES    ((sizeof(struct rn_slab) + 63) & ~(size_t)63)

static size_t round64(size_t n) { return (n + 63) & ~(size_t)63; }

size_t rn_slab_footprint(size_t obj_bytes, uint32_t count) {
  if (obj_bytes == 0 || obj_bytes > OBJ_BYTES_MAX || count == 0)
    return 0;
  return HEAD_BYTES + round64(obj_bytes) * count;
}

int rn_slab_init(void *mem, size_t obj_bytes, uint32_t count, struct rn_slab **out) {
  if (rn_slab_footprint(obj_bytes, count) == 0)
    return RN_ERR_INVAL;
  struct rn_slab *s = mem;
  *s = (struct rn_slab){ .objs = (uint8_t *)mem + HEAD_BYTES,
                         .obj_bytes = round64(obj_bytes),
                         .count = count };
  *out = s;
  return RN_OK;
}

uint64_t rn_slab_fail_every(struct rn_slab *s, uint32_t n) {
  return rn_refuse_every(&s->refusals, n);
}
