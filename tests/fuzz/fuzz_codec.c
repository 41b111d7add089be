/* tests/fuzz/fuzz_codec.c: the small packets and tokens that lib/quic writes and reads without a connection.
 *
 *   1 octet     what: 0, 1 a token of Retry, of NEW_TOKEN; 2 a connection ID; 3 Retry; 4 Version Negotiation; 5 a stateless reset; 6 a refusing
 *               CONNECTION_CLOSE
 *   tokens      1 octet: bit 0: made here and then changed, else the input's own octets; bits 1-3: read for another address, port, ID;
 *               2 octets: how old, in 100 ms; lengths of IDs; then what to change, or the octets
 *   else        lengths, room, and octets
 *
 * Checked: a token opens for whom it was made, as long as it lives, and else not, whatever bit is different; IDs say what was put into them, to
 * the lcore that may know, and strangers nothing; what is written has the form that its RFC gives it, fits its room, and is nothing where
 * it does not fit. */
#include "fuzz.h"

#include "quic/aead.h"
#include "quic/cid.h"
#include "quic/close.h"
#include "quic/keys.h"
#include "quic/reset.h"
#include "quic/retry.h"
#include "quic/token.h"
#include "util/err.h"

#define NOW_NS      UINT64_C(100000000000)
#define LIFETIME_NS UINT64_C(10000000000)
#define SKEW_NS     UINT64_C(1000000000)
#define STEP_NS     UINT64_C(100000000)
#define OUT_MAX     2048u

static _Alignas(64) uint8_t token_mem[1024], cid_mem[1024], other_mem[1024], retry_mem[65536];
static _Alignas(64) uint8_t pool_mem[65536];

static struct rn_cid_config cid_config(uint8_t lcore) {
  struct rn_cid_config c = {
    .config_id = 2, .server_id = 9, .epoch = 3, .lcore_idx = lcore, .lcore_count = 3
  };
  memset(c.key, 0x11, sizeof(c.key));
  memset(c.reset_key, 0x22, sizeof(c.reset_key));
  memset(c.token_key, 0x33, sizeof(c.token_key));
  return c;
}

static const struct rn_addr client = { .ip = { 192, 0, 2, 1 }, .port = 999, .family = 4 };

/* ---- tokens ---- */

static uint64_t time_of(struct fuzz_in *in) {
  return NOW_NS + SKEW_NS + STEP_NS - STEP_NS * (fuzz_le(in, 2) % 200);
}

/* What a sound token of that age is worth. */
static int verdict(uint64_t issued_ns) {
  bool young =
      issued_ns > NOW_NS ? issued_ns - NOW_NS <= SKEW_NS : NOW_NS - issued_ns <= LIFETIME_NS;
  return young ? RN_OK : RN_ERR_TIMEOUT;
}

/* True when a bit is another one now. */
static bool change(struct fuzz_in *in, uint8_t *p, size_t n) {
  size_t at = fuzz_u8(in) % n;
  uint8_t bits = fuzz_u8(in);
  p[at] ^= bits;
  return bits != 0;
}

static struct rn_addr reader(uint8_t flags) {
  struct rn_addr a = client;
  if (flags & 2)
    a.ip[3]++;
  if (flags & 4)
    a.port++;
  return a;
}

static const struct rn_token_codec *token_codec(void) {
  static struct rn_token_codec *k;
  const struct rn_cid_config cfg = cid_config(0);
  if (k == NULL)
    CHECK(rn_token_codec_footprint() <= sizeof(token_mem) &&
          rn_token_codec_init(token_mem, cfg.token_key, cfg.config_id, &k) == RN_OK);
  return k;
}

