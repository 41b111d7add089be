/* lib/quic/check.c: rn_quic_check, the walk over what must always hold. For simulations and fuzzers. */
#include "quic/quic_priv.h"

#define REQUIRE(cond)                                                                              \
  do {                                                                                             \
    if (!(cond)) {                                                                                 \
      fprintf(stderr, "%s:%d: invariant broken: %s\n", __FILE__, __LINE__, #cond);                 \
      return RN_ERR_STATE;                                                                         \
    }                                                                                              \
  } while (0)

static int check_stream(const struct rn_quic_stream *s) {
  uint64_t at = s->acked;
  bool cur_seen = s->cur == NULL;
  const struct seg *last = NULL;
  for (const struct seg *g = s->head; g != NULL; g = g->next) {
    REQUIRE(g->end >= at);
    REQUIRE(g->cap == 0 || g->len <= g->cap);
    at = g->end;
    cur_seen |= g == s->cur;
    last = g;
  }
  REQUIRE(s->tail == last);
  REQUIRE(cur_seen);
  REQUIRE(s->acked <= s->queued_end);
  REQUIRE(s->head == NULL || at == s->queued_end);
  REQUIRE(s->write_closed || !stream_has_output(s) || !rn_list_empty(&s->ready_node));
  REQUIRE(!s->write_closed || rn_list_empty(&s->wait_node));
  REQUIRE(s->conn->stream_count > 0);
  return RN_OK;
}

static int check_conn(const struct rn_quic_conn *c, uint64_t *streams) {
  bool alive = c->state == CONN_HANDSHAKE || c->state == CONN_READY;
  REQUIRE(alive == (c->ng != NULL));
  REQUIRE(alive || c->stream_count == 0);
  REQUIRE(alive || !c->half_open);
  REQUIRE(c->sign_pending == !rn_list_empty(&c->sign_node));
  REQUIRE(alive || !c->sign_pending);
  uint32_t n = 0;
  for (const struct rn_list *l = c->streams.next; l != &c->streams; l = l->next) {
    const struct rn_quic_stream *s = RN_LIST_ENTRY(l, struct rn_quic_stream, conn_node);
    REQUIRE(s->conn == c);
    int err = check_stream(s);
    if (err != RN_OK)
      return err;
    n++;
  }
  REQUIRE(n == c->stream_count);
  *streams += n;
  return RN_OK;
}

int rn_quic_check(const struct rn_quic *q) {
  uint64_t conns = 0, half_open = 0, jobs = 0, streams = 0;
  for (uint32_t i = 0; i < q->conn_fresh; i++) {
    const struct rn_quic_conn *c = &q->conns[i];
    if (c->state == CONN_FREE)
      continue;
    conns++;
    half_open += c->half_open;
    jobs += c->sign_pending;
    int err = check_conn(c, &streams);
    if (err != RN_OK)
      return err;
  }
  REQUIRE(epochs_check(q) == RN_OK);
  REQUIRE(conns == q->stats.conns);
  REQUIRE(half_open == q->stats.half_open);
  REQUIRE(jobs == q->stats.sign_jobs);
  REQUIRE(streams == q->stats.streams);
  REQUIRE(streams == rn_slab_in_use(q->streams));
  REQUIRE(conns > 0 || rn_heap_in_use(q->heap) == 0);
  REQUIRE(conns > 0 || rn_aead_pool_in_use(q->aead) == 0);
  return rn_heap_check(q->heap);
}
