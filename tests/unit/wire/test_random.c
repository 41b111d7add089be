/* Parsers and writers of lib/wire with random messages, random bytes and damaged messages. A failure prints its seed; the same seed gives the same
 * bytes. */
#include "rn_test.h"

#include <inttypes.h>

#include "util/err.h"
#include "util/rng.h"
#include "wire/bincode.h"
#include "wire/rpc.h"
#include "wire/swim.h"

#define ROUNDS    20000
#define BYTES_MAX 8192u

static struct rn_rng rng;

static uint64_t below(uint64_t n) { return rn_rng_below(&rng, n); }

/* A test's own seed, which shows where it fails. */
static void seed(uint64_t s) {
  rn_rng_init(&rng, s);
  print_message("seed=%" PRIu64 "\n", s);
}

/* Numbers of all sizes: as many small ones as large ones. */
static uint64_t any_u64(void) { return rn_rng_next(&rng) >> below(64); }

static void fill(uint8_t *p, size_t n) {
  for (size_t i = 0; i < n; i++)
    p[i] = (uint8_t)rn_rng_next(&rng);
}

/* A copy in a block of its own length, so that the sanitizer sees a read behind its end. To be freed. */
static uint8_t *exact(const uint8_t *p, size_t n) {
  uint8_t *copy = malloc(n > 0 ? n : 1);
  assert_non_null(copy);
  memcpy(copy, p, n);
  return copy;
}

/* ---- UTF-8 ---- */

/* Writes code point c, a surrogate and 0x10ffff + 1 as well, in count bytes: well formed only where that is the shortest way. */
static void put_code_point(uint8_t *out, uint32_t c, size_t count) {
  static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
  for (size_t i = count - 1; i > 0; i--, c >>= 6)
    out[i] = (uint8_t)(0x80 | (c & 0x3f));
  out[0] = (uint8_t)(lead[count] | c);
}

static size_t shortest(uint32_t c) { return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4; }

/* RFC 3629 section 3: each code point in the shortest of its forms, and no surrogates. */
static void utf8_takes_each_code_point_in_its_shortest_form(void **state) {
  static const uint32_t room[] = { 0, 0x80, 0x800, 0x10000, 0x200000 };
  uint8_t buf[4];
  (void)state;
  for (uint32_t c = 0; c < 0x200000; c++) {
    bool is_character = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    for (size_t n = shortest(c); n <= 4; n++) {
      assert_true(c < room[n]);
      put_code_point(buf, c, n);
      if (rn_wire_utf8_ok(buf, n) != (is_character && n == shortest(c)))
        fail_msg("U+%04X in %zu bytes", c, n);
    }
  }
}

static void utf8_refuses_what_is_cut_or_has_no_lead(void **state) {
  uint8_t buf[5];
  (void)state;
  for (uint32_t c = 0x80; c <= 0x10ffff; c += 0x1f) {
    if (c >= 0xd800 && c <= 0xdfff)
      continue;
    size_t n = shortest(c);
    put_code_point(buf, c, n);
    for (size_t cut = 1; cut < n; cut++) {
      assert_false(rn_wire_utf8_ok(buf, cut));
      assert_false(rn_wire_utf8_ok(buf + cut, n - cut));
    }
    buf[n] = 'x';
    assert_true(rn_wire_utf8_ok(buf, n + 1));
    buf[n - 1] = 'x';
    assert_false(rn_wire_utf8_ok(buf, n));
  }
}

/* Random text of at most max bytes. */
static size_t any_text(uint8_t *out, size_t max) {
  static const uint32_t ends[] = { 0x80, 0x800, 0xd800, 0x110000 };
  size_t n = 0, want = below(max + 1);
  for (;;) {
    uint32_t c = (uint32_t)below(ends[below(4)]);
    if (c >= 0xd800 && c <= 0xdfff)
      continue;
    if (n + shortest(c) > want)
      return n;
    put_code_point(out + n, c, shortest(c));
    n += shortest(c);
  }
}

