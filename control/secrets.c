/* control/secrets.c */
#include "control/secrets.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <yyjson.h>

#include "control/node.h"
#include "control/status.h"
#include "quic/secret.h"
#include "sys/channel.h"
#include "sys/log.h"
#include "util/err.h"

/* ---- to the lcores ---- */

static void add_all(struct rn_node *n, uint32_t idx) {
  struct rn_secret_keys keys;
  for (uint32_t i = 0; i < n->secrets.count; i++) {
    const struct rn_secret_epoch *e = &n->secrets.of[i];
    const struct rn_msg_keys m = { .step = RN_MSG_KEYS_ADD, .epoch = e->epoch };
    if (rn_secret_derive(e->bytes, sizeof(e->bytes), e->epoch, &keys) == RN_OK)
      rn_node_send(n, idx, RN_MSG_KEYS, &m, &keys, sizeof(keys));
  }
  explicit_bzero(&keys, sizeof(keys));
}

/* Tokens and tickets of seven epochs can be told apart; older ones, and such as the file no longer has, are refused. */
static uint32_t oldest_of(const struct rn_secrets *s) {
  uint32_t newest = rn_secrets_newest(s)->epoch;
  uint32_t first = s->of[0].epoch;
  return newest - first < RN_SECRET_EPOCHS_MAX ? first : newest - (RN_SECRET_EPOCHS_MAX - 1);
}

static void tell(struct rn_node *n, uint32_t idx) {
  struct rn_node_lcore *l = &n->lcores[idx];
  if (n->rotation.step == RN_SECRETS_ADD) {
    l->keys_owed = n->secrets.count;
    add_all(n, idx);
    return;
  }
  const struct rn_msg_keys m = { .step = RN_MSG_KEYS_USE,
                                 .epoch = rn_secrets_newest(&n->secrets)->epoch,
                                 .oldest = oldest_of(&n->secrets) };
  l->keys_owed = 1;
  rn_node_send(n, idx, RN_MSG_KEYS, &m, NULL, 0);
}

static void begin_step(struct rn_node *n, enum rn_secrets_step step) {
  n->rotation.step = step;
  for (uint32_t i = 0; i < n->topo.lcore_count; i++)
    tell(n, i);
}

static void finish(struct rn_node *n, const char *error) {
  struct rn_secrets_client client = n->rotation.client;
  n->rotation.client = (struct rn_secrets_client){ 0 };
  n->rotation.asked = false;
  if (error != NULL)
    rn_error("node.secret_file %s: %s", n->cfg->node.secret_file, error);
  if (client.done != NULL)
    client.done(client.arg, error);
}

void rn_secrets_publish(struct rn_node *n) {
  if (n->state == RN_NODE_SERVING)
    begin_step(n, RN_SECRETS_ADD);
}

static bool all_done(const struct rn_node *n) {
  for (uint32_t i = 0; i < n->topo.lcore_count; i++) {
    if (n->lcores[i].keys_owed > 0)
      return false;
  }
  return true;
}

void rn_secrets_on_done(struct rn_node *n, uint32_t lcore_idx, const struct rn_msg_keys_done *m) {
  struct rn_node_lcore *l = &n->lcores[lcore_idx];
  if (m->step != (uint32_t)n->rotation.step || l->keys_owed == 0) /* said twice */
    return;
  if (m->status != RN_OK) {
    char why[128];
    snprintf(why, sizeof(why), "lcore %u does not take epoch %" PRIu32 ": %s", lcore_idx, m->epoch,
             rn_err_text(m->status));
    n->rotation.step = RN_SECRETS_IDLE;
    finish(n, why);
    return;
  }
  l->keys_owed--;
  if (m->step == RN_MSG_KEYS_USE)
    l->key_epoch = m->epoch;
  if (!all_done(n))
    return;
  if (n->rotation.step == RN_SECRETS_ADD) {
    begin_step(n, RN_SECRETS_USE);
    return;
  }
  n->rotation.step = RN_SECRETS_IDLE;
  uint32_t epoch = rn_secrets_newest(&n->secrets)->epoch;
  if (n->rotation.asked)
    rn_info("epoch %" PRIu32 " of the secret is in use on %u lcores", epoch, n->topo.lcore_count);
  finish(n, NULL);
}

void rn_secrets_tick(struct rn_node *n) {
  if (n->state != RN_NODE_SERVING || n->rotation.step == RN_SECRETS_IDLE)
    return;
  for (uint32_t i = 0; i < n->topo.lcore_count; i++) {
    if (n->lcores[i].keys_owed > 0)
      tell(n, i);
  }
}

/* ---- from the file ---- */

static int ask_parent(struct rn_node *n, enum rn_parent_type type, uint32_t arg) {
  const struct rn_parent_msg m = { .type = type, .arg = arg };
  return rn_sys_send(n->channel, &m, sizeof(m), NULL, 0);
}

