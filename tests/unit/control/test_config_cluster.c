/* The sections cluster and director: what they may hold, and what they say against each other and against the rest. */
#include "tests/unit/control/config_case.h"

#include "util/err.h"

#define ON    "cluster: {enabled: true}\n"
#define CA    "tls: {cert: a.crt, key: a.key, ca: ca.crt}\n"
#define DIGIT "0123456789abcdef"
#define SHA   DIGIT DIGIT DIGIT DIGIT

static const char *tag(const struct rn_tags *t, const char *key) {
  static char text[RN_TAG_MAX + 1];
  struct rn_bin_str value;
  if (!rn_tags_get(t, (struct rn_bin_str){ key, strlen(key) }, &value))
    return NULL;
  memcpy(text, value.p, value.len);
  text[value.len] = 0;
  return text;
}

static void a_node_is_alone_by_default(void **state) {
  (void)state;
  struct config_case c;
  config_load_good(&c, CONFIG_PORT CONFIG_TLS);
  const struct rn_config_cluster *g = &c.cfg.cluster;
  assert_false(g->enabled);
  assert_string_equal(g->node_id, "");
  assert_int_equal(g->advertise_addr.family, 0);
  assert_int_equal(g->seeds_count, 0);
  assert_int_equal(g->tags.count, 0);
  assert_int_equal(g->gossip_interval_ns, 1000000000);
  assert_int_equal(g->probe_timeout_ns, 500000000);
  assert_int_equal(g->indirect_probes, 3);
  assert_int_equal(g->suspicion_multiplier, 4);
  assert_int_equal(g->members, 8192);
  assert_int_equal(g->tombstone_ns, 600000000000);
  assert_string_equal(g->server_name, "localhost");
  assert_int_equal(g->ping_interval_ns, 10000000000);
  const struct rn_config_director *d = &c.cfg.director;
  assert_false(d->enabled);
  assert_true(d->get_worker);
  assert_int_equal(d->worker_tags.count, 1);
  assert_string_equal(tag(&d->worker_tags, "role"), "worker");
  assert_int_equal(d->strategy, RN_CONFIG_STRATEGY_LEAST_CONNECTIONS);
  assert_int_equal(d->connections_per_worker, 4);
  assert_int_equal(d->warm_connections, 1);
  assert_int_equal(d->routes_count, 0);
  config_done(&c);
}

static void every_key_of_a_cluster_is_read(void **state) {
  (void)state;
  struct config_case c;
  config_load_good(
      &c,
      "cluster:\n"
      "  enabled: true\n"
      "  node_id: worker 7\n"
      "  advertise_addr: 192.0.2.7:9000\n"
      "  seeds: [127.0.0.1:8080, '[2001:db8::7]:8081']\n"
      "  tags:\n"
      "    role: worker\n"
      "    \"zone\": 'a: b'\n"
      "    weight: 10\n"
      "    empty: ''\n"
      "  gossip_interval: 200ms\n"
      "  probe_timeout: 200ms\n"
      "  server_name: node.example.com\n"
      "  allowed_certs:\n"
      "    - " SHA "\n"
      "    - AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:"
      "23:45:67:89\n" CONFIG_PORT CA);
  const struct rn_config_cluster *g = &c.cfg.cluster;
  assert_string_equal(g->node_id, "worker 7");
  assert_int_equal(g->advertise_addr.port, 9000);
  assert_int_equal(g->advertise_addr.ip[3], 7);
  assert_int_equal(g->seeds_count, 2);
  assert_int_equal(g->seeds[0].ip[0], 127);
  assert_int_equal(g->seeds[1].family, 6);
  assert_int_equal(g->seeds[1].port, 8081);
  assert_int_equal(g->tags.count, 4);
  assert_int_equal(rn_tags_check(&g->tags), RN_OK);
  assert_string_equal(tag(&g->tags, "role"), "worker");
  assert_string_equal(tag(&g->tags, "zone"), "a: b");
  assert_string_equal(tag(&g->tags, "weight"), "10");
  assert_string_equal(tag(&g->tags, "empty"), "");
  assert_int_equal(g->allowed_certs_count, 2);
  assert_int_equal(g->allowed_certs[0].sha256[31], 0xef);
  assert_int_equal(g->allowed_certs[1].sha256[0], 0xab);
  assert_int_equal(g->allowed_certs[1].sha256[31], 0x89);
  config_done(&c);
}

