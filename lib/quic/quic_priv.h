/* lib/quic/quic_priv.h: what the files of lib/quic share. Nobody else includes it.
 *
 *   endpoint.c   memory, configuration, timers of all connections, statistics
 *   epochs.c     the keys of connection IDs and tokens, of several epochs
 *   rx.c         datagram -> connection, or a stateless answer
 *   admit.c      Initials that may start a connection
 *   conn.c       life of one connection; the only place that writes conn->state
 *   callbacks.c  what ngtcp2 tells us
 *   check.c      the invariants, walked
 *   conn_mem.c   ngtcp2's memory, by connection
 *   contain.c    assertions of ngtcp2 end a connection, not the process
 *   newtoken.c   address tokens
 *   stream.c     streams and their send queues
 *   segwait.c    streams that wait for send segments
 *   tx.c         ready streams -> packets
 *   path.c       addresses, migration
 *   inspect.c    connections, looked at from beside
 *   qlog.c       one connection, written down
 *   stuck.c      connections that ngtcp2 would leave waiting
 *   stateless.c  the queue of Version Negotiation, Retry and reset datagrams */
#pragma once
#include <ngtcp2/ngtcp2.h>

#include "quic/aead.h"
#include "quic/inspect.h"
#include "quic/quic.h"
#include "quic/retry.h"
#include "quic/secret.h"
#include "quic/tls.h"
#include "quic/token.h"
#include "util/bucket.h"
#include "util/hash.h"
#include "util/heap.h"
#include "util/list.h"
#include "util/slab.h"
#include "util/wheel.h"

#define RN_QUIC_VEC_MAX          16 /* segments handed to ngtcp2 at once */
#define RN_QUIC_RX_BATCH         64 /* datagrams classified and prefetched together */
#define RN_QUIC_REPLIES          64 /* stateless answers waiting for rn_quic_tx; a power of two */
#define RN_QUIC_REPLY_BYTES      256
#define RN_QUIC_MIN_INITIAL      1200 /* RFC 9000 section 14.1 */
#define RN_QUIC_BULK_SEG_BYTES   4096
#define RN_QUIC_ADMIT_QUEUE      256 /* Initials waiting for their turn; a power of two */
#define RN_QUIC_EPOCHS           32  /* of the secret, whose connection IDs are understood */
#define RN_QUIC_KEPT_TOKENS      16  /* of servers: how many, and how long each may be */
#define RN_QUIC_KEPT_TOKEN_BYTES 256
#define RN_QUIC_ADMIT_BYTES                                                                        \
  2048 /* longer ones are dropped: no client sends them before it knows the path */

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
  bool whole : 1;      /* rn_quic_stream_keep_whole */
  uint64_t queued_end; /* stream offset behind the last byte queued */
  uint64_t acked;      /* stream offset below which all is acknowledged */
  int64_t id;
  struct rn_quic_conn *conn;
  void *user;
  struct rn_list conn_node; /* in conn->streams */
  struct rn_list wait_node; /* in rn_quic.seg_waiting, or linked to itself */
  size_t wait_bytes;        /* what the refused write wants segments for */
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

