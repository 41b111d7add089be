#include "quic/sign.h"

#include <string.h>

#include <openssl/async.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/params.h>

#include "util/err.h"

#define PROVIDER_NAME  "rpcnet"
#define PROVIDER_PROPS "provider=" PROVIDER_NAME

enum key_type { KEY_EC, KEY_RSA, KEY_ED25519 };
static const char *const key_names[] = { "EC", "RSA", "ED25519" };

struct rn_sign {
  OSSL_LIB_CTX *lib;
  struct rn_sign_job **slot;
};

/* Key data of our KEYMGMT: another key object, of OpenSSL's own provider, with the public part. */
struct key {
  struct rn_sign *sign;
  enum key_type type;
  EVP_PKEY *pub;
};

struct sig_ctx {
  struct rn_sign *sign;
  const struct key *key;
  uint16_t scheme;
};

/* ---- key management: provider-keymgmt(7) ---- */

static void *key_new(struct rn_sign *s, enum key_type type) {
  struct key *k = OPENSSL_zalloc(sizeof(*k));
  if (k != NULL)
    *k = (struct key){ .sign = s, .type = type };
  return k;
}

static void *key_new_ec(void *s) { return key_new(s, KEY_EC); }
static void *key_new_rsa(void *s) { return key_new(s, KEY_RSA); }
static void *key_new_ed25519(void *s) { return key_new(s, KEY_ED25519); }

static void key_free(void *key) {
  struct key *k = key;
  if (k == NULL)
    return;
  EVP_PKEY_free(k->pub);
  OPENSSL_free(k);
}

/* libssl asks whether there is a private key; there is, elsewhere. */
static int key_has(const void *key, int selection) {
  (void)selection;
  return ((const struct key *)key)->pub != NULL;
}

static int key_match(const void *a, const void *b, int selection) {
  (void)selection;
  return EVP_PKEY_eq(((const struct key *)a)->pub, ((const struct key *)b)->pub) == 1;
}

/* Takes the public part, whatever else is offered. */
static int key_import(void *key, int selection, const OSSL_PARAM params[]) {
  struct key *k = key;
  EVP_PKEY *pub = NULL;
  EVP_PKEY_CTX *ctx =
      EVP_PKEY_CTX_new_from_name(k->sign->lib, key_names[k->type], "provider=default");
  (void)selection;
  if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
    (void)EVP_PKEY_fromdata(ctx, &pub, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)(uintptr_t)params);
  EVP_PKEY_CTX_free(ctx);
  if (pub == NULL)
    return 0;
  EVP_PKEY_free(k->pub);
  k->pub = pub;
  return 1;
}

/* Refuses to hand over a private part: OpenSSL would otherwise move the key to its own provider and
 * try to sign there. */
static int key_export(void *key, int selection, OSSL_CALLBACK *cb, void *arg) {
  const struct key *k = key;
  OSSL_PARAM *params = NULL;
  if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 || k->pub == NULL ||
      EVP_PKEY_todata(k->pub, EVP_PKEY_PUBLIC_KEY, &params) != 1)
    return 0;
  int ok = cb(params, arg);
  OSSL_PARAM_free(params);
  return ok;
}

static const OSSL_PARAM key_types[] = {
  OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
  OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
  OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
  OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
  OSSL_PARAM_END,
};

static const OSSL_PARAM *key_transfer_types(int selection) {
  (void)selection;
  return key_types;
}

static int key_get_params(void *key, OSSL_PARAM params[]) {
  return EVP_PKEY_get_params(((struct key *)key)->pub, params);
}

static const OSSL_PARAM *key_gettable(void *provctx) {
  static const OSSL_PARAM list[] = {
    OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
    OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
    OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
    OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
    OSSL_PARAM_END,
  };
  (void)provctx;
  return list;
}

static const char *key_operation(int operation) {
  return operation == OSSL_OP_SIGNATURE ? "RPCNET-REMOTE" : NULL;
}

/* ---- signature: provider-signature(7) ---- */