static void every_key_of_a_route_is_read(void **state) {
  (void)state;
  struct config_case c;
  config_load_good(&c, ON "director:\n"
                          "  enabled: true\n"
                          "  worker_tags: {}\n"
                          "  strategy: p2c_ewma\n"
                          "  routes:\n"
                          "  - method: Inference.generate\n"
                          "    tags: {role: gpu, model: big}\n"
                          "    strategy: consistent_hash\n"
                          "    near_first: true\n"
                          "    idempotent: true\n"
                          "    timeout: none\n"
                          "    try_timeout: 2s\n"
                          "    max_in_flight: 5\n"
                          "    hedge: 50ms\n"
                          "  - {method: Inference.*, strategy: weighted}\n"
                          "  - method: '*'\n" CONFIG_PORT CONFIG_TLS);
  const struct rn_config_director *d = &c.cfg.director;
  assert_true(d->enabled);
  assert_int_equal(d->worker_tags.count, 0); /* instead of the default's */
  assert_int_equal(d->strategy, RN_CONFIG_STRATEGY_P2C_EWMA);
  assert_int_equal(d->routes_count, 3);
  const struct rn_config_route *r = d->routes;
  assert_string_equal(r->method, "Inference.generate");
  assert_int_equal(r->tags.count, 2);
  assert_string_equal(tag(&r->tags, "role"), "gpu");
  assert_int_equal(r->strategy, RN_CONFIG_STRATEGY_CONSISTENT_HASH);
  assert_true(r->near_first);
  assert_true(r->idempotent);
  assert_int_equal(r->timeout_ns, 0);
  assert_int_equal(r->try_timeout_ns, 2000000000);
  assert_int_equal(r->max_in_flight, 5);
  assert_int_equal(r->hedge_ns, 50000000);
  assert_int_equal(r[1].strategy, RN_CONFIG_STRATEGY_WEIGHTED);
  assert_string_equal(tag(&r[1].tags, "role"), "worker");
  assert_int_equal(r[1].timeout_ns, 30000000000);
  assert_string_equal(r[2].method, "*");
  config_done(&c);
}

struct wrong_case {
  const char *text; /* one line, without what is required */
  enum rn_config_error_kind kind;
  uint32_t column;
  const char *key, *part;
};

static void expect_wrong(const struct wrong_case *w) {
  char text[4096];
  snprintf(text, sizeof(text), "%s\n" CONFIG_PORT CONFIG_TLS, w->text);
  config_one_error(text, w->kind, 1, w->column, w->key, w->part);
}

