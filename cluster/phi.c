/* cluster/phi.c */
#include "cluster/phi.h"

#include <math.h>
#include <string.h>

/* The sum of RN_PHI_WINDOW squares has to fit 64 bits. */
#define INTERVAL_MAX_US ((1u << 28) - 1)

/* Sums are of whole microseconds, so that what leaves the window leaves no rounding behind. */
static void add(struct rn_phi *p, uint64_t ns) {
  uint32_t us = ns / 1000 < INTERVAL_MAX_US ? (uint32_t)(ns / 1000) : INTERVAL_MAX_US;
  uint32_t old = p->count == RN_PHI_WINDOW ? p->us[p->next] : 0;
  p->sum_us += (uint64_t)us - old;
  p->sum_us2 += (uint64_t)us * us - (uint64_t)old * old;
  p->us[p->next] = us;
  p->next = (p->next + 1) % RN_PHI_WINDOW;
  p->count += p->count < RN_PHI_WINDOW;
}

void rn_phi_init(struct rn_phi *p, uint64_t expected_ns, uint64_t now_ns) {
  memset(p, 0, sizeof(*p));
  p->heard_ns = now_ns;
  add(p, expected_ns - expected_ns / 4);
  add(p, expected_ns + expected_ns / 4);
}

void rn_phi_heard(struct rn_phi *p, uint64_t now_ns) {
  if (now_ns < p->heard_ns)
    return;
  add(p, now_ns - p->heard_ns);
  p->heard_ns = now_ns;
}

double rn_phi_at(const struct rn_phi *p, uint64_t deviation_min_ns, uint64_t now_ns) {
  if (now_ns <= p->heard_ns)
    return 0;
  const double n = p->count, mean = (double)p->sum_us / n;
  const double variance = (double)p->sum_us2 / n - mean * mean;
  const double least = (double)deviation_min_ns / 1000;
  const double deviation = variance > least * least ? sqrt(variance) : least;
  const double z = ((double)(now_ns - p->heard_ns) / 1000 - mean) / deviation;
  /* The tail of the normal distribution. Far out it is less than a double can hold, and its logarithm is taken of the leading term of
   * its asymptotic series. */
  if (z > 30)
    return (z * z / 2 + log(z * sqrt(2 * acos(-1)))) / log(10);
  return -log10(erfc(z / sqrt(2)) / 2);
}
