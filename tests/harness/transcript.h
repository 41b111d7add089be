/* tests/harness/transcript.h: what happened in a simulation: a line per datagram and per event, the last ones kept, a digest over all. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TRANSCRIPT_KINDS 12 /* bytes of transcript_kinds' text */

struct transcript; /* opaque */

struct transcript *transcript_new(void);
void transcript_free(struct transcript *t);

/* A datagram that host from sent to host to, or to nobody (-1); kinds as it was sent, bytes as they go on; at_ns when it arrives, 0: never. */
struct transcript_dgram {
  uint64_t now_ns, at_ns;
  int from, to;
  char verdict; /* enum verdict */
  char kinds[TRANSCRIPT_KINDS];
  uint32_t len;
};
void transcript_sent(struct transcript *t, const struct transcript_dgram *d, const uint8_t *bytes);

/* An event at a host: what (a literal), a stream's or connection's number, how much. */
void transcript_event(struct transcript *t, uint64_t now_ns, int host, const char *what, int64_t id,
                      uint64_t value);

/* The packets of a datagram in order: I Initial, H Handshake, 0 0-RTT, R Retry, V Version Negotiation, 1 1-RTT or stateless reset, ? unknown. */
void transcript_kinds(const uint8_t *bytes, size_t len, char out[TRANSCRIPT_KINDS]);

/* Of all lines so far, the forgotten ones too. Two runs of a seed must agree. */
uint64_t transcript_digest(const struct transcript *t);
uint64_t transcript_lines(const struct transcript *t);
/* The last lines, oldest first. */
void transcript_print(const struct transcript *t, FILE *f);
