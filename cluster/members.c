/* cluster/members.c */
#include "cluster/members.h"

#include "cluster/kring.h"

#include <stdio.h>
#include <string.h>

#include "util/err.h"
#include "util/hash.h"
#include "util/require.h"
#include "util/slab.h"

#define CAPACITY_MAX (1u << 20)

struct rn_members {
  uint8_t hash_key[16];
  struct rn_slab *slab;
  struct rn_cidmap *ids;   /* hash of the id -> index in the slab */
  struct rn_cidmap *addrs; /* who is asked at that address; tombstones need not be there */
  struct rn_member **places;
  struct rn_member *self;
  uint32_t count, capacity;
  bool left;
  const struct rn_members_events *events;
  void *app;
  struct rn_members_stats stats;
};

static const struct rn_addr no_addr;
static const uint8_t no_key[1];

static bool dead(const struct rn_member *m) { return m->state >= RN_SWIM_FAILED; }

/* ---- memory ---- */

struct layout {
  size_t slab, ids, addrs, places, bytes;
};

static struct layout layout(uint32_t capacity) {
  struct layout l = { .slab = (sizeof(struct rn_members) + 63) & ~(size_t)63 };
  l.ids = l.slab + rn_slab_footprint(sizeof(struct rn_member), capacity);
  l.addrs = l.ids + rn_cidmap_footprint(capacity);
  l.places = l.addrs + rn_cidmap_footprint(capacity);
  l.bytes = (l.places + capacity * sizeof(struct rn_member *) + 63) & ~(size_t)63;
  return l;
}

size_t rn_members_footprint(uint32_t capacity) {
  return capacity >= 1 && capacity <= CAPACITY_MAX ? layout(capacity).bytes : 0;
}

/* ---- finding ---- */

static void id_key(const struct rn_members *m, struct rn_bin_str id, uint8_t key[8]) {
  uint64_t h = rn_siphash(m->hash_key, id.p, id.len);
  memcpy(key, &h, 8);
}

static struct rn_bin_str id_of(const struct rn_member *who) {
  return (struct rn_bin_str){ who->id, who->id_len };
}

static bool has_id(const struct rn_member *who, struct rn_bin_str id) {
  return who->id_len == id.len && memcmp(who->id, id.p, id.len) == 0;
}

/* By the hash alone: an id whose hash another one has finds that one. */
static struct rn_member *by_hash(const struct rn_members *m, struct rn_bin_str id) {
  uint8_t key[8];
  uint32_t idx;
  id_key(m, id, key);
  return rn_cidmap_get(m->ids, key, sizeof(key), &no_addr, &idx) ? rn_slab_at(m->slab, idx) : NULL;
}

struct rn_member *rn_members_by_id(const struct rn_members *m, struct rn_bin_str id) {
  struct rn_member *who = by_hash(m, id);
  return who != NULL && has_id(who, id) ? who : NULL;
}

struct rn_member *rn_members_by_addr(const struct rn_members *m, const struct rn_addr *addr) {
  uint32_t idx;
  return rn_cidmap_get(m->addrs, no_key, 0, addr, &idx) ? rn_slab_at(m->slab, idx) : NULL;
}

struct rn_member *rn_members_self(const struct rn_members *m) { return m->self; }
uint32_t rn_members_count(const struct rn_members *m) { return m->count; }
struct rn_member *rn_members_at(const struct rn_members *m, uint32_t place) {
  return m->places[place];
}
const struct rn_members_stats *rn_members_stats(const struct rn_members *m) { return &m->stats; }

/* ---- coming and going ---- */

static void set_state(struct rn_members *m, struct rn_member *who, enum rn_swim_state state,
                      uint64_t now_ns) {
  m->stats.alive += (uint64_t)(state == RN_SWIM_ALIVE) - (who->state == RN_SWIM_ALIVE);
  who->state = (uint8_t)state;
  who->since_ns = now_ns;
}

