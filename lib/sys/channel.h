/* lib/sys/channel.h: a pair of connected SEQPACKET sockets between a process and its child:
 * messages with descriptors. */
#pragma once
#include <stddef.h>

#define RN_SYS_CHANNEL_FDS_MAX 64u

/* Both ends close-on-exec and non-blocking. RN_OK or RN_ERR_SYS. */
int rn_sys_channel(int out_fds[2]);

/* Sends one message, len >= 1, with fd_count descriptors, which stay the caller's. Does not block
 * and raises no SIGPIPE. RN_OK, RN_ERR_AGAIN (full), RN_ERR_CLOSED, RN_ERR_INVAL, RN_ERR_SYS. */
int rn_sys_send(int sock, const void *msg, size_t len, const int *fds, size_t fd_count);

/* Receives one message: at most cap bytes and *fd_count descriptors (in: room, out: received;
 * close-on-exec, now the caller's). A message with more of either is dropped with its descriptors
 * closed: RN_ERR_TOOBIG. RN_OK with *len >= 1, RN_ERR_AGAIN, RN_ERR_CLOSED, RN_ERR_SYS. */
int rn_sys_recv(int sock, void *buf, size_t cap, size_t *len, int *fds, size_t *fd_count);
