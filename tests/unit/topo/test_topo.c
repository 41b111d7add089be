/* tests/unit/topo/test_topo.c */
#include "rn_test.h"
#include "ring/msg.h"
#include "topo/topo.h"
#include "sample.h"
#include "util/err.h"

static char why[256];

struct region {
  struct rn_topo topo;
  uint8_t *mem;
  size_t bytes;
};

static const struct rn_topo_blobs cert_only = { .cert = { sample_cert, sizeof(sample_cert) } };

static void region_make_with(struct region *r, struct rn_topo topo,
                             const struct rn_topo_blobs *blobs) {
  r->topo = topo;
  r->bytes = rn_topo_footprint(&r->topo, blobs);
  assert_int_not_equal(r->bytes, 0);
  assert_int_equal(r->bytes % 4096, 0);
  r->mem = aligned_alloc(4096, r->bytes);
  assert_non_null(r->mem);
  memset(r->mem, 0, r->bytes);
  assert_int_equal(rn_topo_build(r->mem, r->bytes, &r->topo, blobs, 42, why, sizeof(why)), RN_OK);
}

static void region_make(struct region *r) { region_make_with(r, sample_topo(), &cert_only); }

static struct rn_topo cluster_topo(void) {
  struct rn_topo t = sample_topo();
  t.cluster = (struct rn_topo_cluster){ .enabled = 1,
                                        .conns_per_worker = 4,
                                        .ping_interval_ns = 10000000000ull,
                                        .idle_timeout_ns = 60000000000ull,
                                        .connect_timeout_ns = 2000000000ull,
                                        .server_name = "localhost" };
  return t;
}

/* With a route for every worker. */
static struct rn_topo director_topo(void) {
  struct rn_topo t = cluster_topo();
  t.tls.cert.bytes = t.tls.peer_ca.bytes = 1;
  t.director = (struct rn_topo_director){ .enabled = 1, .route_count = 1, .lease_ns = 1 };
  t.director.routes[0] =
      (struct rn_topo_route){ .method = "all", .call_all = 1, .max_in_flight = 1 };
  return t;
}

static void what_control_builds_the_data_plane_reads(void **state) {
  (void)state;
  struct region r;
  struct rn_topo_view v;
  size_t n;
  region_make(&r);
  assert_int_equal(rn_topo_attach(r.mem, r.bytes, &v, why, sizeof(why)), RN_OK);
  assert_memory_equal(&v.topo, &r.topo, sizeof(v.topo));
  assert_string_equal(rn_topo_cert(&v, &n), sample_cert);
  assert_int_equal(n, sizeof(sample_cert));
  assert_null(rn_topo_ca(&v, &n));
  assert_int_equal(n, 0);
  assert_null(rn_topo_peer_ca(&v, &n));
  assert_int_equal(n, 0);
  assert_int_equal(rn_topo_fd_count(&v.topo), 5);
  free(r.mem);
}

static void each_text_has_its_own_place(void **state) {
  (void)state;
  static const char ca[] = "trust anchors for clients", peer_ca[] = "and for peers";
  const struct rn_topo_blobs blobs = { .cert = { sample_cert, sizeof(sample_cert) },
                                       .ca = { ca, sizeof(ca) },
                                       .peer_ca = { peer_ca, sizeof(peer_ca) } };
  struct region r;
  struct rn_topo_view v;
  size_t n;
  region_make_with(&r, cluster_topo(), &blobs);
  assert_int_equal(rn_topo_attach(r.mem, r.bytes, &v, why, sizeof(why)), RN_OK);
  assert_string_equal(rn_topo_cert(&v, &n), sample_cert);
  assert_int_equal(n, sizeof(sample_cert));
  assert_string_equal(rn_topo_ca(&v, &n), ca);
  assert_int_equal(n, sizeof(ca));
  assert_string_equal(rn_topo_peer_ca(&v, &n), peer_ca);
  assert_int_equal(n, sizeof(peer_ca));
  assert_string_equal(v.topo.cluster.server_name, "localhost");
  free(r.mem);
}

