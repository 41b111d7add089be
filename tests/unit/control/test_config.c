#include "tests/unit/control/config_case.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/err.h"

/* ---- what is right ---- */

static void the_least_file_gives_the_defaults(void **state) {
  (void)state;
  struct config_case c;
  config_load_good(&c, CONFIG_PORT CONFIG_TLS);
  assert_string_equal(c.cfg.node.name, "node");
  assert_string_equal(c.cfg.port.interface, "eth0");
  assert_string_equal(c.cfg.tls.key, "a.key");
  assert_int_equal(c.cfg.port.listen_port, 8080);
  assert_int_equal(c.cfg.port.mtu, 0);
  assert_int_equal(c.cfg.quic.max_concurrent_streams, 10000);
  assert_int_equal(c.cfg.quic.max_idle_timeout_ns, 30000000000);
  assert_int_equal(c.cfg.quic.keep_alive_interval_ns, 0);
  assert_int_equal(c.cfg.quic.connection_window, 16 << 20);
  assert_int_equal(c.cfg.lcores.count, 1);
  assert_int_equal(c.cfg.limits.half_open, 1024);
  assert_int_equal(c.cfg.limits.signing_queue, 256);
  assert_true(c.cfg.tls.session_tickets_enabled);
  assert_int_not_equal(c.cfg.node.control_uid, c.cfg.node.dataplane_uid);
  config_done(&c);
}

static void every_type_is_read(void **state) {
  (void)state;
  struct config_case c;
  config_load_good(
      &c,
      "node: {name: n1, control_uid: keep, control_gid: keep, sandbox: false, log_level: debug}\n"
      "port:\n"
      "  interface: eth0.100\n"
      "  mode: owned\n"
      "  addresses: [192.0.2.7/24, '2001:db8::7/64']\n"
      "  gateway4: 192.0.2.1\n"
      "  gateway6: fe80::1\n"
      "  mtu: 1400\n"
      "  bpf: off\n"
      "lcores: {cores: [3, 1]}\n"
      "memory: {packet_memory: 1 GiB}\n"
      "tls:\n"
      "  cert: /etc/a b.crt\n"
      "  key: \"a.key\"\n"
      "  cipher_suites: [TLS13_CHACHA20_POLY1305_SHA256, TLS13_AES_128_GCM_SHA256]\n"
      "  groups: [X25519MLKEM768, P-256]\n"
      "quic:\n"
      "  max_stream_bandwidth: 80Mbit/s\n"
      "  keep_alive_interval: 500ms\n"
      "  max_idle_timeout: none\n"
      "  stream_window: 64k\n"
      "  congestion_control: bbr\n"
      "rpc:\n"
      "  methods:\n"
      "  - name: sleep\n"
      "    request_timeout: 2m\n"
      "  - {name: echo, max_request_bytes: 4KiB}\n");
  const struct rn_config *g = &c.cfg;
  assert_int_equal(g->node.control_uid, 0);
  assert_false(g->node.sandbox);
  assert_int_equal(g->node.log_level, RN_LOG_DEBUG);
  assert_int_equal(g->port.addresses_count, 2);
  assert_int_equal(g->port.addresses[0].prefix_bits, 24);
  assert_int_equal(g->port.addresses[1].addr.family, 6);
  assert_int_equal(g->port.gateway4.ip[3], 1);
  assert_int_equal(g->port.gateway6.ip[0], 0xfe);
  assert_int_equal(g->port.mtu, 1400);
  assert_int_equal(g->port.bpf, RN_CONFIG_BPF_OFF);
  assert_int_equal(g->lcores.count, 2); /* as many as cores */
  assert_int_equal(g->lcores.cores[0], 3);
  assert_int_equal(g->memory.packet_memory, 1 << 30);
  assert_string_equal(g->tls.cert, "/etc/a b.crt");
  assert_int_equal(g->quic.max_stream_bandwidth, 10000000);
  assert_int_equal(g->quic.keep_alive_interval_ns, 500000000);
  assert_int_equal(g->quic.max_idle_timeout_ns, 0);
  assert_int_equal(g->quic.stream_window, 65536);
  assert_int_equal(g->quic.congestion_control, RN_QUIC_CC_BBR);
  assert_int_equal(g->rpc.methods_count, 2);
  assert_string_equal(g->rpc.methods[0].name, "sleep");
  assert_int_equal(g->rpc.methods[0].request_timeout_ns, 120000000000);
  assert_int_equal(g->rpc.methods[0].max_request_bytes, 64 << 20); /* its default */
  assert_int_equal(g->rpc.methods[1].max_request_bytes, 4096);
  char list[RN_TOPO_LIST_BYTES];
  assert_string_equal(rn_config_cipher_text(g, list),
                      "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256");
  assert_string_equal(rn_config_group_text(g, list), "X25519MLKEM768:P-256");
  config_done(&c);
}

