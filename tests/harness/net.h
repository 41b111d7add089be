/* tests/harness/net.h: endpoints on simulated links, one fake clock, one seeded random source.
 *
 * Nothing sleeps: time jumps to the next arrival or expiry. The same seed gives the same run. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "harness/link.h"
#include "quic/quic.h"
#include "util/rng.h"

#define NET_HOSTS_MAX 72
#define NET_DGRAM_MAX 2048

/* What stands on an endpoint and has timers and invariants of its own; each may be NULL. */
struct net_layer {
  uint64_t (*next_expiry)(void *ctx);
  void (*timers)(void *ctx, uint64_t now_ns);
  bool (*check)(
      void *ctx); /* after each step; false: a failure, which it has explained on stderr */
  void *ctx;
};

struct net_host {
  struct rn_quic *q;
  struct rn_addr addr;
  struct net_link link; /* what this host sends goes over it */
  struct net_layer layer;
  uint16_t open_port;       /* not 0: what is sent to any other port is lost */
  uint8_t open_ip;          /* not 0: others see this as the last octet of its IPv4 address */
  bool nat;                 /* others see open_port, whatever the host sends from */
  uint64_t rebind_every_ns; /* not 0: net_rebind so often, from rebind_at_ns on */
  uint64_t rebind_at_ns;
  bool rebind_ip;
  uint32_t rebindings; /* kept by net.c, as the next */
  uint16_t own_port;   /* what it sent from last */
};

struct net; /* opaque */

struct net *net_new(uint64_t seed);
void net_free(struct net *n);
uint64_t net_now(const struct net *n);
struct rn_rng *net_rng(struct net *n);
/* A host with this endpoint and address; its link starts perfect. */
struct net_host *net_add(struct net *n, struct rn_quic *q, const struct rn_addr *addr);
/* A NAT gives the host another port, and another IPv4 address if new_ip; what is under way to the old one is lost. */
void net_rebind(struct net *n, struct net_host *h, bool new_ip);
/* Sends and receives until until_ns, or until done(arg) says so. True when done was reached. After every step the invariants are walked: when
 * one is broken the transcript is printed and the program aborts. */
bool net_run(struct net *n, uint64_t until_ns, bool (*done)(void *arg), void *arg);

/* Whose endpoint or layer is being called; NULL: nobody's, or the caller's own calls. */
const struct net_host *net_at_work(const struct net *n);

/* A line in the transcript, transcript.h. h: NULL for the whole simulation. */
void net_event(struct net *n, const struct net_host *h, const char *what, int64_t id,
               uint64_t value);
/* What runs this simulation again: printed with the transcript. Copied; cut at 255 characters. */
void net_set_replay(struct net *n, const char *command);
/* Prints the last lines of the transcript, newest last, and how to run it again: for a failed test. */
void net_transcript(const struct net *n);
/* A digest of all lines so far: two runs of a seed must agree. */
uint64_t net_digest(const struct net *n);
/* Datagrams and events so far. */
uint64_t net_lines(const struct net *n);
