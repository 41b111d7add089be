/* tests/unit/cluster/one_node.h: one node, "me", and a world that the test plays: the others are "n<host>" at table.h's addresses. */
#pragma once
#include "rn_test.h"

#include "cluster/cluster.h"
#include "cluster/kring.h"
#include "table.h"
#include "util/err.h"

#define S       UINT64_C(1000000000)
#define MS      UINT64_C(1000000)
#define ASKED   512u
#define LONG_ID 255u

struct asked {
  uint32_t id;
  struct rn_addr to;
  uint64_t wait_ns;
  size_t len;
  uint8_t msg[RN_CLUSTER_MSG_MAX];
};

static struct asked asked[ASKED];
static uint32_t asked_count;
static uint8_t answer_msg[RN_CLUSTER_MSG_MAX];
static size_t answer_len;
static uint64_t answer_to;
static uint32_t answers;
static uint32_t events[RN_CLUSTER_EVENT_COUNT];
static struct rn_cluster *c;
static uint64_t now;
static uint64_t seq_of_others;

static inline void on_ask(void *app, uint32_t id, const struct rn_addr *to, uint64_t wait_ns,
                          const uint8_t *msg, size_t len) {
  (void)app;
  assert_true(len > 0 && len <= RN_CLUSTER_MSG_MAX && wait_ns > 0);
  struct asked *a = &asked[asked_count++ % ASKED];
  *a = (struct asked){ .id = id, .to = *to, .wait_ns = wait_ns, .len = len };
  memcpy(a->msg, msg, len);
}

static inline void on_answer(void *app, uint64_t request, const uint8_t *msg, size_t len) {
  (void)app;
  assert_true(len <= RN_CLUSTER_MSG_MAX);
  answer_to = request;
  answer_len = len;
  answers++;
  if (len > 0)
    memcpy(answer_msg, msg, len);
}

static inline void on_event(void *app, enum rn_cluster_event_type type,
                            const struct rn_member *who) {
  (void)app;
  (void)who;
  events[type]++;
}

static const struct rn_cluster_io io = { .ask = on_ask, .answer = on_answer, .event = on_event };
static const uint8_t hash_key[16] = { 3 };

static inline struct rn_cluster_config config(void) {
  struct rn_cluster_config cfg = { RN_CLUSTER_DEFAULTS(S) };
  cfg.capacity = 256;
  return cfg;
}

static inline void begin(const struct rn_cluster_config *cfg) {
  const struct rn_swim_update self = update("me", 1, 100, RN_SWIM_ALIVE);
  now = S;
  free(c);
  void *mem = aligned_alloc(64, rn_cluster_footprint(cfg));
  assert_non_null(mem);
  assert_int_equal(rn_cluster_init(mem, cfg, &self, 1, hash_key, &io, NULL, now, &c), RN_OK);
  asked_count = answers = 0;
  memset(events, 0, sizeof(events));
}

static inline int setup(void **state) {
  (void)state;
  const struct rn_cluster_config cfg = config();
  begin(&cfg);
  return 0;
}

static inline int teardown(void **state) {
  (void)state;
  int err = rn_cluster_check(c);
  free(c);
  c = NULL;
  return err;
}

/* ---- what others say ---- */

static inline void put_update(struct rn_bin_writer *w, const struct rn_swim_update *u, bool own) {
  rn_swim_put_update(w, u->node_id, &u->addr, u->incarnation, u->state, own);
  if (own)
    rn_swim_put_tag(w, text(RN_CLUSTER_TAG), text("1"));
}

struct said {
  enum rn_swim_type type;
  const char *from;
  uint32_t host; /* of the sender, or for a PingReq of the target */
  const char *to;
  const struct rn_swim_update *updates;
  uint32_t count;
  bool own; /* the updates are of our kind of node */
  uint64_t seq;
};

static inline size_t say(const struct said *s, uint8_t *buf, size_t cap) {
  struct rn_bin_writer w = { .buf = buf, .cap = cap };
  const struct rn_addr addr = addr_of(s->host);
  rn_swim_put_head(&w, s->type, text(s->from), &addr, text(s->to != NULL ? s->to : ""), s->count);
  for (uint32_t i = 0; i < s->count; i++)
    put_update(&w, &s->updates[i], s->own);
  rn_swim_put_seq(&w, s->seq);
  assert_int_equal(w.err, RN_OK);
  return w.len;
}

