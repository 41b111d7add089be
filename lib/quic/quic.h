/* lib/quic/quic.h: a QUIC v1 endpoint (RFC 9000, 9001, 9002), sans-IO.
 *
 * Datagrams, time and randomness come in as arguments; datagrams, stream events and expiries come out. One object serves
 * both roles: it accepts connections when configured to, and dials with rn_quic_connect().
 *
 *   rn_quic_rx ----> events (conn_ready, stream_data, ...) ----> rn_quic_stream_write ----> rn_quic_tx
 *                                                                      timers: rn_quic_next_expiry, rn_quic_timers
 *
 * Threads: one lcore owns an endpoint and calls everything here. Nothing blocks.
 * Memory: all of it is reserved by rn_quic_init within rn_quic_limits; what would exceed a limit is refused and counted.
 * Events are called from within rn_quic_rx, rn_quic_tx, rn_quic_timers, rn_quic_sign_done and rn_quic_close_all; an event may call
 * every rn_quic_stream_* and rn_quic_conn_* function, but not rx, tx, timers, connect, or fini. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quic/cid.h"
#include "quic/stats.h"
#include "util/addr.h"
#include "util/err.h"

struct rn_quic;
struct rn_quic_conn;
struct rn_quic_stream;
struct rn_quic_tls;    /* quic/tls.h: certificates, trust anchors, cipher suites */
struct rn_secret_keys; /* quic/secret.h */

/* One UDP datagram's payload. The bytes stay the caller's and are read only during the call. */
struct rn_dgram {
  const uint8_t *data;
  uint32_t len;
  uint8_t ecn; /* the two ECN bits of the IP header */
  struct rn_path path;
};

/* Where rn_quic_tx writes datagrams: straight into the driver's buffers. */
struct rn_quic_sink {
  /* A buffer of at least cap bytes for the next datagram's payload, or NULL when the driver has no room: tx stops there
   * and goes on at its next call. Every reserve is followed by one commit. */
  uint8_t *(*reserve)(void *ctx, size_t cap);
  /* Sends the first len bytes of the reserved buffer along path. len 0 gives the buffer back unused. */
  void (*commit)(void *ctx, const struct rn_path *path, uint8_t ecn, size_t len);
  void *ctx;
};

/* Why a connection ended. */
struct rn_quic_close {
  enum {
    RN_QUIC_CLOSE_IDLE,      /* idle timeout, RFC 9000 section 10.1 */
    RN_QUIC_CLOSE_HANDSHAKE, /* handshake took longer than handshake_timeout_ns */
    RN_QUIC_CLOSE_LOCAL,     /* we closed it, or our transport found an error: code says which */
    RN_QUIC_CLOSE_PEER,      /* CONNECTION_CLOSE received: code */
    RN_QUIC_CLOSE_RESET,     /* stateless reset received */
  } kind;
  bool app;      /* code is an application code (frame 0x1d), else a transport code (0x1c) */
  uint64_t code; /* RFC 9000 section 20 */
};

/* What TLS wants signed: the input of a CertificateVerify, RFC 8446 section 4.4.3. */
struct rn_quic_sign_req {
  uint64_t job;       /* names the request in rn_quic_sign_done */
  uint16_t scheme;    /* TLS SignatureScheme */
  uint16_t tbs_bytes; /* at most RN_QUIC_TBS_BYTES_MAX */
  const uint8_t *tbs; /* valid during the call */
};
#define RN_QUIC_TBS_BYTES_MAX 146 /* 64 spaces, 33 context bytes, NUL, a 48-byte hash */
#define RN_QUIC_SIG_BYTES_MAX 512 /* RSA-4096 */

struct rn_quic_events {
  void (*conn_ready)(void *app, struct rn_quic_conn *c);
  /* Last event of a connection; all its streams have had stream_closed before. c is invalid when this returns. */
  void (*conn_closed)(void *app, struct rn_quic_conn *c, const struct rn_quic_close *why);
  /* The peer lets us open more streams, after rn_quic_stream_open said RN_ERR_AGAIN. */
  void (*streams_available)(void *app, struct rn_quic_conn *c);

