/* lib/rpc/fanout_priv.h: what the files of the fan-out share. Nobody else includes it.
 *
 *   fanout.c        memory, clients' calls, their answers
 *   fanout_ask.c    workers: asked, answered, given up
 *   fanout_check.c  the invariants, walked */
#pragma once
#include "rpc/client.h"
#include "rpc/fanout.h"
#include "util/buddy.h"
#include "util/list.h"
#include "util/slab.h"

/* One worker's part in a call:
 *
 *   WAITING --connection--> ASKED --answer, failure, too late, given up--> DONE
 *      \--none, too late, given up--------------------------------------------^ */
enum ask_state { ASK_WAITING, ASK_ASKED, ASK_DONE, ASK_STATE_COUNT };
enum ask_event { ASK_EV_ASKED, ASK_EV_DONE, ASK_EV_COUNT };

/* No text of ours is longer: so much is set aside for each worker, that there is always room to say why its answer is not there. */
#define ASK_TEXT_MAX 64u

struct fan_ask {
  struct fan *fan;
  struct rn_list node;             /* in fan->asks */
  struct rn_pool_waiter w;         /* WAITING */
  struct rn_rpc_client_call *call; /* ASKED */
  struct rn_addr addr;
  const uint8_t *answer; /* DONE: the result, or the text of the error */
  size_t answer_bytes;
  uint8_t state; /* enum ask_state; written by ask_set_state only */
  bool good : 1;
  bool kept : 1; /* answer is of rn_fanout.bodies */
  uint8_t id_bytes;
  char id[RN_FANOUT_ID_MAX];
};

/* A client's call; what its rn_call_scratch points to. */
struct fan {
  struct rn_fanout *f;
  struct rn_fanout_route *route;
  struct rn_call *call;
  struct rn_list node; /* in rn_fanout.fans */
  struct rn_list asks; /* as the owner named them */
  const uint8_t *params;
  size_t params_bytes;
  size_t bytes;     /* that the answer has, and may still need for texts */
  uint32_t pending; /* asks that are not DONE; one more while we go through them */
};

struct rn_fanout {
  struct rn_quic *quic;
  struct rn_pool *pool;
  const struct rn_fanout_ops *ops;
  void *ctx;
  struct rn_fanout_limits lim;
  struct rn_rpc_client *client;
  struct rn_slab *slab; /* fans */
  struct rn_slab *asks;
  struct rn_buddy *bodies;
  uint8_t *out; /* lim.answer_bytes: an answer is put together here */
  struct rn_list fans;
  struct rn_fanout_stats stats;
};

/* fanout.c: an ask is over. After the last one the call is answered, and k is no more. */
void fan_settle(struct fan *k);

/* fanout_ask.c */
/* A further worker of k's, to be asked later; false: there is no object. Needs room in k's answer, which the caller looks at. */
bool ask_add(struct fan *k, const struct rn_fanout_worker *w);
/* Bytes of k's answer that a worker with an id of so many bytes takes, without its result. */
size_t ask_room(size_t id_bytes);
void ask_begin(struct fan_ask *a);
/* One that is not DONE is so then, with that error. fan_settle comes with it. */
void ask_late(struct fan_ask *a);
/* Whatever state it is in: it is gone. fan_settle does not come with it. */
void ask_free(struct fan_ask *a);
