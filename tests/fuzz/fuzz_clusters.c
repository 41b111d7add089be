/* tests/fuzz/fuzz_clusters.c: a few nodes whose network loses, delays, turns round, repeats and changes what they say, and that are killed, started, stopped and
 * told things in any order.
 *
 *   1 octet     bits 0, 1: 2..5 nodes; bit 2: they know each other when it begins
 *   then steps  1 octet: low half what, the rest which; some are followed by octets
 *     0         one message arrives: any of those under way; 1: it gets lost; 2: it arrives changed, in 3 octets; 3: one that arrived long ago arrives again
 *     4, 5      time passes, without anything that arrives: up to 3 s, or to what is due next; 6: up to 25 s in which all messages arrive
 *     7         a node is killed; 8: one is started, its clock at times set back by up to 3 minutes; 9: it is stopped, or goes on
 *     10        a tag is set; 11: unset; 12: a node leaves; 13: the clock of one jumps ahead by up to 25 s; 14: a link is cut in one direction, or is whole
 *     15        the address of a request is that of another node
 *
 * Checked at each step: rn_cluster_check of whoever took part; requests are answered at most once; messages decode, in one packet; a node's incarnation, as long as
 * it runs, does not get lower in any table. At the end the network is whole, every message arrives, and whoever did not leave is started: when nothing was changed or
 * said under a wrong address, all of those know each other within 10 minutes, Alive, at the incarnation and with the tags each has, and nobody else as Alive. */
#include "fuzz.h"

#include "cluster/cluster.h"
#include "util/err.h"

#define MS        UINT64_C(1000000)
#define NODES     5u
#define STEPS_MAX 120u
#define FLIGHT    256u
#define HELD      64u
#define REQUESTS  512u
#define START_NS  (1000 * 1000 * MS)

enum kind { REQUEST, ANSWER, FAILURE };

struct message {
  enum kind kind;
  uint64_t at;
  uint32_t from, to; /* nodes */
  uint32_t life;     /* of `to` for an answer, of `from` for a request */
  uint32_t id;       /* of the asker */
  size_t len;
  uint8_t bytes[RN_CLUSTER_MSG_MAX];
};

struct open_request {
  bool open;
  uint32_t from, from_life, id, at, at_life;
};

struct node {
  struct rn_cluster *c;
  void *mem;
  uint32_t life;
  bool left, frozen;
  uint64_t ahead_ns; /* its clock is */
  uint64_t incarnation[NODES];
  uint32_t of_life[NODES];
};

static struct {
  struct node nodes[NODES];
  uint32_t count, acting;
  uint64_t now_ns;
  bool cut[NODES][NODES];
  bool falsified; /* something was said that nobody had said */
  struct message flight[FLIGHT];
  uint32_t flying;
  struct message old; /* a request that arrived before */
  struct open_request requests[REQUESTS];
  uint64_t request_count;
} world;

static struct rn_bin_str text(const char *s) { return (struct rn_bin_str){ s, strlen(s) }; }
static struct rn_bin_str id_of(uint32_t i) {
  static const char *const ids[NODES] = { "n0", "n1", "n2", "n3", "n4" };
  return text(ids[i]);
}
static struct rn_addr addr_of(uint32_t i) {
  return (struct rn_addr){ .ip = { 10, 0, 0, (uint8_t)(i + 1) }, .port = 8080, .family = 4 };
}
static uint64_t clock_of(const struct node *n) { return world.now_ns + n->ahead_ns; }
static bool runs(uint32_t i) { return world.nodes[i].c != NULL; }

static struct rn_member *view(uint32_t i, uint32_t k) {
  return rn_members_by_id(rn_cluster_members(world.nodes[i].c), id_of(k));
}

/* ---- the network ---- */

/* When there is no more room the oldest one is lost. */
static void send(struct message m) {
  if (world.flying == FLIGHT) {
    memmove(world.flight, world.flight + 1, (FLIGHT - 1) * sizeof(m));
    world.flying--;
  }
  m.at = world.now_ns + MS;
  world.flight[world.flying++] = m;
}

static void take(uint32_t i, struct message *out) {
  *out = world.flight[i];
  memmove(world.flight + i, world.flight + i + 1, (--world.flying - i) * sizeof(*out));
}

