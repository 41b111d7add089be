/* tests/harness/rpc_peer.h: an endpoint with RPC on top, on a simulated network: the server with the built-in methods, or a client. */
#pragma once
#include "dataplane/serve/builtin.h"
#include "harness/peer.h"
#include "rpc/client.h"
#include "rpc/server.h"

struct rpc_peer {
  struct peer
      base; /* base.params may be changed between prepare and start; its counters of streams stay 0 */
  struct rn_rpc_server_limits server_limits;
  struct rn_rpc_server_config server_config;
  struct rn_rpc_client_limits client_limits;
  size_t max_response_bytes; /* client */
  struct net *net;
  struct net_host *host;
  struct rn_rpc_server *server; /* NULL for a client */
  struct rn_rpc_client *client; /* NULL for a server */
  struct rn_builtin_info info;
  uint64_t watch_from_ns; /* not 0: when does it get stream data, from then on? */
  uint64_t data_at_ns;    /* the answer; 0: not yet */
  void *mem;
  size_t mem_bytes;
  void (*ready)(void *user, struct rn_quic_conn *c); /* client: may be NULL */
  void (*available)(void *user, struct rn_quic_conn *c);
  void *user;
};

/* A server when pki is given. Few connections and small pools, so that a run costs little. */
void rpc_peer_prepare(struct rpc_peer *p, const struct pki *pki, uint64_t seed);
/* tls stays the caller's. p is on the network then: its timers run and its invariants are checked in net_run. */
void rpc_peer_start(struct rpc_peer *p, struct rn_quic_tls *tls, struct net *net,
                    const struct rn_addr *addr);
/* After net_free or not: the network is not touched. */
void rpc_peer_stop(struct rpc_peer *p);
/* Whether every pool of p has what it had at the start, of QUIC and of RPC; prints on stderr what has not. Connections have to be gone. */
bool rpc_peer_is_clean(const struct rpc_peer *p);
