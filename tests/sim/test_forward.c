/* A client, a director and three workers on lossy links: calls of every kind come back byte by byte, whatever happens to workers, and nothing is left
 * over anywhere. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "calls.h"
#include "harness/director.h"
#include "harness/fixed.h"
#include "harness/rpc_peer.h"
#include "seeds.h"
#include "util/err.h"
#include "util/refuse.h"

#define MS             UINT64_C(1000000)
#define WORKERS        3u
#define SEEDS          60u
#define REPLAY_EVERY   10u
#define LIMIT_NS       (120000 * MS)
#define RESET_EVERY_NS (800 * MS) /* no call is long enough to meet all three workers so */

enum trouble {
  NONE,
  UNREACHABLE, /* nobody is at one worker's address */
  BLACKHOLE,   /* one worker can be heard of no more, from some moment on */
  RESETS,      /* workers close all their connections, again and again */
  GONE,        /* the client closes its connection in the midst of it */
  STARVED,     /* pools of the director refuse takes */
};

static const struct scenario {
  const char *name;
  enum trouble trouble;
  bool idempotent, hedged;
} scenarios[] = {
  { "loss", NONE, false, false },
  { "hedged", NONE, true, true },
  { "unreachable", UNREACHABLE, false, false },
  { "blackhole", BLACKHOLE, true, false },
  { "blackhole_once", BLACKHOLE, false, false },
  { "resets", RESETS, true, false },
  { "resets_once", RESETS, false, false },
  { "hedged_resets", RESETS, true, true },
  { "gone", GONE, true, true },
  { "starved", STARVED, true, true },
};
#define SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

static struct pki *pki;
static struct rn_quic_tls *accept_tls, *dial_tls;

struct world {
  const struct scenario *sc;
  uint64_t seed;
  struct net *net;
  struct rpc_peer client, workers[WORKERS];
  struct director dir;
  struct calls *calls;
  uint32_t victim;
  uint64_t at_ns; /* of the trouble */
  uint32_t resets;
};

struct outcome {
  struct calls_result res;
  uint64_t digest, lines, took_ns, retries, refused;
};

/* ---- failures ---- */

static _Noreturn void fail(const struct world *w, const char *why) {
  const struct rn_forward_stats *st = rn_forward_stats(w->dir.forward);
  net_transcript(w->net);
  fprintf(stderr, "streams: client %" PRIu64 ", director %" PRIu64,
          rn_quic_stats(w->client.base.q)->streams, rn_quic_stats(w->dir.base.q)->streams);
  for (uint32_t i = 0; i < WORKERS; i++)
    fprintf(stderr, ", worker %" PRIu64, rn_quic_stats(w->workers[i].base.q)->streams);
  fprintf(stderr,
          "\nin flight %" PRIu64 ", errors %" PRIu64 ": no worker %" PRIu64 ", broken %" PRIu64
          ", begun %" PRIu64 ", overload %" PRIu64 "\n",
          st->in_flight, st->errors, st->errors_no_worker, st->errors_broken, st->errors_begun,
          st->errors_overload);
  fflush(stdout);
  fprintf(stderr, "not ok %s, seed=%" PRIu64 ": %s\n", w->sc->name, w->seed, why);
  _exit(1); /* no search for leaks: nothing was released */
}

static void must(const struct world *w, bool ok, const char *why) {
  if (!ok)
    fail(w, why);
}

/* ---- begin ---- */

static struct rn_addr addr(unsigned int last, uint16_t port) {
  return (struct rn_addr){ .family = 4, .ip = { 10, 0, 0, (uint8_t)last }, .port = port };
}

static void set_routes(struct world *w) {
  struct rn_forward_route r = { .idempotent = w->sc->idempotent,
                                .tries = WORKERS,
                                .timeout_ns = 60000 * MS,
                                .try_timeout_ns = w->sc->trouble == BLACKHOLE ? 2000 * MS : 0,
                                .hedge_ns = w->sc->hedged ? 60 * MS : 0 };
  if (w->sc->trouble == STARVED)
    r.timeout_ns = 3000 * MS;
  w->dir.routes[0] = (struct director_route){ "", r };
}

