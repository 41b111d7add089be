/* cluster/message.c: what stands in our messages, and what others' updates do. */
#include "cluster/cluster_priv.h"

#include <string.h>

#include "util/err.h"

/* Beside the updates: tag, from, an address, the count, seq; in an Ack and a PingReq a second id. */
#define HEAD_BYTES(ids) (4 + 8 + 22 + 8 + 8 + 8 + (ids))

/* How long a suspect may take for the last answer, where we do not doubt ourselves. */
#define LAST_ROUNDS 2u

struct draft {
  uint32_t count;
  size_t left; /* for more updates */
  const struct rn_member *tell[2 + RN_RUMOR_PICK_MAX];
};

static struct rn_bin_str id_of(const struct rn_member *who) {
  return (struct rn_bin_str){ who->id, who->id_len };
}

static void add(struct draft *d, const struct rn_member *who) {
  if (rn_member_bytes(who) > d->left)
    return;
  d->left -= rn_member_bytes(who);
  d->tell[d->count++] = who;
}

static struct draft draft_new(const struct rn_cluster *c, size_t second_id_bytes) {
  return (struct draft){
    .left = RN_CLUSTER_MSG_MAX - HEAD_BYTES(rn_members_self(c->members)->id_len + second_id_bytes)
  };
}

/* Rumors, but nobody twice. */
static void add_rumors(struct rn_cluster *c, struct draft *d, const struct rn_member *to) {
  struct rn_member *picked[RN_RUMOR_PICK_MAX];
  const uint32_t before = d->count;
  uint32_t rounds = rn_rumors_rounds((uint32_t)rn_members_stats(c->members)->alive);
  uint32_t n = rn_rumors_pick(&c->rumors, rounds, to, d->left, picked, RN_RUMOR_PICK_MAX);
  for (uint32_t i = 0; i < n; i++) {
    bool twice = false;
    for (uint32_t k = 0; k < before; k++)
      twice |= d->tell[k] == picked[i];
    if (!twice)
      add(d, picked[i]);
  }
}

/* A node of ours that is suspected hears it in whatever we send it, and can refute it (Lifeguard's buddy system). So does one that has a lower incarnation than it
 * had in its last life, as its clock was set back: nobody believes what it says of itself until it is above. The published ones would believe it. */
static void add_buddy(struct draft *d, const struct rn_member *to) {
  if (to != NULL && (to->state != RN_SWIM_ALIVE || to->behind) && rn_cluster_own(to))
    add(d, to);
}

static size_t put(const struct rn_cluster *c, uint8_t *buf, const struct draft *d,
                  enum rn_swim_type type, const struct rn_addr *addr, struct rn_bin_str to,
                  uint64_t seq) {
  struct rn_bin_writer w = { .buf = buf, .cap = RN_CLUSTER_MSG_MAX };
  rn_swim_put_head(&w, type, id_of(rn_members_self(c->members)), addr, to, d->count);
  for (uint32_t i = 0; i < d->count; i++)
    rn_member_put(&w, d->tell[i]);
  rn_swim_put_seq(&w, seq);
  RN_ASSERT(w.err == RN_OK);
  return w.len;
}

static void emit(const struct rn_cluster *c, const struct ask *a, const struct rn_addr *to,
                 const struct draft *d, const struct rn_member *for_whom, uint64_t wait_ns) {
  uint8_t buf[RN_CLUSTER_MSG_MAX];
  const struct rn_member *me = rn_members_self(c->members);
  size_t len = for_whom != NULL
                   ? put(c, buf, d, RN_SWIM_PING_REQ, &for_whom->addr, id_of(for_whom), a->seq)
                   : put(c, buf, d, RN_SWIM_PING, &me->addr, (struct rn_bin_str){ "", 0 }, a->seq);
  c->io->ask(c->app, a->id, to, wait_ns, buf, len);
}

uint64_t rn_msg_last_ns(const struct rn_cluster *c) {
  return rn_health_stretch_ns(&c->health, LAST_ROUNDS * c->cfg.interval_ns);
}

/* How long an answer is good for something: that of a probe also while others try. */
static uint64_t wait_of(const struct rn_cluster *c, const struct ask *a) {
  const uint64_t probe_ns = rn_health_stretch_ns(&c->health, c->cfg.probe_ns);
  switch (a->purpose) {
  case PROBE:
    return probe_ns + c->cfg.help_ns;
  case HELP:
    return c->cfg.help_ns;
  case RELAY:
    return RN_CLUSTER_RELAY_NS;
  case LAST:
    return rn_msg_last_ns(c);
  default:
    return c->cfg.interval_ns;
  }
}

void rn_msg_ping(struct rn_cluster *c, const struct ask *a, const struct rn_addr *to) {
  struct draft d = draft_new(c, 0);
  /* Who knows us is told of us by rumor; others, and those who read no Ack, each time. */
  if (a->who == NULL || a->purpose == ADDRESS || !rn_cluster_own(a->who))
    add(&d, rn_members_self(c->members));
  add_buddy(&d, a->who);
  add_rumors(c, &d, a->who);
  emit(c, a, to, &d, NULL, wait_of(c, a));
}

void rn_msg_ping_req(struct rn_cluster *c, const struct ask *a, const struct rn_member *for_whom) {
  struct draft d = draft_new(c, for_whom->id_len);
  add_rumors(c, &d, a->who);
  emit(c, a, &a->who->addr, &d, for_whom, wait_of(c, a));
}

void rn_msg_pull(struct rn_cluster *c, const struct ask *a) {
  const struct rn_member *me = rn_members_self(c->members);
  struct draft d = draft_new(c, me->id_len);
  add(&d, me);
  emit(c, a, &a->who->addr, &d, me, wait_of(c, a));
}