static void sections_without_keys_are_fine(void **state) {
  (void)state;
  struct config_case c;
  config_load_good(&c, "---\nquic:\nlimits: ~\n" CONFIG_PORT CONFIG_TLS "...\n");
  config_done(&c);
}

/* ---- what is wrong ---- */

static void everything_wrong_is_said_at_once_in_the_order_of_the_file(void **state) {
  (void)state;
  struct config_case c;
  struct rn_config untouched;
  memset(&untouched, 0x5a, sizeof(untouched));
  config_load(&c, "quic:\n"
                  "  max_idle_timeout: 30\n"
                  "  retry: maybe\n"
                  "  max_idle_timeuot: 30s\n"
                  "port: {interface: eth0, listen_port: 70000}\n"
                  "tls:\n"
                  "  cert: a.crt\n"
                  "limits: {connections: 10, half_open: 20}\n");
  assert_int_equal(c.err, RN_ERR_CONFIG);
  assert_memory_equal(&c.cfg, &untouched, sizeof(untouched));
  assert_int_equal(rn_config_errors_count(c.errs), 6);
  config_expect(&c, RN_CONFIG_VALUE, 2, 21, "quic.max_idle_timeout",
                "a unit is missing (ns, us, ms, s, m, h); found \"30\"; allowed: a duration from "
                "100ms to 24h, or none");
  config_expect(&c, RN_CONFIG_VALUE, 3, 10, "quic.retry",
                "found \"maybe\"; allowed: never, auto, always");
  config_expect(&c, RN_CONFIG_UNKNOWN, 4, 3, "quic.max_idle_timeuot",
                "did you mean max_idle_timeout?");
  config_expect(&c, RN_CONFIG_VALUE, 5, 38, "port.listen_port",
                "too large; found \"70000\"; allowed: a whole number from 1 to 65535");
  config_expect(&c, RN_CONFIG_MISSING, 6, 1, "tls.key", "required");
  config_expect(&c, RN_CONFIG_CONTRADICTION, 8, 38, "limits.half_open",
                "found 20; allowed: at most limits.connections, which is 10");
  for (size_t i = 1; i < 6; i++)
    assert_true(rn_config_errors_get(c.errs, i - 1)->line <= rn_config_errors_get(c.errs, i)->line);
  config_done(&c);
}

static void an_empty_file_lacks_the_required_keys(void **state) {
  (void)state;
  const char *const texts[] = { "", "# nothing\n", "---\n", "~\n" };
  for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
    struct config_case c;
    config_load(&c, texts[i]);
    assert_int_equal(c.err, RN_ERR_CONFIG);
    config_expect(&c, RN_CONFIG_MISSING, 0, 0, "tls.cert", "required");
    config_expect(&c, RN_CONFIG_MISSING, 0, 0, "tls.key", "required");
    config_done(&c);
  }
}

