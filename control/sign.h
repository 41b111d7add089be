/* control/sign.h: signatures for the data plane's handshakes, and nothing else.
 *
 * The data plane sends the whole input of a server's CertificateVerify (RFC 8446, section 4.4.3):
 *
 *   64 x 0x20 | "TLS 1.3, server CertificateVerify" | 0x00 | transcript hash (32 or 48 bytes)
 *
 * and control hashes it itself. A data plane that was taken over can so prove that it is this server in TLS 1.3 handshakes while it lasts; it cannot have
 * anything else signed: no certificate, no token, no TLS 1.2 message, and a client's CertificateVerify, which says "client", only where the node dials others (rn_keys_set_dials). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/keys.h"

#define RN_SIGN_BYTES_MAX 512 /* RSA of 4096 bits */

/* True when tbs is such an input, whatever the hash. */
bool rn_sign_is_certificate_verify(const struct rn_keys *k, const uint8_t *tbs, size_t len);

/* Signs. RN_OK with sig and *sig_bytes (in: room, at least RN_SIGN_BYTES_MAX); RN_ERR_REFUSED when tbs is no such input or scheme is none that the
 * key has; RN_ERR_CRYPTO. Any thread. */
int rn_sign(const struct rn_keys *k, uint16_t scheme, const uint8_t *tbs, size_t len, uint8_t *sig,
            size_t *sig_bytes);
