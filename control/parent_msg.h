/* control/parent_msg.h: what rpcnet-control may ask of rpcnetd, and what it is told. One SEQPACKET message is one struct rn_parent_msg; anything that
 * is not in this list is refused and logged.
 *
 *   rpcnetd starts rpcnet-control with descriptors 3 (its end of the channel), 4 (the admin socket, listening) and, with
 *   http.enabled, 5 (the HTTP socket, listening):
 *
 *   rpcnetd                                   rpcnet-control
 *   HELLO (what runs already)          --->
 *                                      <---   OPEN file            -> REPLY with a descriptor
 *                                      <---   ATTACH port          -> REPLY (BPF program, UDP guard)
 *                                      <---   START + descriptors  -> REPLY once it was started
 *                                      <---   READY                (every lcore serves)
 *   ENDED (the data plane did)         --->                        control builds the next region: START
 *                                      <---   DRAIN                (end the node: SHUTDOWN follows)
 *                                      <---   ROTATE               -> REPLY: node.secret_file has another epoch
 *                                      <---   SAVE + content       -> REPLY: cluster.state_file is replaced by it
 *   RELOAD                             --->                        control reads node.secret_file again
 *   SHUTDOWN                           --->                        control lets calls finish, and tells the lcores
 *                                      <---   DRAINING (how long)  no reply: rpcnetd is that patient. Unsaid, it is not
 *
 * Every file, port and program is the one that rpcnetd read from the configuration itself: control names it by number only. */
#pragma once
#include <assert.h>
#include <stdint.h>

#define RN_PARENT_SAVE_MAX (4u << 20)

#define RN_PARENT_FD_CHANNEL 3
#define RN_PARENT_FD_ADMIN   4
#define RN_PARENT_FD_HTTP    5 /* with http.enabled only */

enum rn_parent_type {
  RN_PARENT_NONE,
  /* rpcnet-control asks */
  RN_PARENT_OPEN,   /* arg: enum rn_parent_file */
  RN_PARENT_ATTACH, /* arg: port number */
  RN_PARENT_START, /* arg: lcore count; descriptors: region, control's doorbell, one doorbell per lcore */
  RN_PARENT_STOP, /* end the running data plane, which serves an older configuration: ENDED follows */
  RN_PARENT_READY, /* no reply */
  RN_PARENT_DRAIN, /* end the node as SIGTERM does; no reply but SHUTDOWN */
  RN_PARENT_DRAINING, /* after SHUTDOWN; arg: calls may take so many milliseconds to finish, 0: they have. No reply */
  RN_PARENT_ROTATE, /* add an epoch to node.secret_file */
  RN_PARENT_SAVE, /* one descriptor: a memfd of 1..RN_PARENT_SAVE_MAX bytes, the new content of cluster.state_file */
  /* rpcnetd says */
  RN_PARENT_HELLO, /* arg: lcore count of the running data plane, 0: none; its START descriptors; seed; starts */
  RN_PARENT_REPLY, /* to the request named by arg; status; text when it is not RN_OK; OPEN: one descriptor */
  RN_PARENT_ENDED,    /* status: as waitpid gives it; pid; starts */
  RN_PARENT_SHUTDOWN, /* within_ms */
  RN_PARENT_RELOAD,   /* SIGHUP: read node.secret_file again */
  RN_PARENT_TYPE_COUNT
};

enum rn_parent_file {
  RN_PARENT_FILE_CONFIG,
  RN_PARENT_FILE_CERT,
  RN_PARENT_FILE_KEY,
  RN_PARENT_FILE_CA,
  RN_PARENT_FILE_SECRET,
  RN_PARENT_FILE_PEER_CA,
  RN_PARENT_FILE_STATE, /* RN_ERR_NOENT where there is none */
  RN_PARENT_FILE_COUNT
};

struct rn_parent_msg {
  uint32_t type; /* enum rn_parent_type */
  uint32_t arg;
  int32_t status;  /* enum rn_err in REPLY */
  uint32_t starts; /* HELLO, REPLY to START, ENDED: data planes started so far, this one included */
  uint32_t pid;    /* of the data plane: HELLO, REPLY to START, ENDED */
  uint32_t within_ms; /* SHUTDOWN: from when the lcores are told on, once calls have finished */
  uint8_t
      privileged;   /* HELLO: 1 when the data plane starts as root and has to become another user */
  uint8_t attached; /* REPLY to ATTACH: 1 when a BPF program of ours sits on the interface */
  uint8_t zero[6];
  uint8_t seed
      [32]; /* HELLO: random, the same for the life of rpcnetd; what keys are made of when no secret is configured */
  char text[448]; /* NUL-terminated */
};

static_assert(sizeof(struct rn_parent_msg) == 512, "no holes: they would leak memory");

/* "OPEN"; "?" for what is no type. */
static inline const char *rn_parent_type_name(uint32_t type) {
  static const char *const names[RN_PARENT_TYPE_COUNT] = {
    "NONE",   "OPEN", "ATTACH", "START", "STOP",  "READY",    "DRAIN", "DRAINING",
    "ROTATE", "SAVE", "HELLO",  "REPLY", "ENDED", "SHUTDOWN", "RELOAD"
  };
  return type < RN_PARENT_TYPE_COUNT ? names[type] : "?";
}
