/* tests/fuzz/fuzz_ops.c: two endpoints that are both honest, whose applications and network do anything in any order.
 *
 *   1 octet     bit 0: Retry; bit 1: BBR; bit 2: a second connection; bits 3, 4: how small the windows are; bit 5: few segments; bit 6: streams have a
 *               bandwidth; bit 7: the end comes without a word
 *   then steps  1 octet: low half what, bit 4 which side, the rest how; most are followed by 1 octet
 *     0         a stream is opened, with bytes; 1: bytes for a stream, copied, in parts or referenced, perhaps the last; 2: reset, stop, or both
 *     3         credit for what came; 4: keys are updated; 5: the connection is closed; 6: the client moves; 7: a signature comes, or fails
 *     8         from now on: no credit by itself, no streams taken, signatures wait
 *     9         both talk; 10: one sends; 11: one datagram arrives: the first or any other; 12: one is lost, or all
 *     13        one arrives twice; 14: time passes; 15: the configuration changes, or the client dials again
 *
 * Checked at each step: rn_quic_check of both; events come as quic.h says; what arrives is what was written, in order (duo.c). At the end nothing is
 * left: connections, streams, segments, heap, references to bytes that were lent. */
#include "fuzz.h"

#include "duo.h"
#include "util/err.h"

#define STEPS_MAX 120u

static struct duo duo;

static struct rn_quic_conn *any_conn(const struct duo_side *s, uint8_t which) {
  for (uint32_t i = 0; i < DUO_CONNS; i++) {
    struct rn_quic_conn *c = s->conns[(which + i) % DUO_CONNS];
    if (c != NULL)
      return c;
  }
  return NULL;
}

static struct duo_stream *any_stream(struct duo_side *s, uint8_t which) {
  for (uint32_t i = 0; i < DUO_STREAMS; i++) {
    struct duo_stream *st = &s->streams[(which + i) % DUO_STREAMS];
    if (st->s != NULL)
      return st;
  }
  return NULL;
}

static void open_stream(struct duo_side *s, uint8_t arg) {
  struct rn_quic_conn *c = any_conn(s, arg & 1);
  struct duo_stream *st = c != NULL ? duo_open(s, c) : NULL;
  if (st != NULL)
    duo_write(s, st, DUO_WRITE, arg * 16u, arg & 2);
}

static void write_stream(struct duo_side *s, uint8_t how, struct fuzz_in *in) {
  struct duo_stream *st = any_stream(s, fuzz_u8(in) % DUO_STREAMS);
  size_t n = fuzz_u8(in);
  if (st == NULL)
    return;
  if (how & 0x80)
    n *= 97;
  duo_write(s, st, (enum duo_write)(how >> 5 & 3) % 3, n, n & 1);
  CHECK(rn_quic_stream_queued(st->s) <= st->written);
}

static void move(struct duo_side *s, uint8_t arg) {
  struct rn_quic_conn *c = any_conn(s, 0);
  struct rn_addr local = s->addr;
  if (c == NULL)
    return;
  local.port = (uint16_t)(local.port + arg % 8);
  int err = rn_quic_conn_migrate(c, duo.now_ns, &local);
  CHECK(err == RN_OK || err == RN_ERR_STATE);
}

static void configure(struct duo_side *s, uint8_t arg) {
  struct rn_quic_config cfg = s->params.config;
  cfg.idle_timeout_ns = arg & 1 ? 0 : 2000 * DUO_MS;
  cfg.keep_alive_ns = arg & 2 ? 300 * DUO_MS : 0;
  cfg.max_stream_bandwidth = arg & 4 ? 20000 : 0;
  cfg.send_bytes = arg & 8 ? 100 : 30000;
  cfg.max_udp_payload = arg & 16 ? 1199 : 1200;
  CHECK(rn_quic_configure(s->q, &cfg) == (arg & 16 ? RN_ERR_INVAL : RN_OK));
  if (arg & 0x80)
    duo_connect(&duo);
}

