/* lib/quic/hkdf.h: HMAC (RFC 2104), HKDF (RFC 5869) and TLS 1.3's HKDF-Expand-Label (RFC 8446
 * section 7.1) over SHA-256 and SHA-384. Nothing allocates. Any thread. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <openssl/sha.h>

enum rn_hash { RN_HASH_SHA256, RN_HASH_SHA384 };

#define RN_HASH_BYTES_MAX 48

static inline size_t rn_hash_bytes(enum rn_hash h) { return h == RN_HASH_SHA256 ? 32 : 48; }

/* A key with its two padded blocks hashed already. A secret: wipe it when done. */
struct rn_hmac {
  enum rn_hash hash;
  union {
    SHA256_CTX s256;
    SHA512_CTX s512;
  } inner, outer;
};

/* Makes a key of any length ready for rn_hmac, and wipes it. */
void rn_hmac_init(struct rn_hmac *k, enum rn_hash hash, const uint8_t *key, size_t key_bytes);
/* HMAC of {a, b}: writes rn_hash_bytes. b may be NULL with b_bytes 0. */
void rn_hmac(const struct rn_hmac *k, const uint8_t *a, size_t a_bytes, const uint8_t *b,
             size_t b_bytes, uint8_t *out);
void rn_hmac_wipe(struct rn_hmac *k);

/* HKDF-Extract: writes rn_hash_bytes. salt_bytes 0: a salt of zeros. */
void rn_hkdf_extract(enum rn_hash hash, const uint8_t *salt, size_t salt_bytes, const uint8_t *ikm,
                     size_t ikm_bytes, uint8_t *out);

#define RN_HKDF_INFO_BYTES_MAX 256
/* HKDF-Expand of the pseudorandom key in prk. info_bytes <= RN_HKDF_INFO_BYTES_MAX. RN_OK, or
 * RN_ERR_INVAL for out_bytes of more than 255 hashes or a longer info. */
int rn_hkdf_expand(const struct rn_hmac *prk, const uint8_t *info, size_t info_bytes, uint8_t *out,
                   size_t out_bytes);

/* HKDF-Expand-Label with an empty context. label is what follows "tls13 ", at most 32 characters.
 * out_bytes <= 255 hashes. */
void rn_hkdf_label(const struct rn_hmac *secret, const char *label, uint8_t *out, size_t out_bytes);
