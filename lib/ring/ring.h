/* lib/ring/ring.h: messages from one producer to one consumer through memory that both have mapped.
 *
 *   producer: rn_ring_push ... rn_ring_push, then rn_ring_must_wake -> true: ring the consumer's
 * bell (sys/event.h) consumer: rn_ring_pop until RN_ERR_AGAIN; before it sleeps rn_ring_sleep ->
 * true: nothing there, sleep
 *
 * Neither side trusts the other: every position and length is copied out of shared memory and
 * checked before it is used, and nothing the other side writes, at whatever moment it dies, makes a
 * call here loop, block or touch memory outside the ring. What the payload says is still the other
 * side's word: copy, validate, then use (ring/msg.h does).
 *
 * There are no system calls here. The memory, and the handles, are the caller's. Each handle
 * belongs to one thread. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/ring_layout.h"

/* How large a ring is. Both values go into the description that the two sides share. */
struct rn_ring_size {
  uint32_t slot_count; /* power of two, 2..65,536 */
  uint32_t bytes_cap;  /* power of two, 1,024..2^30; 0: no payload above RN_RING_INLINE_BYTES */
};

/* The producer's end. Its fields are private to lib/ring. */
struct rn_ring_tx {
  struct rn_ring_hdr *hdr;
  struct rn_ring_slot *slots;
  uint8_t *bytes;
  uint64_t mask;
  uint64_t bytes_cap;
  uint64_t head;
  uint64_t bytes_head;
  uint64_t bytes_floor; /* bytes before it are free, whatever the consumer said last */
  uint64_t tail_seen;   /* hdr->tail when it was last read */
};

/* The consumer's end. Its fields are private to lib/ring. */
struct rn_ring_rx {
  struct rn_ring_hdr *hdr;
  const struct rn_ring_slot *slots;
  const uint8_t *bytes;
  uint64_t mask;
  uint64_t bytes_cap;
  uint64_t tail;
  uint64_t bytes_tail;
};

/* A message's head, as copied out of its slot. */
struct rn_ring_msg {
  uint16_t type;
  uint32_t len;
};

/* One piece of a payload. */
struct rn_ring_part {
  const void *data;
  uint32_t len;
};

/* Bytes of memory for a ring, a multiple of 64; 0 if a size is out of range. */
size_t rn_ring_footprint(const struct rn_ring_size *size);

/* Makes an empty ring in mem (64-byte aligned, footprint bytes). schema names the family of
 * messages it carries; ends that attach with another one are refused. Nobody may be attached. RN_OK
 * or RN_ERR_INVAL. */
int rn_ring_format(void *mem, const struct rn_ring_size *size, uint32_t schema,
                   uint64_t generation);

/* Attaches one end to a ring of this size and schema. Both ends may attach again after the one
 * before them died: a producer goes on after the last message that was published, a consumer with
 * the first that was not given back (it may see that one twice). RN_OK, or RN_ERR_CORRUPT when mem
 * holds no such ring. */
int rn_ring_tx_attach(struct rn_ring_tx *tx, void *mem, const struct rn_ring_size *size,
                      uint32_t schema);
int rn_ring_rx_attach(struct rn_ring_rx *rx, void *mem, const struct rn_ring_size *size,
                      uint32_t schema);

/* Appends one message made of part_count parts (0: empty), or nothing. RN_OK; RN_ERR_AGAIN when
 * there is no room now; RN_ERR_TOOBIG when it would not fit an empty ring; RN_ERR_CORRUPT while the
 * consumer's positions make no sense. */
int rn_ring_push(struct rn_ring_tx *tx, uint16_t type, const struct rn_ring_part *parts,
                 unsigned int part_count);

/* After a burst of pushes: true when the consumer sleeps and its bell must be rung; true once per
 * sleep. */
bool rn_ring_must_wake(struct rn_ring_tx *tx);

/* Takes the next message: its payload is copied to buf. RN_OK; RN_ERR_AGAIN when there is none;
 * RN_ERR_TOOBIG (longer than cap) and RN_ERR_CORRUPT (its head makes no sense) skip that message:
 * count it and go on. Nothing is given back to the producer before rn_ring_release. */
int rn_ring_pop(struct rn_ring_rx *rx, struct rn_ring_msg *msg, void *buf, uint32_t cap);

/* Gives the room of all messages taken so far back to the producer: once per burst. */
void rn_ring_release(struct rn_ring_rx *rx);

/* Says that the consumer is going to sleep. True: the ring is empty, and a push from now on makes
 * rn_ring_must_wake true. False: there is something; do not sleep. */
bool rn_ring_sleep(struct rn_ring_rx *rx);

/* The consumer is awake again, for whatever reason. */
void rn_ring_awake(struct rn_ring_rx *rx);

/* Messages published and not given back, as the producer sees it; 0..slot_count. */
uint32_t rn_ring_used(const struct rn_ring_tx *tx);

/* Walks what an end knows and what is shared; RN_OK, or RN_ERR_STATE. For tests. */
int rn_ring_tx_check(const struct rn_ring_tx *tx);
int rn_ring_rx_check(const struct rn_ring_rx *rx);
