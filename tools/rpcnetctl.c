/* tools/rpcnetctl.c: asks a running node over its admin socket. */
#include <argp.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <yyjson.h>

#include "tools/rpcnetctl.h"

#define DEFAULT_SOCKET "/run/rpcnet/control.sock"
#define ANSWER_MAX     (16u << 20)
#define TIMEOUT_S      5
#define EXIT_USAGE     2

const char *argp_program_version = "rpcnetctl " RN_VERSION;
static const char doc[] =
    "Asks a running node.\v"
    "  status   processes, port, certificate, lcores\n"
    "  stats    every counter, per lcore\n\n"
    "Exit status: 0, 1 when the node does not answer, 2 for a wrong command line.\n\n"
    "example: rpcnetctl stats --json";

static const struct argp_option options[] = {
  { "json", 'j', NULL, 0, "Print JSON", 0 },
  { "all", 'a', NULL, 0, "stats: also what is zero", 0 },
  { "socket", 's', "PATH", 0, "The node's admin socket (default " DEFAULT_SOCKET ")", 0 },
  { 0 },
};

struct args {
  const char *command;
  const char *socket;
  bool json;
  bool all;
};

static error_t parse(int key, char *arg, struct argp_state *state) {
  struct args *a = state->input;
  switch (key) {
  case 'j':
    a->json = true;
    return 0;
  case 'a':
    a->all = true;
    return 0;
  case 's':
    a->socket = arg;
    return 0;
  case ARGP_KEY_ARG:
    if (a->command != NULL)
      argp_error(state, "one command at a time: %s", arg);
    a->command = arg;
    return 0;
  case ARGP_KEY_END:
    if (a->command == NULL)
      argp_error(state, "status or stats?");
    if (strcmp(a->command, "status") != 0 && strcmp(a->command, "stats") != 0)
      argp_error(state, "unknown command %s; there are status and stats", a->command);
    return 0;
  default:
    return ARGP_ERR_UNKNOWN;
  }
}

static int fail(const char *socket_path, const char *what) {
  fprintf(stderr, "rpcnetctl: %s: %s\n", socket_path, what);
  return -1;
}

/* A connected socket, or -1 with the reason printed. */
static int dial(const char *path) {
  struct sockaddr_un a = { .sun_family = AF_UNIX };
  const struct timeval limit = { .tv_sec = TIMEOUT_S };
  if (strlen(path) >= sizeof(a.sun_path))
    return fail(path, "longer than a unix socket's path can be");
  memcpy(a.sun_path, path, strlen(path));
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0)
    return fail(path, strerror(errno));
  if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
    return fd;
  bool absent = errno == ENOENT || errno == ECONNREFUSED;
  fail(path,
       absent ? "no node is running here; start one with rpcnetd, or name its socket with --socket"
              : strerror(errno));
  close(fd);
  return -1;
}

/* Sends the request and reads the answer to its end; NULL with the reason printed. The text is the caller's to free(). */
static char *ask(const struct args *a, size_t *len) {
  char request[64];
  int n = snprintf(request, sizeof(request), "{\"request\": \"%s\"}\n", a->command);
  int fd = dial(a->socket);
  if (fd < 0)
    return NULL;
  char *buf = malloc(ANSWER_MAX);
  size_t total = 0;
  ssize_t got = -1;
  if (buf != NULL && send(fd, request, (size_t)n, MSG_NOSIGNAL) == n) {
    while (total < ANSWER_MAX && (got = recv(fd, buf + total, ANSWER_MAX - total, 0)) > 0)
      total += (size_t)got;
  }
  bool late = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
  close(fd);
  if (got == 0 && total > 0) {
    *len = total;
    return buf;
  }
  fail(a->socket,
       late ? "the node does not answer" : "the node ended the connection without an answer");
  free(buf);
  return NULL;
}

int main(int argc, char **argv) {
  struct args args = { .socket = DEFAULT_SOCKET };
  const struct argp argp = { options, parse, "status|stats", doc, NULL, NULL, NULL };
  argp_err_exit_status = EXIT_USAGE;
  argp_parse(&argp, argc, argv, 0, NULL, &args);

  size_t len;
  char *text = ask(&args, &len);
  if (text == NULL)
    return EXIT_FAILURE;
  yyjson_doc *doc_json = yyjson_read(text, len, 0);
  free(text);
  yyjson_val *root = yyjson_doc_get_root(doc_json);
  yyjson_val *result = yyjson_obj_get(root, "result");
  int status = EXIT_SUCCESS;
  if (!yyjson_get_bool(yyjson_obj_get(root, "ok")) || result == NULL) {
    const char *error = yyjson_get_str(yyjson_obj_get(root, "error"));
    fail(args.socket, error != NULL ? error : "the answer cannot be read");
    status = EXIT_FAILURE;
  } else if (args.json) {
    char *pretty = yyjson_val_write(result, YYJSON_WRITE_PRETTY_TWO_SPACES, NULL);
    printf("%s\n", pretty != NULL ? pretty : "{}");
    free(pretty);
  } else if (strcmp(args.command, "status") == 0) {
    rn_ctl_print_status(stdout, result);
  } else {
    rn_ctl_print_stats(stdout, result, args.all);
  }
  yyjson_doc_free(doc_json);
  return status;
}