#define CONN_GEN_MASK 0xffffffu /* of rn_quic_conn.gen: what a connection ID has room for */

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
  bool confirmed : 1;
  bool last_flight : 1; /* client: ngtcp2 has written since the handshake completed */
  bool early_done : 1;  /* client: HANDSHAKE_DONE came before that */
  bool got_reset : 1;   /* a stateless reset arrived */
  bool logged : 1;      /* qlog.c wants to know what happens to it */
  uint64_t close_code;
  uint64_t pace_at_ns;       /* the earliest pace_ns in paced; UINT64_MAX: none */
  uint32_t streams_withheld; /* closed by the peer, credit not given back yet */
  uint32_t stream_count;
  void *user;
  struct rn_tls_conn tls;

  uint64_t keep_alive_ns; /* 0: none */
  uint64_t born_ns;
  uint64_t heard_ns; /* when the last datagram was read */
  uint64_t
      stuck_ns; /* the congestion window is full: when to look whether it is for good; 0: it is not */
  uint16_t twist;      /* path.c */
  struct rn_path path; /* the one in use; sockaddr form beside it to compare quickly */
  union sockaddr_any path_local, path_remote;

  ngtcp2_cid client_dcid; /* what the client called us first */
  struct rn_addr client_addr;

  struct seg *close_pkt; /* CLOSING: the datagram to repeat */
  uint32_t close_rx;     /* datagrams received since */
  bool close_send;

  struct rn_list sign_node; /* sign_pending: in rn_quic.signing */
  uint64_t sign_by_ns;      /* sign_pending: refused from then on; UINT64_MAX: never */

  ngtcp2_mem mem;        /* what ngtcp2 allocates for this connection by */
  struct rn_list blocks; /* and all of it */

  struct rn_list linger_node; /* CLOSING, DRAINING: in rn_quic.lingering */
  uint32_t free_next;         /* FREE: next free slot */
};

struct reply {
  struct rn_path path;
  uint16_t len;
  uint8_t bytes[RN_QUIC_REPLY_BYTES];
};

/* An address token that a server gave us. */
struct kept_token {
  struct rn_addr server;
  uint16_t len; /* 0: none */
  uint8_t bytes[RN_QUIC_KEPT_TOKEN_BYTES];
};

struct rn_quic {
  uint64_t now_ns;
  uint64_t wall_ahead_ns; /* the wall clock's lead over now_ns; modulo 2^64 */
  struct rn_quic_limits lim;
  struct rn_quic_config cfg;
  const struct rn_quic_events *ev;
  void *app;
  void (*rand)(void *ctx, uint8_t *out, size_t n);
  void *rand_ctx;
  struct rn_quic_tls *tls, *client_tls;
  struct rn_cid_config cid_cfg;
  struct rn_quic_spread spread;
  struct rn_cid_codec *cid; /* the current epoch's */
  struct epochs *epochs;
  struct rn_retry_codec *retry;
  struct rn_aead_pool *aead;
  struct rn_heap *heap;
  ngtcp2_callbacks cb_server, cb_client;

  struct rn_list dirty;     /* connections that may have something to send, oldest first */
  struct rn_list lingering; /* connections that ended and keep their slot for 3 PTO, oldest first */
  struct rn_list signing;   /* connections that wait for a signature */
  struct rn_list seg_waiting; /* streams that wait for segments, longest first */
  struct rn_wheel *wheel;
  struct rn_quic_conn *conns; /* lim.conns of them, by slot */
  uint32_t conn_free;         /* head of the free list, or UINT32_MAX */
  uint32_t conn_fresh;        /* slots from here on were never used */
  struct rn_slab *streams;
  struct rn_slab *segs;
  struct rn_slab *bulk_segs;
  struct rn_cidmap *initials;     /* (client DCID, client address) -> slot, or INITIAL_IN_LINE */
  struct rn_cidmap *reset_tokens; /* stateless reset token of a connection ID that we use -> slot */

  struct admit *admit;      /* Initials in line */
  struct rn_bucket answers; /* stateless ones, per second */

  struct kept_token kept_tokens[RN_QUIC_KEPT_TOKENS];
  uint32_t kept_next; /* written next */

  struct reply *replies;
  uint32_t reply_head, reply_tail; /* written at head, sent from tail */

  struct qlog {
    const struct rn_quic_qlog *sink; /* NULL: nothing is logged */
    struct rn_quic_conn *conn;       /* NULL: the next one that fits is awaited */
    uint64_t start_ns;
    struct rn_addr client;
  } qlog;

  struct rn_quic_stats stats;
};