static void *sig_new(void *provctx, const char *props) {
  (void)props;
  struct sig_ctx *c = OPENSSL_zalloc(sizeof(*c));
  if (c != NULL)
    c->sign = provctx;
  return c;
}

static void sig_free(void *ctx) { OPENSSL_free(ctx); }

/* The scheme follows from the key and the hash: TLS 1.3 ties an EC curve to one hash, and RSA always
 * signs with PSS. 0: none. */
static uint16_t scheme_of(enum key_type type, const char *md) {
  if (type == KEY_ED25519)
    return md == NULL || md[0] == '\0' ? 0x0807 : 0;
  static const struct {
    const char *name;
    uint16_t ecdsa, rsa;
  } hashes[] = {
    { "SHA256", 0x0403, 0x0804 },   { "SHA2-256", 0x0403, 0x0804 }, { "SHA384", 0x0503, 0x0805 },
    { "SHA2-384", 0x0503, 0x0805 }, { "SHA512", 0x0603, 0x0806 },   { "SHA2-512", 0x0603, 0x0806 },
  };
  for (size_t i = 0; md != NULL && i < sizeof(hashes) / sizeof(hashes[0]); i++)
    if (OPENSSL_strcasecmp(md, hashes[i].name) == 0)
      return type == KEY_RSA ? hashes[i].rsa : hashes[i].ecdsa;
  return 0;
}

static int sig_init(void *ctx, const char *md, void *key, const OSSL_PARAM params[]) {
  struct sig_ctx *c = ctx;
  (void)params;
  if (key != NULL)
    c->key = key;
  if (c->key == NULL)
    return 0;
  c->scheme = scheme_of(c->key->type, md);
  return c->scheme != 0;
}

/* First called without sig, for the size. */
static int sig_sign(void *ctx, unsigned char *sig, size_t *sig_bytes, size_t cap,
                    const unsigned char *tbs, size_t tbs_bytes) {
  struct sig_ctx *c = ctx;
  if (sig == NULL) {
    *sig_bytes = (size_t)EVP_PKEY_get_size(c->key->pub);
    return 1;
  }
  struct rn_sign_job **slot = c->sign->slot;
  if (slot == NULL || ASYNC_get_current_job() == NULL)
    return 0;
  struct rn_sign_job job = { .scheme = c->scheme, .tbs = tbs, .tbs_bytes = tbs_bytes };
  *slot = &job;
  /* A job that nobody could pause, or that is resumed without an answer, ends as a failure. */
  int paused = ASYNC_pause_job();
  *slot = NULL;
  if (!paused || !job.answered || job.err != RN_OK || job.sig_bytes > cap)
    return 0;
  memcpy(sig, job.sig, job.sig_bytes);
  *sig_bytes = job.sig_bytes;
  return 1;
}

/* libssl sets PSS padding and its salt length; the scheme already says both. */
static int sig_set_params(void *ctx, const OSSL_PARAM params[]) {
  (void)ctx;
  (void)params;
  return 1;
}

static const OSSL_PARAM *sig_settable(void *ctx, void *provctx) {
  static const OSSL_PARAM list[] = {
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
    OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0),
    OSSL_PARAM_END,
  };
  (void)ctx;
  (void)provctx;
  return list;
}

/* ---- provider(7) ---- */

#define FN(id, f) { (id), (void (*)(void))(f) }
#define KEYMGMT(new_fn)                                                                            \
  { FN(OSSL_FUNC_KEYMGMT_NEW, new_fn),                                                             \
    FN(OSSL_FUNC_KEYMGMT_FREE, key_free),                                                          \
    FN(OSSL_FUNC_KEYMGMT_HAS, key_has),                                                            \
    FN(OSSL_FUNC_KEYMGMT_MATCH, key_match),                                                        \
    FN(OSSL_FUNC_KEYMGMT_IMPORT, key_import),                                                      \
    FN(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_transfer_types),                                        \
    FN(OSSL_FUNC_KEYMGMT_EXPORT, key_export),                                                      \
    FN(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, key_transfer_types),                                        \
    FN(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),                                              \
    FN(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable),                                           \
    FN(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, key_operation),                                     \
    OSSL_DISPATCH_END }

