/* control/config_read.c: YAML into struct rn_config, one event after the other.
 *
 * Events rather than a document: keys before a mistake in the YAML itself are still checked, anchors and aliases cannot
 * multiply, and memory does not depend on what the file says. The recursion is that of the schema (section, list, item); whatever else
 * is nested is skipped by counting. */
#include <stdlib.h>
#include <string.h>

#include <libfyaml.h>

#include "control/config_load.h"
#include "control/config_value.h"

#define FOUND_BYTES 72 /* of a value that is quoted in an error */
#define PATH_BYTES  96

struct reader {
  struct rn_config_load *l;
  struct fy_parser *fyp;
  struct fy_event *ev; /* the current one; NULL: the YAML ended or is broken */
  bool formless;       /* no mapping of sections at all */
};

/* ---- events ---- */

static void next(struct reader *r) {
  fy_parser_event_free(r->fyp, r->ev);
  r->ev = fy_parser_parse(r->fyp);
}

static bool at(const struct reader *r, enum fy_event_type type) {
  return r->ev != NULL && r->ev->type == type;
}

static struct rn_config_place place(const struct reader *r) {
  const struct fy_mark *m = fy_event_start_mark(r->ev);
  if (m == NULL || m->line < 0 || m->column < 0)
    return (struct rn_config_place){ 1, 1 };
  /* libfyaml's mark is behind a quote and behind the asterisk of an alias. */
  enum fy_scalar_style style =
      at(r, FYET_SCALAR) ? fy_token_scalar_style(r->ev->scalar.value) : FYSS_PLAIN;
  bool behind = at(r, FYET_ALIAS) || style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED;
  uint32_t back = behind && m->column > 0 ? 1 : 0;
  return (struct rn_config_place){ (uint32_t)m->line + 1, (uint32_t)m->column + 1 - back };
}

/* Moves past the value that begins here, whatever it is. */
static void skip(struct reader *r) {
  size_t depth = 0;
  do {
    if (at(r, FYET_MAPPING_START) || at(r, FYET_SEQUENCE_START))
      depth++;
    else if (at(r, FYET_MAPPING_END) || at(r, FYET_SEQUENCE_END))
      depth--;
    if (r->ev != NULL)
      next(r);
  } while (depth > 0 && r->ev != NULL);
}

/* A scalar's text; stays valid until next(). */
struct scalar {
  const char *text;
  size_t len;
  bool quoted;
  bool null; /* nothing, ~ or null, without quotes */
};

/* YAML 1.2, 10.3.2 */
static bool is_null(const char *text, size_t len) {
  static const char *const words[] = { "", "~", "null", "Null", "NULL" };
  for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
    if (strlen(words[i]) == len && memcmp(words[i], text, len) == 0)
      return true;
  return false;
}

static struct scalar scalar(const struct reader *r) {
  struct scalar s = { .text = "" };
  struct fy_token *t = r->ev->scalar.value;
  if (t == NULL)
    return (struct scalar){ .text = "", .null = true };
  const char *text = fy_token_get_text(t, &s.len);
  if (text != NULL)
    s.text = text;
  else
    s.len = 0;
  s.quoted = fy_token_scalar_style(t) != FYSS_PLAIN;
  s.null = !s.quoted && is_null(s.text, s.len);
  return s;
}

/* ---- what was found, in words ---- */

static const char *found(const struct reader *r, char out[FOUND_BYTES]) {
  if (at(r, FYET_MAPPING_START) || at(r, FYET_SEQUENCE_START) || at(r, FYET_ALIAS)) {
    snprintf(out, FOUND_BYTES, "%s",
             at(r, FYET_MAPPING_START)    ? "a mapping"
             : at(r, FYET_SEQUENCE_START) ? "a list"
                                          : "an alias");
    return out;
  }
  struct scalar s = scalar(r);
  bool whole = s.len < FOUND_BYTES - 8;
  if (s.null)
    snprintf(out, FOUND_BYTES, "nothing");
  else
    snprintf(out, FOUND_BYTES, "\"%.*s%s\"", whole ? (int)s.len : FOUND_BYTES - 8, s.text,
             whole ? "" : "...");
  return out;
}

