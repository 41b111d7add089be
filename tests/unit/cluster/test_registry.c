/* tests/unit/cluster/test_registry.c */
#include "rn_test.h"

#include "cluster/balance/balance.h"
#include "cluster/registry.h"
#include "table.h"
#include "util/err.h"
#include "util/rng.h"

static struct rn_members *members;
static struct rn_registry *reg;
static uint64_t incarnation;

static int start_with(struct rn_registry_limits lim) {
  members = table_new(256, NULL, NULL, 0);
  incarnation = 10;
  void *mem = aligned_alloc(64, rn_registry_footprint(&lim));
  assert_non_null(mem);
  memset(mem, 0x5a, rn_registry_footprint(&lim));
  return rn_registry_init(mem, &lim, 1000, &reg);
}

static int start(void **state) {
  (void)state;
  return start_with((struct rn_registry_limits){ .routes = 8, .workers = 100, .slots = 200 });
}

static int stop(void **state) {
  (void)state;
  free(members);
  free(reg);
  return 0;
}

/* "n<host>" with the tags "key=value ..." . */
static struct rn_member *put(uint32_t host, enum rn_swim_state state, const char *tags) {
  uint8_t buf[1000];
  struct rn_bin_writer w = { .buf = buf, .cap = sizeof(buf) };
  struct rn_tags t = { 0 };
  struct rn_swim_update u;
  struct rn_member *who;
  char id[16], text_buf[200], *save = NULL;
  size_t used;
  snprintf(id, sizeof(id), "n%u", host);
  snprintf(text_buf, sizeof(text_buf), "%s", tags);
  for (char *s = strtok_r(text_buf, " ", &save); s != NULL; s = strtok_r(NULL, " ", &save))
    assert_int_equal(rn_registry_want(&t, s, strlen(s)), RN_OK);
  struct rn_addr addr = addr_of(host);
  rn_swim_put_update(&w, text(id), &addr, ++incarnation, state, t.count);
  rn_tags_put(&w, &t);
  assert_int_equal(rn_swim_update_get(buf, w.len, &u, &used), RN_OK);
  rn_members_apply(members, &u, RN_MEMBER_HEARSAY, host, &who);
  return who;
}

static struct rn_registry_route route(const char *pattern, const char *want) {
  struct rn_registry_route r = { 0 };
  assert_int_equal(rn_route_set_pattern(&r.route, pattern, strlen(pattern)), RN_OK);
  if (want != NULL)
    assert_int_equal(rn_registry_want(&r.want, want, strlen(want)), RN_OK);
  return r;
}

static void one_route(const char *want) {
  struct rn_registry_route r = route("*", want);
  assert_int_equal(rn_registry_set_routes(reg, &r, 1), RN_OK);
}

/* The worker "n<host>" of a route, or NULL. */
static const struct rn_bal_worker *worker(uint32_t route_idx, uint32_t host) {
  char id[16];
  int n = snprintf(id, sizeof(id), "n%u", host);
  const struct rn_bal_pool *p = rn_registry_pool(reg, route_idx);
  uint32_t i = rn_bal_pool_find(p, rn_bal_key(id, (size_t)n));
  return i < p->count ? &rn_bal_pool_workers(p)[i] : NULL;
}

static uint32_t refresh(void) {
  uint32_t n = rn_registry_refresh(reg, members);
  assert_int_equal(rn_registry_check(reg), RN_OK);
  return n;
}

static void limits_out_of_range_are_refused(void **state) {
  (void)state;
  struct rn_registry_limits good = { 8, 100, 200 }, lim = good;
  struct rn_registry *r = NULL;
  char mem[8];
  lim.routes = RN_ROUTES_MAX + 1;
  assert_int_equal(rn_registry_footprint(&lim), 0);
  lim = good, lim.workers = RN_BAL_WORKERS_MAX + 1;
  assert_int_equal(rn_registry_footprint(&lim), 0);
  lim = good, lim.slots = 0;
  assert_int_equal(rn_registry_footprint(&lim), 0);
  assert_int_equal(rn_registry_init(mem, &lim, 1, &r), RN_ERR_INVAL);
  assert_null(r);
  struct rn_registry_route nine[9];
  char pattern[16];
  for (uint32_t i = 0; i < 9; i++) {
    snprintf(pattern, sizeof(pattern), "m%u", i);
    nine[i] = route(pattern, NULL);
  }
  assert_int_equal(rn_registry_set_routes(reg, nine, 9), RN_ERR_LIMIT);
  assert_int_equal(rn_registry_set_routes(reg, nine, 8), RN_OK);
  nine[1] = nine[0];
  assert_int_equal(rn_registry_set_routes(reg, nine, 3), RN_ERR_EXIST);
  assert_int_equal(rn_registry_routes(reg)->count, 8);
}

