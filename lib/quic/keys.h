/* lib/quic/keys.h: traffic secrets that come from other secrets than TLS's. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "quic/hkdf.h"

#define RN_KEYS_INITIAL_BYTES 32

/* RFC 9001 section 5.2, QUIC version 1. dcid: of the client's first Initial, or the SCID of a Retry. */
void rn_keys_initial_secrets(const uint8_t *dcid, size_t dcid_bytes,
                             uint8_t client[RN_KEYS_INITIAL_BYTES],
                             uint8_t server[RN_KEYS_INITIAL_BYTES]);

/* The next generation's secret of a key update, RFC 9001 section 6.1. next: secret_bytes. */
void rn_keys_next_secret(enum rn_hash hash, const uint8_t *current, size_t secret_bytes,
                         uint8_t *next);
