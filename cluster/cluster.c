/* cluster/cluster.c */
#include "cluster/cluster_priv.h"

#include <string.h>

#include "util/err.h"
#include "util/require.h"

#define SECOND_NS UINT64_C(1000000000)

/* ---- requests of ours ---- */

struct ask *rn_ask_open(struct rn_cluster *c, enum purpose purpose, struct rn_member *who,
                        uint64_t wait_ns, uint64_t now_ns) {
  if (rn_list_empty(&c->spare)) {
    c->stats.asks_limit++;
    return NULL;
  }
  struct ask *a = RN_LIST_ENTRY(c->spare.next, struct ask, node);
  rn_list_remove(&a->node);
  rn_list_push_back(&c->open, &a->node);
  *a = (struct ask){ .node = a->node,
                     .id = a->id + RN_CLUSTER_ASKS_MAX,
                     .purpose = (uint8_t)purpose,
                     .due_ns = now_ns + wait_ns,
                     .seq = c->seq++,
                     .who = who };
  c->stats.asks++;
  return a;
}

struct ask *rn_ask_find(struct rn_cluster *c, uint32_t id) {
  struct ask *a = &c->asks[id % RN_CLUSTER_ASKS_MAX];
  return a->id == id && a->purpose < PURPOSE_COUNT ? a : NULL;
}

void rn_ask_close(struct rn_cluster *c, struct ask *a) {
  a->purpose = PURPOSE_COUNT;
  rn_list_remove(&a->node);
  rn_list_push_back(&c->spare, &a->node);
}

/* ---- members that change ---- */

static enum rn_cluster_event_type event_of(const struct rn_member *who, bool is_new) {
  static const uint8_t of[RN_SWIM_STATE_COUNT] = { [RN_SWIM_ALIVE] = RN_CLUSTER_RECOVERED,
                                                   [RN_SWIM_SUSPECT] = RN_CLUSTER_SUSPECTED,
                                                   [RN_SWIM_FAILED] = RN_CLUSTER_FAILED,
                                                   [RN_SWIM_LEFT] = RN_CLUSTER_LEFT };
  return is_new ? RN_CLUSTER_JOINED : (enum rn_cluster_event_type)of[who->state];
}

void rn_cluster_changed(struct rn_cluster *c, struct rn_member *who, unsigned int changes) {
  const bool is_new = changes & RN_MEMBER_ADDED, gone = who->state >= RN_SWIM_FAILED;
  rn_rumors_tell(&c->rumors, who);
  c->partition_stale = true;
  if (changes & (RN_MEMBER_ADDED | RN_MEMBER_STATE | RN_MEMBER_TAGS))
    c->watches_stale = true;
  /* That somebody whom we never knew is gone is worth remembering, not reporting. */
  if (changes & RN_MEMBER_STATE && !(is_new && gone))
    c->io->event(c->app, event_of(who, is_new), who);
  if (changes & RN_MEMBER_TAGS)
    c->io->event(c->app, RN_CLUSTER_TAGS, who);
  if (changes & RN_MEMBER_ADDR)
    c->io->event(c->app, RN_CLUSTER_MOVED, who);
  if (changes & RN_MEMBER_REFUTE)
    c->io->event(c->app, RN_CLUSTER_REFUTED, who);
}

static void on_gone(void *app, struct rn_member *m) {
  struct rn_cluster *c = app;
  rn_rumors_forget(&c->rumors, m);
  rn_verdict_acquit(c, m);
  for (struct rn_list *at = c->open.next; at != &c->open; at = at->next) {
    struct ask *a = RN_LIST_ENTRY(at, struct ask, node);
    if (a->who == m)
      a->who = NULL;
  }
  for (uint32_t i = 0; i < SYNCS_MAX; i++)
    if (c->syncs[i].to == m)
      c->syncs[i].to = NULL;
  struct watch *w = rn_round_watch(c, m);
  if (w != NULL) {
    *w = c->watches[--c->watch_count];
    c->watches_stale = true;
  }
}

static void on_replaced(void *app, struct rn_member *m) {
  struct rn_cluster *c = app;
  rn_verdict_acquit(c, m);
  rn_cluster_changed(c, m, RN_MEMBER_STATE);
}

static const struct rn_members_events members_events = { .gone = on_gone, .replaced = on_replaced };

