/* tests/harness/fixed.h: OpenSSL without chance: its randomness comes from a seed and its clock stands still, so that keys, certificates,
 * ClientHellos and signatures are the same in each run. For tests only, and for the whole process. */
#pragma once
#include <stdint.h>

/* 2026-01-01 00:00:00 UTC: what time() and gettimeofday() say from the first fixed_seed on. */
#define FIXED_TIME_S 1767225600

/* From here on OpenSSL's random bytes follow from seed. May be called again and again. */
void fixed_seed(uint64_t seed);