static void wants_are_pairs(void **state) {
  (void)state;
  struct rn_tags t = { 0 };
  struct rn_bin_str v;
  char big[300];
  memset(big, 'a', sizeof(big));
  big[1] = '=';
  assert_int_equal(rn_registry_want(&t, "role", 4), RN_ERR_INVAL);
  assert_int_equal(rn_registry_want(&t, "=worker", 7), RN_ERR_INVAL);
  assert_int_equal(rn_registry_want(&t, "", 0), RN_ERR_INVAL);
  assert_int_equal(rn_registry_want(&t, big, sizeof(big)), RN_ERR_LIMIT);
  assert_int_equal(rn_registry_want(&t, "a=b=c", 5), RN_OK);
  assert_true(rn_tags_get(&t, text("a"), &v));
  assert_int_equal(v.len, 3);
}

static void only_the_alive_others_with_the_tags_are_workers(void **state) {
  (void)state;
  one_route("role=worker");
  put(2, RN_SWIM_ALIVE, "role=worker gpu=a");
  put(3, RN_SWIM_ALIVE, "role=director");
  put(4, RN_SWIM_ALIVE, "");
  put(5, RN_SWIM_SUSPECT, "role=worker");
  put(6, RN_SWIM_FAILED, "role=worker");
  put(7, RN_SWIM_LEFT, "role=worker");
  put(8, RN_SWIM_ALIVE, "role=worker draining=1");
  put(9, RN_SWIM_ALIVE, "role=worker draining=no");
  put(10, RN_SWIM_ALIVE, "role=worker weight=0");
  struct rn_swim_update seed = update("seed-10.0.0.11:8080", 11, 0, RN_SWIM_ALIVE);
  rn_members_apply(members, &seed, RN_MEMBER_HEARSAY, 1, NULL);
  assert_int_equal(rn_members_tag_set(members, text("role"), text("worker")), RN_OK);
  assert_int_equal(refresh(), 1);
  const struct rn_bal_pool *p = rn_registry_pool(reg, 0);
  assert_int_equal(p->count, 2);
  assert_non_null(worker(0, 2));
  assert_non_null(worker(0, 9));
  assert_int_equal(rn_registry_stats(reg)->workers, 2);
  struct rn_addr addr = addr_of(9);
  assert_true(rn_addr_eq(&worker(0, 9)->addr, &addr));
  assert_int_equal(worker(0, 9)->text_len, 2);
  assert_memory_equal(rn_bal_pool_text(p, worker(0, 9)), "n9", 2);
}

static void without_a_filter_all_others_are_workers(void **state) {
  (void)state;
  one_route(NULL);
  for (uint32_t i = 2; i < 12; i++)
    put(i, RN_SWIM_ALIVE, "");
  /* An alias is nobody. */
  struct rn_swim_update seed = update("seed-10.0.0.99:8080", 99, 0, RN_SWIM_ALIVE);
  rn_members_apply(members, &seed, RN_MEMBER_HEARSAY, 1, NULL);
  refresh();
  assert_int_equal(rn_registry_pool(reg, 0)->count, 10);
}

static void each_route_has_its_own_workers(void **state) {
  (void)state;
  struct rn_registry_route r[3] = { route("Inference.*", "role=worker"), route("Embed.*", NULL),
                                    route("*", "zone=b") };
  assert_int_equal(rn_registry_want(&r[1].want, "model=e5", 8), RN_OK);
  assert_int_equal(rn_registry_want(&r[1].want, "role=worker", 11), RN_OK);
  assert_int_equal(rn_registry_set_routes(reg, r, 3), RN_OK);
  put(2, RN_SWIM_ALIVE, "role=worker model=e5");
  put(3, RN_SWIM_ALIVE, "role=worker zone=b");
  put(4, RN_SWIM_ALIVE, "model=e5 zone=b");
  assert_int_equal(refresh(), 3);
  assert_int_equal(rn_registry_pool(reg, 0)->count, 2);
  assert_int_equal(rn_registry_pool(reg, 1)->count, 1);
  assert_int_equal(rn_registry_pool(reg, 2)->count, 2);
  /* One slot per worker, whichever route. */
  assert_int_equal(worker(0, 2)->slot, worker(1, 2)->slot);
  assert_int_equal(worker(0, 3)->slot, worker(2, 3)->slot);
  assert_int_equal(rn_routes_match(rn_registry_routes(reg), "Embed.x", 7), 1);
}

