#include "tls_pair.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "rn_test.h"
#include "util/err.h"

#define CTX_COUNT RN_AEAD_CTX_PER_CONN

struct rn_aead_pool *rn_aead_pool_of(void *user_data) {
  return ((struct pair_end *)user_data)->pool;
}

/* ---- keys and certificates ---- */

EVP_PKEY *pair_key(const char *type) {
  if (strcmp(type, "RSA") == 0)
    return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
  if (strcmp(type, "ED25519") == 0)
    return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  return EVP_PKEY_Q_keygen(NULL, NULL, "EC", type);
}

char *pair_cert(EVP_PKEY *key, const struct pair_cert_opt *opt) {
  X509 *x = X509_new();
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x), 86400);
  X509_set_pubkey(x, key);
  X509_NAME *name = X509_get_subject_name(x);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)opt->cn, -1, -1, 0);
  EVP_PKEY *issuer = opt->issuer != NULL ? opt->issuer : key;
  X509_NAME *issuer_name = X509_NAME_dup(name);
  if (opt->issuer != NULL)
    X509_NAME_add_entry_by_txt(issuer_name, "O", MBSTRING_ASC, (const uint8_t *)"issuer", -1, -1,
                               0);
  X509_set_issuer_name(x, issuer_name);
  X509_NAME_free(issuer_name);
  if (opt->san != NULL) {
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, opt->san);
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
  }
  assert_true(X509_sign(x, issuer, EVP_PKEY_is_a(issuer, "ED25519") ? NULL : EVP_sha256()) > 0);
  BIO *bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, x);
  char *data;
  long n = BIO_get_mem_data(bio, &data);
  char *pem = strndup(data, (size_t)n);
  BIO_free(bio);
  X509_free(x);
  return pem;
}

static const EVP_MD *scheme_md(uint16_t scheme) {
  switch (scheme) {
  case 0x0403:
  case 0x0804:
    return EVP_sha256();
  case 0x0503:
  case 0x0805:
    return EVP_sha384();
  case 0x0603:
  case 0x0806:
    return EVP_sha512();
  default:
    return NULL; /* Ed25519 */
  }
}

int pair_make_signature(EVP_PKEY *key, uint16_t scheme, const uint8_t *tbs, size_t tbs_bytes,
                        uint8_t *sig, size_t *sig_bytes) {
  EVP_MD_CTX *ctx = EVP_MD_CTX_new();
  EVP_PKEY_CTX *pctx;
  bool ok = EVP_DigestSignInit(ctx, &pctx, scheme_md(scheme), NULL, key) == 1;
  if (ok && EVP_PKEY_is_a(key, "RSA"))
    ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) == 1;
  ok = ok && EVP_DigestSign(ctx, sig, sig_bytes, tbs, tbs_bytes) == 1;
  EVP_MD_CTX_free(ctx);
  return ok ? RN_OK : RN_ERR_CRYPTO;
}

/* ---- connections ---- */

static void cb_rand(uint8_t *dest, size_t n, const ngtcp2_rand_ctx *ctx) {
  (void)ctx;
  memset(dest, 0x5c, n);
}

static int cb_new_cid(ngtcp2_conn *conn, ngtcp2_cid *cid, uint8_t *token, size_t cid_bytes,
                      void *user_data) {
  static uint8_t counter;
  (void)conn;
  (void)user_data;
  memset(cid->data, ++counter, cid_bytes);
  cid->datalen = cid_bytes;
  memset(token, counter, NGTCP2_STATELESS_RESET_TOKENLEN);
  return 0;
}

static int cb_challenge(ngtcp2_conn *conn, uint8_t *data, void *user_data) {
  (void)conn;
  (void)user_data;
  memset(data, 0x11, NGTCP2_PATH_CHALLENGE_DATALEN);
  return 0;
}

static int cb_completed(ngtcp2_conn *conn, void *user_data) {
  (void)conn;
  ((struct pair_end *)user_data)->completed = true;
  return 0;
}

static struct sockaddr_in addr_client = { .sin_family = AF_INET, .sin_port = 1111 };
static struct sockaddr_in addr_server = { .sin_family = AF_INET, .sin_port = 2222 };

static ngtcp2_path path_of(const struct pair *p, const struct pair_end *e) {
  bool client = e == &p->client;
  return (ngtcp2_path){
    .local = { (void *)(client ? &addr_client : &addr_server), sizeof(addr_client) },
    .remote = { (void *)(client ? &addr_server : &addr_client), sizeof(addr_client) },
  };
}

