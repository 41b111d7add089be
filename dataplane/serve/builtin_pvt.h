/* dataplane/serve/builtin_pvt.h: shared by the files of the built-in methods. */
#pragma once
#include "rpc/handler.h"

extern const struct rn_handler rn_builtin_streaming[];
extern const unsigned int rn_builtin_streaming_count;
extern const struct rn_handler rn_builtin_inference;