static void only_changed_snapshots_are_told_of(void **state) {
  (void)state;
  struct rn_registry_route r[2] = { route("A.*", "a=1"), route("B.*", "b=1") };
  assert_int_equal(rn_registry_set_routes(reg, r, 2), RN_OK);
  put(2, RN_SWIM_ALIVE, "a=1");
  put(3, RN_SWIM_ALIVE, "b=1");
  assert_int_equal(refresh(), 2);
  assert_int_equal(rn_registry_next_changed(reg), 0);
  assert_int_equal(rn_registry_next_changed(reg), 1);
  assert_int_equal(rn_registry_next_changed(reg), RN_ROUTE_NONE);
  uint64_t version = rn_registry_pool(reg, 0)->version;
  assert_true(version > 1000);
  assert_int_equal(refresh(), 0);
  put(4, RN_SWIM_ALIVE, "c=1");         /* nobody's worker */
  put(3, RN_SWIM_ALIVE, "b=1 other=x"); /* of no interest */
  assert_int_equal(refresh(), 0);
  assert_true(rn_registry_pool(reg, 0)->version == version);
  put(3, RN_SWIM_ALIVE, "b=1 weight=5");
  assert_int_equal(refresh(), 1);
  assert_int_equal(rn_registry_next_changed(reg), 1);
  assert_true(rn_registry_pool(reg, 1)->version > version + 1);
  put(2, RN_SWIM_SUSPECT, "a=1");
  assert_int_equal(refresh(), 1);
  assert_int_equal(rn_registry_pool(reg, 0)->count, 0);
  put(2, RN_SWIM_ALIVE, "a=1");
  assert_int_equal(refresh(), 1); /* not seen in between: told once */
  assert_int_equal(rn_registry_next_changed(reg), 0);
  assert_int_equal(rn_registry_next_changed(reg), RN_ROUTE_NONE);
}

static void other_routes_have_other_snapshots(void **state) {
  (void)state;
  struct rn_registry_route r[2] = { route("A.*", "a=1"), route("B.*", "b=1") };
  put(2, RN_SWIM_ALIVE, "a=1");
  put(3, RN_SWIM_ALIVE, "b=1");
  assert_int_equal(rn_registry_set_routes(reg, r, 2), RN_OK);
  assert_int_equal(refresh(), 2);
  assert_int_equal(rn_registry_set_routes(reg, &r[1], 1), RN_OK);
  assert_int_equal(refresh(), 1);
  assert_non_null(worker(0, 3));
  assert_null(rn_registry_pool(reg, 1));
  assert_int_equal(rn_registry_set_routes(reg, r, 2), RN_OK);
  assert_int_equal(refresh(), 2);
}

static void weight_and_zone_come_from_tags(void **state) {
  (void)state;
  static const struct {
    const char *tags;
    uint32_t weight;
  } cases[] = { { "", 1 },
                { "weight=7", 7 },
                { "weight=10000", 10000 },
                { "weight=10001", 10000 },
                { "weight=99999999999", 10000 },
                { "weight=x", 1 },
                { "weight=-3", 1 },
                { "weight=", 1 },
                { "weight=1.5", 1 } };
  one_route(NULL);
  for (uint32_t i = 0; i < 9; i++)
    put(2 + i, RN_SWIM_ALIVE, cases[i].tags);
  put(20, RN_SWIM_ALIVE, "zone=here");
  put(21, RN_SWIM_ALIVE, "zone=there");
  put(22, RN_SWIM_ALIVE, "zone=");
  refresh();
  for (uint32_t i = 0; i < 9; i++)
    assert_int_equal(worker(0, 2 + i)->weight, cases[i].weight);
  assert_int_equal(rn_registry_stats(reg)->bad_weights, 6);
  assert_int_equal(worker(0, 20)->flags, 0);
  assert_int_equal(rn_members_tag_set(members, text("zone"), text("here")), RN_OK);
  assert_int_equal(refresh(), 1);
  assert_int_equal(worker(0, 20)->flags, RN_BAL_NEAR);
  assert_int_equal(worker(0, 21)->flags, 0);
  assert_int_equal(worker(0, 22)->flags, 0);
  assert_int_not_equal(worker(0, 21)->zone, 0);
  assert_int_equal(worker(0, 22)->zone, 0);
}

