/* cluster/balance/outlier.h: a worker that fails gets no calls for a while. One of these per worker, lcore and route; time is an argument.
 *
 *            too many failures, and the caller allows it
 *      IN ------------------------------------------------> OUT <---+
 *       ^                                                    |      |
 *       |                                          time is up|      | a probe failed: longer than before
 *       |  as many good probes in a row as it takes          v      |
 *       +------------------------------------------------ PROBING --+
 *
 * In PROBING it gets one call at a time. Calls that began before count for nothing there. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct rn_outlier_config {
  uint32_t row; /* so many failures without a success between them are too many; 0: no number is */
  uint32_t rate_percent; /* of the calls of the window, 1..100; 0: no share is too much */
  uint32_t rate_calls;   /* while there were fewer in the window its rate says nothing */
  uint32_t probes;       /* good ones in a row that end it; at least 1 */
  uint64_t window_ns;    /* looked at in two halves: at least half of it counts, at most all */
  uint64_t eject_ns;     /* the first time; the n-th n times that */
  uint64_t eject_max_ns; /* and not more. After as long without trouble one time is forgotten */
};

enum rn_outlier_state { RN_OUTLIER_IN, RN_OUTLIER_OUT, RN_OUTLIER_PROBING, RN_OUTLIER_STATE_COUNT };

/* All zeros is one that has no history. */
struct rn_outlier {
  uint64_t until_ns; /* OUT: when its time is up; IN: since when */
  uint64_t half_ns;  /* when the current half of the window began */
  uint32_t good[2];  /* of this half, of the one before */
  uint32_t bad[2];
  uint32_t row;
  uint32_t times;
  uint16_t probed; /* good ones in a row */
  uint8_t state;   /* enum rn_outlier_state */
  bool probe_out;
};

/* What a result led to. */
enum rn_outlier_change {
  RN_OUTLIER_NOTHING,
  RN_OUTLIER_EJECTED,
  RN_OUTLIER_SPARED, /* would have been ejected, and was not allowed to be */
  RN_OUTLIER_PROBED, /* can have another probe */
  RN_OUTLIER_READMITTED
};

/* 5 in a row or half of at least 20 within 10 s; 5 s, at most 5 min; 3 probes. */
struct rn_outlier_config rn_outlier_defaults(void);
/* RN_OK or RN_ERR_INVAL (a rate above 100 or without a window, no probes, eject_ns 0 or above eject_max_ns). */
int rn_outlier_config_check(const struct rn_outlier_config *cfg);

/* A call ended; probe: it was one (rn_outlier_probe). allowed: whether the worker may be ejected, should this be one failure too many. */
enum rn_outlier_change rn_outlier_result(struct rn_outlier *o, const struct rn_outlier_config *cfg,
                                         bool good, bool probe, bool allowed, uint64_t now_ns);
/* A probe ended and tells nothing: the caller gave it up. */
void rn_outlier_probe_lost(struct rn_outlier *o);

/* Whether its time is up, which it is told once. */
bool rn_outlier_due(struct rn_outlier *o, uint64_t now_ns);

/* Whether a call may go there. */
static inline bool rn_outlier_lets_in(const struct rn_outlier *o) {
  return o->state == RN_OUTLIER_IN || (o->state == RN_OUTLIER_PROBING && !o->probe_out);
}

/* A call goes there. True: it is a probe, and no other call may until it ended. */
static inline bool rn_outlier_probe(struct rn_outlier *o) {
  if (o->state != RN_OUTLIER_PROBING || o->probe_out)
    return false;
  o->probe_out = true;
  return true;
}

/* RN_OK or RN_ERR_STATE. */
int rn_outlier_check(const struct rn_outlier *o);
