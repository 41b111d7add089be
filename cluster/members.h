/* cluster/members.h: who there is, as far as we have been told: the membership table and the rules by which what we hear changes it. Of fixed size, in the
 * caller's memory; one thread owns each. It decides nothing by time: who is suspected, and when a suspect has failed, is told to it.
 *
 * What wins (docs/cluster.md, "Which update wins"):
 *
 *   hearsay           a higher incarnation, or the same one and a worse state: Alive < Suspect < Failed < Left
 *   from himself      the same, and also: he is alive, unless he says that he left. Others may have given their suspicion any incarnation, and the
 *                     published nodes never refute: they believe it, and say of themselves that they are suspect. His tags and address, at an
 *                     incarnation that is not below his last
 *   from an asker     the same, but who is suspected or has failed stays so unless his incarnation is higher
 *   of ourselves      nothing; what would harm us is answered by a higher incarnation
 *
 * Nobody comes back from Left but with a higher incarnation: the members that failed or left stay as tombstones until rn_members_bury or until their places
 * are needed. Members are told apart by id. Two ids of one address: an alias "seed-ADDR" gives way to any other id; of two others the higher incarnation
 * stays, and the other one has failed. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cluster/tags.h"
#include "util/addr.h"
#include "util/list.h"
#include "wire/swim.h"

#ifndef RN_MEMBER_ID_MAX      /* less in simulations of thousands of nodes, bench/cluster */
#define RN_MEMBER_ID_MAX 255u /* what can be told from a request, docs/protocol.md */
#endif
/* Above, an incarnation is refused, and at it whatever is not Alive: there is always a higher one to refute with. */
#define RN_INCARNATION_MAX (UINT64_MAX / 2)

#define RN_KRING 3u /* how many fixed others watch each member */

struct rn_members; /* opaque; members.c */

struct rn_member {
  char id[RN_MEMBER_ID_MAX + 1]; /* NUL-terminated; unique */
  uint8_t id_len;
  uint8_t state;  /* enum rn_swim_state */
  bool alias;     /* of an address whose node's id we do not know */
  bool behind;    /* what he said of himself last is older than what is said of him */
  uint32_t place; /* in rn_members_at; changes when others go */
  struct rn_addr addr;
  uint64_t incarnation;     /* 0..RN_INCARNATION_MAX */
  uint64_t own_incarnation; /* the last he gave himself, as far as he told us */
  uint64_t since_ns;        /* of the state */
  struct rn_tags tags;
  struct rn_list rumor;    /* cluster/rumors.h */
  uint64_t ring[RN_KRING]; /* cluster/kring.h: where he stands, from his id alone */
  void *user;              /* the caller's; NULL at first */
};

/* What an update has changed, in one or more bits. */
enum rn_member_change {
  RN_MEMBER_ADDED = 1,       /* was not there */
  RN_MEMBER_STATE = 2,       /* another state than before */
  RN_MEMBER_INCARNATION = 4, /* a higher incarnation */
  RN_MEMBER_TAGS = 8,
  RN_MEMBER_ADDR = 16,
  RN_MEMBER_REFUTE = 32, /* about us, and we had to answer: our incarnation is higher now */
};

enum rn_member_source {
  RN_MEMBER_HEARSAY,
  RN_MEMBER_HIMSELF, /* in a message of his own, over a connection to or from him */
  RN_MEMBER_ASKER, /* the same, in a request of a published node, which does not show that it answers */
};

/* Called before a member's place is given up, and when another one of its address makes it fail; *m is as it is then. */
struct rn_members_events {
  void (*gone)(void *app, struct rn_member *m);
  void (*replaced)(void *app, struct rn_member *m);
};

struct rn_members_stats {
  uint64_t members;          /* places in use, tombstones and ourselves included */
  uint64_t alive;            /* Alive, ourselves included */
  uint64_t limit;            /* updates refused: all places are taken, none by a tombstone */
  uint64_t evicted;          /* tombstones that had to make room */
  uint64_t bad_ids;          /* updates refused: an id that is empty or above RN_MEMBER_ID_MAX */
  uint64_t bad_incarnations; /* refused: above RN_INCARNATION_MAX */
  uint64_t bad_addrs;        /* refused: no address, port 0, or one that nobody can be reached at */
  uint64_t tags_left_out;    /* tags that did not fit */
  uint64_t stale;            /* updates that lost */
  uint64_t refuted;
  uint64_t replaced; /* by another one with their address */
};

/* Bytes needed, 64-byte aligned; 0 unless capacity is 1..2^20. */
size_t rn_members_footprint(uint32_t capacity);

/* Formats mem, which stays the caller's, with ourselves, Alive, as the only member. hash_key: random. self's text is copied; its tags as far as they fit.
 * events may be NULL. RN_OK or RN_ERR_INVAL (capacity; self is nothing that rn_members_apply would take). Nothing to release. */
int rn_members_init(void *mem, uint32_t capacity, const uint8_t hash_key[16],
                    const struct rn_swim_update *self, const struct rn_members_events *events,
                    void *app, uint64_t now_ns, struct rn_members **out);

/* What was heard. Returns changes, 0 when there are none; *out, unless NULL, is whom the update is about, which for an alias is the member that has its
 * address, and NULL when it was refused. */
unsigned int rn_members_apply(struct rn_members *m, const struct rn_swim_update *heard,
                              enum rn_member_source source, uint64_t now_ns,
                              struct rn_member **out);

/* Our own verdict on another member that is Alive or Suspect: he is Suspect or Failed from now on, at his incarnation. True: that is new. */
bool rn_members_judge(struct rn_members *m, struct rn_member *who, enum rn_swim_state state,
                      uint64_t now_ns);

/* He has answered, and does not refute himself: who is not Alive, and did not leave, is so again, at an incarnation one higher, which others take for newer. True:
 * that is new. */
bool rn_members_vouch(struct rn_members *m, struct rn_member *who, uint64_t now_ns);

/* Of ourselves, each at a higher incarnation, which others take for newer. RN_OK or RN_ERR_LIMIT. After leave we do not refute. */
int rn_members_tag_set(struct rn_members *m, struct rn_bin_str key, struct rn_bin_str value);
void rn_members_tag_unset(struct rn_members *m, struct rn_bin_str key);
/* By so many. Others need not be told of it. After leave nothing happens. */
void rn_members_rise(struct rn_members *m, uint64_t by);
void rn_members_leave(struct rn_members *m, uint64_t now_ns);

/* Gives up the places of those that failed or left before before_ns. */
void rn_members_bury(struct rn_members *m, uint64_t before_ns);

/* NULL when there is none. */
struct rn_member *rn_members_by_id(const struct rn_members *m, struct rn_bin_str id);
struct rn_member *rn_members_by_addr(const struct rn_members *m, const struct rn_addr *addr);
struct rn_member *rn_members_self(const struct rn_members *m);
/* All, tombstones included, by place: 0..count-1. */
uint32_t rn_members_count(const struct rn_members *m);
struct rn_member *rn_members_at(const struct rn_members *m, uint32_t place);
const struct rn_members_stats *rn_members_stats(const struct rn_members *m);

/* Writes his update. */
void rn_member_put(struct rn_bin_writer *w, const struct rn_member *who);

/* Every member, both maps, the counts. RN_OK or RN_ERR_STATE. Slow. */
int rn_members_check(const struct rn_members *m);