static void check_bytes(const uint8_t *msg, size_t len) {
  struct rn_swim_msg m;
  size_t used;
  CHECK(len <= RN_CLUSTER_MSG_MAX && rn_swim_get(msg, len, &m, &used) == RN_OK && used == len);
}

static void on_ask(void *app, uint32_t id, const struct rn_addr *to, uint64_t wait_ns,
                   const uint8_t *msg, size_t len) {
  struct message m = { .kind = REQUEST,
                       .from = world.acting,
                       .to = to->ip[3] - 1u,
                       .life = world.nodes[world.acting].life,
                       .id = id,
                       .len = len };
  CHECK(app == &world && wait_ns > 0);
  check_bytes(msg, len);
  CHECK(world.falsified || (m.to < world.count && m.to != world.acting));
  memcpy(m.bytes, msg, len);
  if (m.to < world.count && !world.cut[m.from][m.to])
    send(m);
}

static void on_answer(void *app, uint64_t request, const uint8_t *msg, size_t len) {
  struct open_request *r = &world.requests[request % REQUESTS];
  CHECK(app == &world && request < world.request_count);
  CHECK(r->open && r->at == world.acting && r->at_life == world.nodes[r->at].life);
  r->open = false;
  struct message m = { .kind = ANSWER,
                       .from = world.acting,
                       .to = r->from,
                       .life = r->from_life,
                       .id = r->id,
                       .len = len };
  if (len > 0) {
    check_bytes(msg, len);
    memcpy(m.bytes, msg, len);
  }
  if (!world.cut[m.from][m.to])
    send(m);
}

static void on_event(void *app, enum rn_cluster_event_type type, const struct rn_member *who) {
  CHECK(app == &world && who != NULL && type < RN_CLUSTER_EVENT_COUNT);
}

static const struct rn_cluster_io io = { .ask = on_ask, .answer = on_answer, .event = on_event };

/* ---- what must hold ---- */

/* A number that was given up long ago may be used again. */
static void look(uint32_t i) {
  struct node *n = &world.nodes[i];
  CHECK(rn_cluster_check(n->c) == RN_OK);
  for (uint32_t k = 0; k < world.count; k++) {
    const struct rn_member *who = view(i, k);
    if (who == NULL)
      continue;
    CHECK(who->incarnation >= n->incarnation[k]);
    n->incarnation[k] = who->incarnation;
  }
}

static bool same(const struct rn_member *a, const struct rn_member *b) {
  return a->incarnation == b->incarnation && rn_tags_eq(&a->tags, &b->tags) &&
         rn_addr_eq(&a->addr, &b->addr);
}

static bool agree(void) {
  for (uint32_t i = 0; i < world.count; i++)
    for (uint32_t k = 0; k < world.count && runs(i); k++) {
      const struct rn_member *who = view(i, k);
      const bool there = runs(k) && !world.nodes[k].left;
      const bool alive = who != NULL && who->state == RN_SWIM_ALIVE;
      if (i == k)
        continue;
      /* Whoever left himself need not hear of the others. */
      if (!world.nodes[i].left && alive != there)
        return false;
      if (!world.nodes[i].left && there && !same(who, view(k, k)))
        return false;
    }
  return true;
}

/* ---- what happens ---- */

static void hear(const struct message *m) {
  const struct rn_addr from = addr_of(m->from);
  struct node *n = &world.nodes[m->to];
  uint8_t *msg = fuzz_exact(m->bytes, m->len);
  if (m->kind == REQUEST) {
    const uint64_t number = world.request_count++;
    world.requests[number % REQUESTS] = (struct open_request){ .open = true,
                                                               .from = m->from,
                                                               .from_life = m->life,
                                                               .id = m->id,
                                                               .at = m->to,
                                                               .at_life = n->life };
    int err = rn_cluster_heard(n->c, &from, number, msg, m->len, clock_of(n));
    CHECK(err == RN_OK || world.falsified);
  } else if (m->kind == ANSWER) {
    rn_cluster_answered(n->c, m->id, msg, m->len, clock_of(n));
  }
  fuzz_free(msg, m->len);
}

