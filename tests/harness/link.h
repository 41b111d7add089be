/* tests/harness/link.h: what happens to a datagram on its way. One struct is one direction between two hosts. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/rng.h"

#define LINK_GROWTH_MAX 32 /* bytes that damage may add to a datagram */

/* A time in which nothing gets through: [from_ns, until_ns). */
struct net_hole {
  uint64_t from_ns, until_ns;
};

/* All zero: perfect. Chances are 0..1. What is exact goes by the number of the datagram on this link, from 0. */
struct net_link {
  uint64_t delay_ns;
  uint64_t jitter_ns;    /* uniform on top of delay_ns: reorders */
  uint64_t rate_bytes_s; /* 0: no limit */
  uint64_t queue_ns;     /* with a rate: what would wait longer is lost */
  double loss, duplicate;
  double corrupt; /* some bits flipped, the end cut off, or bytes added: each as likely */
  double late;    /* held back by late_ns */
  uint64_t late_ns;
  struct net_hole holes[4];
  const uint8_t *loss_bits; /* exact: bit i set loses datagram i */
  uint64_t loss_bits_count;
  const char *fate;                    /* exact: fate[i] of datagram i, a verdict; '.': on time */
  uint64_t sent, lost, bytes, free_ns; /* kept by link.c */
};

/* What happened, as one letter, in transcripts and in net_link.fate. */
enum verdict {
  LINK_ON_TIME = '>',
  LINK_LOST = 'x',
  LINK_QUEUE_FULL = 'q',
  LINK_HOLE = 'b',
  LINK_NOWHERE = 'u', /* nobody has this address, or not any more; net.c's */
  LINK_FLIPPED = '~',
  LINK_CUT = '<',
  LINK_GROWN = '+',
  LINK_LATE = 'l',
  LINK_TWICE = '2',
};

struct link_fate {
  enum verdict verdict;
  bool arrives, twice;
  uint64_t at_ns; /* when it arrives */
};

/* Sends bytes[0..*len), of which damage may change any and add up to LINK_GROWTH_MAX. */
struct link_fate link_send(struct net_link *l, struct rn_rng *rng, uint64_t now_ns, uint8_t *bytes,
                           uint32_t *len);
