/* lib/quic/quic_priv.h: what the files of lib/quic share. Nobody else includes it.
 *
 *   endpoint.c   memory, configuration, timers of all connections, statistics
 *   rx.c         datagram -> connection, or a stateless answer
 *   conn.c       life of one connection; the only place that writes conn->state
 *   callbacks.c  what ngtcp2 tells us
 *   check.c      the invariants, walked
 *   stream.c     streams and their send queues
 *   tx.c         ready streams -> packets
 *   path.c       addresses, migration
 *   stateless.c  the queue of Version Negotiation, Retry and reset datagrams */
#pragma once
#include <ngtcp2/ngtcp2.h>

#include "quic/aead.h"
#include "quic/quic.h"
#include "quic/retry.h"
#include "quic/tls.h"
#include "quic/token.h"
#include "util/hash.h"
#include "util/heap.h"
#include "util/list.h"
#include "util/slab.h"
#include "util/wheel.h"

#define RN_QUIC_VEC_MAX        16 /* segments handed to ngtcp2 at once */
#define RN_QUIC_RX_BATCH       64 /* datagrams classified and prefetched together */
#define RN_QUIC_REPLIES        64 /* stateless answers waiting for rn_quic_tx; a power of two */
#define RN_QUIC_REPLY_BYTES    256
#define RN_QUIC_MIN_INITIAL    1200 /* RFC 9000 section 14.1 */
#define RN_QUIC_BULK_SEG_BYTES 4096

/* A connection's sockaddr form of a path, as ngtcp2 wants it. */
union sockaddr_any {
  ngtcp2_sockaddr sa;
  ngtcp2_sockaddr_in in;
  ngtcp2_sockaddr_in6 in6;
};

struct native_path {
  union sockaddr_any local, remote;
  ngtcp2_path path; /* points into the two above: fill, use, do not copy */
};

/* One piece of a stream's send queue: bytes of its own, or a reference with a release function. */
struct seg {
  struct seg *next;
  const uint8_t *base;
  uint64_t end; /* stream offset behind the last byte */
  void (*release)(void *arg);
  void *arg;
  uint32_t len;
  uint32_t cap; /* of bytes[]; 0 for a reference */
  uint8_t bytes[];
};

struct rn_quic_stream {
  /* Send side, touched per write and per packet. */
  struct rn_list ready_node; /* in conn->ready or conn->blocked, or linked to itself */
  struct seg *head;          /* oldest not acknowledged; NULL: nothing queued */
  struct seg *tail;
  struct seg *cur; /* holds the next byte to send; NULL: all sent */
  uint32_t cur_off;
  bool fin_queued : 1;
  bool fin_sent : 1;
  bool write_closed : 1; /* reset by us, or STOP_SENDING by the peer */
  bool blocked : 1;      /* by flow control: in conn->blocked */
  bool want_writable : 1;
  bool reset_sent : 1;
  bool stop_sent : 1;
  bool rx_done : 1;
  bool local : 1;
  uint64_t queued_end; /* stream offset behind the last byte queued */
  uint64_t acked;      /* stream offset below which all is acknowledged */
  int64_t id;
  struct rn_quic_conn *conn;
  void *user;
  struct rn_list conn_node; /* in conn->streams */
  uint64_t pace_ns;         /* max_stream_bandwidth: not before this time */
};

enum conn_state {
  CONN_FREE,
  CONN_HANDSHAKE,
  CONN_READY,
  CONN_CLOSING,  /* we sent CONNECTION_CLOSE: answer packets with it for 3 PTO */
  CONN_DRAINING, /* the peer did: stay silent for 3 PTO */
  CONN_STATE_COUNT
};

