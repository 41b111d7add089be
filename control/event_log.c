/* control/event_log.c */
#include "control/event_log.h"

#include <string.h>

void rn_event_log_add(struct rn_event_log *l, uint64_t wall_ns, enum rn_cluster_event_type type,
                      const struct rn_member *who) {
  struct rn_event *e = &l->ring[l->last % RN_EVENT_LOG_MAX];
  *e = (struct rn_event){ .number = ++l->last,
                          .wall_ns = wall_ns,
                          .type = (uint8_t)type,
                          .state = who->state,
                          .addr = who->addr,
                          .incarnation = who->incarnation };
  memcpy(e->id, who->id, sizeof(e->id));
}

const struct rn_event *rn_event_log_after(const struct rn_event_log *l, uint64_t number) {
  const uint64_t oldest = l->last > RN_EVENT_LOG_MAX ? l->last - RN_EVENT_LOG_MAX + 1 : 1;
  const uint64_t want = number + 1 > oldest ? number + 1 : oldest;
  return want <= l->last ? &l->ring[(want - 1) % RN_EVENT_LOG_MAX] : NULL;
}

const char *rn_event_name(unsigned int type) {
  static const char *const names[RN_CLUSTER_EVENT_COUNT] = {
    [RN_CLUSTER_JOINED] = "joined",       [RN_CLUSTER_SUSPECTED] = "suspected",
    [RN_CLUSTER_FAILED] = "failed",       [RN_CLUSTER_LEFT] = "left",
    [RN_CLUSTER_RECOVERED] = "recovered", [RN_CLUSTER_TAGS] = "tags_updated",
    [RN_CLUSTER_MOVED] = "moved",         [RN_CLUSTER_REFUTED] = "refuted",
    [RN_CLUSTER_PARTITION] = "partition",
  };
  return type < RN_CLUSTER_EVENT_COUNT ? names[type] : "?";
}