  /* The peer opened a bidirectional stream. Not RN_OK: the stream is refused (RESET_STREAM and STOP_SENDING). */
  int (*stream_open)(void *app, struct rn_quic_stream *s);
  /* Next bytes in order; len may be 0. data is valid during the call. The peer gets credit for them only by
   * rn_quic_stream_consume. fin: nothing follows. */
  void (*stream_data)(void *app, struct rn_quic_stream *s, const uint8_t *data, size_t len,
                      bool fin);
  void (*stream_reset)(void *app, struct rn_quic_stream *s,
                       uint64_t code); /* peer gave up sending */
  /* The peer wants no more from us (STOP_SENDING). ngtcp2 tells by refusing bytes, so this comes with the next write; a stream with
   * nothing to write and whose receiving side has ended is closed instead. */
  void (*stream_stop)(void *app, struct rn_quic_stream *s);
  /* After a write said RN_ERR_AGAIN: half or more of the send limit is free again, or there are send segments again for the bytes that were
   * refused. Others may take those first: the write may be refused once more, and the event comes once more. */
  void (*stream_writable)(void *app, struct rn_quic_stream *s);
  /* Last event of a stream; s is invalid when this returns. */
  void (*stream_closed)(void *app, struct rn_quic_stream *s);

  /* Have a CertificateVerify signed and call rn_quic_sign_done, now (after this returned) or later. Not RN_OK: the
   * handshake fails. May be NULL for an endpoint that accepts no connections. */
  int (*sign)(void *app, const struct rn_quic_sign_req *req);
  /* The datagram's connection ID names another lcore of this node. May be NULL: such datagrams are dropped. */
  void (*foreign)(void *app, uint32_t lcore_idx, const struct rn_dgram *d);
};

/* How Initials with a connection ID of the client's choice are spread over lcores where the port does not bring all packets of a client to
 * one of them: all datagrams of a first flight have to meet. lcores 0 or 1: they stay where they arrive. */
struct rn_quic_spread {
  uint8_t lcores;  /* of this node; an Initial belongs to number siphash(key, DCID) mod lcores */
  uint8_t key[16]; /* the same on all lcores; random, so that clients cannot aim */
};

/* Totals of one endpoint, fixed by rn_quic_init. */
struct rn_quic_limits {
  uint32_t conns;     /* 1..65,536 */
  uint32_t half_open; /* handshakes in progress, 1..conns */
  uint32_t streams;   /* open streams of all connections, 1..16,777,216 */
  uint32_t segs;      /* send segments for small writes, RN_QUIC_SEG_BYTES each, >= 16 */
  uint32_t bulk_segs; /* send segments of 4 KiB for larger ones, >= 16 */
  uint32_t sign_jobs; /* handshakes waiting for a signature, 0..half_open */
  size_t heap_bytes;  /* for ngtcp2's objects, >= RN_QUIC_HEAP_BYTES_MIN */
};
#define RN_QUIC_SEG_BYTES 256

/* The first connection takes a span of 64 KiB for each size of object that ngtcp2 makes: 16 as a client, 17 as a server, 1,088 KiB. What is left
 * of 2 MiB has room for the sizes that only lost packets or a Retry need; tests/unit/quic/test_least_heap.c. */
#define RN_QUIC_HEAP_BYTES_MIN ((size_t)2 << 20)

enum rn_quic_cc { RN_QUIC_CC_CUBIC, RN_QUIC_CC_NEWRENO, RN_QUIC_CC_BBR };
enum rn_quic_retry { RN_QUIC_RETRY_NEVER, RN_QUIC_RETRY_AUTO, RN_QUIC_RETRY_ALWAYS };

struct rn_quic_config {
  bool listen; /* accept connections */
  enum rn_quic_cc cc;
  enum rn_quic_retry
      retry; /* AUTO: while more than half of half_open are in use or in line, or many handshakes fail */
  uint64_t idle_timeout_ns;      /* 0: none */
  uint64_t keep_alive_ns;        /* PING after so much silence; 0: none */
  uint64_t handshake_timeout_ns; /* > 0 */
  uint64_t
      sign_timeout_ns; /* of a handshake that waits for a signature; 0: as long as the handshake may take */
  uint64_t initial_rtt_ns;       /* 0: 333 ms, RFC 9002 section 6.2.2 */
  uint64_t max_ack_delay_ns;     /* <= 2^14 ms */
  uint64_t conn_window;          /* initial_max_data, bytes */
  uint64_t stream_window;        /* initial_max_stream_data_*, bytes */
  uint64_t own_stream_window;    /* of streams that we open, in its place; 0: the same */
  uint64_t max_streams_bidi;     /* concurrent, per connection */
  uint64_t max_stream_bandwidth; /* bytes/s a stream may send; 0: no limit */
  uint32_t send_bytes; /* a stream's bytes queued and not yet acknowledged; above: RN_ERR_AGAIN */
  uint32_t max_udp_payload; /* largest datagram the path's first link carries, 1200..65,527 */
  bool pmtud;               /* probe for a larger path MTU, RFC 8899 */
  uint32_t
      answers_per_s; /* Version Negotiation, Retry and stateless resets; 0: no limit; <= 1,000,000 */
  uint32_t
      prefix_handshakes_per_s; /* new connections of one IPv4 /24 or IPv6 /56; 0: no limit; <= 1,000,000 */
  uint64_t
      address_token_ns; /* how long a client need not prove its address again; 0: no NEW_TOKEN, none taken */
};

