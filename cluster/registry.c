/* cluster/registry.c */
#include "cluster/registry.h"

#include <string.h>

#include "cluster/balance/load.h"
#include "util/err.h"

/* A worker's slot is kept while it is a member, whatever its state: it may be back soon, with calls still open. */
struct known {
  uint64_t key;
  const struct rn_member *who; /* in the refresh that saw it last */
  uint16_t slot;
  bool seen;
};

struct rn_registry {
  struct rn_registry_limits lim;
  struct rn_registry_stats stats;
  struct rn_routes routes;
  struct rn_tags want[RN_ROUTES_MAX];
  uint64_t version;
  uint64_t changed; /* a bit per route */
  size_t pool_cap;
  char *pool_mem[RN_ROUTES_MAX + 1]; /* of each route, and one to form the next in */
  bool formed[RN_ROUTES_MAX];
  struct known *known; /* by key */
  uint32_t known_count;
  uint16_t *unused; /* slots, around: the one that has been unused longest first */
  uint32_t unused_at, unused_count;
  struct rn_bal_spec *specs;
};

static struct rn_bin_str text_of(const char *s) { return (struct rn_bin_str){ s, strlen(s) }; }

static size_t round_line(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

static size_t pool_cap(const struct rn_registry_limits *lim) {
  return round_line(rn_bal_pool_bytes(lim->workers, (size_t)lim->workers * RN_BAL_ID_MAX));
}

size_t rn_registry_footprint(const struct rn_registry_limits *lim) {
  if (lim->routes < 1 || lim->routes > RN_ROUTES_MAX || lim->workers < 1 ||
      lim->workers > RN_BAL_WORKERS_MAX || lim->slots < 1 || lim->slots > RN_LOAD_SLOTS_MAX)
    return 0;
  return round_line(sizeof(struct rn_registry)) + round_line(lim->slots * sizeof(struct known)) +
         round_line(lim->slots * sizeof(uint16_t)) +
         round_line(lim->workers * sizeof(struct rn_bal_spec)) + (lim->routes + 1) * pool_cap(lim);
}

int rn_registry_init(void *mem, const struct rn_registry_limits *lim, uint64_t version,
                     struct rn_registry **out) {
  if (rn_registry_footprint(lim) == 0)
    return RN_ERR_INVAL;
  struct rn_registry *r = mem;
  char *at = (char *)mem + round_line(sizeof(*r));
  memset(r, 0, sizeof(*r));
  r->lim = *lim;
  r->version = version;
  r->known = (struct known *)(void *)at;
  at += round_line(lim->slots * sizeof(struct known));
  r->unused = (uint16_t *)(void *)at;
  at += round_line(lim->slots * sizeof(uint16_t));
  r->specs = (struct rn_bal_spec *)(void *)at;
  at += round_line(lim->workers * sizeof(struct rn_bal_spec));
  r->pool_cap = pool_cap(lim);
  for (uint32_t i = 0; i <= lim->routes; i++)
    r->pool_mem[i] = at + i * r->pool_cap;
  for (uint32_t i = 0; i < lim->slots; i++)
    r->unused[i] = (uint16_t)i;
  r->unused_count = lim->slots;
  *out = r;
  return RN_OK;
}

int rn_registry_want(struct rn_tags *want, const char *text, size_t len) {
  const char *eq = len > 0 ? memchr(text, '=', len) : NULL;
  if (eq == NULL || eq == text)
    return RN_ERR_INVAL;
  size_t key_len = (size_t)(eq - text);
  return rn_tags_set(want, (struct rn_bin_str){ text, key_len },
                     (struct rn_bin_str){ eq + 1, len - key_len - 1 });
}

int rn_registry_set_routes(struct rn_registry *r, const struct rn_registry_route *routes,
                           uint32_t count) {
  if (count > r->lim.routes)
    return RN_ERR_LIMIT;
  struct rn_routes t = { 0 };
  for (uint32_t i = 0; i < count; i++) {
    int err = rn_routes_add(&t, &routes[i].route);
    if (err != RN_OK)
      return err;
  }
  for (uint32_t i = 0; i < count; i++)
    r->want[i] = routes[i].want;
  for (uint32_t i = count; i < RN_ROUTES_MAX; i++)
    r->formed[i] = false;
  r->changed &= count < 64 ? ((uint64_t)1 << count) - 1 : ~(uint64_t)0;
  r->routes = t;
  return RN_OK;
}

/* ---- slots ---- */

static uint32_t place_of(const struct rn_registry *r, uint64_t key) {
  uint32_t low = 0, high = r->known_count;
  while (low < high) {
    uint32_t mid = (low + high) / 2;
    if (r->known[mid].key < key)
      low = mid + 1;
    else
      high = mid;
  }
  return low;
}

static struct known *find(struct rn_registry *r, uint64_t key) {
  uint32_t at = place_of(r, key);
  return at < r->known_count && r->known[at].key == key ? &r->known[at] : NULL;
}

/* Those who are members no longer give their slots back. */
static void sweep(struct rn_registry *r, const struct rn_members *m) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < r->known_count; i++)
    r->known[i].seen = false;
  for (uint32_t i = 0; i < rn_members_count(m); i++) {
    struct rn_member *who = rn_members_at(m, i);
    struct known *k = find(r, rn_bal_key(who->id, who->id_len));
    if (k == NULL)
      continue;
    if (!k->seen)
      k->who = who;
    k->seen = true;
  }
  for (uint32_t i = 0; i < r->known_count; i++) {
    if (r->known[i].seen) {
      r->known[kept++] = r->known[i];
      continue;
    }
    r->unused[(r->unused_at + r->unused_count++) % r->lim.slots] = r->known[i].slot;
  }
  r->known_count = kept;
}

