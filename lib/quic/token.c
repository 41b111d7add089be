#include "quic/token.h"

#include <assert.h>
#include <string.h>

#include "quic/aes.h"
#include "util/err.h"

/* A token made on another lcore may be read here with a clock a little behind. */
#define CLOCK_SKEW_NS 1000000000ull

#define HEAD_BYTES        17 /* kind, tag */
#define STAMP_BYTES       (8 + RN_TOKEN_RND_BYTES)
#define RETRY_PLAIN_BYTES (STAMP_BYTES + 1 + 20)
#define AAD_BYTES_MAX     64

static_assert(HEAD_BYTES + RETRY_PLAIN_BYTES == RN_TOKEN_RETRY_BYTES, "layout");
static_assert(HEAD_BYTES + STAMP_BYTES == RN_TOKEN_NEW_BYTES, "layout");

struct rn_token_codec {
  struct rn_aes128 mac; /* K1 */
  struct rn_aes128 ctr; /* K2 */
  uint8_t dbl1[16];     /* CMAC's subkeys for a full and a padded last block */
  uint8_t dbl2[16];
  uint8_t s2v[16]; /* dbl(CMAC(zero)), where S2V starts */
  uint8_t config_id;
} __attribute__((aligned(64)));

size_t rn_token_codec_footprint(void) { return sizeof(struct rn_token_codec); }

/* Doubling in GF(2^128), RFC 5297 section 2.3. */
static void dbl(uint8_t b[16]) {
  uint8_t carry = b[0] >> 7;
  for (int i = 0; i < 15; i++)
    b[i] = (uint8_t)(b[i] << 1 | b[i + 1] >> 7);
  b[15] = (uint8_t)(b[15] << 1 ^ (0x87 & -carry));
}

static void xor16(uint8_t *b, const uint8_t *with) {
  for (int i = 0; i < 16; i++)
    b[i] ^= with[i];
}

/* AES-CMAC, RFC 4493. */
RN_AES_TARGET static void cmac(const struct rn_token_codec *k, const uint8_t *in, size_t n,
                               uint8_t out[16]) {
  __m128i x = _mm_setzero_si128();
  for (; n > 16; n -= 16, in += 16)
    x = rn_aes128_encrypt(&k->mac, _mm_xor_si128(x, rn_aes_load(in)));
  uint8_t last[16] = { 0 };
  memcpy(last, in, n);
  if (n < 16)
    last[n] = 0x80;
  xor16(last, n == 16 ? k->dbl1 : k->dbl2);
  rn_aes_store(out, rn_aes128_encrypt(&k->mac, _mm_xor_si128(x, rn_aes_load(last))));
}

RN_AES_TARGET int rn_token_codec_init(void *mem, const uint8_t key[32], uint8_t config_id,
                                      struct rn_token_codec **out) {
  static const uint8_t zero[16];
  const struct rn_imb *imb = rn_imb();
  if (imb == NULL)
    return RN_ERR_CRYPTO;
  struct rn_token_codec *k = mem;
  rn_aes128_init(&k->mac, imb, key);
  rn_aes128_init(&k->ctr, imb, key + 16);
  rn_aes_store(k->dbl1, rn_aes128_encrypt(&k->mac, _mm_setzero_si128()));
  dbl(k->dbl1);
  memcpy(k->dbl2, k->dbl1, 16);
  dbl(k->dbl2);
  cmac(k, zero, sizeof(zero), k->s2v);
  dbl(k->s2v);
  k->config_id = config_id;
  *out = k;
  return RN_OK;
}

void rn_token_codec_wipe(struct rn_token_codec *k) {
  if (k != NULL)
    explicit_bzero(k, sizeof(*k));
}

