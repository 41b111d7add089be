/* control/usage.h: what a process takes of the machine. */
#pragma once
#include <stdint.h>

struct rn_usage {
  double cpu_s;          /* user and system time since the process started */
  uint64_t memory_bytes; /* resident */
};

/* Of process pid, from /proc; zeros when there is none, and for pid 0. */
struct rn_usage rn_usage_of(uint32_t pid);
