/* dataplane/port/link.c */
#include "dataplane/port/link.h"

#include <string.h>
#include <sys/socket.h>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "dataplane/net/arp.h"
#include "dataplane/net/build.h"
#include "dataplane/net/icmp.h"
#include "dataplane/net/ndp.h"
#include "dataplane/net/neigh.h"
#include "dataplane/net/parse.h"

#define STUCK_NS  10000000u   /* a driver that takes nothing for so long is not waited for */
#define PARKED_NS 3000000000u /* as long as a neighbour is asked for */

/* A finished frame that lacks its destination. */
struct parked {
  struct rte_mbuf *m;
  struct rn_addr hop;
  uint64_t since_ns;
};

struct rn_link {
  struct rn_port *port;
  const struct rn_port_driver *driver;
  struct rte_mempool *pool;
  struct rn_stats_port *ps;
  struct rn_stats_net *ns;
  struct rn_neigh *neigh;
  void (*overhear)(void *ctx, enum rn_net_kind kind, const struct rn_dgram *d,
                   const struct rn_net_meta *m);
  void *overhear_ctx;
  struct rn_quic_sink sink;
  uint64_t now_ns;
  uint16_t queue;
  uint16_t rx_count;
  uint16_t tx_count;
  uint16_t parked_count;
  uint64_t stuck_since_ns; /* 0: the driver took something last time */
  struct rte_mbuf *spare;  /* reserved and not used */
  struct rn_icmp icmp;

  /* The last lookups: a burst mostly is one peer's. */
  struct rn_addr rx_peer;
  uint8_t rx_peer_mac[6];
  uint64_t rx_peer_ns;
  struct rn_addr tx_peer;
  uint8_t tx_peer_mac[6];
  uint64_t tx_peer_ns;

  struct rn_net_if nif;
  struct parked parked[RN_LINK_PARKED_MAX];
  struct rte_mbuf *rx[RN_LINK_BURST];
  struct rte_mbuf *tx[RN_LINK_BURST + 2]; /* a datagram may need a request for its neighbour sent */
  struct rn_dgram
      dgrams[RN_LINK_BURST + 1]; /* one more: the parser may write to it for a frame it drops */
};

static size_t head_bytes(void) { return (sizeof(struct rn_link) + 63) / 64 * 64; }

size_t rn_link_footprint(uint32_t neighbours) {
  size_t table = rn_neigh_footprint(neighbours);
  return table == 0 ? 0 : head_bytes() + table;
}

/* ---- transmit ---- */

static void queue_frame(struct rn_link *l, struct rte_mbuf *m) {
  l->tx[l->tx_count++] = m;
  l->ps->tx_bytes += m->pkt_len;
}

size_t rn_link_flush(struct rn_link *l, uint64_t now_ns) {
  if (l->tx_count == 0)
    return 0;
  uint16_t sent = l->driver->tx_burst(l->port, l->queue, l->tx, l->tx_count);
  l->ps->tx_frames += sent;
  if (sent == l->tx_count) {
    l->tx_count = 0;
    l->stuck_since_ns = 0;
    return sent;
  }
  l->ps->tx_full++;
  l->tx_count = (uint16_t)(l->tx_count - sent);
  memmove(l->tx, l->tx + sent, l->tx_count * sizeof(l->tx[0]));
  if (sent > 0 || l->stuck_since_ns == 0) {
    l->stuck_since_ns = now_ns | 1;
  } else if (now_ns - l->stuck_since_ns > STUCK_NS) {
    l->ps->drop_stuck += l->tx_count;
    rte_pktmbuf_free_bulk(l->tx, l->tx_count);
    l->tx_count = 0;
  }
  return sent;
}

bool rn_link_waiting(const struct rn_link *l) { return l->tx_count > 0; }

/* A buffer, or NULL with the reason counted. */
static struct rte_mbuf *take_buffer(struct rn_link *l) {
  if (l->tx_count >= RN_LINK_BURST)
    (void)rn_link_flush(l, l->now_ns);
  if (l->tx_count >= RN_LINK_BURST)
    return NULL; /* the driver is full: counted by flush */
  struct rte_mbuf *m = l->spare != NULL ? l->spare : rte_pktmbuf_alloc(l->pool);
  l->spare = NULL;
  l->ps->no_mbuf += m == NULL;
  return m;
}

/* Sends a frame that net/ wrote into buf[0..len). */
static void send_bytes(struct rn_link *l, const uint8_t *buf, size_t len) {
  struct rte_mbuf *m = len > 0 ? take_buffer(l) : NULL;
  if (m == NULL)
    return;
  memcpy(rte_pktmbuf_mtod(m, uint8_t *), buf, len);
  m->data_len = (uint16_t)len;
  m->pkt_len = (uint32_t)len;
  queue_frame(l, m);
}

