/* dataplane/net/neigh.c: an entry is one cache line less a bit; a set is four of them. */
#include "dataplane/net/neigh.h"

#include <assert.h>

#define WAYS         4u
#define REACHABLE_NS 30000000000u /* RFC 4861 section 10, REACHABLE_TIME */
#define RETRANS_NS   1000000000u  /* RETRANS_TIMER */
#define ASK_MAX      3u           /* MAX_MULTICAST_SOLICIT */
#define HOLD_NS      1000000000u  /* how long a confirmation keeps others from moving an entry */

enum state { FREE, ASKED, KNOWN };

struct entry {
  uint8_t ip[16];
  uint8_t mac[6];
  uint8_t family;
  uint8_t state;
  uint64_t confirmed_ns;
  uint64_t asked_ns;
  uint64_t asked; /* requests since the last confirmation */
};

struct rn_neigh {
  uint64_t seed;
  uint32_t set_mask;
  struct rn_stats_net *st;
  _Alignas(64) struct entry entries[];
};

size_t rn_neigh_footprint(uint32_t capacity) {
  if (capacity < WAYS || capacity > 65536 || (capacity & (capacity - 1)) != 0)
    return 0;
  return (sizeof(struct rn_neigh) + capacity * sizeof(struct entry) + 63) / 64 * 64;
}

int rn_neigh_init(void *mem, uint32_t capacity, uint64_t seed, struct rn_stats_net *st,
                  struct rn_neigh **out) {
  size_t bytes = rn_neigh_footprint(capacity);
  if (bytes == 0)
    return RN_ERR_INVAL;
  struct rn_neigh *t = mem;
  memset(t, 0, bytes);
  t->seed = seed | 1;
  t->set_mask = capacity / WAYS - 1;
  t->st = st;
  *out = t;
  return RN_OK;
}

static uint32_t set_of(const struct rn_neigh *t, const struct rn_addr *a) {
  uint64_t w[2];
  memcpy(w, a->ip, sizeof(w));
  uint64_t h = (w[0] ^ t->seed) * 0x9e3779b97f4a7c15u;
  h = (h ^ h >> 32 ^ w[1]) * t->seed;
  return (uint32_t)(h >> 40) & t->set_mask;
}

static struct entry *set(struct rn_neigh *t, const struct rn_addr *a) {
  return &t->entries[set_of(t, a) * WAYS];
}

static struct entry *find(struct rn_neigh *t, const struct rn_addr *a) {
  struct entry *e = set(t, a);
  for (unsigned int i = 0; i < WAYS; i++) {
    if (e[i].family == a->family && e[i].state != FREE && memcmp(e[i].ip, a->ip, 16) == 0)
      return &e[i];
  }
  return NULL;
}

/* Free ones first, then those that never answered, then the one not heard of for longest. */
static struct entry *take(struct rn_neigh *t, const struct rn_addr *a) {
  struct entry *e = set(t, a), *worst = e;
  for (unsigned int i = 1; i < WAYS && worst->state != FREE; i++) {
    if (e[i].state < worst->state ||
        (e[i].state == worst->state && e[i].confirmed_ns < worst->confirmed_ns))
      worst = &e[i];
  }
  if (worst->state == FREE)
    t->st->neighs++;
  else
    t->st->neigh_evicted++;
  *worst = (struct entry){ .family = a->family };
  memcpy(worst->ip, a->ip, 16);
  return worst;
}

static void forget(struct rn_neigh *t, struct entry *e) {
  e->state = FREE;
  t->st->neighs--;
}

static void confirm(struct rn_neigh *t, struct entry *e, uint64_t now_ns, const uint8_t mac[6]) {
  bool same = memcmp(e->mac, mac, 6) == 0;
  if (e->state == KNOWN && !same && now_ns - e->confirmed_ns < HOLD_NS) {
    t->st->neigh_move_held++;
    return;
  }
  if (e->state == KNOWN)
    t->st->neigh_moved += !same;
  else
    t->st->neigh_learned++;
  memcpy(e->mac, mac, 6);
  e->state = KNOWN;
  e->confirmed_ns = now_ns;
  e->asked = 0;
}

void rn_neigh_learn(struct rn_neigh *t, uint64_t now_ns, const struct rn_addr *addr,
                    const uint8_t mac[6]) {
  struct entry *e = find(t, addr);
  confirm(t, e != NULL ? e : take(t, addr), now_ns, mac);
}

void rn_neigh_update(struct rn_neigh *t, uint64_t now_ns, const struct rn_addr *addr,
                     const uint8_t mac[6]) {
  struct entry *e = find(t, addr);
  if (e != NULL)
    confirm(t, e, now_ns, mac);
}

enum rn_neigh_verdict rn_neigh_peek(struct rn_neigh *t, const struct rn_addr *addr,
                                    uint8_t mac[6]) {
  const struct entry *e = find(t, addr);
  if (e == NULL || e->state != KNOWN)
    return RN_NEIGH_NONE;
  memcpy(mac, e->mac, 6);
  return RN_NEIGH_KNOWN;
}

/* Whether a request for e is due; counts it. */
static bool ask(struct entry *e, uint64_t now_ns) {
  if (e->asked > 0 && now_ns - e->asked_ns < RETRANS_NS)
    return false;
  e->asked++;
  e->asked_ns = now_ns;
  return true;
}

enum rn_neigh_verdict rn_neigh_lookup(struct rn_neigh *t, uint64_t now_ns,
                                      const struct rn_addr *addr, uint8_t mac[6]) {
  struct entry *e = find(t, addr);
  if (e != NULL && e->asked >= ASK_MAX && now_ns - e->asked_ns >= RETRANS_NS) {
    forget(t, e); /* nobody answers */
    e = NULL;
  }
  if (e == NULL) {
    e = take(t, addr);
    e->state = ASKED;
    e->confirmed_ns = now_ns; /* its age among those that never answered */
  }
  if (e->state == ASKED)
    return ask(e, now_ns) ? RN_NEIGH_ASK : RN_NEIGH_WAIT;
  memcpy(mac, e->mac, 6);
  return now_ns - e->confirmed_ns >= REACHABLE_NS && ask(e, now_ns) ? RN_NEIGH_KNOWN_ASK
                                                                    : RN_NEIGH_KNOWN;
}

int rn_neigh_check(const struct rn_neigh *t) {
  uint64_t used = 0;
  for (uint32_t i = 0; i < (t->set_mask + 1) * WAYS; i++) {
    const struct entry *e = &t->entries[i];
    if (e->state == FREE)
      continue;
    struct rn_addr a = { .family = e->family };
    memcpy(a.ip, e->ip, 16);
    if (e->state > KNOWN || set_of(t, &a) != i / WAYS || e->asked > ASK_MAX)
      return RN_ERR_STATE;
    for (uint32_t k = i / WAYS * WAYS; k < i; k++) {
      const struct entry *o = &t->entries[k];
      if (o->state != FREE && o->family == e->family && memcmp(o->ip, e->ip, 16) == 0)
        return RN_ERR_STATE; /* twice */
    }
    used++;
  }
  return used == t->st->neighs ? RN_OK : RN_ERR_STATE;
}
