/* tests/unit/cluster/test_verdict.c: what answers and silence mean. */
#include "one_node.h"

/* ---- verdicts ---- */

static void one_missing_answer_is_no_verdict_where_nobody_else_tried(void **state) {
  (void)state;
  hear_ping(2, false);
  run_answering(now + 30 * S, 0);
  const uint64_t silent = now;
  run_answering(silent + 3 * S, 2);
  assert_int_equal(member(2)->state, RN_SWIM_SUSPECT);
  assert_true(rn_cluster_stats(c)->reprieves >= 1);
  /* The round after, and twice the time that an answer may take; not the round after that. */
  assert_in_range((member(2)->since_ns - silent) / MS, 1000, 2550);
  assert_int_equal(events[RN_CLUSTER_SUSPECTED], 1);
  /* One silent for so long has failed: multiplier 4, of so few. */
  run_answering(member(2)->since_ns + 4 * S - 1, 2);
  assert_int_equal(member(2)->state, RN_SWIM_SUSPECT);
  run_answering(now + 7 * S,
                2); /* he has two rounds for the last answer, long ones as we doubt ourselves */
  assert_int_equal(member(2)->state, RN_SWIM_FAILED);
  assert_int_equal(events[RN_CLUSTER_FAILED], 1);
}

/* That there is no way to him is known at once, each time: he is asked once more, not again and again. */
static void who_cannot_be_reached_at_all_is_asked_twice_a_round(void **state) {
  (void)state;
  hear_ping(2, false);
  run_answering(now + 30 * S, 0);
  asked_count = 0;
  for (uint32_t seen = 0, until = 0; until < 5; until++) {
    rn_cluster_tick(c, rn_cluster_next_ns(c) > now ? now = rn_cluster_next_ns(c) : now);
    for (; seen < asked_count && seen < ASKED; seen++)
      rn_cluster_failed(c, asked[seen % ASKED].id, now);
  }
  assert_in_range(asked_count, 2, 10);
}

/* Suspected by hearsay, and what he said to it never came here. */
static void nobody_is_given_up_who_answers_the_last_time(void **state) {
  (void)state;
  for (uint32_t i = 2; i <= 9; i++)
    hear_ping(i, true);
  run_answering(now + 60 * S, 0);
  for (uint32_t host = 2; host <= 9; host++) {
    const struct rn_swim_update u = update(member(host)->id, host, 1, RN_SWIM_SUSPECT);
    const uint32_t asks = asked_count;
    hear_of("n2", 2, &u, true);
    hear_of("n3", 3, &u, true);
    /* Whoever is asked acknowledges, but says nothing of himself. */
    run_answering(now + 60 * S, 0);
    assert_int_equal(member(host)->state, RN_SWIM_SUSPECT);
    assert_true(asked_count != asks);
    /* Then he does. */
    hear_ping(host, true);
    assert_int_equal(member(host)->state, RN_SWIM_ALIVE);
  }
  assert_int_equal(events[RN_CLUSTER_FAILED], 0);
  const struct rn_swim_update u = update("n5", 5, 1, RN_SWIM_SUSPECT);
  hear_of("n2", 2, &u, true);
  run_answering(now + 60 * S, 5);
  assert_int_equal(member(5)->state, RN_SWIM_FAILED);
}

static void others_are_asked_to_try(void **state) {
  (void)state;
  for (uint32_t i = 2; i <= 5; i++)
    hear_ping(i, true);
  run_answering(now + 10 * S, 0);
  asked_count = 0;
  run_to(now + S); /* the round's Pings */
  run_to(now + S / 2);
  uint32_t helped = 0;
  for (uint32_t i = 2; i <= 5; i++) {
    const struct asked *a = last_to(i, RN_SWIM_PING_REQ);
    helped += a != NULL;
    assert_true(a == NULL || a->wait_ns > RN_CLUSTER_RELAY_NS);
  }
  assert_true(helped >= 2);
}