static inline void hear(const struct said *s) {
  uint8_t buf[8192];
  const struct rn_addr from = addr_of(s->host);
  assert_int_equal(rn_cluster_heard(c, &from, 77, buf, say(s, buf, sizeof(buf)), now), RN_OK);
}

/* A Ping from "n<host>", which says so of itself. */
static inline void hear_ping(uint32_t host, bool own) {
  char id[16];
  snprintf(id, sizeof(id), "n%u", host);
  const struct rn_swim_update u = update(id, host, 1, RN_SWIM_ALIVE);
  hear(&(struct said){ .type = RN_SWIM_PING,
                       .from = id,
                       .host = host,
                       .updates = &u,
                       .count = 1,
                       .own = own,
                       .seq = seq_of_others++ });
}

static inline void hear_of(const char *from, uint32_t from_host, const struct rn_swim_update *u,
                           bool own) {
  hear(&(struct said){ .type = RN_SWIM_PING,
                       .from = from,
                       .host = from_host,
                       .updates = u,
                       .count = 1,
                       .own = own,
                       .seq = seq_of_others++ });
}

static inline void parse(const uint8_t *msg, size_t len, struct rn_swim_msg *out) {
  size_t used;
  assert_int_equal(rn_swim_get(msg, len, out, &used), RN_OK);
  assert_int_equal(used, len);
}

/* The Ack of "n<host>" to that one. */
static inline void ack(const struct asked *a, const char *from, uint64_t seq_off) {
  struct rn_swim_msg m;
  uint8_t buf[512];
  parse(a->msg, a->len, &m);
  const struct said s = { .type = RN_SWIM_ACK, .from = from, .to = "me", .seq = m.seq + seq_off };
  rn_cluster_answered(c, a->id, buf, say(&s, buf, sizeof(buf)), now);
}

/* ---- what we said ---- */

static inline bool is_to(const struct asked *a, uint32_t host) {
  const struct rn_addr addr = addr_of(host);
  return rn_addr_eq(&a->to, &addr);
}

/* The last one to that host, of that type; NULL: none. */
static inline const struct asked *last_to(uint32_t host, enum rn_swim_type type) {
  assert_true(asked_count <= ASKED);
  for (uint32_t i = asked_count; i-- > 0;) {
    struct rn_swim_msg m;
    parse(asked[i].msg, asked[i].len, &m);
    if (m.type == type && is_to(&asked[i], host))
      return &asked[i];
  }
  return NULL;
}

static inline bool tells(const uint8_t *msg, size_t len, const char *id,
                         struct rn_swim_update *out) {
  struct rn_swim_msg m;
  struct rn_swim_update u;
  bool told = false;
  parse(msg, len, &m);
  while (rn_swim_next_update(&m.updates, &u))
    if (u.node_id.len == strlen(id) && memcmp(u.node_id.p, id, u.node_id.len) == 0) {
      assert_false(told); /* twice in one message */
      told = true;
      *out = u;
    }
  return told;
}

static inline struct rn_member *member(uint32_t host) {
  char id[16];
  snprintf(id, sizeof(id), "n%u", host);
  return rn_members_by_id(rn_cluster_members(c), text(id));
}

static inline void run_to(uint64_t to) {
  while (rn_cluster_next_ns(c) <= to) {
    now = rn_cluster_next_ns(c);
    rn_cluster_tick(c, now);
  }
  now = to;
}

/* Everybody but `silent` acknowledges at once; a silent one's helpers say that they could not reach it. */
static inline void run_answering(uint64_t to, uint32_t silent) {
  for (uint32_t seen = asked_count; rn_cluster_next_ns(c) <= to;) {
    now = rn_cluster_next_ns(c);
    rn_cluster_tick(c, now);
    for (; seen < asked_count; seen++) {
      char id[16];
      const struct asked a = asked[seen % ASKED];
      snprintf(id, sizeof(id), "n%u", a.to.ip[3]);
      struct rn_swim_msg m;
      parse(a.msg, a.len, &m);
      if (m.type == RN_SWIM_PING_REQ && (m.to.len != 2 || memcmp(m.to.p, "me", 2) != 0))
        rn_cluster_answered(c, a.id, NULL, 0, now);
      else if (!is_to(&a, silent))
        ack(&a, id, 0);
    }
    asked_count = seen %= ASKED;
  }
  now = to;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