/* ---- requests and responses ---- */

static void any_request_comes_back_and_every_cut_is_short(void **state) {
  static uint8_t method[300], params[600], buf[BYTES_MAX];
  (void)state;
  seed(1);
  for (int i = 0; i < ROUNDS / 10; i++) {
    size_t method_bytes = any_text(method, below(sizeof(method))),
           params_bytes = below(sizeof(params));
    size_t head = RN_WIRE_REQUEST_HEAD_BYTES(method_bytes), len = head + params_bytes, used, need;
    uint64_t id = any_u64();
    struct rn_wire_request r;
    fill(params, params_bytes);
    rn_wire_request_head(buf, id, (const char *)method, method_bytes, params_bytes);
    memcpy(buf + head, params, params_bytes);
    uint8_t *copy = exact(buf, len);
    assert_int_equal(rn_wire_request_get(copy, len, len, &r, &used, &need), RN_OK);
    assert_int_equal(used, len);
    assert_int_equal(r.id, id);
    assert_int_equal(r.method_bytes, method_bytes);
    assert_memory_equal(r.method, method, method_bytes);
    assert_int_equal(r.params_bytes, params_bytes);
    assert_memory_equal(r.params, params, params_bytes);
    assert_int_equal(rn_wire_request_get(copy, len, len - 1, &r, &used, &need), RN_ERR_TOOBIG);
    free(copy);
    for (size_t cut = 0; cut < len; cut++) {
      assert_int_equal(rn_wire_request_get(buf, cut, len, &r, &used, &need), RN_ERR_SHORT);
      assert_int_equal(need, cut < 8                   ? 8
                             : cut < 16                ? 16
                             : cut < 16 + method_bytes ? 16 + method_bytes
                             : cut < head              ? head
                                                       : len);
    }
  }
}

static void put_option(struct rn_bin_writer *w, bool some, const uint8_t *p, size_t n) {
  rn_bin_put_u8(w, some);
  if (some)
    rn_bin_put_str(w, (const char *)p, n);
}

/* The two heads that answers are made with are the same bytes. */
static void check_heads(const uint8_t *buf, const struct rn_wire_response *r) {
  uint8_t result[RN_WIRE_RESULT_HEAD_BYTES], error[RN_WIRE_ERROR_HEAD_BYTES];
  memset(result, 0xee, sizeof(result));
  memset(error, 0xee, sizeof(error));
  rn_wire_result_head(result, r->id, r->result_bytes);
  rn_wire_error_head(error, r->id, r->error_bytes);
  if (r->result != NULL)
    assert_memory_equal(result, buf, sizeof(result));
  else if (r->error != NULL)
    assert_memory_equal(error, buf, sizeof(error));
}

static void any_response_comes_back(void **state) {
  static uint8_t result[600], error[300], buf[BYTES_MAX];
  (void)state;
  seed(2);
  for (int i = 0; i < ROUNDS; i++) {
    bool has_result = below(2), has_error = below(2);
    size_t result_bytes = has_result ? below(sizeof(result)) : 0;
    size_t error_bytes = has_error ? any_text(error, below(sizeof(error))) : 0, used, need;
    uint64_t id = any_u64();
    struct rn_wire_response r;
    fill(result, result_bytes);
    struct rn_bin_writer w = { .buf = buf, .cap = sizeof(buf) };
    rn_bin_put_u64(&w, id);
    put_option(&w, has_result, result, result_bytes);
    put_option(&w, has_error, error, error_bytes);
    uint8_t *copy = exact(buf, w.len);
    assert_int_equal(rn_wire_response_get(copy, w.len, w.len, &r, &used, &need), RN_OK);
    assert_int_equal(used, w.len);
    assert_int_equal(r.id, id);
    assert_int_equal(r.result != NULL, has_result);
    assert_int_equal(r.error != NULL, has_error);
    assert_int_equal(r.result_bytes, result_bytes);
    assert_int_equal(r.error_bytes, error_bytes);
    if (has_result)
      assert_memory_equal(r.result, result, result_bytes);
    if (has_error)
      assert_memory_equal(r.error, error, error_bytes);
    check_heads(copy, &r);
    size_t cut = below(w.len);
    assert_int_equal(rn_wire_response_get(copy, cut, w.len, &r, &used, &need), RN_ERR_SHORT);
    assert_in_range(need, cut + 1, w.len);
    assert_int_equal(rn_wire_response_get(copy, w.len, w.len - 1, &r, &used, &need), RN_ERR_TOOBIG);
    free(copy);
  }
}

