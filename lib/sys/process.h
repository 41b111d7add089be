/* lib/sys/process.h: starting a child with exactly the descriptors it is to have, and seeing it
 * die. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct rn_sys_spawn {
  const char *path;
  char *const *argv; /* NULL-terminated */
  const int *fds;    /* become 3, 4, ... in the child; everything else above 2 is closed */
  size_t fd_count;   /* 0..RN_SYS_CHANNEL_FDS_MAX */
  uid_t uid;         /* what the child becomes before it executes; 0 with gid 0: unchanged */
  gid_t gid;
  bool keep_caps; /* true: keeps who it is and what it may, uid and gid are ignored; false: has no
                     capability, gains none */
};

/* Starts it. When the caller's process ends, the child gets SIGTERM. *pid is to be reaped by the
 * caller; *pidfd (close-on-exec) gets readable when it ended. RN_OK; RN_ERR_NOENT when path cannot
 * be executed, RN_ERR_SYS otherwise: errno says why. */
int rn_sys_spawn(const struct rn_sys_spawn *s, pid_t *pid, int *pidfd);

/* SIGTERM to this process when its parent ends; holds until execution of another user's program. False
 * when the parent ended before. */
bool rn_sys_die_with_parent(pid_t parent);

/* Signal through the pidfd: never hits another process that got the number later. RN_OK or
 * RN_ERR_CLOSED. */
int rn_sys_pidfd_kill(int pidfd, int sig);

/* Opens a pidfd (close-on-exec) of any process. RN_OK or RN_ERR_NOENT. */
int rn_sys_pidfd(pid_t pid, int *out_fd);

/* Tells systemd (NOTIFY_SOCKET), e.g. "READY=1"; nothing happens outside of it. */
void rn_sys_notify(const char *state);