int rn_secrets_reload(struct rn_node *n, bool rotate, const struct rn_secrets_client *client) {
  if (n->cfg->node.secret_file[0] == '\0')
    return RN_ERR_NOENT;
  if (n->rotation.asked)
    return RN_ERR_AGAIN;
  int err = rotate ? ask_parent(n, RN_PARENT_ROTATE, 0)
                   : ask_parent(n, RN_PARENT_OPEN, RN_PARENT_FILE_SECRET);
  if (err != RN_OK)
    return RN_ERR_AGAIN;
  n->rotation.asked = true;
  if (client != NULL)
    n->rotation.client = *client;
  return RN_OK;
}

void rn_secrets_forget(struct rn_node *n, const void *arg) {
  if (n->rotation.client.arg == arg)
    n->rotation.client = (struct rn_secrets_client){ 0 };
}

/* What may take the place of what is in use. false with why. */
static bool follows(const struct rn_secrets *now, const struct rn_secrets *next, char *why,
                    size_t why_bytes) {
  uint32_t in_use = rn_secrets_newest(now)->epoch, newest = rn_secrets_newest(next)->epoch;
  if (newest < in_use) {
    snprintf(why, why_bytes, "its newest epoch is %" PRIu32 ", but %" PRIu32 " is in use", newest,
             in_use);
    return false;
  }
  for (uint32_t i = 0, j = 0; i < now->count && j < next->count;) {
    const struct rn_secret_epoch *a = &now->of[i], *b = &next->of[j];
    if (a->epoch == b->epoch && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) != 0) {
      snprintf(why, why_bytes,
               "epoch %" PRIu32 " has other bytes than before: new bytes need a new number",
               a->epoch);
      return false;
    }
    i += a->epoch <= b->epoch;
    j += b->epoch <= a->epoch;
  }
  return true;
}

static void take(struct rn_node *n, int fd) {
  static struct rn_secrets next; /* one thread; wiped below */
  char why[256];
  int err = rn_secret_file_read(fd, &next, why, sizeof(why));
  if (err == RN_OK && !follows(&n->secrets, &next, why, sizeof(why)))
    err = RN_ERR_CONFIG;
  if (err == RN_OK)
    n->secrets = next;
  rn_secrets_wipe(&next);
  if (err != RN_OK)
    finish(n, why);
  else if (n->state == RN_NODE_SERVING)
    rn_secrets_publish(n);
  else /* the next data plane begins with it */
    finish(n, NULL);
}

void rn_secrets_on_reply(struct rn_node *n, const struct rn_parent_msg *m, int fd) {
  char why[sizeof(m->text)];
  snprintf(why, sizeof(why), "%.*s", (int)sizeof(m->text) - 1, m->text);
  if (!n->rotation.asked)
    rn_warn("rpcnetd answers what was not asked");
  else if (m->status != RN_OK)
    finish(n, why);
  else if (m->arg == RN_PARENT_ROTATE &&
           ask_parent(n, RN_PARENT_OPEN, RN_PARENT_FILE_SECRET) != RN_OK)
    finish(n, "rpcnetd does not answer");
  else if (m->arg == RN_PARENT_OPEN && fd < 0)
    finish(n, "rpcnetd sent no descriptor");
  else if (m->arg == RN_PARENT_OPEN)
    take(n, fd);
  if (fd >= 0)
    close(fd);
}

/* ---- for people ---- */

char *rn_secrets_json(struct rn_node *n, size_t *len) {
  static const char *const steps[] = { "idle", "adding", "switching" };
  yyjson_mut_val *r;
  yyjson_mut_doc *doc = rn_status_answer(&r);
  if (doc == NULL)
    return NULL;
  yyjson_mut_obj_add_str(doc, r, "file", n->cfg->node.secret_file);
  yyjson_mut_obj_add_uint(doc, r, "newest", rn_secrets_newest(&n->secrets)->epoch);
  yyjson_mut_obj_add_uint(doc, r, "oldest", oldest_of(&n->secrets));
  yyjson_mut_obj_add_str(doc, r, "step", steps[n->rotation.step]);
  yyjson_mut_val *epochs = yyjson_mut_obj_add_arr(doc, r, "epochs");
  for (uint32_t i = 0; i < n->secrets.count; i++)
    yyjson_mut_arr_add_uint(doc, epochs, n->secrets.of[i].epoch);
  yyjson_mut_val *lcores = yyjson_mut_obj_add_arr(doc, r, "lcores");
  for (uint32_t i = 0; n->state != RN_NODE_NONE && i < n->topo.lcore_count; i++)
    yyjson_mut_arr_add_uint(doc, lcores, n->lcores[i].key_epoch);
  char *text = yyjson_mut_write(doc, 0, len);
  yyjson_mut_doc_free(doc);
  return text;
}
