/* lib/quic/epochs.c: the keys of several epochs of the secret at once.
 *
 * New connection IDs, tokens and tickets are made with the current epoch's keys; what comes in names its epoch by three bits, and more
 * than one epoch may answer to them:
 *
 *   octet 0 of a connection ID --> config id --> newest epoch with it --> an older one with it --> ...
 *
 * A peer keeps the connection IDs it was given for as long as it likes, and no frame of ours can be sent that makes it drop them. So an
 * epoch stays here when its tokens and tickets are no longer taken, until RN_QUIC_EPOCHS newer ones have come: then the connections that
 * still hold connection IDs of it are closed. */
#include "quic/quic_priv.h"

#include <string.h>

#define SCIDS_MAX                                                                                  \
  32u /* connection IDs that a peer may hold at once, with room to spare: ngtcp2 gives it 8 */

struct epoch {
  struct rn_secret_keys keys; /* as they came: to see whether others come for the same epoch */
  struct rn_cid_codec *cid;
  struct rn_token_codec *retry, *address;
  struct epoch *older; /* with the same config id */
  bool used;
};

struct epochs {
  struct epoch *newest[RN_SECRET_EPOCHS_MAX]; /* by config id */
  struct epoch *current;
  uint32_t oldest; /* the first whose tokens are taken */
  struct epoch of[RN_QUIC_EPOCHS];
};

static size_t line_up(size_t bytes) { return (bytes + 63) & ~(size_t)63; }

static size_t codecs_bytes(void) {
  return line_up(rn_cid_codec_footprint()) + 2 * line_up(rn_token_codec_footprint());
}

size_t epochs_footprint(void) {
  return line_up(sizeof(struct epochs)) + RN_QUIC_EPOCHS * codecs_bytes();
}

/* ---- the table ---- */

static struct epoch *find(struct epochs *t, uint32_t number) {
  for (struct epoch *e = t->newest[rn_secret_config_id(number)]; e != NULL; e = e->older) {
    if (e->keys.epoch == number)
      return e;
  }
  return NULL;
}

static void link_in(struct epochs *t, struct epoch *e) {
  struct epoch **at = &t->newest[rn_secret_config_id(e->keys.epoch)];
  while (*at != NULL && (*at)->keys.epoch > e->keys.epoch)
    at = &(*at)->older;
  e->older = *at;
  *at = e;
  e->used = true;
}

static void link_out(struct epochs *t, struct epoch *e) {
  struct epoch **at = &t->newest[rn_secret_config_id(e->keys.epoch)];
  while (*at != e)
    at = &(*at)->older;
  *at = e->older;
  e->used = false;
}

static int fill(struct rn_quic *q, struct epoch *e, const struct rn_secret_keys *keys) {
  struct rn_cid_config cfg = q->cid_cfg;
  uint8_t id = rn_secret_config_id(keys->epoch);
  uint8_t *mem = (uint8_t *)q->epochs + line_up(sizeof(struct epochs)) +
                 (size_t)(e - q->epochs->of) * codecs_bytes();
  rn_secret_to_cid(keys, &cfg);
  int err = rn_cid_codec_init(mem, &cfg, &e->cid);
  mem += line_up(rn_cid_codec_footprint());
  if (err == RN_OK)
    err = rn_token_codec_init(mem, keys->retry, id, &e->retry);
  mem += line_up(rn_token_codec_footprint());
  if (err == RN_OK)
    err = rn_token_codec_init(mem, keys->address, id, &e->address);
  explicit_bzero(&cfg, sizeof(cfg));
  if (err != RN_OK)
    return err;
  e->keys = *keys;
  explicit_bzero(e->keys.ticket, sizeof(e->keys.ticket)); /* TLS has it */
  link_in(q->epochs, e);
  return RN_OK;
}

static void make_current(struct rn_quic *q, struct epoch *e) {
  q->epochs->current = e;
  q->cid = e->cid;
  q->stats.key_epoch = e->keys.epoch;
}

