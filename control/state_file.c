/* control/state_file.c */
#include "control/state_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "util/err.h"
#include "util/hash.h"

#define HEAD      "{\"version\":1,\"members\":[\n"
#define TAIL      "\n],\"sum\":\"%016" PRIx64 "\"}\n"
#define TAIL_LEN  (sizeof("\n],\"sum\":\"0123456789abcdef\"}\n") - 1)
#define SUMMED    2u /* bytes of TAIL that the sum is over, too */
#define GROW_FROM 4096u

static const char *const state_words[RN_SWIM_STATE_COUNT] = { [RN_SWIM_ALIVE] = "alive",
                                                              [RN_SWIM_SUSPECT] = "suspect",
                                                              [RN_SWIM_FAILED] = "failed",
                                                              [RN_SWIM_LEFT] = "left" };

static uint64_t sum_of(const char *text, size_t len) {
  static const uint8_t key[16];
  return rn_siphash(key, text, len);
}

/* ---- writing ---- */

struct out {
  char *text;
  size_t len, cap;
};

/* Leaves room for the tail and a NUL. False: memory is out. */
static bool append(struct out *o, const char *text, size_t len) {
  size_t need = o->len + len + TAIL_LEN + 1, cap = o->cap != 0 ? o->cap : GROW_FROM;
  while (cap < need)
    cap *= 2;
  char *grown = cap == o->cap ? o->text : realloc(o->text, cap);
  if (grown == NULL)
    return false;
  memcpy(grown + o->len, text, len);
  *o = (struct out){ grown, o->len + len, cap };
  return true;
}

static bool add_tags(yyjson_mut_doc *d, yyjson_mut_val *obj, const struct rn_tags *tags) {
  struct rn_bin_str key, value;
  bool ok = obj != NULL;
  for (uint16_t pos = 0; ok && rn_tags_next(tags, &pos, &key, &value);)
    ok = yyjson_mut_obj_add(obj, yyjson_mut_strn(d, key.p, key.len),
                            yyjson_mut_strn(d, value.p, value.len));
  return ok;
}

/* free() what it returns; NULL: memory is out. */
static char *member_text(const struct rn_member *who, size_t *len) {
  char addr[RN_ADDR_TEXT_BYTES], *text = NULL;
  yyjson_mut_doc *d = yyjson_mut_doc_new(NULL);
  yyjson_mut_val *o = d != NULL ? yyjson_mut_obj(d) : NULL;
  if (o != NULL && yyjson_mut_obj_add_strn(d, o, "id", who->id, who->id_len) &&
      yyjson_mut_obj_add_str(d, o, "addr", rn_addr_text(&who->addr, addr)) &&
      yyjson_mut_obj_add_uint(d, o, "incarnation", who->incarnation) &&
      yyjson_mut_obj_add_str(d, o, "state", state_words[who->state]) &&
      add_tags(d, yyjson_mut_obj_add_obj(d, o, "tags"), &who->tags))
    text = yyjson_mut_val_write(o, YYJSON_WRITE_NOFLAG, len);
  yyjson_mut_doc_free(d);
  return text;
}

/* Those that are there, or those that are gone. */
static bool write_members(struct out *o, const struct rn_members *m, bool gone,
                          uint32_t *left_out) {
  for (uint32_t i = 0; i < rn_members_count(m); i++) {
    const struct rn_member *who = rn_members_at(m, i);
    if (who == rn_members_self(m) || (who->state >= RN_SWIM_FAILED) != gone)
      continue;
    if (*left_out > 0) { /* the first that had no place is the last that is looked at */
      ++*left_out;
      continue;
    }
    size_t len;
    char *text = member_text(who, &len);
    bool ok = text != NULL, first = o->len == strlen(HEAD);
    if (ok && o->len + 2 + len + TAIL_LEN > RN_STATE_BYTES_MAX)
      ++*left_out;
    else if (ok)
      ok = (first || append(o, ",\n", 2)) && append(o, text, len);
    free(text);
    if (!ok)
      return false;
  }
  return true;
}

int rn_state_write(const struct rn_members *m, char **out, size_t *len, uint32_t *left_out) {
  struct out o = { 0 };
  uint32_t without = 0;
  if (!append(&o, HEAD, strlen(HEAD)) || !write_members(&o, m, false, &without) ||
      !write_members(&o, m, true, &without)) {
    free(o.text);
    return RN_ERR_SYS;
  }
  memcpy(o.text + o.len, "\n]", SUMMED);
  uint64_t sum = sum_of(o.text, o.len + SUMMED);
  o.len += (size_t)snprintf(o.text + o.len, TAIL_LEN + 1, TAIL, sum);
  *out = o.text;
  *len = o.len;
  *left_out = without;
  return RN_OK;
}

/* ---- reading ---- */

static bool text_of(yyjson_val *v, size_t min, size_t max, struct rn_bin_str *out) {
  if (!yyjson_is_str(v) || yyjson_get_len(v) < min || yyjson_get_len(v) > max)
    return false;
  *out = (struct rn_bin_str){ yyjson_get_str(v), yyjson_get_len(v) };
  return true;
}

static bool addr_of(yyjson_val *v, struct rn_addr *out) {
  struct rn_bin_str s;
  return text_of(v, 1, RN_ADDR_TEXT_BYTES - 1, &s) && strlen(s.p) == s.len &&
         rn_addr_parse(s.p, out) == RN_OK && out->port != 0;
}

