/* lib/rpc/body.c: memory for requests and answers that do not fit one datagram. */
#include "rpc/server_priv.h"
#include "util/err.h"

#include <string.h>

#define FIRST_CAP 2048u

struct body *body_new(struct rn_rpc_server *v, size_t cap) {
  size_t room;
  struct body *b = rn_buddy_alloc(v->bodies, sizeof(*b) + cap, &room);
  if (b == NULL) {
    v->stats.body_limit++;
    return NULL;
  }
  *b = (struct body){ .v = v, .cap = room - sizeof(*b) };
  v->stats.body_bytes = rn_buddy_in_use(v->bodies);
  return b;
}

void body_free(void *body) {
  struct body *b = body;
  if (b == NULL)
    return;
  struct rn_rpc_server *v = b->v;
  rn_buddy_free(v->bodies, b);
  v->stats.body_bytes = rn_buddy_in_use(v->bodies);
}

/* need is the peer's word, so the buffer follows what has really come: at most twice that. One byte is always left for the zero that ends an
 * answer made in place. */
int body_append(struct rn_call *c, const uint8_t *data, size_t len, size_t need) {
  struct body *b = c->body;
  size_t have = b != NULL ? b->len : 0, total = have + len;
  if (b == NULL || total + 1 > b->cap) {
    size_t cap = 2 * total < need ? 2 * total : need;
    if (cap < total)
      cap = total;
    struct body *bigger = body_new(c->v, (cap < FIRST_CAP ? FIRST_CAP : cap) + 1);
    if (bigger == NULL)
      return RN_ERR_LIMIT;
    if (have > 0)
      memcpy(bigger->bytes, b->bytes, have);
    bigger->len = have;
    body_free(b);
    c->body = b = bigger;
  }
  memcpy(b->bytes + have, data, len);
  b->len = total;
  return RN_OK;
}