/* conn.c */
/* odcid: set when the client answered a Retry. token: what hd's token was found to be. */
enum token_verdict { TOKEN_NONE, TOKEN_RETRY, TOKEN_ADDRESS, TOKEN_BAD };
int conn_accept(struct rn_quic *q, const ngtcp2_pkt_hd *hd, enum token_verdict token,
                const ngtcp2_cid *odcid, const struct rn_path *path, struct rn_quic_conn **out);
struct rn_quic_conn *conn_find(struct rn_quic *q, uint32_t slot, uint32_t gen);
/* To be called after ngtcp2 was at work on c and is off the stack: signatures wanted, closes wanted, events held back. */
void conn_settle(struct rn_quic_conn *c);
/* Ends c because of an ngtcp2 error. */
void conn_fail(struct rn_quic_conn *c, int liberr);
/* Ends c in its handshake with CONNECTION_REFUSED: it did nothing wrong, there is no room or no answer for it. */
void conn_refuse(struct rn_quic_conn *c);
/* Ends c with a code of ours. */
void conn_close_now(struct rn_quic_conn *c, bool app, uint64_t code);
/* Ends c when one of ngtcp2's own checks failed while at work on it. */
void conn_abandon(struct rn_quic_conn *c);
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

/* signing.c */
/* TLS of c wants a signature, and conn_settle asks for it: c may have ended when this returns. */
void signing_begin(struct rn_quic_conn *c);
/* c waits no longer, for whatever reason. */
void signing_end(struct rn_quic_conn *c);
bool signing_overdue(const struct rn_quic_conn *c);

/* rx.c: gives c a datagram. */
void conn_read(struct rn_quic_conn *c, const struct rn_dgram *d);

/* admit.c */
#define INITIAL_IN_LINE UINT32_MAX /* a datagram of this first flight waits for its turn */
struct admit;
size_t admit_footprint(void);
void admit_init(void *mem, const struct rn_quic_limits *lim, const uint8_t hash_key[16],
                struct admit **out);
/* An Initial of no connection: dropped, answered without state, or put in line. follows: one of the same first flight is in line
 * already. */
void admit_initial(struct rn_quic *q, const struct rn_dgram *d, bool follows);
uint32_t admit_waiting(const struct rn_quic *q);
/* A client's handshake failed. */
void admit_failed(struct rn_quic *q);
/* Lets the next in line start its connection; once per turn. */
void admit_next(struct rn_quic *q);

/* epochs.c */
struct epochs;
size_t epochs_footprint(void);
/* The first epoch's keys are those of q->cid_cfg. RN_OK, RN_ERR_INVAL or RN_ERR_CRYPTO. */
int epochs_init(struct rn_quic *q, void *mem);
void epochs_wipe(struct rn_quic *q);
/* As rn_cid_read, with every epoch that may have made it. RN_CID_OURS: *conn is its connection, NULL when there is none (any more), and of the ID
 * of a Retry. */
enum rn_cid_verdict epochs_read(struct rn_quic *q, const uint8_t *cid, size_t len,
                                struct rn_cid *out, struct rn_quic_conn **conn);
void epochs_reset_token(const struct rn_quic *q, const uint8_t cid[RN_CID_BYTES], uint8_t out[16]);
/* What reads a token with this first octet; NULL: no epoch that is taken made it. */
const struct rn_token_codec *epochs_retry(const struct rn_quic *q, uint8_t octet);
const struct rn_token_codec *epochs_address(const struct rn_quic *q, uint8_t octet);
/* What new ones are made with. */
const struct rn_token_codec *epochs_retry_now(const struct rn_quic *q);
const struct rn_token_codec *epochs_address_now(const struct rn_quic *q);
int epochs_check(const struct rn_quic *q);

/* newtoken.c */
static inline uint64_t wall_ns(const struct rn_quic *q) { return q->now_ns + q->wall_ahead_ns; }
void newtoken_send(struct rn_quic_conn *c);
/* True for a token that we gave to this client not too long ago. Counted either way. len > 0. */
bool newtoken_check(struct rn_quic *q, const uint8_t *token, size_t len,
                    const struct rn_addr *client);
