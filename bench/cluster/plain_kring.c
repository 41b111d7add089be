/* bench/cluster/plain_kring.c: cluster/kring.c of a cluster without fixed watchers: nobody is asked but by chance. In plain SWIM in place of it. */
#include "cluster/kring.h"

#include "util/hash.h"

/* Members are still told apart by it. */
void rn_kring_places(struct rn_bin_str id, uint64_t ring[RN_KRING]) {
  for (uint8_t i = 0; i < RN_KRING; i++) {
    const uint8_t key[16] = { 'k', 'r', 'i', 'n', 'g', i };
    ring[i] = rn_siphash(key, id.p, id.len);
  }
}

uint32_t rn_kring_watched(const struct rn_members *m, const struct rn_member *of,
                          rn_kring_counts *counts, struct rn_member **out) {
  (void)m;
  (void)of;
  (void)counts;
  (void)out;
  return 0;
}

uint32_t rn_kring_kept(const struct rn_members *m, const struct rn_member *of,
                       rn_kring_counts *counts, struct rn_member **out, uint32_t cap) {
  (void)cap;
  return rn_kring_watched(m, of, counts, out);
}

bool rn_kring_watches(const struct rn_members *m, const struct rn_member *of,
                      const struct rn_member *who, rn_kring_counts *counts) {
  (void)m;
  (void)of;
  (void)who;
  (void)counts;
  return false;
}
