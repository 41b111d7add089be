/* tests/fuzz/fuzz_topo.c: attaching to a region whose header and description say anything.
 *
 *   writes      2 octets where, in the header and the description; 1 octet how: 0-127 this is added, 128-191 8 octets take the place, else the region's
 *               size less 2 octets does
 *
 * Checked: a region is attached only when all its parts are where they belong and every field is in its range, and else says why. */
#include "fuzz.h"

#include "topo/topo.h"
#include "unit/topo/sample.h"
#include "util/err.h"

static uint8_t *region, *mem; /* sound, and what is written to */
static size_t region_bytes;

static void make_region(void) {
  char why[256];
  struct rn_topo topo = sample_topo();
  const struct rn_topo_blobs blobs = { .cert = { sample_cert, sizeof(sample_cert) } };
  topo.ring = (struct rn_ring_size){ .slot_count = 8, .bytes_cap = 4096 };
  region_bytes = rn_topo_footprint(&topo, &blobs);
  CHECK(region_bytes > 0);
  region = aligned_alloc(4096, region_bytes);
  mem = aligned_alloc(4096, region_bytes);
  CHECK(region != NULL && mem != NULL);
  memset(region, 0, region_bytes);
  CHECK(rn_topo_build(region, region_bytes, &topo, &blobs, 1, why, sizeof(why)) == RN_OK);
}

static void check_attached(const struct rn_topo_view *v) {
  char why[256];
  size_t n;
  CHECK(v->base == mem && v->bytes == region_bytes);
  CHECK(rn_topo_check(&v->topo, why, sizeof(why)) == RN_OK);
  const char *cert = rn_topo_cert(v, &n);
  CHECK(n > 0 && fuzz_inside(mem, region_bytes, cert, n));
  fuzz_read_all(cert, n);
  const char *ca = rn_topo_ca(v, &n);
  CHECK(ca == NULL ? n == 0 : fuzz_inside(mem, region_bytes, ca, n));
  const char *peer_ca = rn_topo_peer_ca(v, &n);
  CHECK(peer_ca == NULL ? n == 0 : fuzz_inside(mem, region_bytes, peer_ca, n));
  CHECK(rn_topo_fd_count(&v->topo) == 2 + v->topo.lcore_count);
  for (uint32_t i = 0; i < v->topo.lcore_count; i++) {
    struct rn_ring_tx tx;
    struct rn_ring_rx rx;
    struct rn_lcore_stats st;
    CHECK(fuzz_inside(mem, region_bytes, rn_topo_stats(v, i), sizeof(struct rn_stats_page)));
    CHECK(rn_stats_read(rn_topo_stats(v, i), &st, NULL) == RN_OK);
    CHECK(rn_topo_lcore_rings(v, i, &tx, &rx) == RN_OK);
    CHECK(rn_topo_control_rings(v, i, &rx, &tx) == RN_OK);
  }
}

static void write_into(struct fuzz_in *in, size_t reach) {
  size_t at = fuzz_le(in, 2) % reach;
  uint8_t how = fuzz_u8(in);
  uint64_t value = how < 192 ? 0 : region_bytes - fuzz_le(in, 2);
  if (how >= 128 && how < 192)
    value = fuzz_le(in, 8);
  if (how < 128)
    mem[at] = (uint8_t)(mem[at] + how);
  else
    memcpy(mem + at, &value, reach - at < 8 ? reach - at : 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  static struct rn_topo_view v, before;
  struct fuzz_in in = { data, data + len };
  struct rn_region_hdr hdr;
  char why[256] = { 0 };
  if (region == NULL)
    make_region();
  memcpy(mem, region, region_bytes);
  memcpy(&hdr, mem, sizeof(hdr));
  while (fuzz_more(&in))
    write_into(&in, hdr.topo_off + sizeof(struct rn_topo));
  memset(&v, 0x5a, sizeof(v));
  memset(&before, 0x5a, sizeof(before));
  int err = rn_topo_attach(mem, region_bytes, &v, why, sizeof(why));
  if (err == RN_OK)
    check_attached(&v);
  else
    CHECK(err == RN_ERR_CORRUPT && why[0] != 0 && memcmp(&v, &before, sizeof(v)) == 0);
  return 0;
}
