/* cluster/balance/routes.h: what is to be done with a method's calls. Of fixed size and without pointers, so that control can publish it as it is. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_ROUTES_MAX     64u
#define RN_ROUTE_TEXT_MAX 127u
#define RN_ROUTE_NONE     UINT32_MAX

struct rn_route {
  char pattern
      [RN_ROUTE_TEXT_MAX +
       1]; /* "A.b": that method; "A.*": those that begin with "A."; "*": all. NUL-terminated */
  uint8_t pattern_len;
  uint8_t strategy; /* index in rn_bal_strategies */
  bool near_first;
  bool idempotent; /* may be tried again after its bytes went out */
  bool hedge;
  bool call_all;           /* nobody is chosen: every worker gets the call */
  uint32_t max_in_flight;  /* per lcore; 0: no limit */
  uint64_t timeout_ns;     /* of a call; 0: none */
  uint64_t try_timeout_ns; /* of one try; 0: none. Not above timeout_ns where there is one */
};

struct rn_routes {
  uint32_t count;
  uint8_t by_length[RN_ROUTES_MAX]; /* indices, the most particular pattern first */
  struct rn_route route[RN_ROUTES_MAX];
};

/* Writes text[0..len) to r->pattern. RN_OK, or RN_ERR_INVAL: empty, too long, or a "*" that is not its end. */
int rn_route_set_pattern(struct rn_route *r, const char *text, size_t len);

/* Adds a copy as the last one; all zeros has none. RN_OK; RN_ERR_LIMIT; RN_ERR_EXIST for a pattern that is there; RN_ERR_INVAL for one that rn_route_set_pattern would
 * not have written, an unknown strategy, or time-outs that do not fit each other. */
int rn_routes_add(struct rn_routes *t, const struct rn_route *r);

/* The index of the one for a method, RN_ROUTE_NONE where there is none. Of several that match it is the longest; the method itself is longer than any other. */
uint32_t rn_routes_match(const struct rn_routes *t, const char *method, size_t len);

/* Whether any bytes are a table. RN_OK or RN_ERR_CORRUPT. */
int rn_routes_check(const struct rn_routes *t);
