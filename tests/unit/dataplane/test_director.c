/* A director's answers to get_worker: what stands in them, whom they name, how long that counts; and snapshots that come in pieces. */
#include "dataplane/serve/call_all.h"
#include "dataplane/serve/director.h" /* before the world: its one variable has a short name */
#include "wire/bincode.h"

#include "../rpc/world.h"

#define LEASE_MS 1000u

static struct rn_topo_director cfg;
static struct rn_director *director;
static void *memory, *shared;
static size_t memory_bytes, shared_bytes;
static uint64_t version;
static uint32_t routes = 1; /* for start */

static void fill(void *ctx, uint8_t *out, size_t n) {
  (void)ctx;
  memset(out, 0x5a, n);
}

static int start(void **state) {
  setup(state);
  cfg = (struct rn_topo_director){ .enabled = 1,
                                   .get_worker = 1,
                                   .strategy = RN_TOPO_LEAST_CONNECTIONS,
                                   .route_count = routes,
                                   .lease_ns = LEASE_MS * MS };
  snprintf(cfg.routes[0].method, sizeof(cfg.routes[0].method), "%s",
           routes == 1 ? "Inference.*" : "*");
  snprintf(cfg.routes[1].method, sizeof(cfg.routes[1].method), "ready");
  snprintf(cfg.routes[2].method, sizeof(cfg.routes[2].method), "ask.all");
  cfg.routes[2].max_in_flight = cfg.routes[2].call_all = 1;
  snprintf(cfg.routes[3].method, sizeof(cfg.routes[3].method), "echo"); /* built in as well */
  cfg.routes[3].max_in_flight = cfg.routes[3].call_all = 1;
  cfg.routes[2].timeout_ns = cfg.routes[3].timeout_ns = 20 * MS;
  cfg.routes[0].max_in_flight = cfg.routes[1].max_in_flight = 5;
  memory_bytes = rn_director_footprint(&cfg);
  shared_bytes = rn_load_shared_bytes(1, RN_DIRECTOR_SLOTS);
  memory = region_new(memory_bytes);
  shared = region_new(shared_bytes);
  assert_int_equal(rn_director_init(memory, &cfg, shared, 1, 0, 7, &director), RN_OK);
  assert_int_equal(rn_director_serve(director, w->rpc_server, fill, NULL), RN_OK);
  return 0;
}

static int stop(void **state) {
  int checked = rn_director_check(director);
  region_free(memory, memory_bytes);
  region_free(shared, shared_bytes);
  return teardown(state) + (checked != RN_OK);
}

/* ---- workers ---- */

static struct rn_bal_pool *pool_of(uint32_t count, size_t *bytes) {
  static _Alignas(64) uint8_t mem[65536];
  static struct rn_bal_spec specs[64];
  static char ids[64][8];
  const struct rn_bal_pool *out;
  for (uint32_t i = 0; i < count; i++) {
    int n = snprintf(ids[i], sizeof(ids[i]), "w%u", i);
    specs[i] = (struct rn_bal_spec){
      .worker = { .key = rn_bal_key(ids[i], (size_t)n),
                  .addr = { .family = 4, .ip = { 10, 1, 0, (uint8_t)i }, .port = 62001 },
                  .weight = 1,
                  .slot = (uint16_t)i },
      .id = ids[i],
      .id_len = (uint8_t)n
    };
  }
  assert_int_equal(rn_bal_pool_form(mem, sizeof(mem), ++version, 0, specs, count, &out), RN_OK);
  *bytes = out->bytes;
  return (struct rn_bal_pool *)(void *)mem;
}

/* In pieces of so many bytes. Returns what the last one got. */
static int send_pool(uint32_t route, const struct rn_bal_pool *pool, size_t bytes, uint32_t piece) {
  int err = RN_OK;
  for (uint32_t at = 0; at < bytes; at += piece) {
    const struct rn_msg_pool m = {
      .version = pool->version, .route = route, .offset = at, .bytes = (uint32_t)bytes
    };
    uint32_t n = (uint32_t)bytes - at < piece ? (uint32_t)bytes - at : piece;
    err = rn_director_pool(director, &m, (const uint8_t *)pool + at, n);
  }
  return err;
}

