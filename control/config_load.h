/* control/config_load.h: what the parts of a load share: the YAML reader, the checks between keys, the list of errors. */
#pragma once
#include "control/config.h"
#include "control/config_table.h"

#define RN_CONFIG_ITEMS_MAX 64u /* elements of a list of items */

/* A place in the file, both from 1; line 0: none. */
struct rn_config_place {
  uint32_t line, column;
};

enum rn_config_seen {
  RN_CONFIG_ABSENT, /* its default holds */
  RN_CONFIG_GIVEN,
  RN_CONFIG_BAD, /* given, and already reported: its default holds, which is not to be checked against others */
};

/* Where a key was given, per key of a section. */
struct rn_config_given {
  enum rn_config_seen seen;
  struct rn_config_place at;
};

struct rn_config_load {
  struct rn_config cfg;
  struct rn_config_errors *errs;
  struct rn_config_place section_at[RN_CONFIG_SECTION_COUNT];
  struct rn_config_given given[RN_CONFIG_KEY_COUNT]; /* of all but items */
  /* Of the elements of a list of items, by their section: the last required key of each. */
  struct rn_config_place item_at[RN_CONFIG_SECTION_COUNT][RN_CONFIG_ITEMS_MAX];
};

/* False when text holds what is not UTF-8, a control character or a directive: reported. */
bool rn_config_scan(struct rn_config_load *l, const char *text, size_t len);

/* Reads text into l->cfg, which holds the defaults. False when it is no YAML, or no mapping: then keys may be missing
 * because of that. */
bool rn_config_read(struct rn_config_load *l, const char *text, size_t len);

/* Reports what keys say against each other. Replaces auto in lcores and limits by the
 * number it stands for. */
void rn_config_check(struct rn_config_load *l);

/* Adds an error. key and the text are made printable and cut to their fields. */
__attribute__((format(printf, 5, 6))) void rn_config_report(struct rn_config_errors *errs,
                                                            enum rn_config_error_kind kind,
                                                            struct rn_config_place at,
                                                            const char *key, const char *fmt, ...);

/* Empties errs; name stands for the file. */
void rn_config_errors_start(struct rn_config_errors *errs, const char *name);
void rn_config_errors_sort(struct rn_config_errors *errs);
