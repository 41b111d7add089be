/* cluster/rumors.c */
#include "cluster/rumors.h"

/* An update that does not fit is passed over for smaller ones; so many, and the message goes as it is. */
#define PASSED_OVER_MAX 32u

void rn_rumors_init(struct rn_rumors *r) {
  r->count = 0;
  r->too_long = 0;
  for (uint32_t i = 0; i < RN_RUMOR_ROUNDS_MAX; i++)
    rn_list_init(&r->by_told[i]);
}

uint32_t rn_rumors_rounds(uint32_t members) {
  uint32_t log2_up = 1;
  while (log2_up < 20 && UINT32_C(1) << log2_up < members)
    log2_up++;
  return 3 * log2_up;
}

void rn_rumors_forget(struct rn_rumors *r, struct rn_member *who) {
  r->count -= !rn_list_empty(&who->rumor);
  rn_list_remove(&who->rumor);
}

void rn_rumors_tell(struct rn_rumors *r, struct rn_member *who) {
  rn_rumors_forget(r, who);
  if (rn_member_bytes(who) > RN_RUMOR_BYTES_MAX) {
    r->too_long++;
    return;
  }
  rn_list_push_back(&r->by_told[0], &who->rumor);
  r->count++;
}

size_t rn_member_bytes(const struct rn_member *who) {
  const size_t addr = 4 + (who->addr.family == 6 ? 16 : 4) + 2;
  /* On the wire each text has 8 bytes of length; in the table it has one. */
  return 8 + who->id_len + addr + 8 + 4 + 8 + who->tags.bytes + 14u * who->tags.count;
}

static void told(struct rn_rumors *r, struct rn_member *who, uint32_t times, uint32_t rounds) {
  rn_list_remove(&who->rumor);
  if (times < rounds)
    rn_list_push_back(&r->by_told[times], &who->rumor);
  else
    r->count--;
}

uint32_t rn_rumors_pick(struct rn_rumors *r, uint32_t rounds, const struct rn_member *to,
                        size_t budget_bytes, struct rn_member **out, uint32_t cap) {
  uint32_t n = 0, passed_over = 0, times[RN_RUMOR_PICK_MAX];
  if (cap > RN_RUMOR_PICK_MAX)
    cap = RN_RUMOR_PICK_MAX;
  for (uint32_t i = 0; i < RN_RUMOR_ROUNDS_MAX && passed_over < PASSED_OVER_MAX; i++)
    for (struct rn_list *at = r->by_told[i].next, *next; at != &r->by_told[i] && n < cap;
         at = next) {
      struct rn_member *who = RN_LIST_ENTRY(at, struct rn_member, rumor);
      next = at->next;
      if (who->alias || who == to)
        continue;
      if (rn_member_bytes(who) > budget_bytes) {
        if (++passed_over == PASSED_OVER_MAX)
          break;
        continue;
      }
      budget_bytes -= rn_member_bytes(who);
      times[n] = i + 1;
      out[n++] = who;
    }
  for (uint32_t i = 0; i < n; i++)
    told(r, out[i], times[i], rounds);
  return n;
}