/* A length never makes the limit wrap: the largest of each field, with and without a limit. */
static void huge_lengths_are_too_big_or_short(void **state) {
  static const uint64_t lengths[] = { UINT64_MAX, UINT64_MAX - 15, UINT64_MAX - 24,
                                      INT64_MAX,  UINT32_MAX,      (uint64_t)1 << 40 };
  (void)state;
  for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
    uint8_t buf[24] = { 0 };
    struct rn_wire_request rq;
    struct rn_wire_response rs;
    size_t used, need = 0;
    rn_wire_put_u64(buf + 8, lengths[i]);
    assert_int_equal(rn_wire_request_get(buf, 24, 1 << 20, &rq, &used, &need), RN_ERR_TOOBIG);
    bool fits = lengths[i] <= SIZE_MAX - 16;
    assert_int_equal(rn_wire_request_get(buf, 24, SIZE_MAX, &rq, &used, &need),
                     fits ? RN_ERR_SHORT : RN_ERR_TOOBIG);
    if (fits)
      assert_int_equal(need, 16 + lengths[i]);
    buf[8] = 1;
    rn_wire_put_u64(buf + 9, lengths[i]);
    assert_int_equal(rn_wire_response_get(buf, 24, 1 << 20, &rs, &used, &need), RN_ERR_TOOBIG);
    fits = lengths[i] <= SIZE_MAX - 17;
    assert_int_equal(rn_wire_response_get(buf, 24, SIZE_MAX, &rs, &used, &need),
                     fits ? RN_ERR_SHORT : RN_ERR_TOOBIG);
  }
}

/* ---- frames ---- */

/* Items in pieces of random lengths: each comes once, whole, in order. */
static void frames_are_the_same_however_the_bytes_come(void **state) {
  static uint8_t buf[BYTES_MAX];
  size_t lens[32];
  (void)state;
  seed(3);
  for (int i = 0; i < ROUNDS / 10; i++) {
    size_t count = below(32), len = 0, have = 0, at = 0, seen = 0, need = 0;
    for (size_t k = 0; k <= count; k++) {
      size_t n = k < count ? 1 + below(200) : 0; /* the last one is the end marker */
      rn_wire_put_u32(buf + len, (uint32_t)n);
      memset(buf + len + 4, (int)k, n);
      if (k < count)
        lens[k] = n;
      len += 4 + n;
    }
    for (bool ended = false; !ended;) {
      const uint8_t *item;
      size_t item_bytes, used;
      assert_true(have < len || need == 0);
      have += 1 + below(300);
      have = have < len ? have : len;
      uint8_t *copy = exact(buf + at, have - at);
      size_t from = 0;
      while (!ended && rn_wire_frame_get(copy + from, have - at - from, 200, &item, &item_bytes,
                                         &used, &need) == RN_OK) {
        ended = item_bytes == 0;
        need = 0;
        if (!ended) {
          assert_true(seen < count);
          assert_int_equal(item_bytes, lens[seen]);
          assert_int_equal(item[0], seen);
          assert_int_equal(item[item_bytes - 1], seen);
          seen++;
        }
        from += used;
      }
      at += from;
      free(copy);
    }
    assert_int_equal(seen, count);
    assert_int_equal(at, len);
  }
}

