/* lib/sys/memfd.c */
#include "sys/memfd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/err.h"

int rn_sys_memfd(const char *name, size_t bytes, int *out_fd) {
  int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0)
    return RN_ERR_SYS;
  if (ftruncate(fd, (off_t)bytes) != 0 ||
      fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    close(fd);
    return RN_ERR_SYS;
  }
  *out_fd = fd;
  return RN_OK;
}

int rn_sys_memfd_check(int fd, size_t *out_bytes) {
  const int wanted = F_SEAL_SHRINK | F_SEAL_GROW;
  struct stat st;
  int seals = fcntl(fd, F_GET_SEALS); /* fails on what is no memfd */
  if (seals < 0 || (seals & wanted) != wanted || fstat(fd, &st) != 0 || st.st_size <= 0)
    return RN_ERR_INVAL;
  *out_bytes = (size_t)st.st_size;
  return RN_OK;
}

int rn_sys_map(int fd, size_t bytes, void **out) {
  void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED)
    return RN_ERR_SYS;
  /* Shared memory is for the processes that were given it: not for a core dump, not for a child. */
  (void)madvise(map, bytes, MADV_DONTDUMP);
  *out = map;
  return RN_OK;
}

void rn_sys_unmap(void *map, size_t bytes) {
  if (map != NULL)
    munmap(map, bytes);
}
