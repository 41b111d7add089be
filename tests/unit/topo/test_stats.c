/* tests/unit/topo/test_stats.c */
#include "rn_test.h"

#include <pthread.h>

#include "topo/stats.h"
#include "util/err.h"

static struct rn_stats_page page;

static void descriptions_are_in_the_order_of_the_values(void **state) {
  (void)state;
  struct rn_lcore_stats s = { .lcore.turns = 1, .quic.sign_requests = 2 };
  unsigned int found = 0;
  for (size_t i = 0; i < RN_STATS_VALUES; i++) {
    const struct rn_metric_desc *d = &rn_metric_descs[i];
    assert_non_null(d->name);
    assert_true(d->help[0] != '\0' && d->unit[0] != '\0');
    if (strcmp(d->group, "lcore") == 0 && strcmp(d->name, "turns") == 0)
      found += rn_stats_value(&s, i) == 1;
    else if (strcmp(d->group, "quic") == 0 && strcmp(d->name, "sign_requests") == 0)
      found += rn_stats_value(&s, i) == 2;
    else
      assert_int_equal(rn_stats_value(&s, i), 0);
  }
  assert_int_equal(found, 2);
}

static void reader_gets_what_was_published(void **state) {
  (void)state;
  struct rn_lcore_stats s = { .lcore.turns = 5, .quic.heap_bytes = 7 }, out;
  uint64_t at = 0;
  memset(&page, 0, sizeof(page));
  rn_stats_publish(&page, &s, 1234);
  assert_int_equal(rn_stats_read(&page, &out, &at), RN_OK);
  assert_memory_equal(&s, &out, sizeof(s));
  assert_int_equal(at, 1234);
}

static void page_of_a_writer_that_died_is_not_read(void **state) {
  (void)state;
  struct rn_lcore_stats out = { .lcore.turns = 99 };
  memset(&page, 0, sizeof(page));
  atomic_store(&page.seq, 7);
  assert_int_equal(rn_stats_read(&page, &out, NULL), RN_ERR_AGAIN);
  assert_int_equal(out.lcore.turns, 99);
  const struct rn_lcore_stats s = { .lcore.turns = 1 };
  rn_stats_publish(&page, &s, 1); /* its successor does not get stuck either */
  assert_int_equal(rn_stats_read(&page, &out, NULL), RN_OK);
}

static _Atomic int stop;

static void *writer(void *arg) {
  struct rn_lcore_stats s;
  (void)arg;
  for (uint64_t n = 1; !atomic_load(&stop); n++) {
    uint64_t values[RN_STATS_VALUES];
    for (size_t i = 0; i < RN_STATS_VALUES; i++)
      values[i] = n;
    memcpy(&s, values, sizeof(s));
    rn_stats_publish(&page, &s, n);
    for (volatile int pause = 0; pause < 2000; pause++)
      continue;
  }
  return NULL;
}

static void reader_never_sees_two_publications_mixed(void **state) {
  (void)state;
  pthread_t t;
  unsigned int reads = 0;
  memset(&page, 0, sizeof(page));
  assert_int_equal(pthread_create(&t, NULL, writer, NULL), 0);
  for (unsigned int n = 0; n < 20000; n++) {
    struct rn_lcore_stats out;
    uint64_t at;
    if (rn_stats_read(&page, &out, &at) != RN_OK)
      continue;
    reads++;
    for (size_t i = 0; i < RN_STATS_VALUES; i++)
      assert_int_equal(rn_stats_value(&out, i), at);
  }
  atomic_store(&stop, 1);
  pthread_join(t, NULL);
  assert_true(reads > 1000);
}

static void histograms_are_read_where_they_are_written(void **state) {
  (void)state;
  struct rn_tally_copy got;
  memset(&page, 0, sizeof(page));
  rn_stats_hist_add(&page, RN_HIST_call_ns, 900, 4);
  rn_stats_hist_add(&page, RN_HIST_turn_ns, 70, 1);
  rn_stats_hist_read(&page, RN_HIST_call_ns, &got);
  assert_int_equal(got.count, 4);
  assert_int_equal(got.sum_ns, 3600);
  rn_stats_hist_read(&page, RN_HIST_turn_ns, &got);
  assert_int_equal(got.count, 1);
  rn_stats_hist_read(&page, RN_HIST_stage_rx_ns, &got);
  assert_int_equal(got.count, 0);
}

static void each_histogram_is_described(void **state) {
  (void)state;
  for (size_t i = 0; i < RN_HIST_COUNT; i++) {
    const struct rn_hist_desc *d = &rn_hist_descs[i];
    assert_true(d->name[0] != '\0' && d->exposed[0] != '\0' && d->help[0] != '\0');
    assert_string_equal(d->exposed + strlen(d->exposed) - 8, "_seconds");
  }
  assert_string_equal(rn_hist_descs[RN_HIST_stage_tx_ns].stage, "tx");
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(descriptions_are_in_the_order_of_the_values),
    cmocka_unit_test(reader_gets_what_was_published),
    cmocka_unit_test(page_of_a_writer_that_died_is_not_read),
    cmocka_unit_test(histograms_are_read_where_they_are_written),
    cmocka_unit_test(each_histogram_is_described),
    cmocka_unit_test(reader_never_sees_two_publications_mixed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
