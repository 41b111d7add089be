/* lib/topo/trace.c */
#include "topo/trace.h"

#include <assert.h>
#include <string.h>

#include "util/err.h"

static_assert(sizeof(struct rn_trace) % sizeof(uint64_t) == 0, "read and written as words");

/* A sequence lock per record, as in topo/stats.c. */
void rn_trace_put(struct rn_trace_page *page, struct rn_trace *t) {
  uint64_t words[RN_TRACE_WORDS];
  uint64_t number = atomic_load_explicit(&page->written, memory_order_relaxed) + 1;
  struct rn_trace_slot *s = &page->slots[number % RN_TRACE_SLOTS];
  t->number = number;
  memcpy(words, t, sizeof(words));
  uint64_t seq = atomic_load_explicit(&s->seq, memory_order_relaxed) & ~1ull;
  atomic_store_explicit(&s->seq, seq + 1, memory_order_relaxed);
  atomic_thread_fence(memory_order_release); /* pairs with the acquire fence in rn_trace_get */
  for (size_t i = 0; i < RN_TRACE_WORDS; i++)
    atomic_store_explicit(&s->words[i], words[i], memory_order_relaxed);
  atomic_store_explicit(&s->seq, seq + 2, memory_order_release);
  atomic_store_explicit(&page->written, number, memory_order_release);
}

int rn_trace_get(const struct rn_trace_page *page, uint64_t number, struct rn_trace *out) {
  uint64_t words[RN_TRACE_WORDS];
  const struct rn_trace_slot *s = &page->slots[number % RN_TRACE_SLOTS];
  uint64_t before = atomic_load_explicit(&s->seq, memory_order_acquire);
  for (size_t i = 0; i < RN_TRACE_WORDS; i++)
    words[i] = atomic_load_explicit(&s->words[i], memory_order_relaxed);
  atomic_thread_fence(memory_order_acquire); /* words before the second look at seq */
  if (before % 2 != 0 || atomic_load_explicit(&s->seq, memory_order_relaxed) != before)
    return RN_ERR_NOENT;
  memcpy(out, words, sizeof(*out));
  if (number == 0 || out->number != number)
    return RN_ERR_NOENT;
  if (out->method_bytes > RN_TRACE_METHOD_BYTES)
    out->method_bytes = RN_TRACE_METHOD_BYTES;
  if (out->outcome >= RN_TRACE_OUTCOME_COUNT)
    out->outcome = RN_TRACE_UNANSWERED;
  return RN_OK;
}

const char *rn_trace_stage_name(enum rn_trace_stage stage) {
  static const char *const names[RN_TRACE_STAGE_COUNT] = { "rx", "quic", "classify", "handler",
                                                           "tx" };
  return names[stage];
}

const char *rn_trace_outcome_name(enum rn_trace_outcome outcome) {
  static const char *const names[RN_TRACE_OUTCOME_COUNT] = { "result", "error", "unanswered",
                                                             "cancelled" };
  return names[outcome];
}
