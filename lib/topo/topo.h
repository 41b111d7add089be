/* lib/topo/topo.h: one description of a node's lcores, ports, rings and limits. Control builds it,
 * the data plane reads it.
 *
 * How the data plane gets it. rpcnetd executes rpcnet-dataplane with these descriptors open and no
 * others above 2:
 *
 *   3              the region (memfd)
 *   4              control's doorbell (eventfd): the lcores write, control reads
 *   5 + lcore_idx  the lcore's doorbell (non-blocking eventfd): control writes, the lcore reads
 *
 * It maps all of 3 (rn_sys_memfd_check, rn_sys_map), calls
 *
 *   rn_topo_attach(map, bytes, &v, why, sizeof(why))     not RN_OK: logs why, exit status 2
 *   rn_mandate_check(...)                                the same: topo/mandate.h
 *   rn_topo_lcore_rings(&v, i, &to_control, &from_control)    once per lcore, on its thread
 *   rn_stats_publish(rn_topo_stats(&v, i), &stats, now_ns)    topo/stats.h, in housekeeping
 *
 * and then sends READY from each lcore, and again after each CTL_HELLO (a control process that died
 * was replaced). CTL_SHUTDOWN and SIGTERM ask it to close connections and exit with status 0. Exit
 * status 2 means that a restart would not help.
 *
 * The data plane copies the description to private memory and checks every field; rn_topo_check
 * says which one is wrong. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quic/cid.h"
#include "quic/quic.h"
#include "ring/ring.h"
#include "topo/region.h"
#include "topo/stats.h"
#include "util/addr.h"

#define RN_TOPO_FD_REGION   3
#define RN_TOPO_FD_CONTROL  4
#define RN_TOPO_FD_LCORE(i) (5 + (int)(i))

#define RN_TOPO_LCORES_MAX        32u
#define RN_TOPO_PORTS_MAX         4u
#define RN_TOPO_ADDRS_MAX         8u
#define RN_TOPO_NAME_BYTES        64u
#define RN_TOPO_LIST_BYTES        256u
#define RN_TOPO_BLOB_MAX          (1u << 20)
#define RN_TOPO_SERVER_NAME_BYTES 256u
#define RN_TOPO_REGION_MAX        (1u << 30)

enum rn_topo_driver {
  RN_TOPO_AF_PACKET,
  RN_TOPO_AF_XDP,
  RN_TOPO_TAP,
  RN_TOPO_MEMIF,
  RN_TOPO_VIRTIO_USER,
  RN_TOPO_VFIO,
  RN_TOPO_NULL,
  RN_TOPO_DRIVER_COUNT
};
enum rn_topo_mode {
  RN_TOPO_SHARED,
  RN_TOPO_OWNED,
  RN_TOPO_MODE_COUNT
}; /* who answers ARP, NDP, ICMP: the kernel, or the data plane */
enum rn_topo_idle { RN_TOPO_IDLE_ADAPTIVE, RN_TOPO_IDLE_SPIN, RN_TOPO_IDLE_COUNT };

/* A place in the region. */
struct rn_topo_span {
  uint64_t off; /* from the region's start; a multiple of 64 */
  uint64_t bytes;
};

struct rn_topo_lcore {
  int32_t cpu; /* the core it is pinned to, 0..1023; -1: not pinned */
  uint32_t zero;
  struct rn_topo_span to_control;
  struct rn_topo_span from_control;
  struct rn_topo_span stats;
};

/* One interface address with the prefix of its link. */
struct rn_topo_addr {
  struct rn_addr addr;  /* port 0 */
  uint32_t prefix_bits; /* 0..32 or 0..128 */
  uint32_t zero;
};

struct rn_topo_port {
  uint32_t driver;                    /* enum rn_topo_driver */
  uint32_t mode;                      /* enum rn_topo_mode */
  char interface[RN_TOPO_NAME_BYTES]; /* a device's name, a PCI address or a socket path;
                                         NUL-terminated */
  uint32_t addr_count; /* 1..RN_TOPO_ADDRS_MAX in owned mode; 0 in shared mode: read them from the
                          interface */
  uint16_t udp_port;   /* 1..65535 */
  uint16_t mtu;        /* 1280..9216; 0: the device's */
  struct rn_topo_addr addrs[RN_TOPO_ADDRS_MAX];
  struct rn_addr gateway4; /* family 0: none */
  struct rn_addr gateway6;
  uint8_t mac[6];       /* all zero: the device's */
  uint8_t bpf_attached; /* 1: an XDP program of ours sits on the interface */
  uint8_t zero[1];
};

