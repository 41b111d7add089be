/* dataplane/net/sum.h: the Internet checksum, RFC 1071. Bytes are summed in machine order: the result is stored the same way, and
 * swapping each word would change nothing. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Adds p[0..n), any alignment, to acc. The result may be added to again if n is even. n <= 65,535. */
uint64_t rn_net_sum(const void *p, size_t n, uint64_t acc);

/* The 16-bit complement of a sum; over bytes that hold their own checksum it is 0. */
static inline uint16_t rn_net_sum_fold(uint64_t acc) {
  acc = (acc & 0xffffffff) + (acc >> 32);
  acc = (acc & 0xffff) + (acc >> 16 & 0xffff) + (acc >> 32);
  acc = (acc & 0xffff) + (acc >> 16);
  acc = (acc & 0xffff) + (acc >> 16);
  return (uint16_t)~acc;
}

/* Adds the pseudo-header: two addresses of ip_bytes (4 or 16) each, protocol and upper-layer length; RFC 768, RFC 8200 section 8.1. */
uint64_t rn_net_sum_pseudo(const uint8_t *src, const uint8_t *dst, size_t ip_bytes, uint8_t proto,
                           uint32_t len);
