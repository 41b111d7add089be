/* tests/unit/dataplane/test_link.c: a link over a driver of the test's own, which gives it frames and keeps what it sends. Every limit of a link
 * is hit once. DPDK's environment is started for its packet buffers only. */
#include <rte_mbuf.h>

#include "dataplane/port/eal.h"
#include "dataplane/port/link.h"
#include "frames.h"
#include "rn_test.h"

#define MS       1000000ull
#define MBUFS    256u
#define HELD_MAX 256u

/* ---- the driver ---- */

static struct {
  uint8_t rx[RN_LINK_BURST][FRAMES_MAX];
  uint32_t rx_len[RN_LINK_BURST];
  uint16_t rx_count;
  uint16_t take_max; /* frames it takes per burst */
  uint8_t tx[HELD_MAX][FRAMES_MAX];
  uint32_t tx_len[HELD_MAX];
  uint32_t tx_count;
  uint64_t missed;
} wire;

static uint16_t fake_rx(struct rn_port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n) {
  uint16_t count = wire.rx_count < n ? wire.rx_count : n;
  for (uint16_t i = 0; i < count; i++) {
    m[i] = rte_pktmbuf_alloc(p->pools[queue]);
    assert_non_null(m[i]);
    memcpy(rte_pktmbuf_append(m[i], (uint16_t)wire.rx_len[i]), wire.rx[i], wire.rx_len[i]);
  }
  wire.rx_count = 0;
  return count;
}

static uint16_t fake_tx(struct rn_port *p, uint16_t queue, struct rte_mbuf **m, uint16_t n) {
  (void)p;
  (void)queue;
  uint16_t count = wire.take_max < n ? wire.take_max : n;
  for (uint16_t i = 0; i < count; i++) {
    if (wire.tx_count < HELD_MAX) {
      wire.tx_len[wire.tx_count] = m[i]->pkt_len;
      memcpy(wire.tx[wire.tx_count++], rte_pktmbuf_mtod(m[i], void *), m[i]->data_len);
    }
    rte_pktmbuf_free(m[i]);
  }
  return count;
}

static uint64_t fake_missed(struct rn_port *p, uint16_t queue) {
  (void)p;
  (void)queue;
  uint64_t n = wire.missed;
  wire.missed = 0;
  return n;
}

static const struct rn_port_driver fake = {
  .name = "fake", .rx_burst = fake_rx, .tx_burst = fake_tx, .missed = fake_missed
};

static struct rn_port port = { .driver = &fake, .queues = 1, .fds = { -1 } };
static struct rn_lcore_stats st;
static struct rn_link *l;
static uint64_t now;

static int setup(void **state) {
  memset(&wire, 0, sizeof(wire));
  memset(&st, 0, sizeof(st));
  wire.take_max = UINT16_MAX;
  now = 1000 * MS;
  struct rn_link_config cfg = { .port = &port,
                                .nif = frames_port(true),
                                .neighbours = 64,
                                .seed = 1,
                                .port_stats = &st.port,
                                .net_stats = &st.net };
  *state = aligned_alloc(64, rn_link_footprint(64));
  return rn_link_init(*state, &cfg, &l);
}

/* No test loses a buffer. */
static int teardown(void **state) {
  rn_link_fini(l);
  free(*state);
  return rte_mempool_avail_count(port.pools[0]) == MBUFS ? 0 : -1;
}

static void give(const uint8_t *frame, uint32_t len) {
  memcpy(wire.rx[wire.rx_count], frame, len);
  wire.rx_len[wire.rx_count++] = len;
}

static void give_hex(const char *hex) {
  uint8_t f[FRAMES_MAX];
  give(f, (uint32_t)rn_test_unhex(hex, f, sizeof(f)));
}

/* One turn; returns the datagrams. */
static size_t turn(const struct rn_dgram **d) {
  size_t frames, n = rn_link_rx(l, now, d, &frames);
  rn_link_rx_done(l);
  return n;
}

static struct rn_path path(const char *local, const char *remote) {
  struct rn_path p;
  assert_int_equal(rn_addr_parse(local, &p.local), 0);
  assert_int_equal(rn_addr_parse(remote, &p.remote), 0);
  return p;
}

/* False when the sink has no room. */
static bool send_bytes(const struct rn_path *p, size_t len) {
  const struct rn_quic_sink *sink = rn_link_sink(l);
  uint8_t *to = sink->reserve(sink->ctx, len);
  if (to == NULL)
    return false;
  memset(to, 'x', len);
  sink->commit(sink->ctx, p, 0, len);
  return true;
}