struct rn_topo_tls {
  struct rn_topo_span cert; /* PEM chain, leaf first; never empty */
  struct rn_topo_span ca; /* PEM trust anchors; bytes 0: clients are not asked for a certificate */
  struct rn_topo_span peer_ca; /* PEM trust anchors for peers that are dialled; bytes 0: none is */
  char cipher_suites[RN_TOPO_LIST_BYTES]; /* OpenSSL names, ':' between; empty: default */
  char groups[RN_TOPO_LIST_BYTES];        /* the same */
  char alpn[RN_TOPO_NAME_BYTES];          /* never empty */
  uint32_t require_client_cert;           /* 0 or 1; 1 needs ca */
  uint32_t session_tickets;               /* 0 or 1 */
  uint8_t ticket_keys[80]; /* rn_quic_tls_config.ticket_keys; all zero: random ones */
};

/* Limits of lib/rpc, per lcore unless said otherwise. */
struct rn_topo_rpc {
  uint32_t calls; /* calls in progress, 1..16,777,216 */
  uint32_t zero;
  uint64_t request_bytes_max;  /* one request's parameters, 1..2^31 */
  uint64_t response_bytes_max; /* one response's result, 1..2^31 */
  uint64_t message_bytes_max;  /* one streaming frame, 1..2^31 */
  uint64_t buffer_bytes;       /* all partially received requests together, >= request_bytes_max */
  uint64_t request_timeout_ns; /* 0: none */
  uint64_t stream_item_timeout_ns; /* 0: none */
};

/* What an lcore needs for connections that it opens itself: to peers for gossip, to workers for
 * calls that it forwards. All zero unless enabled. */
#define RN_TOPO_ALLOWED_MAX 64u
struct rn_topo_cluster {
  uint32_t enabled;                            /* 0 or 1; 1 needs tls.peer_ca */
  uint32_t conns_per_worker;                   /* 1..64 */
  uint64_t ping_interval_ns;                   /* of silence on a gossip connection; above 0 */
  uint64_t idle_timeout_ns;                    /* of a worker's connection without calls; above 0 */
  uint64_t connect_timeout_ns;                 /* above 0 */
  char server_name[RN_TOPO_SERVER_NAME_BYTES]; /* what a peer's certificate has to be valid for */
  uint32_t allowed_count; /* 0..RN_TOPO_ALLOWED_MAX; 0: whoever can connect may gossip */
  uint32_t warm_conns;    /* of conns_per_worker, made before there is a call; 0..64 */
  uint8_t allowed[RN_TOPO_ALLOWED_MAX][32]; /* SHA-256 of client certificates that may */
};

/* Calls for others: whom each is for comes by ring (POOL), by the index of its route. All zero unless enabled. */
#define RN_TOPO_ROUTES_MAX 63u
struct rn_topo_route {
  char method[128];       /* NUL-terminated; exact, or a beginning and "*" */
  uint32_t strategy;      /* enum rn_topo_strategy */
  uint32_t near_first;    /* 0 or 1: workers of our zone while there is one */
  uint32_t idempotent;    /* 0 or 1 */
  uint32_t max_in_flight; /* above 0 */
  uint32_t
      call_all; /* 0 or 1: method is exact, and what is said of choosing and trying again is 0 */
  uint32_t zero;
  uint64_t timeout_ns; /* 0: none, as the next two */
  uint64_t try_timeout_ns;
  uint64_t hedge_ns;
};
enum rn_topo_strategy {
  RN_TOPO_ROUND_ROBIN,
  RN_TOPO_RANDOM,
  RN_TOPO_LEAST_CONNECTIONS,
  RN_TOPO_P2C_EWMA,
  RN_TOPO_WEIGHTED,
  RN_TOPO_CONSISTENT_HASH,
  RN_TOPO_STRATEGY_COUNT
};
struct rn_topo_director {
  uint32_t enabled; /* 0 or 1; 1 needs cluster.enabled */
  uint32_t
      get_worker; /* 0 or 1: answer DirectorRegistry.get_worker, with the pool of route number route_count */
  uint32_t strategy;    /* of get_worker */
  uint32_t route_count; /* 0..RN_TOPO_ROUTES_MAX */
  uint64_t lease_ns;    /* above 0 */
  struct rn_topo_route routes[RN_TOPO_ROUTES_MAX];
};

/* A method with values of its own. */
#define RN_TOPO_METHODS_MAX       64u
#define RN_TOPO_METHOD_NAME_BYTES 128u
struct rn_topo_method {
  char name[RN_TOPO_METHOD_NAME_BYTES]; /* NUL-terminated */
  uint64_t request_timeout_ns;          /* 0: none */
  uint64_t request_bytes_max;           /* 1..rn_topo_rpc.buffer_bytes */
};

