/* tests/unit/ring/test_ring.c: one thread, both ends. */
#include "rn_test.h"
#include "ring/ring.h"
#include "util/err.h"

#define SCHEMA 0x1234u

struct fix {
  struct rn_ring_size size;
  void *mem;
  struct rn_ring_tx tx;
  struct rn_ring_rx rx;
};

static void fix_init(struct fix *f, uint32_t slots, uint32_t bytes) {
  f->size = (struct rn_ring_size){ .slot_count = slots, .bytes_cap = bytes };
  f->mem = aligned_alloc(64, rn_ring_footprint(&f->size));
  assert_non_null(f->mem);
  assert_int_equal(rn_ring_format(f->mem, &f->size, SCHEMA, 1), RN_OK);
  assert_int_equal(rn_ring_tx_attach(&f->tx, f->mem, &f->size, SCHEMA), RN_OK);
  assert_int_equal(rn_ring_rx_attach(&f->rx, f->mem, &f->size, SCHEMA), RN_OK);
}

static int push(struct fix *f, uint16_t type, const void *data, uint32_t len) {
  const struct rn_ring_part part = { data, len };
  int err = rn_ring_push(&f->tx, type, &part, 1);
  assert_int_equal(rn_ring_tx_check(&f->tx), RN_OK);
  return err;
}

static void fill(uint8_t *p, size_t n, unsigned int seed) {
  for (size_t i = 0; i < n; i++)
    p[i] = (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

static void sizes_out_of_range_have_no_footprint(void **state) {
  (void)state;
  static const struct rn_ring_size bad[] = { { 0, 0 },        { 1, 0 },     { 3, 0 },
                                             { 131072, 0 },   { 16, 1000 }, { 16, 512 },
                                             { 16, 1u << 31 } };
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    assert_int_equal(rn_ring_footprint(&bad[i]), 0);
  const struct rn_ring_size good = { 16, 4096 };
  assert_int_equal(rn_ring_footprint(&good), 256 + 16 * 192 + 4096);
}

static void attach_refuses_what_is_no_such_ring(void **state) {
  (void)state;
  struct fix f;
  fix_init(&f, 8, 1024);
  struct rn_ring_size other = { 16, 1024 };
  assert_int_equal(rn_ring_tx_attach(&f.tx, f.mem, &other, SCHEMA), RN_ERR_CORRUPT);
  assert_int_equal(rn_ring_rx_attach(&f.rx, f.mem, &f.size, SCHEMA + 1), RN_ERR_CORRUPT);
  ((struct rn_ring_hdr *)f.mem)->magic++;
  assert_int_equal(rn_ring_rx_attach(&f.rx, f.mem, &f.size, SCHEMA), RN_ERR_CORRUPT);
  free(f.mem);
}

static void carries_messages_of_every_length_in_order(void **state) {
  (void)state;
  struct fix f;
  fix_init(&f, 8, 1024);
  uint8_t in[1024], out[1024];
  struct rn_ring_msg m;
  for (uint32_t len = 0; len <= 1024; len++) { /* positions wrap many times */
    fill(in, len, len);
    assert_int_equal(push(&f, (uint16_t)len, in, len), RN_OK);
    assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_OK);
    assert_int_equal(m.type, len);
    assert_int_equal(m.len, len);
    assert_memory_equal(in, out, len);
    rn_ring_release(&f.rx);
    assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_ERR_AGAIN);
  }
  assert_int_equal(push(&f, 1, in, 1024 + 1), RN_ERR_TOOBIG);
  free(f.mem);
}

static void joins_the_parts_of_a_payload(void **state) {
  (void)state;
  struct fix f;
  fix_init(&f, 4, 1024);
  uint8_t in[600], out[600];
  struct rn_ring_msg m;
  fill(in, sizeof(in), 3);
  for (uint32_t total = 0; total <= sizeof(in); total += 60) {
    const struct rn_ring_part parts[] = { { in, total / 3 },
                                          { NULL, 0 },
                                          { in + total / 3, total - total / 3 } };
    assert_int_equal(rn_ring_push(&f.tx, 9, parts, 3), RN_OK);
    assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_OK);
    assert_int_equal(m.len, total);
    assert_memory_equal(in, out, total);
    rn_ring_release(&f.rx);
  }
  free(f.mem);
}

static void full_until_the_consumer_releases(void **state) {
  (void)state;
  struct fix f;
  fix_init(&f, 4, 0);
  uint8_t out[RN_RING_INLINE_BYTES];
  struct rn_ring_msg m;
  for (uint16_t i = 0; i < 4; i++)
    assert_int_equal(push(&f, i, "x", 1), RN_OK);
  assert_int_equal(push(&f, 4, "x", 1), RN_ERR_AGAIN);
  assert_int_equal(rn_ring_used(&f.tx), 4);
  assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_OK);
  assert_int_equal(push(&f, 4, "x", 1), RN_ERR_AGAIN); /* taken, not given back */
  rn_ring_release(&f.rx);
  assert_int_equal(push(&f, 4, "x", 1), RN_OK);
  for (uint16_t i = 1; i <= 4; i++) {
    assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_OK);
    assert_int_equal(m.type, i);
  }
  free(f.mem);
}