static void who_is_reached_by_others_is_alive(void **state) {
  (void)state;
  hear_ping(2, true);
  hear_ping(3, true);
  run_answering(now + 10 * S, 0);
  for (uint32_t round = 0; round < 5; round++) {
    asked_count = 0;
    const uint64_t end = now + S;
    for (uint32_t seen = 0; rn_cluster_next_ns(c) <= end;) {
      now = rn_cluster_next_ns(c);
      rn_cluster_tick(c, now);
      for (; seen < asked_count; seen++) {
        struct rn_swim_msg m;
        parse(asked[seen].msg, asked[seen].len, &m);
        if (is_to(&asked[seen], 3)) /* answers for itself and, where it was asked, for 2 */
          ack(&asked[seen], m.type == RN_SWIM_PING_REQ ? "n2" : "n3", 0);
      }
    }
    now = end;
  }
  assert_int_equal(member(2)->state, RN_SWIM_ALIVE);
  assert_int_equal(rn_cluster_health(c), 0);
}

static void helpers_that_could_not_either_end_the_wait(void **state) {
  (void)state;
  hear_ping(2, true);
  hear_ping(3, true);
  run_answering(now + 10 * S, 0);
  const uint64_t silent = now;
  run_answering(silent + 3 * S, 2);
  assert_int_equal(member(2)->state, RN_SWIM_SUSPECT);
  assert_true(member(2)->since_ns - silent <= S + S / 2);
  assert_int_equal(rn_cluster_health(c), 0); /* they answered: it is not us */
}

static void helpers_that_are_silent_too_make_us_doubt_ourselves(void **state) {
  (void)state;
  for (uint32_t i = 2; i <= 4; i++)
    hear_ping(i, true);
  run_answering(now + 10 * S, 0);
  run_to(now + 3 * S);
  assert_true(rn_cluster_health(c) > 0);
}

static void somebody_else_at_his_address_is_not_he(void **state) {
  (void)state;
  hear_ping(2, false);
  run_answering(now + 5 * S, 0);
  for (uint32_t i = 0; i < 5; i++) {
    asked_count = 0;
    run_to(now + S);
    const struct asked *a = last_to(2, RN_SWIM_PING);
    if (a != NULL)
      ack(a, "n44", 0);
  }
  assert_int_equal(member(2)->state, RN_SWIM_SUSPECT);
}

static void an_answer_that_does_not_fit_is_none(void **state) {
  (void)state;
  hear_ping(2, false);
  run_answering(now + 5 * S, 0);
  asked_count = 0;
  run_to(now + S);
  const struct asked *a = last_to(2, RN_SWIM_PING);
  const uint64_t answered = rn_cluster_stats(c)->answers;
  ack(a, "n2", 1);
  assert_int_equal(rn_cluster_stats(c)->bad_messages, 1);
  ack(a, "n2", 0); /* too late: the request is over */
  rn_cluster_failed(c, a->id, now);
  rn_cluster_failed(c, 12345678, now);
  assert_int_equal(rn_cluster_stats(c)->answers, answered);
}

/* Whoever watches and says so shortens the time that a suspect has. */
static uint64_t fails_after(uint32_t confirmers) {
  const struct rn_cluster_config cfg = config();
  begin(&cfg);
  for (uint32_t i = 2; i <= 9; i++)
    hear_ping(i, true);
  run_answering(now + 5 * S, 0);
  const struct rn_member *whom = NULL;
  for (uint32_t i = 2; i <= 9 && whom == NULL; i++) /* one that we do not watch ourselves */
    if (!rn_kring_watches(rn_cluster_members(c), rn_members_self(rn_cluster_members(c)), member(i),
                          rn_cluster_own))
      whom = member(i);
  assert_non_null(whom);
  const struct rn_swim_update u = update(whom->id, whom->addr.ip[3], 1, RN_SWIM_SUSPECT);
  for (uint32_t i = 2; i <= 9; i++) { /* those who do not watch pass it on; that says nothing */
    const bool watches = rn_kring_watches(rn_cluster_members(c), member(i), whom, rn_cluster_own);
    if (member(i) == whom || (watches && confirmers == 0))
      continue;
    confirmers -= watches;
    hear_of(member(i)->id, i, &u, true);
    hear_of(member(i)->id, i, &u, true);
  }
  assert_int_equal(whom->state, RN_SWIM_SUSPECT);
  const uint64_t from = whom->since_ns;
  while (whom->state != RN_SWIM_FAILED)
    run_answering(now + S, whom->addr.ip[3]);
  return whom->since_ns - from;
}

static void watchers_that_agree_shorten_the_suspicion(void **state) {
  (void)state;
  const uint64_t by_none = fails_after(0), by_all = fails_after(3);
  assert_true(by_all >= 4 * S);
  assert_true(by_none > by_all + 3 * S);
}