#define NINE_SAYS                                                                                  \
  "020000000002"                                                                                   \
  "020000000009"                                                                                   \
  "0806"                                                                                           \
  "000108000604"                                                                                   \
  "0002"                                                                                           \
  "020000000009"                                                                                   \
  "0a000009"                                                                                       \
  "020000000002"                                                                                   \
  "0a000002"

static void learn_nine(void) {
  const struct rn_dgram *d;
  uint8_t f[FRAMES_MAX];
  give(f, frames_udp4(f));
  assert_int_equal(turn(&d), 1);
}

/* ---- cases ---- */

static void a_datagram_is_answered_to_where_it_came_from(void **state) {
  (void)state;
  const struct rn_dgram *d;
  uint8_t f[FRAMES_MAX];
  size_t frames;
  give(f, frames_udp4(f));
  give_hex("020000000003"
           "020000000009"
           "0800"); /* not ours */
  assert_int_equal(rn_link_rx(l, now, &d, &frames), 1);
  assert_int_equal(frames, 2);
  assert_true(send_bytes(&d[0].path, 100));
  rn_link_rx_done(l);
  assert_int_equal(rn_link_flush(l, now), 1);
  assert_int_equal(wire.tx_len[0], 142);
  assert_memory_equal(wire.tx[0], f + 6, 6);
  assert_true(frames_sums_ok(wire.tx[0]));
  assert_int_equal(st.port.rx_frames, 2);
  assert_int_equal(st.port.tx_frames, 1);
  assert_int_equal(st.port.tx_bytes, 142);
  assert_int_equal(st.net.arp_requests, 0);
}

static void a_peer_behind_another_router_is_answered_through_it(void **state) {
  (void)state;
  const struct rn_dgram *d;
  uint8_t f[FRAMES_MAX];
  uint32_t len = frames_udp4(f);
  f[26] = 192; /* from 192.0.0.9 */
  frames_fix_ip4(f);
  give(f, len);
  assert_int_equal(turn(&d), 1);
  assert_true(send_bytes(&d[0].path, 10));
  assert_int_equal(rn_link_flush(l, now), 1);
  assert_memory_equal(wire.tx[0], f + 6, 6);
}

static unsigned int overheard;

static void on_overhear(void *ctx, enum rn_net_kind kind, const struct rn_dgram *d,
                        const struct rn_net_meta *m) {
  overheard++;
  rn_link_overheard(ctx, kind, d, m);
}

/* Two lcores: one asks, the other one receives the answer. */
static void an_answer_that_another_link_receives_is_learned(void **state) {
  (void)state;
  struct rn_lcore_stats other_st = { 0 };
  struct rn_link_config cfg = { .port = &port,
                                .nif = frames_port(true),
                                .neighbours = 64,
                                .seed = 2,
                                .port_stats = &other_st.port,
                                .net_stats = &other_st.net,
                                .overhear = on_overhear,
                                .overhear_ctx = l };
  struct rn_link *other;
  void *mem = aligned_alloc(64, rn_link_footprint(64));
  assert_int_equal(rn_link_init(mem, &cfg, &other), RN_OK);
  struct rn_path p = path("10.0.0.2:8080", "10.0.0.9:40000");
  assert_true(send_bytes(&p, 100));
  rn_link_flush(l, now);
  const struct rn_dgram *d;
  size_t frames;
  overheard = 0;
  give_hex(NINE_SAYS);
  assert_int_equal(rn_link_rx(other, now, &d, &frames), 0);
  rn_link_rx_done(other);
  assert_int_equal(overheard, 1);
  assert_int_equal(rn_link_flush(l, now), 1);
  assert_int_equal(wire.tx_len[1], 142);
  assert_int_equal(st.net.arp_replies, 0);
  rn_link_fini(other);
  free(mem);
}

/* As when a datagram changes lcores. */
static void what_one_link_knows_another_can_learn(void **state) {
  (void)state;
  struct rn_path p = path("10.0.0.2:8080", "10.0.0.9:40000"),
                 off = path("10.0.0.2:8080", "192.0.2.9:40000");
  uint8_t mac[6];
  assert_false(rn_link_mac(l, &p.remote, mac));
  assert_false(rn_link_mac(l, &off.remote, mac));
  learn_nine();
  assert_true(rn_link_mac(l, &p.remote, mac));
  assert_int_equal(mac[5], 9);
  mac[5] = 7;
  rn_link_learn(l, &off.remote, mac);
  assert_true(send_bytes(&off, 10));
  assert_int_equal(rn_link_flush(l, now), 1);
  assert_int_equal(wire.tx[0][5], 7);
}