static void byte_area_is_full_on_its_own(void **state) {
  (void)state;
  struct fix f;
  fix_init(&f, 16, 1024);
  uint8_t in[400] = { 0 }, out[400];
  struct rn_ring_msg m;
  assert_int_equal(push(&f, 1, in, 400), RN_OK);
  assert_int_equal(push(&f, 1, in, 400), RN_OK);
  assert_int_equal(push(&f, 1, in, 400), RN_ERR_AGAIN);
  assert_int_equal(push(&f, 1, in, 20), RN_OK); /* a slot is enough for this one */
  assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_OK);
  rn_ring_release(&f.rx);
  assert_int_equal(push(&f, 1, in, 400), RN_OK);
  free(f.mem);
}

static void message_longer_than_the_buffer_is_skipped(void **state) {
  (void)state;
  struct fix f;
  fix_init(&f, 4, 1024);
  uint8_t in[300] = { 0 }, out[100];
  struct rn_ring_msg m;
  assert_int_equal(push(&f, 1, in, 300), RN_OK);
  assert_int_equal(push(&f, 2, in, 100), RN_OK);
  assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_ERR_TOOBIG);
  assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_OK);
  assert_int_equal(m.type, 2);
  free(f.mem);
}

static void bell_rings_once_per_sleep(void **state) {
  (void)state;
  struct fix f;
  fix_init(&f, 8, 0);
  uint8_t out[8];
  struct rn_ring_msg m;
  assert_int_equal(push(&f, 1, "x", 1), RN_OK);
  assert_false(rn_ring_must_wake(&f.tx)); /* nobody sleeps */
  assert_false(rn_ring_sleep(&f.rx));     /* there is something */
  assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_OK);
  assert_true(rn_ring_sleep(&f.rx));
  assert_int_equal(push(&f, 1, "x", 1), RN_OK);
  assert_true(rn_ring_must_wake(&f.tx));
  assert_int_equal(push(&f, 1, "x", 1), RN_OK);
  assert_false(rn_ring_must_wake(&f.tx));
  free(f.mem);
}

static void half_written_message_is_not_seen_and_is_overwritten(void **state) {
  (void)state;
  struct fix f;
  fix_init(&f, 4, 1024);
  uint8_t in[300], out[300];
  struct rn_ring_msg m;
  fill(in, sizeof(in), 5);
  assert_int_equal(push(&f, 1, in, 300), RN_OK);
  /* A producer that died after it wrote all but the sequence: slot, byte area, its note of
   * bytes_head. */
  struct rn_ring_hdr *hdr = f.mem;
  struct rn_ring_slot *slot = &f.tx.slots[1];
  slot->len = 500;
  slot->type = 77;
  slot->flags = RN_RING_FLAG_BYTES;
  slot->bytes_pos = f.tx.bytes_head;
  atomic_store(&hdr->bytes_head, f.tx.bytes_head + 500);
  assert_int_equal(rn_ring_tx_attach(&f.tx, f.mem, &f.size, SCHEMA), RN_OK);
  assert_int_equal(push(&f, 2, in, 200), RN_OK);
  assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_OK);
  assert_int_equal(m.type, 1);
  assert_memory_equal(in, out, 300);
  assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_OK);
  assert_int_equal(m.type, 2);
  assert_memory_equal(in, out, 200);
  rn_ring_release(&f.rx);
  free(f.mem);
}

static void bytes_a_dead_producer_reserved_come_back(void **state) {
  (void)state;
  struct fix f;
  fix_init(&f, 4, 1024);
  uint8_t in[1024], out[1024];
  struct rn_ring_msg m;
  struct rn_ring_hdr *hdr = f.mem;
  for (unsigned int death = 0; death < 20; death++) {
    atomic_fetch_add(&hdr->bytes_head, 1000);
    assert_int_equal(rn_ring_tx_attach(&f.tx, f.mem, &f.size, SCHEMA), RN_OK);
    fill(in, sizeof(in), death);
    assert_int_equal(push(&f, 1, in, 1024), RN_OK);
    assert_int_equal(push(&f, 1, in, 200), RN_ERR_AGAIN);
    assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_OK);
    assert_memory_equal(in, out, 1024);
    rn_ring_release(&f.rx);
  }
  free(f.mem);
}

