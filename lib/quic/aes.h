/* lib/quic/aes.h: single AES-128 blocks with AES-NI, for what is made of a few blocks (connection
 * IDs, tokens). A packet's worth of AES goes through quic/imb.h. */
#pragma once
#include <stdint.h>

#include <immintrin.h>

#include "quic/imb.h"

#define RN_AES_TARGET __attribute__((target("aes,sse4.1")))

struct rn_aes128 {
  uint8_t enc[11 * 16] __attribute__((aligned(16)));
  uint8_t dec[11 * 16] __attribute__((aligned(16)));
};

static inline void rn_aes128_init(struct rn_aes128 *k, const struct rn_imb *imb,
                                  const uint8_t key[16]) {
  imb->aes_keyexp[0](key, k->enc, k->dec);
}

RN_AES_TARGET static inline __m128i rn_aes128_encrypt(const struct rn_aes128 *k, __m128i b) {
  const __m128i *rk = (const __m128i *)(const void *)k->enc;
  b = _mm_xor_si128(b, rk[0]);
  for (int i = 1; i < 10; i++)
    b = _mm_aesenc_si128(b, rk[i]);
  return _mm_aesenclast_si128(b, rk[10]);
}

RN_AES_TARGET static inline __m128i rn_aes128_decrypt(const struct rn_aes128 *k, __m128i b) {
  const __m128i *rk = (const __m128i *)(const void *)k->dec;
  b = _mm_xor_si128(b, rk[0]);
  for (int i = 1; i < 10; i++)
    b = _mm_aesdec_si128(b, rk[i]);
  return _mm_aesdeclast_si128(b, rk[10]);
}

RN_AES_TARGET static inline __m128i rn_aes_load(const uint8_t b[16]) {
  return _mm_loadu_si128((const __m128i *)(const void *)b);
}

RN_AES_TARGET static inline void rn_aes_store(uint8_t b[16], __m128i v) {
  _mm_storeu_si128((__m128i *)(void *)b, v);
}