static void wrong_values_are_named(void **state) {
  (void)state;
  static const struct wrong_case cases[] = {
    { "cluster: {advertise_addr: 192.0.2.7}", RN_CONFIG_VALUE, 27, "cluster.advertise_addr",
      "the port is missing; found \"192.0.2.7\"; allowed: an address and a port, as in "
      "192.0.2.7:8080 or [2001:db8::7]:8080" },
    { "cluster: {advertise_addr: '0.0.0.0:1'}", RN_CONFIG_VALUE, 27, "cluster.advertise_addr",
      "the unspecified address" },
    { "cluster: {advertise_addr: 'node:1'}", RN_CONFIG_VALUE, 27, "cluster.advertise_addr",
      "not an IP address" },
    { "cluster: {seeds: [127.0.0.1:1, '']}", RN_CONFIG_VALUE, 32, "cluster.seeds[1]",
      "not an IP address; found \"\"; allowed: an address and a port" },
    { "cluster: {seeds: ['[ff02::1]:1']}", RN_CONFIG_VALUE, 19, "cluster.seeds[0]", "multicast" },
    { "cluster: {seeds: 127.0.0.1:1}", RN_CONFIG_TYPE, 18, "cluster.seeds",
      "found \"127.0.0.1:1\"; allowed: a list of at most 16, each an address and a port" },
    { "cluster: {tags: [a]}", RN_CONFIG_TYPE, 17, "cluster.tags",
      "wrong type; found a list; allowed: a mapping of at most 16 tags to values, texts of at "
      "most 255 bytes" },
    { "cluster: {tags: {role: [worker]}}", RN_CONFIG_TYPE, 24, "cluster.tags.role",
      "wrong type; found a list; allowed: a text of at most 255 bytes" },
    { "cluster: {tags: {role: ~}}", RN_CONFIG_TYPE, 24, "cluster.tags.role", "found nothing" },
    { "cluster: {tags: {'': x}}", RN_CONFIG_VALUE, 18, "cluster.tags.",
      "empty; found \"\"; allowed: a text of 1 to 255 bytes" },
    { "cluster: {tags: {a: x, b: y, a: z}}", RN_CONFIG_DUPLICATE, 30, "cluster.tags.a",
      "given twice" },
    { "cluster: {tags: &t {a: *t}}", RN_CONFIG_SYNTAX, 24, "cluster.tags.a", "aliases" },
    { "cluster: {tags: !t {a: b}}", RN_CONFIG_SYNTAX, 20, "cluster.tags", "tags have no place" },
    { "cluster: {seeds: !t [127.0.0.1:1]}", RN_CONFIG_SYNTAX, 21, "cluster.seeds",
      "tags have no place" },
    { "cluster: {node_id: &n a, seeds: *n}", RN_CONFIG_SYNTAX, 33, "cluster.seeds", "aliases" },
    { "cluster: {node_id: &n a, tags: *n}", RN_CONFIG_SYNTAX, 32, "cluster.tags", "aliases" },
    { "cluster: {tags: {{x: y}: b, c: d}}", RN_CONFIG_SYNTAX, 18, "cluster.tags", "plain text" },
    { "cluster: {tags: {a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1, h: 1, i: 1, j: 1, k: 1, l: 1, "
      "m: 1, n: 1, o: 1, p: 1, q: 1}}",
      RN_CONFIG_VALUE, 114, "cluster.tags.q",
      "too many; found \"q\"; allowed: a mapping of at "
      "most 16" },
    { "cluster: {server_name: a b}", RN_CONFIG_VALUE, 24, "cluster.server_name", "a character" },
    { "cluster: {indirect_probes: 9}", RN_CONFIG_VALUE, 28, "cluster.indirect_probes",
      "from 0 to 8" },
    { "cluster: {members: 1048577}", RN_CONFIG_VALUE, 20, "cluster.members", "too large" },
    { "cluster: {allowed_certs: [" DIGIT "]}", RN_CONFIG_VALUE, 27, "cluster.allowed_certs[0]",
      "not 64 hexadecimal digits; found \"" DIGIT "\"; allowed: 64 hexadecimal digits" },
    { "cluster: {allowed_certs: [" DIGIT DIGIT DIGIT "0123456789abcdeg]}", RN_CONFIG_VALUE, 27,
      "cluster.allowed_certs[0]", "not 64 hexadecimal digits" },
    { "director: {strategy: fastest}", RN_CONFIG_VALUE, 22, "director.strategy",
      "found \"fastest\"; allowed: round_robin, random, least_connections, p2c_ewma, weighted, "
      "consistent_hash" },
    { "director: {routes: [{method: a, tags: 1}]}", RN_CONFIG_TYPE, 39, "director.routes[0].tags",
      "found \"1\"; allowed: a mapping" },
    { "director: {routes: [{tags: {}}]}", RN_CONFIG_MISSING, 21, "director.routes[0]",
      "method is required" },
    { "director: {routes: [{method: a, timeout: 30}]}", RN_CONFIG_VALUE, 42,
      "director.routes[0].timeout", "a unit is missing" },
    { "director: {worker_tag: {}}", RN_CONFIG_UNKNOWN, 12, "director.worker_tag",
      "did you mean worker_tags?" },
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
    expect_wrong(&cases[i]);
}

static void tags_have_to_fit(void **state) {
  (void)state;
  char text[2048], value[RN_TAG_MAX + 2];
  memset(value, 'x', sizeof(value) - 1);
  value[RN_TAG_MAX + 1] = 0;
  snprintf(text, sizeof(text), "cluster: {tags: {a: %s}}", value);
  expect_wrong(
      &(struct wrong_case){ text, RN_CONFIG_VALUE, 21, "cluster.tags.a", "too long; found \"xxx" });
  value[RN_TAG_MAX] = 0;
  snprintf(text, sizeof(text), "cluster: {tags: {%sy: a}}", value);
  expect_wrong(&(struct wrong_case){
      text, RN_CONFIG_VALUE, 18,
      "cluster.tags.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
      "xxx",
      "too long" });
  snprintf(text, sizeof(text), "cluster: {tags: {a: %s, b: %s}}", value, value);
  expect_wrong(&(struct wrong_case){ text, RN_CONFIG_VALUE, 278, "cluster.tags.b",
                                     "no room; allowed: 508 bytes of tags and values together" });
  snprintf(text, sizeof(text), "cluster: {tags: {a: %s, b: %.76s}}", value, value);
  expect_wrong(&(struct wrong_case){
      text, RN_CONFIG_CONTRADICTION, 17, "cluster.tags",
      "with cluster.node_id 501 bytes of a message, counting 16 more for each tag; allowed: at "
      "most 500" });
  struct config_case c;
  snprintf(text, sizeof(text), "cluster: {tags: {a: %s, b: %.75s}}\n" CONFIG_PORT CONFIG_TLS, value,
           value);
  config_load_good(&c, text); /* 500 */
  config_done(&c);
}

static void contradictions_are_found(void **state) {
  (void)state;
  static const struct wrong_case cases[] = {
    { "cluster: {gossip_interval: 100ms}", RN_CONFIG_CONTRADICTION, 28, "cluster.probe_timeout",
      "found 500ms by default; allowed: at most cluster.gossip_interval, which is 100ms" },
    { "cluster: {ping_interval: 30s}", RN_CONFIG_CONTRADICTION, 26, "cluster.ping_interval",
      "found 30s; allowed: less than quic.max_idle_timeout, which is 30s by default" },
    { "cluster: {node_id: 'seed-192.0.2.7:8080'}", RN_CONFIG_CONTRADICTION, 20, "cluster.node_id",
      "stand for a node whose id is not known" },
    { "cluster: {tags: {rpcnet.swim: 1}}", RN_CONFIG_CONTRADICTION, 17, "cluster.tags",
      "rpcnet.swim is not to be set" },
    { "cluster: {seeds: [127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:1]}", RN_CONFIG_CONTRADICTION, 18,
      "cluster.seeds", "[0] and [2] are the same" },
    { "cluster: {allowed_certs: [" SHA "]}", RN_CONFIG_CONTRADICTION, 26, "cluster.allowed_certs",
      "needs tls.ca" },
    { "cluster: {ca: a.key}", RN_CONFIG_CONTRADICTION, 15, "cluster.ca",
      "the same file as tls.key" },
    { "cluster: {state_file: a.key}", RN_CONFIG_CONTRADICTION, 23, "cluster.state_file",
      "the same file as tls.key, which it would replace" },
    { "cluster: {state_file: s, ca: s}", RN_CONFIG_CONTRADICTION, 23, "cluster.state_file",
      "the same file as cluster.ca" },
    { "director: {enabled: true}", RN_CONFIG_CONTRADICTION, 21, "director.enabled",
      "needs cluster.enabled: true" },
    { "director: {routes: [{method: a}]}", RN_CONFIG_CONTRADICTION, 20, "director.routes",
      "need cluster.enabled: true" },
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
    expect_wrong(&cases[i]);
}

static void routes_make_sense(void **state) {
  (void)state;
  static const struct {
    const char *routes;
    uint32_t column;
    const char *key, *part;
  } cases[] = {
    { "{method: a*b}", 30, "director.routes[0]", "a * has its place at the end" },
    { "{method: '**'}", 30, "director.routes[0]", "a * has its place at the end" },
    { "{method: a, try_timeout: 1s}", 30, "director.routes[0]", "try_timeout needs idempotent" },
    { "{method: a, hedge: 1s}", 30, "director.routes[0]", "hedge needs idempotent" },
    { "{method: a, idempotent: true, try_timeout: 31s}", 30, "director.routes[0]",
      "try_timeout is more than timeout" },
    { "{method: a, idempotent: true, hedge: 30s}", 30, "director.routes[0]",
      "hedge is not less than timeout" },
    { "{method: 'a*', call_all: true}", 30, "director.routes[0]",
      "call_all needs a method without *" },
    { "{method: a, call_all: true, idempotent: true}", 30, "director.routes[0]",
      "have no meaning beside call_all: true, for no worker is asked twice" },
    { "{method: a, call_all: true, hedge: 1s}", 30, "director.routes[0]", "is asked twice" },
    { "{method: a, call_all: true, try_timeout: 1s}", 30, "director.routes[0]", "is asked twice" },
    { "{method: a, call_all: true, near_first: true}", 30, "director.routes[0]",
      "have no meaning beside call_all: true, for nobody is chosen" },
    { "{method: a, call_all: true, strategy: random}", 30, "director.routes[0]",
      "for nobody is chosen" },
    { "{method: '*'}, {method: a, call_all: true}", 45, "director.routes[1]", "would never count" },
    { "{method: a}, {method: b}, {method: a}", 56, "director.routes[2]",
      "would never count: director.routes[0] comes first" },
    { "{method: a.*}, {method: a.b}", 45, "director.routes[1]", "would never count" },
    { "{method: '*'}, {method: 'a*'}", 45, "director.routes[1]", "would never count" },
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    char text[512];
    snprintf(text, sizeof(text), "director: {routes: [%s]}\n" ON CONFIG_PORT CONFIG_TLS,
             cases[i].routes);
    config_one_error(text, RN_CONFIG_CONTRADICTION, 1, cases[i].column, cases[i].key,
                     cases[i].part);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_node_is_alone_by_default),
    cmocka_unit_test(every_key_of_a_cluster_is_read),
    cmocka_unit_test(every_key_of_a_route_is_read),
    cmocka_unit_test(wrong_values_are_named),
    cmocka_unit_test(tags_have_to_fit),
    cmocka_unit_test(contradictions_are_found),
    cmocka_unit_test(routes_make_sense),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