static void unknown_keys_get_the_closest_one_suggested(void **state) {
  (void)state;
  const char *rest = CONFIG_PORT CONFIG_TLS;
  const struct {
    const char *text, *key, *part;
  } cases[] = {
    { "quik: {}\n", "quik", "no such section; did you mean quic?" },
    { "max_concurrent_streams: 5\n", "max_concurrent_streams",
      "did you mean quic.max_concurrent_streams?" },
    { "rpc: {max_idle_timeout: 5s}\n", "rpc.max_idle_timeout",
      "did you mean quic.max_idle_timeout?" },
    { "rpc: {request_timeou: 5s}\n", "rpc.request_timeou", "did you mean request_timeout?" },
    { "rpc: {zzzzzzzz: 5s}\n", "rpc.zzzzzzzz", "no such key" },
    { "rpc: {methods: [{name: a, request_timeut: 5s}]}\n", "rpc.methods[0].request_timeut",
      "did you mean request_timeout?" },
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    char text[512];
    snprintf(text, sizeof(text), "%s%s", cases[i].text, rest);
    struct config_case c;
    config_load(&c, text);
    assert_int_equal(rn_config_errors_count(c.errs), 1);
    const struct rn_config_error *e = rn_config_errors_get(c.errs, 0);
    assert_int_equal(e->kind, RN_CONFIG_UNKNOWN);
    assert_int_equal(e->line, 1);
    assert_string_equal(e->key, cases[i].key);
    assert_non_null(strstr(e->text, cases[i].part));
    config_done(&c);
  }
}

static void what_follows_an_unknown_key_is_skipped_whole(void **state) {
  (void)state;
  config_one_error("unknown_thing: {a: [1, {b: c}], d: {e: f}}\n" CONFIG_PORT CONFIG_TLS,
                   RN_CONFIG_UNKNOWN, 1, 1, "unknown_thing", "no such section");
}

static void wrong_types_say_what_was_found(void **state) {
  (void)state;
  config_one_error("node: []\n" CONFIG_PORT CONFIG_TLS, RN_CONFIG_TYPE, 1, 7, "node",
                   "found a list; allowed: a mapping");
  config_one_error("node: 7\n" CONFIG_PORT CONFIG_TLS, RN_CONFIG_TYPE, 1, 7, "node",
                   "found \"7\"; allowed: a mapping");
  config_one_error("node: {name: {a: b}}\n" CONFIG_PORT CONFIG_TLS, RN_CONFIG_TYPE, 1, 14,
                   "node.name", "found a mapping");
  config_one_error("node: {name: }\n" CONFIG_PORT CONFIG_TLS, RN_CONFIG_TYPE, 1, 12, "node.name",
                   "found nothing");
  config_one_error("node: {sandbox: 'true'}\n" CONFIG_PORT CONFIG_TLS, RN_CONFIG_VALUE, 1, 17,
                   "node.sandbox", "take the quotes away");
  config_one_error("lcores: {cores: 3}\n" CONFIG_PORT CONFIG_TLS, RN_CONFIG_TYPE, 1, 17,
                   "lcores.cores", "found \"3\"; allowed: a list of at most 32");
  config_one_error("lcores: {cores: [0, [1]]}\n" CONFIG_PORT CONFIG_TLS, RN_CONFIG_TYPE, 1, 21,
                   "lcores.cores[1]", "found a list; allowed: a whole number");
  config_one_error("rpc: {methods: [echo]}\n" CONFIG_PORT CONFIG_TLS, RN_CONFIG_TYPE, 1, 17,
                   "rpc.methods[0]", "found \"echo\"; allowed: a mapping");
  config_one_error("- a\n- b\n", RN_CONFIG_TYPE, 1, 1, "",
                   "found a list; allowed: a mapping of sections");
}

static void lists_have_a_limit(void **state) {
  (void)state;
  config_one_error("port: {interface: e, mode: owned, addresses: [192.0.2.1/24, 192.0.2.2/24, "
                   "192.0.2.3/24, 192.0.2.4/24,\n"
                   "  192.0.2.5/24, 192.0.2.6/24, 192.0.2.7/24, 192.0.2.8/24, 192.0.2.9/24, "
                   "192.0.2.10/24]}\n" CONFIG_TLS,
                   RN_CONFIG_VALUE, 2, 59, "port.addresses[8]", "too many");
}

static void texts_have_a_limit(void **state) {
  (void)state;
  char longest[64] = "", text[256];
  memset(longest, 'n', 63);
  struct config_case c;
  snprintf(text, sizeof(text), "node: {name: %s}\n" CONFIG_PORT CONFIG_TLS, longest);
  config_load_good(&c, text);
  assert_string_equal(c.cfg.node.name, longest);
  config_done(&c);
  snprintf(text, sizeof(text), "node: {name: %sn}\n" CONFIG_PORT CONFIG_TLS, longest);
  config_one_error(text, RN_CONFIG_VALUE, 1, 14, "node.name", "too long");
}

