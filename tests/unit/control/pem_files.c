/* tests/unit/control/pem_files.c */
#include "pem_files.h"

#include "rn_test.h"

#include <sys/mman.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

int pem_file(const void *bytes, size_t len) {
  int fd = memfd_create("pem", MFD_CLOEXEC);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, bytes, len), len);
  assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
  return fd;
}

static int file_of_bio(BIO *bio) {
  char *data;
  long len = BIO_get_mem_data(bio, &data);
  int fd = pem_file(data, (size_t)len);
  BIO_free(bio);
  return fd;
}

static EVP_PKEY *make_key(const char *kind, unsigned int bits, const char *group) {
  if (group != NULL)
    return EVP_PKEY_Q_keygen(NULL, NULL, kind, group);
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
  EVP_PKEY *key = NULL;
  assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
  if (bits != 0) {
    size_t n = bits;
    OSSL_PARAM params[] = { OSSL_PARAM_size_t(OSSL_PKEY_PARAM_RSA_BITS, &n), OSSL_PARAM_END };
    assert_int_equal(EVP_PKEY_CTX_set_params(ctx, params), 1);
  }
  assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
  EVP_PKEY_CTX_free(ctx);
  return key;
}

void pem_pair_make(struct pem_pair *p, const char *kind, unsigned int bits, const char *group) {
  EVP_PKEY *key = make_key(kind, bits, group);
  assert_non_null(key);
  X509 *cert = X509_new();
  X509_NAME *name = X509_NAME_new();
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"localhost", -1, -1,
                             0);
  X509_set_subject_name(cert, name);
  X509_set_issuer_name(cert, name);
  X509_gmtime_adj(X509_getm_notBefore(cert), -60);
  X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
  assert_int_equal(X509_set_pubkey(cert, key), 1);
  const EVP_MD *md = strcmp(kind, "ED25519") == 0 ? NULL : EVP_sha256();
  assert_true(X509_sign(cert, key, md) > 0);
  BIO *cert_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());
  assert_int_equal(PEM_write_bio_X509(cert_bio, cert), 1);
  assert_int_equal(PEM_write_bio_PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL), 1);
  p->cert_fd = file_of_bio(cert_bio);
  p->key_fd = file_of_bio(key_bio);
  X509_NAME_free(name);
  X509_free(cert);
  EVP_PKEY_free(key);
}

void pem_pair_close(struct pem_pair *p) {
  close(p->cert_fd);
  close(p->key_fd);
}

void pem_encrypted_key(int *key_fd) {
  EVP_PKEY *key = make_key("EC", 0, "P-256");
  BIO *bio = BIO_new(BIO_s_mem());
  assert_int_equal(PEM_write_bio_PrivateKey(bio, key, EVP_aes_256_cbc(), NULL, 0, NULL,
                                            (void *)(uintptr_t)"pass"),
                   1);
  EVP_PKEY_free(key);
  *key_fd = file_of_bio(bio);
}
