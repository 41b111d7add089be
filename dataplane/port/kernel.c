/* dataplane/port/kernel.c: two sockets' worth of rtnetlink on one: dumps when asked, announcements in between. */
#include "dataplane/port/kernel.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUF_BYTES  32768u
#define TIMEOUT_MS 1000

int rn_kernel_open(const char *interface, struct rn_kernel *out) {
  struct rn_kernel k = { .fd = -1, .ifindex = if_nametoindex(interface) };
  if (k.ifindex == 0)
    return RN_ERR_NOENT;
  const struct sockaddr_nl addr = { .nl_family = AF_NETLINK,
                                    .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                                                 RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE };
  /* An answer never takes that long: the kernel writes it within the request. */
  const struct timeval timeout = { .tv_sec = TIMEOUT_MS / 1000 };
  k.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (k.fd < 0 || bind(k.fd, (const struct sockaddr *)&addr, sizeof(addr)) != 0 ||
      setsockopt(k.fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) != 0) {
    close(k.fd);
    return RN_ERR_SYS;
  }
  *out = k;
  return RN_OK;
}

void rn_kernel_close(struct rn_kernel *k) {
  if (k->fd >= 0)
    close(k->fd);
  k->fd = -1;
}

/* One attribute's value when it has at least n bytes, else NULL. */
static const uint8_t *attr(const struct rtattr *a, size_t n) {
  return RTA_PAYLOAD(a) >= n ? RTA_DATA(a) : NULL;
}

static uint8_t family_of(unsigned char af) { return af == AF_INET ? 4 : af == AF_INET6 ? 6 : 0; }

/* RTM_NEWADDR. IFA_LOCAL is ours and IFA_ADDRESS the other end where a link has two. */
static void take_addr(struct rn_net_if *nif, unsigned int ifindex, const struct nlmsghdr *h) {
  const struct ifaddrmsg *m = NLMSG_DATA(h);
  uint8_t family = family_of(m->ifa_family);
  if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) || m->ifa_index != ifindex || family == 0 ||
      nif->addr_count == RN_NET_ADDRS_MAX)
    return;
  const uint8_t *local = NULL, *address = NULL;
  size_t n = family == 4 ? 4 : 16;
  unsigned int left = (unsigned int)IFA_PAYLOAD(h);
  for (const struct rtattr *a = IFA_RTA(m); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
    if (a->rta_type == IFA_LOCAL)
      local = attr(a, n);
    else if (a->rta_type == IFA_ADDRESS)
      address = attr(a, n);
  }
  if (local == NULL)
    local = address;
  if (local == NULL)
    return;
  struct rn_net_addr *to = &nif->addrs[nif->addr_count++];
  rn_net_addr_set(&to->addr, family, local, 0);
  to->prefix_bits = m->ifa_prefixlen;
}

/* RTM_NEWROUTE: a default route over this interface; of several the first, which has the lowest metric. */
static void take_route(struct rn_net_if *nif, unsigned int ifindex, const struct nlmsghdr *h) {
  const struct rtmsg *m = NLMSG_DATA(h);
  uint8_t family = family_of(m->rtm_family);
  if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) || family == 0 || m->rtm_dst_len != 0 ||
      m->rtm_type != RTN_UNICAST)
    return;
  const uint8_t *gateway = NULL, *oif = NULL;
  unsigned int left = (unsigned int)RTM_PAYLOAD(h);
  for (const struct rtattr *a = RTM_RTA(m); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
    if (a->rta_type == RTA_GATEWAY)
      gateway = attr(a, family == 4 ? 4 : 16);
    else if (a->rta_type == RTA_OIF)
      oif = attr(a, sizeof(uint32_t));
  }
  uint32_t index = 0;
  if (oif != NULL)
    memcpy(&index, oif, sizeof(index));
  struct rn_addr *to = family == 4 ? &nif->gateway4 : &nif->gateway6;
  if (gateway != NULL && index == ifindex && to->family == 0)
    rn_net_addr_set(to, family, gateway, 0);
}

