/* tests/fuzz/fuzz_balance.c: an lcore that balances over snapshots which may be damaged, with calls that begin and end in any order.
 *
 *   operations   1 octet which one, then what it takes:
 *     0-3          a call: 1 octet affinity; 2 and 3: one that has tried the last ones
 *     4            a call ends: 1 octet which, 1 octet how
 *     5            an answer begins: 1 octet which
 *     6            time goes on: 2 octets ms
 *     7            a snapshot: 4 octets whom it leaves in, 1 octet of what properties, 1 octet how many changes, each 2 octets where and 1 octet what is added
 *     8            settings: 1 octet strategy, 1 octet the rest
 *     9            a table of routes: 1 octet how many, changes as above
 *
 * Checked: a snapshot is adopted only when it is one; who is chosen is in it, is not draining and was not tried; all invariants after each operation; when
 * all calls have ended none is open anywhere. */
#include "fuzz.h"

#include "cluster/balance/balance.h"
#include "cluster/balance/routes.h"
#include "util/err.h"

#define WORKERS 32u
#define SLOTS   64u
#define CALLS   64u

static struct {
  struct rn_load *load;
  struct rn_bal *b;
  void *shared;
  struct rn_bal_pool *pool;
  size_t pool_bytes;
  uint64_t version, now_ns;
  uint32_t held;
  struct rn_bal_ticket call[CALLS];
  struct rn_bal_tried tried;
} f;

static void *mem_of(size_t bytes) {
  void *mem = aligned_alloc(64, (bytes + 63) & ~(size_t)63);
  CHECK(mem != NULL);
  memset(mem, 0, bytes);
  return mem;
}

static void start(void) {
  struct rn_bal_config cfg = rn_bal_defaults(&rn_bal_round_robin);
  memset(&f, 0, sizeof(f));
  f.now_ns = 1000000000u;
  f.shared = mem_of(rn_load_shared_bytes(2, SLOTS));
  CHECK(rn_load_init(mem_of(rn_load_footprint(SLOTS)), f.shared, 2, SLOTS, 1, &f.load) == RN_OK);
  CHECK(rn_bal_init(mem_of(rn_bal_footprint(WORKERS)), WORKERS, &cfg, f.load, 1, &f.b) == RN_OK);
}

static void change(struct fuzz_in *in, void *bytes, size_t n) {
  for (uint8_t i = fuzz_u8(in) % 8; i > 0; i--) {
    size_t at = fuzz_le(in, 2) % n;
    ((uint8_t *)bytes)[at] = (uint8_t)(((uint8_t *)bytes)[at] + fuzz_u8(in));
  }
}

static void snapshot(struct fuzz_in *in) {
  struct rn_bal_spec specs[WORKERS];
  char ids[WORKERS][8];
  const struct rn_bal_pool *whole;
  uint32_t in_it = (uint32_t)fuzz_le(in, 4), n = 0;
  uint8_t how = fuzz_u8(in);
  for (uint32_t i = 0; i < WORKERS; i++) {
    if ((in_it >> i & 1) == 0)
      continue;
    int len = snprintf(ids[n], sizeof(ids[n]), "w%u", i);
    specs[n] = (struct rn_bal_spec){
      .worker = { .key = rn_bal_key(ids[n], (size_t)len),
                  .zone = (i ^ how) % 3,
                  .weight = 1 + (i * how) % 100,
                  .slot = (uint16_t)i,
                  .flags = (uint8_t)((i + how) % 11 < 3 ? (i + how) % 11 : 0) },
      .id = ids[n],
      .id_len = (uint8_t)len,
    };
    n++;
  }
  static uint64_t mem[2048];
  CHECK(rn_bal_pool_form(mem, sizeof(mem), ++f.version, how % 3, specs, n, &whole) == RN_OK);
  size_t bytes = whole->bytes;
  change(in, mem, bytes);
  struct rn_bal_pool *pool = mem_of(bytes); /* the sanitizer sees what is behind */
  memcpy(pool, mem, bytes);
  uint64_t version = pool->version;
  if (rn_bal_pool_check(pool, bytes) != RN_OK || rn_bal_adopt(f.b, pool) != RN_OK) {
    free(pool);
    return;
  }
  free(f.pool);
  f.pool = pool;
  f.version = version < UINT64_MAX / 2 ? version : UINT64_MAX / 2;
}