/* NULL when there are no slots, or the key is another one's. */
static struct known *known_of(struct rn_registry *r, const struct rn_member *who) {
  uint64_t key = rn_bal_key(who->id, who->id_len);
  struct known *k = find(r, key);
  if (k != NULL) {
    r->stats.collisions += k->who != who;
    return k->who == who ? k : NULL;
  }
  if (r->unused_count == 0) {
    r->stats.no_slot++;
    return NULL;
  }
  uint32_t at = place_of(r, key);
  k = &r->known[at];
  memmove(k + 1, k, (r->known_count - at) * sizeof(*k));
  *k = (struct known){ .key = key, .who = who, .slot = r->unused[r->unused_at], .seen = true };
  r->known_count++;
  r->unused_at = (r->unused_at + 1) % r->lim.slots;
  r->unused_count--;
  return k;
}

/* ---- workers ---- */

static bool is_text(struct rn_bin_str s, const char *text) {
  return s.len == strlen(text) && (s.len == 0 || memcmp(s.p, text, s.len) == 0);
}

static bool draining(const struct rn_member *who) {
  struct rn_bin_str v;
  return rn_tags_get(&who->tags, text_of("draining"), &v) && !is_text(v, "") && !is_text(v, "0") &&
         !is_text(v, "no") && !is_text(v, "false");
}

static uint32_t weight_of(struct rn_registry *r, const struct rn_member *who) {
  struct rn_bin_str v;
  uint32_t weight = 0;
  if (!rn_tags_get(&who->tags, text_of("weight"), &v))
    return 1;
  for (size_t i = 0; i < v.len && weight <= RN_BAL_WEIGHT_MAX; i++) {
    if (v.p[i] < '0' || v.p[i] > '9') {
      r->stats.bad_weights++;
      return 1;
    }
    weight = weight * 10 + (uint32_t)(v.p[i] - '0');
  }
  if (v.len > 0 && weight <= RN_BAL_WEIGHT_MAX)
    return weight;
  r->stats.bad_weights++;
  return v.len > 0 ? RN_BAL_WEIGHT_MAX : 1;
}

static uint64_t zone_of(const struct rn_member *who) {
  struct rn_bin_str v;
  return rn_tags_get(&who->tags, text_of("zone"), &v) && v.len > 0 ? rn_bal_key(v.p, v.len) : 0;
}

/* Those with the lowest keys when there are too many: the same ones each time. */
static void add(struct rn_registry *r, uint32_t *count, const struct rn_bal_spec *spec) {
  if (*count < r->lim.workers) {
    r->specs[(*count)++] = *spec;
    return;
  }
  struct rn_bal_spec *last = r->specs;
  for (uint32_t i = 1; i < *count; i++)
    if (r->specs[i].worker.key > last->worker.key)
      last = &r->specs[i];
  if (spec->worker.key < last->worker.key)
    *last = *spec;
  r->stats.left_out++;
}

