/* lib/quic/newtoken.c: address tokens (RFC 9000 section 8.1.3): a server's NEW_TOKEN spares the client the Retry of its next connection; a
 * client keeps one for each of the servers it talked to last, and uses it once. */
#include "quic/quic_priv.h"

#include <string.h>

void newtoken_send(struct rn_quic_conn *c) {
  struct rn_quic *q = c->q;
  uint8_t token[RN_TOKEN_NEW_BYTES], rnd[RN_TOKEN_RND_BYTES];
  if (q->cfg.address_token_ns == 0)
    return;
  q->rand(q->rand_ctx, rnd, sizeof(rnd));
  rn_token_new_make(epochs_address_now(q), wall_ns(q), &c->path.remote, rnd, token);
  /* Without memory for it the client will be asked for a Retry, no more. */
  if (ngtcp2_conn_submit_new_token(c->ng, token, sizeof(token)) == 0)
    q->stats.address_token_sent++;
}

bool newtoken_check(struct rn_quic *q, const uint8_t *token, size_t len,
                    const struct rn_addr *client) {
  const struct rn_token_codec *k = epochs_address(q, token[0]);
  int err = k != NULL
                ? rn_token_new_read(k, wall_ns(q), q->cfg.address_token_ns, client, token, len)
                : RN_ERR_REFUSED;
  if (err == RN_OK)
    q->stats.address_token_accepted++;
  else if (err == RN_ERR_TIMEOUT)
    q->stats.address_token_expired++;
  else
    q->stats.address_token_refused++;
  return err == RN_OK;
}

/* ---- client ---- */

static struct kept_token *kept_for(struct rn_quic *q, const struct rn_addr *server) {
  for (struct kept_token *t = q->kept_tokens; t < q->kept_tokens + RN_QUIC_KEPT_TOKENS; t++) {
    if (t->len > 0 && rn_addr_eq(&t->server, server))
      return t;
  }
  return NULL;
}

void newtoken_keep(struct rn_quic_conn *c, const uint8_t *token, size_t len) {
  struct rn_quic *q = c->q;
  if (len == 0 || len > RN_QUIC_KEPT_TOKEN_BYTES)
    return;
  struct kept_token *t = kept_for(q, &c->path.remote);
  if (t == NULL)
    t = &q->kept_tokens[q->kept_next++ % RN_QUIC_KEPT_TOKENS];
  t->server = c->path.remote;
  t->len = (uint16_t)len;
  memcpy(t->bytes, token, len);
}

void newtoken_use(struct rn_quic *q, const struct rn_addr *server, ngtcp2_settings *s) {
  struct kept_token *t = kept_for(q, server);
  if (t == NULL)
    return;
  s->token = t->bytes; /* ngtcp2 copies it */
  s->tokenlen = t->len;
  s->token_type = NGTCP2_TOKEN_TYPE_NEW_TOKEN;
  t->len = 0; /* twice would let an observer link the two (RFC 9000 section 8.1.3) */
}