struct rn_quic_params {
  struct rn_quic_limits limits;
  struct rn_quic_config config;
  struct rn_cid_config cid; /* which CIDs are ours, quic/cid.h */
  struct rn_quic_spread spread;
  struct rn_quic_tls *tls;        /* stays the caller's; outlives the endpoint */
  struct rn_quic_tls *client_tls; /* for connections that we dial; NULL: tls. As tls */
  const struct rn_quic_events *events;
  void *app; /* first argument of every event */
  /* Fills out[0..n) with cryptographically strong bytes; must not fail. */
  void (*rand)(void *ctx, uint8_t *out, size_t n);
  void *rand_ctx;
};

/* Bytes needed for an endpoint, 64-byte aligned; 0 if a limit is out of range. */
size_t rn_quic_footprint(const struct rn_quic_limits *lim);

/* Formats mem (64-byte aligned, footprint bytes, zeroed), which stays the caller's. RN_OK, RN_ERR_INVAL or RN_ERR_CRYPTO; after
 * an error there is nothing to release. */
int rn_quic_init(void *mem, const struct rn_quic_params *p, struct rn_quic **out);

/* New values hold for connections made after the call. RN_OK, or RN_ERR_INVAL with nothing changed. */
int rn_quic_configure(struct rn_quic *q, const struct rn_quic_config *cfg);

/* Tokens are read on other nodes and after restarts: their time is the wall clock's. Until this is called it is now_ns; to be called
 * again now and then, for the wall clock is set. */
void rn_quic_set_wall(struct rn_quic *q, uint64_t now_ns, uint64_t wall_ns);

/* From now on understands connection IDs, tokens and tickets that were made with these keys, too. They are copied. Of the 32 newest
 * epochs connection IDs are understood; connections that hold some of an older one are closed with application code 0. RN_OK, also when
 * they are here already; RN_ERR_EXIST: other keys of this epoch are; RN_ERR_LIMIT: all that are here are newer; RN_ERR_CRYPTO. */
int rn_quic_keys_add(struct rn_quic *q, uint64_t now_ns, const struct rn_secret_keys *keys);

/* From now on makes connection IDs, tokens and tickets with this epoch's keys, which were added, and takes no tokens and tickets of epochs
 * before oldest. RN_OK; RN_ERR_NOENT: it was not added; RN_ERR_STATE: it would be a step back, or oldest > epoch. */
int rn_quic_keys_use(struct rn_quic *q, uint32_t epoch, uint32_t oldest);

/* Drops every connection without a word to its peer. NULL is fine. */
void rn_quic_fini(struct rn_quic *q);

/* Takes n datagrams. Every one is handled or dropped with a reason counter. */
void rn_quic_rx(struct rn_quic *q, uint64_t now_ns, const struct rn_dgram *d, size_t n);

/* Writes what connections have to send, until nothing is left or the sink is full. Returns the number of datagrams. */
size_t rn_quic_tx(struct rn_quic *q, uint64_t now_ns, const struct rn_quic_sink *sink);

/* True when rn_quic_tx has something to do now. */
bool rn_quic_tx_pending(const struct rn_quic *q);

/* When rn_quic_timers must be called next; UINT64_MAX: no timer is set. */
uint64_t rn_quic_next_expiry(const struct rn_quic *q);
void rn_quic_timers(struct rn_quic *q, uint64_t now_ns);

/* Answer to events->sign. err: RN_OK with a signature of sig_bytes, else the handshake fails. A job that ended meanwhile
 * is ignored. */