static void producer_finds_what_was_published_before_it_was_noted(void **state) {
  (void)state;
  struct fix f;
  fix_init(&f, 4, 0);
  uint8_t out[8];
  struct rn_ring_msg m;
  struct rn_ring_hdr *hdr = f.mem;
  for (uint16_t i = 0; i < 3; i++)
    assert_int_equal(push(&f, i, "x", 1), RN_OK);
  atomic_store(&hdr->head, 2); /* died between publishing the third and noting it */
  assert_int_equal(rn_ring_tx_attach(&f.tx, f.mem, &f.size, SCHEMA), RN_OK);
  assert_int_equal(push(&f, 3, "x", 1), RN_OK);
  assert_int_equal(push(&f, 4, "x", 1), RN_ERR_AGAIN);
  for (uint16_t i = 0; i < 4; i++) {
    assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_OK);
    assert_int_equal(m.type, i);
  }
  free(f.mem);
}

static void consumer_that_attaches_goes_on_with_what_was_not_given_back(void **state) {
  (void)state;
  struct fix f;
  fix_init(&f, 8, 1024);
  uint8_t in[200] = { 0 }, out[200];
  struct rn_ring_msg m;
  for (uint16_t i = 0; i < 5; i++)
    assert_int_equal(push(&f, i, in, 200), RN_OK);
  for (uint16_t i = 0; i < 2; i++)
    assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_OK);
  rn_ring_release(&f.rx);
  assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_OK); /* the third, then it dies */
  assert_int_equal(rn_ring_rx_attach(&f.rx, f.mem, &f.size, SCHEMA), RN_OK);
  for (uint16_t i = 2; i < 5; i++) {
    assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_OK);
    assert_int_equal(m.type, i);
  }
  assert_int_equal(rn_ring_rx_check(&f.rx), RN_OK);
  free(f.mem);
}

static void nonsense_of_the_consumer_stops_the_producer(void **state) {
  (void)state;
  struct fix f;
  fix_init(&f, 4, 1024);
  uint8_t in[300] = { 0 };
  struct rn_ring_hdr *hdr = f.mem;
  for (uint16_t i = 0; i < 4; i++)
    assert_int_equal(push(&f, i, in, 8), RN_OK);
  atomic_store(&hdr->tail, 99);
  const struct rn_ring_part part = { in, 300 };
  assert_int_equal(rn_ring_push(&f.tx, 1, &part, 1), RN_ERR_CORRUPT);
  assert_int_equal(rn_ring_tx_attach(&f.tx, f.mem, &f.size, SCHEMA), RN_ERR_CORRUPT);
  free(f.mem);
}

static void head_that_makes_no_sense_is_skipped(void **state) {
  (void)state;
  static const struct {
    uint32_t len;
    uint16_t flags;
  } bad[] = { { RN_RING_INLINE_BYTES + 1, 0 },
              { UINT32_MAX, 0 },
              { 1025, RN_RING_FLAG_BYTES },
              { 4, 2 },
              { 4, 0x8001 } };
  struct fix f;
  fix_init(&f, 8, 1024);
  uint8_t out[2048];
  struct rn_ring_msg m;
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    struct rn_ring_slot *slot = &f.tx.slots[f.tx.head & f.tx.mask];
    assert_int_equal(push(&f, 1, "abcd", 4), RN_OK);
    slot->len = bad[i].len;
    slot->flags = bad[i].flags;
    assert_int_equal(push(&f, 2, "efgh", 4), RN_OK);
    assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_ERR_CORRUPT);
    assert_int_equal(rn_ring_pop(&f.rx, &m, out, sizeof(out)), RN_OK);
    assert_int_equal(m.type, 2);
    rn_ring_release(&f.rx);
  }
  free(f.mem);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(sizes_out_of_range_have_no_footprint),
    cmocka_unit_test(attach_refuses_what_is_no_such_ring),
    cmocka_unit_test(carries_messages_of_every_length_in_order),
    cmocka_unit_test(joins_the_parts_of_a_payload),
    cmocka_unit_test(full_until_the_consumer_releases),
    cmocka_unit_test(byte_area_is_full_on_its_own),
    cmocka_unit_test(message_longer_than_the_buffer_is_skipped),
    cmocka_unit_test(bell_rings_once_per_sleep),
    cmocka_unit_test(half_written_message_is_not_seen_and_is_overwritten),
    cmocka_unit_test(bytes_a_dead_producer_reserved_come_back),
    cmocka_unit_test(producer_finds_what_was_published_before_it_was_noted),
    cmocka_unit_test(consumer_that_attaches_goes_on_with_what_was_not_given_back),
    cmocka_unit_test(head_that_makes_no_sense_is_skipped),
    cmocka_unit_test(nonsense_of_the_consumer_stops_the_producer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
