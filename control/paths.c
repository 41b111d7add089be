/* control/paths.c */
#include "control/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sys/log.h"

void rn_admin_path(const struct rn_config *cfg, char *out, size_t cap) {
  if (cfg->admin.socket[0] == '/')
    snprintf(out, cap, "%s", cfg->admin.socket);
  else
    snprintf(out, cap, "%s/%s", cfg->node.run_dir, cfg->admin.socket);
}

bool rn_find_program(const char *name, const char *given, char *out, size_t cap) {
  static const char *const places[] = { "", "../libexec/rpcnet/", "../control/", "../dataplane/" };
  char self[PATH_MAX];
  if (given != NULL) {
    snprintf(out, cap, "%s", given);
    if (access(out, X_OK) == 0)
      return true;
    rn_error("%s: %s", given, strerror(errno));
    return false;
  }
  ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
  self[n > 0 ? n : 0] = '\0';
  char *slash = strrchr(self, '/');
  if (slash != NULL)
    slash[1] = '\0';
  for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
    int len = snprintf(out, cap, "%s%s%s", self, places[i], name);
    if (len > 0 && (size_t)len < cap && access(out, X_OK) == 0)
      return true;
  }
  rn_error("%s is not installed beside this program (%s) nor in ../libexec/rpcnet", name, self);
  return false;
}
