/* tests/fuzz/fuzz_request.c: a unary request from anyone.
 *
 *   1 octet     which limit of the message's length
 *   the rest    the bytes
 *
 * Checked: what is accepted lies in the bytes and within the limit, is UTF-8 where it must be, and gives the same bytes when written;
 * whatever cuts it is told how much is missing, never more than the message; one byte below its length as a limit refuses it; an error leaves
 * the outputs alone. */
#include "fuzz.h"

#include "util/err.h"
#include "wire/rpc.h"

static const size_t limits[] = { 24, 64, 1024, 65536, (size_t)1 << 30, SIZE_MAX };

/* One call, with the outputs marked before. */
struct result {
  int err;
  struct rn_wire_request r;
  size_t used, need;
};

static struct result get(const uint8_t *buf, size_t len, size_t max) {
  struct result out, marked;
  memset(&marked, 0xa5, sizeof(marked));
  out = marked;
  out.err = rn_wire_request_get(buf, len, max, &out.r, &out.used, &out.need);
  if (out.err != RN_OK)
    CHECK(memcmp(&out.r, &marked.r, sizeof(out.r)) == 0 && out.used == marked.used);
  if (out.err != RN_ERR_SHORT)
    CHECK(out.need == marked.need);
  else
    CHECK(out.need > len && out.need <= max);
  return out;
}

static void check_written(const uint8_t *buf, const struct result *g) {
  size_t head = RN_WIRE_REQUEST_HEAD_BYTES(g->r.method_bytes);
  uint8_t *out = malloc(head);
  CHECK(out != NULL && g->used == head + g->r.params_bytes);
  rn_wire_request_head(out, g->r.id, g->r.method, g->r.method_bytes, g->r.params_bytes);
  CHECK(memcmp(out, buf, head) == 0 && g->r.params == buf + head);
  free(out);
}

/* Each prefix needs more, and once the last length is there exactly the rest. */
static void check_cuts(const uint8_t *buf, const struct result *g, size_t max) {
  size_t head = RN_WIRE_REQUEST_HEAD_BYTES(g->r.method_bytes);
  for (size_t cut = 0; cut < g->used; cut = fuzz_next_cut(cut, g->used)) {
    uint8_t *exact = fuzz_exact(buf, cut);
    struct result part = get(exact, cut, max);
    CHECK(part.err == RN_ERR_SHORT);
    CHECK(cut >= head ? part.need == g->used : part.need <= head);
    fuzz_free(exact, cut);
  }
}

static void check_accepted(const uint8_t *buf, size_t len, size_t max) {
  struct result g = get(buf, len, max);
  CHECK(g.used <= len && g.used <= max);
  CHECK(fuzz_inside(buf, g.used, g.r.method, g.r.method_bytes));
  CHECK(fuzz_inside(buf, g.used, g.r.params, g.r.params_bytes));
  CHECK(fuzz_utf8_ok((const uint8_t *)g.r.method, g.r.method_bytes));
  check_written(buf, &g);
  check_cuts(buf, &g, max);
  struct result alone = get(buf, g.used, g.used), above = get(buf, len, g.used - 1);
  CHECK(alone.err == RN_OK && memcmp(&alone.r, &g.r, sizeof(g.r)) == 0);
  CHECK(above.err == RN_ERR_TOOBIG);
}

/* With as many bytes as it asked for, it gets further. */
static void check_short(const uint8_t *buf, size_t len, size_t max, size_t need) {
  if (need - len > 65536)
    return;
  uint8_t *more = calloc(1, need);
  CHECK(more != NULL);
  memcpy(more, buf, len);
  struct result g = get(more, need, max);
  CHECK(g.err != RN_ERR_SHORT || g.need > need);
  free(more);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len == 0)
    return 0;
  size_t max = limits[data[0] % (sizeof(limits) / sizeof(limits[0]))], n = len - 1;
  uint8_t *buf = fuzz_exact(data + 1, n);
  struct result g = get(buf, n, max);
  if (g.err == RN_OK) {
    check_accepted(buf, n, max);
  } else if (g.err == RN_ERR_SHORT) {
    check_short(buf, n, max, g.need);
  } else if (g.err == RN_ERR_PROTO) { /* the method, whatever follows */
    size_t method_bytes = (size_t)rn_wire_u64(buf + 8);
    CHECK(n >= 16 && method_bytes <= n - 16 && !fuzz_utf8_ok(buf + 16, method_bytes));
    CHECK(get(buf, 16 + method_bytes, max).err == RN_ERR_PROTO);
  } else {
    CHECK(g.err == RN_ERR_TOOBIG);
    CHECK(get(buf, 0, max).err == RN_ERR_SHORT); /* not before a length was there */
  }
  fuzz_free(buf, n);
  return 0;
}
