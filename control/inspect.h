/* control/inspect.h: what only the lcores know, asked over the rings for people: connections, the log of one of them, traces. On the event loop.
 *
 * A job belongs to a client, who is told by its functions; it ends with done, or with rn_inspect_cancel. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring/msg.h"
#include "util/addr.h"

struct rn_node;
struct rn_inspect;

#define RN_INSPECT_JOBS 16u

/* Whom a job answers. */
struct rn_inspect_client {
  /* qlog: a piece of the log. */
  void (*text)(void *arg, const char *text, size_t len);
  /* The job is over: the text of an answer, the client's to free(), or NULL when it has had all (qlog), or memory is out. */
  void (*done)(void *arg, char *json, size_t len);
  void *arg;
};

/* For n, which outlives it. NULL: memory is out. */
struct rn_inspect *rn_inspect_new(struct rn_node *n);
/* Cancels all jobs. NULL is fine. */
void rn_inspect_free(struct rn_inspect *in);

/* Lists at most `most` connections of lcore only, or of all when it is UINT32_MAX. Returns the job, or 0 when there are RN_INSPECT_JOBS already. done may
 * come before it returns; the job is then over. */
uint32_t rn_inspect_connections(struct rn_inspect *in, uint32_t only, uint32_t most,
                                const struct rn_inspect_client *client);

/* Logs a connection, which `name` names as connections does ("0.12.3"), or with name NULL the next that client_addr (family 0: anybody) dials.
 * begun is told through `done` with an error, or by the first text. 0: as above, or *why says what is wrong with the name. */
uint32_t rn_inspect_qlog(struct rn_inspect *in, const char *name, const struct rn_addr *client_addr,
                         const struct rn_inspect_client *client, const char **why);

/* Nobody waits for it any more. A job that is over, and in NULL, are fine. */
void rn_inspect_cancel(struct rn_inspect *in, uint32_t job);

/* CONN, CONNS_END and QLOG_TEXT of an lcore. */
void rn_inspect_on_message(struct rn_inspect *in, uint32_t lcore_idx, const struct rn_msg *m);

/* The data plane is gone: all jobs end with an error. */
void rn_inspect_lost(struct rn_inspect *in);

/* The newest `most` traces of each lcore above after[lcore], as the text of an answer, the caller's to free(); NULL: memory is out. */
char *rn_inspect_traces_json(struct rn_node *n, const uint64_t *after, size_t after_count,
                             uint32_t most, size_t *len);
