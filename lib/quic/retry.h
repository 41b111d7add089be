/* lib/quic/retry.h: writes Retry and Version Negotiation packets. Decides nothing, keeps nothing. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* One end's connection ID in a long header, at most 20 bytes here, 255 in Version Negotiation. */
struct rn_retry_cid {
  const uint8_t *data;
  size_t len;
};

/* RFC 9001 section 5.8, for the Retry a client receives. */
extern const uint8_t rn_retry_key_v1[16];

/* The expanded key of the integrity tag; one lcore owns each. */
struct rn_retry_codec;

/* Bytes needed; 64-byte aligned. */
size_t rn_retry_codec_footprint(void);
/* RN_OK, or RN_ERR_CRYPTO on a machine without AES-NI. Nothing to release, nothing secret. */
int rn_retry_codec_init(void *mem, struct rn_retry_codec **out);

/* A version 1 Retry (RFC 9000 section 17.2.5) to out[0..cap). dcid: the client's SCID; scid: ours,
 * the DCID of what the client sends next; odcid: the DCID of the Initial being answered; token is
 * not empty. Returns the length, or 0 when it does not fit or a CID is longer than 20. */
size_t rn_retry_write(const struct rn_retry_codec *k, const struct rn_retry_cid *dcid,
                      const struct rn_retry_cid *scid, const struct rn_retry_cid *odcid,
                      const uint8_t *token, size_t token_bytes, uint8_t *out, size_t cap);

/* A Version Negotiation packet (RFC 9000 section 17.2.1) that offers version 1 and one reserved
 * version (section 15). The CIDs are those of the packet being answered, the other way round; up to
 * 255 bytes each. Returns the length, or 0 when it does not fit. */
size_t rn_vneg_write(const struct rn_retry_cid *dcid, const struct rn_retry_cid *scid, uint8_t rnd,
                     uint8_t *out, size_t cap);
