/* tests/harness/net.c */
#include "harness/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_MAX 65536
#define LOG_MAX   64

struct flying {
  uint64_t at_ns, order;
  struct rn_path path; /* as the receiver sees it */
  struct net_host *to;
  uint32_t len;
  uint8_t ecn;
  uint8_t bytes[NET_DGRAM_MAX];
};

struct log_line {
  uint64_t now_ns;
  uint32_t from, len;
  uint8_t first;
  char fate;
};

struct net {
  uint64_t now_ns, order, digest;
  struct rn_rng rng;
  struct net_host hosts[NET_HOSTS_MAX];
  uint32_t host_count;
  struct flying **heap; /* binary heap by (at_ns, order) */
  uint32_t heap_count;
  struct flying *open; /* reserved by an endpoint, not committed */
  struct net_host *sender;
  struct log_line log[LOG_MAX];
  uint64_t log_count;
};

struct net *net_new(uint64_t seed) {
  struct net *n = calloc(1, sizeof(*n));
  n->now_ns = 1000000000; /* not 0: a timestamp of 0 hides mistakes */
  n->heap = calloc(QUEUE_MAX, sizeof(*n->heap));
  n->digest = 0xcbf29ce484222325u;
  rn_rng_init(&n->rng, seed);
  return n;
}

void net_free(struct net *n) {
  for (uint32_t i = 0; i < n->heap_count; i++)
    free(n->heap[i]);
  free(n->open);
  free(n->heap);
  free(n);
}

uint64_t net_now(const struct net *n) { return n->now_ns; }
struct rn_rng *net_rng(struct net *n) { return &n->rng; }
uint64_t net_digest(const struct net *n) { return n->digest; }

struct net_host *net_add(struct net *n, struct rn_quic *q, const struct rn_addr *addr) {
  struct net_host *h = &n->hosts[n->host_count++];
  *h = (struct net_host){ .q = q, .addr = *addr };
  return h;
}

/* ---- heap ---- */