static void ask_for(struct rn_link *l, const struct rn_addr *hop) {
  uint8_t frame[RN_NET_ANSWER_MAX];
  const struct rn_addr *source = rn_net_source(&l->nif, hop);
  if (source != NULL)
    send_bytes(l, frame,
               hop->family == 4 ? rn_arp_request(&l->nif, l->ns, source, hop, frame)
                                : rn_ndp_solicit(&l->nif, l->ns, source, hop, frame));
}

/* The MAC address for a datagram to remote. RN_OK; RN_ERR_AGAIN with *hop: it has been asked for; RN_ERR_NOENT: no route. */
static int resolve(struct rn_link *l, const struct rn_addr *remote, uint8_t mac[6],
                   struct rn_addr *hop) {
  struct rn_addr ip = *remote;
  ip.port = 0;
  if (rn_addr_eq(&ip, &l->tx_peer) && l->now_ns - l->tx_peer_ns < STUCK_NS) {
    memcpy(mac, l->tx_peer_mac, 6);
    return RN_OK;
  }
  if (!rn_net_on_link(&l->nif, &ip) && rn_neigh_peek(l->neigh, &ip, mac) == RN_NEIGH_KNOWN)
    return RN_OK; /* it came through another router than ours: answer that one */
  const struct rn_addr *next = rn_net_next_hop(&l->nif, &ip);
  if (next == NULL)
    return RN_ERR_NOENT;
  *hop = *next;
  enum rn_neigh_verdict v = rn_neigh_lookup(l->neigh, l->now_ns, hop, mac);
  if (v == RN_NEIGH_ASK || v == RN_NEIGH_KNOWN_ASK)
    ask_for(l, hop);
  if (v != RN_NEIGH_KNOWN && v != RN_NEIGH_KNOWN_ASK)
    return RN_ERR_AGAIN;
  l->tx_peer = ip;
  l->tx_peer_ns = l->now_ns;
  memcpy(l->tx_peer_mac, mac, 6);
  return RN_OK;
}

static void park(struct rn_link *l, struct rte_mbuf *m, const struct rn_addr *hop) {
  if (l->parked_count == RN_LINK_PARKED_MAX) {
    l->ns->drop_no_neigh++;
    rte_pktmbuf_free(m);
    return;
  }
  l->parked[l->parked_count++] = (struct parked){ .m = m, .hop = *hop, .since_ns = l->now_ns };
}

/* Sends what waited and can go, drops what waited too long. */
static void unpark(struct rn_link *l) {
  uint16_t kept = 0;
  for (uint16_t i = 0; i < l->parked_count; i++) {
    struct parked *p = &l->parked[i];
    uint8_t mac[6];
    bool known = rn_neigh_peek(l->neigh, &p->hop, mac) == RN_NEIGH_KNOWN;
    if (known && l->tx_count < RN_LINK_BURST) {
      memcpy(rte_pktmbuf_mtod(p->m, uint8_t *), mac, 6);
      queue_frame(l, p->m);
    } else if (l->now_ns - p->since_ns > PARKED_NS) {
      l->ns->drop_no_neigh++;
      rte_pktmbuf_free(p->m);
    } else {
      l->parked[kept++] = *p;
    }
  }
  l->parked_count = kept;
}

/* Sink: the payload starts behind room for all headers, so that they can be written once the path is known. The room is the buffer's
 * headroom. */
static uint8_t *reserve(void *ctx, size_t cap) {
  struct rn_link *l = ctx;
  struct rte_mbuf *m = take_buffer(l);
  if (m == NULL)
    return NULL;
  l->spare = m;
  return cap <= rte_pktmbuf_tailroom(m) ? rte_pktmbuf_mtod(m, uint8_t *) : NULL;
}

