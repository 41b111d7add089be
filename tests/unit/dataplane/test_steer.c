/* tests/unit/dataplane/test_steer.c */
#include "dataplane/steer.h"
#include "rn_test.h"

#define LCORES 3u

static struct rn_steer ends[LCORES];
static void *rings;
static uint8_t *slots;

static int setup(void **state) {
  (void)state;
  rings = aligned_alloc(64, rn_steer_footprint(LCORES));
  slots = malloc(LCORES * RN_STEER_BURST * RN_STEER_SLOT_BYTES);
  rn_steer_format(rings, LCORES);
  for (uint32_t i = 0; i < LCORES; i++)
    rn_steer_attach(&ends[i], rings, LCORES, i, slots + i * RN_STEER_BURST * RN_STEER_SLOT_BYTES);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  free(rings);
  free(slots);
  return 0;
}

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 };
static const struct rn_net_meta meta = { .src_mac = mac, .hop_limit = 255, .dst_multicast = true };
static uint8_t payload[RN_STEER_PAYLOAD_BYTES + 1];

static struct rn_dgram dgram(uint32_t len, uint16_t port) {
  memset(payload, (uint8_t)port, sizeof(payload));
  return (struct rn_dgram){ .data = payload,
                            .len = len,
                            .ecn = 3,
                            .path.remote = { .family = 4, .port = port },
                            .path.local = { .family = 4 } };
}

static void arrives_whole_at_the_lcore_it_names(void **state) {
  (void)state;
  bool wake;
  const uint32_t lens[] = { 0, 1, 100, 1452, RN_STEER_PAYLOAD_BYTES };
  for (size_t i = 0; i < 5; i++) {
    struct rn_dgram d = dgram(lens[i], (uint16_t)(i + 1));
    assert_int_equal(rn_steer_send(&ends[0], 2, RN_NET_UDP, &d, &meta, &wake), RN_OK);
  }
  assert_int_equal(rn_steer_receive(&ends[1]), 0);
  assert_int_equal(rn_steer_receive(&ends[2]), 5);
  for (size_t i = 0; i < 5; i++) {
    struct rn_dgram want = dgram(lens[i], (uint16_t)(i + 1));
    assert_int_equal(ends[2].dgrams[i].len, want.len);
    assert_int_equal(ends[2].dgrams[i].ecn, 3);
    assert_memory_equal(ends[2].metas[i].src_mac, mac, 6);
    assert_int_equal(ends[2].metas[i].hop_limit, 255);
    assert_true(ends[2].metas[i].dst_multicast);
    assert_int_equal(ends[2].kinds[i], RN_NET_UDP);
    assert_true(rn_path_eq(&ends[2].dgrams[i].path, &want.path));
    assert_memory_equal(ends[2].dgrams[i].data, want.data, want.len);
  }
  assert_int_equal(rn_steer_receive(&ends[2]), 0);
}

static void refuses_what_cannot_be_handed_over(void **state) {
  (void)state;
  bool wake;
  struct rn_dgram d = dgram(10, 1), long_one = dgram(RN_STEER_PAYLOAD_BYTES + 1, 1);
  assert_int_equal(rn_steer_send(&ends[0], 0, RN_NET_UDP, &d, &meta, &wake), RN_ERR_INVAL);
  assert_int_equal(rn_steer_send(&ends[0], LCORES, RN_NET_UDP, &d, &meta, &wake), RN_ERR_INVAL);
  assert_int_equal(rn_steer_send(&ends[0], 1, RN_NET_UDP, &long_one, &meta, &wake), RN_ERR_TOOBIG);
}

static void a_full_ring_says_so_and_recovers(void **state) {
  (void)state;
  bool wake;
  struct rn_dgram d = dgram(1200, 7);
  size_t sent = 0, taken = 0, n;
  while (rn_steer_send(&ends[1], 2, RN_NET_UDP, &d, &meta, &wake) == RN_OK && sent < 10000)
    sent++;
  assert_in_range(sent, 100, 256);
  while ((n = rn_steer_receive(&ends[2])) > 0) {
    assert_true(n <= RN_STEER_BURST);
    taken += n;
  }
  assert_int_equal(taken, sent);
  assert_int_equal(rn_steer_send(&ends[1], 2, RN_NET_UDP, &d, &meta, &wake), RN_OK);
}

static void takes_turns_between_lcores(void **state) {
  (void)state;
  bool wake;
  struct rn_dgram d = dgram(10, 0);
  bool seen[2] = { false };
  for (int i = 0; i < 50; i++) {
    d.path.remote.port = 0;
    assert_int_equal(rn_steer_send(&ends[0], 2, RN_NET_UDP, &d, &meta, &wake), RN_OK);
    d.path.remote.port = 1;
    assert_int_equal(rn_steer_send(&ends[1], 2, RN_NET_UDP, &d, &meta, &wake), RN_OK);
  }
  for (int i = 0; i < 2; i++) {
    size_t n = rn_steer_receive(&ends[2]);
    for (size_t k = 0; k < n; k++)
      seen[ends[2].dgrams[k].path.remote.port] = true;
  }
  assert_true(seen[0] && seen[1]);
}

static void rings_no_bell_of_one_that_is_awake(void **state) {
  (void)state;
  bool wake = true;
  struct rn_dgram d = dgram(10, 1);
  assert_true(rn_steer_sleep(&ends[2]));
  rn_steer_awake(&ends[2]);
  assert_int_equal(rn_steer_send(&ends[1], 2, RN_NET_UDP, &d, &meta, &wake), RN_OK);
  assert_false(wake);
}

static void wakes_a_sleeper_once(void **state) {
  (void)state;
  bool wake = false;
  struct rn_dgram d = dgram(10, 1);
  assert_true(rn_steer_sleep(&ends[2]));
  assert_int_equal(rn_steer_send(&ends[1], 2, RN_NET_UDP, &d, &meta, &wake), RN_OK);
  assert_true(wake);
  assert_int_equal(rn_steer_send(&ends[1], 2, RN_NET_UDP, &d, &meta, &wake), RN_OK);
  assert_false(wake);
  rn_steer_awake(&ends[2]);
  assert_false(rn_steer_sleep(&ends[2])); /* there is something */
  assert_int_equal(rn_steer_receive(&ends[2]), 2);
  assert_true(rn_steer_sleep(&ends[2]));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
    CASE(arrives_whole_at_the_lcore_it_names), CASE(refuses_what_cannot_be_handed_over),
    CASE(a_full_ring_says_so_and_recovers),    CASE(takes_turns_between_lcores),
    CASE(rings_no_bell_of_one_that_is_awake),  CASE(wakes_a_sleeper_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