static void report_value(const struct reader *r, enum rn_config_error_kind kind, const char *path,
                         const struct rn_config_key *k, bool one, const char *what) {
  char allowed[RN_CONFIG_ALLOWED_BYTES], text[FOUND_BYTES];
  rn_config_report(r->l->errs, kind, place(r), path, "%s; found %s; allowed: %s", what,
                   found(r, text), rn_config_allowed(k, one, allowed));
}

/* Aliases and tags are more than a configuration needs. True: reported. */
static bool refuse_extras(const struct reader *r, const char *path) {
  bool tagged = (at(r, FYET_SCALAR) && r->ev->scalar.tag != NULL) ||
                (at(r, FYET_MAPPING_START) && r->ev->mapping_start.tag != NULL) ||
                (at(r, FYET_SEQUENCE_START) && r->ev->sequence_start.tag != NULL);
  if (!tagged && !at(r, FYET_ALIAS))
    return false;
  rn_config_report(r->l->errs, RN_CONFIG_SYNTAX, place(r), path,
                   "%s have no place in a configuration", tagged ? "tags" : "aliases");
  return true;
}

/* ---- suggestions ---- */

#define WORD_MAX 48

/* Insertions, deletions and replacements that make b of a. */
static size_t distance(const char *a, size_t a_len, const char *b) {
  size_t row[WORD_MAX + 1], b_len = strlen(b);
  if (a_len > WORD_MAX || b_len > WORD_MAX)
    return SIZE_MAX;
  for (size_t j = 0; j <= b_len; j++)
    row[j] = j;
  for (size_t i = 1; i <= a_len; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b_len; j++) {
      size_t best = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      if (row[j] + 1 < best)
        best = row[j] + 1;
      if (row[j - 1] + 1 < best)
        best = row[j - 1] + 1;
      row[j] = best;
    }
  }
  return row[b_len];
}

struct guess {
  const char *section; /* NULL: none */
  const char *key;     /* NULL: the section itself */
  size_t distance;
};

static void consider(struct guess *g, const char *name, size_t len, const char *word,
                     const char *section, const char *key, size_t handicap) {
  size_t d = distance(name, len, word);
  if (d > len / 3 || d + handicap >= g->distance)
    return;
  *g = (struct guess){ section, key, d + handicap };
}

/* The closest name; here: keys of this section win over the same distance elsewhere. -1: a section is wanted. */
static struct guess closest(const char *name, size_t len, int here) {
  struct guess g = { .distance = SIZE_MAX };
  for (size_t i = 0; i < RN_CONFIG_KEY_COUNT; i++) {
    const struct rn_config_key *k = &rn_config_keys[i];
    bool same = (int)k->section == here;
    if (same || !rn_config_sections[k->section].item)
      consider(&g, name, len, k->name, rn_config_sections[k->section].name, k->name, !same);
  }
  for (size_t i = 0; i < RN_CONFIG_SECTION_COUNT; i++)
    if (!rn_config_sections[i].item)
      consider(&g, name, len, rn_config_sections[i].name, rn_config_sections[i].name, NULL,
               here >= 0);
  return g;
}

static void report_unknown(const struct reader *r, const char *path, const char *name, size_t len,
                           int here) {
  struct guess g = closest(name, len, here);
  const char *what = here < 0 ? "no such section" : "no such key";
  bool same = g.key != NULL && here >= 0 && strcmp(g.section, rn_config_sections[here].name) == 0;
  if (g.section == NULL)
    rn_config_report(r->l->errs, RN_CONFIG_UNKNOWN, place(r), path, "%s", what);
  else
    rn_config_report(r->l->errs, RN_CONFIG_UNKNOWN, place(r), path, "%s; did you mean %s%s%s?",
                     what, same ? "" : g.section, same || g.key == NULL ? "" : ".",
                     g.key != NULL ? g.key : "");
}

/* ---- keys ---- */

/* Reads a key: its text is put behind prefix into path. False: it is no text, or the YAML is broken; key and value have been skipped. */
static bool read_key(struct reader *r, const char *prefix, char path[PATH_BYTES],
                     size_t *name_len) {
  if (!at(r, FYET_SCALAR) || r->ev->scalar.tag != NULL) {
    if (r->ev != NULL)
      rn_config_report(r->l->errs, RN_CONFIG_SYNTAX, place(r), prefix,
                       "a key has to be a plain text");
    skip(r);
    skip(r);
    return false;
  }
  struct scalar s = scalar(r);
  *name_len = s.len;
  snprintf(path, PATH_BYTES, "%s%s%.*s", prefix, prefix[0] != 0 ? "." : "",
           s.len < PATH_BYTES ? (int)s.len : PATH_BYTES, s.text);
  return true;
}

