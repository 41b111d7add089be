/* RPC between endpoints of which one gets nothing from every n-th take of a pool. What cannot be done then fails with an error to whoever asked for
 * it, in time, and is counted; nothing of it is left over, and once the pool gives again so does everything else. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calls.h"
#include "harness/fixed.h"
#include "harness/rpc_peer.h"
#include "harness/scarce.h"
#include "util/err.h"
#include "util/refuse.h"

#define MS           UINT64_C(1000000)
#define SEEDS        52u
#define REPLAY_EVERY 10u          /* so many seeds, one is run twice */
#define DIALS        2u           /* while starved */
#define TIMEOUT_NS   (2000 * MS)  /* of a call while starved */
#define HANDSHAKE_NS (5000 * MS)  /* timeout */
#define IDLE_NS      (10000 * MS) /* timeout */
#define CALLS_NS     (CALLS_COUNT * TIMEOUT_NS)

enum role { ROLE_CLIENT, ROLE_SERVER, ROLES };
static const char *const role_names[ROLES] = { "client", "server" };

/* Which takes are refused, by seed; a connection takes far more often from some than from others. */
#define EVERYS 4
static const uint32_t every[SCARCE_POOLS][EVERYS] = {
  [SCARCE_STREAMS] = { 1, 2, 7, 40 },     [SCARCE_SEGS] = { 1, 2, 7, 40 },
  [SCARCE_BULK_SEGS] = { 1, 2, 7, 40 },   [SCARCE_HEAP] = { 10, 25, 60, 120 },
  [SCARCE_KEYS] = { 1, 3, 8, 20 },        [SCARCE_INITIALS] = { 1, 2, 1, 2 },
  [SCARCE_RESET_TOKENS] = { 1, 2, 1, 2 }, [SCARCE_CALLS] = { 1, 2, 7, 40 },
  [SCARCE_BODIES] = { 1, 2, 7, 40 },      [SCARCE_TLS] = { 20, 100, 700, 3000 },
  [SCARCE_ALL] = { 5, 12, 40, 100 },
};

static struct pki *pki;
static struct rn_quic_tls *tls[ROLES];

struct sample {
  enum scarce_pool pool;
  enum role role;
  uint32_t n;
  uint64_t seed;
};

struct world {
  struct sample is;
  struct net *net;
  struct rpc_peer peers[ROLES];
  struct calls *calls;
  uint32_t ready, closed; /* the client's counts when it dialled last */
};

struct outcome {
  uint64_t refused; /* takes */
  uint64_t done, failed, dials_failed;
  uint64_t digest, lines;
};

static _Noreturn void fail(const struct world *w, const char *why) {
  const struct rn_quic_close *c = &w->peers[ROLE_CLIENT].base.why;
  net_transcript(w->net);
  fflush(stdout);
  fprintf(stderr, "client closed %u (kind %u, code %" PRIu64 ")\n",
          w->peers[ROLE_CLIENT].base.closed, (unsigned)c->kind, c->code);
  fprintf(stderr, "not ok %s of the %s, every %u-th, seed=%" PRIu64 ": %s\n",
          scarce_name(w->is.pool), role_names[w->is.role], w->is.n, w->is.seed, why);
  _exit(1); /* no search for leaks: nothing was released */
}

static void must(const struct world *w, bool ok, const char *why) {
  if (!ok)
    fail(w, why);
}

/* ---- begin ---- */

static const struct rn_addr addrs[ROLES] = {
  { .ip = { 10, 0, 0, 1 }, .port = 4000, .family = 4 },
  { .ip = { 10, 0, 0, 2 }, .port = 8080, .family = 4 },
};

static void begin(struct world *w) {
  char replay[256];
  uint64_t seed = w->is.seed * ROLES + w->is.role;
  fixed_seed(seed);
  w->net = net_new(seed);
  snprintf(replay, sizeof(replay),
           "tests/sim/test_starved --pool %s --role %s --every %u --seed %" PRIu64,
           scarce_name(w->is.pool), role_names[w->is.role], w->is.n, w->is.seed);
  net_set_replay(w->net, replay);
  for (enum role side = 0; side < ROLES; side++) {
    struct rpc_peer *p = &w->peers[side];
    rpc_peer_prepare(p, side == ROLE_SERVER ? pki : NULL, seed * ROLES + side);
    p->base.params.config.handshake_timeout_ns = HANDSHAKE_NS;
    p->base.params.config.idle_timeout_ns = IDLE_NS;
    p->server_config.request_timeout_ns = p->server_config.stream_item_timeout_ns = TIMEOUT_NS;
    rpc_peer_start(p, tls[side], w->net, &addrs[side]);
    p->host->link =
        (struct net_link){ .delay_ns = 10 * MS, .loss = w->is.seed % 2 == 0 ? 0.02 : 0 };
  }
}

/* ---- connections ---- */

