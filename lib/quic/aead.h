/* lib/quic/aead.h: packet protection (RFC 9001 section 5) behind ngtcp2's callbacks.
 *
 * All three suites run on intel-ipsec-mb with keys expanded once per context: half the cost of EVP
 * per packet or less, and no memory but the pool's. Contexts come from a pool of the endpoint, so
 * neither a packet nor a key allocates. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <ngtcp2/ngtcp2.h>

#include "quic/hkdf.h"

enum rn_aead_suite {
  RN_AEAD_AES128_GCM,
  RN_AEAD_AES256_GCM,
  RN_AEAD_CHACHA20,
  RN_AEAD_SUITE_COUNT
};

#define RN_AEAD_KEY_BYTES_MAX 32
#define RN_AEAD_IV_BYTES      12
#define RN_AEAD_TAG_BYTES     16

/* The most contexts of either kind that one connection holds at a time: Initial, Handshake and 1-RTT
 * both ways, 0-RTT, and a client's Retry key. Once confirmed, it is 1-RTT both ways, the next keys both
 * ways, the previous key for late packets, and a client's Retry key: RN_AEAD_CTX_PER_IDLE_CONN. */
#define RN_AEAD_CTX_PER_CONN      8
#define RN_AEAD_CTX_PER_IDLE_CONN 6

struct rn_aead_pool; /* contexts of one endpoint */

/* Room for ctx_count AEAD contexts and as many header protection contexts; 64-byte aligned. 0.9 to 1.7
 * KB for a pair, by machine. 0 when the machine lacks AES-NI. Pages of contexts that were never needed
 * are not touched. */
size_t rn_aead_pool_footprint(uint32_t ctx_count);
/* RN_OK or RN_ERR_CRYPTO. */
int rn_aead_pool_init(void *mem, uint32_t ctx_count, struct rn_aead_pool **out);
/* Wipes every key. NULL is fine. */
void rn_aead_pool_fini(struct rn_aead_pool *p);
/* Contexts of both kinds taken and not given back. */
uint32_t rn_aead_pool_in_use(const struct rn_aead_pool *p);
/* Contexts refused. */
uint64_t rn_aead_pool_failures(const struct rn_aead_pool *p);
/* Tests: refuse every n-th context; 0: none. Returns how many were since the last call. */
uint64_t rn_aead_pool_fail_every(struct rn_aead_pool *p, uint32_t n);
/* Walks both free lists: RN_OK, or RN_ERR_STATE. Slow. */
int rn_aead_pool_check(const struct rn_aead_pool *p);

/* ngtcp2's description of a suite: overhead, limits of RFC 9001 section 6.6. */
const ngtcp2_crypto_ctx *rn_aead_crypto_ctx(enum rn_aead_suite suite);
/* The suite that such a description, or the one of Initial packets, stands for. */
enum rn_aead_suite rn_aead_suite_of(const ngtcp2_crypto_aead *aead);
/* Initial packets: AES-128-GCM without limits (RFC 9001 section 5.2). */
const ngtcp2_crypto_ctx *rn_aead_initial_ctx(void);
size_t rn_aead_key_bytes(enum rn_aead_suite suite);
enum rn_hash rn_aead_hash(enum rn_aead_suite suite);

/* Keys of one direction and level, from its traffic secret (RFC 9001 section 5.1). hp may be NULL:
 * a key update keeps header protection. RN_OK, or RN_ERR_LIMIT with nothing taken. */
int rn_aead_keys(struct rn_aead_pool *p, enum rn_aead_suite suite, const uint8_t *secret,
                 size_t secret_bytes, ngtcp2_crypto_aead_ctx *aead, ngtcp2_crypto_cipher_ctx *hp,
                 uint8_t iv[RN_AEAD_IV_BYTES]);
/* A context for a given key. RN_OK or RN_ERR_LIMIT. */
int rn_aead_ctx_take(struct rn_aead_pool *p, enum rn_aead_suite suite, const uint8_t *key,
                     ngtcp2_crypto_aead_ctx *out);
int rn_aead_hp_take(struct rn_aead_pool *p, enum rn_aead_suite suite, const uint8_t *key,
                    ngtcp2_crypto_cipher_ctx *out);
/* Wipe and give back. A context without native_handle is fine; it is left without one. */
void rn_aead_ctx_put(struct rn_aead_pool *p, ngtcp2_crypto_aead_ctx *ctx);
void rn_aead_hp_put(struct rn_aead_pool *p, ngtcp2_crypto_cipher_ctx *ctx);

/* ngtcp2's callbacks of one packet. dest may be the input. 0; rn_aead_decrypt also
 * NGTCP2_ERR_DECRYPT, and dest then holds nothing of use. */
int rn_aead_encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                    const ngtcp2_crypto_aead_ctx *ctx, const uint8_t *plain, size_t plain_bytes,
                    const uint8_t *nonce, size_t nonce_bytes, const uint8_t *aad, size_t aad_bytes);
int rn_aead_decrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                    const ngtcp2_crypto_aead_ctx *ctx, const uint8_t *cipher, size_t cipher_bytes,
                    const uint8_t *nonce, size_t nonce_bytes, const uint8_t *aad, size_t aad_bytes);
/* Writes the 5 bytes of RFC 9001 section 5.4 to dest[0..5). */
int rn_aead_hp_mask(uint8_t *dest, const ngtcp2_crypto_cipher *hp,
                    const ngtcp2_crypto_cipher_ctx *ctx, const uint8_t *sample);

/* Sets the callbacks that deal with keys and packets: encrypt, decrypt, hp_mask, client_initial,
 * recv_client_initial, recv_retry, update_key, delete_crypto_aead_ctx, delete_crypto_cipher_ctx,
 * version_negotiation (quic/glue.c). They find the pool through rn_aead_pool_of(user_data), which
 * quic/conn.c provides. */
void rn_aead_set_callbacks(ngtcp2_callbacks *cb);
struct rn_aead_pool *rn_aead_pool_of(void *ngtcp2_user_data);