static void an_item_one_above_the_limit_is_refused_by_its_length(void **state) {
  uint8_t buf[4];
  const uint8_t *item;
  size_t item_bytes, used, need;
  (void)state;
  seed(4);
  for (int i = 0; i < ROUNDS; i++) {
    uint32_t n = (uint32_t)any_u64();
    rn_wire_put_u32(buf, n);
    int err = rn_wire_frame_get(buf, 4, n, &item, &item_bytes, &used, &need);
    assert_int_equal(err, n == 0 ? RN_OK : RN_ERR_SHORT);
    if (n == 0)
      continue;
    assert_int_equal(need, 4 + (size_t)n);
    assert_int_equal(rn_wire_frame_get(buf, 4, n - 1, &item, &item_bytes, &used, &need),
                     RN_ERR_TOOBIG);
  }
}

/* ---- bincode ---- */

enum field { FIELD_U8, FIELD_U32, FIELD_U64, FIELD_BOOL, FIELD_STR, FIELD_ADDR, FIELD_COUNT };

static struct rn_addr any_addr(void) {
  struct rn_addr a = { .family = below(2) ? 6 : 4, .port = (uint16_t)rn_rng_next(&rng) };
  fill(a.ip, a.family == 6 ? 16 : 4);
  return a;
}

/* One field of each kind as value tells, written or read. */
static void put_field(struct rn_bin_writer *w, enum field f, uint64_t v, struct rn_bin_str s,
                      const struct rn_addr *a) {
  if (f == FIELD_U8 || f == FIELD_BOOL)
    rn_bin_put_u8(w, f == FIELD_U8 ? (uint8_t)v : v & 1);
  else if (f == FIELD_U32)
    rn_bin_put_u32(w, (uint32_t)v);
  else if (f == FIELD_U64)
    rn_bin_put_u64(w, v);
  else if (f == FIELD_STR)
    rn_bin_put_str(w, s.p, s.len);
  else
    rn_bin_put_addr(w, a);
}

static bool get_field(struct rn_bin_reader *r, enum field f, uint64_t v, struct rn_bin_str s,
                      const struct rn_addr *a) {
  struct rn_addr addr = { 0 };
  struct rn_bin_str text;
  switch (f) {
  case FIELD_U8:
    return rn_bin_u8(r) == (uint8_t)v;
  case FIELD_BOOL:
    return rn_bin_bool(r) == (v & 1);
  case FIELD_U32:
    return rn_bin_u32(r) == (uint32_t)v;
  case FIELD_U64:
    return rn_bin_u64(r) == v;
  case FIELD_STR:
    text = rn_bin_str(r);
    return text.len == s.len && text.p != NULL && memcmp(text.p, s.p, s.len) == 0;
  default:
    rn_bin_addr(r, &addr);
    return rn_addr_eq(&addr, a);
  }
}