/* The reserved buffer is the spare one until it is used: a request for a neighbour takes another. */
static void commit(void *ctx, const struct rn_path *path, uint8_t ecn, size_t len) {
  struct rn_link *l = ctx;
  struct rte_mbuf *m = l->spare;
  if (len == 0)
    return;
  uint8_t family = path->remote.family, mac[6] = { 0 };
  size_t hdr_bytes = rn_net_udp_hdr_bytes(&l->nif, family);
  struct rn_addr hop;
  if (len + hdr_bytes - RN_ETH_BYTES - (l->nif.vlan != 0 ? RN_VLAN_BYTES : 0) > l->nif.mtu) {
    l->ns->drop_too_long++;
    return;
  }
  l->spare = NULL;
  int err = path->local.family == family ? resolve(l, &path->remote, mac, &hop) : RN_ERR_NOENT;
  if (err == RN_ERR_NOENT) {
    l->ns->drop_no_route++;
    l->spare = m; /* nothing was asked for, so there is no other */
    return;
  }
  rn_net_build_udp(&l->nif, mac, path, ecn, rte_pktmbuf_mtod(m, uint8_t *), len);
  m->data_off = (uint16_t)(m->data_off - hdr_bytes);
  m->data_len = (uint16_t)(len + hdr_bytes);
  m->pkt_len = m->data_len;
  l->ns->tx_udp++;
  if (err == RN_ERR_AGAIN)
    park(l, m, &hop);
  else
    queue_frame(l, m);
}

const struct rn_quic_sink *rn_link_sink(struct rn_link *l) { return &l->sink; }

/* ---- receive ---- */

/* Remembers where a datagram came from. A peer behind our own router needs no entry. */
static void learn(struct rn_link *l, const struct rn_addr *remote, const uint8_t mac[6]) {
  struct rn_addr ip = *remote;
  ip.port = 0;
  if (rn_addr_eq(&ip, &l->rx_peer) && memcmp(mac, l->rx_peer_mac, 6) == 0 &&
      l->now_ns - l->rx_peer_ns < STUCK_NS)
    return;
  l->rx_peer = ip;
  l->rx_peer_ns = l->now_ns;
  memcpy(l->rx_peer_mac, mac, 6);
  if (!rn_net_on_link(&l->nif, &ip)) {
    const struct rn_addr *gw = rn_net_next_hop(&l->nif, &ip);
    uint8_t gw_mac[6];
    if (gw != NULL && rn_neigh_peek(l->neigh, gw, gw_mac) == RN_NEIGH_KNOWN &&
        memcmp(gw_mac, mac, 6) == 0)
      return;
  }
  rn_neigh_learn(l->neigh, l->now_ns, &ip, mac);
}

void rn_link_learn(struct rn_link *l, const struct rn_addr *remote, const uint8_t mac[6]) {
  learn(l, remote, mac);
}

bool rn_link_mac(struct rn_link *l, const struct rn_addr *remote, uint8_t mac[6]) {
  struct rn_addr ip = *remote;
  ip.port = 0;
  if (rn_neigh_peek(l->neigh, &ip, mac) == RN_NEIGH_KNOWN)
    return true;
  const struct rn_addr *hop = rn_net_next_hop(&l->nif, &ip);
  return hop != NULL && rn_neigh_peek(l->neigh, hop, mac) == RN_NEIGH_KNOWN;
}

void rn_link_overheard(struct rn_link *l, enum rn_net_kind kind, const struct rn_dgram *d,
                       const struct rn_net_meta *m) {
  uint8_t unused[RN_NET_ANSWER_MAX];
  struct rn_stats_net counted = { 0 }; /* by the lcore that received it */
  struct rn_net_if silent = l->nif;
  silent.owned = false;
  if (kind == RN_NET_ARP)
    (void)rn_arp_rx(&silent, l->neigh, &counted, l->now_ns, d->data, d->len, unused);
  else if (kind == RN_NET_NDP)
    (void)rn_ndp_rx(&silent, l->neigh, &counted, l->now_ns, d, m, unused);
  unpark(l);
}

/* What is not a datagram is answered here. */
static void answer(struct rn_link *l, enum rn_net_kind kind, const struct rn_dgram *d,
                   const struct rn_net_meta *m) {
  uint8_t frame[RN_NET_ANSWER_MAX];
  struct rte_mbuf *out;
  if (l->overhear != NULL && kind != RN_NET_ECHO)
    l->overhear(l->overhear_ctx, kind, d, m);
  switch (kind) {
  case RN_NET_ARP:
    send_bytes(l, frame, rn_arp_rx(&l->nif, l->neigh, l->ns, l->now_ns, d->data, d->len, frame));
    unpark(l);
    break;
  case RN_NET_NDP:
    send_bytes(l, frame, rn_ndp_rx(&l->nif, l->neigh, l->ns, l->now_ns, d, m, frame));
    unpark(l);
    break;
  case RN_NET_ECHO:
    out = take_buffer(l);
    if (out == NULL)
      return;
    out->data_len =
        (uint16_t)rn_icmp_rx(&l->nif, &l->icmp, l->ns, l->now_ns, d, m,
                             rte_pktmbuf_mtod(out, uint8_t *), rte_pktmbuf_tailroom(out));
    out->pkt_len = out->data_len;
    if (out->pkt_len > 0)
      queue_frame(l, out);
    else
      l->spare = out;
    break;
  default:
    break;
  }
}