static void who_watches_and_hears_him_does_not_pass_it_on(void **state) {
  (void)state;
  struct rn_swim_update u = update("n2", 2, 1, RN_SWIM_SUSPECT);
  hear_ping(2, true);
  hear_ping(3, true);
  run_answering(now + 60 * S, 0); /* all news is told */
  asked_count = 0;
  hear_of("n3", 3, &u, true);
  assert_int_equal(member(2)->state, RN_SWIM_SUSPECT);
  const struct asked *a = last_to(2, RN_SWIM_PING);
  assert_non_null(a); /* at once */
  assert_true(tells(a->msg, a->len, "n2", &u));
  assert_int_equal(u.state, RN_SWIM_SUSPECT);
  assert_false(tells(answer_msg, answer_len, "n2", &u));
}

static void a_suspect_is_told_each_time(void **state) {
  (void)state;
  struct rn_cluster_config cfg = config();
  cfg.suspicion_multiplier = 100;
  begin(&cfg);
  hear_ping(2, true);
  run_to(now + 5 * S);
  assert_int_equal(member(2)->state, RN_SWIM_SUSPECT);
  struct rn_swim_update u;
  uint32_t told = 0;
  asked_count = 0;
  run_to(now + 60 * S);
  assert_int_equal(member(2)->state, RN_SWIM_SUSPECT);
  for (uint32_t i = 0; i < asked_count; i++) {
    assert_true(tells(asked[i].msg, asked[i].len, "n2", &u));
    assert_int_equal(u.state, RN_SWIM_SUSPECT);
    told++;
  }
  assert_true(told > 2 * rn_rumors_rounds(2)); /* longer than it is a rumor */
}

/* Whoever was started anew with a clock that was set back has to learn it from others: nobody believes him before. */
static void who_is_behind_is_told_how_far(void **state) {
  (void)state;
  struct rn_swim_update u = update("n2", 2, 100, RN_SWIM_ALIVE);
  hear_of("n2", 2, &u, true);
  u.incarnation = 7;
  hear_of("n2", 2, &u, true);
  struct rn_swim_update told;
  assert_true(tells(answer_msg, answer_len, "n2", &told));
  assert_int_equal(told.incarnation, 100);
  u.incarnation = 101;
  hear_of("n2", 2, &u, true);
  assert_false(tells(answer_msg, answer_len, "n2", &told));
  assert_int_equal(member(2)->incarnation, 101);
}

static void a_published_suspect_is_not_told(void **state) {
  (void)state;
  struct rn_swim_update u;
  hear_ping(2, false);
  run_to(now + 4 * S);
  assert_int_equal(member(2)->state, RN_SWIM_SUSPECT);
  asked_count = 0;
  run_to(now + 3 * S);
  const struct asked *a = last_to(2, RN_SWIM_PING);
  assert_non_null(a);
  assert_false(tells(a->msg, a->len, "n2", &u));
}

static void we_vouch_for_a_published_node_that_we_hear(void **state) {
  (void)state;
  const struct rn_swim_update u = update("n2", 2, 6, RN_SWIM_SUSPECT);
  hear_ping(2, false);
  hear_ping(3, true);
  hear_of("n3", 3, &u, false);
  assert_int_equal(member(2)->state, RN_SWIM_SUSPECT);
  asked_count = 0;
  run_answering(now + S, 0);
  assert_int_equal(member(2)->state, RN_SWIM_ALIVE);
  assert_int_equal(member(2)->incarnation, 7);
  assert_int_equal(events[RN_CLUSTER_RECOVERED], 1);
  assert_int_equal(rn_cluster_stats(c)->vouched, 1);
}

/* A published node whose heartbeats are stopped ends what it is asked, and goes on asking; its last word of itself may be in that. */
static void run_mute(uint64_t to, uint32_t host) {
  uint64_t ping_ns = now;
  while (now < to) {
    asked_count = 0;
    hear_ping(host, false);
    ping_ns += S;
    run_answering(ping_ns, host);
  }
}