/* ---- the object ---- */

static bool config_ok(const struct rn_cluster_config *cfg) {
  return rn_members_footprint(cfg->capacity) != 0 && cfg->interval_ns >= SECOND_NS / 100 &&
         cfg->interval_ns <= 3600 * SECOND_NS && cfg->probe_ns >= SECOND_NS / 1000 &&
         cfg->probe_ns <= cfg->interval_ns && cfg->help_ns > RN_CLUSTER_RELAY_NS &&
         cfg->help_ns <= 60 * SECOND_NS && cfg->indirect_probes <= RN_CLUSTER_HELP_MAX &&
         cfg->suspicion_multiplier >= 1 && cfg->suspicion_multiplier <= 100 &&
         cfg->tombstone_ns > 0;
}

struct layout {
  size_t members, suspects, bytes;
};

static struct layout layout(uint32_t capacity) {
  struct layout l = { .members = (sizeof(struct rn_cluster) + 63) & ~(size_t)63 };
  l.suspects = l.members + rn_members_footprint(capacity);
  l.bytes = l.suspects + rn_slab_footprint(sizeof(struct suspect), capacity);
  return l;
}

size_t rn_cluster_footprint(const struct rn_cluster_config *cfg) {
  return config_ok(cfg) ? layout(cfg->capacity).bytes : 0;
}

int rn_cluster_init(void *mem, const struct rn_cluster_config *cfg,
                    const struct rn_swim_update *self, uint64_t seed, const uint8_t hash_key[16],
                    const struct rn_cluster_io *io, void *app, uint64_t now_ns,
                    struct rn_cluster **out) {
  static const struct rn_bin_str tag = { RN_CLUSTER_TAG, sizeof(RN_CLUSTER_TAG) - 1 };
  if (!config_ok(cfg))
    return RN_ERR_INVAL;
  const struct layout l = layout(cfg->capacity);
  struct rn_cluster *c = mem;
  memset(c, 0, sizeof(*c));
  c->cfg = *cfg;
  c->io = io;
  c->app = app;
  rn_rng_init(&c->rng, seed);
  rn_rumors_init(&c->rumors);
  rn_list_init(&c->suspects);
  rn_list_init(&c->open);
  rn_list_init(&c->spare);
  for (uint32_t i = 0; i < RN_CLUSTER_ASKS_MAX; i++) {
    c->asks[i].id = i;
    c->asks[i].purpose = PURPOSE_COUNT;
    rn_list_push_back(&c->spare, &c->asks[i].node);
  }
  if (rn_members_init((uint8_t *)mem + l.members, cfg->capacity, hash_key, self, &members_events, c,
                      now_ns, &c->members) != RN_OK ||
      rn_slab_init((uint8_t *)mem + l.suspects, sizeof(struct suspect), cfg->capacity,
                   &c->suspect_slab) != RN_OK)
    return RN_ERR_INVAL;
  struct rn_member *me = rn_members_self(c->members);
  if (rn_tags_set(&me->tags, tag, (struct rn_bin_str){ "1", 1 }) != RN_OK ||
      rn_member_bytes(me) > RN_CLUSTER_SELF_MAX)
    return RN_ERR_LIMIT;
  c->quarter_ns = UINT64_MAX;
  /* Nodes that were started together do not stay in step. */
  c->round_ns = now_ns + rn_rng_below(&c->rng, cfg->interval_ns);
  c->pull_round = 2; /* in the first one we ask seeds */
  *out = c;
  return RN_OK;
}

int rn_cluster_seed(struct rn_cluster *c, const struct rn_addr *addr) {
  for (uint32_t i = 0; i < c->seed_count; i++)
    if (rn_addr_eq(&c->seeds[i], addr))
      return RN_OK;
  if (c->seed_count == RN_CLUSTER_SEEDS_MAX)
    return RN_ERR_LIMIT;
  c->seeds[c->seed_count++] = *addr;
  return RN_OK;
}

void rn_cluster_remember(struct rn_cluster *c, const struct rn_swim_update *known,
                         uint64_t now_ns) {
  struct rn_swim_update u = *known;
  struct rn_member *who = rn_members_by_id(c->members, u.node_id);
  if (who == rn_members_self(c->members))
    return;
  if (u.state == RN_SWIM_SUSPECT)
    u.state = RN_SWIM_ALIVE;
  unsigned int changes = rn_members_apply(c->members, &u, RN_MEMBER_HEARSAY, now_ns, &who);
  if (who != NULL && changes != 0)
    rn_cluster_changed(c, who, changes);
}