static ngtcp2_callbacks callbacks(void) {
  ngtcp2_callbacks cb = {
    .recv_crypto_data = rn_tls_recv_crypto,
    .handshake_completed = cb_completed,
    .rand = cb_rand,
    .get_new_connection_id = cb_new_cid,
    .get_path_challenge_data = cb_challenge,
  };
  rn_aead_set_callbacks(&cb);
  return cb;
}

static void settings(const struct pair *p, ngtcp2_settings *s, ngtcp2_transport_params *t) {
  ngtcp2_settings_default(s);
  s->initial_ts = p->now_ns;
  ngtcp2_transport_params_default(t);
  t->initial_max_data = 1 << 20;
  t->initial_max_streams_bidi = 10;
  t->initial_max_stream_data_bidi_local = t->initial_max_stream_data_bidi_remote = 1 << 16;
  t->active_connection_id_limit = 2;
}

static void pool_new(struct pair_end *e, uint32_t ctx_count) {
  void *mem = aligned_alloc(64, rn_aead_pool_footprint(ctx_count));
  assert_int_equal(rn_aead_pool_init(mem, ctx_count, &e->pool), RN_OK);
}

bool pair_start(struct pair *p, struct rn_quic_tls *client, struct rn_quic_tls *server,
                const char *name) {
  ngtcp2_cid dcid = { .datalen = 8, .data = { 1, 2, 3, 4, 5, 6, 7, 8 } };
  ngtcp2_cid scid = { .datalen = 8, .data = { 9, 9, 9 } };
  ngtcp2_callbacks cb = callbacks();
  ngtcp2_settings s;
  ngtcp2_transport_params t;
  ngtcp2_path path = path_of(p, &p->client);
  p->client_tls = client;
  p->server_tls = server;
  p->now_ns = 1000000000;
  pool_new(&p->client, CTX_COUNT);
  pool_new(&p->server, p->ctx_count != 0 ? p->ctx_count : CTX_COUNT);
  settings(p, &s, &t);
  assert_int_equal(ngtcp2_conn_client_new(&p->client.conn, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1,
                                          &cb, &s, &t, NULL, &p->client),
                   0);
  p->client.has_conn = true;
  return rn_tls_conn_init(&p->client.tls, client, p->client.pool, p->client.conn, false, name) ==
         RN_OK;
}

static void accept_client(struct pair *p, const uint8_t *data, size_t n) {
  ngtcp2_pkt_hd hd;
  ngtcp2_cid scid = { .datalen = 17, .data = { 7, 7, 7 } };
  ngtcp2_callbacks cb = callbacks();
  ngtcp2_settings s;
  ngtcp2_transport_params t;
  ngtcp2_path path = path_of(p, &p->server);
  settings(p, &s, &t);
  assert_int_equal(ngtcp2_accept(&hd, data, n), 0);
  t.original_dcid = hd.dcid;
  t.original_dcid_present = 1;
  assert_int_equal(ngtcp2_conn_server_new(&p->server.conn, &hd.scid, &scid, &path, hd.version, &cb,
                                          &s, &t, NULL, &p->server),
                   0);
  p->server.has_conn = true;
  assert_int_equal(
      rn_tls_conn_init(&p->server.tls, p->server_tls, p->server.pool, p->server.conn, true, NULL),
      RN_OK);
}

static void failed(struct pair_end *e, int rv) {
  e->error = rv;
  e->alert = ngtcp2_conn_get_tls_alert(e->conn);
}

static void answer(struct pair *p, struct pair_end *e) {
  EVP_PKEY *key = e == &p->server ? p->server_key : p->client_key;
  uint8_t sig[512] = { 0 };
  size_t sig_bytes = sizeof(sig);
  const uint8_t *tbs;
  rn_tls_sign_request(&e->tls, &p->sign_scheme, &tbs, &p->sign_tbs_bytes);
  p->sign_requests++;
  int err = key == NULL
                ? RN_ERR_REFUSED
                : pair_make_signature(key, p->sign_scheme, tbs, p->sign_tbs_bytes, sig, &sig_bytes);
  if (err != RN_OK)
    sig_bytes = 8; /* something that looks like a signature */
  if (p->wrong_signature)
    sig[sig_bytes - 1] ^= 1;
  int rv = rn_tls_sign_done(&e->tls, err, sig, sig_bytes);
  if (rv == 0)
    rv = ngtcp2_conn_continue_handshake(e->conn, p->now_ns);
  if (rv != 0)
    failed(e, rv);
}

void pair_sign(struct pair *p) { answer(p, &p->server); }

