/* tests/harness/peer.h: an endpoint with the settings that tests want, and an application that counts and echoes. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "harness/net.h"
#include "harness/pki.h"
#include "quic/quic.h"
#include "quic/tls.h"

struct peer {
  struct rn_quic *q;
  struct rn_quic_tls *tls;
  struct rn_quic_params params;
  void *mem;
  size_t mem_bytes;
  const struct pki *pki;
  struct rn_rng rng;
  /* what the application does */
  bool echo;       /* send back what comes, FIN with FIN */
  bool defer_sign; /* keep the request in sign_*, the test answers */
  bool refuse_sign;
  bool no_credit; /* never consume */
  /* what it saw */
  struct rn_quic_conn *conn; /* the last that got ready */
  uint32_t ready, closed, streams_open, streams_closed, resets, stops, writables, available;
  uint64_t bytes, fins,
      hash; /* of all stream data: FNV over (stream id, byte) per stream would need state; order of arrival here */
  struct rn_quic_close why;
  uint64_t sign_job;
  uint16_t sign_scheme;
  uint8_t sign_tbs[RN_QUIC_TBS_BYTES_MAX];
  size_t sign_tbs_bytes;
  uint32_t foreign;
};

/* Defaults: server when pki is given, 64 connections, 256 streams each, windows of 1 MiB, idle 30 s. Change p->params before
 * peer_start. ca: the certificate the client trusts; NULL: it trusts any. */
void peer_prepare(struct peer *p, const struct pki *pki, uint64_t seed);
void peer_start(struct peer *p, const struct pki *ca,
                const struct rn_quic_tls_config *tls_override);
void peer_stop(struct peer *p);
/* peer_start in two steps, for many peers of one TLS context, which stays the caller's. own: NULL for a client. */
struct rn_quic_tls *peer_tls(const struct pki *own, const struct pki *ca,
                             const struct rn_quic_tls_config *tls_override);
void peer_start_with(struct peer *p, struct rn_quic_tls *tls);
/* What the endpoint's events->sign does, for applications of their own. */
int peer_sign(struct peer *p, const struct rn_quic_sign_req *req);

/* Zeroed memory for an object with a footprint; 64-byte aligned. bytes: a multiple of 64. Aborts when there is none. */
void *region_new(size_t bytes);
void region_free(void *mem, size_t bytes);