static void forget_addr(struct rn_members *m, const struct rn_member *who) {
  if (rn_members_by_addr(m, &who->addr) == who)
    rn_cidmap_del(m->addrs, no_key, 0, &who->addr);
}

static void go(struct rn_members *m, struct rn_member *who) {
  uint8_t key[8];
  if (m->events != NULL)
    m->events->gone(m->app, who);
  forget_addr(m, who);
  id_key(m, id_of(who), key);
  rn_cidmap_del(m->ids, key, sizeof(key), &no_addr);
  m->stats.alive -= who->state == RN_SWIM_ALIVE;
  m->places[who->place] = m->places[--m->count];
  m->places[who->place]->place = who->place;
  rn_slab_give(m->slab, who);
  m->stats.members = m->count;
}

/* The tombstone that was one first goes. */
static bool make_room(struct rn_members *m) {
  struct rn_member *oldest = NULL;
  if (m->count < m->capacity)
    return true;
  for (uint32_t i = 0; i < m->count; i++)
    if (dead(m->places[i]) && m->places[i] != m->self &&
        (oldest == NULL || m->places[i]->since_ns < oldest->since_ns))
      oldest = m->places[i];
  if (oldest == NULL)
    return false;
  m->stats.evicted++;
  go(m, oldest);
  return true;
}

void rn_members_bury(struct rn_members *m, uint64_t before_ns) {
  for (uint32_t i = m->count; i-- > 0;)
    if (dead(m->places[i]) && m->places[i] != m->self && m->places[i]->since_ns < before_ns)
      go(m, m->places[i]);
}

/* ---- addresses ---- */

static bool addr_usable(const struct rn_addr *a) {
  static const uint8_t zero[16];
  return (a->family == 4 || a->family == 6) && a->port != 0 && memcmp(a->ip, zero, 16) != 0;
}

static bool is_alias(const struct rn_swim_update *u) {
  char text[RN_ADDR_TEXT_BYTES], alias[RN_ADDR_TEXT_BYTES + 5];
  int n = snprintf(alias, sizeof(alias), "seed-%s", rn_addr_text(&u->addr, text));
  return u->node_id.len == (size_t)n && memcmp(u->node_id.p, alias, u->node_id.len) == 0;
}

/* Whether who, with this incarnation, may have the address; whoever has it and has to give way does so. Of others, only who is not dead has one. */
static bool claim_addr(struct rn_members *m, const struct rn_member *who, bool alias,
                       uint64_t incarnation, const struct rn_addr *addr, uint64_t now_ns) {
  struct rn_member *other = rn_members_by_addr(m, addr);
  if (other == NULL || other == who)
    return true;
  if (alias || (!other->alias && incarnation <= other->incarnation))
    return false;
  if (other->alias) {
    go(m, other);
    return true;
  }
  m->stats.replaced++;
  forget_addr(m, other);
  set_state(m, other, RN_SWIM_FAILED, now_ns);
  if (m->events != NULL)
    m->events->replaced(m->app, other);
  return true;
}

/* The maps are as large as the table, so there is room. */
static void index_addr(struct rn_members *m, const struct rn_member *who) {
  int err = rn_cidmap_put(m->addrs, no_key, 0, &who->addr, rn_slab_idx(m->slab, who));
  RN_ASSERT(err == RN_OK);
}

/* ---- applying ---- */

static bool acceptable(struct rn_members *m, const struct rn_swim_update *u) {
  uint64_t *reason = NULL;
  if (u->node_id.len == 0 || u->node_id.len > RN_MEMBER_ID_MAX)
    reason = &m->stats.bad_ids;
  else if (u->incarnation > RN_INCARNATION_MAX - (u->state != RN_SWIM_ALIVE))
    reason = &m->stats.bad_incarnations;
  else if (!addr_usable(&u->addr))
    reason = &m->stats.bad_addrs;
  if (reason != NULL)
    ++*reason;
  return reason == NULL;
}