static void read_mapping(struct reader *r, enum rn_config_section_id section, const char *path,
                         uint8_t *base, struct rn_config_given *given);

/* One scalar into out. False: reported. */
static bool read_one(struct reader *r, const struct rn_config_key *k, const char *path, bool one,
                     void *out) {
  bool ok = false;
  if (refuse_extras(r, path)) {
    ok = false;
  } else if (!at(r, FYET_SCALAR) || scalar(r).null) {
    report_value(r, RN_CONFIG_TYPE, path, k, one, "wrong type");
  } else {
    struct scalar s = scalar(r);
    const char *wrong = rn_config_value_parse(k, s.text, s.len, s.quoted, out);
    if (wrong != NULL)
      report_value(r, RN_CONFIG_VALUE, path, k, one, wrong);
    ok = wrong == NULL;
  }
  skip(r);
  return ok;
}

/* What stands where a list or a mapping belongs. True: reported, and skipped. */
static bool refuse_other(struct reader *r, const struct rn_config_key *k, const char *path,
                         bool one, enum fy_event_type wanted) {
  bool refused = refuse_extras(r, path);
  if (!refused && at(r, wanted))
    return false;
  if (!refused)
    report_value(r, RN_CONFIG_TYPE, path, k, one, "wrong type");
  skip(r);
  return true;
}

/* One tag and its value into *tags. False: reported. */
static bool read_tag(struct reader *r, const struct rn_config_key *k, const char *path,
                     struct rn_tags *tags) {
  static const struct rn_config_key tag = { .bytes = RN_TAG_MAX + 1, .need = REQUIRED },
                                    value = { .bytes = RN_TAG_MAX + 1 };
  char name[RN_TAG_MAX + 1] = "", text[RN_TAG_MAX + 1] = "", tag_path[PATH_BYTES];
  struct rn_bin_str old;
  size_t len;
  if (!read_key(r, path, tag_path, &len))
    return false;
  const char *wrong = rn_config_value_parse(&tag, scalar(r).text, len, true, name);
  struct rn_bin_str key = { name, strlen(name) };
  bool again = wrong == NULL && rn_tags_get(tags, key, &old);
  if (wrong != NULL)
    report_value(r, RN_CONFIG_VALUE, tag_path, &tag, true, wrong);
  else if (again)
    rn_config_report(r->l->errs, RN_CONFIG_DUPLICATE, place(r), tag_path, "given twice");
  else if (tags->count == k->of)
    report_value(r, RN_CONFIG_VALUE, tag_path, k, false, "too many");
  bool ok = wrong == NULL && !again && tags->count < k->of;
  struct rn_config_place where = place(r);
  next(r);
  if (!ok) {
    skip(r);
    return false;
  }
  if (r->ev == NULL || !read_one(r, &value, tag_path, true, text))
    return false;
  ok = rn_tags_set(tags, key, (struct rn_bin_str){ text, strlen(text) }) == RN_OK;
  if (!ok)
    rn_config_report(r->l->errs, RN_CONFIG_VALUE, where, tag_path,
                     "no room; allowed: %u bytes of tags and values together, 2 for each tag",
                     RN_TAGS_BYTES);
  return ok;
}

/* All of them take the place of the default's. */
static bool read_tags(struct reader *r, const struct rn_config_key *k, const char *path,
                      struct rn_tags *out) {
  if (refuse_other(r, k, path, false, FYET_MAPPING_START))
    return false;
  struct rn_tags tags = { 0 };
  bool ok = true;
  for (next(r); r->ev != NULL && !at(r, FYET_MAPPING_END);)
    ok &= read_tag(r, k, path, &tags);
  if (r->ev != NULL)
    next(r);
  *out = tags;
  return ok;
}

