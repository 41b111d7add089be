/* Keys that are right by themselves and contradict each other. */
#include "tests/unit/control/config_case.h"

#include "util/err.h"

#define OWNED "port: {interface: e, mode: owned, addresses: [192.0.2.7/24]"

static void contradictions_are_found(void **state) {
  (void)state;
  const struct {
    const char *text; /* one line, without what is required */
    uint32_t column;
    const char *key, *part;
  } cases[] = {
    { "limits: {connections: 100, half_open: 200}", 39, "limits.half_open",
      "found 200; allowed: at most limits.connections, which is 100" },
    { "limits: {half_open: 8, signing_queue: 9}", 39, "limits.signing_queue",
      "at most limits.half_open, which is 8" },
    { "limits: {streams: 9999}", 19, "quic.max_concurrent_streams",
      "found 10000 by default; allowed: at most limits.streams, which is 9999" },
    { "quic: {connection_window: 1MiB, stream_window: 2MiB}", 48, "quic.stream_window",
      "found 2MiB; allowed: at most quic.connection_window, which is 1MiB" },
    { "quic: {keep_alive_interval: 30s}", 29, "quic.keep_alive_interval",
      "found 30s; allowed: less than quic.max_idle_timeout, which is 30s by default" },
    { "rpc: {max_request_bytes: 512MiB}", 26, "rpc.max_request_bytes",
      "at most limits.request_buffer" },
    { "rpc: {max_item_bytes: 512MiB}", 23, "rpc.max_item_bytes", "at most limits.request_buffer" },
    { "node: {control_uid: 7, dataplane_uid: 7}", 39, "node.dataplane_uid",
      "the same as node.control_uid" },
    { "node: {control_uid: keep}", 21, "node.control_gid", "together" },
    { "node: {dataplane_gid: keep}", 23, "node.dataplane_gid", "together" },
    { "node: {run_dir: run}", 17, "node.run_dir", "begin with /" },
    { "admin: {socket: ''}", 17, "admin.socket", "empty" },
    { "admin: {socket: "
      "01234567894567890123456789012345678901234567890123456789012345678901234567890123456789012345"
      "678901"
      "234}",
      17, "admin.socket", "too long" },
    { "http: {listen: localhost}", 16, "http.listen", "an address and a port" },
    { "http: {listen: 127.0.0.1}", 16, "http.listen", "an address and a port" },
    { "http: {listen: '::1'}", 16, "http.listen", "an address and a port" },
    { "lcores: {count: 2, cores: [1]}", 17, "lcores.count", "another number" },
    { "lcores: {cores: [1, 2, 1]}", 17, "lcores.cores", "[0] and [2] are the same" },
    { "memory: {packet_buffers: 1024}", 26, "memory.packet_buffers",
      "fewer than port.rx_descriptors" },
    { "memory: {packet_memory: 16MiB, packet_buffers: 8192}", 25, "memory.packet_memory",
      "too small" },
    { "rpc: {methods: [{name: a}, {name: a}]}", 35, "rpc.methods[1]",
      "the method of rpc.methods[0] again" },
    { "rpc: {methods: [{name: a, max_request_bytes: 1GiB}]}", 24, "rpc.methods[0]",
      "more than limits.request_buffer" },
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    char text[512];
    snprintf(text, sizeof(text), "%s\n" CONFIG_PORT CONFIG_TLS, cases[i].text);
    enum rn_config_error_kind kind =
        strcmp(cases[i].part, "too long") == 0 ? RN_CONFIG_VALUE : RN_CONFIG_CONTRADICTION;
    config_one_error(text, kind, 1, cases[i].column, cases[i].key, cases[i].part);
  }
}

