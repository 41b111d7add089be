/* lib/topo/mandate.h: what rpcnetd itself tells a data plane on its command line. The data plane starts with rpcnetd's privileges, but its description is
 * control's, and control may have been taken over: what the data plane becomes and which interface it opens with those privileges has to be what rpcnetd
 * read in the configuration. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "topo/topo.h"

struct rn_mandate {
  uint32_t uid, gid; /* as in struct rn_topo */
  uint32_t sandbox;
  uint32_t driver;                    /* of every port */
  char interface[RN_TOPO_NAME_BYTES]; /* the same */
};

#define RN_MANDATE_TEXT_BYTES 128

/* One word for a command line: "UID:GID:SANDBOX:DRIVER:INTERFACE", numbers in decimal. */
void rn_mandate_text(const struct rn_mandate *m, char out[RN_MANDATE_TEXT_BYTES]);

/* The opposite. RN_OK; RN_ERR_INVAL for any other text. */
int rn_mandate_parse(const char *text, struct rn_mandate *out);

/* Whether t keeps to it. RN_OK; RN_ERR_REFUSED with what does not in why. */
int rn_mandate_check(const struct rn_mandate *m, const struct rn_topo *t, char *why,
                     size_t why_bytes);
