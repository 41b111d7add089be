/* lib/rpc/forward_check.c: rn_forward_check, the walk over what must always hold. */
#include "rpc/forward_priv.h"
#include "util/err.h"

#define REQUIRE(cond)                                                                              \
  do {                                                                                             \
    if (!(cond)) {                                                                                 \
      fprintf(stderr, "%s:%d: invariant broken: %s\n", __FILE__, __LINE__, #cond);                 \
      return RN_ERR_STATE;                                                                         \
    }                                                                                              \
  } while (0)

static int check_buf(const struct fwd_buf *b, const struct fwd_chunk *small, uint64_t *chunks) {
  uint64_t at = b->base;
  const struct fwd_chunk *last = NULL;
  REQUIRE(b->base <= b->end);
  for (const struct fwd_chunk *c = b->head; c != NULL; c = c->next) {
    REQUIRE(c->len <= c->cap);
    REQUIRE(c == b->head ? c->at <= b->base : c->at == at);
    at = c->at + c->len;
    *chunks += c != small;
    last = c;
  }
  REQUIRE(b->tail == last);
  REQUIRE(b->base == b->end ? b->head == NULL : at == b->end);
  return RN_OK;
}

static int check_try(const struct fwd_call *k, const struct fwd_try *t) {
  REQUIRE(t->call == k);
  REQUIRE((t->state == TRY_OPEN) == (t->s != NULL));
  REQUIRE(t->s == NULL || rn_quic_stream_user(t->s) == t);
  REQUIRE(t->state != TRY_WAITING || !rn_list_empty(&t->w.node));
  REQUIRE(t->state != TRY_SPENT || (k->from == t && k->resp_fin));
  if (t->state == TRY_NONE)
    return RN_OK;
  REQUIRE(t->sent <= k->req.end);
  REQUIRE(t->closed || t->state == TRY_SPENT || t->sent >= k->req.base);
  REQUIRE(k->from == NULL || k->from == t);
  return RN_OK;
}

static int check_call(const struct rn_forward *f, const struct fwd_call *k, uint64_t *chunks) {
  bool live = false;
  REQUIRE(k->f == f);
  REQUIRE(k->client != NULL && rn_quic_stream_user(k->client) == k);
  REQUIRE(k->route->in_flight > 0);
  REQUIRE(!k->resp_done);
  REQUIRE(k->req_credited <= k->req.end && k->resp_credited <= k->resp.base);
  REQUIRE(k->tried_count >= 1 && k->tried_count <= k->route->tries);
  REQUIRE(!k->keep || (k->req.base == 0 && k->req.end <= f->cfg.replay_bytes));
  for (uint32_t i = 0; i < TRIES_AT_ONCE; i++) {
    int err = check_try(k, &k->tries[i]);
    if (err != RN_OK)
      return err;
    live |= try_is_live(&k->tries[i]);
  }
  REQUIRE(live);
  int err = check_buf(&k->req, &k->small, chunks);
  return err == RN_OK ? check_buf(&k->resp, NULL, chunks) : err;
}

int rn_forward_check(const struct rn_forward *f) {
  uint64_t calls = 0, chunks = 0;
  for (const struct rn_list *n = f->calls.next; n != &f->calls; n = n->next) {
    int err = check_call(f, RN_LIST_ENTRY(n, struct fwd_call, node), &chunks);
    if (err != RN_OK)
      return err;
    calls++;
  }
  REQUIRE(calls == f->stats.in_flight && calls == rn_slab_in_use(f->slab));
  REQUIRE(chunks == f->stats.buffers && chunks == rn_slab_in_use(f->chunks));
  REQUIRE(calls > 0 || rn_wheel_next_expiry(f->wheel) == UINT64_MAX);
  return rn_wheel_check(f->wheel);
}