/* One element of a list of items: a mapping, whose required keys are checked here. */
static bool read_item(struct reader *r, const struct rn_config_key *k, const char *path, void *out,
                      struct rn_config_place *name_at) {
  struct rn_config_given given[RN_CONFIG_KEY_COUNT] = { 0 };
  struct rn_config_place start = place(r);
  rn_config_section_defaults(k->of, out);
  if (refuse_other(r, k, path, true, FYET_MAPPING_START))
    return false;
  read_mapping(r, k->of, path, out, given);
  bool ok = r->ev != NULL;
  for (size_t i = 0; i < RN_CONFIG_KEY_COUNT && ok; i++) {
    const struct rn_config_key *f = &rn_config_keys[i];
    if (f->section != k->of)
      continue;
    if (f->need == REQUIRED && given[i].seen == RN_CONFIG_ABSENT)
      rn_config_report(r->l->errs, RN_CONFIG_MISSING, start, path, "%s is required", f->name);
    if (f->need == REQUIRED)
      *name_at = given[i].at;
    ok =
        given[i].seen != RN_CONFIG_BAD && (f->need != REQUIRED || given[i].seen == RN_CONFIG_GIVEN);
  }
  return ok;
}

static bool read_list(struct reader *r, const struct rn_config_key *k, const char *path,
                      uint8_t *base) {
  if (refuse_other(r, k, path, false, FYET_SEQUENCE_START))
    return false;
  uint32_t count = 0;
  bool ok = true;
  for (next(r); r->ev != NULL && !at(r, FYET_SEQUENCE_END);) {
    char element[PATH_BYTES + 16];
    snprintf(element, sizeof(element), "%s[%u]", path, count);
    void *out = base + k->offset + (size_t)count * k->bytes;
    if (count == k->count_max) {
      report_value(r, RN_CONFIG_VALUE, element, k, false, "too many");
      while (r->ev != NULL && !at(r, FYET_SEQUENCE_END))
        skip(r);
      ok = false;
      break;
    }
    ok &= k->type == RN_CONFIG_ITEM ? read_item(r, k, element, out, &r->l->item_at[k->of][count])
                                    : read_one(r, k, element, true, out);
    count++;
  }
  if (r->ev != NULL)
    next(r);
  memcpy(base + k->count_offset, &count, sizeof(count));
  return ok;
}

/* Keys and values up to the mapping's end, of a section or an item whose structure is base. */
static void read_mapping(struct reader *r, enum rn_config_section_id section, const char *path,
                         uint8_t *base, struct rn_config_given *given) {
  for (next(r); r->ev != NULL && !at(r, FYET_MAPPING_END);) {
    char key_path[PATH_BYTES];
    size_t len;
    if (!read_key(r, path, key_path, &len))
      continue;
    const struct rn_config_key *k = rn_config_key_find(section, scalar(r).text, len);
    struct rn_config_given *g = k == NULL ? NULL : &given[k - rn_config_keys];
    if (k == NULL)
      report_unknown(r, key_path, scalar(r).text, len, (int)section);
    else if (g->seen != RN_CONFIG_ABSENT)
      rn_config_report(r->l->errs, RN_CONFIG_DUPLICATE, place(r), key_path,
                       "given twice; first in line %u", g->at.line);
    bool wanted = k != NULL && g->seen == RN_CONFIG_ABSENT;
    next(r);
    if (r->ev == NULL)
      return;
    if (!wanted) {
      skip(r);
      continue;
    }
    g->at = place(r);
    bool ok = k->count_max > 0 ? read_list(r, k, key_path, base)
              : k->type == RN_CONFIG_TAGS
                  ? read_tags(r, k, key_path, (struct rn_tags *)(void *)(base + k->offset))
                  : read_one(r, k, key_path, false, base + k->offset);
    g->seen = ok ? RN_CONFIG_GIVEN : RN_CONFIG_BAD;
  }
  if (r->ev != NULL)
    next(r);
}

static void read_section(struct reader *r, const struct rn_config_section *s) {
  char text[FOUND_BYTES];
  if (at(r, FYET_SCALAR) && scalar(r).null) /* all its keys are comments */
    next(r);
  else if (refuse_extras(r, s->name))
    skip(r);
  else if (at(r, FYET_MAPPING_START))
    read_mapping(r, (enum rn_config_section_id)(s - rn_config_sections), s->name,
                 (uint8_t *)&r->l->cfg + s->offset, r->l->given);
  else {
    rn_config_report(r->l->errs, RN_CONFIG_TYPE, place(r), s->name,
                     "wrong type; found %s; allowed: a mapping", found(r, text));
    skip(r);
  }
}

