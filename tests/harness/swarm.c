/* tests/harness/swarm.c */
#include "harness/swarm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/cluster_priv.h"
#include "harness/swarm_priv.h"
#include "util/err.h"

/* A lost packet's content comes again after that, then after twice as long, and so on; a stream whose packets are lost so often is given up. */
#define RETRANSMIT_NS (100 * SWARM_MS)
#define RETRANSMITS   4u

enum kind { TICK, REQUEST, ANSWER };

struct event {
  uint64_t at, order; /* order: of those at one time */
  enum kind kind;
  uint32_t node, life; /* whose; of which of its processes */
  uint32_t from, from_life, id;
  size_t len;
  uint8_t *msg;
};

struct node {
  struct rn_cluster *c;
  struct published *p;
  uint32_t life;
  bool frozen;
  uint64_t slow_ns, tick_ns, ahead_ns, bytes, messages;
  struct event *waiting; /* while frozen, in order */
  uint32_t waiting_count, waiting_room;
};

/* Whom an answer goes to; a place that is not in use has the next such one in id. */
struct request {
  uint32_t from, from_life, id;
};

#define NOBODY UINT32_MAX

struct swarm {
  struct swarm_config cfg;
  swarm_event *on_event;
  swarm_message *on_message;
  void *app;
  struct rn_rng rng;
  uint64_t now, order;
  struct node *nodes;
  uint8_t *cuts; /* from * nodes + to */
  struct event *heap;
  uint32_t count, room;
  struct request *requests;
  uint32_t request_count, request_room, request_spare;
  uint32_t acting; /* the node whose code runs */
  const struct swarm_outside *outside;
  uint32_t outside_node;
};

struct rn_addr swarm_addr(uint32_t i) {
  return (
      struct rn_addr){ .ip = { 10, 1, (uint8_t)(i >> 8), (uint8_t)i }, .port = 8080, .family = 4 };
}

uint32_t swarm_at(const struct rn_addr *a) { return (uint32_t)a->ip[2] << 8 | a->ip[3]; }

void swarm_id(uint32_t i, char out[64]) {
  char addr[RN_ADDR_TEXT_BYTES];
  const struct rn_addr a = swarm_addr(i);
  snprintf(out, 64, "node-%s", rn_addr_text(&a, addr));
}

/* ---- the queue of events ---- */

