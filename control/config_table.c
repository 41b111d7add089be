/* control/config_table.c */
#include "control/config_table.h"

#include <assert.h>
#include <string.h>

#include "control/config.h"

#define RN_KIB(n)  (UINT64_C(n) << 10)
#define RN_MIB(n)  (UINT64_C(n) << 20)
#define RN_GIB(n)  (UINT64_C(n) << 30)
#define RN_USEC(n) (UINT64_C(n) * 1000)
#define RN_MSEC(n) (UINT64_C(n) * 1000000)
#define RN_SEC(n)  (UINT64_C(n) * 1000000000)

const struct rn_config_section rn_config_sections[RN_CONFIG_SECTION_COUNT] = {
/* clang-format off */
#define RN_SECTION(section, what)                                                                  \
  { .name = #section, .help = what, .offset = offsetof(struct rn_config, section),                 \
    .bytes = sizeof(struct rn_config_##section) },
#define RN_ITEM(section, what)                                                                     \
  { .name = #section, .help = what, .item = true, .bytes = sizeof(struct rn_config_##section) },
#include "schema/config.def"
  /* clang-format on */
};

/* Where a field lies and how large it is, or one element of it. */
#define FIELD(s, field)                                                                            \
  .section = RN_CONFIG_SECTION_##s, .offset = offsetof(struct rn_config_##s, field),               \
  .bytes = sizeof(((struct rn_config_##s *)0)->field)
#define LIST(s, field, n)                                                                          \
  .section = RN_CONFIG_SECTION_##s, .offset = offsetof(struct rn_config_##s, field),               \
  .bytes = sizeof(((struct rn_config_##s *)0)->field[0]), .count_max = (n),                        \
  .count_offset = offsetof(struct rn_config_##s, field##_count)
#define KEY(key, t, what)    .name = #key, .type = RN_CONFIG_##t, .help = what
#define NUMBER(w, d, lo, hi) .word = w, .dflt = (d), .min = (lo), .max = (hi)

const struct rn_config_key rn_config_keys[RN_CONFIG_KEY_COUNT] = {
/* clang-format off */
#define RN_TEXT(s, key, n, needed, dflt_text, help) { KEY(key, TEXT, help), FIELD(s, key), .need = needed, .text = dflt_text, .word = "" },
#define RN_NAME(s, key, n, needed, dflt_text, help) { KEY(key, NAME, help), FIELD(s, key), .need = needed, .text = dflt_text, .word = "" },
#define RN_BOOL(s, key, d, help) { KEY(key, BOOL, help), FIELD(s, key), .dflt = (d), .word = "" },
#define RN_UINT(s, key, w, d, lo, hi, help) { KEY(key, UINT, help), FIELD(s, key), NUMBER(w, d, lo, hi) },
#define RN_SIZE(s, key, w, d, lo, hi, help) { KEY(key, SIZE, help), FIELD(s, key), NUMBER(w, d, lo, hi) },
#define RN_RATE(s, key, w, d, lo, hi, help) { KEY(key, RATE, help), FIELD(s, key), NUMBER(w, d, lo, hi) },
#define RN_DURATION(s, key, w, d, lo, hi, help) { KEY(key, DURATION, help), FIELD(s, key##_ns), NUMBER(w, d, lo, hi) },
#define RN_ENUM(s, key, set, ctype, d, help) { KEY(key, ENUM, help), FIELD(s, key), .of = RN_CONFIG_SET_##set, .dflt = (d), .word = "" },
#define RN_ADDR(s, key, family, help) { KEY(key, ADDR, help), FIELD(s, key), .of = (family), .word = "none" },
#define RN_ENDPOINT(s, key, help) { KEY(key, ENDPOINT, help), FIELD(s, key), .word = "" },
#define RN_TAGS(s, key, n, tag, value, help) { KEY(key, TAGS, help), FIELD(s, key), .of = (n), .word = tag, .text = value },
#define RN_UINT_LIST(s, key, n, lo, hi, help) { KEY(key, UINT, help), LIST(s, key, n), NUMBER("", 0, lo, hi) },
#define RN_ENUM_LIST(s, key, n, set, ctype, help) { KEY(key, ENUM, help), LIST(s, key, n), .of = RN_CONFIG_SET_##set, .word = "" },
#define RN_PREFIX_LIST(s, key, n, help) { KEY(key, PREFIX, help), LIST(s, key, n), .word = "" },
#define RN_ENDPOINT_LIST(s, key, n, help) { KEY(key, ENDPOINT, help), LIST(s, key, n), .word = "" },
#define RN_FINGERPRINT_LIST(s, key, n, help) { KEY(key, FINGERPRINT, help), LIST(s, key, n), .word = "" },
#define RN_ITEM_LIST(s, key, n, item, help) { KEY(key, ITEM, help), LIST(s, key, n), .of = RN_CONFIG_SECTION_##item, .word = "" },
#include "schema/config.def"
  /* clang-format on */
};

const struct rn_config_choice rn_config_choices[] = {
#define RN_CHOICE(s, w, v, what)                                                                   \
  { .set = RN_CONFIG_SET_##s, .value = (v), .word = w, .help = what },
#include "schema/choices.def"
};
const size_t rn_config_choice_count = sizeof(rn_config_choices) / sizeof(rn_config_choices[0]);

/* Enums are read and written as uint32_t. */
#define RN_ENUM(s, key, set, ctype, d, help)                                                       \
  static_assert(sizeof(ctype) == sizeof(uint32_t), "enum of " #s "." #key);
#include "schema/config.def"

const struct rn_config_section *rn_config_section_find(const char *name, size_t len) {
  for (size_t i = 0; i < RN_CONFIG_SECTION_COUNT; i++) {
    const struct rn_config_section *s = &rn_config_sections[i];
    if (!s->item && strlen(s->name) == len && memcmp(s->name, name, len) == 0)
      return s;
  }
  return NULL;
}

const struct rn_config_key *rn_config_key_find(enum rn_config_section_id section, const char *name,
                                               size_t len) {
  for (size_t i = 0; i < RN_CONFIG_KEY_COUNT; i++) {
    const struct rn_config_key *k = &rn_config_keys[i];
    if (k->section == section && strlen(k->name) == len && memcmp(k->name, name, len) == 0)
      return k;
  }
  return NULL;
}

const char *rn_config_choice_word(enum rn_config_set set, uint32_t value) {
  for (size_t i = 0; i < rn_config_choice_count; i++)
    if (rn_config_choices[i].set == set && rn_config_choices[i].value == value)
      return rn_config_choices[i].word;
  return NULL;
}

static void put_default(const struct rn_config_key *k, uint8_t *field) {
  uint32_t small = (uint32_t)k->dflt;
  switch (k->type) {
  case RN_CONFIG_TEXT:
  case RN_CONFIG_NAME:
    if (k->need == OPTIONAL)
      memcpy(field, k->text, strlen(k->text) + 1);
    break;
  case RN_CONFIG_BOOL:
    *(bool *)field = k->dflt != 0;
    break;
  case RN_CONFIG_UINT:
  case RN_CONFIG_ENUM:
    memcpy(field, &small, sizeof(small));
    break;
  case RN_CONFIG_SIZE:
  case RN_CONFIG_RATE:
  case RN_CONFIG_DURATION:
    memcpy(field, &k->dflt, sizeof(k->dflt));
    break;
  case RN_CONFIG_TAGS:
    if (k->word[0] != 0)
      (void)rn_tags_set((struct rn_tags *)field, (struct rn_bin_str){ k->word, strlen(k->word) },
                        (struct rn_bin_str){ k->text, strlen(k->text) });
    break;
  case RN_CONFIG_ADDR: /* not set */
  case RN_CONFIG_ENDPOINT:
  case RN_CONFIG_FINGERPRINT:
  case RN_CONFIG_PREFIX:
  case RN_CONFIG_ITEM:
    break;
  }
}

void rn_config_section_defaults(enum rn_config_section_id section, void *out) {
  memset(out, 0, rn_config_sections[section].bytes);
  for (size_t i = 0; i < RN_CONFIG_KEY_COUNT; i++)
    if (rn_config_keys[i].section == section && rn_config_keys[i].count_max == 0)
      put_default(&rn_config_keys[i], (uint8_t *)out + rn_config_keys[i].offset);
}
