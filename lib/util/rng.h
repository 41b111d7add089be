/* lib/util/rng.h: xoshiro256** (Blackman, Vigna 2018): fast, seeded, repeatable. For tests, simulations and load; never for secrets. */
#pragma once
#include <stdint.h>

struct rn_rng {
  uint64_t s[4];
};

/* Any seed is fine: it is spread by splitmix64. */
static inline void rn_rng_init(struct rn_rng *r, uint64_t seed) {
  for (int i = 0; i < 4; i++) {
    uint64_t z = seed += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    r->s[i] = z ^ z >> 31;
  }
}

static inline uint64_t rn_rng_next(struct rn_rng *r) {
  uint64_t *s = r->s, x = s[1] * 5, out = (x << 7 | x >> 57) * 9, t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = s[3] << 45 | s[3] >> 19;
  return out;
}

/* 0..n-1, each as likely as the others; n > 0. */
static inline uint64_t rn_rng_below(struct rn_rng *r, uint64_t n) {
  /* The high half of a product; the low half says which of the few products that favour some results to throw away (Lemire 2019). */
  unsigned __int128 m = (unsigned __int128)rn_rng_next(r) * n;
  if ((uint64_t)m < n) {
    uint64_t uneven = -n % n;
    while ((uint64_t)m < uneven)
      m = (unsigned __int128)rn_rng_next(r) * n;
  }
  return (uint64_t)(m >> 64);
}

/* 0 <= result < 1, in steps of 2^-53. */
static inline double rn_rng_unit(struct rn_rng *r) {
  return (double)(rn_rng_next(r) >> 11) * 0x1p-53;
}
