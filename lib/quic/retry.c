#include "quic/retry.h"

#include <string.h>

#include "quic/imb.h"
#include "util/err.h"

#define TAG_BYTES       16
#define QUIC_V1         1
#define ODCID_ROOM      21 /* length and CID of the pseudo-packet, in front of the packet */
#define RETRY_BYTES_MAX 1200

const uint8_t rn_retry_key_v1[16] = { 0xbe, 0x0c, 0x69, 0x0b, 0x9f, 0x66, 0x57, 0x5a,
                                      0x1d, 0x76, 0x6b, 0x54, 0xe3, 0x68, 0xc8, 0x4e };
static const uint8_t retry_nonce_v1[12] = { 0x46, 0x15, 0x99, 0xd3, 0x5d, 0x63,
                                            0x2b, 0xf2, 0x23, 0x98, 0x25, 0xbb };

struct rn_retry_codec {
  struct gcm_key_data key;
  aes_gcm_enc_dec_t seal;
} __attribute__((aligned(64)));

size_t rn_retry_codec_footprint(void) { return sizeof(struct rn_retry_codec); }

int rn_retry_codec_init(void *mem, struct rn_retry_codec **out) {
  const struct rn_imb *imb = rn_imb();
  if (imb == NULL)
    return RN_ERR_CRYPTO;
  struct rn_retry_codec *k = mem;
  imb->gcm_pre[0](rn_retry_key_v1, &k->key);
  k->seal = imb->gcm_enc[0];
  *out = k;
  return RN_OK;
}

static uint8_t *put_cid(uint8_t *p, const struct rn_retry_cid *cid) {
  *p++ = (uint8_t)cid->len;
  if (cid->len > 0) /* data may be NULL then */
    memcpy(p, cid->data, cid->len);
  return p + cid->len;
}

static uint8_t *put_version(uint8_t *p, uint32_t version) {
  for (int shift = 24; shift >= 0; shift -= 8)
    *p++ = (uint8_t)(version >> shift);
  return p;
}

size_t rn_retry_write(const struct rn_retry_codec *k, const struct rn_retry_cid *dcid,
                      const struct rn_retry_cid *scid, const struct rn_retry_cid *odcid,
                      const uint8_t *token, size_t token_bytes, uint8_t *out, size_t cap) {
  if (dcid->len > 20 || scid->len > 20 || odcid->len > 20 || token_bytes > RETRY_BYTES_MAX)
    return 0;
  size_t len = 1 + 4 + 1 + dcid->len + 1 + scid->len + token_bytes + TAG_BYTES;
  if (len > cap || len > RETRY_BYTES_MAX)
    return 0;

  /* The tag covers the packet with the original DCID in front of it, RFC 9001 section 5.8. */
  uint8_t pseudo[ODCID_ROOM + RETRY_BYTES_MAX];
  uint8_t *packet = put_cid(pseudo, odcid), *p = packet;
  *p++ = 0xff; /* long header, fixed bit, type Retry; the low four bits say nothing */
  p = put_version(p, QUIC_V1);
  p = put_cid(p, dcid);
  p = put_cid(p, scid);
  memcpy(p, token, token_bytes);
  p += token_bytes;

  struct gcm_context_data g;
  uint8_t none[16] = { 0 };
  k->seal(&k->key, &g, none, none, 0, retry_nonce_v1, pseudo, (uint64_t)(p - pseudo), p, TAG_BYTES);
  memcpy(out, packet, len);
  return len;
}

size_t rn_vneg_write(const struct rn_retry_cid *dcid, const struct rn_retry_cid *scid, uint8_t rnd,
                     uint8_t *out, size_t cap) {
  if (dcid->len > 255 || scid->len > 255)
    return 0;
  size_t len = 1 + 4 + 1 + dcid->len + 1 + scid->len + 2 * 4;
  if (len > cap)
    return 0;
  uint8_t *p = out;
  *p++ = (uint8_t)(0xc0 | (rnd & 0x3f));
  p = put_version(p, 0);
  p = put_cid(p, dcid);
  p = put_cid(p, scid);
  p = put_version(p, QUIC_V1);
  p = put_version(p, 0x0a0a0a0au | (uint32_t)(rnd & 0xf0) << 24);
  return (size_t)(p - out);
}
