/* lib/sys/clock.h: the two clocks. The data plane calibrates its own from the TSC against
 * rn_sys_now_ns. */
#pragma once
#include <stdint.h>

#define RN_NS_PER_S  1000000000ull
#define RN_NS_PER_MS 1000000ull

uint64_t rn_sys_now_ns(void);  /* CLOCK_MONOTONIC: the same in all processes of a machine */
uint64_t rn_sys_wall_ns(void); /* CLOCK_REALTIME, since 1970 */
