/* lib/sys/log.c */
#include "sys/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sys/clock.h"

static const char *const level_names[RN_LOG_LEVEL_COUNT] = { "error", "warning", "info", "debug" };
static const int journal_priority[RN_LOG_LEVEL_COUNT] = { 3, 4, 6, 7 }; /* sd-daemon(3) */

static const char *log_program = "rpcnet";
static _Atomic int log_level = RN_LOG_INFO; /* relaxed: it orders nothing */
static bool log_journal;

/* JOURNAL_STREAM is "device:inode" of the journal's socket; it counts only when that is our
 * standard error. */
static bool stderr_is_journal(void) {
  const char *stream = getenv("JOURNAL_STREAM");
  unsigned long long dev, ino;
  struct stat st;
  return stream != NULL && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
         fstat(STDERR_FILENO, &st) == 0 && st.st_dev == (dev_t)dev && st.st_ino == (ino_t)ino;
}

void rn_log_init(const char *program, enum rn_log_level level) {
  log_program = program;
  log_journal = stderr_is_journal();
  rn_log_set_level(level);
}

void rn_log_set_level(enum rn_log_level level) {
  atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

bool rn_log_enabled(enum rn_log_level level) {
  return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

int rn_log_format(char *out, int cap, bool journal, uint64_t wall_ns, const char *program,
                  enum rn_log_level level, const char *text) {
  int n;
  if (journal) {
    n = snprintf(out, (size_t)cap, "<%d>%s: %s\n", journal_priority[level], program, text);
  } else {
    struct tm tm;
    time_t s = (time_t)(wall_ns / RN_NS_PER_S);
    gmtime_r(&s, &tm);
    n = snprintf(out, (size_t)cap, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ %s %s: %s\n",
                 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                 (unsigned int)(wall_ns % RN_NS_PER_S / RN_NS_PER_MS), program, level_names[level],
                 text);
  }
  if (n >= cap) {
    n = cap - 1;
    out[n - 1] = '\n';
  }
  /* One line stays one line, whatever a peer's text held. */
  for (int i = 0; i < n - 1; i++) {
    if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
      out[i] = ' ';
  }
  return n;
}

void rn_log(enum rn_log_level level, const char *fmt, ...) {
  if (!rn_log_enabled(level))
    return;
  int saved = errno;
  char text[RN_LOG_LINE_BYTES];
  char line[RN_LOG_LINE_BYTES];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof(text), fmt, ap);
  va_end(ap);
  int n = rn_log_format(line, (int)sizeof(line), log_journal, rn_sys_wall_ns(), log_program, level,
                        text);
  ssize_t done = write(STDERR_FILENO, line, (size_t)n);
  (void)done; /* there is nowhere to complain */
  errno = saved;
}

bool rn_log_may(struct rn_log_limit *l, uint64_t now_ns, uint64_t interval_ns, uint32_t burst,
                uint64_t *suppressed) {
  uint64_t full_ns = l->full_ns > now_ns ? l->full_ns : now_ns;
  if (full_ns - now_ns + interval_ns > interval_ns * burst) {
    l->suppressed++;
    return false;
  }
  l->full_ns = full_ns + interval_ns;
  *suppressed = l->suppressed;
  l->suppressed = 0;
  return true;
}