static void retry_token(struct fuzz_in *in) {
  uint8_t token[RN_TOKEN_RETRY_BYTES], odcid[20], scid[20], got[20],
      rnd[RN_TOKEN_RND_BYTES] = { 0 };
  uint8_t flags = fuzz_u8(in);
  uint64_t issued_ns = time_of(in);
  size_t odcid_bytes = fuzz_u8(in) % 21, scid_bytes = fuzz_u8(in) % 21, got_bytes = 77, n;
  memset(odcid, fuzz_u8(in), sizeof(odcid));
  memset(scid, 0x44, sizeof(scid));
  memset(got, 0x55, sizeof(got));
  const struct rn_addr a = reader(flags);
  if ((flags & 1) == 0) {
    const uint8_t *p = fuzz_bytes(in, 64, &n);
    uint8_t *exact = fuzz_exact(p, n);
    CHECK(rn_token_retry_read(token_codec(), NOW_NS, LIFETIME_NS, &a, scid, scid_bytes, exact, n,
                              got, &got_bytes) == RN_ERR_REFUSED); /* nobody guesses 128 bits */
    fuzz_free(exact, n);
    CHECK(got_bytes == 77 && got[0] == 0x55);
    return;
  }
  rn_token_retry_make(token_codec(), issued_ns, &client, odcid, odcid_bytes, scid, scid_bytes, rnd,
                      token);
  bool changed = change(in, token, sizeof(token)) || (flags & 6) != 0;
  if (flags & 8 && scid_bytes > 0)
    changed |= change(in, scid, scid_bytes);
  int err = rn_token_retry_read(token_codec(), NOW_NS, LIFETIME_NS, &a, scid, scid_bytes, token,
                                sizeof(token), got, &got_bytes);
  CHECK(err == (changed ? RN_ERR_REFUSED : verdict(issued_ns)));
  if (err == RN_OK)
    CHECK(got_bytes == odcid_bytes && memcmp(got, odcid, odcid_bytes) == 0);
  else
    CHECK(got_bytes == 77 && got[0] == 0x55);
}

static void new_token(struct fuzz_in *in) {
  uint8_t token[RN_TOKEN_NEW_BYTES], rnd[RN_TOKEN_RND_BYTES] = { 0 }, flags = fuzz_u8(in);
  uint64_t issued_ns = time_of(in);
  const struct rn_addr a = reader(flags);
  size_t n;
  if ((flags & 1) == 0) {
    const uint8_t *p = fuzz_bytes(in, 64, &n);
    uint8_t *exact = fuzz_exact(p, n);
    CHECK(rn_token_new_read(token_codec(), NOW_NS, LIFETIME_NS, &a, exact, n) == RN_ERR_REFUSED);
    fuzz_free(exact, n);
    return;
  }
  rn_token_new_make(token_codec(), issued_ns, &client, rnd, token);
  bool changed = change(in, token, sizeof(token)) || (flags & 2) != 0; /* any port will do */
  CHECK(rn_token_new_read(token_codec(), NOW_NS, LIFETIME_NS, &a, token, sizeof(token)) ==
        (changed ? RN_ERR_REFUSED : verdict(issued_ns)));
}

/* ---- connection IDs ---- */

static void cid(struct fuzz_in *in) {
  struct rn_cid_codec *mine, *other;
  struct rn_cid_config cfg = cid_config(1), other_cfg = cid_config(fuzz_u8(in) % 3);
  uint8_t out[RN_CID_BYTES], rnd[6] = { fuzz_u8(in) }, flags = fuzz_u8(in);
  uint32_t slot = (uint32_t)fuzz_le(in, 3), gen = (uint32_t)fuzz_le(in, 3);
  struct rn_cid id = { 0 };
  if (flags & 1)
    other_cfg.epoch++;
  if (flags & 2)
    other_cfg.server_id++;
  CHECK(rn_cid_codec_footprint() <= sizeof(cid_mem));
  CHECK(rn_cid_codec_init(cid_mem, &cfg, &mine) == RN_OK &&
        rn_cid_codec_init(other_mem, &other_cfg, &other) == RN_OK);
  rn_cid_make(mine, slot, gen, rnd, out);
  CHECK(out[0] == (2 << 5 | (RN_CID_BYTES - 1)));
  if (flags & 4) { /* any octets: who reads them knows nothing but may look */
    size_t n;
    const uint8_t *p = fuzz_bytes(in, 24, &n);
    uint8_t *exact = fuzz_exact(p, n);
    enum rn_cid_verdict v = rn_cid_read(mine, exact, n, &id);
    CHECK(v == RN_CID_FOREIGN || n == RN_CID_BYTES);
    CHECK(v == RN_CID_FOREIGN || v == RN_CID_STALE || id.lcore_idx < 3);
    fuzz_free(exact, n);
    return;
  }
  enum rn_cid_verdict v = rn_cid_read(other, out, sizeof(out), &id);
  enum rn_cid_verdict want = flags & 2                  ? RN_CID_FOREIGN
                             : flags & 1                ? RN_CID_STALE
                             : other_cfg.lcore_idx == 1 ? RN_CID_OURS
                                                        : RN_CID_LCORE;
  CHECK(v == want);
  if (v != RN_CID_FOREIGN)
    CHECK(id.slot == slot && id.gen == gen && id.lcore_idx == 1 && id.epoch == 3);
}

