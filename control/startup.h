/* control/startup.h: what rpcnet-control gets before its loop runs: configuration, certificate, key, secret. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/config.h"
#include "control/keys.h"
#include "control/parent_msg.h"
#include "control/secret_file.h"

struct rn_startup {
  struct rn_config cfg;
  struct rn_keys *keys;
  char *ca_pem; /* NULL: clients are not asked for a certificate */
  size_t ca_bytes;
  char *peer_ca_pem; /* with cluster.enabled: trust anchors for peers that are dialled; else NULL */
  size_t peer_ca_bytes;
  char *
      state; /* text of cluster.state_file, to be checked (control/state_file.h); NULL: there is none, or it cannot be read */
  size_t state_bytes;
  struct rn_secrets secrets; /* count 0: no file is configured */
  bool bpf_attached;
  /* What rpcnetd said without being asked, in order: ENDED, SHUTDOWN. Neither comes twice to a control that has started nothing. */
  struct rn_parent_msg unasked[2];
  size_t unasked_count;
};

/* Where files come from: rpcnetd over the channel, or, for --check, the file system. */
struct rn_startup_source {
  int channel;             /* -1: the file system */
  const char *config_path; /* also the configuration's name in errors */
};

/* Blocks until it has everything. Logs each error. RN_OK, RN_ERR_CONFIG or RN_ERR_SYS. */
int rn_startup_load(const struct rn_startup_source *src, struct rn_startup *out);

/* Asks rpcnetd to attach to the port. The same errors. */
int rn_startup_attach(const struct rn_startup_source *src, struct rn_startup *s);

/* Waits for rpcnetd's first message. *fd_count: room in, received out. RN_OK or RN_ERR_SYS. */
int rn_startup_hello(int channel, struct rn_parent_msg *out, int *fds, size_t *fd_count);

/* When the data plane of hello ended meanwhile: hello as if it had never run; its fds[0..*fd_count) are closed. */
void rn_startup_correct(const struct rn_startup *s, struct rn_parent_msg *hello, const int *fds,
                        size_t *fd_count);

/* Frees what load made, and wipes the secret. The keys too. */
void rn_startup_free(struct rn_startup *s);
