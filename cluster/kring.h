/* cluster/kring.h: who watches whom. The members stand on RN_KRING rings, in an order that follows from their ids alone and is another one on each; everybody
 * watches the next one on each ring (Suresh et al., "Stable and consistent membership at scale with Rapid", 2018). Everybody is watched by as many, each
 * knows by whom without being told, and when one comes or goes only his neighbours change. */
#pragma once
#include <stdint.h>

#include "cluster/members.h"

/* Where a member of that id stands. */
void rn_kring_places(struct rn_bin_str id, uint64_t ring[RN_KRING]);

/* Who takes part in the rings; NULL: all. Members that failed or left never do. */
typedef bool rn_kring_counts(const struct rn_member *who);

/* Whom `of`, who takes part himself, watches: the next ones on each ring, each once. Fills out[0..RN_KRING); returns how many, fewer where there are not as
 * many others. Takes time in proportion to the members, as what follows does: not for every message. */
uint32_t rn_kring_watched(const struct rn_members *m, const struct rn_member *of,
                          rn_kring_counts *counts, struct rn_member **out);

/* Who takes no part is watched all the same, on each ring by the one before him who does: fills out[0..cap) with those of `of`, each once. Returns how many
 * there are, which may be more than cap. */
uint32_t rn_kring_kept(const struct rn_members *m, const struct rn_member *of,
                       rn_kring_counts *counts, struct rn_member **out, uint32_t cap);

/* Whether `of` watches who, in one of the two ways. */
bool rn_kring_watches(const struct rn_members *m, const struct rn_member *of,
                      const struct rn_member *who, rn_kring_counts *counts);
