/* dataplane/assert.c: what assert() calls when a check fails, in place of libc's function of this name, whose text it prints. Libraries
 * that are loaded later find this one first. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "quic/quic.h"
#include "sys/clock.h"
#include "sys/log.h"

/* NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming) */
void __assert_fail(const char *assertion, const char *file, unsigned int line,
                   const char *function) {
  static struct rn_log_limit limit; /* lcores share it: the worst is a line more or less */
  uint64_t held_back;
  if (rn_log_may(&limit, rn_sys_now_ns(), RN_NS_PER_S, 10, &held_back))
    rn_error("%s:%u: %s: assertion failed: %s", file, line, function, assertion);
  rn_quic_assertion(file);
  abort();
}
