/* dataplane/sandbox.h: what the data plane gives up once its port is open. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Becomes uid and gid, drops every capability, and with seccomp nonzero allows only the system calls of the table in sandbox.c. All threads
 * of the process. RN_OK, or RN_ERR_SYS with why. */
int rn_sandbox_enter(uint32_t uid, uint32_t gid, int seccomp, char *why, size_t why_bytes);
