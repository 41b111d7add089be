/* cluster/partition.c */
#include "cluster/partition.h"

#include <string.h>

struct sides {
  uint32_t alive, suspect, failed;
  uint64_t first_ns; /* when the first of the failed ones was given up */
  const struct rn_member *first_alive, *first_out; /* by id */
};

static const struct rn_member *first_by_id(const struct rn_member *a, const struct rn_member *b) {
  return a == NULL || strcmp(b->id, a->id) < 0 ? b : a;
}

static void count(struct sides *s, const struct rn_member *who, uint64_t from_ns) {
  const bool failed = who->state == RN_SWIM_FAILED;
  if (who->alias || who->state == RN_SWIM_LEFT || (failed && who->since_ns < from_ns))
    return;
  s->alive += who->state == RN_SWIM_ALIVE;
  s->suspect += who->state == RN_SWIM_SUSPECT;
  s->failed += failed;
  if (failed && who->since_ns < s->first_ns)
    s->first_ns = who->since_ns;
  if (who->state == RN_SWIM_ALIVE)
    s->first_alive = first_by_id(s->first_alive, who);
  else
    s->first_out = first_by_id(s->first_out, who);
}

static bool is_many(uint32_t out, uint32_t all) {
  return out >= RN_PARTITION_MIN && out >= (all + RN_PARTITION_SHARE - 1) / RN_PARTITION_SHARE;
}

static bool is_minority(const struct sides *s, uint32_t out) {
  if (s->alive != out)
    return s->alive < out;
  return s->first_alive == NULL || strcmp(s->first_out->id, s->first_alive->id) < 0;
}

bool rn_partition_look(struct rn_partition *p, const struct rn_members *m, uint64_t now_ns,
                       uint64_t window_ns) {
  const struct rn_partition was = *p;
  const bool lasting = was.state == RN_PARTITION_PARTITIONED;
  const uint64_t window_from_ns = now_ns > window_ns ? now_ns - window_ns : 0;
  const uint64_t from_ns = lasting && was.from_ns < window_from_ns ? was.from_ns : window_from_ns;
  struct sides s = { .first_ns = UINT64_MAX };
  for (uint32_t i = 0; i < rn_members_count(m); i++)
    count(&s, rn_members_at(m, i), from_ns);
  const uint32_t out = s.suspect + s.failed, all = s.alive + out;
  *p = (struct rn_partition){ .reached = s.alive, .out = out };
  if (is_many(s.failed, all)) {
    p->state = RN_PARTITION_PARTITIONED;
    p->from_ns = s.first_ns;
  } else if (is_many(out, all)) {
    p->state = RN_PARTITION_SUSPECT;
  }
  p->minority = p->state != RN_PARTITION_HEALTHY && is_minority(&s, out);
  return p->state != was.state || p->minority != was.minority;
}
