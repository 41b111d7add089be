/* cluster/round.c: whom we ask, each round and in between. */
#include "cluster/cluster_priv.h"

#include <string.h>

/* Those who fail within so many rounds may have done so for one reason. */
#define PARTITION_ROUNDS 60u
/* Rounds between two looks for those who are gone, and for seeds that we do not know. */
#define HEAL_ROUNDS 10u
/* Somebody is told all we know each so many rounds; in larger clusters less often, so that it costs each node the same. */
#define SYNC_ROUNDS  30u
#define SYNC_MEMBERS 64u
/* Whoever is new wants to be told all: in each of his first rounds as long as there is a sixteenth more from one to the next, then after a pause. */
#define PULL_ROUNDS 30u
#define PULL_GROWTH 16u
#define PULL_PAUSE  10u
/* Beyond what the messages of a round carry anyway, one more is asked for so much news, up to so many. */
#define SPREAD_NEWS 16u
#define SPREAD_MAX  8u
/* How often a member is drawn by chance until one is found that will do. */
#define DRAWS 16u

/* ---- asking one ---- */

void rn_round_probe(struct rn_cluster *c, struct rn_member *who, uint64_t now_ns) {
  for (struct rn_list *at = c->open.next; at != &c->open; at = at->next) {
    const struct ask *a = RN_LIST_ENTRY(at, struct ask, node);
    if (a->purpose == PROBE && a->who == who)
      return;
  }
  struct ask *a =
      rn_ask_open(c, PROBE, who, rn_health_stretch_ns(&c->health, c->cfg.probe_ns), now_ns);
  if (a != NULL)
    rn_msg_ping(c, a, &who->addr);
}

struct ask *rn_round_last(struct rn_cluster *c, struct rn_member *who, uint64_t now_ns) {
  struct ask *a = rn_ask_open(c, LAST, who, rn_msg_last_ns(c), now_ns);
  if (a != NULL)
    rn_msg_ping(c, a, &who->addr);
  return a;
}

void rn_round_address(struct rn_cluster *c, const struct rn_addr *addr, uint64_t now_ns) {
  if (rn_addr_eq(addr, &rn_members_self(c->members)->addr))
    return;
  struct rn_member *who = rn_members_by_addr(c->members, addr);
  struct ask *a = rn_ask_open(c, ADDRESS, who, c->cfg.interval_ns, now_ns);
  if (a != NULL)
    rn_msg_ping(c, a, addr);
}

bool rn_round_sync(struct rn_cluster *c, struct rn_member *to, uint64_t now_ns) {
  uint8_t slot = SYNCS_MAX;
  for (uint8_t i = 0; i < SYNCS_MAX; i++) {
    if (c->syncs[i].to == to)
      return true;
    if (c->syncs[i].to == NULL)
      slot = i;
  }
  struct ask *a = slot < SYNCS_MAX ? rn_ask_open(c, SYNC, to, c->cfg.interval_ns, now_ns) : NULL;
  if (a == NULL) {
    c->stats.syncs_limit += slot == SYNCS_MAX;
    return false;
  }
  c->stats.syncs++;
  a->slot = slot;
  c->syncs[slot] = (struct sync){ .to = to };
  rn_msg_sync(c, a);
  return true;
}

/* Somebody whom may() takes; where they are not too few, each as likely as the others. NULL: there is none. */
static struct rn_member *draw(struct rn_cluster *c,
                              bool (*may)(const struct rn_cluster *c, const struct rn_member *who,
                                          const struct rn_member *than),
                              const struct rn_member *than) {
  const uint32_t count = rn_members_count(c->members);
  uint32_t place = 0;
  for (uint32_t i = 0; i < DRAWS + count; i++) {
    /* In the end everybody has his turn. */
    place = i <= DRAWS ? (uint32_t)rn_rng_below(&c->rng, count) : (place + 1) % count;
    struct rn_member *who = rn_members_at(c->members, place);
    if (who != rn_members_self(c->members) && may(c, who, than))
      return who;
  }
  return NULL;
}

static bool may_help(const struct rn_cluster *c, const struct rn_member *who,
                     const struct rn_member *than) {
  (void)c;
  return who != than && who->state == RN_SWIM_ALIVE && rn_cluster_own(who);
}

