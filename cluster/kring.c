/* cluster/kring.c */
#include "cluster/kring.h"

#include "util/hash.h"

void rn_kring_places(struct rn_bin_str id, uint64_t ring[RN_KRING]) {
  for (uint8_t i = 0; i < RN_KRING; i++) {
    const uint8_t key[16] = { 'k', 'r', 'i', 'n', 'g', i }; /* everybody's */
    ring[i] = rn_siphash(key, id.p, id.len);
  }
}

static bool among(struct rn_member *const *some, uint32_t n, const struct rn_member *who) {
  for (uint32_t i = 0; i < n; i++)
    if (some[i] == who)
      return true;
  return false;
}

/* The next one on a ring who is none of some. */
static struct rn_member *next_on(const struct rn_members *m, uint32_t ring,
                                 bool (*counts)(const struct rn_member *who),
                                 struct rn_member *const *some, uint32_t n) {
  const struct rn_member *me = rn_members_self(m);
  struct rn_member *next = NULL;
  uint64_t nearest = 0;
  for (uint32_t i = 0; i < rn_members_count(m); i++) {
    struct rn_member *who = rn_members_at(m, i);
    uint64_t distance = who->ring[ring] - me->ring[ring]; /* around */
    if (who == me || who->state > RN_SWIM_SUSPECT || (next != NULL && distance >= nearest))
      continue;
    if ((counts != NULL && !counts(who)) || among(some, n, who))
      continue;
    next = who;
    nearest = distance;
  }
  return next;
}

uint32_t rn_kring_watched(const struct rn_members *m, bool (*counts)(const struct rn_member *who),
                          struct rn_member **out) {
  uint32_t n = 0;
  for (uint32_t ring = 0; ring < RN_KRING; ring++) {
    struct rn_member *who = next_on(m, ring, counts, out, n);
    if (who != NULL)
      out[n++] = who;
  }
  return n;
}