static void duplicates_name_the_first(void **state) {
  (void)state;
  config_one_error("node:\n  name: a\n  name: b\n" CONFIG_PORT CONFIG_TLS, RN_CONFIG_DUPLICATE, 3,
                   3, "node.name", "first in line 2");
  config_one_error("node: {}\nnode: {}\n" CONFIG_PORT CONFIG_TLS, RN_CONFIG_DUPLICATE, 2, 1, "node",
                   "first in line 1");
}

static void required_keys_of_items_are_required(void **state) {
  (void)state;
  config_one_error("rpc: {methods: [{request_timeout: 1s}]}\n" CONFIG_PORT CONFIG_TLS,
                   RN_CONFIG_MISSING, 1, 17, "rpc.methods[0]", "name is required");
}

static void yaml_beyond_configuration_is_refused(void **state) {
  (void)state;
  config_one_error("node: &a {}\nquic: *a\n" CONFIG_PORT CONFIG_TLS, RN_CONFIG_SYNTAX, 2, 7, "quic",
                   "aliases have no place");
  config_one_error("node: !!map {}\n" CONFIG_PORT CONFIG_TLS, RN_CONFIG_SYNTAX, 1, 13, "node",
                   "tags have no place");
  config_one_error("node: {name: !!str a}\n" CONFIG_PORT CONFIG_TLS, RN_CONFIG_SYNTAX, 1, 20,
                   "node.name", "tags have no place");
  config_one_error(CONFIG_PORT CONFIG_TLS "---\nnode: {}\n", RN_CONFIG_SYNTAX, 3, 1, "",
                   "second document");
  config_one_error("? [a]\n: b\n" CONFIG_PORT CONFIG_TLS, RN_CONFIG_SYNTAX, 1, 3, "",
                   "a key has to be");
}

static void bytes_that_are_no_text_are_refused(void **state) {
  (void)state;
  config_one_error("%YAML 1.2\n---\n" CONFIG_PORT CONFIG_TLS, RN_CONFIG_SYNTAX, 1, 1, "",
                   "directives have no place");
  config_one_error(CONFIG_PORT "%YAM\xaf 1.2\n", RN_CONFIG_SYNTAX, 2, 1, "",
                   "directives have no place");
  config_one_error("node: {name: \xc3\xa4\xff}\n", RN_CONFIG_SYNTAX, 1, 15, "",
                   "not UTF-8; found byte 0xff");
  const char *const bad[] = { "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82",
                              "\x80",     "\xff\xfe",     "\xf4\x90\x80\x80" };
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
    config_one_error(bad[i], RN_CONFIG_SYNTAX, 1, 1, "", "not UTF-8");
  const char *const control[] = { "\x01", "\x7f", "\xc2\x85", "\xe2\x80\xa8", "\xef\xbb\xbf" };
  for (size_t i = 0; i < sizeof(control) / sizeof(control[0]); i++)
    config_one_error(control[i], RN_CONFIG_SYNTAX, 1, 1, "", "a control character");
  struct config_case c;
  config_load_good(&c, "# \xe2\x82\xac \xf0\x9f\x98\x80\r\n" CONFIG_PORT CONFIG_TLS);
  config_done(&c);
}

static void keys_before_broken_yaml_are_still_checked(void **state) {
  (void)state;
  struct config_case c;
  config_load(&c, "node:\n  log_level: loud\nquic: {\n  retry: auto,\n]\n");
  assert_int_equal(c.err, RN_ERR_CONFIG);
  config_expect(&c, RN_CONFIG_VALUE, 2, 14, "node.log_level", "found \"loud\"");
  assert_int_equal(rn_config_errors_count(c.errs),
                   2); /* and no word about keys that are missing because of it */
  const struct rn_config_error *e = rn_config_errors_get(c.errs, 1);
  assert_int_equal(e->kind, RN_CONFIG_SYNTAX);
  assert_int_equal(e->line, 5);
  config_done(&c);
}

