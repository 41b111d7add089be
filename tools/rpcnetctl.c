/* tools/rpcnetctl.c: asks a running node over its admin socket. */
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/rpcnetctl.h"

#define DEFAULT_SOCKET "/run/rpcnet/control.sock"
#define FOLLOW_MS      250
#define EXIT_USAGE     2

const char *argp_program_version = "rpcnetctl " RN_VERSION;
static const char doc[] =
    "Asks a running node.\v"
    "  status            processes, port, certificate, lcores\n"
    "  stats             every counter, per lcore\n"
    "  connections       who is connected, by lcore, with round trip and congestion window\n"
    "  trace             calls that were followed through their stages (lcores.trace_interval)\n"
    "  secrets           epochs of the secret, and which one each lcore uses\n"
    "  secrets rotate    adds an epoch to node.secret_file and has all lcores use it\n"
    "  secrets reload    reads node.secret_file again, as SIGHUP to rpcnetd does\n"
    "  members           who is in the cluster, as this node sees it\n"
    "  workers           whom a director sends clients to\n"
    "  route METHOD      whom it forwards calls of a method to\n"
    "  events            what happened in it\n"
    "  tag set K V, tag unset K\n"
    "                    what others are told of this node\n"
    "  join ADDRESS      looks for members at that address and port, too\n"
    "  leave             tells all that this node has left, and is not chosen from then on\n"
    "  drain             ends the node, as SIGTERM does: leaves, refuses new calls, finishes "
    "those\n"
    "                    that there are (node.drain_timeout)\n"
    "  qlog CONNECTION   what happens on a connection from now on, as qlog (JSON-SEQ); its name "
    "is\n"
    "                    that which connections prints\n"
    "  qlog next         every packet and frame of the next connection, from its first packet "
    "on\n\n"
    "Exit status: 0, 1 when the node does not answer, 2 for a wrong command line.\n\n"
    "example: rpcnetctl stats --json";

enum { OPT_LCORE = 256, OPT_CLIENT, OPT_SECONDS, OPT_WATCH };

static const struct argp_option options[] = {
  { "json", 'j', NULL, 0, "Print JSON", 0 },
  { "all", 'a', NULL, 0, "stats: also what is zero", 0 },
  { "count", 'n', "N", 0, "trace: the newest N of each lcore (20); connections: at most N (1000)",
    0 },
  { "follow", 'f', NULL, 0, "trace, events: go on with new ones", 0 },
  { "watch", OPT_WATCH, "SECONDS", OPTION_ARG_OPTIONAL,
    "stats: rates per second and lcore, again and again (every second)", 0 },
  { "lcore", OPT_LCORE, "I", 0, "connections: only of this lcore", 0 },
  { "client", OPT_CLIENT, "ADDRESS", 0, "qlog next: of a client with this IP address", 0 },
  { "seconds", OPT_SECONDS, "S", 0, "qlog: how long (10)", 0 },
  { "socket", 's', "PATH", 0, "The node's admin socket (default " DEFAULT_SOCKET ")", 0 },
  { 0 },
};

struct command {
  const char *name;
  int (*run)(const struct rn_ctl_args *a); /* exit status */
  const char *operands;                    /* what it takes, or NULL */
  unsigned int least, most;                /* so many of them */
};

/* ---- commands ---- */

static void print_json(yyjson_val *v) {
  char *pretty = yyjson_val_write(v, YYJSON_WRITE_PRETTY_TWO_SPACES, NULL);
  printf("%s\n", pretty != NULL ? pretty : "{}");
  free(pretty);
}

int rn_ctl_show(const struct rn_ctl_args *a, const char *request,
                void (*print)(FILE *out, yyjson_val *result)) {
  yyjson_doc *answer = rn_ctl_ask(a->socket, request);
  if (answer == NULL)
    return EXIT_FAILURE;
  yyjson_val *result = yyjson_obj_get(yyjson_doc_get_root(answer), "result");
  if (a->json)
    print_json(result);
  else
    print(stdout, result);
  yyjson_doc_free(answer);
  return EXIT_SUCCESS;
}

static int run_status(const struct rn_ctl_args *a) {
  return rn_ctl_show(a, "{\"request\": \"status\"}", rn_ctl_print_status);
}

