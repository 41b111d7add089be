/* lib/sys/privs.c: by system call, so that no capability library is needed. */
#include "sys/privs.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/err.h"

/* The kernel forgets a process's wish to end with its parent when its user changes. */
static int renew_parent_death(int sig, pid_t parent) {
  if (sig == 0)
    return RN_OK;
  if (prctl(PR_SET_PDEATHSIG, sig) != 0)
    return RN_ERR_SYS;
  if (getppid() != parent) /* it ended in between */
    raise(sig);
  return RN_OK;
}

int rn_sys_become(uid_t uid, gid_t gid) {
  int sig = 0;
  pid_t parent = getppid();
  if (uid == 0 && gid == 0)
    return RN_OK;
  if (prctl(PR_GET_PDEATHSIG, &sig) != 0 || setgroups(0, NULL) != 0 ||
      setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
    return RN_ERR_SYS;
  if (uid != 0 && setuid(0) == 0) /* it must not be possible to go back */
    return RN_ERR_SYS;
  return renew_parent_death(sig, parent);
}

static int caps_get(struct __user_cap_data_struct data[2]) {
  struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
  return (int)syscall(SYS_capget, &head, data);
}

uint64_t rn_sys_caps(void) {
  struct __user_cap_data_struct data[2] = { { 0 } };
  if (caps_get(data) != 0)
    return UINT64_MAX;
  return (uint64_t)data[1].permitted << 32 | data[0].permitted;
}

int rn_sys_drop_caps(void) {
  /* The bounding set needs CAP_SETPCAP; without it no_new_privs alone keeps an execution from
   * gaining anything. */
  for (unsigned long cap = 0; cap < 64; cap++) {
    if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != 1)
      continue;
    if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno != EPERM)
      return RN_ERR_SYS;
  }
  (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
  const struct __user_cap_data_struct none[2] = { { 0 } };
  if (syscall(SYS_capset, &head, none) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return RN_ERR_SYS;
  return rn_sys_caps() == 0 ? RN_OK : RN_ERR_SYS;
}

int rn_sys_not_dumpable(void) {
  return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? RN_OK : RN_ERR_SYS;
}
