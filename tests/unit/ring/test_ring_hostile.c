/* tests/unit/ring/test_ring_hostile.c: the other side writes whatever it likes into the shared
 * memory. The ring lies between two guard zones (and under ASan in memory of exactly its size),
 * every call must return, and what it returns must be in range. */
#include "rn_test.h"
#include "ring/msg.h"
#include "ring/ring.h"
#include "util/err.h"

#define ROUNDS 200000

static uint64_t rng_state;

static uint64_t rng(void) { /* xorshift64* */
  rng_state ^= rng_state >> 12;
  rng_state ^= rng_state << 25;
  rng_state ^= rng_state >> 27;
  return rng_state * 2685821657736338717u;
}

/* A value that is often near a limit. */
static uint64_t nasty(void) {
  static const uint64_t edges[] = { 0,    1,    167,  168,        169,        511,       512,
                                    1023, 1024, 1025, UINT32_MAX, UINT64_MAX, 1ull << 63 };
  uint64_t v = edges[rng() % (sizeof(edges) / sizeof(edges[0]))];
  return rng() % 4 == 0 ? rng() : v + rng() % 3;
}

static void scribble(struct rn_ring_hdr *hdr, struct rn_ring_slot *slots, uint32_t count,
                     uint64_t near_pos) {
  struct rn_ring_slot *s = &slots[rng() % count];
  switch (rng() % 9) {
  case 0:
    atomic_store(&hdr->head, nasty());
    break;
  case 1:
    atomic_store(&hdr->bytes_head, nasty());
    break;
  case 2:
    atomic_store(&hdr->tail, nasty());
    break;
  case 3:
    atomic_store(&hdr->bytes_tail, nasty());
    break;
  case 4:
    atomic_store(&s->seq, near_pos + rng() % count);
    break;
  case 5:
    s->len = (uint32_t)nasty();
    break;
  case 6:
    s->flags = (uint16_t)nasty();
    break;
  case 7:
    s->bytes_pos = nasty();
    break;
  default:
    s->type = (uint16_t)(rng() % 8);
    break;
  }
}

static void hostile_memory_never_gets_an_end_out_of_the_ring(void **state) {
  (void)state;
  const struct rn_ring_size size = { 8, 1024 };
  size_t bytes = rn_ring_footprint(&size);
  uint8_t *mem = aligned_alloc(64, bytes);
  assert_non_null(mem);
  rng_state = 0x9e3779b97f4a7c15u;
  print_message("seed=%llx\n", (unsigned long long)rng_state);
  uint32_t schema = rn_msg_schema();
  unsigned int popped = 0, corrupt = 0;
  for (unsigned int outer = 0; outer < ROUNDS / 1000; outer++) {
    struct rn_ring_tx tx;
    struct rn_ring_rx rx;
    assert_int_equal(rn_ring_format(mem, &size, schema, outer), RN_OK);
    assert_int_equal(rn_ring_tx_attach(&tx, mem, &size, schema), RN_OK);
    assert_int_equal(rn_ring_rx_attach(&rx, mem, &size, schema), RN_OK);
    for (unsigned int i = 0; i < 1000; i++) {
      uint8_t in[700] = { 0 }, out[600];
      struct rn_ring_msg m;
      struct rn_msg msg;
      scribble(tx.hdr, tx.slots, size.slot_count, rx.tail);
      const struct rn_ring_part part = { in, (uint32_t)(rng() % sizeof(in)) };
      int err = rn_ring_push(&tx, (uint16_t)(rng() % 8), &part, 1);
      assert_true(err == RN_OK || err == RN_ERR_AGAIN || err == RN_ERR_CORRUPT);
      assert_true(rn_ring_used(&tx) <= size.slot_count);
      if (rng() % 2) {
        err = rn_ring_pop(&rx, &m, out, sizeof(out));
        assert_true(err == RN_OK || err == RN_ERR_AGAIN || err == RN_ERR_CORRUPT ||
                    err == RN_ERR_TOOBIG);
        assert_true(err != RN_OK || m.len <= sizeof(out));
        popped += err == RN_OK;
      } else {
        err = rn_msg_pop(&rx, RN_MSG_TO_CONTROL, &msg);
        assert_true(err == RN_OK || err == RN_ERR_AGAIN || err == RN_ERR_CORRUPT);
        assert_true(err != RN_OK || msg.tail_bytes <= sizeof(msg.tail));
        corrupt += err == RN_ERR_CORRUPT;
      }
      if (rng() % 3 == 0)
        rn_ring_release(&rx);
      if (rng() % 16 == 0)
        (void)rn_ring_sleep(&rx);
      (void)rn_ring_must_wake(&tx);
      if (rng() % 64 == 0) /* a replacement attaches to whatever is there */
        (void)rn_ring_tx_attach(&tx, mem, &size, schema);
      if (rng() % 64 == 0)
        (void)rn_ring_rx_attach(&rx, mem, &size, schema);
    }
  }
  assert_true(popped > 100); /* the walk got through to the payloads, and to the checks */
  assert_true(corrupt > 100);
  free(mem);
}

static void dead_writer_at_every_step_leaves_a_ring_that_works(void **state) {
  (void)state;
  const struct rn_ring_size size = { 4, 1024 };
  uint8_t *mem = aligned_alloc(64, rn_ring_footprint(&size));
  assert_non_null(mem);
  assert_int_equal(rn_ring_format(mem, &size, 1, 1), RN_OK);
  uint8_t in[500], out[500];
  memset(in, 0xab, sizeof(in));
  for (unsigned int round = 0; round < 1000; round++) {
    struct rn_ring_tx tx;
    struct rn_ring_rx rx;
    struct rn_ring_msg m;
    assert_int_equal(rn_ring_tx_attach(&tx, mem, &size, 1), RN_OK);
    assert_int_equal(rn_ring_rx_attach(&rx, mem, &size, 1), RN_OK);
    /* What rn_ring_push stores, in its order, up to the step at which it dies. */
    unsigned int step = round % 6;
    struct rn_ring_slot *slot = &tx.slots[tx.head & tx.mask];
    if (step >= 1)
      slot->len = 500, slot->type = 7, slot->flags = RN_RING_FLAG_BYTES;
    if (step >= 2)
      slot->bytes_pos = tx.bytes_head;
    if (step >= 3)
      atomic_store(&tx.hdr->bytes_head, tx.bytes_head + 500);
    if (step >= 4)
      atomic_store(&slot->seq, tx.head + 1);
    if (step >= 5)
      atomic_store(&tx.hdr->head, tx.head + 1);
    assert_int_equal(rn_ring_tx_attach(&tx, mem, &size, 1), RN_OK);
    const struct rn_ring_part part = { in, sizeof(in) };
    assert_int_equal(rn_ring_push(&tx, 8, &part, 1), RN_OK);
    if (step >= 4) {
      assert_int_equal(rn_ring_pop(&rx, &m, out, sizeof(out)), RN_OK);
      assert_int_equal(m.type, 7);
    }
    assert_int_equal(rn_ring_pop(&rx, &m, out, sizeof(out)), RN_OK);
    assert_int_equal(m.type, 8);
    assert_memory_equal(in, out, sizeof(in));
    rn_ring_release(&rx);
    assert_int_equal(rn_ring_pop(&rx, &m, out, sizeof(out)), RN_ERR_AGAIN);
    assert_int_equal(rn_ring_tx_check(&tx), RN_OK);
  }
  free(mem);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(hostile_memory_never_gets_an_end_out_of_the_ring),
    cmocka_unit_test(dead_writer_at_every_step_leaves_a_ring_that_works),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
