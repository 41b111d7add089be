/* tests/unit/cluster/test_cluster.c: requests, limits and what is told. What many nodes make of it together: tests/sim/test_cluster.c. */
#include "one_node.h"

/* ---- limits of what is given ---- */

static void a_configuration_out_of_range_is_refused(void **state) {
  (void)state;
  struct rn_cluster_config cfg = config();
  assert_true(rn_cluster_footprint(&cfg) > 0);
#define REFUSED(field, value)                                                                      \
  cfg = config();                                                                                  \
  cfg.field = (value);                                                                             \
  assert_int_equal(rn_cluster_footprint(&cfg), 0)
  REFUSED(capacity, 0);
  REFUSED(interval_ns, 9 * MS);
  REFUSED(interval_ns, 3601 * S);
  REFUSED(probe_ns, MS - 1);
  REFUSED(probe_ns, cfg.interval_ns + 1);
  REFUSED(help_ns, RN_CLUSTER_RELAY_NS);
  REFUSED(indirect_probes, RN_CLUSTER_HELP_MAX + 1);
  REFUSED(suspicion_multiplier, 0);
  REFUSED(suspicion_multiplier, 101);
  REFUSED(tombstone_ns, 0);
}

static void our_own_update_stays_small(void **state) {
  (void)state;
  char value[255], key[2] = "a";
  int err = RN_OK;
  memset(value, 'v', sizeof(value));
  for (uint32_t i = 0; i < 20 && err == RN_OK; i++, key[0]++)
    err = rn_cluster_tag_set(c, text(key), (struct rn_bin_str){ value, 100 });
  assert_int_equal(err, RN_ERR_LIMIT);
  assert_in_range(rn_member_bytes(rn_members_self(rn_cluster_members(c))),
                  RN_CLUSTER_SELF_MAX - 120, RN_CLUSTER_SELF_MAX);
  assert_int_equal(rn_cluster_tag_set(c, text(RN_CLUSTER_TAG), text("2")), RN_ERR_INVAL);
  assert_int_equal(rn_cluster_tag_unset(c, text(RN_CLUSTER_TAG)), RN_ERR_INVAL);
  assert_true(events[RN_CLUSTER_TAGS] >= 2);
  const uint32_t told = events[RN_CLUSTER_TAGS];
  assert_int_equal(rn_cluster_tag_unset(c, text("none")), RN_OK);
  assert_int_equal(events[RN_CLUSTER_TAGS], told);
  assert_int_equal(rn_cluster_tag_unset(c, text("a")), RN_OK);
  assert_int_equal(events[RN_CLUSTER_TAGS], told + 1);
}

static void seeds_are_asked_until_one_is_known(void **state) {
  (void)state;
  for (uint32_t i = 0; i < RN_CLUSTER_SEEDS_MAX; i++) {
    const struct rn_addr seed = addr_of(10 + i);
    assert_int_equal(rn_cluster_seed(c, &seed), RN_OK);
    assert_int_equal(rn_cluster_seed(c, &seed), RN_OK);
  }
  const struct rn_addr more = addr_of(9);
  assert_int_equal(rn_cluster_seed(c, &more), RN_ERR_LIMIT);
  run_to(now + S);
  assert_int_equal(asked_count, RN_CLUSTER_SEEDS_MAX);
  struct rn_swim_update u;
  assert_true(tells(asked[0].msg, asked[0].len, "me", &u));
  run_to(now + S);
  assert_int_equal(asked_count, 2 * RN_CLUSTER_SEEDS_MAX);
  hear_ping(10, true);
  asked_count = 0;
  run_answering(now + 3 * S, 0);
  assert_null(last_to(11, RN_SWIM_PING));
}

/* ---- requests ---- */

