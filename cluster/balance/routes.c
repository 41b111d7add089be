/* cluster/balance/routes.c */
#include "cluster/balance/routes.h"

#include <string.h>

#include "cluster/balance/balance.h"
#include "util/err.h"

static bool is_prefix(const struct rn_route *r) { return r->pattern[r->pattern_len - 1] == '*'; }

/* How many bytes of a method it says. */
static uint32_t said(const struct rn_route *r) { return r->pattern_len - (uint32_t)is_prefix(r); }

static bool pattern_fits(const char *text, size_t len) {
  if (len == 0 || len > RN_ROUTE_TEXT_MAX || memchr(text, 0, len) != NULL)
    return false;
  const char *star = memchr(text, '*', len);
  return star == NULL || star == text + len - 1;
}

int rn_route_set_pattern(struct rn_route *r, const char *text, size_t len) {
  if (!pattern_fits(text, len))
    return RN_ERR_INVAL;
  memset(r->pattern, 0, sizeof(r->pattern));
  memcpy(r->pattern, text, len);
  r->pattern_len = (uint8_t)len;
  return RN_OK;
}

static bool route_fits(const struct rn_route *r) {
  return r->pattern_len <= RN_ROUTE_TEXT_MAX && r->pattern[r->pattern_len] == 0 &&
         pattern_fits(r->pattern, r->pattern_len) && r->strategy < RN_BAL_STRATEGIES &&
         (r->timeout_ns == 0 || r->try_timeout_ns <= r->timeout_ns);
}

static bool same(const struct rn_route *a, const struct rn_route *b) {
  return a->pattern_len == b->pattern_len && memcmp(a->pattern, b->pattern, a->pattern_len) == 0;
}

/* Whether a comes before b: it says more, or all. */
static bool more_particular(const struct rn_route *a, const struct rn_route *b) {
  return said(a) != said(b) ? said(a) > said(b) : !is_prefix(a) && is_prefix(b);
}

int rn_routes_add(struct rn_routes *t, const struct rn_route *r) {
  if (!route_fits(r))
    return RN_ERR_INVAL;
  for (uint32_t i = 0; i < t->count; i++)
    if (same(&t->route[i], r))
      return RN_ERR_EXIST;
  if (t->count == RN_ROUTES_MAX)
    return RN_ERR_LIMIT;
  uint32_t at = t->count;
  for (; at > 0 && more_particular(r, &t->route[t->by_length[at - 1]]); at--)
    t->by_length[at] = t->by_length[at - 1];
  t->by_length[at] = (uint8_t)t->count;
  t->route[t->count++] = *r;
  return RN_OK;
}

uint32_t rn_routes_match(const struct rn_routes *t, const char *method, size_t len) {
  for (uint32_t i = 0; i < t->count; i++) {
    const struct rn_route *r = &t->route[t->by_length[i]];
    uint32_t n = said(r);
    if ((is_prefix(r) ? n <= len : n == len) && (n == 0 || memcmp(r->pattern, method, n) == 0))
      return t->by_length[i];
  }
  return RN_ROUTE_NONE;
}

int rn_routes_check(const struct rn_routes *t) {
  uint64_t seen = 0;
  if (t->count > RN_ROUTES_MAX)
    return RN_ERR_CORRUPT;
  for (uint32_t i = 0; i < t->count; i++) {
    if (!route_fits(&t->route[i]))
      return RN_ERR_CORRUPT;
    for (uint32_t k = 0; k < i; k++)
      if (same(&t->route[i], &t->route[k]))
        return RN_ERR_CORRUPT;
  }
  for (uint32_t i = 0; i < t->count; i++) {
    uint32_t idx = t->by_length[i];
    if (idx >= t->count || (seen >> idx & 1) != 0 ||
        (i > 0 && more_particular(&t->route[idx], &t->route[t->by_length[i - 1]])))
      return RN_ERR_CORRUPT;
    seen |= (uint64_t)1 << idx;
  }
  return RN_OK;
}
