/* cluster/verdict.c */
#include "cluster/cluster_priv.h"

#include "util/err.h"

#define PHI_THRESHOLD 8.0
/* Intervals count as no more regular than an eighth of themselves: phi is 8 before the second one is over. */
#define PHI_DEVIATION 8u
/* A suspicion that nobody confirms lasts so many times as long as one that others share. */
#define SUSPICION_STRETCH 6u
/* How many who are held for ill and ask us something are asked back in a round. */
#define SECOND_LOOKS 8u

/* ---- suspicion ---- */

static uint64_t number_of(const struct rn_member *who) { return who != NULL ? who->ring[0] : 0; }

/* Those who can confirm: his other watchers. */
static uint32_t watchers_beside(const struct rn_cluster *c, const struct rn_member *who,
                                const struct rn_member *by) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < rn_members_count(c->members) && n < RN_KRING; i++) {
    const struct rn_member *other = rn_members_at(c->members, i);
    n += other != who && other != by && other->state == RN_SWIM_ALIVE && rn_cluster_own(other);
  }
  const bool by_watcher = by != NULL && rn_kring_watches(c->members, by, who, rn_cluster_own);
  return by_watcher && n == RN_KRING ? n - 1 : n;
}

static void charge(struct rn_cluster *c, struct rn_member *who, const struct rn_member *by,
                   uint64_t now_ns) {
  struct suspect *s = rn_slab_take(c->suspect_slab);
  RN_ASSERT(s != NULL); /* there are as many as members */
  s->who = who;
  s->asked = false;
  rn_list_init(&s->node);
  rn_list_push_back(&c->suspects, &s->node);
  uint32_t alive = (uint32_t)rn_members_stats(c->members)->alive;
  uint64_t min_ns =
      rn_suspicion_min_ns(c->cfg.suspicion_multiplier, alive > 0 ? alive : 1, c->cfg.interval_ns);
  rn_suspicion_init(&s->suspicion, now_ns, min_ns, SUSPICION_STRETCH * min_ns,
                    watchers_beside(c, who, by), number_of(by));
  who->user = s;
}

void rn_verdict_acquit(struct rn_cluster *c, struct rn_member *who) {
  struct suspect *s = who->user;
  if (s == NULL)
    return;
  rn_list_remove(&s->node);
  rn_slab_give(c->suspect_slab, s);
  who->user = NULL;
}

static void confirm(struct rn_cluster *c, struct rn_member *who, const struct rn_member *by) {
  struct suspect *s = who->user;
  if (!rn_suspicion_confirm(&s->suspicion, number_of(by)))
    return;
  c->stats.confirmations++;
  rn_rumors_tell(&c->rumors, who);
}

static void suspect(struct rn_cluster *c, struct rn_member *who, uint64_t now_ns) {
  const struct rn_member *me = rn_members_self(c->members);
  if (who->state == RN_SWIM_SUSPECT) {
    confirm(c, who, me);
    return;
  }
  if (!rn_members_judge(c->members, who, RN_SWIM_SUSPECT, now_ns))
    return;
  c->stats.suspicions++;
  charge(c, who, me, now_ns);
  rn_cluster_changed(c, who, RN_MEMBER_STATE);
}

void rn_verdict_hearsay(struct rn_cluster *c, struct rn_member *who, struct rn_member *by,
                        bool is_new, uint64_t now_ns) {
  const struct rn_member *me = rn_members_self(c->members);
  const bool by_watcher =
      by != NULL && by != who && rn_kring_watches(c->members, by, who, rn_cluster_own);
  if (is_new)
    charge(c, who, by_watcher ? by : NULL, now_ns);
  else if (by_watcher)
    confirm(c, who, by);
  const struct watch *w = rn_round_watch(c, who);
  if (!is_new || w == NULL || who == me)
    return;
  /* That a watcher passes it on counts as his word; so one who has just heard from the suspect asks him first, and tells him. */
  if (now_ns - w->phi.heard_ns < c->cfg.interval_ns + c->cfg.probe_ns)
    rn_rumors_forget(&c->rumors, who);
  rn_round_probe(c, who, now_ns);
}

void rn_verdict_expire(struct rn_cluster *c, uint64_t now_ns) {
  for (struct rn_list *at = c->suspects.next; at != &c->suspects; at = at->next) {
    struct suspect *s = RN_LIST_ENTRY(at, struct suspect, node);
    /* What he said to it may have got lost among much other news: whoever gives him up has asked him himself. */
    if (s->asked || rn_suspicion_deadline_ns(&s->suspicion) > now_ns)
      continue;
    const struct ask *last = rn_round_last(c, s->who, now_ns);
    s->asked = last != NULL;
    s->last = last != NULL ? last->id : 0;
  }
}

/* A suspect whose time is over was asked once more. */
static void last_ended(struct rn_cluster *c, struct rn_member *who, uint32_t last, bool answered,
                       uint64_t now_ns) {
  struct suspect *s = who != NULL ? who->user : NULL;
  if (s == NULL || !s->asked || s->last != last)
    return; /* he was cleared, perhaps suspected again */
  s->asked = false;
  if (answered)
    return; /* but did not say of himself that he is alive */
  rn_members_judge(c->members, who, RN_SWIM_FAILED, now_ns);
  rn_verdict_acquit(c, who);
  rn_cluster_changed(c, who, RN_MEMBER_STATE);
}

/* ---- signs of life ---- */

