/* tests/fuzz/fuzz_cluster.c: one node of a cluster whose other members do and say anything in any order.
 *
 *   1 octet     bits 0, 1: how many members there is room for; bit 2: nobody is asked to help; bit 3: tombstones last 3 s; bit 4: seeds; bit 5: we have an id of
 *               200 octets
 *   then steps  1 octet: low half what, the rest how; most are followed by octets
 *     0, 1      a request comes (see talk below); 2, 3: an answer to a request of ours; in 1 and 3 octets of it are changed
 *     4         an answer without bytes; 5: a request of ours comes to nothing; 6: whoever we asked acknowledges, all of them
 *     7         time goes on to when something is due, and a bit further; 8: by up to 2.5 s or 25 s, all at once; 9: it goes back
 *     10        a tag is set; 11: unset; 12: we leave; 13: a seed; 14: any bytes come as a request; 15: an answer comes twice, or under a wrong number
 *
 * Checked at each step: rn_cluster_check; no member's incarnation gets lower; who had failed or left is there again only by a higher one, or, had he failed, by a
 * message of his own; events say what the table says; what we send is one message of at most RN_CLUSTER_MSG_MAX bytes, goes to others only, tells of no alias and
 * of ourselves what is so; each request is answered once, by what it asked for; numbers of requests are new; after a tick nothing is due. At the end every request
 * was answered. Memory is exactly the footprint. */
#include "fuzz.h"

#include "cluster/cluster.h"
#include "util/err.h"

#define MS        UINT64_C(1000000)
#define STEPS_MAX 200u
#define REQUESTS  (2 * STEPS_MAX)
#define IDS       12u
#define ADDRS     8u
#define MEMBERS   64u
#define MSG_ROOM  16384u

struct asked {
  bool open;
  uint32_t id;
  struct rn_addr to;
  uint64_t seq;
  enum rn_swim_type type;
};

struct request {
  bool answered;
  bool well_formed;
  struct rn_swim_msg msg; /* points into bytes */
  uint8_t bytes[600];     /* of a longer one nothing is compared */
  bool kept;
};

/* What the table said of somebody before the step. */
struct memory {
  char id[RN_MEMBER_ID_MAX + 1];
  uint8_t state;
  bool alias;
  uint64_t incarnation;
};

static struct {
  struct rn_cluster *c;
  void *mem;
  uint64_t now_ns, seq;
  bool left;
  struct asked asked[RN_CLUSTER_ASKS_MAX]; /* by the low bits of the number */
  struct request requests[REQUESTS];
  uint32_t request_count;
  struct memory before[MEMBERS];
  uint32_t before_count;
  uint64_t evicted;
  char speaker[RN_MEMBER_ID_MAX + 1]; /* who sent what came in this step; "" */
  char ids[IDS][300];
  struct rn_addr addrs[ADDRS];
} world;

static struct rn_bin_str text(const char *s) { return (struct rn_bin_str){ s, strlen(s) }; }
static const struct rn_members *table(void) { return rn_cluster_members(world.c); }
static struct rn_member *me(void) { return rn_members_self(table()); }

/* ---- what we say ---- */

static void check_updates(struct rn_swim_updates updates, bool has_us) {
  struct rn_swim_update u;
  bool told = false;
  while (rn_swim_next_update(&updates, &u)) {
    const struct rn_member *who = rn_members_by_id(table(), u.node_id);
    CHECK(who != NULL && !who->alias);
    CHECK(u.incarnation == who->incarnation && (uint8_t)u.state == who->state);
    told |= who == me();
  }
  CHECK(told || !has_us);
}

static void on_ask(void *app, uint32_t id, const struct rn_addr *to, uint64_t wait_ns,
                   const uint8_t *msg, size_t len) {
  struct asked *a = &world.asked[id % RN_CLUSTER_ASKS_MAX];
  struct rn_swim_msg m;
  size_t used;
  CHECK(app == &world && wait_ns > 0 && len > 0 && len <= RN_CLUSTER_MSG_MAX);
  CHECK(rn_swim_get(msg, len, &m, &used) == RN_OK && used == len);
  CHECK(m.type == RN_SWIM_PING || m.type == RN_SWIM_PING_REQ);
  CHECK(m.from.len == me()->id_len && memcmp(m.from.p, me()->id, m.from.len) == 0);
  CHECK(!rn_addr_eq(to, &me()->addr));
  check_updates(m.updates, false);
  CHECK(a->id != id);
  *a = (struct asked){ .open = true, .id = id, .to = *to, .seq = m.seq, .type = m.type };
}

