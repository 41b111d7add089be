/* tests/sim/scenario.h: a client, a server and what the network does to them; one run is told by a scenario, a role and a seed. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "harness/link.h"

#define MS UINT64_C(1000000)

/* Whose datagrams meet the trouble. With an odd seed only its own, with an even one those of its peer too. */
enum role { ROLE_CLIENT, ROLE_SERVER, ROLES };
extern const char *const role_names[ROLES];

struct scenario {
  const char *name;
  uint64_t delay_ns;       /* one way; 0: 10 ms */
  struct net_link trouble; /* its chances, jitter and lateness */
  double handshake_loss;   /* in place of trouble.loss until both sides are ready */
  uint64_t hole_ns;        /* nothing gets through for so long, from a moment of the transfer on */
  uint64_t rebind_ns;      /* the client's NAT gives it another port so often (role client), or
                              another address (role server) */
  uint64_t limit_ns;       /* for all calls, besides the hole */
  double goodput_min;      /* of what the network lets through, below */
};

/* goodput = bytes / (transfer - hole - recovery). What is asked of each run is
 *
 *   goodput >= goodput_min * goodput of the lossless run of the seed * (1 - loss - corruption)
 *
 * and of the recovery that it is no longer than the hole, besides RECOVERY_NS: each probe waits twice as long as the one before (RFC 9002 section
 * 6.2.1), so the wait that the hole ends in is no longer than all before it together and one more PTO. */
struct run {
  uint64_t handshake_ns, transfer_ns;
  uint64_t bytes;          /* of requests and answers */
  uint64_t datagrams, hit; /* sent; lost, damaged or sent into a hole */
  uint64_t digest, lines;  /* of the transcript */
  uint64_t
      recovery_ns; /* from the end of the hole until stream data gets through again in both directions */
  double goodput; /* bytes/s of the time outside of the hole and of the recovery from it */
};

/* Once per process, before the first run, and after the last. */
void scenario_setup(void);
void scenario_teardown(void);

/* One run; what has to hold is asserted, a failure prints the transcript and ends the program. lossless: without the trouble, for
 * comparison. */
struct run scenario_run(const struct scenario *sc, enum role role, uint64_t seed, bool lossless);

/* Ends the program after a failure that the caller found by comparing runs. */
_Noreturn void scenario_fail(const struct scenario *sc, enum role role, uint64_t seed,
                             const char *why);
