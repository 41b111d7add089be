#include "quic/cid.h"

#include <string.h>

#include "quic/aes.h"
#include "quic/hkdf.h"
#include "util/err.h"

struct rn_cid_codec {
  struct rn_aes128 aes;
  struct rn_hmac reset;
  uint16_t server_id;
  uint8_t first; /* the clear octet */
  uint8_t epoch;
  uint8_t lcore_idx;
  uint8_t lcore_count;
} __attribute__((aligned(64)));

size_t rn_cid_codec_footprint(void) { return sizeof(struct rn_cid_codec); }

int rn_cid_codec_init(void *mem, const struct rn_cid_config *cfg, struct rn_cid_codec **out) {
  const struct rn_imb *imb = rn_imb();
  if (imb == NULL || cfg->config_id > 6 || cfg->lcore_count == 0 ||
      cfg->lcore_idx >= cfg->lcore_count)
    return RN_ERR_INVAL;
  struct rn_cid_codec *k = mem;
  *k = (struct rn_cid_codec){
    .server_id = cfg->server_id,
    .first = (uint8_t)(cfg->config_id << 5 | (RN_CID_BYTES - 1)),
    .epoch = cfg->epoch,
    .lcore_idx = cfg->lcore_idx,
    .lcore_count = cfg->lcore_count,
  };
  rn_aes128_init(&k->aes, imb, cfg->key);
  rn_hmac_init(&k->reset, RN_HASH_SHA256, cfg->reset_key, sizeof(cfg->reset_key));
  *out = k;
  return RN_OK;
}

void rn_cid_codec_wipe(struct rn_cid_codec *k) {
  if (k != NULL)
    explicit_bzero(k, sizeof(*k));
}

static void put24(uint8_t *b, uint32_t v) {
  b[0] = (uint8_t)(v >> 16);
  b[1] = (uint8_t)(v >> 8);
  b[2] = (uint8_t)v;
}

static uint32_t get24(const uint8_t *b) {
  return (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];
}

RN_AES_TARGET void rn_cid_make(const struct rn_cid_codec *k, uint32_t slot, uint32_t gen,
                               const uint8_t rnd[6], uint8_t out[RN_CID_BYTES]) {
  uint8_t b[16];
  b[0] = (uint8_t)(k->server_id >> 8);
  b[1] = (uint8_t)k->server_id;
  b[2] = k->epoch;
  b[3] = k->lcore_idx;
  put24(b + 4, slot);
  put24(b + 7, gen);
  memcpy(b + 10, rnd, 6);
  out[0] = k->first;
  rn_aes_store(out + 1, rn_aes128_encrypt(&k->aes, rn_aes_load(b)));
}

RN_AES_TARGET enum rn_cid_verdict rn_cid_read(const struct rn_cid_codec *k, const uint8_t *cid,
                                              size_t len, struct rn_cid *out) {
  if (len != RN_CID_BYTES || cid[0] != k->first)
    return RN_CID_FOREIGN;
  uint8_t b[16];
  rn_aes_store(b, rn_aes128_decrypt(&k->aes, rn_aes_load(cid + 1)));
  uint16_t server_id = (uint16_t)(b[0] << 8 | b[1]);
  if (server_id != k->server_id)
    return RN_CID_FOREIGN;
  bool same_epoch = b[2] == k->epoch;
  if (same_epoch && b[3] >= k->lcore_count)
    return RN_CID_FOREIGN; /* nobody made this one */
  *out = (struct rn_cid){
    .server_id = server_id,
    .epoch = b[2],
    .lcore_idx = b[3],
    .slot = get24(b + 4),
    .gen = get24(b + 7),
  };
  if (!same_epoch)
    return RN_CID_STALE;
  return b[3] == k->lcore_idx ? RN_CID_OURS : RN_CID_LCORE;
}

int rn_cid_reset_token(const struct rn_cid_codec *k, const uint8_t *cid, size_t len,
                       uint8_t out[16]) {
  uint8_t mac[RN_HASH_BYTES_MAX];
  rn_hmac(&k->reset, cid, len, NULL, 0, mac);
  memcpy(out, mac, 16);
  explicit_bzero(mac, sizeof(mac));
  return RN_OK;
}
