/* lib/util/buddy.h: buddy allocator for large blocks of one region. One lcore owns each.
 *
 * Blocks are powers of two times the smallest block and aligned to their size within the region. Memory of blocks never handed out is not
 * touched except for a list node. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct rn_buddy;

/* Bytes needed for a region of region_bytes; 64-byte aligned. min_block: power of two, 64..2^20; region_bytes: a multiple of it, at most
 * 2^31 blocks. 0 when out of range. */
size_t rn_buddy_footprint(size_t region_bytes, size_t min_block);
/* Formats mem, which stays the caller's. RN_OK or RN_ERR_INVAL. Nothing to release. */
int rn_buddy_init(void *mem, size_t region_bytes, size_t min_block, struct rn_buddy **out);

/* At least bytes (> 0), aligned to 64; *room, if not NULL, says how many there are. NULL when no block is free. */
void *rn_buddy_alloc(struct rn_buddy *b, size_t bytes, size_t *room);
/* ptr came from alloc; NULL is fine. */
void rn_buddy_free(struct rn_buddy *b, void *ptr);

size_t rn_buddy_in_use(const struct rn_buddy *b);     /* bytes, rounded up to blocks */
size_t rn_buddy_high_water(const struct rn_buddy *b); /* the most there ever was */
uint64_t rn_buddy_failures(const struct rn_buddy *b);
/* The memory block 0 lies at; offsets of blocks are multiples of min_block. */
uint8_t *rn_buddy_base(const struct rn_buddy *b);
/* Tests: refuse every n-th alloc; 0: none. Returns how many were since the last call. */
uint64_t rn_buddy_fail_every(struct rn_buddy *b, uint32_t n);
/* Walks every block. RN_OK or RN_ERR_STATE. Slow. */
int rn_buddy_check(const struct rn_buddy *b);
