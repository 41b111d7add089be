/* tests/unit/dataplane/frames.h: a port and frames for it, made without the code under test. */
#pragma once
#include "dataplane/net/net.h"
#include "dataplane/net/parse.h"

/* 10.0.0.2/24 and 2001:db8::2/64 at 02:00:00:00:00:02, UDP port 8080, MTU 1500, gateways .1 and ::1. */
struct rn_net_if frames_port(bool owned);

/* A UDP datagram "hello" from 10.0.0.9:40000 or [2001:db8::9]:40000 at 02:00:00:00:00:09; checksums are right. Returns its length. */
uint32_t frames_udp4(uint8_t *out);
uint32_t frames_udp6(uint8_t *out);
#define FRAMES_MAX 1600u

/* Writes the right IPv4 header checksum into a frame (untagged). */
void frames_fix_ip4(uint8_t *frame);

/* RFC 1071, as in its section 4.1; over bytes in network order. */
uint16_t frames_sum(const uint8_t *p, size_t n, uint32_t acc);
/* The sum of the pseudo-header of an untagged frame for its whole IP payload, to go on from. */
uint32_t frames_pseudo(const uint8_t *frame);
/* True when the checksums of an untagged UDP, ICMP or ICMPv6 frame are right. */
bool frames_sums_ok(const uint8_t *frame);
