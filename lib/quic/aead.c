#include "quic/aead.h"

#include <stdbool.h>
#include <string.h>

#include "quic/imb.h"
#include "util/err.h"
#include "util/refuse.h"

#define ALIGN64(n) (((n) + 63) & ~(size_t)63)

struct suite {
  enum rn_aead_suite id;
  enum rn_hash hash;
  uint8_t key_bytes;
  uint8_t aes_idx; /* into rn_imb's pairs */
};

static const struct suite suites[RN_AEAD_SUITE_COUNT] = {
  [RN_AEAD_AES128_GCM] = { RN_AEAD_AES128_GCM, RN_HASH_SHA256, 16, 0 },
  [RN_AEAD_AES256_GCM] = { RN_AEAD_AES256_GCM, RN_HASH_SHA384, 32, 1 },
  [RN_AEAD_CHACHA20] = { RN_AEAD_CHACHA20, RN_HASH_SHA256, 32, 0 },
};

/* ngtcp2 only ever compares native handles with NULL; ours is the row of the table. */
#define SUITE_CTX(row, encryptions, failures)                                                      \
  { .aead = { .native_handle = (void *)(uintptr_t)&suites[row],                                    \
              .max_overhead = RN_AEAD_TAG_BYTES },                                                 \
    .md = { .native_handle = (void *)(uintptr_t)&suites[row] },                                    \
    .hp = { .native_handle = (void *)(uintptr_t)&suites[row] },                                    \
    .max_encryption = (encryptions),                                                               \
    .max_decryption_failure = (failures) }

/* One context: the head in front, key material behind, as long as this machine needs it. */
struct aead_ctx {
  const struct suite *suite;
  const struct rn_imb *imb;
  struct aead_ctx *next_free;
  uint8_t zero[40];
  union {
    struct gcm_key_data gcm;
    uint8_t chacha[32];
  } key __attribute__((aligned(64)));
};

struct hp_ctx {
  const struct suite *suite;
  const struct rn_imb *imb;
  struct hp_ctx *next_free;
  uint8_t zero[40];
  union {
    uint8_t aes[15 * 16];
    uint8_t chacha[32];
  } key __attribute__((aligned(64)));
};

struct rn_aead_pool {
  const struct rn_imb *imb;
  struct aead_ctx *aead_free;
  struct hp_ctx *hp_free;
  uint8_t *aead_mem;
  uint8_t *hp_mem;
  size_t aead_stride;
  uint32_t ctx_count;
  uint32_t aead_fresh; /* contexts from here on were never taken: their memory is untouched */
  uint32_t hp_fresh;
  uint32_t aead_used;
  uint32_t hp_used;
  uint64_t failures;
  struct rn_refusals refusals;
};

static size_t aead_stride(const struct rn_imb *imb) {
  return ALIGN64(offsetof(struct aead_ctx, key) + imb->gcm_key_bytes);
}

size_t rn_aead_pool_footprint(uint32_t ctx_count) {
  const struct rn_imb *imb = rn_imb();
  if (imb == NULL)
    return 0;
  return ALIGN64(sizeof(struct rn_aead_pool)) +
         ctx_count * (aead_stride(imb) + ALIGN64(sizeof(struct hp_ctx)));
}

int rn_aead_pool_init(void *mem, uint32_t ctx_count, struct rn_aead_pool **out) {
  const struct rn_imb *imb = rn_imb();
  if (imb == NULL)
    return RN_ERR_CRYPTO;
  struct rn_aead_pool *p = mem;
  *p = (struct rn_aead_pool){
    .imb = imb,
    .aead_mem = (uint8_t *)mem + ALIGN64(sizeof(*p)),
    .aead_stride = aead_stride(imb),
    .ctx_count = ctx_count,
  };
  p->hp_mem = p->aead_mem + ctx_count * p->aead_stride;
  *out = p;
  return RN_OK;
}

void rn_aead_pool_fini(struct rn_aead_pool *p) {
  if (p == NULL)
    return;
  explicit_bzero(p->aead_mem, p->aead_fresh * p->aead_stride);
  explicit_bzero(p->hp_mem, p->hp_fresh * ALIGN64(sizeof(struct hp_ctx)));
  explicit_bzero(p, sizeof(*p));
}

uint32_t rn_aead_pool_in_use(const struct rn_aead_pool *p) { return p->aead_used + p->hp_used; }

uint64_t rn_aead_pool_failures(const struct rn_aead_pool *p) { return p->failures; }

uint64_t rn_aead_pool_fail_every(struct rn_aead_pool *p, uint32_t n) {
  return rn_refuse_every(&p->refusals, n);
}

