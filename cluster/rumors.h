/* cluster/rumors.h: what goes out with the next message. News of a member is told until it was in enough messages to have reached everybody, whatever was told
 * least first (SWIM: Das, Gupta, Motivala 2002, section 4.1); newer news of the same member takes its place. One thread owns each. */
#pragma once
#include <stdint.h>

#include "cluster/members.h"
#include "util/list.h"

#define RN_RUMOR_ROUNDS_MAX 64u
#define RN_RUMOR_PICK_MAX   32u /* in one message */
/* What is longer on the wire fits no message beside the longest names, and is not told. */
#define RN_RUMOR_BYTES_MAX 780u

struct rn_rumors {
  struct rn_list by_told[RN_RUMOR_ROUNDS_MAX]; /* members by how often they were told of */
  uint32_t count;
  uint64_t too_long; /* news not told: above RN_RUMOR_BYTES_MAX */
};

void rn_rumors_init(struct rn_rumors *r); /* no news */

/* How often each is told in a cluster of so many: 3 * log2, rounded up; 3..RN_RUMOR_ROUNDS_MAX. */
uint32_t rn_rumors_rounds(uint32_t members);

/* There is news of who, whom everybody has to be told of anew. */
void rn_rumors_tell(struct rn_rumors *r, struct rn_member *who);
/* Before who's place is given up. No news of him is fine. */
void rn_rumors_forget(struct rn_rumors *r, struct rn_member *who);

/* Whom to tell of in a message to `to` (may be NULL) that has room for budget_bytes of updates: fills out[0..cap), at most RN_RUMOR_PICK_MAX, and counts
 * each as told. Left out are aliases, which are nobody's name, and `to`: what he has to hear of himself is not left to chance. Returns how many. */
uint32_t rn_rumors_pick(struct rn_rumors *r, uint32_t rounds, const struct rn_member *to,
                        size_t budget_bytes, struct rn_member **out, uint32_t cap);

/* Bytes that rn_member_put writes. */
size_t rn_member_bytes(const struct rn_member *who);
