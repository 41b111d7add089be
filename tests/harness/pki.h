/* tests/harness/pki.h: a key and a self-signed certificate made at run time, and the signer that control would be. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum pki_type { PKI_P256, PKI_P384, PKI_RSA2048, PKI_ED25519 };

struct pki; /* opaque: an EVP_PKEY and a PEM certificate for CN and SAN "localhost" */

struct pki *pki_new(enum pki_type type);
void pki_free(struct pki *p);
/* NUL-terminated. */
const char *pki_cert_pem(const struct pki *p, size_t *bytes);
/* Signs as RFC 8446 section 4.4.3 asks for scheme; with an EC or Ed25519 key the same bytes each time. Returns the signature's length, 0 on failure. */
size_t pki_sign(const struct pki *p, uint16_t scheme, const uint8_t *tbs, size_t tbs_bytes,
                uint8_t *sig, size_t sig_cap);
