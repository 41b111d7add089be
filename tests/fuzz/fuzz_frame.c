/* tests/fuzz/fuzz_frame.c: the frames of a stream, at once and in pieces.
 *
 *   1 octet     bytes in each piece; 0: 256
 *   1 octet     which limit of an item
 *   the rest    the bytes
 *
 * Checked: an item is what its length says and within the limit; the pieces give the same items, the same end and the same need as all bytes
 * at once, although nothing is parsed before what was needed is there; an error leaves the outputs alone. */
#include "fuzz.h"

#include "util/err.h"
#include "wire/rpc.h"

#define FRAMES_MAX 4096u

static const size_t limits[] = { 1, 16, 300, 65536, (size_t)1 << 30, SIZE_MAX };

/* Where each item lay, and what stopped the reading: the end marker (RN_OK), RN_ERR_SHORT or RN_ERR_TOOBIG. */
struct seen {
  size_t count, end, need;
  int err;
  struct {
    size_t at, bytes;
  } items[FRAMES_MAX];
};

/* Not by lib/wire's own reading of numbers. */
static size_t length_at(const uint8_t *p) {
  return p[0] + 256u * p[1] + 65536u * p[2] + ((size_t)p[3] << 24);
}

static int get(const uint8_t *buf, size_t len, size_t max, size_t *item_bytes, size_t *used,
               size_t *need) {
  const uint8_t *const mark = (const uint8_t *)"";
  const uint8_t *item = mark;
  *item_bytes = *used = *need = 12345;
  int err = rn_wire_frame_get(buf, len, max, &item, item_bytes, used, need);
  if (err != RN_OK)
    CHECK(item == mark && *item_bytes == 12345 && *used == 12345);
  if (err == RN_OK) {
    CHECK(len >= 4 && *item_bytes == length_at(buf) && *item_bytes <= max);
    CHECK(item == buf + 4 && *used == 4 + *item_bytes && *used <= len);
  } else if (err == RN_ERR_SHORT) {
    CHECK(*need > len && *need == (len < 4 ? 4 : 4 + (size_t)length_at(buf)));
    CHECK(len < 4 || length_at(buf) <= max);
  } else {
    CHECK(err == RN_ERR_TOOBIG && len >= 4 && length_at(buf) > max);
  }
  return err;
}

/* Reads on from s->end until something stops it. */
static void read_frames(struct seen *s, const uint8_t *buf, size_t len, size_t max) {
  size_t item_bytes, used, need;
  for (;;) {
    s->err = get(buf + s->end, len - s->end, max, &item_bytes, &used, &need);
    s->need = s->err == RN_ERR_SHORT ? need : 0;
    if (s->err != RN_OK || s->count == FRAMES_MAX)
      return;
    s->items[s->count].at = s->end + 4;
    s->items[s->count].bytes = item_bytes;
    s->count++;
    s->end += used;
    if (item_bytes == 0)
      return;
  }
}

static void in_pieces(struct seen *s, const uint8_t *data, size_t len, size_t piece, size_t max) {
  *s = (struct seen){ .err = RN_ERR_SHORT };
  for (size_t have = 0; s->err == RN_ERR_SHORT; have += piece) {
    have = have < len ? have : len;
    if (have - s->end >= s->need || have == len) {
      uint8_t *exact = fuzz_exact(data, have);
      read_frames(s, exact, have, max);
      fuzz_free(exact, have);
    }
    if (have == len)
      return;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static struct seen whole, pieces;
  if (len < 2)
    return 0;
  size_t piece = data[0] != 0 ? data[0] : 256;
  size_t max = limits[data[1] % (sizeof(limits) / sizeof(limits[0]))];
  in_pieces(&whole, data + 2, len - 2, len, max);
  in_pieces(&pieces, data + 2, len - 2, piece, max);
  CHECK(whole.count == pieces.count && whole.end == pieces.end);
  CHECK(whole.err == pieces.err && whole.need == pieces.need);
  CHECK(memcmp(whole.items, pieces.items, whole.count * sizeof(whole.items[0])) == 0);
  return 0;
}