static void workers(uint32_t count) {
  size_t bytes;
  const struct rn_bal_pool *pool = pool_of(count, &bytes);
  assert_int_equal(send_pool(1, pool, bytes, 512), RN_OK);
}

/* ---- asking ---- */

static void on_answer(void *user, struct rn_rpc_client_call *call, const struct rn_rpc_result *r) {
  struct outcome *o = user;
  (void)call;
  o->done++;
  o->err = r->err;
  o->len = r->len;
  if (r->len > 0 && r->len <= 1024)
    memcpy(o->data, r->data, r->len);
  snprintf(o->text, sizeof(o->text), "%s", r->text);
}

struct answer {
  bool success;
  char addr[64], label[64], id[128], message[64];
};

static void copy_text(char *out, size_t cap, struct rn_bin_str s) {
  assert_true(s.len < cap);
  if (s.len > 0)
    memcpy(out, s.p, s.len);
  out[s.len] = '\0';
}

static void read_answer(const uint8_t *data, size_t len, struct answer *a) {
  struct rn_bin_reader r = { .buf = data, .len = len, .str_max = 1000 };
  *a = (struct answer){ .success = rn_bin_bool(&r) };
  if (rn_bin_bool(&r))
    copy_text(a->addr, sizeof(a->addr), rn_bin_str(&r));
  if (rn_bin_bool(&r))
    copy_text(a->label, sizeof(a->label), rn_bin_str(&r));
  copy_text(a->id, sizeof(a->id), rn_bin_str(&r));
  if (rn_bin_bool(&r))
    copy_text(a->message, sizeof(a->message), rn_bin_str(&r));
  assert_int_equal(r.err, RN_OK);
  assert_int_equal(r.at, len);
}

static void ask_raw(const uint8_t *params, size_t len, struct outcome *o) {
  static uint8_t data[1024];
  *o = (struct outcome){ .data = data };
  assert_int_equal(rn_rpc_client_call(w->rpc_client, w->client.conn, "DirectorRegistry.get_worker",
                                      params, len, 1000 * MS, on_answer, o, NULL),
                   RN_OK);
  for (int i = 0; i < 50 && o->done == 0; i++)
    run_ms(1);
  assert_int_equal(o->done, 1);
  rn_director_timers(director, net_now(w->net));
  assert_int_equal(rn_director_check(director), RN_OK);
}

/* id NULL: none. */
static struct answer ask(const char *id) {
  uint8_t buf[512];
  struct rn_bin_writer p = { .buf = buf, .cap = sizeof(buf) };
  struct outcome o;
  struct answer a;
  rn_bin_put_u8(&p, id != NULL);
  if (id != NULL)
    rn_bin_put_str(&p, id, strlen(id));
  rn_bin_put_str(&p, "p", 1);
  ask_raw(buf, p.len, &o);
  assert_int_equal(o.err, RN_OK);
  read_answer(o.data, o.len, &a);
  return a;
}

/* ---- cases ---- */

static void without_workers_the_answer_says_so(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    struct answer a = ask("conn-1");
    assert_false(a.success);
    assert_string_equal(a.addr, "");
    assert_string_equal(a.label, "");
    assert_string_equal(a.id, "conn-1");
    assert_string_equal(a.message, "No workers available");
    workers(0);
  }
  assert_int_equal(rn_director_stats(director)->redirects_none, 2);
}

/* The bytes of docs/protocol.md, "Redirects". */
static void the_answer_names_address_and_id(void **state) {
  (void)state;
  static const uint8_t asked[] = { 0, 1, 0, 0, 0, 0, 0, 0, 0, 'p' };
  struct outcome o;
  struct answer a;
  workers(1);
  ask_raw(asked, sizeof(asked), &o);
  read_answer(o.data, o.len, &a);
  assert_true(a.success);
  assert_string_equal(a.addr, "10.1.0.0:62001");
  assert_string_equal(a.label, "w0");
  assert_string_equal(a.message, "");
  /* RFC 9562: version 4, variant 10. */
  assert_string_equal(a.id, "conn-5a5a5a5a-5a5a-4a5a-9a5a-5a5a5a5a5a5a");
}

static void what_cannot_be_read_gets_an_error(void **state) {
  (void)state;
  struct outcome o;
  ask_raw((const uint8_t *)"\2", 1, &o);
  assert_int_equal(o.err, RN_ERR_REFUSED);
  assert_non_null(strstr(o.text, "Serialization error"));
}

