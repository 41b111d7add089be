/* tests/fuzz/fuzz_endpoint.c: an endpoint whose peer has the right keys and does what it likes with them (forge.h): packets made of any frames at any
 * time, its own packets with other frames put in before they are encrypted, and what needs no keys.
 *
 *   1 octet     bit 0: the server attacks, else the client; bit 1: Retry; bit 2: BBR; bit 3: the victim gives no credit; bit 4: it refuses streams;
 *               bit 5: signatures wait; bit 7: the end comes without a word
 *   1 octet     how far the handshake got before; from 7 on: complete, with streams both ways
 *   then steps  1 octet: low half what, the rest how
 *     0-2       a packet: bits 4, 5 its level; bit 6: the next goes to the same datagram
 *     3         such a datagram goes; 4: n octets as they are, perhaps behind a header with the right connection ID; bit 7: cut short as well, wherever
 *               it is worth a look
 *     5         both talk; 6: time passes; 7, 8: the victim, the attacker: something of the application
 *     9         the attacker's next packet has frames put over its own
 *     10        a datagram on its way comes changed, twice or by another path; 11: what is on its way is lost
 *     12        an Initial of a new connection; 13: Version Negotiation or Retry; 14: a stateless reset; 15: from now on by another path
 *
 * Checked at each step: rn_quic_check of both, the order of events and what they promise (duo.c), no assert of ngtcp2's. At the end all connections are
 * closed, time passes, and no connection, stream, segment or byte of the heap is left. */
#include "fuzz.h"

#include "duo.h"
#include "forge.h"
#include "quic/cid.h"
#include "quic/quic_priv.h"
#include "quic/reset.h"

#define STEPS_MAX 150u

static struct duo duo;
static struct forge forge;

struct world {
  uint8_t victim;
  uint8_t out[DUO_DGRAM_BYTES]; /* packets that go together */
  size_t out_bytes;
  uint16_t port_shift;
};

static struct rn_path path_of(const struct world *w) {
  struct rn_path p = duo_path_to(&duo, w->victim);
  p.remote.port = (uint16_t)(p.remote.port + w->port_shift);
  return p;
}

static void hit(struct world *w, const uint8_t *bytes, size_t n) {
  const struct rn_path path = path_of(w);
  duo_rx(&duo, w->victim, &path, 0, bytes, n);
}

static void send_out(struct world *w) {
  if (w->out_bytes > 0)
    hit(w, w->out, w->out_bytes);
  w->out_bytes = 0;
}

static void packet(struct world *w, struct fuzz_in *in, uint8_t how) {
  static uint8_t frames[FORGE_PACKET_MAX];
  uint8_t level = (uint8_t)(2u - (how >> 4 & 3) % FORGE_LEVELS);
  size_t left = sizeof(w->out) - w->out_bytes;
  size_t cap = left > 200 ? left - 200 : 0;
  size_t n = forge_frames(&forge, in, level, frames, cap < sizeof(frames) ? cap : sizeof(frames));
  w->out_bytes += forge_packet(&forge, in, level, frames, n, w->out + w->out_bytes, left);
  if ((how & 0x40) == 0)
    send_out(w);
}

static void raw(struct world *w, struct fuzz_in *in, uint8_t how) {
  uint8_t bytes[320] = { 0 };
  size_t n = 0, got;
  if (how & 0x10) { /* a short or a long header with the victim's own ID */
    bytes[n++] = fuzz_u8(in);
    if (how & 0x20) {
      memcpy(bytes + n, (const uint8_t[]){ 0, 0, 0, 1, RN_CID_BYTES }, 5);
      bytes[n + 3] = how & 0x40 ? fuzz_u8(in) : 1;
      n += 5;
    }
    memcpy(bytes + n, forge.dcid, RN_CID_BYTES);
    n += RN_CID_BYTES;
  }
  const uint8_t *p = fuzz_bytes(in, fuzz_u8(in), &got);
  memcpy(bytes + n, p, got);
  n += got;
  for (size_t cut = how & 0x80 ? 0 : n; cut < n; cut = fuzz_next_cut(cut, n))
    hit(w, bytes, cut);
  hit(w, bytes, n);
}

static struct duo_stream *any_stream(struct duo_side *s, uint8_t which) {
  for (uint32_t i = 0; i < DUO_STREAMS; i++) {
    struct duo_stream *st = &s->streams[(which + i) % DUO_STREAMS];
    if (st->s != NULL)
      return st;
  }
  return NULL;
}

