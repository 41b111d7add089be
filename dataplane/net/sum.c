/* dataplane/net/sum.c: four independent sums of 32-bit words, which fit 64 bits for any datagram. */
#include "dataplane/net/sum.h"

#include <arpa/inet.h>
#include <string.h>

static inline uint64_t word(const uint8_t *p) {
  uint32_t v;
  memcpy(&v, p, sizeof(v));
  return v;
}

uint64_t rn_net_sum(const void *data, size_t n, uint64_t acc) {
  const uint8_t *p = data;
  uint64_t a = 0, b = 0, c = 0, d = 0;
  for (; n >= 16; n -= 16, p += 16) {
    a += word(p);
    b += word(p + 4);
    c += word(p + 8);
    d += word(p + 12);
  }
  uint8_t rest[16] = { 0 };
  memcpy(rest, p, n);
  a += word(rest);
  b += word(rest + 4);
  c += word(rest + 8);
  d += word(rest + 12);
  /* Keeps acc far from overflow however many parts are added. */
  uint64_t sum = a + b + c + d;
  return acc + (sum & 0xffffffff) + (sum >> 32);
}

uint64_t rn_net_sum_pseudo(const uint8_t *src, const uint8_t *dst, size_t ip_bytes, uint8_t proto,
                           uint32_t len) {
  uint64_t acc = rn_net_sum(src, ip_bytes, 0);
  acc = rn_net_sum(dst, ip_bytes, acc);
  return acc + htons((uint16_t)len) + htons((uint16_t)(len >> 16)) + htons(proto);
}
