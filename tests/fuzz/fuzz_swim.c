/* tests/fuzz/fuzz_swim.c: gossip from anyone. The input is one message, and bytes behind it.
 *
 * Checked: what is accepted gives the updates and tags it announces, all inside the bytes, all text UTF-8 and within its limit; written again
 * it gives the same bytes, which decode to the same; a writer with one byte less room says so and stays in its buffer; every prefix is too short;
 * an error leaves the outputs alone. The same for one update by itself. */
#include "fuzz.h"

#include "wire/swim.h"

struct decoded {
  int err;
  struct rn_swim_msg m;
  size_t used;
};

static struct decoded get(const uint8_t *buf, size_t len) {
  struct decoded d, marked;
  memset(&marked, 0xa5, sizeof(marked));
  d = marked;
  d.err = rn_swim_get(buf, len, &d.m, &d.used);
  if (d.err != RN_OK)
    CHECK(memcmp(&d.m, &marked.m, sizeof(d.m)) == 0 && d.used == marked.used);
  CHECK(d.err == RN_OK || d.err == RN_ERR_SHORT || d.err == RN_ERR_TOOBIG || d.err == RN_ERR_PROTO);
  return d;
}

static void check_text(const uint8_t *buf, size_t len, struct rn_bin_str s) {
  CHECK(fuzz_inside(buf, len, s.p, s.len) && s.len <= RN_SWIM_STR_MAX);
  CHECK(fuzz_utf8_ok((const uint8_t *)s.p, s.len));
}

static void put_update(struct rn_bin_writer *w, const struct rn_swim_update *u) {
  struct rn_swim_tags tags = u->tags;
  struct rn_bin_str key, value;
  rn_swim_put_update(w, u->node_id, &u->addr, u->incarnation, u->state, tags.left);
  while (rn_swim_next_tag(&tags, &key, &value))
    rn_swim_put_tag(w, key, value);
}

static void put(struct rn_bin_writer *w, const struct rn_swim_msg *m) {
  struct rn_swim_updates updates = m->updates;
  struct rn_swim_update u;
  rn_swim_put_head(w, m->type, m->from, &m->addr, m->to, updates.left);
  while (rn_swim_next_update(&updates, &u))
    put_update(w, &u);
  rn_swim_put_seq(w, m->seq);
}

static void check_update(const uint8_t *buf, size_t len, const struct rn_swim_update *u) {
  struct rn_swim_tags tags = u->tags;
  struct rn_bin_str key, value;
  check_text(buf, len, u->node_id);
  CHECK((u->addr.family == 4 || u->addr.family == 6) && u->state < RN_SWIM_STATE_COUNT);
  for (uint64_t n = u->tags.left; n > 0; n--) {
    CHECK(rn_swim_next_tag(&tags, &key, &value));
    check_text(buf, len, key);
    check_text(buf, len, value);
  }
  CHECK(!rn_swim_next_tag(&tags, &key, &value) && tags.len == 0);
}

static void check_fields(const uint8_t *buf, size_t len, const struct rn_swim_msg *m) {
  struct rn_swim_updates updates = m->updates;
  struct rn_swim_update u;
  CHECK(m->type < RN_SWIM_TYPE_COUNT);
  check_text(buf, len, m->from);
  if (m->type != RN_SWIM_PING)
    check_text(buf, len, m->to);
  if (m->type != RN_SWIM_ACK)
    CHECK(m->addr.family == 4 || m->addr.family == 6);
  for (uint64_t n = m->updates.left; n > 0; n--) {
    CHECK(rn_swim_next_update(&updates, &u));
    check_update(buf, len, &u);
  }
  CHECK(!rn_swim_next_update(&updates, &u) && updates.len == 0);
}

static bool same_text(struct rn_bin_str a, struct rn_bin_str b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static void check_written(const uint8_t *buf, const struct decoded *d) {
  uint8_t *out = malloc(d->used);
  CHECK(out != NULL);
  struct rn_bin_writer w = { .buf = out, .cap = d->used };
  put(&w, &d->m);
  CHECK(w.err == RN_OK && w.len == d->used && memcmp(out, buf, d->used) == 0);
  struct decoded again = get(out, w.len);
  CHECK(again.err == RN_OK && again.used == d->used && again.m.type == d->m.type);
  CHECK(same_text(again.m.from, d->m.from) && same_text(again.m.to, d->m.to));
  CHECK(memcmp(&again.m.addr, &d->m.addr, sizeof(d->m.addr)) == 0 && again.m.seq == d->m.seq);
  CHECK(again.m.updates.left == d->m.updates.left && again.m.updates.len == d->m.updates.len);
  free(out);
  out = fuzz_exact(buf, d->used - 1);
  w = (struct rn_bin_writer){ .buf = out, .cap = d->used - 1 };
  put(&w, &d->m);
  CHECK(w.err == RN_ERR_LIMIT && w.len <= w.cap);
  fuzz_free(out, d->used - 1);
}

static void check_cuts(const uint8_t *buf, size_t used) {
  for (size_t cut = 0; cut < used; cut = fuzz_next_cut(cut, used)) {
    uint8_t *exact = fuzz_exact(buf, cut);
    CHECK(get(exact, cut).err == RN_ERR_SHORT);
    fuzz_free(exact, cut);
  }
}

/* As one update. */
static void check_alone(const uint8_t *buf, size_t len) {
  struct rn_swim_update u;
  size_t used;
  if (rn_swim_update_get(buf, len, &u, &used) != RN_OK)
    return;
  CHECK(used <= len);
  check_update(buf, used, &u);
  uint8_t *out = malloc(used);
  CHECK(out != NULL);
  struct rn_bin_writer w = { .buf = out, .cap = used };
  put_update(&w, &u);
  CHECK(w.err == RN_OK && w.len == used && memcmp(out, buf, used) == 0);
  free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  uint8_t *buf = fuzz_exact(data, len);
  struct decoded d = get(buf, len);
  if (d.err == RN_OK) {
    CHECK(d.used <= len);
    check_fields(buf, d.used, &d.m);
    check_written(buf, &d);
    check_cuts(buf, d.used);
  }
  check_alone(buf, len);
  fuzz_free(buf, len);
  return 0;
}