static void a_ping_is_answered_with_what_we_are(void **state) {
  (void)state;
  struct rn_swim_msg m;
  struct rn_swim_update u;
  seq_of_others = 4711;
  hear_ping(2, false);
  assert_int_equal(answers, 1);
  assert_int_equal(answer_to, 77);
  parse(answer_msg, answer_len, &m);
  assert_int_equal(m.type, RN_SWIM_ACK);
  assert_int_equal(m.seq, 4711);
  assert_memory_equal(m.from.p, "me", 2);
  assert_int_equal(m.to.len, 2);
  assert_memory_equal(m.to.p, "n2", 2);
  assert_true(tells(answer_msg, answer_len, "me", &u));
  assert_int_equal(u.incarnation, 100);
  assert_int_equal(member(2)->state, RN_SWIM_ALIVE);
  assert_int_equal(events[RN_CLUSTER_JOINED], 1);
}

static void what_is_no_request_is_answered_by_nothing(void **state) {
  (void)state;
  const struct rn_addr from = addr_of(2);
  uint8_t buf[256];
  const struct said s = { .type = RN_SWIM_ACK, .from = "n2", .host = 2, .to = "me" };
  size_t len = say(&s, buf, sizeof(buf));
  assert_int_equal(rn_cluster_heard(c, &from, 5, buf, len, now), RN_ERR_PROTO);
  assert_int_equal(rn_cluster_heard(c, &from, 6, buf, len - 1, now), RN_ERR_SHORT);
  assert_int_equal(answers, 2);
  assert_int_equal(answer_to, 6);
  assert_int_equal(answer_len, 0);
  assert_int_equal(rn_cluster_stats(c)->bad_messages, 2);
}

static void news_goes_to_our_own_nodes_only_in_acks(void **state) {
  (void)state;
  struct rn_swim_update u;
  hear_ping(2, true);
  hear_ping(3, false);
  assert_false(tells(answer_msg, answer_len, "n2", &u));
  hear_ping(2, true);
  assert_true(tells(answer_msg, answer_len, "n3", &u));
}

static void a_message_is_never_too_long(void **state) {
  (void)state;
  char ids[40][LONG_ID + 1];
  for (uint32_t i = 0; i < 40; i++) {
    memset(ids[i], 'a' + (int)(i % 26), LONG_ID);
    ids[i][LONG_ID] = 0;
    ids[i][0] = (char)('A' + i / 26);
    const struct rn_swim_update u = update(ids[i], 2 + i, 1, RN_SWIM_ALIVE);
    hear_of(ids[i], 2 + i, &u, true);
    assert_true(answer_len > 0);
  }
  /* A name too long for a member: no more of it is repeated than of the others. */
  char longer[1000];
  memset(longer, 'x', sizeof(longer) - 1);
  longer[sizeof(longer) - 1] = 0;
  memcpy(longer + 254, "\xc3\xa4", 2); /* cut in its middle */
  hear(&(struct said){ .type = RN_SWIM_PING, .from = longer, .host = 60 });
  struct rn_swim_msg m;
  parse(answer_msg, answer_len, &m);
  assert_int_equal(m.to.len, 254);
  run_to(now + 5 * S); /* on_ask looks at the length */
  assert_true(asked_count > 20);
}

static void somebody_unknown_is_asked_who_he_is(void **state) {
  (void)state;
  const struct rn_addr from = addr_of(9);
  uint8_t buf[256];
  hear(&(struct said){ .type = RN_SWIM_PING, .from = "who", .host = 7 });
  assert_non_null(last_to(7, RN_SWIM_PING));
  /* One that is bound to all addresses: it is where it comes from. */
  struct rn_bin_writer w = { .buf = buf, .cap = sizeof(buf) };
  const struct rn_addr all = { .port = 9000, .family = 4 };
  rn_swim_put_head(&w, RN_SWIM_PING, text("node-0.0.0.0:9000"), &all, text(""), 0);
  rn_swim_put_seq(&w, 0);
  assert_int_equal(rn_cluster_heard(c, &from, 1, buf, w.len, now), RN_OK);
  assert_int_equal(asked[asked_count - 1].to.port, 9000);
  assert_memory_equal(asked[asked_count - 1].to.ip, from.ip, 16);
  for (uint32_t i = 0; i < 50; i++)
    hear(&(struct said){ .type = RN_SWIM_PING, .from = "who", .host = 7 });
  assert_true(asked_count <= 4); /* in one round */
  run_to(now + S);
  hear(&(struct said){ .type = RN_SWIM_PING, .from = "who", .host = 7 });
  assert_true(is_to(&asked[asked_count - 1], 7));
}

