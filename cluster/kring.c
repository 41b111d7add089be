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

static bool stands(const struct rn_member *who) { return who->state <= RN_SWIM_SUSPECT; }

/* The next one after `of` on a ring who is none of some. */
static struct rn_member *next_on(const struct rn_members *m, const struct rn_member *of,
                                 uint32_t ring, rn_kring_counts *counts,
                                 struct rn_member *const *some, uint32_t n) {
  struct rn_member *next = NULL;
  uint64_t nearest = 0;
  for (uint32_t i = 0; i < rn_members_count(m); i++) {
    struct rn_member *who = rn_members_at(m, i);
    uint64_t distance = who->ring[ring] - of->ring[ring]; /* around */
    if (who == of || !stands(who) || (next != NULL && distance >= nearest))
      continue;
    if ((counts != NULL && !counts(who)) || among(some, n, who))
      continue;
    next = who;
    nearest = distance;
  }
  return next;
}

uint32_t rn_kring_watched(const struct rn_members *m, const struct rn_member *of,
                          rn_kring_counts *counts, struct rn_member **out) {
  uint32_t n = 0;
  for (uint32_t ring = 0; ring < RN_KRING; ring++) {
    struct rn_member *who = next_on(m, of, ring, counts, out, n);
    if (who != NULL)
      out[n++] = who;
  }
  return n;
}

/* How far `of` looks for those who take no part: up to the next one who does. */
static void reaches(const struct rn_members *m, const struct rn_member *of, rn_kring_counts *counts,
                    uint64_t reach[RN_KRING]) {
  for (uint32_t ring = 0; ring < RN_KRING; ring++) {
    const struct rn_member *next = next_on(m, of, ring, counts, NULL, 0);
    reach[ring] = next != NULL ? next->ring[ring] - of->ring[ring] : UINT64_MAX;
  }
}

static bool within(const struct rn_member *of, const struct rn_member *who,
                   const uint64_t reach[RN_KRING]) {
  for (uint32_t ring = 0; ring < RN_KRING; ring++)
    if (who->ring[ring] - of->ring[ring] < reach[ring])
      return true;
  return false;
}

uint32_t rn_kring_kept(const struct rn_members *m, const struct rn_member *of,
                       rn_kring_counts *counts, struct rn_member **out, uint32_t cap) {
  uint64_t reach[RN_KRING];
  uint32_t n = 0;
  reaches(m, of, counts, reach);
  for (uint32_t i = 0; i < rn_members_count(m); i++) {
    struct rn_member *who = rn_members_at(m, i);
    if (who == of || !stands(who) || counts == NULL || counts(who) || !within(of, who, reach))
      continue;
    if (n < cap)
      out[n] = who;
    n++;
  }
  return n;
}

bool rn_kring_watches(const struct rn_members *m, const struct rn_member *of,
                      const struct rn_member *who, rn_kring_counts *counts) {
  struct rn_member *watched[RN_KRING];
  uint64_t reach[RN_KRING];
  if (who == of || !stands(who) || (counts != NULL && !counts(of)))
    return false;
  if (counts == NULL || counts(who))
    return among(watched, rn_kring_watched(m, of, counts, watched), who);
  reaches(m, of, counts, reach);
  return within(of, who, reach);
}