size_t rn_link_rx(struct rn_link *l, uint64_t now_ns, const struct rn_dgram **out, size_t *frames) {
  size_t n = 0;
  l->now_ns = now_ns;
  l->rx_count = l->driver->rx_burst(l->port, l->queue, l->rx, RN_LINK_BURST);
  l->ps->rx_frames += l->rx_count;
  for (uint16_t i = 0; i < l->rx_count; i++)
    rte_prefetch0(rte_pktmbuf_mtod(l->rx[i], void *));
  for (uint16_t i = 0; i < l->rx_count; i++) {
    struct rn_net_meta m;
    const struct rte_mbuf *b = l->rx[i];
    l->ps->rx_bytes += b->pkt_len;
    enum rn_net_kind kind = rn_net_parse(&l->nif, l->ns, rte_pktmbuf_mtod(b, const uint8_t *),
                                         b->data_len, &l->dgrams[n], &m);
    if (kind == RN_NET_UDP)
      learn(l, &l->dgrams[n++].path.remote, m.src_mac);
    else if (kind != RN_NET_DROP)
      answer(l, kind, &l->dgrams[n], &m);
  }
  *out = l->dgrams;
  *frames = l->rx_count;
  return n;
}

void rn_link_rx_done(struct rn_link *l) {
  if (l->rx_count > 0)
    rte_pktmbuf_free_bulk(l->rx, l->rx_count);
  l->rx_count = 0;
}

/* ---- the rest ---- */

void rn_link_tidy(struct rn_link *l, uint64_t now_ns) {
  l->now_ns = now_ns;
  l->ps->rx_missed += l->driver->missed(l->port, l->queue);
  unpark(l);
  /* An answer to the last request may be overdue: ask again for what waits. */
  for (uint16_t i = 0; i < l->parked_count; i++) {
    uint8_t mac[6];
    if (rn_neigh_lookup(l->neigh, now_ns, &l->parked[i].hop, mac) == RN_NEIGH_ASK)
      ask_for(l, &l->parked[i].hop);
  }
}

void rn_link_announce(struct rn_link *l, uint64_t now_ns) {
  l->now_ns = now_ns;
  for (uint8_t i = 0; i < l->nif.addr_count && l->nif.owned; i++) {
    const struct rn_addr *a = &l->nif.addrs[i].addr;
    uint8_t frame[RN_NET_ANSWER_MAX];
    send_bytes(l, frame,
               a->family == 4 ? rn_arp_request(&l->nif, l->ns, a, a, frame)
                              : rn_ndp_announce(&l->nif, l->ns, a, frame));
  }
  (void)rn_link_flush(l, now_ns);
}

struct rn_net_if *rn_link_if(struct rn_link *l) { return &l->nif; }

int rn_link_fd(const struct rn_link *l) { return l->port->fds[l->queue]; }

void rn_link_clear_error(struct rn_link *l) {
  int err;
  socklen_t len = sizeof(err);
  (void)getsockopt(rn_link_fd(l), SOL_SOCKET, SO_ERROR, &err, &len);
}

int rn_link_init(void *mem, const struct rn_link_config *cfg, struct rn_link **out) {
  static_assert(RTE_PKTMBUF_HEADROOM >= RN_NET_HDR_MAX, "headers are written into the headroom");
  struct rn_link *l = mem;
  memset(l, 0, sizeof(*l));
  *l = (struct rn_link){ .port = cfg->port,
                         .driver = cfg->port->driver,
                         .pool = cfg->port->pools[cfg->queue],
                         .ps = cfg->port_stats,
                         .ns = cfg->net_stats,
                         .overhear = cfg->overhear,
                         .overhear_ctx = cfg->overhear_ctx,
                         .sink = { .reserve = reserve, .commit = commit, .ctx = l },
                         .queue = cfg->queue,
                         .nif = cfg->nif };
  int err = rn_neigh_init((uint8_t *)mem + head_bytes(), cfg->neighbours, cfg->seed, cfg->net_stats,
                          &l->neigh);
  if (err == RN_OK)
    *out = l;
  return err;
}

void rn_link_fini(struct rn_link *l) {
  if (l == NULL)
    return;
  rn_link_rx_done(l);
  rte_pktmbuf_free_bulk(l->tx, l->tx_count);
  for (uint16_t i = 0; i < l->parked_count; i++)
    rte_pktmbuf_free(l->parked[i].m);
  rte_pktmbuf_free(l->spare);
  l->tx_count = l->parked_count = 0;
  l->spare = NULL;
}
