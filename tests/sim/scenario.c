/* tests/sim/scenario.c */
#include "scenario.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calls.h"
#include "harness/fixed.h"
#include "harness/rpc_peer.h"
#include "util/err.h"

/* The link that all scenarios share: a packet in flight or eight, so that the link and not the congestion window is the limit. */
#define RATE_BYTES_S UINT64_C(500000)
#define QUEUE_NS     (60 * MS)
#define DELAY_NS     (10 * MS)

/* Whoever waits behind a NAT that forgets has to speak now and then: what the server sends to the old address is lost. */
#define KEEP_ALIVE_NS (100 * MS)

#define HANDSHAKE_NS (120000 * MS)
#define RECOVERY_NS  (1000 * MS)
#define CLOSE_NS     (300000 * MS)

const char *const role_names[ROLES] = { "client", "server" };

static struct pki *pki;
static struct rn_quic_tls *tls[ROLES];

struct world {
  const struct scenario *sc;
  enum role role;
  uint64_t seed;
  bool lossless;
  struct net *net;
  struct rpc_peer peers[ROLES];
  struct calls *calls;
};

void scenario_setup(void) {
  fixed_seed(0);
  pki = pki_new(PKI_P256);
  tls[ROLE_CLIENT] = peer_tls(NULL, pki, NULL);
  tls[ROLE_SERVER] = peer_tls(pki, NULL, NULL);
}

void scenario_teardown(void) {
  rn_quic_tls_free(tls[ROLE_CLIENT]);
  rn_quic_tls_free(tls[ROLE_SERVER]);
  pki_free(pki);
}

static _Noreturn void failed(const struct world *w, const char *why) {
  const struct rn_quic_close *c = &w->peers[ROLE_CLIENT].base.why,
                             *s = &w->peers[ROLE_SERVER].base.why;
  net_transcript(w->net);
  fprintf(stderr, "client closed %u (kind %u, code %" PRIu64 "), ",
          w->peers[ROLE_CLIENT].base.closed, (unsigned)c->kind, c->code);
  fprintf(stderr, "server closed %u (kind %u, code %" PRIu64 ")\n",
          w->peers[ROLE_SERVER].base.closed, (unsigned)s->kind, s->code);
  scenario_fail(w->sc, w->role, w->seed, why);
}

void scenario_fail(const struct scenario *sc, enum role role, uint64_t seed, const char *why) {
  fflush(stdout);
  fprintf(stderr, "not ok %s, role %s, seed=%" PRIu64 ": %s\n", sc->name, role_names[role], seed,
          why);
  _exit(1); /* no search for leaks: nothing was released */
}

static void must(const struct world *w, bool ok, const char *why) {
  if (!ok)
    failed(w, why);
}

/* ---- the network ---- */

static struct net_link clean_link(const struct scenario *sc) {
  return (struct net_link){ .delay_ns = sc->delay_ns != 0 ? sc->delay_ns : DELAY_NS,
                            .rate_bytes_s = RATE_BYTES_S,
                            .queue_ns = QUEUE_NS };
}

static bool is_hit(const struct world *w, enum role side) {
  return !w->lossless && (side == w->role || w->seed % 2 == 0);
}

static void set_link(struct world *w, enum role side, double loss) {
  struct net_link *l = &w->peers[side].host->link;
  const struct net_link *t = &w->sc->trouble;
  if (!is_hit(w, side))
    return;
  l->loss = loss;
  l->duplicate = t->duplicate;
  l->corrupt = t->corrupt;
  l->jitter_ns = t->jitter_ns;
  l->late = t->late;
  l->late_ns = t->late_ns;
}

/* Somewhere in the first half second of calls. */
static void dig_hole(struct world *w) {
  uint64_t from = net_now(w->net) + rn_rng_below(net_rng(w->net), 500 * MS);
  const struct net_hole hole = { from, from + w->sc->hole_ns };
  for (enum role side = 0; side < ROLES; side++) {
    if (is_hit(w, side))
      w->peers[side].host->link.holes[0] = hole;
    /* A hole for one is a hole for the acknowledgements of the other: both fall silent. */
    w->peers[side].watch_from_ns = hole.until_ns;
  }
}

static void start_trouble(struct world *w) {
  for (enum role side = 0; side < ROLES; side++)
    set_link(w, side, w->sc->trouble.loss);
  if (w->sc->hole_ns != 0 && !w->lossless)
    dig_hole(w);
}

static bool confirmed(void *arg) {
  const struct world *w = arg;
  return rn_quic_conn_is_confirmed(w->peers[ROLE_CLIENT].base.conn);
}

/* Calls are on their way. Before its handshake is confirmed no client survives another address: it sends Handshake packets, which the server has
 * forgotten how to read, and RFC 9002 section 6.2.1 lets it probe with no others. */
static void start_rebinding(struct world *w) {
  struct net_host *client = w->peers[ROLE_CLIENT].host;
  if (w->sc->rebind_ns == 0 || w->lossless)
    return;
  must(w, net_run(w->net, net_now(w->net) + w->sc->limit_ns, confirmed, w),
       "the handshake was not confirmed");
  client->rebind_every_ns = w->sc->rebind_ns;
  client->rebind_at_ns = net_now(w->net) + rn_rng_below(net_rng(w->net), w->sc->rebind_ns);
  client->rebind_ip = w->role == ROLE_SERVER;
}

/* ---- one run ---- */

