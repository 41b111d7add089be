/* tests/system/flood.c: datagrams from forged sources, as many as go, to a node in a namespace next to this one.
 *
 * The frames are made before the first is sent; while sending only the source address and port change. */
#include <argp.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/net/build.h"
#include "harness/peer.h"
#include "quic/token.h"
#include "sys/clock.h"

#define FRAMES      1024
#define FRAME_BYTES 2048
#define BATCH       64
#define PAYLOAD     1200
#define VERSION_1   1u

enum kind {
  KIND_INITIAL,
  KIND_UNDECRYPTABLE,
  KIND_TOKEN,
  KIND_VERSION,
  KIND_RESET,
  KIND_JUNK,
  KIND_COUNT
};
static const char *const kinds[KIND_COUNT] = { "initial", "undecryptable", "token",
                                               "version", "reset",         "junk" };

struct args {
  const char *interface;
  struct rn_addr target, source;
  uint8_t mac[6];
  double rate, seconds;
  enum kind kind;
};

struct flood {
  struct args a;
  struct rn_net_if nif;
  struct rn_rng rng;
  uint8_t (*frames)[FRAME_BYTES];
  size_t lens[FRAMES];
  size_t count;
  uint8_t payload[FRAME_BYTES]; /* of the next frame, headers before it */
};

static _Noreturn void die(const char *what) {
  perror(what);
  exit(1);
}

static void fill_random(uint8_t *out, size_t n) {
  if (getrandom(out, n, 0) != (ssize_t)n)
    die("getrandom");
}

/* ---- frames ---- */

static void add_frame(struct flood *f, uint8_t *payload, size_t len) {
  const struct rn_path path = { .local = f->a.source, .remote = f->a.target };
  uint8_t *frame = rn_net_build_udp(&f->nif, f->a.mac, &path, 0, payload, len);
  size_t n = len + (size_t)(payload - frame);
  memcpy(f->frames[f->count], frame, n);
  f->lens[f->count++] = n;
}

static uint8_t *reserve(void *ctx, size_t cap) {
  struct flood *f = ctx;
  return cap + RN_NET_HDR_MAX <= FRAME_BYTES ? f->payload + RN_NET_HDR_MAX : NULL;
}

static void commit(void *ctx, const struct rn_path *path, uint8_t ecn, size_t len) {
  struct flood *f = ctx;
  (void)path, (void)ecn;
  if (len > 0 && f->count < FRAMES)
    add_frame(f, f->payload + RN_NET_HDR_MAX, len);
}

/* First flights of real clients, each with keys and a connection ID of its own. */
static void make_initials(struct flood *f) {
  struct peer client;
  peer_prepare(&client, NULL, rn_rng_next(&f->rng));
  client.params.limits.conns = client.params.limits.half_open = FRAMES;
  peer_start(&client, NULL, NULL);
  const struct rn_quic_sink sink = { reserve, commit, f };
  const struct rn_path path = { .local = f->a.source, .remote = f->a.target };
  struct rn_quic_conn *c;
  while (f->count < FRAMES) {
    if (rn_quic_connect(client.q, 1, &path, "localhost", &c) != RN_OK)
      die("rn_quic_connect");
    rn_quic_tx(client.q, 1, &sink);
  }
  peer_stop(&client);
}

/* Bytes that look like a packet of that kind as far as somebody without keys can see. */
static size_t forge(enum kind kind, uint8_t *p) {
  fill_random(p, PAYLOAD);
  switch (kind) {
  case KIND_RESET: /* a short header with a connection ID of nobody */
    p[0] = (uint8_t)(0x40 | (p[0] & 0x1f));
    return 64;
  case KIND_VERSION:
    p[0] |= 0xc0;
    memset(p + 1, 0xba, 4);
    p[5] = p[14] = 8;
    return PAYLOAD;
  case KIND_JUNK:
    return PAYLOAD;
  default:
    break;
  }
  uint8_t *q = p;
  *q++ = 0xc3; /* Initial */
  *q++ = 0, *q++ = 0, *q++ = 0, *q++ = VERSION_1;
  *q = 8, q += 9; /* DCID, SCID */
  *q = 8, q += 9;
  if (kind == KIND_TOKEN) {
    *q++ = 60;
    *q = RN_TOKEN_RETRY, q += 60;
  } else {
    *q++ = 0;
  }
  size_t left = PAYLOAD - (size_t)(q - p) - 2;
  *q++ = (uint8_t)(0x40 | left >> 8);
  *q = (uint8_t)left;
  return PAYLOAD;
}

static void make_frames(struct flood *f) {
  f->frames = calloc(FRAMES, FRAME_BYTES);
  if (f->a.kind == KIND_INITIAL)
    make_initials(f);
  while (f->count < FRAMES) {
    uint8_t *p = f->payload + RN_NET_HDR_MAX;
    size_t len = forge(f->a.kind, p);
    add_frame(f, p, len);
  }
}

/* ---- sending ---- */

/* Another host of the source's /16 and another port. The IPv4 checksum follows by RFC 1624; the one of UDP is left out, as IPv4 allows. */
static void forge_source(struct flood *f, uint8_t *frame) {
  uint8_t *ip = frame + RN_ETH_BYTES, *udp = ip + RN_IP4_BYTES;
  uint64_t r = rn_rng_next(&f->rng);
  uint32_t sum = (uint32_t)(uint16_t)~(ip[10] << 8 | ip[11]) + (uint16_t)~(ip[14] << 8 | ip[15]);
  ip[14] = (uint8_t)r;
  ip[15] = (uint8_t)((r >> 8) % 254 + 1);
  sum += (uint32_t)(ip[14] << 8 | ip[15]);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = ~((sum & 0xffff) + (sum >> 16));
  ip[10] = (uint8_t)(sum >> 8);
  ip[11] = (uint8_t)sum;
  udp[0] = (uint8_t)(r >> 16 | 0x80);
  udp[1] = (uint8_t)(r >> 24);
  udp[6] = udp[7] = 0;
}

