#include "fake_node.h"

#include "control/health.h"
#include "control/metrics.h"
#include "sys/clock.h"
#include "util/err.h"

static struct fake_node f;
static char *text;

static void make(void) {
  size_t len;
  free(text);
  text = rn_metrics_text(&f.node, &len);
  assert_non_null(text);
  assert_int_equal(strlen(text), len);
}

static int setup(void **state) {
  (void)state;
  fake_node_init(&f);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  free(text);
  text = NULL;
  return 0;
}

/* The value behind a name with its labels, at the beginning of a line; NULL: there is no such line. */
static const char *find(const char *series) {
  static char value[64];
  size_t n = strlen(series);
  for (const char *line = text; line != NULL && *line != '\0';) {
    if (strncmp(line, series, n) == 0 && line[n] == ' ') {
      snprintf(value, sizeof(value), "%.*s", (int)strcspn(line + n + 1, "\n"), line + n + 1);
      return value;
    }
    line = strchr(line, '\n');
    line += line != NULL;
  }
  return NULL;
}

static void expect(const char *series, const char *value) {
  const char *found = find(series);
  if (found == NULL)
    fail_msg("%s is not there", series);
  else if (strcmp(found, value) != 0)
    fail_msg("%s is %s, not %s", series, found, value);
}

static void every_metric_is_there_for_each_lcore(void **state) {
  (void)state;
  for (uint32_t l = 0; l < FAKE_LCORES; l++) {
    uint64_t values[RN_STATS_VALUES];
    for (uint64_t i = 0; i < RN_STATS_VALUES; i++)
      values[i] = (l + 1) * 1000 + i;
    memcpy(&f.stats[l], values, sizeof(values));
  }
  fake_node_publish(&f, rn_sys_now_ns());
  make();
  for (size_t i = 0; i < RN_STATS_VALUES; i++) {
    const struct rn_metric_desc *d = &rn_metric_descs[i];
    for (uint32_t l = 0; l < FAKE_LCORES; l++) {
      char name[RN_METRIC_EXPOSED_BYTES], series[128], value[64];
      rn_metric_exposed(d->group, d->name, d->kind, name);
      snprintf(series, sizeof(series), "%s{lcore=\"%u\"}", name, l);
      unsigned int v = (l + 1) * 1000 + (unsigned int)i;
      snprintf(value, sizeof(value), rn_metric_is_time(d->name) ? "0.%09u" : "%u", v);
      expect(series, value);
    }
  }
}

static void names_say_seconds_and_total(void **state) {
  (void)state;
  char name[RN_METRIC_EXPOSED_BYTES];
  assert_string_equal(rn_metric_exposed("rpc", "requests", RN_METRIC_COUNTER, name),
                      "rpcnet_rpc_requests_total");
  assert_string_equal(rn_metric_exposed("quic", "conns", RN_METRIC_GAUGE, name),
                      "rpcnet_quic_conns");
  assert_string_equal(rn_metric_exposed("lcore", "busy_ns", RN_METRIC_COUNTER, name),
                      "rpcnet_lcore_busy_seconds_total");
  f.stats[0].lcore.busy_ns = 12345678901234567891u; /* a double has 53 bits */
  fake_node_publish(&f, 1);
  make();
  expect("rpcnet_lcore_busy_seconds_total{lcore=\"0\"}", "12345678901.234567891");
}

static void what_control_counts_is_there(void **state) {
  (void)state;
  f.node.stats.sign_done = 7;
  f.node.stats.dataplane_starts = 3;
  make();
  expect("rpcnet_control_sign_done_total", "7");
  expect("rpcnet_control_dataplane_starts", "3");
  expect("rpcnet_build_info{version=\"" RN_VERSION "\",node=\"n1\"}", "1");
}

static void calls_and_errors_are_of_all_lcores(void **state) {
  (void)state;
  f.stats[0].rpc = (struct rn_stats_rpc){ .requests = 10, .streams = 1, .errors_timeout = 2 };
  f.stats[1].rpc = (struct rn_stats_rpc){ .requests = 5, .errors_timeout = 1, .bad_requests = 4 };
  fake_node_publish(&f, 1);
  make();
  expect("rpc_requests_total", "16");
  expect("rpc_errors_total{type=\"timeout\"}", "3");
  expect("rpc_errors_total{type=\"bad_request\"}", "4");
  expect("rpc_errors_total{type=\"unknown\"}", "0");
}

