/* lib/rpc/fanout_check.c: rn_fanout_check, the walk over what must always hold. */
#include "rpc/fanout_priv.h"
#include "util/err.h"
#include "util/require.h"

static int check_fan(const struct rn_fanout *f, const struct fan *k, uint64_t *asks,
                     uint64_t *asked, uint64_t *kept) {
  size_t bytes = 8;
  uint32_t pending = 0;
  RN_REQUIRE(k->f == f && k->route->in_flight > 0);
  for (const struct rn_list *n = k->asks.next; n != &k->asks; n = n->next) {
    const struct fan_ask *a = RN_LIST_ENTRY(n, struct fan_ask, node);
    RN_REQUIRE(a->fan == k && a->state < ASK_STATE_COUNT);
    RN_REQUIRE((a->state == ASK_WAITING) == !rn_list_empty(&a->w.node));
    RN_REQUIRE((a->state == ASK_DONE) == (a->answer != NULL));
    RN_REQUIRE(!a->kept || a->state == ASK_DONE);
    bytes += ask_room(a->id_bytes) + (a->kept ? a->answer_bytes : 0);
    pending += a->state != ASK_DONE;
    *asked += a->state == ASK_ASKED;
    *kept += a->kept;
    ++*asks;
  }
  RN_REQUIRE(pending > 0 && pending == k->pending);
  RN_REQUIRE(bytes == k->bytes && bytes <= f->lim.answer_bytes);
  return RN_OK;
}

int rn_fanout_check(const struct rn_fanout *f) {
  uint64_t fans = 0, asks = 0, asked = 0, kept = 0;
  for (const struct rn_list *n = f->fans.next; n != &f->fans; n = n->next) {
    int err = check_fan(f, RN_LIST_ENTRY(n, struct fan, node), &asks, &asked, &kept);
    if (err != RN_OK)
      return err;
    fans++;
  }
  RN_REQUIRE(fans == f->stats.in_flight && fans == rn_slab_in_use(f->slab));
  RN_REQUIRE(asks == f->stats.asks && asks == rn_slab_in_use(f->asks));
  RN_REQUIRE(asked == rn_rpc_client_calls(f->client));
  RN_REQUIRE((kept == 0) == (rn_buddy_in_use(f->bodies) == 0));
  return rn_rpc_client_check(f->client) == RN_OK ? rn_buddy_check(f->bodies) : RN_ERR_STATE;
}
