/* lib/sys/privs.h: giving privileges up for good. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Becomes uid and gid with no supplementary groups and no way back; 0 and 0: stays. What rn_sys_die_with_parent asked for still holds. RN_OK or
 * RN_ERR_SYS. */
int rn_sys_become(uid_t uid, gid_t gid);

/* Empties the effective, permitted, inheritable and ambient sets (the bounding set too, where
 * allowed) and sets no_new_privs, so that no execution brings one back; for the calling thread and
 * threads it starts later. RN_OK, or RN_ERR_SYS when any is left. */
int rn_sys_drop_caps(void);

/* The calling thread's permitted capabilities as a bit mask; 0: none. */
uint64_t rn_sys_caps(void);

/* No core dump, no ptrace by the same user, /proc/self owned by root. RN_OK or RN_ERR_SYS. */
int rn_sys_not_dumpable(void);
