/* bench/cluster/cost.c */
#include "cost.h"

#include <stdlib.h>
#include <string.h>

#include "util/err.h"

struct conn {
  uint32_t to;
  uint64_t used_ns;
};

struct pool {
  uint32_t count;
  struct conn conns[COST_POOL];
};

struct cost {
  uint32_t nodes;
  struct pool *pools;
  struct cost_sums sums;
};

struct cost *cost_new(uint32_t nodes) {
  struct cost *c = calloc(1, sizeof(*c));
  RN_ASSERT(c != NULL);
  c->nodes = nodes;
  c->pools = calloc(nodes, sizeof(*c->pools));
  RN_ASSERT(c->pools != NULL);
  return c;
}

void cost_free(struct cost *c) {
  free(c->pools);
  free(c);
}

/* PINGs of the time in which nothing else was said on it, as of the end of that time. */
static void count_pings(struct cost *c, uint64_t silent_ns) {
  const uint64_t n = (silent_ns < COST_IDLE_NS ? silent_ns : COST_IDLE_NS - 1) / COST_PING_EACH_NS;
  c->sums.pings += n;
}

static void drop(struct cost *c, struct pool *p, uint32_t i, uint64_t now_ns) {
  count_pings(c, now_ns - p->conns[i].used_ns);
  c->sums.closes++;
  p->conns[i] = p->conns[--p->count];
}

static void drop_idle(struct cost *c, struct pool *p, uint64_t now_ns) {
  for (uint32_t i = p->count; i-- > 0;)
    if (now_ns - p->conns[i].used_ns >= COST_IDLE_NS)
      drop(c, p, i, now_ns);
}

static struct conn *find(struct pool *p, uint32_t to) {
  for (uint32_t i = 0; i < p->count; i++)
    if (p->conns[i].to == to)
      return &p->conns[i];
  return NULL;
}

static void dial(struct cost *c, struct pool *p, uint32_t to, uint64_t now_ns) {
  if (p->count == COST_POOL) {
    uint32_t oldest = 0;
    for (uint32_t i = 1; i < p->count; i++)
      if (p->conns[i].used_ns < p->conns[oldest].used_ns)
        oldest = i;
    drop(c, p, oldest, now_ns);
  }
  c->sums.dials++;
  p->conns[p->count++] = (struct conn){ .to = to, .used_ns = now_ns };
}

void cost_message(struct cost *c, uint32_t from, uint32_t to, bool answer, size_t len,
                  uint64_t now_ns) {
  c->sums.messages++;
  c->sums.message_bytes += len;
  if (answer)
    return;
  c->sums.requests++;
  struct pool *p = &c->pools[from];
  struct conn *conn = find(p, to);
  if (conn != NULL && now_ns - conn->used_ns < COST_IDLE_NS) {
    count_pings(c, now_ns - conn->used_ns);
    conn->used_ns = now_ns;
    return;
  }
  drop_idle(c, p, now_ns);
  dial(c, p, to, now_ns);
}

void cost_clear(struct cost *c) { memset(&c->sums, 0, sizeof(c->sums)); }

void cost_sums(struct cost *c, uint64_t now_ns, struct cost_sums *out) {
  for (uint32_t i = 0; i < c->nodes; i++)
    drop_idle(c, &c->pools[i], now_ns);
  *out = c->sums;
}

uint64_t cost_conns(const struct cost *c) {
  uint64_t n = 0;
  for (uint32_t i = 0; i < c->nodes; i++)
    n += c->pools[i].count;
  return n;
}
