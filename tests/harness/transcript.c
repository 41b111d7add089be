/* tests/harness/transcript.c */
#include "harness/transcript.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define LINES      20000
#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME  UINT64_C(0x100000001b3)
#define LONG_FIXED 6 /* first byte, version, length of the destination's connection ID */

struct line {
  const char *event; /* NULL: a datagram */
  union {
    struct transcript_dgram dgram;
    struct {
      uint64_t now_ns, value;
      int64_t id;
      int host;
    } ev;
  };
};

struct transcript {
  uint64_t count, digest;
  struct line lines[LINES];
};

struct transcript *transcript_new(void) {
  struct transcript *t = calloc(1, sizeof(*t));
  t->digest = FNV_OFFSET;
  return t;
}

void transcript_free(struct transcript *t) { free(t); }
uint64_t transcript_digest(const struct transcript *t) { return t->digest; }
uint64_t transcript_lines(const struct transcript *t) { return t->count; }

/* FNV-1a over words instead of bytes, folded so that the high bits count too. */
static void mix(struct transcript *t, uint64_t v) {
  uint64_t h = (t->digest ^ v) * FNV_PRIME;
  t->digest = h ^ h >> 29;
}

static void mix_bytes(struct transcript *t, const uint8_t *p, size_t n) {
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t v;
    memcpy(&v, p, 8);
    mix(t, v);
  }
  for (; n > 0; p++, n--)
    mix(t, *p);
}

static struct line *next_line(struct transcript *t) { return &t->lines[t->count++ % LINES]; }

void transcript_sent(struct transcript *t, const struct transcript_dgram *d, const uint8_t *bytes) {
  *next_line(t) = (struct line){ .dgram = *d };
  mix(t, d->now_ns);
  mix(t, d->at_ns);
  mix(t, (uint64_t)(uint8_t)d->verdict << 32 | (uint32_t)(d->from << 8) | (uint8_t)d->to);
  mix(t, d->len);
  mix_bytes(t, bytes, d->len);
}

void transcript_event(struct transcript *t, uint64_t now_ns, int host, const char *what, int64_t id,
                      uint64_t value) {
  *next_line(t) = (struct line){ .event = what, .ev = { now_ns, value, id, host } };
  mix(t, now_ns);
  mix(t, (uint64_t)host);
  mix_bytes(t, (const uint8_t *)what, strlen(what));
  mix(t, (uint64_t)id);
  mix(t, value);
}

/* ---- packet types, RFC 9000 section 17 ---- */

static bool varint(const uint8_t *b, size_t len, size_t *at, uint64_t *out) {
  if (*at >= len)
    return false;
  size_t n = (size_t)1 << (b[*at] >> 6);
  if (len - *at < n)
    return false;
  uint64_t v = b[(*at)++] & 0x3f;
  while (--n > 0)
    v = v << 8 | b[(*at)++];
  *out = v;
  return true;
}

/* Moves *at behind the packet with a long header that starts there. False: it is the last, or no packet. */
static bool skip_long(const uint8_t *b, size_t len, size_t *at, bool initial) {
  size_t p = *at + LONG_FIXED - 1;
  uint64_t n;
  for (int i = 0; i < 2; i++) { /* two connection IDs */
    if (p >= len)
      return false;
    p += 1u + b[p];
  }
  if (initial) {
    if (!varint(b, len, &p, &n) || n > len - p)
      return false;
    p += n; /* token */
  }
  if (!varint(b, len, &p, &n) || n > len - p)
    return false;
  *at = p + n;
  return true;
}

static char kind_of(const uint8_t *b, size_t left) {
  static const char types[] = "I0HR";
  static const uint8_t no_version[4];
  if ((b[0] & 0x80) == 0)
    return (b[0] & 0x40) != 0 ? '1' : '?';
  if (left < LONG_FIXED)
    return '?';
  return memcmp(b + 1, no_version, 4) == 0 ? 'V' : types[b[0] >> 4 & 3];
}

void transcript_kinds(const uint8_t *bytes, size_t len, char out[TRANSCRIPT_KINDS]) {
  size_t at = 0, n = 0;
  memset(out, 0, TRANSCRIPT_KINDS);
  while (at < len && n + 1 < TRANSCRIPT_KINDS) {
    char k = kind_of(bytes + at, len - at);
    out[n++] = k;
    if ((k != 'I' && k != 'H' && k != '0') || !skip_long(bytes, len, &at, k == 'I'))
      break;
  }
}

/* ---- for people ---- */

static void print_line(const struct line *l, FILE *f) {
  const struct transcript_dgram *d = &l->dgram;
  if (l->event != NULL) {
    fprintf(f, "%12.6f ms  host %d  %s %" PRId64 " %" PRIu64 "\n", (double)l->ev.now_ns / 1e6,
            l->ev.host, l->event, l->ev.id, l->ev.value);
    return;
  }
  fprintf(f, "%12.6f ms  %d -> ", (double)d->now_ns / 1e6, d->from);
  if (d->to >= 0)
    fprintf(f, "%d", d->to);
  else
    fputc('?', f);
  fprintf(f, "  %c %5u B  %-4s", d->verdict, d->len, d->kinds);
  if (d->at_ns != 0)
    fprintf(f, "  arrives %.6f", (double)d->at_ns / 1e6);
  fputc('\n', f);
}

void transcript_print(const struct transcript *t, FILE *f) {
  uint64_t from = t->count > LINES ? t->count - LINES : 0;
  fputs("> on time, x lost, q queue full, b blackhole, u nobody there, ~ flipped, < cut, + grown, "
        "l late, 2 twice\n",
        f);
  if (from > 0)
    fprintf(f, "(%" PRIu64 " lines before)\n", from);
  for (uint64_t i = from; i < t->count; i++)
    print_line(&t->lines[i % LINES], f);
}