static const OSSL_DISPATCH keymgmt_ec[] = KEYMGMT(key_new_ec);
static const OSSL_DISPATCH keymgmt_rsa[] = KEYMGMT(key_new_rsa);
static const OSSL_DISPATCH keymgmt_ed25519[] = KEYMGMT(key_new_ed25519);

static const OSSL_DISPATCH signature[] = {
  FN(OSSL_FUNC_SIGNATURE_NEWCTX, sig_new),
  FN(OSSL_FUNC_SIGNATURE_FREECTX, sig_free),
  FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, sig_init),
  FN(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, sig_sign),
  FN(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, sig_set_params),
  FN(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, sig_settable),
  OSSL_DISPATCH_END,
};

static const OSSL_ALGORITHM *provider_query(void *provctx, int operation, int *no_cache) {
  static const OSSL_ALGORITHM keymgmts[] = {
    { "EC:id-ecPublicKey:1.2.840.10045.2.1", PROVIDER_PROPS, keymgmt_ec, "remote EC key" },
    { "RSA:rsaEncryption:1.2.840.113549.1.1.1", PROVIDER_PROPS, keymgmt_rsa, "remote RSA key" },
    { "ED25519:1.3.101.112", PROVIDER_PROPS, keymgmt_ed25519, "remote Ed25519 key" },
    { NULL, NULL, NULL, NULL },
  };
  static const OSSL_ALGORITHM signatures[] = {
    { "RPCNET-REMOTE", PROVIDER_PROPS, signature, "signature made elsewhere" },
    { NULL, NULL, NULL, NULL },
  };
  (void)provctx;
  *no_cache = 0;
  if (operation == OSSL_OP_KEYMGMT)
    return keymgmts;
  return operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static void provider_teardown(void *provctx) { OPENSSL_free(provctx); }

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                         const OSSL_DISPATCH **out, void **provctx) {
  static const OSSL_DISPATCH provider[] = {
    FN(OSSL_FUNC_PROVIDER_QUERY_OPERATION, provider_query),
    FN(OSSL_FUNC_PROVIDER_TEARDOWN, provider_teardown),
    OSSL_DISPATCH_END,
  };
  (void)handle;
  (void)in;
  *provctx = OPENSSL_zalloc(sizeof(struct rn_sign));
  *out = provider;
  return *provctx != NULL;
}

int rn_sign_load(OSSL_LIB_CTX *lib, OSSL_PROVIDER **prov, struct rn_sign **out) {
  if (OSSL_PROVIDER_add_builtin(lib, PROVIDER_NAME, provider_init) != 1 ||
      EVP_set_default_properties(lib, "?provider=default") != 1)
    return RN_ERR_CRYPTO;
  OSSL_PROVIDER *p = OSSL_PROVIDER_load(lib, PROVIDER_NAME);
  if (p == NULL)
    return RN_ERR_CRYPTO;
  struct rn_sign *s = OSSL_PROVIDER_get0_provider_ctx(p);
  s->lib = lib;
  *prov = p;
  *out = s;
  return RN_OK;
}

EVP_PKEY *rn_sign_key(struct rn_sign *s, const EVP_PKEY *cert_key) {
  EVP_PKEY *key = NULL;
  OSSL_PARAM *params = NULL;
  EVP_PKEY_CTX *ctx = NULL;
  const char *name = NULL;
  for (size_t i = 0; i < sizeof(key_names) / sizeof(key_names[0]) && name == NULL; i++)
    name = EVP_PKEY_is_a(cert_key, key_names[i]) ? key_names[i] : NULL;
  if (name == NULL || EVP_PKEY_todata(cert_key, EVP_PKEY_PUBLIC_KEY, &params) != 1)
    return NULL;
  ctx = EVP_PKEY_CTX_new_from_name(s->lib, name, PROVIDER_PROPS);
  if (ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1)
    (void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
  EVP_PKEY_CTX_free(ctx);
  OSSL_PARAM_free(params);
  return key;
}

void rn_sign_set_slot(struct rn_sign *s, struct rn_sign_job **slot) { s->slot = slot; }
