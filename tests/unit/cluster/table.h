/* tests/unit/cluster/table.h: a membership table, ourselves being "me" at 10.0.0.1:8080. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster/members.h"

static inline struct rn_bin_str text(const char *s) { return (struct rn_bin_str){ s, strlen(s) }; }

static inline struct rn_addr addr_of(uint32_t host) {
  return (struct rn_addr){ .ip = { 10, (uint8_t)(host >> 16), (uint8_t)(host >> 8), (uint8_t)host },
                           .port = 8080,
                           .family = 4 };
}

static inline struct rn_swim_update update(const char *id, uint32_t host, uint64_t incarnation,
                                           enum rn_swim_state state) {
  return (struct rn_swim_update){
    .node_id = text(id), .addr = addr_of(host), .incarnation = incarnation, .state = state
  };
}

/* To be freed. */
static inline struct rn_members *
table_new(uint32_t capacity, const struct rn_members_events *events, void *app, uint64_t now_ns) {
  static const uint8_t hash_key[16] = { 1, 2, 3 };
  struct rn_swim_update self = update("me", 1, 100, RN_SWIM_ALIVE);
  size_t bytes = rn_members_footprint(capacity);
  struct rn_members *m;
  void *mem = aligned_alloc(64, bytes);
  if (mem == NULL)
    abort();
  memset(mem, 0x5a, bytes);
  if (rn_members_init(mem, capacity, hash_key, &self, events, app, now_ns, &m) != RN_OK)
    abort();
  return m; /* begins where mem does */
}

/* "n<host>", at that address. */
static inline struct rn_member *table_add(struct rn_members *m, uint32_t host,
                                          enum rn_swim_state state) {
  char id[16];
  struct rn_member *who;
  snprintf(id, sizeof(id), "n%u", host);
  struct rn_swim_update u = update(id, host, 1, state);
  rn_members_apply(m, &u, RN_MEMBER_HEARSAY, host, &who);
  return who;
}
