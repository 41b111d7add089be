/* lib/topo/region.h: the shared memory between control and the data plane, from its first byte.
 *
 *   0              struct rn_region_hdr
 *   topo_off       struct rn_topo: written by control before the data plane starts, read once by it
 *   blob_off       certificate chain, trust anchors (PEM; never a private key)
 *   per lcore      ring lcore -> control, ring control -> lcore, statistics page
 *
 * It is one memfd, sealed against shrinking and growing, that has no name in any file system. A new
 * region is made for each start of the data plane, so a data plane that died leaves nothing behind
 * that would have to be repaired. */
#pragma once
#include <assert.h>
#include <stdint.h>

#define RN_REGION_MAGIC 0x6e6f69676572636eu /* "ncregion" */
#define RN_REGION_ABI   1u

struct rn_region_hdr {
  uint64_t magic;
  uint32_t abi;
  uint32_t owner_pid;   /* the control process that made it */
  uint64_t layout_hash; /* rn_topo_layout_hash() of its maker: another build's region is refused */
  uint64_t total_bytes;
  uint64_t topo_off;
  uint64_t blob_off;
  uint64_t blob_bytes;
  uint64_t zero;
};

static_assert(sizeof(struct rn_region_hdr) == 64, "shared layout");
