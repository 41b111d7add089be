/* lib/rpc/forward_buf.c: bytes that are kept, because their receiver is slow or for another try. */
#include "rpc/forward_priv.h"
#include "util/err.h"

#include <string.h>

static struct fwd_chunk *chunk_new(struct rn_forward *f, uint64_t at) {
  struct fwd_chunk *c = rn_slab_take(f->chunks);
  if (c == NULL) {
    f->stats.buffer_limit++;
    return NULL;
  }
  *c = (struct fwd_chunk){ .at = at,
                           .cap = RN_FORWARD_BUFFER_BYTES - (uint32_t)sizeof(*c),
                           .bytes = (uint8_t *)(c + 1) };
  f->stats.buffers++;
  return c;
}

static struct fwd_chunk *next_chunk(struct rn_forward *f, struct fwd_buf *b,
                                    struct fwd_chunk *small) {
  struct fwd_chunk *c = small;
  if (small != NULL && b->head == NULL)
    *small = (struct fwd_chunk){ .at = b->end, .cap = SMALL_BYTES, .bytes = small->bytes };
  else
    c = chunk_new(f, b->end);
  if (c == NULL)
    return NULL;
  if (b->tail != NULL)
    b->tail->next = c;
  else
    b->head = c;
  b->tail = c;
  return c;
}

int buf_append(struct rn_forward *f, struct fwd_buf *b, struct fwd_chunk *small,
               const uint8_t *data, size_t len) {
  while (len > 0) {
    struct fwd_chunk *c = b->tail;
    if ((c == NULL || c->len == c->cap) && (c = next_chunk(f, b, small)) == NULL)
      return RN_ERR_LIMIT;
    size_t room = c->cap - c->len, n = len < room ? len : room;
    memcpy(c->bytes + c->len, data, n);
    c->len += (uint32_t)n;
    b->end += n;
    data += n;
    len -= n;
  }
  return RN_OK;
}

const uint8_t *buf_at(const struct fwd_buf *b, uint64_t at, size_t *len) {
  const struct fwd_chunk *c = b->head;
  while (at >= c->at + c->len)
    c = c->next;
  *len = (size_t)(c->at + c->len - at);
  return c->bytes + (at - c->at);
}

void buf_trim(struct rn_forward *f, struct fwd_buf *b, const struct fwd_chunk *small,
              uint64_t upto) {
  if (upto <= b->base)
    return;
  b->base = upto;
  while (b->head != NULL && b->head->at + b->head->len <= upto) {
    struct fwd_chunk *c = b->head;
    b->head = c->next;
    if (b->head == NULL)
      b->tail = NULL;
    if (c == small)
      continue;
    rn_slab_give(f->chunks, c);
    f->stats.buffers--;
  }
}
