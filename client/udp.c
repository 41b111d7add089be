/* client/udp.c */
#include "client/udp.h"
#include "client/io.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define RX_MSGS       16
#define RX_MSG_BYTES  65536
#define RX_DGRAMS_MAX 1024
#define TX_ARENA      (512u * 1024)
#define TX_BATCHES    64
#define GSO_SEGS_MAX  64
#define GSO_BYTES_MAX 65000u
#define SOCKET_BUFFER (4 << 20)
#define ECN_MASK      3

/* Datagrams of one size and path; the last may be shorter. */
struct batch {
  struct rn_path path;
  uint8_t *data;
  uint32_t bytes, seg_bytes, segs;
  uint8_t ecn;
  bool closed; /* its last datagram was shorter */
};

union cmsg_room {
  struct cmsghdr align;
  uint8_t bytes[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int))];
};

struct rn_udp {
  int fd;
  struct rn_addr local;
  bool gso;
  struct rn_udp_stats stats;
  struct rn_quic_sink sink;
  /* tx */
  uint8_t *arena;
  uint32_t arena_used;
  struct batch batches[TX_BATCHES];
  uint32_t batch_count;
  /* rx */
  uint8_t *rx_bytes;
  struct rn_dgram dgrams[RX_DGRAMS_MAX];
};

/* ---- addresses ---- */

static socklen_t to_native(const struct rn_addr *a, struct sockaddr_storage *ss) {
  memset(ss, 0, sizeof(*ss));
  if (a->family == 6) {
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)ss;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(a->port);
    memcpy(&in6->sin6_addr, a->ip, 16);
    return sizeof(*in6);
  }
  struct sockaddr_in *in = (struct sockaddr_in *)(void *)ss;
  in->sin_family = AF_INET;
  in->sin_port = htons(a->port);
  memcpy(&in->sin_addr, a->ip, 4);
  return sizeof(*in);
}

static void from_native(const struct sockaddr_storage *ss, struct rn_addr *a) {
  memset(a, 0, sizeof(*a));
  if (ss->ss_family == AF_INET6) {
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)ss;
    a->family = 6;
    a->port = ntohs(in6->sin6_port);
    memcpy(a->ip, &in6->sin6_addr, 16);
  } else {
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)ss;
    a->family = 4;
    a->port = ntohs(in->sin_port);
    memcpy(a->ip, &in->sin_addr, 4);
  }
}

/* ---- life ---- */