static void a_histogram_is_cumulative(void **state) {
  (void)state;
  rn_stats_hist_add(&f.pages[0], RN_HIST_call_ns, 64, 1);
  rn_stats_hist_add(&f.pages[0], RN_HIST_call_ns, 65, 1);
  rn_stats_hist_add(&f.pages[1], RN_HIST_call_ns, 128, 2);
  rn_stats_hist_add(&f.pages[1], RN_HIST_call_ns, UINT64_C(20000000000), 1);
  make();
  expect("rpc_latency_seconds_bucket{le=\"6.4e-08\"}", "1");
  expect("rpc_latency_seconds_bucket{le=\"9.6e-08\"}", "2");
  expect("rpc_latency_seconds_bucket{le=\"1.28e-07\"}", "4");
  expect("rpc_latency_seconds_bucket{le=\"17.179869184\"}", "4");
  expect("rpc_latency_seconds_bucket{le=\"+Inf\"}", "5");
  expect("rpc_latency_seconds_count", "5");
  expect("rpc_latency_seconds_sum", "20.000000385");
}

static void stages_and_turns_have_labels(void **state) {
  (void)state;
  rn_stats_hist_add(&f.pages[0], RN_HIST_stage_tx_ns, 100, 1);
  rn_stats_hist_add(&f.pages[1], RN_HIST_stage_tx_ns, 100, 2);
  rn_stats_hist_add(&f.pages[1], RN_HIST_turn_ns, 100, 4);
  make();
  expect("rpcnet_stage_seconds_bucket{stage=\"tx\",le=\"1.28e-07\"}", "3");
  expect("rpcnet_stage_seconds_count{stage=\"tx\"}", "3");
  expect("rpcnet_stage_seconds_count{stage=\"rx\"}", "0");
  expect("rpcnet_turn_seconds_count{lcore=\"0\"}", "0");
  expect("rpcnet_turn_seconds_bucket{lcore=\"1\",le=\"+Inf\"}", "4");
}

/* The format wants one HELP and one TYPE, then all lines of a family together. */
static void families_stand_together_and_are_described_once(void **state) {
  (void)state;
  char *save = NULL, family[RN_METRIC_EXPOSED_BYTES] = "", seen[65536] = "\n", name[200];
  unsigned int families = 0;
  fake_node_publish(&f, 1);
  make();
  for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
    if (sscanf(line, "# HELP %95s", family) == 1) {
      assert_true(strlen(line) > strlen("# HELP  ") + strlen(family));
      assert_null(strchr(line, '\\'));
      snprintf(name, sizeof(name), "\n%s\n", family);
      if (strstr(seen, name) != NULL)
        fail_msg("%s is described twice", family);
      strcat(seen, name + 1);
      families++;
    } else if (line[0] == '#') {
      char kind[16];
      assert_int_equal(sscanf(line, "# TYPE %199s %15s", name, kind), 2);
      assert_string_equal(name, family);
    } else if (strncmp(line, family, strlen(family)) != 0) {
      fail_msg("'%s' stands among the lines of %s", line, family);
    }
  }
  assert_true(families > RN_STATS_VALUES);
}

static void without_a_data_plane_only_control_speaks(void **state) {
  (void)state;
  f.node.state = RN_NODE_NONE;
  f.node.view.base = NULL; /* its memory is gone */
  make();
  assert_null(find("rpcnet_lcore_turns_total{lcore=\"0\"}"));
  assert_null(find("rpc_requests_total"));
  expect("rpcnet_ready", "0");
  expect("rpcnet_control_sign_done_total", "0");
  expect("rpc_throughput_rps", "0");
}

static void another_data_plane_counts_from_zero(void **state) {
  (void)state;
  f.stats[0].rpc.requests = 1000;
  fake_node_publish(&f, 1);
  make();
  expect("rpc_requests_total", "1000");
  fake_node_restart(&f);
  make();
  expect("rpc_requests_total", "0");
}

/* ---- rates ---- */

static void sample(uint64_t now_ns) {
  fake_node_publish(&f, now_ns);
  rn_node_sample(&f.node, false);
  rn_rates_sample(&f.node.rates, &f.node, now_ns);
}

static void rates_are_of_the_time_between_two_samples(void **state) {
  (void)state;
  const struct rn_rates *r = &f.node.rates;
  f.stats[0].rpc.requests = 5000; /* before anybody looked */
  rn_stats_hist_add(&f.pages[0], RN_HIST_call_ns, 1000000, 5000);
  sample(RN_NS_PER_S);
  assert_true(r->throughput_rps == 0);
  f.stats[0].rpc.requests += 300;
  f.stats[1].rpc.streams += 100;
  rn_stats_hist_add(&f.pages[1], RN_HIST_call_ns, 2000, 98);
  rn_stats_hist_add(&f.pages[1], RN_HIST_call_ns, 400000, 2);
  sample(3 * RN_NS_PER_S);
  assert_true(r->throughput_rps == 200);
  assert_true(r->latency_p50_us > 1.7 && r->latency_p50_us <= 2.1);
  assert_true(r->latency_p99_us > 350 && r->latency_p99_us <= 450);
  assert_true(r->memory_mb > 1);
  make();
  expect("rpc_throughput_rps", "200");
  sample(4 * RN_NS_PER_S);
  assert_true(r->throughput_rps == 0 && r->latency_p99_us == 0);
}

