/* control/parent.h: rpcnetd's own state. One thread, one poll loop; takes no input but signals, its children's ends, and the requests of
 * control/parent_msg.h. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/child.h"
#include "control/config.h"
#include "control/parent_msg.h"
#include "control/port_attach.h"
#include "topo/mandate.h"
#include "topo/topo.h"

/* From SIGTERM to the end of everything: the lcores say goodbye first; after TERM_NS the data plane is asked directly, after KILL_NS nobody is asked. */
#define RN_PARENT_TERM_NS 3000000000ull
#define RN_PARENT_KILL_NS 5000000000ull
/* Before either, where the node is in a cluster: others hear that it goes (control/drain.h). */
#define RN_DRAIN_ANNOUNCE_NS 3000000000ull

struct rn_parent {
  struct rn_config cfg;
  const char *config_name; /* as on the command line */
  const char *control_path;
  const char *dataplane_path;
  int config_fd; /* a copy of the file: the configuration of this rpcnetd's whole life */
  int signal_fd;
  int admin_fd;
  int http_fd; /* -1: not enabled */
  char admin_path[200];
  uint8_t seed[32];

  struct rn_child control;
  struct rn_child dataplane;
  int channel; /* -1: control is not running */

  int dp_fds[2 + RN_TOPO_LCORES_MAX]; /* START's descriptors; they outlive control */
  uint32_t dp_fd_count;               /* 0: none */
  bool start_wanted;                  /* START came, its time has not */
  uint64_t dp_kill_at_ns;             /* 0: not set */
  uint64_t dp_term_at_ns;
  uint64_t control_kill_at_ns;
  uint64_t drained_by_ns; /* stopping: what DRAINING may ask for; 0: nothing */

  struct rn_port_attach
      port;        /* BPF links and UDP guards: they outlive control and the data plane */
  bool ready_once; /* until then any failure is final */
  bool stopping;
  int exit_status;
};

/* Starts control, and then runs until told to end. Returns the exit status: 0 after a signal, 1 or 2 when the node did not come up. */
int rn_parent_run(struct rn_parent *p);

/* Answers one request that control sent (control/parent_req.c). fds[0..fd_count) are taken over. */
void rn_parent_request(struct rn_parent *p, const struct rn_parent_msg *m, const int *fds,
                       size_t fd_count);

/* Sends to control; a control that is gone or does not read is not waited for. */
void rn_parent_send(struct rn_parent *p, const struct rn_parent_msg *m, const int *fds,
                    size_t fd_count);

/* What a data plane of this configuration becomes and opens; root: rpcnetd is it. */
struct rn_mandate rn_parent_mandate(const struct rn_config *cfg, bool root);

/* Starts the data plane with the descriptors of START and the mandate. RN_OK, RN_ERR_NOENT or RN_ERR_SYS. */
int rn_parent_start_dataplane(struct rn_parent *p, uint64_t now_ns);

/* DRAINING of control. RN_OK or RN_ERR_STATE. */
int rn_parent_draining(struct rn_parent *p, uint32_t within_ms);

/* Closes the descriptors of START. */
void rn_parent_drop_fds(struct rn_parent *p);

/* Begins to end the node with this status. */
void rn_parent_shutdown(struct rn_parent *p, int exit_status);