static bool before(const struct flying *a, const struct flying *b) {
  return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static bool heap_push(struct net *n, struct flying *f) {
  if (n->heap_count == QUEUE_MAX)
    return false;
  uint32_t i = n->heap_count++;
  while (i > 0 && before(f, n->heap[(i - 1) / 2])) {
    n->heap[i] = n->heap[(i - 1) / 2];
    i = (i - 1) / 2;
  }
  n->heap[i] = f;
  return true;
}

static struct flying *heap_pop(struct net *n) {
  struct flying *top = n->heap[0], *f = n->heap[--n->heap_count];
  uint32_t i = 0;
  for (;;) {
    uint32_t kid = 2 * i + 1;
    if (kid >= n->heap_count)
      break;
    if (kid + 1 < n->heap_count && before(n->heap[kid + 1], n->heap[kid]))
      kid++;
    if (!before(n->heap[kid], f))
      break;
    n->heap[i] = n->heap[kid];
    i = kid;
  }
  n->heap[i] = f;
  return top;
}

/* ---- links ---- */

static void note(struct net *n, const struct flying *f, char fate) {
  n->log[n->log_count++ % LOG_MAX] = (struct log_line){ .now_ns = n->now_ns,
                                                        .from = (uint32_t)(n->sender - n->hosts),
                                                        .len = f->len,
                                                        .first = f->bytes[0],
                                                        .fate = fate };
  for (uint32_t i = 0; i < f->len; i++)
    n->digest = (n->digest ^ f->bytes[i]) * 0x100000001b3u;
  n->digest = (n->digest ^ n->now_ns ^ (uint64_t)fate) * 0x100000001b3u;
}

static double uniform(struct net *n) {
  return (double)(rn_rng_next(&n->rng) >> 11) / 9007199254740992.0;
}

/* What the script says of the datagram that is sent next. */
static char scripted(const struct net_link *l) {
  return l->fate != NULL && l->sent < strlen(l->fate) ? l->fate[l->sent] : '.';
}

static bool is_lost(struct net *n, struct net_link *l) {
  uint64_t i = l->sent++;
  if (n->now_ns >= l->black_from_ns && n->now_ns < l->black_until_ns)
    return true;
  if (i < l->loss_bits_count && (l->loss_bits[i / 8] >> (i % 8) & 1) != 0)
    return true;
  return l->loss > 0 && uniform(n) < l->loss;
}

/* When a datagram of len bytes arrives, or UINT64_MAX: the queue was full. */
static uint64_t arrival(struct net *n, struct net_link *l, uint32_t len) {
  uint64_t at = n->now_ns;
  if (l->rate_bytes_s != 0) {
    uint64_t start = l->free_ns > at ? l->free_ns : at;
    if (start - at > l->queue_ns)
      return UINT64_MAX;
    l->free_ns = start + len * UINT64_C(1000000000) / l->rate_bytes_s;
    at = l->free_ns;
  }
  at += l->delay_ns;
  if (l->jitter_ns != 0)
    at += rn_rng_next(&n->rng) % l->jitter_ns;
  return at;
}

static void fly(struct net *n, struct flying *f) {
  struct net_link *l = &n->sender->link;
  char fate = scripted(l);
  l->bytes += f->len;
  if (is_lost(n, l) || fate == 'x' || (f->at_ns = arrival(n, l, f->len)) == UINT64_MAX) {
    l->lost++;
    note(n, f, 'x');
    free(f);
    return;
  }
  if (l->corrupt > 0 && uniform(n) < l->corrupt) {
    f->bytes[rn_rng_next(&n->rng) % f->len] ^= (uint8_t)(1u << (rn_rng_next(&n->rng) % 8));
    note(n, f, '~');
  } else {
    note(n, f, '>');
  }
  if (fate == 'l')
    f->at_ns += l->late_ns;
  if (fate == '2' || (l->duplicate > 0 && uniform(n) < l->duplicate)) {
    struct flying *twin = malloc(sizeof(*twin));
    *twin = *f;
    twin->order = n->order++;
    twin->at_ns += 1000;
    if (!heap_push(n, twin))
      free(twin);
  }
  f->order = n->order++;
  if (!heap_push(n, f))
    free(f);
}

static uint8_t *sink_reserve(void *ctx, size_t cap) {
  struct net *n = ctx;
  if (cap > NET_DGRAM_MAX)
    return NULL;
  n->open = malloc(sizeof(*n->open));
  return n->open->bytes;
}

static void sink_commit(void *ctx, const struct rn_path *path, uint8_t ecn, size_t len) {
  struct net *n = ctx;
  struct flying *f = n->open;
  n->open = NULL;
  struct net_host *to = NULL;
  for (uint32_t i = 0; i < n->host_count; i++) {
    if (memcmp(n->hosts[i].addr.ip, path->remote.ip, 16) == 0)
      to = &n->hosts[i];
  }
  if (len == 0 || to == NULL || (to->open_port != 0 && path->remote.port != to->open_port)) {
    free(f);
    return;
  }
  f->path = (struct rn_path){ .local = path->remote, .remote = path->local };
  n->sender->own_port = path->local.port;
  if (n->sender->nat)
    f->path.remote.port = n->sender->open_port;
  if (to->nat)
    f->path.local.port = to->own_port;
  f->to = to;
  f->len = (uint32_t)len;
  f->ecn = ecn;
  fly(n, f);
}

/* ---- running ---- */

static void send_all(struct net *n) {
  const struct rn_quic_sink sink = { .reserve = sink_reserve, .commit = sink_commit, .ctx = n };
  for (uint32_t i = 0; i < n->host_count; i++) {
    n->sender = &n->hosts[i];
    rn_quic_tx(n->sender->q, n->now_ns, &sink);
  }
}

static uint64_t next_event(const struct net *n) {
  uint64_t at = n->heap_count > 0 ? n->heap[0]->at_ns : UINT64_MAX;
  for (uint32_t i = 0; i < n->host_count; i++) {
    uint64_t t = rn_quic_next_expiry(n->hosts[i].q);
    at = t < at ? t : at;
  }
  return at < n->now_ns ? n->now_ns : at;
}

static void check_all(const struct net *n) {
  for (uint32_t i = 0; i < n->host_count; i++) {
    if (rn_quic_check(n->hosts[i].q) != RN_OK) {
      net_transcript(n);
      abort();
    }
  }
}

bool net_run(struct net *n, uint64_t until_ns, bool (*done)(void *arg), void *arg) {
  for (;;) {
    send_all(n);
    check_all(n);
    if (done != NULL && done(arg))
      return true;
    uint64_t at = next_event(n);
    if (at > until_ns) {
      n->now_ns = until_ns > n->now_ns ? until_ns : n->now_ns;
      return false;
    }
    n->now_ns = at > n->now_ns ? at : n->now_ns;
    while (n->heap_count > 0 && n->heap[0]->at_ns <= n->now_ns) {
      struct flying *f = heap_pop(n);
      struct rn_dgram d = { .data = f->bytes, .len = f->len, .ecn = f->ecn, .path = f->path };
      rn_quic_rx(f->to->q, n->now_ns, &d, 1);
      free(f);
    }
    for (uint32_t i = 0; i < n->host_count; i++) {
      if (rn_quic_next_expiry(n->hosts[i].q) <= n->now_ns)
        rn_quic_timers(n->hosts[i].q, n->now_ns);
    }
    /* A timer wheel works in ticks: without this an expiry within the current tick would not move time. */
    if (n->heap_count == 0 || n->heap[0]->at_ns > n->now_ns)
      n->now_ns += 1000;
  }
}

void net_transcript(const struct net *n) {
  uint64_t from = n->log_count > LOG_MAX ? n->log_count - LOG_MAX : 0;
  for (uint64_t i = from; i < n->log_count; i++) {
    const struct log_line *l = &n->log[i % LOG_MAX];
    fprintf(stderr, "%12.6f ms host %u %c %5u B first 0x%02x\n", (double)l->now_ns / 1e6, l->from,
            l->fate, l->len, l->first);
  }
}