static bool ready_or_closed(void *arg) {
  const struct world *w = arg;
  const struct peer *c = &w->peers[ROLE_CLIENT].base;
  return c->ready != w->ready || c->closed != w->closed;
}

/* Whether there is a connection then. Each attempt ends, one way or the other. */
static bool dial(struct world *w) {
  static const struct rn_path path = { addrs[ROLE_CLIENT], addrs[ROLE_SERVER] };
  struct peer *p = &w->peers[ROLE_CLIENT].base;
  struct rn_quic_conn *c;
  if (p->conn != NULL)
    return true;
  w->ready = p->ready;
  w->closed = p->closed;
  if (rn_quic_connect(p->q, net_now(w->net), &path, "localhost", &c) != RN_OK)
    return false;
  must(w, net_run(w->net, net_now(w->net) + 2 * HANDSHAKE_NS, ready_or_closed, w),
       "a handshake neither completed nor failed");
  return p->conn != NULL;
}

static bool calls_ended(void *arg) { return calls_over(((const struct world *)arg)->calls); }

/* A call that is refused send segments has them at its next try, or the one after that: none takes more of the small ones than two. */
static bool may_go_on(const struct world *w) { return w->is.pool == SCARCE_SEGS && w->is.n > 3; }

/* All calls of a connection; how many had their answer. */
static uint32_t call(struct world *w, uint64_t timeout_ns, struct outcome *out) {
  w->calls = calls_new(&w->peers[ROLE_CLIENT], w->is.seed, timeout_ns);
  calls_start(w->calls);
  must(w, net_run(w->net, net_now(w->net) + CALLS_NS, calls_ended, w), "not every call ended");
  const struct calls_result *res = calls_result(w->calls);
  must(w, res->wrong == 0, res->why_text);
  must(w, res->late == 0 || !may_go_on(w), "a call went on too late when there was enough for it");
  uint32_t done = res->done;
  out->done += done;
  out->failed += res->failed;
  if (done < CALLS_COUNT)
    net_event(w->net, NULL, "calls failed", res->failed, 0);
  calls_free(w->calls);
  return done;
}

/* ---- one run ---- */

/* With every other n the first handshake is spared. */
static void starved(struct world *w, struct outcome *out) {
  if (w->is.seed / EVERYS % 2 == 1)
    must(w, dial(w), "no connection before anything was refused");
  scarce_begin(&w->peers[w->is.role], w->is.pool, w->is.n);
  for (uint32_t i = 0; i < DIALS; i++) {
    if (dial(w))
      call(w, TIMEOUT_NS, out);
    else
      out->dials_failed++;
    if (w->is.seed % 3 == 0 && w->peers[ROLE_CLIENT].base.conn != NULL) {
      rn_quic_conn_close(w->peers[ROLE_CLIENT].base.conn, 0);
      net_run(w->net, net_now(w->net) + 100 * MS, NULL, NULL);
    }
  }
  out->refused = scarce_end(&w->peers[w->is.role], w->is.pool);
}

/* A connection that lived through it may be one that the other side has lost; a new one has no such past. */
static void fed(struct world *w) {
  struct outcome ignored = { 0 };
  struct peer *p = &w->peers[ROLE_CLIENT].base;
  bool old = p->conn != NULL;
  uint32_t closed = p->closed;
  must(w, dial(w), "no connection when there is enough again");
  uint32_t done = call(w, 0, &ignored);
  must(w, done == CALLS_COUNT || (old && p->closed != closed),
       "calls failed when there is enough again");
  if (done < CALLS_COUNT) {
    must(w, dial(w), "no new connection when there is enough again");
    must(w, call(w, 0, &ignored) == CALLS_COUNT, "calls failed on a new connection");
  }
}

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

static void end(struct world *w, struct outcome *out) {
  must(w, net_run(w->net, net_now(w->net) + 30000 * MS, no_streams, w), "streams are left over");
  if (w->peers[ROLE_CLIENT].base.conn != NULL)
    rn_quic_conn_close(w->peers[ROLE_CLIENT].base.conn, 0);
  must(w, net_run(w->net, net_now(w->net) + 60000 * MS, no_conns, w), "a connection is left over");
  for (enum role side = 0; side < ROLES; side++) {
    must(w, rpc_peer_is_clean(&w->peers[side]), "a pool has not got back what was taken");
    rpc_peer_stop(&w->peers[side]);
  }
  out->digest = net_digest(w->net);
  out->lines = net_lines(w->net);
  net_free(w->net);
}

static struct outcome run(const struct sample *is) {
  struct world w = { .is = *is };
  struct outcome out = { 0 };
  begin(&w);
  starved(&w, &out);
  must(&w, is->pool == SCARCE_TLS || out.refused <= scarce_counted(&w.peers[is->role], is->pool),
       "not all that was refused was counted");
  fed(&w);
  end(&w, &out);
  return out;
}

