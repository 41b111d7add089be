/* lib/quic/check.c: rn_quic_check, the walk over what must always hold. For simulations and fuzzers. */
#include "quic/quic_priv.h"
#include "util/require.h"

static int check_stream(const struct rn_quic_stream *s) {
  uint64_t at = s->acked;
  bool cur_seen = s->cur == NULL;
  const struct seg *last = NULL;
  for (const struct seg *g = s->head; g != NULL; g = g->next) {
    RN_REQUIRE(g->end >= at);
    RN_REQUIRE(g->cap == 0 || g->len <= g->cap);
    at = g->end;
    cur_seen |= g == s->cur;
    last = g;
  }
  RN_REQUIRE(s->tail == last);
  RN_REQUIRE(cur_seen);
  RN_REQUIRE(s->acked <= s->queued_end);
  RN_REQUIRE(s->head == NULL || at == s->queued_end);
  RN_REQUIRE(s->write_closed || !stream_has_output(s) || !rn_list_empty(&s->ready_node));
  RN_REQUIRE(!s->write_closed || rn_list_empty(&s->wait_node));
  RN_REQUIRE(s->conn->stream_count > 0);
  return RN_OK;
}

static int check_conn(const struct rn_quic_conn *c, uint64_t *streams) {
  bool alive = c->state == CONN_HANDSHAKE || c->state == CONN_READY;
  RN_REQUIRE(alive == (c->ng != NULL));
  RN_REQUIRE(alive || c->stream_count == 0);
  RN_REQUIRE(alive || !c->half_open);
  RN_REQUIRE(c->sign_pending == !rn_list_empty(&c->sign_node));
  RN_REQUIRE(alive || !c->sign_pending);
  uint32_t n = 0;
  for (const struct rn_list *l = c->streams.next; l != &c->streams; l = l->next) {
    const struct rn_quic_stream *s = RN_LIST_ENTRY(l, struct rn_quic_stream, conn_node);
    RN_REQUIRE(s->conn == c);
    int err = check_stream(s);
    if (err != RN_OK)
      return err;
    n++;
  }
  RN_REQUIRE(n == c->stream_count);
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
  RN_REQUIRE(epochs_check(q) == RN_OK);
  RN_REQUIRE(conns == q->stats.conns);
  RN_REQUIRE(half_open == q->stats.half_open);
  RN_REQUIRE(jobs == q->stats.sign_jobs);
  RN_REQUIRE(streams == q->stats.streams);
  RN_REQUIRE(streams == rn_slab_in_use(q->streams));
  RN_REQUIRE(conns > 0 || rn_heap_in_use(q->heap) == 0);
  RN_REQUIRE(conns > 0 || rn_aead_pool_in_use(q->aead) == 0);
  return rn_heap_check(q->heap);
}
