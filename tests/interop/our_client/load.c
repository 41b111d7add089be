/* Many calls at once. */
#include <string.h>

#include "tests/interop/our_client/peer.h"
#include "util/err.h"

#define MAX_AHEAD 10000

/* A run of calls: the answer to each has to be its params. */
struct run {
  struct peer *p;
  const char *method;
  void (*params)(uint32_t i, uint8_t *out);
  uint32_t total, ahead, conns, params_bytes;
  uint32_t started, done, most;
  bool wrong; /* noted */
};

/* One of the calls outstanding; run is NULL while there is none. */
struct run_call {
  struct run *run;
  uint32_t i;
};

static struct run_call slots[MAX_AHEAD];

static void on_answer(void *user, struct rn_rpc_client_call *call, const struct rn_rpc_result *res);

/* Starts the next call in slot; in vain if the peer allows no more streams at present. */
static void start_next(struct run *r, struct run_call *slot) {
  uint8_t params[64];
  slot->run = NULL;
  if (r->started == r->total || r->wrong)
    return;
  *slot = (struct run_call){ r, r->started };
  r->params(slot->i, params);
  struct rn_quic_conn *conn = r->p->conn[slot->i % r->conns];
  int err = rn_rpc_client_call(rn_client_rpc(r->p->client), conn, r->method, params,
                               r->params_bytes, 30 * S_NS, on_answer, slot, NULL);
  if (err != RN_OK) {
    r->wrong = err != RN_ERR_AGAIN && !fail("call %u: %s", slot->i, rn_err_text(err));
    slot->run = NULL;
    return;
  }
  r->started++;
  if (r->started - r->done > r->most)
    r->most = r->started - r->done;
}

static void on_answer(void *user, struct rn_rpc_client_call *call,
                      const struct rn_rpc_result *res) {
  struct run_call *slot = user;
  struct run *r = slot->run;
  uint8_t want[64];
  (void)call;
  r->params(slot->i, want);
  if (!r->wrong &&
      (res->err != RN_OK || !same("answer", res->data, res->len, want, r->params_bytes)))
    r->wrong = !fail("call %u: %s", slot->i, res->text);
  r->done++;
  start_next(r, slot);
}

static bool all(struct run *r, const struct target *t, uint64_t limit_ns) {
  struct peer p;
  bool ok = peer_open(&p, t, r->conns, MAX_AHEAD + 100);
  uint64_t end_ns = rn_client_now() + limit_ns;
  r->p = &p;
  memset(slots, 0, sizeof(slots));
  while (ok && r->done < r->total) {
    for (uint32_t i = 0; i < r->ahead; i++)
      if (slots[i].run == NULL)
        start_next(r, &slots[i]);
    ok = peer_idle(&p, MS_NS) && !r->wrong;
    if (ok && rn_client_now() > end_ns)
      ok =
          fail("%u of %u after %llu ms", r->done, r->total, (unsigned long long)(limit_ns / MS_NS));
  }
  r->wrong = true; /* what closing ends starts no more */
  peer_close(&p);
  return ok;
}

static void counted(uint32_t i, uint8_t *out) { pattern(out, 15, i); }

/* Longer than it takes to send them all. */
static void eight_seconds(uint32_t i, uint8_t *out) {
  const uint64_t ms = 8000 + i % 500;
  memcpy(out, &ms, sizeof(ms));
}

static bool outstanding_10k(const struct target *t) {
  struct run r = { .method = "sleep",
                   .params = eight_seconds,
                   .params_bytes = 8,
                   .total = 10000,
                   .ahead = 10000,
                   .conns = 1 };
  uint64_t start_ns = rn_client_now();
  if (!all(&r, t, 30 * S_NS))
    return false;
  uint64_t took_ms = (rn_client_now() - start_ns) / MS_NS;
  return (r.most == 10000 && took_ms < 16000) ||
         fail("%u outstanding at most, %llu ms in all", r.most, (unsigned long long)took_ms);
}

static bool calls_100k(const struct target *t) {
  struct run r = { .method = "echo",
                   .params = counted,
                   .params_bytes = 15,
                   .total = 100000,
                   .ahead = 10000,
                   .conns = 1 };
  return all(&r, t, 60 * S_NS);
}

static bool round_robin(const struct target *t) {
  struct run r = { .method = "echo",
                   .params = counted,
                   .params_bytes = 15,
                   .total = 4000,
                   .ahead = 4000,
                   .conns = 4 };
  return all(&r, t, 30 * S_NS);
}

const struct kase load_cases[] = {
  { .name = "outstanding_10k",
    .shows = "10,000 calls outstanding at once on one connection",
    .run = outstanding_10k },
  { .name = "calls_100k",
    .shows = "100,000 calls on one connection, 10,000 outstanding",
    .run = calls_100k },
  { .name = "round_robin_4x1k",
    .shows = "4 connections, 1,000 calls each, all at once",
    .run = round_robin },
  { .name = NULL },
};