/* Reads one dump to its end. */
static int answers(struct rn_kernel *k, struct rn_net_if *nif) {
  _Alignas(struct nlmsghdr) static _Thread_local uint8_t buf[BUF_BYTES];
  for (;;) {
    ssize_t got = recv(k->fd, buf, sizeof(buf), 0);
    if (got < 0 && errno == ENOBUFS)
      continue; /* announcements were lost: we are reading everything anyway */
    if (got <= 0)
      return RN_ERR_SYS;
    unsigned int left = (unsigned int)got;
    for (const struct nlmsghdr *h = (const struct nlmsghdr *)buf; NLMSG_OK(h, left);
         h = NLMSG_NEXT(h, left)) {
      if (h->nlmsg_seq != k->seq)
        continue; /* an announcement */
      if (h->nlmsg_type == NLMSG_DONE)
        return RN_OK;
      if (h->nlmsg_type == NLMSG_ERROR)
        return RN_ERR_SYS;
      if (h->nlmsg_type == RTM_NEWADDR)
        take_addr(nif, k->ifindex, h);
      else if (h->nlmsg_type == RTM_NEWROUTE)
        take_route(nif, k->ifindex, h);
    }
  }
}

static int dump(struct rn_kernel *k, uint16_t type, unsigned char family, struct rn_net_if *nif) {
  struct {
    struct nlmsghdr h;
    struct rtgenmsg g;
  } req = { .h = { .nlmsg_len = sizeof(req),
                   .nlmsg_type = type,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                   .nlmsg_seq = ++k->seq },
            .g = { .rtgen_family = family } };
  if (send(k->fd, &req, sizeof(req), 0) != (ssize_t)sizeof(req))
    return RN_ERR_SYS;
  return answers(k, nif);
}

int rn_kernel_addrs(struct rn_kernel *k, struct rn_net_if *nif) {
  struct rn_net_if fresh = *nif;
  fresh.addr_count = 0;
  fresh.gateway4 = fresh.gateway6 = (struct rn_addr){ 0 };
  if (dump(k, RTM_GETADDR, AF_UNSPEC, &fresh) != RN_OK ||
      dump(k, RTM_GETROUTE, AF_INET, &fresh) != RN_OK)
    return RN_ERR_SYS;
  (void)dump(k, RTM_GETROUTE, AF_INET6, &fresh); /* the kernel may be without IPv6 */
  *nif = fresh;
  return RN_OK;
}

bool rn_kernel_changed(struct rn_kernel *k) {
  uint8_t buf[4096];
  bool changed = false;
  ssize_t got;
  while ((got = recv(k->fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC)) > 0 ||
         (got < 0 && errno == ENOBUFS))
    changed = true;
  return changed;
}

static int profile_addrs(const struct rn_topo_port *profile, struct rn_net_if *nif) {
  if (profile->addr_count == 0 || profile->addr_count > RN_NET_ADDRS_MAX)
    return RN_ERR_INVAL;
  for (uint32_t i = 0; i < profile->addr_count; i++) {
    nif->addrs[i].addr = profile->addrs[i].addr;
    nif->addrs[i].prefix_bits = (uint8_t)profile->addrs[i].prefix_bits;
  }
  nif->addr_count = (uint8_t)profile->addr_count;
  nif->gateway4 = profile->gateway4;
  nif->gateway6 = profile->gateway6;
  return RN_OK;
}

int rn_kernel_if(const struct rn_port *p, const struct rn_topo_port *profile, struct rn_kernel *k,
                 uint32_t flow_key, struct rn_net_if *out) {
  static const uint8_t none[6];
  struct rn_net_if nif = { .mtu = p->info.mtu,
                           .udp_port = profile->udp_port,
                           .udp_ports = 1,
                           .owned = profile->mode == RN_TOPO_OWNED,
                           .flow_key = flow_key };
  memcpy(nif.mac, p->info.mac, 6);
  if (nif.owned && memcmp(profile->mac, none, 6) != 0)
    memcpy(nif.mac, profile->mac, 6);
  int err = RN_OK;
  if (nif.owned)
    err = profile_addrs(profile, &nif);
  else if (k != NULL)
    err = rn_kernel_addrs(k, &nif);
  if (err == RN_OK)
    *out = nif;
  return err;
}