static void hostile_files_are_refused_without_harm(void **state) {
  (void)state;
  struct config_case c;
  size_t n = RN_CONFIG_BYTES_MAX;
  char *deep = malloc(n + 2);
  assert_non_null(deep);
  memset(deep, '[', n);
  deep[n] = 0;
  config_load(&c, deep);
  assert_int_equal(c.err, RN_ERR_CONFIG);
  config_done(&c);

  memset(deep, '#', n + 1);
  deep[n + 1] = 0;
  config_load(&c, deep);
  config_expect(&c, RN_CONFIG_UNREADABLE, 0, 0, "", "larger than 262144 bytes");
  config_done(&c);
  free(deep);

  char many[8192] = "";
  for (int i = 0; i < 300; i++)
    sprintf(many + strlen(many), "k%d: %d\n", i, i);
  config_load(&c, many);
  assert_int_equal(rn_config_errors_count(c.errs), RN_CONFIG_ERRORS_MAX);
  assert_int_equal(rn_config_errors_dropped(c.errs), 300 + 3 - RN_CONFIG_ERRORS_MAX);
  config_done(&c);

  config_load(&c, "node: {name: \"\\x1b[31m\\0\"}\n" CONFIG_PORT CONFIG_TLS);
  assert_int_equal(rn_config_errors_count(c.errs), 1);
  for (const char *p = rn_config_errors_get(c.errs, 0)->text; *p != 0; p++)
    assert_true(*p >= ' ' && *p <= '~');
  config_done(&c);
}

/* ---- from files ---- */

static void files_and_descriptors_are_read(void **state) {
  (void)state;
  const char text[] = CONFIG_PORT CONFIG_TLS;
  struct rn_config cfg;
  struct rn_config_errors *errs = rn_config_errors_new();
  int fd = memfd_create("config", 0);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
  assert_int_equal(rn_config_load_fd(fd, "memfd", &cfg, errs), RN_OK);
  assert_string_equal(cfg.tls.cert, "a.crt");
  close(fd);
  assert_int_equal(rn_config_load_fd(fd, "memfd", &cfg, errs), RN_ERR_SYS);
  assert_int_equal(rn_config_errors_count(errs), 1);
  assert_int_equal(rn_config_load_file("/nowhere/node.yaml", &cfg, errs), RN_ERR_SYS);
  assert_string_equal(rn_config_errors_get(errs, 0)->text,
                      "cannot be read: No such file or directory");
  rn_config_errors_free(errs);
}

static void errors_are_printed_a_line_each(void **state) {
  (void)state;
  struct config_case c;
  config_load(&c, "node: {name: ''}\n" CONFIG_PORT);
  char *out = NULL;
  size_t n;
  FILE *f = open_memstream(&out, &n);
  rn_config_errors_print(c.errs, f);
  fclose(f);
  assert_string_equal(
      out,
      "node.yaml: tls.cert: required and not given; as in cert: /etc/rpcnet/node.crt\n"
      "node.yaml: tls.key: required and not given; as in key: /etc/rpcnet/node.key\n"
      "node.yaml:1:14: node.name: empty; found \"\"; allowed: 1 to 63 letters, digits and . _ : -\n"
      "node.yaml: 3 errors, nothing was started\n");
  free(out);
  config_done(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(the_least_file_gives_the_defaults),
    cmocka_unit_test(every_type_is_read),
    cmocka_unit_test(sections_without_keys_are_fine),
    cmocka_unit_test(everything_wrong_is_said_at_once_in_the_order_of_the_file),
    cmocka_unit_test(an_empty_file_lacks_the_required_keys),
    cmocka_unit_test(unknown_keys_get_the_closest_one_suggested),
    cmocka_unit_test(what_follows_an_unknown_key_is_skipped_whole),
    cmocka_unit_test(wrong_types_say_what_was_found),
    cmocka_unit_test(lists_have_a_limit),
    cmocka_unit_test(texts_have_a_limit),
    cmocka_unit_test(duplicates_name_the_first),
    cmocka_unit_test(required_keys_of_items_are_required),
    cmocka_unit_test(yaml_beyond_configuration_is_refused),
    cmocka_unit_test(bytes_that_are_no_text_are_refused),
    cmocka_unit_test(keys_before_broken_yaml_are_still_checked),
    cmocka_unit_test(hostile_files_are_refused_without_harm),
    cmocka_unit_test(files_and_descriptors_are_read),
    cmocka_unit_test(errors_are_printed_a_line_each),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
