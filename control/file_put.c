/* control/file_put.c */
#include "control/file_put.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util/err.h"

static int fail(const char *what, char *why, size_t why_bytes) {
  snprintf(why, why_bytes, "%s: %s", what, strerror(errno));
  return RN_ERR_SYS;
}

static bool write_all(int fd, const char *bytes, size_t len) {
  for (size_t at = 0; at < len;) {
    ssize_t n = write(fd, bytes + at, len - at);
    if (n < 0 && errno != EINTR)
      return false;
    at += n > 0 ? (size_t)n : 0;
  }
  return fsync(fd) == 0;
}

/* A name in the directory lasts when the directory is written. */
static void sync_directory(const char *path) {
  char copy[PATH_MAX];
  snprintf(copy, sizeof(copy), "%s", path);
  int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0)
    return;
  (void)fsync(fd);
  close(fd);
}

int rn_file_put(const char *path, const void *bytes, size_t len, bool only_new,
                const struct stat *like, char *why, size_t why_bytes) {
  char beside[PATH_MAX];
  int err = RN_OK;
  snprintf(beside, sizeof(beside), "%s.%d.new", path, (int)getpid());
  (void)unlink(beside);
  int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return fail(beside, why, why_bytes);
  if (like != NULL && fchown(fd, like->st_uid, like->st_gid) != 0)
    err = fail(beside, why, why_bytes);
  if (err == RN_OK && !write_all(fd, bytes, len))
    err = fail(beside, why, why_bytes);
  close(fd);
  bool placed = err == RN_OK && (only_new ? link(beside, path) : rename(beside, path)) == 0;
  if (err == RN_OK && !placed && !(only_new && errno == EEXIST))
    err = fail(path, why, why_bytes);
  if (!placed || only_new)
    (void)unlink(beside);
  sync_directory(path);
  return err;
}
