/* tests/unit/control/test_topo_of.c: every configuration that is accepted makes a description that is. */
#include "rn_test.h"

#include "control/parent.h"
#include "control/topo_of.h"
#include "util/err.h"

static const uint8_t secret[32] = { 1, 2, 3 };
static char why[256];

static struct rn_config config(const char *more) {
  struct rn_config cfg;
  struct rn_config_errors *errs = rn_config_errors_new();
  char text[4096];
  snprintf(text, sizeof(text), "tls:\n  cert: a.crt\n  key: a.key\n%s", more);
  if (rn_config_load_text("test", text, strlen(text), &cfg, errs) != RN_OK) {
    rn_config_errors_print(errs, stderr);
    fail();
  }
  rn_config_errors_free(errs);
  return cfg;
}

static struct rn_topo describe(const char *more, uint8_t epoch) {
  const struct rn_config cfg = config(more);
  const struct rn_topo_inputs in = { .secret = secret,
                                     .secret_bytes = sizeof(secret),
                                     .epoch = epoch,
                                     .start_unix_ns = 1000u + epoch,
                                     .privileged = true };
  struct rn_topo t;
  memset(&t, 0xa5, sizeof(t));
  assert_int_equal(rn_topo_of_config(&cfg, &in, &t), RN_OK);
  return t;
}

static void accepted(struct rn_topo t) {
  t.tls.cert.bytes = 100;
  t.tls.ca.bytes = t.tls.require_client_cert ? 100 : 0;
  t.tls.peer_ca.bytes = t.cluster.enabled ? 100 : 0;
  if (rn_topo_check(&t, why, sizeof(why)) != RN_OK)
    fail_msg("%s", why);
}

static void defaults_are_complete(void **state) {
  (void)state;
  struct rn_topo t = describe("port:\n  interface: eth0\n", 0);
  accepted(t);
  assert_int_equal(t.lcore_count, 1);
  assert_int_equal(t.lcores[0].cpu, -1);
  assert_string_equal(t.ports[0].interface, "eth0");
  assert_int_equal(t.ports[0].udp_port, 8080);
  assert_string_equal(t.tls.alpn, "h3");
  assert_int_equal(t.uid, 59802);
  assert_int_equal(t.quic.max_streams_bidi, 10000);
  assert_int_equal(t.quic.idle_timeout_ns, 30000000000ull);
}

/* rpcnetd and control make theirs each for itself of the same file. */
static void it_keeps_to_what_rpcnetd_tells_the_data_plane(void **state) {
  (void)state;
  static const char *const more[] = {
    "port:\n  interface: eth0\n",
    "node:\n  dataplane_uid: 7\n  dataplane_gid: 8\n  sandbox: false\nport:\n  interface: eth0\n",
    "node:\n  control_uid: keep\n  control_gid: keep\n  dataplane_uid: keep\n  dataplane_gid: "
    "keep\n"
    "port:\n  driver: \"null\"\n  mode: owned\n  addresses: [192.0.2.1/24]\n",
  };
  for (size_t i = 0; i < 2 * sizeof(more) / sizeof(more[0]); i++) {
    const struct rn_config cfg = config(more[i / 2]);
    const bool root = i % 2 == 0;
    const struct rn_topo_inputs in = { .secret = secret,
                                       .secret_bytes = sizeof(secret),
                                       .privileged = root };
    const struct rn_mandate m = rn_parent_mandate(&cfg, root);
    struct rn_topo t;
    assert_int_equal(rn_topo_of_config(&cfg, &in, &t), RN_OK);
    if (rn_mandate_check(&m, &t, why, sizeof(why)) != RN_OK)
      fail_msg("%s", why);
    assert_int_equal(m.uid, !root ? 0 : cfg.node.dataplane_uid);
    assert_int_equal(m.sandbox, i / 2 != 1);
  }
}

static void extremes_are_accepted_too(void **state) {
  (void)state;
  accepted(describe("port:\n  interface: eth0\n  mtu: 1280\n"
                    "quic:\n  max_concurrent_streams: 1\n"
                    "limits:\n  connections: 1\n  half_open: 1\n  signing_queue: 1\n  streams: 1\n "
                    " calls: 1\n  send_segments: 16\n"
                    "  bulk_segments: 16\n",
                    1));
  accepted(describe("port:\n  interface: eth0\n  mtu: 9216\n"
                    "limits:\n  connections: 65536\n  half_open: 65536\n  signing_queue: 65536\n",
                    2));
  accepted(describe(
      "port:\n  interface: eth0\nlcores:\n  count: 32\nmemory:\n  packet_memory: 2 GiB\n", 3));
}

static void values_arrive_where_they_belong(void **state) {
  (void)state;
  struct rn_topo t = describe(
      "node:\n  name: n7\n  server_id: 513\n  log_level: debug\n  dataplane_uid: 77\n"
      "port:\n  interface: eth1\n  mode: owned\n  addresses: [192.0.2.7/24, 2001:db8::7/64]\n"
      "  gateway4: 192.0.2.1\n  listen_port: 4433\n  mtu: 1400\n"
      "lcores:\n  cores: [2, 5]\n  idle: spin\n"
      "quic:\n  congestion_control: bbr\n  retry: always\n"
      "rpc:\n  methods:\n    - name: slow\n      request_timeout: 90 s\n",
      9);
  accepted(t);
  assert_string_equal(t.node_name, "n7");
  assert_int_equal(t.cid.server_id, 513);
  assert_int_equal(t.cid.epoch, 9);
  assert_int_equal(t.log_level, RN_LOG_DEBUG);
  assert_int_equal(t.uid, 77);
  assert_int_equal(t.lcore_count, 2);
  assert_int_equal(t.cid.lcore_count, 2);
  assert_int_equal(t.lcores[1].cpu, 5);
  assert_int_equal(t.idle, RN_TOPO_IDLE_SPIN);
  const struct rn_topo_port *p = &t.ports[0];
  assert_int_equal(p->mode, RN_TOPO_OWNED);
  assert_int_equal(p->addr_count, 2);
  assert_int_equal(p->addrs[0].addr.ip[3], 7);
  assert_int_equal(p->addrs[1].prefix_bits, 64);
  assert_int_equal(p->gateway4.family, 4);
  assert_int_equal(p->gateway6.family, 0);
  assert_int_equal(p->udp_port, 4433);
  assert_int_equal(t.quic.max_udp_payload, 1400 - 48);
  assert_int_equal(t.quic.cc, RN_QUIC_CC_BBR);
  assert_int_equal(t.quic.retry, RN_QUIC_RETRY_ALWAYS);
  assert_int_equal(t.method_count, 1);
  assert_string_equal(t.methods[0].name, "slow");
  assert_int_equal(t.methods[0].request_timeout_ns, 90000000000ull);
}