static void set_options(struct rn_udp *u) {
  int on = 1, size = SOCKET_BUFFER, probe = IP_PMTUDISC_PROBE, probe6 = IPV6_PMTUDISC_PROBE,
      zero = 0;
  setsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
  setsockopt(u->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
  setsockopt(u->fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
  u->gso = setsockopt(u->fd, SOL_UDP, UDP_SEGMENT, &zero, sizeof(zero)) == 0;
  if (u->local.family == 6) {
    setsockopt(u->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe6, sizeof(probe6));
    setsockopt(u->fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof(on));
  } else {
    setsockopt(u->fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof(probe));
    setsockopt(u->fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on));
  }
}

static int bind_socket(struct rn_udp *u, const struct rn_addr *local) {
  struct sockaddr_storage ss;
  socklen_t len = to_native(local, &ss);
  int fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return RN_ERR_SYS;
  if (bind(fd, (struct sockaddr *)&ss, len) != 0 ||
      getsockname(fd, (struct sockaddr *)&ss, &len) != 0) {
    int saved = errno;
    close(fd);
    errno = saved;
    return RN_ERR_SYS;
  }
  if (u->fd >= 0)
    close(u->fd);
  u->fd = fd;
  from_native(&ss, &u->local);
  set_options(u);
  return RN_OK;
}

static uint8_t *reserve(void *ctx, size_t cap);
static void commit(void *ctx, const struct rn_path *path, uint8_t ecn, size_t len);

int rn_udp_open(const struct rn_addr *local, struct rn_udp **out) {
  struct rn_udp *u = calloc(1, sizeof(*u));
  if (u == NULL)
    return RN_ERR_SYS;
  u->fd = -1;
  u->arena = malloc(TX_ARENA);
  u->rx_bytes = malloc((size_t)RX_MSGS * RX_MSG_BYTES);
  u->sink = (struct rn_quic_sink){ .reserve = reserve, .commit = commit, .ctx = u };
  if (u->arena == NULL || u->rx_bytes == NULL || bind_socket(u, local) != RN_OK) {
    rn_udp_close(u);
    return RN_ERR_SYS;
  }
  *out = u;
  return RN_OK;
}

void rn_udp_close(struct rn_udp *u) {
  if (u == NULL)
    return;
  if (u->fd >= 0)
    close(u->fd);
  free(u->arena);
  free(u->rx_bytes);
  free(u);
}

int rn_udp_rebind(struct rn_udp *u) {
  /* Only the outside changes: connections go on with the path they know, as behind a NAT. */
  const struct rn_addr inside = u->local;
  struct rn_addr any_port = inside;
  any_port.port = 0;
  int err = bind_socket(u, &any_port);
  u->local = inside;
  return err;
}

const struct rn_addr *rn_udp_local(const struct rn_udp *u) { return &u->local; }
int rn_udp_fd(const struct rn_udp *u) { return u->fd; }
const struct rn_udp_stats *rn_udp_stats(const struct rn_udp *u) { return &u->stats; }
const struct rn_quic_sink *rn_udp_sink(struct rn_udp *u) { return &u->sink; }

/* ---- sending ---- */

static uint8_t *reserve(void *ctx, size_t cap) {
  struct rn_udp *u = ctx;
  if (u->arena_used + cap > TX_ARENA || u->batch_count == TX_BATCHES)
    rn_udp_flush(u);
  return cap <= TX_ARENA ? u->arena + u->arena_used : NULL;
}

static bool fits(const struct rn_udp *u, const struct batch *b, const struct rn_path *path,
                 uint8_t ecn, size_t len) {
  return u->gso && !b->closed && b->ecn == ecn && len <= b->seg_bytes && b->segs < GSO_SEGS_MAX &&
         b->bytes + len <= GSO_BYTES_MAX && rn_addr_eq(&b->path.remote, &path->remote);
}

static void commit(void *ctx, const struct rn_path *path, uint8_t ecn, size_t len) {
  struct rn_udp *u = ctx;
  if (len == 0)
    return;
  struct batch *last = u->batch_count > 0 ? &u->batches[u->batch_count - 1] : NULL;
  if (last != NULL && fits(u, last, path, ecn, len)) {
    last->closed = len < last->seg_bytes;
    last->bytes += (uint32_t)len;
    last->segs++;
  } else {
    u->batches[u->batch_count++] = (struct batch){ .path = *path,
                                                   .data = u->arena + u->arena_used,
                                                   .bytes = (uint32_t)len,
                                                   .seg_bytes = (uint32_t)len,
                                                   .segs = 1,
                                                   .ecn = ecn };
  }
  u->arena_used += (uint32_t)len;
}

static void put_cmsg(struct msghdr *m, struct cmsghdr **at, int level, int type, const void *data,
                     size_t len) {
  *at = *at == NULL ? CMSG_FIRSTHDR(m) : CMSG_NXTHDR(m, *at);
  (*at)->cmsg_level = level;
  (*at)->cmsg_type = type;
  (*at)->cmsg_len = CMSG_LEN(len);
  memcpy(CMSG_DATA(*at), data, len);
}

static void fill_msg(struct batch *b, struct mmsghdr *mm, struct iovec *iov,
                     struct sockaddr_storage *ss, union cmsg_room *room) {
  memset(mm, 0, sizeof(*mm));
  memset(room, 0, sizeof(*room));
  struct msghdr *m = &mm->msg_hdr;
  *iov = (struct iovec){ .iov_base = b->data, .iov_len = b->bytes };
  m->msg_iov = iov;
  m->msg_iovlen = 1;
  m->msg_namelen = to_native(&b->path.remote, ss);
  m->msg_name = ss;
  m->msg_control = room->bytes;
  m->msg_controllen = sizeof(room->bytes);
  struct cmsghdr *at = NULL;
  size_t used = 0;
  if (b->segs > 1) {
    uint16_t seg = (uint16_t)b->seg_bytes;
    put_cmsg(m, &at, SOL_UDP, UDP_SEGMENT, &seg, sizeof(seg));
    used += CMSG_SPACE(sizeof(seg));
  }
  if (b->ecn != 0) {
    int tos = b->ecn;
    bool v6 = b->path.remote.family == 6;
    put_cmsg(m, &at, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &tos, sizeof(tos));
    used += CMSG_SPACE(sizeof(tos));
  }
  m->msg_controllen = used;
  if (used == 0)
    m->msg_control = NULL;
}

void rn_udp_flush(struct rn_udp *u) {
  struct mmsghdr msgs[TX_BATCHES];
  struct iovec iovs[TX_BATCHES];
  struct sockaddr_storage names[TX_BATCHES];
  union cmsg_room rooms[TX_BATCHES];
  for (uint32_t i = 0; i < u->batch_count; i++) {
    fill_msg(&u->batches[i], &msgs[i], &iovs[i], &names[i], &rooms[i]);
    u->stats.tx_datagrams += u->batches[i].segs;
  }
  /* What the kernel does not take is lost, as on any network: QUIC sends it again. */
  for (uint32_t done = 0; done < u->batch_count;) {
    int n = sendmmsg(u->fd, msgs + done, u->batch_count - done, 0);
    u->stats.tx_calls++;
    if (n > 0) {
      done += (uint32_t)n;
    } else {
      u->stats.tx_errors++;
      done++;
    }
  }
  u->batch_count = 0;
  u->arena_used = 0;
}

/* ---- receiving ---- */

static void read_cmsgs(struct msghdr *m, uint32_t *seg_bytes, uint8_t *ecn) {
  for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
      int seg;
      memcpy(&seg, CMSG_DATA(c), sizeof(seg));
      *seg_bytes = (uint32_t)seg;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
      *ecn = *CMSG_DATA(c) & ECN_MASK;
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
      int tc;
      memcpy(&tc, CMSG_DATA(c), sizeof(tc));
      *ecn = (uint8_t)(tc & ECN_MASK);
    }
  }
}