/* S2V, RFC 5297 section 2.4, of one associated string and a plaintext of up to 64 bytes. */
static void s2v(const struct rn_token_codec *k, const uint8_t *aad, size_t aad_bytes,
                const uint8_t *plain, size_t n, uint8_t tag[16]) {
  uint8_t d[16], t[64];
  cmac(k, aad, aad_bytes, d);
  xor16(d, k->s2v);
  memcpy(t, plain, n);
  if (n >= 16) {
    xor16(t + n - 16, d);
  } else {
    memset(t + n, 0, 16 - n);
    t[n] = 0x80;
    dbl(d);
    xor16(t, d);
    n = 16;
  }
  cmac(k, t, n, tag);
}

RN_AES_TARGET static void ctr(const struct rn_token_codec *k, const uint8_t tag[16],
                              const uint8_t *in, size_t n, uint8_t *out) {
  uint8_t q[16];
  memcpy(q, tag, 16);
  q[8] &= 0x7f;
  q[12] &= 0x7f;
  for (size_t at = 0; at < n; at += 16) {
    uint8_t stream[16];
    rn_aes_store(stream, rn_aes128_encrypt(&k->ctr, rn_aes_load(q)));
    for (size_t i = 0; i < 16 && at + i < n; i++)
      out[at + i] = in[at + i] ^ stream[i];
    for (int i = 15; i >= 8 && ++q[i] == 0; i--)
      ;
  }
}

void rn_token_siv_seal(const struct rn_token_codec *k, const uint8_t *aad, size_t aad_bytes,
                       const uint8_t *plain, size_t plain_bytes, uint8_t tag[16], uint8_t *out) {
  RN_ASSERT(plain_bytes <= 64 && aad_bytes <= AAD_BYTES_MAX);
  s2v(k, aad, aad_bytes, plain, plain_bytes, tag);
  ctr(k, tag, plain, plain_bytes, out);
}

static bool siv_open(const struct rn_token_codec *k, const uint8_t *aad, size_t aad_bytes,
                     const uint8_t tag[16], const uint8_t *in, size_t n, uint8_t *plain) {
  uint8_t want[16], diff = 0;
  ctr(k, tag, in, n, plain);
  s2v(k, aad, aad_bytes, plain, n, want);
  for (int i = 0; i < 16; i++) /* no early exit: time tells nothing about the tag */
    diff |= (uint8_t)(want[i] ^ tag[i]);
  return diff == 0;
}

/* The first octet of a token. */
static uint8_t octet(const struct rn_token_codec *k, enum rn_token_kind kind) {
  return (uint8_t)kind | k->config_id;
}

static size_t make_aad(const struct rn_token_codec *k, uint8_t out[AAD_BYTES_MAX],
                       enum rn_token_kind kind, const struct rn_addr *client, const uint8_t *scid,
                       size_t scid_bytes) {
  size_t n = 0;
  out[n++] = octet(k, kind);
  out[n++] = client->family;
  memcpy(out + n, client->ip, 16);
  n += 16;
  if (kind == RN_TOKEN_RETRY) {
    out[n++] = (uint8_t)(client->port >> 8);
    out[n++] = (uint8_t)client->port;
    memcpy(out + n, scid, scid_bytes);
    n += scid_bytes;
  }
  return n;
}

static void put_stamp(uint8_t out[STAMP_BYTES], uint64_t now_ns, const uint8_t *rnd) {
  for (int i = 0; i < 8; i++)
    out[i] = (uint8_t)(now_ns >> (56 - 8 * i));
  memcpy(out + 8, rnd, RN_TOKEN_RND_BYTES);
}

static int check_stamp(const uint8_t in[STAMP_BYTES], uint64_t now_ns, uint64_t lifetime_ns) {
  uint64_t issued_ns = 0;
  for (int i = 0; i < 8; i++)
    issued_ns = issued_ns << 8 | in[i];
  if (issued_ns > now_ns)
    return issued_ns - now_ns <= CLOCK_SKEW_NS ? RN_OK : RN_ERR_TIMEOUT;
  return now_ns - issued_ns <= lifetime_ns ? RN_OK : RN_ERR_TIMEOUT;
}

