/* lib/util/heap.c
 *
 * A span's description stands beside the region, so that allocations of a power of two stay aligned and a stray write into one does not
 * reach it. Spans with room are listed by class; a full span is in no list. */
#include "util/heap.h"
#include "util/buddy.h"
#include "util/err.h"
#include "util/list.h"
#include "util/refuse.h"

#include <string.h>

#define SPAN_BYTES  65536u
#define REGION_MAX  ((size_t)128 << 30)
#define CLASS_NONE  0u /* part of a larger allocation, or free */
#define CLASS_LARGE 255u

/* 16-byte steps first, then four to each doubling: at most a fifth is lost to rounding. */
static const uint16_t class_bytes[] = {
  0,    16,   32,   48,   64,   80,   96,   112,  128,   160,   192,   224,  256,
  320,  384,  448,  512,  640,  768,  896,  1024, 1280,  1536,  1792,  2048, 2560,
  3072, 3584, 4096, 5120, 6144, 7168, 8192, 9344, 10912, 13104, 16384,
};
#define CLASS_COUNT (sizeof(class_bytes) / sizeof(class_bytes[0]))
#define SMALL_MAX   16384u

struct span {
  struct rn_list node; /* in heap->partial[class], or in no list */
  void *free;          /* first free object; its first word points to the next */
  uint16_t used;
  uint16_t fresh; /* objects from here on were never taken */
  uint8_t class;
  size_t large_bytes; /* CLASS_LARGE: what was asked for, rounded to spans */
};

struct rn_heap {
  struct rn_buddy *buddy;
  struct span *spans;
  size_t span_count;
  size_t in_use, high_water;
  uint64_t failures;
  struct rn_refusals refusals;
  struct rn_list partial[CLASS_COUNT];
};

static size_t round64(size_t n) { return (n + 63) & ~(size_t)63; }
static size_t region_of(size_t bytes) { return (bytes + SPAN_BYTES - 1) / SPAN_BYTES * SPAN_BYTES; }

size_t rn_heap_footprint(size_t region_bytes) {
  if (region_bytes == 0 || region_bytes > REGION_MAX)
    return 0;
  size_t region = region_of(region_bytes);
  return round64(sizeof(struct rn_heap)) + round64(region / SPAN_BYTES * sizeof(struct span)) +
         rn_buddy_footprint(region, SPAN_BYTES);
}

int rn_heap_init(void *mem, size_t region_bytes, struct rn_heap **out) {
  if (rn_heap_footprint(region_bytes) == 0)
    return RN_ERR_INVAL;
  size_t region = region_of(region_bytes);
  struct rn_heap *h = mem;
  *h = (struct rn_heap){ .span_count = region / SPAN_BYTES };
  uint8_t *at = (uint8_t *)mem + round64(sizeof(*h));
  h->spans = (struct span *)(void *)at;
  memset(h->spans, 0, h->span_count * sizeof(struct span));
  for (size_t i = 0; i < CLASS_COUNT; i++)
    rn_list_init(&h->partial[i]);
  *out = h;
  return rn_buddy_init(at + round64(h->span_count * sizeof(struct span)), region, SPAN_BYTES,
                       &h->buddy);
}

static unsigned int class_of(size_t bytes) {
  if (bytes <= 128)
    return bytes == 0 ? 1 : (unsigned int)((bytes + 15) / 16);
  unsigned int c = 9;
  while (class_bytes[c] < bytes)
    c++;
  return c;
}

static struct span *span_of(const struct rn_heap *h, const void *ptr) {
  return &h->spans[(size_t)((const uint8_t *)ptr - rn_buddy_base(h->buddy)) / SPAN_BYTES];
}

static uint8_t *span_base(const struct rn_heap *h, const struct span *s) {
  return rn_buddy_base(h->buddy) + (size_t)(s - h->spans) * SPAN_BYTES;
}

static uint16_t span_room(unsigned int class) {
  return (uint16_t)(SPAN_BYTES / class_bytes[class]);
}

static void count_up(struct rn_heap *h, size_t bytes) {
  h->in_use += bytes;
  if (h->in_use > h->high_water)
    h->high_water = h->in_use;
}

static void *alloc_large(struct rn_heap *h, size_t bytes) {
  size_t room;
  void *p = bytes <= REGION_MAX ? rn_buddy_alloc(h->buddy, bytes, &room) : NULL;
  if (p == NULL)
    return NULL;
  struct span *s = span_of(h, p);
  *s = (struct span){ .class = CLASS_LARGE, .large_bytes = room };
  count_up(h, room);
  return p;
}

