/* lib/rpc/forward_check.c: rn_forward_check, the walk over what must always hold. */
#include "rpc/forward_priv.h"
#include "util/err.h"
#include "util/require.h"

static int check_buf(const struct fwd_buf *b, const struct fwd_chunk *small, uint64_t *chunks) {
  uint64_t at = b->base;
  const struct fwd_chunk *last = NULL;
  RN_REQUIRE(b->base <= b->end);
  for (const struct fwd_chunk *c = b->head; c != NULL; c = c->next) {
    RN_REQUIRE(c->len <= c->cap);
    RN_REQUIRE(c == b->head ? c->at <= b->base : c->at == at);
    at = c->at + c->len;
    *chunks += c != small;
    last = c;
  }
  RN_REQUIRE(b->tail == last);
  RN_REQUIRE(b->base == b->end ? b->head == NULL : at == b->end);
  return RN_OK;
}

static int check_try(const struct fwd_call *k, const struct fwd_try *t) {
  RN_REQUIRE(t->call == k);
  RN_REQUIRE((t->state == TRY_OPEN) == (t->s != NULL));
  RN_REQUIRE(t->s == NULL || rn_quic_stream_user(t->s) == t);
  RN_REQUIRE(t->state != TRY_WAITING || !rn_list_empty(&t->w.node));
  RN_REQUIRE(t->state != TRY_SPENT || (k->from == t && k->resp_fin));
  if (t->state == TRY_NONE)
    return RN_OK;
  RN_REQUIRE(t->sent <= k->req.end);
  RN_REQUIRE(t->closed || t->state == TRY_SPENT || t->sent >= k->req.base);
  RN_REQUIRE(k->from == NULL || k->from == t);
  return RN_OK;
}

static int check_call(const struct rn_forward *f, const struct fwd_call *k, uint64_t *chunks) {
  bool live = false;
  RN_REQUIRE(k->f == f);
  RN_REQUIRE(k->client != NULL && rn_quic_stream_user(k->client) == k);
  RN_REQUIRE(k->route->in_flight > 0);
  RN_REQUIRE(!k->resp_done);
  RN_REQUIRE(k->req_credited <= k->req.end && k->resp_credited <= k->resp.base);
  RN_REQUIRE(k->tried_count >= 1 && k->tried_count <= k->route->tries);
  RN_REQUIRE(!k->keep || (k->req.base == 0 && k->req.end <= f->cfg.replay_bytes));
  for (uint32_t i = 0; i < TRIES_AT_ONCE; i++) {
    int err = check_try(k, &k->tries[i]);
    if (err != RN_OK)
      return err;
    live |= try_is_live(&k->tries[i]);
  }
  RN_REQUIRE(live);
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
  RN_REQUIRE(calls == f->stats.in_flight && calls == rn_slab_in_use(f->slab));
  RN_REQUIRE(chunks == f->stats.buffers && chunks == rn_slab_in_use(f->chunks));
  RN_REQUIRE(calls > 0 || rn_wheel_next_expiry(f->wheel) == UINT64_MAX);
  return rn_wheel_check(f->wheel);
}
