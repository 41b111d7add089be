/* lib/quic/segwait.c: streams whose write was refused because send segments ran out.
 *
 * Nothing of theirs need be on its way, so that no acknowledgement tells them to go on: what gives segments back is other streams, of any
 * connection. They stand in one line, and rn_quic_tx tells those for whose bytes there are segments now. Who does not fit yet keeps his
 * place and lets others pass. */
#include "quic/contain.h"
#include "quic/quic_priv.h"

#define TOLD_AT_ONCE 64u /* streams looked at in one rn_quic_tx */

void segwait_join(struct rn_quic_stream *s, size_t len) {
  s->wait_bytes = len;
  if (rn_list_empty(&s->wait_node))
    rn_list_push_back(&s->conn->q->seg_waiting, &s->wait_node);
}

void segwait_leave(struct rn_quic_stream *s) {
  rn_list_remove(&s->wait_node);
  rn_list_init(&s->wait_node);
}

static struct rn_quic_stream *first(const struct rn_list *line) {
  return RN_LIST_ENTRY(line->next, struct rn_quic_stream, wait_node);
}

bool segwait_due(const struct rn_quic *q) {
  return !rn_list_empty(&q->seg_waiting) &&
         stream_segs_suffice(q, first(&q->seg_waiting)->wait_bytes);
}

/* Puts what is left of a line in front of those that joined meanwhile. */
static void put_back(struct rn_quic *q, struct rn_list *line) {
  while (!rn_list_empty(line)) {
    struct rn_list *last = line->prev;
    rn_list_remove(last);
    rn_list_push_front(&q->seg_waiting, last);
  }
}

static void tell(struct rn_quic_conn *c, void *stream) {
  c->q->ev->stream_writable(c->q->app, stream);
}

void segwait_tell(struct rn_quic *q) {
  struct rn_list line, passed;
  rn_list_init(&passed);
  /* Who joins from here on, refused once more, has its turn with the next rn_quic_tx. */
  rn_list_push_back(&q->seg_waiting, &line);
  rn_list_remove(&q->seg_waiting);
  for (unsigned i = 0; i < TOLD_AT_ONCE && !rn_list_empty(&line); i++) {
    struct rn_quic_stream *s = first(&line);
    struct rn_quic_conn *c = s->conn;
    segwait_leave(s);
    if (!stream_segs_suffice(q, s->wait_bytes))
      rn_list_push_back(&passed, &s->wait_node);
    else if (!contain_run(c, tell, s))
      conn_abandon(c);
  }
  put_back(q, &line);
  put_back(q, &passed);
}