static struct rn_member *add(struct rn_members *m, const struct rn_swim_update *u,
                             uint64_t now_ns) {
  uint8_t key[8];
  if (by_hash(m, u->node_id) != NULL || !make_room(m)) {
    m->stats.limit++;
    return NULL;
  }
  struct rn_member *who = rn_slab_take(m->slab);
  if (who == NULL) {
    m->stats.limit++;
    return NULL;
  }
  memset(who, 0, sizeof(*who));
  memcpy(who->id, u->node_id.p, u->node_id.len);
  who->id_len = (uint8_t)u->node_id.len;
  who->addr = u->addr;
  rn_list_init(&who->rumor);
  rn_kring_places(u->node_id, who->ring);
  who->incarnation = u->incarnation;
  who->state = RN_SWIM_STATE_COUNT; /* none yet */
  set_state(m, who, u->state, now_ns);
  m->stats.tags_left_out += rn_tags_of_wire(&who->tags, u->tags);
  who->place = m->count;
  m->places[m->count++] = who;
  m->stats.members = m->count;
  id_key(m, u->node_id, key);
  int err = rn_cidmap_put(m->ids, key, sizeof(key), &no_addr, rn_slab_idx(m->slab, who));
  RN_ASSERT(err == RN_OK);
  return who;
}

static unsigned int come(struct rn_members *m, const struct rn_swim_update *u, bool alias,
                         enum rn_member_source source, uint64_t now_ns, struct rn_member **out) {
  const bool keeps_addr = u->state < RN_SWIM_FAILED;
  if (keeps_addr && !claim_addr(m, NULL, alias, u->incarnation, &u->addr, now_ns)) {
    m->stats.stale++;
    *out = alias ? rn_members_by_addr(m, &u->addr) : NULL;
    return 0;
  }
  struct rn_member *who = *out = add(m, u, now_ns);
  if (who == NULL)
    return 0;
  who->alias = alias;
  who->own_incarnation = source != RN_MEMBER_HEARSAY ? u->incarnation : 0;
  if (keeps_addr)
    index_addr(m, who);
  return RN_MEMBER_ADDED | RN_MEMBER_STATE;
}

/* Others take it for newer. Behind the last one there is none; nobody suspects us at it (acceptable). */
static void speak_up(struct rn_members *m, uint64_t than) {
  m->self->incarnation = than < RN_INCARNATION_MAX ? than + 1 : RN_INCARNATION_MAX;
}

/* Who is told what is not so of us says it again, louder. */
static unsigned int of_ourselves(struct rn_members *m, const struct rn_swim_update *u) {
  const struct rn_member *me = m->self;
  const bool same = u->incarnation == me->incarnation && u->state == RN_SWIM_ALIVE;
  if (u->incarnation < me->incarnation || same)
    return 0;
  /* We are Left, but nobody takes it from us at an incarnation below one that we had in another life. */
  if (m->left) {
    if (u->incarnation == me->incarnation || u->state == RN_SWIM_LEFT)
      return 0;
    speak_up(m, u->incarnation);
    return RN_MEMBER_INCARNATION;
  }
  speak_up(m, u->incarnation);
  m->stats.refuted++;
  return RN_MEMBER_REFUTE | RN_MEMBER_INCARNATION;
}

static bool wins(const struct rn_member *who, const struct rn_swim_update *u,
                 enum rn_member_source source) {
  if (u->incarnation > who->incarnation)
    return true;
  if (u->incarnation == who->incarnation && (uint8_t)u->state > who->state)
    return true;
  return source != RN_MEMBER_HEARSAY && who->state != RN_SWIM_LEFT &&
         u->incarnation >= who->own_incarnation;
}

static unsigned int take_tags(struct rn_members *m, struct rn_member *who,
                              const struct rn_swim_update *u) {
  struct rn_tags tags;
  m->stats.tags_left_out += rn_tags_of_wire(&tags, u->tags);
  if (rn_tags_eq(&tags, &who->tags))
    return 0;
  who->tags = tags;
  return RN_MEMBER_TAGS;
}