static void print_stats(FILE *out, yyjson_val *r) { rn_ctl_print_stats(out, r, false); }
static void print_all_stats(FILE *out, yyjson_val *r) { rn_ctl_print_stats(out, r, true); }
static int run_stats(const struct rn_ctl_args *a) {
  if (a->watch_s != UINT32_MAX)
    return rn_ctl_watch(a->socket, a->watch_s, a->json);
  return rn_ctl_show(a, "{\"request\": \"stats\"}", a->all ? print_all_stats : print_stats);
}

void rn_ctl_finish(yyjson_mut_doc *request, char *out) {
  size_t len = 0;
  char *text = yyjson_mut_write(request, 0, &len);
  yyjson_mut_doc_free(request);
  snprintf(out, RN_CTL_REQUEST_BYTES, "%s", text != NULL ? text : "{}");
  free(text);
}

yyjson_mut_doc *rn_ctl_begin(const char *name, yyjson_mut_val **root) {
  yyjson_mut_doc *request = yyjson_mut_doc_new(NULL);
  *root = yyjson_mut_obj(request);
  yyjson_mut_doc_set_root(request, *root);
  yyjson_mut_obj_add_str(request, *root, "request", name);
  return request;
}

static int run_connections(const struct rn_ctl_args *a) {
  char text[RN_CTL_REQUEST_BYTES];
  yyjson_mut_val *root;
  yyjson_mut_doc *request = rn_ctl_begin("connections", &root);
  if (a->count != UINT32_MAX)
    yyjson_mut_obj_add_uint(request, root, "limit", a->count);
  if (a->lcore != UINT32_MAX)
    yyjson_mut_obj_add_uint(request, root, "lcore", a->lcore);
  rn_ctl_finish(request, text);
  return rn_ctl_show(a, text, rn_ctl_print_connections);
}

/* written: the "written" of the answer before, or NULL. */
static void trace_request(const struct rn_ctl_args *a, yyjson_val *written, char *text) {
  yyjson_mut_val *root;
  yyjson_mut_doc *request = rn_ctl_begin("trace", &root);
  if (a->count != UINT32_MAX)
    yyjson_mut_obj_add_uint(request, root, "count", a->count);
  if (written != NULL)
    yyjson_mut_obj_add_val(request, root, "after", yyjson_val_mut_copy(request, written));
  rn_ctl_finish(request, text);
}

static void print_trace_lines(yyjson_val *calls) {
  size_t i, n;
  yyjson_val *call;
  yyjson_arr_foreach(calls, i, n, call) {
    char *line = yyjson_val_write(call, 0, NULL);
    printf("%s\n", line != NULL ? line : "{}");
    free(line);
  }
}

static int follow_traces(const struct rn_ctl_args *a) {
  char request[RN_CTL_REQUEST_BYTES];
  trace_request(a, NULL, request);
  for (bool first = true;; first = false) {
    yyjson_doc *answer = rn_ctl_ask(a->socket, request);
    if (answer == NULL)
      return EXIT_FAILURE;
    yyjson_val *result = yyjson_obj_get(yyjson_doc_get_root(answer), "result");
    if (a->json)
      print_trace_lines(yyjson_obj_get(result, "calls"));
    else
      rn_ctl_print_traces(stdout, result, first);
    trace_request(a, yyjson_obj_get(result, "written"), request);
    yyjson_doc_free(answer);
    if (fflush(stdout) != 0)
      return EXIT_SUCCESS; /* nobody reads on */
    const struct timespec wait = { .tv_nsec = FOLLOW_MS * 1000000L };
    nanosleep(&wait, NULL);
  }
}

static void print_traces(FILE *out, yyjson_val *r) { rn_ctl_print_traces(out, r, true); }
static int run_trace(const struct rn_ctl_args *a) {
  char request[RN_CTL_REQUEST_BYTES];
  if (a->follow)
    return follow_traces(a);
  trace_request(a, NULL, request);
  return rn_ctl_show(a, request, print_traces);
}

static int run_qlog(const struct rn_ctl_args *a) {
  char text[RN_CTL_REQUEST_BYTES];
  yyjson_mut_val *root;
  yyjson_mut_doc *request = rn_ctl_begin("qlog", &root);
  uint32_t seconds = a->seconds != UINT32_MAX ? a->seconds : 10;
  if (strcmp(a->operands[0], "next") != 0)
    yyjson_mut_obj_add_str(request, root, "connection", a->operands[0]);
  if (a->client != NULL)
    yyjson_mut_obj_add_str(request, root, "client", a->client);
  yyjson_mut_obj_add_uint(request, root, "seconds", seconds);
  rn_ctl_finish(request, text);
  return rn_ctl_copy(a->socket, text, seconds + RN_CTL_TIMEOUT_S, stdout) == 0 ? EXIT_SUCCESS
                                                                               : EXIT_FAILURE;
}

