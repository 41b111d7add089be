/* tests/unit/ring/test_msg.c */
#include "rn_test.h"
#include "ring/msg.h"
#include "util/err.h"

static const struct rn_ring_size size = { 8, 16384 };
static void *mem;
static struct rn_ring_tx tx;
static struct rn_ring_rx rx;

static int setup(void **state) {
  (void)state;
  mem = aligned_alloc(64, rn_ring_footprint(&size));
  if (mem == NULL || rn_ring_format(mem, &size, rn_msg_schema(), 1) != RN_OK)
    return -1;
  return rn_ring_tx_attach(&tx, mem, &size, rn_msg_schema()) == RN_OK &&
                 rn_ring_rx_attach(&rx, mem, &size, rn_msg_schema()) == RN_OK
             ? 0
             : -1;
}

static int teardown(void **state) {
  (void)state;
  free(mem);
  return 0;
}

static void sign_request_fits_a_slot_and_comes_back_whole(void **state) {
  (void)state;
  uint8_t tbs[RN_MSG_SIGN_REQ_TAIL_MAX];
  memset(tbs, ' ', sizeof(tbs));
  struct rn_msg_sign_req req = { .job = 77, .lcore_idx = 3, .scheme = 0x0403 };
  assert_true(sizeof(req) + sizeof(tbs) <= RN_RING_INLINE_BYTES);
  assert_int_equal(rn_msg_push(&tx, RN_MSG_SIGN_REQ, &req, tbs, sizeof(tbs)), RN_OK);
  struct rn_msg m;
  assert_int_equal(rn_msg_pop(&rx, RN_MSG_TO_CONTROL, &m), RN_OK);
  assert_int_equal(m.type, RN_MSG_SIGN_REQ);
  assert_memory_equal(&m.sign_req, &req, sizeof(req));
  assert_int_equal(m.tail_bytes, sizeof(tbs));
  assert_memory_equal(m.tail, tbs, sizeof(tbs));
  assert_int_equal(rn_msg_pop(&rx, RN_MSG_TO_CONTROL, &m), RN_ERR_AGAIN);
}

static void longest_signature_goes_through(void **state) {
  (void)state;
  uint8_t sig[512];
  memset(sig, 0x5a, sizeof(sig));
  struct rn_msg_sign_rsp rsp = { .job = 1, .status = RN_OK };
  assert_int_equal(rn_msg_push(&tx, RN_MSG_SIGN_RSP, &rsp, sig, sizeof(sig)), RN_OK);
  struct rn_msg m;
  assert_int_equal(rn_msg_pop(&rx, RN_MSG_TO_LCORE, &m), RN_OK);
  assert_int_equal(m.tail_bytes, 512);
  assert_memory_equal(m.tail, sig, sizeof(sig));
}

static void sender_cannot_exceed_the_declaration(void **state) {
  (void)state;
  uint8_t tail[147] = { 0 };
  struct rn_msg_sign_req req = { 0 };
  assert_int_equal(rn_msg_push(&tx, RN_MSG_SIGN_REQ, &req, tail, sizeof(tail)), RN_ERR_INVAL);
  assert_int_equal(rn_msg_push(&tx, RN_MSG_TYPE_COUNT, &req, tail, 0), RN_ERR_INVAL);
}

static void message_of_the_other_direction_is_refused(void **state) {
  (void)state;
  struct rn_msg_ctl_shutdown stop = { .app_code = 0 };
  assert_int_equal(rn_msg_push(&tx, RN_MSG_CTL_SHUTDOWN, &stop, NULL, 0), RN_OK);
  struct rn_msg m;
  assert_int_equal(rn_msg_pop(&rx, RN_MSG_TO_CONTROL, &m), RN_ERR_CORRUPT);
  assert_int_equal(rn_msg_pop(&rx, RN_MSG_TO_CONTROL, &m), RN_ERR_AGAIN);
}

static void every_wrong_length_and_type_is_refused(void **state) {
  (void)state;
  static const uint8_t bytes[8400];
  struct rn_msg m;
  for (uint16_t type = 0; type < RN_MSG_TYPE_COUNT + 3; type++) {
    unsigned int good = 0;
    for (uint32_t len = 0; len < sizeof(bytes); len++) {
      const struct rn_ring_part part = { bytes, len };
      assert_int_equal(rn_ring_push(&tx, type, &part, 1), RN_OK);
      int err = rn_msg_pop(&rx, RN_MSG_TO_CONTROL, &m);
      rn_ring_release(&rx);
      assert_true(err == RN_OK || err == RN_ERR_CORRUPT);
      good += err == RN_OK;
    }
    static const unsigned int lengths[] = {
      /* those of the tail, none included */
      [RN_MSG_READY] = 1,     [RN_MSG_SIGN_REQ] = 147,      [RN_MSG_LOG] = 401,
      [RN_MSG_CONN] = 257,    [RN_MSG_CONNS_END] = 1,       [RN_MSG_QLOG_TEXT] = 481,
      [RN_MSG_KEYS_DONE] = 1, [RN_MSG_GOSSIP_HEARD] = 8193, [RN_MSG_GOSSIP_CAME] = 4097,
    };
    bool listed = type < sizeof(lengths) / sizeof(lengths[0]);
    assert_int_equal(good, listed ? lengths[type] : 0);
  }
}

static void names_are_those_of_the_declaration(void **state) {
  (void)state;
  assert_string_equal(rn_msg_name(RN_MSG_SIGN_REQ), "SIGN_REQ");
  assert_string_equal(rn_msg_name(0), "?");
  assert_string_equal(rn_msg_name(999), "?");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(sign_request_fits_a_slot_and_comes_back_whole, setup, teardown),
    cmocka_unit_test_setup_teardown(longest_signature_goes_through, setup, teardown),
    cmocka_unit_test_setup_teardown(sender_cannot_exceed_the_declaration, setup, teardown),
    cmocka_unit_test_setup_teardown(message_of_the_other_direction_is_refused, setup, teardown),
    cmocka_unit_test_setup_teardown(every_wrong_length_and_type_is_refused, setup, teardown),
    cmocka_unit_test(names_are_those_of_the_declaration),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