struct rn_quic_conn {
  ngtcp2_conn *ng; /* NULL in CLOSING, DRAINING, FREE */
  struct rn_quic *q;
  struct rn_list dirty_node;
  struct rn_list ready;   /* streams with bytes to send */
  struct rn_list blocked; /* streams that flow control stopped */
  struct rn_list paced;   /* streams that max_stream_bandwidth stopped */
  struct rn_list streams; /* all */
  struct rn_timer timer;
  uint32_t slot;
  uint32_t gen;
  uint8_t state; /* enum conn_state; written by conn_set_state only */
  bool server : 1;
  bool half_open : 1;
  bool close_wanted : 1;  /* the application asked: done when ngtcp2 is not on the stack */
  bool want_streams : 1;  /* rn_quic_stream_open said RN_ERR_AGAIN */
  bool in_initials : 1;   /* client_dcid is a key of q->initials */
  bool ready_pending : 1; /* handshake completed; conn_ready not yet told */
  bool sign_pending : 1;
  bool confirmed_pending : 1; /* handshake confirmed; TLS not yet told */
  bool got_reset : 1;         /* a stateless reset arrived */
  uint64_t close_code;
  uint64_t pace_at_ns;       /* the earliest pace_ns in paced; UINT64_MAX: none */
  uint32_t streams_withheld; /* closed by the peer, credit not given back yet: the pool is low */
  uint32_t stream_count;
  void *user;
  struct rn_tls_conn tls;

  struct rn_path path; /* the one in use; sockaddr form beside it to compare quickly */
  union sockaddr_any path_local, path_remote;

  ngtcp2_cid client_dcid; /* what the client called us first */
  struct rn_addr client_addr;

  struct seg *close_pkt; /* CLOSING: the datagram to repeat */
  uint32_t close_rx;     /* datagrams received since */
  bool close_send;

  uint32_t free_next; /* FREE: next free slot */
};

struct reply {
  struct rn_path path;
  uint16_t len;
  uint8_t bytes[RN_QUIC_REPLY_BYTES];
};

struct rn_quic {
  uint64_t now_ns;
  struct rn_quic_limits lim;
  struct rn_quic_config cfg;
  const struct rn_quic_events *ev;
  void *app;
  void (*rand)(void *ctx, uint8_t *out, size_t n);
  void *rand_ctx;
  struct rn_quic_tls *tls;
  struct rn_cid_config cid_cfg;
  struct rn_cid_codec *cid;
  struct rn_token_codec *token;
  struct rn_retry_codec *retry;
  struct rn_aead_pool *aead;
  struct rn_heap *heap;
  ngtcp2_mem mem;
  ngtcp2_callbacks cb_server, cb_client;

  struct rn_list dirty; /* connections that may have something to send, oldest first */
  struct rn_wheel *wheel;
  struct rn_quic_conn *conns; /* lim.conns of them, by slot */
  uint32_t conn_free;         /* head of the free list, or UINT32_MAX */
  uint32_t conn_fresh;        /* slots from here on were never used */
  struct rn_slab *streams;
  struct rn_slab *segs;
  struct rn_slab *bulk_segs;
  struct rn_cidmap *initials;     /* (client DCID, client address) -> slot */
  struct rn_cidmap *reset_tokens; /* stateless reset token of a connection ID that we use -> slot */

  struct reply *replies;
  uint32_t reply_head, reply_tail; /* written at head, sent from tail */

  struct rn_quic_stats stats;
};

/* conn.c */
int conn_accept(struct rn_quic *q, const ngtcp2_pkt_hd *hd, const ngtcp2_cid *odcid,
                const struct rn_path *path, struct rn_quic_conn **out);