static bool before(const struct event *a, const struct event *b) {
  return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void push(struct swarm *s, struct event e) {
  if (s->count == s->room) {
    s->room = s->room ? 2 * s->room : 1024;
    s->heap = realloc(s->heap, s->room * sizeof(e));
    RN_ASSERT(s->heap != NULL);
  }
  e.order = s->order++;
  uint32_t i = s->count++;
  for (; i > 0 && before(&e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
    s->heap[i] = s->heap[(i - 1) / 2];
  s->heap[i] = e;
}

static struct event pop(struct swarm *s) {
  const struct event top = s->heap[0], last = s->heap[--s->count];
  uint32_t i = 0;
  for (uint32_t child; (child = 2 * i + 1) < s->count; i = child) {
    if (child + 1 < s->count && before(&s->heap[child + 1], &s->heap[child]))
      child++;
    if (!before(&s->heap[child], &last))
      break;
    s->heap[i] = s->heap[child];
  }
  s->heap[i] = last;
  return top;
}

/* ---- the network ---- */

/* When it gets there; UINT64_MAX: never. */
static uint64_t arrival(struct swarm *s, uint32_t from, uint32_t to) {
  uint64_t at = s->now + s->cfg.delay_min, wait = RETRANSMIT_NS;
  at += rn_rng_below(&s->rng, s->cfg.delay_max - s->cfg.delay_min + 1);
  if (s->nodes[to].slow_ns > 0)
    at += rn_rng_below(&s->rng, s->nodes[to].slow_ns);
  for (uint32_t tries = 0; s->cfg.loss > 0 && rn_rng_unit(&s->rng) < s->cfg.loss; tries++) {
    if (tries == RETRANSMITS)
      return UINT64_MAX;
    at += wait;
    wait *= 2;
  }
  return s->cuts[(size_t)from * s->cfg.nodes + to] ? UINT64_MAX : at;
}

static void transmit(struct swarm *s, struct event e, uint32_t from, const uint8_t *msg,
                     size_t len) {
  e.at = arrival(s, from, e.node);
  s->nodes[from].bytes += len;
  s->nodes[from].messages++;
  if (s->on_message != NULL)
    s->on_message(s->app, from, e.node, e.kind == ANSWER, len, s->now);
  if (e.at == UINT64_MAX)
    return;
  e.len = len;
  e.msg = malloc(len + 1);
  RN_ASSERT(e.msg != NULL);
  if (len > 0)
    memcpy(e.msg, msg, len);
  push(s, e);
}

static void request(struct swarm *s, uint32_t from, const struct rn_addr *to, uint32_t id,
                    const uint8_t *msg, size_t len) {
  uint32_t there = swarm_at(to);
  RN_ASSERT(there < s->cfg.nodes);
  transmit(s,
           (struct event){ .kind = REQUEST,
                           .node = there,
                           .life = s->nodes[there].life,
                           .from = from,
                           .from_life = s->nodes[from].life,
                           .id = id },
           from, msg, len);
}

static uint64_t request_keep(struct swarm *s, const struct event *e) {
  uint32_t i = s->request_spare;
  if (i != NOBODY) {
    s->request_spare = s->requests[i].id;
  } else {
    if (s->request_count == s->request_room) {
      s->request_room = s->request_room ? 2 * s->request_room : 1024;
      s->requests = realloc(s->requests, s->request_room * sizeof(*s->requests));
      RN_ASSERT(s->requests != NULL);
    }
    i = s->request_count++;
  }
  s->requests[i] = (struct request){ e->from, e->from_life, e->id };
  return i;
}

static void answer(struct swarm *s, uint32_t node, uint64_t request, const uint8_t *msg,
                   size_t len) {
  struct request *r = &s->requests[request];
  RN_ASSERT(request < s->request_count && r->from != NOBODY); /* answered once */
  transmit(s, (struct event){ .kind = ANSWER, .node = r->from, .life = r->from_life, .id = r->id },
           node, msg, len);
  *r = (struct request){ .from = NOBODY, .id = s->request_spare };
  s->request_spare = (uint32_t)request;
}

/* ---- our nodes ---- */

static void io_ask(void *app, uint32_t id, const struct rn_addr *to, uint64_t wait_ns,
                   const uint8_t *msg, size_t len) {
  struct swarm *s = app;
  RN_ASSERT(len > 0 && len <= RN_CLUSTER_MSG_MAX && wait_ns > 0);
  request(s, s->acting, to, id, msg, len);
}

static void io_answer(void *app, uint64_t id, const uint8_t *msg, size_t len) {
  struct swarm *s = app;
  RN_ASSERT(len <= RN_CLUSTER_MSG_MAX);
  answer(s, s->acting, id, msg, len);
}

static void io_event(void *app, enum rn_cluster_event_type type, const struct rn_member *who) {
  struct swarm *s = app;
  if (s->on_event != NULL)
    s->on_event(s->app, s->acting, type, who, s->now);
}

static const struct rn_cluster_io io = { .ask = io_ask, .answer = io_answer, .event = io_event };

/* The time of the next tick, as an event of its own; one that comes too early does nothing. */
static void schedule(struct swarm *s, uint32_t i) {
  struct node *n = &s->nodes[i];
  uint64_t next = n->c != NULL ? rn_cluster_next_ns(n->c) : n->p->round_ns;
  next = next > s->now + n->ahead_ns ? next - n->ahead_ns : s->now + 1;
  if (n->slow_ns > 0)
    next += rn_rng_below(&s->rng, n->slow_ns);
  if (n->tick_ns > s->now && n->tick_ns <= next)
    return;
  n->tick_ns = next;
  push(s, (struct event){ .at = next, .kind = TICK, .node = i, .life = n->life });
}

static void seat(struct swarm *s, uint32_t i) {
  struct node *n = &s->nodes[i];
  RN_ASSERT(n->c == NULL && n->p == NULL);
  n->life++;
  n->tick_ns = n->ahead_ns = 0;
  n->frozen = false;
}

void swarm_start(struct swarm *s, uint32_t i, const uint32_t *seeds, uint32_t seed_count) {
  struct rn_cluster_config cfg = { RN_CLUSTER_DEFAULTS(s->cfg.interval_ns) };
  static const uint8_t hash_key[16] = { 7 };
  uint8_t tags[64];
  char id[64];
  struct rn_bin_writer w = { .buf = tags, .cap = sizeof(tags) };
  rn_swim_put_tag(&w, (struct rn_bin_str){ "role", 4 }, (struct rn_bin_str){ "worker", 6 });
  swarm_id(i, id);
  const struct rn_swim_update self = { .node_id = { id, strlen(id) },
                                       .addr = swarm_addr(i),
                                       .incarnation = 1 + s->now / SWARM_MS,
                                       .tags = { .buf = tags, .len = w.len, .left = 1 } };
  cfg.capacity = s->cfg.nodes < 16 ? 16 : s->cfg.nodes + s->cfg.nodes / 4;
  if (s->cfg.suspicion_multiplier != 0)
    cfg.suspicion_multiplier = s->cfg.suspicion_multiplier;
  seat(s, i);
  void *mem = aligned_alloc(64, rn_cluster_footprint(&cfg));
  RN_ASSERT(mem != NULL);
  int err = rn_cluster_init(mem, &cfg, &self, rn_rng_next(&s->rng), hash_key, &io, s, s->now,
                            &s->nodes[i].c);
  RN_ASSERT(err == RN_OK);
  for (uint32_t k = 0; k < seed_count; k++) {
    const struct rn_addr addr = swarm_addr(seeds[k]);
    err = seeds[k] != i ? rn_cluster_seed(s->nodes[i].c, &addr) : RN_OK;
    RN_ASSERT(err == RN_OK);
  }
  schedule(s, i);
}

void swarm_start_published(struct swarm *s, uint32_t i, const uint32_t *seeds,
                           uint32_t seed_count) {
  seat(s, i);
  struct published *p = malloc(sizeof(*p));
  RN_ASSERT(p != NULL);
  published_init(p, i, 1 + s->now / SWARM_MS, s->now + rn_rng_below(&s->rng, s->cfg.interval_ns));
  for (uint32_t k = 0; k < seed_count; k++)
    if (seeds[k] != i)
      published_add(p, seeds[k]);
  s->nodes[i].p = p;
  schedule(s, i);
}

/* ---- what happens ---- */

static void published_step(struct swarm *s, uint32_t i, const struct event *e) {
  struct published *p = s->nodes[i].p;
  uint8_t buf[RN_CLUSTER_MSG_MAX];
  struct rn_addr to;
  uint32_t asked;
  size_t len;
  switch (e->kind) {
  case TICK:
    if (s->now < p->round_ns)
      return;
    p->round_ns = s->now + s->cfg.interval_ns;
    len = published_round(p, buf, sizeof(buf), &to, &asked);
    if (len == 0)
      return;
    request(s, i, &to, asked, buf, len);
    push(s, (struct event){ .at = s->now + s->cfg.interval_ns / 2,
                            .kind = ANSWER,
                            .node = i,
                            .life = s->nodes[i].life,
                            .id = asked });
    return;
  case REQUEST:
    len = published_heard(p, e->msg, e->len, buf, sizeof(buf));
    answer(s, i, request_keep(s, e), buf, len);
    return;
  case ANSWER:
    published_answered(p, e->id, e->msg, e->len);
    return;
  }
}

static void step(struct swarm *s, uint32_t i, const struct event *e) {
  struct rn_cluster *c = s->nodes[i].c;
  const struct rn_addr from = swarm_addr(e->from);
  const uint64_t now = s->now + s->nodes[i].ahead_ns;
  switch (e->kind) {
  case TICK:
    rn_cluster_tick(c, now);
    break;
  case REQUEST: {
    int err = rn_cluster_heard(c, &from, request_keep(s, e), e->msg, e->len, now);
    RN_ASSERT(err == RN_OK);
    break;
  }
  case ANSWER:
    rn_cluster_answered(c, e->id, e->msg, e->len, now);
    break;
  }
  /* The walk takes time in proportion to the members. */
  if (rn_rng_below(&s->rng, s->cfg.nodes) == 0)
    RN_ASSERT(rn_cluster_check(c) == RN_OK);
}

static void happen_outside(struct swarm *s, const struct event *e) {
  const struct rn_addr from = swarm_addr(e->from);
  if (e->kind == REQUEST)
    s->outside->request(s->app, request_keep(s, e), &from, e->msg, e->len);
  else
    s->outside->answer(s->app, e->id, e->msg, e->len);
  free(e->msg);
}

static void happen(struct swarm *s, struct event *e) {
  struct node *n = &s->nodes[e->node];
  if (s->outside != NULL && e->node == s->outside_node) {
    happen_outside(s, e);
    return;
  }
  const bool there = n->c != NULL || n->p != NULL;
  if (there && n->frozen && n->life == e->life) {
    if (n->waiting_count == n->waiting_room) {
      n->waiting_room = n->waiting_room ? 2 * n->waiting_room : 16;
      n->waiting = realloc(n->waiting, n->waiting_room * sizeof(*e));
      RN_ASSERT(n->waiting != NULL);
    }
    n->waiting[n->waiting_count++] = *e;
    return;
  }
  /* A request to a process that is no longer the same one reaches the new one: the connection is made anew. */
  if (there && (n->life == e->life || e->kind == REQUEST)) {
    s->acting = e->node;
    if (n->c != NULL)
      step(s, e->node, e);
    else
      published_step(s, e->node, e);
    schedule(s, e->node);
  }
  free(e->msg);
}

void swarm_run(struct swarm *s, uint64_t ns) {
  const uint64_t until = s->now + ns;
  while (s->count > 0 && s->heap[0].at <= until) {
    struct event e = pop(s);
    s->now = e.at;
    happen(s, &e);
  }
  s->now = until;
}

uint64_t swarm_next(const struct swarm *s) { return s->count > 0 ? s->heap[0].at : UINT64_MAX; }

/* ---- a node elsewhere ---- */

void swarm_outside(struct swarm *s, uint32_t i, const struct swarm_outside *o) {
  RN_ASSERT(s->nodes[i].c == NULL && s->nodes[i].p == NULL);
  s->outside = o;
  s->outside_node = i;
}

void swarm_outside_ask(struct swarm *s, uint32_t i, uint32_t id, const struct rn_addr *to,
                       const uint8_t *msg, size_t len) {
  request(s, i, to, id, msg, len);
}

void swarm_outside_answer(struct swarm *s, uint32_t i, uint64_t number, const uint8_t *msg,
                          size_t len) {
  answer(s, i, number, msg, len);
}

/* ---- what is done to nodes ---- */

static void drop_waiting(struct node *n) {
  for (uint32_t i = 0; i < n->waiting_count; i++)
    free(n->waiting[i].msg);
  free(n->waiting);
  n->waiting = NULL;
  n->waiting_count = n->waiting_room = 0;
}

void swarm_kill(struct swarm *s, uint32_t i) {
  struct node *n = &s->nodes[i];
  free(n->c); /* begins where its memory does */
  free(n->p);
  n->c = NULL;
  n->p = NULL;
  drop_waiting(n);
}

void swarm_freeze(struct swarm *s, uint32_t i, bool frozen) {
  struct node *n = &s->nodes[i];
  n->frozen = frozen;
  for (uint32_t k = 0; !frozen && k < n->waiting_count; k++) {
    n->waiting[k].at = s->now;
    push(s, n->waiting[k]);
  }
  if (!frozen)
    n->waiting_count = 0;
}

void swarm_mute(struct swarm *s, uint32_t i, bool mute) { s->nodes[i].p->mute = mute; }

void swarm_cut(struct swarm *s, uint32_t i, uint32_t k, bool cut) {
  s->cuts[(size_t)i * s->cfg.nodes + k] = cut;
}

void swarm_slow(struct swarm *s, uint32_t i, uint64_t up_to_ns) { s->nodes[i].slow_ns = up_to_ns; }

void swarm_jump(struct swarm *s, uint32_t i, uint64_t ns) {
  s->nodes[i].ahead_ns += ns;
  if (s->nodes[i].c != NULL)
    schedule(s, i);
}

/* Past the protocol, which would have to tell each of each. */
void swarm_acquaint(struct swarm *s) {
  for (uint32_t k = 0; k < s->cfg.nodes; k++) {
    const struct rn_cluster *known = s->nodes[k].c;
    uint8_t buf[RN_CLUSTER_MSG_MAX];
    struct rn_bin_writer w = { .buf = buf, .cap = sizeof(buf) };
    struct rn_swim_update u;
    size_t used;
    if (known == NULL)
      continue;
    rn_member_put(&w, rn_members_self(known->members));
    int err = rn_swim_update_get(buf, w.len, &u, &used);
    RN_ASSERT(err == RN_OK);
    for (uint32_t i = 0; i < s->cfg.nodes; i++) {
      struct rn_cluster *c = s->nodes[i].c;
      if (c == NULL || i == k)
        continue;
      rn_members_apply(c->members, &u, RN_MEMBER_HIMSELF, s->now, NULL);
      c->watches_stale = true;
      c->pull_round = UINT32_MAX;
    }
  }
}

void swarm_tap(struct swarm *s, swarm_message *on_message) { s->on_message = on_message; }

/* ---- the object ---- */

struct swarm *swarm_new(const struct swarm_config *cfg, swarm_event *on_event, void *app) {
  struct swarm *s = calloc(1, sizeof(*s));
  RN_ASSERT(s != NULL && cfg->nodes <= SWARM_NODES_MAX);
  s->cfg = *cfg;
  s->on_event = on_event;
  s->app = app;
  rn_rng_init(&s->rng, cfg->seed);
  s->now = SWARM_S;
  s->request_spare = NOBODY;
  s->nodes = calloc(cfg->nodes, sizeof(*s->nodes));
  s->cuts = calloc(cfg->nodes, cfg->nodes);
  RN_ASSERT(s->nodes != NULL && s->cuts != NULL);
  return s;
}

void swarm_free(struct swarm *s) {
  for (uint32_t i = 0; i < s->cfg.nodes; i++)
    swarm_kill(s, i);
  for (uint32_t i = 0; i < s->count; i++)
    free(s->heap[i].msg);
  free(s->heap);
  free(s->requests);
  free(s->cuts);
  free(s->nodes);
  free(s);
}

uint64_t swarm_now(const struct swarm *s) { return s->now; }
struct rn_cluster *swarm_node(const struct swarm *s, uint32_t i) { return s->nodes[i].c; }
uint64_t swarm_bytes(const struct swarm *s, uint32_t i) { return s->nodes[i].bytes; }
uint64_t swarm_messages(const struct swarm *s, uint32_t i) { return s->nodes[i].messages; }

struct rn_member *swarm_member(const struct swarm *s, uint32_t i, uint32_t k) {
  char id[64];
  swarm_id(k, id);
  return rn_members_by_id(rn_cluster_members(s->nodes[i].c), (struct rn_bin_str){ id, strlen(id) });
}

enum rn_swim_state swarm_view(const struct swarm *s, uint32_t i, uint32_t k) {
  char id[64];
  swarm_id(k, id);
  if (s->nodes[i].p != NULL)
    return published_view(s->nodes[i].p, id);
  const struct rn_member *who = swarm_member(s, i, k);
  return who != NULL ? (enum rn_swim_state)who->state : RN_SWIM_STATE_COUNT;
}
