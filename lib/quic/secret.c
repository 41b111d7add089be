#include "quic/secret.h"

#include <string.h>

#include "quic/hkdf.h"
#include "util/err.h"

static const char *const labels[RN_SECRET_USE_COUNT] = {
  [RN_SECRET_CID] = "rpcnet cid",
  [RN_SECRET_RESET] = "rpcnet stateless reset",
  [RN_SECRET_RETRY] = "rpcnet retry token",
  [RN_SECRET_ADDRESS] = "rpcnet address token",
  [RN_SECRET_TICKET] = "rpcnet session ticket",
};

int rn_secret_key(const uint8_t *secret, size_t secret_bytes, enum rn_secret_use use,
                  uint32_t epoch, uint8_t *out, size_t out_bytes) {
  static const uint8_t salt[] = "rpcnet node secret";
  if (secret_bytes < RN_SECRET_BYTES_MIN || use >= RN_SECRET_USE_COUNT)
    return RN_ERR_INVAL;
  uint8_t prk[32], info[64];
  struct rn_hmac k;
  size_t n = strlen(labels[use]);
  memcpy(info, labels[use], n);
  info[n++] = 0; /* no label is another one's beginning */
  for (int shift = 24; shift >= 0; shift -= 8)
    info[n++] = (uint8_t)(epoch >> shift);

  rn_hkdf_extract(RN_HASH_SHA256, salt, sizeof(salt) - 1, secret, secret_bytes, prk);
  rn_hmac_init(&k, RN_HASH_SHA256, prk, sizeof(prk));
  int err = rn_hkdf_expand(&k, info, n, out, out_bytes);
  rn_hmac_wipe(&k);
  explicit_bzero(prk, sizeof(prk));
  return err;
}

int rn_secret_derive(const uint8_t *secret, size_t secret_bytes, uint32_t epoch,
                     struct rn_secret_keys *out) {
  struct rn_secret_keys k = { .epoch = epoch };
  const struct {
    uint8_t *out;
    size_t bytes;
  } parts[RN_SECRET_USE_COUNT] = {
    [RN_SECRET_CID] = { k.cid, sizeof(k.cid) },
    [RN_SECRET_RESET] = { k.reset, sizeof(k.reset) },
    [RN_SECRET_RETRY] = { k.retry, sizeof(k.retry) },
    [RN_SECRET_ADDRESS] = { k.address, sizeof(k.address) },
    [RN_SECRET_TICKET] = { k.ticket, sizeof(k.ticket) },
  };
  int err = RN_OK;
  for (enum rn_secret_use u = 0; err == RN_OK && u < RN_SECRET_USE_COUNT; u++)
    err = rn_secret_key(secret, secret_bytes, u, epoch, parts[u].out, parts[u].bytes);
  if (err == RN_OK)
    *out = k;
  explicit_bzero(&k, sizeof(k));
  return err;
}

void rn_secret_to_cid(const struct rn_secret_keys *keys, struct rn_cid_config *cfg) {
  cfg->key_epoch = keys->epoch;
  cfg->config_id = rn_secret_config_id(keys->epoch);
  memcpy(cfg->key, keys->cid, sizeof(cfg->key));
  memcpy(cfg->reset_key, keys->reset, sizeof(cfg->reset_key));
  memcpy(cfg->token_key, keys->retry, sizeof(cfg->token_key));
  memcpy(cfg->address_key, keys->address, sizeof(cfg->address_key));
}
