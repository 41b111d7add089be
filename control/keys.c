/* control/keys.c */
#include "control/keys.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "util/err.h"

#define SECURE_HEAP_BYTES                                                                          \
  (256u << 10) /* a power of two; holds the file's text and the parsed key */
#define KEY_FILE_MAX (64u << 10)

#define SCHEME_ECDSA_P256    0x0403
#define SCHEME_ECDSA_P384    0x0503
#define SCHEME_RSA_PSS_FIRST 0x0804 /* rsa_pss_rsae_sha256, 0x0805 sha384, 0x0806 sha512 */
#define SCHEME_RSA_PSS_LAST  0x0806
#define SCHEME_ED25519       0x0807

enum key_kind { KEY_P256, KEY_P384, KEY_RSA, KEY_ED25519 };

struct rn_keys {
  EVP_PKEY *pkey;
  X509 *leaf;
  char *cert_pem;
  size_t cert_bytes;
  enum key_kind kind;
  bool dials;
  char type[16];
  char subject[256];
};

/* Where an error is described; every function that fails has written it. */
struct why {
  char *text;
  size_t bytes;
};

bool rn_keys_init(void) {
  /* 1: allocated and locked. 2: not all protections were possible. */
  return CRYPTO_secure_malloc_init(SECURE_HEAP_BYTES, 32) == 1;
}

/* Reads fd to its end into buf. RN_OK, RN_ERR_SYS, or RN_ERR_CONFIG when it is longer than cap or empty. */
static int read_all(int fd, const char *name, void *buf, size_t cap, size_t *len,
                    const struct why *w) {
  size_t n = 0;
  for (;;) {
    char beyond;
    ssize_t got = n < cap ? read(fd, (char *)buf + n, cap - n) : read(fd, &beyond, 1);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0) {
      snprintf(w->text, w->bytes, "%s: %s", name, strerror(errno));
      return RN_ERR_SYS;
    }
    if (got == 0)
      break;
    if (n == cap) {
      snprintf(w->text, w->bytes, "%s: longer than %zu bytes", name, cap);
      return RN_ERR_CONFIG;
    }
    n += (size_t)got;
  }
  if (n == 0) {
    snprintf(w->text, w->bytes, "%s: is empty", name);
    return RN_ERR_CONFIG;
  }
  *len = n;
  return RN_OK;
}

/* PEM text of fd, NUL-terminated, checked to begin with a certificate; *leaf is that certificate. */
static int read_certs(int fd, const char *name, char **out, size_t *bytes, X509 **leaf,
                      const struct why *w) {
  char *text = malloc(RN_KEYS_FILE_MAX + 1);
  BIO *bio = NULL;
  size_t len = 0;
  if (text == NULL) {
    snprintf(w->text, w->bytes, "%s: out of memory", name);
    return RN_ERR_SYS;
  }
  int err = read_all(fd, name, text, RN_KEYS_FILE_MAX, &len, w);
  if (err != RN_OK)
    goto fail;
  text[len] = '\0';
  err = RN_ERR_CONFIG;
  bio = BIO_new_mem_buf(text, (int)len);
  X509 *first = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
  if (first == NULL) {
    snprintf(w->text, w->bytes, "%s: holds no PEM certificate that can be read", name);
    goto fail;
  }
  BIO_free(bio);
  *out = text;
  *bytes = len;
  *leaf = first;
  return RN_OK;
fail:
  ERR_clear_error();
  BIO_free(bio);
  free(text);
  return err;
}

/* Keys with a passphrase are not for servers that start unattended. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg) {
  (void)buf;
  (void)size;
  (void)rwflag;
  *(bool *)arg = true;
  return -1;
}

/* The file's text is only ever in the secure heap. */
static int read_key(int fd, const char *name, EVP_PKEY **out, const struct why *w) {
  char *text = OPENSSL_secure_malloc(KEY_FILE_MAX);
  BIO *bio = NULL;
  bool encrypted = false;
  size_t len = 0;
  if (text == NULL) {
    snprintf(w->text, w->bytes, "%s: out of locked memory", name);
    return RN_ERR_SYS;
  }
  int err = read_all(fd, name, text, KEY_FILE_MAX, &len, w);
  if (err != RN_OK)
    goto done;
  bio = BIO_new_mem_buf(text, (int)len);
  EVP_PKEY *pkey =
      bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, &encrypted) : NULL;
  if (pkey == NULL) {
    snprintf(w->text, w->bytes,
             encrypted ? "%s: the private key is encrypted; store it without a passphrase, "
                         "readable by root alone"
                       : "%s: holds no PEM private key that can be read",
             name);
    err = RN_ERR_CONFIG;
    goto done;
  }
  *out = pkey;
done:
  ERR_clear_error();
  BIO_free(bio);
  OPENSSL_secure_clear_free(text, KEY_FILE_MAX);
  return err;
}