static struct span *new_span(struct rn_heap *h, unsigned int class) {
  void *p = rn_buddy_alloc(h->buddy, SPAN_BYTES, NULL);
  if (p == NULL)
    return NULL;
  struct span *s = span_of(h, p);
  *s = (struct span){ .class = (uint8_t)class };
  rn_list_push_front(&h->partial[class], &s->node);
  return s;
}

static void *alloc_small(struct rn_heap *h, unsigned int class) {
  struct span *s;
  if (!rn_list_empty(&h->partial[class]))
    s = RN_LIST_ENTRY(h->partial[class].next, struct span, node);
  else if ((s = new_span(h, class)) == NULL)
    return NULL;
  void *p = s->free;
  if (p != NULL)
    s->free = *(void **)p;
  else
    p = span_base(h, s) + (size_t)s->fresh++ * class_bytes[class];
  if (++s->used == span_room(class))
    rn_list_remove(&s->node);
  count_up(h, class_bytes[class]);
  return p;
}

void *rn_heap_alloc(struct rn_heap *h, size_t bytes) {
  bool injected = rn_refused(&h->refusals);
  void *p = injected             ? NULL
            : bytes <= SMALL_MAX ? alloc_small(h, class_of(bytes))
                                 : alloc_large(h, bytes);
  if (p == NULL)
    h->failures++;
  return p;
}

void *rn_heap_calloc(struct rn_heap *h, size_t count, size_t bytes) {
  size_t total;
  if (__builtin_mul_overflow(count, bytes, &total)) {
    h->failures++;
    return NULL;
  }
  void *p = rn_heap_alloc(h, total);
  if (p != NULL)
    memset(p, 0, total);
  return p;
}

static size_t room_of(const struct span *s) {
  return s->class == CLASS_LARGE ? s->large_bytes : class_bytes[s->class];
}

void *rn_heap_realloc(struct rn_heap *h, void *ptr, size_t bytes) {
  if (ptr == NULL)
    return rn_heap_alloc(h, bytes);
  size_t room = room_of(span_of(h, ptr));
  if (bytes <= room && bytes * 2 > room)
    return ptr;
  void *p = rn_heap_alloc(h, bytes);
  if (p == NULL)
    return bytes <= room ? ptr : NULL;
  memcpy(p, ptr, bytes < room ? bytes : room);
  rn_heap_free(h, ptr);
  return p;
}

void rn_heap_free(struct rn_heap *h, void *ptr) {
  if (ptr == NULL)
    return;
  struct span *s = span_of(h, ptr);
  h->in_use -= room_of(s);
  if (s->class == CLASS_LARGE) {
    s->class = CLASS_NONE;
    rn_buddy_free(h->buddy, ptr);
    return;
  }
  RN_ASSERT(s->class != CLASS_NONE);
  if (s->used == span_room(s->class))
    rn_list_push_back(&h->partial[s->class], &s->node);
  *(void **)ptr = s->free;
  s->free = ptr;
  if (--s->used == 0) {
    rn_list_remove(&s->node);
    s->class = CLASS_NONE;
    rn_buddy_free(h->buddy, span_base(h, s));
  }
}

bool rn_heap_owns(const struct rn_heap *h, const void *ptr) {
  const uint8_t *base = rn_buddy_base(h->buddy), *p = ptr;
  return p >= base && p < base + h->span_count * SPAN_BYTES;
}

size_t rn_heap_in_use(const struct rn_heap *h) { return h->in_use; }
size_t rn_heap_high_water(const struct rn_heap *h) { return h->high_water; }
uint64_t rn_heap_failures(const struct rn_heap *h) { return h->failures; }

uint64_t rn_heap_fail_every(struct rn_heap *h, uint32_t n) {
  return rn_refuse_every(&h->refusals, n);
}

int rn_heap_check(const struct rn_heap *h) {
  size_t bytes = 0, listed = 0, partial = 0;
  for (size_t i = 0; i < h->span_count; i++) {
    const struct span *s = &h->spans[i];
    if (s->class == CLASS_NONE)
      continue;
    if (s->class == CLASS_LARGE) {
      bytes += s->large_bytes;
      continue;
    }
    size_t on_list = 0;
    for (const void *f = s->free; f != NULL; f = *(void *const *)f) {
      if (span_of(h, f) != s || ++on_list > s->fresh)
        return RN_ERR_STATE;
    }
    if (s->fresh > span_room(s->class) || s->used != s->fresh - on_list)
      return RN_ERR_STATE;
    partial += s->used < span_room(s->class);
    bytes += (size_t)s->used * class_bytes[s->class];
  }
  for (size_t c = 0; c < CLASS_COUNT; c++) {
    for (const struct rn_list *n = h->partial[c].next; n != &h->partial[c]; n = n->next)
      listed++;
  }
  return bytes == h->in_use && listed == partial ? rn_buddy_check(h->buddy) : RN_ERR_STATE;
}
