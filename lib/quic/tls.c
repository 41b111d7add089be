#include "quic/tls.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "quic/tls_pvt.h"
#include "util/err.h"

#define DEFAULT_SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define DEFAULT_GROUPS "P-256:X25519:P-384:P-521"
#define CHAIN_MAX      16

/* Where rn_quic_tls_new writes what is wrong. */
struct err_out {
  char *text;
  size_t bytes;
};

__attribute__((format(printf, 2, 3))) static int invalid(const struct err_out *e, const char *fmt,
                                                         ...) {
  if (e->bytes > 0) {
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(e->text, e->bytes, fmt, args);
    va_end(args);
  }
  return RN_ERR_INVAL;
}

static const char *openssl_reason(void) {
  const char *reason = ERR_reason_error_string(ERR_peek_last_error());
  return reason != NULL ? reason : "unknown reason";
}

/* Reads every certificate of a PEM text. Returns NULL when there is none, or one cannot be read. */
static STACK_OF(X509) * read_certs(OSSL_LIB_CTX *lib, const char *pem, size_t n) {
  STACK_OF(X509) *certs = sk_X509_new_null();
  BIO *bio = n <= INT32_MAX ? BIO_new_mem_buf(pem, (int)n) : NULL;
  bool ok = certs != NULL && bio != NULL;
  ERR_clear_error();
  while (ok && sk_X509_num(certs) < 1024) {
    X509 *x = X509_new_ex(lib, NULL);
    ok = x != NULL;
    if (ok && PEM_read_bio_X509(bio, &x, NULL, NULL) == NULL) {
      X509_free(x);
      /* The end of the text is the one good reason. */
      ok = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE && sk_X509_num(certs) > 0;
      break;
    }
    ok = ok && sk_X509_push(certs, x) > 0;
  }
  BIO_free(bio);
  if (ok) {
    ERR_clear_error();
    return certs;
  }
  sk_X509_pop_free(certs, X509_free);
  return NULL;
}

static int set_certificate(struct rn_quic_tls *t, SSL_CTX *ctx, STACK_OF(X509) * chain,
                           const struct err_out *e) {
  X509 *leaf = sk_X509_value(chain, 0);
  EVP_PKEY *key = rn_sign_key(t->sign, X509_get0_pubkey(leaf));
  if (key == NULL)
    return invalid(e, "certificate: its key is none of EC, RSA, Ed25519");
  bool ok = SSL_CTX_use_certificate(ctx, leaf) == 1;
  for (int i = 1; ok && i < sk_X509_num(chain); i++)
    ok = SSL_CTX_add1_chain_cert(ctx, sk_X509_value(chain, i)) == 1;
  ok = ok && SSL_CTX_use_PrivateKey(ctx, key) == 1;
  EVP_PKEY_free(key);
  return ok ? RN_OK : invalid(e, "certificate: %s", openssl_reason());
}

static int set_anchors(SSL_CTX *ctx, STACK_OF(X509) * anchors, bool server) {
  X509_STORE *store = SSL_CTX_get_cert_store(ctx);
  for (int i = 0; i < sk_X509_num(anchors); i++) {
    X509 *x = sk_X509_value(anchors, i);
    if (X509_STORE_add_cert(store, x) != 1 || (server && SSL_CTX_add_client_CA(ctx, x) != 1))
      return RN_ERR_CRYPTO;
  }
  /* A certificate in the store is trusted as it is, also one that no CA signed. */
  return X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) == 1 ? RN_OK : RN_ERR_CRYPTO;
}

/* OpenSSL skips names it does not know. */
static int set_suites(SSL_CTX *ctx, const char *names, const struct err_out *e) {
  for (const char *p = names;;) {
    size_t n = strcspn(p, ":");
    const char *hit = NULL;
    for (const char *q = DEFAULT_SUITES; hit == NULL && *q != '\0';) {
      size_t m = strcspn(q, ":");
      if (m == n && memcmp(p, q, n) == 0)
        hit = q;
      q += m + (q[m] == ':');
    }
    if (hit == NULL)
      return invalid(e, "cipher suite \"%.*s\" is none of " DEFAULT_SUITES, (int)n, p);
    if (p[n] == '\0')
      break;
    p += n + 1;
  }
  return SSL_CTX_set_ciphersuites(ctx, names) == 1 ? RN_OK
                                                   : invalid(e, "cipher suites \"%s\"", names);
}