/* Messages to whoever is stopped wait. */
static bool deliver(uint32_t i) {
  static struct message m;
  struct node *n = &world.nodes[world.flight[i].to];
  if (n->frozen && n->c != NULL)
    return false;
  take(i, &m);
  if (n->c == NULL || (m.kind == ANSWER && m.life != n->life))
    return true;
  if (m.kind == REQUEST)
    world.old = m;
  world.acting = m.to;
  hear(&m);
  look(m.to);
  return true;
}

static void tick_all(void) {
  for (uint32_t i = 0; i < world.count; i++) {
    struct node *n = &world.nodes[i];
    if (!runs(i) || n->frozen || rn_cluster_next_ns(n->c) > clock_of(n))
      continue;
    world.acting = i;
    rn_cluster_tick(n->c, clock_of(n));
    CHECK(rn_cluster_next_ns(n->c) > clock_of(n));
    look(i);
  }
}

/* The next time at which somebody has something to do, limit_ns at most. */
static uint64_t next_ns(uint64_t limit_ns) {
  for (uint32_t i = 0; i < world.count; i++) {
    const struct node *n = &world.nodes[i];
    if (!runs(i) || n->frozen)
      continue;
    const uint64_t own = rn_cluster_next_ns(n->c);
    const uint64_t at = own > clock_of(n) ? own - n->ahead_ns : world.now_ns;
    limit_ns = at < limit_ns ? at : limit_ns;
  }
  return limit_ns;
}

/* A good network, for so long. */
static void run(uint64_t ns) {
  const uint64_t until = world.now_ns + ns;
  while (world.now_ns < until) {
    uint64_t at = next_ns(until);
    uint32_t first = 0;
    while (first < world.flying && world.nodes[world.flight[first].to].frozen &&
           runs(world.flight[first].to))
      first++;
    if (first < world.flying && world.flight[first].at <= at) {
      world.now_ns = world.flight[first].at > world.now_ns ? world.flight[first].at : world.now_ns;
      deliver(first);
      continue;
    }
    world.now_ns = at > world.now_ns ? at : world.now_ns + (at < until);
    tick_all();
  }
}

/* ---- steps ---- */

static void kill_node(uint32_t i) {
  free(world.nodes[i].mem);
  world.nodes[i].c = NULL;
  world.nodes[i].mem = NULL;
}

static void start_node(uint32_t i, uint64_t back_ns) {
  static const uint8_t hash_key[16] = { 9 };
  struct rn_cluster_config cfg = { RN_CLUSTER_DEFAULTS(1000 * MS) };
  struct node *n = &world.nodes[i];
  cfg.capacity = 16;
  *n = (struct node){ .life = n->life + 1 };
  const struct rn_swim_update self = { .node_id = id_of(i),
                                       .addr = addr_of(i),
                                       .incarnation = n->life + (world.now_ns - back_ns) / MS,
                                       .state = RN_SWIM_ALIVE };
  n->mem = aligned_alloc(64, rn_cluster_footprint(&cfg));
  CHECK(n->mem != NULL);
  CHECK(rn_cluster_init(n->mem, &cfg, &self, world.now_ns ^ i, hash_key, &io, &world, clock_of(n),
                        &n->c) == RN_OK);
  for (uint32_t k = 0; k < world.count; k++) {
    const struct rn_addr seed = addr_of(k);
    CHECK(k == i || rn_cluster_seed(n->c, &seed) == RN_OK);
  }
}

static void falsify(struct fuzz_in *in, uint32_t i) {
  struct message *m = &world.flight[i];
  for (uint32_t n = 0; n < 3 && m->len > 0; n++) {
    const size_t at = (size_t)fuzz_le(in, 2) % m->len;
    m->bytes[at] ^= fuzz_u8(in);
  }
  world.falsified = true;
  deliver(i);
}

static void again(void) {
  if (world.old.len == 0 || !runs(world.old.to) || world.nodes[world.old.to].frozen)
    return;
  world.acting = world.old.to;
  hear(&world.old);
  look(world.old.to);
}

