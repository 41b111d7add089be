/* tests/unit/control/pem_files.h: keys and self-signed certificates, made at run time, as open files. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Descriptors at position 0, the caller's to close. kind: an OpenSSL key type, "RSA" with bits, "EC" with a group, "ED25519", "RSA-PSS". */
struct pem_pair {
  int cert_fd;
  int key_fd;
};

void pem_pair_make(struct pem_pair *p, const char *kind, unsigned int bits, const char *group);
void pem_pair_close(struct pem_pair *p);

/* Makes the private key file encrypted. */
void pem_encrypted_key(int *key_fd);

/* An open file with these bytes. */
int pem_file(const void *bytes, size_t len);
