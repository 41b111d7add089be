/* control/secrets.h: the epochs of the secret, in control and on the lcores. On the event loop.
 *
 *   IDLE --a file was read, or a data plane serves--> ADD (every lcore learns all epochs) --all did--> USE (the newest makes what is new) --all do--> IDLE
 *
 * In two steps, so that no lcore sees what another one made with keys that it does not have. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/parent_msg.h"
#include "ring/msg.h"

struct rn_node;

enum rn_secrets_step {
  RN_SECRETS_IDLE,
  RN_SECRETS_ADD = RN_MSG_KEYS_ADD,
  RN_SECRETS_USE = RN_MSG_KEYS_USE
};

/* Who waits for a rotation or reload. */
struct rn_secrets_client {
  void (*done)(void *arg, const char *error); /* NULL: every lcore uses the newest epoch */
  void *arg;
};

/* Tells the lcores all epochs again, from the first step. When they begin to serve, too. */
void rn_secrets_publish(struct rn_node *n);

/* Reads the file again; rotate: after rpcnetd has added an epoch. client: NULL, or told once. RN_OK; RN_ERR_NOENT: there is no file; RN_ERR_AGAIN: one is
 * under way. */
int rn_secrets_reload(struct rn_node *n, bool rotate, const struct rn_secrets_client *client);

/* The client is gone. */
void rn_secrets_forget(struct rn_node *n, const void *arg);

/* rpcnetd's REPLY to OPEN or ROTATE; fd, -1 for none, is taken over. */
void rn_secrets_on_reply(struct rn_node *n, const struct rn_parent_msg *m, int fd);

/* KEYS_DONE of an lcore. */
void rn_secrets_on_done(struct rn_node *n, uint32_t lcore_idx, const struct rn_msg_keys_done *m);

/* Once a second: says again what may have been lost. */
void rn_secrets_tick(struct rn_node *n);

/* "secrets" for rpcnetctl, the caller's to free(); NULL when memory is out. Numbers of epochs, never their bytes. */
char *rn_secrets_json(struct rn_node *n, size_t *len);
