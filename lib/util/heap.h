/* lib/util/heap.h: malloc and friends within one region, for libraries that allocate. One lcore owns each.
 *
 * Up to 16 KiB: size classes in spans of 64 KiB. Above: whole spans. Spans come from util/buddy.h, and an empty span goes back to it, so that
 * memory moves between classes. No header per allocation. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rn_heap;

/* Bytes needed for a heap of region_bytes (rounded up to 64 KiB); 64-byte aligned. 0 when out of range (64 KiB..128 GiB). */
size_t rn_heap_footprint(size_t region_bytes);
/* Formats mem, which stays the caller's. RN_OK or RN_ERR_INVAL. Nothing to release. */
int rn_heap_init(void *mem, size_t region_bytes, struct rn_heap **out);

/* As malloc, calloc, realloc and free, but NULL when the region is used up. Aligned to 16. */
void *rn_heap_alloc(struct rn_heap *h, size_t bytes);
void *rn_heap_calloc(struct rn_heap *h, size_t count, size_t bytes);
void *rn_heap_realloc(struct rn_heap *h, void *ptr, size_t bytes);
void rn_heap_free(struct rn_heap *h, void *ptr);

/* Whether ptr lies in the region. */
bool rn_heap_owns(const struct rn_heap *h, const void *ptr);
size_t rn_heap_in_use(const struct rn_heap *h); /* bytes, rounded up to classes */
size_t rn_heap_high_water(const struct rn_heap *h);
uint64_t rn_heap_failures(const struct rn_heap *h);
/* Tests: refuse every n-th allocation; 0: none. Returns how many were since the last call. */
uint64_t rn_heap_fail_every(struct rn_heap *h, uint32_t n);
/* Walks every span. RN_OK or RN_ERR_STATE. Slow. */
int rn_heap_check(const struct rn_heap *h);
