/* cluster/cluster_priv.h: what the parts of the protocol share: cluster.c (the object, what comes in), round.c (whom to ask), verdict.c (what answers and
 * silence mean), message.c (the bytes). */
#pragma once
#include "cluster/cluster.h"
#include "cluster/kring.h"
#include "cluster/phi.h"
#include "util/rng.h"
#include "util/slab.h"

#define SYNCS_MAX 4u
/* Our incarnation rises by one so often while there are published nodes: as fast as the time that it was made of, so that the next start is above it. */
#define RN_CLUSTER_RISE_NS 1000000u
/* How often in a round published nodes are asked. */
#define RN_CLUSTER_QUARTERS 4u

enum purpose {
  PROBE,   /* is he alive? */
  HELP,    /* a PingReq: somebody else is to try */
  RELAY,   /* somebody else has asked us to try */
  ADDRESS, /* who is there? Silence means nothing */
  SYNC,    /* the next piece of all we know */
  PULL,    /* he is to tell us all he knows */
  LAST,    /* is he alive? Silence means that he is given up */
  SPREAD,  /* there is more news than the others take; silence means nothing */
  PURPOSE_COUNT
};

/* A request of ours. */
struct ask {
  struct rn_list node; /* in c->open or c->spare */
  uint32_t id;         /* the low bits are its place, the others are new each time */
  uint8_t purpose;
  bool helped;           /* PROBE: others were asked to try */
  uint8_t asked, nacked; /* PROBE: how many were; how many of them tried in vain */
  uint8_t slot;          /* RELAY, SYNC: in c->relays, c->syncs */
  uint64_t due_ns, seq;
  struct rn_member *who; /* NULL: nobody known, or his place was given up */
  uint32_t probe;        /* HELP: the id of it */
};

struct relay {
  bool used;
  uint8_t asker_len;
  char asker[RN_MEMBER_ID_MAX];
  uint64_t request, seq; /* his */
};

struct sync {
  struct rn_member *to; /* NULL: not in use */
  uint32_t place;       /* of the next member to tell of */
};

/* A member that is asked in each round. */
struct watch {
  struct rn_member *who;
  struct rn_phi phi;
  bool again; /* was asked a second time since the last round */
};

struct suspect {
  struct rn_list node; /* in c->suspects */
  struct rn_member *who;
  struct rn_suspicion suspicion;
  bool asked;    /* his time is over, and he is being asked once more: */
  uint32_t last; /* by this request */
};

struct rn_cluster {
  struct rn_cluster_config cfg;
  const struct rn_cluster_io *io;
  void *app;
  struct rn_members *members;
  struct rn_rumors rumors;
  struct rn_rng rng;
  struct rn_health health;
  struct rn_partition partition;
  bool partition_stale; /* somebody changed since it was looked at */
  struct rn_slab *suspect_slab;
  struct rn_list suspects;
  struct rn_list open, spare;
  struct ask asks[RN_CLUSTER_ASKS_MAX];
  struct relay relays[RN_CLUSTER_RELAY_MAX];
  struct sync syncs[SYNCS_MAX];
  struct watch watches[RN_CLUSTER_WATCH_MAX];
  uint32_t watch_count;
  bool watches_stale; /* members came or went */
  bool left;
  struct rn_addr seeds[RN_CLUSTER_SEEDS_MAX];
  uint32_t seed_count;
  uint32_t introductions;         /* of senders we do not know, in this round */
  uint32_t second_looks;          /* at senders whom we hold for ill, in this round */
  uint32_t pulled_at, pull_round; /* members when we asked for all last; when we do again */
  uint64_t round_ns, rounds, seq;
  uint64_t quarter_ns; /* when published nodes are asked once more; UINT64_MAX: they are not */
  struct rn_cluster_stats stats;
};

/* ---- cluster.c ---- */

/* Sends a request of that purpose; who may be NULL. NULL: too many are open, which is counted. */
struct ask *rn_ask_open(struct rn_cluster *c, enum purpose purpose, struct rn_member *who,
                        uint64_t wait_ns, uint64_t now_ns);