static void clients_are_spread_and_count_for_their_lease(void **state) {
  (void)state;
  uint32_t counts[3] = { 0 };
  workers(3);
  for (uint32_t i = 0; i < 30; i++) {
    char id[16];
    snprintf(id, sizeof(id), "c%u", i);
    struct answer a = ask(id);
    counts[a.label[1] - '0']++;
  }
  for (uint32_t i = 0; i < 3; i++)
    assert_int_equal(counts[i], 10);
  assert_int_equal(rn_director_stats(director)->leases, 30);
  run_ms(LEASE_MS + 10);
  assert_true(rn_director_next_expiry(director) <= net_now(w->net));
  rn_director_timers(director, net_now(w->net));
  assert_int_equal(rn_director_stats(director)->leases, 0);
  assert_int_equal(rn_director_next_expiry(director), UINT64_MAX);
}

/* A client that comes back is not two. */
static void a_client_that_asks_again_ends_its_lease(void **state) {
  (void)state;
  workers(3);
  for (int i = 0; i < 20; i++)
    assert_true(ask("the same").success);
  assert_int_equal(rn_director_stats(director)->leases, 1);
  assert_int_equal(rn_director_stats(director)->leases_renewed, 19);
  run_ms(2 * LEASE_MS);
  rn_director_timers(director, net_now(w->net));
  assert_int_equal(rn_director_stats(director)->leases, 0);
}

static void a_worker_that_is_gone_is_not_named(void **state) {
  (void)state;
  workers(3);
  for (int i = 0; i < 6; i++)
    assert_true(ask(NULL).success);
  workers(1);
  for (int i = 0; i < 6; i++)
    assert_string_equal(ask(NULL).label, "w0");
}

static void a_snapshot_counts_when_all_of_it_is_there_and_sound(void **state) {
  (void)state;
  size_t bytes;
  workers(1);
  struct rn_bal_pool *pool = pool_of(20, &bytes);
  const struct rn_msg_pool first = { .version = version, .route = 1, .bytes = (uint32_t)bytes };
  assert_int_equal(rn_director_pool(director, &first, (const uint8_t *)pool, 512), RN_OK);
  assert_string_equal(ask(NULL).label, "w0");
  /* A hole. */
  struct rn_msg_pool hole = first;
  hole.offset = 1024;
  assert_int_equal(rn_director_pool(director, &hole, (const uint8_t *)pool + 1024, 100),
                   RN_ERR_CORRUPT);
  /* More than it was to have, a route that there is not, damage. */
  hole.offset = 0, hole.bytes = 100;
  assert_int_equal(rn_director_pool(director, &hole, (const uint8_t *)pool, 101), RN_ERR_CORRUPT);
  hole.route = 2;
  assert_int_equal(rn_director_pool(director, &hole, (const uint8_t *)pool, 100), RN_ERR_CORRUPT);
  pool->count ^= 1;
  assert_int_equal(send_pool(1, pool, bytes, 1000), RN_ERR_CORRUPT);
  assert_string_equal(ask(NULL).label, "w0");
  assert_int_equal(rn_director_stats(director)->snapshots, 1);
  assert_int_equal(rn_director_stats(director)->snapshots_bad, 4);
  pool->count ^= 1;
  assert_int_equal(send_pool(1, pool, bytes, 1), RN_OK);
  assert_int_equal(rn_director_stats(director)->workers, 20);
  /* An older one, of a control process that has been replaced, is left alone. */
  pool->version = 1;
  assert_int_equal(send_pool(1, pool, bytes, 512), RN_OK);
  assert_int_equal(rn_director_stats(director)->snapshots, 2);
}

static void methods_have_their_route(void **state) {
  (void)state;
  assert_int_equal(rn_director_route(director, "Inference.generate", 18), 0);
  assert_int_equal(rn_director_route(director, "Inference", 9), RN_ROUTE_NONE);
  assert_int_equal(rn_director_route(director, "echo", 4), RN_ROUTE_NONE);
}