static void on_answer(void *app, uint64_t request, const uint8_t *msg, size_t len) {
  CHECK(app == &world && request < world.request_count && len <= RN_CLUSTER_MSG_MAX);
  struct request *r = &world.requests[request];
  struct rn_swim_msg m;
  size_t used;
  CHECK(!r->answered);
  r->answered = true;
  if (len == 0)
    return;
  CHECK(r->well_formed && rn_swim_get(msg, len, &m, &used) == RN_OK && used == len);
  CHECK(m.type == RN_SWIM_ACK);
  const bool ours = m.from.len == me()->id_len && memcmp(m.from.p, me()->id, m.from.len) == 0;
  check_updates(m.updates, ours);
  if (!r->kept)
    return;
  CHECK(m.seq == r->msg.seq);
  /* Somebody else answers only where we were asked to ask him, which is not the one who asks. */
  const size_t whole = r->msg.from.len;
  const bool for_himself =
      r->msg.to.len == whole && whole > 0 && memcmp(r->msg.to.p, r->msg.from.p, whole) == 0;
  CHECK(ours == (r->msg.type == RN_SWIM_PING || for_himself));
  CHECK(m.to.len == whole || (m.to.len < whole && m.to.len <= RN_MEMBER_ID_MAX));
  CHECK(m.to.len == 0 || memcmp(m.to.p, r->msg.from.p, m.to.len) == 0);
}

static void on_event(void *app, enum rn_cluster_event_type type, const struct rn_member *who) {
  static const uint8_t state_of[RN_CLUSTER_EVENT_COUNT] = { [RN_CLUSTER_SUSPECTED] =
                                                                RN_SWIM_SUSPECT,
                                                            [RN_CLUSTER_FAILED] = RN_SWIM_FAILED,
                                                            [RN_CLUSTER_LEFT] = RN_SWIM_LEFT,
                                                            [RN_CLUSTER_RECOVERED] =
                                                                RN_SWIM_ALIVE };
  CHECK(app == &world && type < RN_CLUSTER_EVENT_COUNT);
  CHECK(rn_members_by_id(table(), (struct rn_bin_str){ who->id, who->id_len }) == who);
  if (state_of[type] != 0 || type == RN_CLUSTER_RECOVERED)
    CHECK(who->state == state_of[type]);
  if (type == RN_CLUSTER_JOINED)
    CHECK(who->state <= RN_SWIM_SUSPECT && who != me());
  if (type == RN_CLUSTER_REFUTED)
    CHECK(who == me() && !world.left);
}

static const struct rn_cluster_io io = { .ask = on_ask, .answer = on_answer, .event = on_event };

/* ---- what others say ---- */

/* talk: 1 octet who says it (low half) and from where; 1 octet: how many updates there are, and in a PingReq for whom; for each 2 octets: who and where; state,
 * incarnation and tags. */

static uint64_t incarnation_of(const char *id, uint8_t kind) {
  const struct rn_member *who = rn_members_by_id(table(), text(id));
  const uint64_t is = who != NULL ? who->incarnation : 7;
  const uint64_t of[8] = { is,  is + 1, is > 0 ? is - 1 : 0, 0,
                           100, is + 5, RN_INCARNATION_MAX,  UINT64_MAX };
  return of[kind & 7];
}

static void put_update(struct rn_bin_writer *w, struct fuzz_in *in) {
  static const char large[] =
      "a value that is as long as it has to be to fill what there is room for before the others "
      "have had theirs, and then a bit longer than that, so that four of them are more than one "
      "message";
  const uint8_t who = fuzz_u8(in), how = fuzz_u8(in), tags = how >> 5;
  const char *id = world.ids[(who & 15) % IDS];
  static const uint8_t count_of[8] = { 0, 1, 1, 2, 5, 3, 1, 0 };
  rn_swim_put_update(w, text(id), &world.addrs[(who >> 4) % ADDRS],
                     incarnation_of(id, how >> 2 & 7), (enum rn_swim_state)(how & 3),
                     count_of[tags]);
  if (tags == 1 || tags == 3 || tags == 4)
    rn_swim_put_tag(w, text(RN_CLUSTER_TAG), text("1"));
  if (tags == 2 || tags == 3)
    rn_swim_put_tag(w, text("role"), text(who & 64 ? "worker" : "director"));
  for (char key[2] = "a"; tags == 4 && key[0] <= 'd'; key[0]++)
    rn_swim_put_tag(w, text(key), text(large));
  for (char key[2] = "c"; tags == 5 && key[0] >= 'a'; key[0]--)
    rn_swim_put_tag(w, text(key), text(""));
  if (tags == 6)
    rn_swim_put_tag(w, text(""), text(large));
}