static int select_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_bytes, const uint8_t *in,
                       unsigned int in_bytes, void *arg) {
  const struct rn_quic_tls *t = arg;
  (void)ssl;
  for (unsigned int i = 0; i < in_bytes && in[i] < in_bytes - i; i += 1u + in[i]) {
    if (in[i] == t->alpn[0] && memcmp(in + i + 1, t->alpn + 1, in[i]) == 0) {
      *out = in + i + 1;
      *out_bytes = in[i];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol, RFC 9001 section 8.1 */
}

/* Tickets of another node may resume here only what a full handshake would be let do: who asks for certificates, and of whom, goes with them. */
static int set_session_context(struct rn_quic_tls *t, SSL_CTX *ctx,
                               const struct rn_quic_tls_config *cfg) {
  uint8_t digest[32];
  unsigned int n = 0;
  EVP_MD_CTX *md = EVP_MD_CTX_new();
  EVP_MD *sha256 = EVP_MD_fetch(t->lib, "SHA256", NULL);
  const uint8_t required = cfg->require_client_cert;
  bool ok = md != NULL && sha256 != NULL && EVP_DigestInit_ex2(md, sha256, NULL) == 1 &&
            EVP_DigestUpdate(md, &required, 1) == 1 &&
            EVP_DigestUpdate(md, t->alpn, t->alpn_bytes) == 1 &&
            (cfg->ca_pem == NULL || EVP_DigestUpdate(md, cfg->ca_pem, cfg->ca_pem_bytes) == 1) &&
            EVP_DigestFinal_ex(md, digest, &n) == 1 &&
            SSL_CTX_set_session_id_context(ctx, digest, n) == 1;
  EVP_MD_free(sha256);
  EVP_MD_CTX_free(md);
  return ok ? RN_OK : RN_ERR_CRYPTO;
}

static int set_tickets(struct rn_quic_tls *t, SSL_CTX *ctx, const struct rn_quic_tls_config *cfg,
                       bool server) {
  if (!cfg->session_tickets) {
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return !server || SSL_CTX_set_num_tickets(ctx, 0) == 1 ? RN_OK : RN_ERR_CRYPTO;
  }
  if (!server) {
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    return RN_OK;
  }
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* the ticket carries it all */
  int err = set_session_context(t, ctx, cfg);
  if (err == RN_OK && cfg->ticket_keys != NULL)
    err = rn_ticket_install(t, ctx, cfg);
  return err;
}

struct certs {
  STACK_OF(X509) * chain;
  STACK_OF(X509) * anchors;
};

static int make_ctx(struct rn_quic_tls *t, const struct rn_quic_tls_config *cfg,
                    const struct certs *certs, bool server, const struct err_out *e,
                    SSL_CTX **out) {
  const char *groups = cfg->groups != NULL ? cfg->groups : DEFAULT_GROUPS;
  SSL_CTX *ctx = SSL_CTX_new_ex(t->lib, NULL, TLS_method());
  *out = ctx;
  if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1)
    return RN_ERR_CRYPTO;
  /* Certificate compression (RFC 8879) is more work than bytes saved, and a way in. */
  SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_TX_CERTIFICATE_COMPRESSION |
                               SSL_OP_NO_RX_CERTIFICATE_COMPRESSION);
  /* The chain is sent as configured; otherwise each handshake would build and verify it. */
  SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
  int err = set_suites(ctx, cfg->cipher_suites != NULL ? cfg->cipher_suites : DEFAULT_SUITES, e);
  if (err != RN_OK)
    return err;
  if (SSL_CTX_set1_groups_list(ctx, groups) != 1)
    return invalid(e, "groups \"%s\": one of them is unknown", groups);
  if (server)
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, t);
  else if (SSL_CTX_set_alpn_protos(ctx, t->alpn, t->alpn_bytes) != 0)
    return RN_ERR_CRYPTO;

  err = set_tickets(t, ctx, cfg, server);
  if (err == RN_OK && certs->chain != NULL)
    err = set_certificate(t, ctx, certs->chain, e);
  if (err == RN_OK && certs->anchors != NULL)
    err = set_anchors(ctx, certs->anchors, server);
  if (err == RN_OK && server && cfg->require_client_cert)
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
  if (err == RN_OK && !server && certs->anchors != NULL)
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
  return err;
}