void rn_quic_sign_done(struct rn_quic *q, uint64_t now_ns, uint64_t job, int err,
                       const uint8_t *sig, size_t sig_bytes);

/* Asks again for every signature that is awaited: whoever was asked may have died. An answer to either question counts, the other one is
 * ignored. Stops when events->sign refuses; what was not asked for keeps waiting. */
void rn_quic_sign_again(struct rn_quic *q, uint64_t now_ns);

/* The counters so far; the pointer stays valid, the gauges are brought up to date by the call. */
const struct rn_quic_stats *rn_quic_stats(const struct rn_quic *q);

/* For a program's own __assert_fail: does not return when file is one of ngtcp2's and the failed check is about a connection that can be
 * taken down alone; that connection then ends with INTERNAL_ERROR and without a word to its peer, counted in assertions. */
void rn_quic_assertion(const char *file);

/* Walks every invariant of the endpoint; RN_OK, or RN_ERR_STATE. For simulations and fuzzers: slow. */
int rn_quic_check(const struct rn_quic *q);

/* What is fixed by rn_quic_limits, or follows from it. */
enum rn_quic_pool {
  RN_QUIC_POOL_STREAMS,
  RN_QUIC_POOL_SEGS,
  RN_QUIC_POOL_BULK_SEGS,
  RN_QUIC_POOL_HEAP,
  RN_QUIC_POOL_KEYS,         /* contexts of packet and header protection */
  RN_QUIC_POOL_INITIALS,     /* clients' first connection IDs */
  RN_QUIC_POOL_RESET_TOKENS, /* of peers */
  RN_QUIC_POOLS
};
/* Tests: from now on every n-th take from the pool is refused as if it were used up; 0: none. Returns how many were since the
 * last call. Only in builds that refuse, util/refuse.h. */
uint64_t rn_quic_fail_every(struct rn_quic *q, enum rn_quic_pool pool, uint32_t n);

/* ---- connections ---- */

/* Dials. server_name is checked against the certificate and sent as SNI; it is copied. RN_OK, RN_ERR_LIMIT, RN_ERR_INVAL or
 * RN_ERR_CRYPTO. The connection is there at once: streams can be opened when conn_ready came. */
int rn_quic_connect(struct rn_quic *q, uint64_t now_ns, const struct rn_path *path,
                    const char *server_name, struct rn_quic_conn **out);
/* The same with other certificates and trust anchors than the endpoint's own, which outlive the connection; NULL: its own. */
int rn_quic_connect_tls(struct rn_quic *q, uint64_t now_ns, const struct rn_path *path,
                        const char *server_name, struct rn_quic_tls *tls,
                        struct rn_quic_conn **out);

/* Closes c with an application code (RFC 9000 section 10.2). The events, of which conn_closed is the last, come before the next rn_quic_tx
 * returns, never from within this call. */
void rn_quic_conn_close(struct rn_quic_conn *c, uint64_t code);

/* The same for every connection; the datagrams go out with the next rn_quic_tx. */
void rn_quic_close_all(struct rn_quic *q, uint64_t now_ns, uint64_t code);

/* Client role: from now on c sends from this local address (RFC 9000 section 9). RN_OK, or RN_ERR_STATE before the handshake is
 * confirmed or when the peer has no spare connection ID. */
int rn_quic_conn_migrate(struct rn_quic_conn *c, uint64_t now_ns, const struct rn_addr *local);

/* Starts a key update, RFC 9001 section 6. RN_OK, or RN_ERR_STATE before the handshake is confirmed and while the last one is not yet
 * acknowledged. */
int rn_quic_conn_update_keys(struct rn_quic_conn *c, uint64_t now_ns);

/* RN_OK, RN_ERR_AGAIN (peer's stream limit: streams_available follows), RN_ERR_LIMIT (our pool), RN_ERR_STATE (not ready). */
int rn_quic_stream_open(struct rn_quic_conn *c, struct rn_quic_stream **out);