static void a_published_node_that_asks_and_does_not_answer_is_suspect(void **state) {
  (void)state;
  hear_ping(2, false);
  run_answering(now + 30 * S, 0);
  const uint64_t mute_ns = now;
  run_mute(now + 8 * S, 2);
  assert_int_equal(member(2)->state, RN_SWIM_SUSPECT);
  assert_true(member(2)->since_ns - mute_ns < 3 * S);
  run_mute(now + 60 * S, 2);
  assert_int_equal(member(2)->state, RN_SWIM_FAILED);
  assert_int_equal(events[RN_CLUSTER_SUSPECTED], 1);
  assert_int_equal(events[RN_CLUSTER_RECOVERED], 0);
  /* He is asked when he asks, which he does each round, and his answer counts. */
  asked_count = 0;
  hear_ping(2, false);
  const struct asked *a = last_to(2, RN_SWIM_PING);
  assert_non_null(a);
  ack(a, "n2", 0);
  assert_int_equal(member(2)->state, RN_SWIM_ALIVE);
  assert_int_equal(events[RN_CLUSTER_RECOVERED], 1);
}

static void a_published_suspect_that_was_started_anew_is_alive(void **state) {
  (void)state;
  hear_ping(2, false);
  run_answering(now + 30 * S, 0);
  run_answering(now + 3 * S, 2);
  assert_int_equal(member(2)->state, RN_SWIM_SUSPECT);
  const struct rn_swim_update u = update("n2", 2, 9, RN_SWIM_ALIVE);
  hear_of("n2", 2, &u, false);
  assert_int_equal(member(2)->state, RN_SWIM_ALIVE);
}

/* However many of the ill ask, and however often. */
static void the_ill_who_ask_are_asked_a_few_times_a_round(void **state) {
  (void)state;
  for (uint32_t i = 2; i <= 30; i++)
    hear_ping(i, false);
  run_answering(now + 5 * S, 0);
  run_to(now + 10 * S);
  for (uint32_t i = 2; i <= 30; i++)
    assert_int_not_equal(member(i)->state, RN_SWIM_ALIVE);
  asked_count = 0;
  for (uint32_t i = 2; i <= 30; i++)
    for (uint32_t k = 0; k < 3; k++)
      hear_ping(i, false);
  assert_in_range(asked_count, 1, 8);
}

static void we_refute(void **state) {
  (void)state;
  struct rn_swim_update u = update("me", 1, 150, RN_SWIM_SUSPECT);
  hear_ping(2, true);
  hear_of("n2", 2, &u, true);
  assert_int_equal(events[RN_CLUSTER_REFUTED], 1);
  assert_int_equal(rn_cluster_health(c), 1);
  assert_true(tells(answer_msg, answer_len, "me", &u)); /* in the very answer */
  assert_int_equal(u.incarnation, 151);
  assert_int_equal(u.state, RN_SWIM_ALIVE);
}

static void lost_time_is_nobody_elses_fault(void **state) {
  (void)state;
  for (uint32_t i = 2; i <= 5; i++)
    hear_ping(i, true);
  run_answering(now + 10 * S, 0);
  run_to(now + S); /* asked, not answered yet */
  now += 30 * S;
  rn_cluster_tick(c, now);
  assert_int_equal(rn_cluster_stats(c)->lost_time, 1);
  run_to(now + S / 4);
  for (uint32_t i = 2; i <= 5; i++)
    assert_int_equal(member(i)->state, RN_SWIM_ALIVE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    CASE(one_missing_answer_is_no_verdict_where_nobody_else_tried),
    CASE(who_cannot_be_reached_at_all_is_asked_twice_a_round),
    CASE(nobody_is_given_up_who_answers_the_last_time),
    CASE(others_are_asked_to_try),
    CASE(who_is_reached_by_others_is_alive),
    CASE(helpers_that_could_not_either_end_the_wait),
    CASE(helpers_that_are_silent_too_make_us_doubt_ourselves),
    CASE(somebody_else_at_his_address_is_not_he),
    CASE(an_answer_that_does_not_fit_is_none),
    CASE(watchers_that_agree_shorten_the_suspicion),
    CASE(who_watches_and_hears_him_does_not_pass_it_on),
    CASE(a_suspect_is_told_each_time),
    CASE(who_is_behind_is_told_how_far),
    CASE(a_published_suspect_is_not_told),
    CASE(we_vouch_for_a_published_node_that_we_hear),
    CASE(a_published_node_that_asks_and_does_not_answer_is_suspect),
    CASE(a_published_suspect_that_was_started_anew_is_alive),
    CASE(the_ill_who_ask_are_asked_a_few_times_a_round),
    CASE(we_refute),
    CASE(lost_time_is_nobody_elses_fault),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
