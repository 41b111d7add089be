/* cluster/tags.h: what a member says of itself, as pairs of text ordered by key. Of fixed size: what does not fit is refused. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "wire/swim.h"

#define RN_TAG_MAX 255u    /* bytes of a key, and of a value */
#ifndef RN_TAGS_BYTES      /* less in simulations of thousands of nodes, bench/cluster */
#define RN_TAGS_BYTES 508u /* of all: 2 for each tag, and its text */
#endif

struct rn_tags {
  uint16_t bytes, count;
  uint8_t buf[RN_TAGS_BYTES]; /* for each: length of the key, of the value, both texts */
};

/* Adds or replaces. RN_OK, or RN_ERR_LIMIT (a text above RN_TAG_MAX, no room). */
int rn_tags_set(struct rn_tags *t, struct rn_bin_str key, struct rn_bin_str value);
/* Whether it was there. */
bool rn_tags_unset(struct rn_tags *t, struct rn_bin_str key);
/* Whether it is there; *value points into *t, and is unchanged when it is not. */
bool rn_tags_get(const struct rn_tags *t, struct rn_bin_str key, struct rn_bin_str *value);
/* From *pos (start with 0) on, in the order of the keys' bytes; false: no more. */
bool rn_tags_next(const struct rn_tags *t, uint16_t *pos, struct rn_bin_str *key,
                  struct rn_bin_str *value);
/* Whether t has every tag of wanted, with the same value. */
bool rn_tags_match(const struct rn_tags *t, const struct rn_tags *wanted);
bool rn_tags_eq(const struct rn_tags *a, const struct rn_tags *b);

/* Replaces *t by those of a message; the last of two with one key counts. Returns how many did not fit and were left out. */
uint64_t rn_tags_of_wire(struct rn_tags *t, struct rn_swim_tags from);
/* For rn_swim_put_update with count. */
void rn_tags_put(struct rn_bin_writer *w, const struct rn_tags *t);

/* Order, lengths, sum. RN_OK or RN_ERR_STATE. */
int rn_tags_check(const struct rn_tags *t);