static int open_socket(struct flood *f) {
  struct ifreq ifr = { 0 };
  int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1;
  snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", f->a.interface);
  if (fd < 0 || ioctl(fd, SIOCGIFHWADDR, &ifr) != 0)
    die(f->a.interface);
  memcpy(f->nif.mac, ifr.ifr_hwaddr.sa_data, 6);
  f->nif.mtu = 1500;
  const struct sockaddr_ll ll = { .sll_family = AF_PACKET,
                                  .sll_ifindex = (int)if_nametoindex(f->a.interface) };
  (void)setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on));
  if (bind(fd, (const struct sockaddr *)&ll, sizeof(ll)) != 0)
    die("bind");
  return fd;
}

static int send_batch(struct flood *f, int fd, uint64_t sent) {
  struct mmsghdr msgs[BATCH];
  struct iovec iov[BATCH];
  memset(msgs, 0, sizeof(msgs));
  for (uint32_t i = 0; i < BATCH; i++) {
    size_t k = (sent + i) % FRAMES;
    forge_source(f, f->frames[k]);
    iov[i] = (struct iovec){ f->frames[k], f->lens[k] };
    msgs[i].msg_hdr.msg_iov = &iov[i];
    msgs[i].msg_hdr.msg_iovlen = 1;
  }
  int n = sendmmsg(fd, msgs, BATCH, 0);
  return n > 0 ? n : 0;
}

static void run(struct flood *f, int fd) {
  uint64_t start = rn_sys_now_ns(), end = start + (uint64_t)(f->a.seconds * 1e9), now, sent = 0;
  while ((now = rn_sys_now_ns()) < end) {
    double due = f->a.rate * (double)(now - start) / 1e9;
    if (f->a.rate > 0 && (double)sent >= due) {
      const struct timespec ts = { .tv_nsec = 100000 };
      nanosleep(&ts, NULL);
      continue;
    }
    sent += (uint64_t)send_batch(f, fd, sent);
  }
  double s = (double)(now - start) / 1e9;
  printf("{\"kind\": \"%s\", \"sent\": %llu, \"seconds\": %.3f, \"per_s\": %.0f}\n",
         kinds[f->a.kind], (unsigned long long)sent, s, (double)sent / s);
}

/* ---- options ---- */

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct args *a = state->input;
  unsigned int m[6];
  switch (key) {
  case 'i':
    a->interface = arg;
    break;
  case 'r':
    a->rate = atof(arg);
    break;
  case 'd':
    a->seconds = atof(arg);
    break;
  case 's':
    if (rn_addr_parse(arg, &a->source) != RN_OK || a->source.family != 4)
      argp_error(state, "--sources: \"%s\" is no IPv4 address", arg);
    break;
  case 'm':
    if (sscanf(arg, "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]) != 6)
      argp_error(state, "--mac: \"%s\" is no MAC address", arg);
    for (int i = 0; i < 6; i++)
      a->mac[i] = (uint8_t)m[i];
    break;
  case 'k':
    for (a->kind = 0; a->kind < KIND_COUNT && strcmp(kinds[a->kind], arg) != 0;)
      a->kind++;
    if (a->kind == KIND_COUNT)
      argp_error(state,
                 "--kind: \"%s\" is none of initial, undecryptable, token, version, reset, junk",
                 arg);
    break;
  case ARGP_KEY_ARG:
    if (rn_addr_parse(arg, &a->target) != RN_OK || a->target.family != 4 || a->target.port == 0)
      argp_error(state, "\"%s\" is no IPv4 ADDRESS:PORT", arg);
    break;
  case ARGP_KEY_END:
    if (a->target.port == 0 || a->interface == NULL)
      argp_error(state, "--interface, --mac and ADDRESS:PORT are needed");
    break;
  default:
    return ARGP_ERR_UNKNOWN;
  }
  return 0;
}

int main(int argc, char **argv) {
  static const struct argp_option options[] = {
    { "interface", 'i', "NAME", 0, "send on this interface", 0 },
    { "mac", 'm', "MAC", 0, "to this MAC address", 0 },
    { "sources", 's', "ADDRESS", 0, "from its /16 (default 10.99.0.0)", 0 },
    { "kind", 'k', "KIND", 0,
      "initial (default): real first flights; undecryptable: Initials of random bytes; token: with "
      "a forged Retry token; version: of a "
      "version nobody speaks; reset: short headers for no connection; junk: random bytes",
      0 },
    { "rate", 'r', "PER_SECOND", 0, "datagrams (default: as many as go)", 0 },
    { "duration", 'd', "SECONDS", 0, "default 5", 0 },
    { 0 }
  };
  static const struct argp argp = {
    options,
    parse,
    "ADDRESS:PORT",
    "Floods a node with datagrams from forged sources.\v"
    "Example: flood -i veth1 -m 02:00:00:00:00:01 -k initial -d 3 10.77.0.2:8080",
    NULL,
    NULL,
    NULL
  };
  static struct flood f = { .a = { .seconds = 5 } };
  rn_addr_parse("10.99.0.0", &f.a.source);
  argp_parse(&argp, argc, argv, 0, NULL, &f.a);
  f.a.source.port = 40000;
  rn_rng_init(&f.rng, rn_sys_now_ns());
  int fd = open_socket(&f);
  make_frames(&f);
  run(&f, fd);
  return 0;
}