/* Which of the kinds that we serve with; RN_ERR_CONFIG for any other. */
static int classify(struct rn_keys *k, const char *name, const struct why *w) {
  static const char *const allowed =
      "allowed are P-256, P-384, RSA of 2048 to 4096 bits, and Ed25519";
  char group[32] = "";
  int bits = EVP_PKEY_get_bits(k->pkey);
  if (EVP_PKEY_is_a(k->pkey, "ED25519")) {
    k->kind = KEY_ED25519;
    snprintf(k->type, sizeof(k->type), "Ed25519");
    return RN_OK;
  }
  if (EVP_PKEY_is_a(k->pkey, "RSA")) {
    if (bits < 2048 || bits > 4096) {
      snprintf(w->text, w->bytes, "%s: an RSA key of %d bits; %s", name, bits, allowed);
      return RN_ERR_CONFIG;
    }
    k->kind = KEY_RSA;
    snprintf(k->type, sizeof(k->type), "RSA-%d", bits);
    return RN_OK;
  }
  if (EVP_PKEY_is_a(k->pkey, "EC") &&
      EVP_PKEY_get_group_name(k->pkey, group, sizeof(group), NULL) == 1) {
    bool p256 = strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0;
    bool p384 = strcmp(group, "secp384r1") == 0 || strcmp(group, "P-384") == 0;
    if (p256 || p384) {
      k->kind = p256 ? KEY_P256 : KEY_P384;
      snprintf(k->type, sizeof(k->type), p256 ? "P-256" : "P-384");
      return RN_OK;
    }
  }
  const char *kind = EVP_PKEY_get0_type_name(k->pkey);
  snprintf(w->text, w->bytes, "%s: a key of kind %s %s; %s", name, kind != NULL ? kind : "unknown",
           group, allowed);
  return RN_ERR_CONFIG;
}

static void describe_subject(struct rn_keys *k) {
  BIO *bio = BIO_new(BIO_s_mem());
  if (bio == NULL)
    return;
  X509_NAME_print_ex(bio, X509_get_subject_name(k->leaf), 0, XN_FLAG_ONELINE & ~XN_FLAG_SPC_EQ);
  int n = BIO_read(bio, k->subject, (int)sizeof(k->subject) - 1);
  k->subject[n > 0 ? n : 0] = '\0';
  BIO_free(bio);
}

int rn_keys_load(int cert_fd, const char *cert_name, int key_fd, const char *key_name,
                 struct rn_keys **out, char *why, size_t why_bytes) {
  const struct why w = { why, why_bytes };
  struct rn_keys *k = calloc(1, sizeof(*k));
  if (k == NULL) {
    snprintf(why, why_bytes, "out of memory");
    return RN_ERR_SYS;
  }
  int err = read_certs(cert_fd, cert_name, &k->cert_pem, &k->cert_bytes, &k->leaf, &w);
  if (err == RN_OK)
    err = read_key(key_fd, key_name, &k->pkey, &w);
  if (err == RN_OK)
    err = classify(k, key_name, &w);
  if (err != RN_OK)
    goto fail;
  if (X509_check_private_key(k->leaf, k->pkey) != 1) {
    snprintf(why, why_bytes, "%s: is not the key of the first certificate in %s", key_name,
             cert_name);
    err = RN_ERR_CONFIG;
    goto fail;
  }
  describe_subject(k);
  *out = k;
  return RN_OK;
fail:
  ERR_clear_error();
  rn_keys_free(k);
  return err;
}

void rn_keys_set_dials(struct rn_keys *k, bool dials) { k->dials = dials; }
bool rn_keys_dials(const struct rn_keys *k) { return k->dials; }

void rn_keys_free(struct rn_keys *k) {
  if (k == NULL)
    return;
  EVP_PKEY_free(k->pkey); /* wipes private numbers */
  X509_free(k->leaf);
  free(k->cert_pem);
  free(k);
}

const char *rn_keys_cert_pem(const struct rn_keys *k, size_t *bytes) {
  *bytes = k->cert_bytes;
  return k->cert_pem;
}

const char *rn_keys_type(const struct rn_keys *k) { return k->type; }

const char *rn_keys_subject(const struct rn_keys *k) { return k->subject; }

static int64_t seconds_of(const ASN1_TIME *t) {
  struct tm tm;
  if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1)
    return 0;
  return (int64_t)timegm(&tm);
}

int64_t rn_keys_not_after(const struct rn_keys *k) {
  return seconds_of(X509_get0_notAfter(k->leaf));
}

int64_t rn_keys_not_before(const struct rn_keys *k) {
  return seconds_of(X509_get0_notBefore(k->leaf));
}

bool rn_keys_can(const struct rn_keys *k, uint16_t scheme) {
  switch (k->kind) {
  case KEY_P256:
    return scheme == SCHEME_ECDSA_P256;
  case KEY_P384:
    return scheme == SCHEME_ECDSA_P384;
  case KEY_RSA:
    return scheme >= SCHEME_RSA_PSS_FIRST && scheme <= SCHEME_RSA_PSS_LAST;
  case KEY_ED25519:
    return scheme == SCHEME_ED25519;
  }
  return false;
}

bool rn_keys_slow(const struct rn_keys *k) { return k->kind == KEY_RSA; }

EVP_PKEY *rn_keys_pkey(const struct rn_keys *k) { return k->pkey; }

int rn_keys_read_ca(int fd, const char *name, char **out, size_t *bytes, char *why,
                    size_t why_bytes) {
  const struct why w = { why, why_bytes };
  X509 *first = NULL;
  int err = read_certs(fd, name, out, bytes, &first, &w);
  X509_free(first);
  return err;
}
