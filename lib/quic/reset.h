/* lib/quic/reset.h: writes a Stateless Reset (RFC 9000 section 10.3). Decides nothing, keeps nothing;
 * the token is rn_cid_reset_token of the DCID being answered. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define RN_RESET_RND_BYTES 27
#define RN_RESET_BYTES_MAX (RN_RESET_RND_BYTES + 16)

/* To out[0..cap), in answer to a datagram of rx_bytes: one byte shorter at least, so that two
 * endpoints without state cannot answer each other for ever, and as long as a short header packet
 * with a CID of ours otherwise. Returns the length; 0 when rx_bytes leaves no room for a packet that
 * could be taken for one (21 bytes), or cap is too small. */
size_t rn_reset_write(size_t rx_bytes, const uint8_t token[16],
                      const uint8_t rnd[RN_RESET_RND_BYTES], uint8_t *out, size_t cap);
