/* lib/quic/secret.h: every symmetric key of a node from one secret, by HKDF-SHA-256 with a label and an epoch. Nodes that share the secret
 * share the keys; no key leads back to the secret or to another.
 *
 * The secret is rotated by epochs: each has secret bytes of its own and a number that grows. What was made with an epoch's keys names it
 * by its config id, three bits: the number modulo 7 (7 itself is reserved in connection IDs). So seven epochs in a row can be told apart. */
#pragma once
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "quic/cid.h"

#define RN_SECRET_BYTES_MIN  32
#define RN_SECRET_EPOCHS_MAX 7u

enum rn_secret_use {
  RN_SECRET_CID,     /* 16 bytes: connection IDs */
  RN_SECRET_RESET,   /* 32 bytes: stateless reset tokens */
  RN_SECRET_RETRY,   /* 32 bytes: tokens of Retry */
  RN_SECRET_ADDRESS, /* 32 bytes: tokens of NEW_TOKEN */
  RN_SECRET_TICKET,  /* 80 bytes: session tickets */
  RN_SECRET_USE_COUNT
};

/* The keys of one epoch: all that leaves rpcnet-control. No holes. */
struct rn_secret_keys {
  uint32_t epoch;
  uint8_t cid[16];
  uint8_t reset[32];
  uint8_t retry[32];
  uint8_t address[32];
  uint8_t ticket[80]; /* name 16, HMAC 32, AES 32: as OpenSSL's tickets have it */
};
static_assert(sizeof(struct rn_secret_keys) == 196, "shared layout");

static inline uint8_t rn_secret_config_id(uint32_t epoch) {
  return (uint8_t)(epoch % RN_SECRET_EPOCHS_MAX);
}

/* One key. out_bytes 1..255 * 32. RN_OK, or RN_ERR_INVAL for a secret shorter than RN_SECRET_BYTES_MIN. */
int rn_secret_key(const uint8_t *secret, size_t secret_bytes, enum rn_secret_use use,
                  uint32_t epoch, uint8_t *out, size_t out_bytes);

/* All of them. RN_OK or RN_ERR_INVAL, *out unchanged. The caller wipes *out. */
int rn_secret_derive(const uint8_t *secret, size_t secret_bytes, uint32_t epoch,
                     struct rn_secret_keys *out);

/* Fills the keys, the epoch and the config id of cfg and leaves its other fields. */
void rn_secret_to_cid(const struct rn_secret_keys *keys, struct rn_cid_config *cfg);