static void each_lcore_has_its_own_rings_both_ways(void **state) {
  (void)state;
  struct region r;
  struct rn_topo_view v;
  region_make(&r);
  assert_int_equal(rn_topo_attach(r.mem, r.bytes, &v, why, sizeof(why)), RN_OK);
  struct rn_ring_tx up[3], down[3];
  struct rn_ring_rx at_control[3], at_lcore[3];
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(rn_topo_lcore_rings(&v, i, &up[i], &at_lcore[i]), RN_OK);
    assert_int_equal(rn_topo_control_rings(&v, i, &at_control[i], &down[i]), RN_OK);
  }
  for (uint16_t i = 0; i < 3; i++) {
    struct rn_msg_ready ready = { .pid = 100u + i, .lcore_idx = i };
    struct rn_msg_ctl_hello hello = { .pid = 200u + i };
    assert_int_equal(rn_msg_push(&up[i], RN_MSG_READY, &ready, NULL, 0), RN_OK);
    assert_int_equal(rn_msg_push(&down[i], RN_MSG_CTL_HELLO, &hello, NULL, 0), RN_OK);
  }
  for (uint32_t i = 0; i < 3; i++) {
    struct rn_msg m;
    assert_int_equal(rn_msg_pop(&at_control[i], RN_MSG_TO_CONTROL, &m), RN_OK);
    assert_int_equal(m.ready.pid, 100 + i);
    assert_int_equal(rn_msg_pop(&at_control[i], RN_MSG_TO_CONTROL, &m), RN_ERR_AGAIN);
    assert_int_equal(rn_msg_pop(&at_lcore[i], RN_MSG_TO_LCORE, &m), RN_OK);
    assert_int_equal(m.ctl_hello.pid, 200 + i);
  }
  free(r.mem);
}

static void another_build_is_refused(void **state) {
  (void)state;
  struct region r;
  struct rn_topo_view v;
  region_make(&r);
  struct rn_region_hdr *hdr = (struct rn_region_hdr *)r.mem;
  hdr->layout_hash++;
  assert_int_equal(rn_topo_attach(r.mem, r.bytes, &v, why, sizeof(why)), RN_ERR_CORRUPT);
  assert_non_null(strstr(why, "another version"));
  hdr->layout_hash--;
  hdr->magic++;
  assert_int_equal(rn_topo_attach(r.mem, r.bytes, &v, why, sizeof(why)), RN_ERR_CORRUPT);
  hdr->magic--;
  assert_int_equal(rn_topo_attach(r.mem, r.bytes - 4096, &v, why, sizeof(why)), RN_ERR_CORRUPT);
  assert_int_equal(rn_topo_attach(r.mem, 8, &v, why, sizeof(why)), RN_ERR_CORRUPT);
  hdr->topo_off = UINT64_MAX - 8;
  assert_int_equal(rn_topo_attach(r.mem, r.bytes, &v, why, sizeof(why)), RN_ERR_CORRUPT);
  free(r.mem);
}

/* Every 8 bytes of header and description take hostile values: attach refuses, or what it accepts
 * passes the checks and points inside. */
static void no_value_anywhere_leads_out_of_the_region(void **state) {
  (void)state;
  static const uint64_t values[] = { 0,          1,          63,         64,
                                     UINT32_MAX, 1ull << 40, UINT64_MAX, 0x4141414141414141ull };
  struct region r;
  struct rn_topo_view v;
  unsigned int refused = 0;
  region_make(&r);
  size_t end = sizeof(struct rn_region_hdr) + sizeof(struct rn_topo);
  for (size_t off = 0; off + 8 <= end; off += 4) {
    uint64_t saved;
    memcpy(&saved, r.mem + off, 8);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
      memcpy(r.mem + off, &values[i], 8);
      if (rn_topo_attach(r.mem, r.bytes, &v, why, sizeof(why)) != RN_OK) {
        refused++;
        continue;
      }
      assert_int_equal(rn_topo_check(&v.topo, why, sizeof(why)), RN_OK);
      for (uint32_t l = 0; l < v.topo.lcore_count; l++) {
        assert_true(v.topo.lcores[l].to_control.off + rn_ring_footprint(&v.topo.ring) <= r.bytes);
        assert_true(v.topo.lcores[l].stats.off + sizeof(struct rn_stats_page) <= r.bytes);
      }
    }
    memcpy(r.mem + off, &saved, 8);
  }
  assert_true(refused > 500);
  assert_int_equal(rn_topo_attach(r.mem, r.bytes, &v, why, sizeof(why)), RN_OK);
  free(r.mem);
}

