/* control/keys.h: the node's certificate and private key. Only rpcnet-control links this: the key's bytes are in its memory and nowhere else.
 *
 * One thread. The functions that sign may be called from several at a time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#define RN_KEYS_FILE_MAX (1u << 20)

struct rn_keys; /* certificate chain and private key */

/* Prepares memory for secrets: locked, not dumped, wiped when freed. Once per process, before anything else here. False when it could not be locked:
 * secrets may then be swapped out. */
bool rn_keys_init(void);

/* The node also connects to others, and proves who it is by this certificate: signatures of clients are made, too. False at first. */
void rn_keys_set_dials(struct rn_keys *k, bool dials);
bool rn_keys_dials(const struct rn_keys *k);

/* Reads a PEM chain (leaf first) and its PEM private key from their current positions: P-256, P-384, RSA of 2048 to 4096 bits, or Ed25519.
 * The descriptors stay the caller's; the names stand for them in why. RN_OK; RN_ERR_CONFIG with why (a file that is not PEM,
 * a kind of key that TLS 1.3 servers cannot use here, a key that is not the certificate's), RN_ERR_SYS with why. */
int rn_keys_load(int cert_fd, const char *cert_name, int key_fd, const char *key_name,
                 struct rn_keys **out, char *why, size_t why_bytes);
void rn_keys_free(struct rn_keys *k); /* wipes the key; NULL is fine */

/* The chain's PEM text as it was in the file. */
const char *rn_keys_cert_pem(const struct rn_keys *k, size_t *bytes);

/* What the certificate says, for people: static or owned by k. */
const char *rn_keys_type(const struct rn_keys *k);    /* "P-256", "P-384", "RSA-2048", "Ed25519" */
const char *rn_keys_subject(const struct rn_keys *k); /* "CN=localhost" */
int64_t rn_keys_not_after(const struct rn_keys *k);   /* seconds since 1970 */
int64_t rn_keys_not_before(const struct rn_keys *k);

/* True when the key can make signatures of this TLS SignatureScheme (RFC 8446, 4.2.3). */
bool rn_keys_can(const struct rn_keys *k, uint16_t scheme);
/* True when a signature takes long enough (RSA) that it has no place on an event loop. */
bool rn_keys_slow(const struct rn_keys *k);

/* For control/sign.c alone. */
EVP_PKEY *rn_keys_pkey(const struct rn_keys *k);

/* Reads a PEM file of at least one certificate, to be checked against: the text is the caller's to free(). Same errors as rn_keys_load. */
int rn_keys_read_ca(int fd, const char *name, char **out, size_t *bytes, char *why,
                    size_t why_bytes);
