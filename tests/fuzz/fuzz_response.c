/* tests/fuzz/fuzz_response.c: an answer from anyone.
 *
 *   1 octet     which limit of the message's length
 *   the rest    the bytes
 *
 * Checked: what is accepted lies in the bytes and within the limit, its error is UTF-8, and writing it gives the same bytes; each prefix needs
 * more, never more than the message; one byte below its length as a limit refuses it; an error leaves the outputs alone. */
#include "fuzz.h"

#include "util/err.h"
#include "wire/bincode.h"
#include "wire/rpc.h"

static const size_t limits[] = { 24, 64, 1024, 65536, (size_t)1 << 30, SIZE_MAX };

struct result {
  int err;
  struct rn_wire_response r;
  size_t used, need;
};

static struct result get(const uint8_t *buf, size_t len, size_t max) {
  struct result out, marked;
  memset(&marked, 0xa5, sizeof(marked));
  out = marked;
  out.err = rn_wire_response_get(buf, len, max, &out.r, &out.used, &out.need);
  if (out.err != RN_OK)
    CHECK(memcmp(&out.r, &marked.r, sizeof(out.r)) == 0 && out.used == marked.used);
  if (out.err != RN_ERR_SHORT)
    CHECK(out.need == marked.need);
  else
    CHECK(out.need > len && out.need <= max);
  return out;
}

static void put_option(struct rn_bin_writer *w, const void *data, size_t bytes) {
  rn_bin_put_u8(w, data != NULL);
  if (data != NULL)
    rn_bin_put_str(w, data, bytes);
}

/* By the general writer, and by the two heads that answers are made with. */
static void check_written(const uint8_t *buf, const struct result *g) {
  const struct rn_wire_response *r = &g->r;
  uint8_t *out = malloc(g->used);
  CHECK(out != NULL);
  struct rn_bin_writer w = { .buf = out, .cap = g->used };
  rn_bin_put_u64(&w, r->id);
  put_option(&w, r->result, r->result_bytes);
  put_option(&w, r->error, r->error_bytes);
  CHECK(w.err == RN_OK && w.len == g->used && memcmp(out, buf, g->used) == 0);
  free(out);
  uint8_t result_head[RN_WIRE_RESULT_HEAD_BYTES], error_head[RN_WIRE_ERROR_HEAD_BYTES];
  rn_wire_result_head(result_head, r->id, r->result_bytes);
  rn_wire_error_head(error_head, r->id, r->error_bytes);
  if (r->result != NULL)
    CHECK(memcmp(result_head, buf, sizeof(result_head)) == 0);
  if (r->result == NULL && r->error != NULL)
    CHECK(memcmp(error_head, buf, sizeof(error_head)) == 0);
}

static void check_accepted(const uint8_t *buf, size_t len, size_t max) {
  struct result g = get(buf, len, max);
  CHECK(g.used <= len && g.used <= max);
  CHECK(g.r.result == NULL ? g.r.result_bytes == 0
                           : fuzz_inside(buf, g.used, g.r.result, g.r.result_bytes));
  CHECK(g.r.error == NULL ? g.r.error_bytes == 0
                          : fuzz_inside(buf, g.used, g.r.error, g.r.error_bytes));
  CHECK(fuzz_utf8_ok((const uint8_t *)g.r.error, g.r.error_bytes));
  check_written(buf, &g);
  for (size_t cut = 0; cut < g.used; cut = fuzz_next_cut(cut, g.used)) {
    uint8_t *exact = fuzz_exact(buf, cut);
    struct result part = get(exact, cut, max);
    CHECK(part.err == RN_ERR_SHORT && part.need <= g.used);
    fuzz_free(exact, cut);
  }
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

/* Why bytes are refused: a tag that is none, or text that is no UTF-8; and as soon as that is there. */
static void check_refused(const uint8_t *buf, size_t len, size_t max) {
  size_t cut = 0;
  while (get(buf, cut, max).err == RN_ERR_SHORT)
    cut = get(buf, cut, max).need;
  CHECK(cut <= len && get(buf, cut, max).err == RN_ERR_PROTO);
  if (buf[8] > 1) {
    CHECK(cut == 9);
    return;
  }
  size_t at = buf[8] == 1 ? 17 + (size_t)rn_wire_u64(buf + 9) : 9; /* the second tag */
  if (buf[at] > 1)
    CHECK(cut == at + 1);
  else
    CHECK(cut > at + 9 && !fuzz_utf8_ok(buf + at + 9, cut - at - 9));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len == 0)
    return 0;
  size_t max = limits[data[0] % (sizeof(limits) / sizeof(limits[0]))], n = len - 1;
  uint8_t *buf = fuzz_exact(data + 1, n);
  struct result g = get(buf, n, max);
  if (g.err == RN_OK)
    check_accepted(buf, n, max);
  else if (g.err == RN_ERR_SHORT)
    check_short(buf, n, max, g.need);
  else if (g.err == RN_ERR_PROTO)
    check_refused(buf, n, max);
  else
    CHECK(g.err == RN_ERR_TOOBIG && get(buf, 0, max).err == RN_ERR_SHORT);
  fuzz_free(buf, n);
  return 0;
}
