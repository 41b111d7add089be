/* client/client.h: an RPC client on one UDP socket: endpoint, calls and socket in one object, driven by rn_client_step.
 *
 * One thread owns each client. Connections, streams and calls are those of lib/quic and lib/rpc; callbacks come from within
 * rn_client_step. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "client/io.h"
#include "quic/quic.h"
#include "quic/tls.h"
#include "rpc/client.h"

struct rn_client;

struct rn_client_events {
  void (*ready)(void *user, struct rn_quic_conn *c);
  void (*closed)(void *user, struct rn_quic_conn *c, const struct rn_quic_close *why);
  void (*streams_available)(void *user, struct rn_quic_conn *c);
};

struct rn_client_config {
  struct rn_addr local; /* port 0: any; family must be that of the peers */
  const char *ca_pem;   /* trust anchors; NULL: the peer is not verified */
  size_t ca_pem_bytes;
  const char *cipher_suites, *groups; /* quic/tls.h; NULL: default */
  uint32_t conns;                     /* 1..65,536 */
  uint32_t calls;                     /* outstanding, over all connections */
  uint64_t keep_alive_ns, idle_timeout_ns;
  enum rn_quic_cc cc;
  uint64_t max_body_bytes;  /* of a request or an answer */
  uint32_t max_udp_payload; /* largest datagram to send, 1200..65,527 */
  /* How long a step returns at once after there was something to do, before it sleeps. Who sleeps has to be woken, which costs the sender of
   * a local peer more than the datagram does. 0 for a program that shares its core. */
  uint64_t spin_ns;
  /* Where datagrams go instead of a UDP socket of the client's own; NULL: such a socket. The client closes it. */
  const struct rn_client_io *io;
  void *io_ctx;
};

/* Sensible values for everything but local and ca. */
void rn_client_defaults(struct rn_client_config *cfg);

/* ev and its functions may be NULL. RN_OK, or an error with err_text saying what was wrong. */
int rn_client_new(const struct rn_client_config *cfg, const struct rn_client_events *ev, void *user,
                  struct rn_client **out, char *err_text, size_t err_text_bytes);
/* Closes every connection with NO_ERROR, sends that, and frees. NULL is fine. */
void rn_client_free(struct rn_client *c);

/* Dials; events->ready follows. */
int rn_client_connect(struct rn_client *c, const struct rn_addr *to, const char *server_name,
                      struct rn_quic_conn **out);

/* One turn: receive, fire timers, send; sleeps at most wait_ns when there was nothing to do for spin_ns. Returns whether there was. */
bool rn_client_step(struct rn_client *c, uint64_t wait_ns);

/* The socket gets a new port, as if a NAT had lost it; connections migrate. RN_OK, or RN_ERR_SYS (also where the io has no other port). */
int rn_client_rebind(struct rn_client *c);

struct rn_rpc_client *rn_client_rpc(struct rn_client *c);
struct rn_quic *rn_client_quic(struct rn_client *c);
uint64_t rn_client_now(void); /* CLOCK_MONOTONIC, ns */
