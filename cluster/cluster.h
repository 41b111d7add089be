/* cluster/cluster.h: our part in a cluster: SWIM (Das, Gupta, Motivala 2002) with Lifeguard's changes and fixed watchers, over the messages of
 * docs/protocol.md, "Gossip". It is given requests, answers and the time, and says through struct rn_cluster_io what to ask and to answer. One thread owns
 * each; the caller owns the memory; nothing is called from within a call of rn_cluster_io.
 *
 *   requests of others -> rn_cluster_heard ------> io.answer       our rounds -> rn_cluster_tick -> io.ask
 *                                                                  answers -> rn_cluster_answered, or rn_cluster_failed
 *
 * How it decides who is alive: docs/cluster.md. */
#pragma once
#include "cluster/members.h"
#include "cluster/partition.h"
#include "cluster/rumors.h"
#include "cluster/suspicion.h"

/* A message is one frame of one packet: the published crate reads once. */
#define RN_CLUSTER_MSG_MAX 1100u
/* Of that, our own update, which is in every Ack. */
#define RN_CLUSTER_SELF_MAX  500u
#define RN_CLUSTER_ASKS_MAX  128u /* requests of ours that are open at once */
#define RN_CLUSTER_RELAY_MAX 16u  /* of these, for others who cannot reach somebody */
#define RN_CLUSTER_WATCH_MAX 40u  /* members asked in each round */
#define RN_CLUSTER_SEEDS_MAX 16u
#define RN_CLUSTER_HELP_MAX  8u

/* A node of this implementation says so by this tag, "1": it answers PingReq, refutes, and reads the updates in an Ack. */
#define RN_CLUSTER_TAG "rpcnet.swim"

struct rn_cluster; /* opaque; cluster_priv.h */

struct rn_cluster_config {
  uint32_t capacity;        /* members, tombstones included; 1..2^20 */
  uint64_t interval_ns;     /* of the rounds; 10 ms..1 h */
  uint64_t probe_ns;        /* how long an Ack may take; 1 ms..interval_ns */
  uint64_t help_ns;         /* how long those asked to try may take, above RN_CLUSTER_RELAY_NS */
  uint32_t indirect_probes; /* how many are asked to try; 0..RN_CLUSTER_HELP_MAX */
  uint32_t suspicion_multiplier; /* 1..100, rn_suspicion_min_ns */
  uint64_t tombstone_ns;         /* how long those who failed or left are remembered; above 0 */
};

/* With an interval_ns, as the keys of the configuration have it where they are not given. */
#define RN_CLUSTER_DEFAULTS(interval)                                                              \
  .capacity = 8192, .interval_ns = (interval), .probe_ns = (interval) / 2,                         \
  .help_ns = UINT64_C(400000000), .indirect_probes = 3, .suspicion_multiplier = 4,                 \
  .tombstone_ns = 600 * UINT64_C(1000000000)

/* How long we try to reach somebody for another one, who would take a silence longer than that badly (docs/protocol.md). */
#define RN_CLUSTER_RELAY_NS UINT64_C(300000000)

enum rn_cluster_event_type {
  RN_CLUSTER_JOINED,    /* was not known */
  RN_CLUSTER_SUSPECTED, /* may have failed */
  RN_CLUSTER_FAILED,
  RN_CLUSTER_LEFT,
  RN_CLUSTER_RECOVERED, /* is Alive again */
  RN_CLUSTER_TAGS,      /* has other tags */
  RN_CLUSTER_MOVED,     /* has another address */
  RN_CLUSTER_REFUTED,   /* we had to say that we are alive */
  RN_CLUSTER_PARTITION, /* rn_cluster_partition says something else; *who is ourselves */
  RN_CLUSTER_EVENT_COUNT
};

struct rn_cluster_io {
  /* Send msg, which is valid during the call, as a request to that address, and give rn_cluster_answered or rn_cluster_failed that id, once, within wait_ns or
   * at any time later; an id that is no longer wanted is ignored. */
  void (*ask)(void *app, uint32_t id, const struct rn_addr *to, uint64_t wait_ns,
              const uint8_t *msg, size_t len);
  /* Answer that request of rn_cluster_heard; len 0: the end of the stream and no bytes. */
  void (*answer)(void *app, uint64_t request, const uint8_t *msg, size_t len);
  /* *who is as it is now. */
  void (*event)(void *app, enum rn_cluster_event_type type, const struct rn_member *who);
};

