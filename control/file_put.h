/* control/file_put.h: files that change as a whole. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* Writes beside path, mode 0600, to the disk, and then puts it in the place of what is there; whoever looks, also after a crash, sees all of the old file or
 * all of the new one. only_new: where there is a file already, nothing is changed. like: the owner it gets; NULL: this process's. A symbolic link at path is
 * replaced, not followed. RN_OK, also when there is a file already; RN_ERR_SYS with why, and what was there is untouched. */
int rn_file_put(const char *path, const void *bytes, size_t len, bool only_new,
                const struct stat *like, char *why, size_t why_bytes);
