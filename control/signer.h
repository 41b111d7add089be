/* control/signer.h: signatures on rpcnet-control's event loop: quick ones at once, slow ones (RSA) on worker threads behind a bounded queue. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "control/keys.h"
#include "control/stats.h"

/* One request and its answer. */
struct rn_sign_job {
  uint64_t job;        /* the data plane's name for it */
  uint32_t generation; /* of the data plane that asked */
  uint16_t lcore_idx;
  uint16_t scheme;
  uint16_t tbs_bytes;
  uint16_t sig_bytes;
  int32_t status;
  uint8_t tbs[146];
  uint8_t sig[512];
};

struct rn_signer {
  uv_loop_t *loop;
  const struct rn_keys *keys;
  struct rn_control_stats *stats;
  uint32_t queued_max;
  uint32_t queued;
  /* Called on the loop, once for each request, perhaps before rn_signer_submit returns. */
  void (*done)(void *arg, const struct rn_sign_job *j);
  void *arg;
};

/* Takes a request; what cannot be signed is answered too. The fields from job to tbs are read. */
void rn_signer_submit(struct rn_signer *s, const struct rn_sign_job *j);
