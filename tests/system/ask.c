/* tests/system/ask.c: one unary call, and what came of it as a line of JSON: {"ok": HEX, "ms": N} or {"error": TEXT, "ms": N}. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "client/client.h"
#include "util/addr.h"
#include "util/err.h"

#define MS          UINT64_C(1000000)
#define PATIENCE_NS (60000 * MS)

struct ask {
  struct rn_client *client;
  const char *method, *params;
  uint64_t begin_ns;
  bool done, good;
};

static void on_done(void *user, struct rn_rpc_client_call *call, const struct rn_rpc_result *res) {
  struct ask *a = user;
  (void)call;
  a->done = true;
  a->good = res->err == RN_OK;
  printf("{\"%s\": \"%s", a->good ? "ok" : "error", a->good ? "" : res->text);
  for (size_t i = 0; i < res->len; i++)
    printf("%02x", res->data[i]);
  printf("\", \"ms\": %.1f}\n", (double)(rn_client_now() - a->begin_ns) / 1e6);
}

static void on_ready(void *user, struct rn_quic_conn *quic) {
  struct ask *a = user;
  a->begin_ns = rn_client_now();
  if (rn_rpc_client_call(rn_client_rpc(a->client), quic, a->method, a->params, strlen(a->params),
                         PATIENCE_NS, on_done, a, NULL) != RN_OK)
    a->done = true;
}

static void on_closed(void *user, struct rn_quic_conn *quic, const struct rn_quic_close *why) {
  (void)quic, (void)why;
  ((struct ask *)user)->done = true;
}

int main(int argc, char **argv) {
  static struct ask a;
  const struct rn_client_events ev = { .ready = on_ready, .closed = on_closed };
  struct rn_client_config cfg;
  struct rn_quic_conn *quic;
  struct rn_addr to;
  char why[256];
  if (argc != 4 || rn_addr_parse(argv[1], &to) != RN_OK || to.port == 0) {
    fputs("usage: ask ADDRESS:PORT METHOD TEXT    example: ask 10.77.0.2:8080 echo hello\n",
          stderr);
    return 2;
  }
  a.method = argv[2];
  a.params = argv[3];
  rn_client_defaults(&cfg);
  cfg.local.family = to.family;
  cfg.conns = cfg.calls = 1;
  cfg.spin_ns = 0;
  if (rn_client_new(&cfg, &ev, &a, &a.client, why, sizeof(why)) != RN_OK) {
    fprintf(stderr, "ask: %s\n", why);
    return 1;
  }
  if (rn_client_connect(a.client, &to, "localhost", &quic) != RN_OK)
    a.done = true;
  while (!a.done)
    rn_client_step(a.client, 50 * MS);
  rn_client_free(a.client);
  return a.good ? 0 : 1;
}
