/* lib/quic/token.h: address validation tokens (RFC 9000 section 8.1): of Retry, and of NEW_TOKEN.
 *
 * A token is AES-SIV (RFC 5297) under the node's token key, which needs no nonce that must never
 * repeat: a node under attack writes more Retry tokens in an hour than random GCM nonces allow.
 *
 *   0      1            17       25        33          34     54
 *   | kind | SIV tag    | issued | random  | ODCID len | ODCID |     Retry: 54 bytes
 *   | kind | SIV tag    | issued | random  |                         NEW_TOKEN: 33 bytes
 *                       |<------------- encrypted ----------->|
 *
 * The low three bits of kind are the config id of the key's epoch (quic/secret.h). It, the client's IP address, for Retry also its port and the SCID of the Retry, are authenticated and
 * not carried: another client's token does not open. Nothing is kept, nothing allocates. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "util/addr.h"

enum rn_token_kind {
  RN_TOKEN_RETRY = 0x50,
  RN_TOKEN_NEW_TOKEN = 0x48,
};
#define RN_TOKEN_KIND_MASK 0xf8u
#define RN_TOKEN_ID_MASK   0x07u

#define RN_TOKEN_RETRY_BYTES 54
#define RN_TOKEN_NEW_BYTES   33
#define RN_TOKEN_RND_BYTES   8

/* One expanded key; one lcore owns each. */
struct rn_token_codec;

/* Bytes needed; 64-byte aligned. */
size_t rn_token_codec_footprint(void);
/* key: of one kind of token; config_id: of its epoch, 0..6. RN_OK, or RN_ERR_CRYPTO on a machine without AES-NI. */
int rn_token_codec_init(void *mem, const uint8_t key[32], uint8_t config_id,
                        struct rn_token_codec **out);
void rn_token_codec_wipe(struct rn_token_codec *k); /* NULL is fine */

/* now_ns here and below: a clock that all who share the key read alike. odcid: the DCID of the
 * client's Initial, at most 20 bytes; scid: of the Retry packet, at most 20. rnd: random bytes. */
void rn_token_retry_make(const struct rn_token_codec *k, uint64_t now_ns,
                         const struct rn_addr *client, const uint8_t *odcid, size_t odcid_bytes,
                         const uint8_t *scid, size_t scid_bytes,
                         const uint8_t rnd[RN_TOKEN_RND_BYTES], uint8_t out[RN_TOKEN_RETRY_BYTES]);

/* Reads any bytes. dcid: of the Initial that brings the token, which is the Retry's SCID. RN_OK with
 * the original DCID; RN_ERR_REFUSED: forged, or of another client; RN_ERR_TIMEOUT: older than
 * lifetime_ns, or from the future. */
int rn_token_retry_read(const struct rn_token_codec *k, uint64_t now_ns, uint64_t lifetime_ns,
                        const struct rn_addr *client, const uint8_t *dcid, size_t dcid_bytes,
                        const uint8_t *token, size_t token_bytes, uint8_t odcid[20],
                        size_t *odcid_bytes);

/* A token for the client's next connection, from whatever port. */
void rn_token_new_make(const struct rn_token_codec *k, uint64_t now_ns,
                       const struct rn_addr *client, const uint8_t rnd[RN_TOKEN_RND_BYTES],
                       uint8_t out[RN_TOKEN_NEW_BYTES]);
/* RN_OK, RN_ERR_REFUSED or RN_ERR_TIMEOUT. */
int rn_token_new_read(const struct rn_token_codec *k, uint64_t now_ns, uint64_t lifetime_ns,
                      const struct rn_addr *client, const uint8_t *token, size_t token_bytes);

/* AES-SIV with one component of associated data (RFC 5297 section 2.6), as the tokens use it. out
 * and plain may not overlap. plain_bytes and aad_bytes at most 64. */
void rn_token_siv_seal(const struct rn_token_codec *k, const uint8_t *aad, size_t aad_bytes,
                       const uint8_t *plain, size_t plain_bytes, uint8_t tag[16], uint8_t *out);