static void begin(struct world *w) {
  static const struct rn_addr addrs[ROLES] = {
    { .ip = { 10, 0, 0, 1 }, .port = 4000, .family = 4 },
    { .ip = { 10, 0, 0, 2 }, .port = 8080, .family = 4 },
  };
  char replay[256];
  uint64_t seed = w->seed * ROLES + w->role;
  fixed_seed(seed);
  w->net = net_new(seed);
  snprintf(replay, sizeof(replay), "tests/sim/test_rpc --scenario %s --role %s --seed %" PRIu64,
           w->sc->name, role_names[w->role], w->seed);
  net_set_replay(w->net, replay);
  for (enum role side = 0; side < ROLES; side++) {
    struct rpc_peer *p = &w->peers[side];
    rpc_peer_prepare(p, side == ROLE_SERVER ? pki : NULL, seed * ROLES + side);
    p->base.params.config.handshake_timeout_ns = HANDSHAKE_NS;
    p->base.params.config.idle_timeout_ns = HANDSHAKE_NS;
    if (side == ROLE_CLIENT && w->sc->rebind_ns != 0)
      p->base.params.config.keep_alive_ns = KEEP_ALIVE_NS;
    rpc_peer_start(p, tls[side], w->net, &addrs[side]);
    p->host->link = clean_link(w->sc);
    set_link(w, side, w->sc->handshake_loss != 0 ? w->sc->handshake_loss : w->sc->trouble.loss);
  }
  struct rn_quic_conn *c;
  const struct rn_path path = { addrs[ROLE_CLIENT], addrs[ROLE_SERVER] };
  int err = rn_quic_connect(w->peers[ROLE_CLIENT].base.q, net_now(w->net), &path, "localhost", &c);
  must(w, err == RN_OK, "the client cannot dial");
}

/* Of whoever took longer. */
static uint64_t recovery(const struct world *w) {
  uint64_t longest_ns = 0;
  for (enum role side = 0; side < ROLES; side++) {
    const struct rpc_peer *p = &w->peers[side];
    if (p->watch_from_ns == 0)
      continue;
    must(w, p->data_at_ns != 0, "nothing got through after the hole");
    uint64_t ns = p->data_at_ns - p->watch_from_ns;
    longest_ns = ns > longest_ns ? ns : longest_ns;
  }
  bool bounded = w->sc->rebind_ns == 0 && w->sc->trouble.loss == 0;
  must(w, !bounded || longest_ns <= w->sc->hole_ns + RECOVERY_NS,
       "recovery took longer than the hole");
  return longest_ns;
}

static bool both_ready(void *arg) {
  const struct world *w = arg;
  return w->peers[ROLE_CLIENT].base.ready == 1 && w->peers[ROLE_SERVER].base.ready == 1;
}

static bool calls_ended(void *arg) { return calls_over(((const struct world *)arg)->calls); }

static bool no_streams(void *arg) {
  const struct world *w = arg;
  return rn_quic_stats(w->peers[ROLE_CLIENT].base.q)->streams == 0 &&
         rn_quic_stats(w->peers[ROLE_SERVER].base.q)->streams == 0;
}

static bool no_conns(void *arg) {
  const struct world *w = arg;
  return rn_quic_stats(w->peers[ROLE_CLIENT].base.q)->conns == 0 &&
         rn_quic_stats(w->peers[ROLE_SERVER].base.q)->conns == 0;
}

static void transfer(struct world *w, struct run *r) {
  uint64_t from = net_now(w->net);
  start_trouble(w);
  calls_start(w->calls);
  start_rebinding(w);
  must(w, net_run(w->net, from + w->sc->limit_ns + w->sc->hole_ns, calls_ended, w),
       "not every call ended in time");
  const struct calls_result *res = calls_result(w->calls);
  must(w, res->done == CALLS_COUNT, res->why_text);
  r->transfer_ns = net_now(w->net) - from;
  r->bytes = res->bytes;
  r->recovery_ns = recovery(w);
  uint64_t silent = w->lossless ? 0 : w->sc->hole_ns + r->recovery_ns;
  must(w, r->transfer_ns > silent, "the transfer was over before the hole");
  uint64_t used = r->transfer_ns - silent;
  r->goodput = (double)r->bytes * 1e9 / (double)used;
}

static void hang_up(struct world *w) {
  must(w, net_run(w->net, net_now(w->net) + CLOSE_NS, no_streams, w), "streams are left over");
  /* A damaged Initial may have begun another connection at the server, and ended it. */
  must(w, w->peers[ROLE_CLIENT].base.conn != NULL && w->peers[ROLE_SERVER].base.conn != NULL,
       "the connection ended by itself");
  rn_quic_conn_close(w->peers[ROLE_CLIENT].base.conn, 0);
  must(w, net_run(w->net, net_now(w->net) + CLOSE_NS, no_conns, w), "a connection is left over");
  for (enum role side = 0; side < ROLES; side++)
    must(w, rpc_peer_is_clean(&w->peers[side]), "a pool has not got back what was taken");
}

struct run scenario_run(const struct scenario *sc, enum role role, uint64_t seed, bool lossless) {
  struct world w = { .sc = sc, .role = role, .seed = seed, .lossless = lossless };
  struct run r = { 0 };
  begin(&w);
  uint64_t from = net_now(w.net);
  w.calls = calls_new(&w.peers[ROLE_CLIENT], seed, 0);
  must(&w, net_run(w.net, from + HANDSHAKE_NS, both_ready, &w), "the handshake did not complete");
  r.handshake_ns = net_now(w.net) - from;
  transfer(&w, &r);
  hang_up(&w);
  for (enum role side = 0; side < ROLES; side++) {
    r.datagrams += w.peers[side].host->link.sent;
    r.hit += w.peers[side].host->link.lost;
    rpc_peer_stop(&w.peers[side]);
  }
  r.digest = net_digest(w.net);
  r.lines = net_lines(w.net);
  calls_free(w.calls);
  net_free(w.net);
  return r;
}