/* Fields in any order come back; with room or bytes for less, exactly the fields that fit do, and the error stays. */
static void fields_come_back_and_the_first_error_stays(void **state) {
  static uint8_t text[16][80], buf[4096];
  enum field fields[16];
  uint64_t values[16];
  struct rn_bin_str strs[16];
  struct rn_addr addrs[16];
  size_t ends[16];
  (void)state;
  seed(5);
  for (int i = 0; i < ROUNDS / 10; i++) {
    size_t count = 1 + below(16);
    struct rn_bin_writer w = { .buf = buf, .cap = sizeof(buf) };
    for (size_t k = 0; k < count; k++) {
      fields[k] = (enum field)below(FIELD_COUNT);
      values[k] = any_u64();
      strs[k] = (struct rn_bin_str){ (const char *)text[k], any_text(text[k], sizeof(text[k])) };
      addrs[k] = any_addr();
      put_field(&w, fields[k], values[k], strs[k], &addrs[k]);
      ends[k] = w.len;
    }
    assert_int_equal(w.err, RN_OK);
    size_t cut = below(w.len + 1);
    uint8_t *copy = exact(buf, cut), *small = malloc(cut + 1);
    assert_non_null(small);
    struct rn_bin_reader r = { .buf = copy, .len = cut, .str_max = sizeof(text[0]) };
    struct rn_bin_writer into = { .buf = small, .cap = cut };
    size_t whole = 0; /* of the fields that fit; what an error leaves of the next one is nobody's */
    for (size_t k = 0; k < count; k++) {
      bool same = get_field(&r, fields[k], values[k], strs[k], &addrs[k]);
      put_field(&into, fields[k], values[k], strs[k], &addrs[k]);
      assert_int_equal(r.err, ends[k] <= cut ? RN_OK : RN_ERR_SHORT);
      assert_int_equal(into.err, ends[k] <= cut ? RN_OK : RN_ERR_LIMIT);
      if (ends[k] <= cut) {
        whole = ends[k];
        assert_true(same && r.at == whole && into.len == whole);
      }
    }
    assert_true(r.at <= cut && into.len <= cut);
    assert_memory_equal(small, buf, whole);
    free(small);
    free(copy);
  }
}

static void bad_values_are_errors_that_stay(void **state) {
  static const uint8_t two[] = { 2, 1, 1, 1, 1, 1, 1, 1, 1 };
  static const uint8_t text[] = { 2, 0, 0, 0, 0, 0, 0, 0, 'a', 0xff, 1 };
  struct rn_addr a = { .port = 7 };
  (void)state;
  struct rn_bin_reader r = { .buf = two, .len = sizeof(two) };
  assert_false(rn_bin_bool(&r));
  assert_int_equal(r.err, RN_ERR_PROTO);
  assert_int_equal(rn_bin_u64(&r), 0);
  assert_int_equal(r.err, RN_ERR_PROTO);

  r = (struct rn_bin_reader){ .buf = text, .len = sizeof(text), .str_max = 2 };
  assert_null(rn_bin_str(&r).p);
  assert_int_equal(r.err, RN_ERR_PROTO);
  r = (struct rn_bin_reader){ .buf = text, .len = sizeof(text), .str_max = 1 };
  assert_null(rn_bin_str(&r).p);
  assert_int_equal(r.err, RN_ERR_TOOBIG);
  assert_int_equal(rn_bin_u8(&r), 0);

  r = (struct rn_bin_reader){ .buf = text, .len = sizeof(text) }; /* tag 2: neither V4 nor V6 */
  rn_bin_addr(&r, &a);
  assert_int_equal(r.err, RN_ERR_PROTO);
  assert_int_equal(a.port, 7);
}

/* ---- gossip ---- */

static size_t any_swim(uint8_t *buf, size_t cap, struct rn_swim_msg *m) {
  static uint8_t text[4][64];
  struct rn_bin_writer w = { .buf = buf, .cap = cap };
  struct rn_bin_str s[4];
  struct rn_addr a = any_addr();
  uint64_t updates = below(6);
  for (int i = 0; i < 4; i++)
    s[i] = (struct rn_bin_str){ (const char *)text[i], any_text(text[i], sizeof(text[i])) };
  *m = (struct rn_swim_msg){ .type = (enum rn_swim_type)below(RN_SWIM_TYPE_COUNT),
                             .from = s[0],
                             .to = s[1],
                             .addr = a,
                             .updates = { .left = updates },
                             .seq = any_u64() };
  rn_swim_put_head(&w, m->type, s[0], &a, s[1], updates);
  for (uint64_t i = 0; i < updates; i++) {
    uint64_t tags = below(4);
    a = any_addr();
    rn_swim_put_update(&w, s[below(4)], &a, any_u64(),
                       (enum rn_swim_state)below(RN_SWIM_STATE_COUNT), tags);
    for (uint64_t k = 0; k < tags; k++)
      rn_swim_put_tag(&w, s[below(4)], s[below(4)]);
  }
  rn_swim_put_seq(&w, m->seq);
  assert_int_equal(w.err, RN_OK);
  return w.len;
}

