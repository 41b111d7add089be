/* lib/topo/topo.c: building and reading a region. Where everything lies follows from the counts and
 * sizes alone, so the reader computes it again and accepts nothing else. */
#include "topo/topo.h"

#include <stdio.h>
#include <string.h>

#include "ring/msg.h"
#include "topo_layout.h"
#include "util/err.h"

#define LINE 64u
#define PAGE 4096u

static uint64_t round_up(uint64_t v, uint64_t to) { return (v + to - 1) / to * to; }

uint64_t rn_topo_layout_hash(void) {
  /* The text of the declarations, and what this compiler made of them. */
  const size_t sizes[] = { sizeof(struct rn_topo), sizeof(struct rn_stats_page),
                           sizeof(struct rn_ring_hdr), sizeof(struct rn_quic_config),
                           sizeof(struct rn_quic_limits) };
  uint64_t h = RN_TOPO_LAYOUT;
  for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
    h = (h ^ sizes[i]) * 1099511628211ull;
  return h ^ rn_msg_schema();
}

static struct rn_topo_span place(uint64_t *at, uint64_t bytes, uint64_t align) {
  struct rn_topo_span s = { .off = round_up(*at, align), .bytes = bytes };
  *at = s.off + bytes;
  return s;
}

/* Fills in the places of *t. Each lcore's memory starts on a page of its own. Returns the region's
 * size. */
static uint64_t lay_out(struct rn_topo *t, struct rn_region_hdr *hdr, uint64_t cert_bytes,
                        uint64_t ca_bytes, uint64_t peer_ca_bytes) {
  uint64_t at = sizeof(struct rn_region_hdr);
  uint64_t ring_bytes = rn_ring_footprint(&t->ring);
  hdr->topo_off = place(&at, sizeof(struct rn_topo), LINE).off;
  t->tls.cert = place(&at, cert_bytes, LINE);
  t->tls.ca = place(&at, ca_bytes, LINE);
  t->tls.peer_ca = place(&at, peer_ca_bytes, LINE);
  hdr->blob_off = t->tls.cert.off;
  hdr->blob_bytes = at - t->tls.cert.off;
  for (uint32_t i = 0; i < t->lcore_count; i++) {
    struct rn_topo_lcore *l = &t->lcores[i];
    l->to_control = place(&at, ring_bytes, PAGE);
    l->from_control = place(&at, ring_bytes, LINE);
    l->stats = place(&at, sizeof(struct rn_stats_page), LINE);
  }
  hdr->total_bytes = round_up(at, PAGE);
  return hdr->total_bytes;
}

size_t rn_topo_footprint(const struct rn_topo *t, const struct rn_topo_blobs *blobs) {
  if (t->lcore_count == 0 || t->lcore_count > RN_TOPO_LCORES_MAX ||
      rn_ring_footprint(&t->ring) == 0 || blobs->cert.bytes == 0 ||
      blobs->cert.bytes > RN_TOPO_BLOB_MAX || blobs->ca.bytes > RN_TOPO_BLOB_MAX ||
      blobs->peer_ca.bytes > RN_TOPO_BLOB_MAX)
    return 0;
  struct rn_topo copy = *t;
  struct rn_region_hdr hdr;
  uint64_t bytes = lay_out(&copy, &hdr, blobs->cert.bytes, blobs->ca.bytes, blobs->peer_ca.bytes);
  return bytes <= RN_TOPO_REGION_MAX ? (size_t)bytes : 0;
}

static void put_blob(uint8_t *base, const struct rn_topo_span *at, const struct rn_topo_blob *b) {
  if (b->bytes > 0)
    memcpy(base + at->off, b->p, b->bytes);
}

int rn_topo_build(void *mem, size_t bytes, struct rn_topo *t, const struct rn_topo_blobs *blobs,
                  uint32_t owner_pid, char *why, size_t why_bytes) {
  if (rn_topo_footprint(t, blobs) != bytes || bytes == 0) {
    snprintf(why, why_bytes, "a region of %zu bytes does not fit the description", bytes);
    return RN_ERR_INVAL;
  }
  struct rn_topo full = *t;
  struct rn_region_hdr hdr = { .abi = RN_REGION_ABI,
                               .owner_pid = owner_pid,
                               .layout_hash = rn_topo_layout_hash() };
  lay_out(&full, &hdr, blobs->cert.bytes, blobs->ca.bytes, blobs->peer_ca.bytes);
  int err = rn_topo_check(&full, why, why_bytes);
  if (err != RN_OK)
    return err;
  uint8_t *base = mem;
  memcpy(base + hdr.topo_off, &full, sizeof(full));
  put_blob(base, &full.tls.cert, &blobs->cert);
  put_blob(base, &full.tls.ca, &blobs->ca);
  put_blob(base, &full.tls.peer_ca, &blobs->peer_ca);
  for (uint32_t i = 0; i < full.lcore_count; i++) {
    /* Cannot fail: sizes and alignment are right by now. */
    (void)rn_ring_format(base + full.lcores[i].to_control.off, &full.ring, rn_msg_schema(),
                         full.start_unix_ns);
    (void)rn_ring_format(base + full.lcores[i].from_control.off, &full.ring, rn_msg_schema(),
                         full.start_unix_ns);
  }
  hdr.magic = RN_REGION_MAGIC;
  memcpy(base, &hdr, sizeof(hdr));
  *t = full;
  return RN_OK;
}

