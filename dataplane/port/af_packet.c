/* dataplane/port/af_packet.c: any network interface of Linux, by a packet socket with mapped rings.
 *
 * DPDK's driver cuts frames that are longer than its ring's, without a word, so the ring is sized by the device's MTU. It also gives no
 * way to wait for frames: its sockets are found among our descriptors, to poll() them when idle and to keep frames that are none of our
 * business out of the ring. */
#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/net/net.h"
#include "dataplane/port/drivers.h"
#include "dataplane/port/ethdev.h"
#include "sys/log.h"

/* What the kernel puts before a frame in a TPACKET_V2 ring: header and address, rounded up, see tpacket_rcv(). */
#define RING_HDR_BYTES 80u
#define PAGE_BYTES     4096u

static uint32_t ring_frame_bytes(uint16_t mtu) {
  uint32_t need = RING_HDR_BYTES + RN_ETH_BYTES + RN_VLAN_BYTES + mtu, bytes = 2048;
  while (bytes < need)
    bytes *= 2;
  return bytes;
}

static int probe(const struct rn_topo_port *profile, struct rn_port_info *out, char *why,
                 size_t why_bytes) {
  struct ifreq ifr = { 0 };
  int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%.15s", profile->interface);
  bool ok = s >= 0 && ioctl(s, SIOCGIFMTU, &ifr) == 0;
  int mtu = ifr.ifr_mtu;
  ok = ok && ioctl(s, SIOCGIFHWADDR, &ifr) == 0;
  int err = errno;
  close(s);
  if (!ok) {
    snprintf(why, why_bytes, "network interface %s: %s", profile->interface, strerror(err));
    return err == ENODEV ? RN_ERR_NOENT : RN_ERR_SYS;
  }
  if (profile->mtu != 0 && profile->mtu < mtu)
    mtu = profile->mtu;
  if (mtu < 1280) {
    snprintf(why, why_bytes, "network interface %s has an MTU of %d: QUIC over IPv6 needs 1280",
             profile->interface, mtu);
    return RN_ERR_SYS;
  }
  out->mtu = mtu > 9216 ? 9216 : (uint16_t)mtu;
  out->frame_bytes = ring_frame_bytes(out->mtu);
  memcpy(out->mac, ifr.ifr_hwaddr.sa_data, 6);
  return RN_OK;
}

/* True for a packet socket bound to this interface. */
static bool is_packet_socket(int fd, unsigned int ifindex) {
  struct sockaddr_ll a = { 0 };
  socklen_t len = sizeof(a);
  return getsockname(fd, (struct sockaddr *)&a, &len) == 0 && a.sll_family == AF_PACKET &&
         a.sll_ifindex == (int)ifindex;
}

/* The driver opened one socket per queue, in order; descriptors are given out in ascending order. */
static int find_sockets(struct rn_port *p, unsigned int ifindex) {
  DIR *dir = opendir("/proc/self/fd");
  uint16_t found = 0;
  if (dir == NULL)
    return RN_ERR_SYS;
  for (struct dirent *e; (e = readdir(dir)) != NULL;) {
    int fd = atoi(e->d_name);
    if (e->d_name[0] < '0' || e->d_name[0] > '9' || !is_packet_socket(fd, ifindex) ||
        found == p->queues)
      continue;
    uint16_t at = found++;
    for (; at > 0 && p->fds[at - 1] > fd; at--)
      p->fds[at] = p->fds[at - 1];
    p->fds[at] = fd;
  }
  closedir(dir);
  return found == p->queues ? RN_OK : RN_ERR_NOENT;
}

/* Keeps out of the ring what the kernel itself sends and, in shared mode, other UDP ports and protocols that are the kernel's business.
 * What it lets through is still parsed as if there were no filter. VLAN tags are not in the bytes here. */