static void a_cluster_is_described_once_it_is_enabled(void **state) {
  (void)state;
  static const struct rn_topo_cluster none;
  const char *rest = "  server_name: n.example\n  ping_interval: 5s\n"
                     "director: {connections_per_worker: 7, warm_connections: 3, idle_timeout: 9s, "
                     "connect_timeout: 1s}\n"
                     "port: {interface: eth0}\n";
  char text[512];
  snprintf(text, sizeof(text), "cluster:\n%s", rest);
  struct rn_topo t = describe(text, 1);
  accepted(t);
  assert_memory_equal(&t.cluster, &none, sizeof(none));
  snprintf(text, sizeof(text), "cluster:\n  enabled: true\n%s", rest);
  t = describe(text, 1);
  accepted(t);
  assert_int_equal(t.cluster.enabled, 1);
  assert_int_equal(t.cluster.conns_per_worker, 7);
  assert_int_equal(t.cluster.warm_conns, 3);
  assert_int_equal(t.cluster.ping_interval_ns, 5000000000);
  assert_int_equal(t.cluster.idle_timeout_ns, 9000000000);
  assert_int_equal(t.cluster.connect_timeout_ns, 1000000000);
  assert_string_equal(t.cluster.server_name, "n.example");
  accepted(describe("cluster: {enabled: true}\nport: {interface: eth0}\n", 1));
}

static void a_route_for_every_worker_says_so(void **state) {
  (void)state;
  struct rn_topo t = describe("cluster: {enabled: true}\nport: {interface: eth0}\n"
                              "director: {enabled: true, routes: [{method: a, call_all: true, "
                              "timeout: 2s, max_in_flight: 9}, {method: b}]}\n",
                              1);
  accepted(t);
  assert_int_equal(t.director.routes[0].call_all, 1);
  assert_int_equal(t.director.routes[0].timeout_ns, 2000000000);
  assert_int_equal(t.director.routes[0].max_in_flight, 9);
  assert_int_equal(t.director.routes[1].call_all, 0);
}

static void keys_follow_from_the_secret_alone(void **state) {
  (void)state;
  const struct rn_config cfg = config("port:\n  interface: eth0\n");
  struct rn_topo_inputs in = { .secret = secret, .secret_bytes = sizeof(secret) };
  const uint8_t other_secret[32] = { 9 };
  struct rn_topo a, b, c;
  assert_int_equal(rn_topo_of_config(&cfg, &in, &a), RN_OK);
  assert_int_equal(rn_topo_of_config(&cfg, &in, &b), RN_OK);
  in.secret = other_secret;
  assert_int_equal(rn_topo_of_config(&cfg, &in, &c), RN_OK);
  assert_memory_equal(&a, &b, sizeof(a));
  assert_memory_not_equal(a.cid.key, c.cid.key, sizeof(a.cid.key));
  assert_memory_not_equal(a.cid.reset_key, c.cid.reset_key, sizeof(a.cid.reset_key));
  assert_memory_not_equal(a.cid.token_key, c.cid.token_key, sizeof(a.cid.token_key));
  assert_memory_not_equal(a.tls.ticket_keys, c.tls.ticket_keys, sizeof(a.tls.ticket_keys));
  assert_memory_not_equal(a.cid.reset_key, a.cid.token_key, 32);
  in.secret_bytes = 31;
  assert_int_equal(rn_topo_of_config(&cfg, &in, &c), RN_ERR_CONFIG);
}

static void only_what_a_start_changes_is_ignored(void **state) {
  (void)state;
  struct rn_topo a = describe("port:\n  interface: eth0\n", 1),
                 b = describe("port:\n  interface: eth0\n", 2);
  assert_true(rn_topo_serves_same(&a, &b));
  b.quic.idle_timeout_ns++;
  assert_false(rn_topo_serves_same(&a, &b));
  b = describe("port:\n  interface: eth0\n  listen_port: 8081\n", 2);
  assert_false(rn_topo_serves_same(&a, &b));
  b = describe("port:\n  interface: eth0\n", 2);
  b.cid.key[0] ^= 1;
  assert_false(rn_topo_serves_same(&a, &b));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(defaults_are_complete),
    cmocka_unit_test(it_keeps_to_what_rpcnetd_tells_the_data_plane),
    cmocka_unit_test(extremes_are_accepted_too),
    cmocka_unit_test(values_arrive_where_they_belong),
    cmocka_unit_test(a_cluster_is_described_once_it_is_enabled),
    cmocka_unit_test(a_route_for_every_worker_says_so),
    cmocka_unit_test(keys_follow_from_the_secret_alone),
    cmocka_unit_test(only_what_a_start_changes_is_ignored),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
