/* tools/rpcnetctl.h: what the files of rpcnetctl share.
 *
 *   rpcnetctl.c        the command line
 *   rpcnetctl_ask.c    one exchange with the node
 *   rpcnetctl_print.c  its answers as tables
 *   rpcnetctl_cluster.c  the commands about the cluster
 *   rpcnetctl_watch.c  rates, interval by interval */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <yyjson.h>

#define RN_CTL_TIMEOUT_S 6 /* a node that gives up says so within 5 s */

#define RN_CTL_REQUEST_BYTES 1024u

struct command;

/* The command line. */
struct rn_ctl_args {
  const struct command *command;
  const char *operands[3];
  unsigned int operand_count;
  const char *socket;
  const char *client;
  bool json, all, follow;
  uint32_t count, lcore, seconds, watch_s; /* UINT32_MAX: not given */
};

/* A request of that name, to be filled, and its text into out[RN_CTL_REQUEST_BYTES]. */
yyjson_mut_doc *rn_ctl_begin(const char *name, yyjson_mut_val **root);
void rn_ctl_finish(yyjson_mut_doc *request, char *out);
/* Asks and prints: as JSON, or with print. Returns the exit status. */
int rn_ctl_show(const struct rn_ctl_args *a, const char *request,
                void (*print)(FILE *out, yyjson_val *result));

/* Commands; each returns its exit status. */
int rn_ctl_members(const struct rn_ctl_args *a);
int rn_ctl_workers(const struct rn_ctl_args *a);
int rn_ctl_route(const struct rn_ctl_args *a);
int rn_ctl_events(const struct rn_ctl_args *a);
int rn_ctl_tag(const struct rn_ctl_args *a);
int rn_ctl_join(const struct rn_ctl_args *a);
int rn_ctl_leave(const struct rn_ctl_args *a);
int rn_ctl_drain(const struct rn_ctl_args *a);

/* Says on stderr what is wrong with the node at this socket; returns -1. */
int rn_ctl_fail(const char *socket_path, const char *what);

/* Sends the request, a JSON object without a newline, and returns the answer, whose "ok" is true; the caller's to yyjson_doc_free(). NULL with the reason
 * printed. */
yyjson_doc *rn_ctl_ask(const char *socket_path, const char *request);

/* The same for an answer that has text behind its line, which is copied to out as it comes. timeout_s: how long the node may be silent. 0, or -1
 * with the reason printed. */
int rn_ctl_copy(const char *socket_path, const char *request, uint32_t timeout_s, FILE *out);

/* Tables; result: the "result" of an answer. */
void rn_ctl_print_status(FILE *out, yyjson_val *result);
/* Values that are zero on every lcore are left out unless all is set. */
void rn_ctl_print_stats(FILE *out, yyjson_val *result, bool all);
void rn_ctl_print_secrets(FILE *out, yyjson_val *result);
void rn_ctl_print_connections(FILE *out, yyjson_val *result);
/* head: with the names of the columns. */
void rn_ctl_print_traces(FILE *out, yyjson_val *result, bool head);

/* Prints rates per second and lcore every seconds >= 1, as a table or, json, as one object a line: in place on a terminal, line after line elsewhere. Goes on
 * until SIGINT, SIGTERM or a reader that went; then the exit status is EXIT_SUCCESS, and EXIT_FAILURE when the node does not answer. */
int rn_ctl_watch(const char *socket_path, uint32_t seconds, bool json);
