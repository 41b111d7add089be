/* lib/quic/cid.h: connection IDs that name lcore and slot to us and nothing to others.
 *
 * The shape is the block-cipher mode of draft-ietf-quic-load-balancers: one clear octet (3-bit config id, 5-bit length of what
 * follows), then one AES-128 block over {server id, nonce}:
 *
 *   octet 0      1                     3             4          5         8          11                    17
 *        | id,len | server id (2)      | epoch (1)  | lcore (1) | slot (3) | gen (3)  | random (6)           |
 *
 * so a CID costs one AES block to read, no table, and two CIDs of one connection cannot be linked by an observer. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_CID_BYTES     17
#define RN_CID_SLOT_NONE 0xffffffu /* a Retry SCID: names an lcore and no slot */

/* What an endpoint needs to make and read its CIDs. */
struct rn_cid_config {
  uint8_t key[16];    /* AES-128, the same on all nodes of a cluster */
  uint8_t config_id;  /* 0..6, says which key_epoch; 7 is reserved by the draft */
  uint16_t server_id; /* this node in its cluster */
  uint8_t epoch;      /* changes with each start of the process */
  uint8_t lcore_idx;  /* of this endpoint */
  uint8_t lcore_count;
  uint8_t
      reset_key[32]; /* stateless reset tokens, RFC 9000 section 10.3.2; the same on all nodes */
  uint8_t token_key[32];   /* tokens of Retry; the same on all nodes */
  uint8_t address_key[32]; /* tokens of NEW_TOKEN; the same on all nodes */
  uint32_t key_epoch;      /* of the secret that the keys come from, quic/secret.h */
};

/* The decrypted content of one CID. */
struct rn_cid {
  uint16_t server_id;
  uint8_t epoch;
  uint8_t lcore_idx;
  uint32_t slot; /* 24 bits */
  uint32_t gen;  /* 24 bits: changes each time the slot is used again */
};

/* One expanded AES key and the config; one lcore owns each. */
struct rn_cid_codec;

/* Bytes needed; 64-byte aligned. */
size_t rn_cid_codec_footprint(void);
/* RN_OK, or RN_ERR_INVAL (a field out of range, or a machine without AES-NI). Nothing to release. */
int rn_cid_codec_init(void *mem, const struct rn_cid_config *cfg, struct rn_cid_codec **out);
/* Wipes the keys, when the memory is to serve something else. NULL is fine. */
void rn_cid_codec_wipe(struct rn_cid_codec *k);

/* Writes a fresh CID. rnd: 6 random bytes. */
void rn_cid_make(const struct rn_cid_codec *k, uint32_t slot, uint32_t gen, const uint8_t rnd[6],
                 uint8_t out[RN_CID_BYTES]);

enum rn_cid_verdict {
  RN_CID_OURS,    /* this lcore; *out says slot and generation (they may be stale: compare) */
  RN_CID_LCORE,   /* another lcore of this process */
  RN_CID_STALE,   /* this node, another epoch */
  RN_CID_FOREIGN, /* another node, or not made by us */
};
/* Reads any bytes. *out is written unless RN_CID_FOREIGN. */
enum rn_cid_verdict rn_cid_read(const struct rn_cid_codec *k, const uint8_t *cid, size_t len,
                                struct rn_cid *out);

/* The stateless reset token of a CID: the first 16 bytes of HMAC-SHA-256(reset_key, cid). RN_OK. */
int rn_cid_reset_token(const struct rn_cid_codec *k, const uint8_t *cid, size_t len,
                       uint8_t out[16]);