/* ---- what to run ---- */

struct options {
  int pool, role;    /* -1: all */
  uint32_t n;        /* 0: all */
  uint64_t from, to; /* seeds */
};

static void replay(const struct sample *is, const struct outcome *first) {
  struct outcome again = run(is);
  if (again.digest == first->digest && again.lines == first->lines)
    return;
  fprintf(stderr,
          "not ok %s of the %s, every %u-th, seed=%" PRIu64
          ": another run of the seed had another transcript\n",
          scarce_name(is->pool), role_names[is->role], is->n, is->seed);
  _exit(1);
}

static void all_seeds(struct sample is, const struct options *o) {
  struct outcome sum = { 0 };
  for (is.seed = o->from; is.seed <= o->to; is.seed++) {
    /* Between n and twice that: what a take is for changes from seed to seed. */
    uint32_t n = every[is.pool][is.seed % EVERYS];
    is.n = o->n != 0 ? o->n : n + (uint32_t)(is.seed * 7919 % (1 + n));
    struct outcome one = run(&is);
    sum.refused += one.refused;
    sum.done += one.done;
    sum.failed += one.failed;
    sum.dials_failed += one.dials_failed;
    if (is.seed % REPLAY_EVERY == 1)
      replay(&is, &one);
  }
  printf("%-8s %s: %" PRIu64 " seeds, %" PRIu64 " takes refused; %" PRIu64 " calls done, %" PRIu64
         " failed; %" PRIu64 " dials failed\n",
         scarce_name(is.pool), role_names[is.role], o->to - o->from + 1, sum.refused, sum.done,
         sum.failed, sum.dials_failed);
  fflush(stdout);
  if (o->to - o->from + 1 >= SEEDS && sum.refused == 0) {
    fprintf(stderr, "not ok: nothing was refused\n");
    _exit(1);
  }
}

static void run_all(const struct options *o) {
  for (enum scarce_pool pool = 0; pool < SCARCE_POOLS; pool++) {
    for (enum role role = 0; role < ROLES; role++) {
      bool wanted = (o->pool < 0 || (enum scarce_pool)o->pool == pool) &&
                    (o->role < 0 || (enum role)o->role == role);
      if (wanted && scarce_is_used(pool, role == ROLE_SERVER))
        all_seeds((struct sample){ .pool = pool, .role = role }, o);
    }
  }
}

static const char usage[] =
    "usage: test_starved [--pool NAME] [--role client|server] [--every N] [--seed N | --seeds "
    "COUNT]\n\n"
    "Simulates RPC while every n-th take from a pool is refused: all pools, roles and\n"
    "seeds 1 to 52 unless told otherwise. Fails with the transcript.\n\n"
    "example: test_starved --pool heap --role server --every 7 --seed 3\n";

static int pool_of(const char *name) {
  for (enum scarce_pool pool = 0; pool < SCARCE_POOLS; pool++) {
    if (strcmp(name, scarce_name(pool)) == 0)
      return (int)pool;
  }
  return -2;
}

static bool parse(int argc, char **argv, struct options *o) {
  static const struct option longs[] = {
    { "pool", required_argument, NULL, 'p' },  { "role", required_argument, NULL, 'r' },
    { "every", required_argument, NULL, 'e' }, { "seed", required_argument, NULL, 'n' },
    { "seeds", required_argument, NULL, 'c' }, { 0 }
  };
  int c;
  while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
    if (c == 'p')
      o->pool = pool_of(optarg);
    else if (c == 'r')
      o->role = strcmp(optarg, "server") == 0 ? ROLE_SERVER : ROLE_CLIENT;
    else if (c == 'e')
      o->n = (uint32_t)strtoul(optarg, NULL, 10);
    else if (c == 'n')
      o->from = o->to = strtoull(optarg, NULL, 10);
    else if (c == 'c')
      o->to = strtoull(optarg, NULL, 10);
    else
      return false;
  }
  return optind == argc && o->pool >= -1 && o->from >= 1 && o->from <= o->to;
}

int main(int argc, char **argv) {
  struct options o = { .pool = -1, .role = -1, .from = 1, .to = SEEDS };
  if (!parse(argc, argv, &o)) {
    fputs(usage, stderr);
    return 2;
  }
  if (!RN_REFUSALS_BUILT)
    return 77; /* skipped: this build refuses nothing */
  scarce_setup();
  fixed_seed(0);
  pki = pki_new(PKI_P256);
  tls[ROLE_CLIENT] = peer_tls(NULL, pki, NULL);
  tls[ROLE_SERVER] = peer_tls(pki, NULL, NULL);
  run_all(&o);
  rn_quic_tls_free(tls[ROLE_CLIENT]);
  rn_quic_tls_free(tls[ROLE_SERVER]);
  pki_free(pki);
  return 0;
}
