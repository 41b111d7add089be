/* lib/rpc/methods.c */
#include "rpc/methods.h"
#include "util/err.h"
#include "wire/rpc.h"

#include <string.h>

#define CAPACITY_MAX 4096u

struct method {
  struct rn_rpc_method pub;
  size_t name_bytes;
  uint64_t hash;
};

struct rn_rpc_methods {
  uint32_t capacity, count, mask;
  uint64_t stream_lengths; /* bit min(length, 63): a streaming method of that length exists */
  struct method table[];
};

static uint32_t table_size(uint32_t capacity) {
  uint32_t n = 8;
  while (n < 2 * capacity)
    n *= 2;
  return n;
}

size_t rn_rpc_methods_footprint(uint32_t capacity) {
  if (capacity == 0 || capacity > CAPACITY_MAX)
    return 0;
  size_t n = sizeof(struct rn_rpc_methods) + table_size(capacity) * sizeof(struct method);
  return (n + 63) & ~(size_t)63;
}

void rn_rpc_methods_init(void *mem, uint32_t capacity, struct rn_rpc_methods **out) {
  struct rn_rpc_methods *m = mem;
  memset(m, 0, rn_rpc_methods_footprint(capacity));
  m->capacity = capacity;
  m->mask = table_size(capacity) - 1;
  *out = m;
}

static uint64_t length_bit(size_t len) { return UINT64_C(1) << (len < 63 ? len : 63); }

/* Without a key: peers choose what is looked up, but not what is in the table, and a miss costs them no more than its longest run. */
static uint64_t hash_of(const char *name, size_t len) {
  uint64_t h = len, word;
  for (; len >= 8; name += 8, len -= 8) {
    memcpy(&word, name, 8);
    h = (h << 23 ^ h >> 41 ^ word) * UINT64_C(0x9e3779b97f4a7c15);
  }
  word = 0;
  for (size_t i = 0; i < len; i++)
    word = word << 8 | (uint8_t)name[i];
  h = (h << 23 ^ h >> 41 ^ word) * UINT64_C(0x9e3779b97f4a7c15);
  return h ^ h >> 32;
}

static const struct method *lookup(const struct rn_rpc_methods *m, enum rn_handler_kind kind,
                                   const char *name, size_t len, uint64_t hash) {
  for (uint32_t i = (uint32_t)hash & m->mask; m->table[i].pub.h != NULL; i = (i + 1) & m->mask) {
    const struct method *e = &m->table[i];
    if (e->hash == hash && e->pub.h->kind == kind && e->name_bytes == len &&
        memcmp(e->pub.h->name, name, len) == 0)
      return e;
  }
  return NULL;
}

int rn_rpc_methods_add(struct rn_rpc_methods *m, const struct rn_handler *h) {
  size_t len = strlen(h->name);
  if (len == 0 || len > RN_WIRE_NAME_BYTES_MAX || !rn_wire_utf8_ok(h->name, len))
    return RN_ERR_INVAL;
  if (m->count == m->capacity)
    return RN_ERR_LIMIT;
  uint64_t hash = hash_of(h->name, len);
  if (lookup(m, h->kind, h->name, len, hash) != NULL)
    return RN_ERR_EXIST;
  uint32_t i = (uint32_t)hash & m->mask;
  while (m->table[i].pub.h != NULL)
    i = (i + 1) & m->mask;
  m->table[i] = (struct method){ .pub.h = h, .name_bytes = len, .hash = hash };
  m->count++;
  if (h->kind == RN_HANDLER_STREAMING)
    m->stream_lengths |= length_bit(len);
  return RN_OK;
}

int rn_rpc_methods_replace(struct rn_rpc_methods *m, const struct rn_handler *h) {
  for (uint32_t i = 0; i <= m->mask; i++) {
    struct method *e = &m->table[i];
    if (e->pub.h != NULL && e->pub.h->kind == h->kind && strcmp(e->pub.h->name, h->name) == 0) {
      e->pub.h = h;
      return RN_OK;
    }
  }
  return rn_rpc_methods_add(m, h);
}

const struct rn_rpc_method *rn_rpc_methods_find(const struct rn_rpc_methods *m,
                                                enum rn_handler_kind kind, const char *name,
                                                size_t len) {
  if (kind == RN_HANDLER_STREAMING && (m->stream_lengths & length_bit(len)) == 0)
    return NULL;
  const struct method *e = lookup(m, kind, name, len, hash_of(name, len));
  return e != NULL ? &e->pub : NULL;
}

int rn_rpc_methods_limit(struct rn_rpc_methods *m, const char *name,
                         const struct rn_rpc_method_limits *lim) {
  int err = RN_ERR_NOENT;
  for (uint32_t i = 0; i <= m->mask; i++) {
    struct method *e = &m->table[i];
    if (e->pub.h != NULL && strcmp(e->pub.h->name, name) == 0) {
      e->pub.lim = *lim;
      err = RN_OK;
    }
  }
  return err;
}

bool rn_rpc_methods_may_stream(const struct rn_rpc_methods *m, const uint8_t *start, size_t len,
                               size_t full_len) {
  if ((m->stream_lengths & length_bit(full_len)) == 0)
    return false;
  for (uint32_t i = 0; i <= m->mask; i++) {
    const struct method *e = &m->table[i];
    if (e->pub.h != NULL && e->pub.h->kind == RN_HANDLER_STREAMING && e->name_bytes == full_len &&
        memcmp(e->pub.h->name, start, len) == 0)
      return true;
  }
  return false;
}