/* How many streams can be opened now without RN_ERR_AGAIN. */
uint64_t rn_quic_conn_streams_left(const struct rn_quic_conn *c);
bool rn_quic_conn_is_server(const struct rn_quic_conn *c);
bool rn_quic_conn_is_ready(const struct rn_quic_conn *c); /* handshake completed, not closing */
uint32_t rn_quic_conn_stream_count(const struct rn_quic_conn *c); /* open, whoever opened them */
/* Whether c has more streams open than its even share, at least one, were there `total` of them for the most connections that there may be. */
bool rn_quic_conn_above_share(const struct rn_quic_conn *c, uint32_t total);
/* Handshake confirmed (RFC 9001 section 4.1.2). Before, a client whose address changes is lost to the server. */
bool rn_quic_conn_is_confirmed(const struct rn_quic_conn *c);
void rn_quic_conn_path(const struct rn_quic_conn *c, struct rn_path *out);
uint64_t
rn_quic_conn_rtt_ns(const struct rn_quic_conn *c); /* smoothed; 0 before the first sample */
/* When the last datagram of c was read, or it was made. */
uint64_t rn_quic_conn_heard_ns(const struct rn_quic_conn *c);
/* SHA-256 of the DER form of the certificate that the peer had; NULL: it had none, or the handshake is not completed. Valid as long as c. */
const uint8_t *rn_quic_conn_peer_sha256(const struct rn_quic_conn *c);
/* PING after so much silence, for this connection alone; 0: none. */
void rn_quic_conn_keep_alive(struct rn_quic_conn *c, uint64_t interval_ns);
void rn_quic_conn_set_user(struct rn_quic_conn *c, void *user);
void *rn_quic_conn_user(const struct rn_quic_conn *c);
uint64_t
rn_quic_now(const struct rn_quic *q); /* the now_ns of the call in progress or the last one */
struct rn_quic *rn_quic_conn_endpoint(const struct rn_quic_conn *c);

/* ---- streams ---- */

/* What a stream is, and one pointer for its owner; NULL at first. */
int64_t rn_quic_stream_id(const struct rn_quic_stream *s);
struct rn_quic_conn *rn_quic_stream_conn(const struct rn_quic_stream *s);
void rn_quic_stream_set_user(struct rn_quic_stream *s, void *user);
void *rn_quic_stream_user(const struct rn_quic_stream *s);

/* Queues a copy of len bytes (0 is fine), all or nothing; fin ends the sending side with the last of them. RN_OK; RN_ERR_AGAIN
 * when send_bytes are queued already or segments ran out (stream_writable follows); RN_ERR_LIMIT when it is more than all segments of the
 * endpoint hold; RN_ERR_CLOSED after fin, reset or STOP_SENDING.
 * A stream with nothing queued takes any len for which there are segments. */
int rn_quic_stream_write(struct rn_quic_stream *s, const void *data, size_t len, bool fin);

struct rn_quic_part {
  const void *data;
  size_t len;
};
/* The same for several pieces, as if they were one. */
int rn_quic_stream_writev(struct rn_quic_stream *s, const struct rn_quic_part *parts, size_t count,
                          bool fin);

/* The same without a copy: data stays unchanged until release(arg) is called, which happens exactly once, also when the
 * stream ends early. After an error release is not called. */
int rn_quic_stream_write_ref(struct rn_quic_stream *s, const void *data, size_t len, bool fin,
                             void (*release)(void *arg), void *arg);

/* From now on what is queued begins in a packet of its own, so that as much as fits a packet goes out in one STREAM frame: for readers that take
 * the first piece for all (docs/protocol.md, "Gossip"). About 1,140 bytes fit on any path. */
void rn_quic_stream_keep_whole(struct rn_quic_stream *s);

/* Bytes queued and not acknowledged. */
uint64_t rn_quic_stream_queued(const struct rn_quic_stream *s);

/* Gives the peer credit for n received bytes, of the connection's window and of the stream's. */
void rn_quic_stream_consume(struct rn_quic_stream *s, size_t n);
/* The two apart, each for every byte once: whoever keeps bytes for long gives back the connection's share of them first, so that other streams
 * are not kept waiting. */
void rn_quic_stream_consume_conn(struct rn_quic_stream *s, size_t n);
void rn_quic_stream_consume_own(struct rn_quic_stream *s, size_t n);
/* What the peer may send on it before it gets credit. */
uint64_t rn_quic_stream_window(const struct rn_quic_stream *s);

/* Gives up sending (RESET_STREAM), or asks the peer to (STOP_SENDING); RFC 9000 sections 3.3 and 3.5. Idempotent. */
void rn_quic_stream_reset(struct rn_quic_stream *s, uint64_t code);
void rn_quic_stream_stop(struct rn_quic_stream *s, uint64_t code);
