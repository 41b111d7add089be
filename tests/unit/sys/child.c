/* tests/unit/sys/child.c: what test_process starts. Prints what it finds itself to be, for the
 * parent to compare. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "sys/privs.h"

static void print_fds(void) {
  DIR *d = opendir("/proc/self/fd");
  const struct dirent *e;
  unsigned long mask = 0;
  while (d != NULL && (e = readdir(d)) != NULL) {
    int fd = atoi(e->d_name);
    if (e->d_name[0] != '.' && fd != dirfd(d))
      mask |= 1ul << fd;
  }
  if (d != NULL)
    closedir(d);
  printf("fds=%lx ", mask);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "become") == 0 && rn_sys_become(12345, 12345) != 0)
    return 8;
  if (argc > 1 && (strcmp(argv[1], "sleep") == 0 || strcmp(argv[1], "become") == 0)) {
    puts("sleeping");
    fflush(stdout);
    sleep(30);
    return 9;
  }
  if (argc > 1 && strcmp(argv[1], "exit") == 0)
    return atoi(argv[2]);
  char buf[64] = "";
  ssize_t n = read(4, buf, sizeof(buf) - 1);
  print_fds();
  printf("uid=%u gid=%u caps=%llx nnp=%d read=%zd:%s\n", getuid(), getgid(),
         (unsigned long long)rn_sys_caps(), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), n, buf);
  return 0;
}