void rn_verdict_heard(struct rn_cluster *c, struct rn_member *who, uint64_t now_ns) {
  struct watch *w = rn_round_watch(c, who);
  if (w != NULL)
    rn_phi_heard(&w->phi, now_ns);
  /* Our own nodes speak for themselves. */
  if (who->state == RN_SWIM_ALIVE || rn_cluster_own(who) ||
      !rn_members_vouch(c->members, who, now_ns))
    return;
  c->stats.vouched++;
  rn_verdict_acquit(c, who);
  rn_cluster_changed(c, who, RN_MEMBER_STATE | RN_MEMBER_INCARNATION);
}

void rn_verdict_asked(struct rn_cluster *c, struct rn_member *who, uint64_t now_ns) {
  if (rn_cluster_own(who))
    rn_verdict_heard(c, who, now_ns);
  /* A published node that no longer answers goes on asking: to have sent something is not to be well. It is asked, and its answer counts. */
  else if (who->state != RN_SWIM_ALIVE && who->state != RN_SWIM_LEFT &&
           c->second_looks++ < SECOND_LOOKS)
    rn_round_address(c, &who->addr, now_ns);
}

static void sync_on(struct rn_cluster *c, uint8_t slot, uint64_t now_ns) {
  struct sync *s = &c->syncs[slot];
  if (s->to == NULL)
    return;
  struct ask *a = s->place < rn_members_count(c->members)
                      ? rn_ask_open(c, SYNC, s->to, c->cfg.interval_ns, now_ns)
                      : NULL;
  if (a == NULL) {
    s->to = NULL;
    return;
  }
  a->slot = slot;
  rn_msg_sync(c, a);
}

static void relay_end(struct rn_cluster *c, const struct ask *a, bool reached) {
  struct relay *r = &c->relays[a->slot];
  if (reached)
    rn_msg_relayed(c, r, a->who);
  else
    c->io->answer(c->app, r->request, NULL, 0);
  r->used = false;
}

void rn_verdict_answer(struct rn_cluster *c, struct ask *a, struct rn_member *from,
                       uint64_t now_ns) {
  const struct ask was = *a;
  /* Somebody else at his address says nothing of him. */
  if ((a->purpose == PROBE || a->purpose == RELAY || a->purpose == LAST) &&
      (a->who == NULL || from != a->who)) {
    if (from != NULL)
      rn_verdict_heard(c, from, now_ns);
    rn_verdict_silence(c, a, false, now_ns);
    return;
  }
  if (was.purpose == RELAY)
    relay_end(c, a, true);
  rn_ask_close(c, a);
  if (was.purpose == PROBE || was.purpose == HELP)
    rn_health_good(&c->health);
  if (from != NULL)
    rn_verdict_heard(c, from, now_ns);
  if (was.purpose == LAST)
    last_ended(c, was.who, was.id, true, now_ns);
  if (was.purpose == SYNC)
    sync_on(c, was.slot, now_ns);
  if (was.purpose != HELP)
    return;
  struct ask *probe = rn_ask_find(c, was.probe);
  if (probe != NULL && probe->who != NULL && probe->who == from)
    rn_ask_close(c, probe);
}

/* ---- silence ---- */

/* Nobody could reach him. Where nobody but us has tried, his own habits are asked: whoever is often late may be late again. */
static void nobody_reached(struct rn_cluster *c, struct ask *probe, uint64_t now_ns) {
  struct rn_member *who = probe->who;
  const uint8_t asked = probe->asked, nacked = probe->nacked;
  rn_ask_close(c, probe);
  if (who == NULL || who->state > RN_SWIM_SUSPECT)
    return;
  struct watch *w = rn_round_watch(c, who);
  if (asked == 0 && w != NULL && who->state == RN_SWIM_ALIVE &&
      now_ns - w->phi.heard_ns < 2 * c->cfg.interval_ns &&
      rn_phi_at(&w->phi, c->cfg.interval_ns / PHI_DEVIATION, now_ns) < PHI_THRESHOLD) {
    c->stats.reprieves++;
    if (!w->again) /* nobody else can ask him, and the next round would be late; once, for the answer may be that there is no way to him now */
      rn_round_probe(c, who, now_ns);
    w->again = true;
    return;
  }
  if (nacked < asked || (asked == 0 && who->state == RN_SWIM_ALIVE))
    rn_health_bad(&c->health);
  suspect(c, who, now_ns);
}

/* One who was asked to try has ended: when all have, there is nothing to wait for. */
static void helper_ended(struct rn_cluster *c, const struct ask *help, bool empty,
                         uint64_t now_ns) {
  struct ask *probe = rn_ask_find(c, help->probe);
  if (probe == NULL || !empty)
    return;
  if (++probe->nacked == probe->asked)
    nobody_reached(c, probe, now_ns);
}

void rn_verdict_silence(struct rn_cluster *c, struct ask *a, bool empty, uint64_t now_ns) {
  const struct ask was = *a;
  switch ((enum purpose)a->purpose) {
  case PROBE:
    if (!a->helped && rn_round_help(c, a, now_ns) > 0)
      return;
    /* The answer to the first Ping is not to be had, but others still try. */
    if (a->helped && a->due_ns > now_ns && a->asked > 0)
      return;
    nobody_reached(c, a, now_ns);
    return;
  case HELP:
    rn_ask_close(c, a);
    helper_ended(c, &was, empty, now_ns);
    return;
  case RELAY:
    relay_end(c, a, false);
    break;
  case SYNC:
    c->syncs[a->slot].to = NULL;
    break;
  case LAST:
    rn_ask_close(c, a);
    last_ended(c, was.who, was.id, false, now_ns);
    return;
  case PULL: /* the next round asks another one */
    c->pull_round = (uint32_t)c->rounds + 1;
    break;
  case ADDRESS:
  case SPREAD:
  case PURPOSE_COUNT:
    break;
  }
  rn_ask_close(c, a);
}