static void refused(struct rn_topo *t, const char *field) {
  t->tls.cert.bytes = 1;
  assert_int_equal(rn_topo_check(t, why, sizeof(why)), RN_ERR_INVAL);
  if (strstr(why, field) == NULL)
    fail_msg("\"%s\" does not name %s", why, field);
}

static void errors_name_the_field(void **state) {
  (void)state;
  struct rn_topo t;
#define REFUSED(change, field)                                                                     \
  t = sample_topo();                                                                               \
  change;                                                                                          \
  refused(&t, field)
  REFUSED(t.lcore_count = 0, "lcore_count");
  REFUSED(t.lcore_count = 33, "lcore_count is 33, allowed is 1 to 32");
  REFUSED(t.idle = 2, "idle");
  REFUSED(t.rx_descs = 1000, "rx_descs");
  REFUSED(t.ring.slot_count = 100, "ring");
  REFUSED(t.quic_limits.half_open = 2000, "half_open");
  REFUSED(t.quic_limits.sign_jobs = 101, "sign_jobs");
  REFUSED(t.quic.max_udp_payload = 1199, "max_udp_payload");
  REFUSED(memset(&t.quic.pmtud, 7, 1), "pmtud");
  REFUSED(t.cid.lcore_count = 2, "cid.lcore_count");
  REFUSED(t.tls.alpn[0] = '\0', "tls.alpn");
  REFUSED(memset(t.tls.groups, 'x', sizeof(t.tls.groups)), "tls.groups is not terminated");
  REFUSED(t.tls.require_client_cert = 1, "require_client_cert");
  REFUSED(t.rpc.buffer_bytes = 1, "buffer_bytes");
  REFUSED(t.method_count = 65, "method_count");
  REFUSED(t.method_count = 1, "methods holds one without a name");
  REFUSED((t.method_count = 1, strcpy(t.methods[0].name, "m")), "methods.request_bytes_max");
  REFUSED(t.ports[0].interface[0] = '\0', "interface is empty");
  REFUSED(t.lcores[2].cpu = 0, "cpu is named by two");
  REFUSED(t.ports[0].udp_port = 0, "udp_port");
  REFUSED(t.ports[0].mode = RN_TOPO_OWNED, "addr_count");
  REFUSED(t.ports[0].mtu = 1000, "mtu");
  REFUSED(t.ports[0].gateway4.family = 5, "gateway4");
  REFUSED(strcpy(t.ports[0].interface, "eth 0"), "interface");
  REFUSED(
      (t.ports[0].addr_count = 1,
       t.ports[0].addrs[0] = (struct rn_topo_addr){ .addr = { .family = 4 }, .prefix_bits = 33 }),
      "prefix_bits");
  REFUSED(t.cluster.enabled = 2, "cluster.enabled");
  REFUSED(t.cluster.conns_per_worker = 4, "cluster has values and is not enabled");
  REFUSED(t.tls.peer_ca.bytes = 1, "tls.peer_ca has no meaning without cluster.enabled");
#undef REFUSED
#define REFUSED(change, field)                                                                     \
  t = cluster_topo();                                                                              \
  t.tls.peer_ca.bytes = 1;                                                                         \
  change;                                                                                          \
  refused(&t, field)
  REFUSED(t.tls.peer_ca.bytes = 0, "tls.peer_ca.bytes");
  REFUSED(t.tls.peer_ca.bytes = RN_TOPO_BLOB_MAX + 1, "tls.peer_ca.bytes");
  REFUSED(t.cluster.conns_per_worker = 65, "cluster.conns_per_worker is 65, allowed is 1 to 64");
  REFUSED(t.cluster.warm_conns = 65, "cluster.warm_conns is 65, allowed is 0 to 64");
  REFUSED(t.cluster.ping_interval_ns = 0, "cluster.ping_interval_ns");
  REFUSED(t.cluster.idle_timeout_ns = 0, "cluster.idle_timeout_ns");
  REFUSED(t.cluster.connect_timeout_ns = UINT64_MAX, "cluster.connect_timeout_ns");
  REFUSED(t.cluster.server_name[0] = '\0', "cluster.server_name is empty");
  REFUSED(memset(t.cluster.server_name, 'x', sizeof(t.cluster.server_name)),
          "cluster.server_name is not terminated");
#undef REFUSED
#define REFUSED(change, field)                                                                     \
  t = director_topo();                                                                             \
  change;                                                                                          \
  refused(&t, field)
  struct rn_topo_route *r = &t.director.routes[0];
  REFUSED(r->call_all = 2, "director.routes holds a flag");
  REFUSED(strcpy(r->method, "all*"), "director.routes has call_all with a pattern");
  REFUSED(r->idempotent = 1, "director.routes has call_all");
  REFUSED(r->near_first = 1, "director.routes has call_all");
  REFUSED(r->hedge_ns = 1, "director.routes has call_all");
  REFUSED(r->try_timeout_ns = 1, "director.routes has call_all");
#undef REFUSED
  t = director_topo();
  assert_int_equal(rn_topo_check(&t, why, sizeof(why)), RN_OK);
  t = cluster_topo();
  t.tls.cert.bytes = t.tls.peer_ca.bytes = 1;
  assert_int_equal(rn_topo_check(&t, why, sizeof(why)), RN_OK);
  t = sample_topo();
  t.tls.cert.bytes = 1;
  assert_int_equal(rn_topo_check(&t, why, sizeof(why)), RN_OK);
  t.ports[0].driver = RN_TOPO_NULL; /* the one that has no interface */
  t.ports[0].interface[0] = '\0';
  assert_int_equal(rn_topo_check(&t, why, sizeof(why)), RN_OK);
}