static int filter(int fd, const struct rn_topo_port *profile) {
  const struct sock_filter shared[] = {
    /* 0 */ BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
    /* 1 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 15, 0), /* drop */
    /* 2 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
    /* 3 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RN_ETHERTYPE_IP4, 1, 0),
    /* 4 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RN_ETHERTYPE_IP6, 5, 11), /* others: accept */
    /* 5 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
    /* 6 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RN_IPPROTO_UDP, 0, 10), /* drop */
    /* 7 */ BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14),
    /* 8 */ BPF_STMT(BPF_LD | BPF_H | BPF_IND, 16),
    /* 9 */ BPF_STMT(BPF_JMP | BPF_JA, 4), /* port */
    /* 10 */ BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20),
    /* 11 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 5, 0), /* TCP: drop */
                                                           /* 12 */
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, RN_IPPROTO_UDP, 0,
             3), /* ICMPv6, extension headers: accept */
    /* 13 */ BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 56),
    /* 14 */ BPF_STMT(BPF_ALU | BPF_SUB | BPF_K, profile->udp_port), /* port */
    /* 15 */ BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
    /* 16 */ BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    /* 17 */ BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const struct sock_filter owned[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    BPF_STMT(BPF_RET | BPF_K, 0),
  };
  bool is_owned = profile->mode == RN_TOPO_OWNED;
  struct sock_fprog prog = { .len = sizeof(shared) / sizeof(shared[0]),
                             .filter = (struct sock_filter *)shared };
  if (is_owned)
    prog = (struct sock_fprog){ .len = sizeof(owned) / sizeof(owned[0]),
                                .filter = (struct sock_filter *)owned };
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) == 0 ? RN_OK
                                                                                : RN_ERR_SYS;
}

/* Owned mode has groups and perhaps a MAC address that the kernel does not know of. Asked for by the socket, promiscuous mode ends with it; the
 * interface's flag, which DPDK would set, stays behind. */
static int take_all_frames(int fd, unsigned int ifindex) {
  const struct packet_mreq mr = { .mr_ifindex = (int)ifindex, .mr_type = PACKET_MR_PROMISC };
  return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr, sizeof(mr)) == 0 ? RN_OK
                                                                                 : RN_ERR_SYS;
}

static int open_port(struct rn_port *p, const struct rn_port_config *cfg, char *why,
                     size_t why_bytes) {
  const char *ifname = cfg->profile->interface;
  uint32_t frame = p->info.frame_bytes, block = frame > PAGE_BYTES ? frame : PAGE_BYTES;
  uint32_t frames = cfg->rx_descs > cfg->tx_descs ? cfg->rx_descs : cfg->tx_descs;
  char name[32], args[192];
  static unsigned int made;
  snprintf(name, sizeof(name), "net_af_packet%u", made++);
  snprintf(args, sizeof(args),
           "iface=%.15s,qpairs=%u,blocksz=%u,framesz=%u,framecnt=%u,qdisc_bypass=1", ifname,
           cfg->queues, block, frame, frames);
  int err = rn_ethdev_make(p, name, args, why, why_bytes);
  if (err != RN_OK) {
    size_t n = strlen(why);
    snprintf(why + n, why_bytes - n, " (a packet socket on %s needs CAP_NET_RAW)", ifname);
    return err;
  }
  snprintf(p->interface, sizeof(p->interface), "%s", ifname);
  err = rn_ethdev_start(p, cfg, why, why_bytes);
  if (err != RN_OK)
    return err;
  if (find_sockets(p, if_nametoindex(ifname)) != RN_OK) {
    rn_ethdev_close(p);
    snprintf(
        why, why_bytes,
        "the packet sockets on %s are not among this process's descriptors (is /proc mounted?)",
        ifname);
    return RN_ERR_SYS;
  }
  if (cfg->profile->mode == RN_TOPO_OWNED &&
      take_all_frames(p->fds[0], if_nametoindex(ifname)) != RN_OK) {
    int saved = errno;
    rn_ethdev_close(p);
    snprintf(why, why_bytes, "promiscuous mode on %s: %s", ifname, strerror(saved));
    return RN_ERR_SYS;
  }
  for (uint16_t i = 0; i < p->queues; i++) {
    if (filter(p->fds[i], cfg->profile) != RN_OK)
      rn_warn("%s: no socket filter: %s; more frames than ours will be read", ifname,
              strerror(errno));
  }
  return RN_OK;
}

/* The kernel's counter starts again with each reading; tp_packets counts the lost ones, too. */
static uint64_t missed(struct rn_port *p, uint16_t queue) {
  struct tpacket_stats st = { 0 };
  socklen_t len = sizeof(st);
  return getsockopt(p->fds[queue], SOL_PACKET, PACKET_STATISTICS, &st, &len) == 0 ? st.tp_drops : 0;
}

const struct rn_port_driver rn_port_af_packet = {
  .name = "af_packet",
  .id = RN_TOPO_AF_PACKET,
  .flows_stay = true, /* PACKET_FANOUT_HASH */
  .probe = probe,
  .open = open_port,
  .rx_burst = rn_ethdev_rx,
  .tx_burst = rn_ethdev_tx,
  .missed = missed,
  .close = rn_ethdev_close,
};