/* The one that is open under that id, or NULL. */
struct ask *rn_ask_find(struct rn_cluster *c, uint32_t id);
void rn_ask_close(struct rn_cluster *c, struct ask *a);
/* Tells of a change that somebody has made. */
void rn_cluster_changed(struct rn_cluster *c, struct rn_member *who, unsigned int changes);

/* ---- message.c ---- */

/* Asks `to`: a Ping; for_whom: a PingReq for that one. */
void rn_msg_ping(struct rn_cluster *c, const struct ask *a, const struct rn_addr *to);
void rn_msg_ping_req(struct rn_cluster *c, const struct ask *a, const struct rn_member *for_whom);
/* A PingReq for ourselves: he is to tell us all he knows. */
void rn_msg_pull(struct rn_cluster *c, const struct ask *a);
/* The Ping of a SYNC: as many members as fit, from sync->place on. */
void rn_msg_sync(struct rn_cluster *c, const struct ask *a);
/* How long a suspect may take for the last answer. */
uint64_t rn_msg_last_ns(const struct rn_cluster *c);
/* Our answer to a Ping of `to`, whom we may not know. */
void rn_msg_ack(struct rn_cluster *c, uint64_t request, struct rn_bin_str to, uint64_t seq);
/* The answer to a PingReq: who is alive. */
void rn_msg_relayed(struct rn_cluster *c, const struct relay *r, const struct rn_member *who);
/* Takes in the updates of a message that came from that address. Returns who sent it, NULL where that is nobody we know. */
struct rn_member *rn_msg_updates(struct rn_cluster *c, const struct rn_swim_msg *msg,
                                 const struct rn_addr *from, uint64_t now_ns);

/* ---- round.c ---- */

void rn_round(struct rn_cluster *c, uint64_t now_ns);
/* Between two rounds: asks the published nodes among those we watch, who read of us in the question only, once more. */
void rn_round_quarter(struct rn_cluster *c, uint64_t now_ns);
/* Asks him whether he is alive, unless that is being done. */
void rn_round_probe(struct rn_cluster *c, struct rn_member *who, uint64_t now_ns);
/* Asks a suspect whose time is over. NULL: too much is being asked. */
struct ask *rn_round_last(struct rn_cluster *c, struct rn_member *who, uint64_t now_ns);
/* Asks who is at that address. */
void rn_round_address(struct rn_cluster *c, const struct rn_addr *addr, uint64_t now_ns);
/* Begins to tell him all we know, unless that is being done. False: too many are being told. */
bool rn_round_sync(struct rn_cluster *c, struct rn_member *to, uint64_t now_ns);
/* Asks others to try. Returns how many. */
uint32_t rn_round_help(struct rn_cluster *c, struct ask *probe, uint64_t now_ns);
/* NULL: he is not asked in each round. */
struct watch *rn_round_watch(struct rn_cluster *c, const struct rn_member *who);

/* ---- verdict.c ---- */

/* A request of ours was answered by `from`, NULL: nobody we know. Closes it. */
void rn_verdict_answer(struct rn_cluster *c, struct ask *a, struct rn_member *from,
                       uint64_t now_ns);
/* None came; empty: he who was asked said that there is none. */
void rn_verdict_silence(struct rn_cluster *c, struct ask *a, bool empty, uint64_t now_ns);
/* He has answered us, or somebody for whom we asked, whoever suspects him. */
void rn_verdict_heard(struct rn_cluster *c, struct rn_member *who, uint64_t now_ns);
/* He has asked us something. */
void rn_verdict_asked(struct rn_cluster *c, struct rn_member *who, uint64_t now_ns);
/* `by` says that he is suspect. */
void rn_verdict_hearsay(struct rn_cluster *c, struct rn_member *who, struct rn_member *by,
                        bool is_new, uint64_t now_ns);
/* He is no longer suspect, for what reason ever. */
void rn_verdict_acquit(struct rn_cluster *c, struct rn_member *who);
/* Suspects whose time is over. */
void rn_verdict_expire(struct rn_cluster *c, uint64_t now_ns);
