/* dataplane/serve/get_worker.c: DirectorRegistry.get_worker, by which a client of the published crate asks whom to call (docs/protocol.md, "Redirects").
 *
 * Nobody tells a director when such a client is done, so it counts as a connection of its worker for director.lease, or until it asks again, which it does when the
 * worker failed. */
#include "dataplane/serve/director_priv.h"
#include "util/err.h"
#include "util/list.h"
#include "wire/bincode.h"

#include <stdio.h>
#include <string.h>

#define ID_MAX     256u /* a longer connection_id is refused */
#define PROMPT_MAX 65536u
#define UUID_BYTES 41u /* "conn-", 36 characters */

/* ---- leases ---- */

void leases_init(struct rn_director *d, struct lease *leases, uint32_t *by_client, uint64_t seed) {
  d->leases = leases;
  d->by_client = by_client;
  d->seed = seed;
  memset(by_client, 0xff, LEASE_HEADS * sizeof(*by_client));
}

static struct lease *lease_at(const struct rn_director *d, uint64_t number) {
  return &d->leases[number % LEASES_MAX];
}

static uint32_t *head_of(const struct rn_director *d, uint64_t client) {
  return &d->by_client[client % LEASE_HEADS];
}

static struct rn_bal *workers_of(const struct rn_director *d) {
  return d->targets[d->cfg->route_count].bal;
}

static void unlink_lease(struct rn_director *d, struct lease *l) {
  uint32_t *at = head_of(d, l->client);
  const uint32_t place = (uint32_t)(l - d->leases);
  while (*at != LEASE_NONE && *at != place)
    at = &d->leases[*at].next;
  if (*at == place)
    *at = l->next;
}

static void give_back(struct rn_director *d, struct lease *l, uint64_t now_ns) {
  if (l->client == 0)
    return;
  unlink_lease(d, l);
  l->client = 0;
  d->stats.leases--;
  rn_bal_done(workers_of(d), &l->ticket, RN_BAL_CANCELLED, now_ns);
}

static void end_oldest(struct rn_director *d, uint64_t now_ns) {
  give_back(d, lease_at(d, d->lease_tail), now_ns);
  d->lease_tail++;
}

static void renew(struct rn_director *d, uint64_t client, uint64_t now_ns) {
  for (uint32_t at = *head_of(d, client); at != LEASE_NONE; at = d->leases[at].next) {
    if (d->leases[at].client == client) {
      d->stats.leases_renewed++;
      give_back(d, &d->leases[at], now_ns);
      return;
    }
  }
}

static void lease_out(struct rn_director *d, const struct rn_bal_ticket *t, uint64_t client,
                      uint64_t now_ns) {
  if (d->lease_head - d->lease_tail == LEASES_MAX) {
    d->stats.leases_limit += lease_at(d, d->lease_tail)->client != 0;
    end_oldest(d, now_ns);
  }
  struct lease *l = lease_at(d, d->lease_head++);
  uint32_t *head = head_of(d, client);
  *l = (struct lease){
    .ticket = *t, .client = client, .until_ns = now_ns + d->cfg->lease_ns, .next = *head
  };
  *head = (uint32_t)(l - d->leases);
  d->stats.leases++;
}

uint64_t rn_director_next_expiry(const struct rn_director *d) {
  return d->lease_head == d->lease_tail ? UINT64_MAX : lease_at(d, d->lease_tail)->until_ns;
}

void rn_director_timers(struct rn_director *d, uint64_t now_ns) {
  while (rn_director_next_expiry(d) <= now_ns)
    end_oldest(d, now_ns);
}

int leases_check(const struct rn_director *d) {
  uint64_t out = 0, linked = 0;
  for (uint64_t i = d->lease_tail; i != d->lease_head; i++)
    out += lease_at(d, i)->client != 0;
  for (uint32_t i = 0; i < LEASE_HEADS; i++) {
    for (uint32_t at = d->by_client[i]; at != LEASE_NONE; at = d->leases[at].next) {
      if (d->leases[at].client % LEASE_HEADS != i || ++linked > out)
        return RN_ERR_STATE;
    }
  }
  return out == linked && out == d->stats.leases ? RN_OK : RN_ERR_STATE;
}

/* ---- the call ---- */