/* ---- trying for others ---- */

static void hear_ping_req(uint32_t target, uint64_t seq) {
  char id[16];
  snprintf(id, sizeof(id), "n%u", target);
  hear(&(struct said){
      .type = RN_SWIM_PING_REQ, .from = "n2", .host = target, .to = id, .seq = seq });
}

static void a_ping_req_is_tried(void **state) {
  (void)state;
  struct rn_swim_msg m;
  struct rn_swim_update u;
  hear_ping(2, true);
  hear_ping(3, true);
  answers = asked_count = 0;
  hear_ping_req(3, 200);
  assert_int_equal(answers, 0);
  assert_int_equal(asked_count, 1);
  assert_true(is_to(&asked[0], 3) && asked[0].wait_ns <= RN_CLUSTER_RELAY_NS);
  ack(&asked[0], "n3", 0);
  assert_int_equal(answers, 1);
  parse(answer_msg, answer_len, &m);
  assert_int_equal(m.seq, 200);
  assert_memory_equal(m.from.p, "n3", 2);
  assert_memory_equal(m.to.p, "n2", 2);
  assert_true(tells(answer_msg, answer_len, "n3", &u));
}

static void who_cannot_be_reached_for_others_is_said_in_time(void **state) {
  (void)state;
  hear_ping(2, true);
  hear_ping(3, true);
  run_answering(now + S, 0);
  answers = 0;
  hear_ping_req(3, 1);
  run_answering(now + RN_CLUSTER_RELAY_NS, 3);
  assert_int_equal(answers, 1);
  assert_int_equal(answer_len, 0);
  hear_ping_req(99, 1); /* nobody we know */
  assert_int_equal(answers, 2);
  assert_int_equal(answer_len, 0);
  assert_int_equal(member(3)->state, RN_SWIM_ALIVE); /* 300 ms are no verdict of ours */
}

/* A name made of an address is nobody's: who is there is not known, and whom we name in an answer is told of. */
static void an_alias_is_not_tried_and_asked_for_nothing(void **state) {
  (void)state;
  const struct rn_swim_update alias = update("seed-10.0.0.3:8080", 3, 1, RN_SWIM_ALIVE);
  hear_ping(2, true);
  hear_of("n2", 2, &alias, true); /* with the tag of our nodes */
  answers = 0;
  hear(&(struct said){
      .type = RN_SWIM_PING_REQ, .from = "n2", .host = 3, .to = "seed-10.0.0.3:8080", .seq = 1 });
  assert_int_equal(answers, 1);
  assert_int_equal(answer_len, 0);
  const struct rn_member *who = rn_members_by_id(rn_cluster_members(c), alias.node_id);
  assert_true(who->alias && !rn_cluster_own(who));
  run_answering(now + 3 * S, 0);
  assert_null(last_to(3, RN_SWIM_PING_REQ));
}

static void trying_for_others_is_bounded(void **state) {
  (void)state;
  hear_ping(2, true);
  hear_ping(3, true);
  answers = 0;
  for (uint32_t i = 0; i < RN_CLUSTER_RELAY_MAX; i++)
    hear_ping_req(3, i);
  assert_int_equal(answers, 0);
  hear_ping_req(3, 99);
  assert_int_equal(answers, 1);
  assert_int_equal(answer_len, 0);
  assert_int_equal(rn_cluster_stats(c)->relays_limit, 1);
}

/* ---- telling ---- */