static uint32_t collect(struct rn_registry *r, uint32_t route, const struct rn_members *m) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < rn_members_count(m); i++) {
    const struct rn_member *who = rn_members_at(m, i);
    if (who->state != RN_SWIM_ALIVE || who->alias || who == rn_members_self(m) ||
        !rn_tags_match(&who->tags, &r->want[route]) || draining(who))
      continue;
    uint32_t weight = weight_of(r, who);
    const struct known *k = weight > 0 ? known_of(r, who) : NULL;
    if (k == NULL)
      continue;
    struct rn_bal_spec spec = {
      .worker = { .key = k->key,
                  .zone = zone_of(who),
                  .addr = who->addr,
                  .weight = weight,
                  .slot = k->slot },
      .id = who->id,
      .id_len = who->id_len,
    };
    add(r, &count, &spec);
  }
  return count;
}

static void refresh_route(struct rn_registry *r, uint32_t route, const struct rn_members *m) {
  const struct rn_bal_pool *now, *before = rn_registry_pool(r, route);
  char *mem = r->pool_mem[r->lim.routes];
  uint32_t count = collect(r, route, m);
  int err = rn_bal_pool_form(mem, r->pool_cap, r->version + 1, zone_of(rn_members_self(m)),
                             r->specs, count, &now);
  RN_ASSERT(err == RN_OK);
  if (before != NULL && rn_bal_pool_eq(before, now))
    return;
  r->version++;
  r->pool_mem[r->lim.routes] = r->pool_mem[route];
  r->pool_mem[route] = mem;
  r->formed[route] = true;
  r->changed |= (uint64_t)1 << route;
}

uint32_t rn_registry_refresh(struct rn_registry *r, const struct rn_members *m) {
  r->stats = (struct rn_registry_stats){ .refreshes = r->stats.refreshes + 1 };
  sweep(r, m);
  for (uint32_t i = 0; i < r->routes.count; i++)
    refresh_route(r, i, m);
  r->stats.workers = r->known_count;
  return (uint32_t)__builtin_popcountll(r->changed);
}

uint32_t rn_registry_next_changed(struct rn_registry *r) {
  if (r->changed == 0)
    return RN_ROUTE_NONE;
  uint32_t idx = (uint32_t)__builtin_ctzll(r->changed);
  r->changed &= r->changed - 1;
  return idx;
}

const struct rn_bal_pool *rn_registry_pool(const struct rn_registry *r, uint32_t idx) {
  return r->formed[idx] ? (const struct rn_bal_pool *)(const void *)r->pool_mem[idx] : NULL;
}

const struct rn_routes *rn_registry_routes(const struct rn_registry *r) { return &r->routes; }
const struct rn_registry_stats *rn_registry_stats(const struct rn_registry *r) { return &r->stats; }

int rn_registry_check(const struct rn_registry *r) {
  uint8_t used[RN_LOAD_SLOTS_MAX] = { 0 };
  if (rn_routes_check(&r->routes) != RN_OK || r->routes.count > r->lim.routes ||
      r->known_count + r->unused_count != r->lim.slots)
    return RN_ERR_STATE;
  for (uint32_t i = 0; i < r->known_count; i++) {
    if (r->known[i].slot >= r->lim.slots || used[r->known[i].slot]++ != 0 ||
        (i > 0 && r->known[i].key <= r->known[i - 1].key))
      return RN_ERR_STATE;
  }
  for (uint32_t i = 0; i < r->unused_count; i++) {
    uint16_t slot = r->unused[(r->unused_at + i) % r->lim.slots];
    if (slot >= r->lim.slots || used[slot]++ != 0)
      return RN_ERR_STATE;
  }
  for (uint32_t i = 0; i < r->lim.routes; i++) {
    const struct rn_bal_pool *p = rn_registry_pool(r, i);
    if (p != NULL && (i >= r->routes.count || p->version > r->version ||
                      rn_bal_pool_check(p, r->pool_cap) != RN_OK))
      return RN_ERR_STATE;
  }
  return RN_OK;
}