static size_t talk(struct fuzz_in *in, uint8_t how, const struct asked *answers, uint8_t *buf,
                   struct rn_addr *from) {
  struct rn_bin_writer w = { .buf = buf, .cap = MSG_ROOM };
  const uint8_t who = fuzz_u8(in), what = fuzz_u8(in);
  const uint32_t updates = what & 7;
  enum rn_swim_type type = how & 0x40 ? RN_SWIM_PING_REQ : RN_SWIM_PING;
  uint64_t seq = how & 0x80 ? UINT64_MAX - world.seq++ : world.seq++;
  const char *name = world.ids[(who & 15) % IDS], *to = world.ids[(what >> 3) % IDS];
  *from = world.addrs[(who >> 4) % ADDRS];
  if (answers != NULL) {
    const struct rn_member *asked = rn_members_by_addr(table(), &answers->to);
    type = RN_SWIM_ACK;
    seq = answers->seq + (how >> 6 == 3);
    to = me()->id;
    if (asked != NULL && how >> 6 != 2)
      name = asked->id;
    *from = answers->to;
  }
  rn_swim_put_head(&w, type, text(name), type == RN_SWIM_PING_REQ ? &world.addrs[what & 7] : from,
                   text(to), updates);
  for (uint32_t i = 0; i < updates; i++)
    put_update(&w, in);
  rn_swim_put_seq(&w, seq);
  CHECK(w.err == RN_OK);
  return w.len;
}

static void change(struct fuzz_in *in, uint8_t *buf, size_t len) {
  for (uint32_t n = 1 + fuzz_u8(in) % 3; n > 0; n--) {
    const size_t at = (size_t)fuzz_le(in, 2) % len;
    buf[at] ^= fuzz_u8(in);
  }
}

static void hear(const uint8_t *data, size_t len, const struct rn_addr *from) {
  const uint64_t number = world.request_count++;
  struct request *r = &world.requests[number];
  struct rn_swim_msg m;
  size_t used;
  CHECK(number < REQUESTS);
  uint8_t *msg = fuzz_exact(data, len);
  *r = (struct request){ .kept = len <= sizeof(r->bytes) };
  memcpy(r->bytes, msg, r->kept ? len : 0);
  r->well_formed = rn_swim_get(msg, len, &m, &used) == RN_OK && m.type != RN_SWIM_ACK;
  if (r->well_formed && r->kept)
    CHECK(rn_swim_get(r->bytes, len, &r->msg, &used) == RN_OK);
  if (r->well_formed && m.from.len <= RN_MEMBER_ID_MAX)
    memcpy(world.speaker, m.from.p, m.from.len);
  int err = rn_cluster_heard(world.c, from, number, msg, len, world.now_ns);
  CHECK((err == RN_OK) == r->well_formed && (err == RN_OK || r->answered));
  CHECK(r->answered || (r->well_formed && m.type == RN_SWIM_PING_REQ));
  fuzz_free(msg, len);
}

static struct asked *pick(uint8_t which) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < RN_CLUSTER_ASKS_MAX; i++)
    n += world.asked[i].open;
  n = n > 0 ? which % n : 0;
  for (uint32_t i = 0; i < RN_CLUSTER_ASKS_MAX; i++)
    if (world.asked[i].open && n-- == 0)
      return &world.asked[i];
  return NULL;
}

static void answered(uint32_t id, const uint8_t *data, size_t len) {
  uint8_t *msg = fuzz_exact(data, len);
  struct rn_swim_msg m;
  size_t used;
  if (rn_swim_get(data, len, &m, &used) == RN_OK && m.from.len <= RN_MEMBER_ID_MAX)
    memcpy(world.speaker, m.from.p, m.from.len);
  rn_cluster_answered(world.c, id, msg, len, world.now_ns);
  fuzz_free(msg, len);
}

static void answer(struct fuzz_in *in, uint8_t how) {
  static uint8_t buf[MSG_ROOM];
  struct asked *a = pick(fuzz_u8(in));
  struct rn_addr from;
  if (a == NULL)
    return;
  a->open = false;
  size_t len = talk(in, how, a, buf, &from);
  if ((how & 15) == 3)
    change(in, buf, len);
  const uint32_t id = a->id;
  answered(id, buf, len);
  if ((how & 15) == 15)
    answered(how & 0x10 ? id : id + RN_CLUSTER_ASKS_MAX, buf, len);
}

static void look(void);