static void application(struct duo_side *s, struct fuzz_in *in, uint8_t how) {
  struct rn_quic_conn *c = s->conns[0];
  uint8_t arg = fuzz_u8(in);
  struct duo_stream *st = any_stream(s, arg % DUO_STREAMS);
  switch (how >> 4 & 7) {
  case 0:
    if (c != NULL && (st = duo_open(s, c)) != NULL)
      duo_write(s, st, DUO_WRITE, arg * 8u, arg & 1);
    break;
  case 1:
    if (st != NULL)
      duo_write(s, st, (enum duo_write)(arg % 3), arg * 16u, arg & 0x80);
    break;
  case 2:
    if (st != NULL)
      duo_abort(st, arg & 0x40, arg & 0x80);
    break;
  case 3:
    if (st != NULL)
      duo_consume(st, arg & 0x80);
    break;
  case 4:
    if (c != NULL)
      (void)rn_quic_conn_update_keys(c, duo.now_ns);
    break;
  case 5:
    if (c != NULL)
      rn_quic_conn_close(c, arg);
    break;
  case 6:
    if (c != NULL) {
      struct rn_addr local = s->addr;
      local.port = (uint16_t)(local.port + arg);
      (void)rn_quic_conn_migrate(c, duo.now_ns, &local);
    }
    break;
  default:
    duo_sign(s, arg & 0x80);
    break;
  }
  duo_check(&duo);
}

static void arm(struct fuzz_in *in, uint8_t how) {
  forge.armed_level = (uint8_t)(2u - (how >> 4 & 3) % FORGE_LEVELS);
  forge.armed_at = fuzz_u8(in);
  forge.armed_bytes =
      forge_frames(&forge, in, forge.armed_level, forge.armed_with, sizeof(forge.armed_with));
  forge.armed = true;
}

static void change_datagram(struct fuzz_in *in, uint8_t how) {
  static struct duo_dgram g;
  if (duo.count == 0)
    return;
  g = duo.dgrams[fuzz_u8(in) % duo.count];
  uint8_t arg = fuzz_u8(in);
  if (how & 0x10)
    g.bytes[(arg * 7u) % g.len] ^= fuzz_u8(in);
  if (how & 0x20)
    g.len -= arg % g.len;
  if (how & 0x40)
    g.path.remote.port = (uint16_t)(g.path.remote.port + arg);
  if (how & 0x80)
    g.path.remote.family = 6;
  duo_rx(&duo, g.to, &g.path, how & 3, g.bytes, g.len);
}

static void new_connection(struct world *w, struct fuzz_in *in, uint8_t how) {
  static uint8_t frames[1000], out[1300];
  uint8_t dcid[20], token[RN_TOKEN_RETRY_BYTES] = { 0 };
  const struct rn_path path = path_of(w);
  size_t dcid_bytes = fuzz_u8(in) % 21, token_bytes = 0;
  memset(dcid, fuzz_u8(in), sizeof(dcid));
  if (how & 0x10) { /* behind a Retry */
    static const uint8_t rnd[RN_TOKEN_RND_BYTES];
    const struct rn_quic *q = duo.sides[w->victim].q;
    rn_token_retry_make(epochs_retry_now(q), duo.now_ns, &path.remote, dcid, 8, dcid, dcid_bytes,
                        rnd, token);
    token_bytes = sizeof(token);
    token[1] ^= how & 0x20 ? 1 : 0;
  }
  size_t n = forge_frames(&forge, in, FORGE_INITIAL, frames, sizeof(frames));
  n = forge_initial(dcid, dcid_bytes, token, token_bytes, frames, n, out, sizeof(out));
  hit(w, out, n - (how & 0x40 ? fuzz_u8(in) : 0));
}

static void without_keys(struct world *w, struct fuzz_in *in, uint8_t how) {
  uint8_t out[512], which = fuzz_u8(in);
  const struct rn_quic *q = duo.sides[w->victim].q;
  struct rn_retry_cid to = { forge.dcid, forge.dcid_bytes },
                      from = { forge.scid, forge.scid_bytes };
  struct rn_retry_cid odcid = from;
  if (duo.count > 0 &&
      duo.dgrams[0].len > 30) { /* the victim's first Initial, as it is on its way */
    odcid = (struct rn_retry_cid){ duo.dgrams[0].bytes + 6, duo.dgrams[0].bytes[5] % 21u };
    to = (struct rn_retry_cid){ duo.dgrams[0].bytes + 7 + odcid.len,
                                duo.dgrams[0].bytes[6 + odcid.len] % 21u };
    from = odcid;
  }
  size_t n;
  if (how & 0x10) {
    n = rn_vneg_write(&to, &from, which, out, sizeof(out));
    if (how & 0x20 && n > 0)
      out[n - 5] ^= 1; /* version 1 is not offered */
  } else {
    uint8_t scid[20];
    memset(scid, which, sizeof(scid));
    from = (struct rn_retry_cid){ scid, how & 0x20 ? 20u : 8u };
    n = rn_retry_write(q->retry, &to, &from, &odcid, scid, which % 20u, out, sizeof(out));
  }
  hit(w, out, n);
}