/* Cuts what GRO put together. Returns the new number of datagrams. */
static size_t split(struct rn_udp *u, const struct mmsghdr *mm, struct msghdr *m, uint8_t *data,
                    size_t n) {
  uint32_t left = mm->msg_len, seg = left;
  struct rn_dgram d = { .path.local = u->local };
  from_native(m->msg_name, &d.path.remote);
  read_cmsgs(m, &seg, &d.ecn);
  if (seg == 0 || (m->msg_flags & MSG_TRUNC) != 0) {
    u->stats.rx_truncated++;
    return n;
  }
  while (left > 0 && n < RX_DGRAMS_MAX) {
    d.data = data;
    d.len = left < seg ? left : seg;
    u->dgrams[n++] = d;
    data += d.len;
    left -= d.len;
  }
  return n;
}

size_t rn_udp_rx(struct rn_udp *u, struct rn_dgram **out) {
  struct mmsghdr msgs[RX_MSGS];
  struct iovec iovs[RX_MSGS];
  struct sockaddr_storage names[RX_MSGS];
  union cmsg_room rooms[RX_MSGS];
  memset(msgs, 0, sizeof(msgs));
  for (size_t i = 0; i < RX_MSGS; i++) {
    iovs[i] = (struct iovec){ .iov_base = u->rx_bytes + i * RX_MSG_BYTES, .iov_len = RX_MSG_BYTES };
    msgs[i].msg_hdr = (struct msghdr){ .msg_name = &names[i],
                                       .msg_namelen = sizeof(names[i]),
                                       .msg_iov = &iovs[i],
                                       .msg_iovlen = 1,
                                       .msg_control = rooms[i].bytes,
                                       .msg_controllen = sizeof(rooms[i].bytes) };
  }
  int got = recvmmsg(u->fd, msgs, RX_MSGS, 0, NULL);
  u->stats.rx_calls++;
  size_t n = 0;
  for (int i = 0; i < got; i++)
    n = split(u, &msgs[i], &msgs[i].msg_hdr, iovs[i].iov_base, n);
  u->stats.rx_datagrams += n;
  *out = u->dgrams;
  return n;
}

/* ---- as a client's io ---- */

static const struct rn_addr *io_local(void *ctx) { return rn_udp_local(ctx); }
static const struct rn_quic_sink *io_sink(void *ctx) { return rn_udp_sink(ctx); }
static int io_rebind(void *ctx) { return rn_udp_rebind(ctx); }
static void io_close(void *ctx) { rn_udp_close(ctx); }
static void io_rx_done(void *ctx) { (void)ctx; }

static size_t io_rx(void *ctx, uint64_t now_ns, const struct rn_dgram **out) {
  struct rn_dgram *d;
  (void)now_ns;
  size_t n = rn_udp_rx(ctx, &d);
  *out = d;
  return n;
}

static void io_flush(void *ctx, uint64_t now_ns) {
  (void)now_ns;
  rn_udp_flush(ctx);
}

static void io_wait(void *ctx, uint64_t wait_ns) {
  const struct timespec ts = { .tv_sec = (time_t)(wait_ns / 1000000000u),
                               .tv_nsec = (long)(wait_ns % 1000000000u) };
  struct pollfd p = { .fd = rn_udp_fd(ctx), .events = POLLIN };
  ppoll(&p, 1, &ts, NULL);
}

const struct rn_client_io rn_client_io_udp = {
  .local = io_local,
  .rx = io_rx,
  .rx_done = io_rx_done,
  .sink = io_sink,
  .flush = io_flush,
  .wait = io_wait,
  .rebind = io_rebind,
  .close = io_close,
};