static void prepare(struct world *w) {
  rpc_peer_prepare(&w->client, NULL, w->seed * 8);
  director_prepare(&w->dir, pki, w->seed * 8 + 1);
  struct rn_pool_config *pool = &w->dir.pool_params.config;
  pool->keep_alive_ns = 300 * MS;
  pool->silence_ns = 1500 * MS;
  pool->conns_per_peer = 1 + w->seed % 2;
  pool->streams_per_conn = w->seed % 4 < 2 ? 0 : 3;
  w->dir.base.params.config.own_stream_window = 32768;
  w->dir.forward_params.config.replay_bytes = 200000; /* the largest request */
  set_routes(w);
  for (uint32_t i = 0; i < WORKERS; i++) {
    rpc_peer_prepare(&w->workers[i], pki, w->seed * 8 + 2 + i);
    w->workers[i].base.params.config.idle_timeout_ns = 5000 * MS;
    w->workers[i].base.params.config.max_streams_bidi = w->seed % 3 == 0 ? 2 : 256;
    w->dir.workers[i] = (struct director_worker){ .addr = addr(11 + i, 8080), .there = true };
  }
  w->victim = (uint32_t)(w->seed % WORKERS);
  if (w->sc->trouble == UNREACHABLE)
    w->dir.workers[w->victim].addr = addr(99, 8080);
}

static void set_link(struct net_host *h) {
  h->link = (struct net_link){ .delay_ns = 5 * MS, .jitter_ns = MS, .loss = 0.02 };
}

static bool is_ready(void *arg) { return ((struct world *)arg)->client.base.ready == 1; }

static void begin(struct world *w) {
  const struct rn_path path = { .local = addr(1, 4000), .remote = addr(2, 8080) };
  char replay[128];
  struct rn_quic_conn *c;
  fixed_seed(w->seed);
  w->net = net_new(w->seed);
  snprintf(replay, sizeof(replay), "tests/sim/test_forward --scenario %s --seed %" PRIu64,
           w->sc->name, w->seed);
  net_set_replay(w->net, replay);
  prepare(w);
  rpc_peer_start(&w->client, dial_tls, w->net, &path.local);
  director_start(&w->dir, accept_tls, dial_tls, w->net, &path.remote);
  set_link(w->client.host);
  set_link(w->dir.host);
  for (uint32_t i = 0; i < WORKERS; i++) {
    const struct rn_addr at = addr(11 + i, 8080);
    rpc_peer_start(&w->workers[i], accept_tls, w->net, &at);
    set_link(w->workers[i].host);
  }
  must(w, rn_quic_connect(w->client.base.q, net_now(w->net), &path, "localhost", &c) == RN_OK,
       "the client cannot dial");
  must(w, net_run(w->net, net_now(w->net) + 10000 * MS, is_ready, w), "no handshake");
}

/* ---- trouble ---- */

static uint64_t starve(struct world *w, bool on) {
  uint32_t n = on ? 3 + (uint32_t)(w->seed % 17) : 0;
  uint64_t sum = rn_forward_fail_calls(w->dir.forward, n) +
                 rn_forward_fail_buffers(w->dir.forward, n) + rn_pool_fail_conns(w->dir.pool, n) +
                 rn_pool_fail_peers(w->dir.pool, n);
  sum += rn_quic_fail_every(w->dir.base.q, RN_QUIC_POOL_STREAMS, n);
  sum += rn_quic_fail_every(w->dir.base.q, RN_QUIC_POOL_SEGS, n);
  return sum + rn_quic_fail_every(w->dir.base.q, RN_QUIC_POOL_BULK_SEGS, n);
}

static void reset_worker(struct world *w) {
  uint32_t i = (w->victim + w->resets++) % WORKERS;
  net_event(w->net, NULL, "reset", i, w->resets);
  rn_quic_close_all(w->workers[i].base.q, net_now(w->net), 7);
}