uint32_t rn_round_help(struct rn_cluster *c, struct ask *probe, uint64_t now_ns) {
  struct rn_member *helpers[RN_CLUSTER_HELP_MAX];
  const struct rn_member *whom = probe->who;
  probe->helped = true;
  for (uint32_t draws = 0;
       whom != NULL && probe->asked < c->cfg.indirect_probes && draws < 2 * c->cfg.indirect_probes;
       draws++) {
    struct rn_member *who = draw(c, may_help, whom);
    bool twice = who == NULL;
    for (uint32_t i = 0; i < probe->asked && !twice; i++)
      twice = helpers[i] == who;
    struct ask *a = twice ? NULL : rn_ask_open(c, HELP, who, c->cfg.help_ns, now_ns);
    if (a == NULL)
      continue;
    helpers[probe->asked++] = who;
    a->probe = probe->id;
    rn_msg_ping_req(c, a, whom);
  }
  probe->due_ns = now_ns + c->cfg.help_ns;
  return probe->asked;
}

/* ---- those asked in each round ---- */

struct watch *rn_round_watch(struct rn_cluster *c, const struct rn_member *who) {
  for (uint32_t i = 0; i < c->watch_count; i++)
    if (c->watches[i].who == who)
      return &c->watches[i];
  return NULL;
}

static void rewatch(struct rn_cluster *c, uint64_t now_ns) {
  struct rn_member *whom[RN_CLUSTER_WATCH_MAX];
  struct watch after[RN_CLUSTER_WATCH_MAX];
  const struct rn_member *me = rn_members_self(c->members);
  uint32_t n = rn_kring_watched(c->members, me, rn_cluster_own, whom);
  const uint32_t room = RN_CLUSTER_WATCH_MAX - n;
  uint32_t kept = rn_kring_kept(c->members, me, rn_cluster_own, whom + n, room);
  c->stats.watch_limit += kept > room ? kept - room : 0;
  n += kept < room ? kept : room;
  uint32_t count = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (whom[i]->alias)
      continue; /* is asked who he is, not whether he is alive */
    const struct watch *before = rn_round_watch(c, whom[i]);
    struct watch *w = &after[count++];
    w->who = whom[i];
    if (before != NULL)
      w->phi = before->phi;
    else
      rn_phi_init(&w->phi, c->cfg.interval_ns, now_ns);
  }
  memcpy(c->watches, after, count * sizeof(after[0]));
  c->watch_count = count;
  c->watches_stale = false;
}

/* ---- the round ---- */

static bool may_probe(const struct rn_cluster *c, const struct rn_member *who,
                      const struct rn_member *than) {
  (void)than;
  if (who->state > RN_SWIM_SUSPECT)
    return false;
  for (uint32_t i = 0; i < c->watch_count; i++)
    if (c->watches[i].who == who)
      return false;
  return true;
}

static bool may_heal(const struct rn_cluster *c, const struct rn_member *who,
                     const struct rn_member *than) {
  (void)c;
  (void)than;
  return who->state == RN_SWIM_FAILED;
}

/* Where nobody is known to be alive. */
static void ask_seeds(struct rn_cluster *c, uint64_t now_ns) {
  const bool alone = rn_members_stats(c->members)->alive <= 1;
  for (uint32_t i = 0; i < c->seed_count; i++) {
    const struct rn_member *who = rn_members_by_addr(c->members, &c->seeds[i]);
    if ((who == NULL || who->alias) && (alone || c->rounds % HEAL_ROUNDS == 0))
      rn_round_address(c, &c->seeds[i], now_ns);
  }
}

static void sync_sometimes(struct rn_cluster *c, uint64_t now_ns) {
  const uint64_t members = rn_members_count(c->members);
  const uint64_t rounds = SYNC_ROUNDS * (1 + members / SYNC_MEMBERS);
  if (rn_rng_below(&c->rng, rounds) != 0)
    return;
  struct rn_member *who = draw(c, may_help, NULL);
  if (who != NULL)
    rn_round_sync(c, who, now_ns);
}

