#include "quic/close.h"

#include <assert.h>
#include <string.h>

#include "quic/keys.h"
#include "util/err.h"

/* CONNECTION_CLOSE 0x1c: code, type of the frame that was wrong (0: none), no reason phrase. With a
 * packet number of one byte this is just long enough to take a sample from, RFC 9001 section 5.4.2. */
#define FRAME_BYTES 4
#define PN_BYTES    1

static_assert(1 + 4 + 1 + 20 + 1 + 20 + 1 + 1 + PN_BYTES + FRAME_BYTES + RN_AEAD_TAG_BYTES ==
                  RN_CLOSE_BYTES_MAX,
              "room");

static uint8_t *put_cid(uint8_t *p, const struct rn_retry_cid *cid) {
  *p++ = (uint8_t)cid->len;
  if (cid->len > 0)
    memcpy(p, cid->data, cid->len);
  return p + cid->len;
}

size_t rn_close_write(struct rn_aead_pool *pool, const struct rn_retry_cid *dcid,
                      const struct rn_retry_cid *scid, uint8_t code, uint8_t *out, size_t cap) {
  const uint8_t frame[FRAME_BYTES] = { 0x1c, code, 0, 0 };
  size_t body = PN_BYTES + FRAME_BYTES + RN_AEAD_TAG_BYTES;
  if (code >= 64 || dcid->len > 20 || scid->len > 20 ||
      1 + 4 + 1 + dcid->len + 1 + scid->len + 1 + 1 + body > cap)
    return 0;

  uint8_t client[RN_KEYS_INITIAL_BYTES], server[RN_KEYS_INITIAL_BYTES], iv[RN_AEAD_IV_BYTES];
  ngtcp2_crypto_aead_ctx aead = { 0 };
  ngtcp2_crypto_cipher_ctx hp = { 0 };
  rn_keys_initial_secrets(scid->data, scid->len, client, server);
  if (rn_aead_keys(pool, RN_AEAD_AES128_GCM, server, sizeof(server), &aead, &hp, iv) != RN_OK)
    return 0;

  uint8_t *p = out;
  *p++ = 0xc0; /* long header, fixed bit, Initial, packet number of one byte */
  memcpy(p, (const uint8_t[4]){ 0, 0, 0, 1 }, 4);
  p = put_cid(p + 4, dcid);
  p = put_cid(p, scid);
  *p++ = 0; /* no token */
  *p++ = (uint8_t)body;
  uint8_t *pn = p;
  *p++ = 0; /* packet number 0: the nonce is the IV */
  (void)rn_aead_encrypt(p, NULL, &aead, frame, sizeof(frame), iv, sizeof(iv), out,
                        (size_t)(p - out));
  uint8_t mask[5];
  (void)rn_aead_hp_mask(mask, NULL, &hp, pn + 4);
  out[0] ^= mask[0] & 0x0f;
  *pn ^= mask[1];
  rn_aead_ctx_put(pool, &aead);
  rn_aead_hp_put(pool, &hp);
  return (size_t)(p - out) + FRAME_BYTES + RN_AEAD_TAG_BYTES;
}
