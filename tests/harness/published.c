/* tests/harness/published.c */
#include <stdio.h>
#include <string.h>

#include "harness/swarm_priv.h"
#include "util/err.h"

static struct rn_bin_str text(const char *s) { return (struct rn_bin_str){ s, strlen(s) }; }

static uint32_t find(const struct published *p, struct rn_bin_str id) {
  uint32_t i = 0;
  while (i < p->count &&
         (strlen(p->members[i].id) != id.len || memcmp(p->members[i].id, id.p, id.len) != 0))
    i++;
  return i;
}

static uint32_t add(struct published *p, struct rn_bin_str id, const struct rn_addr *addr,
                    uint64_t incarnation) {
  RN_ASSERT(p->count < PUBLISHED_MEMBERS && id.len < sizeof(p->members[0].id));
  const uint32_t i = p->count++;
  memset(&p->members[i], 0, sizeof(p->members[i]));
  memcpy(p->members[i].id, id.p, id.len);
  p->members[i].addr = *addr;
  p->members[i].incarnation = incarnation;
  return i;
}

void published_init(struct published *p, uint32_t self, uint64_t incarnation, uint64_t now_ns) {
  char id[64];
  const struct rn_addr addr = swarm_addr(self);
  *p = (struct published){ .self = self, .round_ns = now_ns };
  swarm_id(self, id);
  add(p, text(id), &addr, incarnation);
}

/* A seed's id is not known; the name is made of the address. */
void published_add(struct published *p, uint32_t i) {
  char id[64];
  const struct rn_addr addr = swarm_addr(i);
  swarm_id(i, id);
  if (find(p, text(id)) == p->count)
    add(p, text(id), &addr, 0);
}

static void put_self(const struct published *p, struct rn_bin_writer *w) {
  rn_swim_put_update(w, text(p->members[0].id), &p->members[0].addr, p->members[0].incarnation,
                     p->members[0].state, 1);
  rn_swim_put_tag(w, text("role"), text("worker"));
}

static size_t put(const struct published *p, enum rn_swim_type type, struct rn_bin_str to,
                  uint64_t seq, uint8_t *out, size_t cap) {
  struct rn_bin_writer w = { .buf = out, .cap = cap };
  rn_swim_put_head(&w, type, text(p->members[0].id), &p->members[0].addr, to, 1);
  put_self(p, &w);
  rn_swim_put_seq(&w, seq);
  RN_ASSERT(w.err == RN_OK);
  return w.len;
}

size_t published_round(struct published *p, uint8_t *out, size_t cap, struct rn_addr *to,
                       uint32_t *asked) {
  if (p->count < 2)
    return 0;
  p->next = p->next + 1 < p->count ? p->next + 1 : 1;
  *asked = p->next;
  p->waiting = true;
  *to = p->members[p->next].addr;
  return put(p, RN_SWIM_PING, text(""), p->seq++, out, cap);
}

/* The last writer of an incarnation wins, whoever it is and whomever it is about. */
static void apply(struct published *p, const struct rn_swim_update *u) {
  uint32_t i = find(p, u->node_id);
  if (i == p->count)
    i = add(p, u->node_id, &u->addr, 0);
  if (u->incarnation < p->members[i].incarnation)
    return;
  p->members[i].incarnation = u->incarnation;
  p->members[i].state = u->state;
}

size_t published_heard(struct published *p, const uint8_t *msg, size_t len, uint8_t *out,
                       size_t cap) {
  struct rn_swim_msg m;
  struct rn_swim_update u;
  size_t used;
  int err = rn_swim_get(msg, len, &m, &used);
  RN_ASSERT(err == RN_OK && len <= RN_CLUSTER_MSG_MAX);
  if (m.type != RN_SWIM_PING)
    return 0;
  while (rn_swim_next_update(&m.updates, &u))
    apply(p, &u);
  if (p->mute)
    return 0;
  return put(p, RN_SWIM_ACK, m.from, m.seq, out, cap);
}

void published_answered(struct published *p, uint32_t asked, const uint8_t *msg, size_t len) {
  struct rn_swim_msg m;
  size_t used;
  if (!p->waiting)
    return;
  p->waiting = false;
  if (len > 0 && rn_swim_get(msg, len, &m, &used) == RN_OK) {
    p->members[asked].state = RN_SWIM_ALIVE;
    return;
  }
  p->members[asked].state = RN_SWIM_SUSPECT;
  p->members[asked].incarnation++;
}

enum rn_swim_state published_view(const struct published *p, const char *id) {
  uint32_t i = find(p, text(id));
  return i < p->count ? p->members[i].state : RN_SWIM_STATE_COUNT;
}
