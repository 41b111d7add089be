/* cluster/balance/load.h: how many calls each worker has open, over all lcores, without a lock.
 *
 *   shared   lcore 0   [slot 0][slot 1] ...       written by lcore 0 alone
 *            lcore 1   [slot 0][slot 1] ...       written by lcore 1 alone
 *
 * A worker's sum is one relaxed load per lcore: it can be a call behind, never torn. Each lcore begins on a cache line of its own.
 *
 * A slot is a place in these arrays that control gives a worker for as long as it knows it, the same one in all pools. When it is given to another worker
 * each lcore counts from 0 again, and calls to the one before end without being counted. */
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RN_LOAD_LCORES_MAX 256u
#define RN_LOAD_SLOTS_MAX  8192u

/* What an lcore keeps to itself; it never believes what stands in shared memory but for sums. */
struct rn_load_slot {
  uint64_t key; /* of the worker; 0: of none yet */
  uint32_t open_count;
  uint32_t generation; /* of the slot's owner, as this lcore has seen them come */
};

/* One lcore's. */
struct rn_load {
  _Atomic uint32_t *all;  /* the shared arrays */
  _Atomic uint32_t *mine; /* of them, this lcore's */
  uint32_t lcores, slots, stride;
  uint32_t lcore_idx;
  uint64_t taken_over; /* slots that changed their owner while calls to the one before were open */
  uint64_t stale;      /* calls that ended after their slot had changed its owner */
  struct rn_load_slot slot[];
};

/* Bytes of the shared arrays, 64-byte aligned; 0 unless lcores is 1..RN_LOAD_LCORES_MAX and slots 1..RN_LOAD_SLOTS_MAX. All zeros is right at first. */
size_t rn_load_shared_bytes(uint32_t lcores, uint32_t slots);
/* Bytes of one lcore's, 64-byte aligned; 0 when slots is out of range. */
size_t rn_load_footprint(uint32_t slots);

/* Formats mem for the lcore, and clears its own shared array. Both memories stay the caller's. RN_OK or RN_ERR_INVAL. Nothing to release. */
int rn_load_init(void *mem, void *shared, uint32_t lcores, uint32_t slots, uint32_t lcore_idx,
                 struct rn_load **out);

/* The slot is the worker's from now on; the same one again is fine. slot < slots. */
void rn_load_claim(struct rn_load *l, uint32_t slot, uint64_t key);

/* A call begins; *generation is for its end. False, and nothing is counted, when the slot is another's. slot < slots. */
bool rn_load_begin(struct rn_load *l, uint32_t slot, uint64_t key, uint32_t *generation);
/* The call ends. */
void rn_load_end(struct rn_load *l, uint32_t slot, uint32_t generation);

/* Calls open at the slot's worker, over all lcores. slot < slots. */
static inline uint32_t rn_load_sum(const struct rn_load *l, uint32_t slot) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i < l->lcores; i++)
    sum += atomic_load_explicit(&l->all[(size_t)i * l->stride + slot], memory_order_relaxed);
  return sum;
}

/* What is shared is what we counted. RN_OK or RN_ERR_STATE. Slow. */
int rn_load_check(const struct rn_load *l);