struct question {
  struct rn_bin_str id; /* len 0: none */
  char made[UUID_BYTES + 1];
};

/* "conn-" and a random UUID (RFC 9562, version 4), as the published director makes them. */
static void make_id(struct rn_director *d, struct question *q) {
  uint8_t r[16];
  char hex[33];
  d->rand(d->rand_ctx, r, sizeof(r));
  r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
  r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
  for (size_t i = 0; i < sizeof(r); i++)
    snprintf(hex + 2 * i, 3, "%02x", r[i]);
  int n = snprintf(q->made, sizeof(q->made), "conn-%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8,
                   hex + 12, hex + 16, hex + 20);
  q->id = (struct rn_bin_str){ q->made, (size_t)n };
}

/* { connection_id: Option<String>, prompt: String } */
static int read_question(const uint8_t *params, size_t len, struct question *q) {
  struct rn_bin_reader r = { .buf = params, .len = len, .str_max = ID_MAX };
  if (rn_bin_bool(&r))
    q->id = rn_bin_str(&r);
  r.str_max = PROMPT_MAX;
  (void)rn_bin_str(&r);
  return r.err;
}

/* { success: bool, worker_addr: Option<String>, worker_label: Option<String>, connection_id: String, message: Option<String> } */
static void answer(struct rn_call *c, const struct rn_bin_str id, const char *addr,
                   struct rn_bin_str label, const char *message) {
  uint8_t buf[1024];
  struct rn_bin_writer w = { .buf = buf, .cap = sizeof(buf) };
  rn_bin_put_u8(&w, addr != NULL);
  rn_bin_put_u8(&w, addr != NULL);
  if (addr != NULL)
    rn_bin_put_str(&w, addr, strlen(addr));
  rn_bin_put_u8(&w, addr != NULL);
  if (addr != NULL)
    rn_bin_put_str(&w, label.p, label.len);
  rn_bin_put_str(&w, id.p, id.len);
  rn_bin_put_u8(&w, message != NULL);
  if (message != NULL)
    rn_bin_put_str(&w, message, strlen(message));
  RN_ASSERT(w.err == RN_OK); /* two ids of at most 256 bytes, an address */
  rn_call_reply(c, buf, w.len);
}

static void on_get_worker(struct rn_call *c, const uint8_t *params, size_t len) {
  static const char bad[] = "Stream error: Serialization error: not the parameters of get_worker";
  struct rn_director *d = RN_LIST_ENTRY(rn_call_handler(c), struct rn_director, get_worker);
  struct question q = { .id = { "", 0 } };
  const uint64_t now_ns = rn_call_now(c);
  if (read_question(params, len, &q) != RN_OK) {
    rn_call_error(c, bad, sizeof(bad) - 1);
    return;
  }
  if (q.id.len == 0)
    make_id(d, &q);
  const uint64_t client = rn_bal_key(q.id.p, q.id.len);
  renew(d, client, now_ns);
  const struct rn_bal_ask ask = { .now_ns = now_ns, .affinity = client };
  struct rn_bal_ticket t;
  if (rn_bal_pick(workers_of(d), &ask, &t) != RN_OK) {
    d->stats.redirects_none++;
    answer(c, q.id, NULL, q.id, "No workers available");
    return;
  }
  const struct rn_bal_worker *w = rn_bal_worker_of(workers_of(d), &t);
  const struct rn_bal_pool *pool = rn_bal_pool(workers_of(d));
  const struct rn_bin_str label = { rn_bal_pool_text(pool, w), w->text_len };
  char addr[RN_ADDR_TEXT_BYTES];
  lease_out(d, &t, client, now_ns);
  d->stats.redirects++;
  answer(c, q.id, rn_addr_text(&w->addr, addr), label, NULL);
}

int rn_director_serve(struct rn_director *d, struct rn_rpc_server *v,
                      void (*rand)(void *ctx, uint8_t *out, size_t n), void *rand_ctx) {
  d->rand = rand;
  d->rand_ctx = rand_ctx;
  d->get_worker = (struct rn_handler){ .name = "DirectorRegistry.get_worker",
                                       .kind = RN_HANDLER_UNARY,
                                       .request = on_get_worker };
  return d->cfg->get_worker != 0 ? rn_rpc_server_add(v, &d->get_worker) : RN_OK;
}