int rn_aead_pool_check(const struct rn_aead_pool *p) {
  uint32_t aead = 0, hp = 0;
  for (const struct aead_ctx *a = p->aead_free; a != NULL && aead <= p->ctx_count; a = a->next_free)
    aead++;
  for (const struct hp_ctx *h = p->hp_free; h != NULL && hp <= p->ctx_count; h = h->next_free)
    hp++;
  return aead + p->aead_used == p->aead_fresh && hp + p->hp_used == p->hp_fresh &&
                 p->aead_fresh <= p->ctx_count && p->hp_fresh <= p->ctx_count
             ? RN_OK
             : RN_ERR_STATE;
}

const ngtcp2_crypto_ctx *rn_aead_crypto_ctx(enum rn_aead_suite suite) {
  static const ngtcp2_crypto_ctx ctx[RN_AEAD_SUITE_COUNT] = {
    [RN_AEAD_AES128_GCM] = SUITE_CTX(RN_AEAD_AES128_GCM, 1ull << 23, 1ull << 52),
    [RN_AEAD_AES256_GCM] = SUITE_CTX(RN_AEAD_AES256_GCM, 1ull << 23, 1ull << 52),
    /* More packets than there are packet numbers. */
    [RN_AEAD_CHACHA20] = SUITE_CTX(RN_AEAD_CHACHA20, 1ull << 62, 1ull << 36),
  };
  return &ctx[suite];
}

const ngtcp2_crypto_ctx *rn_aead_initial_ctx(void) {
  static const ngtcp2_crypto_ctx ctx = SUITE_CTX(RN_AEAD_AES128_GCM, 0, 0);
  return &ctx;
}

enum rn_aead_suite rn_aead_suite_of(const ngtcp2_crypto_aead *aead) {
  return ((const struct suite *)aead->native_handle)->id;
}

size_t rn_aead_key_bytes(enum rn_aead_suite suite) { return suites[suite].key_bytes; }

enum rn_hash rn_aead_hash(enum rn_aead_suite suite) { return suites[suite].hash; }

static struct aead_ctx *aead_alloc(struct rn_aead_pool *p) {
  struct aead_ctx *c = p->aead_free;
  if (c != NULL)
    p->aead_free = c->next_free;
  else if (p->aead_fresh < p->ctx_count)
    c = (void *)(p->aead_mem + p->aead_fresh++ * p->aead_stride);
  else
    return NULL;
  p->aead_used++;
  return c;
}

static struct hp_ctx *hp_alloc(struct rn_aead_pool *p) {
  struct hp_ctx *c = p->hp_free;
  if (c != NULL)
    p->hp_free = c->next_free;
  else if (p->hp_fresh < p->ctx_count)
    c = (void *)(p->hp_mem + p->hp_fresh++ * ALIGN64(sizeof(*c)));
  else
    return NULL;
  p->hp_used++;
  return c;
}

int rn_aead_ctx_take(struct rn_aead_pool *p, enum rn_aead_suite suite, const uint8_t *key,
                     ngtcp2_crypto_aead_ctx *out) {
  struct aead_ctx *c = rn_refused(&p->refusals) ? NULL : aead_alloc(p);
  if (c == NULL) {
    p->failures++;
    return RN_ERR_LIMIT;
  }
  c->suite = &suites[suite];
  c->imb = p->imb;
  if (suite == RN_AEAD_CHACHA20)
    memcpy(c->key.chacha, key, 32);
  else
    p->imb->gcm_pre[suites[suite].aes_idx](key, &c->key.gcm);
  out->native_handle = c;
  return RN_OK;
}

int rn_aead_hp_take(struct rn_aead_pool *p, enum rn_aead_suite suite, const uint8_t *key,
                    ngtcp2_crypto_cipher_ctx *out) {
  struct hp_ctx *c = rn_refused(&p->refusals) ? NULL : hp_alloc(p);
  if (c == NULL) {
    p->failures++;
    return RN_ERR_LIMIT;
  }
  c->suite = &suites[suite];
  c->imb = p->imb;
  if (suite == RN_AEAD_CHACHA20) {
    memcpy(c->key.chacha, key, 32);
  } else {
    uint8_t dec[15 * 16]; /* comes with the expansion; header protection only encrypts */
    p->imb->aes_keyexp[suites[suite].aes_idx](key, c->key.aes, dec);
    explicit_bzero(dec, sizeof(dec));
  }
  out->native_handle = c;
  return RN_OK;
}

void rn_aead_ctx_put(struct rn_aead_pool *p, ngtcp2_crypto_aead_ctx *ctx) {
  struct aead_ctx *c = ctx->native_handle;
  if (c == NULL)
    return;
  ctx->native_handle = NULL;
  explicit_bzero(c, p->aead_stride);
  c->next_free = p->aead_free;
  p->aead_free = c;
  p->aead_used--;
}

void rn_aead_hp_put(struct rn_aead_pool *p, ngtcp2_crypto_cipher_ctx *ctx) {
  struct hp_ctx *c = ctx->native_handle;
  if (c == NULL)
    return;
  ctx->native_handle = NULL;
  explicit_bzero(c, sizeof(*c));
  c->next_free = p->hp_free;
  p->hp_free = c;
  p->hp_used--;
}