struct rn_cluster_stats {
  uint64_t asks;         /* requests of ours */
  uint64_t answers;      /* that were answered */
  uint64_t empty;        /* ended without an answer */
  uint64_t failed;       /* nobody there, or no answer in time */
  uint64_t asks_limit;   /* not made: RN_CLUSTER_ASKS_MAX */
  uint64_t pings;        /* of others */
  uint64_t ping_reqs;    /* of others */
  uint64_t relays_limit; /* not tried: RN_CLUSTER_RELAY_MAX */
  uint64_t syncs;        /* members whom we told all we know */
  uint64_t syncs_limit;  /* not begun: too many at once */
  uint64_t
      watch_limit; /* members that should be asked each round and are not: RN_CLUSTER_WATCH_MAX */
  uint64_t suspicions;    /* by ourselves */
  uint64_t confirmations; /* of a suspicion that there was */
  uint64_t reprieves;     /* an answer missing that phi did not find remarkable */
  uint64_t vouched;       /* for a published node that was suspected, or had failed, and answers */
  uint64_t
      lost_time; /* rounds that came much too late; what is overdue then says nothing about others */
  uint64_t bad_messages; /* not to be read, or nothing that was asked for */
};

/* Bytes needed, 64-byte aligned; 0 where cfg is not as above. */
size_t rn_cluster_footprint(const struct rn_cluster_config *cfg);

/* Formats mem, footprint bytes, 64-byte aligned. self: who we are, with what tags we have; the incarnation has to be above all we had before, such as the
 * milliseconds since 1970. seed and hash_key: random. The first round is due within interval_ns. RN_OK; RN_ERR_INVAL: cfg, or self is nothing that
 * rn_members_apply takes; RN_ERR_LIMIT: self is above RN_CLUSTER_SELF_MAX. Nothing to release. */
int rn_cluster_init(void *mem, const struct rn_cluster_config *cfg,
                    const struct rn_swim_update *self, uint64_t seed, const uint8_t hash_key[16],
                    const struct rn_cluster_io *io, void *app, uint64_t now_ns,
                    struct rn_cluster **out);

/* Whom to ask as long as we know of nobody there. The next round asks. RN_OK or RN_ERR_LIMIT. */
int rn_cluster_seed(struct rn_cluster *c, const struct rn_addr *addr);

/* Somebody whom an earlier run of ours knew, as hearsay; a suspicion of then counts for nothing. What it says of ourselves is left alone. */
void rn_cluster_remember(struct rn_cluster *c, const struct rn_swim_update *known, uint64_t now_ns);

/* When rn_cluster_tick has something to do: absolute, in ns. May be earlier after any call. */
uint64_t rn_cluster_next_ns(const struct rn_cluster *c);
void rn_cluster_tick(struct rn_cluster *c, uint64_t now_ns);

/* A request, from that address; io.answer is called for it exactly once, now or later. Any bytes are safe. RN_OK, or the error of rn_swim_get, or
 * RN_ERR_PROTO (an Ack that nobody asked for): answered without bytes. */
int rn_cluster_heard(struct rn_cluster *c, const struct rn_addr *from, uint64_t request,
                     const uint8_t *msg, size_t len, uint64_t now_ns);
/* What came for an id of io.ask; len 0: it ended without bytes. Any bytes are safe. */
void rn_cluster_answered(struct rn_cluster *c, uint32_t id, const uint8_t *msg, size_t len,
                         uint64_t now_ns);
/* Nothing came, and nothing will. */
void rn_cluster_failed(struct rn_cluster *c, uint32_t id, uint64_t now_ns);

/* A tag of ours; everybody is told. RN_OK or RN_ERR_LIMIT (rn_tags_set, RN_CLUSTER_SELF_MAX); RN_ERR_INVAL: RN_CLUSTER_TAG is not to be changed. */
int rn_cluster_tag_set(struct rn_cluster *c, struct rn_bin_str key, struct rn_bin_str value);
int rn_cluster_tag_unset(struct rn_cluster *c, struct rn_bin_str key);
/* We are Left from now on: those who know us best are told at once, the others by the rounds, which go on. */
void rn_cluster_leave(struct rn_cluster *c, uint64_t now_ns);

/* Whom we know; as long as c is. */
const struct rn_members *rn_cluster_members(const struct rn_cluster *c);
/* Since rn_cluster_init; as long as c is. */
const struct rn_cluster_stats *rn_cluster_stats(const struct rn_cluster *c);
/* 0: well..RN_HEALTH_MAX (cluster/suspicion.h). */
uint32_t rn_cluster_health(const struct rn_cluster *c);
/* Whether many are out of reach, as of the last round; as long as c is. */
const struct rn_partition *rn_cluster_partition(const struct rn_cluster *c);
/* Whether who is a node of this implementation. */
bool rn_cluster_own(const struct rn_member *who);

/* Every table and link. RN_OK or RN_ERR_STATE. Slow. */
int rn_cluster_check(const struct rn_cluster *c);