static const char *hdr_wrong(const struct rn_region_hdr *hdr, size_t bytes) {
  if (hdr->magic != RN_REGION_MAGIC)
    return "this memory is no region";
  if (hdr->abi != RN_REGION_ABI || hdr->layout_hash != rn_topo_layout_hash())
    return "the region was made by another version of rpcnet";
  if (hdr->total_bytes != bytes)
    return "the region's size is not that of its memory";
  if (hdr->topo_off > bytes || bytes - hdr->topo_off < sizeof(struct rn_topo))
    return "the description lies outside of the region";
  return NULL;
}

int rn_topo_attach(void *map, size_t bytes, struct rn_topo_view *out, char *why, size_t why_bytes) {
  struct rn_region_hdr hdr, want_hdr;
  if (bytes < sizeof(hdr)) {
    snprintf(why, why_bytes, "the region is smaller than its header");
    return RN_ERR_CORRUPT;
  }
  memcpy(&hdr, map, sizeof(hdr));
  const char *wrong = hdr_wrong(&hdr, bytes);
  if (wrong != NULL) {
    snprintf(why, why_bytes, "%s", wrong);
    return RN_ERR_CORRUPT;
  }
  struct rn_topo t, want;
  memcpy(&t, (const uint8_t *)map + hdr.topo_off, sizeof(t));
  if (rn_topo_check(&t, why, why_bytes) != RN_OK)
    return RN_ERR_CORRUPT;
  want = t;
  want_hdr = hdr;
  if (lay_out(&want, &want_hdr, t.tls.cert.bytes, t.tls.ca.bytes, t.tls.peer_ca.bytes) != bytes ||
      memcmp(&want, &t, sizeof(t)) != 0 || memcmp(&want_hdr, &hdr, sizeof(hdr)) != 0) {
    snprintf(why, why_bytes, "parts of the region are not where they belong");
    return RN_ERR_CORRUPT;
  }
  out->base = map;
  out->bytes = bytes;
  out->topo = t;
  return RN_OK;
}

int rn_topo_lcore_rings(const struct rn_topo_view *v, uint32_t idx, struct rn_ring_tx *to_control,
                        struct rn_ring_rx *from_control) {
  RN_ASSERT(idx < v->topo.lcore_count);
  const struct rn_topo_lcore *l = &v->topo.lcores[idx];
  struct rn_ring_tx tx;
  int err = rn_ring_tx_attach(&tx, v->base + l->to_control.off, &v->topo.ring, rn_msg_schema());
  if (err == RN_OK)
    err = rn_ring_rx_attach(from_control, v->base + l->from_control.off, &v->topo.ring,
                            rn_msg_schema());
  if (err == RN_OK)
    *to_control = tx;
  return err;
}

int rn_topo_control_rings(const struct rn_topo_view *v, uint32_t idx, struct rn_ring_rx *from_lcore,
                          struct rn_ring_tx *to_lcore) {
  RN_ASSERT(idx < v->topo.lcore_count);
  const struct rn_topo_lcore *l = &v->topo.lcores[idx];
  struct rn_ring_tx tx;
  int err = rn_ring_tx_attach(&tx, v->base + l->from_control.off, &v->topo.ring, rn_msg_schema());
  if (err == RN_OK)
    err =
        rn_ring_rx_attach(from_lcore, v->base + l->to_control.off, &v->topo.ring, rn_msg_schema());
  if (err == RN_OK)
    *to_lcore = tx;
  return err;
}

struct rn_stats_page *rn_topo_stats(const struct rn_topo_view *v, uint32_t idx) {
  RN_ASSERT(idx < v->topo.lcore_count);
  return (struct rn_stats_page *)(v->base + v->topo.lcores[idx].stats.off);
}

static const char *blob(const struct rn_topo_view *v, const struct rn_topo_span *s, size_t *bytes) {
  *bytes = (size_t)s->bytes;
  return s->bytes > 0 ? (const char *)v->base + s->off : NULL;
}

const char *rn_topo_cert(const struct rn_topo_view *v, size_t *bytes) {
  return blob(v, &v->topo.tls.cert, bytes);
}

const char *rn_topo_ca(const struct rn_topo_view *v, size_t *bytes) {
  return blob(v, &v->topo.tls.ca, bytes);
}

const char *rn_topo_peer_ca(const struct rn_topo_view *v, size_t *bytes) {
  return blob(v, &v->topo.tls.peer_ca, bytes);
}

unsigned int rn_topo_fd_count(const struct rn_topo *t) { return 2 + t->lcore_count; }