static void an_unknown_neighbour_is_asked_for_and_the_datagram_waits(void **state) {
  (void)state;
  const struct rn_dgram *d;
  struct rn_path p = path("10.0.0.2:8080", "10.0.0.9:40000");
  assert_true(send_bytes(&p, 100));
  rn_link_flush(l, now);
  assert_int_equal(wire.tx_count, 1);
  assert_int_equal(rn_get16(wire.tx[0] + 12), 0x0806);
  give_hex(NINE_SAYS);
  assert_int_equal(turn(&d), 0);
  rn_link_flush(l, now);
  assert_int_equal(wire.tx_count, 2);
  assert_int_equal(wire.tx_len[1], 142);
  assert_int_equal(wire.tx[1][5], 9);
  assert_true(frames_sums_ok(wire.tx[1]));
}

static void what_waits_is_asked_for_again_and_dropped_in_the_end(void **state) {
  (void)state;
  struct rn_path p = path("10.0.0.2:8080", "10.0.0.9:40000");
  assert_true(send_bytes(&p, 100));
  for (int i = 0; i < 40; i++) {
    now += 100 * MS;
    rn_link_tidy(l, now);
    rn_link_flush(l, now);
  }
  assert_in_range(st.net.arp_requests, 3, 4);
  assert_int_equal(st.net.drop_no_neigh, 1);
}

static void more_than_a_few_do_not_wait(void **state) {
  (void)state;
  struct rn_path p = path("10.0.0.2:8080", "10.0.0.9:40000");
  for (unsigned int i = 0; i < RN_LINK_PARKED_MAX + 3; i++)
    assert_true(send_bytes(&p, 100));
  assert_int_equal(st.net.drop_no_neigh, 3);
  assert_int_equal(st.net.arp_requests, 1);
}

static void what_cannot_be_sent_is_counted(void **state) {
  (void)state;
  struct rn_path long_one = path("10.0.0.2:8080", "10.0.0.9:40000"),
                 mixed = path("10.0.0.2:8080", "[2001:db8::9]:1"),
                 off = path("[2001:db8::2]:8080", "[2001:db9::9]:1");
  learn_nine();
  assert_true(send_bytes(&long_one, 1472));
  assert_true(send_bytes(&long_one, 1473));
  assert_int_equal(st.net.drop_too_long, 1);
  assert_true(send_bytes(&mixed, 10));
  rn_link_if(l)->gateway6.family = 0;
  assert_true(send_bytes(&off, 10));
  assert_int_equal(st.net.drop_no_route, 2);
  assert_int_equal(rn_link_flush(l, now), 1);
}

static void a_reserved_buffer_that_is_given_back_is_used_again(void **state) {
  (void)state;
  const struct rn_quic_sink *sink = rn_link_sink(l);
  struct rn_path p = path("10.0.0.2:8080", "10.0.0.9:40000");
  uint8_t *first = sink->reserve(sink->ctx, 1200);
  sink->commit(sink->ctx, &p, 0, 0);
  assert_ptr_equal(sink->reserve(sink->ctx, 1200), first);
  sink->commit(sink->ctx, &p, 0, 0);
  assert_int_equal(rn_link_flush(l, now), 0);
}

static void a_full_driver_holds_the_sender_back(void **state) {
  (void)state;
  struct rn_path p = path("10.0.0.2:8080", "10.0.0.9:40000");
  unsigned int sent = 0;
  learn_nine();
  wire.take_max = 0;
  while (sent < 1000 && send_bytes(&p, 100 + sent))
    sent++;
  assert_int_equal(sent, RN_LINK_BURST);
  assert_true(st.port.tx_full > 0);
  assert_true(rn_link_waiting(l));
  wire.take_max = 10;
  assert_int_equal(rn_link_flush(l, now), 10);
  assert_true(send_bytes(&p, 100 + sent));
  wire.take_max = UINT16_MAX;
  rn_link_flush(l, now);
  assert_false(rn_link_waiting(l));
  assert_int_equal(st.port.tx_frames, RN_LINK_BURST + 1);
  for (uint32_t i = 0; i <= sent; i++)
    assert_int_equal(wire.tx_len[i], 142 + i); /* each once, in order */
  assert_int_equal(st.port.drop_stuck, 0);
}

