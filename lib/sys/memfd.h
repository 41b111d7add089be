/* lib/sys/memfd.h: anonymous memory that is shared by passing its descriptor. */
#pragma once
#include <stddef.h>

/* Makes a zeroed memory of bytes > 0, close-on-exec, sealed against shrinking, growing and further
 * sealing; name is shown in /proc only. The descriptor is the caller's. RN_OK or RN_ERR_SYS. */
int rn_sys_memfd(const char *name, size_t bytes, int *out_fd);

/* The size of a descriptor that is such a memory: with it a mapping cannot fault because its owner
 * shrank it. RN_OK, or RN_ERR_INVAL when fd is anything else. */
int rn_sys_memfd_check(int fd, size_t *out_bytes);

/* Maps all of it, shared, readable and writable. RN_OK or RN_ERR_SYS; release with rn_sys_unmap. */
int rn_sys_map(int fd, size_t bytes, void **out);
void rn_sys_unmap(void *map, size_t bytes); /* NULL is fine */