static void nothing_is_built_from_what_would_be_refused(void **state) {
  (void)state;
  struct rn_topo t = sample_topo(), before;
  t.quic.max_udp_payload = 0;
  before = t;
  const struct rn_topo_blobs some = { .cert = { sample_cert, 10 } }, none = { .ca = { "x", 1 } };
  struct rn_topo_blobs large = some;
  size_t bytes = rn_topo_footprint(&t, &some);
  uint8_t *mem = aligned_alloc(4096, bytes);
  assert_non_null(mem);
  memset(mem, 0, bytes);
  assert_int_equal(rn_topo_build(mem, bytes, &t, &some, 1, why, sizeof(why)), RN_ERR_INVAL);
  assert_memory_equal(&t, &before, sizeof(t));
  assert_int_equal(rn_topo_build(mem, bytes - 64, &t, &some, 1, why, sizeof(why)), RN_ERR_INVAL);
  assert_int_equal(rn_topo_footprint(&t, &none), 0); /* no certificate */
  large.peer_ca.bytes = RN_TOPO_BLOB_MAX + 1;
  assert_int_equal(rn_topo_footprint(&t, &large), 0);
  large.peer_ca.bytes = 0;
  large.cert.bytes = RN_TOPO_BLOB_MAX + 1;
  assert_int_equal(rn_topo_footprint(&t, &large), 0);
  free(mem);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(what_control_builds_the_data_plane_reads),
    cmocka_unit_test(each_text_has_its_own_place),
    cmocka_unit_test(each_lcore_has_its_own_rings_both_ways),
    cmocka_unit_test(another_build_is_refused),
    cmocka_unit_test(no_value_anywhere_leads_out_of_the_region),
    cmocka_unit_test(errors_name_the_field),
    cmocka_unit_test(nothing_is_built_from_what_would_be_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