static void read_sections(struct reader *r) {
  for (next(r); r->ev != NULL && !at(r, FYET_MAPPING_END);) {
    char path[PATH_BYTES];
    size_t len;
    if (!read_key(r, "", path, &len))
      continue;
    const struct rn_config_section *s = rn_config_section_find(scalar(r).text, len);
    struct rn_config_place *first = s == NULL ? NULL : &r->l->section_at[s - rn_config_sections];
    bool wanted = s != NULL && first->line == 0;
    if (s == NULL)
      report_unknown(r, path, scalar(r).text, len, -1);
    else if (!wanted)
      rn_config_report(r->l->errs, RN_CONFIG_DUPLICATE, place(r), path,
                       "given twice; first in line %u", first->line);
    else
      *first = place(r);
    next(r);
    if (r->ev == NULL)
      return;
    if (wanted)
      read_section(r, s);
    else
      skip(r);
  }
  if (r->ev != NULL)
    next(r);
}

static void read_stream(struct reader *r) {
  char text[FOUND_BYTES];
  next(r);
  if (at(r, FYET_STREAM_START))
    next(r);
  if (!at(r, FYET_DOCUMENT_START))
    return; /* empty: required keys are missing */
  next(r);
  if (at(r, FYET_MAPPING_START) && !refuse_extras(r, ""))
    read_sections(r);
  else if (at(r, FYET_SCALAR) && scalar(r).null)
    next(r);
  else if (r->ev != NULL) {
    rn_config_report(r->l->errs, RN_CONFIG_TYPE, place(r), "",
                     "wrong type; found %s; allowed: a mapping of sections", found(r, text));
    skip(r);
    r->formless = true;
  }
  if (at(r, FYET_DOCUMENT_END))
    next(r);
  if (at(r, FYET_DOCUMENT_START))
    rn_config_report(r->l->errs, RN_CONFIG_SYNTAX, place(r), "", "a second document begins here");
}

/* What libfyaml found wrong with the YAML itself. */
static void report_syntax(struct rn_config_load *l, struct fy_diag *diag) {
  struct fy_diag_error *e;
  void *it = NULL;
  size_t n = 0;
  while (diag != NULL && (e = fy_diag_errors_iterate(diag, &it)) != NULL) {
    struct rn_config_place p = { e->line > 0 ? (uint32_t)e->line : 1,
                                 e->column > 0 ? (uint32_t)e->column : 1 };
    rn_config_report(l->errs, RN_CONFIG_SYNTAX, p, "", "not YAML: %s",
                     e->msg != NULL ? e->msg : "unreadable");
    n++;
  }
  if (n == 0)
    rn_config_report(l->errs, RN_CONFIG_SYNTAX, (struct rn_config_place){ 0 }, "", "not YAML");
}

/* Neither parser nor diag need be there: memory may be out, or libfyaml may refuse the bytes at once. */
static bool read_with(struct rn_config_load *l, struct fy_parser *fyp, struct fy_diag *diag,
                      const char *text, size_t len) {
  struct reader r = { .l = l, .fyp = fyp };
  bool ok = false;
  if (diag != NULL && fyp != NULL && fy_parser_set_string(fyp, text, len) == 0) {
    read_stream(&r);
    ok = !fy_parser_get_stream_error(fyp);
    fy_parser_event_free(fyp, r.ev);
  }
  if (!ok)
    report_syntax(l, diag);
  return ok && !r.formless;
}

bool rn_config_read(struct rn_config_load *l, const char *text, size_t len) {
  struct fy_diag_cfg dc;
  fy_diag_cfg_default(&dc);
  dc.fp = NULL;
  dc.colorize = false;
  struct fy_diag *diag = fy_diag_create(&dc);
  if (diag != NULL)
    fy_diag_set_collect_errors(diag, true);
  const struct fy_parse_cfg pc = { .flags =
                                       FYPCF_QUIET | FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE,
                                   .diag = diag };
  struct fy_parser *fyp = fy_parser_create(&pc);
  bool ok = read_with(l, fyp, diag, text, len);
  fy_parser_destroy(fyp);
  fy_diag_destroy(diag);
  return ok;
}