static void call(struct fuzz_in *in, bool again) {
  struct rn_bal_ask ask = { .now_ns = f.now_ns,
                            .affinity = fuzz_u8(in),
                            .tried = again ? &f.tried : NULL };
  struct rn_bal_ticket t;
  if (f.held == CALLS || rn_bal_pick(f.b, &ask, &t) != RN_OK)
    return;
  const struct rn_bal_worker *w = rn_bal_worker_of(f.b, &t);
  CHECK(t.idx < f.pool->count && w->key == t.key && (w->flags & RN_BAL_DRAINING) == 0);
  CHECK(fuzz_inside((const uint8_t *)f.pool, f.pool->bytes, rn_bal_pool_text(f.pool, w),
                    w->text_len));
  for (uint32_t i = 0; again && i < f.tried.count; i++)
    CHECK(f.tried.key[i] != t.key);
  rn_bal_tried_add(&f.tried, t.key);
  f.call[f.held++] = t;
}

static void end(uint32_t i, uint8_t how) {
  rn_bal_done(f.b, &f.call[i], (enum rn_bal_outcome)(how % 3), f.now_ns);
  f.call[i] = f.call[--f.held];
}

static void settings(struct fuzz_in *in) {
  struct rn_bal_config cfg = rn_bal_defaults(rn_bal_strategies[fuzz_u8(in) % RN_BAL_STRATEGIES]);
  uint8_t rest = fuzz_u8(in);
  cfg.near_first = (rest & 1) != 0;
  cfg.max_open = (rest & 2) != 0 ? rest : 0;
  cfg.outlier.row = rest >> 2 & 3;
  cfg.outlier.probes = rest >> 4 & 3;
  int err = rn_bal_configure(f.b, &cfg);
  CHECK((err == RN_OK) == (cfg.outlier.probes > 0));
}

static void routes(struct fuzz_in *in) {
  static const char *const patterns[] = { "*", "A.*", "A.bc", "A.b*", "B.c" };
  static struct rn_routes t;
  memset(&t, 0, sizeof(t));
  for (uint8_t i = 0, n = fuzz_u8(in) % 6; i < n; i++) {
    struct rn_route r = { .strategy = i };
    CHECK(rn_route_set_pattern(&r, patterns[i], strlen(patterns[i])) == RN_OK);
    CHECK(rn_routes_add(&t, &r) == RN_OK);
  }
  change(in, &t, offsetof(struct rn_routes, route) + 5 * sizeof(t.route[0]));
  if (rn_routes_check(&t) != RN_OK)
    return;
  uint32_t i = rn_routes_match(&t, "A.bc", 4);
  CHECK(i == RN_ROUTE_NONE || i < t.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct fuzz_in in = { data, data + len };
  start();
  while (fuzz_more(&in)) {
    uint8_t op = fuzz_u8(&in) % 10;
    if (op < 4)
      call(&in, op > 1);
    else if (op == 6)
      f.now_ns += fuzz_le(&in, 2) * 1000000u;
    else if (op == 7)
      snapshot(&in);
    else if (op == 8)
      settings(&in);
    else if (op == 9)
      routes(&in);
    else if (f.held > 0 && op == 5)
      rn_bal_answered(f.b, &f.call[fuzz_u8(&in) % f.held], f.now_ns);
    else if (f.held > 0)
      end(fuzz_u8(&in) % f.held, fuzz_u8(&in));
    CHECK(rn_bal_check(f.b) == RN_OK && rn_load_check(f.load) == RN_OK);
  }
  while (f.held > 0)
    end(0, 0);
  CHECK(rn_bal_check(f.b) == RN_OK);
  for (uint32_t i = 0; i < SLOTS; i++)
    CHECK(rn_load_sum(f.load, i) == 0);
  free(f.pool);
  free(f.b);
  free(f.load);
  free(f.shared);
  return 0;
}
