/* tests/fuzz/duo.h: two endpoints of lib/quic, what is on its way between them, and an application on each that holds both to
 * quic.h's contract. One thread; a run is repeatable: time, randomness (OpenSSL's too) and keys start the same each time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quic/quic.h"
#include "util/rng.h"

#define DUO_STREAMS     48u
#define DUO_CONNS       8u
#define DUO_DGRAMS      256u
#define DUO_DGRAM_BYTES 1500u
#define DUO_JOBS        8u
#define DUO_REFS        64u
#define DUO_MS          UINT64_C(1000000)

enum { DUO_CLIENT, DUO_SERVER, DUO_SIDES };

/* A datagram that was sent and not yet delivered. */
struct duo_dgram {
  struct rn_path path; /* as the receiver sees it */
  uint8_t to, ecn;
  uint32_t len;
  uint8_t bytes[DUO_DGRAM_BYTES];
};

struct duo_stream {
  struct rn_quic_stream *s; /* NULL: free */
  uint64_t received, written, unconsumed;
  bool fin_received, fin_written, reset_received,
      aborted; /* aborted: we reset, stopped or were stopped */
};

/* Bytes that a stream refers to until it says that it is done with them. */
struct duo_ref {
  struct duo_side *side;
  bool used;
  uint8_t bytes[64];
};

struct duo_side {
  struct duo *duo;
  struct rn_quic *q;
  void *mem;
  size_t mem_bytes;
  struct rn_quic_params params;
  struct rn_addr addr;
  struct rn_rng rng;
  uint8_t idx;
  struct rn_quic_conn *conns[DUO_CONNS]; /* those that got ready */
  struct duo_stream streams[DUO_STREAMS];
  struct duo_ref refs[DUO_REFS];
  uint64_t jobs[DUO_JOBS]; /* signatures that wait */
  uint32_t job_count;
  uint8_t tbs[DUO_JOBS][RN_QUIC_TBS_BYTES_MAX];
  size_t tbs_bytes[DUO_JOBS];
  uint16_t scheme[DUO_JOBS];
  /* how its application behaves */
  bool hold;       /* gives no credit by itself */
  bool refuse;     /* takes no streams */
  bool sign_later; /* signatures wait for duo_sign */
};

struct duo {
  uint64_t now_ns;
  bool honest; /* both ends are: what arrives is what was written */
  struct duo_side sides[DUO_SIDES];
  uint32_t count;
  struct duo_dgram dgrams[DUO_DGRAMS];
};

/* Both endpoints with their limits and settings; d->sides[].params may be changed between prepare and start. */
void duo_prepare(struct duo *d);
void duo_start(struct duo *d);
/* Ends both. gently: closes all, and lets time pass until nothing may be left; then looks that nothing is. */
void duo_end(struct duo *d, bool gently);

/* The client dials. */
void duo_connect(struct duo *d);
/* Collects what a side has to send. */
void duo_tx(struct duo *d, uint8_t side);
/* Delivers datagram i of d->dgrams and takes it off. */
void duo_deliver(struct duo *d, uint32_t i);
/* Hands len bytes to a side, as if they had come along path. */
void duo_rx(struct duo *d, uint8_t side, const struct rn_path *path, uint8_t ecn,
            const uint8_t *bytes, size_t len);
void duo_drop(struct duo *d, uint32_t i);
/* Time passes, timers fire on their way; what they send stays on its way. */
void duo_advance(struct duo *d, uint64_t by_ns);
/* Delivers and sends, all in order, a millisecond apart: until both are silent or some rounds are over. */
void duo_talk(struct duo *d, unsigned int rounds);
/* The path from a side to the other, as the receiver sees it. */
struct rn_path duo_path_to(const struct duo *d, uint8_t side);

/* The application. */
struct duo_stream *duo_open(struct duo_side *s, struct rn_quic_conn *c);
/* n bytes of the stream's pattern, in one, several or referenced pieces. */
enum duo_write { DUO_WRITE, DUO_WRITEV, DUO_WRITE_REF };
void duo_write(struct duo_side *s, struct duo_stream *st, enum duo_write how, size_t n, bool fin);
/* Credit for all or half of what came and has none yet. */
void duo_consume(struct duo_stream *st, bool all);
void duo_abort(struct duo_stream *st, bool reset, bool stop);
/* Answers the oldest signature that waits. */
void duo_sign(struct duo_side *s, bool fail);

/* rn_quic_check of both. */
void duo_check(const struct duo *d);
