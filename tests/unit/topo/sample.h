/* tests/unit/topo/sample.h: a description of a node with three lcores, sound in every field. */
#pragma once
#include <string.h>

#include "topo/topo.h"

static const char sample_cert[] =
    "-----BEGIN CERTIFICATE-----\nnot a real one\n-----END CERTIFICATE-----\n";

static inline struct rn_topo sample_topo(void) {
  struct rn_topo t;
  memset(&t, 0, sizeof(t));
  strcpy(t.node_name, "node-1");
  t.start_unix_ns = 1700000000000000000ull;
  t.lcore_count = 3;
  t.port_count = 1;
  t.log_level = 2;
  t.memory_mb = 256;
  t.mbufs_per_lcore = 8192;
  t.rx_descs = t.tx_descs = 1024;
  t.ring = (struct rn_ring_size){ .slot_count = 256, .bytes_cap = 65536 };
  t.quic_limits = (struct rn_quic_limits){ .conns = 1000,
                                           .half_open = 100,
                                           .streams = 100000,
                                           .segs = 4096,
                                           .bulk_segs = 256,
                                           .sign_jobs = 64,
                                           .heap_bytes = 64u << 20 };
  t.quic.listen = true;
  t.quic.handshake_timeout_ns = 10000000000ull;
  t.quic.conn_window = t.quic.stream_window = 1 << 20;
  t.quic.max_streams_bidi = 10000;
  t.quic.send_bytes = 1 << 20;
  t.quic.max_udp_payload = 1452;
  t.cid.lcore_count = 3;
  strcpy(t.tls.alpn, "h3");
  t.rpc = (struct rn_topo_rpc){ .calls = 1000,
                                .request_bytes_max = 1 << 20,
                                .response_bytes_max = 1 << 20,
                                .message_bytes_max = 1 << 20,
                                .buffer_bytes = 1 << 26 };
  for (int i = 0; i < 3; i++)
    t.lcores[i].cpu = i - 1;
  t.ports[0].driver = RN_TOPO_AF_PACKET;
  strcpy(t.ports[0].interface, "eth0");
  t.ports[0].udp_port = 8080;
  return t;
}
