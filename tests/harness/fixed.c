/* tests/harness/fixed.c: a program that calls fixed_seed gets time() and gettimeofday() from here, libcrypto's calls included. */
#include "harness/fixed.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

#define OPENSSL_SUPPRESS_DEPRECATED /* RAND_set_rand_method: what a test needs of it, providers make long */
#include <openssl/rand.h>

#include "util/rng.h"

static struct rn_rng rng;
static bool fixed;

static int bytes(unsigned char *out, int n) {
  for (int i = 0; i < n; i++)
    out[i] = (unsigned char)(rn_rng_next(&rng) >> 32);
  return 1;
}

static int status(void) { return 1; }

void fixed_seed(uint64_t seed) {
  static const RAND_METHOD method = { .bytes = bytes, .pseudorand = bytes, .status = status };
  rn_rng_init(&rng, seed);
  if (!fixed && RAND_set_rand_method(&method) != 1)
    abort();
  fixed = true;
}

static struct timespec real_time(void) {
  struct timespec ts;
  clock_gettime(CLOCK_REALTIME, &ts);
  return ts;
}

time_t time(time_t *out) {
  time_t t = fixed ? FIXED_TIME_S : real_time().tv_sec;
  if (out != NULL)
    *out = t;
  return t;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
  (void)zone;
  struct timespec ts = fixed ? (struct timespec){ .tv_sec = FIXED_TIME_S } : real_time();
  *tv = (struct timeval){ .tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000 };
  return 0;
}
