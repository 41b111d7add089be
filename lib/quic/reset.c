#include "quic/reset.h"

#include <string.h>

#define TOKEN_BYTES     16
#define RESET_BYTES_MIN 21 /* RFC 9000 section 10.3: 5 unpredictable bytes and the token */

size_t rn_reset_write(size_t rx_bytes, const uint8_t token[16],
                      const uint8_t rnd[RN_RESET_RND_BYTES], uint8_t *out, size_t cap) {
  if (rx_bytes <= RESET_BYTES_MIN)
    return 0;
  size_t len = rx_bytes - 1 < RN_RESET_BYTES_MAX ? rx_bytes - 1 : RN_RESET_BYTES_MAX;
  if (len > cap)
    return 0;
  memcpy(out, rnd, len - TOKEN_BYTES);
  out[0] = (uint8_t)((out[0] & 0x3f) | 0x40); /* looks like a short header */
  memcpy(out + len - TOKEN_BYTES, token, TOKEN_BYTES);
  return len;
}