int epochs_init(struct rn_quic *q, void *mem) {
  const struct rn_cid_config *c = &q->cid_cfg;
  struct rn_secret_keys keys = { .epoch = c->key_epoch };
  if (c->config_id != rn_secret_config_id(c->key_epoch))
    return RN_ERR_INVAL;
  memcpy(keys.cid, c->key, sizeof(keys.cid));
  memcpy(keys.reset, c->reset_key, sizeof(keys.reset));
  memcpy(keys.retry, c->token_key, sizeof(keys.retry));
  memcpy(keys.address, c->address_key, sizeof(keys.address));
  q->epochs = mem;
  *q->epochs = (struct epochs){ .oldest = 0 };
  int err = fill(q, &q->epochs->of[0], &keys);
  explicit_bzero(&keys, sizeof(keys));
  if (err == RN_OK)
    make_current(q, &q->epochs->of[0]);
  return err;
}

void epochs_wipe(struct rn_quic *q) {
  if (q->epochs != NULL)
    explicit_bzero(q->epochs, epochs_footprint());
}

/* ---- reading ---- */

static struct epoch *newest_with(const struct rn_quic *q, uint8_t config_id) {
  return config_id < RN_SECRET_EPOCHS_MAX ? q->epochs->newest[config_id] : NULL;
}

/* What is the best that two epochs made of the same bytes: one lcore's word that they are another's has to be believed, or two lcores
 * would send them to and fro. */
static bool is_better(enum rn_cid_verdict a, enum rn_cid_verdict b) {
  static const uint8_t rank[] = {
    [RN_CID_LCORE] = 3, [RN_CID_OURS] = 2, [RN_CID_STALE] = 1, [RN_CID_FOREIGN] = 0
  };
  return rank[a] > rank[b];
}

enum rn_cid_verdict epochs_read(struct rn_quic *q, const uint8_t *cid, size_t len,
                                struct rn_cid *out, struct rn_quic_conn **conn) {
  enum rn_cid_verdict best = RN_CID_FOREIGN;
  *conn = NULL;
  if (len != RN_CID_BYTES)
    return best;
  for (const struct epoch *e = newest_with(q, cid[0] >> 5); e != NULL; e = e->older) {
    struct rn_cid id;
    enum rn_cid_verdict v = rn_cid_read(e->cid, cid, len, &id);
    if (v == RN_CID_OURS) {
      *conn = conn_find(q, id.slot, id.gen);
      if (*conn != NULL || id.slot == RN_CID_SLOT_NONE) {
        *out = id;
        return v;
      }
    }
    if (is_better(v, best)) {
      best = v;
      *out = id;
    }
  }
  return best;
}

/* Whose keys made a connection ID; when none did, the current epoch's: an answer that nobody can tell from a right one. */
static const struct epoch *maker_of(const struct rn_quic *q, const uint8_t *cid) {
  for (const struct epoch *e = newest_with(q, cid[0] >> 5); e != NULL; e = e->older) {
    struct rn_cid id;
    if (rn_cid_read(e->cid, cid, RN_CID_BYTES, &id) != RN_CID_FOREIGN)
      return e;
  }
  return q->epochs->current;
}

void epochs_reset_token(const struct rn_quic *q, const uint8_t cid[RN_CID_BYTES], uint8_t out[16]) {
  (void)rn_cid_reset_token(maker_of(q, cid)->cid, cid, RN_CID_BYTES, out);
}

static const struct epoch *taken(const struct rn_quic *q, uint8_t octet) {
  const struct epoch *e = newest_with(q, octet & RN_TOKEN_ID_MASK);
  return e != NULL && e->keys.epoch >= q->epochs->oldest ? e : NULL;
}

const struct rn_token_codec *epochs_retry(const struct rn_quic *q, uint8_t octet) {
  const struct epoch *e = taken(q, octet);
  return e != NULL ? e->retry : NULL;
}

const struct rn_token_codec *epochs_address(const struct rn_quic *q, uint8_t octet) {
  const struct epoch *e = taken(q, octet);
  return e != NULL ? e->address : NULL;
}

const struct rn_token_codec *epochs_retry_now(const struct rn_quic *q) {
  return q->epochs->current->retry;
}

const struct rn_token_codec *epochs_address_now(const struct rn_quic *q) {
  return q->epochs->current->address;
}