struct rn_quic_conn *conn_find(struct rn_quic *q, uint32_t slot, uint32_t gen);
/* To be called after ngtcp2 was at work on c and is off the stack: signatures wanted, closes wanted, events held back. */
void conn_settle(struct rn_quic_conn *c);
/* Ends c because of an ngtcp2 error. */
void conn_fail(struct rn_quic_conn *c, int liberr);
/* Ends c with a code of ours. */
void conn_close_now(struct rn_quic_conn *c, bool app, uint64_t code);
/* Gives the slot back: after the closing or draining period, or at once with rn_quic_fini. */
void conn_free(struct rn_quic_conn *c);
void conn_arm(struct rn_quic_conn *c);
void conn_on_timer(struct rn_quic_conn *c);
void conn_new_cid(struct rn_quic *q, uint32_t slot, uint32_t gen, ngtcp2_cid *out);
/* The peer's token of a connection ID that c starts or ceases to use. */
void conn_note_reset_token(struct rn_quic_conn *c, const uint8_t token[16], bool active);
/* A datagram for a connection that ended: dropped, now and then answered with the CONNECTION_CLOSE. */
void conn_rx_closed(struct rn_quic_conn *c);

/* Has rn_quic_tx visit c. */
static inline void conn_mark_dirty(struct rn_quic_conn *c) {
  if (rn_list_empty(&c->dirty_node))
    rn_list_push_back(&c->q->dirty, &c->dirty_node);
}

/* callbacks.c */
void callbacks_init(struct rn_quic *q);

/* stream.c */
struct rn_quic_stream *stream_new(struct rn_quic_conn *c, int64_t id, bool local);
/* stream_closed event, queue released, object given back. */
void stream_free(struct rn_quic_stream *s);
/* The next bytes to send, at most RN_QUIC_VEC_MAX pieces. *fin: with them the stream ends. */
size_t stream_gather(const struct rn_quic_stream *s, ngtcp2_vec vec[RN_QUIC_VEC_MAX], bool *fin);
void stream_sent(struct rn_quic_stream *s, size_t bytes, bool fin);
void stream_acked(struct rn_quic_stream *s, uint64_t upto);
/* ngtcp2 takes nothing more for s: the peer sent STOP_SENDING. */
void stream_stopped(struct rn_quic_stream *s);
bool stream_has_output(const struct rn_quic_stream *s);
/* Moves to conn->ready what flow control lets go on. */
void stream_unblock(struct rn_quic_conn *c);
void stream_give_back_credit(struct rn_quic_conn *c);
/* max_stream_bandwidth: true when s has to wait; it is then in conn->paced. */
bool stream_pace(struct rn_quic_stream *s);
/* Moves to conn->ready whose waiting is over. */
void stream_unpace(struct rn_quic_conn *c);

/* path.c */
void path_to_native(const struct rn_path *p, struct native_path *out);
void addr_from_native(const ngtcp2_addr *a, struct rn_addr *out);
void path_of_packet(const struct rn_quic_conn *c, const ngtcp2_path *np, struct rn_path *out);
void path_adopt(struct rn_quic_conn *c, const ngtcp2_path *np);

/* stateless.c: answers that cost no state. All of them are queued for rn_quic_tx, or counted when the queue is full. */
enum token_verdict { TOKEN_NONE, TOKEN_RETRY, TOKEN_BAD };
/* What the token of an Initial is worth. TOKEN_RETRY: *odcid is the DCID of the client's first Initial. */
enum token_verdict stateless_check_token(struct rn_quic *q, const ngtcp2_pkt_hd *hd,
                                         const struct rn_path *path, ngtcp2_cid *odcid);
void stateless_version_negotiation(struct rn_quic *q, const ngtcp2_version_cid *vc,
                                   const struct rn_dgram *d);
void stateless_retry(struct rn_quic *q, const ngtcp2_pkt_hd *hd, const struct rn_path *path);
/* CONNECTION_CLOSE INVALID_TOKEN, RFC 9000 section 8.1.3. */
void stateless_invalid_token(struct rn_quic *q, const ngtcp2_pkt_hd *hd,
                             const struct rn_path *path);
void stateless_reset(struct rn_quic *q, const struct rn_dgram *d, const uint8_t *dcid,
                     size_t dcid_len);
size_t stateless_flush(struct rn_quic *q, const struct rn_quic_sink *sink);