static bool state_of(yyjson_val *v, enum rn_swim_state *out) {
  for (int i = 0; i < RN_SWIM_STATE_COUNT; i++) {
    if (yyjson_equals_str(v, state_words[i])) {
      *out = (enum rn_swim_state)i;
      return true;
    }
  }
  return false;
}

/* As they stand in a message. */
struct wire_tags {
  uint8_t buf[RN_TAGS_BYTES * 9]; /* 16 rather than 2 for each, and its text */
};

static bool tags_of(yyjson_val *v, struct wire_tags *wire, struct rn_swim_tags *out) {
  struct rn_tags tags = { 0 };
  struct rn_bin_writer w = { .buf = wire->buf, .cap = sizeof(wire->buf) };
  struct rn_bin_str key, value;
  yyjson_val *k, *val;
  size_t i, n;
  if (!yyjson_is_obj(v))
    return false;
  yyjson_obj_foreach(v, i, n, k, val) {
    if (!text_of(k, 0, RN_TAG_MAX, &key) || !text_of(val, 0, RN_TAG_MAX, &value) ||
        rn_tags_set(&tags, key, value) != RN_OK)
      return false;
  }
  rn_tags_put(&w, &tags);
  *out = (struct rn_swim_tags){ .buf = wire->buf, .len = w.len, .left = tags.count };
  return w.err == RN_OK && tags.count == n; /* none of them twice */
}

/* NULL, or which part of it is wrong. */
static const char *member_of(yyjson_val *v, struct wire_tags *wire, struct rn_swim_update *out) {
  yyjson_val *incarnation = yyjson_obj_get(v, "incarnation");
  struct rn_swim_update u = { 0 };
  if (!yyjson_is_obj(v) || yyjson_obj_size(v) != 5)
    return "form";
  if (!text_of(yyjson_obj_get(v, "id"), 1, RN_MEMBER_ID_MAX, &u.node_id))
    return "id";
  if (!addr_of(yyjson_obj_get(v, "addr"), &u.addr))
    return "addr";
  if (!yyjson_is_uint(incarnation) || yyjson_get_uint(incarnation) > RN_INCARNATION_MAX)
    return "incarnation";
  if (!state_of(yyjson_obj_get(v, "state"), &u.state))
    return "state";
  if (!tags_of(yyjson_obj_get(v, "tags"), wire, &u.tags))
    return "tags";
  u.incarnation = yyjson_get_uint(incarnation);
  *out = u;
  return NULL;
}

/* Whether the text ends in the sum of what stands before. */
static bool sum_ok(const char *text, size_t len) {
  char want[TAIL_LEN + 1];
  if (len < TAIL_LEN)
    return false;
  size_t before = len - TAIL_LEN;
  snprintf(want, sizeof(want), TAIL, sum_of(text, before + SUMMED));
  return memcmp(text + before, want, TAIL_LEN) == 0;
}

/* Each member to heard, which may be NULL: then they are only looked at. */
static int each(yyjson_val *members, void (*heard)(void *app, const struct rn_swim_update *u),
                void *app, char *why, size_t why_bytes) {
  struct wire_tags wire;
  struct rn_swim_update u;
  yyjson_val *v;
  size_t i, n;
  yyjson_arr_foreach(members, i, n, v) {
    const char *wrong = member_of(v, &wire, &u);
    if (wrong != NULL) {
      snprintf(why, why_bytes, "member %zu has a wrong %s", i, wrong);
      return RN_ERR_CONFIG;
    }
    if (heard != NULL)
      heard(app, &u);
  }
  return RN_OK;
}

static int read_root(yyjson_val *root, void (*heard)(void *app, const struct rn_swim_update *u),
                     void *app, char *why, size_t why_bytes) {
  yyjson_val *version = yyjson_obj_get(root, "version"), *members = yyjson_obj_get(root, "members");
  if (!yyjson_is_uint(version) || yyjson_get_uint(version) != 1) {
    snprintf(why, why_bytes, "it is of another version");
    return RN_ERR_CONFIG;
  }
  if (!yyjson_is_arr(members)) {
    snprintf(why, why_bytes, "there are no members in it");
    return RN_ERR_CONFIG;
  }
  int err = each(members, NULL, NULL, why, why_bytes);
  return err == RN_OK ? each(members, heard, app, why, why_bytes) : err;
}

int rn_state_read(const char *text, size_t len,
                  void (*heard)(void *app, const struct rn_swim_update *u), void *app, char *why,
                  size_t why_bytes) {
  yyjson_read_err e;
  if (len > RN_STATE_BYTES_MAX) {
    snprintf(why, why_bytes, "it is larger than %u bytes", RN_STATE_BYTES_MAX);
    return RN_ERR_CONFIG;
  }
  if (!sum_ok(text, len)) {
    snprintf(why, why_bytes, "it is damaged, or was changed: its sum is wrong");
    return RN_ERR_CONFIG;
  }
  /* Without YYJSON_READ_INSITU the text is only read. */
  yyjson_doc *d = yyjson_read_opts((char *)(uintptr_t)text, len, YYJSON_READ_NOFLAG, NULL, &e);
  if (d == NULL) {
    snprintf(why, why_bytes, "%s at byte %zu", e.msg, e.pos);
    return e.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? RN_ERR_SYS : RN_ERR_CONFIG;
  }
  int err = read_root(yyjson_doc_get_root(d), heard, app, why, why_bytes);
  yyjson_doc_free(d);
  return err;
}
