/* lib/quic/secret.h: every symmetric key of a node from one secret file, by HKDF-SHA-256 with a label
 * and an epoch. Nodes that share the file share the keys; no key leads back to the secret or to
 * another. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "quic/cid.h"

#define RN_SECRET_BYTES_MIN 32

enum rn_secret_use {
  RN_SECRET_CID,    /* 16 bytes: rn_cid_config.key */
  RN_SECRET_RESET,  /* 32 bytes: rn_cid_config.reset_key */
  RN_SECRET_TOKEN,  /* 32 bytes: rn_cid_config.token_key */
  RN_SECRET_TICKET, /* 80 bytes: rn_quic_tls_config.ticket_keys */
  RN_SECRET_USE_COUNT
};

/* epoch counts rotations: another epoch, unrelated keys. out_bytes 1..255 * 32. RN_OK, or
 * RN_ERR_INVAL for a secret shorter than RN_SECRET_BYTES_MIN. */
int rn_secret_key(const uint8_t *secret, size_t secret_bytes, enum rn_secret_use use,
                  uint32_t epoch, uint8_t *out, size_t out_bytes);

/* Fills the three keys of cfg and leaves its other fields. RN_OK or RN_ERR_INVAL. */
int rn_secret_cid_keys(const uint8_t *secret, size_t secret_bytes, uint32_t epoch,
                       struct rn_cid_config *cfg);