/* ---- packets ---- */

/* Three IDs and a token out of one piece of the input. */
struct parts {
  struct rn_retry_cid ids[3];
  const uint8_t *token;
  size_t token_bytes, cap;
  uint8_t *out;
};

static uint8_t filler[OUT_MAX];

static struct parts parts_of(struct fuzz_in *in) {
  struct parts p = { .token = filler };
  for (unsigned int i = 0; i < 3; i++)
    p.ids[i] = (struct rn_retry_cid){ filler + i, fuzz_le(in, 2) % 300 };
  p.token_bytes = fuzz_le(in, 2) % 1300;
  p.cap = fuzz_le(in, 2) % OUT_MAX;
  memset(filler, fuzz_u8(in), sizeof(filler));
  p.out = malloc(p.cap > 0 ? p.cap : 1);
  CHECK(p.out != NULL);
  return p;
}

/* A long header with this version and these IDs; returns what is behind. */
static const uint8_t *long_header(const struct parts *p, uint8_t version, unsigned int dcid,
                                  unsigned int scid) {
  const struct rn_retry_cid *d = &p->ids[dcid], *s = &p->ids[scid];
  CHECK(p->out[0] & 0x80 && memcmp(p->out + 1, "\0\0\0", 3) == 0 && p->out[4] == version);
  CHECK(p->out[5] == d->len && memcmp(p->out + 6, d->data, d->len) == 0);
  CHECK(p->out[6 + d->len] == s->len && memcmp(p->out + 7 + d->len, s->data, s->len) == 0);
  return p->out + 7 + d->len + s->len;
}

static void retry(struct fuzz_in *in) {
  static struct rn_retry_codec *k;
  struct parts p = parts_of(in);
  if (k == NULL)
    CHECK(rn_retry_codec_footprint() <= sizeof(retry_mem) &&
          rn_retry_codec_init(retry_mem, &k) == RN_OK);
  size_t want = 7 + p.ids[0].len + p.ids[1].len + p.token_bytes + 16;
  size_t n =
      rn_retry_write(k, &p.ids[0], &p.ids[1], &p.ids[2], p.token, p.token_bytes, p.out, p.cap);
  bool fits = want <= p.cap && want <= 1200 && p.ids[0].len <= 20 && p.ids[1].len <= 20 &&
              p.ids[2].len <= 20;
  CHECK(n == (fits ? want : 0));
  if (n > 0) {
    const uint8_t *token = long_header(&p, 1, 0, 1);
    CHECK((p.out[0] & 0xf0) == 0xf0 && memcmp(token, p.token, p.token_bytes) == 0);
  }
  free(p.out);
}

static void version_negotiation(struct fuzz_in *in) {
  struct parts p = parts_of(in);
  size_t n = rn_vneg_write(&p.ids[0], &p.ids[1], fuzz_u8(in), p.out, p.cap);
  size_t want = 7 + p.ids[0].len + p.ids[1].len + 8;
  CHECK(n == (want <= p.cap && p.ids[0].len <= 255 && p.ids[1].len <= 255 ? want : 0));
  if (n > 0) {
    const uint8_t *v = long_header(&p, 0, 0, 1);
    CHECK(memcmp(v, "\0\0\0\1", 4) == 0 && (v[4] & 0xf) == 0xa && (v[7] & 0xf) == 0xa);
  }
  free(p.out);
}