/* Writes m again; what it holds points into other bytes. */
static size_t write_again(uint8_t *out, size_t cap, const struct rn_swim_msg *m) {
  struct rn_bin_writer w = { .buf = out, .cap = cap };
  struct rn_swim_updates updates = m->updates;
  struct rn_swim_update u;
  struct rn_bin_str key, value;
  rn_swim_put_head(&w, m->type, m->from, &m->addr, m->to, updates.left);
  while (rn_swim_next_update(&updates, &u)) {
    struct rn_swim_tags tags = u.tags;
    rn_swim_put_update(&w, u.node_id, &u.addr, u.incarnation, u.state, tags.left);
    while (rn_swim_next_tag(&tags, &key, &value))
      rn_swim_put_tag(&w, key, value);
  }
  rn_swim_put_seq(&w, m->seq);
  assert_int_equal(w.err, RN_OK);
  return w.len;
}

static void any_gossip_comes_back_and_every_cut_is_short(void **state) {
  static uint8_t buf[BYTES_MAX], again[BYTES_MAX];
  (void)state;
  seed(6);
  for (int i = 0; i < ROUNDS / 10; i++) {
    struct rn_swim_msg want, m;
    size_t used, len = any_swim(buf, sizeof(buf), &want);
    uint8_t *copy = exact(buf, len);
    assert_int_equal(rn_swim_get(copy, len, &m, &used), RN_OK);
    assert_int_equal(used, len);
    assert_int_equal(m.type, want.type);
    assert_int_equal(m.seq, want.seq);
    assert_int_equal(m.updates.left, want.updates.left);
    assert_int_equal(m.from.len, want.from.len);
    assert_memory_equal(m.from.p, want.from.p, want.from.len);
    if (m.type != RN_SWIM_ACK)
      assert_true(rn_addr_eq(&m.addr, &want.addr));
    if (m.type != RN_SWIM_PING)
      assert_true(m.to.len == want.to.len && memcmp(m.to.p, want.to.p, m.to.len) == 0);
    assert_int_equal(write_again(again, sizeof(again), &m), len);
    assert_memory_equal(again, buf, len);
    free(copy);
    for (size_t cut = 0; cut < len; cut++)
      assert_int_equal(rn_swim_get(buf, cut, &m, &used), RN_ERR_SHORT);
  }
}

/* A count says more than the bytes can hold: no loop over it, and no update that is not there. */
static void counts_that_cannot_be_are_short(void **state) {
  static uint8_t buf[BYTES_MAX];
  (void)state;
  seed(7);
  for (int i = 0; i < ROUNDS; i++) {
    struct rn_swim_msg m = { .type = RN_SWIM_PING };
    struct rn_bin_writer w = { .buf = buf, .cap = sizeof(buf) };
    struct rn_addr a = any_addr();
    size_t used;
    uint64_t count = any_u64() | 1;
    rn_swim_put_head(&w, RN_SWIM_PING, (struct rn_bin_str){ "n", 1 }, &a, m.to, count);
    rn_swim_put_seq(&w, 0);
    assert_int_equal(rn_swim_get(buf, w.len, &m, &used), RN_ERR_SHORT);
  }
}

/* ---- damage ---- */

/* Changes a few bytes, mostly to values that mean something to a length or a tag. */
static void damage(uint8_t *p, size_t n) {
  static const uint8_t telling[] = { 0, 1, 2, 3, 0x7f, 0x80, 0xff };
  for (uint64_t k = 1 + below(4); k > 0; k--)
    p[below(n)] = below(3) ? telling[below(sizeof(telling))] : (uint8_t)rn_rng_next(&rng);
}

