/* tests/unit/cluster/test_kring.c */
#include "rn_test.h"

#include "cluster/kring.h"
#include "table.h"

#define NODES 200u

/* Whom "n<host>" watches among n1..n<count>, as it sees it itself. */
static uint32_t watched_by(uint32_t host, uint32_t count, uint32_t without, uint32_t *out) {
  static const uint8_t hash_key[16] = { 9 };
  struct rn_member *found[RN_KRING];
  char id[16];
  struct rn_members *m;
  void *mem = aligned_alloc(64, rn_members_footprint(count + 1));
  assert_non_null(mem);
  snprintf(id, sizeof(id), "n%u", host);
  struct rn_swim_update self = update(id, host, 1, RN_SWIM_ALIVE);
  assert_int_equal(rn_members_init(mem, count + 1, hash_key, &self, NULL, NULL, 0, &m), RN_OK);
  for (uint32_t i = 0; i < count; i++) { /* learned in another order by each */
    uint32_t other = (host + i) % count + 1;
    if (other != host)
      table_add(m, other, other == without ? RN_SWIM_FAILED : RN_SWIM_ALIVE);
  }
  uint32_t n = rn_kring_watched(m, rn_members_self(m), NULL, found);
  for (uint32_t i = 0; i < n; i++)
    out[i] = (uint32_t)atoi(found[i]->id + 1);
  free(mem);
  return n;
}

/* By another SipHash. Nodes of all versions have to agree. */
static void everybody_agrees_where_a_member_stands(void **state) {
  (void)state;
  uint64_t ring[RN_KRING];
  rn_kring_places(text("node-127.0.0.1:8080"), ring);
  assert_true(ring[0] == 0xebb0f64b3331caedu);
  assert_true(ring[1] == 0x482115286ceafb53u);
  assert_true(ring[2] == 0x3e5f50e4ebd60275u);
}

static void everybody_is_watched_by_as_many_as_there_are_rings(void **state) {
  (void)state;
  uint32_t watchers[NODES + 1] = { 0 }, out[RN_KRING], sum = 0;
  for (uint32_t i = 1; i <= NODES; i++) {
    uint32_t n = watched_by(i, NODES, 0, out);
    assert_int_equal(n, RN_KRING);
    for (uint32_t k = 0; k < n; k++) {
      assert_int_not_equal(out[k], i);
      watchers[out[k]]++;
    }
    sum += n;
  }
  assert_int_equal(sum, NODES * RN_KRING);
  for (uint32_t i = 1; i <= NODES;
       i++) /* one ring's neighbour may be another's, and then it is the next */
    assert_in_range(watchers[i], RN_KRING - 1, RN_KRING + 1);
}

static void a_loss_changes_only_its_neighbours(void **state) {
  (void)state;
  uint32_t before[RN_KRING], after[RN_KRING], changed = 0;
  for (uint32_t i = 1; i <= NODES; i++) {
    if (i == 50)
      continue;
    assert_int_equal(watched_by(i, NODES, 0, before), RN_KRING);
    assert_int_equal(watched_by(i, NODES, 50, after), RN_KRING);
    for (uint32_t k = 0; k < RN_KRING; k++)
      assert_int_not_equal(after[k], 50);
    changed += memcmp(before, after, sizeof(before)) != 0;
  }
  assert_in_range(changed, 1, RN_KRING + 1);
}

static void few_others_are_watched_once_each(void **state) {
  (void)state;
  uint32_t out[RN_KRING];
  assert_int_equal(watched_by(1, 1, 0, out), 0);
  assert_int_equal(watched_by(1, 2, 0, out), 1);
  assert_int_equal(watched_by(1, 3, 0, out), 2);
  assert_int_not_equal(out[0], out[1]);
  assert_int_equal(watched_by(1, 3, 2, out), 1);
}

static bool is_even(const struct rn_member *who) { return who->addr.ip[3] % 2 == 0; }

static void only_those_who_count_are_watched(void **state) {
  (void)state;
  struct rn_members *m = table_new(64, NULL, NULL, 0);
  struct rn_member *out[RN_KRING];
  for (uint32_t i = 2; i < 40; i++)
    table_add(m, i, i == 4 ? RN_SWIM_SUSPECT : RN_SWIM_ALIVE);
  assert_int_equal(rn_kring_watched(m, rn_members_self(m), is_even, out), RN_KRING);
  for (uint32_t i = 0; i < RN_KRING; i++)
    assert_true(is_even(out[i]));
  free(m);
}

/* Who takes no part has a watcher on each ring, all of them agree on it, and nobody else watches him. */
static void who_takes_no_part_is_watched_by_those_before_him(void **state) {
  (void)state;
  struct rn_members *m = table_new(128, NULL, NULL, 0);
  uint32_t watchers[100] = { 0 };
  for (uint32_t i = 2; i < 100; i++)
    table_add(m, i, i % 10 == 4 ? RN_SWIM_FAILED : RN_SWIM_ALIVE);
  for (uint32_t i = 0; i < rn_members_count(m); i++) {
    struct rn_member *of = rn_members_at(m, i), *kept[128];
    if (!is_even(of) || of->state != RN_SWIM_ALIVE)
      continue;
    uint32_t n = rn_kring_kept(m, of, is_even, kept, 128);
    assert_true(n < 128);
    assert_int_equal(rn_kring_kept(m, of, is_even, kept, n / 2), n);
    for (uint32_t k = 0; k < n; k++) {
      assert_true(!is_even(kept[k]) && kept[k]->state == RN_SWIM_ALIVE);
      assert_true(rn_kring_watches(m, of, kept[k], is_even));
      watchers[kept[k]->addr.ip[3]]++;
    }
    for (uint32_t k = 0, also = 0; k < rn_members_count(m); k++) {
      struct rn_member *who = rn_members_at(m, k);
      also += !is_even(who) && rn_kring_watches(m, of, who, is_even);
      assert_true(k + 1 < rn_members_count(m) || also == n);
    }
  }
  for (uint32_t i = 1; i < 100; i += 2)
    assert_in_range(watchers[i], 1, RN_KRING);
  free(m);
}

static void who_watches_can_be_asked(void **state) {
  (void)state;
  struct rn_members *m = table_new(64, NULL, NULL, 0);
  for (uint32_t i = 2; i < 20; i++)
    table_add(m, i, RN_SWIM_ALIVE);
  for (uint32_t i = 0; i < rn_members_count(m); i++) {
    struct rn_member *of = rn_members_at(m, i), *out[RN_KRING];
    uint32_t n = rn_kring_watched(m, of, NULL, out), watched = 0;
    assert_int_equal(n, RN_KRING);
    for (uint32_t k = 0; k < n; k++)
      assert_true(rn_kring_watches(m, of, out[k], NULL));
    for (uint32_t k = 0; k < rn_members_count(m); k++)
      watched += rn_kring_watches(m, of, rn_members_at(m, k), NULL);
    assert_int_equal(watched, RN_KRING);
  }
  assert_false(rn_kring_watches(m, rn_members_self(m), rn_members_at(m, 1), is_even));
  free(m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(everybody_agrees_where_a_member_stands),
    cmocka_unit_test(everybody_is_watched_by_as_many_as_there_are_rings),
    cmocka_unit_test(a_loss_changes_only_its_neighbours),
    cmocka_unit_test(few_others_are_watched_once_each),
    cmocka_unit_test(only_those_who_count_are_watched),
    cmocka_unit_test(who_takes_no_part_is_watched_by_those_before_him),
    cmocka_unit_test(who_watches_can_be_asked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
