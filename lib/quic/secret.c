#include "quic/secret.h"

#include <string.h>

#include "quic/hkdf.h"
#include "util/err.h"

static const char *const labels[RN_SECRET_USE_COUNT] = {
  [RN_SECRET_CID] = "rpcnet cid",
  [RN_SECRET_RESET] = "rpcnet stateless reset",
  [RN_SECRET_TOKEN] = "rpcnet address token",
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

int rn_secret_cid_keys(const uint8_t *secret, size_t secret_bytes, uint32_t epoch,
                       struct rn_cid_config *cfg) {
  struct rn_cid_config c = *cfg;
  int err = rn_secret_key(secret, secret_bytes, RN_SECRET_CID, epoch, c.key, sizeof(c.key));
  if (err == RN_OK)
    err = rn_secret_key(secret, secret_bytes, RN_SECRET_RESET, epoch, c.reset_key,
                        sizeof(c.reset_key));
  if (err == RN_OK)
    err = rn_secret_key(secret, secret_bytes, RN_SECRET_TOKEN, epoch, c.token_key,
                        sizeof(c.token_key));
  if (err == RN_OK)
    *cfg = c;
  explicit_bzero(&c, sizeof(c));
  return err;
}