static void reset(struct fuzz_in *in) {
  const uint8_t token[16] = "reset-token-here", rnd[RN_RESET_RND_BYTES] = { fuzz_u8(in) };
  size_t rx_bytes = fuzz_le(in, 2), cap = fuzz_u8(in) % 64;
  uint8_t *out = malloc(cap > 0 ? cap : 1);
  CHECK(out != NULL);
  size_t n = rn_reset_write(rx_bytes, token, rnd, out, cap);
  CHECK(n <= cap && (n == 0 || (n < rx_bytes && n >= 21 && n <= RN_RESET_BYTES_MAX)));
  if (n > 0)
    CHECK((out[0] & 0xc0) == 0x40 && memcmp(out + n - 16, token, 16) == 0);
  free(out);
}

/* Reads the packet as the client would that it is for. */
static void check_close(struct rn_aead_pool *pool, const struct parts *p, size_t n, uint8_t code) {
  uint8_t c[RN_KEYS_INITIAL_BYTES], s[RN_KEYS_INITIAL_BYTES], nonce[RN_AEAD_IV_BYTES], mask[5];
  ngtcp2_crypto_aead_ctx aead = { 0 };
  ngtcp2_crypto_cipher_ctx hp = { 0 };
  uint8_t *pn = p->out + (long_header(p, 1, 0, 1) - p->out) + 2, frame[4];
  rn_keys_initial_secrets(p->ids[1].data, p->ids[1].len, c, s);
  CHECK(rn_aead_keys(pool, RN_AEAD_AES128_GCM, s, sizeof(s), &aead, &hp, nonce) == RN_OK);
  CHECK(pn[-2] == 0 && pn[-1] == p->out + n - pn);
  (void)rn_aead_hp_mask(mask, NULL, &hp, pn + 4);
  p->out[0] ^= mask[0] & 0x0f;
  pn[0] ^= mask[1];
  CHECK(p->out[0] == 0xc0 && pn[0] == 0);
  CHECK(rn_aead_decrypt(frame, NULL, &aead, pn + 1, (size_t)(p->out + n - pn) - 1, nonce,
                        sizeof(nonce), p->out, (size_t)(pn + 1 - p->out)) == 0);
  CHECK(frame[0] == 0x1c && frame[1] == code && frame[2] == 0 && frame[3] == 0);
  rn_aead_ctx_put(pool, &aead);
  rn_aead_hp_put(pool, &hp);
}

static void close_packet(struct fuzz_in *in) {
  static struct rn_aead_pool *pool;
  struct parts p = parts_of(in);
  uint8_t code = fuzz_u8(in);
  if (pool == NULL)
    CHECK(rn_aead_pool_footprint(2) <= sizeof(pool_mem) &&
          rn_aead_pool_init(pool_mem, 2, &pool) == RN_OK);
  size_t n = rn_close_write(pool, &p.ids[0], &p.ids[1], code, p.out, p.cap);
  size_t want = 9 + p.ids[0].len + p.ids[1].len + 1 + 4 + RN_AEAD_TAG_BYTES;
  bool fits = want <= p.cap && code < 64 && p.ids[0].len <= 20 && p.ids[1].len <= 20;
  CHECK(n == (fits ? want : 0) && n <= RN_CLOSE_BYTES_MAX);
  if (n > 0)
    check_close(pool, &p, n, code);
  CHECK(rn_aead_pool_in_use(pool) == 0 && rn_aead_pool_check(pool) == RN_OK);
  free(p.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static void (*const whats[])(struct fuzz_in *in) = { retry_token, new_token,           cid,
                                                       retry,       version_negotiation, reset,
                                                       close_packet };
  struct fuzz_in in = { data, data + len };
  if (len > 0)
    whats[fuzz_u8(&in) % (sizeof(whats) / sizeof(whats[0]))](&in);
  return 0;
}