/* A route for all that is not said of others is no route for what a node is asked about itself. */
static void what_is_asked_of_the_node_stays_here(void **state) {
  (void)state;
  assert_int_equal(rn_director_route(director, "any", 3), 0);
  assert_int_equal(rn_director_route(director, "health", 6), RN_ROUTE_NONE);
  assert_int_equal(rn_director_route(director, "ready", 5), 1);
  assert_int_equal(rn_director_route(director, "DirectorRegistry.get_worker", 27), RN_ROUTE_NONE);
}

/* However much another route would take. */
static void what_is_for_every_worker_goes_to_none(void **state) {
  (void)state;
  assert_int_equal(rn_director_route(director, "ask.all", 7), RN_ROUTE_NONE);
  assert_int_equal(rn_director_route(director, "ask.al", 6), 0);
  assert_int_equal(rn_director_route(director, "ask.all.", 8), 0);
}

/* ---- calls to every worker: nobody dials here, so that all of them are late ---- */

static void names_of_all(const char *method, uint32_t count) {
  static uint8_t data[1024];
  struct outcome o = { .data = data };
  assert_int_equal(rn_rpc_client_call(w->rpc_client, w->client.conn, method, "x", 1, 1000 * MS,
                                      on_answer, &o, NULL),
                   RN_OK);
  run_ms(60);
  assert_int_equal(o.done, 1);
  assert_string_equal(o.text, "");
  struct rn_bin_reader r = { .buf = data, .len = o.len, .str_max = 100 };
  uint32_t seen = 0;
  assert_int_equal(rn_bin_u64(&r), count);
  for (uint32_t i = 0; i < count; i++) {
    char name[16], text[32];
    copy_text(name, sizeof(name), rn_bin_str(&r));
    assert_int_equal(rn_bin_u32(&r), 1);
    copy_text(text, sizeof(text), rn_bin_str(&r));
    assert_string_equal(text, "Request timeout");
    seen |= 1u << (name[1] - '0');
  }
  assert_int_equal(r.err, RN_OK);
  assert_int_equal(seen, (1u << count) - 1);
}

static void each_route_for_every_worker_has_its_own(void **state) {
  (void)state;
  static struct rn_topo topo;
  struct rn_call_all_params p = {
    .topo = &topo, .director = director, .quic = w->server.q, .rpc = w->rpc_server
  };
  struct rn_call_all *all;
  size_t bytes;
  topo.cluster.conns_per_worker = 1;
  topo.cluster.connect_timeout_ns = topo.cluster.idle_timeout_ns = 1000 * MS;
  topo.quic_limits.conns = topo.rpc.calls = 16;
  topo.rpc.response_bytes_max = 1; /* an answer has some room all the same */
  topo.director = cfg;
  topo.director.route_count = 2;
  assert_int_equal(rn_call_all_footprint(&topo), 0);
  topo.director.route_count = 4;
  void *mem = region_new(rn_call_all_footprint(&topo));
  assert_int_equal(rn_call_all_init(mem, &p, &all), RN_OK);
  for (uint32_t route = 2; route < 4; route++) {
    const struct rn_bal_pool *pool = pool_of(route + 1, &bytes);
    assert_int_equal(send_pool(route, pool, bytes, 512), RN_OK);
    rn_call_all_changed(all, route, net_now(w->net));
  }
  names_of_all("ask.all", 3);
  names_of_all("echo", 4);
  assert_int_equal(rn_fanout_stats(rn_call_all_fanout(all))->late, 7);
  assert_int_equal(rn_call_all_check(all), RN_OK);
  region_free(mem, rn_call_all_footprint(&topo));
}

static int start_all(void **state) {
  routes = 4;
  int err = start(state);
  routes = 1;
  return err;
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop)
  const struct CMUnitTest tests[] = {
    T(without_workers_the_answer_says_so),
    T(the_answer_names_address_and_id),
    T(what_cannot_be_read_gets_an_error),
    T(clients_are_spread_and_count_for_their_lease),
    T(a_client_that_asks_again_ends_its_lease),
    T(a_worker_that_is_gone_is_not_named),
    T(a_snapshot_counts_when_all_of_it_is_there_and_sound),
    T(methods_have_their_route),
    cmocka_unit_test_setup_teardown(what_is_asked_of_the_node_stays_here, start_all, stop),
    cmocka_unit_test_setup_teardown(what_is_for_every_worker_goes_to_none, start_all, stop),
    cmocka_unit_test_setup_teardown(each_route_for_every_worker_has_its_own, start_all, stop),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
