/* control/topo_of.h: from the configuration to the description that the data plane reads. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/config.h"
#include "topo/topo.h"

/* What the configuration alone does not say. */
struct rn_topo_inputs {
  const uint8_t *
      secret; /* what connection ID, reset, token and ticket keys are made of; RN_SECRET_BYTES_MIN or more */
  size_t secret_bytes;
  uint32_t key_epoch;     /* of the secret */
  uint8_t epoch;          /* of the data plane that is to start: another one each time */
  uint64_t start_unix_ns; /* wall clock */
  bool privileged;        /* it starts as root and has to become somebody else */
  bool bpf_attached;
};

/* All bytes of *out are written. RN_OK, or RN_ERR_CONFIG when the secret is too short. Places in the region are rn_topo_build's. */
int rn_topo_of_config(const struct rn_config *cfg, const struct rn_topo_inputs *in,
                      struct rn_topo *out);

/* True when a data plane that was started with a serves what one started with b would: only what differs from start to start is ignored. */
bool rn_topo_serves_same(const struct rn_topo *a, const struct rn_topo *b);