/* ---- rotation ---- */

/* True when the peer may still send to a connection ID that e made. */
static bool holds(struct rn_quic_conn *c, const struct epoch *e) {
  ngtcp2_cid held[SCIDS_MAX];
  size_t n = ngtcp2_conn_get_scid(c->ng, NULL);
  if (n > SCIDS_MAX)
    return true;
  ngtcp2_conn_get_scid(c->ng, held);
  for (size_t i = 0; i < n; i++) {
    struct rn_cid id;
    if (rn_cid_read(e->cid, held[i].data, held[i].datalen, &id) == RN_CID_OURS &&
        id.slot == c->slot && id.gen == c->gen)
      return true;
  }
  return false;
}

static void forget(struct rn_quic *q, struct epoch *e) {
  for (uint32_t i = 0; i < q->conn_fresh; i++) {
    struct rn_quic_conn *c = &q->conns[i];
    if (c->ng != NULL && !c->close_wanted && holds(c, e)) {
      q->stats.closed_epoch++;
      rn_quic_conn_close(c, 0);
    }
  }
  link_out(q->epochs, e);
}

/* A free place, or that of the oldest. NULL: the new one would be older than that. */
static struct epoch *make_room(struct rn_quic *q, uint32_t number) {
  struct epochs *t = q->epochs;
  struct epoch *oldest = NULL;
  for (struct epoch *e = t->of; e < t->of + RN_QUIC_EPOCHS; e++) {
    if (!e->used)
      return e;
    if (e != t->current && (oldest == NULL || e->keys.epoch < oldest->keys.epoch))
      oldest = e;
  }
  if (oldest->keys.epoch > number)
    return NULL;
  forget(q, oldest);
  return oldest;
}

static bool same_keys(const struct rn_secret_keys *a, const struct rn_secret_keys *b) {
  return memcmp(a->cid, b->cid, sizeof(a->cid)) == 0 &&
         memcmp(a->reset, b->reset, sizeof(a->reset)) == 0 &&
         memcmp(a->retry, b->retry, sizeof(a->retry)) == 0 &&
         memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

int rn_quic_keys_add(struct rn_quic *q, uint64_t now_ns, const struct rn_secret_keys *keys) {
  q->now_ns = now_ns;
  struct epoch *e = find(q->epochs, keys->epoch);
  if (e != NULL && !same_keys(&e->keys, keys))
    return RN_ERR_EXIST;
  int err = RN_OK;
  if (e == NULL) {
    e = make_room(q, keys->epoch);
    err = e != NULL ? fill(q, e, keys) : RN_ERR_LIMIT;
  }
  if (err == RN_OK)
    rn_quic_tls_ticket_key(q->tls, keys->epoch, keys->ticket);
  return err;
}

int rn_quic_keys_use(struct rn_quic *q, uint32_t epoch, uint32_t oldest) {
  struct epoch *e = find(q->epochs, epoch);
  if (e == NULL)
    return RN_ERR_NOENT;
  if (epoch < q->epochs->current->keys.epoch || oldest > epoch)
    return RN_ERR_STATE;
  make_current(q, e);
  q->epochs->oldest = oldest;
  rn_quic_tls_ticket_use(q->tls, epoch, oldest);
  return RN_OK;
}

int epochs_check(const struct rn_quic *q) {
  const struct epochs *t = q->epochs;
  uint32_t linked = 0, used = 0;
  for (uint8_t id = 0; id < RN_SECRET_EPOCHS_MAX; id++) {
    for (const struct epoch *e = t->newest[id]; e != NULL; e = e->older, linked++) {
      if (!e->used || rn_secret_config_id(e->keys.epoch) != id ||
          (e->older != NULL && e->older->keys.epoch >= e->keys.epoch))
        return RN_ERR_STATE;
    }
  }
  for (const struct epoch *e = t->of; e < t->of + RN_QUIC_EPOCHS; e++)
    used += e->used;
  bool ok = used == linked && t->current->used && q->cid == t->current->cid &&
            t->oldest <= t->current->keys.epoch;
  return ok ? RN_OK : RN_ERR_STATE;
}
