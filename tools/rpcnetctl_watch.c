/* tools/rpcnetctl_watch.c: rates of a running node, interval by interval. */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/rpcnetctl.h"

#define LCORES_MAX 256u
#define CLEAR      "\033[H\033[J" /* to the first line, and nothing below */

static const char request[] = "{\"request\": \"stats\"}";
static volatile sig_atomic_t stopped;

static void on_signal(int sig) {
  (void)sig;
  stopped = 1;
}

/* What one lcore had counted; in a row of the table, per second. */
struct row {
  double calls, errors, rx, tx, busy, conns;
};

struct sample {
  double at_s;
  uint32_t lcores;
  struct row of[LCORES_MAX];
};

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double value(yyjson_val *metrics, const char *group, const char *name) {
  return yyjson_get_num(yyjson_obj_get(yyjson_obj_get(metrics, group), name));
}

/* The sum of what rpc_errors_total is. */
static double errors_of(yyjson_val *m) {
  double sum = 0;
#define RN_EXPOSED_ERROR(type, group, counter) sum += value(m, #group, #counter);
#include "schema/metrics/exposed.def"
  return sum;
}

static void take(struct sample *s, yyjson_val *result) {
  size_t i, n;
  yyjson_val *l;
  *s = (struct sample){ .at_s = now_s() };
  yyjson_arr_foreach(yyjson_obj_get(result, "lcores"), i, n, l) {
    yyjson_val *m = yyjson_obj_get(l, "metrics");
    if (s->lcores == LCORES_MAX)
      return;
    s->of[s->lcores++] = (struct row){
      .calls =
          value(m, "rpc", "requests") + value(m, "rpc", "streams") + value(m, "forward", "calls"),
      .errors = errors_of(m),
      .rx = value(m, "quic", "rx_datagrams"),
      .tx = value(m, "quic", "tx_datagrams"),
      .busy = value(m, "lcore", "busy_ns") / 1e9,
      .conns = value(m, "quic", "conns"),
    };
  }
}

/* Counters of a new data plane are below those of the one before: nothing rather than less. */
static double per_s(double now, double before, double seconds) {
  return now > before && seconds > 0 ? (now - before) / seconds : 0;
}

static struct row rate(const struct sample *now, const struct sample *before, uint32_t i) {
  struct row none = { 0 }, b = i < before->lcores ? before->of[i] : none, n = now->of[i];
  double s = now->at_s - before->at_s;
  return (struct row){
    .calls = per_s(n.calls, b.calls, s),
    .errors = per_s(n.errors, b.errors, s),
    .rx = per_s(n.rx, b.rx, s),
    .tx = per_s(n.tx, b.tx, s),
    .busy = 100 * per_s(n.busy, b.busy, s),
    .conns = n.conns,
  };
}

static void print_row(const char *name, const struct row *r) {
  printf("%-6s %12.0f %12.0f %14.0f %14.0f %6.1f%% %12.0f\n", name, r->calls, r->errors, r->rx,
         r->tx, r->busy, r->conns);
}

static void print_json_row(const char *name, const struct row *r) {
  printf("%s\"calls_per_s\": %.1f, \"errors_per_s\": %.1f, \"rx_datagrams_per_s\": %.1f, "
         "\"tx_datagrams_per_s\": %.1f, \"busy_pct\": %.1f, \"connections\": %.0f",
         name, r->calls, r->errors, r->rx, r->tx, r->busy, r->conns);
}

static void add(struct row *sum, const struct row *r) {
  sum->calls += r->calls;
  sum->errors += r->errors;
  sum->rx += r->rx;
  sum->tx += r->tx;
  sum->busy += r->busy;
  sum->conns += r->conns;
}

static void show_table(const struct sample *now, const struct sample *before, bool head) {
  struct row sum = { 0 };
  if (head)
    printf("%-6s %12s %12s %14s %14s %7s %12s\n", "lcore", "calls/s", "errors/s", "datagrams in/s",
           "out/s", "busy", "connections");
  for (uint32_t i = 0; i < now->lcores; i++) {
    char name[16];
    struct row r = rate(now, before, i);
    add(&sum, &r);
    snprintf(name, sizeof(name), "%u", i);
    print_row(name, &r);
  }
  print_row("all", &sum);
}

static void show_json(const struct sample *now, const struct sample *before) {
  struct row sum = { 0 };
  printf("{\"seconds\": %.3f, \"lcores\": [", now->at_s - before->at_s);
  for (uint32_t i = 0; i < now->lcores; i++) {
    struct row r = rate(now, before, i);
    add(&sum, &r);
    print_json_row(i > 0 ? ", {" : "{", &r);
    printf("}");
  }
  print_json_row("], ", &sum);
  printf("}\n");
}

static int ask(const char *socket_path, struct sample *s) {
  yyjson_doc *answer = rn_ctl_ask(socket_path, request);
  if (answer == NULL)
    return -1;
  take(s, yyjson_obj_get(yyjson_doc_get_root(answer), "result"));
  yyjson_doc_free(answer);
  return 0;
}

int rn_ctl_watch(const char *socket_path, uint32_t seconds, bool json) {
  static struct sample before, now;
  bool screen = !json && isatty(STDOUT_FILENO);
  const struct sigaction stop = { .sa_handler = on_signal };
  const struct timespec wait = { .tv_sec = seconds };
  sigaction(SIGINT, &stop, NULL);
  sigaction(SIGTERM, &stop, NULL);
  signal(SIGPIPE, SIG_IGN);
  if (ask(socket_path, &before) != 0)
    return EXIT_FAILURE;
  for (bool first = true; !stopped; first = false) {
    if (nanosleep(&wait, NULL) != 0)
      break; /* a signal */
    if (ask(socket_path, &now) != 0)
      return EXIT_FAILURE;
    if (screen)
      fputs(CLEAR, stdout);
    if (json)
      show_json(&now, &before);
    else
      show_table(&now, &before, first || screen);
    if (fflush(stdout) != 0)
      break; /* nobody reads on */
    before = now;
  }
  return EXIT_SUCCESS;
}