static int run_secrets(const struct rn_ctl_args *a) {
  char text[RN_CTL_REQUEST_BYTES];
  yyjson_mut_val *root;
  yyjson_mut_doc *request = rn_ctl_begin("secrets", &root);
  if (a->operand_count > 0)
    yyjson_mut_obj_add_str(request, root, "action", a->operands[0]);
  rn_ctl_finish(request, text);
  return rn_ctl_show(a, text, rn_ctl_print_secrets);
}

static const struct command commands[] = {
  { "status", run_status, NULL, 0, 0 },
  { "stats", run_stats, NULL, 0, 0 },
  { "connections", run_connections, NULL, 0, 0 },
  { "trace", run_trace, NULL, 0, 0 },
  { "secrets", run_secrets, "rotate or reload", 0, 1 },
  { "qlog", run_qlog, "a connection's name, or next", 1, 1 },
  { "members", rn_ctl_members, NULL, 0, 0 },
  { "workers", rn_ctl_workers, NULL, 0, 0 },
  { "route", rn_ctl_route, "a method", 1, 1 },
  { "events", rn_ctl_events, NULL, 0, 0 },
  { "tag", rn_ctl_tag, "set KEY VALUE, or unset KEY", 2, 3 },
  { "join", rn_ctl_join, "an address with a port", 1, 1 },
  { "leave", rn_ctl_leave, NULL, 0, 0 },
  { "drain", rn_ctl_drain, NULL, 0, 0 },
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

/* ---- command line ---- */

static uint32_t number(struct argp_state *state, const char *what, const char *text) {
  char *end;
  errno = 0;
  unsigned long v = strtoul(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || v >= UINT32_MAX)
    argp_error(state, "%s: %s is no number from 0 to %u", what, text, UINT32_MAX - 1);
  return (uint32_t)v;
}

static void take_word(struct rn_ctl_args *a, const char *word, struct argp_state *state) {
  if (a->command != NULL) {
    const struct command *c = a->command;
    if (a->operand_count == c->most)
      argp_error(state, c->most == 0 ? "one command at a time: %s" : "too much: %s", word);
    a->operands[a->operand_count++] = word;
    return;
  }
  for (size_t i = 0; i < COMMAND_COUNT; i++) {
    if (strcmp(word, commands[i].name) == 0)
      a->command = &commands[i];
  }
  if (a->command == NULL)
    argp_error(state, "unknown command %s; --help names them", word);
}

static void check_words(const struct rn_ctl_args *a, struct argp_state *state) {
  const struct command *c = a->command;
  if (c == NULL)
    argp_error(state, "a command is missing; --help names them");
  if (a->operand_count < c->least)
    argp_error(state, "%s takes %s", c->name, c->operands);
}

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct rn_ctl_args *a = state->input;
  switch (key) {
  case 'j':
    a->json = true;
    return 0;
  case 'a':
    a->all = true;
    return 0;
  case 'f':
    a->follow = true;
    return 0;
  case 'n':
    a->count = number(state, "--count", arg);
    return 0;
  case OPT_LCORE:
    a->lcore = number(state, "--lcore", arg);
    return 0;
  case OPT_SECONDS:
    a->seconds = number(state, "--seconds", arg);
    return 0;
  case OPT_WATCH:
    a->watch_s = arg != NULL ? number(state, "--watch", arg) : 1;
    if (a->watch_s == 0)
      argp_error(state, "--watch: at least one second");
    return 0;
  case OPT_CLIENT:
    a->client = arg;
    return 0;
  case 's':
    a->socket = arg;
    return 0;
  case ARGP_KEY_ARG:
    take_word(a, arg, state);
    return 0;
  case ARGP_KEY_END:
    check_words(a, state);
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

int main(int argc, char **argv) {
  struct rn_ctl_args args = {
    .socket = DEFAULT_SOCKET,
    .count = UINT32_MAX,
    .lcore = UINT32_MAX,
    .seconds = UINT32_MAX,
    .watch_s = UINT32_MAX,
  };
  const struct argp argp = { options, parse, "COMMAND", doc, NULL, NULL, NULL };
  argp_err_exit_status = EXIT_USAGE;
  argp_parse(&argp, argc, argv, 0, NULL, &args);
  return args.command->run(&args);
}