static unsigned int change(struct rn_members *m, struct rn_member *who,
                           const struct rn_swim_update *u, enum rn_member_source source,
                           uint64_t now_ns) {
  unsigned int changes = 0;
  const bool keeps_addr = u->state < RN_SWIM_FAILED, moves = !rn_addr_eq(&u->addr, &who->addr);
  if (keeps_addr &&
      !claim_addr(m, who, who->alias,
                  u->incarnation > who->incarnation ? u->incarnation : who->incarnation, &u->addr,
                  now_ns)) {
    m->stats.stale++;
    return 0;
  }
  if (moves || !keeps_addr)
    forget_addr(m, who);
  if (moves) {
    who->addr = u->addr;
    changes |= RN_MEMBER_ADDR;
  }
  if (keeps_addr)
    index_addr(m, who);
  if (u->incarnation > who->incarnation) {
    who->incarnation = u->incarnation;
    changes |= RN_MEMBER_INCARNATION;
  }
  if (source != RN_MEMBER_HEARSAY)
    who->own_incarnation = u->incarnation;
  if ((uint8_t)u->state != who->state) {
    set_state(m, who, u->state, now_ns);
    changes |= RN_MEMBER_STATE;
  }
  /* A node that is gone is told of without its tags. */
  if (keeps_addr)
    changes |= take_tags(m, who, u);
  return changes;
}

unsigned int rn_members_apply(struct rn_members *m, const struct rn_swim_update *heard,
                              enum rn_member_source source, uint64_t now_ns,
                              struct rn_member **out) {
  struct rn_member *ignored, **whom = out != NULL ? out : &ignored;
  struct rn_swim_update said = *heard;
  const struct rn_swim_update *u = &said;
  *whom = NULL;
  if (source != RN_MEMBER_HEARSAY && u->state != RN_SWIM_LEFT)
    said.state = RN_SWIM_ALIVE;
  if (!acceptable(m, u))
    return 0;
  struct rn_member *who = *whom = rn_members_by_id(m, u->node_id);
  if (who == m->self)
    return of_ourselves(m, u);
  /* Also of one who is said to be gone: he would be asked at it. */
  if (rn_addr_eq(&u->addr, &m->self->addr)) {
    m->stats.stale++;
    return 0;
  }
  if (who == NULL)
    return come(m, u, is_alias(u), source, now_ns, whom);
  if (source == RN_MEMBER_ASKER && u->state == RN_SWIM_ALIVE && who->state != RN_SWIM_LEFT &&
      u->incarnation <= who->incarnation)
    said.state = who->state;
  unsigned int changes = 0;
  if (wins(who, u, source))
    changes = change(m, who, u, source, now_ns);
  else
    m->stats.stale++;
  if (source != RN_MEMBER_HEARSAY)
    who->behind = u->incarnation < who->incarnation;
  return changes;
}

bool rn_members_judge(struct rn_members *m, struct rn_member *who, enum rn_swim_state state,
                      uint64_t now_ns) {
  RN_ASSERT(who != m->self && (state == RN_SWIM_SUSPECT || state == RN_SWIM_FAILED));
  if (state <= who->state)
    return false;
  if (state == RN_SWIM_FAILED)
    forget_addr(m, who);
  set_state(m, who, state, now_ns);
  return true;
}

bool rn_members_vouch(struct rn_members *m, struct rn_member *who, uint64_t now_ns) {
  if (who->state == RN_SWIM_ALIVE || who->state == RN_SWIM_LEFT || who == m->self ||
      who->incarnation >= RN_INCARNATION_MAX)
    return false;
  if (dead(who)) {
    if (!claim_addr(m, who, who->alias, who->incarnation + 1, &who->addr, now_ns))
      return false;
    index_addr(m, who);
  }
  who->incarnation++;
  set_state(m, who, RN_SWIM_ALIVE, now_ns);
  return true;
}

/* ---- ourselves ---- */