/* Random bytes, or a damaged message of one of the kinds, cut or with bytes behind it. */
static size_t any_damaged(uint8_t *buf, size_t cap) {
  struct rn_swim_msg m;
  size_t n = 64 + below(64);
  switch (below(4)) {
  case 0:
    fill(buf, n);
    break;
  case 1:
    rn_wire_request_head(buf, any_u64(), "echo", 4, n);
    fill(buf + 28, n);
    n += 28;
    break;
  case 2:
    rn_wire_result_head(buf, any_u64(), n);
    fill(buf + 17, n);
    buf[17 + n] = 0;
    n += 18;
    break;
  default:
    n = any_swim(buf, cap, &m);
    break;
  }
  if (below(8) > 0)
    damage(buf, n);
  return below(3) > 0 ? n : below(n + 1);
}

/* What is accepted in damaged bytes gives the same bytes when written; each kind is accepted often enough to tell. */
static void what_is_accepted_writes_the_same_bytes(void **state) {
  static uint8_t buf[BYTES_MAX], again[BYTES_MAX];
  size_t requests = 0, responses = 0, gossip = 0, refused = 0;
  (void)state;
  seed(8);
  for (int i = 0; i < 10 * ROUNDS; i++) {
    size_t len = any_damaged(buf, sizeof(buf)), used = SIZE_MAX, need = 0;
    uint8_t *copy = exact(buf, len);
    struct rn_wire_request rq;
    struct rn_wire_response rs;
    struct rn_swim_msg m;
    if (rn_wire_request_get(copy, len, BYTES_MAX, &rq, &used, &need) == RN_OK) {
      rn_wire_request_head(again, rq.id, rq.method, rq.method_bytes, rq.params_bytes);
      memcpy(again + RN_WIRE_REQUEST_HEAD_BYTES(rq.method_bytes), rq.params, rq.params_bytes);
      assert_true(used <= len &&
                  used == RN_WIRE_REQUEST_HEAD_BYTES(rq.method_bytes) + rq.params_bytes);
      assert_memory_equal(again, copy, used);
      requests++;
    }
    if (rn_wire_response_get(copy, len, BYTES_MAX, &rs, &used, &need) == RN_OK) {
      struct rn_bin_writer w = { .buf = again, .cap = sizeof(again) };
      rn_bin_put_u64(&w, rs.id);
      put_option(&w, rs.result != NULL, rs.result, rs.result_bytes);
      put_option(&w, rs.error != NULL, (const uint8_t *)rs.error, rs.error_bytes);
      assert_true(used <= len && used == w.len);
      assert_memory_equal(again, copy, used);
      responses++;
    }
    if (rn_swim_get(copy, len, &m, &used) == RN_OK) {
      assert_true(used <= len);
      assert_int_equal(write_again(again, sizeof(again), &m), used);
      assert_memory_equal(again, copy, used);
      gossip++;
    } else {
      refused++;
    }
    free(copy);
  }
  assert_true(requests > ROUNDS / 10 && responses > ROUNDS / 10 && gossip > ROUNDS / 10);
  assert_true(refused > ROUNDS / 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(utf8_takes_each_code_point_in_its_shortest_form),
    cmocka_unit_test(utf8_refuses_what_is_cut_or_has_no_lead),
    cmocka_unit_test(any_request_comes_back_and_every_cut_is_short),
    cmocka_unit_test(any_response_comes_back),
    cmocka_unit_test(huge_lengths_are_too_big_or_short),
    cmocka_unit_test(frames_are_the_same_however_the_bytes_come),
    cmocka_unit_test(an_item_one_above_the_limit_is_refused_by_its_length),
    cmocka_unit_test(fields_come_back_and_the_first_error_stays),
    cmocka_unit_test(bad_values_are_errors_that_stay),
    cmocka_unit_test(any_gossip_comes_back_and_every_cut_is_short),
    cmocka_unit_test(counts_that_cannot_be_are_short),
    cmocka_unit_test(what_is_accepted_writes_the_same_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
