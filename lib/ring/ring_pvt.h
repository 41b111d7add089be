/* lib/ring/ring_pvt.h: every access to shared positions, in one place, with what it pairs with.
 *
 *   producer                                   consumer
 *   [publish]
 *     payload, then seq = p + 1    (release)     seq == p + 1 ?  (acquire), then the payload
 *   [give back]
 *     tail, then the slot again    (acquire)     payload copied, then tail  (release)
 *   [sleep]
 *     seq, fence, asleep ?         (seq_cst)     asleep = 1, fence, seq ?   (seq_cst)
 *
 * In [sleep] each side writes its own word and then reads the other's; with a full fence in between
 * at least one of them sees the other's write, so no message is left in a ring whose consumer
 * sleeps unrung. */
#pragma once
#include <stdatomic.h>
#include <stdint.h>

#include "ring/ring_layout.h"

/* [publish], producer's side: everything written to the slot and the byte area before is seen by
 * who sees seq. */
static inline void ring_publish(struct rn_ring_slot *slot, uint64_t pos) {
  atomic_store_explicit(&slot->seq, pos + 1, memory_order_release);
}

/* [publish], consumer's side: pairs with the release of ring_publish. */
static inline bool ring_published(const struct rn_ring_slot *slot, uint64_t pos) {
  return atomic_load_explicit(&slot->seq, memory_order_acquire) == pos + 1;
}

/* [give back], consumer's side: our reads of the slots come before. */
static inline void ring_give_back(struct rn_ring_hdr *hdr, uint64_t tail, uint64_t bytes_tail) {
  atomic_store_explicit(&hdr->bytes_tail, bytes_tail,
                        memory_order_relaxed); /* ordered by the next one */
  atomic_store_explicit(&hdr->tail, tail, memory_order_release);
}

/* [give back], producer's side: pairs with the release of ring_give_back. */
static inline uint64_t ring_taken(const struct rn_ring_hdr *hdr) {
  return atomic_load_explicit(&hdr->tail, memory_order_acquire);
}

/* Only ever read after ring_taken, which orders it. */
static inline uint64_t ring_bytes_taken(const struct rn_ring_hdr *hdr) {
  return atomic_load_explicit(&hdr->bytes_tail, memory_order_relaxed);
}

/* The producer's own line: read only by the next producer, after this one is dead, so no order is
 * needed. */
static inline void ring_note_head(struct rn_ring_hdr *hdr, uint64_t head) {
  atomic_store_explicit(&hdr->head, head, memory_order_relaxed);
}

/* Noted before the message is published (release of ring_publish), so a producer that attaches
 * later never hands out bytes that a published message uses. */
static inline void ring_note_bytes_head(struct rn_ring_hdr *hdr, uint64_t bytes_head) {
  atomic_store_explicit(&hdr->bytes_head, bytes_head, memory_order_relaxed);
}

/* [sleep], consumer's side. */
static inline void ring_set_asleep(struct rn_ring_hdr *hdr) {
  atomic_store_explicit(&hdr->asleep, 1, memory_order_relaxed);
  atomic_thread_fence(memory_order_seq_cst); /* pairs with the fence of ring_take_asleep */
}

static inline void ring_clear_asleep(struct rn_ring_hdr *hdr) {
  atomic_store_explicit(&hdr->asleep, 0, memory_order_relaxed);
}

/* [sleep], producer's side. Who takes the flag down rings the bell; the exchange makes that one
 * ring per sleep. */
static inline bool ring_take_asleep(struct rn_ring_hdr *hdr) {
  atomic_thread_fence(memory_order_seq_cst); /* pairs with the fence of ring_set_asleep */
  if (atomic_load_explicit(&hdr->asleep, memory_order_relaxed) == 0)
    return false;
  return atomic_exchange_explicit(&hdr->asleep, 0, memory_order_relaxed) != 0;
}
