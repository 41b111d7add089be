/* dataplane/sleep.c: nanosleep() in place of libc's, for one caller. EAL looks at the time stamp counter for 100 ms where the CPU does not tell its
 * frequency, which was more than a third of what a data plane needs to serve again after its death. A tenth of that does: EAL rounds to 10 MHz, and
 * the lcores keep adjusting what they take from it (tsc.h). */
#include <errno.h>
#include <stdatomic.h>
#include <time.h>

#include "dataplane/lcore.h"

#define EAL_LOOKS_NS 100000000
#define WE_LOOK_NS   10000000

static _Atomic bool started;

void rn_sleep_as_asked(void) { atomic_store(&started, true); }

int nanosleep(const struct timespec *wanted, struct timespec *left) {
  struct timespec t = *wanted;
  if (!atomic_load(&started) && t.tv_sec == 0 && t.tv_nsec == EAL_LOOKS_NS)
    t.tv_nsec = WE_LOOK_NS;
  int err = clock_nanosleep(CLOCK_MONOTONIC, 0, &t, left);
  if (err == 0)
    return 0;
  errno = err;
  return -1;
}
