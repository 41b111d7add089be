/* control/config_value.h: one value of the configuration, from text and to text. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/config_table.h"

#define RN_CONFIG_ALLOWED_BYTES 192 /* longest text of rn_config_allowed, with its NUL */
#define RN_CONFIG_VALUE_BYTES   256 /* the same of rn_config_value_text */

/* Reads text[0..len) as a value of k's type, or as one element of its list, into *out (k->bytes). quoted: it stood in quotes, which only
 * numbers without a unit and true or false may not. NULL, or static text that says what is wrong with it, and *out unchanged. k is no
 * list of items and no mapping of tags. */
const char *rn_config_value_parse(const struct rn_config_key *k, const char *text, size_t len,
                                  bool quoted, void *out);

/* What k may be set to, as in "a duration from 100ms to 24h, or none", into out[RN_CONFIG_ALLOWED_BYTES]; returns out. one: an element
 * of a list rather than the list. */
const char *rn_config_allowed(const struct rn_config_key *k, bool one, char *out);

/* The value at in (k->bytes) as one would write it in a file, into out[RN_CONFIG_VALUE_BYTES]; returns out. For all but addresses,
 * fingerprints and items. */
const char *rn_config_value_text(const struct rn_config_key *k, const void *in, char *out);