/* As honest nodes do. */
static void acknowledge_all(void) {
  for (uint32_t i = 0; i < RN_CLUSTER_ASKS_MAX; i++) {
    struct asked *a = &world.asked[i];
    const struct rn_member *who = a->open ? rn_members_by_addr(table(), &a->to) : NULL;
    uint8_t buf[600];
    struct rn_bin_writer w = { .buf = buf, .cap = sizeof(buf) };
    if (who == NULL || a->type != RN_SWIM_PING)
      continue;
    rn_swim_put_head(&w, RN_SWIM_ACK, text(who->id), NULL, text(me()->id), 0);
    rn_swim_put_seq(&w, a->seq);
    a->open = false;
    answered(a->id, buf, w.len);
    look();
  }
}

/* ---- what the table may not do ---- */

static void remember(void) {
  world.before_count = 0;
  for (uint32_t i = 0; i < rn_members_count(table()); i++) {
    const struct rn_member *who = rn_members_at(table(), i);
    struct memory *m = &world.before[world.before_count++];
    memcpy(m->id, who->id, sizeof(m->id));
    m->state = who->state;
    m->alias = who->alias;
    m->incarnation = who->incarnation;
  }
  world.evicted = rn_members_stats(table())->evicted;
  memset(world.speaker, 0, sizeof(world.speaker));
}

static void compare(const struct memory *m) {
  const struct rn_member *who = rn_members_by_id(table(), text(m->id));
  /* Whoever gave up his place and came again is somebody else; he may have failed and made room for others in one message. */
  if (who == NULL || m->alias || world.evicted != rn_members_stats(table())->evicted)
    return;
  CHECK(who->incarnation >= m->incarnation);
  if (who->incarnation > m->incarnation || who->state >= m->state)
    return;
  CHECK(m->state != RN_SWIM_LEFT && strcmp(world.speaker, m->id) == 0);
}

/* Between steps, and between what happens in one. */
static void look(void) {
  CHECK(rn_cluster_check(world.c) == RN_OK);
  for (uint32_t i = 0; i < world.before_count; i++)
    compare(&world.before[i]);
  CHECK(me()->state == (world.left ? RN_SWIM_LEFT : RN_SWIM_ALIVE));
  remember();
}

/* ---- steps ---- */

static void tick(uint64_t to_ns) {
  world.now_ns = to_ns;
  rn_cluster_tick(world.c, to_ns);
  CHECK(rn_cluster_next_ns(world.c) > to_ns);
}

static void set_tag(struct fuzz_in *in, bool set) {
  static const char *const keys[] = { "role", "zone", RN_CLUSTER_TAG, "a", "b", "c", "", "weight" };
  char value[256];
  const uint8_t what = fuzz_u8(in);
  struct rn_bin_str key = text(keys[what & 7]);
  memset(value, 'v', sizeof(value));
  int err = set ? rn_cluster_tag_set(world.c, key, (struct rn_bin_str){ value, (what >> 3) * 8u })
                : rn_cluster_tag_unset(world.c, key);
  CHECK((err == RN_ERR_INVAL) == ((what & 7) == 2));
  CHECK(err == RN_OK || err == RN_ERR_INVAL || (set && err == RN_ERR_LIMIT));
}

static void hear_talk(struct fuzz_in *in, uint8_t how) {
  static uint8_t buf[MSG_ROOM];
  struct rn_addr from;
  size_t len = talk(in, how, NULL, buf, &from);
  if (how & 1)
    change(in, buf, len);
  hear(buf, len, &from);
}

static void hear_bytes(struct fuzz_in *in) {
  size_t got;
  const uint8_t *bytes = fuzz_bytes(in, fuzz_u8(in), &got);
  hear(bytes, got, &world.addrs[2]);
}

static void end_without(uint8_t which, bool empty) {
  struct asked *a = pick(which);
  if (a == NULL)
    return;
  a->open = false;
  if (empty)
    rn_cluster_answered(world.c, a->id, NULL, 0, world.now_ns);
  else
    rn_cluster_failed(world.c, a->id, world.now_ns);
}

static void pass(struct fuzz_in *in, uint8_t how) {
  const uint64_t next = rn_cluster_next_ns(world.c), arg = fuzz_u8(in);
  if ((how & 15) == 9)
    tick(world.now_ns > 1000 * MS ? world.now_ns - arg * MS : world.now_ns);
  else if ((how & 15) == 8)
    tick(world.now_ns + arg * (how & 0x80 ? 100 : 10) * MS);
  else
    tick((next > world.now_ns ? next : world.now_ns) + (how >> 4) * MS);
}