static void ports_are_whole(void **state) {
  (void)state;
  const struct {
    const char *text;
    uint32_t column;
    const char *key, *part;
  } cases[] = {
    { "port: {driver: af_packet}", 16, "port.interface", "required by port.driver af_packet" },
    { "port: {driver: 'null', mode: owned, addresses: [192.0.2.7/24], interface: e}", 75,
      "port.interface", "null has no interface" },
    { "port: {driver: 'null'}", 16, "port.mode", "allowed: owned" },
    { "port: {driver: 'null', mode: owned, addresses: [192.0.2.7/24], bpf: required}", 69,
      "port.bpf", "allowed: auto, off" },
    { "port: {interface: e, mode: owned}", 28, "port.addresses", "required by port.mode owned" },
    { "port: {interface: e, addresses: [192.0.2.7/24]}", 33, "port.addresses", "port.mode shared" },
    { "port: {interface: e, gateway4: 192.0.2.1}", 32, "port.gateway4",
      "no meaning in shared mode" },
    { OWNED ", gateway4: 192.0.2.7}", 72, "port.gateway4", "one of port.addresses itself" },
    { OWNED ", gateway4: 192.0.3.1}", 72, "port.gateway4", "on no link" },
    { OWNED ", gateway6: 2001:db8::1}", 72, "port.gateway6", "on no link" },
    { "port: {interface: e, mode: owned, addresses: [192.0.2.7/24, 192.0.2.7/25]}", 46,
      "port.addresses", "[0] and [1] are the same" },
    { "port: {interface: e, rx_descriptors: 1000}", 38, "port.rx_descriptors",
      "not a power of two" },
    { "port: {interface: e, tx_descriptors: 1000}", 38, "port.tx_descriptors",
      "not a power of two" },
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    char text[512];
    snprintf(text, sizeof(text), "%s\n" CONFIG_TLS, cases[i].text);
    config_one_error(text, RN_CONFIG_CONTRADICTION, 1, cases[i].column, cases[i].key,
                     cases[i].part);
  }
}

static void the_key_is_in_a_file_of_its_own(void **state) {
  (void)state;
  config_one_error(CONFIG_PORT "tls: {cert: a.pem, key: a.pem}\n", RN_CONFIG_CONTRADICTION, 2, 25,
                   "tls.key", "the same file as tls.cert");
  config_one_error(CONFIG_PORT "tls: {cert: a.crt, key: a.pem, ca: a.pem}\n",
                   RN_CONFIG_CONTRADICTION, 2, 25, "tls.key", "the same file as tls.ca");
  config_one_error(CONFIG_PORT "tls: {cert: a.crt, key: a.key, require_client_cert: true}\n",
                   RN_CONFIG_CONTRADICTION, 2, 53, "tls.require_client_cert", "needs tls.ca");
  config_one_error(CONFIG_PORT "tls: {cert: a.crt, key: a.key, groups: [P-256, P-256]}\n",
                   RN_CONFIG_CONTRADICTION, 2, 40, "tls.groups", "[0] and [1] are the same");
  config_one_error(CONFIG_PORT "tls: {cert: a.crt, key: a.key, cipher_suites: "
                               "[TLS13_AES_128_GCM_SHA256, TLS13_AES_128_GCM_SHA256]}\n",
                   RN_CONFIG_CONTRADICTION, 2, 47, "tls.cipher_suites", "[0] and [1] are the same");
}

static void a_socket_path_has_to_fit(void **state) {
  (void)state;
  config_one_error(
      "admin: {socket: 0123456789012345678901234567890123456789}\n"
      "node: {run_dir: "
      "/0123456789012345678901234567890123456789012345678901234567890123456789}\n" CONFIG_PORT
          CONFIG_TLS,
      RN_CONFIG_CONTRADICTION, 1, 17, "admin.socket", "longer than the 107 bytes");
}

static void a_bad_value_contradicts_nothing(void **state) {
  (void)state;
  /* half_open 5000 is above the default of connections, which is not what the file meant. */
  config_one_error("limits: {connections: 1e4, half_open: 5000}\n" CONFIG_PORT CONFIG_TLS,
                   RN_CONFIG_VALUE, 1, 23, "limits.connections", "not a whole number");
}

static void fewer_connections_need_no_other_key(void **state) {
  (void)state;
  struct config_case c;
  config_load_good(&c, "limits: {connections: 100}\n" CONFIG_PORT CONFIG_TLS);
  assert_int_equal(c.cfg.limits.half_open, 100);
  assert_int_equal(c.cfg.limits.signing_queue, 100);
  assert_int_equal(c.cfg.limits.calls, c.cfg.limits.streams);
  config_done(&c);
}

static void owned_mode_without_a_kernel_is_fine(void **state) {
  (void)state;
  struct config_case c;
  config_load_good(&c,
                   "port: {driver: 'null', mode: owned, addresses: [192.0.2.7/24]}\n" CONFIG_TLS);
  assert_int_equal(c.cfg.port.driver, RN_TOPO_NULL);
  config_done(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(contradictions_are_found),
    cmocka_unit_test(ports_are_whole),
    cmocka_unit_test(the_key_is_in_a_file_of_its_own),
    cmocka_unit_test(a_socket_path_has_to_fit),
    cmocka_unit_test(a_bad_value_contradicts_nothing),
    cmocka_unit_test(fewer_connections_need_no_other_key),
    cmocka_unit_test(owned_mode_without_a_kernel_is_fine),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
