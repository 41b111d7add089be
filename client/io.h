/* client/io.h: where a client's datagrams come from and go to: a UDP socket (client/udp.h), or anything else that has these functions, such as a
 * port of the data plane. One thread uses each. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "quic/quic.h"
#include "util/addr.h"

struct rn_client_io {
  /* The address datagrams are sent from. */
  const struct rn_addr *(*local)(void *ctx);
  /* Received datagrams, without waiting; *out is valid until rx_done. Returns how many. */
  size_t (*rx)(void *ctx, uint64_t now_ns, const struct rn_dgram **out);
  void (*rx_done)(void *ctx);
  /* For rn_quic_tx; flush afterwards sends what was committed. */
  const struct rn_quic_sink *(*sink)(void *ctx);
  void (*flush)(void *ctx, uint64_t now_ns);
  /* Sleeps until a datagram comes, at most wait_ns. */
  void (*wait)(void *ctx, uint64_t wait_ns);
  /* Another source port; may be NULL. RN_OK or RN_ERR_SYS. */
  int (*rebind)(void *ctx);
  void (*close)(void *ctx);
};

/* The functions of a struct rn_udp. */
extern const struct rn_client_io rn_client_io_udp;
