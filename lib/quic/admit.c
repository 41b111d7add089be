/* lib/quic/admit.c: which Initials may start a connection, and when.
 *
 *   Initial of no connection --> not listening, too short, bad token: dropped
 *                            --> Retry, when many handshakes are open or the client's prefix is over its rate
 *                            --> a place in line --> rn_quic_timers: a connection
 *
 * Who is in line is not asked for a Retry any more: a repetition of its Initial would otherwise make it start again, and leave behind the
 * connection that its place in line becomes.
 *
 * Beginning a handshake costs as much as a hundred calls. One Initial is admitted per turn of the lcore, so that a crowd of new clients
 * takes its time from each other and not from the calls of those who are there. */
#include "quic/quic_priv.h"

#include <string.h>

#define ADMIT_PER_TURN 1
#define SUSPICION_NS   UINT64_C(1000000000)
#define PREFIX_ROWS    2
#define PREFIX_CELLS   4096u /* in each row; a power of two */

struct admit_entry {
  struct rn_path path;
  ngtcp2_cid odcid;
  enum token_verdict token;
  uint32_t len;
  uint8_t ecn;
  uint8_t bytes[RN_QUIC_ADMIT_BYTES];
};

struct admit {
  uint32_t head, tail; /* filled at head, admitted from tail */
  uint8_t hash_key[16];
  bool retry_on;
  struct rn_bucket failures; /* handshakes that may fail before Retry starts */
  uint64_t suspicious_until_ns;
  struct rn_bucket prefixes[PREFIX_ROWS][PREFIX_CELLS];
  struct admit_entry entries[RN_QUIC_ADMIT_QUEUE];
};

size_t admit_footprint(void) { return sizeof(struct admit); }

void admit_init(void *mem, const struct rn_quic_limits *lim, const uint8_t hash_key[16],
                struct admit **out) {
  struct admit *a = mem;
  rn_bucket_init(&a->failures, lim->half_open, lim->half_open);
  memcpy(a->hash_key, hash_key, sizeof(a->hash_key));
  *out = a;
}

uint32_t admit_waiting(const struct rn_quic *q) { return q->admit->head - q->admit->tail; }

/* ---- handshakes of a prefix ---- */

/* IPv4 /24, IPv6 /56: what one subscriber or one small site has. */
static uint64_t prefix_hash(const struct admit *a, const struct rn_addr *addr) {
  uint8_t bits[8] = { addr->family };
  memcpy(bits + 1, addr->ip, addr->family == 4 ? 3 : 7);
  return rn_siphash(a->hash_key, bits, sizeof(bits));
}

/* Prefixes share cells by chance: one is over its rate when both of its cells are. */
static bool prefix_may(struct rn_quic *q, const struct rn_addr *addr) {
  struct admit *a = q->admit;
  uint32_t rate = q->cfg.prefix_handshakes_per_s;
  if (rate == 0)
    return true;
  uint64_t h = prefix_hash(a, addr);
  bool may = false;
  for (unsigned row = 0; row < PREFIX_ROWS; row++, h >>= 32) {
    struct rn_bucket *b = &a->prefixes[row][h & (PREFIX_CELLS - 1)];
    uint64_t full_ns = b->full_ns;
    if (rn_bucket_init(b, rate, rate) != RN_OK)
      return true;
    b->full_ns = full_ns;
    may |= rn_bucket_take(b, 1, q->now_ns) == RN_OK;
  }
  return may;
}

/* ---- Retry ---- */

/* True above half of the half-open limit, what waits in line counted, and for a second after as many handshakes failed within one as may be
 * open: Initials that nobody can decrypt are gone at once and never make a crowd. */
static bool is_crowded(const struct rn_quic *q) {
  return (q->stats.half_open + admit_waiting(q)) * 2 > q->lim.half_open ||
         q->now_ns < q->admit->suspicious_until_ns;
}

void admit_failed(struct rn_quic *q) {
  if (rn_bucket_take(&q->admit->failures, 1, q->now_ns) != RN_OK)
    q->admit->suspicious_until_ns = q->now_ns + SUSPICION_NS;
}

static bool retry_wanted(struct rn_quic *q) {
  if (q->cfg.retry != RN_QUIC_RETRY_AUTO)
    return q->cfg.retry == RN_QUIC_RETRY_ALWAYS;
  bool on = is_crowded(q);
  q->stats.retry_starts += on && !q->admit->retry_on;
  q->admit->retry_on = on;
  return on;
}

/* ---- verdicts ---- */

struct initial {
  ngtcp2_pkt_hd hd;
  ngtcp2_cid odcid; /* of the client's first Initial; set with TOKEN_RETRY */
  enum token_verdict token;
};