static void reset(struct world *w, struct fuzz_in *in, uint8_t how) {
  static const uint8_t rnd[RN_RESET_RND_BYTES] = { 1, 2, 3 };
  uint8_t token[16], out[RN_RESET_BYTES_MAX];
  const struct rn_quic *q = duo.sides[!w->victim].q;
  if (forge.scid_bytes == 0)
    return;
  CHECK(rn_cid_reset_token(q->cid, forge.scid, forge.scid_bytes, token) == RN_OK);
  token[0] ^= how & 0x10 ? fuzz_u8(in) : 0;
  size_t n = rn_reset_write(22u + (how >> 4), token, rnd, out, sizeof(out));
  hit(w, out, n);
}

static void pass_time(struct fuzz_in *in) {
  uint8_t n = fuzz_u8(in);
  uint64_t next = rn_quic_next_expiry(duo.sides[DUO_SERVER].q);
  if (n >= 0xf0 && next > duo.now_ns && next != UINT64_MAX)
    duo_advance(&duo, next - duo.now_ns);
  else
    duo_advance(&duo, n * (n < 0x80 ? DUO_MS : 50 * DUO_MS));
}

static void step(struct world *w, struct fuzz_in *in) {
  uint8_t how = fuzz_u8(in);
  switch (how & 15) {
  case 0:
  case 1:
  case 2:
    packet(w, in, how);
    break;
  case 3:
    send_out(w);
    break;
  case 4:
    raw(w, in, how);
    break;
  case 5:
    duo_talk(&duo, 1u + (how >> 4));
    break;
  case 6:
    pass_time(in);
    break;
  case 7:
    application(&duo.sides[w->victim], in, how);
    break;
  case 8:
    application(&duo.sides[!w->victim], in, how);
    break;
  case 9:
    arm(in, how);
    break;
  case 10:
    change_datagram(in, how);
    break;
  case 11:
    duo_tx(&duo, how & 0x10 ? DUO_CLIENT : DUO_SERVER);
    if (how & 0x20)
      duo.count = 0;
    break;
  case 12:
    new_connection(w, in, how);
    break;
  case 13:
    without_keys(w, in, how);
    break;
  case 14:
    reset(w, in, how);
    break;
  default:
    w->port_shift = how >> 4;
    break;
  }
}

static void begin(struct world *w, struct fuzz_in *in) {
  uint8_t flags = fuzz_u8(in), far = fuzz_u8(in);
  w->victim = flags & 1 ? DUO_CLIENT : DUO_SERVER;
  duo_prepare(&duo);
  duo.honest = false;
  struct duo_side *v = &duo.sides[w->victim];
  duo.sides[DUO_SERVER].params.config.retry = flags & 2 ? RN_QUIC_RETRY_ALWAYS : RN_QUIC_RETRY_AUTO;
  v->params.config.cc = flags & 4 ? RN_QUIC_CC_BBR : RN_QUIC_CC_CUBIC;
  v->hold = flags & 8;
  v->refuse = flags & 16;
  duo.sides[DUO_SERVER].sign_later = flags & 32;
  duo_start(&duo);
  forge_watch(&forge, &duo, !w->victim);
  duo_connect(&duo);
  duo_talk(&duo, far < 7 ? far : 20);
  if (far < 7)
    return;
  for (unsigned int i = 0; i < DUO_SIDES; i++) {
    struct duo_side *s = &duo.sides[i];
    struct duo_stream *st = s->conns[0] != NULL ? duo_open(s, s->conns[0]) : NULL;
    if (st != NULL)
      duo_write(s, st, DUO_WRITE, 300, false);
  }
  if (far & 0x10)
    duo_talk(&duo, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct fuzz_in in = { data, data + len };
  struct world w = { 0 };
  if (len < 2)
    return 0;
  begin(&w, &in);
  for (unsigned int i = 0; i < STEPS_MAX && fuzz_more(&in); i++)
    step(&w, &in);
  duo_end(&duo, (data[0] & 0x80) == 0);
  return 0;
}
