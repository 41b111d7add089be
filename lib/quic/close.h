/* lib/quic/close.h: writes the one packet that refuses a connection which was never made: an Initial
 * with a CONNECTION_CLOSE (RFC 9000 sections 5.2.2 and 8.1.2). Decides nothing, keeps nothing. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "quic/aead.h"
#include "quic/retry.h"

#define RN_CLOSE_BYTES_MAX 70

/* In answer to a client's Initial of version 1: dcid is its SCID, scid its DCID, which is also where
 * the keys come from; at most 20 bytes each. code: RFC 9000 section 20.1, below 64. pool lends two
 * contexts for the call. Returns the length, at most RN_CLOSE_BYTES_MAX; 0 when it does not fit or the
 * pool is empty. */
size_t rn_close_write(struct rn_aead_pool *pool, const struct rn_retry_cid *dcid,
                      const struct rn_retry_cid *scid, uint8_t code, uint8_t *out, size_t cap);
