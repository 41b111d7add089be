/* tests/harness/net.c */
#include "harness/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/transcript.h"

#define QUEUE_MAX      65536
#define NAT_PORT_FIRST 20000

struct flying {
  uint64_t at_ns, order;
  struct rn_path path; /* as the receiver sees it */
  struct net_host *to;
  uint32_t len;
  uint8_t ecn;
  uint8_t bytes[NET_DGRAM_MAX + LINK_GROWTH_MAX];
};

struct net {
  uint64_t now_ns, order;
  struct rn_rng rng;
  struct net_host hosts[NET_HOSTS_MAX];
  uint32_t host_count;
  struct flying **heap; /* binary heap by (at_ns, order) */
  uint32_t heap_count;
  struct flying *open; /* reserved by an endpoint, not committed */
  struct net_host *sender;
  const struct net_host *at_work;
  struct transcript *log;
  char replay[256];
};

struct net *net_new(uint64_t seed) {
  struct net *n = calloc(1, sizeof(*n));
  n->now_ns = 1000000000; /* not 0: a timestamp of 0 hides mistakes */
  n->heap = calloc(QUEUE_MAX, sizeof(*n->heap));
  n->log = transcript_new();
  rn_rng_init(&n->rng, seed);
  return n;
}

void net_free(struct net *n) {
  for (uint32_t i = 0; i < n->heap_count; i++)
    free(n->heap[i]);
  free(n->open);
  free(n->heap);
  transcript_free(n->log);
  free(n);
}

uint64_t net_now(const struct net *n) { return n->now_ns; }
struct rn_rng *net_rng(struct net *n) { return &n->rng; }
const struct net_host *net_at_work(const struct net *n) { return n->at_work; }
uint64_t net_digest(const struct net *n) { return transcript_digest(n->log); }
uint64_t net_lines(const struct net *n) { return transcript_lines(n->log); }

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

/* ---- addresses ---- */

static int number_of(const struct net *n, const struct net_host *h) {
  return h != NULL ? (int)(h - n->hosts) : -1;
}

/* What others see of the host's address. */
static struct rn_addr outside(const struct net_host *h) {
  struct rn_addr a = h->addr;
  if (h->open_ip != 0)
    a.ip[3] = h->open_ip;
  return a;
}

void net_rebind(struct net *n, struct net_host *h, bool new_ip) {
  h->nat = true;
  h->open_port = (uint16_t)(NAT_PORT_FIRST + ++h->rebindings);
  if (new_ip)
    h->open_ip = (uint8_t)(100 + h->rebindings % 100);
  net_event(n, h, "rebound", h->open_ip, h->open_port);
}

static struct net_host *find_host(struct net *n, const struct rn_addr *to) {
  for (uint32_t i = 0; i < n->host_count; i++) {
    struct net_host *h = &n->hosts[i];
    struct rn_addr at = outside(h);
    if (memcmp(at.ip, to->ip, 16) == 0)
      return h->open_port == 0 || to->port == h->open_port ? h : NULL;
  }
  return NULL;
}

/* ---- sending ---- */

static void push(struct net *n, struct flying *f, uint64_t at_ns) {
  f->at_ns = at_ns;
  f->order = n->order++;
  if (!heap_push(n, f))
    free(f);
}

static void fly(struct net *n, struct flying *f) {
  struct transcript_dgram line = { .now_ns = n->now_ns,
                                   .from = number_of(n, n->sender),
                                   .to = number_of(n, f->to),
                                   .verdict = LINK_NOWHERE };
  transcript_kinds(f->bytes, f->len, line.kinds);
  struct link_fate fate = { .verdict = LINK_NOWHERE };
  if (f->to != NULL)
    fate = link_send(&n->sender->link, &n->rng, n->now_ns, f->bytes, &f->len);
  line.verdict = (char)fate.verdict;
  line.at_ns = fate.at_ns * fate.arrives;
  line.len = f->len;
  transcript_sent(n->log, &line, f->bytes);
  if (!fate.arrives) {
    free(f);
    return;
  }
  if (fate.twice) {
    struct flying *twin = malloc(sizeof(*twin));
    *twin = *f;
    push(n, twin, fate.at_ns + 1000);
  }
  push(n, f, fate.at_ns);
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
  struct net_host *from = n->sender;
  n->open = NULL;
  if (len == 0) {
    free(f);
    return;
  }
  f->to = find_host(n, &path->remote);
  f->path = (struct rn_path){ .local = path->remote, .remote = path->local };
  from->own_port = path->local.port;
  if (from->nat)
    f->path.remote.port = from->open_port;
  if (from->open_ip != 0)
    f->path.remote.ip[3] = from->open_ip;
  if (f->to != NULL && f->to->nat) { /* inside the NAT nothing has changed */
    f->path.local = f->to->addr;
    f->path.local.port = f->to->own_port;
  }
  f->len = (uint32_t)len;
  f->ecn = ecn;
  fly(n, f);
}

