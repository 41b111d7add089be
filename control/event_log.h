/* control/event_log.h: what happened in the cluster, the newest RN_EVENT_LOG_MAX of it, for those who ask. One thread. */
#pragma once
#include <stdint.h>

#include "cluster/cluster.h"

#define RN_EVENT_LOG_MAX 1024u

struct rn_event {
  uint64_t number; /* from 1, without a gap */
  uint64_t wall_ns;
  uint8_t type; /* enum rn_cluster_event_type */
  uint8_t state;
  struct rn_addr addr;
  uint64_t incarnation;
  char id[RN_MEMBER_ID_MAX + 1];
};

struct rn_event_log {
  uint64_t last; /* number of the newest; 0: there is none */
  struct rn_event ring[RN_EVENT_LOG_MAX];
};

void rn_event_log_add(struct rn_event_log *l, uint64_t wall_ns, enum rn_cluster_event_type type,
                      const struct rn_member *who);
/* The first one after that number that is still there; NULL: there is none. */
const struct rn_event *rn_event_log_after(const struct rn_event_log *l, uint64_t number);
/* "joined", "suspected", ... Static text. */
const char *rn_event_name(unsigned int type);
