/* dataplane/lcore.h: one lcore: one thread, one queue pair, one QUIC endpoint, one RPC server. It shares nothing that changes with others.
 *
 *   lcore.c    the loop, its steps in order, and how it idles
 *   events.c   whose the events of the endpoint are
 *   control.c  messages from and to control over the rings
 *   inspect.c  what control asks about connections
 *   setup.c    memory and objects of an lcore, from the description of the node
 *   trace.c    how long calls take
 *   steer.c    datagrams that arrived at the wrong lcore
 *   tsc.c      its time
 *   sleep.c    EAL's way to measure it, made short
 *
 * Frames are the business of port/link.h. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/port/kernel.h"
#include "dataplane/port/link.h"
#include "dataplane/serve/builtin.h"
#include "dataplane/serve/call_all.h"
#include "dataplane/serve/director.h"
#include "dataplane/serve/forward.h"
#include "dataplane/steer.h"
#include "dataplane/trace.h"
#include "dataplane/tsc.h"
#include "quic/inspect.h"
#include "quic/quic.h"
#include "ring/msg.h"
#include "quic/tls.h"
#include "rpc/gossip.h"
#include "rpc/server.h"
#include "topo/topo.h"

#define RN_LCORE_MESSAGES 64 /* from control, per turn */

struct rn_lcore {
  /* Read only after setup. */
  const struct rn_topo_view *view;
  uint32_t idx;
  struct rn_port *port;
  struct rn_quic *quic;
  struct rn_rpc_server *rpc;
  struct rn_quic_tls *tls;
  struct rn_quic_tls *peer_tls; /* of connections that we dial; NULL: we dial none */
  struct rn_pool *gossip_pool;  /* NULL: no cluster */
  struct rn_gossip *gossip;
  struct rn_director *director;     /* NULL: it is none */
  struct rn_forwarding *forwarding; /* NULL: no calls are forwarded */
  struct rn_call_all *call_all;     /* NULL: none go to every worker */
  struct rn_link *link;
  struct rn_kernel kernel; /* shared mode: watches the interface's addresses; fd -1: none */
  struct rn_stats_page *page;
  int bell_fd;            /* control rings it */
  int control_bell_fd;    /* we ring it */
  struct rn_steer *steer; /* datagrams of other lcores; NULL: there are none */

  struct rn_builtin_info info;
  struct rn_ring_tx to_control;
  struct rn_ring_rx from_control;

  /* Written in every turn. */
  struct rn_tsc tsc;
  struct rn_tracer tracer;
  uint64_t now_ns;
  uint64_t published_ns;    /* when the statistics were last published */
  uint64_t tidied_ns;       /* when the link was last tidied */
  uint64_t busy_at_ns;      /* when there was work last */
  uint64_t shared_until_ns; /* somebody else has run on our core */
  uint64_t scattered;       /* datagrams looked at for topo.scatter */
  struct rn_quic_qlog qlog;
  uint32_t qlog_job;  /* of control's, while a connection is logged */
  uint32_t qlog_lost; /* records of it */
  bool closing;       /* connections are closed: end when all is sent */
  uint64_t close_by_ns;
  _Atomic bool *stop;          /* SIGTERM */
  struct rn_lcore_stats stats; /* port and net are written in place, the rest in housekeeping */
};

/* What lcores have in common. */
struct rn_lcore_shared {
  const struct rn_topo_view *view;
  struct rn_port *port;
  void *rings;            /* what rn_steer_format made; NULL for a single lcore */
  void *load;             /* calls open at each worker, rn_load_shared_bytes; NULL: no director */
  uint8_t spread_key[16]; /* rn_quic_spread.key */
  _Atomic bool *stop;     /* SIGTERM */
};

/* setup.c: memory and objects of lcore idx. Before privileges go. RN_OK, or an error with why. */
int rn_lcore_setup(struct rn_lcore *lc, const struct rn_lcore_shared *shared, uint32_t idx,
                   char *why, size_t why_bytes);

/* events.c: whose the events of the endpoint are; their app is the lcore. */
extern const struct rn_quic_events rn_lcore_events;
/* events.c: the link heard something that the other lcores may have asked for. ctx: the lcore. */
void rn_lcore_overhear(void *ctx, enum rn_net_kind kind, const struct rn_dgram *d,
                       const struct rn_net_meta *m);
/* events.c: datagram d, which arrived here, belongs to lcore `to`. Dropped and counted when there is no room for it. */
void rn_lcore_hand_over(struct rn_lcore *lc, uint32_t to, const struct rn_dgram *d);

/* Zeroed private memory, never DPDK's, which some drivers hand to their peer. Touched when used, in huge pages where the kernel has them.
 * NULL: there is none. */
void *rn_lcore_memory(size_t bytes);

/* lcore.c: runs until CTL_SHUTDOWN or *stop, then closes every connection, flushes and returns. On the lcore's own thread. RN_OK, or
 * RN_ERR_CRYPTO when TLS cannot be set up on it; *stop is then set, for an lcore alone is no node. */
int rn_lcore_run(struct rn_lcore *lc);

/* sleep.c: from now on nanosleep() sleeps for as long as it is asked to. After EAL has started. */
void rn_sleep_as_asked(void);

/* inspect.c: control asks. */
void rn_inspect_conns(struct rn_lcore *lc, const struct rn_msg_conns *m);
void rn_inspect_qlog(struct rn_lcore *lc, const struct rn_msg_qlog *m);
/* The control that asked is gone. */
void rn_inspect_stop(struct rn_lcore *lc);

/* control.c: one message to control. RN_OK, or counted in ring_full. */
int rn_control_push(struct rn_lcore *lc, enum rn_msg_type type, const void *fixed, const void *tail,
                    size_t tail_bytes);
int rn_control_sign(struct rn_lcore *lc, const struct rn_quic_sign_req *req);
void rn_control_ready(struct rn_lcore *lc);
/* Returns the number of messages handled. */
uint32_t rn_control_drain(struct rn_lcore *lc);
