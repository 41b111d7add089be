/* cluster/kring.h: who watches whom. The members stand on RN_KRING rings, in an order that follows from their ids alone and is another one on each; everybody
 * watches the next one on each ring (Suresh et al., "Stable and consistent membership at scale with Rapid", 2018). Everybody is watched by as many, each
 * knows by whom without being told, and when one comes or goes only his neighbours change. */
#pragma once
#include <stdint.h>

#include "cluster/members.h"

/* Where a member of that id stands. */
void rn_kring_places(struct rn_bin_str id, uint64_t ring[RN_KRING]);

/* Whom we watch: the next ones that are Alive or Suspect and that counts() says yes to (NULL: all), each once. Fills out[0..RN_KRING); returns how many, fewer
 * where there are not as many others. Takes time in proportion to the members: not for every message. */
uint32_t rn_kring_watched(const struct rn_members *m, bool (*counts)(const struct rn_member *who),
                          struct rn_member **out);