/* Writes what from has, and gives it to the other end. Returns the number of datagrams. */
static int flush(struct pair *p, struct pair_end *from) {
  struct pair_end *to = from == &p->client ? &p->server : &p->client;
  int count = 0;
  while (from->error == 0 && to->error == 0 && count < 100) {
    uint8_t buf[1500];
    ngtcp2_path_storage ps;
    ngtcp2_pkt_info pi;
    ngtcp2_path_storage_zero(&ps);
    ngtcp2_ssize n = ngtcp2_conn_write_pkt(from->conn, &ps.path, &pi, buf, sizeof(buf), p->now_ns);
    if (n < 0) {
      failed(from, (int)n);
      break;
    }
    if (n == 0)
      break;
    count++;
    if (to == &p->server) {
      memcpy(p->dgram_to_server, buf, (size_t)n);
      p->dgram_to_server_bytes = (size_t)n;
      if (!p->client.completed)
        p->client_flights++;
      if (!to->has_conn)
        accept_client(p, buf, (size_t)n);
    }
    ngtcp2_path path = path_of(p, to);
    int rv = ngtcp2_conn_read_pkt(to->conn, &path, &pi, buf, (size_t)n, p->now_ns);
    if (rv != 0)
      failed(to, rv);
    else if (to->tls.sign_wanted && !p->hold_signatures)
      answer(p, to);
  }
  return count;
}

void pair_exchange(struct pair *p, int n) {
  for (int i = 0; i < n; i++) {
    p->now_ns += 1000000;
    int moved = flush(p, &p->client);
    if (p->server.has_conn)
      moved += flush(p, &p->server);
    if (moved == 0)
      break;
  }
}

void pair_run(struct pair *p) {
  for (int turn = 0; turn < 50; turn++) {
    bool done = p->client.completed && p->server.completed;
    p->now_ns += 1000000;
    int moved = flush(p, &p->client);
    if (p->server.has_conn)
      moved += flush(p, &p->server);
    if (done || moved == 0 || p->client.error != 0 || p->server.error != 0)
      break;
  }
}

static void end(struct pair_end *e) {
  if (e->has_conn) {
    rn_tls_conn_fini(&e->tls);
    ngtcp2_conn_del(e->conn);
  }
  assert_int_equal(rn_aead_pool_in_use(e->pool), 0);
  assert_int_equal(rn_aead_pool_check(e->pool), RN_OK);
  rn_aead_pool_fini(e->pool);
  free(e->pool);
}

void pair_end(struct pair *p) {
  end(&p->client);
  end(&p->server);
}

/* ---- nodes ---- */

const struct pair_cert_opt localhost = { "localhost", "DNS:localhost,IP:127.0.0.1", NULL };

struct rn_quic_tls *tls_new(const struct rn_quic_tls_config *cfg) {
  struct rn_quic_tls *t = NULL;
  char err[200];
  int rv = rn_quic_tls_new(cfg, &t, err, sizeof(err));
  if (rv != RN_OK)
    print_message("rn_quic_tls_new: %s\n", err);
  assert_int_equal(rv, RN_OK);
  return t;
}

struct node node_new(const char *key_type, const struct pair_cert_opt *cert,
                     const struct rn_quic_tls_config *more_server,
                     const struct rn_quic_tls_config *more_client) {
  struct node n = { .key = pair_key(key_type) };
  n.pem = pair_cert(n.key, cert);
  struct rn_quic_tls_config s =
      more_server != NULL ? *more_server : (struct rn_quic_tls_config){ 0 };
  struct rn_quic_tls_config c =
      more_client != NULL ? *more_client : (struct rn_quic_tls_config){ 0 };
  s.cert_pem = c.ca_pem = n.pem;
  s.cert_pem_bytes = c.ca_pem_bytes = strlen(n.pem);
  if (s.require_client_cert) {
    s.ca_pem = n.pem;
    s.ca_pem_bytes = strlen(n.pem);
  }
  n.server = tls_new(&s);
  n.client = tls_new(&c);
  return n;
}

void node_free(struct node *n) {
  rn_quic_tls_free(n->server);
  rn_quic_tls_free(n->client);
  EVP_PKEY_free(n->key);
  free(n->pem);
}

void assert_completed(const struct pair *p) {
  assert_int_equal(p->client.error, 0);
  assert_int_equal(p->server.error, 0);
  assert_true(p->client.completed);
  assert_true(p->server.completed);
}

void handshake_ok(struct node *n, const char *name, struct pair *p) {
  *p = (struct pair){ .server_key = n->key };
  assert_true(pair_start(p, n->client, n->server, name));
  pair_run(p);
  assert_completed(p);
}