const struct rn_members *rn_cluster_members(const struct rn_cluster *c) { return c->members; }
const struct rn_cluster_stats *rn_cluster_stats(const struct rn_cluster *c) { return &c->stats; }
const struct rn_partition *rn_cluster_partition(const struct rn_cluster *c) {
  return &c->partition;
}
uint32_t rn_cluster_health(const struct rn_cluster *c) { return c->health.score; }

bool rn_cluster_own(const struct rn_member *who) {
  struct rn_bin_str value;
  /* An alias is whoever is there, and what is said of it was made up. */
  return !who->alias &&
         rn_tags_get(&who->tags, (struct rn_bin_str){ RN_CLUSTER_TAG, sizeof(RN_CLUSTER_TAG) - 1 },
                     &value);
}

/* ---- ourselves ---- */

static bool is_marker(struct rn_bin_str key) {
  return key.len == sizeof(RN_CLUSTER_TAG) - 1 && memcmp(key.p, RN_CLUSTER_TAG, key.len) == 0;
}

int rn_cluster_tag_set(struct rn_cluster *c, struct rn_bin_str key, struct rn_bin_str value) {
  struct rn_member *me = rn_members_self(c->members), after = *me;
  if (is_marker(key))
    return RN_ERR_INVAL;
  if (rn_tags_set(&after.tags, key, value) != RN_OK ||
      rn_member_bytes(&after) > RN_CLUSTER_SELF_MAX)
    return RN_ERR_LIMIT;
  int err = rn_members_tag_set(c->members, key, value);
  if (err == RN_OK)
    rn_cluster_changed(c, me, RN_MEMBER_TAGS);
  return err;
}

int rn_cluster_tag_unset(struct rn_cluster *c, struct rn_bin_str key) {
  struct rn_member *me = rn_members_self(c->members);
  struct rn_bin_str value;
  if (is_marker(key))
    return RN_ERR_INVAL;
  if (rn_tags_get(&me->tags, key, &value)) {
    rn_members_tag_unset(c->members, key);
    rn_cluster_changed(c, me, RN_MEMBER_TAGS);
  }
  return RN_OK;
}

void rn_cluster_leave(struct rn_cluster *c, uint64_t now_ns) {
  if (c->left)
    return;
  c->left = true;
  rn_members_leave(c->members, now_ns);
  rn_cluster_changed(c, rn_members_self(c->members), RN_MEMBER_STATE);
  for (uint32_t i = 0; i < c->watch_count; i++)
    rn_round_address(c, &c->watches[i].who->addr, now_ns);
}

/* ---- time ---- */

uint64_t rn_cluster_next_ns(const struct rn_cluster *c) {
  uint64_t next = c->quarter_ns < c->round_ns ? c->quarter_ns : c->round_ns;
  for (const struct rn_list *at = c->open.next; at != &c->open; at = at->next) {
    const struct ask *a = RN_LIST_ENTRY(at, struct ask, node);
    next = a->due_ns < next ? a->due_ns : next;
  }
  return next;
}

/* We were not there ourselves: stopped, or starved. What is overdue may have been answered meanwhile. */
static void forgive(struct rn_cluster *c, uint64_t lost_ns, uint64_t now_ns) {
  c->stats.lost_time++;
  for (struct rn_list *at = c->open.next; at != &c->open; at = at->next)
    RN_LIST_ENTRY(at, struct ask, node)->due_ns += lost_ns;
  for (struct rn_list *at = c->suspects.next; at != &c->suspects; at = at->next)
    RN_LIST_ENTRY(at, struct suspect, node)->suspicion.start_ns += lost_ns;
  for (uint32_t i = 0; i < c->watch_count; i++) {
    struct rn_phi *p = &c->watches[i].phi;
    p->heard_ns = p->heard_ns + lost_ns < now_ns ? p->heard_ns + lost_ns : now_ns;
  }
}

