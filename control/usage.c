/* control/usage.c */
#include "control/usage.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* /proc/PID/stat: fields 14, 15 and 24 after the name in parentheses, which may hold anything. */
struct rn_usage rn_usage_of(uint32_t pid) {
  char path[64], line[1024];
  unsigned long utime = 0, stime = 0;
  long rss = 0;
  snprintf(path, sizeof(path), "/proc/%u/stat", pid);
  FILE *f = pid != 0 ? fopen(path, "re") : NULL;
  if (f != NULL && fgets(line, sizeof(line), f) != NULL) {
    const char *rest = strrchr(line, ')');
    if (rest != NULL)
      (void)sscanf(
          rest + 2,
          "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u %*u %ld",
          &utime, &stime, &rss);
  }
  if (f != NULL)
    fclose(f);
  return (struct rn_usage){ .cpu_s = (double)(utime + stime) / (double)sysconf(_SC_CLK_TCK),
                            .memory_bytes = (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE) };
}
