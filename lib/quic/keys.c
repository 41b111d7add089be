#include "quic/keys.h"

static const uint8_t initial_salt_v1[20] = { 0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34,
                                             0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8,
                                             0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a };

void rn_keys_initial_secrets(const uint8_t *dcid, size_t dcid_bytes,
                             uint8_t client[RN_KEYS_INITIAL_BYTES],
                             uint8_t server[RN_KEYS_INITIAL_BYTES]) {
  uint8_t initial[RN_KEYS_INITIAL_BYTES];
  struct rn_hmac prk;
  rn_hkdf_extract(RN_HASH_SHA256, initial_salt_v1, sizeof(initial_salt_v1), dcid, dcid_bytes,
                  initial);
  rn_hmac_init(&prk, RN_HASH_SHA256, initial, sizeof(initial));
  rn_hkdf_label(&prk, "client in", client, RN_KEYS_INITIAL_BYTES);
  rn_hkdf_label(&prk, "server in", server, RN_KEYS_INITIAL_BYTES);
  /* Nothing here is secret: anyone who saw the DCID can do the same. */
}

void rn_keys_next_secret(enum rn_hash hash, const uint8_t *current, size_t secret_bytes,
                         uint8_t *next) {
  struct rn_hmac prk;
  rn_hmac_init(&prk, hash, current, secret_bytes);
  rn_hkdf_label(&prk, "quic ku", next, secret_bytes);
  rn_hmac_wipe(&prk);
}