void rn_cluster_tick(struct rn_cluster *c, uint64_t now_ns) {
  const uint64_t due = rn_cluster_next_ns(c);
  if (now_ns > due && now_ns - due > c->cfg.interval_ns / 2)
    forgive(c, now_ns - due, now_ns);
  for (struct rn_list *at = c->open.next, *next; at != &c->open; at = next) {
    struct ask *a = RN_LIST_ENTRY(at, struct ask, node);
    next = at->next;
    if (a->due_ns > now_ns)
      continue;
    c->stats.failed++;
    rn_verdict_silence(c, a, false, now_ns);
    next = c->open.next; /* others may have been opened and closed; those due are fewer each time */
  }
  if (c->quarter_ns <= now_ns)
    rn_round_quarter(c, now_ns);
  if (c->round_ns > now_ns)
    return;
  /* Before anything in the round, so that nobody is told of at two times. */
  c->round_ns = now_ns + rn_health_stretch_ns(&c->health, c->cfg.interval_ns);
  rn_round(c, now_ns);
}

/* ---- what comes in ---- */

/* For the sender himself: he wants to be told all. */
static void on_pull(struct rn_cluster *c, const struct rn_swim_msg *msg, uint64_t request,
                    struct rn_member *sender, uint64_t now_ns) {
  if (rn_cluster_own(sender) && sender->state <= RN_SWIM_SUSPECT &&
      rn_round_sync(c, sender, now_ns))
    rn_msg_ack(c, request, msg->from, msg->seq);
  else
    c->io->answer(c->app, request, NULL, 0);
}

static int on_ping_req(struct rn_cluster *c, const struct rn_swim_msg *msg, uint64_t request,
                       struct rn_member *sender, uint64_t now_ns) {
  struct rn_member *who = rn_members_by_id(c->members, msg->to);
  struct relay *r = NULL;
  c->stats.ping_reqs++;
  if (sender != NULL && who == sender && who != rn_members_self(c->members)) {
    on_pull(c, msg, request, sender, now_ns);
    return RN_OK;
  }
  for (uint32_t i = 0; i < RN_CLUSTER_RELAY_MAX && r == NULL; i++)
    r = c->relays[i].used ? NULL : &c->relays[i];
  struct ask *a = NULL;
  if (r == NULL)
    c->stats.relays_limit++;
  else if (who != NULL && !who->alias && who->state < RN_SWIM_LEFT &&
           msg->from.len <= RN_MEMBER_ID_MAX && who != rn_members_self(c->members))
    a = rn_ask_open(c, RELAY, who, RN_CLUSTER_RELAY_NS, now_ns);
  if (a == NULL) {
    c->io->answer(c->app, request, NULL, 0);
    return RN_OK;
  }
  *r = (struct relay){
    .used = true, .asker_len = (uint8_t)msg->from.len, .request = request, .seq = msg->seq
  };
  memcpy(r->asker, msg->from.p, msg->from.len);
  a->slot = (uint8_t)(r - c->relays);
  rn_msg_ping(c, a, &who->addr);
  return RN_OK;
}

int rn_cluster_heard(struct rn_cluster *c, const struct rn_addr *from, uint64_t request,
                     const uint8_t *msg, size_t len, uint64_t now_ns) {
  struct rn_swim_msg m;
  size_t used;
  int err = rn_swim_get(msg, len, &m, &used);
  if (err == RN_OK && m.type == RN_SWIM_ACK)
    err = RN_ERR_PROTO;
  if (err != RN_OK) {
    c->stats.bad_messages++;
    c->io->answer(c->app, request, NULL, 0);
    return err;
  }
  struct rn_member *sender = rn_msg_updates(c, &m, from, now_ns);
  if (sender != NULL)
    rn_verdict_asked(c, sender, now_ns);
  if (m.type == RN_SWIM_PING_REQ)
    return on_ping_req(c, &m, request, sender, now_ns);
  c->stats.pings++;
  /* Before anything is asked of him: he waits. */
  rn_msg_ack(c, request, m.from, m.seq);
  if (sender == NULL) {
    struct rn_addr there = m.addr;
    static const uint8_t zero[16];
    if (memcmp(there.ip, zero, sizeof(zero)) == 0)
      there = (struct rn_addr){ .family = from->family, .port = m.addr.port };
    if (memcmp(there.ip, zero, sizeof(zero)) == 0)
      memcpy(there.ip, from->ip, sizeof(there.ip));
    if (there.port != 0 && c->introductions++ < SYNCS_MAX)
      rn_round_address(c, &there, now_ns);
  }
  return RN_OK;
}