static void step(struct fuzz_in *in) {
  const uint8_t how = fuzz_u8(in);
  switch (how & 15) {
  case 0:
  case 1:
    hear_talk(in, how);
    break;
  case 2:
  case 3:
  case 15:
    answer(in, how);
    break;
  case 4:
  case 5:
    end_without(fuzz_u8(in), (how & 1) == 0);
    break;
  case 6:
    acknowledge_all();
    break;
  case 10:
  case 11:
    set_tag(in, (how & 1) == 0);
    break;
  case 12:
    world.left = true;
    rn_cluster_leave(world.c, world.now_ns);
    break;
  case 13: {
    int err = rn_cluster_seed(world.c, &world.addrs[fuzz_u8(in) % (ADDRS - 1)]);
    CHECK(err == RN_OK);
    break;
  }
  case 14:
    hear_bytes(in);
    break;
  default:
    pass(in, how);
    break;
  }
  look();
}

/* ---- the world ---- */

static struct rn_addr v4(uint8_t host) {
  return (struct rn_addr){ .ip = { 10, 0, 0, host }, .port = 8080, .family = 4 };
}

static void name_all(void) {
  static const char *const names[] = { "me", "n1", "n2", "n3",
                                       "n4", "n5", "n6", "seed-10.0.0.3:8080",
                                       "" };
  memset(world.ids, 0, sizeof(world.ids));
  for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    strcpy(world.ids[i], names[i]);
  memset(world.ids[9], 'l', RN_MEMBER_ID_MAX);
  memset(world.ids[10], 'm', RN_MEMBER_ID_MAX + 1);
  for (uint32_t i = 0; i < RN_MEMBER_ID_MAX + 1; i += 2) /* cut in the middle of a character */
    memcpy(world.ids[11] + i, "\xc3\xa4", 2);
  for (uint8_t i = 0; i < ADDRS; i++)
    world.addrs[i] = v4(i);
  world.addrs[6] = (struct rn_addr){ .ip = { 0xfd, [15] = 6 }, .port = 8080, .family = 6 };
  world.addrs[7] = (struct rn_addr){ .port = 8080, .family = 4 };
  world.addrs[0] = v4(99); /* ours */
}

static void begin(uint8_t flags) {
  static const uint32_t rooms[] = { 1, 3, 6, MEMBERS };
  static const uint8_t hash_key[16] = { 5 };
  struct rn_cluster_config cfg = { RN_CLUSTER_DEFAULTS(1000 * MS) };
  memset(&world, 0, sizeof(world));
  world.now_ns = 1000 * 1000 * MS;
  for (uint32_t i = 0; i < RN_CLUSTER_ASKS_MAX; i++)
    world.asked[i].id = UINT32_MAX;
  name_all();
  if (flags & 32)
    memset(world.ids[0], 'i', 200);
  cfg.capacity = rooms[flags & 3];
  cfg.indirect_probes = flags & 4 ? 0 : 3;
  cfg.tombstone_ns = flags & 8 ? 3000 * MS : cfg.tombstone_ns;
  const size_t bytes = rn_cluster_footprint(&cfg);
  world.mem = bytes > 0 ? aligned_alloc(64, bytes) : NULL;
  CHECK(world.mem != NULL);
  memset(world.mem, 0x5a, bytes);
  const struct rn_swim_update self = { .node_id = text(world.ids[0]),
                                       .addr = world.addrs[0],
                                       .incarnation = 100,
                                       .state = RN_SWIM_ALIVE };
  CHECK(rn_cluster_init(world.mem, &cfg, &self, flags, hash_key, &io, &world, world.now_ns,
                        &world.c) == RN_OK);
  for (uint8_t i = 0; flags & 16 && i < 3; i++)
    CHECK(rn_cluster_seed(world.c, &world.addrs[i + 1]) == RN_OK);
  remember();
}

/* Whatever is open comes to its end by time alone. */
static void end(void) {
  for (uint32_t i = 0; i < 40; i++) {
    tick(rn_cluster_next_ns(world.c));
    look();
  }
  tick(world.now_ns + 10000 * MS);
  for (uint32_t i = 0; i < 10; i++)
    tick(rn_cluster_next_ns(world.c));
  look();
  for (uint32_t i = 0; i < world.request_count; i++)
    CHECK(world.requests[i].answered);
  free(world.mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct fuzz_in in = { data, data + len };
  if (len == 0)
    return 0;
  begin(fuzz_u8(&in));
  for (uint32_t i = 0; i < STEPS_MAX && fuzz_more(&in); i++)
    step(&in);
  end();
  return 0;
}
