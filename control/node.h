/* control/node.h: rpcnet-control's side of the data plane: its region, its rings, its life. One thread: the event loop.
 *
 *   NONE --START--> STARTING --every lcore READY--> SERVING
 *     ^                |                               |
 *     +-----ENDED------+---------------ENDED-----------+      then START again, with the next epoch */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/config.h"
#include "control/drain.h"
#include "control/inspect.h"
#include "control/keys.h"
#include "control/parent_msg.h"
#include "control/rates.h"
#include "control/secret_file.h"
#include "control/secrets.h"
#include "control/signer.h"
#include "control/stats.h"
#include "ring/msg.h"
#include "sys/log.h"
#include "topo/topo.h"

struct rn_gossiper;

enum rn_node_state { RN_NODE_NONE, RN_NODE_STARTING, RN_NODE_SERVING, RN_NODE_STATE_COUNT };

struct rn_node_lcore {
  struct rn_ring_rx from;
  struct rn_ring_tx to;
  int bell_fd;
  bool ready;
  uint32_t keys_owed;          /* answers to KEYS, rn_rotation.step */
  uint32_t key_epoch;          /* that it uses */
  uint16_t mtu;                /* bytes, from READY */
  struct rn_addr addr;         /* the port's first one, from READY */
  struct rn_lcore_stats stats; /* the last that could be read */
  uint64_t stats_ns;
  uint64_t sampled_busy_ns; /* at the last sample */
  uint64_t sampled_idle_ns;
  double busy_share; /* between the last two samples, 0..1 */
  struct rn_log_limit log_limit;
};

struct rn_node {
  const struct rn_config *cfg;
  const struct rn_keys *keys;
  const char *ca_pem;
  size_t ca_bytes;
  const char *peer_ca_pem; /* NULL: no peer is dialled */
  size_t peer_ca_bytes;
  struct rn_secrets secrets; /* wiped by fini */
  struct rn_rotation {
    enum rn_secrets_step step;
    bool asked; /* a rotation or reload is under way */
    struct rn_secrets_client client;
  } rotation;
  uint8_t epoch_base;
  bool privileged;
  bool bpf_attached;
  int channel;

  enum rn_node_state state;
  struct rn_topo topo; /* what we ask for: the region's copy is never trusted again */
  struct rn_topo_view view;
  int region_fd; /* -1: none */
  int bell_fd;
  struct rn_node_lcore lcores[RN_TOPO_LCORES_MAX];
  uint32_t starts;     /* data planes so far, as rpcnetd counts them */
  uint32_t generation; /* changes with each region: a signature made for another one is dropped */
  uint32_t pid;
  uint64_t started_ns;
  bool stopping;
  bool adopted; /* the data plane was started by a control process before this one */
  struct rn_drain drain;
  bool saving; /* rpcnetd has not answered to SAVE yet */
  struct rn_signer signer;
  struct rn_control_stats stats;
  struct rn_rates rates;
  uint32_t
      healthy_workers; /* that calls may be sent to, over all routes; kept by control/directory.c */
  struct rn_inspect *inspect; /* NULL: nobody asks */
  struct rn_gossiper *gossip; /* NULL: without cluster.enabled */
};

/* After cfg, keys, ca, secrets, epoch_base, privileged, bpf_attached, channel, and signer.loop are set. hello and its descriptors (taken over) say whether a
 * data plane runs: it is attached when it serves what we would start, else ended. RN_OK; RN_ERR_CONFIG or RN_ERR_SYS with
 * why. */
int rn_node_init(struct rn_node *n, const struct rn_parent_msg *hello, const int *fds,
                 size_t fd_count, char *why, size_t why_bytes);
void rn_node_fini(struct rn_node *n);

/* Asks rpcnetd to start a data plane with a new region. RN_OK; RN_ERR_CONFIG or RN_ERR_SYS, logged. */
int rn_node_start(struct rn_node *n);

/* Asks every lcore that has not said so whether it serves. Once a second while starting: an answer is lost when the ring was full of what nobody read
 * while control was dead. */
void rn_node_say_hello(struct rn_node *n);

/* Reads every lcore's ring until all are empty and our sleep is announced. When the doorbell rings. */
void rn_node_drain(struct rn_node *n);

/* Tells every lcore to close its connections and end. */
void rn_node_shut_down(struct rn_node *n, uint32_t within_ms);

/* A message of rpcnetd. RN_OK; another error: this control cannot go on. */
int rn_node_on_parent(struct rn_node *n, const struct rn_parent_msg *m);

/* Has rpcnetd replace cluster.state_file by this text. RN_OK: on its way; a failure is logged. RN_ERR_AGAIN: the last one still is; RN_ERR_NOENT: none is
 * configured; RN_ERR_TOOBIG: above RN_PARENT_SAVE_MAX, or nothing; RN_ERR_SYS. */
int rn_node_save(struct rn_node *n, const char *text, size_t len);

/* Sends one message to an lcore. RN_OK; RN_ERR_AGAIN: its ring is full, and the message is lost and counted; or as rn_msg_push. */
int rn_node_send(struct rn_node *n, uint32_t lcore_idx, enum rn_msg_type type, const void *fixed,
                 const void *tail, size_t tail_bytes);

/* Reads the statistics pages; with share, computes how busy each lcore was since the last time with share. */
void rn_node_sample(struct rn_node *n, bool share);