static void a_driver_that_takes_nothing_is_not_waited_for(void **state) {
  (void)state;
  struct rn_path p = path("10.0.0.2:8080", "10.0.0.9:40000");
  learn_nine();
  wire.take_max = 0;
  assert_true(send_bytes(&p, 100));
  rn_link_flush(l, now);
  rn_link_flush(l, now + 9 * MS);
  assert_int_equal(st.port.drop_stuck, 0);
  rn_link_flush(l, now + 11 * MS);
  assert_int_equal(st.port.drop_stuck, 1);
  assert_false(rn_link_waiting(l));
}

static void without_buffers_nothing_is_sent_and_it_is_counted(void **state) {
  (void)state;
  static struct rte_mbuf *all[MBUFS];
  struct rn_path p = path("10.0.0.2:8080", "10.0.0.9:40000");
  unsigned int n = 0;
  learn_nine();
  while (n < MBUFS && (all[n] = rte_pktmbuf_alloc(port.pools[0])) != NULL)
    n++;
  assert_false(send_bytes(&p, 100));
  assert_int_equal(st.port.no_mbuf, 1);
  rte_pktmbuf_free_bulk(all, n);
  assert_true(send_bytes(&p, 100));
}

static void arp_and_echo_are_answered_inside(void **state) {
  (void)state;
  const struct rn_dgram *d;
  give_hex("ffffffffffff"
           "020000000009"
           "0806"
           "000108000604"
           "0001"
           "020000000009"
           "0a000009"
           "000000000000"
           "0a000002");
  give_hex("020000000002"
           "020000000009"
           "0800"
           "4500001c00004000400126cf0a0000090a000002"
           "0800f7ff00000000");
  wire.rx[1][24] = wire.rx[1][25] = 0;
  frames_fix_ip4(wire.rx[1]);
  assert_int_equal(turn(&d), 0);
  assert_int_equal(rn_link_flush(l, now), 2);
  assert_int_equal(st.net.arp_replies, 1);
  assert_int_equal(st.net.echo_replies, 1);
}

static void announces_its_addresses(void **state) {
  (void)state;
  rn_link_announce(l, now);
  assert_int_equal(wire.tx_count, 2);
  assert_int_equal(rn_get16(wire.tx[0] + 12), 0x0806);
  assert_int_equal(rn_get16(wire.tx[1] + 12), 0x86dd);
}

static void counts_what_the_driver_lost(void **state) {
  (void)state;
  wire.missed = 5;
  rn_link_tidy(l, now);
  rn_link_tidy(l, now);
  assert_int_equal(st.port.rx_missed, 5);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct rn_eal_config eal = { .lcore_count = 1, .cpus = { -1 }, .memory_mb = 16 };
  char why[256] = "";
  if (rn_eal_init(&eal, why, sizeof(why)) != RN_OK) {
    fprintf(stderr, "%s\n", why);
    return 1;
  }
  port.pools[0] =
      rte_pktmbuf_pool_create("test", MBUFS, 0, 0, RTE_PKTMBUF_HEADROOM + 2048, SOCKET_ID_ANY);
  const struct CMUnitTest tests[] = {
    CASE(a_datagram_is_answered_to_where_it_came_from),
    CASE(a_peer_behind_another_router_is_answered_through_it),
    CASE(an_answer_that_another_link_receives_is_learned),
    CASE(what_one_link_knows_another_can_learn),
    CASE(an_unknown_neighbour_is_asked_for_and_the_datagram_waits),
    CASE(what_waits_is_asked_for_again_and_dropped_in_the_end),
    CASE(more_than_a_few_do_not_wait),
    CASE(what_cannot_be_sent_is_counted),
    CASE(a_reserved_buffer_that_is_given_back_is_used_again),
    CASE(a_full_driver_holds_the_sender_back),
    CASE(a_driver_that_takes_nothing_is_not_waited_for),
    CASE(without_buffers_nothing_is_sent_and_it_is_counted),
    CASE(arp_and_echo_are_answered_inside),
    CASE(announces_its_addresses),
    CASE(counts_what_the_driver_lost),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  rte_mempool_free(port.pools[0]);
  rn_eal_fini();
  return failed;
}