/* The client's address is its own. */
static bool is_proven(const struct initial *in) {
  return in->token == TOKEN_RETRY || in->token == TOKEN_ADDRESS;
}

/* False: dropped or answered, and counted. */
static bool read_initial(struct rn_quic *q, const struct rn_dgram *d, struct initial *out) {
  if (!q->cfg.listen) {
    q->stats.drop_not_listening++;
    return false;
  }
  if (d->len < RN_QUIC_MIN_INITIAL) {
    q->stats.drop_short_initial++;
    return false;
  }
  if (ngtcp2_accept(&out->hd, d->data, d->len) != 0) {
    q->stats.drop_unknown_cid++;
    return false;
  }
  out->token = stateless_check_token(q, &out->hd, &d->path, &out->odcid);
  if (out->token == TOKEN_BAD) {
    q->stats.drop_bad_token++;
    stateless_invalid_token(q, &out->hd, &d->path);
  }
  return out->token != TOKEN_BAD;
}

/* True when the client need not prove its address first. Else it was asked to, or may not come at all. */
static bool may_pass(struct rn_quic *q, const struct initial *in, const struct rn_path *path) {
  if (!is_proven(in) && retry_wanted(q)) {
    stateless_retry(q, &in->hd, path);
    return false;
  }
  if (prefix_may(q, &path->remote))
    return true;
  /* A forged source must not use up what the owner of the prefix has. */
  if (!is_proven(in) && q->cfg.retry != RN_QUIC_RETRY_NEVER)
    stateless_retry(q, &in->hd, path);
  else
    q->stats.drop_prefix_rate++;
  return false;
}

static struct rn_quic_conn *start_conn(struct rn_quic *q, const struct initial *in,
                                       const struct rn_path *path) {
  struct rn_quic_conn *c = NULL;
  if (q->stats.half_open >= q->lim.half_open)
    q->stats.drop_half_open++;
  else if (conn_accept(q, &in->hd, in->token, &in->odcid, path, &c) != RN_OK) {
    if (q->stats.conns >= q->lim.conns)
      q->stats.drop_conn_limit++;
    else
      q->stats.drop_no_memory++;
  }
  return c;
}

/* ---- the line ---- */

void admit_initial(struct rn_quic *q, const struct rn_dgram *d, bool follows) {
  struct admit *a = q->admit;
  struct initial in = { .token = TOKEN_NONE };
  if (!read_initial(q, d, &in) || (!follows && !may_pass(q, &in, &d->path)))
    return;
  if (admit_waiting(q) == RN_QUIC_ADMIT_QUEUE || d->len > RN_QUIC_ADMIT_BYTES) {
    q->stats.drop_admit_queue++;
    return;
  }
  struct admit_entry *e = &a->entries[a->head++ % RN_QUIC_ADMIT_QUEUE];
  e->path = d->path;
  e->odcid = in.odcid;
  e->token = in.token;
  e->len = d->len;
  e->ecn = d->ecn;
  memcpy(e->bytes, d->data, d->len);
  if (!follows) /* a full map costs a repetition at most */
    (void)rn_cidmap_put(q->initials, in.hd.dcid.data, in.hd.dcid.datalen, &d->path.remote,
                        INITIAL_IN_LINE);
}

/* Between the line's end and its front nothing is decided again but what may have changed. */
static void admit_one(struct rn_quic *q, const struct admit_entry *e) {
  const struct rn_dgram d = { .data = e->bytes, .len = e->len, .ecn = e->ecn, .path = e->path };
  struct initial in = { .odcid = e->odcid, .token = e->token };
  uint32_t slot;
  if (ngtcp2_accept(&in.hd, d.data, d.len) != 0)
    return; /* it was one when it came */
  struct rn_quic_conn *c = NULL;
  bool known =
      rn_cidmap_get(q->initials, in.hd.dcid.data, in.hd.dcid.datalen, &d.path.remote, &slot);
  if (known && slot != INITIAL_IN_LINE) {
    c = &q->conns[slot]; /* another datagram of its first flight was before it */
  } else {
    c = start_conn(q, &in, &d.path);
    if (c == NULL)
      rn_cidmap_del(q->initials, in.hd.dcid.data, in.hd.dcid.datalen, &d.path.remote);
  }
  if (c != NULL && c->ng != NULL)
    conn_read(c, &d);
}

void admit_next(struct rn_quic *q) {
  struct admit *a = q->admit;
  for (unsigned i = 0; i < ADMIT_PER_TURN && a->tail != a->head; i++)
    admit_one(q, &a->entries[a->tail++ % RN_QUIC_ADMIT_QUEUE]);
}
