/* lib/sys/clock.c */
#include "sys/clock.h"

#include <time.h>

static uint64_t now_ns(clockid_t clock) {
  struct timespec ts;
  clock_gettime(clock, &ts); /* cannot fail for these clocks */
  return (uint64_t)ts.tv_sec * RN_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t rn_sys_now_ns(void) { return now_ns(CLOCK_MONOTONIC); }

uint64_t rn_sys_wall_ns(void) { return now_ns(CLOCK_REALTIME); }
