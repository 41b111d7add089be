/* lib/sys/log.h: log lines to standard error, or with priorities to the journal when systemd
 * connected it (JOURNAL_STREAM).
 *
 * Any thread may log; a line is one write. Never per packet: an lcore logs at start, at end, and
 * through control's ring in between. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum rn_log_level { RN_LOG_ERROR, RN_LOG_WARN, RN_LOG_INFO, RN_LOG_DEBUG, RN_LOG_LEVEL_COUNT };

#define RN_LOG_LINE_BYTES 1024 /* longer lines are cut */

/* Call once, before threads: program is shown in each line (static text), lines above level are
 * dropped. */
void rn_log_init(const char *program, enum rn_log_level level);
void rn_log_set_level(enum rn_log_level level);
bool rn_log_enabled(enum rn_log_level level);

/* Writes one line, if level is logged. Control characters become blanks; errno is kept. */
void rn_log(enum rn_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define rn_error(...) rn_log(RN_LOG_ERROR, __VA_ARGS__)
#define rn_warn(...)  rn_log(RN_LOG_WARN, __VA_ARGS__)
#define rn_info(...)  rn_log(RN_LOG_INFO, __VA_ARGS__)
#define rn_debug(...) rn_log(RN_LOG_DEBUG, __VA_ARGS__)

/* A limit for lines that a peer can cause: burst lines at once, then one per interval. Zeroed at
 * start; belongs to one thread. */
struct rn_log_limit {
  uint64_t full_ns; /* as in a token bucket kept as a point in time */
  uint64_t suppressed;
};

/* True when a line may be written now; *suppressed is how many were not since the last one.
 * interval_ns > 0, burst >= 1. */
bool rn_log_may(struct rn_log_limit *l, uint64_t now_ns, uint64_t interval_ns, uint32_t burst,
                uint64_t *suppressed);

/* Formats into out as rn_log writes it (for tests): prefix "<3>" and so on for the journal, else
 * time, program and level. Returns the length; out always ends in a newline. */
int rn_log_format(char *out, int cap, bool journal, uint64_t wall_ns, const char *program,
                  enum rn_log_level level, const char *text);