static void on_messages(struct fuzz_in *in, uint8_t what, uint8_t which) {
  static struct message lost;
  if (what == 3) {
    again();
    return;
  }
  if (world.flying == 0)
    return;
  const uint32_t i = (which == 15 ? fuzz_u8(in) : which) % world.flying;
  if (what == 0)
    deliver(i);
  else if (what == 1)
    take(i, &lost);
  else if (what == 2)
    falsify(in, i);
  else {
    world.flight[i].from = (world.flight[i].from + 1) % world.count;
    world.falsified = true;
    deliver(i);
  }
}

static void tag(struct node *n, struct fuzz_in *in, bool set) {
  static const char *const keys[] = { "role", "zone", "a", "b" };
  const uint8_t what = fuzz_u8(in);
  char value[64];
  memset(value, 'a' + (what >> 5), sizeof(value));
  struct rn_bin_str v = { value, what >> 2 & 15 };
  int err = set ? rn_cluster_tag_set(n->c, text(keys[what & 3]), v)
                : rn_cluster_tag_unset(n->c, text(keys[what & 3]));
  CHECK(err == RN_OK);
}

static void on_running(struct fuzz_in *in, uint8_t what, uint32_t i) {
  struct node *n = &world.nodes[i];
  world.acting = i;
  switch (what) {
  case 7:
    kill_node(i);
    return;
  case 9:
    n->frozen = !n->frozen;
    break;
  case 10:
  case 11:
    tag(n, in, what == 10);
    break;
  case 12:
    n->left = true;
    rn_cluster_leave(n->c, clock_of(n));
    break;
  default:
    n->ahead_ns += fuzz_u8(in) * 100 * MS;
    break;
  }
  look(i);
}

static void step(struct fuzz_in *in) {
  const uint8_t how = fuzz_u8(in), what = how & 15, which = how >> 4;
  const uint32_t i = which % world.count;
  switch (what) {
  case 4:
    world.now_ns += (which + 1u) * 200 * MS;
    tick_all();
    break;
  case 5:
    world.now_ns = next_ns(world.now_ns + 1000 * MS);
    tick_all();
    break;
  case 6:
    run((which + 1u) * (which & 8 ? 1600 : 100) * MS);
    break;
  case 8:
    if (!runs(i))
      start_node(i, which >= 8 ? fuzz_u8(in) * 700 * MS : 0);
    break;
  case 14: {
    bool *cut = &world.cut[i][fuzz_u8(in) % world.count];
    *cut = !*cut;
    break;
  }
  case 7:
  case 9:
  case 10:
  case 11:
  case 12:
  case 13:
    if (runs(i))
      on_running(in, what, i);
    break;
  default:
    on_messages(in, what, which);
    break;
  }
}

/* Where they do not agree. */
static void print_views(void) {
  for (uint32_t i = 0; i < world.count; i++)
    for (uint32_t k = 0; k < world.count; k++) {
      const struct rn_member *who = view(i, k);
      fprintf(stderr, "n%u of n%u: ", i, k);
      if (who == NULL)
        fprintf(stderr, "not known\n");
      else
        fprintf(stderr, "state %u, incarnation %llu, %u octets of tags\n", who->state,
                (unsigned long long)who->incarnation, who->tags.bytes);
    }
}

static void heal(void) {
  memset(world.cut, 0, sizeof(world.cut));
  for (uint32_t i = 0; i < world.count; i++) {
    world.nodes[i].frozen = false;
    if (!runs(i))
      start_node(i, 0);
  }
  run(5000 * MS);
  for (uint32_t s = 0; s < 600 && !world.falsified && !agree(); s++)
    run(1000 * MS);
  if (!world.falsified && !agree())
    print_views();
  CHECK(world.falsified || agree());
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct fuzz_in in = { data, data + len };
  if (len == 0)
    return 0;
  const uint8_t flags = fuzz_u8(&in);
  memset(&world, 0, sizeof(world));
  world.count = 2 + (flags & 3);
  world.now_ns = START_NS;
  for (uint32_t i = 0; i < world.count; i++)
    start_node(i, 0);
  if (flags & 4)
    run(4000 * MS);
  for (uint32_t i = 0; i < STEPS_MAX && fuzz_more(&in); i++)
    step(&in);
  heal();
  for (uint32_t i = 0; i < world.count; i++)
    kill_node(i);
  return 0;
}
