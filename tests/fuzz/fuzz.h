/* tests/fuzz/fuzz.h: what the targets share. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Also where asserts are compiled out. */
#define CHECK(cond)                                                                                \
  do {                                                                                             \
    if (!(cond)) {                                                                                 \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                   \
      abort();                                                                                     \
    }                                                                                              \
  } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* A copy in a block of exactly len bytes, so that the sanitizer sees a read behind its end. To be freed. */
static inline uint8_t *fuzz_exact(const uint8_t *data, size_t len) {
  uint8_t *p = malloc(len > 0 ? len : 1);
  CHECK(p != NULL);
  if (len > 0)
    memcpy(p, data, len);
  return len > 0 ? p : p + 1;
}

static inline void fuzz_free(uint8_t *p, size_t len) { free(len > 0 ? p : p - 1); }

/* Whether [p, p + n) lies in [buf, buf + len). */
static inline bool fuzz_inside(const uint8_t *buf, size_t len, const void *p, size_t n) {
  const uint8_t *at = p;
  return at >= buf && at <= buf + len && n <= (size_t)(buf + len - at);
}

/* What is left of an input. Behind its end there are zeros. */
struct fuzz_in {
  const uint8_t *at, *end;
};

static inline bool fuzz_more(const struct fuzz_in *in) { return in->at < in->end; }

static inline uint8_t fuzz_u8(struct fuzz_in *in) { return in->at < in->end ? *in->at++ : 0; }

/* n octets as a little-endian number. */
static inline uint64_t fuzz_le(struct fuzz_in *in, unsigned int n) {
  uint64_t v = 0;
  for (unsigned int i = 0; i < n; i++)
    v |= (uint64_t)fuzz_u8(in) << 8 * i;
  return v;
}

/* The next n octets, fewer at the end of the input: *got of them. They stay where they are. */
static inline const uint8_t *fuzz_bytes(struct fuzz_in *in, size_t n, size_t *got) {
  const uint8_t *p = in->at;
  *got = n < (size_t)(in->end - in->at) ? n : (size_t)(in->end - in->at);
  in->at += *got;
  return p;
}

/* For the sanitizer to look at. */
static inline void fuzz_read_all(const void *p, size_t n) {
  volatile uint8_t sum = 0;
  for (size_t i = 0; i < n; i++)
    sum = (uint8_t)(sum + ((const uint8_t *)p)[i]);
}

/* Prefixes of n bytes worth a look: all of the first ones and the last, some of those between. */
static inline size_t fuzz_next_cut(size_t cut, size_t n) {
  return cut < 64 || cut + 8 >= n ? cut + 1 : cut + (n - cut) / 8;
}

/* Well-formed UTF-8, told by the code points (RFC 3629 section 3), not by the table of section 4 that lib/wire follows. */
static inline bool fuzz_utf8_ok(const uint8_t *p, size_t len) {
  static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
  for (size_t at = 0; at < len;) {
    uint32_t c = p[at++];
    size_t more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    if ((c >= 0x80 && c < 0xc0) || c >= 0xf8 || more > len - at)
      return false;
    c &= more == 0 ? 0x7fu : 0x3fu >> more;
    for (size_t i = 0; i < more; i++, at++) {
      if (p[at] >> 6 != 2)
        return false;
      c = c << 6 | (p[at] & 0x3f);
    }
    if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
      return false;
  }
  return true;
}
