/* tests/system/steady.c: a client that always wants an answer: one call after the other on one connection; when none comes for 50 ms it
 * dials again, every 50 ms, until somebody answers. Tells of outages, as such a client sees them, when SIGTERM ends it. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"

#define MS          UINT64_C(1000000)
#define PATIENCE_NS (50 * MS)
#define PAUSE_NS    (1 * MS) /* between an answer and the next call */
#define CALL_NS     (60000 * MS)
#define CONNS       256
#define OUTAGES_MAX 4096

enum role { UNUSED, CANDIDATE, CURRENT, FORMER };

struct line {
  struct steady *s;
  struct rn_quic_conn *quic;
  enum role role;
  bool moved; /* answered since it became the current one */
};

struct steady {
  struct rn_client *client;
  struct rn_addr to;
  struct line lines[CONNS];
  struct line *current;
  bool in_flight;
  uint64_t asked_ns, answered_ns, dialled_ns;
  double outages_ms[OUTAGES_MAX];
  uint32_t outages;
  uint64_t calls, failed, late_answers, resets, closed_otherwise, stalls, handshakes_failed;
  double stall_max_ms;
};

static volatile sig_atomic_t stop;

static void on_term(int sig) {
  (void)sig;
  stop = 1;
}

/* ---- calls ---- */

/* The first answer of another line ends an outage; a late one of the same line was a stall. */
static void note_gap(struct steady *s, uint64_t now, bool same_line) {
  double ms = (double)(now - s->answered_ns) / 1e6;
  if (s->answered_ns == 0)
    return;
  if (!same_line) {
    if (s->outages < OUTAGES_MAX)
      s->outages_ms[s->outages++] = ms;
    printf("outage %.1f ms\n", ms);
  } else if (now - s->asked_ns > PATIENCE_NS) {
    s->stalls++;
    s->stall_max_ms = fmax(s->stall_max_ms, ms);
  }
}

static void on_done(void *user, struct rn_rpc_client_call *call, const struct rn_rpc_result *res) {
  struct line *l = user;
  struct steady *s = l->s;
  uint64_t now = rn_client_now();
  (void)call;
  if (res->err != RN_OK) {
    s->failed++; /* another line asks again */
    return;
  }
  s->calls++;
  if (l != s->current) {
    s->late_answers++;
    return;
  }
  note_gap(s, now, l->moved);
  l->moved = true;
  s->answered_ns = now;
  s->in_flight = false;
}

static void ask(struct steady *s, uint64_t now) {
  if (rn_rpc_client_call(rn_client_rpc(s->client), s->current->quic, "echo", (const uint8_t *)"?",
                         1, CALL_NS, on_done, s->current, NULL) != RN_OK)
    return;
  s->in_flight = true;
  s->asked_ns = now;
}

/* ---- lines ---- */

static void dial(struct steady *s, uint64_t now) {
  for (struct line *l = s->lines; l < s->lines + CONNS; l++) {
    if (l->role != UNUSED)
      continue;
    s->dialled_ns = now;
    if (rn_client_connect(s->client, &s->to, "localhost", &l->quic) == RN_OK) {
      l->role = CANDIDATE;
      l->s = s;
      l->moved = false;
      rn_quic_conn_set_user(l->quic, l);
    }
    return;
  }
}

static void on_ready(void *user, struct rn_quic_conn *quic) {
  struct steady *s = user;
  struct line *l = rn_quic_conn_user(quic);
  bool wanted = s->current == NULL || (s->in_flight && rn_client_now() - s->asked_ns > PATIENCE_NS);
  if (!wanted) {
    rn_quic_conn_close(quic, 0);
    return;
  }
  if (s->current != NULL)
    s->current->role = FORMER; /* stays, to see whether it is told that it is dead */
  l->role = CURRENT;
  s->current = l;
  s->in_flight = false;
}

static void on_closed(void *user, struct rn_quic_conn *quic, const struct rn_quic_close *why) {
  struct steady *s = user;
  struct line *l = rn_quic_conn_user(quic);
  if (l->role == CANDIDATE)
    s->handshakes_failed += why->kind != RN_QUIC_CLOSE_LOCAL;
  else if (why->kind == RN_QUIC_CLOSE_RESET)
    s->resets++;
  else
    s->closed_otherwise++;
  if (l == s->current) {
    s->current = NULL;
    if (!s->in_flight)
      s->asked_ns = rn_client_now();
    s->in_flight = true; /* still wants an answer */
  }
  *l = (struct line){ 0 };
}

/* ---- the end ---- */

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double quantile(const struct steady *s, double q) {
  return s->outages == 0 ? 0 : s->outages_ms[(size_t)(q * (s->outages - 1) + 0.5)];
}

static void report(struct steady *s) {
  qsort(s->outages_ms, s->outages, sizeof(double), by_value);
  printf("{\"calls\": %llu, \"failed\": %llu, \"outages\": %u, \"p50_ms\": %.1f, \"p99_ms\": %.1f, "
         "\"max_ms\": %.1f, \"late_answers\": %llu, \"resets\": %llu, \"closed_otherwise\": %llu, "
         "\"handshakes_failed\": "
         "%llu, \"stalls\": %llu, \"stall_max_ms\": %.1f}\n",
         (unsigned long long)s->calls, (unsigned long long)s->failed, s->outages, quantile(s, 0.5),
         quantile(s, 0.99), quantile(s, 1), (unsigned long long)s->late_answers,
         (unsigned long long)s->resets, (unsigned long long)s->closed_otherwise,
         (unsigned long long)s->handshakes_failed, (unsigned long long)s->stalls, s->stall_max_ms);
}

int main(int argc, char **argv) {
  static struct steady s;
  struct rn_client_config cfg;
  const struct rn_client_events ev = { .ready = on_ready, .closed = on_closed };
  char why[256];
  if (argc != 2 || rn_addr_parse(argv[1], &s.to) != RN_OK || s.to.port == 0) {
    fputs("usage: steady ADDRESS:PORT    until SIGTERM; example: steady 10.77.0.2:8080\n", stderr);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  rn_client_defaults(&cfg);
  cfg.local.family = s.to.family;
  cfg.conns = CONNS;
  cfg.calls = CONNS;
  cfg.spin_ns = 0;
  if (rn_client_new(&cfg, &ev, &s, &s.client, why, sizeof(why)) != RN_OK) {
    fprintf(stderr, "steady: %s\n", why);
    return 1;
  }
  signal(SIGTERM, on_term);
  dial(&s, rn_client_now());
  while (!stop) {
    uint64_t now = rn_client_now();
    bool waits = s.current == NULL || (s.in_flight && now - s.asked_ns > PATIENCE_NS);
    if (waits && now - s.dialled_ns > PATIENCE_NS)
      dial(&s, now);
    if (s.current != NULL && !s.in_flight && now - s.answered_ns > PAUSE_NS)
      ask(&s, now);
    rn_client_step(s.client, MS / 2);
  }
  report(&s);
  rn_client_free(s.client);
  return 0;
}
