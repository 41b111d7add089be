/* cluster/tags.c */
#include "cluster/tags.h"

#include <string.h>

static struct rn_bin_str text_at(const struct rn_tags *t, size_t at, size_t len) {
  return (struct rn_bin_str){ (const char *)t->buf + at, len };
}

static int compare(struct rn_bin_str a, struct rn_bin_str b) {
  size_t n = a.len < b.len ? a.len : b.len;
  int c = n > 0 ? memcmp(a.p, b.p, n) : 0;
  return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

bool rn_tags_next(const struct rn_tags *t, uint16_t *pos, struct rn_bin_str *key,
                  struct rn_bin_str *value) {
  if (*pos >= t->bytes)
    return false;
  const uint8_t *p = t->buf + *pos;
  *key = text_at(t, *pos + 2u, p[0]);
  *value = text_at(t, *pos + 2u + p[0], p[1]);
  *pos = (uint16_t)(*pos + 2u + p[0] + p[1]);
  return true;
}

/* Where key is, or where it would be; *bytes: what its tag takes, 0 when it is not there. */
static uint16_t find(const struct rn_tags *t, struct rn_bin_str key, uint16_t *bytes) {
  struct rn_bin_str k, v;
  *bytes = 0;
  for (uint16_t at = 0, next = 0; rn_tags_next(t, &next, &k, &v); at = next) {
    int c = compare(k, key);
    if (c >= 0) {
      *bytes = c == 0 ? (uint16_t)(next - at) : 0;
      return at;
    }
  }
  return t->bytes;
}

/* Makes the n bytes at `at` be m. */
static void resize(struct rn_tags *t, uint16_t at, uint16_t n, uint16_t m) {
  memmove(t->buf + at + m, t->buf + at + n, (size_t)(t->bytes - at - n));
  t->bytes = (uint16_t)(t->bytes - n + m);
}

int rn_tags_set(struct rn_tags *t, struct rn_bin_str key, struct rn_bin_str value) {
  if (key.len > RN_TAG_MAX || value.len > RN_TAG_MAX)
    return RN_ERR_LIMIT;
  uint16_t had, at = find(t, key, &had), need = (uint16_t)(2 + key.len + value.len);
  if ((unsigned int)t->bytes - had + need > RN_TAGS_BYTES)
    return RN_ERR_LIMIT;
  /* The old value may be where the new one comes from. */
  char text[RN_TAG_MAX + 1];
  if (value.len > 0)
    memcpy(text, value.p, value.len);
  resize(t, at, had, need);
  uint8_t *p = t->buf + at;
  p[0] = (uint8_t)key.len;
  p[1] = (uint8_t)value.len;
  if (key.len > 0 && had == 0)
    memcpy(p + 2, key.p, key.len);
  if (value.len > 0)
    memcpy(p + 2 + key.len, text, value.len);
  t->count = (uint16_t)(t->count + (had == 0));
  return RN_OK;
}

bool rn_tags_unset(struct rn_tags *t, struct rn_bin_str key) {
  uint16_t had, at = find(t, key, &had);
  if (had == 0)
    return false;
  resize(t, at, had, 0);
  t->count--;
  return true;
}

bool rn_tags_get(const struct rn_tags *t, struct rn_bin_str key, struct rn_bin_str *value) {
  struct rn_bin_str k;
  uint16_t had, at = find(t, key, &had);
  return had != 0 && rn_tags_next(t, &at, &k, value);
}

bool rn_tags_match(const struct rn_tags *t, const struct rn_tags *wanted) {
  struct rn_bin_str k, want, got;
  for (uint16_t pos = 0; rn_tags_next(wanted, &pos, &k, &want);)
    if (!rn_tags_get(t, k, &got) || compare(got, want) != 0)
      return false;
  return true;
}

bool rn_tags_eq(const struct rn_tags *a, const struct rn_tags *b) {
  return a->bytes == b->bytes && memcmp(a->buf, b->buf, a->bytes) == 0;
}

uint64_t rn_tags_of_wire(struct rn_tags *t, struct rn_swim_tags from) {
  struct rn_bin_str k, v;
  uint64_t left_out = 0;
  t->bytes = t->count = 0;
  while (rn_swim_next_tag(&from, &k, &v))
    left_out += rn_tags_set(t, k, v) != RN_OK;
  return left_out;
}

void rn_tags_put(struct rn_bin_writer *w, const struct rn_tags *t) {
  struct rn_bin_str k, v;
  for (uint16_t pos = 0; rn_tags_next(t, &pos, &k, &v);)
    rn_swim_put_tag(w, k, v);
}

int rn_tags_check(const struct rn_tags *t) {
  struct rn_bin_str k, v, before = { NULL, 0 };
  uint16_t pos = 0, n = 0;
  if (t->bytes > RN_TAGS_BYTES)
    return RN_ERR_STATE;
  for (; rn_tags_next(t, &pos, &k, &v); n++) {
    if (pos > t->bytes || (n > 0 && compare(before, k) >= 0))
      return RN_ERR_STATE;
    before = k;
  }
  return n == t->count ? RN_OK : RN_ERR_STATE;
}
