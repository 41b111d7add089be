/* tests/harness/net.h: endpoints on simulated links, one fake clock, one seeded random source.
 *
 * Nothing sleeps: time jumps to the next arrival or expiry. The same seed gives the same run. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "quic/quic.h"
#include "util/rng.h"

#define NET_HOSTS_MAX 4
#define NET_DGRAM_MAX 2048

/* One direction of the link between two hosts. */
struct net_link {
  uint64_t delay_ns;
  uint64_t jitter_ns;    /* uniform on top of delay_ns: reorders */
  uint64_t rate_bytes_s; /* 0: no limit */
  uint64_t queue_ns;     /* with a rate: what waits longer is lost */
  double loss, duplicate, corrupt;
  uint64_t black_from_ns, black_until_ns; /* loses all in between */
  const uint8_t *loss_bits;               /* exact: bit i set loses datagram i */
  uint64_t loss_bits_count;
  const char *
      fate; /* exact: fate[i] of datagram i: 'x' lost, 'l' late by late_ns, '2' twice, else on time */
  uint64_t late_ns;
  uint64_t sent, lost, bytes, free_ns; /* kept by net.c */
};

struct net_host {
  struct rn_quic *q;
  struct rn_addr addr;
  struct net_link link; /* what this host sends goes over it */
  uint16_t open_port;   /* not 0: what is sent to any other port is lost */
  bool nat;             /* others see open_port, whatever the host sends from */
  uint16_t own_port;    /* what it sent from last; kept by net.c */
};

struct net; /* opaque */

struct net *net_new(uint64_t seed);
void net_free(struct net *n);
uint64_t net_now(const struct net *n);
struct rn_rng *net_rng(struct net *n);
/* A host with this endpoint and address; its link starts perfect. */
struct net_host *net_add(struct net *n, struct rn_quic *q, const struct rn_addr *addr);
/* Sends and receives until until_ns, or until done(arg) says so. True when done was reached. Every step is followed by rn_quic_check. */
bool net_run(struct net *n, uint64_t until_ns, bool (*done)(void *arg), void *arg);
/* Prints the last datagrams, newest last: for a failed test. */
void net_transcript(const struct net *n);
/* A digest of every datagram so far: two runs of a seed must agree. */
uint64_t net_digest(const struct net *n);
