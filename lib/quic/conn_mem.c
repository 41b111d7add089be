/* lib/quic/conn_mem.c: ngtcp2's memory, by connection: each block is in its connection's list, so that what ngtcp2 lost track of when one of its
 * assertions failed goes back with the connection. */
#include "quic/quic_priv.h"

#include <assert.h>

struct block {
  struct rn_list node; /* in rn_quic_conn.blocks; ngtcp2's bytes follow, aligned as before */
};
static_assert(sizeof(struct block) == 16, "what follows stays aligned");

static void *adopt(struct rn_quic_conn *c, struct block *b) {
  if (b == NULL)
    return NULL;
  rn_list_push_back(&c->blocks, &b->node);
  return b + 1;
}

static struct block *give_up(void *ptr) {
  struct block *b = (struct block *)ptr - 1;
  rn_list_remove(&b->node);
  return b;
}

static void *mem_malloc(size_t size, void *conn) {
  struct rn_quic_conn *c = conn;
  return adopt(c, rn_heap_alloc(c->q->heap, sizeof(struct block) + size));
}

static void mem_free(void *ptr, void *conn) {
  struct rn_quic_conn *c = conn;
  if (ptr != NULL)
    rn_heap_free(c->q->heap, give_up(ptr));
}

static void *mem_calloc(size_t n, size_t size, void *conn) {
  struct rn_quic_conn *c = conn;
  if (size != 0 && n > (SIZE_MAX - sizeof(struct block)) / size)
    return NULL;
  return adopt(c, rn_heap_calloc(c->q->heap, 1, sizeof(struct block) + n * size));
}

/* The old block keeps its place in the list when there is no memory for the new one. */
static void *mem_realloc(void *ptr, size_t size, void *conn) {
  struct rn_quic_conn *c = conn;
  if (ptr == NULL)
    return mem_malloc(size, conn);
  struct block *old = give_up(ptr);
  struct block *b = rn_heap_realloc(c->q->heap, old, sizeof(struct block) + size);
  void *kept = adopt(c, b != NULL ? b : old);
  return b != NULL ? kept : NULL;
}

void conn_mem_init(struct rn_quic_conn *c) {
  rn_list_init(&c->blocks);
  c->mem = (ngtcp2_mem){ .user_data = c,
                         .malloc = mem_malloc,
                         .free = mem_free,
                         .calloc = mem_calloc,
                         .realloc = mem_realloc };
}

void conn_mem_release(struct rn_quic_conn *c) {
  while (!rn_list_empty(&c->blocks))
    rn_heap_free(c->q->heap, give_up((struct block *)(void *)c->blocks.next + 1));
}