/* ---- the transcript ---- */

void net_event(struct net *n, const struct net_host *h, const char *what, int64_t id,
               uint64_t value) {
  transcript_event(n->log, n->now_ns, number_of(n, h), what, id, value);
}

void net_set_replay(struct net *n, const char *command) {
  snprintf(n->replay, sizeof(n->replay), "%s", command);
}

void net_transcript(const struct net *n) {
  transcript_print(n->log, stderr);
  if (n->replay[0] != '\0')
    fprintf(stderr, "again: %s\n", n->replay);
}

/* ---- running ---- */

static void send_all(struct net *n) {
  const struct rn_quic_sink sink = { .reserve = sink_reserve, .commit = sink_commit, .ctx = n };
  for (uint32_t i = 0; i < n->host_count; i++) {
    n->at_work = n->sender = &n->hosts[i];
    rn_quic_tx(n->sender->q, n->now_ns, &sink);
  }
  n->at_work = NULL;
}

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t layer_expiry(const struct net_host *h) {
  return h->layer.next_expiry != NULL ? h->layer.next_expiry(h->layer.ctx) : UINT64_MAX;
}

static uint64_t next_event(const struct net *n) {
  uint64_t at = n->heap_count > 0 ? n->heap[0]->at_ns : UINT64_MAX;
  for (uint32_t i = 0; i < n->host_count; i++) {
    const struct net_host *h = &n->hosts[i];
    at = earlier(at, earlier(rn_quic_next_expiry(h->q), layer_expiry(h)));
    if (h->rebind_every_ns != 0)
      at = earlier(at, h->rebind_at_ns);
  }
  return at < n->now_ns ? n->now_ns : at;
}

static void check_all(const struct net *n) {
  for (uint32_t i = 0; i < n->host_count; i++) {
    const struct net_host *h = &n->hosts[i];
    if (rn_quic_check(h->q) == RN_OK && (h->layer.check == NULL || h->layer.check(h->layer.ctx)))
      continue;
    net_transcript(n);
    fprintf(stderr, "an invariant of host %u is broken\n", i);
    abort();
  }
}

static void receive_due(struct net *n) {
  while (n->heap_count > 0 && n->heap[0]->at_ns <= n->now_ns) {
    struct flying *f = heap_pop(n);
    struct rn_dgram d = { .data = f->bytes, .len = f->len, .ecn = f->ecn, .path = f->path };
    n->at_work = f->to;
    rn_quic_rx(f->to->q, n->now_ns, &d, 1);
    n->at_work = NULL;
    free(f);
  }
}

static void fire_due(struct net *n, struct net_host *h) {
  n->at_work = h;
  if (rn_quic_next_expiry(h->q) <= n->now_ns)
    rn_quic_timers(h->q, n->now_ns);
  if (layer_expiry(h) <= n->now_ns)
    h->layer.timers(h->layer.ctx, n->now_ns);
  n->at_work = NULL;
  if (h->rebind_every_ns != 0 && h->rebind_at_ns <= n->now_ns) {
    net_rebind(n, h, h->rebind_ip);
    h->rebind_at_ns = n->now_ns + h->rebind_every_ns;
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
    receive_due(n);
    for (uint32_t i = 0; i < n->host_count; i++)
      fire_due(n, &n->hosts[i]);
    /* A timer wheel works in ticks: without this an expiry within the current tick would not move time. */
    if (n->heap_count == 0 || n->heap[0]->at_ns > n->now_ns)
      n->now_ns += 1000;
  }
}
