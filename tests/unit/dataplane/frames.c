/* tests/unit/dataplane/frames.c */
#include "frames.h"

#include "rn_test.h"

static const uint8_t mac2[6] = { 2, 0, 0, 0, 0, 2 }, mac9[6] = { 2, 0, 0, 0, 0, 9 };

struct rn_net_if frames_port(bool owned) {
  struct rn_net_if nif = {
    .mtu = 1500, .udp_port = 8080, .udp_ports = 1, .owned = owned, .addr_count = 2, .flow_key = 7
  };
  memcpy(nif.mac, mac2, 6);
  assert_int_equal(rn_addr_parse("10.0.0.2", &nif.addrs[0].addr), 0);
  assert_int_equal(rn_addr_parse("2001:db8::2", &nif.addrs[1].addr), 0);
  assert_int_equal(rn_addr_parse("10.0.0.1", &nif.gateway4), 0);
  assert_int_equal(rn_addr_parse("2001:db8::1", &nif.gateway6), 0);
  nif.addrs[0].prefix_bits = 24;
  nif.addrs[1].prefix_bits = 64;
  return nif;
}

uint16_t frames_sum(const uint8_t *p, size_t n, uint32_t acc) {
  for (size_t i = 0; i < n; i++)
    acc += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
  while (acc >> 16)
    acc = (acc & 0xffff) + (acc >> 16);
  return (uint16_t)~acc;
}

void frames_fix_ip4(uint8_t *f) {
  f[24] = f[25] = 0;
  uint16_t sum = frames_sum(f + 14, (f[14] & 15u) * 4u, 0);
  f[24] = (uint8_t)(sum >> 8);
  f[25] = (uint8_t)sum;
}

static uint32_t words(const uint8_t *p, size_t n) { return (uint16_t)~frames_sum(p, n, 0); }

uint32_t frames_pseudo(const uint8_t *f) {
  if (f[12] == 0x08) {
    uint32_t len = (uint32_t)(f[16] << 8 | f[17]) - 20;
    return words(f + 26, 8) + f[23] + len;
  }
  return words(f + 22, 32) + f[20] + (uint32_t)(f[18] << 8 | f[19]);
}

bool frames_sums_ok(const uint8_t *f) {
  if (f[12] == 0x08) {
    uint32_t len = (uint32_t)(f[16] << 8 | f[17]) - 20;
    if (frames_sum(f + 14, 20, 0) != 0)
      return false;
    return frames_sum(f + 34, len, f[23] == 1 ? 0 : frames_pseudo(f)) == 0;
  }
  return frames_sum(f + 54, (size_t)(f[18] << 8 | f[19]), frames_pseudo(f)) == 0;
}

/* Ethernet up to the type, then the rest in hex. */
static uint32_t frame(uint8_t *out, const char *hex) {
  memcpy(out, mac2, 6);
  memcpy(out + 6, mac9, 6);
  return 12 + (uint32_t)rn_test_unhex(hex, out + 12, FRAMES_MAX - 12);
}

static void fix_udp(uint8_t *f, uint8_t *u, uint32_t len) {
  uint16_t sum = frames_sum(u, len, frames_pseudo(f));
  u[6] = (uint8_t)(sum >> 8);
  u[7] = (uint8_t)sum;
}

uint32_t frames_udp4(uint8_t *out) {
  uint32_t len = frame(out, "0800"
                            "4502002100004000401100000a0000090a000002"
                            "9c401f90000d0000"
                            "68656c6c6f");
  frames_fix_ip4(out);
  fix_udp(out, out + 34, 13);
  return len;
}

uint32_t frames_udp6(uint8_t *out) {
  uint32_t len = frame(out, "86dd"
                            "60100000000d1140"
                            "20010db8000000000000000000000009"
                            "20010db8000000000000000000000002"
                            "9c401f90000d0000"
                            "68656c6c6f");
  fix_udp(out, out + 54, 13);
  return len;
}