static void on_conn(struct duo_side *s, uint8_t what, uint8_t arg) {
  struct rn_quic_conn *c = any_conn(s, arg & 1);
  if (c == NULL)
    return;
  if (what == 4)
    (void)rn_quic_conn_update_keys(c, duo.now_ns);
  else
    rn_quic_conn_close(c, arg);
}

static void on_stream(struct duo_side *s, uint8_t what, uint8_t arg) {
  struct duo_stream *st = any_stream(s, arg % DUO_STREAMS);
  if (st == NULL)
    return;
  if (what == 2)
    duo_abort(st, arg & 0x40, arg & 0x80);
  else
    duo_consume(st, arg & 0x80);
}

static void behave(struct duo_side *s, uint8_t arg) {
  s->hold = arg & 1;
  s->refuse = arg & 2;
  s->sign_later = arg & 4;
}

static void arrive(uint8_t what, uint8_t arg) {
  if (duo.count == 0)
    return;
  uint32_t i = arg % duo.count;
  if (what == 11) {
    duo_deliver(&duo, i);
  } else if (what == 13) {
    static struct duo_dgram g;
    g = duo.dgrams[i];
    duo_rx(&duo, g.to, &g.path, g.ecn, g.bytes, g.len);
  } else if (arg >= 0xf0) {
    duo.count = 0;
  } else {
    duo_drop(&duo, i);
  }
}

static void step(struct fuzz_in *in) {
  uint8_t how = fuzz_u8(in), what = how & 15;
  struct duo_side *s = &duo.sides[how >> 4 & 1];
  switch (what) {
  case 0:
    open_stream(s, fuzz_u8(in));
    break;
  case 1:
    write_stream(s, how, in);
    break;
  case 2:
  case 3:
    on_stream(s, what, fuzz_u8(in));
    break;
  case 4:
  case 5:
    on_conn(s, what, fuzz_u8(in));
    break;
  case 6:
    move(&duo.sides[DUO_CLIENT], fuzz_u8(in));
    break;
  case 7:
    duo_sign(s, how & 0x80);
    break;
  case 8:
    behave(s, fuzz_u8(in));
    break;
  case 9:
    duo_talk(&duo, 1u + (how >> 5));
    break;
  case 10:
    duo_tx(&duo, s->idx);
    break;
  case 14:
    duo_advance(&duo, (how & 0x80 ? 100 : 1) * DUO_MS * fuzz_u8(in));
    break;
  case 15:
    configure(s, fuzz_u8(in));
    break;
  default:
    arrive(what, how & 0x80 ? fuzz_u8(in) : 0);
    break;
  }
  if (what < 9 || what == 15) /* else duo.c has looked */
    CHECK(rn_quic_check(s->q) == RN_OK);
}

static void begin(uint8_t flags) {
  static const uint64_t windows[] = { 64, 1000, 8000, 100000 };
  duo_prepare(&duo);
  for (unsigned int i = 0; i < DUO_SIDES; i++) {
    struct rn_quic_params *p = &duo.sides[i].params;
    p->config.retry = flags & 1 ? RN_QUIC_RETRY_ALWAYS : RN_QUIC_RETRY_NEVER;
    p->config.cc = flags & 2 ? RN_QUIC_CC_BBR : RN_QUIC_CC_NEWRENO;
    p->config.stream_window = windows[flags >> 3 & 3];
    p->config.conn_window = windows[flags >> 3 & 3] * 2;
    p->config.max_stream_bandwidth = flags & 64 ? 50000 : 0;
    p->limits.segs = p->limits.bulk_segs = flags & 32 ? 16 : 200;
  }
  duo_start(&duo);
  duo_connect(&duo);
  if (flags & 4)
    duo_connect(&duo);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  struct fuzz_in in = { data, data + len };
  if (len == 0)
    return 0;
  uint8_t flags = fuzz_u8(&in);
  begin(flags);
  for (unsigned int i = 0; i < STEPS_MAX && fuzz_more(&in); i++)
    step(&in);
  duo_end(&duo, (flags & 0x80) == 0);
  return 0;
}
