/* control/paths.h: where things are. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "control/config.h"

/* The admin socket's path: below node.run_dir unless it is absolute. */
void rn_admin_path(const struct rn_config *cfg, char *out, size_t cap);

/* The path of one of our programs: given if not NULL, else beside the running one, in ../libexec/rpcnet from there, or in the neighbouring
 * directory of a build tree. False, with an error logged, when there is none that can be executed. */
bool rn_find_program(const char *name, const char *given, char *out, size_t cap);
