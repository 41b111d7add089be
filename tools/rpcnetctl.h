/* tools/rpcnetctl.h: tables from the answers of a node. */
#pragma once
#include <stdbool.h>
#include <stdio.h>

#include <yyjson.h>

/* result: the "result" of an answer. */
void rn_ctl_print_status(FILE *out, yyjson_val *result);
/* Values that are zero on every lcore are left out unless all is set. */
void rn_ctl_print_stats(FILE *out, yyjson_val *result, bool all);