/* A process that was there a moment ago is no news to the others, and a seed tells few at a time. */
static void pull(struct rn_cluster *c, uint64_t now_ns) {
  const uint32_t members = rn_members_count(c->members);
  if (c->rounds > PULL_ROUNDS || c->rounds < c->pull_round)
    return;
  struct rn_member *who = draw(c, may_help, NULL);
  struct ask *a = who != NULL ? rn_ask_open(c, PULL, who, c->cfg.interval_ns, now_ns) : NULL;
  if (a == NULL)
    return;
  /* What it leaves out, as those who tell may be as new, another one has later. */
  const bool grows = members > c->pulled_at + c->pulled_at / PULL_GROWTH;
  c->pulled_at = members;
  c->pull_round = (uint32_t)c->rounds + (grows ? 1 : PULL_PAUSE);
  rn_msg_pull(c, a);
}

/* When much happens at once, four conversations a round would take minutes to tell of it. */
static void spread(struct rn_cluster *c, uint64_t now_ns) {
  const uint32_t more = c->rumors.count / SPREAD_NEWS;
  for (uint32_t i = 0; i < more && i < SPREAD_MAX; i++) {
    struct rn_member *who = draw(c, may_help, NULL);
    struct ask *a = who != NULL ? rn_ask_open(c, SPREAD, who, c->cfg.interval_ns, now_ns) : NULL;
    if (a == NULL)
      return;
    rn_msg_ping(c, a, &who->addr);
  }
}

/* As long as all is well it changes only when somebody does. */
static void look_for_partition(struct rn_cluster *c, uint64_t now_ns) {
  const bool healthy = c->partition.state == RN_PARTITION_HEALTHY;
  if (healthy && c->partition.out == 0 && !c->partition_stale)
    return;
  c->partition_stale = false;
  if (rn_partition_look(&c->partition, c->members, now_ns, PARTITION_ROUNDS * c->cfg.interval_ns))
    c->io->event(c->app, RN_CLUSTER_PARTITION, rn_members_self(c->members));
}

/* A published node whose connection to us once failed gets no answer from us ever again, by its own defect, and each time that it asks it takes us for one
 * incarnation more suspect. What we say of ourselves in the Ping of each round has to be above that, however many do so. */
static bool refute_in_advance(struct rn_cluster *c) {
  bool published = false;
  for (uint32_t i = 0; i < c->watch_count && !published; i++)
    published = !rn_cluster_own(c->watches[i].who);
  if (published)
    rn_members_rise(c->members, c->cfg.interval_ns / RN_CLUSTER_RISE_NS / RN_CLUSTER_QUARTERS + 1);
  return published;
}

/* The last of them falls on the round. */
static void next_quarter(struct rn_cluster *c, uint64_t now_ns) {
  const uint64_t quarter_ns = c->cfg.interval_ns / RN_CLUSTER_QUARTERS;
  c->quarter_ns =
      now_ns + quarter_ns + quarter_ns / 2 < c->round_ns ? now_ns + quarter_ns : UINT64_MAX;
}

void rn_round_quarter(struct rn_cluster *c, uint64_t now_ns) {
  next_quarter(c, now_ns);
  (void)refute_in_advance(c);
  for (uint32_t i = 0; i < c->watch_count; i++) {
    if (!rn_cluster_own(c->watches[i].who))
      rn_round_probe(c, c->watches[i].who, now_ns);
  }
}

void rn_round(struct rn_cluster *c, uint64_t now_ns) {
  c->rounds++;
  c->introductions = 0;
  c->second_looks = 0;
  rn_verdict_expire(c, now_ns);
  look_for_partition(c, now_ns);
  if (c->watches_stale)
    rewatch(c, now_ns);
  if (refute_in_advance(c))
    next_quarter(c, now_ns);
  for (uint32_t i = 0; i < c->watch_count; i++) {
    c->watches[i].again = false;
    rn_round_probe(c, c->watches[i].who, now_ns);
  }
  struct rn_member *who = draw(c, may_probe, NULL);
  if (who != NULL && who->alias)
    rn_round_address(c, &who->addr, now_ns);
  else if (who != NULL)
    rn_round_probe(c, who, now_ns);
  ask_seeds(c, now_ns);
  if (c->rounds % HEAL_ROUNDS == 0) {
    who = draw(c, may_heal, NULL);
    if (who != NULL)
      rn_round_address(c, &who->addr, now_ns);
  }
  sync_sometimes(c, now_ns);
  pull(c, now_ns);
  spread(c, now_ns);
  if (now_ns > c->cfg.tombstone_ns)
    rn_members_bury(c->members, now_ns - c->cfg.tombstone_ns);
}
