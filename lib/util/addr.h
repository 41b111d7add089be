/* lib/util/addr.h: IP addresses and the two ends of a datagram, without any socket header. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct rn_addr {
  uint8_t ip[16];  /* network order; IPv4 uses the first 4, the rest is zero */
  uint16_t port;   /* host order */
  uint8_t family;  /* 4, 6, or 0: none */
  uint8_t zero[5]; /* kept zero, so that addresses compare as bytes */
};

struct rn_path {
  struct rn_addr local;
  struct rn_addr remote;
};

static inline bool rn_addr_eq(const struct rn_addr *a, const struct rn_addr *b) {
  return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool rn_path_eq(const struct rn_path *a, const struct rn_path *b) {
  return memcmp(a, b, sizeof(*a)) == 0;
}

/* Room for the longest text, "[" 45 characters "]:65535" and the final NUL. */
#define RN_ADDR_TEXT_BYTES 56

/* Writes "192.0.2.1:8080" or "[2001:db8::1]:8080" (RFC 5952) into out[RN_ADDR_TEXT_BYTES]; returns out. "none" for family 0. An IPv4-mapped
 * address stays the IPv6 address that it is, unequal to the IPv4 one, and is written as RFC 5952 section 5 has it:
 * "[::ffff:192.0.2.1]:8080". */
const char *rn_addr_text(const struct rn_addr *a, char *out);

/* Reads "192.0.2.1", "192.0.2.1:8080", "2001:db8::1" or "[2001:db8::1]:8080"; the port is 0 where none is given. IPv6 in every form of RFC 4291
 * section 2.2, with no zone; numbers in decimal have no leading zeros. RN_OK, or RN_ERR_INVAL with *out unchanged. */
int rn_addr_parse(const char *text, struct rn_addr *out);