void rn_token_retry_make(const struct rn_token_codec *k, uint64_t now_ns,
                         const struct rn_addr *client, const uint8_t *odcid, size_t odcid_bytes,
                         const uint8_t *scid, size_t scid_bytes,
                         const uint8_t rnd[RN_TOKEN_RND_BYTES], uint8_t out[RN_TOKEN_RETRY_BYTES]) {
  RN_ASSERT(odcid_bytes <= 20 && scid_bytes <= 20);
  uint8_t aad[AAD_BYTES_MAX], plain[RETRY_PLAIN_BYTES] = { 0 };
  size_t aad_bytes = make_aad(k, aad, RN_TOKEN_RETRY, client, scid, scid_bytes);
  put_stamp(plain, now_ns, rnd);
  plain[STAMP_BYTES] = (uint8_t)odcid_bytes;
  memcpy(plain + STAMP_BYTES + 1, odcid, odcid_bytes);
  out[0] = octet(k, RN_TOKEN_RETRY);
  rn_token_siv_seal(k, aad, aad_bytes, plain, sizeof(plain), out + 1, out + HEAD_BYTES);
}

int rn_token_retry_read(const struct rn_token_codec *k, uint64_t now_ns, uint64_t lifetime_ns,
                        const struct rn_addr *client, const uint8_t *dcid, size_t dcid_bytes,
                        const uint8_t *token, size_t token_bytes, uint8_t odcid[20],
                        size_t *odcid_bytes) {
  uint8_t aad[AAD_BYTES_MAX], plain[RETRY_PLAIN_BYTES];
  if (token_bytes != RN_TOKEN_RETRY_BYTES || token[0] != octet(k, RN_TOKEN_RETRY) ||
      dcid_bytes > 20)
    return RN_ERR_REFUSED;
  size_t aad_bytes = make_aad(k, aad, RN_TOKEN_RETRY, client, dcid, dcid_bytes);
  if (!siv_open(k, aad, aad_bytes, token + 1, token + HEAD_BYTES, sizeof(plain), plain))
    return RN_ERR_REFUSED;
  int err = check_stamp(plain, now_ns, lifetime_ns);
  if (err != RN_OK)
    return err;
  if (plain[STAMP_BYTES] > 20)
    return RN_ERR_REFUSED;
  *odcid_bytes = plain[STAMP_BYTES];
  memcpy(odcid, plain + STAMP_BYTES + 1, *odcid_bytes);
  return RN_OK;
}

void rn_token_new_make(const struct rn_token_codec *k, uint64_t now_ns,
                       const struct rn_addr *client, const uint8_t rnd[RN_TOKEN_RND_BYTES],
                       uint8_t out[RN_TOKEN_NEW_BYTES]) {
  uint8_t aad[AAD_BYTES_MAX], plain[STAMP_BYTES];
  size_t aad_bytes = make_aad(k, aad, RN_TOKEN_NEW_TOKEN, client, NULL, 0);
  put_stamp(plain, now_ns, rnd);
  out[0] = octet(k, RN_TOKEN_NEW_TOKEN);
  rn_token_siv_seal(k, aad, aad_bytes, plain, sizeof(plain), out + 1, out + HEAD_BYTES);
}

int rn_token_new_read(const struct rn_token_codec *k, uint64_t now_ns, uint64_t lifetime_ns,
                      const struct rn_addr *client, const uint8_t *token, size_t token_bytes) {
  uint8_t aad[AAD_BYTES_MAX], plain[STAMP_BYTES];
  if (token_bytes != RN_TOKEN_NEW_BYTES || token[0] != octet(k, RN_TOKEN_NEW_TOKEN))
    return RN_ERR_REFUSED;
  size_t aad_bytes = make_aad(k, aad, RN_TOKEN_NEW_TOKEN, client, NULL, 0);
  if (!siv_open(k, aad, aad_bytes, token + 1, token + HEAD_BYTES, sizeof(plain), plain))
    return RN_ERR_REFUSED;
  return check_stamp(plain, now_ns, lifetime_ns);
}