struct rn_topo {
  char node_name[RN_TOPO_NAME_BYTES]; /* for logs and metric labels; NUL-terminated */
  uint64_t start_unix_ns;             /* wall clock when the region was made */
  uint32_t lcore_count;               /* 1..RN_TOPO_LCORES_MAX */
  uint32_t port_count;                /* 1..RN_TOPO_PORTS_MAX */
  uint32_t uid; /* what the data plane becomes after it opened its port; 0 with gid 0: it stays who
                   it is */
  uint32_t gid;
  uint32_t idle;            /* enum rn_topo_idle */
  uint32_t log_level;       /* enum rn_log_level, sys/log.h */
  uint32_t hugepages;       /* 0 or 1 */
  uint32_t memory_mb;       /* EAL memory, 16..1,048,576 */
  uint32_t mbufs_per_lcore; /* packet buffers, 1,024..1,048,576 */
  uint32_t rx_descs;        /* per queue, 64..8,192, power of two */
  uint32_t tx_descs;
  uint32_t sandbox;                  /* 0 or 1: seccomp */
  struct rn_ring_size ring;          /* of each ring in the region */
  struct rn_quic_limits quic_limits; /* per lcore */
  struct rn_quic_config quic;
  struct rn_cid_config cid; /* lcore_idx is to be set by each lcore; lcore_count is this node's */
  struct rn_topo_tls tls;
  struct rn_topo_rpc rpc;
  struct rn_topo_cluster cluster;
  struct rn_topo_director director;
  uint32_t method_count;      /* 0..RN_TOPO_METHODS_MAX */
  uint32_t scatter;           /* 0 or 1: treat every other datagram as arrived at the next lcore */
  uint64_t trace_interval_ns; /* how often a call is followed; 0: never */
  struct rn_topo_method methods[RN_TOPO_METHODS_MAX];
  struct rn_topo_lcore lcores[RN_TOPO_LCORES_MAX];
  struct rn_topo_port ports[RN_TOPO_PORTS_MAX];
};

/* A mapped region. topo is a private copy. */
struct rn_topo_view {
  uint8_t *base;
  size_t bytes;
  struct rn_topo topo;
};

/* A PEM text; bytes 0: there is none. */
struct rn_topo_blob {
  const void *p;
  size_t bytes;
};

/* Those of a region, each at most RN_TOPO_BLOB_MAX. */
struct rn_topo_blobs {
  struct rn_topo_blob cert; /* never empty */
  struct rn_topo_blob ca;
  struct rn_topo_blob peer_ca; /* empty unless cluster.enabled */
};

/* Hash over the declarations of everything in a region: structures, messages, metrics. Both sides
 * must have the same. */
uint64_t rn_topo_layout_hash(void);

/* Checks every field on its own and against others, except places in the region. RN_OK, or
 * RN_ERR_INVAL with the field's name and what is wrong with it in why. */
int rn_topo_check(const struct rn_topo *t, char *why, size_t why_bytes);

/* Bytes of a region for t (lcore_count, ring) and these PEM texts; 0 if something is out of range.
 */
size_t rn_topo_footprint(const struct rn_topo *t, const struct rn_topo_blobs *blobs);

/* Writes a region into mem (footprint bytes, zeroed, 64-byte aligned): header, description, blobs,
 * empty rings. Fills in the places in *t. RN_OK; RN_ERR_INVAL with why. */
int rn_topo_build(void *mem, size_t bytes, struct rn_topo *t, const struct rn_topo_blobs *blobs,
                  uint32_t owner_pid, char *why, size_t why_bytes);

/* Reads a mapped region: magic, ABI, layout hash, then rn_topo_check, then that every place is
 * where rn_topo_build puts it. RN_OK; RN_ERR_CORRUPT with why, and *out unchanged. */
int rn_topo_attach(void *map, size_t bytes, struct rn_topo_view *out, char *why, size_t why_bytes);

/* The data plane's ends of lcore idx's rings. RN_OK or RN_ERR_CORRUPT. */
int rn_topo_lcore_rings(const struct rn_topo_view *v, uint32_t idx, struct rn_ring_tx *to_control,
                        struct rn_ring_rx *from_control);
/* Control's ends of the same. */
int rn_topo_control_rings(const struct rn_topo_view *v, uint32_t idx, struct rn_ring_rx *from_lcore,
                          struct rn_ring_tx *to_lcore);

/* lcore idx's statistics page. */
struct rn_stats_page *rn_topo_stats(const struct rn_topo_view *v, uint32_t idx);

/* The PEM texts in the region. bytes is 0 and the result NULL where there is none. */
const char *rn_topo_cert(const struct rn_topo_view *v, size_t *bytes);
const char *rn_topo_ca(const struct rn_topo_view *v, size_t *bytes);
const char *rn_topo_peer_ca(const struct rn_topo_view *v, size_t *bytes);

/* Number of descriptors the data plane inherits above 2. */
unsigned int rn_topo_fd_count(const struct rn_topo *t);
