/* tests/unit/topo/test_trace.c */
#include "rn_test.h"

#include <pthread.h>

#include "topo/trace.h"
#include "util/err.h"

static struct rn_trace_page page;

static void reader_gets_what_was_put(void **state) {
  (void)state;
  struct rn_trace out, t = {
    .at_ns = 5, .stage_ns = { 1, 2, 3, 4, 5 }, .outcome = RN_TRACE_ERROR, .method_bytes = 4
  };
  memcpy(t.method, "echo", 4);
  memset(&page, 0, sizeof(page));
  assert_int_equal(rn_trace_get(&page, 0, &out), RN_ERR_NOENT);
  assert_int_equal(rn_trace_get(&page, 1, &out), RN_ERR_NOENT);
  rn_trace_put(&page, &t);
  assert_int_equal(t.number, 1);
  assert_int_equal(rn_trace_get(&page, 1, &out), RN_OK);
  assert_memory_equal(&t, &out, sizeof(t));
  assert_int_equal(rn_trace_get(&page, 2, &out), RN_ERR_NOENT);
}

static void newest_are_kept(void **state) {
  (void)state;
  struct rn_trace out, t = { 0 };
  memset(&page, 0, sizeof(page));
  for (uint64_t i = 1; i <= RN_TRACE_SLOTS + 10; i++) {
    t.at_ns = i * 7;
    rn_trace_put(&page, &t);
  }
  assert_int_equal(rn_trace_get(&page, 10, &out), RN_ERR_NOENT);
  for (uint64_t i = 11; i <= RN_TRACE_SLOTS + 10; i++) {
    assert_int_equal(rn_trace_get(&page, i, &out), RN_OK);
    assert_int_equal(out.at_ns, i * 7);
  }
}

/* The page belongs to another process, which may be taken over, or dead in the middle of a record. */
static void what_is_read_is_in_range(void **state) {
  (void)state;
  struct rn_trace out, t = { .outcome = 77, .method_bytes = UINT32_MAX };
  memset(&page, 0, sizeof(page));
  rn_trace_put(&page, &t);
  assert_int_equal(rn_trace_get(&page, 1, &out), RN_OK);
  assert_int_equal(out.method_bytes, RN_TRACE_METHOD_BYTES);
  assert_true(out.outcome < RN_TRACE_OUTCOME_COUNT);
  atomic_fetch_add(&page.slots[1].seq, 1);
  assert_int_equal(rn_trace_get(&page, 1, &out), RN_ERR_NOENT);
}

static _Atomic int stop;

static void *writer(void *arg) {
  struct rn_trace t = { 0 };
  (void)arg;
  for (uint64_t n = 1; !atomic_load(&stop); n++) {
    t.at_ns = t.conn = t.stream_id = n;
    for (size_t i = 0; i < RN_TRACE_STAGE_COUNT; i++)
      t.stage_ns[i] = n;
    rn_trace_put(&page, &t);
  }
  return NULL;
}

static void no_record_is_torn(void **state) {
  (void)state;
  pthread_t thread;
  uint64_t whole = 0;
  memset(&page, 0, sizeof(page));
  atomic_store(&stop, 0);
  assert_int_equal(pthread_create(&thread, NULL, writer, NULL), 0);
  while (whole < 20000) {
    struct rn_trace t;
    uint64_t number = atomic_load(&page.written);
    if (rn_trace_get(&page, number, &t) != RN_OK)
      continue;
    assert_int_equal(t.at_ns, number);
    assert_int_equal(t.conn, number);
    assert_int_equal(t.stream_id, number);
    assert_int_equal(t.stage_ns[RN_TRACE_TX], number);
    whole++;
  }
  atomic_store(&stop, 1);
  pthread_join(thread, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(reader_gets_what_was_put),
    cmocka_unit_test(newest_are_kept),
    cmocka_unit_test(what_is_read_is_in_range),
    cmocka_unit_test(no_record_is_torn),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
