/* lib/util/buddy.c
 *
 * One byte per smallest block says what begins there: nothing (it lies inside a block), a free or a taken block, and its order. */
#include "util/buddy.h"
#include "util/err.h"
#include "util/list.h"
#include "util/refuse.h"

#include <string.h>

#define ORDERS     32u
#define TAG_INSIDE 0u
#define TAG_FREE   0x40u
#define TAG_TAKEN  0x80u
#define TAG_ORDER  0x3fu

struct rn_buddy {
  uint8_t *base;
  uint8_t *tags;
  size_t block;  /* smallest, bytes */
  size_t blocks; /* of that size */
  size_t in_use, high_water;
  uint64_t failures;
  struct rn_refusals refusals;
  struct rn_list free[ORDERS];
};

static size_t round64(size_t n) { return (n + 63) & ~(size_t)63; }

static bool sizes_ok(size_t region, size_t block) {
  return block >= 64 && block <= (1u << 20) && (block & (block - 1)) == 0 && region >= block &&
         region % block == 0 && region / block <= (size_t)1 << 31;
}

size_t rn_buddy_footprint(size_t region_bytes, size_t min_block) {
  if (!sizes_ok(region_bytes, min_block))
    return 0;
  return round64(sizeof(struct rn_buddy)) + round64(region_bytes / min_block) + region_bytes;
}

static void put_free(struct rn_buddy *b, size_t idx, unsigned int order) {
  b->tags[idx] = (uint8_t)(TAG_FREE | order);
  struct rn_list *n = (struct rn_list *)(void *)(b->base + idx * b->block);
  rn_list_push_front(&b->free[order], n);
}

static void unfree(struct rn_buddy *b, size_t idx) {
  b->tags[idx] = TAG_INSIDE;
  rn_list_remove((struct rn_list *)(void *)(b->base + idx * b->block));
}

int rn_buddy_init(void *mem, size_t region_bytes, size_t min_block, struct rn_buddy **out) {
  if (!sizes_ok(region_bytes, min_block))
    return RN_ERR_INVAL;
  struct rn_buddy *b = mem;
  size_t blocks = region_bytes / min_block;
  *b = (struct rn_buddy){ .block = min_block, .blocks = blocks };
  b->tags = (uint8_t *)mem + round64(sizeof(*b));
  b->base = b->tags + round64(blocks);
  memset(b->tags, TAG_INSIDE, blocks);
  for (unsigned int i = 0; i < ORDERS; i++)
    rn_list_init(&b->free[i]);
  for (size_t at = 0; at < blocks;) { /* the largest aligned blocks that fit */
    unsigned int order = at == 0 ? ORDERS - 1 : (unsigned int)__builtin_ctzll(at);
    while (((size_t)1 << order) > blocks - at)
      order--;
    put_free(b, at, order);
    at += (size_t)1 << order;
  }
  *out = b;
  return RN_OK;
}

void *rn_buddy_alloc(struct rn_buddy *b, size_t bytes, size_t *room) {
  unsigned int want = 0;
  while (want < ORDERS && (b->block << want) < bytes)
    want++;
  unsigned int order = want;
  while (order < ORDERS && rn_list_empty(&b->free[order]))
    order++;
  bool injected = rn_refused(&b->refusals);
  if (order >= ORDERS || injected) {
    b->failures++;
    return NULL;
  }
  size_t idx = (size_t)((uint8_t *)b->free[order].next - b->base) / b->block;
  unfree(b, idx);
  while (order > want) {
    order--;
    put_free(b, idx + ((size_t)1 << order), order);
  }
  b->tags[idx] = (uint8_t)(TAG_TAKEN | want);
  b->in_use += b->block << want;
  if (b->in_use > b->high_water)
    b->high_water = b->in_use;
  if (room != NULL)
    *room = b->block << want;
  return b->base + idx * b->block;
}

void rn_buddy_free(struct rn_buddy *b, void *ptr) {
  if (ptr == NULL)
    return;
  size_t idx = (size_t)((uint8_t *)ptr - b->base) / b->block;
  RN_ASSERT(idx < b->blocks && (b->tags[idx] & TAG_TAKEN) != 0);
  unsigned int order = b->tags[idx] & TAG_ORDER;
  b->in_use -= b->block << order;
  b->tags[idx] = TAG_INSIDE;
  for (; order + 1 < ORDERS; order++) {
    size_t twin = idx ^ ((size_t)1 << order);
    if (twin + ((size_t)1 << order) > b->blocks || b->tags[twin] != (TAG_FREE | order))
      break;
    unfree(b, twin);
    idx &= ~((size_t)1 << order);
  }
  put_free(b, idx, order);
}

size_t rn_buddy_in_use(const struct rn_buddy *b) { return b->in_use; }
size_t rn_buddy_high_water(const struct rn_buddy *b) { return b->high_water; }
uint64_t rn_buddy_failures(const struct rn_buddy *b) { return b->failures; }
uint8_t *rn_buddy_base(const struct rn_buddy *b) { return b->base; }

uint64_t rn_buddy_fail_every(struct rn_buddy *b, uint32_t n) {
  return rn_refuse_every(&b->refusals, n);
}

int rn_buddy_check(const struct rn_buddy *b) {
  size_t taken = 0, free_blocks = 0, listed = 0;
  for (size_t at = 0; at < b->blocks;) {
    uint8_t tag = b->tags[at];
    unsigned int order = tag & TAG_ORDER;
    size_t span = (size_t)1 << order;
    if ((tag & (TAG_FREE | TAG_TAKEN)) == 0 || order >= ORDERS || at % span != 0 ||
        at + span > b->blocks)
      return RN_ERR_STATE;
    if ((tag & TAG_TAKEN) != 0)
      taken += span;
    else
      free_blocks++;
    at += span;
  }
  for (unsigned int i = 0; i < ORDERS; i++) {
    for (const struct rn_list *n = b->free[i].next; n != &b->free[i]; n = n->next) {
      size_t idx = (size_t)((const uint8_t *)n - b->base) / b->block;
      if (idx >= b->blocks || b->tags[idx] != (TAG_FREE | i) || ++listed > free_blocks)
        return RN_ERR_STATE;
    }
  }
  return listed == free_blocks && taken * b->block == b->in_use ? RN_OK : RN_ERR_STATE;
}