static int make_all(struct rn_quic_tls *t, const struct rn_quic_tls_config *cfg,
                    struct certs *certs, const struct err_out *e) {
  const char *alpn = cfg->alpn != NULL ? cfg->alpn : "h3";
  size_t alpn_bytes = strlen(alpn);
  if (alpn_bytes == 0 || alpn_bytes > 255)
    return invalid(e, "alpn: 1 to 255 characters");
  t->alpn[0] = (uint8_t)alpn_bytes;
  memcpy(t->alpn + 1, alpn, alpn_bytes);
  t->alpn_bytes = (uint32_t)alpn_bytes + 1;
  if (cfg->require_client_cert && cfg->ca_pem == NULL)
    return invalid(e, "client certificates are required, but there is no CA to check them");

  t->lib = OSSL_LIB_CTX_new();
  if (t->lib == NULL || (t->prov_default = OSSL_PROVIDER_load(t->lib, "default")) == NULL)
    return RN_ERR_CRYPTO;
  int err = rn_sign_load(t->lib, &t->prov_sign, &t->sign);
  if (err != RN_OK)
    return err;

  if (cfg->cert_pem != NULL) {
    certs->chain = read_certs(t->lib, cfg->cert_pem, cfg->cert_pem_bytes);
    if (certs->chain == NULL || sk_X509_num(certs->chain) > CHAIN_MAX)
      return invalid(e, "certificate: no PEM chain of 1 to %d certificates", CHAIN_MAX);
  }
  if (cfg->ca_pem != NULL) {
    certs->anchors = read_certs(t->lib, cfg->ca_pem, cfg->ca_pem_bytes);
    if (certs->anchors == NULL)
      return invalid(e, "CA: no certificate in PEM, or one that cannot be read");
  }
  t->signs = certs->chain != NULL;
  t->verify = certs->anchors != NULL;
  t->tickets = cfg->session_tickets;
  err = make_ctx(t, cfg, certs, false, e, &t->client);
  if (err == RN_OK && t->signs)
    err = make_ctx(t, cfg, certs, true, e, &t->server);
  return err;
}

int rn_quic_tls_new(const struct rn_quic_tls_config *cfg, struct rn_quic_tls **out, char *err_text,
                    size_t err_text_bytes) {
  struct err_out e = { err_text, err_text_bytes };
  struct certs certs = { 0 };
  (void)invalid(&e, "%s", "");
  struct rn_quic_tls *t = OPENSSL_zalloc(sizeof(*t));
  if (t == NULL)
    return RN_ERR_CRYPTO;
  int err = make_all(t, cfg, &certs, &e);
  if (err == RN_ERR_CRYPTO)
    (void)invalid(&e, "TLS set-up: %s", openssl_reason());
  sk_X509_pop_free(certs.chain, X509_free);
  sk_X509_pop_free(certs.anchors, X509_free);
  ERR_clear_error();
  if (err != RN_OK) {
    rn_quic_tls_free(t);
    return err;
  }
  *out = t;
  return RN_OK;
}

void rn_quic_tls_free(struct rn_quic_tls *t) {
  if (t == NULL)
    return;
  SSL_CTX_free(t->server);
  SSL_CTX_free(t->client);
  rn_ticket_fini(&t->keys);
  if (t->prov_sign != NULL)
    (void)OSSL_PROVIDER_unload(t->prov_sign);
  if (t->prov_default != NULL)
    (void)OSSL_PROVIDER_unload(t->prov_default);
  OSSL_LIB_CTX_free(t->lib);
  OPENSSL_free(t);
}

static _Thread_local uint32_t thread_jobs;

int rn_tls_thread_init(uint32_t sign_jobs) {
  rn_tls_thread_fini(); /* a pool that OpenSSL made by itself would be lost */
  /* One more runs while all others wait. */
  if (ASYNC_init_thread((size_t)sign_jobs + 1, 0) != 1)
    return RN_ERR_CRYPTO;
  thread_jobs = sign_jobs;
  return RN_OK;
}

uint32_t rn_tls_thread_jobs(void) { return thread_jobs; }

void rn_tls_thread_fini(void) {
  ASYNC_cleanup_thread();
  thread_jobs = 0;
}