static void make_trouble(struct world *w) {
  net_event(w->net, NULL, "trouble", w->victim, 0);
  switch (w->sc->trouble) {
  case BLACKHOLE:
    w->workers[w->victim].host->link.holes[0] = (struct net_hole){ net_now(w->net), UINT64_MAX };
    break;
  case RESETS:
    reset_worker(w);
    break;
  case GONE:
    rn_quic_close_all(w->client.base.q, net_now(w->net), 0);
    break;
  default:
    break;
  }
}

/* ---- one run ---- */

static bool calls_ended(void *arg) { return calls_over(((const struct world *)arg)->calls); }

static void run_calls(struct world *w, struct outcome *out) {
  uint64_t from = net_now(w->net);
  w->calls = calls_new(&w->client, w->seed, 0);
  if (w->sc->trouble == STARVED)
    starve(w, true);
  calls_start(w->calls);
  w->at_ns = from + rn_rng_below(net_rng(w->net), 400 * MS);
  bool over = net_run(w->net, w->at_ns, calls_ended, w);
  if (!over)
    make_trouble(w);
  while (!over && w->sc->trouble == RESETS && net_now(w->net) < from + LIMIT_NS) {
    over = net_run(w->net, net_now(w->net) + RESET_EVERY_NS, calls_ended, w);
    if (!over)
      reset_worker(w);
  }
  must(w, over || net_run(w->net, from + LIMIT_NS, calls_ended, w), "not every call ended");
  out->took_ns = net_now(w->net) - from;
  if (w->sc->trouble == STARVED)
    out->refused = starve(w, false);
}

static uint32_t tries_lost(const struct world *w) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < WORKERS; i++)
    n += w->dir.workers[i].ended[RN_FORWARD_BROKEN] + w->dir.workers[i].ended[RN_FORWARD_LATE];
  return n;
}

/* What may be made again fails only when its answer had begun; or when it was lost as often as it has tries, where workers reset again and again. */
static bool failed_rightly(const struct world *w, uint64_t failed) {
  const struct rn_forward_stats *st = rn_forward_stats(w->dir.forward);
  const uint64_t why_not = st->errors_begun + st->errors_no_worker;
  const uint64_t lost_most =
      w->sc->trouble == RESETS ? (tries_lost(w) + st->unreached) / WORKERS : 0;
  return failed >= why_not && failed - why_not <= lost_most;
}

static void check_result(struct world *w, const struct calls_result *res) {
  const struct rn_forward_stats *st = rn_forward_stats(w->dir.forward);
  must(w, res->wrong == 0, res->why_text);
  switch (w->sc->trouble) {
  case NONE:
  case UNREACHABLE:
    must(w, res->done == CALLS_COUNT, res->why_text);
    break;
  case BLACKHOLE:
  case RESETS:
    must(w, res->failed <= tries_lost(w) + st->errors_no_worker,
         "more calls failed than were with lost workers");
    must(w, !w->sc->idempotent || failed_rightly(w, res->failed), res->why_text);
    must(w, w->sc->trouble == RESETS || st->errors_no_worker == 0, res->why_text);
    break;
  default:
    break;
  }
}

static bool no_streams(void *arg) {
  const struct world *w = arg;
  uint64_t n = rn_quic_stats(w->client.base.q)->streams + rn_quic_stats(w->dir.base.q)->streams;
  for (uint32_t i = 0; i < WORKERS; i++)
    n += rn_quic_stats(w->workers[i].base.q)->streams;
  return n == 0;
}

static bool no_conns(void *arg) {
  const struct world *w = arg;
  uint64_t n = rn_quic_stats(w->client.base.q)->conns + rn_quic_stats(w->dir.base.q)->conns;
  for (uint32_t i = 0; i < WORKERS; i++)
    n += rn_quic_stats(w->workers[i].base.q)->conns;
  return n == 0;
}

