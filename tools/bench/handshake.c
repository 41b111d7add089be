/* tools/bench/handshake.c: connections made and closed again, so many at a time. */
#include "bench.h"
#include "util/err.h"

#include <stdio.h>
#include <stdlib.h>

#define WAIT_NS      UINT64_C(2000000)
#define LINGER_SPARE 16384u /* slots of connections that are closed and not yet forgotten */
#define CONNS_MAX    65536u

struct handshake {
  struct dialler *d;
  struct rn_quic_conn *quic; /* NULL: to be dialled */
  uint64_t dialled_ns;
};

struct dialler {
  struct bench_result *r;
  uint64_t measure_ns, end_ns;
  bool stopping;
};

static bool measuring(const struct dialler *d, uint64_t now_ns) {
  return now_ns >= d->measure_ns && now_ns < d->end_ns && !d->stopping;
}

static void on_ready(void *user, struct rn_quic_conn *quic) {
  (void)user;
  struct handshake *h = rn_quic_conn_user(quic);
  uint64_t now = rn_client_now();
  if (measuring(h->d, now)) {
    h->d->r->calls++;
    rn_hist_add(&h->d->r->latency, now - h->dialled_ns);
  }
  rn_quic_conn_close(quic, 0);
}

static void on_closed(void *user, struct rn_quic_conn *quic, const struct rn_quic_close *why) {
  (void)user;
  struct handshake *h = rn_quic_conn_user(quic);
  h->quic = NULL;
  if ((why->kind == RN_QUIC_CLOSE_LOCAL && why->app) || !measuring(h->d, rn_client_now()))
    return;
  struct bench_result *r = h->d->r;
  r->errors++;
  r->timeouts += why->kind == RN_QUIC_CLOSE_HANDSHAKE && why->code == 0;
  if (r->first_error[0] == '\0')
    snprintf(r->first_error, sizeof(r->first_error), "handshake ended with transport code 0x%llx",
             (unsigned long long)why->code);
}

static void dial_idle(struct rn_client *client, const struct bench_options *o,
                      struct handshake *all) {
  for (uint32_t i = 0; i < o->connections; i++) {
    struct handshake *h = &all[i];
    if (h->quic != NULL)
      continue;
    h->dialled_ns = rn_client_now();
    if (rn_client_connect(client, &o->target, o->server_name, &h->quic) != RN_OK)
      return; /* closed ones have to be forgotten first */
    rn_quic_conn_set_user(h->quic, h);
  }
}

int bench_handshakes(const struct bench_options *o, struct bench_result *r, char *why,
                     size_t why_bytes) {
  static const struct rn_client_events ev = { .ready = on_ready, .closed = on_closed };
  struct dialler d = { .r = r };
  struct rn_client *client = NULL;
  uint32_t conns = o->connections + LINGER_SPARE;
  int err = bench_client_new(o, conns < CONNS_MAX ? conns : CONNS_MAX, 16, &ev, &d, &client, why,
                             why_bytes);
  if (err != RN_OK)
    return err;
  struct handshake *all = calloc(o->connections, sizeof(*all));
  for (uint32_t i = 0; i < o->connections; i++)
    all[i].d = &d;
  uint64_t start = rn_client_now(), now = start, report = start;
  d.measure_ns = start + (uint64_t)(o->warmup_s * 1e9);
  d.end_ns = d.measure_ns + (uint64_t)(o->duration_s * 1e9);
  double cpu = -1;
  for (; now < d.end_ns; now = rn_client_now()) {
    dial_idle(client, o, all);
    rn_client_step(client, WAIT_NS);
    if (cpu < 0 && now >= d.measure_ns)
      cpu = bench_cpu_seconds();
    if (now >= report) {
      report += UINT64_C(1000000000);
      report_progress(o, (double)(now - start) / 1e9, r->calls, r->errors);
    }
  }
  r->client_cpu_s = bench_cpu_seconds() - cpu;
  r->seconds = o->duration_s;
  r->handshake_us = (double)rn_hist_quantile(&r->latency, 0.5) / 1e3;
  d.stopping = true;
  rn_client_free(client);
  free(all);
  return RN_OK;
}