static void who_comes_is_told_all_we_know(void **state) {
  (void)state;
  struct rn_swim_update u;
  for (uint32_t i = 20; i < 80; i++) {
    char id[16];
    snprintf(id, sizeof(id), "n%u", i);
    u = update(id, i, 1, i % 2 ? RN_SWIM_ALIVE : RN_SWIM_FAILED);
    hear_of("n20", 20, &u, false);
  }
  for (int own = 0; own <= 1; own++) {
    bool told[80] = { false };
    const uint32_t host = own ? 2 : 3;
    asked_count = 0;
    hear_ping(host, own);
    for (uint32_t seen = 0; seen < asked_count; seen++) {
      if (!is_to(&asked[seen], host))
        continue;
      for (uint32_t i = 20; i < 80; i++) {
        char id[16];
        snprintf(id, sizeof(id), "n%u", i);
        told[i] |= tells(asked[seen].msg, asked[seen].len, id, &u);
      }
      ack(&asked[seen], own ? "n2" : "n3", 0);
    }
    for (uint32_t i = 21; i < 80; i++) /* the published one is not told of those who are gone */
      assert_int_equal(told[i], i % 2 || own);
    assert_true(asked_count > 1);
  }
  assert_true(rn_cluster_stats(c)->syncs >= 2);
}

static void hear_pull(uint32_t host) {
  char id[16];
  snprintf(id, sizeof(id), "n%u", host);
  hear(&(struct said){ .type = RN_SWIM_PING_REQ, .from = id, .host = host, .to = id, .seq = 9 });
}

/* A PingReq for himself: he cannot mean that he is to be tried. */
static void who_wants_to_be_told_all_is(void **state) {
  (void)state;
  struct rn_swim_msg m;
  hear_ping(2, true);
  hear_ping(3, false);
  run_answering(now + S, 0); /* what they are told as they come */
  const uint64_t syncs = rn_cluster_stats(c)->syncs;
  answers = 0;
  hear_pull(2);
  assert_int_equal(answers, 1);
  parse(answer_msg, answer_len, &m);
  assert_true(m.type == RN_SWIM_ACK && m.seq == 9);
  assert_int_equal(rn_cluster_stats(c)->syncs, syncs + 1);
  hear_pull(2); /* he is being told */
  assert_true(answer_len > 0);
  hear_pull(3); /* a published node does not ask for it */
  assert_int_equal(answer_len, 0);
  hear_pull(4); /* nobody we know */
  assert_int_equal(answer_len, 0);
  assert_int_equal(rn_cluster_stats(c)->syncs, syncs + 1);
  for (uint32_t i = 10; i < 20; i++)
    hear_ping(i, true);
  hear_pull(19);
  assert_int_equal(answer_len, 0); /* others are */
  assert_int_equal(answers, 15);
}

static uint32_t pulls(uint32_t from) {
  uint32_t n = 0;
  for (; from < asked_count; from++) {
    struct rn_swim_msg m;
    parse(asked[from].msg, asked[from].len, &m);
    n += m.type == RN_SWIM_PING_REQ && m.to.len == 2 && memcmp(m.to.p, "me", 2) == 0;
  }
  return n;
}

/* The others may have known us before, and then tell us nothing by themselves. */
static void who_is_new_asks_to_be_told_all(void **state) {
  (void)state;
  hear_ping(2, true);
  run_answering(now + S, 0); /* seeds, if there were any */
  assert_int_equal(pulls(0), 0);
  uint32_t seen = asked_count;
  for (uint32_t i = 3; i < 6; i++) { /* each is more than a sixteenth */
    hear_ping(i, true);
    run_answering(now + S, 0);
    assert_int_equal(pulls(seen), 1);
    seen = asked_count;
  }
  run_answering(now + S, 0); /* nobody new: once more, then not for a while */
  assert_int_equal(pulls(seen), 1);
  seen = asked_count;
  run_answering(now + 9 * S, 0);
  assert_int_equal(pulls(seen), 0);
  run_answering(now + 50 * S, 0);
  assert_in_range(pulls(seen), 1, 2);
}

