/* control/config_table.h: lib/schema/config.def as a table. The parser, the checks and the generator of the documents walk it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* RN_CONFIG_SECTION_quic and so on; list elements have one, too. */
enum rn_config_section_id {
#define RN_SECTION(section, help) RN_CONFIG_SECTION_##section,
#define RN_ITEM(section, help)    RN_CONFIG_SECTION_##section,
#include "schema/config.def"
  RN_CONFIG_SECTION_COUNT
};

/* RN_CONFIG_quic_retry and so on. */
enum rn_config_key_id {
#define RN_TEXT(section, key, ...)             RN_CONFIG_##section##_##key,
#define RN_NAME(section, key, ...)             RN_CONFIG_##section##_##key,
#define RN_BOOL(section, key, ...)             RN_CONFIG_##section##_##key,
#define RN_UINT(section, key, ...)             RN_CONFIG_##section##_##key,
#define RN_SIZE(section, key, ...)             RN_CONFIG_##section##_##key,
#define RN_RATE(section, key, ...)             RN_CONFIG_##section##_##key,
#define RN_DURATION(section, key, ...)         RN_CONFIG_##section##_##key,
#define RN_ENUM(section, key, ...)             RN_CONFIG_##section##_##key,
#define RN_ADDR(section, key, ...)             RN_CONFIG_##section##_##key,
#define RN_UINT_LIST(section, key, ...)        RN_CONFIG_##section##_##key,
#define RN_ENUM_LIST(section, key, ...)        RN_CONFIG_##section##_##key,
#define RN_PREFIX_LIST(section, key, ...)      RN_CONFIG_##section##_##key,
#define RN_ENDPOINT(section, key, ...)         RN_CONFIG_##section##_##key,
#define RN_TAGS(section, key, ...)             RN_CONFIG_##section##_##key,
#define RN_ENDPOINT_LIST(section, key, ...)    RN_CONFIG_##section##_##key,
#define RN_FINGERPRINT_LIST(section, key, ...) RN_CONFIG_##section##_##key,
#define RN_ITEM_LIST(section, key, ...)        RN_CONFIG_##section##_##key,
#include "schema/config.def"
  RN_CONFIG_KEY_COUNT
};

/* What one value is. A list has the type of its elements and count_max > 0. */
enum rn_config_type {
  RN_CONFIG_TEXT,
  RN_CONFIG_NAME,
  RN_CONFIG_BOOL,
  RN_CONFIG_UINT,
  RN_CONFIG_SIZE,
  RN_CONFIG_RATE,
  RN_CONFIG_DURATION,
  RN_CONFIG_ENUM,
  RN_CONFIG_ADDR,
  RN_CONFIG_PREFIX,
  RN_CONFIG_ENDPOINT,
  RN_CONFIG_FINGERPRINT,
  RN_CONFIG_TAGS,
  RN_CONFIG_ITEM,
};

enum rn_config_need {
  OPTIONAL,
  REQUIRED,
  EXAMPLE, /* optional, and shown in the sample with a value */
};

struct rn_config_key {
  const char *name;
  const char *help;
  const char *word; /* stands for 0; "": none; of tags: the default's name */
  const char *text; /* of a text or name: default or example; of tags: the default's value */
  enum rn_config_section_id section;
  enum rn_config_type type;
  enum rn_config_need need;
  uint32_t of;           /* an enum's set, an address's family, an item's section, how many tags */
  uint32_t bytes;        /* of one value */
  uint32_t offset;       /* of the value, or the list's first, in the section's structure */
  uint32_t count_max;    /* 0: not a list */
  uint32_t count_offset; /* of a list's count */
  uint64_t dflt, min, max;
};

struct rn_config_section {
  const char *name;
  const char *help;
  bool item;       /* a list's element, not a section of its own */
  uint32_t offset; /* in struct rn_config */
  uint32_t bytes;
};

enum rn_config_set {
  RN_CONFIG_SET_LOG_LEVEL,
  RN_CONFIG_SET_DRIVER,
  RN_CONFIG_SET_MODE,
  RN_CONFIG_SET_BPF,
  RN_CONFIG_SET_IDLE,
  RN_CONFIG_SET_CIPHER,
  RN_CONFIG_SET_GROUP,
  RN_CONFIG_SET_CC,
  RN_CONFIG_SET_RETRY,
  RN_CONFIG_SET_STRATEGY,
};

struct rn_config_choice {
  enum rn_config_set set;
  uint32_t value;
  const char *word;
  const char *help; /* "": the word says it */
};

extern const struct rn_config_section rn_config_sections[RN_CONFIG_SECTION_COUNT];
extern const struct rn_config_key
    rn_config_keys[RN_CONFIG_KEY_COUNT]; /* by section, in the order of the .def file */
extern const struct rn_config_choice rn_config_choices[];
extern const size_t rn_config_choice_count;

/* By name[0..len); NULL: no such. Items are no sections. */
const struct rn_config_section *rn_config_section_find(const char *name, size_t len);
const struct rn_config_key *rn_config_key_find(enum rn_config_section_id section, const char *name,
                                               size_t len);

/* The word of a value of this set; NULL: no such. */
const char *rn_config_choice_word(enum rn_config_set set, uint32_t value);

/* Writes the defaults of all keys of a section into its structure. */
void rn_config_section_defaults(enum rn_config_section_id section, void *out);