void rn_msg_sync(struct rn_cluster *c, const struct ask *a) {
  struct sync *s = &c->syncs[a->slot];
  struct draft d = draft_new(c, 0);
  const bool own = rn_cluster_own(s->to);
  /* Those who are gone matter to those who would bring them back. */
  for (; s->place < rn_members_count(c->members) && d.count < 1 + RN_RUMOR_PICK_MAX; s->place++) {
    const struct rn_member *who = rn_members_at(c->members, s->place);
    if (who->alias || who == s->to || (!own && who->state >= RN_SWIM_FAILED) ||
        rn_member_bytes(who) > RN_RUMOR_BYTES_MAX)
      continue;
    if (rn_member_bytes(who) > d.left)
      break;
    add(&d, who);
  }
  emit(c, a, &s->to->addr, &d, NULL, wait_of(c, a));
}

void rn_msg_ack(struct rn_cluster *c, uint64_t request, struct rn_bin_str to, uint64_t seq) {
  uint8_t buf[RN_CLUSTER_MSG_MAX];
  const struct rn_member *asker = rn_members_by_id(c->members, to);
  /* An id longer than a member's is not repeated whole: nobody compares it. */
  to.len = to.len < RN_MEMBER_ID_MAX ? to.len : RN_MEMBER_ID_MAX;
  while (to.len > 0 && to.len == RN_MEMBER_ID_MAX && ((uint8_t)to.p[to.len] & 0xc0) == 0x80)
    to.len--;
  struct draft d = draft_new(c, to.len);
  add(&d, rn_members_self(c->members));
  /* The published node reads nobody else's. */
  if (asker != NULL && rn_cluster_own(asker)) {
    add_buddy(&d, asker);
    add_rumors(c, &d, asker);
  }
  size_t len = put(c, buf, &d, RN_SWIM_ACK, NULL, to, seq);
  c->io->answer(c->app, request, buf, len);
}

void rn_msg_relayed(struct rn_cluster *c, const struct relay *r, const struct rn_member *who) {
  uint8_t buf[RN_CLUSTER_MSG_MAX];
  struct rn_bin_writer w = { .buf = buf, .cap = sizeof(buf) };
  const bool fits = rn_member_bytes(who) <= RN_RUMOR_BYTES_MAX - RN_MEMBER_ID_MAX;
  rn_swim_put_head(&w, RN_SWIM_ACK, id_of(who), NULL, (struct rn_bin_str){ r->asker, r->asker_len },
                   fits);
  if (fits)
    rn_member_put(&w, who);
  rn_swim_put_seq(&w, r->seq);
  RN_ASSERT(w.err == RN_OK);
  c->io->answer(c->app, r->request, buf, w.len);
}

/* ---- taking in ---- */

static bool same_id(struct rn_bin_str a, struct rn_bin_str b) {
  return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

/* A node bound to every address of its machine gives that one: it is where it comes from. */
static void complete_addr(struct rn_swim_update *u, const struct rn_addr *from) {
  static const uint8_t zero[16];
  if (from == NULL || memcmp(u->addr.ip, zero, sizeof(zero)) != 0)
    return;
  memcpy(u->addr.ip, from->ip, sizeof(u->addr.ip));
  u->addr.family = from->family;
}

static void take(struct rn_cluster *c, struct rn_swim_update *u, struct rn_bin_str sender,
                 const struct rn_addr *from, uint64_t now_ns) {
  const bool himself = same_id(u->node_id, sender);
  struct rn_member *who, *before = rn_members_by_id(c->members, u->node_id);
  const enum rn_swim_state was =
      before != NULL ? (enum rn_swim_state)before->state : RN_SWIM_STATE_COUNT;
  enum rn_member_source source = RN_MEMBER_HEARSAY;
  if (himself) {
    complete_addr(u, from);
    /* An answer comes from no address. */
    const bool asks = from != NULL && before != NULL && !rn_cluster_own(before);
    source = asks ? RN_MEMBER_ASKER : RN_MEMBER_HIMSELF;
  }
  unsigned int changes = rn_members_apply(c->members, u, source, now_ns, &who);
  if (who == NULL)
    return;
  if (who->user != NULL && who->state != RN_SWIM_SUSPECT)
    rn_verdict_acquit(c, who);
  /* The published nodes suspect whom they lost by their own defect. */
  const struct rn_member *by = rn_members_by_id(c->members, sender);
  if (changes & RN_MEMBER_REFUTE && u->state != RN_SWIM_ALIVE && by != NULL && rn_cluster_own(by))
    rn_health_bad(&c->health);
  if (changes != 0)
    rn_cluster_changed(c, who, changes);
  if (who->state == RN_SWIM_SUSPECT && u->state == RN_SWIM_SUSPECT &&
      u->incarnation >= who->incarnation)
    rn_verdict_hearsay(c, who, rn_members_by_id(c->members, sender), changes & RN_MEMBER_STATE,
                       now_ns);
  /* Who was not among us cannot know what we know. */
  if (himself && who->state == RN_SWIM_ALIVE &&
      (was == RN_SWIM_STATE_COUNT || was == RN_SWIM_FAILED || was == RN_SWIM_LEFT))
    rn_round_sync(c, who, now_ns);
}

struct rn_member *rn_msg_updates(struct rn_cluster *c, const struct rn_swim_msg *msg,
                                 const struct rn_addr *from, uint64_t now_ns) {
  struct rn_swim_updates updates = msg->updates;
  struct rn_swim_update u;
  while (rn_swim_next_update(&updates, &u))
    take(c, &u, msg->from, from, now_ns);
  return rn_members_by_id(c->members, msg->from);
}