static void end(struct world *w, struct outcome *out) {
  out->res = *calls_result(w->calls);
  out->retries = rn_forward_stats(w->dir.forward)->retries;
  check_result(w, &out->res);
  calls_free(w->calls);
  must(w, net_run(w->net, net_now(w->net) + 60000 * MS, no_streams, w), "streams are left over");
  must(w, director_is_quiet(&w->dir), "the director has not forgotten every call");
  rn_quic_close_all(w->client.base.q, net_now(w->net), 0);
  rn_quic_close_all(w->dir.base.q, net_now(w->net), 0);
  must(w, net_run(w->net, net_now(w->net) + 120000 * MS, no_conns, w), "connections are left over");
  must(w, director_is_clean(&w->dir) && rpc_peer_is_clean(&w->client), "something is left over");
  for (uint32_t i = 0; i < WORKERS; i++)
    must(w, rpc_peer_is_clean(&w->workers[i]), "something is left over at a worker");
  out->digest = net_digest(w->net);
  out->lines = net_lines(w->net);
  rpc_peer_stop(&w->client);
  director_stop(&w->dir);
  for (uint32_t i = 0; i < WORKERS; i++)
    rpc_peer_stop(&w->workers[i]);
  net_free(w->net);
}

static struct outcome run(const struct scenario *sc, uint64_t seed) {
  static struct world w;
  struct outcome out = { 0 };
  w = (struct world){ .sc = sc, .seed = seed };
  begin(&w);
  run_calls(&w, &out);
  end(&w, &out);
  return out;
}

/* ---- what to run ---- */

static void run_seeds(const struct scenario *sc, uint64_t from, uint64_t to) {
  uint64_t done = 0, failed = 0, retries = 0, refused = 0, took_ns = 0;
  for (uint64_t seed = from; seed <= to; seed++) {
    struct outcome out = run(sc, seed);
    done += out.res.done;
    failed += out.res.failed;
    retries += out.retries;
    refused += out.refused;
    took_ns = out.took_ns > took_ns ? out.took_ns : took_ns;
    if (seed % REPLAY_EVERY != 1)
      continue;
    struct outcome again = run(sc, seed);
    if (again.digest == out.digest && again.lines == out.lines)
      continue;
    fprintf(stderr, "not ok %s, seed=%" PRIu64 ": another run of it had another transcript\n",
            sc->name, seed);
    _exit(1);
  }
  printf("%-14s %" PRIu64 " seeds: %" PRIu64 " calls done, %" PRIu64 " failed; %" PRIu64
         " further tries, %" PRIu64 " takes refused; longest %" PRIu64 " ms\n",
         sc->name, to - from + 1, done, failed, retries, refused, took_ns / MS);
  fflush(stdout);
  if (to - from + 1 >= SEEDS && sc->trouble == STARVED && refused == 0) {
    fprintf(stderr, "not ok: nothing was refused\n");
    _exit(1);
  }
}

static const char usage[] =
    "usage: test_forward [--scenario NAME] [--seed N | --seeds COUNT]\n\n"
    "Simulates a client, a director and three workers: all scenarios, seeds 1 to 60 unless told\n"
    "otherwise. Fails with the transcript.\n\n"
    "example: test_forward --scenario blackhole --seed 3\n";

int main(int argc, char **argv) {
  struct seeds asked;
  if (!seeds_asked_for(argc, argv, usage, SEEDS, &asked))
    return 2;
  fixed_seed(0);
  pki = pki_new(PKI_P256);
  accept_tls = peer_tls(pki, NULL, NULL);
  dial_tls = peer_tls(NULL, pki, NULL);
  for (size_t i = 0; i < SCENARIOS; i++) {
    if (!seeds_wanted(&asked, scenarios[i].name))
      continue;
    if (scenarios[i].trouble != STARVED || RN_REFUSALS_BUILT)
      run_seeds(&scenarios[i], asked.from, asked.to);
  }
  rn_quic_tls_free(accept_tls);
  rn_quic_tls_free(dial_tls);
  pki_free(pki);
  return 0;
}