void rn_cluster_answered(struct rn_cluster *c, uint32_t id, const uint8_t *msg, size_t len,
                         uint64_t now_ns) {
  struct ask *a = rn_ask_find(c, id);
  struct rn_swim_msg m;
  size_t used;
  if (a == NULL)
    return;
  if (len == 0) {
    c->stats.empty++;
    rn_verdict_silence(c, a, true, now_ns);
    return;
  }
  if (rn_swim_get(msg, len, &m, &used) != RN_OK || m.type != RN_SWIM_ACK || m.seq != a->seq) {
    c->stats.bad_messages++;
    rn_verdict_silence(c, a, false, now_ns);
    return;
  }
  c->stats.answers++;
  struct rn_member *from = rn_msg_updates(c, &m, NULL, now_ns);
  rn_verdict_answer(c, a, from, now_ns);
}

void rn_cluster_failed(struct rn_cluster *c, uint32_t id, uint64_t now_ns) {
  struct ask *a = rn_ask_find(c, id);
  if (a == NULL)
    return;
  c->stats.failed++;
  rn_verdict_silence(c, a, false, now_ns);
}

/* ---- checking ---- */

static bool is_member(const struct rn_cluster *c, const struct rn_member *who) {
  return who->place < rn_members_count(c->members) && rn_members_at(c->members, who->place) == who;
}

static int check_asks(const struct rn_cluster *c) {
  uint32_t open = 0, spare = 0, relays = 0, used = 0;
  for (const struct rn_list *at = c->open.next; at != &c->open; at = at->next, open++) {
    const struct ask *a = RN_LIST_ENTRY(at, struct ask, node);
    RN_REQUIRE(a == &c->asks[a->id % RN_CLUSTER_ASKS_MAX] && a->purpose < PURPOSE_COUNT);
    RN_REQUIRE(a->who == NULL || is_member(c, a->who));
    RN_REQUIRE(a->purpose != RELAY || c->relays[a->slot].used);
    relays += a->purpose == RELAY;
  }
  for (const struct rn_list *at = c->spare.next; at != &c->spare; at = at->next)
    spare++;
  for (uint32_t i = 0; i < RN_CLUSTER_RELAY_MAX; i++)
    used += c->relays[i].used;
  RN_REQUIRE(open + spare == RN_CLUSTER_ASKS_MAX && relays == used);
  return RN_OK;
}

int rn_cluster_check(const struct rn_cluster *c) {
  uint32_t suspects = 0, marked = 0, rumors = 0;
  RN_REQUIRE(rn_members_check(c->members) == RN_OK && check_asks(c) == RN_OK);
  for (const struct rn_list *at = c->suspects.next; at != &c->suspects; at = at->next) {
    const struct suspect *s = RN_LIST_ENTRY(at, struct suspect, node);
    const struct ask *last = &c->asks[s->last % RN_CLUSTER_ASKS_MAX];
    RN_REQUIRE(is_member(c, s->who) && s->who->user == s && s->who->state == RN_SWIM_SUSPECT);
    RN_REQUIRE(!s->asked || (last->id == s->last && last->purpose == LAST));
    suspects++;
  }
  for (uint32_t i = 0; i < rn_members_count(c->members); i++) {
    const struct rn_member *who = rn_members_at(c->members, i);
    RN_REQUIRE((who->user != NULL) == (who->state == RN_SWIM_SUSPECT));
    marked += who->user != NULL;
    rumors += !rn_list_empty(&who->rumor);
  }
  RN_REQUIRE(suspects == marked && suspects == rn_slab_in_use(c->suspect_slab));
  RN_REQUIRE(rumors == c->rumors.count && c->watch_count <= RN_CLUSTER_WATCH_MAX);
  for (uint32_t i = 0; i < c->watch_count; i++)
    RN_REQUIRE(is_member(c, c->watches[i].who) && c->watches[i].who != rn_members_self(c->members));
  const struct rn_member *me = rn_members_self(c->members);
  RN_REQUIRE(me->state == (c->left ? RN_SWIM_LEFT : RN_SWIM_ALIVE));
  return rn_member_bytes(me) <= RN_CLUSTER_SELF_MAX ? RN_OK : RN_ERR_STATE;
}