static void a_slot_stays_while_its_worker_is_a_member(void **state) {
  (void)state;
  one_route(NULL);
  put(2, RN_SWIM_ALIVE, "");
  put(3, RN_SWIM_ALIVE, "");
  refresh();
  uint16_t two = worker(0, 2)->slot, three = worker(0, 3)->slot;
  assert_int_not_equal(two, three);
  put(2, RN_SWIM_FAILED, "");
  put(4, RN_SWIM_ALIVE, "");
  refresh();
  assert_int_not_equal(worker(0, 4)->slot, two);
  put(2, RN_SWIM_ALIVE, "");
  refresh();
  assert_int_equal(worker(0, 2)->slot, two);
  /* Given back when it is nobody any more, and used again last of all. */
  put(2, RN_SWIM_LEFT, "");
  rn_members_bury(members, UINT64_MAX);
  refresh();
  assert_int_equal(rn_registry_stats(reg)->workers, 2);
  put(5, RN_SWIM_ALIVE, "");
  refresh();
  assert_int_not_equal(worker(0, 5)->slot, two);
}

static void too_many_workers_are_left_out_and_counted(void **state) {
  (void)state;
  stop(NULL);
  start_with((struct rn_registry_limits){ .routes = 1, .workers = 5, .slots = 20 });
  one_route(NULL);
  for (uint32_t i = 2; i < 10; i++)
    put(i, RN_SWIM_ALIVE, "");
  refresh();
  const struct rn_bal_pool *p = rn_registry_pool(reg, 0);
  assert_int_equal(p->count, 5);
  assert_int_equal(rn_registry_stats(reg)->left_out, 3);
  uint64_t last = rn_bal_pool_workers(p)[4].key;
  for (uint32_t i = 2; i < 10; i++) {
    char id[16];
    int n = snprintf(id, sizeof(id), "n%u", i);
    assert_int_equal(rn_bal_key(id, (size_t)n) <= last, worker(0, i) != NULL);
  }
}

static void without_a_slot_there_is_no_worker(void **state) {
  (void)state;
  stop(NULL);
  start_with((struct rn_registry_limits){ .routes = 1, .workers = 50, .slots = 5 });
  one_route(NULL);
  for (uint32_t i = 2; i < 10; i++)
    put(i, RN_SWIM_ALIVE, "");
  refresh();
  assert_int_equal(rn_registry_pool(reg, 0)->count, 5);
  assert_int_equal(rn_registry_stats(reg)->no_slot, 3);
  refresh();
  assert_int_equal(rn_registry_stats(reg)->no_slot, 3);
}

/* What is published can be adopted, whatever members do, and each worker keeps its slot from one snapshot to the next. */
static void snapshots_follow_any_history(void **state) {
  (void)state;
  static const char *const tags[] = { "role=worker", "role=worker zone=a", "role=worker weight=3",
                                      "", "role=worker draining=yes" };
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct rn_rng rng;
    uint16_t slot[100];
    uint64_t version = 1000;
    rn_rng_init(&rng, seed);
    stop(NULL);
    start(NULL);
    one_route("role=worker");
    memset(slot, 0xff, sizeof(slot));
    for (uint32_t step = 0; step < 300; step++) {
      for (uint64_t n = rn_rng_below(&rng, 5); n > 0; n--)
        put(2 + (uint32_t)rn_rng_below(&rng, 90), (enum rn_swim_state)rn_rng_below(&rng, 4),
            tags[rn_rng_below(&rng, 5)]);
      if (rn_rng_below(&rng, 20) == 0) {
        rn_members_bury(members, UINT64_MAX);
        memset(slot, 0xff, sizeof(slot));
      }
      if (refresh() == 0)
        continue;
      assert_int_equal(rn_registry_next_changed(reg), 0);
      const struct rn_bal_pool *p = rn_registry_pool(reg, 0);
      assert_true(p->version > version);
      version = p->version;
      for (uint32_t i = 0; i < p->count; i++) {
        const struct rn_bal_worker *w = &rn_bal_pool_workers(p)[i];
        uint32_t host = w->addr.ip[3];
        assert_ptr_equal(worker(0, host), w);
        assert_true(slot[host] == 0xffff || slot[host] == w->slot);
        slot[host] = w->slot;
      }
    }
  }
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)
  const struct CMUnitTest tests[] = {
    CASE(limits_out_of_range_are_refused),
    CASE(wants_are_pairs),
    CASE(only_the_alive_others_with_the_tags_are_workers),
    CASE(without_a_filter_all_others_are_workers),
    CASE(each_route_has_its_own_workers),
    CASE(only_changed_snapshots_are_told_of),
    CASE(other_routes_have_other_snapshots),
    CASE(weight_and_zone_come_from_tags),
    CASE(a_slot_stays_while_its_worker_is_a_member),
    CASE(too_many_workers_are_left_out_and_counted),
    CASE(without_a_slot_there_is_no_worker),
    CASE(snapshots_follow_any_history),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
