/* tests/harness/link.c */
#include "harness/link.h"

#include <string.h>

#define FLIPS_MAX 8

static bool happens(struct rn_rng *rng, double chance) {
  return chance > 0 && rn_rng_unit(rng) < chance;
}

/* What the script says of the datagram that is sent next. */
static char scripted(const struct net_link *l) {
  return l->fate != NULL && l->sent < strlen(l->fate) ? l->fate[l->sent] : '.';
}

static bool in_hole(const struct net_link *l, uint64_t now_ns) {
  for (size_t i = 0; i < sizeof(l->holes) / sizeof(l->holes[0]); i++) {
    if (now_ns >= l->holes[i].from_ns && now_ns < l->holes[i].until_ns)
      return true;
  }
  return false;
}

static bool in_bits(const struct net_link *l) {
  uint64_t i = l->sent;
  return i < l->loss_bits_count && (l->loss_bits[i / 8] >> (i % 8) & 1) != 0;
}

/* When a datagram of len bytes arrives, or UINT64_MAX: the queue was full. */
static uint64_t arrival(struct net_link *l, struct rn_rng *rng, uint64_t now_ns, uint32_t len) {
  uint64_t at = now_ns;
  if (l->rate_bytes_s != 0) {
    uint64_t start = l->free_ns > at ? l->free_ns : at;
    if (start - at > l->queue_ns)
      return UINT64_MAX;
    l->free_ns = start + len * UINT64_C(1000000000) / l->rate_bytes_s;
    at = l->free_ns;
  }
  at += l->delay_ns;
  if (l->jitter_ns != 0)
    at += rn_rng_below(rng, l->jitter_ns);
  return at;
}

static enum verdict damage(struct rn_rng *rng, uint8_t *bytes, uint32_t *len) {
  uint64_t n;
  switch (rn_rng_below(rng, 3)) {
  case 0:
    for (n = 1 + rn_rng_below(rng, FLIPS_MAX); n > 0; n--)
      bytes[rn_rng_below(rng, *len)] ^= (uint8_t)(1u << rn_rng_below(rng, 8));
    return LINK_FLIPPED;
  case 1:
    *len = (uint32_t)rn_rng_below(rng, *len);
    return LINK_CUT;
  default:
    for (n = 1 + rn_rng_below(rng, LINK_GROWTH_MAX); n > 0; n--)
      bytes[(*len)++] = (uint8_t)rn_rng_next(rng);
    return LINK_GROWN;
  }
}

struct link_fate link_send(struct net_link *l, struct rn_rng *rng, uint64_t now_ns, uint8_t *bytes,
                           uint32_t *len) {
  struct link_fate f = { .verdict = LINK_ON_TIME };
  char script = scripted(l);
  bool lost = in_bits(l) || script == LINK_LOST || happens(rng, l->loss);
  l->sent++;
  l->bytes += *len;
  if (in_hole(l, now_ns))
    f.verdict = LINK_HOLE;
  else if (lost)
    f.verdict = LINK_LOST;
  else if ((f.at_ns = arrival(l, rng, now_ns, *len)) == UINT64_MAX)
    f.verdict = LINK_QUEUE_FULL;
  f.arrives = f.verdict == LINK_ON_TIME;
  if (!f.arrives) {
    l->lost++;
    return f;
  }
  if (script == LINK_LATE || happens(rng, l->late)) {
    f.verdict = LINK_LATE;
    f.at_ns += l->late_ns;
  }
  f.twice = script == LINK_TWICE || happens(rng, l->duplicate);
  if (f.twice)
    f.verdict = LINK_TWICE;
  if (happens(rng, l->corrupt))
    f.verdict = damage(rng, bytes, len);
  return f;
}