int rn_aead_keys(struct rn_aead_pool *p, enum rn_aead_suite suite, const uint8_t *secret,
                 size_t secret_bytes, ngtcp2_crypto_aead_ctx *aead, ngtcp2_crypto_cipher_ctx *hp,
                 uint8_t iv[RN_AEAD_IV_BYTES]) {
  const struct suite *s = &suites[suite];
  struct rn_hmac prk;
  uint8_t key[RN_AEAD_KEY_BYTES_MAX];
  ngtcp2_crypto_aead_ctx a = { 0 };
  rn_hmac_init(&prk, s->hash, secret, secret_bytes);
  rn_hkdf_label(&prk, "quic key", key, s->key_bytes);
  int err = rn_aead_ctx_take(p, suite, key, &a);
  if (err == RN_OK && hp != NULL) {
    rn_hkdf_label(&prk, "quic hp", key, s->key_bytes);
    err = rn_aead_hp_take(p, suite, key, hp);
  }
  if (err == RN_OK) {
    rn_hkdf_label(&prk, "quic iv", iv, RN_AEAD_IV_BYTES);
    *aead = a;
  } else {
    rn_aead_ctx_put(p, &a);
  }
  rn_hmac_wipe(&prk);
  explicit_bzero(key, sizeof(key));
  return err;
}

int rn_aead_encrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                    const ngtcp2_crypto_aead_ctx *ctx, const uint8_t *plain, size_t plain_bytes,
                    const uint8_t *nonce, size_t nonce_bytes, const uint8_t *aad,
                    size_t aad_bytes) {
  (void)aead;
  (void)nonce_bytes; /* 12 in every suite */
  const struct aead_ctx *c = ctx->native_handle;
  if (c->suite->id != RN_AEAD_CHACHA20) {
    struct gcm_context_data g;
    c->imb->gcm_enc[c->suite->aes_idx](&c->key.gcm, &g, dest, plain, plain_bytes, nonce, aad,
                                       aad_bytes, dest + plain_bytes, RN_AEAD_TAG_BYTES);
    return 0;
  }
  struct chacha20_poly1305_context_data x;
  c->imb->chacha_init(c->key.chacha, &x, nonce, aad, aad_bytes);
  c->imb->chacha_enc(c->key.chacha, &x, dest, plain, plain_bytes);
  c->imb->chacha_final(&x, dest + plain_bytes, RN_AEAD_TAG_BYTES);
  return 0;
}

/* Time does not depend on where the tags differ. */
static bool tag_equal(const uint8_t *a, const uint8_t *b) {
  uint64_t x[2], y[2];
  memcpy(x, a, sizeof(x));
  memcpy(y, b, sizeof(y));
  return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

int rn_aead_decrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
                    const ngtcp2_crypto_aead_ctx *ctx, const uint8_t *cipher, size_t cipher_bytes,
                    const uint8_t *nonce, size_t nonce_bytes, const uint8_t *aad,
                    size_t aad_bytes) {
  (void)aead;
  (void)nonce_bytes;
  const struct aead_ctx *c = ctx->native_handle;
  if (cipher_bytes < RN_AEAD_TAG_BYTES)
    return NGTCP2_ERR_DECRYPT;
  size_t n = cipher_bytes - RN_AEAD_TAG_BYTES;
  uint8_t tag[RN_AEAD_TAG_BYTES];
  if (c->suite->id != RN_AEAD_CHACHA20) {
    struct gcm_context_data g;
    c->imb->gcm_dec[c->suite->aes_idx](&c->key.gcm, &g, dest, cipher, n, nonce, aad, aad_bytes, tag,
                                       RN_AEAD_TAG_BYTES);
  } else {
    struct chacha20_poly1305_context_data x;
    c->imb->chacha_init(c->key.chacha, &x, nonce, aad, aad_bytes);
    c->imb->chacha_dec(c->key.chacha, &x, dest, cipher, n);
    c->imb->chacha_final(&x, tag, RN_AEAD_TAG_BYTES);
  }
  return tag_equal(tag, cipher + n) ? 0 : NGTCP2_ERR_DECRYPT;
}

int rn_aead_hp_mask(uint8_t *dest, const ngtcp2_crypto_cipher *hp,
                    const ngtcp2_crypto_cipher_ctx *ctx, const uint8_t *sample) {
  static const uint8_t zero[16];
  (void)hp;
  const struct hp_ctx *c = ctx->native_handle;
  uint8_t mask[16];
  if (c->suite->id != RN_AEAD_CHACHA20) {
    c->imb->aes_cfb_one[c->suite->aes_idx](mask, zero, sample, c->key.aes, sizeof(mask));
  } else {
    const void *src = sample;
    void *dst = mask;
    c->imb->chacha_hp(c->key.chacha, &src, &dst, 1);
  }
  memcpy(dest, mask, 5);
  return 0;
}