static void forwarded_calls_count(void **state) {
  (void)state;
  const struct rn_rates *r = &f.node.rates;
  sample(RN_NS_PER_S);
  assert_true(r->hit_rate == 1);
  f.stats[0].rpc.requests = 10;
  f.stats[0].forward.calls = 30;
  f.stats[0].forward.errors_no_worker = 7;
  f.stats[0].pool.hits = 27;
  f.stats[1].pool.misses = 3;
  f.node.healthy_workers = 5;
  sample(2 * RN_NS_PER_S);
  assert_true(r->throughput_rps == 40);
  make();
  expect("rpc_requests_total", "40");
  expect("rpc_errors_total{type=\"no_worker\"}", "7");
  expect("pool_hit_rate", "0.9");
  expect("cluster_healthy_workers", "5");
}

static void rates_do_not_compare_two_data_planes(void **state) {
  (void)state;
  f.stats[0].rpc.requests = 5000;
  rn_stats_hist_add(&f.pages[0], RN_HIST_call_ns, 1000000, 10);
  sample(RN_NS_PER_S);
  fake_node_restart(&f);
  f.stats[0].rpc.requests = 6000; /* more than the one before had */
  rn_stats_hist_add(&f.pages[0], RN_HIST_call_ns, 1000000, 20);
  rn_stats_hist_add(&f.pages[0], RN_HIST_call_ns, 1000, 15);
  sample(2 * RN_NS_PER_S);
  assert_true(f.node.rates.throughput_rps == 6000);
  assert_true(f.node.rates.latency_p50_us > 900); /* of 35, not of 25 */
}

/* ---- health ---- */

static char why[128];

static bool ready_at(uint64_t now_ns) {
  why[0] = '\0';
  return rn_health_ready(&f.node, now_ns, why, sizeof(why));
}

static void a_node_is_ready_while_all_lcores_publish(void **state) {
  (void)state;
  fake_node_publish(&f, 5 * RN_NS_PER_S);
  assert_true(ready_at(5 * RN_NS_PER_S));
  assert_true(ready_at(5 * RN_NS_PER_S + RN_HEALTH_SILENT_NS));
  assert_true(ready_at(4 * RN_NS_PER_S)); /* published after we read the clock */
  rn_stats_publish(&f.pages[0], &f.stats[0], 7 * RN_NS_PER_S);
  assert_false(ready_at(7 * RN_NS_PER_S));
  assert_string_equal(why, "lcore 1 is silent for 2000 ms");
}

static void a_node_is_not_ready_before_each_lcore_has_published(void **state) {
  (void)state;
  rn_stats_publish(&f.pages[0], &f.stats[0], 5 * RN_NS_PER_S);
  assert_false(ready_at(5 * RN_NS_PER_S));
  assert_string_equal(why, "lcore 1 has never published");
}

static void a_node_that_does_not_serve_is_not_ready(void **state) {
  (void)state;
  fake_node_publish(&f, 1);
  f.node.state = RN_NODE_STARTING;
  assert_false(ready_at(1));
  assert_string_equal(why, "the data plane is starting");
  f.node.state = RN_NODE_NONE;
  assert_false(ready_at(1));
  assert_string_equal(why, "the data plane is not running");
  f.node.state = RN_NODE_SERVING;
  f.node.stopping = true;
  assert_false(ready_at(1));
  assert_string_equal(why, "the node is shutting down");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
  const struct CMUnitTest tests[] = {
    TEST(every_metric_is_there_for_each_lcore),
    TEST(names_say_seconds_and_total),
    TEST(what_control_counts_is_there),
    TEST(calls_and_errors_are_of_all_lcores),
    TEST(a_histogram_is_cumulative),
    TEST(stages_and_turns_have_labels),
    TEST(families_stand_together_and_are_described_once),
    TEST(without_a_data_plane_only_control_speaks),
    TEST(another_data_plane_counts_from_zero),
    TEST(rates_are_of_the_time_between_two_samples),
    TEST(forwarded_calls_count),
    TEST(rates_do_not_compare_two_data_planes),
    TEST(a_node_is_ready_while_all_lcores_publish),
    TEST(a_node_is_not_ready_before_each_lcore_has_published),
    TEST(a_node_that_does_not_serve_is_not_ready),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