int rn_members_init(void *mem, uint32_t capacity, const uint8_t hash_key[16],
                    const struct rn_swim_update *self, const struct rn_members_events *events,
                    void *app, uint64_t now_ns, struct rn_members **out) {
  if (capacity < 1 || capacity > CAPACITY_MAX)
    return RN_ERR_INVAL;
  const struct layout l = layout(capacity);
  uint8_t *base = mem;
  struct rn_members *m = mem;
  memset(m, 0, sizeof(*m));
  memcpy(m->hash_key, hash_key, sizeof(m->hash_key));
  m->capacity = capacity;
  m->events = events;
  m->app = app;
  m->places = (struct rn_member **)(void *)(base + l.places);
  if (rn_slab_init(base + l.slab, sizeof(struct rn_member), capacity, &m->slab) != RN_OK ||
      rn_cidmap_init(base + l.ids, capacity, hash_key, &m->ids) != RN_OK ||
      rn_cidmap_init(base + l.addrs, capacity, hash_key, &m->addrs) != RN_OK ||
      !acceptable(m, self) || self->state != RN_SWIM_ALIVE)
    return RN_ERR_INVAL;
  come(m, self, false, RN_MEMBER_HIMSELF, now_ns, &m->self);
  *out = m;
  return RN_OK;
}

int rn_members_tag_set(struct rn_members *m, struct rn_bin_str key, struct rn_bin_str value) {
  int err = rn_tags_set(&m->self->tags, key, value);
  if (err == RN_OK)
    speak_up(m, m->self->incarnation);
  return err;
}

void rn_members_tag_unset(struct rn_members *m, struct rn_bin_str key) {
  if (rn_tags_unset(&m->self->tags, key))
    speak_up(m, m->self->incarnation);
}

void rn_members_rise(struct rn_members *m, uint64_t by) {
  if (!m->left && m->self->incarnation <= RN_INCARNATION_MAX / 2)
    speak_up(m, m->self->incarnation + by - 1);
}

void rn_members_leave(struct rn_members *m, uint64_t now_ns) {
  if (m->left)
    return;
  m->left = true;
  speak_up(m, m->self->incarnation);
  set_state(m, m->self, RN_SWIM_LEFT, now_ns);
}

void rn_member_put(struct rn_bin_writer *w, const struct rn_member *who) {
  rn_swim_put_update(w, id_of(who), &who->addr, who->incarnation, (enum rn_swim_state)who->state,
                     who->tags.count);
  rn_tags_put(w, &who->tags);
}

/* ---- checking ---- */

static int check_member(const struct rn_members *m, const struct rn_member *who, uint32_t place) {
  RN_REQUIRE(who->place == place && who->id_len > 0 && who->id[who->id_len] == 0);
  RN_REQUIRE(who->state < RN_SWIM_STATE_COUNT && who->incarnation <= RN_INCARNATION_MAX);
  RN_REQUIRE(rn_members_by_id(m, id_of(who)) == who && rn_tags_check(&who->tags) == RN_OK);
  const bool at_addr = rn_members_by_addr(m, &who->addr) == who;
  return at_addr == (!dead(who) || who == m->self) ? RN_OK : RN_ERR_STATE;
}

int rn_members_check(const struct rn_members *m) {
  uint64_t alive = 0;
  RN_REQUIRE(m->count >= 1 && m->count <= m->capacity && m->stats.members == m->count);
  RN_REQUIRE(rn_slab_in_use(m->slab) == m->count && rn_cidmap_count(m->ids) == m->count);
  RN_REQUIRE(rn_cidmap_count(m->addrs) <= m->count && m->places[m->self->place] == m->self);
  RN_REQUIRE(rn_cidmap_check(m->ids) == RN_OK && rn_cidmap_check(m->addrs) == RN_OK);
  for (uint32_t i = 0; i < m->count; i++) {
    RN_REQUIRE(check_member(m, m->places[i], i) == RN_OK);
    alive += m->places[i]->state == RN_SWIM_ALIVE;
  }
  return alive == m->stats.alive ? RN_OK : RN_ERR_STATE;
}