static void more_news_than_messages_carry_is_told_to_more(void **state) {
  (void)state;
  for (uint32_t i = 2; i < 30; i++)
    hear_ping(i, true);
  for (uint32_t i = 0; i < 40; i++) /* until that is told, and we are no longer new */
    run_answering(now + S, 0);
  asked_count = 0;
  run_answering(now + S, 0);
  const uint64_t before = rn_cluster_stats(c)->asks;
  run_answering(now + 2 * S, 0);
  const uint64_t quiet = rn_cluster_stats(c)->asks - before;
  for (uint32_t i = 100; i < 200; i++) {
    char id[16];
    snprintf(id, sizeof(id), "n%u", i);
    const struct rn_swim_update u = update(id, i, 1, RN_SWIM_FAILED);
    hear_of("n2", 2, &u, true);
  }
  const uint64_t with_news = rn_cluster_stats(c)->asks;
  run_answering(now + 2 * S, 0);
  assert_in_range(rn_cluster_stats(c)->asks - with_news, quiet + 2 * 3, quiet + 2 * 8);
}

static void telling_all_is_bounded(void **state) {
  (void)state;
  for (uint32_t i = 2; i < 10; i++)
    hear_ping(i, true);
  assert_int_equal(rn_cluster_stats(c)->syncs, 4);
  assert_int_equal(rn_cluster_stats(c)->syncs_limit, 4);
}

static void what_is_asked_at_once_is_bounded(void **state) {
  (void)state;
  struct rn_cluster_config cfg = config();
  cfg.indirect_probes = RN_CLUSTER_HELP_MAX;
  begin(&cfg);
  for (uint32_t i = 2; i < 10; i++)
    hear_ping(i, true);
  for (uint32_t i = 10; i < 200; i++)
    hear_ping(i, false);
  run_to(now + 3 * S);
  assert_true(rn_cluster_stats(c)->asks_limit > 0);
  assert_true(rn_cluster_stats(c)->watch_limit > 0);
}

static void a_leave_is_told_at_once_and_not_refuted(void **state) {
  (void)state;
  struct rn_swim_update u;
  hear_ping(2, true);
  run_answering(now + 3 * S, 0);
  asked_count = 0;
  rn_cluster_leave(c, now);
  const struct asked *a = last_to(2, RN_SWIM_PING);
  assert_true(a != NULL && tells(a->msg, a->len, "me", &u));
  assert_int_equal(u.state, RN_SWIM_LEFT);
  rn_cluster_leave(c, now);
  assert_int_equal(events[RN_CLUSTER_LEFT], 1);
  u = update("me", 1, 5000, RN_SWIM_FAILED);
  hear_of("n2", 2, &u, true);
  assert_true(tells(answer_msg, answer_len, "me", &u));
  assert_int_equal(u.state, RN_SWIM_LEFT);
  assert_int_equal(events[RN_CLUSTER_REFUTED], 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    CASE(a_configuration_out_of_range_is_refused),
    CASE(our_own_update_stays_small),
    CASE(seeds_are_asked_until_one_is_known),
    CASE(a_ping_is_answered_with_what_we_are),
    CASE(what_is_no_request_is_answered_by_nothing),
    CASE(news_goes_to_our_own_nodes_only_in_acks),
    CASE(a_message_is_never_too_long),
    CASE(somebody_unknown_is_asked_who_he_is),
    CASE(a_ping_req_is_tried),
    CASE(who_cannot_be_reached_for_others_is_said_in_time),
    CASE(an_alias_is_not_tried_and_asked_for_nothing),
    CASE(trying_for_others_is_bounded),
    CASE(who_comes_is_told_all_we_know),
    CASE(who_wants_to_be_told_all_is),
    CASE(who_is_new_asks_to_be_told_all),
    CASE(more_news_than_messages_carry_is_told_to_more),
    CASE(telling_all_is_bounded),
    CASE(what_is_asked_at_once_is_bounded),
    CASE(a_leave_is_told_at_once_and_not_refuted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
