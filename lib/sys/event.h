/* lib/sys/event.h: doorbells (eventfd) and signals as descriptors (signalfd). */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* A doorbell: non-blocking, close-on-exec. RN_OK or RN_ERR_SYS. */
int rn_sys_event(int *out_fd);
void rn_sys_event_ring(int fd);  /* one system call; a bell that is ringing already stays so */
bool rn_sys_event_clear(int fd); /* true when it was ringing */

/* Blocks the signals of a 0-terminated list in the calling thread and makes a descriptor that reads
 * them: non-blocking, close-on-exec. Threads started later inherit the mask. RN_OK or RN_ERR_SYS.
 */
int rn_sys_signals(const int *signals, int *out_fd);
/* The next signal's number, 0 when there is none. */
int rn_sys_signal_next(int fd);
