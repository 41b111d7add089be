/* lib/ring/ring_layout.h: what two processes share of a ring. Changing anything here means another
 * RN_RING_ABI.
 *
 *   line 0   constant after rn_ring_format: magic, ABI, sizes, schema, generation
 *   line 1   written by the producer: where it is (read again only when a producer attaches)
 *   line 2   written by the consumer: what it has taken
 *   line 3   the consumer's "I sleep", read by the producer after each burst: not in line 2,
 *            which changes all the time
 *   slots    slot_count of 192 bytes, each with its own sequence
 *   bytes    bytes_cap bytes for payloads that do not fit a slot
 *
 * Positions count up for ever and are reduced by a mask when used. Slot p is published when its
 * sequence is p + 1, so a reader never needs the producer's line, and a slot that a dying writer
 * left half written is not seen. */
#pragma once
#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

#define RN_RING_MAGIC        0x676e6972636e7072u /* "rpncring" */
#define RN_RING_ABI          1u
#define RN_RING_LINE         64u
#define RN_RING_SLOT_BYTES   192u
#define RN_RING_INLINE_BYTES 168u /* the longest payload that lives in its slot */

#define RN_RING_FLAG_BYTES 1u /* the payload is in the byte area, at bytes_pos */

struct rn_ring_hdr {
  /* line 0 */
  uint64_t magic;
  uint32_t abi;
  uint32_t slot_count; /* power of two */
  uint32_t bytes_cap;  /* power of two, or 0: only payloads that fit a slot */
  uint32_t schema;     /* family of messages, see ring.h */
  uint64_t generation; /* changes with each format or reset */
  uint8_t pad0[RN_RING_LINE - 32];
  /* line 1: producer */
  _Atomic uint64_t head;       /* not ahead of the first unpublished slot */
  _Atomic uint64_t bytes_head; /* not behind the last published payload */
  uint8_t pad1[RN_RING_LINE - 16];
  /* line 2: consumer */
  _Atomic uint64_t tail;       /* slots before it may be written again */
  _Atomic uint64_t bytes_tail; /* the same for the byte area */
  uint8_t pad2[RN_RING_LINE - 16];
  /* line 3: consumer sets, producer clears when it rings the bell */
  _Atomic uint32_t asleep;
  uint8_t pad3[RN_RING_LINE - 4];
};

struct rn_ring_slot {
  _Atomic uint64_t seq;
  uint32_t len; /* of the payload, wherever it is */
  uint16_t type;
  uint16_t flags;
  uint64_t bytes_pos;
  uint8_t data[RN_RING_INLINE_BYTES];
};

static_assert(sizeof(struct rn_ring_hdr) == 4 * RN_RING_LINE, "shared layout");
static_assert(sizeof(struct rn_ring_slot) == RN_RING_SLOT_BYTES, "shared layout");
static_assert(RN_RING_SLOT_BYTES % RN_RING_LINE == 0, "a slot is whole cache lines");