void newtoken_keep(struct rn_quic_conn *c, const uint8_t *token, size_t len);
void newtoken_use(struct rn_quic *q, const struct rn_addr *server, ngtcp2_settings *s);

/* conn_mem.c */
void conn_mem_init(struct rn_quic_conn *c);
/* Gives back what ngtcp2 has not: nothing unless one of its assertions failed. */
void conn_mem_release(struct rn_quic_conn *c);

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
/* Whether there are segments for a write of len bytes on a stream with nothing queued. */
bool stream_segs_suffice(const struct rn_quic *q, size_t len);
/* max_stream_bandwidth: true when s has to wait; it is then in conn->paced. */
bool stream_pace(struct rn_quic_stream *s);
/* Moves to conn->ready whose waiting is over. */
void stream_unpace(struct rn_quic_conn *c);

/* segwait.c */
/* s has no segments for len bytes, and gets stream_writable when there are some. */
void segwait_join(struct rn_quic_stream *s, size_t len);
void segwait_leave(struct rn_quic_stream *s);
/* Whether the one that waits longest could go on. */
bool segwait_due(const struct rn_quic *q);
/* Tells those that can go on. ngtcp2 is not on the stack. */
void segwait_tell(struct rn_quic *q);

/* path.c */
/* Twists: 0 for a new connection. */
void path_to_native(const struct rn_path *p, uint16_t local_twist, uint16_t remote_twist,
                    struct native_path *out);
/* The same with the twist that c has now. */
void path_of_conn(const struct rn_quic_conn *c, const struct rn_path *p, struct native_path *out);
void path_of_packet(const struct rn_quic_conn *c, const ngtcp2_path *np, struct rn_path *out);
void path_adopt(struct rn_quic_conn *c, const ngtcp2_path *np);

/* stuck.c: to be called when c has written what it may; at_ns: its next expiry. Returns when it wants to be called again. */
uint64_t stuck_watch(struct rn_quic_conn *c, uint64_t at_ns);

/* qlog.c: datagram, moved and metrics for connections that are logged only. */
/* c is about to be made for a client at path->remote. */
void qlog_offer(struct rn_quic_conn *c, const struct rn_path *path, ngtcp2_settings *s);
/* what: "sent" or "received" */
void qlog_datagram(struct rn_quic_conn *c, const char *what, size_t len, uint8_t ecn);
/* Bytes of a stream, from one of "application", "transport" and "network" to another. */
void qlog_moved(struct rn_quic_stream *s, const char *from, const char *to, size_t len, bool fin);
void qlog_metrics(struct rn_quic_conn *c);
/* c->ng is gone. Of any connection. */
void qlog_ended(struct rn_quic_conn *c, const struct rn_quic_close *why);

/* stateless.c: answers that cost no state. All of them are queued for rn_quic_tx, or counted when the queue is full. */
/* What the token of an Initial is worth. TOKEN_RETRY: *odcid is the DCID of the client's first Initial. */
enum token_verdict stateless_check_token(struct rn_quic *q, const ngtcp2_pkt_hd *hd,
                                         const struct rn_path *path, ngtcp2_cid *odcid);
void stateless_version_negotiation(struct rn_quic *q, const ngtcp2_version_cid *vc,
                                   const struct rn_dgram *d);
void stateless_retry(struct rn_quic *q, const ngtcp2_pkt_hd *hd, const struct rn_path *path);
/* CONNECTION_CLOSE INVALID_TOKEN, RFC 9000 section 8.1.3. */
void stateless_invalid_token(struct rn_quic *q, const ngtcp2_pkt_hd *hd,
                             const struct rn_path *path);
void stateless_reset(struct rn_quic *q, const struct rn_dgram *d, const uint8_t dcid[RN_CID_BYTES]);
size_t stateless_flush(struct rn_quic *q, const struct rn_quic_sink *sink);
